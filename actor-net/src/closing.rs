//! The orderly end of a connection, without a stack.
//!
//! To close a socket with unread input resets the connection, and the peer may lose what it has not read
//! yet. So what is still to be written is, then the sending side ends, and what has come in is read and
//! thrown away. Only a peer that was still sending is waited for, briefly.
//!
//! Most connections end in the first attempt, on the spot. For the others a [`Closing`] owns the source
//! until the end, driven by its readiness and by a timer.

use std::fmt;
use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use actor_core::__private::{after, soon};
use actor_core::Timer;
use actor_core::reactor::{Direction, Source, Watch};
use parking_lot::Mutex;
use rustix::net::{RecvFlags, SendFlags, Shutdown};

use crate::server::connections::{Lingering, Place, Told};

/// How much a peer may still send while its connection is being closed, and for how long.
pub(crate) const DRAIN_BYTES: usize = 64 * 1024;
pub(crate) const DRAIN_TIME: Duration = Duration::from_secs(1);

/// How much is thrown away with one system call.
const WASTE: usize = 2048;

/// How a connection is to be closed.
#[derive(Debug)]
pub(crate) struct Manner {
    /// What is still to be written.
    pub(crate) output: Vec<u8>,
    /// How long that may take.
    pub(crate) linger: Duration,
    /// Whether a peer that is still sending is not waited for.
    pub(crate) hurry: bool,
    /// Whether the peer is known to be sending; otherwise it is if something has come in.
    pub(crate) sending: bool,
}

/// What is closed.
pub(crate) trait Socket: Send + 'static {
    fn source(&self) -> &Source;

    /// Closes the descriptor; or ends the connection, if somebody else still has it.
    fn hang_up(self);
}

impl Socket for Source {
    fn source(&self) -> &Source {
        self
    }

    fn hang_up(self) {}
}

/// Hears of the end.
pub(crate) trait Closed: Send + 'static {
    /// It takes its time, and somebody may want to cut that short.
    fn lingers(&mut self, closing: Arc<dyn Lingering>) -> Option<Told> {
        drop(closing);
        None
    }

    /// It is over: so many bytes could not be sent.
    fn closed(self, unsent: usize);
}

/// Leaves a server once the socket is closed.
impl Closed for Place {
    fn lingers(&mut self, closing: Arc<dyn Lingering>) -> Option<Told> {
        Some(self.linger(closing))
    }

    fn closed(self, _: usize) {}
}

/// Closes a connection in the orderly way. On a worker's thread; does not wait.
pub(crate) fn close(socket: impl Socket, manner: Manner, closed: impl Closed) {
    let linger = manner.linger;
    let mut work = Work {
        socket,
        output: manner.output,
        sent: 0,
        phase: Phase::Writing,
        drained: 0,
        hurry: manner.hurry,
        sending: manner.sending,
        timer: None,
        closed,
    };
    if work.advance() {
        work.end();
        return;
    }
    let wait = match work.phase {
        Phase::Writing => linger,
        Phase::Draining => DRAIN_TIME,
    };
    let closing = Arc::new(Closing {
        work: Mutex::new(Some(work)),
    });
    closing.limit(wait);
    let (told, watched) = match &mut *closing.work.lock() {
        Some(work) => (
            work.closed.lingers(closing.clone()),
            // Its readiness is nobody else's affair any more.
            work.socket.source().watch(closing.clone()),
        ),
        None => return,
    };
    match watched {
        // What has become ready before it was watched.
        Ok(()) => closing.clone().go_on(),
        Err(_) => closing.give_up(),
    }
    // Not under the lock: it may be to end at once.
    if let Some(told) = told {
        told.tell();
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Writing,
    Draining,
}

struct Work<S, C> {
    socket: S,
    output: Vec<u8>,
    sent: usize,
    phase: Phase,
    drained: usize,
    hurry: bool,
    sending: bool,
    timer: Option<Timer>,
    closed: C,
}

impl<S: Socket, C: Closed> Work<S, C> {
    /// Goes on as far as it can; `true` at the end.
    fn advance(&mut self) -> bool {
        if self.phase == Phase::Writing {
            match self.write() {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
                // The peer has gone.
                Err(_) => return true,
            }
            if rustix::net::shutdown(self.socket.source(), Shutdown::Write).is_err() {
                return true;
            }
            self.phase = Phase::Draining;
        }
        match self.drain() {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.hurry || self.drained == 0 && !self.sending
            }
            _ => true,
        }
    }

    fn write(&mut self) -> io::Result<()> {
        while self.sent < self.output.len() {
            let rest = &self.output[self.sent..];
            let source = self.socket.source();
            let written =
                source.try_io_stream(Direction::Write, rest.len(), |fd| send(fd, rest))?;
            self.sent += written;
        }
        Ok(())
    }

    /// Throws away what has come in, until the peer has sent all, or too much.
    fn drain(&mut self) -> io::Result<()> {
        let mut waste = [0; WASTE];
        while self.drained < DRAIN_BYTES {
            // What has come in may not have been heard of yet: then straight at the socket.
            let source = self.socket.source();
            let read = if source.is_ready(Direction::Read) {
                source.try_io(Direction::Read, |fd| recv(fd, &mut waste))
            } else {
                recv(source.as_fd(), &mut waste)
            };
            match read {
                Ok(0) => return Ok(()),
                Ok(count) => self.drained += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn end(self) {
        if let Some(timer) = self.timer {
            timer.cancel();
        }
        let unsent = self.output.len() - self.sent;
        // Closed before anybody hears of it.
        self.socket.hang_up();
        self.closed.closed(unsent);
    }
}

/// A connection that takes its time to close.
struct Closing<S, C> {
    /// Until the end.
    work: Mutex<Option<Work<S, C>>>,
}

impl<S: Socket, C: Closed> Closing<S, C> {
    fn go_on(self: Arc<Self>) {
        let (over, drains) = {
            let mut place = self.work.lock();
            let Some(work) = place.as_mut() else { return };
            let before = work.phase;
            work.socket.source().rearm();
            if work.advance() {
                (place.take(), false)
            } else {
                (None, before != work.phase)
            }
        };
        if let Some(work) = over {
            work.end();
        } else if drains {
            // The time to write has not been used up; this is that of the drain.
            self.limit(DRAIN_TIME);
        }
    }

    /// Sets how long it may take from now on.
    fn limit(self: &Arc<Self>, limit: Duration) {
        let closing = self.clone();
        let timer = after(limit, move || closing.give_up());
        let before = match &mut *self.work.lock() {
            Some(work) => work.timer.replace(timer),
            None => Some(timer),
        };
        if let Some(timer) = before {
            timer.cancel();
        }
    }

    /// The time is up.
    fn give_up(&self) {
        let work = self.work.lock().take();
        if let Some(work) = work {
            work.end();
        }
    }
}

impl<S: Socket, C: Closed> Watch for Closing<S, C> {
    fn ready(self: Arc<Self>) {
        // Not here, in the middle of somebody's tasklet.
        soon(None, move || self.go_on());
    }
}

impl<S: Socket, C: Closed> Lingering for Closing<S, C> {
    fn kill(&self) {
        self.give_up();
    }
}

impl<S, C> fmt::Debug for Closing<S, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Closing").finish_non_exhaustive()
    }
}

/// Reads from a socket that does not block.
pub(crate) fn recv(fd: impl AsFd, buf: &mut [u8]) -> io::Result<usize> {
    Ok(rustix::net::recv(fd, buf, RecvFlags::empty())?.0)
}

/// Writes to a socket that does not block.
pub(crate) fn send(fd: impl AsFd, bytes: &[u8]) -> io::Result<usize> {
    Ok(rustix::net::send(fd, bytes, SendFlags::NOSIGNAL)?)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::process::ExitCode;

    use actor_core::Runtime;

    use super::*;
    use crate::server::connections::Connections;

    /// While a source is watched the virtual clock stands still: no time-out ends this.
    #[test]
    fn a_kill_does_not_wait_for_the_peer() {
        let code = Runtime::builder().virtual_clock(true).dispatch(|| {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let mut peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let connections = Arc::<Connections>::default();
            let place = connections.admit(None).unwrap();
            let (socket, _) = listener.accept().unwrap();
            peer.write_all(b"still sending").unwrap();
            let source = Source::new(socket).unwrap();
            source.wait(Direction::Read, None).unwrap();
            let manner = Manner {
                output: b"words".to_vec(),
                linger: DRAIN_TIME,
                hurry: false,
                sending: false,
            };
            close(source, manner, place);
            connections.stop_all();
            assert_eq!(connections.len(), 1, "it waits for the peer");
            connections.kill_all();
            connections.wait_until_none();
            let mut words = Vec::new();
            peer.read_to_end(&mut words).unwrap();
            assert_eq!(words, b"words");
        });
        assert_eq!(code, ExitCode::SUCCESS);
    }
}
