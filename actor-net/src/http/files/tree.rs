//! A directory that nothing is opened outside of.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use actor_core::{timeout, try_block_on_thread};
use rustix::fs::{
    AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags, StatxFlags, fstat, openat, openat2, statx,
};
use rustix::io::Errno;

use super::path::TreePath;

/// See the [module](self).
///
/// It was opened once, and everything else is opened relative to it, by one system call that refuses whatever would
/// leave it (`openat2`, with `RESOLVE_BENEATH`), at whatever moment something is renamed. Where the system has
/// none, names are opened one after the other, and links are not followed.
#[derive(Debug)]
pub(super) struct Tree {
    root: OwnedFd,
    /// Whether to open name by name. Found out once.
    by_steps: AtomicBool,
}

/// What has been opened.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) fd: OwnedFd,
    pub(super) kind: FileType,
    pub(super) len: u64,
    pub(super) inode: u64,
    pub(super) modified: Option<SystemTime>,
}

/// One name in a directory.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Name {
    pub(super) name: Vec<u8>,
    pub(super) is_directory: bool,
}

/// Nothing here may wait: a pipe without a writer would.
const FLAGS: OFlags = OFlags::RDONLY
    .union(OFlags::NONBLOCK)
    .union(OFlags::NOCTTY)
    .union(OFlags::CLOEXEC);

/// On the way to what is to be opened.
const STEP: OFlags = OFlags::PATH
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// How often a path is looked up that is renamed meanwhile.
const ATTEMPTS: usize = 16;

impl Tree {
    /// Waits for the disk on a thread, as all of this does.
    pub(super) fn open(root: &Path) -> io::Result<Tree> {
        let root = root.to_owned();
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root =
            try_block_on_thread(move || openat(rustix::fs::CWD, root, flags, Mode::empty()))??;
        Ok(Tree {
            root,
            by_steps: AtomicBool::new(false),
        })
    }

    /// Opens what is at `path`, whatever it is, and tells of it.
    ///
    /// In place, if the system finds the way in its cache, as it does for what is asked for often.
    pub(super) fn get(
        self: &Arc<Self>,
        path: &TreePath,
        links: bool,
        patience: Duration,
    ) -> io::Result<Opened> {
        if !self.by_steps.load(Ordering::Relaxed) {
            let resolve = resolve(links) | ResolveFlags::CACHED;
            match openat2(&self.root, path.as_path(), FLAGS, Mode::empty(), resolve) {
                Ok(fd) => return Opened::at_once(fd),
                // It must be looked for, or cannot be opened in this way.
                Err(Errno::AGAIN | Errno::INVAL | Errno::NOSYS | Errno::PERM | Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let (tree, path) = (self.clone(), path.clone());
        on_thread(patience, move || tree.get_here(path.as_path(), links))
    }

    /// As [`get`](Self::get), on this thread.
    fn get_here(&self, path: &Path, links: bool) -> io::Result<Opened> {
        if self.by_steps.load(Ordering::Relaxed) {
            return Opened::new(self.walk(path)?);
        }
        let mut attempts = 0;
        loop {
            match openat2(&self.root, path, FLAGS, Mode::empty(), resolve(links)) {
                Ok(fd) => return Opened::new(fd),
                Err(Errno::INTR) => {}
                // Something on the way has been renamed.
                Err(Errno::AGAIN) if attempts < ATTEMPTS => attempts += 1,
                // Before Linux 5.6, and in sandboxes that have not heard of it: these may also say `PERM`, which
                // otherwise only comes of what could not be opened name by name either.
                Err(Errno::NOSYS | Errno::PERM) => {
                    let fd = self.walk(path)?;
                    self.by_steps.store(true, Ordering::Relaxed);
                    return Opened::new(fd);
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Opens name by name. None of them is `..`, and no link is followed, so there is no way out.
    fn walk(&self, path: &Path) -> io::Result<OwnedFd> {
        let mut directory: Option<OwnedFd> = None;
        let mut names = path.iter().peekable();
        while let Some(name) = names.next() {
            let at = directory.as_ref().map_or(self.root.as_fd(), AsFd::as_fd);
            let open = |flags| retried(|| openat(at, name, flags, Mode::empty()));
            if names.peek().is_none() {
                return Ok(open(FLAGS | OFlags::NOFOLLOW)?);
            }
            directory = Some(open(STEP)?);
        }
        Err(io::ErrorKind::NotFound.into())
    }
}

fn resolve(links: bool) -> ResolveFlags {
    let inside = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    match links {
        true => inside,
        false => inside | ResolveFlags::NO_SYMLINKS,
    }
}

fn retried<T>(mut operation: impl FnMut() -> rustix::io::Result<T>) -> rustix::io::Result<T> {
    loop {
        match operation() {
            Err(Errno::INTR) => {}
            result => return result,
        }
    }
}

/// Waits for a thread, and for what it does, but not for ever: a disk may be far away, and gone.
fn on_thread<T: Send + 'static>(
    patience: Duration,
    operation: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    timeout(patience, || try_block_on_thread(operation)?)
}

impl Opened {
    /// Asks for no more than the system knows at once.
    fn at_once(fd: OwnedFd) -> io::Result<Opened> {
        let flags = AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC;
        match statx(&fd, c"", flags, StatxFlags::BASIC_STATS) {
            Ok(known) => Ok(Opened {
                fd,
                kind: FileType::from_raw_mode(known.stx_mode.into()),
                len: known.stx_size,
                inode: known.stx_ino,
                modified: time(known.stx_mtime.tv_sec, known.stx_mtime.tv_nsec),
            }),
            Err(Errno::NOSYS) => Opened::new(fd),
            Err(error) => Err(error.into()),
        }
    }

    fn new(fd: OwnedFd) -> io::Result<Opened> {
        let known = fstat(&fd)?;
        Ok(Opened {
            fd,
            kind: FileType::from_raw_mode(known.st_mode),
            len: u64::try_from(known.st_size).unwrap_or_default(),
            inode: known.st_ino,
            modified: time(
                known.st_mtime,
                u32::try_from(known.st_mtime_nsec).unwrap_or_default(),
            ),
        })
    }

    pub(super) fn into_file(self) -> File {
        self.fd.into()
    }

    /// What is in this directory: `limit` names at most, and whether those are all.
    pub(super) fn names(self, limit: usize, patience: Duration) -> io::Result<(Vec<Name>, bool)> {
        on_thread(patience, move || {
            let mut names = Vec::new();
            for entry in Dir::new(self.fd)? {
                let entry = entry?;
                let name = entry.file_name().to_bytes();
                if matches!(name, b"." | b"..") {
                    continue;
                }
                if names.len() == limit {
                    return Ok((names, false));
                }
                names.push(Name {
                    name: name.to_vec(),
                    is_directory: entry.file_type() == FileType::Directory,
                });
            }
            Ok((names, true))
        })
    }
}

fn time(seconds: i64, nanoseconds: u32) -> Option<SystemTime> {
    let time = match u64::try_from(seconds) {
        Ok(since) => UNIX_EPOCH.checked_add(Duration::from_secs(since)),
        Err(_) => UNIX_EPOCH.checked_sub(Duration::from_secs(seconds.unsigned_abs())),
    };
    time?.checked_add(Duration::from_nanos(nanoseconds.into()))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(30);

    /// As in a system without `openat2`, and as in one that has it.
    #[test]
    fn both_ways_lead_to_the_same_and_not_out() {
        let dir = std::env::temp_dir().join(format!("actor-net-tree-{}", std::process::id()));
        fs::create_dir_all(dir.join("root/a/b")).unwrap();
        fs::write(dir.join("root/a/b/file"), "hello").unwrap();
        fs::write(dir.join("secret"), "secret").unwrap();
        let link = |to: &str, name: &str| symlink(to, dir.join("root").join(name)).unwrap();
        link("../secret", "out");
        link("..", "up");
        link("a/b", "inside");
        link("a/b/file", "file");
        let root = dir.join("root");
        symlink(&dir, root.join("absolute")).unwrap();
        symlink(&root, root.join("self")).unwrap();

        let tree = |by_steps| {
            let tree = Tree::open(&root).unwrap();
            tree.by_steps.store(by_steps, Ordering::Relaxed);
            Arc::new(tree)
        };
        let trees = [
            (tree(false), true),
            (tree(false), false),
            (tree(true), true),
        ];
        for (path, is_there) in [
            ("a/b/file", true),
            ("a/b/nothing", false),
            ("a/b/file/x", false),
            ("out", false),
            ("up/secret", false),
            ("absolute/secret", false),
            ("self/a/b/file", false),
        ] {
            let path = TreePath::decode(path, false).unwrap();
            for (tree, links) in &trees {
                let opened = tree.get(&path, *links, PATIENCE);
                assert_eq!(opened.is_ok(), is_there, "{path:?}: {opened:?}");
                if let Ok(opened) = opened {
                    assert_eq!((opened.kind, opened.len), (FileType::RegularFile, 5));
                }
            }
        }
        // Links that stay inside are followed where the system sees to it.
        for path in ["inside/file", "file"] {
            let path = TreePath::decode(path, false).unwrap();
            let found = trees
                .each_ref()
                .map(|(tree, links)| tree.get(&path, *links, PATIENCE).is_ok());
            assert_eq!(found, [true, false, false], "{path:?}");
        }
        for path in ["", "a", "a/b/"] {
            let path = TreePath::decode(path, false).unwrap();
            for (tree, links) in &trees {
                assert_eq!(
                    tree.get(&path, *links, PATIENCE).unwrap().kind,
                    FileType::Directory
                );
            }
        }
        fs::remove_dir_all(dir).unwrap();
    }
}
