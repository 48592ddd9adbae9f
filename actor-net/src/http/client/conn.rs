//! [`Conn`]: a connection of a client, and the answers that come over it.

use std::io::{self, Read, Write};

use bytes::{Buf, BytesMut};
use http::{HeaderMap, Method, Response};

use super::error::{FetchError, Phase};
use super::stream::{Stream, Wait};
use crate::http::framing::{self, BodyEnd};
use crate::http::head;
use crate::http::limits::Limits;
use crate::http::scan::{FirstLine, HeadScan};

/// How much is received at a time behind what is there.
const ROOM: usize = 8 * 1024;

/// One that is dropped is closed.
#[derive(Debug)]
pub(super) struct Conn {
    stream: Stream,
    /// What has come and has not been taken.
    pub(super) input: BytesMut,
    scan: HeadScan,
    /// How many answers have come over it.
    pub(super) used: u64,
    /// How many bytes have been sent since [`begin`](Self::begin), and whether any have come.
    pub(super) sent: u64,
    pub(super) heard: bool,
}

/// An answer's head, and what it means.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) response: Response<()>,
    pub(super) end: BodyEnd,
    pub(super) keep_alive: bool,
}

impl Conn {
    pub(super) fn new(stream: Stream) -> Conn {
        Conn {
            stream,
            input: BytesMut::new(),
            scan: HeadScan::default(),
            used: 0,
            sent: 0,
            heard: false,
        }
    }

    /// Another request begins.
    pub(super) fn begin(&mut self) {
        self.sent = 0;
        self.heard = !self.input.is_empty();
    }

    /// Whether it is as an idle connection has to be: open, and silent. What comes unasked is no answer to the
    /// next request, and an end that has come before it would lose it.
    pub(super) fn is_quiet(&mut self) -> bool {
        if !self.input.is_empty() {
            return false;
        }
        self.stream.timed().set_wait(Wait::No);
        let read = self.stream.read(&mut [0]);
        matches!(read, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }

    pub(super) fn close(mut self) {
        self.stream.say_goodbye();
    }

    pub(super) fn into_parts(self) -> (Stream, BytesMut) {
        (self.stream, self.input)
    }

    /// Sends all of it; each piece may take as long as `wait` says.
    pub(super) fn send(&mut self, mut bytes: &[u8], wait: impl Fn() -> Wait) -> io::Result<()> {
        while !bytes.is_empty() {
            self.stream.timed().set_wait(wait());
            match self.stream.write(bytes) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => {
                    self.sent += count as u64;
                    bytes = &bytes[count..];
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        // What TLS has taken may not have gone out.
        self.stream.flush()
    }

    /// Receives some more behind what is there; 0 is the end.
    pub(super) fn receive(&mut self, wait: Wait) -> io::Result<usize> {
        let before = self.input.len();
        self.input.resize(before + ROOM, 0);
        let read = self.read_at(before, wait);
        self.input.truncate(before + *read.as_ref().unwrap_or(&0));
        self.heard |= matches!(read, Ok(1..));
        read
    }

    fn read_at(&mut self, begin: usize, wait: Wait) -> io::Result<usize> {
        self.stream.timed().set_wait(wait);
        loop {
            match self.stream.read(&mut self.input[begin..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }

    /// Reads what has come, or else from the connection.
    pub(super) fn read(&mut self, buf: &mut [u8], wait: Wait) -> io::Result<usize> {
        if !self.input.is_empty() {
            let count = self.input.len().min(buf.len());
            self.input.copy_to_slice(&mut buf[..count]);
            return Ok(count);
        }
        self.stream.timed().set_wait(wait);
        self.stream.read(buf)
    }

    /// The head of the next answer, interim ones included.
    pub(super) fn head(
        &mut self,
        method: &Method,
        limits: &Limits,
        wait: Wait,
    ) -> Result<Head, FetchError> {
        loop {
            if let Some(head) = self.try_head(method, limits)? {
                return Ok(head);
            }
            self.receive_head(wait)?;
        }
    }

    /// The head of the next answer, if it has come.
    pub(super) fn try_head(
        &mut self,
        method: &Method,
        limits: &Limits,
    ) -> Result<Option<Head>, FetchError> {
        let Some(extent) = self.scan.find(&self.input, FirstLine::Status, limits)? else {
            return Ok(None);
        };
        self.scan = HeadScan::default();
        let bytes = self.input.split_to(extent.end).freeze();
        let mut response = head::response(&bytes, extent.headers, HeaderMap::new())?;
        let (end, keep_alive) = framing::of_response(&mut response, method)?;
        Ok(Some(Head {
            response,
            end,
            keep_alive,
        }))
    }

    /// Receives some more of a head.
    pub(super) fn receive_head(&mut self, wait: Wait) -> Result<(), FetchError> {
        match self.receive(wait) {
            Ok(0) if self.heard => Err(FetchError::Truncated),
            Ok(0) => Err(FetchError::Closed(io::ErrorKind::UnexpectedEof.into())),
            Ok(_) => Ok(()),
            Err(error) => Err(match FetchError::of_connection(error, Phase::Answer) {
                FetchError::Io(error) if !self.heard => FetchError::Closed(error),
                FetchError::Truncated if !self.heard => {
                    FetchError::Closed(io::ErrorKind::UnexpectedEof.into())
                }
                error => error,
            }),
        }
    }
}
