//! [`Secret`], and two of them while one takes the place of the other.

use std::error::Error;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use zeroize::Zeroizing;

/// How many bytes a secret has at least. A peer that is not who it should be learns enough in a handshake to try
/// guesses on its own machine, so there have to be too many to try.
pub const MIN_SECRET: usize = 16;

/// How long a file with a secret may be.
const MAX_FILE: usize = 4096;

/// What the nodes of a cluster know and nobody else does. It is overwritten when it is dropped, and neither
/// cloned nor printed.
///
/// ```
/// use actor_remote::handshake::{Secret, SecretError};
///
/// let secret = Secret::from_bytes("correct horse battery staple").unwrap();
/// assert_eq!(format!("{secret:?}"), "Secret(..)");
/// assert_eq!(Secret::from_bytes("swordfish").unwrap_err(), SecretError::Short { bytes: 9 });
/// ```
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// A new one: 32 bytes of the system's randomness as 64 hexadecimal digits, so that it survives files,
    /// environments and terminals.
    ///
    /// # Errors
    ///
    /// If the system has no randomness to give, which it always has once it has started.
    ///
    /// ```
    /// use actor_remote::handshake::Secret;
    ///
    /// let secret = Secret::generate().unwrap();
    /// assert_eq!(secret.expose().len(), 64);
    /// ```
    pub fn generate() -> io::Result<Secret> {
        let mut random = Zeroizing::new([0; 32]);
        super::random(&mut *random)?;
        let digit =
            |value: u8| char::from_digit(value.into(), 16).map_or(b'0', |digit| digit as u8);
        // All the room at once: to grow would leave a copy behind.
        let mut digits = Zeroizing::new(Vec::with_capacity(2 * random.len()));
        for byte in *random {
            digits.extend([digit(byte >> 4), digit(byte & 15)]);
        }
        Ok(Secret(digits))
    }

    /// The secret that these bytes are. What they come from is for the caller to overwrite.
    ///
    /// # Errors
    ///
    /// [`SecretError::Short`] if there are fewer than [`MIN_SECRET`].
    pub fn from_bytes(bytes: impl AsRef<[u8]>) -> Result<Secret, SecretError> {
        let bytes = bytes.as_ref();
        if bytes.len() < MIN_SECRET {
            return Err(SecretError::Short { bytes: bytes.len() });
        }
        Ok(Secret(Zeroizing::new(bytes.to_vec())))
    }

    /// The secret that a file contains, without spaces and line ends before and behind it.
    ///
    /// The calling thread waits for the file.
    ///
    /// # Errors
    ///
    /// [`SecretError`] says what is wrong: with the file, with who else may read or change it, or with what is
    /// in it.
    ///
    /// ```
    /// use actor_remote::handshake::{Secret, SecretError};
    ///
    /// let error = Secret::from_file("/etc/bank/no-secret").unwrap_err();
    /// assert_eq!(error, SecretError::File(std::io::ErrorKind::NotFound));
    /// ```
    pub fn from_file(path: impl AsRef<Path>) -> Result<Secret, SecretError> {
        let mut file = File::open(path)?;
        // Of the file that is open, not of the one that has the name by now.
        let mode = file.metadata()?.mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(SecretError::Shared { mode });
        }
        let mut content = Zeroizing::new([0; MAX_FILE + 1]);
        let mut len = 0;
        while len < content.len() {
            match file.read(&mut content[len..]) {
                Ok(0) => break,
                Ok(read) => len += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        if len > MAX_FILE {
            return Err(SecretError::Long);
        }
        Secret::from_bytes(content[..len].trim_ascii())
    }

    /// Its bytes, to be handed to another node. They are as secret wherever they go.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// The secrets of a node: the one that it proves to know where it connects, and possibly another that it accepts
/// as well from who connects to it.
///
/// To replace a secret without a moment in which nodes refuse each other, each node is given, one after the other,
/// first the new one as the other, then the new one as its own and the former as the other, and in the end the new
/// one alone. Each round begins when the one before has reached all.
///
/// ```
/// use actor_remote::handshake::{Secret, Secrets};
///
/// let new = Secret::from_bytes("the one of the new year").unwrap();
/// let former = Secret::from_bytes("the one of the old year").unwrap();
/// let secrets = Secrets::new(new).also(former);
/// ```
#[derive(Debug)]
pub struct Secrets {
    pub(super) current: Secret,
    pub(super) other: Option<Secret>,
}

impl Secrets {
    /// One secret.
    pub fn new(current: Secret) -> Secrets {
        Secrets {
            current,
            other: None,
        }
    }

    /// Accepts `other` as well, instead of any other before.
    #[must_use]
    pub fn also(mut self, other: Secret) -> Secrets {
        self.other = Some(other);
        self
    }
}

impl From<Secret> for Secrets {
    fn from(current: Secret) -> Secrets {
        Secrets::new(current)
    }
}

/// Why something is not accepted as a secret.
///
/// ```
/// use actor_remote::handshake::SecretError;
///
/// let error = SecretError::Short { bytes: 9 };
/// assert_eq!(error.to_string(), "a secret of 9 bytes is too short: 16 are the least");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretError {
    /// It has fewer than [`MIN_SECRET`] bytes.
    Short {
        /// How many.
        bytes: usize,
    },
    /// The file is longer than any secret.
    Long,
    /// Others than the file's owner can read or change it: `chmod 600` helps, and then a new secret.
    Shared {
        /// What they may do.
        mode: u32,
    },
    /// The file cannot be read.
    File(io::ErrorKind),
}

impl From<io::Error> for SecretError {
    fn from(error: io::Error) -> Self {
        SecretError::File(error.kind())
    }
}

impl fmt::Display for SecretError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SecretError::Short { bytes } => write!(
                f,
                "a secret of {bytes} bytes is too short: {MIN_SECRET} are the least"
            ),
            SecretError::Long => write!(f, "a file of more than {MAX_FILE} bytes is no secret"),
            SecretError::Shared { mode } => write!(
                f,
                "the file of a secret has mode {mode:03o}: only its owner is to have any access"
            ),
            SecretError::File(kind) => write!(f, "cannot read the file of a secret: {kind}"),
        }
    }
}

impl Error for SecretError {}
