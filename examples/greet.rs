//! Two tasklets take turns. Try it: `cargo run --example greet`.
//!
//! Tasklets of one worker run round robin, and one runs until it waits or yields; so this prints
//! `Hello, A`, `Hello, B`, `Goodbye A` and `Goodbye B`, each on a line of its own, every time.

use std::process::ExitCode;

use concurrence::{Tasklet, dispatch};

fn greet(name: &str) {
    println!("Hello, {name}");
    Tasklet::yield_now();
    println!("Goodbye {name}");
}

fn main() -> ExitCode {
    dispatch(|| {
        Tasklet::spawn(|| greet("A"));
        Tasklet::spawn(|| greet("B"));
    })
}
