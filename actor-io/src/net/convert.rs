//! From and to the standard library's sockets.

use std::io;
use std::net;
use std::os::fd::OwnedFd;
use std::os::unix::net as unix;

use super::{TcpListener, TcpStream, UdpSocket, UnixDatagram, UnixListener, UnixStream};

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
