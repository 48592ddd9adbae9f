//! A message that has everything, and any value of it.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use bytes::Bytes;
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
pub(crate) struct Numbers {
    pub(crate) small: (u8, i8, u16, i16),
    pub(crate) medium: (u32, i32, u64, i64),
    pub(crate) large: (u128, i128, usize, isize),
    pub(crate) floating: (f32, f64),
}

#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq)]
pub(crate) struct Unit;

#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
pub(crate) struct Newtype(pub(crate) u64);

#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
pub(crate) struct Pair(pub(crate) i32, pub(crate) char);

#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
pub(crate) enum Kind {
    Nothing,
    One(String),
    Two(u8, Bytes),
    Named { pair: Pair, yes: bool },
    Inside(Box<Kind>),
}

#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
pub(crate) struct Rich {
    pub(crate) numbers: Numbers,
    pub(crate) unit: ((), Unit),
    pub(crate) newtype: Newtype,
    pub(crate) kinds: Vec<Kind>,
    pub(crate) options: (Option<bool>, Option<Option<String>>),
    pub(crate) array: [i16; 3],
    pub(crate) map: BTreeMap<String, Vec<u64>>,
    pub(crate) bytes: (ByteBuf, Vec<u8>),
    pub(crate) foreign: (IpAddr, Duration, NonZeroU32, Result<u8, String>),
}

fn kind() -> impl Strategy<Value = Kind> {
    let flat = prop_oneof![
        Just(Kind::Nothing),
        any::<String>().prop_map(Kind::One),
        (any::<u8>(), any::<Vec<u8>>()).prop_map(|(one, two)| Kind::Two(one, two.into())),
        (any::<(i32, char)>(), any::<bool>()).prop_map(|((a, b), yes)| Kind::Named {
            pair: Pair(a, b),
            yes
        }),
    ];
    flat.prop_recursive(4, 8, 1, |inside| {
        inside.prop_map(|kind| Kind::Inside(Box::new(kind)))
    })
}

/// Integers of all widths: uniform ones would be wide almost always.
fn numbers() -> impl Strategy<Value = Numbers> {
    let medium = (any::<(u32, i32, u64, i64)>(), 0u32..64).prop_map(|((a, b, c, d), shift)| {
        (a >> (shift % 32), b >> (shift % 32), c >> shift, d >> shift)
    });
    let large =
        (any::<(u128, i128, usize, isize)>(), 0u32..128).prop_map(|((a, b, c, d), shift)| {
            (a >> shift, b >> shift, c >> (shift % 64), d >> (shift % 64))
        });
    (
        any::<(u8, i8, u16, i16)>(),
        medium,
        large,
        any::<(f32, f64)>(),
    )
        .prop_map(|(small, medium, large, floating)| Numbers {
            small,
            medium,
            large,
            floating,
        })
}

/// Any value of [`Rich`].
pub(crate) fn rich() -> impl Strategy<Value = Rich> {
    let foreign = (
        any::<IpAddr>(),
        any::<Duration>(),
        1u32..,
        any::<Result<u8, String>>(),
    );
    (
        numbers(),
        any::<u64>(),
        vec(kind(), 0..4),
        any::<(Option<bool>, Option<Option<String>>)>(),
        any::<[i16; 3]>(),
        btree_map(any::<String>(), vec(any::<u64>(), 0..4), 0..4),
        any::<(Vec<u8>, Vec<u8>)>(),
        foreign,
    )
        .prop_map(
            |(numbers, newtype, kinds, options, array, map, bytes, foreign)| Rich {
                numbers,
                unit: ((), Unit),
                newtype: Newtype(newtype),
                kinds,
                options,
                array,
                map,
                bytes: (ByteBuf::from(bytes.0), bytes.1),
                foreign: (
                    foreign.0,
                    foreign.1,
                    NonZeroU32::new(foreign.2).expect("from 1 on"),
                    foreign.3,
                ),
            },
        )
}
