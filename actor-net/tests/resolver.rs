//! Connecting while names cannot be resolved. In a program of its own, whose pool has a single thread.

mod common;

use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use actor_core::{JoinError, Runtime, Tasklet, block_on_thread, timeout};
use actor_io::{TcpListener, TcpStream, ToAddrs};
use actor_net::{ConnectError, Connector};
use common::{PATIENCE, eventually};

const MOMENT: Duration = Duration::from_millis(50);

/// A name whose look-up takes as long as the gate is not dropped.
struct Slow(TcpListener);

impl ToAddrs for Slow {
    fn to_addrs(&self) -> io::Result<Vec<SocketAddr>> {
        let (_gate, opened) = mpsc::channel::<()>();
        block_on_thread(move || opened.recv_timeout(PATIENCE).err());
        Ok(vec![self.0.local_addr()?])
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
    let code = Runtime::builder().pool_threads(1).dispatch(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let name = ("localhost", listener.local_addr().unwrap().port());
        let impatient = Connector::builder().timeout(MOMENT);
        // The only thread there is for look-ups hangs in one.
        let (gate, opened) = mpsc::channel::<()>();
        let (tell, told) = mpsc::channel();
        let hung = Tasklet::spawn(|| {
            block_on_thread(move || {
                tell.send(()).unwrap();
                opened.recv().unwrap_err()
            })
        });
        eventually("the hanging look-up", || told.try_recv().is_ok());

        times_out(|| impatient.connect(name));
        times_out(|| impatient.connect(Slow(listener.try_clone().unwrap())));
        times_out(|| timeout(MOMENT, || Connector::connect(name)));

        let killed = Tasklet::spawn(move || Connector::connect(name).map(drop));
        eventually("the wait", || {
            killed.tree().to_string().contains("a thread of the pool")
        });
        killed.kill();
        let end = killed.join_timeout(PATIENCE);
        assert!(matches!(end, Err(JoinError::Killed)), "{end:?}");

        // Nobody who gave up stands in the way of those who come after.
        drop(gate);
        hung.join().unwrap();
        let stream = Connector::builder()
            .timeout(PATIENCE)
            .connect(name)
            .unwrap();
        assert_eq!(stream.peer_addr().unwrap(), listener.local_addr().unwrap());
    });
    assert_eq!(code, ExitCode::SUCCESS);
}
