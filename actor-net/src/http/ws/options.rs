//! [`WsOptions`].

use std::time::Duration;

use tungstenite::protocol::WebSocketConfig;

/// How much of a message is encoded and sent at once: the size of the frames that long ones are sent in.
pub(super) const PIECE: usize = 64 * 1024;

/// How much that reading has to say may wait to be sent. Each answer replaces the one before if there is no room.
pub(super) const ANSWERS: usize = 2 * PIECE;

/// What is read at once for the protocol's buffer, which is there while the WebSocket is.
const READ_BUFFER: usize = 4 * 1024;

/// The pages whose scripts may connect to a server.
///
/// A browser connects to any server that a script asks it to, with the user's cookies, and says where the script
/// comes from; it is for the server to refuse. Clients that are no browsers say nothing, and are not refused.
///
/// ```
/// use actor_net::http::ws::{Origins, WsOptions};
///
/// let options = WsOptions::default().with(|options| {
///     options.origins = Origins::Only(vec!["https://www.example.com".to_owned()]);
/// });
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Origins {
    /// Those of the host that the request is for. A proxy in between has to hand on that name.
    #[default]
    SameHost,
    /// Those of these origins, each a scheme and a host, and a port if it is not the scheme's own.
    Only(Vec<String>),
    /// Everybody's, or those that the handler has looked at itself.
    Any,
}

/// What a peer may send, and how long things may take.
///
/// ```
/// use actor_net::http::ws::WsOptions;
///
/// let options = WsOptions::default().with(|options| {
///     options.message = 64 * 1024;
///     options.ping = None;
/// });
/// assert_eq!(options.frame, 1024 * 1024);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WsOptions {
    /// How long a message may be, in all its frames: 4 MiB. Who sends a longer one is told so with the code 1009,
    /// and the connection ends.
    pub message: usize,
    /// How long a frame may be: 1 MiB. So much memory is taken as soon as a frame of that length has begun.
    pub frame: usize,
    /// How long the peer may be silent before it is asked whether it is still there: half a minute. `None` if it
    /// is never asked. It is asked while somebody reads.
    pub ping: Option<Duration>,
    /// How long it may then take to say anything: half a minute. The connection is given up after that.
    pub pong: Duration,
    /// How long a message may take to be sent: half a minute. A peer that does not read makes sending wait.
    pub send: Option<Duration>,
    /// How much may wait in the mailbox of a [`WsSender`](super::WsSender), if that mailbox has a bound, in the bytes of all
    /// messages together: 4 MiB. What is done with more is what is done with too many messages. A single one that is longer
    /// is taken if no other waits. One that was sent to a thousand peers is in memory once, and counts for each.
    pub outbox: usize,
    /// How long the peer may take to agree to the end: five seconds. The connection is given up after that.
    pub close: Duration,
    /// The subprotocols that a server speaks, the one it likes best first; none. Clients [offer](super::WsConnector::protocol) theirs.
    pub protocols: Vec<String>,
    /// Whose scripts may connect to a server: those of its own pages.
    pub origins: Origins,
}

impl Default for WsOptions {
    fn default() -> Self {
        WsOptions {
            message: 4 * 1024 * 1024,
            frame: 1024 * 1024,
            ping: Some(Duration::from_secs(30)),
            pong: Duration::from_secs(30),
            send: Some(Duration::from_secs(30)),
            outbox: 4 * 1024 * 1024,
            close: Duration::from_secs(5),
            protocols: Vec::new(),
            origins: Origins::SameHost,
        }
    }
}

impl WsOptions {
    /// These options with some of them changed.
    ///
    /// ```
    /// use actor_net::http::ws::WsOptions;
    ///
    /// let options = WsOptions::default().with(|options| options.frame = 125);
    /// assert_eq!(options.frame, 125);
    /// ```
    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    pub(super) fn config(&self) -> WebSocketConfig {
        WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER)
            .write_buffer_size(0)
            .max_write_buffer_size(ANSWERS)
            .max_message_size(Some(self.message))
            .max_frame_size(Some(self.frame))
    }
}
