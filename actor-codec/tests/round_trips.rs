//! Whatever is encoded is decoded, and the bytes are bincode's.

use actor_codec::{DecodeError, EncodeError, Limits, decode, encode, named};
use bincode::config::standard;
use proptest::prelude::*;
use proptest::sample::Index;

use support::{Rich, rich};

mod support;

/// Values each of whose bytes matters, which are many of those that differ in one byte from another.
type Items = (u64, Vec<(i32, bool, Option<char>, String)>);

proptest! {
    #[test]
    fn what_is_encoded_is_what_bincode_encodes(value in rich()) {
        let mut bytes = vec![1, 2, 3];
        encode(&value, &mut bytes, usize::MAX).unwrap();
        prop_assert_eq!(&bytes[..3], &[1, 2, 3]);
        let theirs = bincode::serde::encode_to_vec(&value, standard()).unwrap();
        prop_assert_eq!(&bytes[3..], &theirs[..]);
        prop_assert_eq!(decode::<Rich>(&theirs, &Limits::default()), Ok(value.clone()));
        let (back, len) = bincode::serde::decode_from_slice::<Rich, _>(&bytes[3..], standard()).unwrap();
        prop_assert_eq!((back, len), (value, theirs.len()));
    }

    #[test]
    fn a_value_that_is_cut_off_is_refused(value in rich(), cut: Index) {
        let mut bytes = Vec::new();
        encode(&value, &mut bytes, usize::MAX).unwrap();
        let left = cut.index(bytes.len());
        let refused = decode::<Rich>(&bytes[..left], &Limits::default());
        prop_assert!(
            matches!(refused, Err(DecodeError::End | DecodeError::LengthBeyondInput { .. })),
            "{refused:?}"
        );
    }

    #[test]
    fn a_value_fits_exactly_or_not_at_all(value in rich(), cut: Index) {
        let mut bytes = Vec::new();
        encode(&value, &mut bytes, usize::MAX).unwrap();
        let mut buffer = vec![7; 5];
        let max = cut.index(bytes.len());
        prop_assert_eq!(encode(&value, &mut buffer, max), Err(EncodeError::TooBig { max }));
        prop_assert_eq!(&buffer, &[7; 5]);
        prop_assert_eq!(encode(&value, &mut buffer, bytes.len()), Ok(()));
        prop_assert_eq!(&buffer[5..], &bytes[..]);
    }

    /// What is decoded can only have been encoded in one way.
    #[test]
    fn a_value_has_one_encoding(value: Items, at: Index, byte: u8) {
        let mut bytes = Vec::new();
        encode(&value, &mut bytes, usize::MAX).unwrap();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(other) = decode::<Items>(&bytes, &Limits::default()) {
            let mut again = Vec::new();
            encode(&other, &mut again, usize::MAX).unwrap();
            prop_assert_eq!(again, bytes);
        }
    }

    #[test]
    fn integers_of_all_widths_have_one_encoding(bytes in proptest::collection::vec(any::<u8>(), 1..18)) {
        let limits = Limits::default();
        macro_rules! check {
            ($($type:ty)*) => {$(
                let theirs = bincode::serde::decode_from_slice::<$type, _>(&bytes, standard());
                match decode::<$type>(&bytes, &limits) {
                    Ok(value) => {
                        prop_assert_eq!(bincode::serde::encode_to_vec(value, standard()).unwrap(), &bytes[..]);
                        prop_assert_eq!(theirs.unwrap(), (value, bytes.len()));
                    }
                    // Bincode takes some more: integers that are longer than they need be, or followed by others.
                    Err(DecodeError::NonCanonical | DecodeError::Trailing { .. }) => prop_assert!(theirs.is_ok()),
                    Err(_) => prop_assert!(theirs.is_err()),
                }
            )*};
        }
        check!(u8 i8 u16 i16 u32 i32 u64 i64 u128 i128);
    }

    #[test]
    fn the_named_encoding_goes_round(mut value in rich()) {
        // Which has no way to say this.
        if value.options.1 == Some(None) {
            value.options.1 = None;
        }
        let mut bytes = vec![1, 2, 3];
        named::encode(&value, &mut bytes, usize::MAX).unwrap();
        let len = bytes.len() - 3;
        prop_assert_eq!(named::decode::<Rich>(&bytes[3..], &Limits::default()), Ok(value.clone()));
        let mut buffer = vec![7; 5];
        let max = len - 1;
        prop_assert_eq!(named::encode(&value, &mut buffer, max), Err(EncodeError::TooBig { max }));
        prop_assert_eq!(&buffer, &[7; 5]);
        prop_assert_eq!(named::encode(&value, &mut buffer, len), Ok(()));
    }
}

#[test]
fn chars_of_all_widths_are_decoded() {
    for char in [
        'a',
        '\0',
        '\u{7f}',
        '\u{80}',
        '\u{7ff}',
        '\u{800}',
        '\u{ffff}',
        '\u{10000}',
        char::MAX,
    ] {
        let mut bytes = Vec::new();
        encode(&char, &mut bytes, 4).unwrap();
        assert_eq!(bytes, char.to_string().as_bytes());
        assert_eq!(decode(&bytes, &Limits::default()), Ok(char));
    }
}
