//! [`ClientTls`]: TLS at the client's end.

use std::fmt;
use std::io::{Read, Write};
use std::sync::Arc;
use std::time::Duration;

use rustls::client::ResolvesClientCert;
use rustls::pki_types::ServerName;
use rustls::sign::SingleCertAndKey;
use rustls::{ClientConfig, ClientConnection};

use super::{DEFAULT_HANDSHAKE_TIMEOUT, Identity, Roots, TlsError, TlsStream, protocols, provider};

/// How a client speaks TLS. Clones share everything.
///
/// Sessions are remembered here, for 256 servers, and resumed: keep it, and use one for all connections
/// that go by the same rules.
///
/// ```no_run
/// use actor_net::Connector;
/// use actor_net::tls::{ClientTls, Roots};
/// use std::io::{self, Write};
///
/// # fn main() -> io::Result<()> {
/// let tls = ClientTls::new(Roots::platform()?)?;
/// let mut stream = Connector::tls(tls).connect("www.rust-lang.org", 443)?;
/// stream.write_all(b"HEAD / HTTP/1.0\r\n\r\n")?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct ClientTls {
    config: Arc<ClientConfig>,
    handshake_timeout: Duration,
}

impl ClientTls {
    /// With these roots and otherwise the defaults.
    ///
    /// # Errors
    ///
    /// See [`ClientTlsBuilder::build`].
    ///
    /// ```no_run
    /// use actor_net::tls::{ClientTls, Roots, TlsError};
    ///
    /// # fn main() -> Result<(), TlsError> {
    /// let tls = ClientTls::new(Roots::platform()?)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn new(roots: Roots) -> Result<ClientTls, TlsError> {
        ClientTls::builder(roots).build()
    }

    /// With options.
    ///
    /// ```
    /// # use actor_net::tls::{ClientTls, Roots, TlsError};
    /// fn make(roots: Roots) -> Result<ClientTls, TlsError> {
    ///     ClientTls::builder(roots).alpn(["http/1.1"]).build()
    /// }
    /// ```
    pub fn builder(roots: Roots) -> ClientTlsBuilder {
        ClientTlsBuilder {
            roots,
            identity: None,
            alpn: Vec::new(),
            handshake_timeout: DEFAULT_HANDSHAKE_TIMEOUT,
        }
    }

    /// With a configuration of rustls's own.
    ///
    /// ```
    /// use actor_net::tls::{ClientTls, rustls};
    /// use std::sync::Arc;
    ///
    /// fn make(config: rustls::ClientConfig) -> ClientTls {
    ///     ClientTls::from_config(Arc::new(config))
    /// }
    /// ```
    pub fn from_config(config: Arc<ClientConfig>) -> ClientTls {
        ClientTls {
            config,
            handshake_timeout: DEFAULT_HANDSHAKE_TIMEOUT,
        }
    }

    /// Puts TLS over a stream whose other end is the server `name`, a host name or an IP address, and
    /// makes the handshake. The server must prove that it is called so. A stream from elsewhere that blocks
    /// its thread cannot be interrupted at the deadline.
    ///
    /// # Errors
    ///
    /// [`TlsError::ServerName`] if `name` is none, and otherwise as [`ServerTls::accept`](super::ServerTls::accept).
    ///
    /// ```
    /// use actor_io::TcpStream;
    /// use actor_net::tls::{ClientTls, TlsError, TlsStream};
    ///
    /// fn upgrade(stream: TcpStream, tls: &ClientTls) -> Result<TlsStream, TlsError> {
    ///     tls.connect("mail.example", stream)
    /// }
    /// ```
    pub fn connect<S: Read + Write>(
        &self,
        name: &str,
        stream: S,
    ) -> Result<TlsStream<S>, TlsError> {
        let name = server_name(name)?;
        let connection = ClientConnection::new(Arc::clone(&self.config), name)?;
        TlsStream::establish(connection.into(), stream, self.handshake_timeout, ())
    }
}

/// What a certificate is checked against. A name may end in a dot, which is no part of it.
pub(crate) fn server_name(name: &str) -> Result<ServerName<'static>, TlsError> {
    let name = name.strip_suffix('.').unwrap_or(name);
    ServerName::try_from(name.to_owned()).map_err(|_| TlsError::ServerName(name.to_owned()))
}

/// The options of a [`ClientTls`].
///
/// ```
/// # use actor_net::tls::{ClientTls, Identity, Roots, TlsError};
/// # use std::time::Duration;
/// fn make(roots: Roots, identity: Identity) -> Result<ClientTls, TlsError> {
///     ClientTls::builder(roots)
///         .identity(identity)
///         .alpn(["http/1.1"])
///         .handshake_timeout(Duration::from_secs(5))
///         .build()
/// }
/// ```
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until it builds"]
pub struct ClientTlsBuilder {
    roots: Roots,
    identity: Option<Identity>,
    alpn: Vec<Vec<u8>>,
    handshake_timeout: Duration,
}

impl ClientTlsBuilder {
    /// Who to be for servers that ask.
    ///
    /// ```
    /// # use actor_net::tls::{ClientTls, Identity, Roots, TlsError};
    /// fn make(roots: Roots, identity: Identity) -> Result<ClientTls, TlsError> {
    ///     ClientTls::builder(roots).identity(identity).build()
    /// }
    /// ```
    pub fn identity(mut self, identity: Identity) -> Self {
        self.identity = Some(identity);
        self
    }

    /// The protocols that are offered (ALPN); none by default. A server that knows of ALPN chooses one of
    /// them or refuses.
    ///
    /// ```
    /// # use actor_net::tls::{ClientTls, Roots, TlsError};
    /// fn make(roots: Roots) -> Result<ClientTls, TlsError> {
    ///     ClientTls::builder(roots).alpn(["http/1.1"]).build()
    /// }
    /// ```
    pub fn alpn<P: AsRef<[u8]>>(mut self, names: impl IntoIterator<Item = P>) -> Self {
        self.alpn = protocols(names);
        self
    }

    /// How long a handshake may take; [`DEFAULT_HANDSHAKE_TIMEOUT`] otherwise.
    ///
    /// ```
    /// # use actor_net::tls::{ClientTls, Roots, TlsError};
    /// # use std::time::Duration;
    /// fn make(roots: Roots) -> Result<ClientTls, TlsError> {
    ///     ClientTls::builder(roots).handshake_timeout(Duration::from_secs(5)).build()
    /// }
    /// ```
    pub fn handshake_timeout(mut self, limit: Duration) -> Self {
        self.handshake_timeout = limit;
        self
    }

    /// What all of this makes.
    ///
    /// # Errors
    ///
    /// [`TlsError::Protocol`] if rustls does not like it.
    ///
    /// ```
    /// # use actor_net::tls::{ClientTls, Roots, TlsError};
    /// fn make(roots: Roots) -> Result<ClientTls, TlsError> {
    ///     ClientTls::builder(roots).build()
    /// }
    /// ```
    pub fn build(self) -> Result<ClientTls, TlsError> {
        let config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .with_root_certificates(self.roots.0);
        let mut config = match self.identity {
            None => config.with_no_client_auth(),
            Some(Identity(key)) => {
                let resolver: Arc<dyn ResolvesClientCert> = Arc::new(SingleCertAndKey::from(key));
                config.with_client_cert_resolver(resolver)
            }
        };
        config.alpn_protocols = self.alpn;
        Ok(ClientTls {
            config: Arc::new(config),
            handshake_timeout: self.handshake_timeout,
        })
    }
}

impl fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientTls")
            .field("handshake_timeout", &self.handshake_timeout)
            .finish_non_exhaustive()
    }
}
