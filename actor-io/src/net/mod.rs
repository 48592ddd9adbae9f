//! TCP over the runtime's reactor.

mod socket;
mod tcp_listener;
mod tcp_stream;

pub use tcp_listener::{Incoming, TcpListener};
pub use tcp_stream::TcpStream;
