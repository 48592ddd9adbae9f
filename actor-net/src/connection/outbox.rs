//! What is to be written to a connection.

use std::collections::VecDeque;
use std::mem;
use std::sync::Arc;

use parking_lot::Mutex;

use super::ConnectionError;

/// How much is gathered for one write.
const CHUNK: usize = 64 * 1024;

/// How large a buffer may be that is kept for what comes next.
const KEPT: usize = 8 * 1024;

/// Between those who send and the one who writes. Nobody waits here.
///
/// The one who writes is a tasklet, or whoever has just been stirred: there is one at a time, since it is
/// stirred only when it has said that it goes.
#[derive(Debug)]
pub(crate) struct Outbox {
    state: Mutex<State>,
}

/// How much may wait.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) messages: usize,
    pub(crate) bytes: usize,
}

#[derive(Debug)]
struct State {
    /// Where nothing is written for long, there is none.
    queue: Option<Box<Queue>>,
    phase: Phase,
    writer: Writer,
    /// There has been room to write since the writer tried.
    room: bool,
}

#[derive(Debug, Default)]
struct Queue {
    chunks: VecDeque<Chunk>,
    /// An empty buffer.
    spare: Vec<u8>,
    /// What has been sent and not been written: in the chunks, and of the one that is being written.
    messages: usize,
    bytes: usize,
    /// Why the connection ends, if that is known. The first counts.
    error: Option<Arc<ConnectionError>>,
}

/// Messages that are written at once.
#[derive(Debug)]
pub(crate) struct Chunk {
    bytes: Vec<u8>,
    messages: usize,
    /// How much of it has been written.
    written: usize,
}

impl Chunk {
    /// What is still to be written of it.
    pub(crate) fn rest(&self) -> &[u8] {
        &self.bytes[self.written..]
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Open,
    /// Takes nothing more; what there is will be written.
    Finishing,
    /// Nothing more is written.
    Shut,
}

/// What the writer is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Writer {
    /// It has nothing to do, and is to be stirred when it has.
    Idle,
    /// It has been stirred, or writes.
    Busy,
    /// It is to be stirred when there is room to write.
    Blocked,
}

/// What has become of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pushed {
    Taken,
    /// Taken, and the writer is to be stirred.
    Stir,
    /// There is no room for it.
    Full,
}

/// What the writer is to do.
#[derive(Debug)]
pub(crate) enum Next {
    Write(Chunk),
    /// Nothing, until it is stirred.
    Wait,
    /// Nothing any more.
    End,
}

impl Outbox {
    /// One whose writer is there, or is to be stirred.
    pub(crate) fn new(has_writer: bool) -> Self {
        Outbox {
            state: Mutex::new(State {
                queue: None,
                phase: Phase::Open,
                writer: match has_writer {
                    true => Writer::Busy,
                    false => Writer::Idle,
                },
                room: false,
            }),
        }
    }

    /// Takes a message, if there is room.
    ///
    /// One that is larger than the limit alone is taken if nothing else waits: the limit is there for
    /// peers that do not read. Nothing is taken any more, and nothing needs to be, once it is closed.
    pub(crate) fn push(&self, message: &[u8], limits: Limits) -> Pushed {
        let mut state = self.state.lock();
        if state.phase != Phase::Open {
            return Pushed::Taken;
        }
        let queue = state.queue.get_or_insert_default();
        let bytes = queue.bytes + message.len();
        if queue.messages >= limits.messages || (bytes > limits.bytes && queue.bytes > 0) {
            return Pushed::Full;
        }
        queue.bytes = bytes;
        queue.messages += 1;
        queue.append(message);
        match state.stir() {
            true => Pushed::Stir,
            false => Pushed::Taken,
        }
    }

    /// What the writer is to do next. Unless it is to write, it has nothing to do with this any more until
    /// it is stirred.
    pub(crate) fn next(&self) -> Next {
        let mut state = self.state.lock();
        // One that is shut has none.
        let chunk = state
            .queue
            .as_mut()
            .and_then(|queue| queue.chunks.pop_front());
        if let Some(chunk) = chunk {
            state.room = false;
            return Next::Write(chunk);
        }
        state.writer = Writer::Idle;
        match state.phase {
            Phase::Open => Next::Wait,
            Phase::Finishing | Phase::Shut => Next::End,
        }
    }

    /// Part of a chunk has been written.
    pub(crate) fn written(&self, chunk: &mut Chunk, bytes: usize) {
        chunk.written += bytes;
        if let Some(queue) = &mut self.state.lock().queue {
            queue.bytes -= bytes;
        }
    }

    /// All of a chunk has been written.
    pub(crate) fn done(&self, chunk: Chunk) {
        if let Some(queue) = &mut self.state.lock().queue {
            queue.messages -= chunk.messages;
            queue.keep(chunk.bytes);
        }
    }

    /// There is no room to write the rest of a chunk, and the writer goes; `false` if there has come to be
    /// some since it took the chunk, or nothing more is written: then it is to go on.
    pub(crate) fn block(&self, chunk: Chunk) -> bool {
        let mut state = self.state.lock();
        if state.phase == Phase::Shut {
            return false;
        }
        if let Some(queue) = &mut state.queue {
            queue.chunks.push_front(chunk);
        }
        if mem::take(&mut state.room) {
            return false;
        }
        state.writer = Writer::Blocked;
        true
    }

    /// There is room to write; `true` if the writer is to be stirred.
    pub(crate) fn unblock(&self) -> bool {
        let mut state = self.state.lock();
        match state.writer {
            Writer::Idle => false,
            Writer::Busy => {
                state.room = true;
                false
            }
            Writer::Blocked => {
                state.writer = Writer::Busy;
                true
            }
        }
    }

    /// Gives memory back that is of no use as long as nothing is to be written.
    pub(crate) fn trim(&self) {
        let mut state = self.state.lock();
        if state
            .queue
            .as_ref()
            .is_some_and(|queue| queue.messages == 0 && queue.error.is_none())
        {
            state.queue = None;
        }
    }

    /// Takes nothing more; `true` if the writer is to be stirred.
    #[must_use]
    pub(crate) fn finish(&self) -> bool {
        self.enter(Phase::Finishing)
    }

    /// Throws away what waits; nothing more is written. `true` if the writer is to be stirred.
    #[must_use]
    pub(crate) fn shut(&self) -> bool {
        self.enter(Phase::Shut)
    }

    fn enter(&self, phase: Phase) -> bool {
        let mut state = self.state.lock();
        state.phase = state.phase.max(phase);
        let waste = match (state.phase, &mut state.queue) {
            (Phase::Shut, Some(queue)) => mem::take(&mut queue.chunks),
            _ => VecDeque::new(),
        };
        if state.phase == Phase::Shut && state.writer == Writer::Blocked {
            // It need not wait for room any more.
            state.writer = Writer::Idle;
        }
        let stir = state.stir();
        drop(state);
        drop(waste);
        stir
    }

    /// Notes why the connection ends, unless that is known.
    pub(crate) fn fail(&self, error: ConnectionError) {
        let mut state = self.state.lock();
        let queue = state.queue.get_or_insert_default();
        if queue.error.is_none() {
            queue.error = Some(Arc::new(error));
        }
    }

    pub(crate) fn error(&self) -> Option<Arc<ConnectionError>> {
        self.state.lock().error().cloned()
    }

    /// How many bytes wait to be written.
    pub(crate) fn waiting(&self) -> usize {
        let state = self.state.lock();
        state.queue.as_ref().map_or(0, |queue| queue.bytes)
    }

    /// Whether it takes messages, as far as it knows.
    pub(crate) fn is_open(&self) -> bool {
        let state = self.state.lock();
        state.phase == Phase::Open && state.error().is_none()
    }
}

impl State {
    fn error(&self) -> Option<&Arc<ConnectionError>> {
        self.queue.as_ref()?.error.as_ref()
    }

    /// Whether the writer is to be stirred; it counts as that.
    fn stir(&mut self) -> bool {
        let idle = self.writer == Writer::Idle;
        if idle {
            self.writer = Writer::Busy;
        }
        idle
    }
}

impl Queue {
    fn append(&mut self, message: &[u8]) {
        if let Some(last) = self.chunks.back_mut()
            && last.written == 0
            && last.bytes.len() + message.len() <= CHUNK
        {
            last.bytes.extend_from_slice(message);
            last.messages += 1;
            return;
        }
        let mut bytes = mem::take(&mut self.spare);
        bytes.extend_from_slice(message);
        self.chunks.push_back(Chunk {
            bytes,
            messages: 1,
            written: 0,
        });
    }

    /// Keeps a buffer for what comes next, if it is not so large that a silent connection should not
    /// have it.
    fn keep(&mut self, mut buffer: Vec<u8>) {
        if buffer.capacity() <= KEPT {
            buffer.clear();
            self.spare = buffer;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANY: Limits = Limits {
        messages: usize::MAX,
        bytes: usize::MAX,
    };

    fn chunk(outbox: &Outbox) -> Option<Chunk> {
        match outbox.next() {
            Next::Write(chunk) => Some(chunk),
            Next::Wait | Next::End => None,
        }
    }

    #[test]
    fn what_is_not_written_counts() {
        let outbox = Outbox::new(true);
        let limits = Limits {
            messages: 3,
            bytes: 10,
        };
        let push = |message: &str| outbox.push(message.as_bytes(), limits);
        assert_eq!(push("four"), Pushed::Taken);
        assert_eq!(push("more"), Pushed::Taken);
        assert_eq!(push("and"), Pushed::Full, "that would be eleven bytes");
        assert_eq!(push("or"), Pushed::Taken);
        let mut chunk = chunk(&outbox).unwrap();
        assert_eq!(chunk.rest(), b"fourmoreor");
        assert_eq!(push(""), Pushed::Full, "three wait, in a writer's hands");
        outbox.written(&mut chunk, 4);
        assert_eq!(chunk.rest(), b"moreor");
        outbox.written(&mut chunk, 6);
        outbox.done(chunk);
        assert_eq!(outbox.waiting(), 0);
        assert_eq!(push("1"), Pushed::Taken);
    }

    #[test]
    fn one_that_is_too_large_goes_alone() {
        let outbox = Outbox::new(true);
        let limits = Limits {
            messages: 10,
            bytes: 4,
        };
        assert_eq!(outbox.push(b"large", limits), Pushed::Taken);
        assert_eq!(outbox.push(b"x", limits), Pushed::Full);
        let mut chunk = chunk(&outbox).unwrap();
        outbox.written(&mut chunk, 5);
        outbox.done(chunk);
        assert_eq!(outbox.push(b"x", limits), Pushed::Taken);
        assert_eq!(outbox.push(b"large", limits), Pushed::Full);
    }

    #[test]
    fn messages_are_gathered_and_never_cut() {
        let outbox = Outbox::new(true);
        let message = [b'x'; 1000];
        for _ in 0..200 {
            assert_eq!(outbox.push(&message, ANY), Pushed::Taken);
        }
        assert!(!outbox.finish(), "the writer has not gone");
        let mut chunks = Vec::new();
        while let Some(mut chunk) = chunk(&outbox) {
            let len = chunk.rest().len();
            chunks.push(len);
            outbox.written(&mut chunk, len);
            outbox.done(chunk);
        }
        assert_eq!(chunks, [65_000, 65_000, 65_000, 5_000]);
        let kept = |state: &State| state.queue.as_ref().map(|queue| queue.spare.capacity());
        assert!(kept(&outbox.state.lock()).unwrap() <= KEPT);
        outbox.trim();
        assert_eq!(kept(&outbox.state.lock()), None);
    }

    #[test]
    fn a_closed_one_takes_nothing_and_a_shut_one_gives_nothing() {
        let outbox = Outbox::new(true);
        assert_eq!(outbox.push(b"a", ANY), Pushed::Taken);
        assert!(outbox.is_open());
        assert!(!outbox.finish());
        assert!(!outbox.is_open());
        assert_eq!(outbox.push(b"too late", ANY), Pushed::Taken, "no matter");
        assert_eq!(chunk(&outbox).unwrap().rest(), b"a");
        assert!(matches!(outbox.next(), Next::End));
        assert!(outbox.shut(), "the writer has gone");
        assert!(!outbox.finish());
        assert_eq!(outbox.state.lock().phase, Phase::Shut);
    }

    #[test]
    fn a_writer_that_goes_is_stirred_once() {
        let outbox = Outbox::new(false);
        assert_eq!(outbox.push(b"a", ANY), Pushed::Stir);
        assert_eq!(outbox.push(b"b", ANY), Pushed::Taken, "it has been stirred");
        let mut first = chunk(&outbox).unwrap();
        outbox.written(&mut first, 1);
        assert!(outbox.block(first));
        assert_eq!(outbox.push(b"c", ANY), Pushed::Taken, "there is no room");
        assert!(outbox.unblock());
        assert!(!outbox.unblock(), "it has been stirred");
        let rest = chunk(&outbox).unwrap();
        assert_eq!(rest.rest(), b"b");
        assert!(!outbox.unblock(), "it is at it");
        assert!(!outbox.block(rest), "and must try again");
        let rest = chunk(&outbox).unwrap();
        assert_eq!(rest.rest(), b"b");
        outbox.done(rest);
        outbox.done(chunk(&outbox).unwrap());
        assert!(matches!(outbox.next(), Next::Wait));
        assert!(!outbox.unblock(), "it has nothing to write");
        assert_eq!(outbox.push(b"d", ANY), Pushed::Stir);
    }

    #[test]
    fn a_writer_without_room_is_stirred_when_nothing_more_is_written() {
        let outbox = Outbox::new(false);
        assert_eq!(outbox.push(b"a", ANY), Pushed::Stir);
        assert!(outbox.block(chunk(&outbox).unwrap()));
        assert!(!outbox.finish(), "what there is is to be written");
        assert!(outbox.shut());
        assert!(matches!(outbox.next(), Next::End));

        let outbox = Outbox::new(false);
        assert_eq!(outbox.push(b"a", ANY), Pushed::Stir);
        let held = chunk(&outbox).unwrap();
        assert!(!outbox.shut(), "it is at it");
        assert!(!outbox.block(held), "and sees the end");
        assert!(matches!(outbox.next(), Next::End));
    }
}
