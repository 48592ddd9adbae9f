//! What the sockets promise, tested twice over the same bodies: with the standard library's on threads,
//! and with ours in tasklets. The bodies say what differs: how a timeout is called.

// Which is the point of it.
#![allow(clippy::duplicate_mod)]

mod common;

use std::time::Duration;

/// Long enough for others to begin to wait. No test depends on it: without it some would only test less.
const A_WHILE: Duration = Duration::from_millis(20);

#[path = "conformance"]
// What cannot fail there can here.
#[allow(clippy::unnecessary_fallible_conversions)]
mod standard {
    /// What the bodies are written in.
    pub(crate) mod kit {
        pub(crate) use std::net::{TcpListener, TcpStream, UdpSocket};
        pub(crate) use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
        pub(crate) use std::thread::{JoinHandle, spawn};

        /// How a timeout is told.
        pub(crate) const TIMED_OUT: std::io::ErrorKind = std::io::ErrorKind::WouldBlock;

        /// Lets one come to where it waits; of a thread that cannot be seen.
        pub(crate) fn let_wait<T>(_: &JoinHandle<T>) {
            std::thread::sleep(crate::A_WHILE);
        }

        pub(crate) fn run(test: impl FnOnce() + Send + 'static) {
            test();
        }
    }

    mod addresses;
    mod tcp;
    mod udp;
    mod unix;
}

#[path = "conformance"]
mod ours {
    pub(crate) mod kit {
        pub(crate) use actor_io::{
            TcpListener, TcpStream, UdpSocket, UnixDatagram, UnixListener, UnixStream,
        };

        pub(crate) const TIMED_OUT: std::io::ErrorKind = std::io::ErrorKind::TimedOut;

        pub(crate) fn spawn<T: Send + 'static>(
            f: impl FnOnce() -> T + Send + 'static,
        ) -> actor_core::JoinHandle<T> {
            actor_core::Tasklet::spawn(f)
        }

        pub(crate) fn let_wait<T>(tasklet: &actor_core::JoinHandle<T>) {
            crate::common::eventually("it waits", || tasklet.is_blocked());
        }

        pub(crate) fn run(test: impl FnOnce() + Send + 'static) {
            crate::common::in_tasklet(test);
        }
    }

    mod addresses;
    mod tcp;
    mod udp;
    mod unix;
}
