//! Models of what wakes a tasklet that polls a future.

use std::sync::atomic::Ordering::Relaxed;

use loom::sync::Arc;
use loom::sync::atomic::AtomicBool;
use loom::thread;

use super::check;
use super::worker::{Home, Received, World};
use crate::future::Alert;

/// A tasklet that polls, and the futures' part that others bring about.
struct Polled {
    world: Arc<World>,
    alert: Alert,
    /// What each waker has to show.
    shown: [AtomicBool; 2],
}

impl Polled {
    fn new() -> Arc<Polled> {
        Arc::new(Polled {
            world: World::new(),
            alert: Alert::new(),
            shown: [AtomicBool::new(false), AtomicBool::new(false)],
        })
    }

    /// `Core::wake_by_ref`, from another thread, which has something to show.
    fn show(&self, which: usize) {
        self.shown[which].store(true, Relaxed);
        if self.alert.raise() {
            self.world.wake_from_afar();
        }
    }

    fn is_shown(&self, which: usize) -> bool {
        self.shown[which].load(Relaxed)
    }

    /// `block_on`, in the tasklet.
    fn block_on(&self, home: &mut Home<'_>, mut poll: impl FnMut(&mut Home<'_>) -> bool) {
        loop {
            self.alert.take();
            if poll(home) {
                break;
            }
            while !self.alert.take() {
                home.park(false);
            }
        }
        self.alert.leave();
    }
}

fn showing(polled: &Arc<Polled>, which: usize) -> thread::JoinHandle<()> {
    let polled = polled.clone();
    thread::spawn(move || polled.show(which))
}

/// Two wakers, one of whom relies on the other to wake: a poll sees what each of them has to show.
#[test]
fn loom_alert_is_followed_by_a_poll_that_sees_all() {
    check(Some(2), || {
        let polled = Polled::new();
        let wakers = [0, 1].map(|which| showing(&polled, which));
        let mut home = Home::launched(&polled.world);
        polled.block_on(&mut home, |_| polled.is_shown(0) && polled.is_shown(1));
        wakers.into_iter().for_each(|waker| waker.join().unwrap());
    });
}

/// A wait inside a poll of another, which share the alert: what wakes the outer one while the inner one
/// waits is not lost.
#[test]
fn loom_alert_of_a_wait_is_not_lost_to_one_inside_it() {
    check(Some(2), || {
        let polled = Polled::new();
        let wakers = [0, 1].map(|which| showing(&polled, which));
        let mut home = Home::launched(&polled.world);
        let mut waited = false;
        polled.block_on(&mut home, |home| {
            // What it waits for itself it looks at first.
            let over = polled.is_shown(0);
            if !std::mem::replace(&mut waited, true) {
                polled.block_on(home, |_| polled.is_shown(1));
            }
            over
        });
        wakers.into_iter().for_each(|waker| waker.join().unwrap());
    });
}

/// A waker that is late, and meets its tasklet in another wait: that one looks for itself, and ends when its own
/// time has come.
#[test]
fn loom_alert_that_is_late_ends_no_other_wait() {
    check(Some(2), || {
        let polled = Polled::new();
        let late = showing(&polled, 0);
        let sender = {
            let polled = polled.clone();
            thread::spawn(move || assert!(polled.world.send(1)))
        };
        let mut home = Home::launched(&polled.world);
        polled.block_on(&mut home, |_| true);
        assert_eq!(home.receive(false), Received::Message(1));
        // And a wait that comes after it hears of all that was told before.
        polled.block_on(&mut home, |_| polled.is_shown(0));
        late.join().unwrap();
        sender.join().unwrap();
    });
}
