//! Tasklet-local values: one for each tasklet, dropped inside it.

mod common;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::mpsc;
use std::thread::{self, ThreadId};

use actor_core::{JoinError, Pid, Tasklet, join_all, tasklet_local};
use common::*;

/// Tells where it was dropped.
struct Tracked {
    tell: mpsc::Sender<(Option<Pid>, ThreadId)>,
    /// Not `Send`: nothing asks for it.
    _rc: Rc<()>,
}

impl Tracked {
    fn new(tell: &mpsc::Sender<(Option<Pid>, ThreadId)>) -> Self {
        Tracked {
            tell: tell.clone(),
            _rc: Rc::new(()),
        }
    }
}

impl Drop for Tracked {
    fn drop(&mut self) {
        let _ = self.tell.send((Pid::current(), thread::current().id()));
    }
}

tasklet_local! {
    static NUMBER: Cell<u32> = Cell::new(1);
    static OTHER: Cell<u32> = Cell::new(2);
    inherit static USER: RefCell<String> = RefCell::new("nobody".to_owned());
    static TRACKED: RefCell<Option<Tracked>> = RefCell::new(None);
    static SECOND: RefCell<Option<Tracked>> = RefCell::new(None);
    static AT_END: RefCell<Option<Box<dyn FnOnce()>>> = RefCell::new(None);
}

#[test]
fn each_tasklet_has_its_own_value() {
    run(|| {
        NUMBER.with(|number| number.set(10));
        let values = join_all((0..9).map(|n| {
            spawn_on(n, move || {
                assert_eq!(NUMBER.with(Cell::get), 1);
                NUMBER.with(|number| number.set(n as u32));
                Tasklet::yield_now();
                assert_eq!(OTHER.with(Cell::get), 2);
                NUMBER.with(Cell::get)
            })
        }));
        let values: Vec<_> = values.into_iter().map(Result::unwrap).collect();
        assert_eq!(values, Vec::from_iter(0..9));
        assert_eq!(NUMBER.with(Cell::get), 10);
    });
    assert_eq!(
        NUMBER.with(Cell::get),
        1,
        "this thread has one of its own, too"
    );
}

#[test]
fn a_value_can_be_inherited() {
    run(|| {
        USER.with(|user| *user.borrow_mut() = "Ada".into());
        let child = spawn_on(1, || {
            let inherited = USER.with(|user| user.borrow().clone());
            USER.with(|user| user.borrow_mut().push_str(" jr."));
            let grandchild = spawn_on(2, || USER.with(|user| user.borrow().clone()));
            (inherited, join(grandchild))
        });
        // What is changed after the spawn stays here, and theirs stays there.
        USER.with(|user| user.borrow_mut().clear());
        assert_eq!(join(child), ("Ada".into(), "Ada jr.".into()));
        assert_eq!(USER.with(|user| user.borrow().clone()), "");
    });
}

#[test]
fn a_value_is_dropped_inside_its_tasklet_however_that_ends() {
    run(|| {
        let ways: [fn(); 3] = [|| (), || panic!("no luck"), || Tasklet::sleep(PATIENCE)];
        for way in ways {
            let (tell, told) = mpsc::channel();
            let tasklet = spawn_on(1, move || {
                TRACKED.with(|tracked| *tracked.borrow_mut() = Some(Tracked::new(&tell)));
                drop(tell);
                way();
            });
            tasklet.tasklet().send_kill_if_asleep();
            let end = tasklet.join_timeout(PATIENCE);
            assert!(!matches!(end, Err(JoinError::Timeout)));
            let (pid, thread) = told.recv().unwrap();
            assert_eq!(pid, Some(tasklet.pid()));
            assert_eq!(thread, join(spawn_on(1, || thread::current().id())));
        }
    });
}

trait KillIfAsleep {
    fn send_kill_if_asleep(&self);
}

impl KillIfAsleep for Tasklet {
    fn send_kill_if_asleep(&self) {
        wait_until(|| !self.is_alive() || self.tree().to_string().contains("waits for a time"));
        self.kill();
    }
}

#[test]
fn a_destructor_may_wait_and_make_new_values() {
    run(|| {
        let (tell, told) = mpsc::channel();
        let tasklet = spawn(move || {
            AT_END.with(|at_end| {
                *at_end.borrow_mut() = Some(Box::new(|| ()));
            });
            struct Late(mpsc::Sender<(Option<Pid>, ThreadId)>);
            impl Drop for Late {
                fn drop(&mut self) {
                    // Both are operations of the tasklet, and block nobody else.
                    Tasklet::sleep(SHORT);
                    assert_eq!(join(Tasklet::spawn(|| 5)), 5);
                    TRACKED.with(|tracked| *tracked.borrow_mut() = Some(Tracked::new(&self.0)));
                }
            }
            tasklet_local! {
                static LATE: RefCell<Option<Late>> = RefCell::new(None);
            }
            LATE.with(|late| *late.borrow_mut() = Some(Late(tell)));
        });
        join(tasklet);
        let (pid, _) = told.recv().unwrap();
        assert!(
            pid.is_some(),
            "what was made at the end is dropped in the tasklet as well"
        );
    });
}

#[test]
fn a_destructor_that_panics_does_not_leave_values_behind() {
    run(|| {
        let (tell, told) = mpsc::channel();
        let tasklet = spawn_on(1, move || {
            struct Late(mpsc::Sender<(Option<Pid>, ThreadId)>);
            impl Drop for Late {
                fn drop(&mut self) {
                    SECOND.with(|second| *second.borrow_mut() = Some(Tracked::new(&self.0)));
                    panic!("a destructor has no luck");
                }
            }
            tasklet_local! {
                static LATE: RefCell<Option<Late>> = RefCell::new(None);
            }
            LATE.with(|late| *late.borrow_mut() = Some(Late(tell)));
        });
        let pid = tasklet.pid();
        join(tasklet); // the last reference goes here, on another worker
        assert_eq!(
            told.recv().unwrap().0,
            Some(pid),
            "dropped in the tasklet, and nowhere else"
        );
    });
}

#[test]
fn a_value_may_be_used_while_another_is_made() {
    tasklet_local! {
        static OUTER: u32 = NUMBER.with(Cell::get) + OTHER.with(Cell::get);
    }
    run(|| {
        NUMBER.with(|number| {
            OTHER.with(|other| other.set(number.get() + 4));
            assert_eq!(OUTER.with(|outer| *outer), 6);
        });
    });
}
