//! What the tests share.

#![allow(dead_code, unreachable_pub)]

use std::sync::mpsc;
use std::time::{Duration, Instant};

use actor_core::{Tasklet, dispatch, quit};
use actor_io::{TcpListener, TcpStream};

/// Turns a hang into a failure; nothing waits this long otherwise.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Runs `test` as a main tasklet, and fails as it does.
pub fn in_tasklet<T: Send + 'static>(test: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, result) = mpsc::channel();
    dispatch(move || {
        let _end = EndProgram;
        let _ = sender.send(test());
    });
    result.try_recv().expect("the main tasklet has panicked")
}

/// Runs `test` in a tasklet, and then on a plain thread.
pub fn everywhere(test: fn()) {
    in_tasklet(test);
    test();
}

/// Stops what a test has left running, so that its panic does not look like a hang.
struct EndProgram;

impl Drop for EndProgram {
    fn drop(&mut self) {
        if std::thread::panicking() {
            quit(1);
        }
    }
}

/// Waits, in a tasklet or on a thread, until `condition` holds.
pub fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < PATIENCE, "{what} never came");
        if Tasklet::try_current().is_some() {
            Tasklet::sleep(Duration::from_millis(1));
        } else {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// Two connected streams.
pub fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (far, _peer) = listener.accept().unwrap();
    (near, far)
}

/// Two connected streams of which neither takes more than a few kilobytes ahead.
pub fn narrow_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    // Before the connection: the window is agreed upon when it is made.
    listener.socket_ref().set_recv_buffer_size(4096).unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    near.socket_ref().set_send_buffer_size(4096).unwrap();
    let (far, _peer) = listener.accept().unwrap();
    (near, far)
}

/// `len` bytes in which each place can be told from its neighbours.
pub fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|place| (place * 31 % 251) as u8).collect()
}
