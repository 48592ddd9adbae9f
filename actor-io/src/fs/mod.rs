//! Files and directories, on the thread pool.
//!
//! The names and the meaning are those of [`std::fs`]. A disk cannot be waited for as a socket can, so
//! each operation is done by a thread of the pool, while the calling tasklet alone waits; on a plain
//! thread it is done in place. What can be read from the system's cache at once is read without a
//! thread. See [`block_on_thread`](actor_core::block_on_thread) for how many threads there are.
//!
//! An operation ends with the kind [`TimedOut`](io::ErrorKind::TimedOut) when the deadline of a
//! [`timeout`](actor_core::timeout()) block around it passes, be it because the disk is slow or because
//! all threads of the pool are busy. What a thread has begun it then finishes all the same: a file may
//! have been created, renamed or written. Nothing that was *read* gets lost in this way: the next read
//! of the same [`File`] begins with it.
//!
//! ```
//! use actor_io::fs;
//! use std::io::{self, Write};
//!
//! actor_core::dispatch(|| -> io::Result<()> {
//!     # let dir = std::env::temp_dir().join(format!("doc-fs-{}", std::process::id()));
//!     fs::create_dir_all(&dir)?;
//!     let path = dir.join("greeting");
//!     fs::File::create(&path)?.write_all(b"hello")?;
//!     assert_eq!(fs::read_to_string(&path)?, "hello");
//!     fs::remove_dir_all(&dir)
//! });
//! ```

mod dir;
mod file;

use std::io;
use std::path::{Path, PathBuf};

use actor_core::try_block_on_thread;

pub use std::fs::{DirBuilder, FileTimes, FileType, Metadata, Permissions};

pub use dir::{DirEntry, Entries, ReadDir, Walk, read_dir, walk};
pub use file::{File, OpenOptions};

/// Does on a thread what would block this one.
pub(crate) fn on_thread<T, F>(operation: F) -> io::Result<T>
where
    T: Send + 'static,
    F: FnOnce() -> io::Result<T> + Send + 'static,
{
    try_block_on_thread(operation)?
}

/// Defines functions that do on a thread what their namesakes in `std::fs` do.
macro_rules! as_in_std {
    ($(
        $(#[$doc:meta])*
        $name:ident($($path:ident),+ $(; $more:ident: $type:ty)?) -> $result:ty;
    )+) => {$(
        $(#[$doc])*
        ///
        /// # Errors
        ///
        /// Those of its namesake in [`std::fs`], and those that [the module](self) tells of.
        pub fn $name($($path: impl AsRef<Path>,)+ $($more: $type)?) -> io::Result<$result> {
            $(let $path = $path.as_ref().to_owned();)+
            on_thread(move || std::fs::$name($(&$path,)+ $($more)?))
        }
    )+};
}

as_in_std! {
    /// The whole content of a file.
    ///
    /// ```
    /// assert!(!actor_io::fs::read("/proc/self/cmdline").unwrap().is_empty());
    /// ```
    read(path) -> Vec<u8>;

    /// The whole content of a file, as text.
    ///
    /// ```
    /// assert!(actor_io::fs::read_to_string("/proc/self/status").unwrap().starts_with("Name:"));
    /// ```
    read_to_string(path) -> String;

    /// What a file is and how large, following links.
    ///
    /// ```
    /// assert!(actor_io::fs::metadata("/").unwrap().is_dir());
    /// ```
    metadata(path) -> Metadata;

    /// What a file is, without following a link.
    ///
    /// ```
    /// assert!(actor_io::fs::symlink_metadata("/proc/self").unwrap().is_symlink());
    /// ```
    symlink_metadata(path) -> Metadata;

    /// Whether there is something at the path.
    ///
    /// ```
    /// assert!(actor_io::fs::exists("/proc/self").unwrap());
    /// ```
    exists(path) -> bool;

    /// The path in its canonical, absolute form, without links.
    ///
    /// ```
    /// assert_eq!(actor_io::fs::canonicalize("/proc/..").unwrap().to_str(), Some("/"));
    /// ```
    canonicalize(path) -> PathBuf;

    /// Where a symbolic link points to.
    ///
    /// ```
    /// let own = actor_io::fs::read_link("/proc/self").unwrap();
    /// assert_eq!(own.to_str(), Some(&*std::process::id().to_string()));
    /// ```
    read_link(path) -> PathBuf;

    /// Creates a directory.
    ///
    /// ```
    /// assert!(actor_io::fs::create_dir("/").is_err()); // there is one
    /// ```
    create_dir(path) -> ();

    /// Creates a directory, and all above it that do not exist.
    ///
    /// ```
    /// actor_io::fs::create_dir_all("/").unwrap();
    /// ```
    create_dir_all(path) -> ();

    /// Removes an empty directory.
    ///
    /// ```
    /// assert!(actor_io::fs::remove_dir("/proc").is_err());
    /// ```
    remove_dir(path) -> ();

    /// Removes a directory with all that is in it. Does not follow links.
    ///
    /// ```
    /// # use actor_io::fs;
    /// # let dir = std::env::temp_dir().join(format!("doc-rm-{}", std::process::id()));
    /// fs::create_dir_all(dir.join("a/b"))?;
    /// fs::remove_dir_all(&dir)?;
    /// assert!(!fs::exists(&dir)?);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    remove_dir_all(path) -> ();

    /// Removes a file.
    ///
    /// ```
    /// use std::io::ErrorKind;
    ///
    /// let error = actor_io::fs::remove_file("/proc/no such file").unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::NotFound);
    /// ```
    remove_file(path) -> ();

    /// Renames a file or a directory, in place of what is there.
    ///
    /// This is how a file is replaced as a whole: write to another in the same directory,
    /// [`sync_all`](File::sync_all), rename.
    ///
    /// ```
    /// # use actor_io::fs;
    /// # let dir = std::env::temp_dir().join(format!("doc-mv-{}", std::process::id()));
    /// # fs::create_dir_all(&dir)?;
    /// fs::write(dir.join("new"), "content")?;
    /// fs::rename(dir.join("new"), dir.join("file"))?;
    /// assert_eq!(fs::read(dir.join("file"))?, b"content");
    /// # fs::remove_dir_all(&dir)
    /// # ?; Ok::<(), std::io::Error>(())
    /// ```
    rename(from, to) -> ();

    /// Copies a file's content and permissions; the number of bytes.
    ///
    /// ```
    /// # use actor_io::fs;
    /// # let dir = std::env::temp_dir().join(format!("doc-cp-{}", std::process::id()));
    /// # fs::create_dir_all(&dir)?;
    /// fs::write(dir.join("one"), "content")?;
    /// assert_eq!(fs::copy(dir.join("one"), dir.join("two"))?, 7);
    /// # fs::remove_dir_all(&dir)
    /// # ?; Ok::<(), std::io::Error>(())
    /// ```
    copy(from, to) -> u64;

    /// Gives a file another name besides.
    ///
    /// ```
    /// # use actor_io::fs;
    /// # let dir = std::env::temp_dir().join(format!("doc-ln-{}", std::process::id()));
    /// # fs::create_dir_all(&dir)?;
    /// fs::write(dir.join("one"), "content")?;
    /// fs::hard_link(dir.join("one"), dir.join("two"))?;
    /// # fs::remove_dir_all(&dir)
    /// # ?; Ok::<(), std::io::Error>(())
    /// ```
    hard_link(original, link) -> ();

    /// Changes who may do what with a file.
    ///
    /// ```
    /// # use actor_io::fs;
    /// # let file = std::env::temp_dir().join(format!("doc-perm-{}", std::process::id()));
    /// fs::write(&file, "content")?;
    /// let mut permissions = fs::metadata(&file)?.permissions();
    /// permissions.set_readonly(true);
    /// fs::set_permissions(&file, permissions)?;
    /// # fs::remove_file(&file)
    /// # ?; Ok::<(), std::io::Error>(())
    /// ```
    set_permissions(path; permissions: Permissions) -> ();
}

/// Creates a symbolic link at `link` that points to `original`, as [`std::os::unix::fs::symlink`] does.
///
/// # Errors
///
/// Those of its namesake, and those that [the module](self) tells of.
///
/// ```
/// # use actor_io::fs;
/// # let dir = std::env::temp_dir().join(format!("doc-sym-{}", std::process::id()));
/// # fs::create_dir_all(&dir)?;
/// fs::symlink("nowhere", dir.join("link"))?;
/// # fs::remove_dir_all(&dir)
/// # ?; Ok::<(), std::io::Error>(())
/// ```
pub fn symlink(original: impl AsRef<Path>, link: impl AsRef<Path>) -> io::Result<()> {
    let (original, link) = (original.as_ref().to_owned(), link.as_ref().to_owned());
    on_thread(move || std::os::unix::fs::symlink(original, link))
}

/// Makes `content` the whole content of a file, which is created if there is none.
///
/// The content is handed to a thread: what is an owned vector or string already is not copied.
///
/// # Errors
///
/// Those of [`std::fs::write`], and those that [the module](self) tells of.
///
/// ```
/// # use actor_io::fs;
/// # let file = std::env::temp_dir().join(format!("doc-write-{}", std::process::id()));
/// fs::write(&file, "content")?;
/// assert_eq!(fs::read(&file)?, b"content");
/// # fs::remove_file(&file)
/// # ?; Ok::<(), std::io::Error>(())
/// ```
pub fn write(path: impl AsRef<Path>, content: impl Into<Vec<u8>>) -> io::Result<()> {
    let (path, content) = (path.as_ref().to_owned(), content.into());
    on_thread(move || std::fs::write(path, content))
}
