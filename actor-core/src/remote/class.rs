//! A class of messages, as two processes name it.

use actor_codec::{DecodeError, EncodeError, Limits};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Encoding, RemoteMessage};

/// A class of messages, as two processes name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClassName {
    /// See [`RemoteMessage::NAME`].
    pub name: &'static str,
    /// See [`RemoteMessage::VERSION`].
    pub version: u32,
    /// See [`RemoteMessage::SCHEMA`].
    pub schema: u64,
}

impl ClassName {
    /// That of `M`.
    pub const fn of<M: RemoteMessage>() -> ClassName {
        ClassName {
            name: M::NAME,
            version: M::VERSION,
            schema: M::SCHEMA,
        }
    }
}

/// Writes a message of the class `M`, or an answer to one.
pub fn encode<M: RemoteMessage, T: Serialize>(
    value: &T,
    into: &mut Vec<u8>,
    max: usize,
) -> Result<(), EncodeError> {
    match M::ENCODING {
        Encoding::Compact => actor_codec::encode(value, into, max),
        Encoding::Named => actor_codec::named::encode(value, into, max),
    }
}

/// Reads what [`encode`] has written.
pub fn decode<M: RemoteMessage, T: DeserializeOwned>(
    bytes: &[u8],
    limits: &Limits,
) -> Result<T, DecodeError> {
    match M::ENCODING {
        Encoding::Compact => actor_codec::decode(bytes, limits),
        Encoding::Named => actor_codec::named::decode(bytes, limits),
    }
}
