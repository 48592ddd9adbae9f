//! A message there and one back, and a call with its reply: nanoseconds per round trip between two
//! tasks that do nothing else. Fair because both sides use unbounded queues, one for each task, and
//! check every answer; the caller of the peer's makes a `oneshot` for each call, as its users do.

use crate::harness::{self, Better, Group, Meter, Metric, Setup, Side};
use crate::runtimes;
use concurrence::{Message, Placement, Tasklet, match_message};
use std::thread;
use tokio::sync::{mpsc, oneshot};

const SETUPS: &[Setup] = &[Setup::OneWorker, Setup::TwoWorkers, Setup::Across];

pub(crate) const GROUP: Group = Group {
    name: "roundtrip",
    about: "a message and its answer between two tasks, and a call",
    metrics: &[
        Metric {
            name: "send",
            unit: "ns",
            better: Better::Lower,
        },
        Metric {
            name: "call",
            unit: "ns",
            better: Better::Lower,
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
            run: |setup| {
                runtimes::tokio_multi_thread(setup.workers(), async {
                    let (task, answerer) = answerer();
                    tokio::spawn(task);
                    measure_tokio(answerer).await;
                })
            },
        },
        Side {
            name: "tokio_current_thread",
            setups: &[Setup::OneWorker, Setup::Across],
            run: |setup| {
                runtimes::tokio_current_thread(async move {
                    let (task, answerer) = answerer();
                    if setup == Setup::Across {
                        // tokio has no placement: a runtime for each end keeps them apart.
                        thread::spawn(|| runtimes::tokio_current_thread(task));
                    } else {
                        tokio::spawn(task);
                    }
                    measure_tokio(answerer).await;
                })
            },
        },
    ],
    apart: false,
    needs: &[],
    drive: harness::collect,
};

/// Round trips between two looks at the clock.
const BATCH: u64 = 1_000;

// ---- ours ----

#[derive(Message)]
struct Ping(u64);

#[derive(Message)]
struct Pong(u64);

#[derive(Message)]
#[message(reply = u64)]
struct Next(u64);

fn measure_ours(placement: Placement) {
    let asker = Tasklet::current();
    let answerer = Tasklet::builder()
        .placement(placement)
        .spawn(move || answer(&asker))
        .expect("a second tasklet is within the limit");

    let send = harness::nanoseconds_each(|| {
        for n in 0..BATCH {
            answerer.send(Ping(n)).expect("it receives");
            match_message!(match Tasklet::receive_one().expect("an answer") {
                Pong(answer) => assert_eq!(answer, n + 1),
                _ => panic!("not an answer"),
            });
        }
        BATCH as usize
    });
    harness::report("send", send);

    let call = harness::nanoseconds_each(|| {
        for n in 0..BATCH {
            assert_eq!(answerer.call(Next(n)), Ok(n + 1));
        }
        BATCH as usize
    });
    harness::report("call", call);
}

fn answer(asker: &Tasklet) {
    for message in Tasklet::receive() {
        match_message!(match message {
            Ping(n) => asker.send(Pong(n + 1)).expect("the asker waits"),
            (Next(n), reply) => reply.send(n + 1),
        });
    }
}

// ---- tokio ----

enum Request {
    Ping(u64),
    Call(u64, oneshot::Sender<u64>),
}

struct Answerer {
    requests: mpsc::UnboundedSender<Request>,
    answers: mpsc::UnboundedReceiver<u64>,
}

/// The task that answers, and the end to ask it by.
fn answerer() -> (impl Future<Output = ()> + Send + 'static, Answerer) {
    let (requests, mut inbox) = mpsc::unbounded_channel();
    let (outbox, answers) = mpsc::unbounded_channel();
    let task = async move {
        while let Some(request) = inbox.recv().await {
            match request {
                Request::Ping(n) => outbox.send(n + 1).expect("the asker waits"),
                Request::Call(n, reply) => reply.send(n + 1).expect("the caller waits"),
            }
        }
    };
    (task, Answerer { requests, answers })
}

async fn measure_tokio(mut answerer: Answerer) {
    let mut send = async || {
        for n in 0..BATCH {
            assert!(answerer.requests.send(Request::Ping(n)).is_ok());
            assert_eq!(answerer.answers.recv().await, Some(n + 1));
        }
    };
    send().await;
    let mut meter = Meter::start();
    while meter.goes_on() {
        send().await;
        meter.count(BATCH as usize);
    }
    harness::report("send", meter.nanoseconds_each());

    let call = async || {
        for n in 0..BATCH {
            let (reply, answer) = oneshot::channel();
            assert!(answerer.requests.send(Request::Call(n, reply)).is_ok());
            assert_eq!(answer.await, Ok(n + 1));
        }
    };
    call().await;
    let mut meter = Meter::start();
    while meter.goes_on() {
        call().await;
        meter.count(BATCH as usize);
    }
    harness::report("call", meter.nanoseconds_each());
}
