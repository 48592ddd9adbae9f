//! Closures on threads and the virtual clock, which is the whole process's: so in a file of its own.

use std::process::ExitCode;
use std::sync::mpsc::channel;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use actor_core::{JoinError, Runtime, Tasklet, block_on_thread, time};

/// Runs `main` as a program that must succeed, one at a time: what one does would move the other's
/// clock on.
fn run(main: impl FnOnce() + Send + 'static) {
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let code = Runtime::builder().virtual_clock(true).dispatch(main);
    assert_eq!(format!("{code:?}"), format!("{:?}", ExitCode::SUCCESS));
}

/// The clock stands while a closure runs, and moves on when it has ended: neither too early, nor
/// never because the worker looked just before the thread had counted itself out.
#[test]
fn the_virtual_clock_waits_for_closures_and_goes_on_after_them() {
    run(|| {
        let hour = Duration::from_secs(3600);
        for round in 0..500 {
            let before = time::now();
            let sleeper = Tasklet::spawn(move || Tasklet::sleep(hour));
            block_on_thread(move || {
                if round % 100 == 0 {
                    // For the sleeper's clock to jump meanwhile, if it would.
                    thread::sleep(Duration::from_millis(5));
                }
            });
            assert_eq!(time::now(), before);
            Tasklet::sleep(hour);
            sleeper.join().unwrap();
            assert_eq!(time::now() - before, hour);
        }
    });
}

/// Nobody is woken by the end of a closure that was abandoned; the clock must go on all the same.
#[test]
fn the_virtual_clock_goes_on_after_an_abandoned_closure() {
    run(|| {
        let hour = Duration::from_secs(3600);
        let (tell, begun) = channel();
        let caller = Tasklet::spawn(|| {
            block_on_thread(move || {
                tell.send(()).unwrap();
                // Long enough for the worker to find nothing to do meanwhile.
                thread::sleep(Duration::from_millis(20));
            });
        });
        Tasklet::yield_now();
        begun.recv_timeout(Duration::from_secs(30)).unwrap();
        caller.kill();
        assert!(matches!(caller.join(), Err(JoinError::Killed)));
        let before = time::now();
        Tasklet::sleep(hour);
        assert_eq!(time::now() - before, hour);
    });
}
