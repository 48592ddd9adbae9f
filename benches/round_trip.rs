//! A message to another tasklet of the worker and its answer, and a call with its reply.

mod support;

use std::process::ExitCode;
use std::time::Duration;

use concurrence::{JoinHandle, Message, Tasklet, match_message};

#[derive(Message)]
struct Ping(u64);

#[derive(Message)]
struct Pong(u64);

#[derive(Message)]
#[message(reply = u64)]
struct Next(u64);

fn main() -> ExitCode {
    support::run(|criterion, runner| {
        criterion.bench_function("round_trip/send", |bencher| {
            bencher.iter_custom(|times| runner.run(move || send(times)));
        });
        criterion.bench_function("round_trip/call", |bencher| {
            bencher.iter_custom(|times| runner.run(move || call(times)));
        });
    })
}

fn send(times: u64) -> Duration {
    let answerer = start_answerer();
    support::time(times, |n| {
        answerer.send(Ping(n)).expect("it receives");
        match_message!(match Tasklet::receive_one().expect("an answer") {
            Pong(answer) => assert_eq!(answer, n + 1),
            _ => panic!("not an answer"),
        });
    })
}

fn call(times: u64) -> Duration {
    let answerer = start_answerer();
    support::time(times, |n| assert_eq!(answerer.call(Next(n)), Ok(n + 1)))
}

fn start_answerer() -> JoinHandle<()> {
    let asker = Tasklet::current();
    Tasklet::spawn(move || {
        for message in Tasklet::receive() {
            match_message!(match message {
                Ping(n) => asker.send(Pong(n + 1)).expect("the asker waits"),
                (Next(n), reply) => reply.send(n + 1),
            });
        }
    })
}
