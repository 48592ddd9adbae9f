//! Sockets and buffered streams that block the tasklet and not the thread.
//!
//! [`TcpListener`] and [`TcpStream`] have the names and the meaning of their namesakes in
//! [`std::net`]. What differs is who waits: in a tasklet an operation that cannot go on at once
//! parks that tasklet alone, and its worker runs others meanwhile. On a plain thread the same
//! operation blocks the thread. Each waiting operation ends early when its tasklet is killed, when
//! an enclosing [`timeout`](actor_core::timeout) expires, or when the stream's own read or write
//! timeout does.
//!
//! [`BufferedStream`] puts a reader of lines and a gathering writer on top, and splits into halves
//! for two tasklets. [`ToAddrs`] is what can be listened on and connected to.
//!
//! ```
//! use std::io::{self, Write};
//! use actor_io::{BufferedStream, TcpListener, TcpStream};
//!
//! # fn main() -> io::Result<()> {
//! let listener = TcpListener::bind("127.0.0.1:0")?;
//! let mut client = TcpStream::connect(listener.local_addr()?)?;
//! client.write_all(b"hello\r\nworld")?;
//! drop(client);
//!
//! let (stream, _peer) = listener.accept()?;
//! let (mut reader, _writer) = BufferedStream::new(stream).split();
//! assert_eq!(reader.read_line()?.as_deref(), Some("hello"));
//! assert_eq!(reader.read_line()?.as_deref(), Some("world"));
//! assert_eq!(reader.read_line()?, None);
//! # Ok(())
//! # }
//! ```

mod addrs;
mod buffered;
mod net;

pub use addrs::ToAddrs;
pub use buffered::{
    BufferedReader, BufferedStream, BufferedWriter, DEFAULT_CAPACITY, DEFAULT_MAX_LINE,
    LineTooLong, Lines, Split,
};
pub use net::{Incoming, TcpListener, TcpStream};
