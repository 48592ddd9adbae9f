//! Two tasklets, one after the other. Try it: `cargo run --example greet`.
//!
//! It prints:
//!
//! ```text
//! Hello, A
//! Hello, B
//! ```

use std::process::ExitCode;

use concurrence::{Tasklet, dispatch};

fn greet(name: &str) {
    println!("Hello, {name}");
}

fn main() -> ExitCode {
    dispatch(|| {
        Tasklet::spawn(|| greet("A"));
        Tasklet::spawn(|| greet("B"));
        Tasklet::run_all();
    })
}
