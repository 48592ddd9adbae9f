//! What the log says of those who are refused: that they are, and not a line for each.

use std::fmt::{self, Write as _};
use std::sync::Once;

use actor_core::block_on_thread;
use actor_core::remote::ClassName;
use actor_remote::handshake::{Config, Initiator, Nonce};
use actor_remote::wire::frame::{Kind, put_number, put_text};
use parking_lot::Mutex;
use tracing::field::{Field, Visit};
use tracing::span;
use tracing::{Event, Level, Metadata, Subscriber, subscriber};

use crate::common::{Add, Pair, config, secret, until};
use crate::raw::{ADD, Raw, alone, body, class, dial, frame, is_hung_up_on, object};

static LINES: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Keeps what is worth a warning.
struct Keeps;

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        write!(self.0, "{}={value:?} ", field.name()).unwrap();
    }
}

impl Subscriber for Keeps {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= Level::WARN && metadata.target().starts_with("actor_remote")
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(String::new());
        event.record(&mut line);
        LINES.lock().push(line.0);
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

/// Has the lines of the log kept, and forgets those of other tests.
fn listen() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| subscriber::set_global_default(Keeps).unwrap());
    LINES.lock().clear();
}

/// The lines that have come that have all of `texts`.
fn lines(texts: &[&str]) -> usize {
    let all = LINES.lock();
    let is_meant = |line: &&String| texts.iter().all(|text| line.contains(text));
    all.iter().filter(is_meant).count()
}

/// How many lines there may be of something that goes on for so long: one a second, and the first.
fn bound(since: std::time::Instant) -> usize {
    since.elapsed().as_secs() as usize + 2
}

#[test]
fn refused_connections_are_logged_and_not_each() {
    alone(|| {
        listen();
        let pair = Pair::with(
            config("server").secret(secret()),
            config("client").secret(secret()),
        );
        let addr = pair.server.local_addr().unwrap();
        let since = std::time::Instant::now();
        block_on_thread(move || {
            for _ in 0..1000 {
                let mut stream = dial(addr);
                drop(std::io::Write::write_all(
                    &mut stream,
                    &[9, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
                ));
                assert!(is_hung_up_on(&mut stream));
            }
        });
        until("all are counted", || pair.server.refused() >= 1000);
        let told = lines(&["connections are refused", "node=server", "count="]);
        assert!(told >= 1, "{:?}", LINES.lock());
        assert!(told <= bound(since), "{told} lines");
    });
}

#[test]
fn refused_messages_are_logged_and_not_each() {
    alone(|| {
        listen();
        let pair = Pair::new();
        let addr = pair.server.local_addr().unwrap();
        let since = std::time::Instant::now();
        block_on_thread(move || {
            let mut raw = Raw::introduced(addr, Config::new("attacker", 1));
            raw.send(&object(1, "vault\n2026 all is well"));
            let mut steal = ClassName::of::<Add>();
            steal.name = "faults.Steal";
            raw.send(&class(2, steal));
            // A name that is not exposed, a class that is not, what is not decodable, and a kind that is not offered.
            let mut lookup = body(&[1], &[]);
            put_text(&mut lookup, "vault");
            put_number(&mut lookup, 0);
            let mut spawn = body(&[2], &[0, 77]);
            put_text(&mut spawn, "shell");
            put_number(&mut spawn, 0);
            let all = [
                frame(Kind::Tell, 0, 0, &body(&[1 << 1, ADD], &[1])),
                frame(Kind::Tell, 0, 0, &body(&[0, 2], &[1])),
                frame(Kind::Tell, 0, 0, &body(&[0, ADD], &[])),
                frame(Kind::Lookup, 0, 0, &lookup),
                frame(Kind::Spawn, 0, 0, &spawn),
                // What it says that it has refused itself.
                frame(Kind::Refused, 0, 0, &[0, 1]),
            ];
            for _ in 0..500 {
                for frame in &all {
                    raw.send(frame);
                }
            }
            assert_eq!(raw.next(Kind::Spawned), [2, 1], "there is no such kind");
            assert_eq!(raw.next(Kind::Refused), [1 << 1, 1], "unknown");
            assert_eq!(raw.next(Kind::Refused), [0, 2], "not exposed");
            assert_eq!(raw.next(Kind::Refused), [0, 4], "not decodable");
            raw.ping();
        });
        let by_us = lines(&["what another node says is refused", "peer=attacker"]);
        let by_them = lines(&["refused by the other node", "peer=attacker"]);
        for told in [by_us, by_them] {
            assert!(told >= 1, "{:?}", LINES.lock());
            assert!(told <= bound(since), "{told} lines");
        }
        // What it says cannot look like a line of its own.
        assert_eq!(lines(&["\n"]), 0);
    });
}

#[test]
fn a_peer_that_leaves_within_the_handshake_is_counted() {
    alone(|| {
        listen();
        let pair = Pair::new();
        let addr = pair.server.local_addr().unwrap();
        let (_, hello) = {
            let config = Config::new("leaves", 1);
            let nonce = Nonce::from_bytes([1; 32]);
            Initiator::start(config, nonce).unwrap()
        };
        block_on_thread(move || {
            let mut stream = dial(addr);
            std::io::Write::write_all(&mut stream, &hello).unwrap();
        });
        until("it is counted", || pair.server.refused() == 1);
        assert_eq!(lines(&["connections are refused", "count=1"]), 1);
    });
}
