//! New connections.

#[cfg(feature = "tls")]
use std::io;

use http::Method;

use super::conn::Conn;
use super::error::{FetchError, Phase};
use super::head;
use super::origin::Origin;
use super::proxy::{Place, Route};
use super::stream::{Stream, Timed};
use super::timeouts::Clock;
use crate::http::limits::Limits;
#[cfg(feature = "tls")]
use crate::tls::{ClientTls, Roots, TlsError};
use crate::{ConnectError, Connector};

/// Makes connections.
#[derive(Debug)]
pub(super) struct Dialer {
    pub(super) nodelay: bool,
    #[cfg(feature = "tls")]
    pub(super) tls: Trust,
}

/// How TLS is spoken: as somebody has said, or by the system's roots, which are read when they are needed first.
#[cfg(feature = "tls")]
#[derive(Debug, Default)]
pub(super) struct Trust(std::sync::OnceLock<ClientTls>);

#[cfg(feature = "tls")]
impl Trust {
    pub(super) fn of(tls: ClientTls) -> Trust {
        Trust(tls.into())
    }

    fn get(&self) -> Result<&ClientTls, TlsError> {
        if let Some(tls) = self.0.get() {
            return Ok(tls);
        }
        // Reading waits, so it is done outside the cell; whoever else does it meanwhile comes to the same result.
        let roots = Roots::platform();
        #[cfg(feature = "webpki-roots")]
        let roots = roots.or_else(|_| Ok::<_, TlsError>(Roots::webpki()));
        let tls = ClientTls::builder(roots?).alpn(["http/1.1"]).build()?;
        Ok(self.0.get_or_init(|| tls))
    }
}

impl Dialer {
    /// Connects, by the proxy if there is one, and shakes hands.
    pub(super) fn dial(
        &self,
        route: &Route,
        clock: &Clock,
        limits: &Limits,
    ) -> Result<Conn, FetchError> {
        match route {
            Route::Direct(origin) => {
                let timed = self.connect(&origin.host, origin.port, clock)?;
                self.secure(timed, origin, clock)
            }
            Route::Forward(place) => {
                let timed = self.connect(&place.host, place.port, clock)?;
                Ok(Conn::new(Stream::Plain(timed)))
            }
            Route::Tunnel(place, origin) => {
                let timed = self.connect(&place.host, place.port, clock)?;
                let timed = tunnel(timed, place, origin, clock, limits)?;
                self.secure(timed, origin, clock)
            }
        }
    }

    fn connect(&self, host: &str, port: u16, clock: &Clock) -> Result<Timed, FetchError> {
        let mut connector = Connector::builder().nodelay(self.nodelay);
        if let Some(left) = clock.left(clock.limits.connect) {
            connector = connector.timeout(left);
        }
        let stream = connector
            .connect((host, port))
            .map_err(|error| match error {
                ConnectError::TimedOut { .. } => FetchError::TimedOut {
                    phase: Phase::Connect,
                },
                ConnectError::Resolve(error) => FetchError::Resolve {
                    host: host.to_owned(),
                    error,
                },
                error => FetchError::Connect {
                    host: host.to_owned(),
                    error,
                },
            })?;
        Ok(Timed::new(stream))
    }

    #[cfg(feature = "tls")]
    fn secure(&self, timed: Timed, origin: &Origin, clock: &Clock) -> Result<Conn, FetchError> {
        if !origin.secure {
            return Ok(Conn::new(Stream::Plain(timed)));
        }
        timed.set_wait(super::stream::Wait::Until(None));
        let handshake = || self.tls.get()?.connect(&origin.host, timed);
        let stream = match clock.left(clock.limits.tls) {
            None => handshake(),
            Some(limit) => {
                let limit = limit.max(std::time::Duration::from_nanos(1));
                actor_core::timeout(limit, handshake)
            }
        };
        let stream = stream.map_err(|error| match error {
            TlsError::TimedOut => FetchError::TimedOut { phase: Phase::Tls },
            error => FetchError::Tls {
                host: origin.host.clone(),
                error,
            },
        })?;
        if stream.alpn().is_some_and(|name| name != b"http/1.1") {
            return Err(FetchError::Tls {
                host: origin.host.clone(),
                error: TlsError::Io(io::Error::new(
                    io::ErrorKind::Unsupported,
                    "the server has chosen a protocol other than HTTP/1.1",
                )),
            });
        }
        Ok(Conn::new(Stream::Tls(Box::new(stream))))
    }

    #[cfg(not(feature = "tls"))]
    fn secure(&self, timed: Timed, origin: &Origin, _: &Clock) -> Result<Conn, FetchError> {
        match origin.secure {
            true => Err(FetchError::Request("this program was built without TLS")),
            false => Ok(Conn::new(Stream::Plain(timed))),
        }
    }
}

/// Asks a proxy for a way to a server.
fn tunnel(
    timed: Timed,
    place: &Place,
    origin: &Origin,
    clock: &Clock,
    limits: &Limits,
) -> Result<Timed, FetchError> {
    let failed = |error| match FetchError::of_connection(error, Phase::Proxy) {
        FetchError::Io(error) => FetchError::Closed(error),
        error => error,
    };
    let mut conn = Conn::new(Stream::Plain(timed));
    let mut out = Vec::with_capacity(256);
    head::write_connect(origin, place, &mut out);
    conn.send(&out, || clock.wait(clock.limits.write))
        .map_err(failed)?;
    // Interim answers are as rare here as anything, but allowed.
    let wait = clock.wait(clock.limits.answer);
    for _ in 0..4 {
        let head = conn
            .head(&Method::CONNECT, limits, wait)
            .map_err(|error| match error {
                FetchError::TimedOut { .. } => FetchError::TimedOut {
                    phase: Phase::Proxy,
                },
                error => error,
            })?;
        let status = head.response.status();
        if status.is_success() {
            // The server has nothing to say before it is spoken to: this would not be from it.
            if !conn.input.is_empty() {
                return Err(FetchError::Refused(crate::http::BadMessage::FirstLine));
            }
            return match conn.into_parts().0 {
                Stream::Plain(timed) => Ok(timed),
                #[cfg(feature = "tls")]
                Stream::Tls(_) => Err(failed(io::ErrorKind::Unsupported.into())),
            };
        }
        if !status.is_informational() {
            return Err(FetchError::Proxy(status));
        }
    }
    Err(FetchError::TooManyInterim)
}
