//! What is to be written to a connection.

use std::collections::VecDeque;
use std::mem;
use std::sync::Arc;

use actor_core::sync::Event;
use parking_lot::Mutex;

use super::ConnectionError;

/// How much is gathered for one write.
const CHUNK: usize = 64 * 1024;

/// How large a buffer may be that is kept for what comes next.
const KEPT: usize = 8 * 1024;

/// Between those who send and the one who writes. Senders never wait.
#[derive(Debug)]
pub(crate) struct Outbox {
    limits: Limits,
    state: Mutex<State>,
    /// Set when a writer that waits has something to do.
    stirred: Event,
}

/// How much may wait.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) messages: usize,
    pub(crate) bytes: usize,
}

#[derive(Debug, Default)]
struct State {
    chunks: VecDeque<Chunk>,
    /// An empty buffer.
    spare: Vec<u8>,
    /// What has been sent and not been written: in the chunks, and of the one that is being written.
    messages: usize,
    bytes: usize,
    phase: Phase,
    /// The first counts.
    error: Option<Arc<ConnectionError>>,
    /// The writer waits.
    idle: bool,
}

/// Messages that are written at once.
#[derive(Debug)]
pub(crate) struct Chunk {
    pub(crate) bytes: Vec<u8>,
    messages: usize,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    #[default]
    Open,
    /// Takes nothing more; what there is will be written.
    Finishing,
    /// Nothing more is written.
    Shut,
}

impl Outbox {
    pub(crate) fn new(limits: Limits) -> Self {
        Outbox {
            limits,
            state: Mutex::default(),
            stirred: Event::new(),
        }
    }

    /// Takes a message; `false` if there is no room.
    ///
    /// One that is larger than the limit alone is taken if nothing else waits: the limit is there for
    /// peers that do not read. Nothing is taken any more, and nothing needs to be, once it is closed.
    pub(crate) fn push(&self, message: &[u8]) -> bool {
        let stir = {
            let mut state = self.state.lock();
            if state.phase != Phase::Open {
                return true;
            }
            let bytes = state.bytes + message.len();
            if state.messages >= self.limits.messages
                || (bytes > self.limits.bytes && state.bytes > 0)
            {
                return false;
            }
            state.bytes = bytes;
            state.messages += 1;
            state.append(message);
            mem::take(&mut state.idle)
        };
        if stir {
            self.stirred.set();
        }
        true
    }

    /// The next chunk to be written. Waits for one; `None` if there will be none.
    pub(crate) fn next(&self) -> Option<Chunk> {
        loop {
            {
                let mut state = self.state.lock();
                if state.phase == Phase::Shut {
                    return None;
                }
                if let Some(chunk) = state.chunks.pop_front() {
                    return Some(chunk);
                }
                if state.phase == Phase::Finishing {
                    return None;
                }
                state.idle = true;
                // Under the lock, so that no stir comes before it and gets lost.
                self.stirred.clear();
            }
            self.stirred.wait();
        }
    }

    /// Part of a chunk has been written.
    pub(crate) fn written(&self, bytes: usize) {
        self.state.lock().bytes -= bytes;
    }

    /// All of a chunk has been written.
    pub(crate) fn done(&self, chunk: Chunk) {
        let mut state = self.state.lock();
        state.messages -= chunk.messages;
        state.keep(chunk.bytes);
    }

    /// Takes nothing more.
    pub(crate) fn finish(&self) {
        self.enter(Phase::Finishing);
    }

    /// Throws away what waits; nothing more is written.
    pub(crate) fn shut(&self) {
        self.enter(Phase::Shut);
    }

    fn enter(&self, phase: Phase) {
        let (stir, waste) = {
            let mut state = self.state.lock();
            state.phase = state.phase.max(phase);
            let waste = match state.phase {
                Phase::Shut => mem::take(&mut state.chunks),
                _ => VecDeque::new(),
            };
            (mem::take(&mut state.idle), waste)
        };
        drop(waste);
        if stir {
            self.stirred.set();
        }
    }

    /// Notes why the connection ends, unless that is known.
    pub(crate) fn fail(&self, error: ConnectionError) {
        let mut state = self.state.lock();
        if state.error.is_none() {
            state.error = Some(Arc::new(error));
        }
    }

    pub(crate) fn error(&self) -> Option<Arc<ConnectionError>> {
        self.state.lock().error.clone()
    }

    /// How many bytes wait to be written.
    pub(crate) fn waiting(&self) -> usize {
        self.state.lock().bytes
    }

    pub(crate) fn limits(&self) -> Limits {
        self.limits
    }

    /// Whether it takes messages, as far as it knows.
    pub(crate) fn is_open(&self) -> bool {
        let state = self.state.lock();
        state.phase == Phase::Open && state.error.is_none()
    }
}

impl State {
    fn append(&mut self, message: &[u8]) {
        if let Some(last) = self.chunks.back_mut()
            && last.bytes.len() + message.len() <= CHUNK
        {
            last.bytes.extend_from_slice(message);
            last.messages += 1;
            return;
        }
        let mut bytes = mem::take(&mut self.spare);
        bytes.extend_from_slice(message);
        self.chunks.push_back(Chunk { bytes, messages: 1 });
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

    fn outbox(messages: usize, bytes: usize) -> Outbox {
        Outbox::new(Limits { messages, bytes })
    }

    #[test]
    fn what_is_not_written_counts() {
        let outbox = outbox(3, 10);
        assert!(outbox.push(b"four"));
        assert!(outbox.push(b"more"));
        assert!(!outbox.push(b"and"), "that would be eleven bytes");
        assert!(outbox.push(b"or"));
        let chunk = outbox.next().unwrap();
        assert_eq!(chunk.bytes, b"fourmoreor");
        assert!(
            !outbox.push(b""),
            "three messages wait, in a writer's hands"
        );
        outbox.written(4);
        outbox.written(6);
        outbox.done(chunk);
        assert_eq!(outbox.waiting(), 0);
        assert!(outbox.push(b"1"));
    }

    #[test]
    fn one_that_is_too_large_goes_alone() {
        let outbox = outbox(10, 4);
        assert!(outbox.push(b"large"));
        assert!(!outbox.push(b"x"));
        let chunk = outbox.next().unwrap();
        outbox.written(5);
        outbox.done(chunk);
        assert!(outbox.push(b"x"));
        assert!(!outbox.push(b"large"));
    }

    #[test]
    fn messages_are_gathered_and_never_cut() {
        let outbox = outbox(usize::MAX, usize::MAX);
        let message = [b'x'; 1000];
        for _ in 0..200 {
            assert!(outbox.push(&message));
        }
        outbox.finish();
        let mut chunks = Vec::new();
        while let Some(chunk) = outbox.next() {
            chunks.push(chunk.bytes.len());
            outbox.written(chunk.bytes.len());
            outbox.done(chunk);
        }
        assert_eq!(chunks, [65_000, 65_000, 65_000, 5_000]);
        assert!(outbox.state.lock().spare.capacity() <= KEPT);
    }

    #[test]
    fn a_closed_one_takes_nothing_and_a_shut_one_gives_nothing() {
        let outbox = outbox(10, 10);
        assert!(outbox.push(b"a") && outbox.is_open());
        outbox.finish();
        assert!(!outbox.is_open());
        assert!(outbox.push(b"too late, and far too much"), "no matter");
        assert_eq!(outbox.next().unwrap().bytes, b"a");
        assert!(outbox.next().is_none());
        outbox.shut();
        outbox.finish();
        assert_eq!(outbox.state.lock().phase, Phase::Shut);
    }
}
