//! Runs criterion beside the runtime: criterion's own work on a plain thread, what it measures inside
//! a tasklet, where there is no wake-up from outside in the figures.

use std::net::{SocketAddr, TcpStream};
use std::process::ExitCode;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use concurrence::{Message, Runtime, Tasklet, block_on_thread, match_message};
use criterion::Criterion;

/// The tasklet that runs what criterion measures.
pub(crate) struct Runner(Tasklet);

#[derive(Message)]
struct Job(Box<dyn FnOnce() + Send>);

impl Runner {
    /// Runs `job` in the tasklet.
    pub(crate) fn run<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> T {
        let (done, result) = mpsc::channel();
        let job = Job(Box::new(move || {
            done.send(job()).expect("the thread waits");
        }));
        self.0.send(job).expect("the runner receives");
        result.recv().expect("the job does not panic")
    }
}

/// Starts a runtime of one worker and runs `benches` beside it.
pub(crate) fn run(benches: fn(&mut Criterion, &Runner)) -> ExitCode {
    Runtime::builder().workers(1).dispatch(move || {
        let runner = Tasklet::spawn(|| {
            for message in Tasklet::receive() {
                match_message!(match message {
                    Job(job) => job(),
                });
            }
        });
        let runner = Runner(runner.tasklet().clone());
        block_on_thread(move || {
            let mut criterion = Criterion::default().configure_from_args();
            benches(&mut criterion, &runner);
            criterion.final_summary();
        });
    })
}

/// How long `work` takes when it is done `times` times.
#[allow(dead_code, reason = "some benches time by other means")]
pub(crate) fn time(times: u64, mut work: impl FnMut(u64)) -> Duration {
    let start = Instant::now();
    for n in 0..times {
        work(n);
    }
    start.elapsed()
}

/// A client on a plain thread.
#[allow(dead_code, reason = "most benches have no network in them")]
pub(crate) fn connect(addr: SocketAddr) -> TcpStream {
    let client = TcpStream::connect(addr).expect("a connection");
    client.set_nodelay(true).expect("a TCP socket");
    client
}
