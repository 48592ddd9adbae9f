//! A million actors, each with a timer, on a stock kernel. A file of its own: it looks at what the
//! process uses.

use std::fs;
use std::time::Duration;

use actor_core::{Actor, Addr, Context, Handler, Message, Runtime, Tasklet};

extern crate actor_core as concurrence;

const ACTORS: usize = 1_000_000;
/// In KiB: one GiB.
const LIMIT: usize = 1 << 20;

struct Sleeper(u64);

#[derive(Message)]
struct Wake;

#[derive(Message)]
#[message(reply = u64)]
struct Get;

impl Actor for Sleeper {}

impl Handler<Wake> for Sleeper {
    fn handle(&mut self, _: Wake, _: &mut Context<Self>) {
        self.0 += 1;
    }
}

impl Handler<Get> for Sleeper {
    fn handle(&mut self, _: Get, _: &mut Context<Self>) -> u64 {
        self.0
    }
}

/// The memory in use, in KiB.
fn resident() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.unwrap().trim().trim_end_matches(" kB");
    number.parse().unwrap()
}

#[test]
fn a_million_actors_with_a_timer_each_take_less_than_a_gibibyte() {
    let code = Runtime::builder().workers(2).dispatch(|| {
        let before = resident();
        let actors: Vec<_> = (0..ACTORS as u64)
            .map(|n| Addr::spawn(Sleeper(n)))
            .collect();
        // They start when this gives way.
        assert_eq!(actors[ACTORS - 1].call(Get), Ok(ACTORS as u64 - 1));
        let idle = resident();
        let timers: Vec<_> = actors
            .iter()
            .map(|actor| actor.send_after(Wake, Duration::from_secs(3600)))
            .collect();
        let all = resident();
        println!(
            "{} bytes for each that is idle; {} MiB with a timer each",
            (idle - before) * 1024 / ACTORS,
            (all - before) / 1024
        );
        assert!(all < LIMIT, "{all} KiB");
        for (n, actor) in actors.iter().enumerate() {
            assert_eq!(actor.call(Get), Ok(n as u64));
        }
        assert!(timers.iter().all(|timer| timer.cancel()));
        Tasklet::yield_now();
    });
    assert_eq!(code, std::process::ExitCode::SUCCESS);
}
