//! A WebSocket without a stream, for fuzzing: what comes is given to it, what goes is kept.

use std::io::{self, Write};
use std::sync::Arc;

use parking_lot::Mutex;
use tungstenite::protocol::Role;

use super::error::WsError;
use super::message::Message;
use super::options::{ANSWERS, PIECE, WsOptions};
use super::session::{Session, Step};
use super::transport::Sink;

/// One end of a WebSocket.
#[allow(missing_debug_implementations)]
pub struct Probe {
    session: Arc<Session>,
    line: Arc<Mutex<Line>>,
}

/// What has gone, and how much more may.
#[derive(Default)]
struct Line {
    sent: Vec<u8>,
    room: usize,
}

impl Probe {
    /// How much of what reading has to say may wait, and a piece of what is sent with it.
    pub const MOST_WAITING: usize = ANSWERS + 2 * PIECE;

    /// A server's end, from which nothing goes at first.
    pub fn server(options: WsOptions) -> Probe {
        Probe::new(Role::Server, options)
    }

    /// A client's end.
    pub fn client(options: WsOptions) -> Probe {
        Probe::new(Role::Client, options)
    }

    fn new(role: Role, options: WsOptions) -> Probe {
        let line = Arc::default();
        let sink = Box::new(Pipe(Arc::clone(&line)));
        let abort = Box::new(|| {});
        let session = Session::new(role, Vec::new(), sink, abort, options);
        Probe {
            session: Arc::new(session),
            line,
        }
    }

    /// Lets so many more bytes go.
    pub fn make_room(&self, bytes: usize) {
        let mut line = self.line.lock();
        line.room = line.room.saturating_add(bytes);
    }

    /// As a reader that has read this; nothing more comes if it is empty. How it has ended, if it has.
    pub fn feed(
        &self,
        mut input: &[u8],
        messages: &mut Vec<Message>,
    ) -> Option<Result<(), WsError>> {
        let is_ended = input.is_empty();
        loop {
            let step = self.session.step(&mut input, is_ended);
            self.session.answer();
            match step {
                Ok(Step::Message(message)) => messages.push(message),
                Ok(Step::More) => return None,
                Ok(Step::Over) => return Some(Ok(())),
                Err(error) => return Some(Err(error)),
            }
        }
    }

    /// As a writer.
    ///
    /// # Errors
    ///
    /// As there; one for which there is no room is timed out.
    pub fn send(&self, message: Message) -> Result<(), WsError> {
        self.session.send(message)
    }

    /// What has gone since this was asked last.
    pub fn take_sent(&self) -> Vec<u8> {
        std::mem::take(&mut self.line.lock().sent)
    }

    /// How many bytes wait for room.
    pub fn waiting(&self) -> usize {
        self.session.waiting()
    }
}

/// Takes what there is room for, and says that it has waited in vain when there is none.
struct Pipe(Arc<Mutex<Line>>);

impl Write for Pipe {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let mut line = self.0.lock();
        let count = buf.len().min(line.room);
        if count == 0 {
            return Err(io::ErrorKind::TimedOut.into());
        }
        line.room -= count;
        line.sent.extend_from_slice(&buf[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Sink for Pipe {
    fn finish(&mut self) -> io::Result<()> {
        Ok(())
    }
}
