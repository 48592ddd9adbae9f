//! Bytes that are written for ever as they are now: other programs, of other versions, read them.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::panic::catch_unwind;

use actor_codec::{assert_golden, named};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, Debug, PartialEq, Clone)]
struct Deposit {
    account: u64,
    cents: i32,
    note: Option<String>,
    receipt: Bytes,
}

#[derive(Serialize, Deserialize, Debug, PartialEq)]
enum Event {
    Opened,
    Renamed(String),
    Moved(u8, u16),
    Closed { at: u32, forced: bool },
}

#[derive(Serialize, Deserialize, Debug, PartialEq)]
struct Unit;

#[derive(Serialize, Deserialize, Debug, PartialEq)]
struct Id(u128);

#[derive(Serialize, Deserialize, Debug, PartialEq)]
struct Point(f32, f64);

fn deposit() -> Deposit {
    Deposit {
        account: 300,
        cents: -3,
        note: Some("né".into()),
        receipt: Bytes::from_static(&[0, 255]),
    }
}

#[test]
fn structs() {
    let bytes = [251, 44, 1, 5, 1, 3, b'n', 0xc3, 0xa9, 2, 0, 255];
    assert_golden(&deposit(), &bytes);
    assert_golden(&Unit, &[]);
    assert_golden(&Id(250), &[250]);
    let mut id = [0; 17];
    (id[0], id[9]) = (254, 1);
    assert_golden(&Id(1 << 64), &id);
    assert_golden(
        &Point(1.0, -2.0),
        &[0, 0, 128, 63, 0, 0, 0, 0, 0, 0, 0, 192],
    );
}

#[test]
fn enums() {
    assert_golden(&Event::Opened, &[0]);
    assert_golden(&Event::Renamed("a".into()), &[1, 1, b'a']);
    assert_golden(&Event::Moved(255, 251), &[2, 255, 251, 251, 0]);
    let closed = Event::Closed {
        at: 65_536,
        forced: true,
    };
    assert_golden(&closed, &[3, 252, 0, 0, 1, 0, 1]);
}

#[test]
fn collections_and_values_of_the_language() {
    assert_golden(&vec![1u64, 1 << 32], &[2, 1, 253, 0, 0, 0, 0, 1, 0, 0, 0]);
    let map = BTreeMap::from([
        ("a".to_string(), [1i16, -1]),
        ("b".to_string(), [-126, i16::MAX]),
    ]);
    assert_golden(
        &map,
        &[2, 1, b'a', 2, 1, 1, b'b', 251, 251, 0, 251, 254, 255],
    );
    assert_golden(&((), true, '€', -1i8), &[1, 0xe2, 0x82, 0xac, 255]);
    assert_golden(&(None::<u8>, Some(None::<u8>)), &[0, 1, 0]);
    assert_golden(
        &Err::<u8, i64>(i64::MIN),
        &[1, 253, 255, 255, 255, 255, 255, 255, 255, 255],
    );
}

#[test]
fn the_named_encoding() {
    let bytes =
        b"\x84\xa7account\xcd\x01\x2c\xa5cents\xfd\xa4note\xa3n\xc3\xa9\xa7receipt\xc4\x02\x00\xff";
    named::assert_golden(&deposit(), bytes);
    named::assert_golden(&Event::Opened, b"\xa6Opened");
    named::assert_golden(&Event::Moved(1, 2), b"\x81\xa5Moved\x92\x01\x02");
    let closed = Event::Closed {
        at: 7,
        forced: true,
    };
    named::assert_golden(&closed, b"\x81\xa6Closed\x82\xa2at\x07\xa6forced\xc3");
}

/// What is said about a message that has changed.
fn complaint<T>(value: &T, bytes: &[u8]) -> String
where
    T: Serialize + serde::de::DeserializeOwned + PartialEq + Debug + std::panic::RefUnwindSafe,
{
    let panic = catch_unwind(|| assert_golden(value, bytes)).expect_err("it has changed");
    *panic.downcast().expect("panics with text")
}

#[test]
fn the_first_difference_is_named() {
    let changed = complaint(&Event::Moved(1, 2), &[2, 1, 3]);
    assert!(
        changed.contains("Event` is not encoded as it was: byte 2 is 0x02 and was 0x03"),
        "{changed}"
    );
    assert!(changed.contains("frozen"), "{changed}");
    assert!(changed.ends_with("&[0x02, 0x01, 0x02]"), "{changed}");
    let longer = complaint(&Event::Moved(1, 2), &[2, 1]);
    assert!(
        longer.contains("byte 2 is 0x02, where it ended"),
        "{longer}"
    );
    let shorter = complaint(&Event::Opened, &[0, 7]);
    assert!(
        shorter.contains("it ends before byte 1, which was 0x07"),
        "{shorter}"
    );
    let different = complaint(&f64::NAN, &f64::NAN.to_le_bytes());
    assert!(different.contains("NaN in place of NaN"), "{different}");
}
