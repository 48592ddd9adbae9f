//! Two tasklets take turns. Try it: `cargo run --example greet_schedule`.
//!
//! Tasklets of one worker run round robin, and one runs until it waits or yields; so this prints, every
//! time:
//!
//! ```text
//! Hello, A
//! Hello, B
//! Goodbye A
//! Goodbye B
//! ```

use std::process::ExitCode;

use concurrence::{Tasklet, dispatch};

fn greet(name: &str) {
    println!("Hello, {name}");
    Tasklet::schedule();
    println!("Goodbye {name}");
}

fn main() -> ExitCode {
    dispatch(|| {
        Tasklet::spawn(|| greet("A"));
        Tasklet::spawn(|| greet("B"));
        Tasklet::run_all();
    })
}
