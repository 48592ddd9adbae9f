//! The bytes beneath a connection.
//!
//! What reads and answers requests knows no more of them than this: that some can be received or sent without
//! waiting, or that the caller waits for them, and how they end.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Instant;

use actor_core::__private::begin_operation;
use actor_core::reactor::{Direction, Source};
use actor_core::time;
use bytes::{BufMut, BytesMut};
use rustix::net::{RecvFlags, SendFlags};

use super::conn::Conn;
use super::limits::Limits;
use super::peer::Facts;
use super::secure::Cover;
#[cfg(feature = "tls")]
use super::secure::Secure;

/// How much room there is to receive into.
const ROOM: usize = 16 * 1024;

/// How far a handshake has come.
pub(super) enum Handshake {
    Done,
    /// The peer is to do something, or it is not its turn.
    #[cfg_attr(not(feature = "tls"), expect(dead_code, reason = "there are none"))]
    GoesOn,
    #[cfg_attr(not(feature = "tls"), expect(dead_code, reason = "there are none"))]
    Failed,
}

/// What a stream is made of.
pub(super) struct Parts {
    pub(super) socket: OwnedFd,
    /// What encrypts it.
    pub(super) cover: Option<Cover>,
}

/// See the [module](self).
#[derive(Debug)]
pub(super) enum Stream {
    Plain(Source),
    /// In a box, since it is larger.
    #[cfg(feature = "tls")]
    Tls(Box<Secure>),
}

impl Stream {
    /// What becomes ready when there is something to receive.
    pub(super) fn source(&self) -> &Source {
        match self {
            Stream::Plain(source) => source,
            #[cfg(feature = "tls")]
            Stream::Tls(secure) => secure.source(),
        }
    }

    pub(super) fn is_encrypted(&self) -> bool {
        match self {
            Stream::Plain(_) => false,
            #[cfg(feature = "tls")]
            Stream::Tls(_) => true,
        }
    }

    /// What more is known of the peer.
    pub(super) fn facts(&self) -> Facts {
        match self {
            Stream::Plain(_) => None,
            #[cfg(feature = "tls")]
            Stream::Tls(secure) => Some(secure.session().clone()),
        }
    }

    /// Whether the two ends understand each other.
    pub(super) fn is_established(&self) -> bool {
        match self {
            Stream::Plain(_) => true,
            #[cfg(feature = "tls")]
            Stream::Tls(secure) => secure.is_established(),
        }
    }

    /// Sees to it that they do. `conn` is whose stream it is.
    #[cfg_attr(
        not(feature = "tls"),
        expect(unused_variables, reason = "nobody waits")
    )]
    pub(super) fn establish(&self, conn: &Arc<Conn>) -> Handshake {
        match self {
            Stream::Plain(_) => Handshake::Done,
            #[cfg(feature = "tls")]
            Stream::Tls(secure) => match secure.shake_hands(conn) {
                Ok(true) => Handshake::Done,
                Ok(false) => Handshake::GoesOn,
                Err(error) => {
                    conn.log_no_handshake(&error);
                    Handshake::Failed
                }
            },
        }
    }

    /// What it is made of.
    pub(super) fn into_parts(self) -> io::Result<Parts> {
        match self {
            Stream::Plain(source) => Ok(Parts {
                socket: source.into_fd(),
                cover: None,
            }),
            #[cfg(feature = "tls")]
            Stream::Tls(secure) => secure.into_parts(),
        }
    }

    /// The same, with another descriptor, where somebody is not done with this.
    pub(super) fn copy_parts(&self) -> io::Result<Parts> {
        let socket = self.as_fd().try_clone_to_owned()?;
        let cover = match self {
            Stream::Plain(_) => None,
            #[cfg(feature = "tls")]
            Stream::Tls(secure) => Some(secure.cover()?),
        };
        Ok(Parts { socket, cover })
    }

    /// Whether there is something to be sent that was left over.
    pub(super) fn has_unsent(&self) -> bool {
        match self {
            Stream::Plain(_) => false,
            #[cfg(feature = "tls")]
            Stream::Tls(secure) => secure.has_unsent(),
        }
    }

    /// Whether there is something to be done as soon as there is room to send.
    pub(super) fn waits_for_room(&self) -> bool {
        match self {
            Stream::Plain(_) => false,
            #[cfg(feature = "tls")]
            Stream::Tls(secure) => !secure.is_established() && secure.has_unsent(),
        }
    }

    /// Receives what there is, behind what is in the buffer. Never waits.
    pub(super) fn try_receive(&self, buffer: &mut BytesMut) -> io::Result<usize> {
        match self {
            Stream::Plain(source) => receive(buffer, |room, operation| {
                source.try_io_stream(Direction::Read, room, operation)
            }),
            #[cfg(feature = "tls")]
            Stream::Tls(secure) => secure.try_receive(buffer),
        }
    }

    /// The same, but waits if there is nothing.
    pub(super) fn receive(
        &self,
        buffer: &mut BytesMut,
        deadline: Option<Instant>,
    ) -> io::Result<usize> {
        match self {
            Stream::Plain(source) => receive(buffer, |room, operation| {
                source.io_stream(Direction::Read, deadline, room, operation)
            }),
            #[cfg(feature = "tls")]
            Stream::Tls(secure) => secure.receive(buffer, deadline),
        }
    }

    /// Sends some of it, as far as there is room. Never waits.
    pub(super) fn try_send(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Plain(source) => source.try_io_stream(Direction::Write, bytes.len(), |fd| {
                send(fd, bytes, SendFlags::empty())
            }),
            #[cfg(feature = "tls")]
            Stream::Tls(secure) => secure.try_send(bytes),
        }
    }

    /// Sends all of it, waiting for room as long as the limits allow. If `more` follows at once, the system may wait
    /// for that.
    pub(super) fn send_all(&self, bytes: &[u8], more: bool, limits: &Limits) -> io::Result<()> {
        match self {
            Stream::Plain(source) => send_all(source, bytes, more, limits),
            #[cfg(feature = "tls")]
            Stream::Tls(secure) => secure.send_all(bytes, more, limits),
        }
    }

    /// Gives up a handshake that has not been made: its turn and its timer.
    pub(super) fn end_handshake(&self) {
        match self {
            Stream::Plain(_) => {}
            #[cfg(feature = "tls")]
            Stream::Tls(secure) => secure.end_handshake(),
        }
    }

    /// What goes out of the socket when the stream ends with these words.
    pub(super) fn end(&self, words: Vec<u8>) -> Vec<u8> {
        match self {
            Stream::Plain(_) => words,
            #[cfg(feature = "tls")]
            Stream::Tls(secure) => secure.end(&words),
        }
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.source().as_fd()
    }
}

/// An operation on a socket that is tried, perhaps again and again.
type Operation<'a> = &'a mut dyn FnMut(BorrowedFd<'_>) -> io::Result<usize>;

/// Has `io` receive into the spare room of `buffer`.
fn receive(
    buffer: &mut BytesMut,
    io: impl FnOnce(usize, Operation<'_>) -> io::Result<usize>,
) -> io::Result<usize> {
    buffer.reserve(ROOM);
    let room = buffer.spare_capacity_mut().len();
    let count = io(room, &mut |fd| {
        let spare = buffer.spare_capacity_mut();
        let ((received, _), _) = rustix::net::recv(fd, spare, RecvFlags::empty())?;
        Ok(received.len())
    })?;
    // SAFETY: `recv` has just initialised so many bytes of the spare room, from its beginning on.
    unsafe { buffer.advance_mut(count) };
    Ok(count)
}

fn send(fd: BorrowedFd<'_>, bytes: &[u8], flags: SendFlags) -> io::Result<usize> {
    Ok(rustix::net::send(fd, bytes, flags | SendFlags::NOSIGNAL)?)
}

/// Sends what there is room for, waiting for some as long as the limits allow.
pub(super) fn send_some(
    source: &Source,
    bytes: &[u8],
    flags: SendFlags,
    limits: &Limits,
) -> io::Result<usize> {
    let operation = |fd: BorrowedFd<'_>| send(fd, bytes, flags);
    match source.try_io_stream(Direction::Write, bytes.len(), operation) {
        // Only now is the clock of interest.
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            let deadline = time::now().checked_add(limits.write_time);
            source.io_stream(Direction::Write, deadline, bytes.len(), operation)
        }
        other => other,
    }
}

fn send_all(source: &Source, mut bytes: &[u8], more: bool, limits: &Limits) -> io::Result<()> {
    let flags = match more {
        true => SendFlags::MORE,
        false => SendFlags::empty(),
    };
    while !bytes.is_empty() {
        match send_some(source, bytes, flags, limits)? {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            count => bytes = &bytes[count..],
        }
        if !bytes.is_empty() {
            // The peer may be as quick as this is, and others want their turn.
            begin_operation()?;
        }
    }
    Ok(())
}
