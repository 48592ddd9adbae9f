//! What a connection of a client runs over.

use std::cell::Cell;
use std::io::{self, Read, Write};
use std::time::Instant;

use actor_core::time;
use actor_io::TcpStream;

#[cfg(feature = "tls")]
use crate::tls::TlsStream;

/// Whether an operation waits, and until when.
#[derive(Clone, Copy, Debug)]
pub(super) enum Wait {
    /// It fails with `WouldBlock` instead.
    No,
    Until(Option<Instant>),
}

/// A TCP connection whose operations wait as has been said last. So TLS above it needs not be told.
#[derive(Debug)]
pub(super) struct Timed {
    stream: TcpStream,
    wait: Cell<Wait>,
}

impl Timed {
    pub(super) fn new(stream: TcpStream) -> Timed {
        Timed {
            stream,
            wait: Cell::new(Wait::Until(None)),
        }
    }

    pub(super) fn set_wait(&self, wait: Wait) {
        self.wait.set(wait);
    }

    pub(super) fn into_inner(self) -> TcpStream {
        self.stream
    }

    fn with<T>(&self, operation: impl FnOnce(&TcpStream) -> io::Result<T>) -> io::Result<T> {
        match self.wait.get() {
            Wait::Until(None) => operation(&self.stream),
            // An operation that need not wait would pass over its deadline.
            Wait::Until(Some(deadline)) if time::now() >= deadline => {
                Err(io::ErrorKind::TimedOut.into())
            }
            Wait::Until(Some(deadline)) => operation(&self.stream.with_deadline(deadline)),
            Wait::No => {
                // Nobody else has a handle of it.
                self.stream.set_nonblocking(true)?;
                let result = operation(&self.stream);
                self.stream.set_nonblocking(false)?;
                result
            }
        }
    }
}

impl Read for Timed {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.with(|mut stream| stream.read(buf))
    }
}

impl Write for Timed {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.with(|mut stream| stream.write(buf))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A connection, with or without TLS.
#[derive(Debug)]
pub(super) enum Stream {
    Plain(Timed),
    #[cfg(feature = "tls")]
    Tls(Box<TlsStream<Timed>>),
}

impl Stream {
    pub(super) fn timed(&self) -> &Timed {
        match self {
            Stream::Plain(stream) => stream,
            #[cfg(feature = "tls")]
            Stream::Tls(stream) => stream.get_ref(),
        }
    }

    /// Says that nothing more comes, where there is a way to and it does not take long. For connections between two
    /// requests alone: elsewhere half a request would look like a whole one.
    pub(super) fn say_goodbye(&mut self) {
        #[cfg(feature = "tls")]
        if let Stream::Tls(stream) = self
            && !std::thread::panicking()
        {
            stream.get_ref().set_wait(Wait::No);
            let _ = stream.close_notify();
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Plain(stream) => stream.read(buf),
            #[cfg(feature = "tls")]
            Stream::Tls(stream) => stream.read(buf),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Plain(stream) => stream.write(buf),
            #[cfg(feature = "tls")]
            Stream::Tls(stream) => stream.write(buf),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Stream::Plain(stream) => stream.flush(),
            #[cfg(feature = "tls")]
            Stream::Tls(stream) => stream.flush(),
        }
    }
}
