//! One deadline over a whole block. Try it: `cargo run --example timeouts`.
//!
//! `timeout` ends whatever waits inside its closure: a call here, as well as a read, a lock or a
//! sleep. No operation needs a timeout of its own, and none is forgotten.

use std::{process::ExitCode, time::Duration};

use concurrence::{CallError, Message, Tasklet, dispatch, match_message, timeout};

#[derive(Message)]
#[message(reply = u32)]
struct Square(u32);

/// Squares numbers, and takes its time over each.
fn calculator() {
    for message in Tasklet::receive() {
        match_message!(match message {
            (Square(number), reply) => {
                Tasklet::sleep(Duration::from_millis(20));
                reply.send(number * number);
            }
        });
    }
}

/// The sum of the first `count` squares, however many calls that takes.
fn sum(calculator: &Tasklet, count: u32) -> Result<u32, CallError> {
    (1..=count)
        .map(|number| calculator.call(Square(number)))
        .sum()
}

fn main() -> ExitCode {
    dispatch(|| {
        let calculator = Tasklet::spawn(calculator);
        for (count, limit) in [(3, 5_000), (1_000, 100)] {
            let limit = Duration::from_millis(limit);
            match timeout(limit, || sum(&calculator, count)) {
                Ok(sum) => println!("the first {count} squares: {sum}"),
                Err(error) => println!("the first {count} squares: {error}"),
            }
        }
    })
}
