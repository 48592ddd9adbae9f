//! Bodies that are parts of files.

use std::collections::VecDeque;
use std::io::{self, Read};

use actor_core::reactor::{Direction, Source};
use actor_core::time;
use actor_io::__private::in_slices;
use actor_io::fs::File;
use bytes::{Buf, Bytes};
use rustix::fs::sendfile;

use super::super::limits::Limits;
use super::super::stream::Stream;

/// Parts of a file, with bytes between them.
#[derive(Debug, Default)]
pub(in crate::http) struct Regions(VecDeque<Part>);

#[derive(Debug)]
enum Part {
    Bytes(Bytes),
    Region(Region),
}

/// A part of a file.
#[derive(Debug)]
struct Region {
    file: File,
    at: u64,
    end: u64,
}

/// Up to how many bytes a region is read, and goes out together with what is before it.
const COPIED: u64 = 8 * 1024;

impl Regions {
    pub(in crate::http) fn of(file: File, at: u64, len: u64) -> Regions {
        let mut regions = Regions::default();
        regions.push_region(file, at, len);
        regions
    }

    pub(in crate::http) fn push_bytes(&mut self, bytes: Bytes) {
        self.0.push_back(Part::Bytes(bytes));
    }

    pub(in crate::http) fn push_region(&mut self, file: File, at: u64, len: u64) {
        let end = at.saturating_add(len);
        self.0.push_back(Part::Region(Region { file, at, end }));
    }

    /// How many bytes there are, if the files are as long as they have been said to be.
    pub(in crate::http) fn len(&self) -> u64 {
        let lengths = self.0.iter().map(|part| match part {
            Part::Bytes(bytes) => bytes.len() as u64,
            Part::Region(region) => region.end - region.at,
        });
        lengths.fold(0, u64::saturating_add)
    }

    /// Sends up to `len` bytes behind what has been gathered in `out`; gives how many that were. What is large goes
    /// from the file to the socket directly, and what is small is left in `out`.
    pub(in crate::http) fn send(
        self,
        len: u64,
        out: &mut Vec<u8>,
        stream: &Stream,
        limits: &Limits,
    ) -> io::Result<u64> {
        let mut left = len;
        for part in self.0 {
            match part {
                Part::Bytes(bytes) => {
                    let count =
                        usize::try_from(left).map_or(bytes.len(), |left| left.min(bytes.len()));
                    out.extend_from_slice(&bytes[..count]);
                    left -= count as u64;
                }
                Part::Region(mut region) => {
                    let begin = region.at;
                    region.end = region.end.min(begin.saturating_add(left));
                    if region.end - begin <= COPIED {
                        region.read_into(out)?;
                    } else {
                        // The system joins what it is told will be followed.
                        let sent = stream.send_all(out, true, limits);
                        out.clear();
                        sent?;
                        region.send(stream.source(), limits)?;
                    }
                    left -= region.at - begin;
                    if region.at < region.end {
                        // The file has become shorter, and what is behind it has lost its place.
                        break;
                    }
                }
            }
        }
        Ok(len - left)
    }
}

impl Region {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end - self.at).unwrap_or(usize::MAX);
        let room = buf.len().min(left);
        if room == 0 {
            return Ok(0);
        }
        let count = self.file.read_at(&mut buf[..room], self.at)?;
        self.at += count as u64;
        Ok(count)
    }

    /// Reads all of it, behind what is in `out`.
    fn read_into(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        let mut filled = out.len();
        let left = usize::try_from(self.end - self.at).unwrap_or_default();
        out.resize(filled + left, 0);
        let result = loop {
            match self.read(&mut out[filled..]) {
                Ok(0) => break Ok(()),
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => break Err(error),
            }
        };
        out.truncate(filled);
        result
    }

    /// Sends all of it, in slices between which others have their turns. The socket is waited for as long as
    /// the limits allow, for each piece that it takes.
    fn send(&mut self, source: &Source, limits: &Limits) -> io::Result<()> {
        in_slices(
            &self.file,
            File::try_clone,
            &mut self.at,
            self.end,
            |file, at, len| {
                let deadline = time::now().checked_add(limits.write_time);
                // Less than was asked for may be the end of the file, and does not show that there is no room.
                source.io(Direction::Write, deadline, |fd| {
                    Ok(sendfile(fd, file, Some(at), len)?)
                })
            },
        )
    }
}

impl Read for Regions {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        while let Some(part) = self.0.front_mut() {
            let count = match part {
                Part::Bytes(bytes) => {
                    let count = bytes.len().min(buf.len());
                    bytes.copy_to_slice(&mut buf[..count]);
                    count
                }
                Part::Region(region) => {
                    let count = region.read(buf)?;
                    if count == 0 && region.at < region.end {
                        return Ok(0);
                    }
                    count
                }
            };
            if count > 0 {
                return Ok(count);
            }
            self.0.pop_front();
        }
        Ok(0)
    }
}
