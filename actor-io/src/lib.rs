//! Sockets, buffered streams, the console, files and programs that block the tasklet and not the thread.
//!
//! [`TcpListener`], [`TcpStream`], [`UdpSocket`], [`UnixListener`], [`UnixStream`] and
//! [`UnixDatagram`] have the names and the meaning of their namesakes in [`std::net`] and
//! [`std::os::unix::net`]; a [`Descriptor`] is anything else that can be polled. What differs is who waits: in a tasklet an operation that cannot go on at once
//! parks that tasklet alone, and its worker runs others meanwhile. On a plain thread the same
//! operation blocks the thread. Each waiting operation ends early when its tasklet is killed, when
//! an enclosing [`timeout`](actor_core::timeout) expires, or when the stream's own read or write
//! timeout does.
//!
//! [`BufferedStream`] puts a reader of lines and a gathering writer on top, and splits into halves
//! for two tasklets. [`ToAddrs`] is what can be listened on and connected to; [`resolve()`] looks a name
//! up.
//!
//! [`stdin`], [`stdout`] and [`stderr`] are the standard streams, [`Console`] two of them as one stream.
//! [`fs`] has files and directories, [`process`] other programs.
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
mod console;
mod copy;
mod descriptor;
pub mod fs;
mod net;
pub mod process;
mod resolve;

pub use addrs::ToAddrs;
pub use buffered::{
    BufferedReader, BufferedStream, BufferedWriter, DEFAULT_CAPACITY, DEFAULT_MAX_LINE,
    LineTooLong, Lines, Split,
};
pub use console::{
    Console, Stderr, StderrLock, Stdin, StdinLines, StdinLock, Stdout, StdoutLock, stderr, stdin,
    stdout,
};
pub use copy::{Endpoint, copy, copy_bidirectional, send_file};
pub use descriptor::{Descriptor, wait_readable, wait_writable};
pub use net::{
    DatagramSocket, Family, Incoming, Internet, Listener, Received, Stream, TcpListener, TcpStream,
    UdpSocket, Unix, UnixDatagram, UnixListener, UnixStream,
};
pub use resolve::{DEFAULT_RESOLVER_THREADS, ResolveError, Resolver, resolve};
#[cfg(feature = "hickory")]
pub use resolve::{Dns, Service};

/// What the crates above this one are given. Not part of the interface.
#[doc(hidden)]
pub mod __private {
    pub use crate::copy::in_slices;
    pub use crate::net::{
        Attempts, accept_waiting, connect_first, connect_outcome, into_source, is_time_out,
    };
}
