//! What a tasklet waits for, whether it may, and whether in vain.

use std::sync::atomic::Ordering;

use super::Core;
use crate::Pid;
use crate::block::Waiting;
use crate::worker::Local;

impl Core {
    /// Whether it waits for something. On its home's thread it is certain.
    pub(crate) fn is_blocked(&self) -> bool {
        // One that waits for nothing is on its way to its home, to begin.
        self.wake.is_parked() && self.waits_for() != Waiting::Nothing
    }

    /// Ends its wait with [`Interrupt::Deadlock`](crate::block::Interrupt::Deadlock), if that does not succeed
    /// at the last moment. On its home's thread, while it waits.
    pub(crate) fn declare_deadlock(&self, local: &Local) {
        // It may wait for something else by now.
        if self.is_blocked() && self.waits_for().can_end_in_deadlock() {
            // SAFETY: on the home thread.
            unsafe { self.home_state() }.deadlocked.set(true);
            local.wake_own(self);
        }
    }

    /// Whether that has been declared of the wait that has just been interrupted. For the tasklet itself.
    #[inline]
    pub(crate) fn take_deadlock(&self) -> bool {
        // SAFETY: the tasklet itself.
        unsafe { self.home_state() }.deadlocked.take()
    }

    /// Whether its operations fail that would have to wait. For the tasklet itself.
    #[inline]
    pub(crate) fn must_not_block(&self) -> bool {
        // SAFETY: the tasklet itself.
        unsafe { self.home_state() }.block_trap.get()
    }

    /// What it waits for now, for display.
    pub(crate) fn waits_for(&self) -> Waiting {
        Waiting::decode(self.waiting.load(Ordering::Relaxed))
    }
}

impl Waiting {
    /// One byte of kind, seven of detail.
    pub(super) fn encode(self) -> u64 {
        let (kind, detail) = match self {
            Waiting::Nothing => (0, 0),
            Waiting::Message => (1, 0),
            Waiting::Reply(pid) => (2, pid.0),
            Waiting::Room(pid) => (3, pid.0),
            Waiting::End(pid) => (4, pid.0),
            Waiting::Readable(fd) => (5, fd as u64),
            Waiting::Writable(fd) => (6, fd as u64),
            // An address of a user's process has 56 bits at most.
            Waiting::Lock(at) => (7, at as u64),
            Waiting::Condition(at) => (8, at as u64),
            Waiting::Event(at) => (9, at as u64),
            Waiting::Permit(at) => (10, at as u64),
            Waiting::Thread => (11, 0),
            Waiting::Time => (12, 0),
            Waiting::Sender(channel) => (13, channel),
            Waiting::Receiver(channel) => (14, channel),
            Waiting::Any => (15, 0),
            Waiting::Element(pid) => (16, pid.0),
            Waiting::Demand => (17, 0),
            Waiting::AnyPeer => (18, 0),
            Waiting::Exit(pid) => (19, pid.0),
            Waiting::Future => (20, 0),
        };
        kind << 56 | detail & ((1 << 56) - 1)
    }

    fn decode(code: u64) -> Self {
        let detail = code & ((1 << 56) - 1);
        match code >> 56 {
            1 => Waiting::Message,
            2 => Waiting::Reply(Pid(detail)),
            3 => Waiting::Room(Pid(detail)),
            4 => Waiting::End(Pid(detail)),
            5 => Waiting::Readable(detail as i32),
            6 => Waiting::Writable(detail as i32),
            7 => Waiting::Lock(detail as usize),
            8 => Waiting::Condition(detail as usize),
            9 => Waiting::Event(detail as usize),
            10 => Waiting::Permit(detail as usize),
            11 => Waiting::Thread,
            12 => Waiting::Time,
            13 => Waiting::Sender(detail),
            14 => Waiting::Receiver(detail),
            15 => Waiting::Any,
            16 => Waiting::Element(Pid(detail)),
            17 => Waiting::Demand,
            18 => Waiting::AnyPeer,
            19 => Waiting::Exit(Pid(detail)),
            20 => Waiting::Future,
            _ => Waiting::Nothing,
        }
    }
}
