//! A token goes round a ring of tasklets. Try it: `cargo run --release --example ring`, or with
//! `-- --tasklets N`.
//!
//! Each waits on a channel for the token and passes it to the next. There are 100,000 of them where the
//! system allows so many stacks; each takes two of a process's memory maps, and Linux allows 65,530 of
//! those until somebody says `sysctl vm.max_map_count=300000`. Where it does not, the program says so, and
//! there are 30,000. A number that was asked for is refused instead.

use std::env;
use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::time::Instant;

use concurrence::channel::Channel;
use concurrence::{BoxError, Runtime, SpawnError, Tasklet};

const MANY: usize = 100_000;
const FEWER: usize = 30_000;

/// The two ends of a ring that is open in one place: what goes in at the first comes out at the second,
/// and each tasklet on the way has added one to it.
fn ring(tasklets: usize) -> Result<(Channel<usize>, Channel<usize>), SpawnError> {
    let entry = Channel::new();
    let mut last = entry.clone();
    for _ in 0..tasklets {
        let from = last;
        let to = Channel::new();
        last = to.clone();
        Tasklet::builder().spawn(move || {
            for token in &from {
                if to.send(token + 1).is_err() {
                    return; // the ring has been cut
                }
            }
        })?;
    }
    Ok((entry, last))
}

fn pass_token(tasklets: usize) -> Result<(), BoxError> {
    let (entry, exit) = ring(tasklets)?;
    for round in 1..=3 {
        let start = Instant::now();
        entry.send(0)?;
        let passed = exit.receive()?;
        let time = start.elapsed();
        println!("round {round}: {passed} tasklets have passed the token");
        eprintln!("({:.0} ns each)", time.as_nanos() as f64 / passed as f64);
    }
    Ok(())
}

fn main() -> ExitCode {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let number = match &arguments[..] {
        [] => Ok(None),
        [option, number] if option == "--tasklets" => number.parse().map(Some).map_err(|_| ()),
        _ => Err(()),
    };
    let Ok(wanted): Result<Option<NonZeroUsize>, ()> = number else {
        eprintln!("usage: ring [--tasklets N]");
        return ExitCode::from(2);
    };
    let tasklets = wanted.map_or(MANY, NonZeroUsize::get);
    // All in one worker, where a channel hands the processor over with the token.
    Runtime::builder()
        .workers(1)
        .dispatch(move || match pass_token(tasklets) {
            Err(error) if is_limit(&error) => {
                let refusal = format!("{tasklets} tasklets are not to be had here: {error}");
                if wanted.is_some() {
                    return Err(refusal.into());
                }
                eprintln!("{refusal}");
                // Those that were spawned end, since nobody can send to them any more.
                Tasklet::run_all();
                pass_token(FEWER)
            }
            done => done,
        })
}

fn is_limit(error: &BoxError) -> bool {
    matches!(error.downcast_ref(), Some(SpawnError::TaskletLimit { .. }))
}
