//! An actor that counts, for ten others who all add to it.
//! Try it: `cargo run --example counter`.

use std::process::ExitCode;

use concurrence::{Actor, Addr, BoxError, Context, Handler, Message, Tasklet, dispatch, join_all};

struct Counter {
    value: u64,
}

#[derive(Message)]
struct Add(u64);

#[derive(Message)]
#[message(reply = u64)]
struct Get;

impl Actor for Counter {}

impl Handler<Add> for Counter {
    fn handle(&mut self, Add(n): Add, _: &mut Context<Self>) {
        self.value += n;
    }
}

impl Handler<Get> for Counter {
    fn handle(&mut self, _: Get, _: &mut Context<Self>) -> u64 {
        self.value
    }
}

fn main() -> ExitCode {
    dispatch(|| -> Result<(), BoxError> {
        let counter = Addr::spawn(Counter { value: 0 });
        let adders = (1..=10).map(|n| {
            let counter = counter.clone();
            Tasklet::spawn(move || (0..100).try_for_each(|_| counter.send(Add(n))))
        });
        for adder in join_all(adders) {
            adder??;
        }
        println!("the counter is at {}", counter.call(Get)?);
        Ok(())
    })
}
