//! What goes wrong with files and programs, over and over, leaves no descriptor, no tasklet and no process
//! behind. A process of its own: it counts what the process has.

mod common;

use std::io::{self, ErrorKind, Read};
use std::path::PathBuf;
use std::time::Duration;
use std::{fs as std_fs, process};

use actor_core::{Tasklet, timeout};
use actor_io::fs::{self, File};
use actor_io::process::{Command, Stdio};
use common::{eventually, in_tasklet};

fn descriptors() -> usize {
    std_fs::read_dir("/proc/self/fd").unwrap().count()
}

fn children() -> usize {
    let own = process::id().to_string();
    let is_child = |path: PathBuf| {
        // The parent comes second behind the name, which is in brackets.
        std_fs::read_to_string(path.join("stat")).is_ok_and(|stat| {
            let behind = stat.rsplit(')').next().unwrap_or_default();
            behind.split_whitespace().nth(1) == Some(&own)
        })
    };
    let all = std_fs::read_dir("/proc").unwrap().flatten();
    all.filter(|entry| is_child(entry.path())).count()
}

/// What is left of the limit on descriptors is taken until this is dropped, but for `left` of them.
struct NoDescriptors(Vec<std_fs::File>);

impl NoDescriptors {
    fn but(left: usize) -> NoDescriptors {
        let mut taken = Vec::new();
        while let Ok(file) = std_fs::File::open("/dev/null") {
            taken.push(file);
        }
        taken.truncate(taken.len() - left);
        NoDescriptors(taken)
    }
}

fn limit_descriptors(limit: u64) {
    let limit = libc::rlimit {
        rlim_cur: limit,
        rlim_max: limit,
    };
    // SAFETY: the limit is a valid one for the length of the call.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) }, 0);
}

fn sleeper() -> Command {
    let mut command = Command::new("sleep");
    command
        .arg("1000")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

#[test]
fn nothing_is_left_behind() {
    in_tasklet(|| {
        // Whatever is opened once and for all.
        assert!(Command::new("true").status().unwrap().success());
        limit_descriptors(200);
        let before = descriptors();
        for round in 0..10 {
            given_up(round);
            killed(round);
            eventually("the end of what was abandoned", || descriptors() == before);
            without_descriptors();
        }
        eventually("the end of all programs", || {
            assert!(Command::new("true").status().unwrap().success());
            children() == 0
        });
        eventually("the end of what was abandoned", || descriptors() == before);
        assert_eq!(Tasklet::current().children().len(), 0);
    });
}

/// Programs that are given up in time, at every step.
fn given_up(round: u64) {
    let short = Duration::from_micros(round * 300);
    let status = timeout(short, || sleeper().status().map(drop));
    assert_eq!(status.unwrap_err().kind(), ErrorKind::TimedOut);
    let output = timeout(short, || sleeper().output().map(drop));
    assert_eq!(output.unwrap_err().kind(), ErrorKind::TimedOut);
    let walk = timeout(short, || -> io::Result<usize> {
        loop {
            fs::walk("/proc/self/task")
                .into_iter()
                .try_for_each(|entry| {
                    match entry {
                        Err(error) if error.kind() == ErrorKind::TimedOut => Err(error),
                        // What is in there comes and goes.
                        _ => Ok(()),
                    }
                })?;
        }
    });
    assert_eq!(walk.unwrap_err().kind(), ErrorKind::TimedOut);
}

/// Tasklets that are killed while they open, read, start and wait.
fn killed(round: u64) {
    let victims: Vec<_> = (0..8)
        .map(|n| {
            Tasklet::spawn(move || -> io::Result<()> {
                loop {
                    match n % 2 {
                        0 => {
                            File::open("/proc/self/status")?.read_to_end(&mut Vec::new())?;
                        }
                        _ => drop(
                            sleeper()
                                .spawn()?
                                .stdout
                                .take()
                                .unwrap()
                                .read(&mut [0; 1])?,
                        ),
                    }
                }
            })
        })
        .collect();
    Tasklet::sleep(Duration::from_micros(round * 500));
    victims.iter().for_each(|victim| victim.kill());
    for victim in victims {
        assert!(victim.join().is_err());
    }
}

/// With so many descriptors that starting a program fails at one step or another.
fn without_descriptors() {
    for left in 0..12 {
        let taken = NoDescriptors::but(left);
        match sleeper().spawn() {
            Ok(child) => assert!(child.stdout.is_some()),
            Err(error) => assert_eq!(error.raw_os_error(), Some(libc::EMFILE), "{error}"),
        }
        if left == 0 {
            // What was used to start it may be closed only now, by another thread.
            let mut more = Vec::new();
            let refused = loop {
                more.push(NoDescriptors::but(0));
                if let Err(refused) = fs::read_dir("/") {
                    break refused;
                }
            };
            assert_eq!(refused.raw_os_error(), Some(libc::EMFILE));
            let open = File::open("/dev/null").unwrap_err();
            assert_eq!(open.raw_os_error(), Some(libc::EMFILE));
        }
        drop(taken.0);
    }
    assert!(sleeper().spawn().is_ok(), "and then it goes on");
}
