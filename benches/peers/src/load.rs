//! The TCP and TLS clients that load the servers: one thread, one epoll, nonblocking sockets, on neither
//! framework and the same for every side. It runs in the parent process, so that the CPU time of
//! the child is the server's alone.

use crate::harness::Result;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::Duration;

/// Without an event for so long, something has been lost.
const STUCK: Duration = Duration::from_secs(10);

/// A stream over a TCP connection.
pub(crate) trait Stream: Read + Write {
    fn socket(&self) -> &TcpStream;
}

impl Stream for TcpStream {
    fn socket(&self) -> &TcpStream {
        self
    }
}

/// Many connections to one server, and which of them have something to read.
pub(crate) struct Clients<S = TcpStream> {
    epoll: OwnedFd,
    streams: Vec<S>,
    events: Vec<libc::epoll_event>,
}

impl Clients {
    pub(crate) fn connect(address: SocketAddr, count: usize) -> Result<Clients> {
        Clients::connect_over(address, count, Ok)
    }
}

impl<S: Stream> Clients<S> {
    /// Connects, and has `over` make of each connection, which still blocks, what is to be read and
    /// written.
    pub(crate) fn connect_over(
        address: SocketAddr,
        count: usize,
        over: impl Fn(TcpStream) -> Result<S>,
    ) -> Result<Clients<S>> {
        // SAFETY: takes an integer, gives a descriptor or -1.
        let epoll = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
        if epoll < 0 {
            return Err(io::Error::last_os_error().into());
        }
        // SAFETY: the descriptor is new, open and nobody else's.
        let epoll = unsafe { OwnedFd::from_raw_fd(epoll) };
        let mut streams = Vec::with_capacity(count);
        for client in 0..count {
            let stream = TcpStream::connect(address)?;
            stream.set_nodelay(true)?;
            let stream = over(stream)?;
            stream.socket().set_nonblocking(true)?;
            let mut event = libc::epoll_event {
                events: libc::EPOLLIN as u32,
                u64: client as u64,
            };
            // SAFETY: both descriptors are open and `event` is valid for the call.
            let status = unsafe {
                libc::epoll_ctl(
                    epoll.as_raw_fd(),
                    libc::EPOLL_CTL_ADD,
                    stream.socket().as_raw_fd(),
                    &mut event,
                )
            };
            if status != 0 {
                return Err(io::Error::last_os_error().into());
            }
            streams.push(stream);
        }
        Ok(Clients {
            epoll,
            streams,
            events: vec![libc::epoll_event { events: 0, u64: 0 }; count],
        })
    }

    /// Waits until some clients can read, and puts them into `ready`.
    pub(crate) fn wait(&mut self, ready: &mut Vec<usize>) -> Result<()> {
        // SAFETY: `events` has room for as many events as are asked for.
        let count = unsafe {
            libc::epoll_wait(
                self.epoll.as_raw_fd(),
                self.events.as_mut_ptr(),
                self.events.len() as i32,
                STUCK.as_millis() as i32,
            )
        };
        ready.clear();
        match count {
            0 => Err("nothing has come for 10 s: something was lost".into()),
            ..0 => match io::Error::last_os_error() {
                error if error.kind() == ErrorKind::Interrupted => Ok(()),
                error => Err(error.into()),
            },
            _ => {
                ready.extend(
                    self.events[..count as usize]
                        .iter()
                        .map(|event| event.u64 as usize),
                );
                Ok(())
            }
        }
    }

    pub(crate) fn stream(&self, client: usize) -> &S {
        &self.streams[client]
    }

    /// Reads once; 0 when there is nothing.
    pub(crate) fn read(&mut self, client: usize, buffer: &mut [u8]) -> Result<usize> {
        match self.streams[client].read(buffer) {
            Ok(0) => Err(format!("the server closed the connection of client {client}").into()),
            Ok(count) => Ok(count),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(0),
            Err(error) => Err(error.into()),
        }
    }

    /// Writes all of a short message, for which there is always room: clients wait for answers.
    pub(crate) fn write(&mut self, client: usize, message: &[u8]) -> Result<()> {
        let count = self.streams[client].write(message)?;
        if count != message.len() {
            return Err(format!("no room for a message of client {client}").into());
        }
        Ok(())
    }
}
