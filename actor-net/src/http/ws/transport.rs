//! What a WebSocket can be over.

use std::io::{self, Read, Write};

use actor_io::{Endpoint, Split, TcpStream, UnixStream};

use crate::http::{
    Switched, SwitchedReader, SwitchedWriter, Upgraded, UpgradedReader, UpgradedWriter,
};

#[cfg(feature = "tls")]
use crate::tls::{TlsReader, TlsStream, TlsWriter};

/// A stream that a WebSocket can be over.
///
/// ```
/// use actor_io::TcpStream;
/// use actor_net::http::ws::{Transport, WebSocket, WsOptions};
///
/// fn over(stream: impl Transport) -> std::io::Result<WebSocket> {
///     WebSocket::server(stream, Vec::new(), WsOptions::default())
/// }
/// ```
pub trait Transport: sealed::Transport {}

impl<T: sealed::Transport> Transport for T {}

pub(crate) mod sealed {
    use super::{Parts, io};

    pub trait Transport {
        fn into_parts(self) -> io::Result<Parts>;
    }
}

/// The ends of a stream that are used at the same time.
#[doc(hidden)]
#[allow(missing_debug_implementations)]
pub struct Parts {
    pub(super) source: Box<dyn Source>,
    pub(super) sink: Box<dyn Sink>,
    pub(super) abort: Abort,
}

/// Ends both directions, so that whoever waits in one comes away. Does not wait.
pub(super) type Abort = Box<dyn Fn() + Send + Sync>;

/// What is read.
pub(super) trait Source: Read + Send {
    /// Ends with `None` once the reader has been asked to stop.
    fn read_or_stop(&mut self, buf: &mut [u8]) -> io::Result<Option<usize>>;
}

/// What is written.
pub(super) trait Sink: Write + Send {
    /// Says that nothing more will come.
    fn finish(&mut self) -> io::Result<()>;
}

macro_rules! plain {
    ($($stream:ty),*) => {$(
        impl sealed::Transport for $stream {
            fn into_parts(self) -> io::Result<Parts> {
                let aborted = self.try_clone()?;
                let (source, sink) = self.split();
                Ok(Parts {
                    source: Box::new(source),
                    sink: Box::new(sink),
                    abort: Box::new(move || aborted.abort()),
                })
            }
        }

        impl Source for $stream {
            fn read_or_stop(&mut self, buf: &mut [u8]) -> io::Result<Option<usize>> {
                <$stream>::read_or_stop(self, buf)
            }
        }

        impl Sink for $stream {
            fn finish(&mut self) -> io::Result<()> {
                self.close_write()
            }
        }
    )*};
}

plain!(TcpStream, UnixStream);

impl sealed::Transport for Upgraded {
    fn into_parts(self) -> io::Result<Parts> {
        let (source, sink) = self.split();
        let aborted = sink.socket()?;
        Ok(Parts {
            source: Box::new(source),
            sink: Box::new(sink),
            abort: Box::new(move || aborted.abort()),
        })
    }
}

impl Source for UpgradedReader {
    fn read_or_stop(&mut self, buf: &mut [u8]) -> io::Result<Option<usize>> {
        UpgradedReader::read_or_stop(self, buf)
    }
}

impl Sink for UpgradedWriter {
    fn finish(&mut self) -> io::Result<()> {
        self.close_write()
    }
}

impl sealed::Transport for Switched {
    fn into_parts(self) -> io::Result<Parts> {
        let aborted = self.tcp().try_clone()?;
        let (source, sink) = self.split();
        Ok(Parts {
            source: Box::new(source),
            sink: Box::new(sink),
            abort: Box::new(move || aborted.abort()),
        })
    }
}

impl Source for SwitchedReader {
    fn read_or_stop(&mut self, buf: &mut [u8]) -> io::Result<Option<usize>> {
        SwitchedReader::read_or_stop(self, buf)
    }
}

impl Sink for SwitchedWriter {
    fn finish(&mut self) -> io::Result<()> {
        self.close_write()
    }
}

#[cfg(feature = "tls")]
mod tls {
    use super::*;

    impl sealed::Transport for TlsStream {
        fn into_parts(self) -> io::Result<Parts> {
            let aborted = self.get_ref().try_clone()?;
            let (source, sink) = self.split();
            Ok(Parts {
                source: Box::new(source),
                sink: Box::new(sink),
                abort: Box::new(move || aborted.abort()),
            })
        }
    }

    impl Source for TlsReader {
        fn read_or_stop(&mut self, buf: &mut [u8]) -> io::Result<Option<usize>> {
            TlsReader::read_or_stop(self, buf)
        }
    }

    impl Sink for TlsWriter {
        fn finish(&mut self) -> io::Result<()> {
            self.close_notify()
        }
    }
}
