//! Connectors that speak TLS.

use std::time::Duration;

use actor_core::{time, timeout};
use actor_io::ToAddrs;

use super::{ConnectError, Connector, ConnectorBuilder};
use crate::tls::{ClientTls, TlsStream, server_name};

/// Connects to servers that speak TLS: see [`Connector::tls`]. Can be used again and again.
///
/// ```no_run
/// use actor_net::Connector;
/// use actor_net::tls::{ClientTls, Roots};
/// use std::io;
///
/// # fn main() -> io::Result<()> {
/// let connector = Connector::tls(ClientTls::new(Roots::platform()?)?);
/// let first = connector.connect("www.rust-lang.org", 443)?;
/// let second = connector.connect("doc.rust-lang.org", 443)?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until it connects"]
pub struct TlsConnector {
    connector: ConnectorBuilder,
    tls: ClientTls,
}

impl Connector {
    /// A connector whose connections are encrypted.
    ///
    /// ```
    /// use actor_net::Connector;
    /// use actor_net::tls::{ClientTls, Roots, TlsError, TlsStream};
    ///
    /// fn connect(tls: &ClientTls) -> std::io::Result<TlsStream> {
    ///     Ok(Connector::tls(tls.clone()).connect("www.rust-lang.org", 443)?)
    /// }
    /// ```
    pub fn tls(tls: ClientTls) -> TlsConnector {
        Connector::builder().tls(tls)
    }
}

impl ConnectorBuilder {
    /// Has the connections speak TLS. The [timeout](Self::timeout) holds for the handshake too, which has one
    /// of its own besides.
    ///
    /// ```
    /// use actor_net::{Connector, TlsConnector};
    /// use actor_net::tls::ClientTls;
    /// use std::time::Duration;
    ///
    /// fn patient(tls: &ClientTls) -> TlsConnector {
    ///     Connector::builder().timeout(Duration::from_secs(60)).tls(tls.clone())
    /// }
    /// ```
    pub fn tls(self, tls: ClientTls) -> TlsConnector {
        TlsConnector {
            connector: self,
            tls,
        }
    }
}

impl TlsConnector {
    /// Connects to a server by its name, or its IP address, which its certificate must confirm.
    ///
    /// # Errors
    ///
    /// See [`ConnectError`].
    ///
    /// ```
    /// use actor_net::{ConnectError, TlsConnector};
    /// use actor_net::tls::TlsStream;
    ///
    /// fn visit(connector: &TlsConnector) -> Result<TlsStream, ConnectError> {
    ///     connector.connect("www.rust-lang.org", 443)
    /// }
    /// ```
    pub fn connect(&self, host: &str, port: u16) -> Result<TlsStream, ConnectError> {
        self.connect_to((host, port), host)
    }

    /// Connects to `addr`, whoever that is, and expects the server `name` there.
    ///
    /// # Errors
    ///
    /// See [`ConnectError`].
    ///
    /// ```
    /// use actor_net::{ConnectError, TlsConnector};
    /// use actor_net::tls::TlsStream;
    ///
    /// fn by_way_of(connector: &TlsConnector) -> Result<TlsStream, ConnectError> {
    ///     connector.connect_to("127.0.0.1:8443", "www.rust-lang.org")
    /// }
    /// ```
    pub fn connect_to(&self, addr: impl ToAddrs, name: &str) -> Result<TlsStream, ConnectError> {
        // Before anybody is asked for anything.
        server_name(name).map_err(|error| ConnectError::Tls {
            address: None,
            error,
        })?;
        let begun = time::now();
        let stream = self.connector.connect(addr)?;
        let address = stream.peer_addr().ok();
        let handshake = || self.tls.connect(name, stream);
        let shaken = match self.connector.timeout {
            None => handshake(),
            Some(limit) => {
                let left = limit.saturating_sub(time::now().saturating_duration_since(begun));
                timeout(left.max(Duration::from_nanos(1)), handshake)
            }
        };
        shaken.map_err(|error| ConnectError::Tls { address, error })
    }
}
