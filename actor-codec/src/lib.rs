//! The encoding of remote messages: values to bytes, and bytes that anyone may have sent to values.
//!
//! [`encode`] appends what serde's `Serialize` says of a value to a buffer, up to a limit, and [`decode`] makes
//! the value of it again. The bytes are those of bincode 2 with `config::standard()`: no names, no types, integers
//! as short as they can be, fields one after the other.
//!
//! ```
//! use actor_codec::{Limits, decode, encode};
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Serialize, Deserialize, Debug, PartialEq)]
//! struct Deposit {
//!     account: u64,
//!     cents: u32,
//!     note: Option<String>,
//! }
//!
//! let deposit = Deposit { account: 7, cents: 500, note: Some("rent".into()) };
//! let mut bytes = Vec::new();
//! encode(&deposit, &mut bytes, 1 << 20).unwrap();
//! assert_eq!(bytes, [7, 251, 244, 1, 1, 4, b'r', b'e', b'n', b't']);
//! assert_eq!(decode(&bytes, &Limits::default()), Ok(deposit));
//! ```
//!
//! # Bytes from a peer
//!
//! Whatever the bytes are, [`decode`] ends soon, with a value or a [`DecodeError`]:
//!
//! - Nothing is allocated or repeated because the bytes claim it. A length may not be greater than the number
//!   of bytes left, and room is made in advance for a few elements only.
//! - Levels, elements and the memory that these take are counted, against [`Limits`] that are set when the
//!   program runs. Memory matters since a value may be many times as large as its bytes.
//! - Elements that take no bytes, as in a `Vec<()>`, could come in any number for free. They are refused, here and
//!   when they are to be sent. An empty sequence of them is fine.
//! - A value has one encoding. Integers with more bytes than they need are refused, as are bytes after the
//!   value. (The order of a map's entries is not looked at, nor whether one comes twice.)
//!
//! Bincode's own decoder does none of the first three for values that come through serde, which is why it
//! is not used for them.
//!
//! # Many bytes
//!
//! To serde, a `Vec<u8>` is a sequence like any other, and is taken apart into numbers. What carries more than
//! a few dozen bytes is better a [`bytes::Bytes`], with the feature `serde` of that crate, or has
//! `#[serde(with = "serde_bytes")]` of the [crate of that name]: both are copied at once. For 64 KiB that
//! is 1.5 microseconds in place of some 80, and the bytes that are sent are the same, so that either side may change its mind.
//!
//! ```
//! use actor_codec::{Limits, decode, encode};
//! use bytes::Bytes;
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Serialize, Deserialize)]
//! struct Picture {
//!     name: String,
//!     pixels: Bytes,
//!     #[serde(with = "serde_bytes")]
//!     preview: Vec<u8>,
//! }
//!
//! let picture = Picture {
//!     name: "cat".into(),
//!     pixels: Bytes::from(vec![7; 60_000]),
//!     preview: vec![7; 600],
//! };
//! let mut bytes = Vec::new();
//! encode(&picture, &mut bytes, 1 << 20).unwrap();
//!
//! let same: (String, Vec<u8>, Vec<u8>) = decode(&bytes, &Limits::default()).unwrap();
//! assert_eq!(same, (picture.name, picture.pixels.to_vec(), picture.preview));
//! ```
//!
//! # Evolution
//!
//! Programs are not all replaced at the same moment, so a message that has been published is **frozen**: for
//! as long as one program sends or receives it, neither it nor any type within may change. A change is a new
//! message with a new name (`bank.Deposit/2` beside `bank.Deposit`). Receivers take both, until nobody
//! sends the old one.
//!
//! Since the bytes name nothing, the receiver takes them for whatever its own type says comes next:
//!
//! | change | what happens between old and new |
//! |---|---|
//! | a type, field or variant is renamed | nothing: names are not sent |
//! | a newtype is put around a field, or a `Box` | nothing |
//! | `Vec<u8>` becomes `Bytes`, an array a tuple | nothing |
//! | a variant is added at the end of an enum | old receivers refuse the new variant, and take all others |
//! | a field is added at the end | refused both ways: [`End`](DecodeError::End), [`Trailing`](DecodeError::Trailing); `#[serde(default)]` does not help, and in the middle of a message it is as the next |
//! | fields of different types are reordered, removed or inserted | refused with luck, garbage without |
//! | **fields of the same type are reordered** | **garbage: nobody can notice** |
//! | variants are reordered, removed or inserted | another variant, garbage or refused |
//! | `u16` becomes `u32` | small numbers pass, large ones are refused by the old |
//! | `u32` becomes `i32`, `f32` becomes `u32` | garbage |
//!
//! To be safe from the accidents among these, give each message, and each variant, a test with
//! [`assert_golden`]. That is the one way to notice that a type of *another* crate has changed.
//!
//! Some of serde's attributes need an encoding that describes itself. `flatten`, `untagged` and an internal `tag` are
//! refused, by [`encode`] or at the first [`decode`]. `skip_serializing_if` is refused by [`encode`] as soon as a field is
//! skipped. `skip`, on a field, is fine: it is on no side. `#[serde(other)]`, on the last variant of an enum,
//! takes any variants without fields that are added later.
//!
//! A message that has to change in place can use the [`named`] encoding, in which fields are found by
//! their names. It takes about twice the bytes and three times the time.
//!
//! [`bytes::Bytes`]: https://docs.rs/bytes/1/bytes/struct.Bytes.html
//! [crate of that name]: https://docs.rs/serde_bytes

mod bounded;
mod decode;
mod encode;
mod error;
mod golden;
mod guard;
mod limits;
pub mod named;
mod reader;

pub use decode::decode;
pub use encode::encode;
pub use error::{DecodeError, EncodeError};
pub use golden::assert_golden;
pub use limits::Limits;
