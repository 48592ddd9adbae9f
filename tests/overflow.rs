//! A stack overflow ends the process, and says which tasklet's stack it was.

mod common;

use std::hint::black_box;

use common::{Program, child};
use concurrence::{Tasklet, dispatch};

/// Recursion that the optimiser cannot turn into a loop.
fn dive(depth: u64) -> u64 {
    let frame = black_box([depth; 64]);
    if black_box(true) {
        dive(depth + 1) + black_box(frame)[1]
    } else {
        frame[0]
    }
}

#[test]
fn overflow_names_the_tasklet_and_aborts() {
    let dived = Program::start(&mut child(|| {
        dispatch(|| {
            let diver = Tasklet::builder()
                .name("the diver")
                .spawn(|| dive(0))
                .unwrap();
            let _ = diver.join();
        })
    }))
    .ended();
    assert_eq!(dived.signal(), Some(libc::SIGABRT), "{dived:?}");
    assert!(dived.stderr.contains("the diver"), "{}", dived.stderr);
    assert!(dived.stderr.contains("stack"), "{}", dived.stderr);
    assert!(
        dived.stderr.contains("stack_size"),
        "does not say what helps: {}",
        dived.stderr
    );
}

#[test]
fn a_larger_stack_is_deeper() {
    let dived = Program::start(&mut child(|| {
        dispatch(|| {
            fn frames(count: u32) -> u32 {
                let frame = black_box([count; 256]);
                if count == 0 {
                    0
                } else {
                    frames(count - 1) + black_box(frame)[0] - (count - 1)
                }
            }
            let diver = Tasklet::builder()
                .stack_size(16 << 20)
                .spawn(|| frames(2_000))
                .unwrap();
            assert_eq!(diver.join().unwrap(), 2_000);
        })
    }))
    .ended();
    assert_eq!(dived.code(), Some(0), "{dived:?}");
}

#[test]
fn a_thread_that_overflows_keeps_the_message_of_std() {
    let dived = Program::start(&mut child(|| {
        dispatch(|| {
            let thread = std::thread::Builder::new().name("plain".into());
            let _ = thread.spawn(|| dive(0)).unwrap().join();
        })
    }))
    .ended();
    assert_eq!(dived.signal(), Some(libc::SIGABRT), "{dived:?}");
    assert!(dived.stderr.contains("thread 'plain'"), "{}", dived.stderr);
    assert!(
        dived.stderr.contains("has overflowed its stack"),
        "{}",
        dived.stderr
    );
}
