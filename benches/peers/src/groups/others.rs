//! The same in Erlang and in Go, where they are installed: processes, and goroutines with channels.
//! Their programs are in `others/`, with the metrics, sizes and checks of the group `actors` (Go's also
//! with those of `channels`).

use super::actors::{COSTS, OURS, SETUPS};
use crate::harness::{self, Group, Setup, Side};
use crate::tools::{self, Need};
use std::process::{Command, ExitCode};

pub(crate) const ERLANG: Group = Group {
    name: "erlang",
    about: "the group `actors` beside Erlang's processes",
    metrics: COSTS,
    setups: SETUPS,
    ours: OURS,
    peers: &[Side {
        name: "erlang",
        setups: SETUPS,
        run: |setup| run("erlang", setup),
    }],
    apart: true,
    needs: &[Need::Command("erl", "erlang-base")],
    drive: harness::collect,
};

pub(crate) const GO: Group = Group {
    name: "go",
    about: "the group `actors` beside Go's goroutines",
    metrics: COSTS,
    setups: SETUPS,
    ours: OURS,
    peers: &[Side {
        name: "go",
        setups: SETUPS,
        run: |setup| run("go", setup),
    }],
    apart: true,
    needs: &[Need::Command("go", "golang-go")],
    drive: harness::collect,
};

/// Becomes the other program.
pub(super) fn run(language: &str, setup: Setup) -> ExitCode {
    let workers = setup.workers().to_string();
    let mut program = Command::new(tools::sources().join("run.sh"));
    program.args([language, harness::metric(), &workers]);
    tools::become_program(Ok(program))
}
