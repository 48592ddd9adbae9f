//! Links through a proxy that garbles, cuts, loses and doubles what goes over them.

use std::time::Duration;

use actor_core::{Tasklet, time};
use actor_remote::Config;

use crate::common::{Add, Item, LONG, Pair, config, program, secret, until};
use crate::proxy::{Fault, Proxy};

/// How many connections are to be broken.
const BREAKS: usize = 25;

fn impatient(name: &str) -> Config {
    // What has been lost is noticed soon.
    config(name)
        .heartbeat(Duration::from_millis(100), Duration::from_secs(2))
        .handshakes(Duration::from_millis(500), 16)
}

/// Sends numbers through faults, and looks at what has come of them.
fn numbers_through(
    server: Config,
    client: Config,
    seed: u64,
    check: usize,
    faults: Option<&'static [Fault]>,
) {
    program(move || {
        let mut proxy = None;
        let pair = Pair::through(server, client, |addr| {
            let new = match faults {
                Some(faults) => Proxy::with(addr, seed, check, faults),
                None => Proxy::new(addr, seed, check),
            };
            proxy.insert(new).addr()
        });
        let proxy = proxy.unwrap();
        let limit = time::now() + LONG;
        let mut sent = 0;
        while proxy.connections() < BREAKS {
            assert!(
                time::now() < limit,
                "{} connections only, seed {seed}",
                proxy.connections()
            );
            // Some longer than a frame.
            let filler = if sent % 500 == 99 {
                150_000
            } else {
                sent as usize % 200
            };
            match pair.log.send(Item(sent, "x".repeat(filler))) {
                Ok(()) => sent += 1,
                // That one has not gone, and is the first of the next link.
                Err(_) => {
                    pair.peer.wait_connected(Duration::from_millis(200));
                }
            }
            if sent % 16 == 0 {
                Tasklet::yield_now();
            }
        }
        proxy.calm();
        // There is a link again before long, and all that is sent over it arrives.
        until("a call goes through", || {
            pair.log.call_timeout(Add(1), LONG).is_ok()
        });
        let connections = proxy.connections();
        let seen = pair.logged.seen.lock().clone();
        assert!(seen.len() > BREAKS, "{} of {sent} have come", seen.len());
        let mut gaps = 0;
        for pair in seen.windows(2) {
            // In order, and none twice.
            assert!(pair[0] < pair[1], "{pair:?}, seed {seed}");
            if pair[0] + 1 != pair[1] {
                gaps += 1;
            }
        }
        // What is lost of a link is its end: so there are no more gaps than links.
        assert!(
            gaps < connections,
            "{gaps} gaps in {connections} connections, seed {seed}"
        );
        assert_eq!(pair.peer.held(), (0, 0, 0));
    });
}

#[test]
fn faults_break_a_link_and_nothing_else() {
    for seed in 1..=2 {
        numbers_through(impatient("server"), impatient("client"), seed, 4, None);
    }
}

#[test]
fn faults_break_a_link_with_a_secret_and_nothing_else() {
    let server = impatient("server").secret(secret());
    let client = impatient("client").secret(secret());
    numbers_through(server, client, 3, 16, None);
}

#[test]
fn under_a_secret_each_garbled_byte_is_refused() {
    let server = impatient("server").secret(secret());
    let client = impatient("client").secret(secret());
    numbers_through(server, client, 4, 16, Some(&[Fault::Garbled]));
}

#[test]
fn calls_through_faults_are_executed_at_most_once() {
    program(|| {
        let mut proxy = None;
        let pair = Pair::through(impatient("server"), impatient("client"), |addr| {
            proxy.insert(Proxy::new(addr, 5, 4)).addr()
        });
        let proxy = proxy.unwrap();
        let limit = time::now() + LONG;
        let (mut surely, mut perhaps) = (0, 0);
        while proxy.connections() < BREAKS {
            assert!(
                time::now() < limit,
                "{} connections only",
                proxy.connections()
            );
            match pair.log.call_timeout(Add(1), LONG) {
                Ok(_) => surely += 1,
                Err(actor_core::CallError::Disconnected { maybe_executed }) => {
                    perhaps += u64::from(maybe_executed);
                    pair.peer.wait_connected(Duration::from_millis(200));
                }
                Err(other) => panic!("{other:?}"),
            }
        }
        proxy.calm();
        let mut sum = None;
        until("a call goes through", || {
            sum = pair.log.call_timeout(Add(0), LONG).ok();
            sum.is_some()
        });
        let sum = sum.unwrap();
        assert!(
            surely <= sum && sum <= surely + perhaps,
            "{surely} <= {sum} <= {surely} + {perhaps}"
        );
    });
}
