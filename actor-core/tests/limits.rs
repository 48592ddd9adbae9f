//! Limits: how many tasklets, and how large their stacks. In a file of its own, with a runtime of few.

mod common;

use std::panic::catch_unwind;

use actor_core::{JoinError, Runtime, SpawnError, Tasklet};
use common::{PATIENCE, text};

/// All tests here share these.
const LIMIT: usize = 40;

/// Runs `main` alone: the limit is the process's.
fn run(main: impl FnOnce() + Send + 'static) {
    static ONE_AT_A_TIME: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let _alone = ONE_AT_A_TIME
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner());
    let (tell, told) = std::sync::mpsc::channel();
    let program = std::thread::spawn(move || {
        let builder = Runtime::builder().workers(2).tasklets(LIMIT);
        let code = builder.dispatch(main);
        let _ = tell.send(());
        text(code)
    });
    if let Err(std::sync::mpsc::RecvTimeoutError::Timeout) = told.recv_timeout(PATIENCE) {
        panic!("the program does not end");
    }
    let code = program.join().expect("main has not panicked");
    assert_eq!(code, text(std::process::ExitCode::SUCCESS));
}

fn sleeper() -> Result<actor_core::JoinHandle<()>, SpawnError> {
    Tasklet::builder().spawn(|| Tasklet::sleep(PATIENCE))
}

#[test]
fn past_the_limit_a_spawn_fails_and_says_what_limits_it() {
    run(|| {
        for _ in 0..3 {
            // Main is one, too. Those that have just ended count until their workers are rid of them.
            let mut sleepers = Vec::new();
            while sleepers.len() < LIMIT - 1 {
                match sleeper() {
                    Ok(tasklet) => sleepers.push(tasklet),
                    Err(_) => Tasklet::yield_now(),
                }
            }
            let error = sleeper().expect_err("there is no room for more");
            match &error {
                SpawnError::TaskletLimit { limit, sysctl } => {
                    assert_eq!((*limit, *sysctl), (LIMIT, "vm.max_map_count"));
                }
                other => panic!("{other}"),
            }
            let said = error.to_string();
            assert!(
                said.contains("40") && said.contains("vm.max_map_count"),
                "{said}"
            );
            // Plain `spawn` panics with the same text.
            let panicked = catch_unwind(|| drop(Tasklet::spawn(|| ()))).unwrap_err();
            let text = panicked.downcast_ref::<String>().expect("a text");
            assert!(text.contains(&said), "{text}");
            // With the first that ends there is room again.
            sleepers[0].kill();
            assert!(matches!(sleepers[0].join(), Err(JoinError::Killed)));
            while sleeper().map(|tasklet| sleepers.push(tasklet)).is_err() {
                Tasklet::yield_now();
            }
            sleepers.iter().for_each(|sleeper| sleeper.kill());
            sleepers.iter().for_each(|sleeper| drop(sleeper.join()));
        }
    });
}

#[test]
fn a_closure_may_be_large() {
    run(|| {
        // It goes to the tasklet by way of the heap, and not through the stack that it will run on.
        let large = [7_u8; 20 * 1024];
        let tasklet = Tasklet::builder().stack_size(1 << 20).spawn(move || {
            std::hint::black_box(&large)
                .iter()
                .map(|n| u32::from(*n))
                .sum::<u32>()
        });
        assert_eq!(tasklet.unwrap().join().unwrap(), 7 * 20 * 1024);
    });
}

#[test]
fn stacks_of_all_sizes() {
    run(|| {
        // Odd numbers are rounded up; none is too small to panic in, or to be killed in.
        for bytes in [0, 1, 8_191, 16 * 1024 + 1, 100_001, 8 << 20] {
            let builder = || Tasklet::builder().stack_size(bytes);
            assert_eq!(builder().spawn(|| 5).unwrap().join().unwrap(), 5);
            let unlucky = builder().spawn(|| panic!("no luck")).unwrap();
            assert!(matches!(unlucky.join(), Err(JoinError::Panicked(_))));
            let killed = builder().spawn(|| Tasklet::sleep(PATIENCE)).unwrap();
            Tasklet::yield_now();
            killed.kill();
            assert!(matches!(killed.join(), Err(JoinError::Killed)));
        }
    });
}

#[test]
fn a_stack_that_cannot_be_had_is_an_error() {
    run(|| {
        let asked = |bytes| Tasklet::builder().stack_size(bytes).spawn(|| ());
        match asked(usize::MAX) {
            Err(SpawnError::StackSize { requested, limit }) => {
                assert_eq!(requested, usize::MAX);
                assert!(limit < requested);
            }
            other => panic!("{other:?}"),
        }
        // More than there is address space, if the system's own limit lets it pass.
        let huge = asked(1 << 50);
        let refused = matches!(
            huge,
            Err(SpawnError::System(_) | SpawnError::StackSize { .. })
        );
        assert!(refused, "{huge:?}");
        // What failed does not count.
        let mut sleepers = Vec::new();
        while sleepers.len() < LIMIT - 1 {
            match sleeper() {
                Ok(tasklet) => sleepers.push(tasklet),
                Err(_) => Tasklet::yield_now(),
            }
        }
        sleepers.iter().for_each(|sleeper| sleeper.kill());
    });
}
