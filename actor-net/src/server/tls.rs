//! Servers that speak TLS.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use actor_core::{BoxError, Handler, Outcome};
use actor_io::TcpStream;

use super::actors::Actors;
use super::connection::{Offspring, failure};
use super::{Server, ServerHandle};
use crate::codec::Codec;
use crate::connection::Connection;
use crate::tls::{ServerTls, TlsError, TlsStream};

/// How long the end of a stream may take to be sent.
const CLOSE_TIME: Duration = Duration::from_secs(1);

/// A [`Server`] whose connections are encrypted: see [`Server::tls`].
///
/// The connection's tasklet makes the handshake, before the handler is called, so one client that takes its
/// time holds nobody up, and a crowd of them [takes turns](crate::tls::ServerTlsBuilder::handshakes). One that
/// does not succeed ends the connection, and is logged at the debug level if the client has gone or was too slow,
/// and else at the level of information.
///
/// When the handler has returned without an error, and the tasklets it has spawned have ended, the end of the
/// stream [is told](crate::tls#the-end-of-a-stream) to the client, unless somebody still has the stream. After an error, a panic or a kill
/// it is not. Otherwise all is as [there](Server).
///
/// ```
/// use actor_net::Server;
/// use actor_net::tls::{Identity, ServerTls, TlsStream};
/// use std::io::{self, Write};
/// use std::time::Duration;
///
/// # let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
/// # let (chain, key) = (made.cert.pem(), made.signing_key.serialize_pem());
/// let identity = Identity::from_pem(chain.as_bytes(), key.as_bytes()).unwrap();
/// let tls = ServerTls::new(identity).unwrap();
/// actor_core::dispatch(|| -> io::Result<()> {
///     let greet = |mut stream: TlsStream| stream.write_all(b"hello");
///     let server = Server::bind("127.0.0.1:0")?.tls(tls).spawn(greet)?;
///     server.shutdown(Duration::from_secs(5))
/// });
/// ```
#[must_use = "a server does nothing until it runs"]
pub struct TlsServer {
    server: Server,
    tls: ServerTls,
}

impl Server {
    /// Has the connections speak TLS. Keep a clone of `tls` where certificates are to be exchanged later.
    ///
    /// ```
    /// use actor_net::{Server, TlsServer};
    /// use actor_net::tls::ServerTls;
    ///
    /// fn bind(tls: &ServerTls) -> std::io::Result<TlsServer> {
    ///     Ok(Server::builder().max_connections(10_000).bind("[::]:443")?.tls(tls.clone()))
    /// }
    /// ```
    pub fn tls(self, tls: ServerTls) -> TlsServer {
        TlsServer { server: self, tls }
    }
}

impl TlsServer {
    /// The address that it listens on: see [`Server::local_addr`].
    ///
    /// ```
    /// # use actor_net::TlsServer;
    /// fn port(server: &TlsServer) -> u16 {
    ///     server.local_addr().port()
    /// }
    /// ```
    pub fn local_addr(&self) -> SocketAddr {
        self.server.local_addr()
    }

    /// Serves in the current tasklet: see [`Server::run`].
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// ```no_run
    /// # use actor_net::TlsServer;
    /// # use actor_net::tls::TlsStream;
    /// # use std::io::{self, Write};
    /// fn run(server: TlsServer) -> io::Result<()> {
    ///     server.run(|mut stream: TlsStream| stream.write_all(b"hello"))
    /// }
    /// ```
    pub fn run<H, R>(self, handler: H) -> io::Result<()>
    where
        H: Fn(TlsStream) -> R + Send + Sync + 'static,
        R: Outcome + 'static,
    {
        let (server, handler) = self.with_handler(handler);
        server.run(handler)
    }

    /// Serves in a tasklet of its own: see [`Server::spawn`].
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// ```no_run
    /// # use actor_net::{ServerHandle, TlsServer};
    /// # use actor_net::tls::TlsStream;
    /// # use std::io::{self, Write};
    /// fn spawn(server: TlsServer) -> io::Result<ServerHandle> {
    ///     server.spawn(|mut stream: TlsStream| stream.write_all(b"hello"))
    /// }
    /// ```
    pub fn spawn<H, R>(self, handler: H) -> io::Result<ServerHandle>
    where
        H: Fn(TlsStream) -> R + Send + Sync + 'static,
        R: Outcome + 'static,
    {
        let (server, handler) = self.with_handler(handler);
        server.spawn(handler)
    }

    /// Serves in the current tasklet, with an actor for each connection: see [`Server::serve_actors`].
    ///
    /// # Errors
    ///
    /// As [`Server::run`].
    ///
    /// ```no_run
    /// # use actor_core::{Actor, Context, Handler};
    /// # use actor_net::{Connection, Line, LineCodec, TlsServer};
    /// # struct Echo(Connection<LineCodec>);
    /// # impl Actor for Echo {}
    /// # impl Handler<Line> for Echo {
    /// #     fn handle(&mut self, Line(line): Line, _: &mut Context<Self>) {
    /// #         self.0.send(line);
    /// #     }
    /// # }
    /// fn run(server: TlsServer) -> std::io::Result<()> {
    ///     server.run_actors(LineCodec::new(), Echo)
    /// }
    /// ```
    pub fn run_actors<C, F, A>(self, codec: C, make: F) -> io::Result<()>
    where
        C: Codec,
        F: Fn(Connection<C>) -> A + Send + Sync + 'static,
        A: Handler<C::Item>,
    {
        let (server, handler) = self.with_actors(codec, make);
        server.run(handler)
    }

    /// As [`run_actors`](Self::run_actors), in a tasklet of its own.
    ///
    /// # Errors
    ///
    /// As [`Server::spawn`].
    ///
    /// ```no_run
    /// # use actor_core::{Actor, Context, Handler};
    /// # use actor_net::{Connection, Line, LineCodec, ServerHandle, TlsServer};
    /// # struct Echo(Connection<LineCodec>);
    /// # impl Actor for Echo {}
    /// # impl Handler<Line> for Echo {
    /// #     fn handle(&mut self, Line(line): Line, _: &mut Context<Self>) {
    /// #         self.0.send(line);
    /// #     }
    /// # }
    /// fn spawn(server: TlsServer) -> std::io::Result<ServerHandle> {
    ///     server.spawn_actors(LineCodec::new(), Echo)
    /// }
    /// ```
    pub fn spawn_actors<C, F, A>(self, codec: C, make: F) -> io::Result<ServerHandle>
    where
        C: Codec,
        F: Fn(Connection<C>) -> A + Send + Sync + 'static,
        A: Handler<C::Item>,
    {
        let (server, handler) = self.with_actors(codec, make);
        server.spawn(handler)
    }

    /// The server beneath, and a handler for it.
    fn with_handler<H, R>(
        self,
        handler: H,
    ) -> (
        Server,
        impl Fn(TcpStream) -> Result<(), BoxError> + Send + Sync + 'static,
    )
    where
        H: Fn(TlsStream) -> R + Send + Sync + 'static,
        R: Outcome + 'static,
    {
        self.with(move |stream| failure(handler(stream)).map(|()| true))
    }

    fn with_actors<C, F, A>(
        mut self,
        codec: C,
        make: F,
    ) -> (
        Server,
        impl Fn(TcpStream) -> Result<(), BoxError> + Send + Sync + 'static,
    )
    where
        C: Codec,
        F: Fn(Connection<C>) -> A + Send + Sync + 'static,
        A: Handler<C::Item>,
    {
        let actors = Actors::of(&mut self.server, codec, make);
        self.with(move |stream| match stream.get_ref().peer_addr() {
            Ok(peer) => Ok(actors.serve(stream, peer)?),
            // It has gone already.
            Err(_) => Ok(false),
        })
    }

    /// `serve` says whether the stream has come to a good end.
    fn with<F>(
        self,
        serve: F,
    ) -> (
        Server,
        impl Fn(TcpStream) -> Result<(), BoxError> + Send + Sync + 'static,
    )
    where
        F: Fn(TlsStream) -> Result<bool, BoxError> + Send + Sync + 'static,
    {
        let TlsServer { server, tls } = self;
        let linger = server.settings.linger;
        let name = server.settings.name_at(server.local_addr);
        let handler = move |stream: TcpStream| {
            let peer = stream.peer_addr().ok();
            let stream = match tls.accept(stream) {
                Ok(stream) => stream,
                Err(error) => {
                    log_refusal(&name, peer, &error);
                    return Ok(());
                }
            };
            let closer = stream.closer()?;
            if serve(stream)? {
                // Those whom the handler has left behind may have things to say.
                Offspring.wind_down(linger);
                closer.close(linger.min(CLOSE_TIME))?;
            }
            Ok(())
        };
        (server, handler)
    }
}

pub(crate) fn log_refusal(server: &str, peer: Option<SocketAddr>, error: &TlsError) {
    match error {
        TlsError::Io(_) | TlsError::TimedOut | TlsError::Truncated => {
            tracing::debug!(server, ?peer, %error, "no handshake");
        }
        _ => tracing::info!(server, ?peer, %error, "no handshake"),
    }
}

impl fmt::Debug for TlsServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsServer")
            .field("server", &self.server)
            .finish_non_exhaustive()
    }
}
