//! From and to the standard library's sockets.

use std::io;
use std::net;
use std::os::fd::OwnedFd;
use std::os::unix::net as unix;

use actor_core::reactor::Source;

use super::{
    Family, Stream, TcpListener, TcpStream, UdpSocket, UnixDatagram, UnixListener, UnixStream,
};

macro_rules! conversions {
    ($($ours:ident: $std:ty),*) => {$(
        /// Takes over a socket with its timeouts, and makes it non-blocking.
        impl TryFrom<$std> for $ours {
            type Error = io::Error;

            fn try_from(socket: $std) -> io::Result<$ours> {
                OwnedFd::from(socket).try_into()
            }
        }

        /// Gives the socket, with its timeouts, to blocking code. Fails with
        /// [`ResourceBusy`](io::ErrorKind::ResourceBusy) while it is shared, since the other handles
        /// need it non-blocking.
        impl TryFrom<$ours> for $std {
            type Error = io::Error;

            fn try_from(socket: $ours) -> io::Result<$std> {
                Ok(OwnedFd::try_from(socket)?.into())
            }
        }
    )*};
}

conversions!(
    TcpStream: net::TcpStream,
    TcpListener: net::TcpListener,
    UdpSocket: net::UdpSocket,
    UnixStream: unix::UnixStream,
    UnixListener: unix::UnixListener,
    UnixDatagram: unix::UnixDatagram
);

/// What is beneath a stream, for who reads and writes by other means; its timeouts are lost. Fails as the other
/// conversions do.
#[doc(hidden)]
pub fn into_source<F: Family>(stream: Stream<F>) -> io::Result<Source> {
    Ok(stream.socket.into_parts()?.0)
}
