//! The programs: branches that can be killed and started again, and tellers to talk to.

use std::env;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::common::{Program, example};

/// A directory that is removed with this.
pub(crate) struct Directory(PathBuf);

impl Directory {
    pub(crate) fn new() -> Directory {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("concurrence-bank-{}-{count}", std::process::id());
        let path = env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        Directory(path)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A branch, which can be killed and started again at the same place.
pub(crate) struct Branch {
    pub(crate) name: &'static str,
    pub(crate) addr: String,
    pub(crate) directory: PathBuf,
    pub(crate) other: String,
    pub(crate) program: Option<Program>,
    /// How many orders it remembers, if not as many as it likes.
    pub(crate) memory: Option<usize>,
}

impl Branch {
    pub(crate) fn open(name: &'static str, directory: &Directory, other: String) -> Branch {
        let mut branch = Branch {
            name,
            addr: "127.0.0.1:0".into(),
            directory: directory.0.join(name),
            other,
            program: None,
            memory: None,
        };
        branch.start();
        branch
    }

    pub(crate) fn start(&mut self) {
        let mut command = example("remote_bank");
        command.args(["branch", self.name, &self.addr]);
        command.arg(&self.directory).arg(&self.other);
        if let Some(memory) = self.memory {
            command.env("BANK_MEMORY", memory.to_string());
        }
        let program = Program::start(&mut command);
        self.addr = program.address().to_string();
        self.program = Some(program);
    }

    pub(crate) fn kill(&mut self) {
        let program = self.program.take().expect("runs");
        program.signal(libc::SIGKILL);
        assert_eq!(program.ended().signal(), Some(libc::SIGKILL));
    }

    pub(crate) fn signal(&self, signal: libc::c_int) {
        self.program.as_ref().expect("runs").signal(signal);
    }

    pub(crate) fn at(&self) -> String {
        format!("{}={}", self.name, self.addr)
    }
}

/// Both branches: `b` connects to `a`.
pub(crate) fn bank(directory: &Directory) -> [Branch; 2] {
    let a = Branch::open("a", directory, "b".into());
    let b = Branch::open("b", directory, a.at());
    [a, b]
}

/// What a teller says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    Ok(Vec<u64>),
    Failed(String),
    Unknown(String),
}

/// A teller, to whom one can talk.
pub(crate) struct Teller {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl Teller {
    pub(crate) fn new(branches: &[Branch; 2], patience: &str) -> Teller {
        let mut command = example("remote_bank");
        command.arg("teller").args(branches.iter().map(Branch::at));
        command.env("BANK_PATIENCE", patience);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        Teller {
            stdin: child.stdin.take().unwrap(),
            stdout: BufReader::new(child.stdout.take().unwrap()),
            child,
        }
    }

    pub(crate) fn ask(&mut self, order: &str) -> Answer {
        writeln!(self.stdin, "{order}").unwrap();
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        let (kind, rest) = line.trim_end().split_once(' ').expect("an answer");
        match kind {
            "ok" => Answer::Ok(rest.split(' ').map(|n| n.parse().unwrap()).collect()),
            "failed" => Answer::Failed(rest.into()),
            "unknown" => Answer::Unknown(rest.into()),
            other => panic!("{other}"),
        }
    }

    /// For what must go well.
    pub(crate) fn number(&mut self, order: &str) -> u64 {
        match self.ask(order) {
            Answer::Ok(numbers) => numbers[0],
            other => panic!("{order}: {other:?}"),
        }
    }
}

impl Drop for Teller {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) const PATIENT: &str = "60";
