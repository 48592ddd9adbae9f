//! [`send_file`].

use std::fs::File;
use std::io::{self, IoSliceMut, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;

use rustix::fs::{Advice, fadvise, fstat, sendfile};
use rustix::io::{Errno, ReadWriteFlags, pread, preadv2};

use super::Endpoint;
use super::splice::is_unable;
use crate::fs::on_thread;

/// How much is sent before others on this worker may have their turn.
const CHUNK: usize = 256 * 1024;

/// Sends `len` bytes of a file, from `offset` on, or all that is left of it; gives how many bytes that
/// were, which is less than `len` if the file ends before.
///
/// Where `writer` has a descriptor that the system can send a file to, by `sendfile(2)`, the bytes do not
/// pass through the process. The position of `file` is neither used nor changed.
///
/// What is not in the system's cache is brought there by a thread of the pool, while only the calling tasklet
/// waits, as far as the file system can tell the one from the other; where it cannot, the worker waits. No more
/// than a quarter of a megabyte is sent at a time, so that others come in between.
///
/// # Errors
///
/// What reading and writing give, and what the [pool](actor_core::try_block_on_thread) does. How much has been sent by then is not told.
///
/// As for [`copy`](super::copy()), a write to what nobody reads any more may raise `SIGPIPE` too.
///
/// ```
/// use actor_io::{UnixStream, send_file};
/// use std::{fs, io::Read};
///
/// # fn main() -> std::io::Result<()> {
/// # let path = std::env::temp_dir().join(format!("send_file-{}", std::process::id()));
/// fs::write(&path, "0123456789")?;
/// let (mut near, mut far) = UnixStream::pair()?;
/// assert_eq!(send_file(&fs::File::open(&path)?, &mut near, 6, None)?, 4);
/// drop(near);
/// let mut text = String::new();
/// far.read_to_string(&mut text)?;
/// assert_eq!(text, "6789");
/// # fs::remove_file(path)
/// # }
/// ```
pub fn send_file<W>(file: &File, writer: &mut W, offset: u64, len: Option<u64>) -> io::Result<u64>
where
    W: Write + Endpoint + ?Sized,
{
    let end = len.map_or(u64::MAX, |len| offset.saturating_add(len));
    let mut at = offset;
    if let Some(to) = writer.descriptor() {
        let sent = in_slices(file, File::try_clone, &mut at, end, |file, at, len| {
            to.write_with(|fd| Ok(sendfile(fd, file, Some(at), len)?))
        });
        match sent {
            Ok(()) => return Ok(at - offset),
            Err(error) if is_unable(&error) => {}
            Err(error) => return Err(error),
        }
    }
    // A file that cannot be sent as it is, or a writer that must see what it writes.
    let mut buf = vec![0; super::CHUNK];
    in_slices(file, File::try_clone, &mut at, end, |file, at, len| {
        let wanted = len.min(buf.len());
        let count = file.read_at(&mut buf[..wanted], *at)?;
        writer.write_all(&buf[..count])?;
        *at += count as u64;
        Ok(count)
    })?;
    writer.flush()?;
    Ok(at - offset)
}

/// Has `send` send what lies between `at` and `end` of a file, a slice at a time, until all has been sent or it says
/// that there is no more. It is called when the slice is in the system's cache, as far as that can be told,
/// and moves `at`. `share` makes another handle of the file, for the thread that brings it there.
pub fn in_slices<F: AsFd + Send + 'static>(
    file: &F,
    share: impl Fn(&F) -> io::Result<F>,
    at: &mut u64,
    end: u64,
    mut send: impl FnMut(&F, &mut u64, usize) -> io::Result<usize>,
) -> io::Result<()> {
    // Where it ends for now, as far as one can see; it may have no length to speak of.
    let len = u64::try_from(fstat(file)?.st_size).unwrap_or_default();
    // Only a hint.
    let _ = fadvise(file, *at, None, Advice::Sequential);
    while *at < end {
        let chunk = chunk(*at, end);
        bring(file, &share, *at, chunk, len)?;
        match send(file, at, chunk) {
            Ok(0) => break,
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Has a thread read what the disk would make this one wait for: `wanted` bytes from `at` on of a file of `len`.
fn bring<F: AsFd + Send + 'static>(
    file: &F,
    share: impl Fn(&F) -> io::Result<F>,
    at: u64,
    wanted: usize,
    len: u64,
) -> io::Result<()> {
    if at >= len {
        return Ok(());
    }
    // It is read in order, so what is missing is missing at the begin or at the end, or nearly always so.
    let end = at.saturating_add(wanted as u64).min(len);
    if !is_on_disk(file, at) && !is_on_disk(file, end - 1) {
        return Ok(());
    }
    let file = share(file)?;
    on_thread(move || {
        let mut waste = vec![0; super::CHUNK];
        let mut at = at;
        while at < end {
            match pread(&file, &mut waste[..], at) {
                Ok(0) => break,
                Ok(count) => at += count as u64,
                Err(Errno::INTR) => {}
                // Whoever sends it comes to know it as well.
                Err(_) => break,
            }
        }
        Ok(())
    })
}

/// Whether the byte at `at` is known not to be in the system's cache.
fn is_on_disk(file: impl AsFd, at: u64) -> bool {
    let mut byte = [0; 1];
    let bufs = &mut [IoSliceMut::new(&mut byte)];
    preadv2(file, bufs, at, ReadWriteFlags::NOWAIT) == Err(Errno::AGAIN)
}

/// How much of what lies before `end` is sent at a time.
fn chunk(at: u64, end: u64) -> usize {
    usize::try_from(end - at).map_or(CHUNK, |left| left.min(CHUNK))
}
