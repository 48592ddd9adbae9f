//! What is in directories.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use super::{FileType, Metadata, on_thread, symlink_metadata};

/// How many entries a thread reads before the tasklet goes on.
const BATCH: usize = 256;

/// An entry of a directory.
///
/// ```
/// for entry in actor_io::fs::read_dir("/proc/self/task")? {
///     let entry = entry?;
///     assert!(entry.file_type().is_dir());
///     assert!(entry.path().starts_with("/proc/self/task"));
/// }
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct DirEntry {
    path: PathBuf,
    file_type: FileType,
    depth: usize,
}

impl DirEntry {
    /// Where it is: the path of the directory, as it was given, and the name.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What it is called. For the root of a [`walk`], as much of its path as is a name.
    pub fn file_name(&self) -> &OsStr {
        self.path.file_name().unwrap_or(self.path.as_os_str())
    }

    /// What it is; a link is a link, unless a walk follows them. Never waits.
    pub fn file_type(&self) -> FileType {
        self.file_type
    }

    /// How deep below the root of the [`walk`] it is; the root itself is at 0.
    pub fn depth(&self) -> usize {
        self.depth
    }

    /// What it is, and how large; asked for now, so it may have gone. Links are not followed.
    pub fn metadata(&self) -> io::Result<Metadata> {
        symlink_metadata(&self.path)
    }

    /// The path alone.
    pub fn into_path(self) -> PathBuf {
        self.path
    }
}

/// An iterator that a thread runs ahead of whoever takes its items, a batch at a time.
#[derive(Debug)]
struct Batches<I> {
    shared: Arc<Shared<I>>,
}

#[derive(Debug)]
struct Shared<I> {
    /// `None` when it has ended. Locked by threads, while they read.
    ahead: Mutex<Option<I>>,
    /// What has been read. Its lock is held for moments.
    ready: Mutex<VecDeque<io::Result<DirEntry>>>,
}

impl<I> Batches<I>
where
    I: Iterator<Item = io::Result<DirEntry>> + Send + 'static,
{
    fn new(entries: I) -> Self {
        Batches {
            shared: Arc::new(Shared {
                ahead: Mutex::new(Some(entries)),
                ready: Mutex::default(),
            }),
        }
    }
}

impl<I> Shared<I>
where
    I: Iterator<Item = io::Result<DirEntry>>,
{
    /// Reads on; whether there is anything more.
    fn fetch(&self) -> bool {
        let mut ahead = self.ahead.lock();
        // Perhaps of one whom the caller did not wait for.
        if !self.ready.lock().is_empty() {
            return true;
        }
        let Some(entries) = ahead.as_mut() else {
            return false;
        };
        let batch: VecDeque<_> = entries.take(BATCH).collect();
        if batch.is_empty() {
            *ahead = None;
            return false;
        }
        *self.ready.lock() = batch;
        true
    }
}

impl<I> Iterator for Batches<I>
where
    I: Iterator<Item = io::Result<DirEntry>> + Send + 'static,
{
    type Item = io::Result<DirEntry>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(entry) = self.shared.ready.lock().pop_front() {
                return Some(entry);
            }
            let shared = self.shared.clone();
            match on_thread(move || Ok(shared.fetch())) {
                Ok(true) => {}
                Ok(false) => return None,
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

/// The entries of a directory, as [`read_dir`] gives them.
#[derive(Debug)]
pub struct ReadDir {
    batches: Batches<Listing>,
}

#[derive(Debug)]
struct Listing(std::fs::ReadDir);

impl Iterator for Listing {
    type Item = io::Result<DirEntry>;

    fn next(&mut self) -> Option<Self::Item> {
        let entry = self.0.next()?;
        Some(entry.and_then(|entry| {
            Ok(DirEntry {
                file_type: entry.file_type()?,
                path: entry.path(),
                depth: 1,
            })
        }))
    }
}

impl Iterator for ReadDir {
    type Item = io::Result<DirEntry>;

    fn next(&mut self) -> Option<Self::Item> {
        self.batches.next()
    }
}

/// The entries of a directory, in no order, without `.` and `..`. A thread reads many at a time.
///
/// # Errors
///
/// Those of [`std::fs::read_dir`], and those that [the module](super) tells of; after one of the latter
/// the iterator can be asked again.
///
/// ```
/// use actor_io::fs;
///
/// let names: Result<Vec<_>, _> = fs::read_dir("/proc/self/fd")?
///     .map(|entry| entry.map(|entry| entry.file_name().to_owned()))
///     .collect();
/// assert!(names?.len() >= 3);
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn read_dir(path: impl AsRef<Path>) -> io::Result<ReadDir> {
    let path = path.as_ref().to_owned();
    let listing = on_thread(move || std::fs::read_dir(path).map(Listing))?;
    Ok(ReadDir {
        batches: Batches::new(listing),
    })
}

/// A walk through a directory and all below it, before it begins; see [`walk`].
#[derive(Debug)]
#[must_use = "it begins when it is iterated over"]
pub struct Walk {
    plan: walkdir::WalkDir,
}

/// A walk that has begun, as [`walk`] describes it.
#[derive(Debug)]
pub struct Entries {
    batches: Batches<Steps>,
}

#[derive(Debug)]
struct Steps(walkdir::IntoIter);

impl Iterator for Steps {
    type Item = io::Result<DirEntry>;

    fn next(&mut self) -> Option<Self::Item> {
        let step = self.0.next()?;
        Some(step.map_err(io::Error::from).map(|entry| DirEntry {
            file_type: entry.file_type(),
            depth: entry.depth(),
            path: entry.into_path(),
        }))
    }
}

/// Goes through a directory and all below it, each directory before what is in it.
///
/// What cannot be read is an error among the entries, and the walk goes on with the rest.
///
/// # Errors
///
/// An item is an error where the system does not let the walk in, where a link that is followed leads back
/// to where it came from, and for what [the module](super) tells of; after the last the iterator can
/// be asked again.
///
/// ```
/// use actor_io::fs;
///
/// # let dir = std::env::temp_dir().join(format!("doc-walk-{}", std::process::id()));
/// fs::create_dir_all(dir.join("a/b"))?;
/// fs::write(dir.join("a/b/file"), "")?;
/// for (depth, entry) in fs::walk(&dir).into_iter().enumerate() {
///     assert_eq!(entry?.depth(), depth);
/// }
/// # fs::remove_dir_all(&dir)?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn walk(root: impl AsRef<Path>) -> Walk {
    Walk {
        plan: walkdir::WalkDir::new(root),
    }
}

impl Walk {
    /// Goes no deeper than this; the entries of the root are at 1.
    pub fn max_depth(self, depth: usize) -> Self {
        self.changed(|plan| plan.max_depth(depth))
    }

    /// Gives no entries above this depth.
    pub fn min_depth(self, depth: usize) -> Self {
        self.changed(|plan| plan.min_depth(depth))
    }

    /// Whether links are followed; a loop is then an error.
    pub fn follow_links(self, follow: bool) -> Self {
        self.changed(|plan| plan.follow_links(follow))
    }

    /// Whether to stay on the file system that the root is on.
    pub fn same_file_system(self, same: bool) -> Self {
        self.changed(|plan| plan.same_file_system(same))
    }

    /// Gives the entries of each directory in the order of their names.
    ///
    /// ```
    /// # let dir = std::env::temp_dir().join(format!("doc-sort-{}", std::process::id()));
    /// # for name in ["b", "a", "c"] { actor_io::fs::create_dir_all(dir.join(name))?; }
    /// let walk = actor_io::fs::walk(&dir).min_depth(1).sort_by_file_name();
    /// let names = walk.into_iter().map(|entry| entry.unwrap().file_name().to_owned());
    /// assert_eq!(names.collect::<Vec<_>>(), ["a", "b", "c"]);
    /// # actor_io::fs::remove_dir_all(&dir)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn sort_by_file_name(self) -> Self {
        self.changed(walkdir::WalkDir::sort_by_file_name)
    }

    fn changed(self, change: impl FnOnce(walkdir::WalkDir) -> walkdir::WalkDir) -> Self {
        Walk {
            plan: change(self.plan),
        }
    }
}

impl IntoIterator for Walk {
    type Item = io::Result<DirEntry>;
    type IntoIter = Entries;

    fn into_iter(self) -> Entries {
        Entries {
            batches: Batches::new(Steps(self.plan.into_iter())),
        }
    }
}

impl Iterator for Entries {
    type Item = io::Result<DirEntry>;

    fn next(&mut self) -> Option<Self::Item> {
        self.batches.next()
    }
}
