//! What runs at a tasklet's end, and at a program's: code of the user's that panics, waits, is late, or
//! spawns more.

mod common;

use std::cell::Cell;
use std::fmt;
use std::panic::panic_any;
use std::rc::Rc;
use std::sync::mpsc::channel;
use std::thread::{self, ThreadId};

use actor_core::{BoxError, JoinError, Message, Tasklet, dispatch, tasklet_local};
use common::*;

extern crate actor_core as concurrence;

/// An error whose text does what it should not.
struct Bad(fn());

impl fmt::Debug for Bad {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        Ok(())
    }
}

impl fmt::Display for Bad {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0();
        Ok(())
    }
}

impl std::error::Error for Bad {}

fn fails_with(text: fn()) -> Result<(), BoxError> {
    Err(Box::new(Bad(text)))
}

#[test]
fn an_error_whose_display_panics_is_no_danger_to_the_worker() {
    run(|| {
        let bad = spawn(|| fails_with(|| panic!("in a display")));
        assert!(bad.join_timeout(PATIENCE).unwrap().is_err());
        // Nor is it to the one that logs it.
        drop(spawn(|| fails_with(|| panic!("in a display"))));
        assert_eq!(join(spawn(|| 1)), 1);
    });
}

#[test]
fn an_error_whose_display_waits_outlives_a_kill() {
    run(|| {
        let bad = spawn(|| fails_with(|| Tasklet::sleep(SHORT)));
        bad.kill();
        // It had returned before it was killed.
        assert!(bad.join_timeout(PATIENCE).unwrap().is_err());
    });
}

#[test]
fn results_and_payloads_whose_destructors_panic_are_no_danger_to_the_worker() {
    /// Panics with itself, a few times over.
    struct Hydra(u32);
    impl Drop for Hydra {
        fn drop(&mut self) {
            if self.0 > 0 {
                panic_any(Hydra(self.0 - 1));
            }
        }
    }
    run(|| {
        for heads in 0..4 {
            let tasklet = Tasklet::spawn(move || Hydra(heads));
            let pid = tasklet.tasklet().downgrade();
            drop(tasklet);
            wait_until(|| pid.upgrade().is_none_or(|tasklet| !tasklet.is_alive()));
        }
        assert_eq!(join(spawn(|| 1)), 1);
    });
}

/// Says where it is made and where it is dropped. Not `Send`.
struct Resident(Rc<()>, ThreadId);

impl Drop for Resident {
    fn drop(&mut self) {
        assert_eq!(
            thread::current().id(),
            self.1,
            "a tasklet-local has left its thread"
        );
        DROPPED.with(Cell::get);
        LAST.lock().unwrap().up();
    }
}

static LAST: std::sync::LazyLock<std::sync::Mutex<Count>> =
    std::sync::LazyLock::new(Default::default);

tasklet_local! {
    static RESIDENT: Resident = Resident(Rc::new(()), thread::current().id());
    static DROPPED: Cell<u32> = Cell::new(0);
}

struct Settles;

impl Message for Settles {
    type Reply = ();
}

impl Drop for Settles {
    fn drop(&mut self) {
        RESIDENT.with(|resident| assert_eq!(Rc::strong_count(&resident.0), 1));
    }
}

#[test]
fn what_destructors_make_at_the_end_is_dropped_at_home() {
    let tasklet = run(|| {
        let tasklet = Tasklet::spawn(|| Tasklet::current().send(Settles).unwrap());
        let same = tasklet.tasklet().clone();
        join(tasklet);
        // By now, and not when the last reference goes.
        assert_eq!(LAST.lock().unwrap().get(), 1);
        same
    });
    thread::spawn(move || drop(tasklet)).join().unwrap();
    assert_eq!(LAST.lock().unwrap().get(), 1);
}

#[test]
fn what_is_spawned_while_all_are_killed_is_killed() {
    let (tell, told) = channel();
    let code = finish(move || {
        dispatch(move || {
            let stays = Tasklet::builder().daemon(true).spawn(move || {
                let _heir = OnDrop::new(move || {
                    let heir = Tasklet::builder()
                        .daemon(true)
                        .spawn(|| Tasklet::sleep(PATIENCE * 100));
                    tell.send(heir.unwrap()).unwrap();
                });
                Tasklet::sleep(PATIENCE);
            });
            wait_until_it_waits(&stays.unwrap(), "waits for a time");
        })
    });
    assert_eq!(text(code), text(std::process::ExitCode::SUCCESS));
    let heir = told.recv_timeout(PATIENCE).expect("there is an heir");
    let end = heir.join_timeout(PATIENCE);
    assert!(matches!(end, Err(JoinError::Killed)), "{end:?}");
}
