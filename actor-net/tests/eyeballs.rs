//! Connecting to several addresses at once. In a program of its own, which can count its descriptors.

mod common;

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use actor_core::{JoinError, Tasklet, TimedOut, timeout};
use actor_io::{TcpListener, TcpStream};
use actor_net::{ConnectError, Connector};
use common::{PATIENCE, eventually, in_tasklet, open_descriptors};

/// RFC 8305's delay before the next address is tried.
const DELAY: Duration = Duration::from_millis(250);

/// A listener that does not answer: its queue is full.
struct Silent {
    listener: socket2::Socket,
    queued: TcpStream,
}

impl Silent {
    fn new() -> Silent {
        let listener = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None);
        let listener = listener.unwrap();
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        listener.bind(&any.into()).unwrap();
        listener.listen(0).unwrap();
        let addr = listener.local_addr().unwrap().as_socket().unwrap();
        let queued = TcpStream::connect(addr).unwrap();
        Silent { listener, queued }
    }

    fn addr(&self) -> SocketAddr {
        self.queued.peer_addr().unwrap()
    }

    /// Takes one out of the queue, so that the next attempt gets in when it is repeated, a second later.
    fn answer(&self) -> socket2::Socket {
        self.listener.accept().unwrap().0
    }
}

fn dead_addr() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

fn everywhere(test: fn()) {
    in_tasklet(test);
    test();
}

#[test]
fn all_of_it() {
    // What the runtime opens for itself is open after this.
    everywhere(|| {
        Connector::connect(dead_addr()).unwrap_err();
    });
    for test in [
        the_next_is_tried_beside_one_that_does_not_answer,
        a_refusal_leads_to_the_next_at_once,
        the_first_to_answer_counts_though_it_was_not_the_last_tried,
        time_runs_out_for_all,
    ] {
        let before = open_descriptors();
        everywhere(test);
        assert_eq!(open_descriptors(), before);
    }
    let before = open_descriptors();
    in_tasklet(a_kill_closes_all_that_are_under_way);
    assert_eq!(open_descriptors(), before);
}

fn the_next_is_tried_beside_one_that_does_not_answer() {
    let silent = [Silent::new(), Silent::new()];
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let alive = listener.local_addr().unwrap();
    let begun = Instant::now();
    let stream = Connector::connect([silent[0].addr(), silent[1].addr(), alive]).unwrap();
    assert_eq!(stream.peer_addr().unwrap(), alive);
    let took = begun.elapsed();
    assert!(took >= 2 * DELAY && took < PATIENCE, "{took:?}");
}

fn a_refusal_leads_to_the_next_at_once() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let alive = listener.local_addr().unwrap();
    let begun = Instant::now();
    let dead: Vec<_> = (0..20).map(|_| dead_addr()).collect();
    let mut addrs = dead.clone();
    addrs.push(alive);
    let stream = Connector::connect(addrs).unwrap();
    assert_eq!(stream.peer_addr().unwrap(), alive);
    let took = begun.elapsed();
    assert!(took < 20 * DELAY, "{took:?}");

    // Also while another does not answer.
    let silent = Silent::new();
    let limit = Duration::from_secs(1);
    let mut addrs = vec![silent.addr()];
    addrs.extend(&dead);
    let error = Connector::builder().timeout(limit).connect(addrs.clone());
    let error = error.unwrap_err();
    assert!(matches!(error, ConnectError::TimedOut { .. }), "{error}");
    let attempts = error.attempts();
    let tried: Vec<_> = attempts.iter().map(|attempt| attempt.address).collect();
    assert_eq!(tried, addrs);
    assert!(attempts[0].error.get_ref().unwrap().is::<TimedOut>());
    for attempt in &attempts[1..] {
        assert_eq!(attempt.error.kind(), ErrorKind::ConnectionRefused);
    }
}

fn the_first_to_answer_counts_though_it_was_not_the_last_tried() {
    let (slow, silent) = (Silent::new(), Silent::new());
    let addrs = [slow.addr(), silent.addr()];
    let before = open_descriptors();
    let answering = thread::spawn(move || {
        // When both are under way: one for each, and one to wait for them.
        let begun = Instant::now();
        while open_descriptors() < before + 3 {
            assert!(begun.elapsed() < PATIENCE, "the second attempt never came");
            thread::sleep(Duration::from_millis(1));
        }
        (slow.answer(), slow)
    });
    let stream = Connector::builder().timeout(PATIENCE).connect(addrs);
    assert_eq!(stream.unwrap().peer_addr().unwrap(), addrs[0]);
    answering.join().unwrap();
}

fn time_runs_out_for_all() {
    let silent = [Silent::new(), Silent::new(), Silent::new()];
    let addrs = [0, 1, 2].map(|index| silent[index].addr());
    let limit = DELAY / 2;
    for (own, around) in [(Some(limit), PATIENCE), (None, limit)] {
        let mut connector = Connector::builder();
        if let Some(own) = own {
            connector = connector.timeout(own);
        }
        let begun = Instant::now();
        let error = timeout(around, || connector.connect(addrs)).unwrap_err();
        assert!(begun.elapsed() >= limit && begun.elapsed() < PATIENCE);
        assert!(matches!(error, ConnectError::TimedOut { .. }), "{error}");
        // Where it knows that there is little time it tries all.
        let tried = if own.is_some() { 3 } else { 1 };
        assert_eq!(error.attempts().len(), tried, "{error}");
    }
}

fn a_kill_closes_all_that_are_under_way() {
    let silent = [Silent::new(), Silent::new(), Silent::new()];
    let addrs = [0, 1, 2].map(|index| silent[index].addr());
    let before = open_descriptors();
    let connecting = Tasklet::spawn(move || Connector::connect(addrs).map(drop));
    // One for each attempt, and one to wait for them.
    eventually("all attempts", || open_descriptors() == before + 4);
    connecting.kill();
    let end = connecting.join_timeout(PATIENCE);
    assert!(matches!(end, Err(JoinError::Killed)), "{end:?}");
    assert_eq!(open_descriptors(), before);
}
