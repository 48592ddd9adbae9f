//! [`Refused`].

use std::error::Error;
use std::fmt;
use std::ops::RangeInclusive;

use super::{AuthKind, BadHello, Features};

/// Why there is no link. The peer is not told; for it, all of these are a connection that ends.
///
/// Until the proofs have been exchanged, anybody may have said what is in here.
///
/// ```
/// use actor_remote::handshake::Refused;
///
/// let refused = Refused::Versions { theirs: 3..=4 };
/// assert_eq!(refused.to_string(), "the peer speaks versions 3 to 4 alone, of which there is none here");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refused {
    /// A message claims to be longer than it can be.
    TooLong {
        /// How long.
        length: usize,
    },
    /// Its hello is none, or this end's own cannot be said.
    Hello(BadHello),
    /// It says that it has connected, or accepted, as this end has.
    Role,
    /// It has the name of this node: this is another process that has, or has had it, or this node itself.
    OwnName,
    /// It says the nonce of this end: somebody sends back what comes.
    OwnNonce,
    /// It is of another cluster.
    Cluster {
        /// Of which.
        theirs: String,
    },
    /// It is not who was to be there.
    Unexpected {
        /// Who it is.
        found: String,
    },
    /// It wants somebody else.
    Misdirected {
        /// Whom.
        wanted: String,
    },
    /// It proves who it is in another way.
    Auth {
        /// In which.
        theirs: AuthKind,
    },
    /// It speaks no version that this end does.
    Versions {
        /// Those that it speaks.
        theirs: RangeInclusive<u16>,
    },
    /// It demands what is not known here.
    Features {
        /// What is not known.
        unknown: Features,
    },
    /// Its proof is wrong: it has another secret, or has heard and said something else than has come here, or is at
    /// the end of another TLS connection.
    Proof,
    /// It has no certificate for its name, or the connection is not under TLS 1.3.
    Certificate,
    /// The connection ended, or it took too long, before anything was wrong. Most of the time the peer has refused.
    Ended,
    /// The handshake was over already.
    Over,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refused::TooLong { length } => {
                write!(f, "a message of {length} bytes in a handshake")
            }
            Refused::Hello(bad) => bad.fmt(f),
            Refused::Role => f.write_str("the peer has the same role in the handshake"),
            Refused::OwnName => f.write_str("the peer has the name of this node"),
            Refused::OwnNonce => f.write_str("the peer sends back what it was sent"),
            Refused::Cluster { theirs } => write!(f, "the peer is of the cluster {theirs:?}"),
            Refused::Unexpected { found } => write!(f, "the peer is {found:?}, not who it should"),
            Refused::Misdirected { wanted } => write!(f, "the peer wants {wanted:?}"),
            Refused::Auth { theirs } => {
                let theirs = match theirs {
                    AuthKind::None => "nothing",
                    AuthKind::Secret => "a secret",
                    AuthKind::Tls => "TLS",
                };
                write!(f, "the peer proves who it is by {theirs}, and this end does not")
            }
            Refused::Versions { theirs } => write!(
                f,
                "the peer speaks versions {} to {} alone, of which there is none here",
                theirs.start(),
                theirs.end()
            ),
            Refused::Features { unknown } => {
                write!(f, "the peer demands features {:#x}, not known here", unknown.0)
            }
            Refused::Proof => f.write_str(
                "the peer's proof is wrong: another secret, or something on the way has changed what was said",
            ),
            Refused::Certificate => {
                f.write_str("the peer has no certificate for its name, or not by TLS 1.3")
            }
            Refused::Ended => f.write_str("the connection has ended within the handshake"),
            Refused::Over => f.write_str("the handshake was over already"),
        }
    }
}

impl Error for Refused {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Refused::Hello(bad) => bad.source(),
            _ => None,
        }
    }
}

impl From<BadHello> for Refused {
    fn from(bad: BadHello) -> Self {
        Refused::Hello(bad)
    }
}
