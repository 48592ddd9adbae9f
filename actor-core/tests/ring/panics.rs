//! Forwarded panics.

use super::*;

#[test]
fn a_panic_that_nobody_joins_ends_main_though_it_is_blocked() {
    let ended = forwarding(|| {
        let log = Log::default();
        Tasklet::spawn(|| panic!("forwarded"));
        let after = log.clone();
        Tasklet::spawn(move || after.add("after"));
        let check = log.clone();
        let _runs_first = OnDrop::new(move || assert_eq!(check.take(), ""));
        Event::new().wait();
    });
    assert_eq!(ended.as_deref(), Some("forwarded"));
}

#[test]
fn a_panic_on_another_worker_ends_main() {
    let ended = forwarding(|| {
        for worker in 0..WORKERS {
            drop(spawn_on(worker, || panic!("far away")));
        }
        Tasklet::receive().for_each(drop);
    });
    assert_eq!(ended.as_deref(), Some("far away"));
}

#[test]
fn a_panic_that_is_joined_is_not_forwarded() {
    let ended = forwarding(|| {
        let panics = spawn(|| panic!("joined"));
        assert!(matches!(panics.join(), Err(JoinError::Panicked(_))));
        Tasklet::schedule();
    });
    assert_eq!(ended, None);
}

#[test]
fn a_panic_goes_to_the_innermost_caller_of_run() {
    alone(|| {
        let ended = block_on_thread(|| {
            forwarding(|| {
                let inner = Tasklet::spawn(|| {
                    Tasklet::spawn(|| panic!("inner"));
                    Tasklet::run_all();
                });
                // Its caller is joined, so the panic stays with it.
                assert!(matches!(inner.join(), Err(JoinError::Panicked(_))));
            })
        });
        assert_eq!(ended, None);
    });
}

#[test]
fn main_in_run_all_is_ended_by_a_panic() {
    let ended = forwarding(|| {
        Tasklet::spawn(|| panic!("run by main"));
        Tasklet::run_all();
        unreachable!("it is raised in the run");
    });
    assert_eq!(ended.as_deref(), Some("run by main"));
}
