//! Tests that a published message has not changed.

use std::any::type_name;
use std::fmt::{Debug, Write};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{DecodeError, EncodeError};
use crate::limits::Limits;

/// Checks that `value` is encoded as `bytes`, and decoded from them, as it was when it was published.
///
/// For tests. A message that other programs send and receive is frozen: one of these for each, with a
/// value that has something in every field, and one for each variant of an enum, tells whoever changes a
/// type by accident, or one that it is made of. To begin with, give it no bytes: it says what they are.
///
/// ```
/// use actor_codec::assert_golden;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize, Debug, PartialEq)]
/// struct Deposit {
///     account: u64,
///     cents: u32,
///     note: Option<String>,
/// }
///
/// let deposit = Deposit { account: 7, cents: 500, note: Some("rent".into()) };
/// assert_golden(&deposit, &[7, 251, 244, 1, 1, 4, b'r', b'e', b'n', b't']);
/// ```
///
/// # Panics
///
/// When the bytes differ, with the place of the first that does and with those that there are now; when they
/// are decoded as another value, or as none.
///
/// ```should_panic
/// // The count was a `u8` when this was published.
/// actor_codec::assert_golden(&300u16, &[44]);
/// ```
#[track_caller]
pub fn assert_golden<T>(value: &T, bytes: &[u8])
where
    T: Serialize + DeserializeOwned + PartialEq + Debug,
{
    compare(value, bytes, crate::encode, crate::decode);
}

/// The same for either encoding.
#[track_caller]
pub(crate) fn compare<T: PartialEq + Debug>(
    value: &T,
    golden: &[u8],
    encode: fn(&T, &mut Vec<u8>, usize) -> Result<(), EncodeError>,
    decode: fn(&[u8], &Limits) -> Result<T, DecodeError>,
) {
    let name = type_name::<T>();
    let mut bytes = Vec::new();
    if let Err(error) = encode(value, &mut bytes, usize::MAX) {
        panic!("`{name}` cannot be encoded: {error}");
    }
    if bytes != golden {
        let (same, first) = first_difference(golden, &bytes);
        panic!(
            "`{name}` is not encoded as it was: {first} (the {same} before it are the same). A message that \
             has been published is frozen: undo the change, or make a new message of it, under a new \
             name. The bytes are now {}",
            literal(&bytes)
        );
    }
    match decode(golden, &Limits::default()) {
        Ok(decoded) => assert!(
            decoded == *value,
            "`{name}` is not what its bytes are decoded as: {decoded:?} in place of {value:?}"
        ),
        Err(error) => panic!("`{name}` cannot be decoded from its bytes: {error}"),
    }
}

/// How many bytes are the same at the beginning, and what comes then.
fn first_difference(golden: &[u8], bytes: &[u8]) -> (usize, String) {
    let same = golden.iter().zip(bytes).take_while(|(a, b)| a == b).count();
    let first = match (golden.get(same), bytes.get(same)) {
        (Some(was), Some(is)) => format!("byte {same} is {is:#04x} and was {was:#04x}"),
        (None, Some(is)) => format!("byte {same} is {is:#04x}, where it ended"),
        (was, _) => format!(
            "it ends before byte {same}, which was {:#04x}",
            was.copied().unwrap_or_default()
        ),
    };
    (same, first)
}

/// The bytes as they are written in Rust.
fn literal(bytes: &[u8]) -> String {
    let mut text = String::from("&[");
    for (index, byte) in bytes.iter().enumerate() {
        let comma = if index == 0 { "" } else { ", " };
        // Writing to a `String` does not fail.
        let _ = write!(text, "{comma}{byte:#04x}");
    }
    text + "]"
}
