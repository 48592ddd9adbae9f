//! Two producers and a consumer on one channel. Try it: `cargo run --example producer_consumer`, and
//! again with `-- --preference sender`.
//!
//! Who runs next after a value has changed hands is the channel's choice. Usually it is the receiver, so
//! each value is printed as soon as it is sent, and the two producers alternate:
//!
//! ```text
//! Starting consumer
//! Starting producer1
//! 'A'
//! Starting producer2
//! 1
//! 'B'
//! 2
//! 3
//! ```
//!
//! With `--preference sender` a sender who finds the consumer waiting goes on, and the consumer goes to the
//! end of the run queue; a consumer who finds a sender waiting lets that run first. So the first producer
//! hands over `'A'` and goes on to `'B'`, for which nobody waits any more: it blocks. The consumer stands
//! behind the second producer, which starts, and blocks with `1`. Only then `'A'` is printed. From now on
//! the consumer always finds a sender waiting; whether that runs before or after the value is printed, the
//! next value in line stays the same, since those who wait on a channel are served in turn:
//!
//! ```text
//! Starting consumer
//! Starting producer1
//! Starting producer2
//! 'A'
//! 'B'
//! 1
//! 2
//! 3
//! ```
//!
//! With `--preference neither` a sender goes on as well, so the start is the same. The consumer goes on too,
//! until nobody waits; then the second producer hands over `2` and blocks with `3`. The output is the same.

use std::env;
use std::fmt::Debug;
use std::process::ExitCode;

use concurrence::channel::{Channel, Preference};
use concurrence::{Tasklet, dispatch};

/// A character or a number; what they have in common is that they can be printed.
type Value = Box<dyn Debug + Send>;

fn consumer(channel: &Channel<Value>) {
    println!("Starting consumer");
    // Ends when both producers have gone.
    for value in channel {
        println!("{value:?}");
    }
}

fn producer1(channel: &Channel<Value>) {
    println!("Starting producer1");
    for letter in ['A', 'B'] {
        channel.send(Box::new(letter)).expect("the consumer waits");
    }
}

fn producer2(channel: &Channel<Value>) {
    println!("Starting producer2");
    let numbers = (1..=3).map(|n| Box::new(n) as Value);
    channel.send_all(numbers).expect("the consumer waits");
}

fn main() -> ExitCode {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let preference = match arguments[..] {
        [] | ["--preference", "receiver"] => Preference::Receiver,
        ["--preference", "neither"] => Preference::Neither,
        ["--preference", "sender"] => Preference::Sender,
        _ => {
            eprintln!("usage: producer_consumer [--preference receiver|neither|sender]");
            return ExitCode::from(2);
        }
    };
    dispatch(move || {
        let channel = Channel::with_preference(preference);
        for function in [consumer, producer1, producer2] {
            let channel = channel.clone();
            Tasklet::spawn(move || function(&channel));
        }
        drop(channel);
        Tasklet::run_all();
    })
}
