//! Families of addresses.

use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::net;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net as unix;

use rustix::net::{AddressFamily, SocketAddrAny, SocketAddrUnix};

/// The addresses of a kind of socket: [`Internet`] or [`Unix`].
///
/// There are no others; a socket of another family is waited on as a
/// [`Descriptor`](crate::Descriptor).
///
/// ```
/// use actor_io::{Family, Stream};
///
/// fn is_local<F: Family>(stream: &Stream<F>) -> bool {
///     F::NAME == "Unix"
/// }
///
/// let (near, _far) = actor_io::UnixStream::pair().unwrap();
/// assert!(is_local(&near));
/// ```
pub trait Family: private::Family {
    /// An address.
    type Addr: Clone + fmt::Debug + Send + 'static;

    /// The name of the family.
    const NAME: &'static str;
}

/// Sockets of IPv4 and IPv6.
#[derive(Clone, Copy, Debug)]
pub enum Internet {}

/// Sockets within this machine, with paths of the file system or abstract names.
#[derive(Clone, Copy, Debug)]
pub enum Unix {}

impl Family for Internet {
    type Addr = net::SocketAddr;

    const NAME: &'static str = "Internet";
}

impl Family for Unix {
    type Addr = unix::SocketAddr;

    const NAME: &'static str = "Unix";
}

pub(super) mod private {
    use super::*;

    /// What the sockets need to know of a family.
    pub trait Family: Sized + Send + Sync + 'static {
        /// What its streams, listeners and datagram sockets are called.
        const SOCKETS: [&'static str; 3];

        /// Whether a read or a write on a stream that does less than was asked shows that the stream
        /// is exhausted, and that there will be an event when it no longer is.
        const SHORT_IS_EXHAUSTED: bool;

        /// Whether its sockets may be of this family of the system.
        fn includes(family: AddressFamily) -> bool;

        /// An address that the system has given; none is that of a socket without a name.
        fn decode(addr: Option<SocketAddrAny>) -> io::Result<<Self as super::Family>::Addr>
        where
            Self: super::Family;

        /// An address for the system.
        fn encode(addr: &<Self as super::Family>::Addr) -> io::Result<SocketAddrAny>
        where
            Self: super::Family;
    }

    impl Family for Internet {
        const SOCKETS: [&'static str; 3] = ["TcpStream", "TcpListener", "UdpSocket"];

        /// Only urgent data and the end of the stream also cut a read short, and the reactor knows of
        /// both; the system sends as much as its buffer holds, and notes that somebody wants more.
        const SHORT_IS_EXHAUSTED: bool = true;

        fn includes(family: AddressFamily) -> bool {
            matches!(family, AddressFamily::INET | AddressFamily::INET6)
        }

        fn decode(addr: Option<SocketAddrAny>) -> io::Result<net::SocketAddr> {
            addr.and_then(|addr| addr.try_into().ok())
                .ok_or_else(|| io::Error::other("the socket has no internet address"))
        }

        fn encode(addr: &net::SocketAddr) -> io::Result<SocketAddrAny> {
            Ok((*addr).into())
        }
    }

    impl Family for Unix {
        const SOCKETS: [&'static str; 3] = ["UnixStream", "UnixListener", "UnixDatagram"];

        /// What carries descriptors or credentials is kept apart from what follows.
        const SHORT_IS_EXHAUSTED: bool = false;

        fn includes(family: AddressFamily) -> bool {
            family == AddressFamily::UNIX
        }

        fn decode(addr: Option<SocketAddrAny>) -> io::Result<unix::SocketAddr> {
            match addr {
                Some(addr) if Self::includes(addr.address_family()) => match sun_path(&addr) {
                    [] => unnamed(),
                    [0, name @ ..] => unix::SocketAddr::from_abstract_name(name),
                    path => {
                        let len = path.iter().position(|&byte| byte == 0);
                        let path = &path[..len.unwrap_or(path.len())];
                        // A path may take all the room there is, and leave none for its end, where
                        // the type of the standard library wants it. Nobody must lose a connection
                        // to a peer of that name.
                        unix::SocketAddr::from_pathname(OsStr::from_bytes(path))
                            .or_else(|_| unnamed())
                    }
                },
                Some(_) => Err(io::Error::other("the socket has no Unix address")),
                None => unnamed(),
            }
        }

        fn encode(addr: &unix::SocketAddr) -> io::Result<SocketAddrAny> {
            let addr = match (addr.as_pathname(), addr.as_abstract_name()) {
                (Some(path), _) => SocketAddrUnix::new(path)?,
                (None, Some(name)) => SocketAddrUnix::new_abstract_name(name)?,
                (None, None) => SocketAddrUnix::new_unnamed(),
            };
            Ok(addr.into())
        }
    }

    /// What follows the family in a Unix address.
    fn sun_path(addr: &SocketAddrAny) -> &[u8] {
        // SAFETY: so many bytes of the address are initialised, and they live as long as it does.
        let bytes = unsafe {
            std::slice::from_raw_parts(addr.as_ptr().cast::<u8>(), addr.addr_len() as usize)
        };
        let begin = std::mem::offset_of!(libc::sockaddr_un, sun_path);
        bytes.get(begin..).unwrap_or_default()
    }

    fn unnamed() -> io::Result<unix::SocketAddr> {
        unix::SocketAddr::from_pathname("")
    }
}

#[cfg(test)]
mod tests {
    use super::private::Family as _;
    use super::*;

    #[test]
    fn unix_addresses_survive_the_way_to_the_system_and_back() {
        let path = unix::SocketAddr::from_pathname("/tmp/x").unwrap();
        let name = unix::SocketAddr::from_abstract_name(b"a\0b").unwrap();
        let unnamed = unix::SocketAddr::from_pathname("").unwrap();
        let back = |addr: &unix::SocketAddr| Unix::decode(Some(Unix::encode(addr)?));
        let path = back(&path).unwrap();
        assert_eq!(path.as_pathname().unwrap().to_str(), Some("/tmp/x"));
        let name = back(&name).unwrap();
        assert_eq!(name.as_abstract_name(), Some(&b"a\0b"[..]));
        assert!(back(&unnamed).unwrap().is_unnamed());
        assert!(Unix::decode(None).unwrap().is_unnamed());
    }

    #[test]
    fn a_path_that_takes_all_the_room_is_no_trouble() {
        // 108 bytes, and the system's own 109th behind them.
        let dir = std::env::temp_dir();
        let name = "x".repeat(107 - dir.as_os_str().len());
        let path = dir.join(name);
        assert_eq!(path.as_os_str().len(), 108);
        let socket = socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::DGRAM, None);
        let socket = socket.unwrap();
        let mut addr = libc::sockaddr_un {
            sun_family: libc::AF_UNIX as libc::sa_family_t,
            sun_path: [0; 108],
        };
        for (to, &from) in addr.sun_path.iter_mut().zip(path.as_os_str().as_bytes()) {
            *to = from as libc::c_char;
        }
        // SAFETY: the address is as long as is said, and the descriptor is open.
        let bound = unsafe {
            libc::bind(
                std::os::fd::AsRawFd::as_raw_fd(&socket),
                (&raw const addr).cast(),
                size_of_val(&addr) as libc::socklen_t,
            )
        };
        assert_eq!(bound, 0, "{}", io::Error::last_os_error());
        std::fs::remove_file(&path).unwrap();
        let addr = Unix::decode(Some(rustix::net::getsockname(&socket).unwrap())).unwrap();
        assert!(addr.is_unnamed());
    }

    #[test]
    fn an_address_of_another_family_is_an_error() {
        let unix = unix::SocketAddr::from_pathname("/tmp/x").unwrap();
        assert!(Internet::decode(Some(Unix::encode(&unix).unwrap())).is_err());
        let internet = "[fe80::1%3]:80".parse().unwrap();
        let encoded = Internet::encode(&internet).unwrap();
        assert_eq!(Internet::decode(Some(encoded.clone())).unwrap(), internet);
        assert!(Unix::decode(Some(encoded)).is_err());
    }
}
