//! [`ServerTls`]: TLS at the server's end.

use std::collections::HashMap;
use std::fmt;
use std::io::{Read, Write};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;
use rustls::crypto::ring::Ticketer;
use rustls::server::{
    ClientHello, NoClientAuth, ResolvesServerCert, ServerSessionMemoryCache, WebPkiClientVerifier,
};
use rustls::sign::CertifiedKey;
use rustls::{ServerConfig, ServerConnection};

#[cfg(feature = "http")]
use super::session::Session;
use super::turnstile::{Turnstile, Waits};
use super::{
    DEFAULT_HANDSHAKE_TIMEOUT, DEFAULT_HANDSHAKES, Identity, Roots, TlsError, TlsStream, protocols,
    provider,
};

/// How many sessions of TLS 1.2 are remembered whose clients take no tickets.
const SESSIONS: usize = 4096;

/// How a server speaks TLS. Clones share everything, a [reload](Self::set_identity) included.
///
/// Sessions are resumed by tickets, whose keys live here and change every few hours, so keep it for the
/// life of the server, and use one for all of its connections.
///
/// ```
/// use actor_net::Server;
/// use actor_net::tls::{Identity, ServerTls};
///
/// # let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
/// # let (chain, key) = (made.cert.pem(), made.signing_key.serialize_pem());
/// let identity = Identity::from_pem(chain.as_bytes(), key.as_bytes()).unwrap();
/// let tls = ServerTls::new(identity).unwrap();
/// let server = Server::bind("127.0.0.1:0").unwrap().tls(tls.clone());
/// ```
#[derive(Clone)]
pub struct ServerTls {
    current: Arc<RwLock<Current>>,
}

/// What new connections go by.
#[derive(Clone)]
struct Current {
    config: Arc<ServerConfig>,
    /// Those of the configuration, unless the user has made it.
    identities: Arc<Identities>,
    handshake_timeout: Duration,
    turnstile: Arc<Turnstile>,
    /// The same configuration with the protocols of HTTP, once it has been asked for.
    #[cfg(feature = "http")]
    http: Option<Arc<ServerConfig>>,
}

#[cfg(feature = "http")]
impl Current {
    fn for_http(&mut self) -> Arc<ServerConfig> {
        let make = || {
            let mut config = ServerConfig::clone(&self.config);
            config.alpn_protocols = protocols(["http/1.1", "http/1.0"]);
            Arc::new(config)
        };
        self.http.get_or_insert_with(make).clone()
    }
}

impl ServerTls {
    /// With one identity and otherwise the defaults.
    ///
    /// # Errors
    ///
    /// [`TlsError::Protocol`] if the system has no random numbers.
    ///
    /// ```
    /// # let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    /// # let (chain, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    /// # use actor_net::tls::{Identity, ServerTls};
    /// # let identity = Identity::from_pem(chain.as_bytes(), key.as_bytes()).unwrap();
    /// let tls = ServerTls::new(identity).unwrap();
    /// ```
    pub fn new(identity: Identity) -> Result<ServerTls, TlsError> {
        ServerTls::builder().identity(identity).build()
    }

    /// With options.
    ///
    /// ```
    /// # let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    /// # let (chain, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    /// # use actor_net::tls::{Identity, ServerTls};
    /// # let identity = Identity::from_pem(chain.as_bytes(), key.as_bytes()).unwrap();
    /// let tls = ServerTls::builder().identity(identity).alpn(["http/1.1"]).build().unwrap();
    /// ```
    pub fn builder() -> ServerTlsBuilder {
        ServerTlsBuilder {
            identities: Names::default(),
            alpn: Vec::new(),
            clients: Clients::Anybody,
            handshake_timeout: DEFAULT_HANDSHAKE_TIMEOUT,
            handshakes: DEFAULT_HANDSHAKES,
        }
    }

    /// With a configuration of rustls's own. [`set_identity`](Self::set_identity) has no effect on it, but it
    /// can be [replaced](Self::replace) as a whole.
    ///
    /// ```
    /// use actor_net::tls::{ServerTls, rustls};
    /// use std::sync::Arc;
    ///
    /// # let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    /// # let (certificate, key) = (made.cert.der().clone(), made.signing_key.into());
    /// let provider = rustls::crypto::ring::default_provider();
    /// let config = rustls::ServerConfig::builder_with_provider(Arc::new(provider))
    ///     .with_protocol_versions(&[&rustls::version::TLS13])
    ///     .unwrap()
    ///     .with_no_client_auth()
    ///     .with_single_cert(vec![certificate], key)
    ///     .unwrap();
    /// let tls = ServerTls::from_config(Arc::new(config));
    /// ```
    pub fn from_config(config: Arc<ServerConfig>) -> ServerTls {
        ServerTls {
            current: Arc::new(RwLock::new(Current {
                config,
                identities: Arc::default(),
                handshake_timeout: DEFAULT_HANDSHAKE_TIMEOUT,
                turnstile: Turnstile::new(DEFAULT_HANDSHAKES),
                #[cfg(feature = "http")]
                http: None,
            })),
        }
    }

    /// Puts TLS over a stream whose other end is a client, and makes the handshake. A stream from elsewhere
    /// that blocks its thread cannot be interrupted at the deadline.
    ///
    /// # Errors
    ///
    /// [`TlsError::TimedOut`] after the handshake's own time or at the deadline of an enclosing
    /// [`timeout`](actor_core::timeout); the stream's errors; [`TlsError::Truncated`] if it ends in the middle;
    /// and what rustls says of the client. The client has been told by an alert then.
    ///
    /// ```
    /// use actor_io::TcpStream;
    /// use actor_net::tls::{ServerTls, TlsError, TlsStream};
    ///
    /// // As for SMTP's STARTTLS.
    /// fn upgrade(stream: TcpStream, tls: &ServerTls) -> Result<TlsStream, TlsError> {
    ///     tls.accept(stream)
    /// }
    /// ```
    pub fn accept<S: Read + Write>(&self, stream: S) -> Result<TlsStream<S>, TlsError> {
        let Current {
            config,
            handshake_timeout,
            turnstile,
            ..
        } = self.current.read().clone();
        let connection = ServerConnection::new(config)?;
        let turns = Waits::new(turnstile);
        TlsStream::establish(connection.into(), stream, handshake_timeout, turns)
    }

    /// What a connection of HTTP/1.1 begins with: a session, how long its handshake may take, and where that gets its
    /// turns.
    #[cfg(feature = "http")]
    pub(crate) fn begin_http(&self) -> Result<(Session, Duration, Arc<Turnstile>), TlsError> {
        let mut current = self.current.read().clone();
        let config = match current.http.take() {
            Some(config) => config,
            None => self.current.write().for_http(),
        };
        let session = Session::new(ServerConnection::new(config)?.into());
        Ok((session, current.handshake_timeout, current.turnstile))
    }

    /// Has new connections get another certificate, for names that have none of their own: when the old one
    /// is about to run out, for example. Connections that are there keep theirs, and sessions
    /// can still be resumed. If the old key is not to be trusted any more, [`replace`](Self::replace)
    /// everything, tickets too.
    ///
    /// ```
    /// # use actor_net::tls::{Identity, ServerTls, TlsError};
    /// fn renew(tls: &ServerTls) -> Result<(), TlsError> {
    ///     tls.set_identity(Identity::from_files("chain.pem", "key.pem")?);
    ///     Ok(())
    /// }
    /// ```
    pub fn set_identity(&self, identity: Identity) {
        let identities = Arc::clone(&self.current.read().identities);
        identities.0.write().default = Some(identity);
    }

    /// As [`set_identity`](Self::set_identity), for one [name](ServerTlsBuilder::identity_for).
    ///
    /// ```
    /// # use actor_net::tls::{Identity, ServerTls};
    /// fn add(tls: &ServerTls, name: &str, identity: Identity) {
    ///     tls.set_identity_for(name, identity);
    /// }
    /// ```
    pub fn set_identity_for(&self, name: &str, identity: Identity) {
        let identities = Arc::clone(&self.current.read().identities);
        identities.0.write().insert(name, identity);
    }

    /// Has new connections go by all that `other` says: certificates, protocols, whom to trust. Sessions from
    /// before are not resumed.
    ///
    /// ```
    /// # use actor_net::tls::{Identity, Roots, ServerTls, TlsError};
    /// fn trust(tls: &ServerTls, identity: Identity, roots: Roots) -> Result<(), TlsError> {
    ///     tls.replace(&ServerTls::builder().identity(identity).require_client(roots).build()?);
    ///     Ok(())
    /// }
    /// ```
    pub fn replace(&self, other: &ServerTls) {
        let other = other.current.read().clone();
        *self.current.write() = other;
    }
}

/// The options of a [`ServerTls`].
///
/// ```
/// # let made = rcgen::generate_simple_self_signed(["a.example".to_owned()]).unwrap();
/// # let (chain, key) = (made.cert.pem(), made.signing_key.serialize_pem());
/// # use actor_net::tls::{Identity, ServerTls};
/// # use std::time::Duration;
/// # let identity = Identity::from_pem(chain.as_bytes(), key.as_bytes()).unwrap();
/// let tls = ServerTls::builder()
///     .identity_for("a.example", identity.clone())
///     .identity(identity)
///     .alpn(["http/1.1"])
///     .handshake_timeout(Duration::from_secs(5))
///     .build()
///     .unwrap();
/// ```
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until it builds"]
pub struct ServerTlsBuilder {
    identities: Names,
    alpn: Vec<Vec<u8>>,
    clients: Clients,
    handshake_timeout: Duration,
    handshakes: usize,
}

/// Who is let in.
#[derive(Clone, Debug)]
enum Clients {
    Anybody,
    /// Those who show a certificate must show a good one.
    Known(Roots),
    Only(Roots),
}

impl ServerTlsBuilder {
    /// The identity for clients that ask for no particular name, or for one that has none of its own. Without
    /// it such clients are refused.
    ///
    /// ```
    /// # use actor_net::tls::{Identity, ServerTls, TlsError};
    /// fn make(identity: Identity) -> Result<ServerTls, TlsError> {
    ///     ServerTls::builder().identity(identity).build()
    /// }
    /// ```
    pub fn identity(mut self, identity: Identity) -> Self {
        self.identities.default = Some(identity);
        self
    }

    /// The identity for clients that ask for the server `name` (SNI). With `*.` in front it is for all names
    /// with one more part that have no identity of their own.
    ///
    /// ```
    /// # use actor_net::tls::{Identity, ServerTls, TlsError};
    /// fn make(shop: Identity, others: Identity) -> Result<ServerTls, TlsError> {
    ///     ServerTls::builder()
    ///         .identity_for("shop.example", shop)
    ///         .identity_for("*.example", others)
    ///         .build()
    /// }
    /// ```
    pub fn identity_for(mut self, name: &str, identity: Identity) -> Self {
        self.identities.insert(name, identity);
        self
    }

    /// The protocols that are spoken, the best first (ALPN). A client that offers others alone is refused; one
    /// that offers none is not. Nothing is agreed upon by default.
    ///
    /// ```
    /// # use actor_net::tls::{Identity, ServerTls, TlsError};
    /// fn make(identity: Identity) -> Result<ServerTls, TlsError> {
    ///     ServerTls::builder().identity(identity).alpn(["http/1.1", "http/1.0"]).build()
    /// }
    /// ```
    pub fn alpn<P: AsRef<[u8]>>(mut self, names: impl IntoIterator<Item = P>) -> Self {
        self.alpn = protocols(names);
        self
    }

    /// Lets only clients in that show a certificate which one of `roots` has signed. With TLS 1.3 a client
    /// hears of its refusal when it first reads.
    ///
    /// ```
    /// # use actor_net::tls::{Identity, Roots, ServerTls, TlsError};
    /// fn make(identity: Identity, roots: Roots) -> Result<ServerTls, TlsError> {
    ///     ServerTls::builder().identity(identity).require_client(roots).build()
    /// }
    /// ```
    pub fn require_client(mut self, roots: Roots) -> Self {
        self.clients = Clients::Only(roots);
        self
    }

    /// Asks clients for a certificate, which one of `roots` must have signed, and lets those in as well that
    /// have none: see [`TlsStream::peer_certificates`].
    ///
    /// ```
    /// # use actor_net::tls::{Identity, Roots, ServerTls, TlsError};
    /// fn make(identity: Identity, roots: Roots) -> Result<ServerTls, TlsError> {
    ///     ServerTls::builder().identity(identity).request_client(roots).build()
    /// }
    /// ```
    pub fn request_client(mut self, roots: Roots) -> Self {
        self.clients = Clients::Known(roots);
        self
    }

    /// How long a handshake may take; [`DEFAULT_HANDSHAKE_TIMEOUT`] otherwise.
    ///
    /// ```
    /// # use actor_net::tls::{Identity, ServerTls, TlsError};
    /// # use std::time::Duration;
    /// fn make(identity: Identity) -> Result<ServerTls, TlsError> {
    ///     let limit = Duration::from_secs(5);
    ///     ServerTls::builder().identity(identity).handshake_timeout(limit).build()
    /// }
    /// ```
    pub fn handshake_timeout(mut self, limit: Duration) -> Self {
        self.handshake_timeout = limit;
        self
    }

    /// How many handshakes a worker computes before those have their turn who have been let in;
    /// [`DEFAULT_HANDSHAKES`] otherwise, and one at least. The others wait for theirs, in the order in which their clients
    /// have asked. One that waits for its client takes no part in that, however many do.
    ///
    /// ```
    /// # use actor_net::tls::{Identity, ServerTls, TlsError};
    /// fn make(identity: Identity) -> Result<ServerTls, TlsError> {
    ///     // Signatures with long keys of RSA take some milliseconds each.
    ///     ServerTls::builder().identity(identity).handshakes(2).build()
    /// }
    /// ```
    pub fn handshakes(mut self, at_a_time: usize) -> Self {
        self.handshakes = at_a_time;
        self
    }

    /// What all of this makes.
    ///
    /// # Errors
    ///
    /// [`TlsError::NoRoots`] if clients are to show certificates and there are no roots, and
    /// [`TlsError::Protocol`] if the system has no random numbers.
    ///
    /// ```
    /// # use actor_net::tls::{Identity, ServerTls, TlsError};
    /// fn make(identity: Identity) -> Result<ServerTls, TlsError> {
    ///     ServerTls::builder().identity(identity).build()
    /// }
    /// ```
    pub fn build(self) -> Result<ServerTls, TlsError> {
        let verifier =
            |roots: Roots| WebPkiClientVerifier::builder_with_provider(roots.0, provider());
        let no_roots =
            |error: rustls::server::VerifierBuilderError| TlsError::NoRoots(error.to_string());
        let clients = match self.clients {
            Clients::Anybody => Arc::new(NoClientAuth),
            Clients::Known(roots) => {
                let verifier = verifier(roots).allow_unauthenticated();
                verifier.build().map_err(no_roots)?
            }
            Clients::Only(roots) => verifier(roots).build().map_err(no_roots)?,
        };
        let identities = Arc::new(Identities(RwLock::new(self.identities)));
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .with_client_cert_verifier(clients)
            .with_cert_resolver(Arc::clone(&identities) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = self.alpn;
        config.ticketer = Ticketer::new()?;
        config.session_storage = ServerSessionMemoryCache::new(SESSIONS);
        Ok(ServerTls {
            current: Arc::new(RwLock::new(Current {
                config: Arc::new(config),
                identities,
                handshake_timeout: self.handshake_timeout,
                turnstile: Turnstile::new(self.handshakes),
                #[cfg(feature = "http")]
                http: None,
            })),
        })
    }
}

/// Identities that can be exchanged while connections come in.
#[derive(Debug, Default)]
struct Identities(RwLock<Names>);

#[derive(Clone, Debug, Default)]
struct Names {
    default: Option<Identity>,
    /// By name, in lower case; those of one part more than they say without their asterisk.
    exact: HashMap<String, Identity>,
    wild: HashMap<String, Identity>,
}

impl Names {
    fn insert(&mut self, name: &str, identity: Identity) {
        let name = name.to_ascii_lowercase();
        match name.strip_prefix("*.") {
            Some(rest) => self.wild.insert(rest.to_owned(), identity),
            None => self.exact.insert(name, identity),
        };
    }

    fn find(&self, name: Option<&str>) -> Option<&Identity> {
        let own = name.and_then(|name| {
            let name = name.to_ascii_lowercase();
            let exact = self.exact.get(&name);
            exact.or_else(|| self.wild.get(name.split_once('.')?.1))
        });
        own.or(self.default.as_ref())
    }
}

impl ResolvesServerCert for Identities {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let names = self.0.read();
        let Identity(key) = names.find(hello.server_name())?;
        Some(Arc::clone(key))
    }
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerTls").finish_non_exhaustive()
    }
}
