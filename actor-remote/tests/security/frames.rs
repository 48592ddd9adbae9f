//! A peer that has been let in, and sends what makes no sense, or too much.

use std::io::Write;
use std::net::SocketAddr;

use actor_core::remote::ClassName;
use actor_core::{
    Addr, CallError, Message, Overflow, Recipient, Refusal, SendError, block_on_thread,
};
use actor_remote::handshake::Config;
use actor_remote::protocol;
use actor_remote::wire::frame::{
    Body, FIRST, HANDLES, Kind, LAST, MAX_FRAME, put_number, put_text,
};
use actor_remote::wire::record::{HEADER, MAX_PAYLOAD};
use serde::{Deserialize, Serialize};

use crate::common::{Add, LONG, Log, Logged, Pair, deaf, until};
use crate::raw::{
    ADD, GROWTH, ITEM, Raw, alone, body, class, frame, is_hung_up_on, memory, object,
};

/// What a call is told of a message that is not understood.
const UNDECODABLE: u8 = 16 + 3;

fn attacker() -> Config {
    Config::new("attacker", 1)
}

/// Attacks a node, on a thread, that has a link with another; that link must not notice.
fn attack(work: impl FnOnce(SocketAddr) + Send + 'static) {
    alone(move || {
        let pair = Pair::new();
        let addr = pair.server.local_addr().unwrap();
        let incarnation = pair.peer.incarnation();
        assert_eq!(pair.log.call(Add(1)), Ok(1));
        let before = memory();
        block_on_thread(move || work(addr));
        let grown = memory().saturating_sub(before);
        assert!(grown < GROWTH, "{grown} bytes more");
        assert_eq!(pair.log.call(Add(1)), Ok(2));
        assert_eq!(pair.peer.incarnation(), incarnation);
        // Whoever comes next is let in.
        block_on_thread(move || {
            let mut next = Raw::introduced(addr, Config::new("another", 2));
            assert_eq!(next.call(1, &[5]), 0);
        });
        assert_eq!(pair.log.call(Add(0)), Ok(7));
        // Those who have gone are forgotten.
        until("nobody else is linked", || pair.server.peers().len() == 1);
        until("the attacker is forgotten", || {
            pair.server.peer("attacker").is_none()
        });
    });
}

#[test]
fn what_a_message_claims_is_not_believed() {
    attack(|addr| {
        let mut raw = Raw::introduced(addr, attacker());
        // A text of 2^40 bytes, in nine: a varint of eight behind its mark.
        let mut claim = vec![0, 253];
        claim.extend_from_slice(&(1u64 << 40).to_le_bytes());
        raw.send(&frame(Kind::Tell, 0, 0, &body(&[0, ITEM], &claim)));
        let refused = raw.next(Kind::Refused);
        assert_eq!(
            refused,
            [0, 4],
            "the object, and that it is not to be decoded"
        );
        // A thousand times what belongs to it.
        assert_eq!(raw.call(2, &[1; 60_000]), UNDECODABLE);
        // Nothing, and more than there should be.
        assert_eq!(raw.call(3, &[]), UNDECODABLE);
        assert_eq!(raw.call(4, &[1, 1]), UNDECODABLE);
        assert_eq!(raw.call(5, &[0]), 0, "the link is as it was");
    });
}

/// One within the other.
#[derive(Message, Debug, Serialize, Deserialize)]
#[message(remote = "faults.Nest")]
struct Nest(Option<Box<Nest>>);

#[test]
fn a_message_of_many_levels() {
    alone(|| {
        let pair = Pair::new();
        let (deaf, _) = deaf();
        pair.server.expose("nest", deaf.tasklet()).message::<Nest>();
        let addr = pair.server.local_addr().unwrap();
        block_on_thread(move || {
            let mut raw = Raw::introduced(addr, attacker());
            raw.send(&class(2, ClassName::of::<Nest>()));
            raw.send(&object(1, "nest"));
            // One level is understood.
            raw.send(&frame(Kind::Tell, 0, 0, &body(&[1 << 1, 2], &[1, 0])));
            raw.ping();
            // As many as go into frames, and in pieces as many as 100,000.
            raw.send(&frame(Kind::Tell, 0, 0, &body(&[1 << 1, 2], &[1; 60_000])));
            assert_eq!(raw.next(Kind::Refused), [1 << 1, 4]);
            let whole = body(&[1 << 1, 2], &[1; 100_000]);
            let (one, other) = whole.split_at(50_000);
            let mut first = body(&[whole.len() as u64], &[Kind::Tell as u8, 0]);
            first.extend_from_slice(one);
            raw.send(&frame(Kind::Chunk, FIRST, 0, &first));
            raw.send(&frame(Kind::Chunk, LAST, 0, other));
            assert_eq!(raw.next(Kind::Refused), [1 << 1, 4]);
            raw.ping();
        });
        assert_eq!(pair.log.call(Add(1)), Ok(1));
        deaf.kill();
    });
}

#[test]
fn frames_that_are_not_for_now_end_the_link() {
    attack(|addr| {
        // Before the link was taken into use.
        let raw = Raw::agreed(addr, attacker());
        assert!(raw.ends_the_link(&frame(Kind::Ping, 0, 0, &[])));
        let raw = Raw::agreed(addr, attacker());
        assert!(raw.ends_the_link(&object(0, "log")));
        let raw = Raw::agreed(addr, attacker());
        assert!(raw.ends_the_link(&frame(Kind::Chunk, FIRST, 0, &body(&[100, 1, 0], &[1]))));
        for fatal in [
            frame(Kind::Begin, 0, 0, &[]),
            frame(Kind::Begin, 0, 0, &body(&[2], &[])),
            // Answers to nothing.
            frame(Kind::Found, 0, 0, &body(&[77], &[0])),
            frame(Kind::Spawned, 0, 0, &body(&[77], &[0])),
            // What has not been introduced, and handles that do not exist.
            frame(Kind::Tell, 0, 0, &body(&[2 << 1, ITEM], &[1])),
            frame(Kind::Tell, 0, 0, &body(&[0, 2], &[1])),
            frame(Kind::Tell, 0, 0, &body(&[1, ITEM], &[1])),
            frame(Kind::Tell, 0, 0, &body(&[u64::MAX, ITEM], &[1])),
            frame(Kind::Monitor, 0, 0, &body(&[1 << 1], &[])),
            frame(Kind::Monitor, 0, 0, &body(&[9 << 1 | 1], &[])),
            frame(Kind::Link, 0, 0, &body(&[0], &[])),
            frame(Kind::Release, 0, 0, &body(&[0, 1], &[])),
            frame(Kind::Release, 0, 0, &body(&[0, u64::MAX], &[])),
            frame(Kind::Credit, 0, 0, &body(&[0, u64::MAX], &[])),
            frame(Kind::Credit, 0, 0, &body(&[0, 1 << 40], &[])),
            // Out of order, twice, and a name that is there.
            object(5, "other"),
            object(0, "other"),
            object(1, "log"),
            class(7, ClassName::of::<Add>()),
            // Handles: none, more than there may be, and one that was never given.
            frame(Kind::Tell, HANDLES, 0, &body(&[0, ITEM, 0], &[1])),
            frame(Kind::Tell, HANDLES, 0, &body(&[0, ITEM, 1 << 40], &[1])),
            frame(Kind::Tell, HANDLES, 0, &body(&[0, ITEM, 1, 1], &[1])),
            // More than belongs to it, and less.
            frame(Kind::Ping, 0, 0, &[1]),
            frame(Kind::Tell, 0, 0, &[]),
            frame(Kind::Release, 0, 0, &[0x80]),
            frame(Kind::Release, 0, 0, &[0x80, 0]),
            // Frames that are none.
            vec![0, 0, 0, 0, 99, 0, 0, 0],
            vec![1, 0, 0, 0],
            vec![9, 0, 0, 0, Kind::Ping as u8, 0, 0, 0],
        ] {
            let raw = Raw::introduced(addr, attacker());
            assert!(raw.ends_the_link(&fatal), "{fatal:?}");
        }
    });
}

#[test]
fn pieces_that_claim_too_much_or_never_come() {
    attack(|addr| {
        let first = |lane, total: u64, rest: &[u8]| {
            let mut bytes = body(&[total], &[Kind::Tell as u8, 0]);
            bytes.extend_from_slice(rest);
            frame(Kind::Chunk, FIRST, lane, &bytes)
        };
        for fatal in [
            first(0, 1 << 40, &[1]),
            first(0, 3 << 20, &[1]),
            first(8, 100, &[1]),
            first(0, 100, &[]),
            first(0, 10, &[1; 11]),
            [first(0, 100, &[1]), first(0, 100, &[1])].concat(),
            frame(Kind::Chunk, 0, 0, &[1]),
            frame(Kind::Chunk, LAST, 0, &[1]),
            [first(0, 100, &[1]), frame(Kind::Chunk, LAST, 0, &[1])].concat(),
            // A piece of pieces.
            frame(
                Kind::Chunk,
                FIRST,
                0,
                &body(&[100], &[Kind::Chunk as u8, 0, 1]),
            ),
        ] {
            let raw = Raw::introduced(addr, attacker());
            assert!(
                raw.ends_the_link(&fatal),
                "{:?}",
                &fatal[..fatal.len().min(20)]
            );
        }
        // All that may be open, which costs what has come of it.
        let mut held = Vec::new();
        for number in 0..50 {
            let mut raw = Raw::introduced(addr, Config::new(format!("slow-{number}"), 1));
            for lane in 0..8 {
                raw.send(&first(lane, 1 << 20, &[1; 10]));
            }
            raw.ping();
            held.push(raw);
        }
    });
}

#[test]
fn records_that_are_too_long_or_changed() {
    attack(|addr| {
        for change in 0..4 {
            let mut raw = Raw::introduced(addr, attacker());
            let mut record = vec![0; HEADER];
            record.extend(frame(Kind::Ping, 0, 0, &[]));
            raw.seal.seal(&mut record, 0);
            match change {
                // Longer than any.
                0 => record[..4].copy_from_slice(&(MAX_PAYLOAD as u32 + 1).to_le_bytes()),
                1 => record[..4].copy_from_slice(&u32::MAX.to_le_bytes()),
                // Another's number, and another byte.
                2 => record[4] ^= 1,
                _ => record[HEADER + 4] ^= 1,
            }
            raw.stream.write_all(&record).unwrap();
            assert!(is_hung_up_on(&mut raw.stream), "change {change}");
        }
        // The longest frame is one, and a longer one is none.
        let mut raw = Raw::introduced(addr, attacker());
        let longest = body(&[0, ITEM], &vec![0; MAX_FRAME - 2]);
        raw.send(&frame(Kind::Tell, 0, 0, &longest));
        raw.ping();
        assert!(raw.ends_the_link(&frame(Kind::Tell, 0, 0, &vec![0; MAX_FRAME + 1])));
    });
}

/// Sends what `make` makes of one number after the other until the other side hangs up; how many that were.
fn flood(raw: &mut Raw, first: u64, make: impl Fn(u64) -> Vec<u8>) -> u64 {
    let mut number = first;
    while number < 80_000 {
        let frames: Vec<u8> = (number..number + 1000).flat_map(&make).collect();
        number += 1000;
        if !raw.try_send(&frames) {
            return number;
        }
    }
    assert!(is_hung_up_on(&mut raw.stream), "after {number}");
    number
}

#[test]
fn tables_are_bounded() {
    attack(|addr| {
        let mut raw = Raw::introduced(addr, attacker());
        let objects = flood(&mut raw, 1, |number| object(number, &format!("n{number}")));
        assert!(objects > 65_536, "{objects}");
        let mut raw = Raw::introduced(addr, attacker());
        let classes = flood(&mut raw, 2, |number| {
            let mut bytes = body(&[number], &[]);
            put_text(&mut bytes, &format!("c{number}"));
            put_number(&mut bytes, 1);
            bytes.extend_from_slice(&0u64.to_le_bytes());
            frame(Kind::Class, 0, 0, &bytes)
        });
        assert!(classes > 65_536, "{classes}");
    });
}

/// To be kept.
#[derive(Message, Debug, Serialize, Deserialize)]
#[message(remote = "faults.Keep")]
struct Keep(Recipient<Add>);

protocol! { Keeping: Keep }

#[test]
fn handles_that_come_are_bounded() {
    alone(|| {
        let pair = Pair::new();
        let (deaf, _) = deaf();
        pair.server.expose("deaf", deaf.tasklet()).message::<Keep>();
        let addr = pair.server.local_addr().unwrap();
        let before = memory();
        block_on_thread(move || {
            let mut raw = Raw::introduced(addr, attacker());
            raw.send(&object(1, "deaf"));
            raw.send(&class(2, ClassName::of::<Keep>()));
            let handles = flood(&mut raw, 0, |number| {
                frame(
                    Kind::Tell,
                    HANDLES,
                    0,
                    &body(&[1 << 1, 2, 1, number << 2], &[0]),
                )
            });
            assert!(handles > 65_536, "{handles}");
        });
        // Some hundred bytes of each, and its message in the mailbox.
        let grown = memory().saturating_sub(before);
        assert!(grown < 2 * GROWTH, "{grown} bytes more");
        assert_eq!(pair.log.call(Add(1)), Ok(1));
        deaf.kill();
    });
}

#[test]
fn more_than_a_link_has_room_for_is_an_error_at_the_sender() {
    alone(|| {
        let pair = Pair::new();
        let (deaf, _) = deaf();
        pair.server.expose("deaf", deaf.tasklet()).message::<Keep>();
        let remote = pair.peer.lookup::<Keeping>("deaf").unwrap();
        assert_eq!(pair.log.call(Add(1)), Ok(1));
        let all: Vec<_> = (0..65_537).map(|_| Logged::new().addr).collect();
        let give = |to: &Addr<_>| remote.send(Keep(to.recipient()));
        for given in &all[1..] {
            give(given).unwrap();
        }
        let refused = give(&all[0]);
        assert!(
            matches!(refused, Err(SendError::Refused(_, Refusal::TooManyNames))),
            "{refused:?}"
        );
        // What it has already it can be sent again.
        give(&all[1]).unwrap();
        assert_eq!(pair.peer.held().1, 65_536);
        // Names are for ever.
        let mut refused = 0;
        for number in 0..66_000 {
            let unknown = pair.peer.unchecked::<Log>(&format!("n{number}"));
            if let Err(error) = unknown.send(Add(1)) {
                let is_full = matches!(error, SendError::Refused(_, Refusal::TooManyNames));
                assert!(is_full, "{error:?}");
                refused += 1;
            }
        }
        assert!(refused >= 66_000 - 65_536, "{refused}");
        // The link is as it was.
        assert_eq!(pair.log.call(Add(1)), Ok(2));
        deaf.kill();
    });
}

#[test]
fn many_classes_do_not_make_objects_big() {
    const CLASSES: u64 = 65_000;
    const OBJECTS: u64 = 500;

    alone(|| {
        let pair = Pair::new();
        for number in 0..OBJECTS {
            let name = format!("o{number}");
            pair.server
                .expose(&name, &pair.logged.addr)
                .protocol::<Log>();
        }
        let addr = pair.server.local_addr().unwrap();
        let before = memory();
        block_on_thread(move || {
            let mut raw = Raw::begun(addr, attacker());
            for first in (0..CLASSES).step_by(1000) {
                let mut frames = Vec::new();
                for number in first..first + 1000 {
                    let mut bytes = body(&[number], &[]);
                    put_text(&mut bytes, &format!("c{number}"));
                    put_number(&mut bytes, 1);
                    bytes.extend_from_slice(&0u64.to_le_bytes());
                    frames.extend(frame(Kind::Class, 0, 0, &bytes));
                }
                raw.send(&frames);
            }
            raw.send(&class(CLASSES, ClassName::of::<Add>()));
            for number in 0..OBJECTS {
                raw.send(&object(number, &format!("o{number}")));
                for (class, code) in [(CLASSES - 1, 17), (CLASSES, 0)] {
                    let call = body(&[number + 1, 0, number << 1, class], &[0]);
                    raw.send(&frame(Kind::Call, 0, 0, &call));
                    let reply = raw.next(Kind::Reply);
                    let mut reply = Body(&reply);
                    assert_eq!(reply.number(), Ok(number + 1));
                    assert_eq!(reply.byte(), Ok(code));
                }
            }
            // A class that has a number gets no other.
            assert!(raw.ends_the_link(&class(CLASSES + 1, ClassName::of::<Add>())));
        });
        let grown = memory().saturating_sub(before);
        assert!(grown < GROWTH, "{grown} bytes more");
    });
}

#[test]
fn what_is_asked_for_again_and_again_is_watched_once() {
    alone(|| {
        let pair = Pair::new();
        let (deaf, _) = deaf();
        pair.server.expose("deaf", deaf.tasklet()).message::<Add>();
        let addr = pair.server.local_addr().unwrap();
        let before = memory();
        let raw = block_on_thread(move || {
            let mut raw = Raw::introduced(addr, attacker());
            raw.send(&object(1, "deaf"));
            let asks = frame(Kind::Monitor, 0, 0, &body(&[1 << 1], &[])).repeat(1000);
            for _ in 0..500 {
                raw.send(&asks);
            }
            // One and the same is linked again and again, and not at all.
            let mut links = frame(Kind::Link, 0, 0, &body(&[1 << 1, 7], &[]));
            links.extend(frame(Kind::Unlink, 0, 0, &body(&[1 << 1, 7], &[])));
            links.extend(frame(Kind::Parted, 0, 0, &body(&[1 << 1, 8], &[0, 0])));
            let links = links.repeat(1000);
            for _ in 0..100 {
                raw.send(&links);
            }
            raw.ping();
            raw
        });
        let grown = memory().saturating_sub(before);
        assert!(grown < GROWTH, "{grown} bytes more");
        deaf.kill();
        let mut told = 0;
        block_on_thread(move || {
            let mut raw = raw;
            assert_eq!(raw.next(Kind::Exit), [1 << 1, 3, 0]);
            raw.ping();
            while raw.take(Kind::Exit).is_some() {
                told += 1;
            }
            assert_eq!(told, 0, "the end was told once");
        });
    });
}

#[test]
fn more_than_may_be_linked_ends_the_link() {
    alone(|| {
        let pair = Pair::new();
        let (deaf, _) = deaf();
        pair.server.expose("deaf", deaf.tasklet()).message::<Add>();
        let addr = pair.server.local_addr().unwrap();
        let before = memory();
        block_on_thread(move || {
            let mut raw = Raw::introduced(addr, attacker());
            raw.send(&object(1, "deaf"));
            raw.send(&frame(Kind::Monitor, 0, 0, &body(&[1 << 1], &[])));
            let mut linker = 0;
            let hung_up = loop {
                let mut frames = Vec::new();
                for _ in 0..1000 {
                    frames.extend(frame(Kind::Link, 0, 0, &body(&[1 << 1, linker], &[])));
                    linker += 1;
                }
                if !raw.try_send(&frames) {
                    break true;
                }
                if linker > 100_000 {
                    break is_hung_up_on(&mut raw.stream);
                }
            };
            assert!(hung_up, "after {linker}");
            assert!(linker > 65_536);
        });
        // What stands for one of them is some hundred bytes, on both sides of what links them.
        let grown = memory().saturating_sub(before);
        assert!(grown < 2 * GROWTH, "{grown} bytes more");
        // The break ends who is linked.
        deaf.wait_timeout(LONG).unwrap();
        assert_eq!(pair.log.call(Add(1)), Ok(1));
    });
}

#[test]
fn only_what_is_exposed_is_reached() {
    attack(|addr| {
        let mut raw = Raw::introduced(addr, attacker());
        raw.send(&object(1, "vault"));
        let mut unknown = ClassName::of::<Add>();
        unknown.name = "faults.Steal";
        raw.send(&class(2, unknown));
        unknown = ClassName::of::<Add>();
        unknown.schema ^= 1;
        raw.send(&class(3, unknown));
        for (object, class, code) in [(1, ADD, 16), (0, 2, 17), (0, 3, 18)] {
            raw.send(&frame(
                Kind::Call,
                0,
                0,
                &body(&[1, 0, object << 1, class], &[1]),
            ));
            assert_eq!(raw.next(Kind::Reply), [1, code]);
        }
        let mut lookup = body(&[1], &[]);
        put_text(&mut lookup, "vault");
        put_number(&mut lookup, 0);
        raw.send(&frame(Kind::Lookup, 0, 0, &lookup));
        assert_eq!(raw.next(Kind::Found), [1, 1, 0]);
        assert_eq!(raw.call(9, &[0]), 0);
    });
}

#[test]
fn credit_that_was_not_given_is_not_taken() {
    alone(|| {
        let pair = Pair::new();
        let stalled = Logged::stalled(4, Overflow::Block);
        pair.server.expose("log", &stalled.addr).protocol::<Log>();
        let addr = pair.server.local_addr().unwrap();
        let before = memory();
        block_on_thread(move || {
            let mut raw = Raw::introduced(addr, attacker());
            let text = vec![b'x'; 60_000];
            let mut message = vec![1, 251];
            message.extend_from_slice(&60_000u16.to_le_bytes());
            message.extend_from_slice(&text);
            let tell = frame(Kind::Tell, 0, 0, &body(&[0, ITEM], &message));
            let mut sent = 0;
            // What it was given is a megabyte, and a message more.
            while raw.try_send(&tell) {
                sent += 1;
                assert!(sent < 5000, "{sent} were taken");
            }
            assert!(is_hung_up_on(&mut raw.stream));
        });
        let grown = memory().saturating_sub(before);
        stalled.open.set();
        assert!(grown < GROWTH, "{grown} bytes more");
        assert_eq!(pair.log.call(Add(1)), Ok(1));
    });
}

#[test]
fn answers_that_nobody_reads_are_bounded() {
    alone(|| {
        let server = crate::common::config("server")
            .heartbeat(
                std::time::Duration::from_millis(100),
                std::time::Duration::from_secs(1),
            )
            .outbox(1 << 20, 1000, actor_remote::Full::Block)
            .max_message(1 << 16);
        let pair = Pair::with(server, crate::common::config("client"));
        let addr = pair.server.local_addr().unwrap();
        let before = memory();
        block_on_thread(move || {
            let mut raw = Raw::introduced(addr, attacker());
            // Each is to be answered.
            let asks = frame(Kind::Ping, 0, 0, &[]).repeat(10_000);
            let mut sent = 0;
            while raw.try_send(&asks) {
                sent += 1;
                assert!(sent < 20_000, "{sent} records were taken");
            }
        });
        let grown = memory().saturating_sub(before);
        assert!(grown < GROWTH, "{grown} bytes more");
        assert_eq!(pair.log.call(Add(1)), Ok(1));
        let refused = CallError::Refused(Refusal::Unknown);
        assert_eq!(
            pair.peer.unchecked::<Log>("vault").call(Add(1)),
            Err(refused)
        );
    });
}
