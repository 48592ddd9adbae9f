//! Ends of the process that explain themselves.

use super::*;

#[test]
fn a_stack_overflow_names_the_tasklet() {
    #[inline(never)]
    fn dig(depth: u64) -> u64 {
        let block = std::hint::black_box([depth; 64]);
        if depth == 0 {
            0
        } else {
            dig(std::hint::black_box(depth - 1)) + block[7]
        }
    }
    if is_child() {
        run(|| {
            let digger = Tasklet::builder()
                .name("the digger")
                .spawn(|| dig(1 << 30))
                .unwrap();
            drop(digger.join());
        });
        return;
    }
    let output = in_child("ends::a_stack_overflow_names_the_tasklet");
    assert_eq!(output.status.signal(), Some(libc::SIGABRT), "{output:?}");
    let said = stderr(&output);
    assert!(
        said.contains("tasklet 'the digger' has overflowed its stack"),
        "{said}"
    );
    assert!(said.contains("stack_size"), "{said}");
}

#[test]
fn a_closure_larger_than_its_stack_is_no_danger_to_the_spawner() {
    if is_child() {
        // From a plain thread, which has stack enough.
        run(|| {
            block_on_thread(|| {
                let large = [7_u8; 40 * 1024];
                let tasklet = Tasklet::builder().name("cramped").stack_size(32 * 1024);
                let tasklet = tasklet
                    .spawn(move || std::hint::black_box(&large)[17])
                    .unwrap();
                assert_eq!(tasklet.join().unwrap(), 7);
            });
        });
        return;
    }
    let output = in_child("ends::a_closure_larger_than_its_stack_is_no_danger_to_the_spawner");
    // To run it is another matter: where the compiler copies it to the stack, the tasklet overflows,
    // by name. The spawner would be a plain fault.
    let overflow = stderr(&output).contains("tasklet 'cramped' has overflowed its stack");
    assert!(output.status.success() || overflow, "{output:?}");
}

#[test]
fn a_fault_that_is_no_overflow_dies_of_itself() {
    if is_child() {
        run(|| {
            // SAFETY: none; that is the point.
            unsafe { std::ptr::null_mut::<u8>().wrapping_add(8).write_volatile(1) };
        });
        return;
    }
    let output = in_child("ends::a_fault_that_is_no_overflow_dies_of_itself");
    assert_eq!(output.status.signal(), Some(libc::SIGSEGV), "{output:?}");
    assert!(!stderr(&output).contains("overflowed"), "{output:?}");
}

#[test]
fn a_runtime_on_a_foreign_scheduler_refuses_to_start() {
    if is_child() {
        // Somebody else has started `may`, with another number of workers.
        may::config().set_workers(1);
        let (tell, told) = std::sync::mpsc::channel();
        // SAFETY: it neither uses thread-locals nor much stack.
        let started = unsafe { may::coroutine::spawn(move || tell.send(()).unwrap()) };
        told.recv().unwrap();
        drop(started);
        let refused = Runtime::builder().workers(3).try_dispatch(|| ());
        match &refused {
            Err(error @ RuntimeError::ProbeFailed(_)) => eprintln!("refused: {error}"),
            other => panic!("{other:?}"),
        }
        return;
    }
    let output = in_child("ends::a_runtime_on_a_foreign_scheduler_refuses_to_start");
    assert!(output.status.success(), "{output:?}");
    assert!(stderr(&output).contains("refused: "), "{output:?}");
}

#[test]
fn a_coroutine_of_somebody_elses_is_no_tasklet() {
    if is_child() {
        run(|| {
            let (tell, told) = std::sync::mpsc::channel();
            // SAFETY: it uses neither thread-locals of its own nor much stack.
            let stranger = unsafe {
                may::coroutine::spawn(move || {
                    let waited = || block_on_thread(|| ());
                    tell.send(Tasklet::try_current().is_none()).unwrap();
                    may::coroutine::sleep(SHORT);
                    tell.send(Tasklet::try_current().is_none()).unwrap();
                    tell.send(std::panic::catch_unwind(waited).is_err())
                        .unwrap();
                })
            };
            // It runs when its worker has nothing else to do.
            block_on_thread(move || {
                for _ in 0..3 {
                    assert_eq!(told.recv_timeout(PATIENCE), Ok(true));
                }
            });
            drop(stranger);
        });
        return;
    }
    let output = in_child("ends::a_coroutine_of_somebody_elses_is_no_tasklet");
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn a_kill_and_an_expiry_pass_no_panic_hook() {
    if is_child() {
        std::panic::set_hook(Box::new(|info| eprintln!("the hook has heard: {info}")));
        run(|| {
            let victim = spawn(|| Tasklet::sleep(PATIENCE));
            victim.kill();
            assert_killed(&victim);
            let late: Option<()> = timeout(SHORT, || {
                Tasklet::sleep(PATIENCE);
                None
            });
            assert_eq!(late, None);
            let unlucky = spawn(|| panic!("a real one"));
            assert!(matches!(unlucky.join(), Err(JoinError::Panicked(_))));
        });
        return;
    }
    let output = in_child("ends::a_kill_and_an_expiry_pass_no_panic_hook");
    assert!(output.status.success(), "{output:?}");
    let said = stderr(&output);
    assert_eq!(said.matches("the hook has heard").count(), 1, "{said}");
    assert!(said.contains("a real one"), "{said}");
}

#[test]
fn without_a_program_there_are_no_tasklets() {
    if is_child() {
        let refused = || Tasklet::builder().spawn(|| ());
        assert!(matches!(refused(), Err(SpawnError::NotRunning)));
        run(|| ());
        assert!(matches!(refused(), Err(SpawnError::NotRunning)));
        return;
    }
    let output = in_child("ends::without_a_program_there_are_no_tasklets");
    assert!(output.status.success(), "{output:?}");
}
