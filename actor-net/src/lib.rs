//! Servers whose connections are tasklets, and clients that find their server.
//!
//! A [`Server`] accepts connections and runs a handler for each, in a tasklet of its own with a
//! mailbox of its own: the handler reads and writes as if it were alone in the world, and can be
//! sent messages, stopped, killed and looked up in the tree like any other tasklet. Or it gives each
//! to an [actor](Server::serve_actors), which is sent what a [`Codec`] has decoded and answers through a
//! [`Connection`]. Actors that see to sockets of their own, as in Python's `asyncore`, are
//! [dispatchers](dispatcher). A [`Connector`] is the other side: it resolves a name and tries its addresses in turn
//! under one deadline. [`TelnetStream`] and [`TelnetCodec`] are for people at telnet clients.
//!
//! ```
//! use std::io::{self, BufRead, Write};
//! use actor_io::{BufferedStream, TcpStream};
//! use actor_net::{Connector, Server};
//! use std::time::Duration;
//!
//! fn echo(stream: TcpStream) -> io::Result<()> {
//!     let mut stream = BufferedStream::new(stream);
//!     while let Some(line) = stream.reader().read_line()? {
//!         stream.writer().write_line(line)?;
//!         stream.flush()?;
//!     }
//!     Ok(())
//! }
//!
//! actor_core::dispatch(|| -> io::Result<()> {
//!     let server = Server::bind("127.0.0.1:0")?.spawn(echo)?;
//!     let mut client = BufferedStream::new(Connector::connect(server.local_addr())?);
//!     client.writer().write_line("hello")?;
//!     client.flush()?;
//!     assert_eq!(client.reader().read_line()?.as_deref(), Some("hello"));
//!     drop(client);
//!     server.shutdown(Duration::from_secs(5))
//! });
//! ```

mod closing;
mod codec;
mod connection;
mod connector;
pub mod dispatcher;
#[cfg(feature = "http")]
pub mod http;
mod roll;
mod server;
mod telnet;
#[cfg(feature = "tls")]
pub mod tls;
mod window;

pub use codec::{
    Codec, DEFAULT_MAX_FRAME, Frame, FrameTooLong, LengthCodec, Line, LineCodec, Truncated,
};
pub use connection::{Connection, ConnectionError};
#[cfg(feature = "tls")]
pub use connector::TlsConnector;
pub use connector::{Attempt, ConnectError, Connector, ConnectorBuilder};
#[cfg(feature = "tls")]
pub use server::TlsServer;
pub use server::{
    DEFAULT_BACKLOG, DEFAULT_LINGER, DEFAULT_OUTBOX_BYTES, DEFAULT_OUTBOX_MESSAGES, Server,
    ServerBuilder, ServerHandle,
};
pub use telnet::{TelnetCodec, TelnetFilter, TelnetReader, TelnetStream, TelnetWriter};

/// For the other crates of the framework. Not part of the interface.
#[doc(hidden)]
pub mod __private {
    pub use crate::server::throttle::Throttle;
}
