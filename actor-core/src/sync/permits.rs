//! A count of permits that are taken and given back: the ground of the locks and of bounded mailboxes.
//!
//! Fair: permits go to those who wait, in their order, before anybody who comes later.
//!
//! As long as nobody waits, taking and giving back are one atomic operation each, on a word that
//! holds the free permits and two flags. `QUEUED` is set while there is a line of those who wait, and
//! changed under the line's lock alone. While it is set nobody takes permits but on behalf of the
//! first in the line, under that lock; so nobody overtakes, and what is found free there stays free.
//!
//! No wake-up is lost between the two paths: one that joins the line sets `QUEUED` first and then
//! looks once more at what is free. A release whose addition came before the flag is seen by that
//! look; one that came after has found the flag, and serves the line itself.

use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use crate::block::{self, Interrupt, Wait};
use crate::line::{Line, Ticket};
use crate::primitive::{ConstAtomicUsize, Mutex, MutexGuard};
use crate::waiter::Waiter;

const CLOSED: usize = 1;
const QUEUED: usize = 2;
/// One free permit.
const ONE: usize = 4;

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Permits {
    word: ConstAtomicUsize,
    /// Whoever is taken out without having left has its permits.
    line: Mutex<Line<Waiting>>,
}

#[derive(Debug)]
struct Waiting {
    wanted: usize,
    waiter: Waiter,
}

/// Why no permits were had.
#[derive(Debug)]
pub(crate) enum Refusal {
    Closed,
    Interrupted(Interrupt),
}

impl Permits {
    /// How many there may be.
    pub(crate) const MAX: usize = usize::MAX / ONE;

    pub(crate) const fn new(free: usize) -> Self {
        assert!(free <= Self::MAX, "too many permits");
        Permits {
            word: ConstAtomicUsize::new(free * ONE),
            line: Mutex::new(Line::new()),
        }
    }

    /// How many are free.
    pub(crate) fn free(&self) -> usize {
        self.word.load(Acquire) / ONE
    }

    /// Takes `wanted` permits if they are to be had at once. `Err` says that it is closed.
    pub(crate) fn try_acquire(&self, wanted: usize) -> Result<bool, Refusal> {
        let mut word = self.word.load(Relaxed);
        loop {
            if word & CLOSED != 0 {
                return Err(Refusal::Closed);
            }
            if word & QUEUED != 0 || word / ONE < wanted {
                return Ok(false);
            }
            // Acquire pairs with the release of whoever gave them back.
            match self
                .word
                .compare_exchange_weak(word, word - wanted * ONE, Acquire, Relaxed)
            {
                Ok(_) => return Ok(true),
                Err(current) => word = current,
            }
        }
    }

    /// Takes `wanted` permits, waiting for them if need be. The caller has begun the operation.
    pub(crate) fn acquire(&self, wanted: usize, wait: Wait) -> Result<(), Refusal> {
        if self.try_acquire(wanted)? {
            return Ok(());
        }
        let waiter = block::waiter().map_err(Refusal::Interrupted)?;
        let mut place = self.enter(wanted, waiter);
        let granted = block::wait_until(wait, || place.look()).map_err(Refusal::Interrupted)?;
        place.keep = granted.is_ok();
        granted
    }

    /// Takes a place in the line; and the permits at once, if there are enough now.
    pub(crate) fn enter(&self, wanted: usize, waiter: Waiter) -> Place<'_> {
        let mut line = self.line.lock();
        self.word.fetch_or(QUEUED, Relaxed);
        let ticket = line.join(Waiting { wanted, waiter });
        self.serve(line);
        Place {
            permits: self,
            ticket,
            wanted,
            keep: false,
        }
    }

    /// Gives permits back, to whoever waits for them first.
    pub(crate) fn release(&self, permits: usize) {
        let before = self.word.fetch_add(permits * ONE, Release);
        if before & QUEUED != 0 {
            self.serve(self.line.lock());
        }
    }

    /// Refuses everybody from now on, those who wait first.
    pub(crate) fn close(&self) {
        let waiters: Vec<Waiter> = {
            let line = self.line.lock();
            self.word.fetch_or(CLOSED, Relaxed);
            line.iter().map(|waiting| waiting.waiter.clone()).collect()
        };
        waiters.iter().for_each(Waiter::wake);
    }

    /// Lets those at the head of the line go on for whom there is enough.
    fn serve<'a>(&'a self, mut line: MutexGuard<'a, Line<Waiting>>) {
        while let Some(waiter) = self.grant(&mut line) {
            // Not under the lock: waking another worker may ring its bell, a system call.
            drop(line);
            waiter.wake();
            line = self.line.lock();
        }
    }

    /// Takes the first of the line out, with its permits, if there is enough for it.
    fn grant(&self, line: &mut Line<Waiting>) -> Option<Waiter> {
        let wanted = line.first().map(|first| first.wanted);
        let granted = match wanted {
            // `free` acquires what came before the releases; the line's lock passes it on.
            Some(wanted) if wanted <= self.free() => {
                self.word.fetch_sub(wanted * ONE, Relaxed);
                line.next().map(|first| first.waiter)
            }
            _ => None,
        };
        if line.is_empty() {
            // Release is not lost by this: a read-modify-write continues what released before it.
            self.word.fetch_and(!QUEUED, Relaxed);
        }
        granted
    }
}

/// A place in the line. Dropped without `keep`, it leaves; or, if its permits have been granted at
/// the same moment (the waiter was killed, or timed out), gives them on.
pub(crate) struct Place<'a> {
    permits: &'a Permits,
    ticket: Ticket,
    wanted: usize,
    keep: bool,
}

impl Place<'_> {
    /// Whether the permits have been granted, or never will be.
    pub(crate) fn look(&self) -> Option<Result<(), Refusal>> {
        let line = self.permits.line.lock();
        if !line.contains(self.ticket) {
            Some(Ok(()))
        } else if self.permits.word.load(Relaxed) & CLOSED != 0 {
            Some(Err(Refusal::Closed))
        } else {
            None
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if self.keep {
            return;
        }
        let mut line = self.permits.line.lock();
        if line.leave(self.ticket).is_some() {
            // Those behind may want fewer than this one did.
            self.permits.serve(line);
        } else {
            drop(line);
            self.permits.release(self.wanted);
        }
    }
}
