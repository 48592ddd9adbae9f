//! A handler that keeps its worker to itself: others are served elsewhere, and a warning names it.

use std::collections::HashSet;
use std::io;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use concurrence::{
    Actor, Addr, Context, Handler, Message, Placement, Runtime, Tasklet, block_on_thread,
};

const HOLD: Duration = Duration::from_millis(20);
/// Only turns a hang into a failure.
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Message)]
struct Compute(Duration);

#[derive(Message)]
struct Hop(Addr<Worker>);

#[derive(Message)]
#[message(reply = Option<thread::ThreadId>)]
struct Where;

#[derive(Default)]
struct Worker {
    ran_on: Option<thread::ThreadId>,
}

impl Actor for Worker {}

impl Handler<Compute> for Worker {
    fn handle(&mut self, Compute(time): Compute, _: &mut Context<Self>) {
        let start = Instant::now();
        while start.elapsed() < time {
            std::hint::spin_loop();
        }
        self.ran_on = Some(thread::current().id());
    }
}

impl Handler<Hop> for Worker {
    fn handle(&mut self, Hop(other): Hop, ctx: &mut Context<Self>) {
        // Refused once the other has been stopped, which ends the game.
        let _ = other.send(Hop(ctx.addr()));
    }
}

impl Handler<Where> for Worker {
    fn handle(&mut self, _: Where, _: &mut Context<Self>) -> Option<thread::ThreadId> {
        self.ran_on
    }
}

/// Computes until it has been named.
#[derive(Message)]
struct Hold(Log);

impl Handler<Hold> for Worker {
    fn handle(&mut self, Hold(log): Hold, _: &mut Context<Self>) {
        let start = Instant::now();
        while !log.text().contains("the slow one") && start.elapsed() < PATIENCE {
            std::hint::spin_loop();
        }
    }
}

/// What has been logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_worker_that_is_held_is_named_and_holds_up_nobody_else() {
    let log = Log::default();
    let (writer, seen) = (log.clone(), log.clone());
    tracing_subscriber::fmt()
        .with_writer(move || writer.clone())
        .init();
    let builder = Runtime::builder().workers(2).hold_warning(HOLD);
    let code = builder.dispatch(|| {
        // Two that never rest leave time for the timers, the sockets and the tasklets of their worker.
        let hoppers: Vec<_> = (0..2).map(|_| Addr::spawn(Worker::default())).collect();
        hoppers[0].send(Hop(hoppers[1].clone())).unwrap();
        Tasklet::sleep(Duration::from_millis(1));
        assert_eq!(block_on_thread(|| 5), 5);
        Tasklet::yield_now();
        assert_eq!(hoppers[0].call(Where), Ok(None));
        hoppers.iter().for_each(Addr::stop_now);

        // What waits for a slice goes to a worker that has nothing to do. Whether that has noticed in
        // time is chance, so it is tried until it has.
        loop {
            let at = Addr::builder;
            let busy: Vec<_> = (0..64)
                .map(|_| {
                    let builder = at().placement(Placement::Worker(0));
                    let addr = builder.spawn(Worker::default()).unwrap();
                    addr.send(Compute(Duration::from_micros(300))).unwrap();
                    addr
                })
                .collect();
            let threads: HashSet<_> = busy.iter().map(|addr| addr.call(Where).unwrap()).collect();
            if threads.len() > 1 {
                break;
            }
        }

        let slow = Addr::builder().name("the slow one");
        let slow = slow.spawn(Worker::default()).unwrap();
        slow.send(Hold(seen)).unwrap();
        slow.call(Where).unwrap();
    });
    assert_eq!(code, ExitCode::SUCCESS);
    let said = log.text();
    assert!(
        said.contains("holds its worker") && said.contains("the slow one"),
        "{said}"
    );
}
