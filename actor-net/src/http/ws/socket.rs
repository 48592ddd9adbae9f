//! [`WebSocket`] and its halves.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::thread::panicking;
use std::time::{Duration, Instant};

use actor_core::{time, timeout};
use tungstenite::protocol::Role;

use super::error::WsError;
use super::message::{Close, CloseCode, Message};
use super::options::WsOptions;
use super::session::{Session, Step};
use super::transport::{Source, Transport};

/// What is read at once: the first time, and when it has turned out that there is much.
const FIRST_READ: usize = 4 * 1024;
const LARGEST_READ: usize = 64 * 1024;

/// When to try again to send what there was no room for.
const AGAIN: Duration = Duration::from_millis(50);

/// How much of what a peer still sends is read, and for how long, once all is over: it may be in the middle of
/// a message that is too long, and is to hear so.
const DRAIN_BYTES: usize = 8 * 1024 * 1024;
const DRAIN_TIME: Duration = Duration::from_secs(1);

/// A WebSocket: messages in both directions.
///
/// A server gets it from [`WebSocket::upgrade`], a client from [`connect`](super::connect). Reading and sending
/// wait, as those of a socket do. Pings are answered while somebody reads, and a peer that has been silent for
/// long is asked whether it is there; see [`WsOptions`]. One tasklet may use it as it is, or two, after a
/// [`split`](Self::split), one for each direction.
///
/// It is an iterator over what the peer sends, which ends when the peer says so, or after an error. Once the
/// current tasklet has been [asked to stop](actor_core::Tasklet::stop), reading says to the peer that this end goes
/// [away](CloseCode::AWAY), and ends when the peer has agreed: a server that shuts down takes leave of its
/// clients by itself.
///
/// ```
/// use actor_net::http::ws::{self, WebSocket, WsError, WsOptions};
/// use actor_net::{Server, http::HttpServer};
/// use std::time::Duration;
///
/// fn echo(mut socket: WebSocket) -> Result<(), WsError> {
///     while let Some(message) = socket.read()? {
///         socket.send(message)?;
///     }
///     Ok(())
/// }
///
/// # actor_core::dispatch(|| -> Result<(), WsError> {
/// let server = HttpServer::bind("127.0.0.1:0")?
///     .spawn(|request| WebSocket::upgrade(&request, &WsOptions::default(), echo))?;
/// let mut socket = ws::connect(&format!("ws://{}/", server.local_addr()))?;
/// socket.send("hello")?;
/// assert_eq!(socket.read()?, Some("hello".into()));
/// socket.close(ws::CloseCode::NORMAL, "that was all")?;
/// server.shutdown(Duration::from_secs(5))?;
/// # Ok(())
/// # });
/// ```
pub struct WebSocket {
    reader: WsReader,
    writer: WsWriter,
    protocol: Option<String>,
}

impl WebSocket {
    /// The server's end of a WebSocket over a stream on which the handshake has been made by other means.
    /// `read_ahead` is what has been read of the stream behind it.
    ///
    /// # Errors
    ///
    /// Those of the system.
    ///
    /// ```
    /// use actor_io::TcpStream;
    /// use actor_net::http::ws::{WebSocket, WsOptions};
    ///
    /// fn over(stream: TcpStream) -> std::io::Result<WebSocket> {
    ///     WebSocket::server(stream, Vec::new(), WsOptions::default())
    /// }
    /// ```
    pub fn server(
        stream: impl Transport,
        read_ahead: Vec<u8>,
        options: WsOptions,
    ) -> io::Result<WebSocket> {
        WebSocket::over(stream, Role::Server, read_ahead, options)
    }

    /// The client's end: as [`server`](Self::server).
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// ```
    /// use actor_io::UnixStream;
    /// use actor_net::http::ws::{WebSocket, WsOptions};
    ///
    /// fn over(stream: UnixStream) -> std::io::Result<WebSocket> {
    ///     WebSocket::client(stream, Vec::new(), WsOptions::default())
    /// }
    /// ```
    pub fn client(
        stream: impl Transport,
        read_ahead: Vec<u8>,
        options: WsOptions,
    ) -> io::Result<WebSocket> {
        WebSocket::over(stream, Role::Client, read_ahead, options)
    }

    fn over(
        stream: impl Transport,
        role: Role,
        read_ahead: Vec<u8>,
        options: WsOptions,
    ) -> io::Result<WebSocket> {
        let parts = stream.into_parts()?;
        let session = Session::new(role, read_ahead, parts.sink, parts.abort, options);
        let session = Arc::new(session);
        Ok(WebSocket {
            protocol: None,
            writer: WsWriter {
                session: Arc::clone(&session),
            },
            reader: WsReader {
                source: Some(parts.source),
                session,
                buffer: Vec::new(),
                begin: 0,
                end: 0,
                is_ended: false,
                is_over: false,
                is_leaving: false,
                heard: time::now(),
                asked: None,
                late: None,
            },
        })
    }

    /// The next message: see [`WsReader::read`].
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// ```
    /// use actor_net::http::ws::{WebSocket, WsError};
    ///
    /// fn count(mut socket: WebSocket) -> Result<usize, WsError> {
    ///     let mut count = 0;
    ///     while socket.read()?.is_some() {
    ///         count += 1;
    ///     }
    ///     Ok(count)
    /// }
    /// ```
    pub fn read(&mut self) -> Result<Option<Message>, WsError> {
        self.reader.read()
    }

    /// Sends a message: see [`WsWriter::send`]. If both ends only send and nobody reads, both wait: for such
    /// a conversation [`split`](Self::split) it.
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// ```
    /// use actor_net::http::ws::{WebSocket, WsError};
    ///
    /// fn greet(socket: &mut WebSocket) -> Result<(), WsError> {
    ///     socket.send("hello")
    /// }
    /// ```
    pub fn send(&mut self, message: impl Into<Message>) -> Result<(), WsError> {
        self.writer.send(message)
    }

    /// Says to the peer that it is over and why, and waits until it has said so as well, for as long as the
    /// [options](WsOptions::close) allow. What it still sends is thrown away.
    ///
    /// That the peer has said that it is over is how this end knows that it has got all that was sent to it, or had
    /// no use for the rest; nothing else is. So it is well if the peer has, be it before this end or at the same
    /// time, and there is an error if it has not.
    ///
    /// # Errors
    ///
    /// [`Cut`](WsError::Cut) if the connection was lost, now or before; [`Unanswered`](WsError::Unanswered) if the peer
    /// has not agreed in time; [`TimedOut`](WsError::TimedOut) if a [`timeout`] block around it has expired; what the
    /// peer has done wrong meanwhile, and those of the stream.
    ///
    /// ```
    /// use actor_net::http::ws::{CloseCode, WebSocket, WsError};
    ///
    /// fn dismiss(socket: WebSocket) -> Result<(), WsError> {
    ///     socket.close(CloseCode::POLICY, "mind your language")
    /// }
    /// ```
    pub fn close(mut self, code: CloseCode, reason: &str) -> Result<(), WsError> {
        let said = self.writer.close(code, reason);
        // If it could not be said, the peer may have been the first to say so.
        let ended = self.reader.finish_reading();
        match self.peers_close() {
            Some(_) => Ok(()),
            // What was the matter before has been told before.
            None => ended.and(said).and(Err(WsError::Cut)),
        }
    }

    /// How the peer has said that it ends, once it has.
    ///
    /// ```
    /// use actor_net::http::ws::{CloseCode, WebSocket};
    ///
    /// fn was_planned(socket: &WebSocket) -> bool {
    ///     socket.peers_close().is_some_and(|close| close.code == CloseCode::NORMAL)
    /// }
    /// ```
    pub fn peers_close(&self) -> Option<Close> {
        self.reader.peers_close()
    }

    /// The subprotocol that both ends have agreed to speak, if they have.
    ///
    /// ```
    /// use actor_net::http::ws::WebSocket;
    ///
    /// fn is_recent(socket: &WebSocket) -> bool {
    ///     socket.protocol() == Some("chat.v2")
    /// }
    /// ```
    pub fn protocol(&self) -> Option<&str> {
        self.protocol.as_deref()
    }

    pub(super) fn set_protocol(&mut self, protocol: Option<String>) {
        self.protocol = protocol;
    }

    /// A half for each direction, which may be used on different workers at the same time.
    ///
    /// ```
    /// use actor_core::Tasklet;
    /// use actor_net::http::ws::{WebSocket, WsError};
    /// use actor_core::BoxError;
    ///
    /// fn chat(socket: WebSocket, lines: Vec<String>) -> Result<(), BoxError> {
    ///     let (reader, mut writer) = socket.split();
    ///     let sending = Tasklet::spawn(move || -> Result<(), WsError> {
    ///         lines.into_iter().try_for_each(|line| writer.send(line))
    ///     });
    ///     for message in reader {
    ///         println!("{:?}", message?.as_text());
    ///     }
    ///     sending.join()??;
    ///     Ok(())
    /// }
    /// ```
    pub fn split(self) -> (WsReader, WsWriter) {
        (self.reader, self.writer)
    }

    pub(super) fn session(&self) -> Arc<Session> {
        Arc::clone(&self.writer.session)
    }
}

impl Iterator for WebSocket {
    type Item = Result<Message, WsError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.reader.next()
    }
}

/// The half of a [`WebSocket`] that reads. It also answers pings and asks silent peers.
///
/// ```
/// use actor_net::http::ws::{WsError, WsReader};
///
/// fn last(mut reader: WsReader) -> Option<Result<String, WsError>> {
///     let last = reader.by_ref().last()?;
///     Some(last.map(|message| message.as_text().unwrap_or_default().to_owned()))
/// }
/// ```
pub struct WsReader {
    /// Until nothing more comes.
    source: Option<Box<dyn Source>>,
    session: Arc<Session>,
    /// What has been read and not been looked at is between `begin` and `end`.
    buffer: Vec<u8>,
    begin: usize,
    end: usize,
    /// Nothing more comes.
    is_ended: bool,
    /// Nothing more is handed out.
    is_over: bool,
    /// The peer has been told that this end was asked to stop.
    is_leaving: bool,
    /// When something has come last, and when the peer was asked since.
    heard: Instant,
    asked: Option<Instant>,
    /// How much of what had come by the time at which it was to be over may still be read, if that has passed.
    late: Option<usize>,
}

/// What there is to be read.
#[derive(Debug)]
pub(super) enum Next {
    Message(Message),
    Over,
    /// The reader has been asked to stop.
    Stopped,
}

impl WsReader {
    /// The next message; `None` once it is over: the peer has said so, or has agreed to what this end has said.
    /// Waits for it, not beyond the read timeout of a stream that has one. If the current tasklet is [asked
    /// to stop](actor_core::Tasklet::stop), the peer is told that this end goes [away](CloseCode::AWAY), and what it
    /// sends before it agrees is still read.
    ///
    /// # Errors
    ///
    /// See [`WsError`]. After one other than [`TimedOut`](WsError::TimedOut) it is over. What the peer has
    /// done wrong it has been told.
    ///
    /// ```
    /// use actor_net::http::ws::{WsError, WsReader};
    ///
    /// fn print(mut reader: WsReader) -> Result<(), WsError> {
    ///     while let Some(message) = reader.read()? {
    ///         println!("{message:?}");
    ///     }
    ///     Ok(())
    /// }
    /// ```
    pub fn read(&mut self) -> Result<Option<Message>, WsError> {
        loop {
            match self.read_or_stop()? {
                Next::Message(message) => return Ok(Some(message)),
                Next::Over => return Ok(None),
                Next::Stopped => self.leave(),
            }
        }
    }

    /// How the peer has said that it ends, once it has.
    ///
    /// ```
    /// use actor_net::http::ws::WsReader;
    ///
    /// fn why(reader: &WsReader) -> String {
    ///     reader.peers_close().map_or("lost".to_owned(), |close| close.to_string())
    /// }
    /// ```
    pub fn peers_close(&self) -> Option<Close> {
        self.session.peers_close()
    }

    /// As [`read`](Self::read), but a request to stop is the caller's affair.
    pub(super) fn read_or_stop(&mut self) -> Result<Next, WsError> {
        if self.is_over {
            return Ok(Next::Over);
        }
        loop {
            let mut input = &self.buffer[self.begin..self.end];
            let step = self.session.step(&mut input, self.is_ended);
            self.begin = self.end - input.len();
            let sent = self.session.answer();
            match step {
                Ok(Step::Message(message)) => return Ok(Next::Message(message)),
                Ok(Step::More) => {}
                Ok(Step::Over) => {
                    self.finish();
                    return Ok(Next::Over);
                }
                Err(error) => {
                    self.finish();
                    return Err(error);
                }
            }
            if !self.fill(!sent)? {
                return Ok(Next::Stopped);
            }
        }
    }

    /// Tells the peer why it is over, which is for the caller to say as well.
    pub(super) fn fail(&mut self, error: &WsError) {
        if let Some(code) = error.code() {
            let _ = self.session.close(&Close::of(code, &error.to_string()));
        }
        let _ = self.finish_reading();
    }

    /// Says that this end goes, because it was asked to stop.
    pub(super) fn leave(&mut self) {
        self.is_leaving = true;
        // If the peer does not take it, the time for it to agree will be over.
        let _ = self.session.close(&Close::of(CloseCode::AWAY, ""));
    }

    /// Reads to the end, which has been said to be near, and throws away what comes.
    pub(super) fn finish_reading(&mut self) -> Result<(), WsError> {
        // It is the end that is waited for, whoever asks to stop.
        self.is_leaving = true;
        loop {
            if let Next::Over = self.read_or_stop()? {
                return Ok(());
            }
        }
    }

    /// Reads from the stream; `false` if the reader has been asked to stop.
    fn fill(&mut self, unsent: bool) -> Result<bool, WsError> {
        debug_assert_eq!(
            self.begin, self.end,
            "what has been read is looked at first"
        );
        if self.buffer.is_empty() {
            self.buffer.resize(FIRST_READ, 0);
        } else if self.end == self.buffer.len() && self.end < LARGEST_READ {
            // It was filled: there may be much more.
            self.buffer.resize(2 * self.end, 0);
        }
        (self.begin, self.end) = (0, 0);
        let mut unsent = unsent;
        loop {
            if !self.is_in_time() {
                self.is_ended = true;
                return Ok(true);
            }
            let wake = self.next_deed(unsent);
            let received = match wake {
                None => self.receive(),
                // So that what is there is read, however late it is.
                Some(at) => {
                    let wait = at.saturating_duration_since(time::now());
                    timeout(wait.max(Duration::from_millis(1)), || self.receive())
                }
            };
            match received {
                Ok(None) => return Ok(false),
                Ok(Some(count)) => {
                    self.end = count;
                    self.is_ended = count == 0;
                    self.late = self.late.map(|rest| rest.saturating_sub(count));
                    self.heard = time::now();
                    self.asked = None;
                    return Ok(true);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                    if wake.is_none_or(|at| time::now() < at) {
                        return Err(WsError::TimedOut);
                    }
                    unsent = !self.session.answer();
                    if self.is_in_time() {
                        unsent |= self.ask_if_silent()?;
                    }
                }
                // What the peer has not read before it went may have reset the connection.
                Err(_) if !self.session.is_open() => {
                    self.is_ended = true;
                    return Ok(true);
                }
                Err(error) => {
                    self.give_up();
                    return Err(error.into());
                }
            }
        }
    }

    /// Gives the connection up once the time for the peer to agree to the end is over, however busily it sends;
    /// `false` when what had come until then has been read as well, in which it may have agreed.
    fn is_in_time(&mut self) -> bool {
        match self.late {
            Some(rest) => rest > 0,
            None if self.session.over_at().is_some_and(|at| time::now() >= at) => {
                self.session.abort();
                self.late = Some(DRAIN_BYTES);
                true
            }
            None => true,
        }
    }

    fn receive(&mut self) -> io::Result<Option<usize>> {
        match (&mut self.source, self.is_leaving) {
            (None, _) => Ok(Some(0)),
            (Some(source), false) => source.read_or_stop(&mut self.buffer),
            (Some(source), true) => source.read(&mut self.buffer).map(Some),
        }
    }

    /// When there is something to be done even if nothing comes.
    fn next_deed(&self, unsent: bool) -> Option<Instant> {
        let options = &self.session.options;
        let again = unsent.then(|| time::now() + AGAIN);
        let silent = options.ping.and_then(|ping| match self.asked {
            None => self.heard.checked_add(ping),
            Some(asked) => asked.checked_add(options.pong),
        });
        // What is waited for after that is the end of what was aborted.
        let over = self.session.over_at().filter(|_| self.late.is_none());
        [again, silent, over].into_iter().flatten().min()
    }

    /// Asks a peer that has been silent for long, or gives it up if it does not answer; `true` if the question has still
    /// to be sent.
    fn ask_if_silent(&mut self) -> Result<bool, WsError> {
        let options = &self.session.options;
        let (Some(ping), now) = (options.ping, time::now()) else {
            return Ok(false);
        };
        match self.asked {
            None if now.saturating_duration_since(self.heard) >= ping => {
                self.asked = Some(now);
                self.session.ping();
                return Ok(!self.session.answer());
            }
            Some(asked) if now.saturating_duration_since(asked) >= options.pong => {
                self.give_up();
                return Err(WsError::Silent);
            }
            _ => {}
        }
        Ok(false)
    }

    /// Closes the stream in the orderly way: to close a socket with unread input would reset the connection,
    /// and the peer might lose what it has not read yet.
    fn finish(&mut self) {
        self.is_over = true;
        self.buffer = Vec::new();
        self.session.finish();
        if let Some(source) = self.source.take() {
            drain(source);
        }
        self.session.release();
    }

    /// Closes a stream that has failed.
    fn give_up(&mut self) {
        self.is_over = true;
        self.buffer = Vec::new();
        self.source = None;
        self.session.abort();
        self.session.release();
    }
}

impl Drop for WsReader {
    fn drop(&mut self) {
        self.session.leave();
    }
}

/// Throws away what still comes, but not for ever.
fn drain(mut source: Box<dyn Source>) {
    if panicking() {
        return;
    }
    let mut waste = vec![0; 16 * 1024];
    let mut drained = 0;
    // Whatever ends it is the end.
    let _ = timeout(DRAIN_TIME, || -> io::Result<()> {
        while drained < DRAIN_BYTES {
            match source.read(&mut waste)? {
                0 => break,
                count => drained += count,
            }
        }
        Ok(())
    });
}

impl Iterator for WsReader {
    type Item = Result<Message, WsError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read().transpose()
    }
}

/// The half of a [`WebSocket`] that sends.
///
/// ```
/// use actor_net::http::ws::{CloseCode, WsError, WsWriter};
///
/// fn tell(writer: &mut WsWriter, news: &[String]) -> Result<(), WsError> {
///     for line in news {
///         writer.send(line.as_str())?;
///     }
///     writer.close(CloseCode::NORMAL, "")
/// }
/// ```
pub struct WsWriter {
    pub(super) session: Arc<Session>,
}

impl WsWriter {
    /// Sends a message, and waits until the system has taken all of it. One of more than 64 KiB goes out in
    /// several frames.
    ///
    /// # Errors
    ///
    /// [`Closed`](WsError::Closed) once either end has said that it is over; [`TimedOut`](WsError::TimedOut)
    /// if the peer does not read for [so long](WsOptions::send), or a [`timeout`] block around it has
    /// expired: what is left of the message, if it had been begun, is sent before the next. And those of the
    /// stream.
    ///
    /// ```
    /// use actor_net::http::ws::{WsError, WsWriter};
    ///
    /// fn ask(writer: &mut WsWriter) -> Result<(), WsError> {
    ///     writer.send("who is there?")
    /// }
    /// ```
    pub fn send(&mut self, message: impl Into<Message>) -> Result<(), WsError> {
        self.session.send(message.into())
    }

    /// Says to the peer that it is over, and why. Does not wait for it to agree, of which the reader hears;
    /// if it does not in [time](WsOptions::close), the connection is given up. A code that must not be sent
    /// is left out, and of the reason what is longer than 123 bytes.
    ///
    /// # Errors
    ///
    /// Those of the stream, and [`TimedOut`](WsError::TimedOut) if the peer does not read. There is none if it
    /// was over already.
    ///
    /// ```
    /// use actor_net::http::ws::{CloseCode, WsError, WsWriter};
    ///
    /// fn leave(mut writer: WsWriter) -> Result<(), WsError> {
    ///     writer.close(CloseCode::NORMAL, "good night")
    /// }
    /// ```
    pub fn close(&mut self, code: CloseCode, reason: &str) -> Result<(), WsError> {
        self.session.close(&Close::of(code, reason))
    }

    /// Whether anything can be sent, as far as this end knows.
    ///
    /// ```
    /// use actor_net::http::ws::WsWriter;
    ///
    /// fn sweep(writers: &mut Vec<WsWriter>) {
    ///     writers.retain(WsWriter::is_open);
    /// }
    /// ```
    pub fn is_open(&self) -> bool {
        self.session.is_open()
    }
}

impl Drop for WsWriter {
    fn drop(&mut self) {
        self.session.forsake();
    }
}

impl fmt::Debug for WebSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        debug(f, "WebSocket", &self.writer.session)
    }
}

impl fmt::Debug for WsReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        debug(f, "WsReader", &self.session)
    }
}

impl fmt::Debug for WsWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        debug(f, "WsWriter", &self.session)
    }
}

fn debug(f: &mut fmt::Formatter<'_>, name: &str, session: &Session) -> fmt::Result {
    f.debug_struct(name)
        .field("open", &session.is_open())
        .finish_non_exhaustive()
}
