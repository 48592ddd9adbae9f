//! A value changes hands on a channel. Try it: `cargo run --example send_receive`.
//!
//! The sender comes first and waits; the receiver finds it, takes the value, and ends; then the sender
//! goes on. It prints:
//!
//! ```text
//! Sent.
//! ```

use std::process::ExitCode;

use concurrence::channel::Channel;
use concurrence::{Tasklet, dispatch};

fn main() -> ExitCode {
    dispatch(|| {
        let channel = Channel::new();
        let receiving = channel.clone();
        Tasklet::spawn(move || {
            let x = 5;
            channel.send(x).expect("the receiver takes it");
            println!("Sent.");
        });
        Tasklet::spawn(move || {
            let x = receiving.receive().expect("the sender has a value");
            assert_eq!(x, 5);
        });
        Tasklet::run_all();
    })
}
