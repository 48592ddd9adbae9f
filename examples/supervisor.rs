//! A worker that fails now and then, and a supervisor that starts it again.
//! Try it: `cargo run --example supervisor`.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use concurrence::{
    Actor, Addr, BoxError, Child, Context, ExitReason, Handler, Message, Supervisor, dispatch,
};

/// Divides, and does not look at what it is given.
struct Divider {
    life: u32,
    done: u32,
}

#[derive(Message)]
#[message(reply = i32)]
struct Divide(i32, i32);

impl Actor for Divider {
    fn started(&mut self, _: &mut Context<Self>) -> Result<(), BoxError> {
        println!("life {} begins", self.life);
        Ok(())
    }

    fn stopped(&mut self, reason: &ExitReason) {
        println!("life {} {reason}", self.life);
    }
}

impl Handler<Divide> for Divider {
    fn handle(&mut self, Divide(a, b): Divide, _: &mut Context<Self>) -> i32 {
        self.done += 1;
        println!("life {}, task {}: {a} / {b}", self.life, self.done);
        a / b
    }
}

fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .init();
    dispatch(|| -> Result<(), BoxError> {
        let lives = Arc::new(AtomicU32::new(0));
        let child = Child::new("divider", move || Divider {
            life: lives.fetch_add(1, Ordering::Relaxed) + 1,
            done: 0,
        });
        let divider = child.addr(); // good for all of its lives
        let supervisor = Supervisor::one_for_one()
            .intensity(5, Duration::from_secs(10))
            .backoff(Duration::from_millis(20), Duration::from_secs(1))
            .child(child);
        let supervisor = Addr::builder().spawn_ready(supervisor)?;
        for (a, b) in [(6, 3), (8, 2), (1, 0), (9, 3), (2, 0), (10, 5)] {
            // What is called while the divider is down waits for its next life.
            match divider.call(Divide(a, b)) {
                Ok(quotient) => println!("{a} / {b} = {quotient}"),
                Err(error) => println!("{a} / {b}: {error}"),
            }
        }
        supervisor.stop();
        println!("the supervisor {}", supervisor.join());
        Ok(())
    })
}
