//! Files, directories, and what goes wrong with them.

mod common;

use std::fs as std_fs;
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use actor_core::{Tasklet, block_on_thread, timeout};
use actor_io::fs::{self, File, OpenOptions};
use actor_io::{UnixStream, send_file};
use common::{PATIENCE, everywhere, in_tasklet};

/// A directory of a test's own, removed at its end.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Scratch {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("actor-io-files-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std_fs::create_dir(&path).unwrap();
        Scratch(path)
    }

    fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std_fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_file_is_read_and_written_as_in_std() {
    everywhere(|| {
        let dir = Scratch::new();
        let path = dir.join("file");
        let mut file = File::create_new(&path).unwrap();
        let content: Vec<_> = (0..3_000_000u32).map(|n| n as u8).collect();
        file.write_all(&content).unwrap();
        assert_eq!(file.stream_position().unwrap(), 3_000_000);
        file.seek(SeekFrom::Start(1_000)).unwrap();
        let mut some = [0; 10];
        file.read_exact(&mut some).unwrap();
        assert_eq!(some, content[1_000..1_010]);
        file.rewind().unwrap();
        let mut back = Vec::new();
        file.read_to_end(&mut back).unwrap();
        assert!(back == content);
        assert_eq!(file.read(&mut some).unwrap(), 0);

        file.set_len(5).unwrap();
        assert_eq!(file.metadata().unwrap().len(), 5);
        assert_eq!(file.write_at(b"xy", 1).unwrap(), 2);
        assert_eq!(file.read_at(&mut some, 0).unwrap(), 5);
        assert_eq!(some[..5], [content[0], b'x', b'y', content[3], content[4]]);
        file.sync_all().unwrap();
        assert_eq!(fs::read(&path).unwrap().len(), 5);

        let exists = File::create_new(&path).unwrap_err();
        assert_eq!(exists.kind(), ErrorKind::AlreadyExists);
        let mut log = OpenOptions::new().append(true).open(&path).unwrap();
        log.write_all(b"end").unwrap();
        assert!(fs::read(&path).unwrap().ends_with(b"end"));
        let mut std: std_fs::File = file.try_into_std().unwrap();
        std.rewind().unwrap();
        assert_eq!(std.read(&mut some).unwrap(), 8);
    });
}

#[test]
fn handles_of_one_file_share_its_position() {
    in_tasklet(|| {
        let dir = Scratch::new();
        let path = dir.join("file");
        fs::write(&path, vec![7; 100_000]).unwrap();
        let file = File::open(&path).unwrap();
        let readers: Vec<_> = (0..4)
            .map(|_| {
                let mut file = file.try_clone().unwrap();
                Tasklet::spawn(move || {
                    let mut all = Vec::new();
                    file.read_to_end(&mut all).map(|count| (count, all))
                })
            })
            .collect();
        let mut sum = 0;
        for reader in readers {
            let (count, all) = reader.join().unwrap().unwrap();
            assert!(all.iter().all(|&byte| byte == 7));
            sum += count;
        }
        assert_eq!(sum, 100_000, "each byte is read once");
    });
}

/// A read that is given up must not lose what its thread reads after that.
#[test]
fn what_was_read_for_one_who_gave_up_is_read_by_the_next() {
    in_tasklet(|| {
        let dir = Scratch::new();
        let path = dir.join("fifo");
        mkfifo(&path);
        // Both ends at once, so that nothing waits for the other.
        let options = OpenOptions::new().read(true).write(true).clone();
        let file = options.open(&path).unwrap();
        let mut far = options.open(&path).unwrap();
        for round in 0..3 {
            let mut bytes = [0; 8];
            let late = timeout(Duration::from_millis(10), || (&file).read(&mut bytes));
            assert_eq!(late.unwrap_err().kind(), ErrorKind::TimedOut);
            // For the thread that still reads.
            far.write_all(&[round; 4]).unwrap();
            (&file).read_exact(&mut bytes[..4]).unwrap();
            assert_eq!(bytes[..4], [round; 4]);
        }
    });
}

fn mkfifo(path: &Path) {
    use std::os::unix::ffi::OsStrExt;
    let path = std::ffi::CString::new(path.as_os_str().as_bytes()).unwrap();
    // SAFETY: the path is a string of C's, and lives as long as the call.
    assert_eq!(unsafe { libc::mkfifo(path.as_ptr(), 0o600) }, 0);
}

#[test]
fn all_of_the_functions_do_what_their_names_say() {
    everywhere(|| {
        let dir = Scratch::new();
        fs::create_dir_all(dir.join("a/b/c")).unwrap();
        fs::write(dir.join("a/one"), "1").unwrap();
        assert_eq!(fs::copy(dir.join("a/one"), dir.join("a/two")).unwrap(), 1);
        fs::rename(dir.join("a/two"), dir.join("a/b/two")).unwrap();
        fs::symlink("one", dir.join("a/link")).unwrap();
        fs::hard_link(dir.join("a/one"), dir.join("a/hard")).unwrap();
        assert_eq!(fs::read_to_string(dir.join("a/link")).unwrap(), "1");
        assert_eq!(fs::read_link(dir.join("a/link")).unwrap(), Path::new("one"));
        assert!(
            fs::symlink_metadata(dir.join("a/link"))
                .unwrap()
                .is_symlink()
        );
        assert!(fs::metadata(dir.join("a/link")).unwrap().is_file());
        assert_eq!(
            fs::canonicalize(dir.join("a/b/../link")).unwrap(),
            fs::canonicalize(dir.join("a/one")).unwrap()
        );

        let mut names: Vec<_> = fs::read_dir(dir.join("a"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_owned())
            .collect();
        names.sort();
        assert_eq!(names, ["b", "hard", "link", "one"]);
        let walked: Vec<_> = fs::walk(dir.join("a"))
            .sort_by_file_name()
            .into_iter()
            .map(|entry| entry.unwrap().file_name().to_owned())
            .collect();
        assert_eq!(walked, ["a", "b", "c", "two", "hard", "link", "one"]);
        let deep = fs::walk(dir.join("a"))
            .min_depth(2)
            .max_depth(2)
            .into_iter();
        assert_eq!(deep.count(), 2);

        assert_eq!(
            fs::remove_dir(dir.join("a")).unwrap_err().kind(),
            ErrorKind::DirectoryNotEmpty
        );
        fs::remove_file(dir.join("a/one")).unwrap();
        assert!(!fs::exists(dir.join("a/one")).unwrap());
        fs::remove_dir_all(dir.join("a")).unwrap();
        assert_eq!(
            fs::read_dir(dir.join("a")).unwrap_err().kind(),
            ErrorKind::NotFound
        );
        let gone = fs::walk(dir.join("a")).into_iter().next().unwrap();
        assert_eq!(gone.unwrap_err().kind(), ErrorKind::NotFound);
    });
}

#[test]
fn a_walk_goes_through_more_than_a_batch_and_round_loops() {
    in_tasklet(|| {
        let dir = Scratch::new();
        for n in 0..3 {
            fs::create_dir(dir.join(format!("{n}"))).unwrap();
            for m in 0..300 {
                fs::write(dir.join(format!("{n}/{m}")), "").unwrap();
            }
        }
        let files = |follow: bool| {
            let entries = fs::walk(&dir.0).follow_links(follow).into_iter();
            let (found, failed): (Vec<_>, Vec<_>) = entries.partition(Result::is_ok);
            let is_file = |entry: &io::Result<fs::DirEntry>| {
                entry
                    .as_ref()
                    .is_ok_and(|entry| entry.file_type().is_file())
            };
            (
                found.iter().filter(|entry| is_file(entry)).count(),
                failed.len(),
            )
        };
        assert_eq!(files(true), (900, 0));
        fs::symlink("..", dir.join("0/loop")).unwrap();
        assert_eq!(files(false), (900, 0));
        assert_eq!(files(true), (900, 1), "the loop is told");
    });
}

/// Two tests that fill the pool would each wait for the threads that the other holds.
static FILLS_THE_POOL: std::sync::Mutex<()> = std::sync::Mutex::new(());

/// Keeps all threads of the pool busy until it is dropped. One at a time.
struct FullPool {
    _open: mpsc::Sender<()>,
}

impl FullPool {
    fn new() -> FullPool {
        let (open, opened) = mpsc::channel::<()>();
        let opened = std::sync::Arc::new(std::sync::Mutex::new(opened));
        for _ in 0..actor_core::DEFAULT_POOL_THREADS {
            let opened = opened.clone();
            let told = actor_core::channel::Channel::new();
            let tell = told.clone();
            Tasklet::builder()
                .daemon(true)
                .spawn(move || {
                    block_on_thread(move || {
                        let _ = tell.send(());
                        // All wait for the one that waits for the gate.
                        let _ = opened.lock().unwrap().recv_timeout(PATIENCE);
                    });
                })
                .unwrap();
            told.receive().unwrap();
        }
        FullPool { _open: open }
    }
}

#[test]
fn a_full_pool_is_a_timeout_and_nothing_worse() {
    let _alone = FILLS_THE_POOL
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    in_tasklet(|| {
        let dir = Scratch::new();
        let path = dir.join("file");
        std_fs::write(&path, "content").unwrap();
        let mut file = File::open(&path).unwrap();
        let full = FullPool::new();
        let short = Duration::from_millis(10);
        let kind = |result: io::Result<()>| result.unwrap_err().kind();
        assert_eq!(
            kind(timeout(short, || fs::read(&path).map(drop))),
            ErrorKind::TimedOut
        );
        assert_eq!(
            kind(timeout(short, || fs::read_dir(&dir.0).map(drop))),
            ErrorKind::TimedOut
        );
        assert_eq!(
            kind(timeout(short, || file.write(b"x").map(drop))),
            ErrorKind::TimedOut
        );
        assert_eq!(
            kind(timeout(short, || File::open(&path).map(drop))),
            ErrorKind::TimedOut
        );
        let spawn = || actor_io::process::Command::new("true").status().map(drop);
        assert_eq!(kind(timeout(short, spawn)), ErrorKind::TimedOut);
        // What is in the cache needs no thread.
        let mut text = String::new();
        assert_eq!(timeout(PATIENCE, || file.read(&mut [0; 3])).unwrap(), 3);
        drop(full);
        file.read_to_string(&mut text).unwrap();
        assert_eq!(text, "tent");
        assert_eq!(fs::read(&path).unwrap(), b"content");
    });
}

/// Takes a file out of the system's cache; whether that has succeeded, as it does not for one that lives there.
fn evict(file: &std_fs::File) -> bool {
    file.sync_all().unwrap();
    rustix::fs::fadvise(file, 0, None, rustix::fs::Advice::DontNeed).unwrap();
    let mut byte = [0; 1];
    let bufs = &mut [io::IoSliceMut::new(&mut byte)];
    let read = rustix::io::preadv2(file, bufs, 0, rustix::io::ReadWriteFlags::NOWAIT);
    read == Err(rustix::io::Errno::AGAIN)
}

#[test]
fn a_file_is_sent_without_keeping_the_worker_waiting_for_the_disk() {
    let _alone = FILLS_THE_POOL
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    in_tasklet(|| {
        let dir = Scratch::new();
        let path = dir.join("file");
        let content = vec![7; 64 * 1024];
        std_fs::write(&path, &content).unwrap();
        let file = std_fs::File::open(&path).unwrap();
        let (mut near, mut far) = UnixStream::pair().unwrap();
        if !evict(&file) {
            // Then there is no disk to be waited for.
            return;
        }
        let full = FullPool::new();
        let short = Duration::from_millis(10);
        let error = timeout(short, || send_file(&file, &mut near, 0, None)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut, "it takes a thread");
        drop(full);
        let sent = send_file(&file, &mut near, 0, None).unwrap();
        assert_eq!(sent, content.len() as u64);
        // Now it is in the cache, and takes none.
        let _full = FullPool::new();
        let again = timeout(PATIENCE, || send_file(&file, &mut near, 0, Some(1000)));
        assert_eq!(again.unwrap(), 1000);
        drop(near);
        let mut all = Vec::new();
        far.read_to_end(&mut all).unwrap();
        assert!(all == vec![7; content.len() + 1000]);
    });
}

#[test]
fn a_device_that_is_full_is_an_error() {
    everywhere(|| {
        let mut full = File::options().write(true).open("/dev/full").unwrap();
        assert_eq!(
            full.write_all(b"x").unwrap_err().kind(),
            ErrorKind::StorageFull
        );
        assert_eq!(
            fs::write("/dev/full", "x").unwrap_err().kind(),
            ErrorKind::StorageFull
        );
    });
}

/// A file system of this size, unmounted when dropped; `None` if this process may not mount.
struct Small(Scratch);

impl Small {
    fn mount(options: &str) -> Option<Small> {
        let dir = Scratch::new();
        let mount = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", options, "none"])
            .arg(&dir.0)
            .output();
        mount
            .is_ok_and(|mount| mount.status.success())
            .then_some(Small(dir))
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg(&self.0.0).status();
    }
}

#[test]
fn a_disk_that_is_full_is_an_error_and_what_was_written_is_there() {
    in_tasklet(|| {
        let Some(disk) = Small::mount("size=64k") else {
            println!("skipped: this process may not mount a file system");
            return;
        };
        let path = disk.0.join("file");
        let mut file = File::create(&path).unwrap();
        let mut written = 0;
        let error = loop {
            match file.write(&[1; 5_000]) {
                Ok(count) => written += count,
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), ErrorKind::StorageFull);
        assert_eq!(written, 64 * 1024);
        drop(file);
        assert_eq!(fs::read(&path).unwrap(), vec![1; 64 * 1024]);
        fs::remove_file(&path).unwrap();
        fs::write(&path, "there is room again").unwrap();
    });
}

#[test]
fn modes_and_flags_reach_the_system() {
    use std::os::unix::fs::PermissionsExt;
    everywhere(|| {
        let dir = Scratch::new();
        let path = dir.join("file");
        let mut options =
            OpenOptions::from(std_fs::OpenOptions::new().write(true).mode(0o600).clone());
        options.create(true).open(&path).unwrap();
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        fs::symlink("file", dir.join("link")).unwrap();
        options.custom_flags(libc::O_NOFOLLOW);
        let refused = options.open(dir.join("link")).unwrap_err();
        assert_eq!(refused.raw_os_error(), Some(libc::ELOOP));
    });
}
