//! Events and timers of a worker, and its wait for them when it has nothing to do.

use std::mem;
use std::os::fd::{AsRawFd, OwnedFd};
use std::ptr;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::Local;
use super::actors::IDLE;
use crate::actor::surplus;
use crate::timers::Action;
use crate::{pool, reactor, time};

/// How long a worker without work waits for its own events before it goes back to `may`'s loop, where
/// it may wait for ever. Going there costs another system call and two switches; a server under load
/// is never without work for so long.
const LINGER: Duration = Duration::from_millis(10);
/// How many events one system call fetches.
const EVENTS: usize = 256;

pub(super) const BELL: u64 = u64::MAX;
pub(super) const TIMER: u64 = u64::MAX - 1;

impl Local {
    /// Takes in events, waiting for at most `wait` if there are none; `true` if there were any.
    pub(super) fn poll_events(&self, wait: Duration) -> bool {
        let mut wait = libc::c_int::try_from(wait.as_millis()).unwrap_or(libc::c_int::MAX);
        let mut events = [const { libc::epoll_event { events: 0, u64: 0 } }; EVENTS];
        let mut any = false;
        loop {
            // SAFETY: the buffer is ours and as long as we say.
            let count = unsafe {
                libc::epoll_wait(
                    self.epoll(),
                    events.as_mut_ptr(),
                    EVENTS as libc::c_int,
                    wait,
                )
            };
            // The only error that an open epoll gives here is EINTR, with no events taken.
            let count = usize::try_from(count).unwrap_or(0);
            for event in &events[..count] {
                match event.u64 {
                    BELL => drain(&self.shared.bell),
                    TIMER => {
                        drain(&self.timerfd);
                        self.armed.set(None);
                    }
                    key => {
                        let source = self.sources.borrow().get(key);
                        if let Some(source) = source {
                            source.set_ready(event.events);
                        }
                    }
                }
            }
            any |= count > 0;
            if count < EVENTS {
                return any;
            }
            wait = 0;
        }
    }

    pub(super) fn fire_timers(&self) -> bool {
        if self.timers.borrow().earliest().is_none() {
            return false;
        }
        let now = time::now();
        let mut any = false;
        loop {
            let action = self.timers.borrow_mut().pop_due(now);
            any |= action.is_some();
            match action {
                None => return any,
                // SAFETY: a tasklet takes its timer back before it goes on, so it is still in the
                // wait that set this one.
                Some(Action::Wake(core)) => self.wake_own(unsafe { core.as_ref() }),
                // Not run here: this may be somebody's tasklet, which must not meet another's panic.
                Some(Action::Run(run)) => self.due.borrow_mut().push_back(run),
            }
        }
    }

    /// Waits until there is something to do, and sees to it.
    pub(super) fn sleep(&self) {
        if self.fire_timers()
            || self.take_surplus()
            || (time::is_virtual() && self.advance_virtual_clock())
        {
            return;
        }
        // Said before the last look at the surplus: whoever gives after that look finds it said.
        IDLE.fetch_or(self.idle_bit(), Ordering::SeqCst);
        if surplus::is_empty() {
            self.wait_for_work();
        }
        IDLE.fetch_and(!self.idle_bit(), Ordering::SeqCst);
        self.empty_inbox();
        self.take_surplus();
        self.begin_slice();
    }

    fn wait_for_work(&self) {
        // From here on a delivery rings. What was delivered before makes this fail.
        if self.shared.inbox.go_idle() {
            self.arm_timer();
            if !self.poll_events(LINGER) {
                self.lie_down();
                self.poll.wait();
                self.check_thread();
                self.get_up();
                self.poll_events(Duration::ZERO);
            }
            self.shared.inbox.leave_idle();
            self.fire_timers();
        }
    }

    /// Jumps to the next timer if nothing else can happen; `true` if the driver must look again.
    fn advance_virtual_clock(&self) -> bool {
        // The order matters: a pool thread delivers its result first and counts itself out after, so
        // what it delivered is found by the second look if its count was gone at the first.
        if pool::is_busy() || reactor::anybody_waits() {
            return false;
        }
        if self.shared.inbox.has_nodes() {
            self.empty_inbox();
            return true;
        }
        let Some(next) = self.timers.borrow().earliest() else {
            return false;
        };
        time::jump_to(next);
        true
    }

    fn arm_timer(&self) {
        if !time::is_virtual()
            && let Some(at) = self.timers.borrow().earliest()
        {
            self.arm_timer_for(at);
        }
    }

    pub(super) fn arm_timer_for(&self, at: Instant) {
        // If it is armed for earlier, it goes off early once, and is armed again then.
        if self.armed.get().is_some_and(|armed| armed <= at) {
            return;
        }
        // Relative to a clock read before the call, so it never goes off early; and a zero would
        // disarm it.
        let wait = at
            .saturating_duration_since(Instant::now())
            .max(Duration::from_nanos(1));
        let spec = libc::itimerspec {
            it_interval: libc::timespec {
                tv_sec: 0,
                tv_nsec: 0,
            },
            it_value: libc::timespec {
                tv_sec: libc::time_t::try_from(wait.as_secs()).unwrap_or(libc::time_t::MAX),
                tv_nsec: wait.subsec_nanos().into(),
            },
        };
        // SAFETY: an open timerfd and a valid specification; no old value is asked for.
        unsafe { libc::timerfd_settime(self.timerfd.as_raw_fd(), 0, &spec, ptr::null_mut()) };
        self.armed.set(Some(at));
    }
}

/// Empties a counter descriptor. It is edge-triggered, so this only keeps its count low.
fn drain(fd: &OwnedFd) {
    let mut count = [0u8; mem::size_of::<u64>()];
    // SAFETY: reads eight bytes into a local; EAGAIN is as good as success.
    unsafe { libc::read(fd.as_raw_fd(), count.as_mut_ptr().cast(), count.len()) };
}
