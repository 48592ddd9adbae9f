//! What is sent and received.

use std::fmt;

use bytes::Bytes;
use tungstenite::protocol::frame::coding::CloseCode as Code;
use tungstenite::protocol::{CloseFrame, Message as Raw};

pub use tungstenite::Utf8Bytes;

/// A message of a WebSocket: what the peer has sent as one, in however many frames.
///
/// A clone shares its bytes, so that one message for a thousand peers is in memory once. It can also be sent to
/// tasklets and actors: see [`WsReader::forward_to`](super::WsReader::forward_to).
///
/// ```
/// use actor_net::http::ws::Message;
///
/// let message = Message::from("hello");
/// assert_eq!(message.as_text(), Some("hello"));
/// assert_eq!(message, Message::Text("hello".into()));
/// assert_eq!(Message::from(vec![1, 2]).len(), 2);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// Text, which is valid UTF-8.
    Text(Utf8Bytes),
    /// Bytes.
    Binary(Bytes),
}

impl actor_core::Message for Message {
    type Reply = ();
}

impl Message {
    /// The text, if it is one.
    ///
    /// ```
    /// use actor_net::http::ws::Message;
    ///
    /// assert_eq!(Message::from(vec![1]).as_text(), None);
    /// ```
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Message::Text(text) => Some(text),
            Message::Binary(_) => None,
        }
    }

    /// Its bytes, whatever they are.
    ///
    /// ```
    /// use actor_net::http::ws::Message;
    ///
    /// assert_eq!(Message::from("a").as_bytes(), b"a");
    /// ```
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Message::Text(text) => text.as_ref(),
            Message::Binary(bytes) => bytes,
        }
    }

    /// Its bytes, whatever they are, without a copy.
    ///
    /// ```
    /// use actor_net::http::ws::Message;
    ///
    /// assert_eq!(Message::from("a").into_bytes(), "a");
    /// ```
    pub fn into_bytes(self) -> Bytes {
        match self {
            Message::Text(text) => text.into(),
            Message::Binary(bytes) => bytes,
        }
    }

    /// How many bytes it has.
    ///
    /// ```
    /// assert_eq!(actor_net::http::ws::Message::from("é").len(), 2);
    /// ```
    pub fn len(&self) -> usize {
        self.as_bytes().len()
    }

    /// Whether it has none.
    ///
    /// ```
    /// assert!(actor_net::http::ws::Message::from("").is_empty());
    /// ```
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What has been received, unless it is for the protocol alone.
    pub(super) fn received(raw: Raw) -> Option<Message> {
        match raw {
            Raw::Text(text) => Some(Message::Text(text)),
            Raw::Binary(bytes) => Some(Message::Binary(bytes)),
            _ => None,
        }
    }
}

impl From<&str> for Message {
    fn from(text: &str) -> Self {
        Message::Text(text.into())
    }
}

impl From<String> for Message {
    fn from(text: String) -> Self {
        Message::Text(text.into())
    }
}

impl From<Utf8Bytes> for Message {
    fn from(text: Utf8Bytes) -> Self {
        Message::Text(text)
    }
}

impl From<Vec<u8>> for Message {
    fn from(bytes: Vec<u8>) -> Self {
        Message::Binary(bytes.into())
    }
}

impl From<&[u8]> for Message {
    fn from(bytes: &[u8]) -> Self {
        Message::Binary(Bytes::copy_from_slice(bytes))
    }
}

impl From<Bytes> for Message {
    fn from(bytes: Bytes) -> Self {
        Message::Binary(bytes)
    }
}

/// Why a WebSocket ends, in a number (RFC 6455, section 7.4).
///
/// ```
/// use actor_net::http::ws::CloseCode;
///
/// assert_eq!(CloseCode(1000), CloseCode::NORMAL);
/// assert!(CloseCode(4001).can_be_sent()); // 3000 and above are the application's
/// assert!(!CloseCode::NO_STATUS.can_be_sent());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CloseCode(pub u16);

impl CloseCode {
    /// It has served its purpose.
    pub const NORMAL: CloseCode = CloseCode(1000);
    /// The server shuts down, or the user has left the page.
    pub const AWAY: CloseCode = CloseCode(1001);
    /// The peer has violated the protocol.
    pub const PROTOCOL: CloseCode = CloseCode(1002);
    /// A kind of message that is not understood here.
    pub const UNSUPPORTED: CloseCode = CloseCode(1003);
    /// The peer has given none. Is never sent.
    pub const NO_STATUS: CloseCode = CloseCode(1005);
    /// A message that is not what its kind says: text that is not UTF-8.
    pub const INVALID: CloseCode = CloseCode(1007);
    /// A message that is not allowed, for reasons of the application's.
    pub const POLICY: CloseCode = CloseCode(1008);
    /// A message that is too long.
    pub const TOO_LONG: CloseCode = CloseCode(1009);
    /// The server has failed.
    pub const ERROR: CloseCode = CloseCode(1011);
    /// The server starts again: the client may try soon.
    pub const RESTART: CloseCode = CloseCode(1012);
    /// The server is overloaded: the client may try later.
    pub const AGAIN: CloseCode = CloseCode(1013);

    /// Whether it may be sent; some are there for this end alone, and some for nobody.
    ///
    /// ```
    /// assert!(actor_net::http::ws::CloseCode::NORMAL.can_be_sent());
    /// ```
    pub fn can_be_sent(self) -> bool {
        Code::from(self.0).is_allowed()
    }
}

impl fmt::Display for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How the peer has said that the WebSocket ends.
///
/// ```
/// use actor_net::http::ws::{Close, CloseCode};
///
/// let close = Close { code: CloseCode::AWAY, reason: "lunch".to_owned() };
/// assert_eq!(close.to_string(), "1001 (lunch)");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Close {
    /// Why; [`NO_STATUS`](CloseCode::NO_STATUS) if it has not said.
    pub code: CloseCode,
    /// Why, in words for people who look for errors. Often empty.
    pub reason: String,
}

/// What is left in a control frame for the reason.
const LONGEST_REASON: usize = 123;

impl Close {
    pub(super) fn received(frame: Option<CloseFrame>) -> Close {
        match frame {
            Some(frame) => Close {
                code: CloseCode(frame.code.into()),
                reason: frame.reason.as_str().to_owned(),
            },
            None => Close {
                code: CloseCode::NO_STATUS,
                reason: String::new(),
            },
        }
    }

    /// As it is sent: a code that may not be is left out, and so is what is too long of a reason.
    pub(super) fn to_send(&self) -> Option<CloseFrame> {
        let fits = self.reason.floor_char_boundary(LONGEST_REASON);
        self.code.can_be_sent().then(|| CloseFrame {
            code: self.code.0.into(),
            reason: self.reason[..fits].into(),
        })
    }
}

impl fmt::Display for Close {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.reason.is_empty() {
            true => self.code.fmt(f),
            false => write!(f, "{} ({})", self.code, self.reason),
        }
    }
}
