//! The limit on tasklets, met by calls on stacks of their own and by generators.

mod common;

use common::{Program, child};
use concurrence::{Generator, Runtime, SpawnError, Tasklet, Yielder, call};

const LIMIT: usize = 64;

/// How deep it gets until there is no room, and whether the error says so.
fn dive(depth: usize) -> usize {
    match call(|| dive(depth + 1)) {
        Ok(deepest) => deepest,
        Err(error) => {
            assert!(matches!(
                error,
                SpawnError::TaskletLimit { limit: LIMIT, .. }
            ));
            assert!(error.to_string().contains("vm.max_map_count"), "{error}");
            depth
        }
    }
}

#[test]
fn past_the_limit_there_is_an_error_and_no_harm() {
    let program = Program::start(&mut child(|| {
        Runtime::builder().workers(1).tasklets(LIMIT).dispatch(|| {
            for _ in 0..3 {
                // One of them is main.
                assert_eq!(dive(0), LIMIT - 1);
            }
            let nested = |out: &Yielder<usize>| {
                let mut held = Vec::new();
                while let Ok(another) = Tasklet::builder().generator(|out| out.give(())) {
                    held.push(another);
                }
                out.give(held.len());
            };
            for _ in 0..3 {
                // Main, and the one that holds the others.
                assert_eq!(Generator::new(nested).sum::<usize>(), LIMIT - 2);
            }
            println!("done");
        })
    }))
    .ended();
    assert_eq!(program.code(), Some(0), "{}", program.stderr);
    assert!(program.stdout.contains("done"), "{}", program.stdout);
}
