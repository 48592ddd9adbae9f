//! How a node is set up.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

#[cfg(feature = "tls")]
use actor_net::tls::{ClientTls, ServerTls};

use crate::handshake::{Auth, Secret, Secrets};
use crate::link::{Bounds, Full, Heartbeat, LinkSettings};

/// The biggest message, unless set: 1 MiB.
pub const DEFAULT_MAX_MESSAGE: usize = 1 << 20;
/// What the biggest message can be set to at most: 1 GiB.
pub const GREATEST_MESSAGE: usize = 1 << 30;
/// How many bytes wait to be written to a link at most, unless set: 8 MiB.
pub const DEFAULT_OUTBOX_BYTES: usize = 8 << 20;
/// How many messages wait to be written to a link at most, unless set: 65,536.
pub const DEFAULT_OUTBOX_MESSAGES: usize = 65_536;
/// After how much silence a node is asked for a sign of life, unless set: a second.
pub const DEFAULT_ASK: Duration = Duration::from_secs(1);
/// After how much silence a link is given up, unless set: eight seconds.
pub const DEFAULT_GIVE_UP: Duration = Duration::from_secs(8);
/// How long a handshake may take, unless set: three seconds.
pub const DEFAULT_HANDSHAKE: Duration = Duration::from_secs(3);
/// How many connections may be in their handshake at a time, unless set: 256.
pub const DEFAULT_HALF_OPEN: usize = 256;
/// How long what another node has had started here lives without a link to that node, unless set: ten seconds.
pub const DEFAULT_ORPHAN_AFTER: Duration = Duration::from_secs(10);

/// What a send does while there is no link to the receiver's node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhileDown {
    /// It fails with [`SendError::Disconnected`](actor_core::SendError::Disconnected).
    Fail,
    /// It waits for a link for so long, and fails then.
    Wait(Duration),
}

/// How a node is set up.
///
/// ```
/// use actor_remote::{Config, Secret};
///
/// let config = Config::new("bank-1")
///     .cluster("bank")
///     .secret(Secret::from_bytes("sixteen bytes or more").unwrap());
/// assert_eq!(config.name(), "bank-1");
/// ```
#[derive(Clone)]
pub struct Config {
    pub(crate) name: String,
    pub(crate) cluster: String,
    pub(crate) auth: Auth,
    pub(crate) plaintext: bool,
    #[cfg(feature = "tls")]
    pub(crate) tls: Option<(ServerTls, ClientTls)>,
    pub(crate) bounds: Bounds,
    pub(crate) max_message: usize,
    pub(crate) heartbeat: Heartbeat,
    pub(crate) handshake: Duration,
    pub(crate) half_open: usize,
    pub(crate) while_down: WhileDown,
    pub(crate) first_pause: Duration,
    pub(crate) longest_pause: Duration,
    pub(crate) orphan_after: Duration,
}

impl Config {
    /// A node that is called `name`. In a cluster, no two have the same name.
    pub fn new(name: impl Into<String>) -> Config {
        Config {
            name: name.into(),
            cluster: String::new(),
            auth: Auth::None,
            plaintext: false,
            #[cfg(feature = "tls")]
            tls: None,
            bounds: Bounds {
                bytes: DEFAULT_OUTBOX_BYTES,
                messages: DEFAULT_OUTBOX_MESSAGES,
                policy: Full::Block,
                message: DEFAULT_MAX_MESSAGE,
            },
            max_message: DEFAULT_MAX_MESSAGE,
            heartbeat: Heartbeat {
                ask: DEFAULT_ASK,
                give_up: DEFAULT_GIVE_UP,
            },
            handshake: DEFAULT_HANDSHAKE,
            half_open: DEFAULT_HALF_OPEN,
            while_down: WhileDown::Fail,
            first_pause: Duration::from_millis(100),
            longest_pause: Duration::from_secs(30),
            orphan_after: DEFAULT_ORPHAN_AFTER,
        }
    }

    /// What the node is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What its cluster is called: nodes of different ones do not link. Empty unless set.
    pub fn cluster(mut self, cluster: impl Into<String>) -> Config {
        self.cluster = cluster.into();
        self
    }

    /// Links are made with nodes alone that know this secret, and what goes over them cannot be changed on the
    /// way. It can be read; TLS hides it.
    pub fn secret(self, secret: Secret) -> Config {
        self.secrets(Secrets::new(secret))
    }

    /// The same with two that hold at a time, while one takes the place of the other.
    pub fn secrets(mut self, secrets: Secrets) -> Config {
        self.auth = Auth::Secret(Arc::new(secrets));
        self
    }

    /// Links are under TLS 1.3, with `server` where others connect and `client` where this node does. Both nodes need
    /// it.
    ///
    /// Without a [secret](Self::secret) the certificates of both ends prove who they are: each is for the name
    /// of its node, so `server` must [require](actor_net::tls::ServerTlsBuilder::require_client) them of clients, and
    /// `client` have an [identity](actor_net::tls::ClientTlsBuilder::identity). With one, the secret does, and is bound to the
    /// TLS connection: who knows it not cannot be between two nodes, whatever certificate it has.
    ///
    /// By [`connect_to`](crate::Node::connect_to) the certificate of the other must be for its node's name, by
    /// [`connect`](crate::Node::connect), where that is not known yet, for the IP address.
    ///
    /// ```
    /// use actor_net::tls::{ClientTls, Identity, Roots, ServerTls, TlsError};
    /// use actor_remote::Config;
    ///
    /// fn config(roots: Roots, identity: Identity) -> Result<Config, TlsError> {
    ///     let server = ServerTls::builder()
    ///         .identity(identity.clone())
    ///         .require_client(roots.clone())
    ///         .build()?;
    ///     let client = ClientTls::builder(roots).identity(identity).build()?;
    ///     Ok(Config::new("bank-1").tls(server, client))
    /// }
    /// ```
    #[cfg(feature = "tls")]
    pub fn tls(mut self, server: ServerTls, client: ClientTls) -> Config {
        self.tls = Some((server, client));
        self
    }

    /// Lets it listen beyond this machine without a secret and without TLS: whoever can connect can reach what
    /// is exposed, and change what others send. For networks that are protected otherwise.
    pub fn unprotected(mut self) -> Config {
        self.plaintext = true;
        self
    }

    /// How much waits at most to be written to a link, in bytes and in messages, and what a send does then. Answers
    /// to calls always have room.
    ///
    /// # Panics
    ///
    /// If there is no room for anything.
    pub fn outbox(mut self, bytes: usize, messages: usize, full: Full) -> Config {
        assert!(bytes > 0 && messages > 0, "an outbox must have room");
        self.bounds.bytes = bytes;
        self.bounds.messages = messages;
        self.bounds.policy = full;
        self
    }

    /// The biggest message, sent or taken, in bytes as it is encoded. What is made of it may take several times
    /// as much, and a link may have eight of them at a time that have come in part. Both nodes should have the same: what
    /// is too big for the other one ends the link.
    ///
    /// # Panics
    ///
    /// If it is more than [`GREATEST_MESSAGE`].
    pub fn max_message(mut self, bytes: usize) -> Config {
        assert!(
            bytes <= GREATEST_MESSAGE,
            "a message has {GREATEST_MESSAGE} bytes at most"
        );
        self.bounds.message = bytes;
        self.max_message = bytes;
        self
    }

    /// After how much silence the other node is asked for a sign of life, and after how much the link is given up.
    ///
    /// # Panics
    ///
    /// If the second is not longer than the first, or the first is zero.
    pub fn heartbeat(mut self, ask: Duration, give_up: Duration) -> Config {
        assert!(
            !ask.is_zero() && ask < give_up,
            "a node is asked before it is given up"
        );
        self.heartbeat = Heartbeat { ask, give_up };
        self
    }

    /// How long a handshake may take, and how many may be under way at a time. Where there are as many, one is dropped for
    /// another: of those that come from the address from which most do, the oldest. Of IPv6 addresses those are one whose
    /// first 64 bits are.
    ///
    /// # Panics
    ///
    /// If there may be none.
    pub fn handshakes(mut self, limit: Duration, at_a_time: usize) -> Config {
        assert!(at_a_time > 0, "a node that listens takes handshakes");
        self.handshake = limit;
        self.half_open = at_a_time;
        self
    }

    /// What a send does while there is no link. It fails, unless set.
    pub fn while_down(mut self, while_down: WhileDown) -> Config {
        self.while_down = while_down;
        self
    }

    /// How long a node that has connected waits before it tries again, once the link is broken: the first time, and
    /// at most. In between it doubles, and what is waited is a random part of it.
    pub fn reconnect(mut self, first: Duration, longest: Duration) -> Config {
        self.first_pause = first;
        self.longest_pause = longest.max(first);
        self
    }

    /// How long an actor that another node has had [started](crate::PeerRef::spawn) here lives on when the link to
    /// that node is broken, unless the other node [claims](crate::Spawned::claim) it over the next link.
    ///
    /// Then it is asked to end, and killed after five seconds. Together with the time after which this node gives a
    /// link up (see [`heartbeat`](Self::heartbeat)), and a quarter more, as it is looked at by turns, this should be shorter
    /// than what a supervisor there [lingers](crate::RemoteChild::linger): then the old one has ended
    /// before it starts another elsewhere, if the clocks of both run alike and neither is stopped meanwhile.
    pub fn orphan_after(mut self, time: Duration) -> Config {
        self.orphan_after = time;
        self
    }

    /// Whether links are under TLS.
    pub(crate) fn is_under_tls(&self) -> bool {
        #[cfg(feature = "tls")]
        let is = self.tls.is_some();
        #[cfg(not(feature = "tls"))]
        let is = false;
        is
    }

    /// How nodes prove who they are.
    pub(crate) fn auth(&self) -> Auth {
        match &self.auth {
            Auth::None if self.is_under_tls() => Auth::Tls,
            auth => auth.clone(),
        }
    }

    pub(crate) fn link_settings(&self) -> LinkSettings {
        LinkSettings {
            bounds: self.bounds,
            heartbeat: self.heartbeat,
            max_message: self.max_message,
        }
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("name", &self.name)
            .field("cluster", &self.cluster)
            .field("auth", &self.auth)
            .finish_non_exhaustive()
    }
}
