//! What must not come back: starvation, moved tasklets, lost wake-ups, and ends of the process that
//! nobody can explain.

#[path = "../common/mod.rs"]
mod common;
mod ends;
mod moves;
mod signals;
mod starvation;
mod storm;

use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use actor_core::reactor::{Direction, Source};
use actor_core::sync::Mutex;
use actor_core::{
    JoinError, JoinHandle, Message, Placement, Runtime, RuntimeError, SpawnError, Tasklet,
    block_on_thread, match_message, timeout,
};
use common::*;

extern crate actor_core as concurrence;

#[derive(Message)]
struct Ball(Tasklet);

#[derive(Message)]
#[message(reply = u64)]
struct Ask(u64);

fn read_byte(source: &Source) -> u8 {
    let read = source.io(Direction::Read, None, |fd| {
        let mut byte = 0_u8;
        // SAFETY: reads a byte into a local.
        match unsafe { libc::read(fd.as_raw_fd(), (&raw mut byte).cast(), 1) } {
            1 => Ok(byte),
            _ => Err(std::io::Error::last_os_error()),
        }
    });
    read.unwrap()
}

const CHILD: &str = "CONCURRENCE_TEST_CHILD";

/// Runs the test `name`, which begins with its file, in a process of its own, in which `is_child` is true.
fn in_child(name: &str) -> Output {
    in_child_with(name, None)
}

/// The same for one of the test's cases.
fn in_child_with(name: &str, case: Option<usize>) -> Output {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", name, "--nocapture", "--test-threads=1"])
        .env(CHILD, name);
    if let Some(case) = case {
        command.env(CASE, case.to_string());
    }
    let output = command.output().expect("the test can run itself");
    eprintln!("{}", String::from_utf8_lossy(&output.stderr));
    output
}

fn is_child() -> bool {
    std::env::var_os(CHILD).is_some()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Which case a child is to try.
const CASE: &str = "CONCURRENCE_TEST_CASE";
