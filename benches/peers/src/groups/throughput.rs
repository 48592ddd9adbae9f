//! Messages a second from one task to one other. Fair because both sides send the same numbers one
//! at a time, receive them one at a time and check their sum. An unbounded queue slows no sender
//! down, so both senders yield after every 1,024: the queue then stays as long as the bounded one.

use crate::harness::{self, Better, Group, Meter, Metric, Setup, Side};
use crate::runtimes;
use concurrence::{JoinHandle, Mailbox, Message, Overflow, Placement, Tasklet, match_message};
use std::mem;
use std::pin::Pin;
use std::thread;
use tokio::sync::mpsc;

const SETUPS: &[Setup] = &[Setup::OneWorker, Setup::TwoWorkers, Setup::Across];

pub(crate) const GROUP: Group = Group {
    name: "throughput",
    about: "messages from one task to one other",
    metrics: &[
        Metric {
            name: "unbounded",
            unit: "msg/s",
            better: Better::Higher,
        },
        Metric {
            name: "bounded",
            unit: "msg/s",
            better: Better::Higher,
        },
    ],
    setups: SETUPS,
    ours: Side {
        name: "concurrence",
        setups: SETUPS,
        run: |setup| {
            runtimes::concurrence(setup.workers(), move || {
                measure_ours(match setup {
                    Setup::Across => Placement::Worker(1),
                    _ => Placement::Here,
                });
            })
        },
    },
    peers: &[
        Side {
            name: "tokio",
            setups: &[Setup::OneWorker, Setup::TwoWorkers],
            run: |setup| runtimes::tokio_multi_thread(setup.workers(), measure_tokio(spawn_beside)),
        },
        Side {
            name: "tokio_current_thread",
            setups: &[Setup::OneWorker],
            run: |_| runtimes::tokio_current_thread(measure_tokio(spawn_beside)),
        },
        Side {
            // tokio has no placement: a runtime for each end keeps them apart.
            name: "tokio_two_runtimes",
            setups: &[Setup::Across],
            run: |_| runtimes::tokio_current_thread(measure_tokio(spawn_across)),
        },
    ],
    apart: false,
    needs: &[],
    drive: harness::collect,
};

/// Messages in a batch, and what they add up to.
const BATCH: u64 = 1 << 18;
const SUM: u64 = BATCH * (BATCH - 1) / 2;

/// The bound, and how many an unbounded sender sends before it lets others run.
const BOUND: usize = 1_024;

/// What a receiver has of a batch.
#[derive(Default)]
struct Total {
    sum: u64,
    count: u64,
}

impl Total {
    /// Gives the sum at the end of a batch, and begins anew.
    fn add(&mut self, n: u64) -> Option<u64> {
        self.sum += n;
        self.count += 1;
        (self.count == BATCH).then(|| mem::take(self).sum)
    }
}

// ---- ours ----

#[derive(Message)]
struct Number(u64);

#[derive(Message)]
struct Sum(u64);

fn measure_ours(placement: Placement) {
    let receiver = start_receiver(Mailbox::unbounded(), placement);
    let unbounded = harness::nanoseconds_each(|| {
        for n in 0..BATCH {
            receiver.send(Number(n)).expect("the receiver lives");
            if (n + 1).is_multiple_of(BOUND as u64) {
                Tasklet::yield_now();
            }
        }
        await_sum();
        BATCH as usize
    });
    harness::report("unbounded", 1e9 / unbounded);

    let receiver = start_receiver(Mailbox::bounded(BOUND, Overflow::Block), placement);
    let bounded = harness::nanoseconds_each(|| {
        for n in 0..BATCH {
            receiver.send(Number(n)).expect("the receiver lives");
        }
        await_sum();
        BATCH as usize
    });
    harness::report("bounded", 1e9 / bounded);
}

fn start_receiver(mailbox: Mailbox, placement: Placement) -> JoinHandle<()> {
    let sender = Tasklet::current();
    Tasklet::builder()
        .mailbox(mailbox)
        .placement(placement)
        .spawn(move || add_up(&sender))
        .expect("a second tasklet is within the limit")
}

/// Tells the sender the sum of each batch.
fn add_up(sender: &Tasklet) {
    let mut total = Total::default();
    for message in Tasklet::receive() {
        match_message!(match message {
            Number(n) =>
                if let Some(sum) = total.add(n) {
                    sender.send(Sum(sum)).expect("the sender waits");
                },
        });
    }
}

fn await_sum() {
    match_message!(
        match Tasklet::receive_one().expect("the receiver answers") {
            Sum(sum) => assert_eq!(sum, SUM),
            _ => panic!("not a sum"),
        }
    );
}

// ---- tokio ----

type Receiver = Pin<Box<dyn Future<Output = ()> + Send>>;

fn spawn_beside(receiver: Receiver) {
    tokio::spawn(receiver);
}

fn spawn_across(receiver: Receiver) {
    thread::spawn(|| runtimes::tokio_current_thread(receiver));
}

async fn measure_tokio(spawn: fn(Receiver)) {
    let (sums, mut sum) = mpsc::unbounded_channel();

    let (sender, mut inbox) = mpsc::unbounded_channel();
    let told = sums.clone();
    spawn(Box::pin(async move {
        let mut total = Total::default();
        while let Some(n) = inbox.recv().await {
            if let Some(sum) = total.add(n) {
                told.send(sum).expect("the sender waits");
            }
        }
    }));
    let mut unbounded = async || {
        for n in 0..BATCH {
            sender.send(n).expect("the receiver lives");
            if (n + 1).is_multiple_of(BOUND as u64) {
                tokio::task::yield_now().await;
            }
        }
        assert_eq!(sum.recv().await, Some(SUM));
    };
    unbounded().await;
    let mut meter = Meter::start();
    while meter.goes_on() {
        unbounded().await;
        meter.count(BATCH as usize);
    }
    harness::report("unbounded", 1e9 / meter.nanoseconds_each());

    let (sender, mut inbox) = mpsc::channel(BOUND);
    spawn(Box::pin(async move {
        let mut total = Total::default();
        while let Some(n) = inbox.recv().await {
            if let Some(sum) = total.add(n) {
                sums.send(sum).expect("the sender waits");
            }
        }
    }));
    let mut bounded = async || {
        for n in 0..BATCH {
            sender.send(n).await.expect("the receiver lives");
        }
        assert_eq!(sum.recv().await, Some(SUM));
    };
    bounded().await;
    let mut meter = Meter::start();
    while meter.goes_on() {
        bounded().await;
        meter.count(BATCH as usize);
    }
    harness::report("bounded", 1e9 / meter.nanoseconds_each());
}
