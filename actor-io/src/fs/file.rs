//! Open files.

use std::fmt;
use std::fs as std_fs;
use std::io::{self, IoSliceMut, Read, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actor_core::__private::begin_operation;
use actor_core::sync::{Mutex, MutexGuard};
use rustix::io::{Errno, ReadWriteFlags};

use super::{FileTimes, Metadata, Permissions, on_thread};

/// The most that one read or write hands to a thread.
const MAX_CHUNK: usize = 1024 * 1024;
/// The most that is copied out of the cache on the caller's own thread.
const MAX_AT_ONCE: usize = 128 * 1024;
/// The offset that stands for the file's own position.
const POSITION: u64 = u64::MAX;

/// An open file, as [`std::fs::File`], for which only the tasklet waits.
///
/// Reads and writes go by the position that the open file has, and move it. Several tasklets may use one
/// file: they take turns.
///
/// ```
/// use actor_io::fs::File;
/// use std::io::{Read, Seek, Write};
///
/// actor_core::dispatch(|| -> std::io::Result<()> {
///     # let path = std::env::temp_dir().join(format!("doc-file-{}", std::process::id()));
///     let mut file = File::options().read(true).write(true).create_new(true).open(&path)?;
///     file.write_all(b"hello")?;
///     file.rewind()?;
///     let mut text = String::new();
///     file.read_to_string(&mut text)?;
///     assert_eq!(text, "hello");
///     # actor_io::fs::remove_file(&path)?;
///     Ok(())
/// });
/// ```
pub struct File {
    shared: Arc<Shared>,
}

struct Shared {
    file: std_fs::File,
    /// Locked by whoever moves the position of the file.
    state: Mutex<Unread>,
    /// Whether it is worth asking what can be read at once.
    reads_at_once: AtomicBool,
}

/// What has been read from the file for somebody who did not wait for it.
#[derive(Debug, Default)]
struct Unread {
    bytes: Vec<u8>,
    start: usize,
}

impl Unread {
    fn is_empty(&self) -> bool {
        self.start == self.bytes.len()
    }

    fn take(&mut self, buf: &mut [u8]) -> usize {
        let left = &self.bytes[self.start..];
        let count = left.len().min(buf.len());
        buf[..count].copy_from_slice(&left[..count]);
        self.start += count;
        if self.is_empty() {
            *self = Unread::default();
        }
        count
    }
}

impl Shared {
    /// The lock; the deadline of a block around the call is an error.
    fn lock(&self) -> io::Result<MutexGuard<'_, Unread>> {
        Ok(self.state.lock_timeout(Duration::MAX)?)
    }

    /// Reads if that takes no waiting for a disk.
    fn read_at_once(&self, buf: &mut [u8], offset: u64) -> Option<usize> {
        if !self.reads_at_once.load(Ordering::Relaxed) {
            return None;
        }
        let len = buf.len().min(MAX_AT_ONCE);
        let mut bufs = [IoSliceMut::new(&mut buf[..len])];
        match rustix::io::preadv2(&self.file, &mut bufs, offset, ReadWriteFlags::NOWAIT) {
            Ok(count) => Some(count),
            Err(Errno::AGAIN | Errno::INTR) => None,
            Err(_) => {
                // Not for this kind of file; or an error, which the thread will meet as well.
                self.reads_at_once.store(false, Ordering::Relaxed);
                None
            }
        }
    }

    /// Reads, on a thread, what the caller then takes: or the next one, should the caller have gone.
    fn fetch(&self, len: usize) -> io::Result<usize> {
        let mut unread = self.lock()?;
        if !unread.is_empty() {
            return Ok(unread.bytes.len());
        }
        let mut bytes = vec![0; len];
        let count = retried(|| (&self.file).read(&mut bytes))?;
        bytes.truncate(count);
        *unread = Unread { bytes, start: 0 };
        Ok(count)
    }

    /// For those who care for the position: it is where the reader has got to.
    fn settled(&self) -> io::Result<MutexGuard<'_, Unread>> {
        let mut unread = self.lock()?;
        let left = unread.bytes.len() - unread.start;
        if left > 0 {
            (&self.file).seek(SeekFrom::Current(-(left as i64)))?;
            *unread = Unread::default();
        }
        Ok(unread)
    }
}

fn retried<T>(mut operation: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match operation() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

impl File {
    /// Opens a file for reading.
    ///
    /// ```
    /// let error = actor_io::fs::File::open("/no such file").unwrap_err();
    /// assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
    /// ```
    pub fn open(path: impl AsRef<Path>) -> io::Result<File> {
        File::options().read(true).open(path)
    }

    /// Opens a file for writing, empties it, and creates it if there is none.
    ///
    /// ```
    /// use std::io::Write;
    ///
    /// let mut full = actor_io::fs::File::create("/dev/full")?;
    /// let error = full.write_all(b"hello").unwrap_err();
    /// assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn create(path: impl AsRef<Path>) -> io::Result<File> {
        let options = &mut File::options();
        options.write(true).create(true).truncate(true).open(path)
    }

    /// Creates a file for reading and writing; an error if there is one.
    ///
    /// ```
    /// let error = actor_io::fs::File::create_new("/dev/null").unwrap_err();
    /// assert_eq!(error.kind(), std::io::ErrorKind::AlreadyExists);
    /// ```
    pub fn create_new(path: impl AsRef<Path>) -> io::Result<File> {
        let options = &mut File::options();
        options.read(true).write(true).create_new(true).open(path)
    }

    /// How a file is opened otherwise.
    ///
    /// ```
    /// let file = actor_io::fs::File::options().append(true).open("/dev/null")?;
    /// # drop(file);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn options() -> OpenOptions {
        OpenOptions::new()
    }

    /// Reads at an offset, without regard to the position.
    ///
    /// ```
    /// let file = actor_io::fs::File::open("/proc/self/status")?;
    /// let mut word = [0; 2];
    /// assert_eq!(file.read_at(&mut word, 2)?, 2);
    /// assert_eq!(&word, b"me"); // of "Name:"
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        begin_operation()?;
        // What the system would not take for an offset is for the thread to find out.
        if offset <= i64::MAX as u64
            && let Some(count) = self.shared.read_at_once(buf, offset)
        {
            return Ok(count);
        }
        let shared = self.shared.clone();
        let len = buf.len().min(MAX_CHUNK);
        let bytes = on_thread(move || {
            let mut bytes = vec![0; len];
            let count = retried(|| shared.file.read_at(&mut bytes, offset))?;
            bytes.truncate(count);
            Ok(bytes)
        })?;
        buf[..bytes.len()].copy_from_slice(&bytes);
        Ok(bytes.len())
    }

    /// Writes at an offset, without regard to the position; how many bytes.
    ///
    /// ```
    /// let file = actor_io::fs::File::create("/dev/null")?;
    /// assert_eq!(file.write_at(b"hello", 100)?, 5);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<usize> {
        let shared = self.shared.clone();
        let bytes = buf[..buf.len().min(MAX_CHUNK)].to_vec();
        on_thread(move || retried(|| shared.file.write_at(&bytes, offset)))
    }

    /// Waits until all of the file is on the disk, and what is known of it.
    ///
    /// ```
    /// # let path = std::env::temp_dir().join(format!("doc-sync-{}", std::process::id()));
    /// actor_io::fs::File::create(&path)?.sync_all()?;
    /// # actor_io::fs::remove_file(&path)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn sync_all(&self) -> io::Result<()> {
        self.on_thread(|file| file.sync_all())
    }

    /// Waits until the content of the file is on the disk.
    ///
    /// ```
    /// # let path = std::env::temp_dir().join(format!("doc-data-{}", std::process::id()));
    /// actor_io::fs::File::create(&path)?.sync_data()?;
    /// # actor_io::fs::remove_file(&path)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn sync_data(&self) -> io::Result<()> {
        self.on_thread(|file| file.sync_data())
    }

    /// Cuts or extends the file to `len` bytes.
    ///
    /// ```
    /// # let path = std::env::temp_dir().join(format!("doc-len-{}", std::process::id()));
    /// let file = actor_io::fs::File::create(&path)?;
    /// file.set_len(10)?;
    /// assert_eq!(file.metadata()?.len(), 10);
    /// # actor_io::fs::remove_file(&path)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn set_len(&self, len: u64) -> io::Result<()> {
        self.on_thread(move |file| file.set_len(len))
    }

    /// What the file is, and how large.
    ///
    /// ```
    /// assert!(actor_io::fs::File::open("/")?.metadata()?.is_dir());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn metadata(&self) -> io::Result<Metadata> {
        self.on_thread(|file| file.metadata())
    }

    /// Changes who may do what with the file.
    ///
    /// ```
    /// # let path = std::env::temp_dir().join(format!("doc-fperm-{}", std::process::id()));
    /// let file = actor_io::fs::File::create(&path)?;
    /// file.set_permissions(file.metadata()?.permissions())?;
    /// # actor_io::fs::remove_file(&path)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn set_permissions(&self, permissions: Permissions) -> io::Result<()> {
        self.on_thread(move |file| file.set_permissions(permissions))
    }

    /// Changes the times that are kept with the file.
    ///
    /// ```
    /// # let path = std::env::temp_dir().join(format!("doc-times-{}", std::process::id()));
    /// use std::{fs::FileTimes, time::SystemTime};
    ///
    /// let file = actor_io::fs::File::create(&path)?;
    /// file.set_times(FileTimes::new().set_modified(SystemTime::UNIX_EPOCH))?;
    /// # actor_io::fs::remove_file(&path)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn set_times(&self, times: FileTimes) -> io::Result<()> {
        self.on_thread(move |file| file.set_times(times))
    }

    /// Waits until nobody else has locked the file, and locks it, as [`std::fs::File::lock`] does.
    ///
    /// A thread of the pool waits as well. When the tasklet is killed meanwhile, the thread goes on to wait,
    /// and gives the lock back once the last handle of the file is gone.
    ///
    /// ```
    /// # let path = std::env::temp_dir().join(format!("doc-lock-{}", std::process::id()));
    /// let file = actor_io::fs::File::create(&path)?;
    /// file.lock()?;
    /// file.unlock()?;
    /// # actor_io::fs::remove_file(&path)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn lock(&self) -> io::Result<()> {
        self.on_thread(|file| file.lock())
    }

    /// Locks the file if nobody else has. Never waits.
    ///
    /// ```
    /// # let path = std::env::temp_dir().join(format!("doc-trylock-{}", std::process::id()));
    /// use actor_io::fs::File;
    ///
    /// let file = File::create(&path)?;
    /// file.try_lock()?;
    /// let other = File::open(&path)?;
    /// assert!(matches!(other.try_lock(), Err(std::fs::TryLockError::WouldBlock)));
    /// # actor_io::fs::remove_file(&path)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn try_lock(&self) -> Result<(), std_fs::TryLockError> {
        self.shared.file.try_lock()
    }

    /// Gives back what [`lock`](Self::lock) has taken.
    ///
    /// ```
    /// actor_io::fs::File::open("/dev/null")?.unlock()?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn unlock(&self) -> io::Result<()> {
        self.shared.file.unlock()
    }

    /// Another handle of the same open file, with the same position.
    ///
    /// ```
    /// let file = actor_io::fs::File::open("/dev/null")?;
    /// let other = file.try_clone()?;
    /// # drop(other);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn try_clone(&self) -> io::Result<File> {
        Ok(File {
            shared: self.shared.clone(),
        })
    }

    /// Gives the file to `std`; `Err` with the file if there are other handles of it, or an abandoned
    /// operation goes on.
    ///
    /// ```
    /// let file = actor_io::fs::File::open("/dev/null")?;
    /// let file: std::fs::File = file.try_into_std().unwrap();
    /// # drop(file);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn try_into_std(self) -> Result<std_fs::File, File> {
        // The position must be where the reader has got to, as far as there is one.
        if self.shared.settled().is_err() {
            return Err(self);
        }
        Arc::try_unwrap(self.shared)
            .map(|shared| shared.file)
            .map_err(|shared| File { shared })
    }

    fn on_thread<T: Send + 'static>(
        &self,
        operation: impl FnOnce(&std_fs::File) -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let shared = self.shared.clone();
        on_thread(move || operation(&shared.file))
    }
}

impl From<std_fs::File> for File {
    fn from(file: std_fs::File) -> File {
        File {
            shared: Arc::new(Shared {
                file,
                state: Mutex::default(),
                reads_at_once: AtomicBool::new(true),
            }),
        }
    }
}

impl From<OwnedFd> for File {
    fn from(fd: OwnedFd) -> File {
        std_fs::File::from(fd).into()
    }
}

impl AsFd for File {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.shared.file.as_fd()
    }
}

impl AsRawFd for File {
    fn as_raw_fd(&self) -> RawFd {
        self.shared.file.as_raw_fd()
    }
}

impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.shared.file.fmt(f)
    }
}

impl Read for &File {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        loop {
            {
                let mut unread = self.shared.lock()?;
                if !unread.is_empty() {
                    return Ok(unread.take(buf));
                }
                if let Some(count) = self.shared.read_at_once(buf, POSITION) {
                    return Ok(count);
                }
            }
            let shared = self.shared.clone();
            let len = buf.len().min(MAX_CHUNK);
            if on_thread(move || shared.fetch(len))? == 0 {
                return Ok(0);
            }
        }
    }
}

impl Write for &File {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        let shared = self.shared.clone();
        let bytes = buf[..buf.len().min(MAX_CHUNK)].to_vec();
        on_thread(move || {
            let _settled = shared.settled()?;
            retried(|| (&shared.file).write(&bytes))
        })
    }

    /// Nothing is kept back: what was written is with the system.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for &File {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let shared = self.shared.clone();
        on_thread(move || {
            let _settled = shared.settled()?;
            (&shared.file).seek(to)
        })
    }
}

impl Read for File {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        (&*self).read(buf)
    }
}

impl Write for File {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        (&*self).write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for File {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        (&*self).seek(to)
    }
}

/// How a file is opened, as [`std::fs::OpenOptions`].
///
/// ```
/// # let path = std::env::temp_dir().join(format!("doc-options-{}", std::process::id()));
/// use actor_io::fs::OpenOptions;
///
/// let log = OpenOptions::new().append(true).create(true).mode(0o600).open(&path)?;
/// # drop(log);
/// # actor_io::fs::remove_file(&path)?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct OpenOptions(std_fs::OpenOptions);

/// Defines the methods that only set something.
macro_rules! settings {
    ($($(#[$doc:meta])* $name:ident: $type:ty;)+) => {$(
        $(#[$doc])*
        ///
        /// ```
        #[doc = concat!("let _ = actor_io::fs::OpenOptions::new().", stringify!($name), "(Default::default());")]
        /// ```
        pub fn $name(&mut self, value: $type) -> &mut Self {
            self.0.$name(value);
            self
        }
    )+};
}

impl OpenOptions {
    /// Options that ask for nothing yet.
    ///
    /// ```
    /// let error = actor_io::fs::OpenOptions::new().open("/dev/null").unwrap_err();
    /// assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
    /// ```
    pub fn new() -> Self {
        OpenOptions(std_fs::OpenOptions::new())
    }

    settings! {
        /// Whether the file is to be read.
        read: bool;
        /// Whether the file is to be written.
        write: bool;
        /// Whether what is written always goes to the end.
        append: bool;
        /// Whether the file is emptied.
        truncate: bool;
        /// Whether the file is created if there is none.
        create: bool;
        /// Whether the file is created, and it is an error if there is one.
        create_new: bool;
        /// Who may do what with the file if it is created, less what the process's mask takes away.
        mode: u32;
        /// Further flags for the system, of `libc`'s `O_` ones.
        custom_flags: i32;
    }

    /// Opens the file, on a thread.
    ///
    /// # Errors
    ///
    /// Those of [`std::fs::OpenOptions::open`], and those that [the module](super) tells of.
    ///
    /// ```
    /// let null = actor_io::fs::OpenOptions::new().read(true).open("/dev/null")?;
    /// # drop(null);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn open(&self, path: impl AsRef<Path>) -> io::Result<File> {
        let (options, path) = (self.0.clone(), path.as_ref().to_owned());
        on_thread(move || options.open(path)).map(File::from)
    }
}

impl Default for OpenOptions {
    fn default() -> Self {
        OpenOptions::new()
    }
}

impl From<std_fs::OpenOptions> for OpenOptions {
    fn from(options: std_fs::OpenOptions) -> Self {
        OpenOptions(options)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a thread has read for somebody who did not wait for it counts as not read.
    #[test]
    fn the_position_is_where_the_reader_has_got_to() {
        let path = std::env::temp_dir().join(format!("actor-io-position-{}", std::process::id()));
        std_fs::write(&path, "0123456789").unwrap();
        let mut file = File::options().read(true).write(true).open(&path).unwrap();
        let mut two = [0; 2];

        file.shared.fetch(4).unwrap();
        assert_eq!(file.stream_position().unwrap(), 0);
        file.shared.fetch(4).unwrap();
        file.shared.fetch(4).unwrap(); // the first is still there
        file.read_exact(&mut two).unwrap();
        assert_eq!(two, *b"01");
        file.write_all(b"ab").unwrap();
        file.shared.fetch(4).unwrap();
        file.seek(SeekFrom::Current(1)).unwrap();
        file.read_exact(&mut two).unwrap();
        assert_eq!(two, *b"56");
        file.shared.fetch(1).unwrap();
        let mut file = file.try_into_std().unwrap();
        assert_eq!(file.stream_position().unwrap(), 7);
        assert_eq!(std_fs::read(&path).unwrap(), b"01ab456789");
        std_fs::remove_file(path).unwrap();
    }
}
