//! Look-ups under way, and the threads that make them.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use actor_core::__private::PoolBusy;
use actor_core::sync::Event;
use parking_lot::Mutex;

use super::ResolveError;

/// When all threads have been held for so long, nobody waits for one any more.
const STUCK: Duration = Duration::from_secs(5);

/// How many names may wait for a thread.
const LINE: usize = 1024;

type Answer = Result<Vec<SocketAddr>, ResolveError>;
type Source = dyn Fn(&str) -> Answer + Send + Sync;

/// See the [module](self).
pub(super) struct Flights {
    threads: usize,
    source: Box<Source>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Those in the line included.
    by_name: HashMap<Arc<str>, Arc<Flight>>,
    line: VecDeque<Arc<Flight>>,
    /// When the look-ups have begun that are being made, by the numbers of their threads.
    running: HashMap<u64, Instant>,
    started: u64,
}

/// One look-up, shared by all who want to know.
struct Flight {
    name: Arc<str>,
    /// Whether it has a thread.
    begun: AtomicBool,
    answer: OnceLock<Answer>,
    landed: Event,
    /// The virtual clock must not run ahead of it, and a program that waits for it is not stuck.
    _busy: PoolBusy,
}

impl Flights {
    pub(super) fn new(
        threads: usize,
        source: impl Fn(&str) -> Answer + Send + Sync + 'static,
    ) -> Flights {
        Flights {
            threads: threads.max(1),
            source: Box::new(source),
            state: Mutex::default(),
        }
    }

    pub(super) fn threads(&self) -> usize {
        self.threads
    }

    /// Asks for `name`, or joins those who have.
    pub(super) fn look_up(self: &Arc<Self>, name: &str, limit: Duration) -> Answer {
        let flight = self.board(name)?;
        if flight.landed.wait_timeout(limit).is_err() {
            return Err(match flight.begun.load(Relaxed) {
                true => ResolveError::TimedOut,
                false => self.busy(),
            });
        }
        let answer = flight.answer.get().cloned();
        answer.unwrap_or_else(|| Err(ResolveError::failed(io::Error::other("no answer"))))
    }

    fn busy(&self) -> ResolveError {
        ResolveError::Busy {
            threads: self.threads,
        }
    }

    fn board(self: &Arc<Self>, name: &str) -> Result<Arc<Flight>, ResolveError> {
        let mut state = self.state.lock();
        if let Some(flight) = state.by_name.get(name) {
            return Ok(Arc::clone(flight));
        }
        let flight = Arc::new(Flight {
            name: name.into(),
            begun: AtomicBool::new(false),
            answer: OnceLock::new(),
            landed: Event::new(),
            _busy: PoolBusy::new(),
        });
        if state.running.len() < self.threads {
            let started = self.start_thread(&mut state, &flight);
            if let Err(error) = started {
                if state.running.is_empty() {
                    return Err(ResolveError::failed(error));
                }
                state.line.push_back(Arc::clone(&flight));
            }
        } else {
            let stuck = state.running.values().all(|begun| begun.elapsed() > STUCK);
            if stuck || state.line.len() >= LINE {
                return Err(self.busy());
            }
            state.line.push_back(Arc::clone(&flight));
        }
        let name = Arc::clone(&flight.name);
        state.by_name.insert(name, Arc::clone(&flight));
        Ok(flight)
    }

    fn start_thread(self: &Arc<Self>, state: &mut State, first: &Arc<Flight>) -> io::Result<()> {
        let number = state.started;
        let flights = Arc::clone(self);
        let flight = Arc::clone(first);
        thread::Builder::new()
            .name(format!("concurrence-resolver-{number}"))
            .spawn(move || flights.work(number, flight))?;
        first.begun.store(true, Relaxed);
        state.started += 1;
        state.running.insert(number, Instant::now());
        Ok(())
    }

    /// The life of a thread: as long as there is something to do. A look-up takes so much longer than a
    /// thread takes to start that none is kept waiting.
    fn work(&self, number: u64, first: Arc<Flight>) {
        let mut next = Some(first);
        while let Some(flight) = next {
            let asked = catch_unwind(AssertUnwindSafe(|| (self.source)(&flight.name)));
            let answer = asked.unwrap_or_else(|_| {
                let error = io::Error::other("the source of names has panicked");
                Err(ResolveError::failed(error))
            });
            let mut state = self.state.lock();
            // Who comes from now on asks anew.
            state.by_name.remove(&flight.name);
            next = state.next();
            match next {
                Some(_) => state.running.insert(number, Instant::now()),
                None => state.running.remove(&number),
            };
            drop(state);
            // Unset until here: nobody else has this flight.
            let _ = flight.answer.set(answer);
            flight.landed.set();
        }
    }
}

impl State {
    /// The next look-up that somebody still waits for.
    fn next(&mut self) -> Option<Arc<Flight>> {
        while let Some(flight) = self.line.pop_front() {
            // This one, and that by its name. Nobody joins while the state is locked.
            if Arc::strong_count(&flight) > 2 {
                flight.begun.store(true, Relaxed);
                return Some(flight);
            }
            self.by_name.remove(&flight.name);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::sync::atomic::Ordering::SeqCst;
    use std::sync::mpsc;

    use super::super::Resolver;
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(30);
    const MOMENT: Duration = Duration::from_millis(20);

    /// Names hang until their gate is opened, but for `quick`; how often the source was asked.
    fn slow(threads: usize) -> (Resolver, mpsc::Sender<()>, Arc<AtomicUsize>) {
        let (gate, opened) = mpsc::channel();
        let opened = Mutex::new(opened);
        let asked = Arc::new(AtomicUsize::new(0));
        let resolver = Resolver::new(threads, {
            let asked = Arc::clone(&asked);
            move |name| {
                asked.fetch_add(1, SeqCst);
                if name != "quick" {
                    // Ends with an error when the gate has gone.
                    let _ = opened.lock().recv();
                }
                Ok(vec![([127, 0, 0, 1], 0).into()])
            }
        });
        (resolver, gate, asked)
    }

    fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
        let begun = Instant::now();
        while !condition() {
            assert!(begun.elapsed() < PATIENCE, "{what} never came");
            thread::yield_now();
        }
    }

    #[test]
    fn callers_of_one_name_share_a_look_up() {
        let (resolver, gate, asked) = slow(4);
        let callers: Vec<_> = (0..10)
            .map(|port| {
                let resolver = resolver.clone();
                thread::spawn(move || resolver.resolve("Name", port, PATIENCE))
            })
            .collect();
        // All are aboard: the map, the thread, and the callers.
        eventually("the callers", || {
            let state = resolver.flights.state.lock();
            let flight = state.by_name.get("name");
            flight.is_some_and(|flight| Arc::strong_count(flight) == 12)
        });
        drop(gate);
        for (port, caller) in callers.into_iter().enumerate() {
            let addrs = caller.join().unwrap().unwrap();
            assert_eq!(addrs, [([127, 0, 0, 1], port as u16).into()]);
        }
        assert_eq!(asked.load(SeqCst), 1);
        resolver.resolve("name", 1, PATIENCE).unwrap();
        assert_eq!(asked.load(SeqCst), 2, "an answer is not kept");
    }

    #[test]
    fn all_threads_held_is_an_error_of_its_own() {
        let (resolver, gate, asked) = slow(2);
        for name in ["a", "b"] {
            let error = resolver.resolve(name, 0, MOMENT).unwrap_err();
            assert!(matches!(error, ResolveError::TimedOut), "{error}");
        }
        let error = resolver.resolve("quick", 0, MOMENT).unwrap_err();
        assert!(
            matches!(error, ResolveError::Busy { threads: 2 }),
            "{error}"
        );
        assert_eq!(io::Error::from(error).kind(), io::ErrorKind::ResourceBusy);
        // A name that is being looked up can still be asked for, and a literal needs no thread.
        let error = resolver.resolve("a", 0, MOMENT).unwrap_err();
        assert!(matches!(error, ResolveError::TimedOut), "{error}");
        resolver.resolve("::1", 0, MOMENT).unwrap();
        eventually("the questions", || asked.load(SeqCst) == 2);

        // One that waits gets the first thread that is free; those who have left are passed over.
        let waiting = thread::spawn({
            let resolver = resolver.clone();
            move || resolver.resolve("waiting", 0, PATIENCE)
        });
        eventually("the line", || resolver.flights.state.lock().line.len() == 2);
        drop(gate);
        waiting.join().unwrap().unwrap();
        eventually("the end of the threads", || {
            let state = resolver.flights.state.lock();
            state.running.is_empty() && state.by_name.is_empty()
        });
        assert_eq!(asked.load(SeqCst), 3);
        resolver.resolve("quick", 0, PATIENCE).unwrap();
    }

    #[test]
    fn threads_that_are_stuck_are_not_waited_for() {
        let (resolver, _gate, _) = slow(1);
        resolver.resolve("a", 0, MOMENT).unwrap_err();
        let long_ago = Instant::now().checked_sub(2 * STUCK).unwrap();
        for begun in resolver.flights.state.lock().running.values_mut() {
            *begun = long_ago;
        }
        let error = resolver.resolve("b", 0, PATIENCE).unwrap_err();
        assert!(
            matches!(error, ResolveError::Busy { threads: 1 }),
            "{error}"
        );
    }

    #[test]
    fn a_source_that_panics_fails() {
        let resolver = Resolver::new(1, |_| panic!("as the test wishes"));
        for _ in 0..2 {
            let error = resolver.resolve("a", 0, PATIENCE).unwrap_err();
            assert!(matches!(error, ResolveError::Failed(_)), "{error}");
        }
    }
}
