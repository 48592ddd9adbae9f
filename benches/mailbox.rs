//! A mailbox alone: a message put in and taken out by the same tasklet, which never waits.

mod support;

use std::process::ExitCode;
use std::time::Duration;

use concurrence::{Mailbox, Message, Overflow, Tasklet, match_message};

#[derive(Message)]
struct Number(u64);

fn main() -> ExitCode {
    support::run(|criterion, runner| {
        let mailboxes = [
            ("unbounded", Mailbox::unbounded()),
            ("block", Mailbox::bounded(64, Overflow::Block)),
            ("fail", Mailbox::bounded(64, Overflow::Fail)),
            ("drop_newest", Mailbox::bounded(64, Overflow::DropNewest)),
            ("drop_oldest", Mailbox::bounded(64, Overflow::DropOldest)),
        ];
        let mut group = criterion.benchmark_group("mailbox");
        for (name, mailbox) in mailboxes {
            group.bench_function(name, |bencher| {
                bencher.iter_custom(|times| runner.run(move || put_and_take(times, mailbox)));
            });
        }
        group.finish();
    })
}

fn put_and_take(times: u64, mailbox: Mailbox) -> Duration {
    let tasklet = Tasklet::with_mailbox(mailbox).spawn(move || {
        let itself = Tasklet::current();
        support::time(times, |n| {
            itself.send(Number(n)).expect("it lives");
            match_message!(match Tasklet::try_receive().expect("it has been sent") {
                Number(got) => assert_eq!(got, n),
                _ => panic!("not a number"),
            });
        })
    });
    let tasklet = tasklet.expect("a second tasklet is within the limit");
    tasklet.join().expect("it ends")
}
