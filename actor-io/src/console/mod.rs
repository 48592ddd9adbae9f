//! The standard streams, for which only the tasklet waits.
//!
//! [`stdin`], [`stdout`] and [`stderr`] have the names of their namesakes in [`std::io`], and work with
//! whatever the process has been started with: a terminal, a pipe, a socket, a file.
//!
//! Whether a read or a write waits for the thread is a property of the *open file*, which a process
//! shares with the shell that has started it and with others in the pipeline; one that makes its
//! standard input non-blocking breaks theirs, and leaves them broken if it is killed. So nothing of the
//! kind is done here, and there is nothing to restore. Pipes and terminals are opened a second time, sockets
//! are asked not to wait with each operation, files are read and written by threads of the pool.
//! What cannot be opened again (a terminal that belongs to another user, say) is waited for, and then read
//! or written by a thread.
//!
//! ```
//! use std::io::Write;
//!
//! actor_core::dispatch(|| -> std::io::Result<()> {
//!     writeln!(actor_io::stdout(), "hello")
//! });
//! ```

mod standard;

use std::fmt;
use std::io::{self, BufRead, IoSlice, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::sync::LazyLock;
use std::time::Duration;

use actor_core::reactor::Direction;
use actor_core::sync::{Mutex, MutexGuard};

use crate::buffered::{BufferedReader, Split};
use standard::Standard;

static STDIN: Standard = Standard::new(0, Direction::Read);
static STDOUT: Standard = Standard::new(1, Direction::Write);
static STDERR: Standard = Standard::new(2, Direction::Write);

/// What has been read ahead, for all handles.
static INPUT: LazyLock<Mutex<BufferedReader<Raw>>> =
    LazyLock::new(|| Mutex::new(BufferedReader::new(Raw(&STDIN))));
/// Held while something is written, so that it stays together.
static OUTPUT: Mutex<()> = Mutex::new(());
static ERRORS: Mutex<()> = Mutex::new(());

/// Locks, where the deadline of a block around the call is an error.
fn locked<T>(mutex: &Mutex<T>) -> io::Result<MutexGuard<'_, T>> {
    Ok(mutex.lock_timeout(Duration::MAX)?)
}

/// A standard stream without buffer or lock.
#[derive(Debug)]
struct Raw(&'static Standard);

impl Read for Raw {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.read(buf)
    }
}

/// The standard input of the process.
///
/// What is read ahead is kept for all handles, and is the same for all tasklets: who reads a line while
/// another does waits for its turn. It knows nothing of what [`std::io::stdin`] has read ahead.
///
/// ```no_run
/// actor_core::dispatch(|| -> std::io::Result<()> {
///     let mut name = String::new();
///     actor_io::stdin().read_line(&mut name)?; // other tasklets go on meanwhile
///     Ok(())
/// });
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Stdin(());

/// The standard input. Cannot fail: what is wrong with it comes out with the first read.
///
/// ```
/// let stdin = actor_io::stdin();
/// ```
pub fn stdin() -> Stdin {
    Stdin(())
}

impl Stdin {
    /// Has the input to itself until it is dropped: for those who read by way of
    /// [`BufRead`].
    ///
    /// ```no_run
    /// use std::io::BufRead;
    ///
    /// for line in actor_io::stdin().lock().lines() {
    ///     println!("{}", line.unwrap());
    /// }
    /// ```
    ///
    /// # Panics
    ///
    /// As [`Mutex::lock`] does.
    pub fn lock(&self) -> StdinLock {
        StdinLock {
            input: INPUT.lock(),
        }
    }

    /// Reads a line with its end, as [`std::io::Stdin::read_line`] does: appended, and 0 at the end.
    ///
    /// # Errors
    ///
    /// Those of the system; `InvalidData` for what is not UTF-8, and for a line longer than
    /// [`DEFAULT_MAX_LINE`](crate::DEFAULT_MAX_LINE); `TimedOut` when the deadline of a block around it
    /// has passed.
    ///
    /// ```no_run
    /// let mut line = String::new();
    /// let count = actor_io::stdin().read_line(&mut line).unwrap();
    /// ```
    pub fn read_line(&self, line: &mut String) -> io::Result<usize> {
        BufRead::read_line(&mut *locked(&INPUT)?, line)
    }

    /// The lines, without their ends. Each is read under a lock of its own.
    ///
    /// ```no_run
    /// for line in actor_io::stdin().lines() {
    ///     println!("{}", line.unwrap());
    /// }
    /// ```
    pub fn lines(self) -> StdinLines {
        StdinLines(())
    }

    /// Reads as [`Read::read`] does, but ends with `Ok(None)` once the current tasklet has been [asked to
    /// stop](actor_core::Tasklet::stop): for those who read until then.
    ///
    /// It does not notice as long as another tasklet reads.
    ///
    /// ```no_run
    /// while let Some(count) = actor_io::stdin().read_or_stop(&mut [0; 80]).unwrap() {
    ///     println!("{count} bytes");
    /// }
    /// ```
    pub fn read_or_stop(&self, buf: &mut [u8]) -> io::Result<Option<usize>> {
        let mut input = locked(&INPUT)?;
        match input.buffer() {
            [] => input.get_ref().0.read_or_stop(buf),
            _ => input.read(buf).map(Some),
        }
    }
}

impl Read for Stdin {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        locked(&INPUT)?.read(buf)
    }
}

impl Read for &Stdin {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        locked(&INPUT)?.read(buf)
    }
}

/// The lines of the standard input, as [`Stdin::lines`] gives them.
#[derive(Debug)]
pub struct StdinLines(());

impl Iterator for StdinLines {
    type Item = io::Result<String>;

    fn next(&mut self) -> Option<Self::Item> {
        locked(&INPUT)
            .and_then(|mut input| input.read_line())
            .transpose()
    }
}

/// The standard input, while nobody else reads it.
#[derive(Debug)]
pub struct StdinLock {
    input: MutexGuard<'static, BufferedReader<Raw>>,
}

impl Read for StdinLock {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.input.read(buf)
    }
}

impl BufRead for StdinLock {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.input.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        self.input.consume(amount);
    }

    fn read_until(&mut self, delimiter: u8, bytes: &mut Vec<u8>) -> io::Result<usize> {
        self.input.read_until(delimiter, bytes)
    }

    fn read_line(&mut self, line: &mut String) -> io::Result<usize> {
        BufRead::read_line(&mut *self.input, line)
    }
}

/// Defines a stream to write to.
macro_rules! output {
    (
        $(#[$type_doc:meta])* $type:ident, $(#[$lock_doc:meta])* $lock:ident,
        $(#[$function_doc:meta])* $function:ident, $standard:ident, $mutex:ident
    ) => {
        $(#[$type_doc])*
        ///
        /// Nothing is buffered: what has been written has been handed to the system. One call of
        /// `write_all`, `writeln!` and the like goes out in one piece, as far as the lines of other tasklets
        /// are concerned.
        #[derive(Clone, Copy, Debug)]
        pub struct $type(());

        $(#[$function_doc])*
        pub fn $function() -> $type {
            $type(())
        }

        impl $type {
            /// Has the stream to itself until it is dropped.
            ///
            /// # Panics
            ///
            /// As [`Mutex::lock`] does.
            pub fn lock(&self) -> $lock {
                $lock { _guard: $mutex.lock() }
            }

            fn locked(&self) -> io::Result<$lock> {
                Ok($lock { _guard: locked(&$mutex)? })
            }
        }

        impl Write for $type {
            fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
                (&*self).write(buf)
            }

            fn write_all(&mut self, buf: &[u8]) -> io::Result<()> {
                (&*self).write_all(buf)
            }

            fn write_fmt(&mut self, args: fmt::Arguments<'_>) -> io::Result<()> {
                (&*self).write_fmt(args)
            }

            /// Nothing is kept back.
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }

        impl Write for &$type {
            fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
                self.locked()?.write(buf)
            }

            fn write_all(&mut self, buf: &[u8]) -> io::Result<()> {
                self.locked()?.write_all(buf)
            }

            fn write_fmt(&mut self, args: fmt::Arguments<'_>) -> io::Result<()> {
                self.locked()?.write_fmt(args)
            }

            /// Nothing is kept back.
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }

        $(#[$lock_doc])*
        #[derive(Debug)]
        pub struct $lock {
            _guard: MutexGuard<'static, ()>,
        }

        impl Write for $lock {
            fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
                $standard.write(buf)
            }

            /// Puts the text together first, so that it takes one system call.
            fn write_fmt(&mut self, args: fmt::Arguments<'_>) -> io::Result<()> {
                match args.as_str() {
                    Some(text) => self.write_all(text.as_bytes()),
                    None => self.write_all(fmt::format(args).as_bytes()),
                }
            }

            /// Nothing is kept back.
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }

        descriptor!($type, $standard);
        descriptor!($lock, $standard);
    };
}

/// Gives a stream its descriptor.
macro_rules! descriptor {
    ($type:ident, $standard:ident) => {
        impl AsFd for $type {
            /// The descriptor that the process has been started with.
            fn as_fd(&self) -> BorrowedFd<'_> {
                $standard.as_fd()
            }
        }

        impl AsRawFd for $type {
            fn as_raw_fd(&self) -> RawFd {
                $standard.as_fd().as_raw_fd()
            }
        }
    };
}

descriptor!(Stdin, STDIN);
descriptor!(StdinLock, STDIN);

output! {
    /// The standard output of the process.
    ///
    /// ```
    /// use std::io::Write;
    ///
    /// actor_io::stdout().write_all(b"hello\n")?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    Stdout,
    /// The standard output, while nobody else writes to it.
    ///
    /// ```
    /// use std::io::Write;
    ///
    /// let mut out = actor_io::stdout().lock();
    /// writeln!(out, "these lines")?;
    /// writeln!(out, "stay together")?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    StdoutLock,
    /// The standard output. Cannot fail: what is wrong with it comes out with the first write.
    ///
    /// ```
    /// let stdout = actor_io::stdout();
    /// ```
    stdout, STDOUT, OUTPUT
}

output! {
    /// The standard error of the process.
    ///
    /// ```
    /// use std::io::Write;
    ///
    /// actor_io::stderr().write_all(b"hello\n")?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    Stderr,
    /// The standard error, while nobody else writes to it.
    ///
    /// ```
    /// use std::io::Write;
    ///
    /// let mut out = actor_io::stderr().lock();
    /// writeln!(out, "these lines")?;
    /// writeln!(out, "stay together")?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    StderrLock,
    /// The standard error. Cannot fail: what is wrong with it comes out with the first write.
    ///
    /// ```
    /// let stderr = actor_io::stderr();
    /// ```
    stderr, STDERR, ERRORS
}

/// The standard input and output as one stream, such as a socket is: for handlers that serve either.
///
/// ```
/// use actor_io::{BufferedStream, Console, Split};
/// use std::io::{self, Write};
///
/// fn serve<S: Split>(mut stream: BufferedStream<S>) -> io::Result<()> {
///     stream.writer().write_line("what is your name?")?;
///     stream.flush()
/// }
///
/// serve(BufferedStream::new(Console::new()))?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Console(());

impl Console {
    /// The console of the process.
    ///
    /// ```
    /// let console = actor_io::Console::new();
    /// ```
    pub fn new() -> Self {
        Console(())
    }
}

impl Read for Console {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        stdin().read(buf)
    }
}

impl Write for Console {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        stdout().write(buf)
    }

    fn write_all(&mut self, buf: &[u8]) -> io::Result<()> {
        stdout().write_all(buf)
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        stdout().write_vectored(bufs)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Split for Console {
    type Reader = Stdin;
    type Writer = Stdout;

    fn split(self) -> (Stdin, Stdout) {
        (stdin(), stdout())
    }

    fn unsplit(_reader: Stdin, _writer: Stdout) -> Self {
        Console::new()
    }
}
