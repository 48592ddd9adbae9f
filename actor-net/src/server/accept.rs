//! The loop that accepts, and what it does when it cannot.

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use actor_core::Tasklet;
use actor_io::__private::accept_waiting;
use actor_io::{Family, Internet, Listener, Stream};

use super::connection::Refusal;
use super::connections::Connections;
use super::throttle::Throttle;

/// How many connections are taken before others on this worker have their turn; and how many may be
/// lost in a row before that looks like more than bad luck.
const BATCH: usize = 64;

/// How many connections are still taken that wait when a server is to end: as many as a listener lets wait, as a rule.
const LAST: usize = 1024;

/// The pauses while the system is short of something: each twice the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// How long a request to stop may go unnoticed in a pause.
const STOP_LATENCY: Duration = Duration::from_millis(50);

/// Where connections come from.
pub(super) trait Acceptor<F: Family = Internet> {
    /// The next connection; none once the current tasklet is asked to stop.
    fn accept_or_stop(&self) -> io::Result<Option<(Stream<F>, F::Addr)>>;

    /// The next connection, if one waits.
    fn accept_waiting(&self) -> Option<(Stream<F>, F::Addr)>;

    /// Closes the next connection, if one waits; never blocks.
    fn turn_away(&self) -> bool;
}

/// What serves the connections.
pub(crate) trait Service<F: Family = Internet>: Send + Sync + 'static {
    /// The server's name.
    fn name(&self) -> &str;

    fn connections(&self) -> &Connections;

    /// Begins to serve a connection, or closes it. Does not wait for its end.
    fn admit(self: &Arc<Self>, stream: Stream<F>, peer: F::Addr) -> Result<(), Refusal>;
}

impl<F: Family> Acceptor<F> for &Listener<F> {
    fn accept_or_stop(&self) -> io::Result<Option<(Stream<F>, F::Addr)>> {
        Listener::accept_or_stop(self)
    }

    fn accept_waiting(&self) -> Option<(Stream<F>, F::Addr)> {
        accept_waiting(self).ok()
    }

    fn turn_away(&self) -> bool {
        // Straight at the socket, which does not block.
        self.socket_ref().accept().is_ok()
    }
}

/// Accepts until the current tasklet is asked to stop. Those who wait then have been told by the system that they are
/// connected, and have perhaps sent something: without the listener they would be reset.
pub(super) fn until_stopped<F, A, S>(listener: A, service: &Arc<S>) -> io::Result<()>
where
    F: Family,
    A: Acceptor<F>,
    S: Service<F>,
{
    let mut reserve = Reserve::new();
    let mut backoff = BackOff::new();
    let mut shortages = Throttle::default();
    let mut refusals = Throttle::default();
    let mut admit = |stream, peer| {
        if let Err(refusal) = service.admit(stream, peer) {
            service.connections().count_refused(1);
            if let Some(count) = refusals.count() {
                log_refusals(service.name(), count, &refusal);
            }
        }
    };
    loop {
        for _ in 0..BATCH {
            match listener.accept_or_stop() {
                Ok(None) => {
                    let last = std::iter::from_fn(|| listener.accept_waiting());
                    last.take(LAST)
                        .for_each(|(stream, peer)| admit(stream, peer));
                    return Ok(());
                }
                Ok(Some((stream, peer))) => {
                    if backoff.success() {
                        reserve.refill();
                    }
                    admit(stream, peer);
                }
                Err(error) => {
                    let failure = Failure::of(&error);
                    if let Failure::Listener = failure {
                        return Err(error);
                    }
                    let Some(pause) = backoff.failure(&failure) else {
                        tracing::debug!(server = service.name(), %error, "connection lost before it was accepted");
                        continue;
                    };
                    let turned_away = match failure {
                        Failure::Shortage => reserve.turn_away(&listener),
                        _ => 0,
                    };
                    service.connections().count_refused(turned_away);
                    if let Some(count) = shortages.count() {
                        tracing::warn!(server = service.name(), %error, turned_away, count, "cannot accept, pausing");
                    }
                    sleep_or_stop(pause);
                }
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
pub(crate) enum Failure {
    /// The connection that was next; the one after it may be well.
    Connection,
    /// Descriptors or memory have run out; waiting may help.
    Shortage,
    /// The listener itself: nothing will ever be accepted.
    Listener,
}

impl Failure {
    pub(crate) fn of(error: &io::Error) -> Failure {
        match error.raw_os_error() {
            // The last is the reactor's, when the system watches as many descriptors as it may.
            Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM | libc::ENOSPC) => {
                Failure::Shortage
            }
            Some(libc::EBADF | libc::EINVAL | libc::ENOTSOCK | libc::EFAULT) | None => {
                Failure::Listener
            }
            // Linux reports errors that are pending on the new socket through accept: a reset, an
            // unreachable host, what a firewall forbids.
            Some(_) => Failure::Connection,
        }
    }
}

/// When to pause, and how long.
#[derive(Debug)]
struct BackOff {
    /// How many times in a row accepting has failed.
    failures: usize,
    next: Duration,
}

impl BackOff {
    fn new() -> Self {
        BackOff {
            failures: 0,
            next: FIRST_PAUSE,
        }
    }

    /// Notes that a connection was accepted; whether there was a pause before.
    fn success(&mut self) -> bool {
        self.failures = 0;
        std::mem::replace(&mut self.next, FIRST_PAUSE) != FIRST_PAUSE
    }

    /// Notes a failure; the pause, if there is to be one.
    fn failure(&mut self, failure: &Failure) -> Option<Duration> {
        self.failures += 1;
        // Whatever the system may call it: nothing but failures would keep a processor busy.
        if matches!(failure, Failure::Connection) && self.failures < BATCH {
            return None;
        }
        let pause = self.next;
        self.next = (pause * 2).min(LONGEST_PAUSE);
        Some(pause)
    }
}

/// A descriptor held in reserve. When there are no others it is given up for a moment, so that those
/// who wait for a connection can be told, by accepting and closing theirs.
struct Reserve(Option<File>);

impl Reserve {
    fn new() -> Self {
        Reserve(File::open("/dev/null").ok())
    }

    /// Somebody else may have taken the descriptor while it was given up.
    fn refill(&mut self) {
        if self.0.is_none() {
            *self = Reserve::new();
        }
    }

    /// Accepts and closes what connections wait, a batch at most; gives how many they were.
    fn turn_away<F: Family>(&mut self, listener: &impl Acceptor<F>) -> u64 {
        self.0 = None;
        let waiting = (0..BATCH).take_while(|_| listener.turn_away());
        let turned_away = waiting.count() as u64;
        self.refill();
        turned_away
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};
    use std::collections::VecDeque;
    use std::net::SocketAddr;
    use std::process::ExitCode;
    use std::time::Instant;

    use actor_core::{Runtime, TimedOut, time};
    use actor_io::{TcpListener, TcpStream};

    use super::super::builder::ServerBuilder;
    use super::super::connection::Tasklets;
    use super::*;

    /// Fails and succeeds by a script, and notes when it is asked; stops at the end of the script.
    #[derive(Default)]
    struct Script {
        steps: RefCell<VecDeque<io::Result<()>>>,
        asked: RefCell<Vec<Instant>>,
        waiting: Cell<u64>,
    }

    impl Script {
        fn of_errors(errors: impl IntoIterator<Item = i32>) -> Script {
            Script::of(errors.into_iter().map(failure))
        }

        fn of(steps: impl IntoIterator<Item = io::Result<()>>) -> Script {
            Script {
                steps: RefCell::new(steps.into_iter().collect()),
                ..Script::default()
            }
        }

        /// The times between one question and the next, in milliseconds.
        fn pauses(&self) -> Vec<u128> {
            let asked = self.asked.borrow();
            let pairs = asked.windows(2);
            pairs.map(|pair| (pair[1] - pair[0]).as_millis()).collect()
        }
    }

    fn failure(code: i32) -> io::Result<()> {
        Err(io::Error::from_raw_os_error(code))
    }

    impl Acceptor for &Script {
        fn accept_or_stop(&self) -> io::Result<Option<(TcpStream, SocketAddr)>> {
            self.asked.borrow_mut().push(time::now());
            match self.steps.borrow_mut().pop_front() {
                None => Ok(None),
                Some(_) if Tasklet::is_stopping() => Ok(None),
                Some(Err(error)) => Err(error),
                Some(Ok(())) => {
                    let listener = TcpListener::bind("127.0.0.1:0")?;
                    let _client = TcpStream::connect(listener.local_addr()?)?;
                    listener.accept().map(Some)
                }
            }
        }

        fn accept_waiting(&self) -> Option<(TcpStream, SocketAddr)> {
            None
        }

        fn turn_away(&self) -> bool {
            let waiting = self.waiting.get();
            self.waiting.set(waiting.saturating_sub(1));
            waiting > 0
        }
    }

    fn on_virtual_clock(test: fn()) {
        let code = Runtime::builder().virtual_clock(true).dispatch(test);
        assert_eq!(code, ExitCode::SUCCESS);
    }

    /// What becomes of a script: how many connections were turned away, and how the loop has ended.
    fn follow(script: &Script) -> (u64, io::Result<()>) {
        let connections = Arc::<Connections>::default();
        let service = Arc::new(Tasklets::new(
            drop,
            "scripted".to_owned(),
            ServerBuilder::new().settings,
            Arc::clone(&connections),
        ));
        let ended = until_stopped(script, &service);
        connections.stop_all();
        connections.wait_until_none();
        (connections.refused(), ended)
    }

    #[test]
    fn a_shortage_is_waited_out_in_ever_longer_pauses() {
        on_virtual_clock(|| {
            use libc::{EMFILE, ENFILE, ENOBUFS, ENOMEM, ENOSPC};
            let shortages = [
                ENFILE, ENOMEM, EMFILE, ENOBUFS, ENOSPC, ENFILE, ENOMEM, ENOMEM, ENFILE,
            ];
            let mut steps: Vec<_> = shortages.map(failure).into();
            steps.extend([Ok(()), failure(ENFILE), Ok(())]);
            let script = Script::of(steps);
            let (refused, ended) = follow(&script);
            ended.unwrap();
            assert_eq!(refused, 0);
            let expected = [10, 20, 40, 80, 160, 320, 640, 1000, 1000, 0, 10, 0];
            assert_eq!(script.pauses(), expected);
        });
    }

    #[test]
    fn those_who_wait_in_a_shortage_are_turned_away_a_batch_at_a_time() {
        on_virtual_clock(|| {
            let script = Script::of_errors([libc::ENFILE; 2]);
            script.waiting.set(BATCH as u64 + 5);
            let (refused, ended) = follow(&script);
            ended.unwrap();
            assert_eq!(refused, BATCH as u64 + 5);
        });
    }

    #[test]
    fn a_lost_connection_costs_no_time() {
        on_virtual_clock(|| {
            let errors = [
                libc::ECONNABORTED,
                libc::EPROTO,
                libc::EPERM,
                libc::ENETUNREACH,
                libc::EHOSTUNREACH,
                libc::ETIMEDOUT,
            ];
            let script = Script::of_errors(errors);
            script.waiting.set(1);
            let (refused, ended) = follow(&script);
            ended.unwrap();
            assert_eq!(refused, 0, "the next may be well");
            assert_eq!(script.pauses(), [0; 6]);
        });
    }

    #[test]
    fn nothing_but_lost_connections_does_not_keep_the_processor_busy() {
        on_virtual_clock(|| {
            let mut steps: Vec<_> = (0..BATCH - 1)
                .map(|_| failure(libc::ECONNABORTED))
                .collect();
            steps.push(Ok(()));
            steps.extend((0..BATCH + 2).map(|_| failure(libc::ECONNABORTED)));
            let script = Script::of(steps);
            follow(&script).1.unwrap();
            let pauses = script.pauses();
            let (harmless, pauses) = pauses.split_at(2 * BATCH - 1);
            assert!(harmless.iter().all(|&pause| pause == 0));
            assert_eq!(pauses, [10, 20, 40]);
        });
    }

    #[test]
    fn a_broken_listener_ends_the_server() {
        on_virtual_clock(|| {
            for code in [libc::EBADF, libc::EINVAL, libc::ENOTSOCK] {
                let script = Script::of_errors([code, libc::ECONNABORTED]);
                let error = follow(&script).1.unwrap_err();
                assert_eq!(error.raw_os_error(), Some(code));
                assert_eq!(script.steps.borrow().len(), 1);
            }
            let script = Script::of([Err(TimedOut.into())]);
            let error = follow(&script).1.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        });
    }

    #[test]
    fn a_pause_does_not_put_off_a_stop() {
        on_virtual_clock(|| {
            let server = Tasklet::spawn(|| {
                follow(&Script::of_errors([libc::ENOMEM; 1000])).1.unwrap();
                time::now()
            });
            Tasklet::sleep(Duration::from_millis(10_001));
            let stopped = time::now();
            server.stop();
            let ended = server.join().unwrap();
            assert!(ended - stopped <= STOP_LATENCY);
        });
    }

    #[test]
    fn a_reserve_that_was_lost_is_filled_again() {
        let mut reserve = Reserve(None);
        reserve.refill();
        assert!(reserve.0.is_some());
        assert_eq!(reserve.turn_away(&&Script::default()), 0);
        assert!(reserve.0.is_some());
    }
}
