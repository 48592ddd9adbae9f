//! Bytes that the system moves by itself, through a pipe.

use std::fs::File;
use std::io::{self, Read};

use rustix::io::Errno;
use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};

use super::Failure;
use crate::descriptor::Descriptor;

/// How much the pipe holds, if the system allows it; the system's own choice is a quarter of it.
const PIPE: usize = 256 * 1024;

/// How it has ended.
pub(super) enum Splice {
    /// All has been moved.
    Done,
    /// The system cannot do it. This is what has been read by then and not been written.
    Unable { left: Vec<u8> },
}

impl Splice {
    const UNABLE: Splice = Splice::Unable { left: Vec::new() };
}

/// Moves all that comes from `from` to `to`, and counts it in `copied`.
pub(super) fn splice_all(
    from: &Descriptor,
    to: &Descriptor,
    copied: &mut u64,
) -> Result<Splice, Failure> {
    // There may be no descriptors left: a buffer does it too.
    let Ok((out, into)) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK) else {
        return Ok(Splice::UNABLE);
    };
    // A privilege of which users have a limited amount. The pipe works with what it has got.
    let _ = fcntl_setpipe_size(&into, PIPE);
    let flags = SpliceFlags::NONBLOCK | SpliceFlags::MOVE;
    loop {
        // The pipe is empty: it can only be `from` that is waited for.
        let moved = from.read_with(|fd| Ok(splice(fd, None, &into, None, PIPE, flags)?));
        let mut in_pipe = match moved {
            Ok(0) => return Ok(Splice::Done),
            Ok(len) => len,
            Err(error) if is_unable(&error) => return Ok(Splice::UNABLE),
            Err(error) => return Err(Failure::Read(error)),
        };
        while in_pipe > 0 {
            let moved = to.write_with(|fd| Ok(splice(&out, None, fd, None, in_pipe, flags)?));
            match moved {
                Ok(len) => {
                    in_pipe -= len;
                    *copied += len as u64;
                }
                Err(error) if is_unable(&error) => {
                    let mut left = vec![0; in_pipe];
                    let mut out = File::from(out);
                    out.read_exact(&mut left).map_err(Failure::Read)?;
                    return Ok(Splice::Unable { left });
                }
                Err(error) => return Err(Failure::Write(error)),
            }
        }
    }
}

/// Whether the system says that it cannot splice what these descriptors are.
pub(super) fn is_unable(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP)
    )
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::UnixStream;

    /// Otherwise it would go unnoticed that all is copied through buffers.
    #[test]
    fn the_system_splices_streams() {
        let (mut near, far) = UnixStream::pair().unwrap();
        let (out, to) = UnixStream::pair().unwrap();
        near.write_all(b"spliced").unwrap();
        drop(near);
        let mut copied = 0;
        let (far, out) = (Descriptor::of(&far), Descriptor::of(&out));
        let result = splice_all(&far, &out, &mut copied).unwrap();
        assert!(matches!(result, Splice::Done));
        assert_eq!(copied, 7);
        assert_eq!((&to).read(&mut [0; 16]).unwrap(), 7);
    }

    #[test]
    fn what_the_system_does_not_splice_is_left_to_others() {
        let (mut near, far) = UnixStream::pair().unwrap();
        near.write_all(b"not spliced").unwrap();
        drop(near);
        let path = std::env::temp_dir().join(format!("append-{}", std::process::id()));
        let file = File::options().create(true).append(true).open(&path);
        let file = Descriptor::new(file.unwrap()).unwrap();
        let mut copied = 0;
        let result = splice_all(&Descriptor::of(&far), &file, &mut copied).unwrap();
        std::fs::remove_file(path).unwrap();
        let Splice::Unable { left } = result else {
            panic!("the system has spliced after all");
        };
        assert_eq!((&*left, copied), (&b"not spliced"[..], 0));
    }
}
