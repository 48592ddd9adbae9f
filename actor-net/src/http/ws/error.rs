//! What can go wrong.

use std::error::Error;
use std::fmt;
use std::io;

use actor_core::{SpawnError, TimedOut};
use bytes::Bytes;
use http::{Response, StatusCode};
use tungstenite::error::{CapacityError, Error as Raw, ProtocolError};

use super::message::CloseCode;
use crate::ConnectError;
use crate::http::BadMessage;

/// Why a WebSocket has failed, or did not come about.
///
/// Only after [`TimedOut`](WsError::TimedOut) is there any use in going on.
///
/// ```
/// use actor_net::http::ws::{self, WsError};
///
/// assert!(matches!(ws::connect("gopher://example.com"), Err(WsError::Url(_))));
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum WsError {
    /// This end or the other has said that it is over, and nothing more can be sent.
    Closed,
    /// The time for the operation is over. Nothing that was received is lost; what was being sent goes out with
    /// what is sent next.
    TimedOut,
    /// The peer was silent for so long that it cannot be there any more.
    Silent,
    /// The connection has ended without a word of the peer's: it was lost, and so may be what was sent last.
    Cut,
    /// This end has said that it is over, and the peer has not in the [time](super::WsOptions::close) that it has
    /// for that. The connection was given up.
    Unanswered,
    /// Who was sending a message was stopped in the middle of it, and nobody was there to send the rest. Nothing
    /// else can follow half a message, so the connection was given up.
    Unfinished,
    /// The peer has violated the protocol, and has been told so.
    Protocol(Violation),
    /// The peer has sent text that is not UTF-8, and has been told so.
    NotUtf8,
    /// The peer has sent, or begun to send, what is longer than is [allowed](super::WsOptions), and has been
    /// told so.
    TooLong {
        /// How long it is, as far as it is known.
        size: usize,
        /// How long it may be.
        limit: usize,
    },
    /// Who was to be sent what the peer says has no room for it.
    Mailbox,
    /// No tasklet or actor could be had for it.
    Spawn(SpawnError),
    /// The stream has failed.
    Io(io::Error),
    /// The URL, which is shown without what may be a name and a password, is not that of a WebSocket.
    Url(String),
    /// The name of a header, or a subprotocol, that was to be sent and cannot be.
    Header(String),
    /// The server could not be reached.
    Connect(ConnectError),
    /// The server has answered something else, which is the beginning of its body.
    Refused(Box<Response<Bytes>>),
    /// What the server has answered cannot be understood.
    Answer(BadMessage),
    /// What the server has answered is no consent to what it was asked.
    Handshake(&'static str),
}

/// What is wrong with what a peer has sent.
///
/// ```
/// use actor_net::http::ws::{Violation, WsError};
///
/// fn log(error: &WsError) {
///     if let WsError::Protocol(violation) = error {
///         eprintln!("what was that? {violation}");
///     }
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation(ProtocolError);

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self.0 {
            ProtocolError::NonZeroReservedBits => "a reserved bit is set",
            ProtocolError::UnmaskedFrameFromClient => "a frame from a client is not masked",
            ProtocolError::MaskedFrameFromServer => "a frame from a server is masked",
            ProtocolError::FragmentedControlFrame => "a control frame is fragmented",
            ProtocolError::ControlFrameTooBig => "a control frame is too long",
            ProtocolError::UnknownControlFrameType(_)
            | ProtocolError::UnknownDataFrameType(_)
            | ProtocolError::InvalidOpcode(_) => "a frame is of an unknown kind",
            ProtocolError::UnexpectedContinueFrame => "a fragment belongs to no message",
            ProtocolError::ExpectedFragment(_) => "a message begins within another",
            ProtocolError::InvalidCloseSequence => "the code of a close frame is incomplete",
            ProtocolError::ReceivedAfterClosing => "something comes after the end",
            ref other => return write!(f, "{other}"),
        };
        f.write_str(text)
    }
}

impl WsError {
    /// What of the protocol's errors ends a connection whose end has not been agreed upon.
    pub(super) fn of(error: Raw) -> WsError {
        match error {
            Raw::Protocol(ProtocolError::ResetWithoutClosingHandshake) => WsError::Cut,
            Raw::Protocol(ProtocolError::SendAfterClosing) => WsError::Closed,
            Raw::Protocol(error) => WsError::Protocol(Violation(error)),
            Raw::Capacity(CapacityError::MessageTooLong { size, max_size }) => WsError::TooLong {
                size,
                limit: max_size,
            },
            Raw::Utf8(_) => WsError::NotUtf8,
            Raw::Io(error) => WsError::Io(error),
            Raw::ConnectionClosed | Raw::AlreadyClosed => WsError::Closed,
            other => WsError::Io(io::Error::other(other)),
        }
    }

    /// What the peer is told.
    pub(super) fn code(&self) -> Option<CloseCode> {
        match self {
            WsError::Protocol(_) => Some(CloseCode::PROTOCOL),
            WsError::NotUtf8 => Some(CloseCode::INVALID),
            WsError::TooLong { .. } => Some(CloseCode::TOO_LONG),
            WsError::Mailbox => Some(CloseCode::AGAIN),
            _ => None,
        }
    }

    /// The status with which a server has refused.
    ///
    /// ```
    /// use actor_net::http::ws::WsError;
    ///
    /// assert_eq!(WsError::Closed.status(), None);
    /// ```
    pub fn status(&self) -> Option<StatusCode> {
        match self {
            WsError::Refused(response) => Some(response.status()),
            _ => None,
        }
    }
}

impl fmt::Display for WsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WsError::Closed => f.write_str("the WebSocket is closed"),
            WsError::TimedOut => TimedOut.fmt(f),
            WsError::Silent => f.write_str("the peer does not answer any more"),
            WsError::Cut => f.write_str("the connection has ended without a close frame"),
            WsError::Unanswered => f.write_str("the peer has not agreed to the end in time"),
            WsError::Unfinished => {
                f.write_str("who was sending was stopped in the middle of a message")
            }
            WsError::Protocol(violation) => violation.fmt(f),
            WsError::NotUtf8 => f.write_str("text that is not UTF-8"),
            WsError::TooLong { size, limit } => {
                write!(f, "{size} bytes are more than the {limit} allowed")
            }
            WsError::Mailbox => f.write_str("the mailbox of who was to be sent it is full"),
            WsError::Spawn(error) => error.fmt(f),
            WsError::Io(error) => error.fmt(f),
            WsError::Url(url) => write!(f, "`{url}` is not the URL of a WebSocket"),
            WsError::Header(header) => write!(f, "`{header}` cannot be sent in a header"),
            WsError::Connect(error) => error.fmt(f),
            WsError::Refused(response) => write!(f, "refused with {}", response.status()),
            WsError::Answer(error) => error.fmt(f),
            WsError::Handshake(what) => f.write_str(what),
        }
    }
}

impl Error for WsError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            WsError::Io(error) => error.source(),
            WsError::Spawn(error) => error.source(),
            WsError::Connect(error) => error.source(),
            WsError::Answer(error) => error.source(),
            _ => None,
        }
    }
}

impl From<TimedOut> for WsError {
    fn from(TimedOut: TimedOut) -> Self {
        WsError::TimedOut
    }
}

impl From<io::Error> for WsError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::TimedOut => WsError::TimedOut,
            _ => WsError::Io(error),
        }
    }
}

impl From<SpawnError> for WsError {
    fn from(error: SpawnError) -> Self {
        WsError::Spawn(error)
    }
}

impl From<ConnectError> for WsError {
    fn from(error: ConnectError) -> Self {
        match error {
            ConnectError::TimedOut { .. } => WsError::TimedOut,
            error => WsError::Connect(error),
        }
    }
}

/// Of a kind that a [`Server`](crate::Server) takes for what it is: a peer that has gone is an everyday thing.
impl From<WsError> for io::Error {
    fn from(error: WsError) -> Self {
        let kind = match error {
            WsError::Io(error) => return error,
            WsError::Connect(error) => return error.into(),
            WsError::Closed => io::ErrorKind::BrokenPipe,
            WsError::TimedOut | WsError::Silent | WsError::Unanswered => io::ErrorKind::TimedOut,
            WsError::Cut => io::ErrorKind::UnexpectedEof,
            WsError::Unfinished => io::ErrorKind::ConnectionAborted,
            WsError::Mailbox | WsError::Spawn(_) => io::ErrorKind::OutOfMemory,
            WsError::Url(_) | WsError::Header(_) => io::ErrorKind::InvalidInput,
            WsError::Refused(_) => io::ErrorKind::ConnectionRefused,
            WsError::Protocol(_)
            | WsError::NotUtf8
            | WsError::TooLong { .. }
            | WsError::Answer(_)
            | WsError::Handshake(_) => io::ErrorKind::InvalidData,
        };
        io::Error::new(kind, error)
    }
}
