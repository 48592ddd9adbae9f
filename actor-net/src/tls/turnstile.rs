//! Handshakes take turns.
//!
//! What a handshake costs is its computation, a tenth of a millisecond or some milliseconds for which the
//! thread does nothing else; and clients come in crowds, after a failure or to do harm. So no more than a few
//! handshakes are computed before those have their turn who have been let in already: a turn lasts for the
//! computation and until the worker has been round. To wait for the client is no part of it. If it were, clients
//! who say nothing would keep all others out.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::sync::{Arc, OnceLock};

use actor_core::sync::Event;
use actor_core::{__private, Tasklet};
use parking_lot::Mutex;

use super::session::TakeTurns;

/// See the [module](self). Shared by all who go by the same configuration.
pub(crate) struct Turnstile {
    limit: usize,
    /// One for each worker.
    queues: OnceLock<Box<[Mutex<Queue>]>>,
}

#[derive(Default)]
struct Queue {
    /// How many have their turn.
    inside: usize,
    waiting: VecDeque<Waiting>,
}

/// Takes a turn, unless it is of no use any more. Does not wait.
type Waiting = Box<dyn FnOnce(Turn) -> Option<Turn> + Send>;

/// The right to compute, until it is dropped.
pub(crate) struct Turn {
    /// Where it is from, and on which worker; nothing if it has been passed on.
    of: Option<(Arc<Turnstile>, usize)>,
}

impl Turnstile {
    pub(super) fn new(limit: usize) -> Arc<Turnstile> {
        Arc::new(Turnstile {
            limit: limit.max(1),
            queues: OnceLock::new(),
        })
    }

    fn queue(&self, worker: usize) -> &Mutex<Queue> {
        let make = || {
            (0..__private::workers())
                .map(|_| Mutex::default())
                .collect()
        };
        &self.queues.get_or_init(make)[worker]
    }

    /// A turn on this worker, at once; or `waiting` is given one later, from anywhere.
    pub(crate) fn enter(
        self: &Arc<Self>,
        worker: usize,
        waiting: impl FnOnce(Turn) -> Option<Turn> + Send + 'static,
    ) -> Option<Turn> {
        let mut queue = self.queue(worker).lock();
        if queue.inside >= self.limit {
            queue.waiting.push_back(Box::new(waiting));
            return None;
        }
        queue.inside += 1;
        drop(queue);
        Some(Turn {
            of: Some((self.clone(), worker)),
        })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        while let Some((turnstile, worker)) = self.of.take() {
            let next = {
                let mut queue = turnstile.queue(worker).lock();
                match queue.waiting.pop_front() {
                    Some(next) => next,
                    None => return queue.inside -= 1,
                }
            };
            let turn = Turn {
                of: Some((turnstile, worker)),
            };
            // Whoever does not take it has gone.
            if let Some(mut turn) = next(turn) {
                self.of = turn.of.take();
            }
        }
    }
}

/// The turns of a handshake that waits in a tasklet. On a plain thread there is nobody to be held up.
pub(super) struct Waits {
    turnstile: Arc<Turnstile>,
    turn: Option<Turn>,
}

impl Waits {
    pub(super) fn new(turnstile: Arc<Turnstile>) -> Waits {
        Waits {
            turnstile,
            turn: None,
        }
    }
}

/// Where a tasklet finds its turn.
#[derive(Default)]
struct Place {
    come: Event,
    turn: Mutex<Option<Turn>>,
}

impl TakeTurns for Waits {
    fn enter(&mut self) -> io::Result<()> {
        let Some(worker) = __private::worker() else {
            return Ok(());
        };
        if self.turn.is_some() {
            return Ok(());
        }
        let place = Arc::new(Place::default());
        let weak = Arc::downgrade(&place);
        let turn = self
            .turnstile
            .enter(worker, move |turn| match weak.upgrade() {
                Some(place) => {
                    *place.turn.lock() = Some(turn);
                    place.come.set();
                    None
                }
                None => Some(turn),
            });
        self.turn = turn.or_else(|| {
            // If this is unwound, a turn that has come goes with the place.
            place.come.wait();
            place.turn.lock().take()
        });
        Ok(())
    }

    fn leave(&mut self) {
        if let Some(turn) = self.turn.take() {
            Tasklet::yield_now();
            drop(turn);
        }
    }
}

impl fmt::Debug for Turnstile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Turnstile")
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::mem;

    use actor_core::{JoinError, dispatch, timeout};
    use std::time::Duration;

    use super::*;

    type Kept = Arc<Mutex<Vec<(usize, Turn)>>>;

    #[test]
    fn turns_are_given_in_order_to_those_who_are_there() {
        dispatch(|| {
            let (turnstile, kept) = (Turnstile::new(2), Kept::default());
            let enter = |i: usize, gone: bool| {
                let kept = kept.clone();
                turnstile.enter(__private::worker().unwrap(), move |turn| {
                    if gone {
                        return Some(turn);
                    }
                    kept.lock().push((i, turn));
                    None
                })
            };
            let first = enter(0, false).unwrap();
            let second = enter(1, false).unwrap();
            for i in 2..8 {
                assert!(enter(i, i == 3 || i == 4 || i == 7).is_none());
            }
            let taken = || -> Vec<usize> {
                let all = mem::take(&mut *kept.lock());
                all.iter().map(|(i, _)| *i).collect()
            };
            assert!(kept.lock().is_empty());
            drop(first);
            assert_eq!(taken(), [2]);
            // That has passed one on, past those who have gone.
            assert_eq!(taken(), [5]);
            assert_eq!(taken(), [6]);
            assert_eq!(taken(), []);
            drop(second);
            let again = (enter(8, false).unwrap(), enter(9, false).unwrap());
            assert!(enter(10, true).is_none());
            drop(again);
            assert!(enter(11, false).is_some());
        });
    }

    #[test]
    fn tasklets_wait_for_theirs() {
        dispatch(|| {
            let turnstile = Turnstile::new(1);
            let order = Arc::<Mutex<Vec<usize>>>::default();
            let mut mine = Waits::new(turnstile.clone());
            mine.enter().unwrap();
            let others: Vec<_> = (0..5)
                .map(|i| {
                    let (turnstile, order) = (turnstile.clone(), order.clone());
                    Tasklet::spawn(move || {
                        let mut turns = Waits::new(turnstile);
                        // One does not wait for long.
                        let limit = Duration::from_millis(if i == 3 { 1 } else { 60_000 });
                        timeout(limit, || turns.enter())?;
                        order.lock().push(i);
                        // Nobody else has one.
                        Tasklet::yield_now();
                        assert_eq!(order.lock().last(), Some(&i));
                        turns.leave();
                        io::Result::Ok(())
                    })
                })
                .collect();
            Tasklet::yield_now();
            assert!(order.lock().is_empty());
            others[1].kill();
            assert!(others[3].join().unwrap().is_err());
            mine.leave();
            for (i, other) in others.iter().enumerate() {
                match i {
                    1 => assert!(matches!(other.join(), Err(JoinError::Killed))),
                    3 => {}
                    _ => other.join().unwrap().unwrap(),
                }
            }
            assert_eq!(*order.lock(), [0, 2, 4]);
            // Whoever was given one has given it back.
            mine.enter().unwrap();
        });
    }
}
