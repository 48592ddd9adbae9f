//! TLS, over TCP and over any other stream of bytes.
//!
//! [`ServerTls`] and [`ClientTls`] say how one end behaves: certificates, whom to trust, protocols. They
//! are made once, cheap to clone, and meant to be kept: sessions are resumed between connections that
//! share one. [`Server::tls`](crate::Server::tls) and [`Connector::tls`](crate::Connector::tls) use them,
//! and [`ServerTls::accept`] and [`ClientTls::connect`] put TLS over a stream that is there already. In
//! either case what comes out is a [`TlsStream`], to be read and written as the stream beneath, by one
//! tasklet or, [split](actor_io::Split), by two.
//!
//! The protocol is [rustls]'s, versions 1.2 and 1.3, with the cryptography of *ring*. What is not offered
//! here can be had by making a configuration of rustls's own: [`ServerTls::from_config`],
//! [`ClientTls::from_config`].
//!
//! # The end of a stream
//!
//! A TLS stream ends with a message of its own, `close_notify`. One that ends without it has been cut
//! off, perhaps by somebody in between, and a read says so: an error of the kind
//! [`UnexpectedEof`](std::io::ErrorKind::UnexpectedEof) that holds [`TlsError::Truncated`]. A protocol that
//! knows the length of what it transfers may ignore that.
//!
//! So this end has to say when it has come to its end, with [`TlsStream::close`] or, for one direction,
//! [`TlsStream::close_notify`]. Dropping a stream does not: a function that leaves early, by `?` or by a
//! panic, would make half an answer look like a whole one. A [`Server`](crate::Server) does it for handlers
//! that have returned without an error.
//!
//! # Cost
//!
//! A handshake takes some 17 KiB of stack in an optimised build and 45 KiB in one for debugging, so
//! tasklets that make one should have 128 KiB. It also takes the thread for as long as its signature
//! takes: a tenth of a millisecond with a key of P-256, some milliseconds with one of RSA. A connection that waits for its peer keeps some 13 KiB
//! of memory beside its stack.
//!
//! ```
//! use actor_net::tls::{ClientTls, Identity, Roots, ServerTls, TlsStream};
//! use actor_net::{Connector, Server};
//! use std::io::{self, Read, Write};
//! use std::time::Duration;
//!
//! # fn certificate() -> (String, String) {
//! #     let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
//! #     (made.cert.pem(), made.signing_key.serialize_pem())
//! # }
//! fn shout(mut stream: TlsStream) -> io::Result<()> {
//!     let mut text = String::new();
//!     stream.read_to_string(&mut text)?;
//!     stream.write_all(text.to_uppercase().as_bytes())
//! }
//!
//! actor_core::dispatch(|| -> io::Result<()> {
//!     let (certificate, key) = certificate(); // in PEM
//!     let tls = ServerTls::new(Identity::from_pem(certificate.as_bytes(), key.as_bytes())?)?;
//!     let server = Server::bind("127.0.0.1:0")?.tls(tls).spawn(shout)?;
//!
//!     let tls = ClientTls::new(Roots::from_pem(certificate.as_bytes())?)?;
//!     let mut client = Connector::tls(tls).connect("localhost", server.local_addr().port())?;
//!     client.write_all(b"hello")?;
//!     client.close_notify()?;
//!     let mut answer = String::new();
//!     client.read_to_string(&mut answer)?;
//!     assert_eq!(answer, "HELLO");
//!     server.shutdown(Duration::from_secs(5))
//! });
//! ```

mod client;
mod endpoint;
mod error;
mod identity;
mod roots;
mod server;
mod session;
mod stream;
mod turnstile;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

pub use ::rustls;
use rustls::crypto::{CryptoProvider, ring};

pub(crate) use client::server_name;
pub use client::{ClientTls, ClientTlsBuilder};
pub use error::TlsError;
pub use identity::Identity;
pub use roots::Roots;
pub use server::{ServerTls, ServerTlsBuilder};
pub use stream::{TlsReader, TlsStream, TlsWriter};
#[cfg(feature = "http")]
pub(crate) use {
    session::{Incoming, Session, TakeTurns, Wire},
    turnstile::{Turn, Turnstile},
};

/// How long a handshake may take, unless the builder of a [`ServerTls`] or [`ClientTls`] says otherwise.
///
/// ```
/// assert_eq!(actor_net::tls::DEFAULT_HANDSHAKE_TIMEOUT.as_secs(), 10);
/// ```
pub const DEFAULT_HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// How many handshakes a worker computes at a time, unless the builder of a [`ServerTls`] says otherwise.
///
/// ```
/// assert_eq!(actor_net::tls::DEFAULT_HANDSHAKES, 8);
/// ```
pub const DEFAULT_HANDSHAKES: usize = 8;

/// The cryptography. Named explicitly wherever rustls is configured: which one would be its default depends
/// on what else is in the build.
fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    let provider = PROVIDER.get_or_init(|| Arc::new(ring::default_provider()));
    Arc::clone(provider)
}

/// Protocols as they are offered and chosen.
fn protocols<P: AsRef<[u8]>>(names: impl IntoIterator<Item = P>) -> Vec<Vec<u8>> {
    let names = names.into_iter();
    names.map(|name| name.as_ref().to_vec()).collect()
}
