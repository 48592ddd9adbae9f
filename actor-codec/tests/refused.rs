//! What is refused, and what is said about it.

use std::collections::{BTreeMap, HashMap};
use std::fmt::{self, Display};
use std::panic::{AssertUnwindSafe, catch_unwind};

use actor_codec::{DecodeError, EncodeError, Limits, decode, encode};
use serde::de::{self, DeserializeOwned, IgnoredAny, SeqAccess, Visitor};
use serde::ser::{SerializeSeq, SerializeStruct};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

fn refused<T: DeserializeOwned>(bytes: &[u8]) -> DecodeError {
    refused_by::<T>(bytes, Limits::default())
}

fn refused_by<T: DeserializeOwned>(bytes: &[u8], limits: Limits) -> DecodeError {
    match decode::<T>(bytes, &limits) {
        Ok(_) => panic!("{bytes:?} are decoded"),
        Err(error) => {
            assert!(!error.to_string().is_empty());
            error
        }
    }
}

fn not_encoded<T: Serialize>(value: &T) -> EncodeError {
    let mut bytes = vec![1, 2, 3];
    let error = encode(value, &mut bytes, 1000).expect_err("not encoded");
    assert_eq!(bytes, [1, 2, 3]);
    assert!(!error.to_string().is_empty());
    error
}

#[derive(Serialize, Deserialize, Debug, PartialEq)]
enum Kind {
    A,
    B(u8),
    C { c: u8 },
}

#[derive(Serialize, Deserialize, Debug, PartialEq)]
enum Open {
    Known,
    #[serde(other)]
    Unknown,
}

#[test]
fn bytes_that_end_too_early_or_too_late() {
    assert_eq!(refused::<u8>(&[]), DecodeError::End);
    assert_eq!(refused::<u32>(&[252, 0, 0, 1]), DecodeError::End);
    assert_eq!(refused::<u128>(&[254, 0, 0, 1]), DecodeError::End);
    assert_eq!(refused::<f64>(&[0; 7]), DecodeError::End);
    assert_eq!(refused::<char>(&[]), DecodeError::End);
    assert_eq!(refused::<char>(&[0xe2, 0x82]), DecodeError::End);
    assert_eq!(refused::<Kind>(&[1]), DecodeError::End);
    assert_eq!(refused::<()>(&[0, 0]), DecodeError::Trailing { bytes: 2 });
    assert_eq!(refused::<Kind>(&[0, 7]), DecodeError::Trailing { bytes: 1 });
}

#[test]
fn integers_that_are_too_long_or_too_large() {
    for bytes in [
        &[251, 250, 0][..],
        &[252, 255, 255, 0, 0],
        &[253, 255, 255, 255, 255, 0, 0, 0, 0],
    ] {
        assert_eq!(refused::<u64>(bytes), DecodeError::NonCanonical);
        assert_eq!(refused::<i64>(bytes), DecodeError::NonCanonical);
        assert_eq!(refused::<u128>(bytes), DecodeError::NonCanonical);
        assert_eq!(refused::<String>(bytes), DecodeError::NonCanonical);
    }
    let mut long = [0; 17];
    long[0] = 254;
    long[1..9].fill(255);
    assert_eq!(refused::<u128>(&long), DecodeError::NonCanonical);
    assert_eq!(refused::<u64>(&long), DecodeError::BadInteger);
    assert_eq!(refused::<u32>(&long), DecodeError::BadInteger);
    assert_eq!(refused::<u16>(&[252, 0, 0, 1, 0]), DecodeError::BadInteger);
    assert_eq!(
        refused::<u32>(&[253, 0, 0, 0, 0, 1, 0, 0, 0]),
        DecodeError::BadInteger
    );
    assert_eq!(
        refused::<Kind>(&[253, 0, 0, 0, 0, 1, 0, 0, 0]),
        DecodeError::BadInteger
    );
    for first in 251..=255 {
        assert!(decode::<u8>(&[first], &Limits::default()).is_ok());
        let none = refused::<u64>(&[first]);
        assert!(
            matches!(none, DecodeError::End | DecodeError::BadInteger),
            "{none:?}"
        );
    }
    assert_eq!(refused::<u128>(&[255]), DecodeError::BadInteger);
}

#[test]
fn bytes_that_are_no_value_of_the_type() {
    assert_eq!(refused::<bool>(&[2]), DecodeError::BadBool(2));
    assert_eq!(refused::<Option<u8>>(&[3, 1]), DecodeError::BadOption(3));
    assert_eq!(refused::<String>(&[2, 0xc3, 0x28]), DecodeError::BadUtf8);
    // Continuations, too long, surrogates, beyond the last.
    for bytes in [
        &[0x80][..],
        &[0xff],
        &[0xc3, 0x28],
        &[0xc0, 0x80],
        &[0xed, 0xa0, 0x80],
        &[0xf4, 0x90, 0x80, 0x80],
    ] {
        assert_eq!(refused::<char>(bytes), DecodeError::BadChar, "{bytes:?}");
    }
    let name = "Kind";
    assert_eq!(
        refused::<Kind>(&[3]),
        DecodeError::BadVariant { name, index: 3 }
    );
    let index = u32::MAX;
    let bytes = [252, 255, 255, 255, 255];
    assert_eq!(
        refused::<Kind>(&bytes),
        DecodeError::BadVariant { name, index }
    );
    assert_eq!(
        decode::<Open>(&bytes, &Limits::default()),
        Ok(Open::Unknown)
    );
}

#[test]
fn lengths_beyond_the_bytes() {
    let huge = [253, 0, 0, 0, 0, 0, 1, 0, 0];
    let claimed = 1 << 40;
    let beyond = DecodeError::LengthBeyondInput { claimed, left: 0 };
    assert_eq!(refused::<String>(&huge), beyond);
    assert_eq!(refused::<Vec<u8>>(&huge), beyond);
    assert_eq!(refused::<Vec<[u64; 32]>>(&huge), beyond);
    assert_eq!(refused::<Vec<()>>(&huge), beyond);
    assert_eq!(refused::<HashMap<u8, u8>>(&huge), beyond);
    assert_eq!(refused::<bytes::Bytes>(&huge), beyond);
    assert_eq!(refused::<serde_bytes::ByteBuf>(&huge), beyond);
    let all = [253, 255, 255, 255, 255, 255, 255, 255, 255];
    let beyond = DecodeError::LengthBeyondInput {
        claimed: u64::MAX,
        left: 0,
    };
    assert_eq!(refused::<String>(&all), beyond);
    // 2^36 times nothing.
    let nothing = [253, 0, 0, 0, 0, 16, 0, 0, 0];
    let beyond = DecodeError::LengthBeyondInput {
        claimed: 1 << 36,
        left: 0,
    };
    assert_eq!(refused::<Vec<()>>(&nothing), beyond);
}

#[test]
fn elements_without_bytes() {
    let limits = Limits::default();
    assert_eq!(decode::<Vec<()>>(&[0], &limits), Ok(vec![]));
    assert_eq!(
        refused::<(Vec<()>, u8, u8)>(&[2, 7, 7]),
        DecodeError::ZeroSized
    );
    assert_eq!(
        refused::<(BTreeMap<(), ()>, u8)>(&[1, 7]),
        DecodeError::ZeroSized
    );
    // One of the two is enough.
    assert_eq!(decode(&[1, 7], &limits), Ok(BTreeMap::from([((), 7u8)])));
    assert_eq!(decode(&[1, 7], &limits), Ok(BTreeMap::from([(7u8, ())])));
}

#[test]
fn more_than_the_limits() {
    let limits = Limits::new().with_items(5);
    let many = DecodeError::TooMany { limit: 5 };
    let nested = [3, 1, 1, 1, 1, 1, 1];
    assert_eq!(refused_by::<Vec<Vec<u8>>>(&nested, limits), many);
    assert!(decode::<Vec<Vec<u8>>>(&nested, &limits.with_items(6)).is_ok());
    assert_eq!(
        refused_by::<BTreeMap<u8, Vec<u8>>>(&[3, 1, 1, 1, 2, 1, 1, 3, 1, 1], limits),
        many
    );

    let limits = Limits::new().with_memory(31);
    let large = DecodeError::TooLarge { limit: 31 };
    assert_eq!(refused_by::<Vec<u64>>(&[4, 1, 2, 3, 4], limits), large);
    assert!(decode::<Vec<u64>>(&[4, 1, 2, 3, 4], &limits.with_memory(32)).is_ok());
    assert_eq!(
        refused_by::<BTreeMap<u64, u64>>(&[2, 1, 1, 2, 2], limits),
        large
    );
    assert!(decode::<BTreeMap<u64, u64>>(&[2, 1, 1, 2, 2], &limits.with_memory(32)).is_ok());
    assert_eq!(
        refused_by::<Vec<u64>>(&[4, 1, 2, 3, 4], Limits::new().with_memory(0)),
        DecodeError::TooLarge { limit: 0 }
    );

    let limits = Limits::new().with_depth(0);
    assert_eq!(decode(&[7], &limits), Ok(7u8));
    let deep = DecodeError::TooDeep { limit: 0 };
    assert_eq!(refused_by::<(u8,)>(&[7], limits), deep);
    assert_eq!(refused_by::<Vec<u8>>(&[0], limits), deep);
    assert_eq!(refused_by::<BTreeMap<u8, u8>>(&[0], limits), deep);
    assert_eq!(refused_by::<Option<u8>>(&[1, 1], limits), deep);
    assert_eq!(refused_by::<Kind>(&[0], limits), deep);
    assert_eq!(
        refused_by::<std::num::Wrapping<[u8; 2]>>(&[0, 0], limits),
        deep
    );
    // What is beside something is no deeper.
    let limits = Limits::new().with_depth(2);
    assert!(decode::<((u8,), Option<u8>, Vec<u8>)>(&[1, 1, 1, 1, 1], &limits).is_ok());
}

#[derive(Serialize, Deserialize, Debug, PartialEq)]
#[serde(untagged)]
enum Untagged {
    A(u8),
}

#[derive(Serialize, Deserialize, Debug, PartialEq)]
#[serde(tag = "kind")]
enum Tagged {
    A { a: u8 },
}

#[derive(Serialize, Deserialize, Debug, PartialEq)]
struct Flat {
    #[serde(flatten)]
    inside: BTreeMap<String, u8>,
}

#[derive(Serialize, Deserialize, Debug, PartialEq)]
struct Skips {
    #[serde(skip_serializing_if = "Option::is_none")]
    first: Option<u8>,
    second: u8,
}

#[derive(Serialize, Deserialize, Debug, PartialEq)]
enum SkipsToo {
    Inside {
        #[serde(skip_serializing_if = "Option::is_none")]
        first: Option<u8>,
    },
}

#[test]
fn types_that_need_a_description() {
    assert_eq!(refused::<Untagged>(&[1]), DecodeError::SelfDescribing);
    assert_eq!(refused::<Tagged>(&[1]), DecodeError::SelfDescribing);
    assert_eq!(refused::<IgnoredAny>(&[1]), DecodeError::SelfDescribing);
    let inside = BTreeMap::from([("a".to_string(), 1)]);
    assert_eq!(not_encoded(&Flat { inside }), EncodeError::UnknownLength);
    let skips = Skips {
        first: None,
        second: 2,
    };
    assert_eq!(
        not_encoded(&skips),
        EncodeError::SkippedField { field: "first" }
    );
    let skips = SkipsToo::Inside { first: None };
    assert_eq!(
        not_encoded(&skips),
        EncodeError::SkippedField { field: "first" }
    );
    // As long as nothing is skipped, it is a field like any other.
    let kept = Skips {
        first: Some(1),
        second: 2,
    };
    let mut bytes = Vec::new();
    encode(&kept, &mut bytes, 10).unwrap();
    assert_eq!(decode(&bytes, &Limits::default()), Ok(kept));
}

/// Says one length and has another.
struct Liar(usize, usize);

impl Serialize for Liar {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut seq = serializer.serialize_seq(Some(self.0))?;
        for _ in 0..self.1 {
            seq.serialize_element(&7u8)?;
        }
        seq.end()
    }
}

/// Takes one error for none.
struct Careless;

impl Serialize for Careless {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut careless = serializer.serialize_struct("Careless", 2)?;
        let _ = careless.serialize_field("large", &serde_bytes::Bytes::new(&[7; 2000]));
        careless.serialize_field("none", &())?;
        careless.end()
    }
}

struct Fails;

impl Serialize for Fails {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("é".repeat(1000)))
    }
}

struct Panics;

impl Serialize for Panics {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut panics = serializer.serialize_struct("Panics", 1)?;
        panics.serialize_field("first", &7u8)?;
        panic!("in the middle");
    }
}

#[test]
fn values_that_receivers_would_refuse() {
    assert_eq!(not_encoded(&vec![(); 3]), EncodeError::ZeroSized);
    assert_eq!(
        not_encoded(&BTreeMap::from([((), ())])),
        EncodeError::ZeroSized
    );
    assert_eq!(
        not_encoded(&Liar(2, 1)),
        EncodeError::WrongLength { said: 2, given: 1 }
    );
    assert_eq!(
        not_encoded(&Liar(1, 2)),
        EncodeError::WrongLength { said: 1, given: 2 }
    );
    assert_eq!(not_encoded(&Careless), EncodeError::TooBig { max: 1000 });
    assert_eq!(
        not_encoded(&vec![7u64; 1000]),
        EncodeError::TooBig { max: 1000 }
    );
    let EncodeError::Custom(text) = not_encoded(&Fails) else {
        panic!("another error");
    };
    assert_eq!(text, "é".repeat(512));
}

#[test]
fn a_panic_leaves_the_buffer_as_it_was() {
    let mut bytes = vec![1, 2, 3];
    let panic = catch_unwind(AssertUnwindSafe(|| encode(&Panics, &mut bytes, 1000)));
    assert!(panic.is_err());
    assert_eq!(bytes, [1, 2, 3]);
}

/// A sequence of which it takes the first two.
#[derive(Debug, PartialEq)]
struct FirstTwo(u8, u8);

impl<'de> Deserialize<'de> for FirstTwo {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Two;

        impl<'de> Visitor<'de> for Two {
            type Value = FirstTwo;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("two numbers")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<FirstTwo, A::Error> {
                let mut next = || {
                    seq.next_element()?
                        .ok_or(de::Error::invalid_length(0, &self))
                };
                Ok(FirstTwo(next()?, next()?))
            }
        }

        deserializer.deserialize_seq(Two)
    }
}

/// Says what has come, at length.
#[derive(Debug, PartialEq)]
struct Talks;

impl<'de> Deserialize<'de> for Talks {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Endless;

        impl Display for Endless {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                loop {
                    f.write_str("and ")?;
                }
            }
        }

        u8::deserialize(deserializer)?;
        Err(de::Error::custom(Endless))
    }
}

#[test]
fn what_types_refuse_by_themselves() {
    assert_eq!(decode(&[2, 7, 8], &Limits::default()), Ok(FirstTwo(7, 8)));
    assert_eq!(
        refused::<FirstTwo>(&[3, 7, 8, 9]),
        DecodeError::Unread { elements: 1 }
    );
    assert!(matches!(
        refused::<FirstTwo>(&[1, 7]),
        DecodeError::Custom(_)
    ));
    assert_eq!(
        refused::<Talks>(&[7]),
        DecodeError::Custom("and ".repeat(256))
    );
    let zero = refused::<std::num::NonZeroU8>(&[0]);
    assert!(matches!(zero, DecodeError::Custom(_)), "{zero:?}");
}
