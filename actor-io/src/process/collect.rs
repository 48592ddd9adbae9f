//! Reads two pipes at once.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use actor_core::reactor::{Direction, Source};
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::io::Errno;

use super::pipes::{ChildStderr, ChildStdout};

/// How much is read at a time.
const CHUNK: usize = 64 * 1024;

/// All that comes out of both, to the end of each.
///
/// A tasklet waits for one descriptor; so it waits for an epoll that has these two in it. Waiting for one
/// after the other would not do: a program whose other pipe is full does not go on.
pub(super) fn both(
    stdout: Option<ChildStdout>,
    stderr: Option<ChildStderr>,
) -> io::Result<(Vec<u8>, Vec<u8>)> {
    let either = Source::new(epoll::create(epoll::CreateFlags::CLOEXEC)?)?;
    let mut pipes = [
        Collected::of(stdout.as_ref().map(AsFd::as_fd)),
        Collected::of(stderr.as_ref().map(AsFd::as_fd)),
    ];
    for pipe in pipes.iter().filter_map(|collected| collected.pipe) {
        epoll::add(&either, pipe, EventData::new_u64(0), EventFlags::IN)?;
    }
    loop {
        for collected in &mut pipes {
            collected.read_what_is_there(&either)?;
        }
        if pipes.iter().all(|collected| collected.pipe.is_none()) {
            let [stdout, stderr] = pipes.map(|collected| collected.bytes);
            return Ok((stdout, stderr));
        }
        either.wait(Direction::Read, None)?;
    }
}

struct Collected<'a> {
    /// Until its end.
    pipe: Option<BorrowedFd<'a>>,
    bytes: Vec<u8>,
}

impl<'a> Collected<'a> {
    fn of(pipe: Option<BorrowedFd<'a>>) -> Self {
        let bytes = Vec::new();
        Collected { pipe, bytes }
    }

    /// Reads once: if there is more, the epoll says so again.
    fn read_what_is_there(&mut self, either: &Source) -> io::Result<()> {
        let Some(pipe) = self.pipe else {
            return Ok(());
        };
        self.bytes.reserve(CHUNK);
        match rustix::io::read(pipe, rustix::buffer::spare_capacity(&mut self.bytes)) {
            Ok(0) => {
                epoll::delete(either, pipe)?;
                self.pipe = None;
            }
            Ok(_) | Err(Errno::AGAIN | Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }
}
