//! Turns: how a worker polls though its tasklets never wait.
//!
//! A slice of time belongs to the worker, not to a tasklet. Every operation counts; every 16th looks at the clock, and
//! when the slice is used up, whoever runs polls the worker's events, timers and inbox inline. Nobody leaves the run
//! queue for that, so a turn changes no order; and it comes even if no tasklet ever waits.

use std::time::{Duration, Instant};

use super::Local;
use crate::ticks;

/// How long tasklets may run before somebody polls.
const SLICE: Duration = Duration::from_micros(200);
/// How many operations pass between two looks at the clock.
pub(super) const OPERATIONS_PER_LOOK: u32 = 16;
/// How many short messages to actors pass between two looks at the cheap clock.
const MESSAGES_PER_LOOK: u32 = 8;

impl Local {
    /// After a message has been handled: whether the slice may be over.
    ///
    /// Even the cheap clock costs a third of a short message. So it is read after every eighth, unless
    /// the last ones took so long that the eight next could outlast a slice; then after each.
    #[inline]
    pub(crate) fn slice_may_be_over(&self) -> bool {
        let left = self.messages_to_look.get();
        self.messages_to_look.set(left.wrapping_sub(1));
        left == 0 && self.look_at_ticks()
    }

    fn look_at_ticks(&self) -> bool {
        let now = ticks::now();
        let since_look = now.wrapping_sub(self.last_look.replace(now));
        let slice = ticks::of(SLICE);
        let slow = since_look >= slice / 8;
        self.messages_to_look
            .set(if slow { 0 } else { MESSAGES_PER_LOOK - 1 });
        now.wrapping_sub(self.slice_ticks.get()) >= slice
    }

    /// Whether the slice is over; then a turn is taken after the message that is being handled. For handlers
    /// with much to do, which can leave off.
    pub(crate) fn is_slice_over(&self) -> bool {
        let over = self.look_at_ticks();
        if over {
            self.messages_to_look.set(0);
        }
        over
    }

    /// Takes a turn if the slice is over; `true` if it was.
    pub(crate) fn take_turn_if_due(&self) -> bool {
        let turns = self.turns.get();
        self.look_at_clock();
        self.turns.get() > turns
    }

    /// Counts an operation, and takes a turn if the slice is used up.
    #[inline]
    pub(crate) fn count_operation(&self) {
        let operations = self.operations.get().wrapping_add(1);
        self.operations.set(operations);
        if self.runs.is_look_due(operations) {
            self.look(operations);
        }
    }

    #[cold]
    fn look(&self, operations: u32) {
        self.meter_operation();
        if operations.is_multiple_of(OPERATIONS_PER_LOOK) {
            self.look_at_clock();
        }
    }

    /// Whether the tasklet that runs has done so for a whole slice at least. The first turn may come
    /// soon after it was resumed, at the end of a slice that others have used; the second does not.
    #[inline]
    pub(crate) fn has_outstayed(&self) -> bool {
        self.turns.get() > 1
    }

    fn look_at_clock(&self) {
        let now = Instant::now();
        if now.saturating_duration_since(self.slice_start.get()) >= SLICE {
            self.turn();
        }
    }

    pub(super) fn begin_slice(&self) {
        self.slice_start.set(Instant::now());
        self.slice_ticks.set(ticks::now());
        self.slice_queued.set(self.actors_queued.get());
    }

    /// Sees to events, timers and the inbox without waiting.
    pub(crate) fn turn(&self) {
        self.poll_events(Duration::ZERO);
        self.fire_timers();
        self.empty_inbox();
        // Whoever it was meant for may be busy by now, and all the others as well: then these, which
        // are never without actors of their own, must take it.
        self.take_surplus();
        self.give_surplus();
        self.begin_slice();
        self.turns.set(self.turns.get() + 1);
        self.shared.activity.beat();
    }
}
