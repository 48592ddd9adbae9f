//! [`Hello`]: what each side says first, and all that is negotiated.

use std::error::Error;
use std::fmt;
use std::ops::RangeInclusive;

use super::{MAX_MESSAGE, Nonce};

/// What a hello begins with: the protocol, and the version of the handshake itself.
const MAGIC: &[u8; 5] = b"CRPC\x01";

/// How many bytes the name of a node or cluster may have. With three of them, a hello is within [`MAX_MESSAGE`].
pub const MAX_NAME: usize = 128;

/// Who has connected to whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The one that has connected.
    Initiator,
    /// The one that has accepted.
    Responder,
}

/// What a link's ends prove to each other, and by what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthKind {
    /// Nothing: for links within a machine.
    None,
    /// That they know a [`Secret`](super::Secret).
    Secret,
    /// What TLS has already: both have shown certificates.
    Tls,
}

/// Things that links can do and that not all nodes know of.
///
/// The lower 32 bits are offers: a link has those that both ends have. The upper 32 are demands: each end must know
/// all that the other has, or there is no link.
///
/// ```
/// use actor_remote::handshake::Features;
///
/// const COMPRESSION: Features = Features(1 << 0);
/// const LANES: Features = Features(1 << 1);
/// const CREDITS: Features = Features(1 << 32);
///
/// let ours = COMPRESSION | LANES;
/// let theirs = LANES | CREDITS;
/// assert_eq!(ours.agree(theirs, CREDITS), Ok(LANES | CREDITS));
/// assert_eq!(ours.agree(theirs, Features::NONE), Err(CREDITS), "not known here");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Features(pub u64);

impl Features {
    /// No features.
    pub const NONE: Features = Features(0);
    /// Those that are demanded.
    const REQUIRED: u64 = 0xffff_ffff << 32;

    /// Whether all of `others` are among them.
    pub fn contains(self, others: Features) -> bool {
        self.0 & others.0 == others.0
    }

    /// What a link between a node that has these and one that has `theirs` has; both ends come to the same. What
    /// is in `known` may be demanded, besides what is demanded here.
    ///
    /// # Errors
    ///
    /// The demands that are not known here.
    pub fn agree(self, theirs: Features, known: Features) -> Result<Features, Features> {
        let unknown = theirs.0 & Features::REQUIRED & !(self.0 | known.0);
        match unknown {
            0 => {
                let offered = self.0 & theirs.0 & !Features::REQUIRED;
                let demanded = (self.0 | theirs.0) & Features::REQUIRED;
                Ok(Features(offered | demanded))
            }
            unknown => Err(Features(unknown)),
        }
    }
}

impl std::ops::BitOr for Features {
    type Output = Features;

    fn bitor(self, other: Features) -> Features {
        Features(self.0 | other.0)
    }
}

/// What each side says first. Nothing vouches for it until the other's proof, which covers every byte of it, has
/// been seen.
///
/// ```text
/// "CRPC\x01" | role u8 | nonce [32] | name | cluster | expected | incarnation u128
///     | lowest version u16 | highest version u16 | features u64 | auth u8
/// ```
///
/// Numbers are little endian; the three texts have their length before them, in a byte.
///
/// ```
/// use actor_remote::handshake::{AuthKind, BadHello, Features, Hello, Nonce, Role};
///
/// let hello = Hello {
///     role: Role::Initiator,
///     nonce: Nonce::from_bytes([7; 32]),
///     name: "bank".into(),
///     cluster: "test".into(),
///     expected: "ledger".into(),
///     incarnation: 1,
///     versions: 1..=3,
///     features: Features::NONE,
///     auth: AuthKind::Secret,
/// };
/// let bytes = hello.encode().unwrap();
/// assert_eq!(Hello::decode(&bytes).unwrap(), hello);
/// assert_eq!(Hello::decode(&bytes[1..]), Err(BadHello::Magic));
/// ```
#[derive(Debug, PartialEq, Eq)]
pub struct Hello {
    /// Who says it.
    pub role: Role,
    /// What makes this handshake different from all others.
    pub nonce: Nonce,
    /// What the node is called: at least one byte, at most [`MAX_NAME`], no control characters.
    pub name: String,
    /// What the cluster is called; may be empty.
    pub cluster: String,
    /// Who is to be at the other end; empty if anybody may be.
    pub expected: String,
    /// Which of the processes that have had this name it is.
    pub incarnation: u128,
    /// The versions of the protocol that it speaks.
    pub versions: RangeInclusive<u16>,
    /// What it can do, and what it demands.
    pub features: Features,
    /// What it proves who it is by.
    pub auth: AuthKind,
}

impl Hello {
    /// Its bytes, at most [`MAX_MESSAGE`].
    ///
    /// # Errors
    ///
    /// If a name is not as it should be, or there are no versions.
    pub fn encode(&self) -> Result<Vec<u8>, BadHello> {
        let mut bytes = Vec::with_capacity(MAX_MESSAGE);
        bytes.extend(MAGIC);
        bytes.push(match self.role {
            Role::Initiator => 0,
            Role::Responder => 1,
        });
        bytes.extend(self.nonce.as_bytes());
        for name in [
            required(&self.name)?,
            valid(&self.cluster)?,
            valid(&self.expected)?,
        ] {
            bytes.push(name.len() as u8);
            bytes.extend(name.as_bytes());
        }
        bytes.extend(self.incarnation.to_le_bytes());
        if self.versions.is_empty() {
            return Err(BadHello::Versions);
        }
        bytes.extend(self.versions.start().to_le_bytes());
        bytes.extend(self.versions.end().to_le_bytes());
        bytes.extend(self.features.0.to_le_bytes());
        bytes.push(match self.auth {
            AuthKind::None => 0,
            AuthKind::Secret => 1,
            AuthKind::Tls => 2,
        });
        debug_assert!(bytes.len() <= MAX_MESSAGE);
        Ok(bytes)
    }

    /// What these bytes say; there is one way to say each thing.
    ///
    /// # Errors
    ///
    /// Whatever is wrong with them. Of each name at most [`MAX_NAME`] bytes are copied.
    pub fn decode(bytes: &[u8]) -> Result<Hello, BadHello> {
        if bytes.len() > MAX_MESSAGE {
            return Err(BadHello::Trailing);
        }
        let mut rest = bytes.strip_prefix(MAGIC).ok_or(BadHello::Magic)?;
        let hello = Hello {
            role: match take::<1>(&mut rest)? {
                [0] => Role::Initiator,
                [1] => Role::Responder,
                _ => return Err(BadHello::Role),
            },
            nonce: Nonce::from_bytes(take(&mut rest)?),
            name: required(name(&mut rest)?)?.to_owned(),
            cluster: name(&mut rest)?.to_owned(),
            expected: name(&mut rest)?.to_owned(),
            incarnation: u128::from_le_bytes(take(&mut rest)?),
            versions: {
                let lowest = u16::from_le_bytes(take(&mut rest)?);
                let highest = u16::from_le_bytes(take(&mut rest)?);
                if lowest > highest {
                    return Err(BadHello::Versions);
                }
                lowest..=highest
            },
            features: Features(u64::from_le_bytes(take(&mut rest)?)),
            auth: match take::<1>(&mut rest)? {
                [0] => AuthKind::None,
                [1] => AuthKind::Secret,
                [2] => AuthKind::Tls,
                _ => return Err(BadHello::Auth),
            },
        };
        match rest {
            [] => Ok(hello),
            _ => Err(BadHello::Trailing),
        }
    }
}

/// Takes `N` bytes off the front.
fn take<const N: usize>(bytes: &mut &[u8]) -> Result<[u8; N], BadHello> {
    let (taken, rest) = bytes.split_first_chunk().ok_or(BadHello::Truncated)?;
    *bytes = rest;
    Ok(*taken)
}

/// Takes a name off the front.
fn name<'a>(bytes: &mut &'a [u8]) -> Result<&'a str, BadHello> {
    let [len] = take(bytes)?;
    if usize::from(len) > MAX_NAME {
        return Err(BadHello::Name);
    }
    let (name, rest) = bytes
        .split_at_checked(len.into())
        .ok_or(BadHello::Truncated)?;
    *bytes = rest;
    valid(str::from_utf8(name).map_err(|_| BadHello::Name)?)
}

/// A name that can stand in a hello, and in a line of a log.
fn valid(name: &str) -> Result<&str, BadHello> {
    match name.len() <= MAX_NAME && !name.contains(char::is_control) {
        true => Ok(name),
        false => Err(BadHello::Name),
    }
}

/// A name that is one.
fn required(name: &str) -> Result<&str, BadHello> {
    match name {
        "" => Err(BadHello::Name),
        name => valid(name),
    }
}

/// What is wrong with a [`Hello`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadHello {
    /// It is none: somebody else's protocol, or a version of the handshake that is not known here.
    Magic,
    /// The role is none.
    Role,
    /// A name is longer than [`MAX_NAME`], or no text of printable characters, or empty where one has to be.
    Name,
    /// The lowest version is higher than the highest.
    Versions,
    /// The kind of proof is none.
    Auth,
    /// It ends too early.
    Truncated,
    /// It goes on where it should end.
    Trailing,
}

impl fmt::Display for BadHello {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            BadHello::Magic => "this is not the protocol of links between nodes",
            BadHello::Role => "a hello of no known role",
            BadHello::Name => {
                "the name of a node or cluster is empty, too long or has control characters"
            }
            BadHello::Versions => "the lowest version is higher than the highest",
            BadHello::Auth => "a hello of no known authentication",
            BadHello::Truncated => "a hello that ends too early",
            BadHello::Trailing => "a hello that goes on where it should end",
        })
    }
}

impl Error for BadHello {}
