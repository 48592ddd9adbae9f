//! Other programs: started, waited for and talked to without blocking the thread.
//!
//! The names and the meaning are those of [`std::process`]. What differs is who waits: starting a program
//! takes a thread of the pool, and the end of one is waited for by its descriptor (`pidfd`), so there is
//! no handler of SIGCHLD, and a process identifier that has been used again is never taken for the
//! child.
//!
//! The programs that are started have the signals unblocked that the runtime blocks in its workers; one
//! that [`std::process::Command`] starts from a tasklet would not be ended by SIGTERM.
//!
//! ```
//! use actor_io::process::Command;
//!
//! actor_core::dispatch(|| -> std::io::Result<()> {
//!     let output = Command::new("echo").arg("hello").output()?;
//!     assert!(output.status.success());
//!     assert_eq!(output.stdout, b"hello\n");
//!     Ok(())
//! });
//! ```

mod child;
mod collect;
mod command;
mod orphans;
mod pipes;

pub use std::process::{ExitStatus, Output, Stdio};

pub use child::Child;
pub use command::Command;
pub use pipes::{ChildStderr, ChildStdin, ChildStdout};
