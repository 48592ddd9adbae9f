//! A program that has been started.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::process::{self, ExitStatus, Output};

use actor_core::Signal;
use actor_core::reactor::{Direction, Source};
use rustix::process::{Pid, PidfdFlags, pidfd_open, pidfd_send_signal};

use super::pipes::{ChildStderr, ChildStdin, ChildStdout};
use super::{collect, orphans};

/// A program that runs, or has ended and is still to be waited for; as [`std::process::Child`].
///
/// Dropping it leaves the program alone, unless
/// [`kill_on_drop`](super::Command::kill_on_drop) is set. What nobody has waited for is collected when other
/// programs are started or dropped, so that it does not remain as a zombie for ever.
///
/// ```
/// use std::time::Duration;
/// use actor_core::{Signal, dispatch, timeout};
/// use actor_io::process::Command;
///
/// dispatch(|| -> std::io::Result<()> {
///     let mut child = Command::new("sleep").arg("1000").spawn()?;
///     let late = timeout(Duration::from_millis(10), || child.wait()).unwrap_err();
///     assert_eq!(late.kind(), std::io::ErrorKind::TimedOut);
///     child.signal(Signal::TERM)?;
///     assert!(!child.wait()?.success());
///     Ok(())
/// });
/// ```
pub struct Child {
    /// The program's standard input, if that is a pipe.
    pub stdin: Option<ChildStdin>,
    /// The program's standard output, if that is a pipe.
    pub stdout: Option<ChildStdout>,
    /// The program's standard error, if that is a pipe.
    pub stderr: Option<ChildStderr>,
    /// Taken when this is dropped.
    process: Option<process::Child>,
    /// Readable once the program has ended.
    end: Source,
    kill_on_drop: bool,
}

impl Child {
    /// Takes over a program that has just been started.
    pub(super) fn new(mut process: process::Child, kill_on_drop: bool) -> io::Result<Child> {
        // Nobody has waited for it, so the identifier is still its own.
        let pid = Pid::from_child(&process);
        let opened = pidfd_open(pid, PidfdFlags::NONBLOCK).map_err(io::Error::from);
        let end = match opened.and_then(Source::new) {
            Ok(end) => end,
            Err(error) => {
                // For want of descriptors, say: nobody could wait for it.
                let _ = process.kill();
                orphans::adopt(process);
                return Err(error);
            }
        };
        let (stdin, stdout, stderr) = (
            process.stdin.take(),
            process.stdout.take(),
            process.stderr.take(),
        );
        let mut child = Child {
            stdin: None,
            stdout: None,
            stderr: None,
            process: Some(process),
            end,
            // Until all is well.
            kill_on_drop: true,
        };
        child.stdin = stdin.map(ChildStdin::new).transpose()?;
        child.stdout = stdout.map(ChildStdout::new).transpose()?;
        child.stderr = stderr.map(ChildStderr::new).transpose()?;
        child.kill_on_drop = kill_on_drop;
        Ok(child)
    }

    fn process(&mut self) -> &mut process::Child {
        self.process
            .as_mut()
            .expect("is taken only when this is dropped")
    }

    /// The identifier of its process.
    ///
    /// ```
    /// let mut child = actor_io::process::Command::new("true").spawn()?;
    /// assert_ne!(child.id(), std::process::id());
    /// # child.wait()?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn id(&self) -> u32 {
        self.process
            .as_ref()
            .expect("is taken only when this is dropped")
            .id()
    }

    /// Waits for its end, having closed its standard input if that is here.
    ///
    /// # Errors
    ///
    /// Those of the system; `TimedOut` if the deadline of a [`timeout`](actor_core::timeout()) block
    /// passes. It can be waited for again then, and also if the tasklet has been killed meanwhile.
    ///
    /// ```
    /// let mut child = actor_io::process::Command::new("false").spawn()?;
    /// assert_eq!(child.wait()?.code(), Some(1));
    /// assert_eq!(child.wait()?.code(), Some(1)); // the same as often as one likes
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn wait(&mut self) -> io::Result<ExitStatus> {
        self.stdin = None;
        let Child { end, process, .. } = self;
        let process = process
            .as_mut()
            .expect("is taken only when this is dropped");
        end.io(Direction::Read, None, |_| match process.try_wait()? {
            Some(status) => Ok(status),
            None => Err(io::ErrorKind::WouldBlock.into()),
        })
    }

    /// How it has ended, if it has.
    ///
    /// ```
    /// let mut child = actor_io::process::Command::new("sleep").arg("1000").spawn()?;
    /// assert_eq!(child.try_wait()?, None);
    /// child.kill()?;
    /// # child.wait()?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        self.process().try_wait()
    }

    /// Kills it, which it cannot prevent. Nothing happens if it has been waited for.
    ///
    /// ```
    /// use std::os::unix::process::ExitStatusExt;
    ///
    /// let mut child = actor_io::process::Command::new("sleep").arg("1000").spawn()?;
    /// child.kill()?;
    /// assert_eq!(child.wait()?.signal(), Some(9));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn kill(&mut self) -> io::Result<()> {
        self.process().kill()
    }

    /// Sends it a signal: [`Signal::TERM`] asks it to end.
    ///
    /// # Errors
    ///
    /// `ESRCH` if it has ended.
    ///
    /// ```
    /// use actor_core::Signal;
    /// use std::os::unix::process::ExitStatusExt;
    ///
    /// let mut child = actor_io::process::Command::new("sleep").arg("1000").spawn()?;
    /// child.signal(Signal::TERM)?;
    /// assert_eq!(child.wait()?.signal(), Some(15));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        let signal = rustix::process::Signal::from_named_raw(signal.number())
            .ok_or(io::ErrorKind::InvalidInput)?;
        Ok(pidfd_send_signal(&self.end, signal)?)
    }

    /// Waits for its end and for all that it writes to its standard output and error, as far as these are
    /// pipes and here. Its standard input is closed first.
    ///
    /// All of it is kept in memory. A grandchild that has inherited the pipes and lives on is waited for,
    /// too.
    ///
    /// # Errors
    ///
    /// Those of [`wait`](Self::wait), and of reading; what was read is lost then.
    ///
    /// ```
    /// use actor_io::process::{Command, Stdio};
    ///
    /// let child = Command::new("echo").arg("hello").stdout(Stdio::piped()).spawn()?;
    /// assert_eq!(child.wait_with_output()?.stdout, b"hello\n");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn wait_with_output(mut self) -> io::Result<Output> {
        self.stdin = None;
        let (stdout, stderr) = collect::both(self.stdout.take(), self.stderr.take())?;
        let status = self.wait()?;
        Ok(Output {
            status,
            stdout,
            stderr,
        })
    }
}

/// The descriptor of the process (`pidfd`), readable once it has ended.
impl AsFd for Child {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.end.as_fd()
    }
}

impl fmt::Debug for Child {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Child")
            .field("id", &self.id())
            .field("kill_on_drop", &self.kill_on_drop)
            .finish_non_exhaustive()
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let Some(mut process) = self.process.take() else {
            return;
        };
        if self.kill_on_drop {
            // Fails if it has ended already.
            let _ = process.kill();
        }
        orphans::adopt(process);
    }
}
