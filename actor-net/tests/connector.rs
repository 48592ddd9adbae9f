//! From names to connections.

mod common;

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use actor_core::timeout;
use actor_io::{TcpListener, TcpStream};
use actor_net::{ConnectError, Connector};
use common::{PATIENCE, in_tasklet};

const MOMENT: Duration = Duration::from_millis(100);

fn everywhere(test: fn()) {
    in_tasklet(test);
    test();
}

fn dead_addr() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
}

/// An address that does not answer, as long as what comes with it lives.
fn silent_addr() -> (SocketAddr, socket2::Socket, Vec<TcpStream>) {
    let listener =
        socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    listener.bind(&any.into()).unwrap();
    listener.listen(0).unwrap();
    let addr = listener.local_addr().unwrap().as_socket().unwrap();
    let queued = vec![TcpStream::connect(addr).unwrap()];
    (addr, listener, queued)
}

#[test]
fn the_first_address_that_accepts_counts() {
    everywhere(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let alive = listener.local_addr().unwrap();
        let stream = Connector::connect([dead_addr(), alive]).unwrap();
        assert_eq!(stream.peer_addr().unwrap(), alive);
        assert!(stream.nodelay().unwrap());
        let stream = Connector::builder().nodelay(false).connect(alive).unwrap();
        assert!(!stream.nodelay().unwrap());
        Connector::connect(("localhost".to_string(), alive.port())).unwrap();
    });
}

#[test]
fn a_failure_names_all_that_was_tried() {
    everywhere(|| {
        let dead = [dead_addr(), dead_addr()];
        let error = Connector::connect(dead).unwrap_err();
        assert!(matches!(&error, ConnectError::Failed { .. }));
        let tried: Vec<_> = error
            .attempts()
            .iter()
            .map(|attempt| attempt.address)
            .collect();
        assert_eq!(tried, dead);
        for address in dead {
            assert!(error.to_string().contains(&address.to_string()), "{error}");
        }
        let error = io::Error::from(error);
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        assert!(error.get_ref().unwrap().is::<ConnectError>());
    });
}

#[test]
fn an_address_that_does_not_answer_leaves_time_for_the_next() {
    everywhere(|| {
        let (silent, _listener, _queued) = silent_addr();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let alive = listener.local_addr().unwrap();
        let connector = Connector::builder().timeout(2 * MOMENT);
        let stream = connector.connect([silent, alive]).unwrap();
        assert_eq!(stream.peer_addr().unwrap(), alive);
    });
}

#[test]
fn the_limit_is_over_all() {
    everywhere(|| {
        let (silent, _listener, _queued) = silent_addr();
        let begun = Instant::now();
        let error = Connector::builder()
            .timeout(MOMENT)
            .connect([silent; 3])
            .unwrap_err();
        assert!(begun.elapsed() >= MOMENT);
        assert!(begun.elapsed() < PATIENCE / 2);
        assert!(matches!(&error, ConnectError::TimedOut { .. }), "{error}");
        assert!(error.source().is_some());
        assert_eq!(io::Error::from(error).kind(), io::ErrorKind::TimedOut);
    });
}

#[test]
fn names_that_lead_nowhere() {
    everywhere(|| {
        let nothing: &[SocketAddr] = &[];
        assert!(matches!(
            Connector::connect(nothing),
            Err(ConnectError::NoAddress)
        ));
        assert!(matches!(
            Connector::connect("no port"),
            Err(ConnectError::Resolve(_))
        ));
    });
}

/// Before its own limit is over, and though there are addresses left.
#[test]
fn a_deadline_around_it_ends_it() {
    everywhere(|| {
        let (silent, _listener, _queued) = silent_addr();
        for connector in [
            Connector::builder(),
            Connector::builder().timeout(2 * PATIENCE),
        ] {
            let begun = Instant::now();
            let error = timeout(MOMENT, || connector.connect([silent; 2])).unwrap_err();
            assert!(begun.elapsed() >= MOMENT);
            assert!(begun.elapsed() < PATIENCE / 2);
            assert!(matches!(&error, ConnectError::TimedOut { .. }), "{error}");
            assert_eq!(error.attempts().len(), 1);
        }
    });
}
