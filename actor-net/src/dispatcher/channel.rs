//! [`Channel`]: the socket of a dispatcher.

use std::fmt;
use std::io;
use std::mem;
use std::net::{Shutdown, SocketAddr};
use std::os::fd::OwnedFd;
use std::sync::Arc;

use actor_core::reactor::{Direction, Source, Watch};
use actor_io::__private::connect_outcome;
use actor_io::{TcpListener, TcpStream, ToAddrs};
use socket2::{Domain, Protocol, SockAddr, SockRef, Socket, Type};

use super::map::Place;
use super::output::{DEFAULT_OUTPUT, Output, OutputFull};
use crate::closing::{self, Closed, Manner, recv, send};
use crate::server::DEFAULT_LINGER;

/// The socket of a [`Dispatcher`](super::Dispatcher), with what is still to be sent to it.
///
/// Its operations never wait. It is closed when it is dropped.
///
/// ```
/// use actor_net::dispatcher::Channel;
///
/// let listener = Channel::listen("127.0.0.1:0").unwrap();
/// let client = Channel::connect(listener.local_addr().unwrap()).unwrap();
/// assert_eq!(client.pending(), 0);
/// ```
pub struct Channel {
    source: Option<Source>,
    role: Role,
    /// The peer has sent all, or is lost.
    ended: bool,
    /// That has been said. If a peer is lost that had sent all, it is to be said anew.
    pub(super) said: bool,
    /// Something has been received and not been handled: there is to be another turn to read, even if
    /// nothing more comes in.
    pub(super) unhandled: bool,
    /// What is sent is gathered, to go out at the end of the turn.
    pub(super) gathers: bool,
    /// To be closed once all has been sent.
    closes: bool,
    limit: usize,
    output: Option<Box<Output>>,
    error: Option<Box<io::Error>>,
    pub(super) place: Option<Place>,
}

/// What a channel is at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Listener,
    Connecting,
    Stream,
}

impl Channel {
    fn new(fd: impl Into<OwnedFd>, role: Role) -> io::Result<Channel> {
        Ok(Channel {
            source: Some(Source::new(fd)?),
            role,
            ended: false,
            said: false,
            unhandled: false,
            gathers: false,
            closes: false,
            limit: DEFAULT_OUTPUT,
            output: None,
            error: None,
            place: None,
        })
    }

    /// A channel that accepts connections on the first of these addresses that can be had. Waits only
    /// where there is a name to be looked up.
    ///
    /// # Errors
    ///
    /// As [`TcpListener::bind`].
    ///
    /// ```
    /// let listener = actor_net::dispatcher::Channel::listen("127.0.0.1:0").unwrap();
    /// assert_ne!(listener.local_addr().unwrap().port(), 0);
    /// ```
    pub fn listen(addr: impl ToAddrs) -> io::Result<Channel> {
        Channel::try_from(TcpListener::bind(addr)?)
    }

    /// A channel that is being connected to `addr`: [`handle_connect`](super::Dispatcher::handle_connect)
    /// says that it is, [`handle_error`](super::Dispatcher::handle_error) that it cannot be. Does not
    /// wait.
    ///
    /// # Errors
    ///
    /// Those that the system has at once.
    ///
    /// ```
    /// use actor_net::dispatcher::Channel;
    ///
    /// let listener = Channel::listen("127.0.0.1:0").unwrap();
    /// Channel::connect(listener.local_addr().unwrap()).unwrap();
    /// ```
    pub fn connect(addr: SocketAddr) -> io::Result<Channel> {
        let kind = Type::STREAM.nonblocking().cloexec();
        let socket = Socket::new(Domain::for_address(addr), kind, Some(Protocol::TCP))?;
        // Before the reactor hears of it: a socket that has never been connected polls as hung up.
        match socket.connect(&addr.into()) {
            Ok(()) => {}
            Err(error) if is_under_way(&error) => {}
            Err(error) => return Err(error),
        }
        Channel::new(socket, Role::Connecting)
    }

    /// A channel of a connected stream socket, of whichever family.
    ///
    /// # Errors
    ///
    /// Those of the system; [`InvalidInput`](io::ErrorKind::InvalidInput) if it is no stream socket, or one that
    /// listens.
    ///
    /// ```
    /// use actor_net::dispatcher::Channel;
    /// use std::os::unix::net::{UnixListener, UnixStream};
    ///
    /// let (near, _far) = UnixStream::pair().unwrap();
    /// Channel::adopt(near).unwrap();
    ///
    /// let path = std::env::temp_dir().join(format!("adopt-{}", std::process::id()));
    /// let listener = UnixListener::bind(&path).unwrap();
    /// assert!(Channel::adopt(listener).is_err());
    /// # std::fs::remove_file(path).unwrap();
    /// ```
    pub fn adopt(fd: impl Into<OwnedFd>) -> io::Result<Channel> {
        let fd = fd.into();
        if SockRef::from(&fd).r#type()? != Type::STREAM {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "the descriptor is not that of a stream socket",
            ));
        }
        if SockRef::from(&fd).is_listener()? {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "the socket listens: `Channel::listen` makes a channel that accepts",
            ));
        }
        Channel::new(fd, Role::Stream)
    }

    /// Accepts a connection, if one waits.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if none waits; those of the system, among which a shortage
    /// of descriptors; [`NotConnected`](io::ErrorKind::NotConnected) if the channel is closed.
    ///
    /// ```
    /// use actor_net::dispatcher::Channel;
    /// use std::net::TcpStream;
    ///
    /// let mut listener = Channel::listen("127.0.0.1:0").unwrap();
    /// let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    /// let (_, peer) = listener.accept().unwrap();
    /// assert_eq!(peer, client.local_addr().unwrap());
    /// ```
    pub fn accept(&mut self) -> io::Result<(Channel, SocketAddr)> {
        let source = self.source.as_ref().ok_or_else(closed)?;
        let (socket, peer) = source.try_io(Direction::Read, |fd| SockRef::from(&fd).accept())?;
        let peer = peer.as_socket().ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidData, "a peer without an address")
        })?;
        Ok((Channel::new(socket, Role::Stream)?, peer))
    }

    /// Receives what has come in. Zero, for a buffer that is not empty, says that the peer has sent all,
    /// or is lost; [`error`](Self::error) tells, and [`handle_close`](super::Dispatcher::handle_close)
    /// follows.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if nothing has come in, which a handler may pass on with
    /// `?`; [`NotConnected`](io::ErrorKind::NotConnected) if the channel is closed.
    ///
    /// ```
    /// use actor_net::dispatcher::Channel;
    /// use std::io::Write;
    /// use std::os::unix::net::UnixStream;
    ///
    /// let (near, mut far) = UnixStream::pair().unwrap();
    /// let mut near = Channel::adopt(near).unwrap();
    /// far.write_all(b"hello").unwrap();
    /// let mut bytes = [0; 100];
    /// assert_eq!(near.recv(&mut bytes).unwrap(), 5);
    /// ```
    pub fn recv(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let source = self.source.as_ref().ok_or_else(closed)?;
        if self.ended || buf.is_empty() {
            return Ok(0);
        }
        let received = source.try_io_stream(Direction::Read, buf.len(), |fd| recv(fd, buf));
        match received {
            Ok(0) => {
                self.ended = true;
                Ok(0)
            }
            Err(error) if !is_passing(&error) => {
                self.lose(error);
                Ok(0)
            }
            received => received,
        }
    }

    /// Sends what the system takes at once, and says how much that was. See [`push`](Self::push) for what
    /// takes all.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if that is nothing, or if something is still
    /// [pending](Self::pending); [`BrokenPipe`](io::ErrorKind::BrokenPipe) and the like if the peer is lost,
    /// of which [`handle_close`](super::Dispatcher::handle_close) is told;
    /// [`NotConnected`](io::ErrorKind::NotConnected) if the channel is closed.
    ///
    /// ```
    /// use actor_net::dispatcher::Channel;
    /// use std::os::unix::net::UnixStream;
    ///
    /// let (near, _far) = UnixStream::pair().unwrap();
    /// assert_eq!(Channel::adopt(near).unwrap().send(b"hello").unwrap(), 5);
    /// ```
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.output.is_some() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.write(bytes)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let source = self.source.as_ref().ok_or_else(closed)?;
        if self.role == Role::Connecting {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        if bytes.is_empty() {
            return Ok(0);
        }
        source
            .try_io_stream(Direction::Write, bytes.len(), |fd| send(fd, bytes))
            .inspect_err(|error| {
                if !is_passing(error) {
                    // Whoever asks later gets one of the same kind.
                    self.lose(error.kind().into());
                }
            })
    }

    /// Sends all of `bytes`: at once as far as the system takes them, the rest when it does. This is the
    /// variant with a buffer for what is sent, asyncore's `dispatcher_with_send` and asynchat's `push`.
    ///
    /// In the dispatcher's own handlers it is gathered, and goes out at the end of the turn: one that waits
    /// in between calls [`flush`](Self::flush) before.
    ///
    /// While more is [pending](Self::pending) than half of the [limit](Self::set_output_limit), the
    /// dispatcher is not asked to read: a peer that does not take answers is not heard.
    ///
    /// # Errors
    ///
    /// [`OutputFull`] if more would be pending than the limit; nothing of it is sent then. What is sent to
    /// a channel that is closed, or whose peer is lost, goes nowhere, without an error: of that
    /// [`handle_close`](super::Dispatcher::handle_close) tells.
    ///
    /// ```
    /// use actor_net::dispatcher::Channel;
    /// use std::os::unix::net::UnixStream;
    ///
    /// let (near, _far) = UnixStream::pair().unwrap();
    /// let mut near = Channel::adopt(near).unwrap();
    /// near.set_output_limit(100);
    /// near.push(b"hello").unwrap();
    /// let error = near.push(&[0; 101]).unwrap_err();
    /// assert_eq!((error.wanted, error.limit), (101, 100));
    /// ```
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), OutputFull> {
        let pending = self.pending();
        if pending + bytes.len() > self.limit {
            return Err(OutputFull {
                wanted: bytes.len(),
                pending,
                limit: self.limit,
            });
        }
        if self.source.is_none() || self.error.is_some() || self.closes {
            return Ok(());
        }
        let mut sent = 0;
        while !self.gathers && self.output.is_none() && sent < bytes.len() {
            match self.write(&bytes[sent..]) {
                Ok(count) => sent += count,
                Err(error) if is_passing(&error) => break,
                // It is lost; the dispatcher is told by its next turn.
                Err(_) => {
                    self.look_again();
                    return Ok(());
                }
            }
        }
        if sent < bytes.len() {
            let output = self.output.get_or_insert_default();
            output.bytes.extend_from_slice(&bytes[sent..]);
        }
        Ok(())
    }

    /// How many bytes are still to be sent, of those that were [pushed](Self::push).
    ///
    /// ```
    /// use actor_net::dispatcher::Channel;
    /// use std::os::unix::net::UnixStream;
    ///
    /// let (near, _far) = UnixStream::pair().unwrap();
    /// assert_eq!(Channel::adopt(near).unwrap().pending(), 0);
    /// ```
    pub fn pending(&self) -> usize {
        self.output.as_ref().map_or(0, |output| output.rest().len())
    }

    /// How many bytes may be [pending](Self::pending); [`DEFAULT_OUTPUT`] otherwise.
    ///
    /// ```
    /// use actor_net::dispatcher::Channel;
    ///
    /// let mut channel = Channel::listen("127.0.0.1:0").unwrap();
    /// channel.set_output_limit(1 << 20);
    /// ```
    pub fn set_output_limit(&mut self, bytes: usize) {
        self.limit = bytes;
    }

    /// Closes the channel. What is pending is lost.
    ///
    /// Its dispatcher ends with the turn in which that happens; if it is closed in another handler, as
    /// soon as there is no other address of it.
    ///
    /// ```
    /// let mut channel = actor_net::dispatcher::Channel::listen("127.0.0.1:0").unwrap();
    /// channel.close();
    /// assert!(channel.is_closed());
    /// ```
    pub fn close(&mut self) {
        self.output = None;
        self.source = None;
        self.place = None;
    }

    /// Closes the channel in the orderly way: what is pending is sent first, and what the peer is still
    /// sending is read and thrown away, so that it gets all. That has a time limit of
    /// [`DEFAULT_LINGER`](crate::DEFAULT_LINGER), goes on without the dispatcher, and does not wait.
    ///
    /// Nothing more can be received or sent. In a [`Map`](super::Map) it counts until it is over. Outside a
    /// worker's thread it is [`close`](Self::close). A channel that is still being connected is closed like
    /// this once it is, and not before; how long that may take is the system's affair.
    ///
    /// ```
    /// use actor_net::dispatcher::Channel;
    /// use std::io::Read;
    /// use std::os::unix::net::UnixStream;
    ///
    /// actor_core::dispatch(|| {
    ///     let (near, mut far) = UnixStream::pair().unwrap();
    ///     let mut near = Channel::adopt(near).unwrap();
    ///     near.push(b"goodbye").unwrap();
    ///     near.close_when_done();
    ///     let mut text = String::new();
    ///     far.read_to_string(&mut text).unwrap();
    ///     assert_eq!(text, "goodbye");
    /// });
    /// ```
    pub fn close_when_done(&mut self) {
        if self.role == Role::Connecting && self.error.is_none() && !self.ended {
            // Once it is connected: see `flush`.
            self.closes = true;
            return;
        }
        let Some(source) = self.source.take() else {
            return;
        };
        let output = self.output.take().map_or_else(Vec::new, |mut output| {
            output.bytes.drain(..output.sent);
            mem::take(&mut output.bytes)
        });
        let manner = Manner {
            output,
            linger: DEFAULT_LINGER,
            hurry: false,
            sending: false,
        };
        match self.role {
            Role::Stream => closing::close(source, manner, Leave(self.place.take())),
            _ => self.place = None,
        }
    }

    /// Ends one side of the connection, or both.
    ///
    /// # Errors
    ///
    /// Those of the system; [`NotConnected`](io::ErrorKind::NotConnected) if the channel is closed.
    ///
    /// ```
    /// use actor_net::dispatcher::Channel;
    /// use std::net::Shutdown;
    /// use std::os::unix::net::UnixStream;
    ///
    /// let (near, _far) = UnixStream::pair().unwrap();
    /// Channel::adopt(near).unwrap().shutdown(Shutdown::Write).unwrap();
    /// ```
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.socket()?.shutdown(how)
    }

    /// Whether it has been closed, or is being [closed in the orderly way](Self::close_when_done).
    ///
    /// ```
    /// let channel = actor_net::dispatcher::Channel::listen("127.0.0.1:0").unwrap();
    /// assert!(!channel.is_closed());
    /// ```
    pub fn is_closed(&self) -> bool {
        self.source.is_none()
    }

    /// Why the peer was lost; `None` if it has not been, and if it has ended in the orderly way.
    ///
    /// ```
    /// let channel = actor_net::dispatcher::Channel::listen("127.0.0.1:0").unwrap();
    /// assert!(channel.error().is_none());
    /// ```
    pub fn error(&self) -> Option<&io::Error> {
        self.error.as_deref()
    }

    /// The address of this end.
    ///
    /// # Errors
    ///
    /// As [`peer_addr`](Self::peer_addr).
    ///
    /// ```
    /// let channel = actor_net::dispatcher::Channel::listen("127.0.0.1:0").unwrap();
    /// assert!(channel.local_addr().unwrap().ip().is_loopback());
    /// ```
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        internet(self.socket()?.local_addr()?)
    }

    /// The address of the peer.
    ///
    /// # Errors
    ///
    /// Those of the system; [`NotConnected`](io::ErrorKind::NotConnected) if the channel is closed;
    /// [`Unsupported`](io::ErrorKind::Unsupported) if it is not of the internet.
    ///
    /// ```
    /// use actor_net::dispatcher::Channel;
    /// use std::os::unix::net::UnixStream;
    ///
    /// let (near, _far) = UnixStream::pair().unwrap();
    /// assert!(Channel::adopt(near).unwrap().peer_addr().is_err());
    /// ```
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        internet(self.socket()?.peer_addr()?)
    }

    /// The socket, for its options.
    ///
    /// # Errors
    ///
    /// [`NotConnected`](io::ErrorKind::NotConnected) if the channel is closed.
    ///
    /// ```
    /// let channel = actor_net::dispatcher::Channel::listen("127.0.0.1:0").unwrap();
    /// channel.socket().unwrap().set_recv_buffer_size(1 << 20).unwrap();
    /// ```
    pub fn socket(&self) -> io::Result<SockRef<'_>> {
        let source = self.source.as_ref().ok_or_else(closed)?;
        Ok(SockRef::from(source))
    }

    /// Gives the socket back, still non-blocking; `None` if the channel is closed. What is pending is lost.
    ///
    /// ```
    /// let mut channel = actor_net::dispatcher::Channel::listen("127.0.0.1:0").unwrap();
    /// let fd = channel.take_fd().unwrap();
    /// assert!(channel.is_closed());
    /// ```
    pub fn take_fd(&mut self) -> Option<OwnedFd> {
        self.output = None;
        self.place = None;
        self.source.take().map(Source::into_fd)
    }

    /// Has the dispatcher asked again what it is interested in: to be called when that has been changed by
    /// another handler than its own, since nobody goes round to ask all of them.
    ///
    /// ```
    /// actor_net::dispatcher::Channel::listen("127.0.0.1:0").unwrap().look_again();
    /// ```
    pub fn look_again(&self) {
        if let Some(source) = &self.source {
            source.tell();
        }
    }

    // For turns --------------------------------------------------------------------------------

    pub(super) fn watch(&self, watch: Arc<dyn Watch>) -> io::Result<()> {
        self.source.as_ref().ok_or_else(closed)?.watch(watch)
    }

    /// Begins a turn; `false` if the channel is closed.
    pub(super) fn begin_turn(&mut self) -> bool {
        self.gathers = true;
        self.source
            .as_ref()
            .inspect(|source| source.rearm())
            .is_some()
    }

    pub(super) fn role(&self) -> Role {
        self.role
    }

    pub(super) fn is_ready(&self, direction: Direction) -> bool {
        let source = self.source.as_ref();
        source.is_some_and(|source| source.is_ready(direction))
    }

    /// How the attempt to connect has ended; `None` if it has not.
    pub(super) fn connected(&mut self) -> Option<io::Result<()>> {
        let source = self.source.as_ref()?;
        match source.try_io(Direction::Write, connect_outcome) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return None,
            Err(error) => return Some(Err(error)),
            Ok(()) => {}
        }
        // A free local port that happens to be the one asked for connects a socket to itself: nobody
        // listens there.
        if matches!((self.local_addr(), self.peer_addr()), (Ok(here), Ok(there)) if here == there) {
            return Some(Err(io::ErrorKind::ConnectionRefused.into()));
        }
        self.role = Role::Stream;
        Some(Ok(()))
    }

    /// Whether there is to be said that the peer has sent all, of which all has been handled, or is lost.
    pub(super) fn end_is_due(&self) -> bool {
        self.ended && !self.said && (!self.unhandled || self.error.is_some())
    }

    /// Whether there is something to be read, or what has been read to be handled.
    pub(super) fn is_readable(&self) -> bool {
        self.unhandled || (!self.ended && self.is_ready(Direction::Read))
    }

    /// Whether there is room for answers.
    pub(super) fn has_room(&self) -> bool {
        self.pending() <= self.limit / 2
    }

    /// Sends what is pending if there is no room otherwise; whether there is some then.
    pub(super) fn make_room(&mut self) -> bool {
        if !self.has_room() {
            self.flush();
        }
        self.has_room()
    }

    /// Sends what is pending now, as far as the system takes it.
    ///
    /// ```
    /// use actor_net::dispatcher::Channel;
    /// use std::os::unix::net::UnixStream;
    ///
    /// let (near, _far) = UnixStream::pair().unwrap();
    /// let mut near = Channel::adopt(near).unwrap();
    /// near.push(b"wait, please").unwrap();
    /// near.flush();
    /// assert_eq!(near.pending(), 0);
    /// ```
    pub fn flush(&mut self) {
        while let Some(mut output) = self.output.take() {
            match self.write(output.rest()) {
                Ok(count) => output.sent += count,
                Err(error) if is_passing(&error) => {
                    // What has been sent goes once it is half of all.
                    if output.sent > output.bytes.len() / 2 {
                        output.bytes.drain(..output.sent);
                        output.sent = 0;
                    }
                    self.output = Some(output);
                    break;
                }
                Err(_) => return,
            }
            if !output.rest().is_empty() {
                self.output = Some(output);
            }
        }
        if self.closes && self.role == Role::Stream {
            self.close_when_done();
        }
    }

    fn lose(&mut self, error: io::Error) {
        self.ended = true;
        self.output = None;
        if self.error.is_none() {
            self.error = Some(Box::new(error));
            self.said = false;
        }
    }
}

/// Leaves the map once the socket is closed.
struct Leave(Option<Place>);

impl Closed for Leave {
    fn closed(self, _: usize) {
        drop(self.0);
    }
}

impl TryFrom<TcpListener> for Channel {
    type Error = io::Error;

    /// Fails if somebody else has a handle of the listener as well.
    fn try_from(listener: TcpListener) -> io::Result<Channel> {
        Channel::new(std::net::TcpListener::try_from(listener)?, Role::Listener)
    }
}

impl TryFrom<TcpStream> for Channel {
    type Error = io::Error;

    /// Fails if somebody else has a handle of the stream as well.
    fn try_from(stream: TcpStream) -> io::Result<Channel> {
        Channel::new(std::net::TcpStream::try_from(stream)?, Role::Stream)
    }
}

impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Channel")
            .field("source", &self.source)
            .field("role", &self.role)
            .field("pending", &self.pending())
            .finish_non_exhaustive()
    }
}

fn closed() -> io::Error {
    io::Error::new(io::ErrorKind::NotConnected, "the channel is closed")
}

/// Whether it is worth another try.
pub(super) fn is_passing(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock
}

fn is_under_way(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EINPROGRESS | libc::EINTR | libc::EALREADY)
    )
}

fn internet(addr: SockAddr) -> io::Result<SocketAddr> {
    addr.as_socket()
        .ok_or_else(|| io::ErrorKind::Unsupported.into())
}
