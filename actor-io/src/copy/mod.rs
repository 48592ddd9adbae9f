//! Moving bytes from stream to stream: [`copy`], [`copy_bidirectional`] and [`send_file`].

mod bidirectional;
mod file;
mod splice;

use std::io::{self, Read, Write};
use std::net::Shutdown;

pub use bidirectional::copy_bidirectional;
pub use file::{in_slices, send_file};

use crate::descriptor::Descriptor;
use crate::net::{Family, Stream};
use splice::{Splice, splice_all};

/// How much is moved at a time through the memory of the process.
const CHUNK: usize = 16 * 1024;

/// One end of a copy: what has to be known of a stream besides how it is read and written.
///
/// ```
/// use actor_io::{Endpoint, UnixStream, copy};
/// use std::io::{self, Read, Write};
///
/// /// Counts what comes in.
/// struct Counting(UnixStream, u64);
///
/// impl Read for Counting {
///     fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
///         let len = self.0.read(buf)?;
///         self.1 += len as u64;
///         Ok(len)
///     }
/// }
///
/// impl Endpoint for Counting {
///     fn close_write(&mut self) -> io::Result<()> {
///         self.0.close_write()
///     }
///
///     fn abort(&self) {
///         self.0.abort();
///     }
/// }
///
/// # fn main() -> io::Result<()> {
/// let ((mut near, far), (mut out, _out)) = (UnixStream::pair()?, UnixStream::pair()?);
/// near.write_all(b"abc")?;
/// drop(near);
/// let mut far = Counting(far, 0);
/// copy(&mut far, &mut out)?;
/// assert_eq!(far.1, 3);
/// # Ok(())
/// # }
/// ```
pub trait Endpoint {
    /// The descriptor that is read and written, if all bytes pass unchanged and unseen: then the system
    /// may move them without the process. None by default.
    fn descriptor(&self) -> Option<Descriptor> {
        None
    }

    /// Tells the other end that nothing more will come, after all that was written.
    fn close_write(&mut self) -> io::Result<()>;

    /// Ends both directions at once, so that whoever waits in one of them comes away.
    fn abort(&self);
}

impl<F: Family> Endpoint for Stream<F> {
    fn descriptor(&self) -> Option<Descriptor> {
        Some(Descriptor::of(self))
    }

    fn close_write(&mut self) -> io::Result<()> {
        match self.shutdown(Shutdown::Write) {
            // The other end has gone for good, and needs no telling.
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
            result => result,
        }
    }

    fn abort(&self) {
        // Fails only if there is no connection any more.
        let _ = self.shutdown(Shutdown::Both);
    }
}

/// The end of a pipe, say. What is written to it ends when its last handle is dropped.
impl Endpoint for Descriptor {
    fn descriptor(&self) -> Option<Descriptor> {
        Some(self.handle())
    }

    fn close_write(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn abort(&self) {}
}

impl<F: Family> Endpoint for &Stream<F> {
    fn descriptor(&self) -> Option<Descriptor> {
        (**self).descriptor()
    }

    fn close_write(&mut self) -> io::Result<()> {
        self.handle().close_write()
    }

    fn abort(&self) {
        (**self).abort();
    }
}

impl Endpoint for &Descriptor {
    fn descriptor(&self) -> Option<Descriptor> {
        (**self).descriptor()
    }

    fn close_write(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn abort(&self) {}
}

/// Copies all that comes from `reader` to `writer`, until the first ends; gives how many bytes that were.
///
/// As [`std::io::copy`]. Once there is much to copy, and both are streams or descriptors that the system
/// can join by `splice(2)`, the bytes do not pass through the process any more; that takes two
/// descriptors, for a pipe, while it lasts, and spares a proxy a fifth to half of its CPU time (the group
/// `proxy` of the benches). A few bytes at a time are copied with a buffer, which costs less, and so is
/// all else.
///
/// # Errors
///
/// What reading and writing give. Some bytes may have been read then that were not written.
///
/// A write to what nobody reads any more raises `SIGPIPE` as well, if the program has turned that on
/// again, which Rust's turn off when they begin.
///
/// ```
/// use actor_io::{UnixStream, copy};
/// use std::io::{Read, Write};
///
/// # fn main() -> std::io::Result<()> {
/// let ((mut near, mut far), (mut out, mut copied)) = (UnixStream::pair()?, UnixStream::pair()?);
/// near.write_all(b"abc")?;
/// drop(near);
/// assert_eq!(copy(&mut far, &mut out)?, 3);
/// drop(out);
/// let mut text = String::new();
/// copied.read_to_string(&mut text)?;
/// assert_eq!(text, "abc");
/// # Ok(())
/// # }
/// ```
pub fn copy<R, W>(reader: &mut R, writer: &mut W) -> io::Result<u64>
where
    R: Read + Endpoint + ?Sized,
    W: Write + Endpoint + ?Sized,
{
    let mut copied = 0;
    match pump(reader, writer, &mut copied) {
        Ok(()) => Ok(copied),
        Err(Failure::Read(error) | Failure::Write(error)) => Err(error),
    }
}

/// Which end of a copy has failed.
#[derive(Debug)]
enum Failure {
    Read(io::Error),
    Write(io::Error),
}

/// Copies until `reader` ends, and counts in `copied`.
fn pump<R, W>(reader: &mut R, writer: &mut W, copied: &mut u64) -> Result<(), Failure>
where
    R: Read + Endpoint + ?Sized,
    W: Write + Endpoint + ?Sized,
{
    let mut buf = vec![0; CHUNK];
    let mut may_splice = true;
    loop {
        let len = match reader.read(&mut buf) {
            Ok(0) => return Ok(()),
            Ok(len) => len,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(Failure::Read(error)),
        };
        write_out(writer, &buf[..len])?;
        *copied += len as u64;
        if !may_splice || len < buf.len() {
            continue;
        }
        let (Some(from), Some(to)) = (reader.descriptor(), writer.descriptor()) else {
            may_splice = false;
            continue;
        };
        match splice_all(&from, &to, copied)? {
            Splice::Done => return Ok(()),
            Splice::Unable { left } => {
                write_out(writer, &left)?;
                *copied += left.len() as u64;
                may_splice = false;
            }
        }
    }
}

fn write_out(writer: &mut (impl Write + ?Sized), bytes: &[u8]) -> Result<(), Failure> {
    let written = writer.write_all(bytes).and_then(|()| writer.flush());
    written.map_err(Failure::Write)
}
