//! What the tests share.

#![allow(dead_code, unreachable_pub)]

mod program;

use actor_io::{TcpListener, TcpStream};

pub use program::*;

/// Runs `test` in a tasklet, and then on a plain thread.
pub fn everywhere(test: fn()) {
    in_tasklet(test);
    test();
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
