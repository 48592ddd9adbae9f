//! What [`copy`](actor_io::copy()) and [`copy_bidirectional`](actor_io::copy_bidirectional) need of TLS streams:
//! so a proxy can take TLS off, or put it on.

use std::io;

use actor_io::{Endpoint, Split};

use super::{TlsReader, TlsStream, TlsWriter};

/// The end of a direction is the `close_notify`.
impl<S: Endpoint + io::Read + io::Write> Endpoint for TlsStream<S> {
    fn close_write(&mut self) -> io::Result<()> {
        self.close_notify()
    }

    fn abort(&self) {
        self.get_ref().abort();
    }
}

impl<S: Split<Reader: Endpoint>> Endpoint for TlsReader<S> {
    /// There is nothing to be told: it does not write.
    fn close_write(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn abort(&self) {
        self.get_ref().abort();
    }
}

impl<S: Split<Writer: Endpoint>> Endpoint for TlsWriter<S> {
    fn close_write(&mut self) -> io::Result<()> {
        self.close_notify()
    }

    fn abort(&self) {
        self.abort_sink();
    }
}
