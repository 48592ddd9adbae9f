//! The methods and traits that streams, listeners and datagram sockets share, written once.

/// Defines what every kind of socket has. `$make` is Rust code, for the examples, that makes one.
macro_rules! socket_methods {
    ($type:ident, $kind:expr, $place:literal, $make:literal) => {
        impl<F: Family> $type<F> {
            pub(super) fn from_handle(socket: Handle) -> Self {
                $type {
                    socket,
                    family: PhantomData,
                }
            }

            /// Another handle of the same socket, for whose operations there is a deadline: all of
            /// them, whatever they wait for, for as long as the handle is used. The socket itself, its
            /// other handles and its timeouts stay as they are; what comes first counts.
            ///
            /// What takes place after the deadline is tried once, and fails with
            /// [`TimedOut`](io::ErrorKind::TimedOut) if it would have to wait.
            ///
            /// ```
            /// use std::time::Duration;
            /// use actor_core::time;
            ///
            #[doc = concat!("let socket = ", $make, ";")]
            /// let limited = socket.with_deadline(time::now() + Duration::from_secs(5));
            /// assert_eq!(limited.local_addr().is_ok(), socket.local_addr().is_ok());
            /// ```
            pub fn with_deadline(&self, deadline: Instant) -> Self {
                Self::from_handle(self.socket.with_deadline(deadline))
            }

            /// As [`with_deadline`](Self::with_deadline), for a time that begins now.
            ///
            /// ```
            /// use std::time::Duration;
            ///
            #[doc = concat!("let socket = ", $make, ";")]
            /// let limited = socket.with_timeout(Duration::from_secs(5));
            /// ```
            pub fn with_timeout(&self, timeout: Duration) -> Self {
                Self::from_handle(self.socket.with_timeout(timeout))
            }

            /// Another handle of the same socket.
            ///
            /// Unlike the standard library's it makes no second descriptor: all handles share one, as
            /// well as the timeouts, and the socket is closed when the last of them has been dropped.
            /// It never fails; the result is there for the sake of the name.
            ///
            /// ```
            /// use std::os::fd::AsRawFd;
            ///
            #[doc = concat!("let socket = ", $make, ";")]
            /// let other = socket.try_clone().unwrap();
            /// assert_eq!(other.as_raw_fd(), socket.as_raw_fd());
            /// ```
            pub fn try_clone(&self) -> io::Result<Self> {
                Ok(self.handle())
            }

            /// What [`try_clone`](Self::try_clone) wraps.
            pub(crate) fn handle(&self) -> Self {
                Self::from_handle(self.socket.clone())
            }

            /// Whether there are other handles of this socket: clones or halves that are still alive.
            ///
            /// ```
            #[doc = concat!("let socket = ", $make, ";")]
            /// let other = socket.try_clone().unwrap();
            /// assert!(socket.is_shared());
            /// drop(other);
            /// assert!(!socket.is_shared());
            /// ```
            pub fn is_shared(&self) -> bool {
                self.socket.is_shared()
            }

            /// The address of this end.
            ///
            /// ```
            #[doc = concat!("let socket = ", $make, ";")]
            /// println!("{:?}", socket.local_addr().unwrap());
            /// ```
            pub fn local_addr(&self) -> io::Result<F::Addr> {
                self.socket.local_addr::<F>()
            }

            /// Has operations of all handles fail with [`WouldBlock`](io::ErrorKind::WouldBlock)
            /// instead of waiting, or lets them wait again.
            ///
            /// ```
            #[doc = concat!("let socket = ", $make, ";")]
            /// socket.set_nonblocking(true).unwrap();
            /// ```
            pub fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
                self.socket.set_nonblocking(nonblocking);
                Ok(())
            }

            /// Takes the error that is pending on the socket, if there is one.
            ///
            /// ```
            #[doc = concat!("let socket = ", $make, ";")]
            /// assert!(socket.take_error().unwrap().is_none());
            /// ```
            pub fn take_error(&self) -> io::Result<Option<io::Error>> {
                self.socket.options().take_error()
            }

            /// All the other options of the socket, and operations that never wait. To the system it
            /// must stay non-blocking.
            ///
            /// ```
            #[doc = concat!("let socket = ", $make, ";")]
            /// socket.socket_ref().set_recv_buffer_size(1 << 16).unwrap();
            /// ```
            pub fn socket_ref(&self) -> SockRef<'_> {
                self.socket.options()
            }
        }

        impl<F: Family> AsFd for $type<F> {
            fn as_fd(&self) -> BorrowedFd<'_> {
                self.socket.as_fd()
            }
        }

        impl<F: Family> AsRawFd for $type<F> {
            fn as_raw_fd(&self) -> RawFd {
                self.socket.as_raw_fd()
            }
        }

        /// Takes over a socket that was set up by other means, with its timeouts, and makes it
        /// non-blocking. One of another family or kind is refused with
        /// [`InvalidInput`](io::ErrorKind::InvalidInput), and closed.
        impl<F: Family> TryFrom<OwnedFd> for $type<F> {
            type Error = io::Error;

            fn try_from(fd: OwnedFd) -> io::Result<Self> {
                Ok(Self::from_handle(take_over::<F>(fd, $kind)?))
            }
        }

        /// Takes over a socket, with its options and timeouts, and makes it non-blocking. One of
        /// another family or kind is refused with [`InvalidInput`](io::ErrorKind::InvalidInput), and
        /// closed.
        impl<F: Family> TryFrom<socket2::Socket> for $type<F> {
            type Error = io::Error;

            fn try_from(socket: socket2::Socket) -> io::Result<Self> {
                OwnedFd::from(socket).try_into()
            }
        }

        /// Gives the socket, with its timeouts, to blocking code. Fails with
        /// [`ResourceBusy`](io::ErrorKind::ResourceBusy) while it is shared, since the other handles
        /// need it non-blocking.
        impl<F: Family> TryFrom<$type<F>> for OwnedFd {
            type Error = io::Error;

            fn try_from(socket: $type<F>) -> io::Result<OwnedFd> {
                give_up(socket.socket)
            }
        }

        /// Gives the socket, with its timeouts, to blocking code. Fails with
        /// [`ResourceBusy`](io::ErrorKind::ResourceBusy) while it is shared, since the other handles
        /// need it non-blocking.
        impl<F: Family> TryFrom<$type<F>> for socket2::Socket {
            type Error = io::Error;

            fn try_from(socket: $type<F>) -> io::Result<socket2::Socket> {
                Ok(OwnedFd::try_from(socket)?.into())
            }
        }

        impl<F: Family> fmt::Debug for $type<F> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let mut debug = f.debug_struct(F::SOCKETS[$place]);
                debug.field("addr", &self.local_addr().ok());
                if let Ok(peer) = self.socket.peer_addr::<F>() {
                    debug.field("peer", &peer);
                }
                debug.field("fd", &self.as_raw_fd()).finish()
            }
        }
    };
}

/// Defines the timeouts, for kinds of sockets that read and write. `$reads` and `$writes` say how.
macro_rules! timeout_methods {
    ($type:ident, $reads:literal, $writes:literal, $make:literal) => {
        impl<F: Family> $type<F> {
            #[doc = concat!("Limits how long a ", $reads, " waits; `None`, the default, is no limit.")]
            /// Holds for all handles, for operations that begin after it. Zero is refused.
            ///
            /// ```
            /// use std::time::Duration;
            ///
            #[doc = concat!("let socket = ", $make, ";")]
            /// socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
            /// assert!(socket.set_read_timeout(Some(Duration::ZERO)).is_err());
            /// ```
            pub fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
                self.socket.set_timeout(Direction::Read, timeout)
            }

            #[doc = concat!("Limits how long a ", $writes, " waits for room.")]
            /// As [`set_read_timeout`](Self::set_read_timeout) otherwise.
            ///
            /// ```
            /// use std::time::Duration;
            ///
            #[doc = concat!("let socket = ", $make, ";")]
            /// socket.set_write_timeout(Some(Duration::from_secs(5))).unwrap();
            /// ```
            pub fn set_write_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
                self.socket.set_timeout(Direction::Write, timeout)
            }

            #[doc = concat!("How long a ", $reads, " may wait: see")]
            /// [`set_read_timeout`](Self::set_read_timeout).
            ///
            /// ```
            #[doc = concat!("let socket = ", $make, ";")]
            /// assert_eq!(socket.read_timeout().unwrap(), None);
            /// ```
            pub fn read_timeout(&self) -> io::Result<Option<Duration>> {
                Ok(self.socket.timeout(Direction::Read))
            }

            #[doc = concat!("How long a ", $writes, " may wait: see")]
            /// [`set_write_timeout`](Self::set_write_timeout).
            ///
            /// ```
            #[doc = concat!("let socket = ", $make, ";")]
            /// assert_eq!(socket.write_timeout().unwrap(), None);
            /// ```
            pub fn write_timeout(&self) -> io::Result<Option<Duration>> {
                Ok(self.socket.timeout(Direction::Write))
            }
        }
    };
}

/// Defines the options of IPv4 packets.
macro_rules! ttl_methods {
    ($type:ty, $setup:literal, $make:literal) => {
        impl $type {
            /// Sets the time to live of packets sent (IPv4).
            ///
            /// ```
            #[doc = $setup]
            #[doc = concat!("let socket = ", $make, ";")]
            /// socket.set_ttl(42).unwrap();
            /// assert_eq!(socket.ttl().unwrap(), 42);
            /// ```
            pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
                self.socket.options().set_ttl_v4(ttl)
            }

            /// The time to live of packets sent (IPv4): see [`set_ttl`](Self::set_ttl).
            ///
            /// ```
            #[doc = $setup]
            #[doc = concat!("let socket = ", $make, ";")]
            /// assert!(socket.ttl().unwrap() > 0);
            /// ```
            pub fn ttl(&self) -> io::Result<u32> {
                self.socket.options().ttl_v4()
            }
        }
    };
}
