//! One tasklet says hello. Try it: `cargo run --example hello`.
//!
//! It prints:
//!
//! ```text
//! Hello, PyCon 2007!
//! ```

use std::process::ExitCode;

use concurrence::{Tasklet, dispatch};

fn writeln(text: &str) {
    println!("{text}");
}

fn main() -> ExitCode {
    dispatch(|| {
        Tasklet::spawn(|| writeln("Hello, PyCon 2007!"));
        Tasklet::run_all();
    })
}
