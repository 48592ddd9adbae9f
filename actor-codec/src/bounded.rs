//! The end of a buffer, to which a value may add so many bytes and no more.

use std::io;

use bincode::enc::write::Writer;

use crate::error::EncodeError;

/// Lets `write` append to `into`. Unless it succeeds with at most `max` bytes, all that it has written is
/// taken off again, also when it panics.
#[inline]
pub(crate) fn append(
    into: &mut Vec<u8>,
    max: usize,
    write: impl FnOnce(&mut Bounded<'_>) -> Result<(), EncodeError>,
) -> Result<(), EncodeError> {
    let start = into.len();
    let mut undo = Undo { into, start };
    let mut bounded = Bounded {
        into: undo.into,
        end: start.saturating_add(max),
        full: false,
    };
    let written = write(&mut bounded);
    // That it was full comes first: the code of a type may have made another error of it, or none.
    if bounded.full {
        return Err(EncodeError::TooBig { max });
    }
    written?;
    undo.start = undo.into.len();
    Ok(())
}

/// Shortens a buffer to what it was at the start.
struct Undo<'a> {
    into: &'a mut Vec<u8>,
    start: usize,
}

impl Drop for Undo<'_> {
    fn drop(&mut self) {
        self.into.truncate(self.start);
    }
}

/// A buffer that takes so many more bytes.
pub(crate) struct Bounded<'a> {
    into: &'a mut Vec<u8>,
    /// How long it may become.
    end: usize,
    /// Whether something did not fit. Nothing is taken from then on.
    full: bool,
}

impl Bounded<'_> {
    /// How long the buffer is.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.into.len()
    }

    /// Takes all of the bytes, or says that they do not fit.
    #[inline]
    fn take(&mut self, bytes: &[u8]) -> bool {
        // It is never longer than its end, which is where it is once something did not fit.
        if bytes.len() > self.end - self.into.len() {
            self.end = self.into.len();
            self.full = true;
            return false;
        }
        self.into.extend_from_slice(bytes);
        true
    }
}

impl Writer for Bounded<'_> {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> Result<(), bincode::error::EncodeError> {
        match self.take(bytes) {
            true => Ok(()),
            false => Err(bincode::error::EncodeError::UnexpectedEnd),
        }
    }
}

impl io::Write for Bounded<'_> {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.take(bytes) {
            true => Ok(bytes.len()),
            false => Err(io::ErrorKind::WriteZero.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
