//! Connecting while names cannot be resolved.

mod common;

use std::io;
use std::net::SocketAddr;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use actor_core::{JoinError, Tasklet, timeout};
use actor_io::{ResolveError, Resolver, TcpListener, TcpStream, ToAddrs};
use actor_net::{ConnectError, Connector};
use common::{PATIENCE, eventually, in_tasklet};

const MOMENT: Duration = Duration::from_millis(50);

/// Names as a resolver knows them.
struct Name<'a>(&'a Resolver, &'a str);

impl ToAddrs for Name<'_> {
    fn to_addrs(&self) -> io::Result<Vec<SocketAddr>> {
        Ok(self.0.resolve(self.1, 1, Duration::MAX)?)
    }
}

fn times_out(connect: impl FnOnce() -> Result<TcpStream, ConnectError>) {
    let begun = Instant::now();
    let error = connect().unwrap_err();
    assert!(
        matches!(&error, ConnectError::TimedOut { attempts } if attempts.is_empty()),
        "{error}"
    );
    assert!(begun.elapsed() >= MOMENT);
    assert!(begun.elapsed() < PATIENCE / 2);
    assert_eq!(io::Error::from(error).kind(), io::ErrorKind::TimedOut);
}

#[test]
fn a_look_up_that_hangs_ends_at_the_deadline() {
    in_tasklet(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        // The only thread there is for look-ups hangs in one, until the gate is opened.
        let (gate, opened) = mpsc::channel::<()>();
        let opened = parking_lot::Mutex::new(opened);
        let resolver = Resolver::new(1, move |_name| {
            let _ = opened.lock().recv();
            Ok(vec![addr])
        });
        let impatient = Connector::builder().timeout(MOMENT);
        times_out(|| impatient.connect(Name(&resolver, "hangs")));
        times_out(|| timeout(MOMENT, || Connector::connect(Name(&resolver, "hangs"))));

        // Another name does not even get a thread, and its caller is told so.
        let error = impatient.connect(Name(&resolver, "waits")).unwrap_err();
        let ConnectError::Resolve(error) = error else {
            panic!("{error}");
        };
        assert_eq!(error.kind(), io::ErrorKind::ResourceBusy);
        let inner = error.get_ref().unwrap().downcast_ref();
        assert!(matches!(inner, Some(ResolveError::Busy { threads: 1 })));

        let killed = Tasklet::spawn({
            let resolver = resolver.clone();
            move || Connector::connect(Name(&resolver, "hangs")).map(drop)
        });
        eventually("the wait", || {
            killed.tree().to_string().contains("waits for the event")
        });
        killed.kill();
        let end = killed.join_timeout(PATIENCE);
        assert!(matches!(end, Err(JoinError::Killed)), "{end:?}");

        // What the others do does not hang.
        Connector::connect(("127.0.0.1", addr.port())).unwrap();
        // Nobody who gave up stands in the way of those who come after.
        drop(gate);
        let addrs = resolver.resolve("hangs", addr.port(), PATIENCE).unwrap();
        Connector::connect(addrs).unwrap();
    });
}

#[test]
fn names_that_do_not_exist() {
    in_tasklet(|| {
        // Refused by the resolver itself, whatever servers there are.
        let error = Connector::connect(("no such\u{0}name", 1)).unwrap_err();
        assert!(matches!(error, ConnectError::Resolve(_)), "{error}");
        let error = Connector::connect(":80").unwrap_err();
        assert!(matches!(error, ConnectError::Resolve(_)), "{error}");
    });
}
