//! Names whoever keeps a worker to itself.
//!
//! What runs on a worker gives it back when it waits, and polls for it now and then. A handler or a
//! tasklet that computes for long, or waits in a way that is not the runtime's, does neither; nobody on
//! that worker can say so, so a thread looks at all of them from time to time.

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use super::program::Program;
use super::threads;
use crate::Pid;
use crate::contain::contain;
use crate::worker::{self, Pulse};

/// Warns of those who hold a worker for longer than `limit`, from now on. Never for `Duration::MAX`.
pub(crate) fn start(limit: Duration) -> io::Result<()> {
    if limit == Duration::MAX {
        return Ok(());
    }
    let watchdog = thread::Builder::new().name("concurrence-watchdog".into());
    watchdog.spawn(move || watch(limit))?;
    threads::count_helper();
    Ok(())
}

/// What has been seen of a worker.
struct Seen {
    pulse: Pulse,
    since: Instant,
    has_been_named: bool,
}

fn watch(limit: Duration) {
    let mut seen: Vec<Option<Seen>> = worker::all().iter().map(|_| None).collect();
    loop {
        thread::sleep((limit / 2).max(Duration::from_millis(1)));
        for (worker, seen) in worker::all().iter().zip(&mut seen) {
            let pulse = worker.pulse();
            match seen {
                Some(seen) if seen.pulse == pulse => {
                    let held = seen.since.elapsed();
                    if let Some(holder) = pulse.holder
                        && held >= limit
                        && !seen.has_been_named
                    {
                        seen.has_been_named = true;
                        contain(|| warn(holder, held));
                    }
                }
                _ => {
                    *seen = Some(Seen {
                        pulse,
                        since: Instant::now(),
                        has_been_named: false,
                    });
                }
            }
        }
    }
}

fn warn(holder: Pid, held: Duration) {
    let running = Program::running();
    let name = running.iter().find_map(|program| program.name_of(holder));
    let name = name.as_deref().unwrap_or("somebody");
    tracing::warn!(name, pid = %holder, ?held, "holds its worker; others there must wait");
}
