//! What is to be started, and how.

use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{self, ExitStatus, Output, Stdio};
use std::sync::Arc;
use std::thread;

use actor_core::__private::Unblocked;
use parking_lot::Mutex;

use super::child::Child;
use super::orphans;
use crate::fs::on_thread;

/// A program to be started, as [`std::process::Command`].
///
/// ```
/// use actor_io::process::Command;
///
/// actor_core::dispatch(|| -> std::io::Result<()> {
///     let status = Command::new("sh").args(["-c", "exit 3"]).status()?;
///     assert_eq!(status.code(), Some(3));
///     Ok(())
/// });
/// ```
pub struct Command {
    /// Shared with the thread that starts it, which goes on should the tasklet not wait for it.
    inner: Arc<Mutex<process::Command>>,
    kill_on_drop: bool,
    /// Which of the standard streams have been set: not those that `output` has to set.
    streams_set: [bool; 3],
}

/// Defines the methods that only set something.
macro_rules! settings {
    ($(
        $(#[$doc:meta])*
        $name:ident$(<$($generic:ident: $bound:ty),+>)?($($argument:ident: $type:ty),*);
    )+) => {$(
        $(#[$doc])*
        pub fn $name$(<$($generic: $bound),+>)?(&mut self, $($argument: $type),*) -> &mut Self {
            self.inner.lock().$name($($argument),*);
            self
        }
    )+};
}

impl Command {
    /// The program at this path, or of this name somewhere in `PATH`; with the environment, the directory
    /// and the standard streams of this process.
    ///
    /// ```
    /// let true_ = actor_io::process::Command::new("true");
    /// ```
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        process::Command::new(program).into()
    }

    /// Adds arguments.
    ///
    /// ```
    /// use actor_io::process::Command;
    ///
    /// let output = Command::new("echo").args(["a", "b"]).output()?;
    /// assert_eq!(output.stdout, b"a b\n");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn args<I, S>(&mut self, arguments: I) -> &mut Self
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        self.inner.lock().args(arguments);
        self
    }

    /// Sets variables of the environment.
    ///
    /// ```
    /// use actor_io::process::Command;
    ///
    /// let output = Command::new("sh").args(["-c", "echo $A$B"]).envs([("A", "1"), ("B", "2")]).output()?;
    /// assert_eq!(output.stdout, b"12\n");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn envs<I, K, V>(&mut self, variables: I) -> &mut Self
    where
        I: IntoIterator<Item = (K, V)>,
        K: AsRef<OsStr>,
        V: AsRef<OsStr>,
    {
        self.inner.lock().envs(variables);
        self
    }

    settings! {
        /// Adds an argument.
        arg(argument: impl AsRef<OsStr>);
        /// Sets a variable of the environment.
        env(name: impl AsRef<OsStr>, value: impl AsRef<OsStr>);
        /// Takes a variable out of the environment.
        env_remove(name: impl AsRef<OsStr>);
        /// Empties the environment.
        env_clear();
        /// Starts the program in this directory.
        current_dir(directory: impl AsRef<Path>);
        /// Has it run as this user.
        uid(id: u32);
        /// Has it run as this group.
        gid(id: u32);
        /// Has it see this as its own name.
        arg0(name: impl AsRef<OsStr>);
        /// Puts it into the process group of this leader, or into a new one if that is 0; then the signals
        /// of the terminal, such as that of Ctrl-C, do not reach it.
        process_group(leader: i32);
    }

    /// What its standard input is: this process's unless said otherwise, or nothing for
    /// [`output`](Self::output).
    pub fn stdin(&mut self, stdio: impl Into<Stdio>) -> &mut Self {
        self.streams_set[0] = true;
        self.inner.lock().stdin(stdio);
        self
    }

    /// What its standard output is: this process's unless said otherwise, or a pipe for
    /// [`output`](Self::output).
    pub fn stdout(&mut self, stdio: impl Into<Stdio>) -> &mut Self {
        self.streams_set[1] = true;
        self.inner.lock().stdout(stdio);
        self
    }

    /// What its standard error is: this process's unless said otherwise, or a pipe for
    /// [`output`](Self::output).
    pub fn stderr(&mut self, stdio: impl Into<Stdio>) -> &mut Self {
        self.streams_set[2] = true;
        self.inner.lock().stderr(stdio);
        self
    }

    /// Whether the program is killed when its [`Child`] is dropped, and so when the tasklet that has
    /// it is killed or unwinds. It is not unless this is set.
    ///
    /// ```
    /// use actor_io::process::Command;
    ///
    /// let child = Command::new("sleep").arg("1000").kill_on_drop(true).spawn()?;
    /// drop(child); // and with it the sleep
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn kill_on_drop(&mut self, kill: bool) -> &mut Self {
        self.kill_on_drop = kill;
        self
    }

    /// Has a closure called in the new process, before the program replaces it.
    ///
    /// # Safety
    ///
    /// As [`std::os::unix::process::CommandExt::pre_exec`]: between the two only what is
    /// async-signal-safe may be done.
    pub unsafe fn pre_exec<F>(&mut self, f: F) -> &mut Self
    where
        F: FnMut() -> io::Result<()> + Send + Sync + 'static,
    {
        // SAFETY: the caller promises for `f` what is asked for here.
        unsafe { self.inner.lock().pre_exec(f) };
        self
    }

    /// Starts the program.
    ///
    /// # Errors
    ///
    /// Those of [`std::process::Command::spawn`]; `TimedOut` if the deadline of a block around the call
    /// passes. A program that is started all the same is then killed if
    /// [`kill_on_drop`](Self::kill_on_drop) is set.
    ///
    /// ```
    /// use actor_io::process::Command;
    ///
    /// let error = Command::new("/no such program").spawn().unwrap_err();
    /// assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
    /// ```
    pub fn spawn(&mut self) -> io::Result<Child> {
        self.spawn_with([const { None }; 3])
    }

    /// Starts the program, on a thread, with some of its standard streams set for this time.
    fn spawn_with(&mut self, streams: [Option<Stdio>; 3]) -> io::Result<Child> {
        let inner = self.inner.clone();
        let kill_on_drop = self.kill_on_drop;
        let caller = thread::current().id();
        on_thread(move || {
            orphans::collect();
            let mut command = inner.lock();
            let was_set = set_streams(&mut command, streams);
            // In the threads of the runtime signals are blocked, and programs inherit that.
            let unblocked = (thread::current().id() != caller).then(Unblocked::new);
            let spawned = command.spawn();
            drop(unblocked);
            set_streams(&mut command, was_set.map(|set| set.then(Stdio::inherit)));
            Child::new(spawned?, kill_on_drop)
        })
    }

    /// Starts the program and waits for its end.
    ///
    /// # Errors
    ///
    /// Those of [`spawn`](Self::spawn) and [`Child::wait`].
    ///
    /// ```
    /// assert!(actor_io::process::Command::new("true").status()?.success());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn status(&mut self) -> io::Result<ExitStatus> {
        self.spawn()?.wait()
    }

    /// Starts the program, and waits for its end and for all that it writes. It has nothing to read, unless
    /// [`stdin`](Self::stdin) has been set.
    ///
    /// # Errors
    ///
    /// Those of [`spawn`](Self::spawn) and [`Child::wait_with_output`].
    ///
    /// ```
    /// let output = actor_io::process::Command::new("cat").arg("/no such file").output()?;
    /// assert!(!output.status.success());
    /// assert!(!output.stderr.is_empty());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn output(&mut self) -> io::Result<Output> {
        let [stdin, stdout, stderr] = self.streams_set.map(|set| !set);
        let streams = [
            stdin.then(Stdio::null),
            stdout.then(Stdio::piped),
            stderr.then(Stdio::piped),
        ];
        self.spawn_with(streams)?.wait_with_output()
    }
}

/// Sets those streams that are there; tells which.
fn set_streams(command: &mut process::Command, streams: [Option<Stdio>; 3]) -> [bool; 3] {
    let set = streams.each_ref().map(Option::is_some);
    let [stdin, stdout, stderr] = streams;
    if let Some(stdin) = stdin {
        command.stdin(stdin);
    }
    if let Some(stdout) = stdout {
        command.stdout(stdout);
    }
    if let Some(stderr) = stderr {
        command.stderr(stderr);
    }
    set
}

impl From<process::Command> for Command {
    fn from(command: process::Command) -> Self {
        Command {
            inner: Arc::new(Mutex::new(command)),
            kill_on_drop: false,
            streams_set: [false; 3],
        }
    }
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.inner.try_lock() {
            Some(command) => command.fmt(f),
            None => f.write_str("Command(<being started>)"),
        }
    }
}
