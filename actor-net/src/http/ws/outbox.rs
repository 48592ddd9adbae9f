//! Sockets and mailboxes: what a peer says goes into one, and what it is to be told comes out of another.

use std::fmt;
use std::mem;
use std::sync::Arc;
use std::thread::panicking;

use actor_core::__private::{Scale, Weighed, Weighing, stop_for, when_over};
use actor_core::{
    Actor, Addr, ExitReason, Handler, JoinHandle, Mailbox, Recipient, SendError, SpawnError,
    Tasklet,
};
use parking_lot::Mutex;

use super::error::WsError;
use super::message::{Close, CloseCode, Message};
use super::session::Session;
use super::socket::{Next, WebSocket, WsReader, WsWriter};
use crate::window::Window;

/// Sends messages to a peer without waiting for it: they are put into a mailbox, from which a tasklet of the
/// WebSocket's writes them.
///
/// Made by [`WsWriter::into_sender`] and [`WebSocket::serve_actor`]. Clones are of the same WebSocket, and anybody
/// may have one. What is done when the mailbox is full, because the peer does not read, is said when it is
/// made; it is full of so many messages, or of so many [bytes](super::WsOptions::outbox). When the last clone goes,
/// what has been sent is still written.
///
/// ```
/// use actor_net::http::ws::{CloseCode, WsSender};
///
/// /// Tells all who can be told, and loses the others.
/// fn tell(room: &mut Vec<WsSender>, line: &str) {
///     let message = actor_net::http::ws::Message::from(line); // in memory once
///     room.retain(|peer| peer.send(message.clone()).is_ok());
/// }
/// ```
#[derive(Clone)]
pub struct WsSender {
    post: Arc<Post>,
}

struct Post {
    writer: Tasklet,
    /// The way to it.
    recipient: Recipient<Message>,
    session: Arc<Session>,
    farewell: Farewell,
}

/// What is to be said when all has been written.
type Farewell = Arc<Mutex<Words>>;

#[derive(Default)]
enum Words {
    /// Nothing: it is for the reader to say.
    #[default]
    None,
    Close(Close),
    /// What becomes of an actor.
    Ask(Box<dyn FnOnce() -> Close + Send>),
}

impl Words {
    /// These, unless there are some already.
    fn say(&mut self, close: Close) {
        if !matches!(self, Words::Close(_)) {
            *self = Words::Close(close);
        }
    }
}

impl Drop for Post {
    fn drop(&mut self) {
        self.writer.stop();
    }
}

/// Sends those away who wait for room, at the end of the writer.
struct Closing(Option<Arc<Scale>>);

impl Drop for Closing {
    fn drop(&mut self) {
        if let Some(scale) = &self.0 {
            scale.close();
        }
    }
}

impl WsSender {
    /// Sends a message.
    ///
    /// # Errors
    ///
    /// As with any mailbox: [`Ended`](SendError::Ended) when the WebSocket has, and
    /// [`Full`](SendError::Full) if the peer does not read and the mailbox is one that
    /// [fails](actor_core::Overflow::Fail).
    ///
    /// ```
    /// use actor_net::http::ws::WsSender;
    ///
    /// fn greet(peer: &WsSender) -> bool {
    ///     peer.send("hello").is_ok()
    /// }
    /// ```
    pub fn send(&self, message: impl Into<Message>) -> Result<(), SendError<Message>> {
        self.post.recipient.send(message.into())
    }

    /// Says to the peer that it is over, and why, when all has been written that was sent before. Does not
    /// wait. What is sent after it fails.
    ///
    /// ```
    /// use actor_net::http::ws::{CloseCode, WsSender};
    ///
    /// fn dismiss(peer: &WsSender) {
    ///     peer.close(CloseCode::POLICY, "mind your language");
    /// }
    /// ```
    pub fn close(&self, code: CloseCode, reason: &str) {
        self.post.farewell.lock().say(Close::of(code, reason));
        self.post.writer.stop();
    }

    /// Where to send messages to it, for those who know of messages alone. Unlike a clone it does not keep the writer:
    /// that ends with the last `WsSender`.
    ///
    /// ```
    /// use actor_core::{Group, Recipient};
    /// use actor_net::http::ws::{Message, WsSender};
    ///
    /// fn join(room: &Group<Recipient<Message>>, peer: &WsSender) {
    ///     room.join(&peer.recipient());
    /// }
    /// ```
    pub fn recipient(&self) -> Recipient<Message> {
        self.post.recipient.clone()
    }

    /// How the peer has said that it ends, once it has.
    ///
    /// ```
    /// use actor_net::http::ws::WsSender;
    ///
    /// fn why(peer: &WsSender) -> Option<String> {
    ///     Some(peer.peers_close()?.reason)
    /// }
    /// ```
    pub fn peers_close(&self) -> Option<Close> {
        self.post.session.peers_close()
    }

    /// Whether anything can be sent, as far as this end knows.
    ///
    /// ```
    /// use actor_net::http::ws::WsSender;
    ///
    /// fn sweep(room: &mut Vec<WsSender>) {
    ///     room.retain(WsSender::is_open);
    /// }
    /// ```
    pub fn is_open(&self) -> bool {
        self.post.writer.is_alive() && self.post.session.is_open()
    }
}

impl fmt::Debug for WsSender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WsSender")
            .field("open", &self.is_open())
            .finish_non_exhaustive()
    }
}

impl WsWriter {
    /// Has a tasklet, a child of the current one, write what is sent to it. `mailbox` says how many messages may wait
    /// for a peer that does not read, and what happens then, or when there are too many [bytes](super::WsOptions::outbox).
    ///
    /// # Errors
    ///
    /// If there is no tasklet to be had.
    ///
    /// ```
    /// use actor_core::{Mailbox, Overflow, SpawnError};
    /// use actor_net::http::ws::{WsSender, WsWriter};
    ///
    /// fn post(writer: WsWriter) -> Result<WsSender, SpawnError> {
    ///     writer.into_sender(Mailbox::bounded(1024, Overflow::DropOldest))
    /// }
    /// ```
    pub fn into_sender(self, mailbox: Mailbox) -> Result<WsSender, SpawnError> {
        let (sender, _writer) = self.spawn(mailbox)?;
        Ok(sender)
    }

    fn spawn(self, mailbox: Mailbox) -> Result<(WsSender, JoinHandle<()>), SpawnError> {
        let session = Arc::clone(&self.session);
        let farewell = Farewell::default();
        let said = Arc::clone(&farewell);
        let scale = Scale::new(mailbox, session.options.outbox);
        let closing = Closing(scale.clone());
        let writer = Tasklet::builder()
            .name("WebSocket writer")
            .mailbox(mailbox)
            .spawn(move || {
                let _closing = closing;
                self.write_all(&said);
            })?;
        let recipient = Recipient::new(Weighing {
            to: writer.tasklet().clone(),
            scale,
            weigh: Message::len,
        });
        let post = Post {
            writer: writer.tasklet().clone(),
            recipient,
            session,
            farewell,
        };
        let sender = WsSender {
            post: Arc::new(post),
        };
        Ok((sender, writer))
    }

    /// Writes what is in the mailbox until that is closed.
    fn write_all(self, farewell: &Mutex<Words>) {
        for envelope in Tasklet::receive() {
            let weighed = envelope.downcast::<Weighed<Message>>().ok();
            let Some(message) = weighed.and_then(Weighed::into_message) else {
                continue;
            };
            let sent = match self.session.gather(&message) {
                // What has queued up goes out at once.
                true if Tasklet::pending() > 0 => Ok(()),
                true => self.session.flush(),
                false => self.session.send(message),
            };
            match sent {
                Ok(()) => {}
                // The reader hears of it as well.
                Err(WsError::Closed) => return,
                Err(error) => {
                    tracing::debug!(%error, "a WebSocket's peer could not be sent what it was to get");
                    return self.session.abort();
                }
            }
        }
        let words = mem::take(&mut *farewell.lock());
        let ended = match words {
            Words::Close(close) => self.session.close(&close),
            Words::Ask(ask) => self.session.close(&ask()),
            Words::None => self.session.flush(),
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "a WebSocket's peer could not be sent what it was to get");
        }
    }
}

impl WsReader {
    /// Sends all that the peer says to `receiver`, until it is over, and returns then. Reading waits for the
    /// receiver: of every 64 messages, or 64 KiB, the last is a call, so that a peer that floods this end waits
    /// until what it has said has been handled.
    ///
    /// When the current tasklet is asked to stop it does as [`read`](Self::read). It ends the WebSocket when the
    /// receiver has ended.
    ///
    /// # Errors
    ///
    /// Those of [`read`](Self::read), and [`Mailbox`](WsError::Mailbox) if the receiver's is full and does not
    /// let anybody wait.
    ///
    /// ```
    /// use actor_core::{BoxError, Tasklet, match_message};
    /// use actor_net::http::ws::{Message, WebSocket};
    ///
    /// fn listen(socket: WebSocket) -> Result<(), BoxError> {
    ///     let (mut reader, _writer) = socket.split();
    ///     let me = Tasklet::current();
    ///     let reading = Tasklet::spawn(move || reader.forward_to(&me.recipient()));
    ///     for message in Tasklet::receive() {
    ///         match_message!(match message {
    ///             Message::Text(text) => println!("{text}"),
    ///             Message::Binary(bytes) => println!("{} bytes", bytes.len()),
    ///         });
    ///     }
    ///     Ok(reading.join()??)
    /// }
    /// ```
    pub fn forward_to(&mut self, receiver: &Recipient<Message>) -> Result<(), WsError> {
        loop {
            match self.read_for(receiver)? {
                Over::Said => return Ok(()),
                Over::Asked => self.leave(),
                Over::Ended => {
                    self.leave();
                    return self.finish_reading();
                }
            }
        }
    }
}

impl WebSocket {
    /// Has an actor serve the WebSocket, and returns when both have ended. What the peer says are messages to the
    /// actor that `make` makes, which answers through the [`WsSender`] and may give it to others; `mailbox` is that
    /// of the sender. As with [`forward_to`](WsReader::forward_to), the peer waits for the actor.
    ///
    /// When the WebSocket ends the actor is asked to stop. When the actor ends, the peer is told that it is over,
    /// behind all that was sent to it, in the hook [`stopped`](actor_core::Actor::stopped) as well. When the
    /// current tasklet is asked to stop, so is the actor, because of a [shutdown](ExitReason::Shutdown).
    ///
    /// # Errors
    ///
    /// Those of [`WsReader::read`], and if the actor cannot be had.
    ///
    /// ```
    /// use actor_core::{Actor, Context, Handler, Mailbox, Overflow};
    /// use actor_net::http::ws::{Message, WebSocket, WsError, WsSender};
    ///
    /// struct Echo(WsSender);
    ///
    /// impl Actor for Echo {}
    ///
    /// impl Handler<Message> for Echo {
    ///     fn handle(&mut self, message: Message, ctx: &mut Context<Self>) {
    ///         if self.0.send(message).is_err() {
    ///             ctx.stop(); // it does not read what it is sent
    ///         }
    ///     }
    /// }
    ///
    /// fn echo(socket: WebSocket) -> Result<(), WsError> {
    ///     socket.serve_actor(Mailbox::bounded(1024, Overflow::Fail), Echo)
    /// }
    /// ```
    pub fn serve_actor<A: Handler<Message>>(
        self,
        mailbox: Mailbox,
        make: impl FnOnce(WsSender) -> A,
    ) -> Result<(), WsError> {
        let session = self.session();
        let (mut reader, writer) = self.split();
        let (sender, writer) = writer.spawn(mailbox)?;
        let farewell = Arc::clone(&sender.post.farewell);
        let actor = make(sender);
        let addr = Addr::builder().name("WebSocket").spawn(actor)?;
        // Whatever becomes of this tasklet.
        let _lifeline = Lifeline(&addr, &writer);
        let ends = addr.clone();
        let ask = move || last_words(&ends);
        let before = mem::replace(&mut *farewell.lock(), Words::Ask(Box::new(ask)));
        if let Words::Close(close) = before {
            farewell.lock().say(close);
        }
        let ended = writer.tasklet().clone();
        when_over(&addr, move || ended.stop());

        let read = reader.read_for(&addr.recipient());
        let reason = match read {
            Ok(Over::Asked) => ExitReason::Shutdown,
            _ => ExitReason::Stopped,
        };
        stop_for(&addr, &reason);
        addr.join();
        // It has been told to end.
        if writer.wait_timeout(session.options.close).is_err() {
            session.abort();
        }
        reader.finish_reading()?;
        read.map(drop)
    }
}

/// What the peer of an actor is told at its end.
fn last_words<A: Actor>(addr: &Addr<A>) -> Close {
    let code = match addr.join() {
        ExitReason::Killed | ExitReason::Panicked(_) => CloseCode::ERROR,
        ExitReason::Shutdown => CloseCode::AWAY,
        _ => CloseCode::NORMAL,
    };
    Close::of(code, "")
}

/// Kills both if whoever reads for them comes to a bad end.
struct Lifeline<'a, A: Actor>(&'a Addr<A>, &'a JoinHandle<()>);

impl<A: Actor> Drop for Lifeline<'_, A> {
    fn drop(&mut self) {
        if panicking() {
            self.0.kill();
            self.1.kill();
        }
    }
}

/// How reading for somebody has ended.
enum Over {
    /// The peer or this end has said that it is over.
    Said,
    /// The receiver takes no more.
    Ended,
    /// The reader was asked to stop.
    Asked,
}

impl WsReader {
    /// Hands on what comes.
    fn read_for(&mut self, receiver: &Recipient<Message>) -> Result<Over, WsError> {
        let mut window = Window::default();
        loop {
            let message = match self.read_or_stop()? {
                Next::Message(message) => message,
                Next::Over => return Ok(Over::Said),
                Next::Stopped => return Ok(Over::Asked),
            };
            if window.ends_with(message.len()) {
                if receiver.call(message).is_err() {
                    return Ok(Over::Ended);
                }
                continue;
            }
            match receiver.send(message) {
                Ok(()) => {}
                Err(SendError::Full(_)) => {
                    self.fail(&WsError::Mailbox);
                    return Err(WsError::Mailbox);
                }
                Err(_) => return Ok(Over::Ended),
            }
        }
    }
}
