//! How two nodes find out that they may talk to each other.
//!
//! Each says a [`Hello`], and then proves that it knows the secret and has seen the same two hellos, over the same
//! channel:
//!
//! ```text
//! initiator                                    responder
//!     | ---------------- hello ------------------> |
//!     | <--------------- hello ------------------- |
//!     | ------- HMAC("confirm initiator") -------> |
//!     | <------ HMAC("confirm responder") -------- |
//! ```
//!
//! Before each message is its length, a `u16`, little endian; none has more than [`MAX_MESSAGE`] bytes, so whoever
//! accepts connections need never keep more than that of somebody unknown. [`Initiator`] and [`Responder`] take
//! bytes and give bytes; reading, writing and how long all this may take is up to their owners.
//!
//! # What is proved
//!
//! ```text
//! lp(x)      = length of x as u32, little endian | x
//! transcript = SHA256(lp("concurrence link v1") lp(hello of the initiator) lp(hello of the responder) lp(binding))
//! root       = HMAC(key "concurrence psk v1", secret)        k(label) = HMAC(root, lp(label) lp(transcript))
//! proofs     : i = HMAC(k("confirm initiator"), lp(transcript))
//!              r = HMAC(k("confirm responder"), lp(transcript) lp(i))
//! records    : k("frames i2r"), k("frames r2i")
//! ```
//!
//! All that the two have said is in the transcript, so nothing of it can be changed on the way: not who they are,
//! whom they want, what they offer or how they prove it. What was recorded cannot be used again, as each hello has
//! a [`Nonce`]; what a node has said cannot be sent back to it, as each side's proof has its own key.
//!
//! Somebody between two nodes can still pass on everything, unchanged. So a node that knows whom it wants says so
//! ([`Config::expected`]), which keeps it from being passed on to somebody else; and the records of a link have
//! keys that only the two ends have, so who passes them on cannot change, repeat or add to them. They can be read,
//! unless the link is under TLS; then `binding` is what the two ends of this very TLS connection have in common,
//! and nobody is between them.
//!
//! A responder answers every hello with its own, and says nothing else before it has seen a proof. Whatever is wrong,
//! it does the same work and then closes the connection: [`Refused`] is for the node's own log.
//!
//! # Examples
//!
//! ```
//! use std::sync::Arc;
//! use actor_remote::handshake::{Auth, Config, Initiator, Nonce, Responder, Secret, Secrets, Step};
//!
//! let secret = || Arc::new(Secrets::new(Secret::from_bytes("not to be guessed").unwrap()));
//! let bank = Config {
//!     auth: Auth::Secret(secret()),
//!     ..Config::new("bank", 1)
//! };
//! let ledger = Config {
//!     auth: Auth::Secret(secret()),
//!     expected: Some("bank".into()),
//!     ..Config::new("ledger", 1)
//! };
//!
//! let mut bank = Responder::new(bank, Nonce::random().unwrap()).unwrap();
//! let (mut ledger, mut to_bank) = Initiator::start(ledger, Nonce::random().unwrap()).unwrap();
//! let (from_ledger, from_bank) = loop {
//!     let (to_ledger, from_ledger) = match bank.receive(&mut &to_bank[..]).unwrap() {
//!         Step::More => unreachable!("all of it has come"),
//!         Step::Send(bytes) => (bytes, None),
//!         Step::Agreed(bytes, agreed) => (bytes, Some(agreed)),
//!     };
//!     match ledger.receive(&mut &to_ledger[..]).unwrap() {
//!         Step::More => unreachable!("all of it has come"),
//!         Step::Send(bytes) => to_bank = bytes,
//!         Step::Agreed(_, agreed) => break (from_ledger.unwrap(), agreed),
//!     }
//! };
//! assert_eq!(from_ledger.peer.name, "ledger");
//! assert_eq!(from_bank.peer.name, "bank");
//! assert_eq!(from_bank.transcript, from_ledger.transcript);
//! ```

mod hello;
mod initiator;
mod judge;
mod refused;
mod responder;
mod secret;
mod step;
mod transcript;

use std::io;
use std::ops::RangeInclusive;
use std::sync::Arc;

pub use hello::{AuthKind, BadHello, Features, Hello, MAX_NAME, Role};
pub use initiator::Initiator;
pub use refused::Refused;
pub use responder::Responder;
pub use secret::{MIN_SECRET, Secret, SecretError, Secrets};
pub use step::{MAX_MESSAGE, Step};

use crate::wire::record::{Key, Open, Protection, Seal};

/// What makes one handshake different from all others: 32 bytes that are never used again. Hence it is not cloned.
///
/// ```
/// use actor_remote::handshake::Nonce;
///
/// assert_ne!(Nonce::random().unwrap(), Nonce::random().unwrap());
/// ```
#[derive(Debug, PartialEq, Eq)]
pub struct Nonce([u8; 32]);

impl Nonce {
    /// A new one, from the system's randomness.
    ///
    /// # Errors
    ///
    /// If the system has none to give, which it always has once it has started.
    pub fn random() -> io::Result<Nonce> {
        let mut bytes = [0; 32];
        random(&mut bytes)?;
        Ok(Nonce(bytes))
    }

    /// One that is known, for tests. With one that is used a second time, what was recorded the first time is
    /// accepted again.
    pub fn from_bytes(bytes: [u8; 32]) -> Nonce {
        Nonce(bytes)
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// Fills `bytes` from the system's randomness.
fn random(bytes: &mut [u8]) -> io::Result<()> {
    getrandom::fill(bytes).map_err(|error| {
        let system = error.raw_os_error().map(io::Error::from_raw_os_error);
        system.unwrap_or_else(|| io::Error::other(error.to_string()))
    })
}

/// How an end of a link proves who it is. Both must do it in the same way.
#[derive(Clone, Debug)]
pub enum Auth {
    /// Not at all: for links within a machine.
    None,
    /// By a secret that it has in common with the other.
    Secret(Arc<Secrets>),
    /// TLS has seen to it, by certificates of both; whose names these have is for who has made the connection to
    /// compare with the peer's.
    Tls,
}

impl Auth {
    fn kind(&self) -> AuthKind {
        match self {
            Auth::None => AuthKind::None,
            Auth::Secret(_) => AuthKind::Secret,
            Auth::Tls => AuthKind::Tls,
        }
    }
}

/// What one end brings into a handshake.
///
/// ```
/// use actor_remote::handshake::Config;
///
/// let config = Config {
///     cluster: "test".into(),
///     versions: 1..=2,
///     ..Config::new("bank", 1)
/// };
/// assert!(config.expected.is_none(), "anybody, unless said otherwise");
/// ```
#[derive(Clone, Debug)]
pub struct Config {
    /// What this node is called: at least one byte, at most [`MAX_NAME`], no control characters.
    pub name: String,
    /// What its cluster is called; both ends are of the same.
    pub cluster: String,
    /// Who has to be at the other end. `None` lets an initiator be passed on to any node that knows the secret, so
    /// it is for addresses of which no more is known.
    pub expected: Option<String>,
    /// Which of the processes that have had this name it is.
    pub incarnation: u128,
    /// The versions of the protocol that it speaks. The highest that both do is used.
    pub versions: RangeInclusive<u16>,
    /// What it offers and demands.
    pub features: Features,
    /// What others may demand besides.
    pub known: Features,
    /// What it proves who it is by.
    pub auth: Auth,
    /// Under TLS, what the ends of this TLS connection have in common and nobody else has: keying material exported
    /// from it (RFC 5705). `None` says that there is no TLS.
    pub binding: Option<[u8; 32]>,
}

impl Config {
    /// Version 1 without features, in a cluster without a name, with anybody and no proof.
    pub fn new(name: impl Into<String>, incarnation: u128) -> Config {
        Config {
            name: name.into(),
            cluster: String::new(),
            expected: None,
            incarnation,
            versions: 1..=1,
            features: Features::NONE,
            known: Features::NONE,
            auth: Auth::None,
            binding: None,
        }
    }

    /// What it says to `expected`, of whom nothing is known if it is empty.
    fn hello(&self, role: Role, nonce: Nonce, expected: String) -> Hello {
        Hello {
            role,
            nonce,
            name: self.name.clone(),
            cluster: self.cluster.clone(),
            expected,
            incarnation: self.incarnation,
            versions: self.versions.clone(),
            features: self.features,
            auth: self.auth.kind(),
        }
    }
}

/// A process of a node: no two have both the same.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PeerId {
    /// What the node is called.
    pub name: String,
    /// Which of the processes that have had this name it is.
    pub incarnation: u128,
}

/// What both ends of a link have agreed on, and proved to each other.
#[derive(Debug)]
pub struct Agreed {
    /// Who is at the other end.
    pub peer: PeerId,
    /// The version of the protocol that both use.
    pub version: u16,
    /// What the link can do.
    pub features: Features,
    /// What to tag records with; `None` under TLS and without a secret.
    pub send: Option<Key>,
    /// What the peer's records are tagged with; `None` under TLS and without a secret.
    pub receive: Option<Key>,
    /// The same at both ends, and of no other link.
    pub transcript: [u8; 32],
    /// Whether this end has connected to the other.
    pub initiated: bool,
    /// Whether the link is under TLS, which protects its records.
    pub tls: bool,
}

impl Agreed {
    /// What makes the records that are sent.
    pub fn seal(&self) -> Seal {
        Seal::new(self.protection(&self.send))
    }

    /// What takes the records that come.
    pub fn open(&self) -> Open {
        Open::new(self.protection(&self.receive))
    }

    fn protection<'a>(&self, key: &'a Option<Key>) -> Protection<'a> {
        match key {
            Some(key) => Protection::Tag(key),
            None if self.tls => Protection::Below,
            None => Protection::Checksum,
        }
    }
}
