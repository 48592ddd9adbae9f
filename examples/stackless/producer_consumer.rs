//! Two producers and a consumer on one channel. Try it: `cargo run --example producer_consumer`, and
//! again with `-- --prefer-sender`.
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
//! If the sender is preferred, the first producer hands over `'A'` and goes on to its next value, for which
//! nobody waits yet. So does the second with its first. Only then the consumer prints; each value that it
//! takes lets its sender go on first, but there is none that could overtake the two that wait:
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
    let preference = match env::args().nth(1).as_deref() {
        None => Preference::Receiver,
        Some("--prefer-sender") => Preference::Sender,
        Some(_) => {
            eprintln!("usage: producer_consumer [--prefer-sender]");
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
