//! Programs that are started, talked to, waited for and killed.

mod common;

use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::time::{Duration, Instant};

use actor_core::{JoinError, Signal, Tasklet, timeout};
use actor_io::process::{Child, Command, Stdio};
use common::{eventually, everywhere, in_tasklet};

fn shell(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    command
}

fn is_there(id: u32) -> bool {
    Path::new(&format!("/proc/{id}")).exists()
}

#[test]
fn output_is_collected_from_both_pipes_however_much_there_is() {
    everywhere(|| {
        // More than either pipe holds, in turns.
        let script = "i=0; while [ $i -lt 40 ]; do
            head -c 20000 /dev/zero; head -c 30000 /dev/zero >&2; i=$((i + 1)); done; exit 7";
        let output = shell(script).output().unwrap();
        assert_eq!(output.status.code(), Some(7));
        assert_eq!(output.stdout.len(), 40 * 20_000);
        assert_eq!(output.stderr.len(), 40 * 30_000);
    });
}

#[test]
fn streams_are_as_in_std() {
    everywhere(|| {
        // `output` gives nothing to read, and does not change the command for others.
        let mut cat = Command::new("cat");
        assert_eq!(cat.output().unwrap().stdout, b"");
        let mut child = cat
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        assert!(child.stderr.is_none());
        child.stdin.take().unwrap().write_all(b"hello").unwrap();
        assert_eq!(child.wait_with_output().unwrap().stdout, b"hello");
        // What has been set is left alone.
        let output = shell("echo out; echo err >&2")
            .stderr(Stdio::null())
            .output();
        let output = output.unwrap();
        assert_eq!(
            (&*output.stdout, &*output.stderr),
            (&b"out\n"[..], &b""[..])
        );
    });
}

#[test]
fn one_waits_without_the_thread() {
    in_tasklet(|| {
        let mut child = shell("read line; echo got $line")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        // On the same worker: runs only while the others wait.
        let writer = Tasklet::spawn(move || {
            Tasklet::yield_now();
            stdin.write_all(b"it\n")
        });
        let mut text = String::new();
        child
            .stdout
            .take()
            .unwrap()
            .read_to_string(&mut text)
            .unwrap();
        assert_eq!(text, "got it\n");
        assert!(child.wait().unwrap().success());
        writer.join().unwrap().unwrap();
    });
}

#[test]
fn pipes_take_more_than_they_hold_and_tell_when_nobody_reads() {
    everywhere(|| {
        let mut child = shell("head -c 1000000 | wc -c")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let written = stdin.write_all(&vec![b'x'; 10_000_000]);
        assert_eq!(written.unwrap_err().kind(), ErrorKind::BrokenPipe);
        drop(stdin);
        let mut count = String::new();
        child
            .stdout
            .take()
            .unwrap()
            .read_to_string(&mut count)
            .unwrap();
        assert_eq!(count.trim(), "1000000");
        assert!(child.wait().unwrap().success());
    });
}

#[test]
fn a_child_that_does_not_end_is_given_up_in_time_and_can_be_waited_for_again() {
    in_tasklet(|| {
        let mut child = Command::new("sleep").arg("1000").spawn().unwrap();
        let late = timeout(Duration::from_millis(20), || child.wait());
        assert_eq!(late.unwrap_err().kind(), ErrorKind::TimedOut);
        child.signal(Signal::TERM).unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(libc::SIGTERM));
        assert_eq!(child.wait().unwrap().signal(), Some(libc::SIGTERM));
        assert_eq!(
            child.try_wait().unwrap().unwrap().signal(),
            Some(libc::SIGTERM)
        );
        child.kill().unwrap();
        let gone = child.signal(Signal::TERM).unwrap_err();
        assert_eq!(gone.raw_os_error(), Some(libc::ESRCH));
    });
}

/// The runtime blocks signals in its threads; a program that inherited that could not be ended.
#[test]
fn children_have_no_signals_blocked() {
    in_tasklet(|| {
        let status = Command::new("cat")
            .arg("/proc/self/status")
            .output()
            .unwrap();
        let status = String::from_utf8(status.stdout).unwrap();
        let blocked = status.lines().find(|line| line.starts_with("SigBlk:"));
        assert_eq!(
            blocked.unwrap().split_whitespace().last(),
            Some("0000000000000000")
        );
    });
}

#[test]
fn kill_on_drop_is_a_choice() {
    in_tasklet(|| {
        let spawn = |kill| -> io::Result<Child> {
            Command::new("sleep").arg("1000").kill_on_drop(kill).spawn()
        };
        let (killed, left) = (spawn(true).unwrap(), spawn(false).unwrap());
        let (killed_id, left_id) = (killed.id(), left.id());
        drop((killed, left));
        // The next to be started collects it, so that no zombie remains.
        eventually("the end of the one that was killed", || {
            assert!(Command::new("true").status().unwrap().success());
            !is_there(killed_id)
        });
        assert!(is_there(left_id));
        // SAFETY: plain system call; nobody has waited for the child, so the identifier is its own.
        assert_eq!(unsafe { libc::kill(left_id as i32, libc::SIGKILL) }, 0);
        eventually("the end of the other", || {
            assert!(Command::new("true").status().unwrap().success());
            !is_there(left_id)
        });
    });
}

#[test]
fn a_tasklet_that_is_killed_takes_its_child_along_if_it_is_to() {
    in_tasklet(|| {
        let told = actor_core::channel::Channel::new();
        let tell = told.clone();
        let waiter = Tasklet::spawn(move || {
            let mut child = Command::new("sleep")
                .arg("1000")
                .kill_on_drop(true)
                .spawn()?;
            let _ = tell.send(child.id());
            child.wait()
        });
        let id = told.receive().unwrap();
        assert!(is_there(id));
        waiter.kill();
        assert!(matches!(waiter.join(), Err(JoinError::Killed)));
        eventually("the end of the child", || {
            assert!(Command::new("true").status().unwrap().success());
            !is_there(id)
        });
    });
}

#[test]
fn what_cannot_be_started_is_an_error() {
    everywhere(|| {
        let missing = Command::new("/no such program").spawn().unwrap_err();
        assert_eq!(missing.kind(), ErrorKind::NotFound);
        let denied = Command::new("/etc/passwd").output().unwrap_err();
        assert_eq!(denied.kind(), ErrorKind::PermissionDenied);
    });
}

#[test]
fn many_at_once() {
    in_tasklet(|| {
        let begun = Instant::now();
        let children: Vec<_> = (0..50)
            .map(|n| Tasklet::spawn(move || shell(&format!("sleep 0.2; exit {n}")).status()))
            .collect();
        for (n, child) in children.into_iter().enumerate() {
            assert_eq!(child.join().unwrap().unwrap().code(), Some(n as i32));
        }
        // One after the other they would take ten seconds.
        assert!(
            begun.elapsed() < Duration::from_secs(8),
            "{:?}",
            begun.elapsed()
        );
    });
}
