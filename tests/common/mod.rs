//! What the end-to-end tests share: programs run as processes, and a client that speaks in lines.
//!
//! Nothing here waits a fixed time and hopes. Every wait is for an event, and [`PATIENCE`] only
//! turns a hang into a failure.

#![allow(dead_code)] // each test binary compiles this module for itself and uses a part of it

pub(crate) mod clients;
pub(crate) mod terminal;

use std::env;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{self, Child, ChildStdin, Command, ExitCode, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// How long a test waits for something that ought to come at once.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Set in the environment of a child that is to be the program of the test it names.
const CHILD: &str = "CONCURRENCE_TEST_CHILD";

/// A command that runs one of the examples, from where `cargo test` has built it.
pub(crate) fn example(name: &str) -> Command {
    let test = env::current_exe().expect("a test has a path");
    let profile = test
        .ancestors()
        .nth(2)
        .expect("target/<profile>/deps/<test>");
    let path = profile.join("examples").join(name);
    assert!(
        path.exists(),
        "{} is missing: a plain `cargo test` builds the examples, `cargo test --test ..` does not",
        path.display()
    );
    Command::new(path)
}

/// A command that runs `program` in a process of its own: this test binary once more, told to run
/// only the test in whose body `program` is written, which then comes here and goes no further.
///
/// A runtime lasts as long as its process, and so do its options; and some of what is tested here
/// ends the process.
pub(crate) fn child<F: FnOnce() -> ExitCode>(program: F) -> Command {
    let test = test_of::<F>();
    let thread = thread::current();
    assert!(
        [Some(test), Some("main")].contains(&thread.name()),
        "the closure is written in `{test}`, which is no test"
    );
    if env::var_os(CHILD).is_some_and(|name| name == test) {
        let code = program();
        process::exit(
            (0..=u8::MAX)
                .find(|&n| ExitCode::from(n) == code)
                .map_or(255, i32::from),
        );
    }
    let mut command = Command::new(env::current_exe().expect("a test has a path"));
    command
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(CHILD, test);
    command
}

/// The name of the test in whose body the closure `F` is written.
fn test_of<F>() -> &'static str {
    let path = std::any::type_name::<F>(); // crate::[module::]test::{{closure}}
    let path = path.split_once("::").expect("a crate's name comes first").1;
    path.split_once("::{{closure}}")
        .expect("the program is a closure")
        .0
}

/// Limits the number of descriptors of the program that `command` starts.
pub(crate) fn limit_descriptors(command: &mut Command, soft: u64, hard: u64) -> &mut Command {
    let limit = libc::rlimit {
        rlim_cur: soft,
        rlim_max: hard,
    };
    let set = move || match set_descriptor_limit(&limit) {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error()),
    };
    // SAFETY: between fork and exec the closure only makes one system call; it allocates nothing
    // and takes no lock.
    unsafe { command.pre_exec(set) }
}

fn set_descriptor_limit(limit: &libc::rlimit) -> libc::c_int {
    // SAFETY: `limit` is a valid reference for the length of the call.
    unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, limit) }
}

/// The soft and the hard limit on this process's descriptors.
pub(crate) fn descriptor_limits() -> (u64, u64) {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: `limit` is a valid place for the answer.
    let result = unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) };
    assert_eq!(result, 0, "getrlimit");
    (limit.rlim_cur, limit.rlim_max)
}

/// Lets this process have as many descriptors as its hard limit allows.
pub(crate) fn raise_descriptor_limit() {
    let (_, hard) = descriptor_limits();
    assert_eq!(
        set_descriptor_limit(&libc::rlimit {
            rlim_cur: hard,
            rlim_max: hard
        }),
        0,
        "setrlimit"
    );
}

/// What a program has written to one of its streams so far.
#[derive(Default)]
struct Transcript {
    state: Mutex<(String, bool)>,
    changed: Condvar,
}

impl Transcript {
    /// Collects all that comes out of `stream`, on a thread of its own.
    fn of(mut stream: impl Read + Send + 'static) -> Arc<Transcript> {
        let transcript = Arc::new(Transcript::default());
        let writer = transcript.clone();
        thread::spawn(move || {
            let mut chunk = [0; 4096];
            loop {
                let count = stream.read(&mut chunk).unwrap_or(0);
                let mut state = writer.state.lock().unwrap();
                state.0.push_str(&String::from_utf8_lossy(&chunk[..count]));
                state.1 = count == 0;
                writer.changed.notify_all();
                if count == 0 {
                    return;
                }
            }
        });
        transcript
    }

    /// Waits until `found` finds what it looks for.
    fn wait<T>(&self, what: &str, mut found: impl FnMut(&str) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        let mut state = self.state.lock().unwrap();
        loop {
            if let Some(value) = found(&state.0) {
                return value;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if state.1 || left.is_zero() {
                let text = state.0.clone();
                drop(state); // the collecting thread goes on
                panic!("no {what} in:\n{text}");
            }
            state = self.changed.wait_timeout(state, left).unwrap().0;
        }
    }

    /// All of it, once the stream has ended.
    fn whole(&self) -> String {
        let deadline = Instant::now() + PATIENCE;
        let mut state = self.state.lock().unwrap();
        while !state.1 && Instant::now() < deadline {
            state = self
                .changed
                .wait_timeout(state, Duration::from_secs(1))
                .unwrap()
                .0;
        }
        state.0.clone()
    }
}

/// A running program. It is killed when this is dropped.
pub(crate) struct Program {
    child: Child,
    stdout: Arc<Transcript>,
    stderr: Arc<Transcript>,
}

/// A program that has ended, and all that it said.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    /// The exit code; `None` if a signal has ended the program.
    pub(crate) fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// The signal that has ended the program.
    pub(crate) fn signal(&self) -> Option<i32> {
        self.status.signal()
    }
}

impl Program {
    pub(crate) fn start(command: &mut Command) -> Program {
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let stdout = Transcript::of(child.stdout.take().expect("is piped"));
        let stderr = Transcript::of(child.stderr.take().expect("is piped"));
        Program {
            child,
            stdout,
            stderr,
        }
    }

    /// A chat server, one of the examples of this name, on a free port.
    pub(crate) fn chat(server: &str) -> Program {
        Program::start(example(server).arg("127.0.0.1:0"))
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn stdin(&mut self) -> &mut ChildStdin {
        self.child.stdin.as_mut().expect("is piped")
    }

    /// The address that the program's log says it listens on.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address_in("listening")
    }

    /// The address that its log says the server listens on whose name begins so.
    pub(crate) fn address_of(&self, name: &str) -> SocketAddr {
        self.address_in(&format!("server={name}"))
    }

    /// That in the first line about listening that contains this.
    fn address_in(&self, part: &str) -> SocketAddr {
        self.stderr.wait("address listened on", |text| {
            let mut lines = text
                .split_inclusive('\n')
                .filter(|line| line.ends_with('\n'));
            let line = lines.find(|line| line.contains("listening") && line.contains(part))?;
            let addr = &line[line.find("127.0.0.1:")?..];
            let end = addr.find(|c: char| c != '.' && c != ':' && !c.is_ascii_digit())?;
            addr[..end].parse().ok()
        })
    }

    /// Waits until the program has written `text` to its standard error.
    pub(crate) fn wait_for(&self, text: &str) {
        self.stderr
            .wait(text, |all| all.contains(text).then_some(()))
    }

    /// Waits until the program has written `text` to its standard output.
    pub(crate) fn wait_for_output(&self, text: &str) {
        self.stdout
            .wait(text, |all| all.contains(text).then_some(()))
    }

    /// Waits until `found` finds what it looks for in what the program has written to its standard output.
    pub(crate) fn output<T>(&self, what: &str, found: impl FnMut(&str) -> Option<T>) -> T {
        self.stdout.wait(what, found)
    }

    /// What the program has written to its standard error so far.
    pub(crate) fn log(&self) -> String {
        self.stderr.state.lock().unwrap().0.clone()
    }

    pub(crate) fn signal(&self, signal: libc::c_int) {
        // SAFETY: a plain system call; the child has not been waited for, so the id is still its.
        let result = unsafe { libc::kill(self.pid() as libc::pid_t, signal) };
        assert_eq!(result, 0, "kill: {}", std::io::Error::last_os_error());
    }

    /// Waits for the end of the program.
    pub(crate) fn ended(mut self) -> Ended {
        drop(self.child.stdin.take());
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("is our child") {
                break status;
            }
            assert!(
                Instant::now() < deadline,
                "does not end; it has said:\n{}",
                self.log()
            );
            thread::sleep(Duration::from_millis(5));
        };
        Ended {
            status,
            stdout: self.stdout.whole(),
            stderr: self.stderr.whole(),
        }
    }

    /// How many descriptors the program has open.
    pub(crate) fn descriptors(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.pid())).map_or(0, Iterator::count)
    }

    /// How many bytes of memory the program has resident.
    pub(crate) fn resident(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .unwrap();
        line.trim()
            .strip_suffix(" kB")
            .unwrap()
            .parse::<u64>()
            .unwrap()
            * 1024
    }

    /// How many memory maps the program has.
    pub(crate) fn maps(&self) -> usize {
        fs::read_to_string(format!("/proc/{}/maps", self.pid()))
            .unwrap()
            .lines()
            .count()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Both fail if the program has ended already, as it should have.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until `condition` holds: for what no event tells of, such as a count in `/proc`.
pub(crate) fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "{what}: not within {PATIENCE:?}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// A client that sends and receives lines.
pub(crate) struct Client {
    reader: BufReader<TcpStream>,
}

impl Client {
    pub(crate) fn connect(addr: SocketAddr) -> Client {
        let stream = TcpStream::connect(addr).expect("the server listens");
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Client {
            reader: BufReader::new(stream),
        }
    }

    /// A client of the chat that has been welcomed, and so is one of those who are sent lines.
    pub(crate) fn join(addr: SocketAddr) -> Client {
        let mut client = Client::connect(addr);
        assert_eq!(client.line(), "type 'quit' to exit..");
        client
    }

    pub(crate) fn stream(&self) -> &TcpStream {
        self.reader.get_ref()
    }

    /// Sends `text` as it is.
    pub(crate) fn send(&mut self, text: &str) {
        self.reader
            .get_mut()
            .write_all(text.as_bytes())
            .expect("the server reads");
    }

    /// The next line, without its end.
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.reader.read_line(&mut line).expect("a line");
        line.strip_suffix('\n')
            .unwrap_or_else(|| panic!("the end, after {line:?}"))
            .to_owned()
    }

    /// Waits for the end of the stream; returns what came before it.
    pub(crate) fn rest(&mut self) -> String {
        let mut rest = String::new();
        self.reader
            .read_to_string(&mut rest)
            .expect("the end of the stream");
        rest
    }

    /// Closes the connection as a crash does: by a reset.
    pub(crate) fn reset(self) {
        let stream = self.reader.into_inner();
        socket2::SockRef::from(&stream)
            .set_linger(Some(Duration::ZERO))
            .unwrap();
    }
}
