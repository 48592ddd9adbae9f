//! What the crate's page says of changed messages.

use std::fmt::Debug;

use actor_codec::{DecodeError, Limits, decode, encode, named};
use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// What is received as `T` when `value` is sent.
fn received<T: DeserializeOwned>(value: &impl Serialize) -> Result<T, DecodeError> {
    let mut bytes = Vec::new();
    encode(value, &mut bytes, 1000).unwrap();
    decode(&bytes, &Limits::default())
}

fn received_named<T: DeserializeOwned>(value: &impl Serialize) -> Result<T, DecodeError> {
    let mut bytes = Vec::new();
    named::encode(value, &mut bytes, 1000).unwrap();
    named::decode(&bytes, &Limits::default())
}

macro_rules! types {
    ($($item:item)*) => {$(
        #[derive(Serialize, Deserialize, Debug, PartialEq)]
        $item
    )*};
}

types! {
    struct Old {
        id: u32,
        left: u8,
        right: u8,
    }

    struct Renamed {
        identity: Newtype,
        before: Box<u8>,
        after: u8,
    }

    struct Newtype(u32);

    struct Longer {
        id: u32,
        left: u8,
        right: u8,
        #[serde(default)]
        note: Option<String>,
    }

    struct Swapped {
        id: u32,
        right: u8,
        left: u8,
    }

    struct Cached {
        id: u32,
        #[serde(skip)]
        cache: Option<String>,
        left: u8,
        right: u8,
    }

    enum Few {
        A(u8),
    }

    enum More {
        A(u8),
        B(u8),
    }

    enum Open {
        A(u8),
        #[serde(other)]
        Other,
    }

    enum Opened {
        A(u8),
        B,
        C,
    }
}

const OLD: Old = Old {
    id: 7,
    left: 1,
    right: 2,
};

#[test]
fn what_is_harmless() {
    let renamed = Renamed {
        identity: Newtype(7),
        before: 1.into(),
        after: 2,
    };
    assert_eq!(received(&OLD), Ok(renamed));
    assert_eq!(
        received(&vec![1u8, 2, 3]),
        Ok(Bytes::from_static(&[1, 2, 3]))
    );
    assert_eq!(
        received(&Bytes::from_static(&[1, 2, 3])),
        Ok(vec![1u8, 2, 3])
    );
    assert_eq!(received(&[1u8, 2]), Ok((1u8, 2u8)));
    let cached = Cached {
        id: 7,
        cache: Some("not sent".into()),
        left: 1,
        right: 2,
    };
    assert_eq!(received(&cached), Ok(OLD));
    assert_eq!(
        received(&OLD),
        Ok(Cached {
            cache: None,
            ..cached
        })
    );
    assert_eq!(received(&Opened::C), Ok(Open::Other));
    assert_eq!(received(&More::A(7)), Ok(Few::A(7)));
    assert_eq!(received(&Few::A(7)), Ok(More::A(7)));
}

#[test]
fn what_is_refused() {
    let longer = Longer {
        id: 7,
        left: 1,
        right: 2,
        note: None,
    };
    assert_eq!(
        received::<Old>(&longer),
        Err(DecodeError::Trailing { bytes: 1 })
    );
    assert_eq!(received::<Longer>(&OLD), Err(DecodeError::End));
    let unknown = DecodeError::BadVariant {
        name: "Few",
        index: 1,
    };
    assert_eq!(received::<Few>(&More::B(7)), Err(unknown));
    assert_eq!(received(&65_535u32), Ok(65_535u16));
    assert_eq!(received::<u16>(&65_536u32), Err(DecodeError::BadInteger));
}

#[test]
fn what_nobody_notices() {
    assert_eq!(
        received(&OLD),
        Ok(Swapped {
            id: 7,
            right: 1,
            left: 2
        })
    );
    assert_eq!(received(&7u32), Ok(-4i32));
}

#[test]
fn what_names_are_good_for() {
    let longer = Longer {
        id: 7,
        left: 1,
        right: 2,
        note: None,
    };
    assert_eq!(received_named(&longer), Ok(OLD));
    assert_eq!(received_named(&OLD), Ok(longer));
    assert_eq!(
        received_named(&OLD),
        Ok(Swapped {
            id: 7,
            right: 2,
            left: 1
        })
    );
    assert!(received_named::<Renamed>(&OLD).is_err());
    assert_eq!(received_named(&Opened::C), Ok(Open::Other));
}
