//! Records: what is sent arrives, and what is not what was sent does not.

use actor_remote::wire::record::{Corrupt, HEADER, Key, MAX_PAYLOAD, Open, Protection, Seal};

fn key(byte: u8) -> Key {
    Key::from_bytes([byte; 32])
}

/// Each under all protections.
fn all(test: impl Fn(Protection<'_>)) {
    test(Protection::Below);
    test(Protection::Checksum);
    test(Protection::Tag(&key(1)));
}

/// Each record by itself.
fn sealed(protection: Protection<'_>, payloads: &[&[u8]]) -> Vec<Vec<u8>> {
    let mut seal = Seal::new(protection);
    let record = |payload: &&[u8]| {
        let mut record = vec![0xaa; HEADER];
        record.extend(*payload);
        seal.seal(&mut record, 0);
        record
    };
    payloads.iter().map(record).collect()
}

/// What comes out of a stream, and why it has ended if not for want of bytes.
fn opened(protection: Protection<'_>, mut stream: &[u8]) -> (Vec<Vec<u8>>, Option<Corrupt>) {
    let mut open = Open::new(protection);
    let mut payloads = Vec::new();
    while let Some((header, rest)) = stream.split_first_chunk() {
        let length = match open.header(header) {
            Ok(length) => length,
            Err(corrupt) => return (payloads, Some(corrupt)),
        };
        let Some((body, rest)) = rest.split_at_checked(length) else {
            break;
        };
        match open.check(header, body) {
            Ok(length) => payloads.push(body[..length].to_vec()),
            Err(corrupt) => return (payloads, Some(corrupt)),
        }
        stream = rest;
    }
    (payloads, None)
}

#[test]
fn payloads_of_all_lengths_arrive() {
    all(|protection| {
        let longest = vec![7; MAX_PAYLOAD];
        let payloads: [&[u8]; 5] = [b"one", b"", b"a third", &longest, b"!"];
        let mut buffer = b"what is before".to_vec();
        let mut seal = Seal::new(protection);
        let start = buffer.len();
        for payload in payloads {
            let start = buffer.len();
            buffer.extend([0xaa; HEADER]);
            buffer.extend(payload);
            let before = buffer.len();
            seal.seal(&mut buffer, start);
            assert_eq!(buffer.len(), before + seal.appended());
        }
        assert!(buffer.starts_with(b"what is before"));
        let (opened, corrupt) = opened(protection, &buffer[start..]);
        assert_eq!((opened.len(), corrupt), (payloads.len(), None));
        assert!(opened == payloads);
    });
}

#[test]
fn the_bytes_are_those_that_are_described() {
    let record = |protection| sealed(protection, &[b"hello"]).remove(0);
    let plain = b"\x05\0\0\0\0\0\0\0hello";
    assert_eq!(record(Protection::Below), plain);
    // As zlib computes it.
    assert_eq!(
        record(Protection::Checksum),
        [&plain[..], b"\x0a\xa4\x69\xe2"].concat()
    );
}

#[test]
fn a_length_beyond_the_limit_is_refused_before_anything_is_waited_for() {
    all(|protection| {
        let open = Open::new(protection);
        for length in [MAX_PAYLOAD as u32 + 1, 1 << 31, u32::MAX] {
            let mut header = [0; HEADER];
            header[..4].copy_from_slice(&length.to_le_bytes());
            assert_eq!(open.header(&header), Err(Corrupt::TooLong { length }));
        }
    });
}

#[test]
#[should_panic(expected = "within the limit")]
fn what_is_too_long_is_not_sealed() {
    Seal::new(Protection::Below).seal(&mut vec![0; HEADER + MAX_PAYLOAD + 1], 0);
}

/// With others behind it, so that a length that was changed finds bytes.
#[test]
fn no_bit_of_a_record_can_be_flipped() {
    let key = key(1);
    for (protection, wrong) in [
        (Protection::Tag(&key), Corrupt::Tag),
        (Protection::Checksum, Corrupt::Checksum),
    ] {
        let records = sealed(protection, &[b"first", b"a payload to change", &[0; 3000]]);
        let before = records[0].len();
        let whole = records.concat();
        for bit in 8 * before..8 * (before + records[1].len()) {
            let mut stream = whole.clone();
            stream[bit / 8] ^= 1 << (bit % 8);
            let (payloads, corrupt) = opened(protection, &stream);
            assert_eq!(payloads, [b"first"], "bit {bit}");
            match bit / 8 - before {
                // Longer than all there is: waited for, or refused.
                0..4 => assert!(
                    matches!(corrupt, None | Some(Corrupt::TooLong { .. }))
                        || corrupt == Some(wrong)
                ),
                4..8 => assert!(matches!(corrupt, Some(Corrupt::Sequence { .. }))),
                _ => assert_eq!(corrupt, Some(wrong)),
            }
        }
    }
}

#[test]
fn what_is_lost_or_doubled_or_out_of_turn_is_noticed() {
    all(|protection| {
        let records = sealed(protection, &[b"one", b"two", b"three"]);
        for (order, arrived, expected, found) in [
            (&[0, 2][..], 1, 1, 2),
            (&[1, 2], 0, 0, 1),
            (&[0, 0, 1], 1, 1, 0),
            (&[0, 1, 1], 2, 2, 1),
            (&[0, 2, 1], 1, 1, 2),
            (&[0, 1, 2, 0], 3, 3, 0),
        ] {
            let stream: Vec<u8> = order.iter().flat_map(|&at| records[at].clone()).collect();
            let (payloads, corrupt) = opened(protection, &stream);
            assert_eq!(payloads.len(), arrived, "{order:?}");
            assert_eq!(corrupt, Some(Corrupt::Sequence { expected, found }));
        }
    });
}

#[test]
fn records_of_another_key_are_refused() {
    let record = sealed(Protection::Tag(&key(1)), &[b"hello"]).concat();
    let (payloads, corrupt) = opened(Protection::Tag(&key(2)), &record);
    assert!(payloads.is_empty());
    assert_eq!(corrupt, Some(Corrupt::Tag));
}

#[test]
fn a_refused_record_is_not_counted() {
    let key = key(1);
    let records = sealed(Protection::Tag(&key), &[b"one", b"two"]);
    let mut open = Open::new(Protection::Tag(&key));
    let (header, body) = records[0].split_first_chunk().unwrap();
    let forged = vec![0; body.len()];
    assert_eq!(open.check(header, &forged), Err(Corrupt::Tag));
    assert_eq!(open.check(header, body), Ok(3));
    assert_eq!(
        open.check(header, body),
        Err(Corrupt::Sequence {
            expected: 1,
            found: 0
        })
    );
}

/// With dice, but the same each time.
#[test]
fn no_input_does_harm() {
    let mut dice = fastrand::Rng::with_seed(0x5eed);
    let key = key(1);
    for round in 0..if cfg!(debug_assertions) {
        5_000
    } else {
        100_000
    } {
        let payloads: Vec<Vec<u8>> = (0..3)
            .map(|_| (0..dice.usize(..100)).map(|_| dice.u8(..)).collect())
            .collect();
        let slices: Vec<&[u8]> = payloads.iter().map(Vec::as_slice).collect();
        let protection = match round % 2 {
            0 => Protection::Tag(&key),
            _ => Protection::Checksum,
        };
        let mut stream = sealed(protection, &slices).concat();
        let at = dice.usize(..stream.len());
        match dice.u8(..3) {
            0 => stream[at] = stream[at].wrapping_add(dice.u8(1..)),
            1 => drop(stream.remove(at)),
            _ => stream.truncate(at),
        }
        let (arrived, _) = opened(protection, &stream);
        assert!(arrived.len() < 3);
        assert!(
            payloads.starts_with(&arrived),
            "what arrives is what was sent"
        );
        let noise: Vec<u8> = (0..dice.usize(..100)).map(|_| dice.u8(..)).collect();
        assert!(opened(protection, &noise).0.is_empty());
    }
}
