//! Concurrence measured beside its peers: `cargo run --release [-- GROUP...]`.
//!
//! Every figure comes from a process of its own that this program starts by running itself again;
//! `harness` says how ours and the peers' are paired, `groups` holds what is measured. `programs` are
//! those that are written once for all actor frameworks, which `frameworks` adapts; `web` has the
//! servers of HTTP and what loads them.

mod frameworks;
mod groups;
mod harness;
mod load;
mod programs;
mod requests;
mod runtimes;
mod tls;
mod tools;
mod web;

use std::env;
use std::process::ExitCode;

const USAGE: &str = "usage: peers [--rounds N] [GROUP | GROUP/METRIC]...";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    if let Some(task) = harness::Task::from_arguments(&arguments) {
        return task.run(groups::ALL);
    }
    match parse(&arguments).and_then(|(rounds, groups)| harness::compare(&groups, rounds)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("peers: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The number of rounds and what was asked for: all groups unless some are named.
fn parse(arguments: &[String]) -> harness::Result<(usize, Vec<harness::Choice>)> {
    let mut rounds = harness::ROUNDS;
    let mut chosen = Vec::new();
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        if argument == "--rounds" {
            let value = arguments.next().and_then(|n| n.parse().ok());
            rounds = value.filter(|n| *n > 0).ok_or(USAGE)?;
        } else {
            chosen.push(groups::find(argument).ok_or_else(|| {
                let known: Vec<_> = groups::ALL.iter().map(|group| group.name).collect();
                format!(
                    "no group `{argument}`, there are {}\n{USAGE}",
                    known.join(", ")
                )
            })?);
        }
    }
    if chosen.is_empty() {
        chosen.extend(groups::ALL.iter().map(|group| harness::Choice {
            group,
            metric: None,
            named: false,
        }));
    }
    Ok((rounds, chosen))
}
