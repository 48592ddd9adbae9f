//! The other encoding: MessagePack, with the names of fields.
//!
//! For messages that change while older programs are running. Fields are found by their names, so that the
//! sender may have fields that the receiver does not know, and the receiver, with `#[serde(default)]`,
//! fields that the sender does not know. `skip_serializing_if`, `flatten`, `untagged` and `tag` work. The price is
//! the size, since all names are sent in each message, and the time to write and compare them.
//!
//! The [limits](Limits) are the same, but count what there is here: structs are maps, whose fields are items,
//! and a struct variant of an enum is two levels. MessagePack, as serde writes it, has one value for
//! absence: `Some(None)` and `Some(())` come back as `None`.
//!
//! ```
//! use actor_codec::{Limits, named};
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Serialize)]
//! struct Deposit {
//!     cents: u64,
//!     branch: String,
//! }
//!
//! /// As it was before there were branches, and after there were currencies.
//! #[derive(Deserialize, Debug, PartialEq)]
//! struct Received {
//!     #[serde(default)]
//!     currency: Option<String>,
//!     cents: u64,
//! }
//!
//! let deposit = Deposit { cents: 500, branch: "Riverside".into() };
//! let mut bytes = Vec::new();
//! named::encode(&deposit, &mut bytes, 1024).unwrap();
//! let received: Received = named::decode(&bytes, &Limits::default()).unwrap();
//! assert_eq!(received, Received { currency: None, cents: 500 });
//! ```

use std::fmt::Debug;
use std::io;

use rmp_serde::decode::Error as MessagePackError;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::bounded::append;
use crate::error::{DecodeError, EncodeError, cut};
use crate::golden;
use crate::guard::Budget;
use crate::limits::Limits;

/// Appends `value` in MessagePack to `into`, with at most `max` bytes.
///
/// If it fails, or if the `Serialize` of a type within panics, `into` is as long as before.
///
/// ```
/// use actor_codec::{EncodeError, named};
/// use serde::Serialize;
///
/// #[derive(Serialize)]
/// struct Point { x: u8, y: u8 }
///
/// let mut bytes = Vec::new();
/// named::encode(&Point { x: 1, y: 2 }, &mut bytes, 64).unwrap();
/// assert_eq!(bytes, [0x82, 0xa1, b'x', 1, 0xa1, b'y', 2]);
///
/// let refused = named::encode(&Point { x: 1, y: 2 }, &mut bytes, 6);
/// assert_eq!(refused, Err(EncodeError::TooBig { max: 6 }));
/// assert_eq!(bytes.len(), 7);
/// ```
pub fn encode<T: Serialize + ?Sized>(
    value: &T,
    into: &mut Vec<u8>,
    max: usize,
) -> Result<(), EncodeError> {
    append(into, max, |bounded| {
        let mut serializer = rmp_serde::Serializer::new(bounded).with_struct_map();
        value
            .serialize(&mut serializer)
            .map_err(|error| EncodeError::Custom(cut(error)))
    })
}

/// The value that these bytes are in MessagePack, all of them.
///
/// As with the [other encoding](crate::decode()), they may come from anyone, and cost no more than `limits` say.
///
/// ```
/// use actor_codec::{DecodeError, Limits, named};
///
/// let limits = Limits::new().with_depth(2);
/// assert_eq!(named::decode(&[0x91, 0x91, 7], &limits), Ok(vec![vec![7]]));
/// assert_eq!(
///     named::decode::<Vec<Vec<Vec<u8>>>>(&[0x91, 0x91, 0x91, 7], &limits),
///     Err(DecodeError::TooDeep { limit: 2 })
/// );
/// assert_eq!(
///     named::decode::<u8>(&[7, 7], &limits),
///     Err(DecodeError::Trailing { bytes: 1 })
/// );
/// ```
pub fn decode<T: DeserializeOwned>(bytes: &[u8], limits: &Limits) -> Result<T, DecodeError> {
    let budget = Budget::new(limits);
    let mut rest = bytes;
    let mut deserializer = rmp_serde::Deserializer::new(&mut rest);
    // Its own count leaves out enums, options and newtypes, so that it is the budget which counts.
    deserializer.set_max_depth(usize::from(u16::MAX));
    let value = T::deserialize(budget.guard(&mut deserializer));
    match (budget.into_refused(), value) {
        (Some(refused), _) => Err(refused),
        (None, Err(error)) => Err(refused(error, limits)),
        (None, Ok(value)) => match rest.len() {
            0 => Ok(value),
            bytes => Err(DecodeError::Trailing { bytes }),
        },
    }
}

/// What the deserializer refuses by itself.
#[cold]
fn refused(error: MessagePackError, limits: &Limits) -> DecodeError {
    match error {
        MessagePackError::InvalidMarkerRead(error) | MessagePackError::InvalidDataRead(error)
            if error.kind() == io::ErrorKind::UnexpectedEof =>
        {
            DecodeError::End
        }
        MessagePackError::Utf8Error(_) => DecodeError::BadUtf8,
        MessagePackError::DepthLimitExceeded => DecodeError::TooDeep {
            limit: limits.depth,
        },
        error => DecodeError::Custom(cut(error)),
    }
}

/// As [`assert_golden`](crate::assert_golden), for this encoding.
///
/// A message in this encoding is not as frozen: fields may be added, if they have a default, and left out.
/// The bytes that a published version has written must be readable for ever all the same, and
/// a field that is renamed, or changes its type, shows here.
///
/// # Panics
///
/// When `value` is not encoded as `bytes`, or they are not decoded as `value`.
///
/// ```
/// use actor_codec::named;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize, Debug, PartialEq)]
/// struct Point { x: u8, y: u8 }
///
/// named::assert_golden(&Point { x: 1, y: 2 }, &[0x82, 0xa1, b'x', 1, 0xa1, b'y', 2]);
/// ```
#[track_caller]
pub fn assert_golden<T>(value: &T, bytes: &[u8])
where
    T: Serialize + DeserializeOwned + PartialEq + Debug,
{
    golden::compare(value, bytes, encode, decode);
}
