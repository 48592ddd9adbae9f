//! What only UDP has: addresses by name, broadcast and multicast.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::datagram::{DatagramSocket, UdpSocket};
use super::family::Internet;
use super::socket;
use crate::addrs::{ToAddrs, first_of};

impl DatagramSocket<Internet> {
    /// A socket with the first of these addresses that can be had. Port 0 asks the system for a free
    /// one. Waits only where there is a name to be looked up.
    ///
    /// # Errors
    ///
    /// That of the last address, if none can be had, or of the look-up: see [`ToAddrs::to_addrs`].
    ///
    /// ```
    /// let socket = actor_io::UdpSocket::bind("localhost:0").unwrap();
    /// assert!(socket.local_addr().unwrap().ip().is_loopback());
    /// ```
    pub fn bind(addr: impl ToAddrs) -> io::Result<UdpSocket> {
        first_of(addr, |addr| {
            Ok(DatagramSocket::from_handle(socket::bind::<Internet>(
                &addr,
            )?))
        })
    }

    /// Connects to the first of these addresses that the system takes: [`send`](Self::send) sends to
    /// it, and only what it sends is received. Nothing goes out, and nobody need be there.
    ///
    /// ```
    /// use actor_io::UdpSocket;
    ///
    /// let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    /// socket.connect("127.0.0.1:9").unwrap();
    /// assert_eq!(socket.peer_addr().unwrap().port(), 9);
    /// ```
    pub fn connect(&self, addr: impl ToAddrs) -> io::Result<()> {
        first_of(addr, |addr| self.socket.connect_to::<Internet>(&addr))
    }

    /// Sends a datagram to the first of these addresses. Waits while there is no room, and for the
    /// resolver where there is a name.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) if there is no address, otherwise as
    /// [`send`](Self::send).
    ///
    /// ```
    /// let socket = actor_io::UdpSocket::bind("127.0.0.1:0").unwrap();
    /// let addr = socket.local_addr().unwrap();
    /// assert_eq!(socket.send_to(b"abc", addr).unwrap(), 3);
    /// ```
    pub fn send_to(&self, buf: &[u8], addr: impl ToAddrs) -> io::Result<usize> {
        match addr.to_addrs()?.first() {
            Some(addr) => self.socket.send_to::<Internet>(buf, addr),
            None => Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "there is no address to send to",
            )),
        }
    }
}

ttl_methods!(
    DatagramSocket<Internet>,
    "",
    "actor_io::UdpSocket::bind(\"127.0.0.1:0\").unwrap()"
);

/// Defines pairs of methods that set an option and tell what it is.
macro_rules! option_methods {
    ($($what:literal, $socket:literal: $set:ident, $get:ident, $type:ty, $value:literal
        => $set_option:ident, $get_option:ident;)*) => {
        impl DatagramSocket<Internet> {$(
            #[doc = concat!("Sets ", $what, ".")]
            ///
            /// ```
            #[doc = concat!("let socket = actor_io::UdpSocket::bind(\"", $socket, "\").unwrap();")]
            #[doc = concat!("socket.", stringify!($set), "(", $value, ").unwrap();")]
            /// ```
            pub fn $set(&self, value: $type) -> io::Result<()> {
                self.socket.options().$set_option(value)
            }

            #[doc = concat!("Gets ", $what, ".")]
            ///
            /// ```
            #[doc = concat!("let socket = actor_io::UdpSocket::bind(\"", $socket, "\").unwrap();")]
            #[doc = concat!("socket.", stringify!($set), "(", $value, ").unwrap();")]
            #[doc = concat!("assert_eq!(socket.", stringify!($get), "().unwrap(), ", $value, ");")]
            /// ```
            pub fn $get(&self) -> io::Result<$type> {
                self.socket.options().$get_option()
            }
        )*}
    };
}

option_methods!(
    "whether datagrams may be sent to broadcast addresses", "127.0.0.1:0":
        set_broadcast, broadcast, bool, "true" => set_broadcast, broadcast;
    "whether multicast datagrams come back to this machine (IPv4)", "127.0.0.1:0":
        set_multicast_loop_v4, multicast_loop_v4, bool, "false"
        => set_multicast_loop_v4, multicast_loop_v4;
    "how far multicast datagrams go (IPv4)", "127.0.0.1:0":
        set_multicast_ttl_v4, multicast_ttl_v4, u32, "4"
        => set_multicast_ttl_v4, multicast_ttl_v4;
    "whether multicast datagrams come back to this machine (IPv6)", "[::1]:0":
        set_multicast_loop_v6, multicast_loop_v6, bool, "false"
        => set_multicast_loop_v6, multicast_loop_v6;
);

impl DatagramSocket<Internet> {
    /// Receives what is sent to the group `group`, on the interface with this address (unspecified: on
    /// that which the system picks).
    ///
    /// ```no_run
    /// use std::net::Ipv4Addr;
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let socket = actor_io::UdpSocket::bind("0.0.0.0:5353")?;
    /// socket.join_multicast_v4(&Ipv4Addr::new(224, 0, 0, 251), &Ipv4Addr::UNSPECIFIED)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn join_multicast_v4(&self, group: &Ipv4Addr, interface: &Ipv4Addr) -> io::Result<()> {
        self.socket.options().join_multicast_v4(group, interface)
    }

    /// Takes back [`join_multicast_v4`](UdpSocket::join_multicast_v4).
    ///
    /// ```no_run
    /// use std::net::Ipv4Addr;
    ///
    /// # fn main() -> std::io::Result<()> {
    /// # let socket = actor_io::UdpSocket::bind("0.0.0.0:5353")?;
    /// socket.leave_multicast_v4(&Ipv4Addr::new(224, 0, 0, 251), &Ipv4Addr::UNSPECIFIED)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn leave_multicast_v4(&self, group: &Ipv4Addr, interface: &Ipv4Addr) -> io::Result<()> {
        self.socket.options().leave_multicast_v4(group, interface)
    }

    /// Receives what is sent to the group `group`, on the interface with this index (0: on that which
    /// the system picks).
    ///
    /// ```no_run
    /// # fn main() -> std::io::Result<()> {
    /// let socket = actor_io::UdpSocket::bind("[::]:5353")?;
    /// socket.join_multicast_v6(&"ff02::fb".parse().unwrap(), 0)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn join_multicast_v6(&self, group: &Ipv6Addr, interface: u32) -> io::Result<()> {
        self.socket.options().join_multicast_v6(group, interface)
    }

    /// Takes back [`join_multicast_v6`](UdpSocket::join_multicast_v6).
    ///
    /// ```no_run
    /// # fn main() -> std::io::Result<()> {
    /// # let socket = actor_io::UdpSocket::bind("[::]:5353")?;
    /// socket.leave_multicast_v6(&"ff02::fb".parse().unwrap(), 0)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn leave_multicast_v6(&self, group: &Ipv6Addr, interface: u32) -> io::Result<()> {
        self.socket.options().leave_multicast_v6(group, interface)
    }
}
