//! Closures on threads and the virtual clock, which is the whole process's: so in a file of its own.

use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use actor_core::{Runtime, Tasklet, block_on_thread, time};

/// The clock stands while a closure runs, and moves on when it has ended: neither too early, nor
/// never because the worker looked just before the thread had counted itself out.
#[test]
fn the_virtual_clock_waits_for_closures_and_goes_on_after_them() {
    let code = Runtime::builder().virtual_clock(true).dispatch(|| {
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
    assert_eq!(format!("{code:?}"), format!("{:?}", ExitCode::SUCCESS));
}
