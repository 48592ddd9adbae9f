//! The loop that accepts, and what it does when it cannot.

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use actor_core::{Outcome, Tasklet};
use actor_io::{TcpListener, TcpStream};

use super::connection::{Refusal, Service};
use super::throttle::Throttle;

/// How many connections are taken before others on this worker have their turn.
const BATCH: usize = 64;

/// The pauses while the system is short of something: each twice the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// How long a request to stop may go unnoticed in a pause.
const STOP_LATENCY: Duration = Duration::from_millis(50);

/// Accepts until the current tasklet is asked to stop; closes the listener.
pub(super) fn until_stopped<H, R>(
    listener: TcpListener,
    service: &Arc<Service<H>>,
) -> io::Result<()>
where
    H: Fn(TcpStream) -> R + Send + Sync + 'static,
    R: Outcome + 'static,
{
    let mut reserve = Reserve::new();
    let mut pause = FIRST_PAUSE;
    let mut shortages = Throttle::default();
    let mut refusals = Throttle::default();
    loop {
        for _ in 0..BATCH {
            match listener.accept_or_stop() {
                Ok(None) => return Ok(()),
                Ok(Some((stream, peer))) => {
                    pause = FIRST_PAUSE;
                    if let Err(refusal) = service.admit(stream, peer) {
                        service.connections().count_refused();
                        if let Some(count) = refusals.count() {
                            log_refusals(service.name(), count, &refusal);
                        }
                    }
                }
                Err(error) => match Failure::of(&error) {
                    Failure::Connection => {
                        tracing::debug!(server = service.name(), %error, "connection lost before it was accepted");
                    }
                    Failure::Shortage => {
                        let turned_away = reserve.turn_away(&listener);
                        for _ in 0..turned_away {
                            service.connections().count_refused();
                        }
                        if let Some(count) = shortages.count() {
                            tracing::warn!(server = service.name(), %error, turned_away, count, "cannot accept, pausing");
                        }
                        sleep_or_stop(pause);
                        pause = (pause * 2).min(LONGEST_PAUSE);
                    }
                    Failure::Listener => return Err(error),
                },
            }
        }
        Tasklet::yield_now();
    }
}

fn log_refusals(server: &str, count: u64, refusal: &Refusal) {
    tracing::warn!(server, count, reason = %refusal, "connections refused");
}

/// Sleeps, but not much longer than until the current tasklet is asked to stop.
fn sleep_or_stop(pause: Duration) {
    let mut left = pause;
    while !left.is_zero() && !Tasklet::is_stopping() {
        let nap = left.min(STOP_LATENCY);
        Tasklet::sleep(nap);
        left -= nap;
    }
}

/// What an error of accept is about.
enum Failure {
    /// The connection that was next; the one after it may be well.
    Connection,
    /// Descriptors or memory have run out; waiting may help.
    Shortage,
    /// The listener itself: nothing will ever be accepted.
    Listener,
}

impl Failure {
    fn of(error: &io::Error) -> Failure {
        match error.raw_os_error() {
            Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM) => Failure::Shortage,
            Some(libc::EBADF | libc::EINVAL | libc::ENOTSOCK | libc::EFAULT) | None => {
                Failure::Listener
            }
            // Linux reports errors that are pending on the new socket through accept: a reset, an
            // unreachable host, what a firewall forbids.
            Some(_) => Failure::Connection,
        }
    }
}

/// A descriptor held in reserve. When there are no others it is given up for a moment, so that those
/// who wait for a connection can be told, by accepting and closing theirs.
struct Reserve(Option<File>);

impl Reserve {
    fn new() -> Self {
        Reserve(File::open("/dev/null").ok())
    }

    /// Accepts and closes what connections wait, a batch at most; gives how many they were.
    fn turn_away(&mut self, listener: &TcpListener) -> usize {
        let mut turned_away = 0;
        self.0 = None;
        // Straight at the socket, which does not block.
        while turned_away < BATCH && listener.socket_ref().accept().is_ok() {
            turned_away += 1;
        }
        *self = Reserve::new();
        turned_away
    }
}
