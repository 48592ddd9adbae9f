//! Sockets over the runtime's reactor.
//!
//! What a socket does is written once: waiting, timeouts and deadlines in `handle.rs`, the system
//! calls in `socket.rs`. Streams, listeners and datagram sockets are generic over the
//! [`Family`] of their addresses, and `TcpStream` and the others are names of their instances.

#[macro_use]
mod common;
mod convert;
mod datagram;
mod family;
mod handle;
mod listener;
mod race;
mod socket;
mod stream;
mod tcp;
mod udp;
mod unix;

pub(crate) use handle::Handle;

pub use convert::into_source;
pub use datagram::{DatagramSocket, Received, UdpSocket, UnixDatagram};
pub use family::{Family, Internet, Unix};
pub use listener::{Incoming, Listener, TcpListener, UnixListener, accept_waiting};
pub use race::{Attempts, connect_first, is_time_out};
pub use socket::connect_outcome;
pub use stream::{Stream, TcpStream, UnixStream};
