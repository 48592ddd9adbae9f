//! Remote messages: any bytes are refused or decoded within the limits, and what is decoded is encoded as the same
//! bytes again.

#![no_main]

use std::collections::BTreeMap;

use actor_codec::{Limits, decode, encode, named};
use bytes::Bytes;
use fuzz::choose;
use libfuzzer_sys::fuzz_target;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, PartialEq, Debug)]
struct Message {
    id: u64,
    small: (i8, u16, i32, u128),
    text: String,
    bytes: Bytes,
    kinds: Vec<Kind>,
    note: Option<Option<char>>,
    ratio: u32,
}

#[derive(Serialize, Deserialize, PartialEq, Debug)]
enum Kind {
    Nothing,
    One(Box<Kind>),
    Pair(i64, bool),
    Named { inside: Vec<Kind>, last: () },
}

fuzz_target!(|data: &[u8]| {
    let mut data = data;
    let options = choose(&mut data);
    let limits = Limits::new()
        .with_depth(u16::from(options >> 2))
        .with_items(usize::from(choose(&mut data)))
        .with_memory(usize::from(choose(&mut data)) * 64);
    match options % 4 {
        0 => {
            if let Ok(message) = named::decode::<Message>(data, &limits) {
                let mut bytes = Vec::new();
                named::encode(&message, &mut bytes, usize::MAX).unwrap();
                let again = named::decode::<Message>(&bytes, &Limits::new()).unwrap();
                // It has one value for nothing.
                let note = message.note.flatten();
                assert_eq!(
                    Message {
                        note: again.note.flatten().map(Some),
                        ..again
                    },
                    Message {
                        note: note.map(Some),
                        ..message
                    }
                );
            }
        }
        1 => {
            // The entries of maps may come in any order, so these are not compared.
            if let Ok(map) = decode::<BTreeMap<u32, Vec<String>>>(data, &limits) {
                assert!(map.len() <= limits.items);
            }
        }
        _ => {
            if let Ok(message) = decode::<Message>(data, &limits) {
                let mut bytes = Vec::new();
                encode(&message, &mut bytes, data.len()).unwrap();
                assert_eq!(bytes, data);
                assert!(message.kinds.len() <= limits.items);
            }
        }
    }
});
