//! The state of a WebSocket, and how its reader and its writer share it.
//!
//! The protocol's state machine has no input and output of its own here: it is given what has been read, and
//! leaves what is to be written in a buffer. It is behind a lock that is held for that alone, so neither half
//! ever waits with it: the reader waits with a buffer of its own, the writer with bytes that it has taken out.
//! Whoever writes has the sink. The reader only tries to get it, for the little that reading has to say; if
//! it is taken, the one who has it sends that as well.

use std::io::{self, Read, Write};
use std::mem;
use std::sync::{Arc, Weak};
use std::thread::panicking;
use std::time::{Duration, Instant};

use actor_core::__private::{after, has_workers};
use actor_core::{Timer, sync, time, timeout};
use bytes::Bytes;
use parking_lot::Mutex;
use tungstenite::protocol::frame::Frame;
use tungstenite::protocol::frame::coding::{Data, OpCode};
use tungstenite::protocol::{Message as Raw, Role, WebSocketContext};

use super::error::WsError;
use super::message::{Close, CloseCode, Message};
use super::options::{ANSWERS, PIECE, WsOptions};
use super::transport::{Abort, Sink};

/// How long it may take to send something in the middle of a read.
const AT_ONCE: Duration = Duration::from_millis(10);

/// How long it may take at least to send what is to be said at the end.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// How large a buffer may be that is kept.
const KEPT: usize = 16 * 1024;

pub(super) struct Session {
    state: Mutex<State>,
    /// Until the end, so that whoever still has a handle does not keep the descriptor.
    sink: sync::Mutex<Option<Box<dyn Sink>>>,
    abort: Mutex<Option<Abort>>,
    pub(super) options: WsOptions,
}

struct State {
    context: WebSocketContext,
    /// Frames that nobody has begun to send.
    output: Vec<u8>,
    /// What is left of a message that is being sent.
    rest: Option<Rest>,
    /// The stream has been given something that it may not have sent yet, as TLS does.
    unflushed: bool,
    /// How the peer has said that it ends.
    close: Option<Close>,
    /// This end has said so, or has nobody to say it to any more.
    is_closed: bool,
    /// When it is to be over, for a peer that does not agree to the end; a timer sees to it where there is one.
    over_at: Option<Instant>,
    limit: Option<Timer>,
    /// Whoever was sending has stopped before all had gone, and nobody has sent the rest since.
    interrupted: bool,
    /// And nobody will.
    is_unfinished: bool,
    /// There is somebody to hear of it.
    has_reader: bool,
}

/// A message in pieces.
struct Rest {
    bytes: Bytes,
    opcode: Data,
}

/// What has become of what was read.
#[derive(Debug)]
pub(super) enum Step {
    Message(Message),
    /// Nothing, without more.
    More,
    /// Both ends know that it is over.
    Over,
}

/// What the state machine reads and writes.
struct Duct<'a, 'b> {
    input: &'a mut &'b [u8],
    is_ended: bool,
    output: &'a mut Vec<u8>,
}

impl Read for Duct<'_, '_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self.input.read(buf)? {
            0 if !self.is_ended => Err(io::ErrorKind::WouldBlock.into()),
            count => Ok(count),
        }
    }
}

impl Write for Duct<'_, '_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        // For a peer that asks and asks, and does not read the answers.
        if self.output.len() >= ANSWERS {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.output.extend_from_slice(buf);
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl State {
    /// Does something without input.
    fn write<T>(
        &mut self,
        f: impl FnOnce(&mut WebSocketContext, &mut Duct<'_, '_>) -> tungstenite::Result<T>,
    ) -> tungstenite::Result<T> {
        let mut duct = Duct {
            input: &mut &[][..],
            is_ended: false,
            output: &mut self.output,
        };
        f(&mut self.context, &mut duct)
    }

    /// Takes a close frame into the output, unless that has been done.
    fn close(&mut self, close: &Close) {
        self.rest = None;
        if !mem::replace(&mut self.is_closed, true) {
            // Has to wait for room at the worst, or follows a close of the peer's.
            let _ = self.write(|context, duct| context.close(duct, close.to_send()));
        }
    }

    fn step(&mut self, input: &mut &[u8], is_ended: bool) -> Result<Step, WsError> {
        loop {
            let mut duct = Duct {
                input,
                is_ended,
                output: &mut self.output,
            };
            match self.context.read(&mut duct) {
                Ok(Raw::Close(frame)) => {
                    self.close = Some(Close::received(frame));
                    self.rest = None;
                    self.is_closed = true;
                    // Takes the answer into the output.
                    let _ = self.write(|context, duct| context.flush(duct));
                    return Ok(Step::Over);
                }
                Ok(raw) => {
                    if let Some(message) = Message::received(raw) {
                        return Ok(Step::Message(message));
                    }
                }
                Err(tungstenite::Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Ok(Step::More);
                }
                Err(tungstenite::Error::ConnectionClosed | tungstenite::Error::AlreadyClosed) => {
                    return Ok(Step::Over);
                }
                Err(error) => {
                    return Err(match WsError::of(error) {
                        WsError::Cut => self.loss(),
                        error => error,
                    });
                }
            }
        }
    }

    fn has_unsent(&self) -> bool {
        !self.output.is_empty() || self.rest.is_some() || self.unflushed
    }

    /// Why the connection has ended without the peer's last word.
    fn loss(&self) -> WsError {
        if self.is_unfinished {
            WsError::Unfinished
        } else if self.over_at.is_some_and(|at| time::now() >= at) {
            WsError::Unanswered
        } else {
            WsError::Cut
        }
    }

    /// Takes the next piece of a message into the output, if that is empty.
    fn encode(&mut self) {
        if !self.output.is_empty() {
            return;
        }
        // What had no room before.
        let _ = self.write(|context, duct| context.flush(duct));
        let Some(mut rest) = self.rest.take() else {
            return;
        };
        if !self.context.can_write() {
            return;
        }
        let piece = rest.bytes.split_to(rest.bytes.len().min(PIECE));
        let is_last = rest.bytes.is_empty();
        let frame = Frame::message(piece, OpCode::Data(rest.opcode), is_last);
        // There is room, and so there is no error.
        let _ = self.write(|context, duct| context.write(duct, Raw::Frame(frame)));
        if !is_last {
            self.rest = Some(Rest {
                bytes: rest.bytes,
                opcode: Data::Continue,
            });
        }
    }
}

impl Session {
    /// `read_ahead` is what has been read behind the handshake.
    pub(super) fn new(
        role: Role,
        read_ahead: Vec<u8>,
        sink: Box<dyn Sink>,
        abort: Abort,
        options: WsOptions,
    ) -> Session {
        let config = Some(options.config());
        Session {
            state: Mutex::new(State {
                context: WebSocketContext::from_partially_read(read_ahead, role, config),
                output: Vec::new(),
                rest: None,
                unflushed: false,
                close: None,
                is_closed: false,
                over_at: None,
                limit: None,
                interrupted: false,
                is_unfinished: false,
                has_reader: true,
            }),
            sink: sync::Mutex::new(Some(sink)),
            abort: Mutex::new(Some(abort)),
            options,
        }
    }

    /// Takes in what has been read. What this has to say, [`answer`](Self::answer) sends.
    pub(super) fn step(&self, input: &mut &[u8], is_ended: bool) -> Result<Step, WsError> {
        let mut state = self.state.lock();
        state.step(input, is_ended).inspect_err(|error| {
            if let Some(code) = error.code() {
                let reason = error.to_string();
                state.close(&Close { code, reason });
            }
            state.is_closed = true;
        })
    }

    /// Sends what there is to be sent, and leaves what takes long in its place; `false` if that is so.
    pub(super) fn answer(&self) -> bool {
        if panicking() {
            return true;
        }
        while self.has_unsent() {
            // Whoever has it looks again, unless it is killed.
            let Some(mut sink) = self.sink.try_lock() else {
                return false;
            };
            let Some(sink) = sink.as_deref_mut() else {
                return true;
            };
            match timeout(AT_ONCE, || self.push(sink)) {
                Ok(()) => {}
                Err(error) => return error.kind() != io::ErrorKind::TimedOut,
            }
        }
        true
    }

    fn has_unsent(&self) -> bool {
        self.state.lock().has_unsent()
    }

    /// Sends all there is. If that is interrupted, what is left is in its place.
    fn push(&self, sink: &mut dyn Sink) -> io::Result<()> {
        loop {
            let bytes = {
                let mut state = self.state.lock();
                state.encode();
                state.unflushed |= !state.output.is_empty();
                mem::take(&mut state.output)
            };
            if bytes.is_empty() {
                self.state.lock().output = bytes;
                sink.flush()?;
                let mut state = self.state.lock();
                state.unflushed = false;
                state.interrupted = false;
                return Ok(());
            }
            let mut going = Going {
                session: self,
                bytes,
                sent: 0,
            };
            while let rest @ [_, ..] = &going.bytes[going.sent..] {
                match sink.write(rest) {
                    Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                    Ok(count) => going.sent += count,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            }
        }
    }

    /// Does `take` when all before it has been sent, and sends what it leaves.
    fn send_behind(
        self: &Arc<Self>,
        limit: Option<Duration>,
        take: impl FnOnce(&mut State) -> Result<(), WsError>,
    ) -> Result<(), WsError> {
        let work = || {
            // Without a limit of its own, but unlike `lock` it has an error to give.
            let mut sink = self.sink.lock_timeout(Duration::MAX)?;
            let sink = sink.as_deref_mut().ok_or(WsError::Closed)?;
            let _sending = Sending::begin(self);
            self.push(sink)?;
            take(&mut self.state.lock())?;
            Ok(self.push(sink)?)
        };
        let sent = match limit {
            None => work(),
            Some(limit) => timeout(limit, work),
        };
        // The reader may have found the sink locked a moment ago.
        self.answer();
        sent
    }

    /// Sends a message, or what of it the time is enough for.
    pub(super) fn send(self: &Arc<Self>, message: Message) -> Result<(), WsError> {
        let sent = self.send_behind(self.options.send, |state| state.take(message));
        match sent {
            Err(WsError::Io(error)) => {
                let mut state = self.state.lock();
                state.is_closed = true;
                // The peer's last word tells more.
                Err(match state.close {
                    Some(_) => WsError::Closed,
                    None => WsError::Io(error),
                })
            }
            sent => sent,
        }
    }

    /// Has a message sent by whoever sends next; `false` if it should be sent first.
    pub(super) fn gather(&self, message: &Message) -> bool {
        let mut state = self.state.lock();
        if state.rest.is_some() || state.output.len() + message.len() > PIECE {
            return false;
        }
        let frame = message.to_frame();
        state.context.can_write()
            && !state.is_closed
            && state
                .write(|context, duct| context.write(duct, Raw::Frame(frame)))
                .is_ok()
    }

    /// Sends what has been gathered.
    pub(super) fn flush(self: &Arc<Self>) -> Result<(), WsError> {
        self.send_behind(self.options.send, |_| Ok(()))
    }

    /// Says that it is over, behind all that has been sent, and sees to it that it soon is.
    pub(super) fn close(self: &Arc<Self>, close: &Close) -> Result<(), WsError> {
        self.limit_close();
        let said = self.send_behind(Some(self.options.close), |state| {
            state.close(close);
            Ok(())
        });
        match said {
            // It was over already.
            Err(WsError::Closed) => Ok(()),
            said => said,
        }
    }

    /// Gives up the connection if the peer has not agreed to the end in time.
    fn limit_close(self: &Arc<Self>) {
        let mut state = self.state.lock();
        if state.over_at.is_some() {
            return;
        }
        let limit = self.options.close;
        state.over_at = time::now().checked_add(limit);
        // For a reader that waits already; on plain threads alone, one has to begin after this.
        if has_workers() {
            let session: Weak<Session> = Arc::downgrade(self);
            state.limit = Some(after(limit, move || {
                if let Some(session) = session.upgrade() {
                    session.abort();
                }
            }));
        }
    }

    /// When it is to be over, if that has been said.
    pub(super) fn over_at(&self) -> Option<Instant> {
        self.state.lock().over_at
    }

    /// Nobody reads any more.
    pub(super) fn leave(&self) {
        self.state.lock().has_reader = false;
    }

    /// Nobody sends any more. If something has been begun, what is left of it will never go, and the peer would wait
    /// for it as the reader for the peer.
    pub(super) fn forsake(&self) {
        let is_unfinished = {
            let mut state = self.state.lock();
            // An end that has been said to be near has its own limit.
            let is_unfinished = state.interrupted && state.has_reader && state.over_at.is_none();
            state.is_unfinished |= is_unfinished;
            is_unfinished
        };
        if is_unfinished {
            self.abort();
        }
    }

    /// Asks whether the peer is there.
    pub(super) fn ping(&self) {
        let ping = Raw::Ping(Bytes::new());
        // If there is no room, the peer has not read what it was asked before.
        let _ = self
            .state
            .lock()
            .write(|context, duct| context.write(duct, ping));
    }

    /// Whoever waits comes away.
    pub(super) fn abort(&self) {
        self.state.lock().is_closed = true;
        if let Some(abort) = &*self.abort.lock() {
            abort();
        }
    }

    /// Sends what there still is, and ends this direction of the stream. When the reader has come to the end.
    pub(super) fn finish(&self) {
        let limit = {
            let mut state = self.state.lock();
            state.is_closed = true;
            state.limit.take()
        };
        if let Some(limit) = limit {
            limit.cancel();
        }
        if panicking() {
            return;
        }
        // A slow line may have much of what was sent before it still to carry.
        let finished = timeout(LAST_WORDS.max(self.options.close), || -> io::Result<()> {
            let mut sink = self.sink.lock_timeout(Duration::MAX)?;
            match sink.as_deref_mut() {
                Some(sink) => {
                    self.push(sink)?;
                    sink.finish()
                }
                None => Ok(()),
            }
        });
        if finished.is_err() {
            // The peer does not read.
            self.abort();
        }
    }

    /// How much has been encoded and waits to be sent.
    pub(super) fn waiting(&self) -> usize {
        self.state.lock().output.len()
    }

    /// Forgets the stream, which has come to its end.
    pub(super) fn release(&self) {
        *self.abort.lock() = None;
        let sink = match panicking() {
            true => self.sink.try_lock(),
            // Who has it comes away, now that the stream has ended.
            false => self.sink.lock_timeout(AT_ONCE).ok(),
        };
        if let Some(mut sink) = sink {
            *sink = None;
        }
    }

    pub(super) fn peers_close(&self) -> Option<Close> {
        self.state.lock().close.clone()
    }

    pub(super) fn is_open(&self) -> bool {
        let state = self.state.lock();
        !state.is_closed && state.context.can_write()
    }
}

impl State {
    /// Takes a message to be sent, when all before it has been.
    fn take(&mut self, message: Message) -> Result<(), WsError> {
        if self.is_closed || !self.context.can_write() {
            return Err(WsError::Closed);
        }
        let opcode = message.opcode();
        let bytes = message.into_bytes();
        self.rest = Some(Rest { bytes, opcode });
        Ok(())
    }
}

impl Message {
    fn opcode(&self) -> Data {
        match self {
            Message::Text(_) => Data::Text,
            Message::Binary(_) => Data::Binary,
        }
    }

    /// All of it in one frame.
    fn to_frame(&self) -> Frame {
        Frame::message(self.clone().into_bytes(), OpCode::Data(self.opcode()), true)
    }
}

impl Close {
    pub(super) fn of(code: CloseCode, reason: &str) -> Close {
        Close {
            code,
            reason: reason.to_owned(),
        }
    }
}

/// Somebody sends.
struct Sending<'a>(&'a Arc<Session>);

impl<'a> Sending<'a> {
    fn begin(session: &'a Arc<Session>) -> Self {
        session.state.lock().interrupted = false;
        Sending(session)
    }
}

impl Drop for Sending<'_> {
    fn drop(&mut self) {
        let session = self.0;
        let interrupted = {
            let mut state = session.state.lock();
            state.interrupted = state.has_unsent();
            state.interrupted
        };
        // After a kill there is nobody who hears of an error and tries again, but somebody else may send.
        if interrupted && panicking() && has_workers() {
            let limit = session.options.send.unwrap_or(session.options.close);
            let session = Arc::downgrade(session);
            after(limit, move || {
                if let Some(session) = session.upgrade() {
                    session.forsake();
                }
            });
        }
    }
}

/// Bytes on their way. What has not been sent goes back when it is dropped.
struct Going<'a> {
    session: &'a Session,
    bytes: Vec<u8>,
    sent: usize,
}

impl Drop for Going<'_> {
    fn drop(&mut self) {
        let mut bytes = mem::take(&mut self.bytes);
        bytes.drain(..self.sent);
        let mut state = self.session.state.lock();
        if bytes.is_empty() && (!state.output.is_empty() || bytes.capacity() > KEPT) {
            return;
        }
        // What reading has had to say meanwhile comes behind it.
        bytes.append(&mut state.output);
        state.output = bytes;
    }
}
