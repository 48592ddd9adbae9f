//! Descriptors that others have made: pipes, timers, counters, queues of events, sockets of libraries.

mod common;

use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::{Duration, Instant};

use actor_core::Tasklet;
use actor_io::{Descriptor, wait_readable, wait_writable};
use common::{everywhere, in_tasklet, pattern};

const MOMENT: Duration = Duration::from_millis(5);

/// The descriptor that a system call has returned.
fn made(fd: libc::c_int) -> OwnedFd {
    assert!(fd >= 0, "{}", io::Error::last_os_error());
    // SAFETY: fresh from the system; nobody else has it.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

#[test]
fn pipes_carry_more_than_they_hold() {
    in_tasklet(|| {
        let (reader, writer) = io::pipe().unwrap();
        let (mut reader, mut writer) = (
            Descriptor::new(reader).unwrap(),
            Descriptor::new(writer).unwrap(),
        );
        let bytes = pattern(500_000);
        let sent = bytes.clone();
        let writer = Tasklet::spawn(move || writer.write_all(&sent).unwrap());
        let mut all = Vec::new();
        // Ends when the writer has ended and dropped its end.
        reader.read_to_end(&mut all).unwrap();
        writer.join().unwrap();
        assert!(all == bytes);
    });
}

#[test]
fn a_pipe_that_nobody_reads_is_an_error() {
    everywhere(|| {
        let (reader, writer) = io::pipe().unwrap();
        let mut writer = Descriptor::new(writer).unwrap();
        drop(reader);
        assert_eq!(
            writer.write(b"x").unwrap_err().kind(),
            ErrorKind::BrokenPipe
        );
        writer.wait_writable().unwrap();
    });
}

#[test]
fn a_timer_blocks_the_tasklet() {
    everywhere(|| {
        // SAFETY: plain system call.
        let timer = made(unsafe { libc::timerfd_create(libc::CLOCK_MONOTONIC, libc::TFD_CLOEXEC) });
        let spec = libc::itimerspec {
            it_interval: libc::timespec {
                tv_sec: 0,
                tv_nsec: 0,
            },
            it_value: libc::timespec {
                tv_sec: 0,
                tv_nsec: 5_000_000,
            },
        };
        let begun = Instant::now();
        // SAFETY: an open timer, and a setting that outlives the call.
        let set =
            unsafe { libc::timerfd_settime(timer.as_raw_fd(), 0, &spec, std::ptr::null_mut()) };
        assert_eq!(set, 0);
        let mut timer = Descriptor::new(timer).unwrap();
        let mut expirations = [0; 8];
        timer.read_exact(&mut expirations).unwrap();
        assert_eq!(u64::from_ne_bytes(expirations), 1);
        assert!(begun.elapsed() >= MOMENT);
        let error = timer.with_timeout(MOMENT).read(&mut [0; 8]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
    });
}

#[test]
fn a_counter_wakes_those_who_wait() {
    in_tasklet(|| {
        // SAFETY: plain system call.
        let counter = made(unsafe { libc::eventfd(0, libc::EFD_CLOEXEC) });
        let reader = Descriptor::new(counter).unwrap();
        let mut writer = reader.try_clone().unwrap();
        let waiting = Tasklet::spawn(move || {
            let mut count = [0; 8];
            (&reader).read_exact(&mut count).unwrap();
            u64::from_ne_bytes(count)
        });
        while !waiting.is_blocked() {
            Tasklet::yield_now();
        }
        writer.write_all(&3u64.to_ne_bytes()).unwrap();
        assert_eq!(waiting.join().unwrap(), 3);
    });
}

#[test]
fn changes_of_a_directory_are_waited_for() {
    in_tasklet(|| {
        let dir = std::env::temp_dir().join(format!("watched-{}", std::process::id()));
        std::fs::create_dir(&dir).unwrap();
        // SAFETY: plain system call.
        let queue = made(unsafe { libc::inotify_init1(libc::IN_CLOEXEC) });
        let path = std::ffi::CString::new(dir.to_str().unwrap()).unwrap();
        // SAFETY: an open queue, and a path that ends with a zero byte.
        let watch =
            unsafe { libc::inotify_add_watch(queue.as_raw_fd(), path.as_ptr(), libc::IN_CREATE) };
        assert!(watch >= 0);
        let mut queue = Descriptor::new(queue).unwrap();
        let watcher = Tasklet::spawn(move || {
            let mut event = [0; 256];
            let len = queue.read(&mut event).unwrap();
            String::from_utf8_lossy(&event[16..len])
                .trim_end_matches('\0')
                .to_owned()
        });
        while !watcher.is_blocked() {
            Tasklet::yield_now();
        }
        File::create(dir.join("new")).unwrap();
        assert_eq!(watcher.join().unwrap(), "new");
        std::fs::remove_dir_all(dir).unwrap();
    });
}

#[test]
fn a_descriptor_that_belongs_to_others_stays_as_it_is() {
    everywhere(|| {
        let (mut reader, mut writer) = io::pipe().unwrap();
        let error = wait_readable(&reader, Some(MOMENT)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        wait_writable(&writer, None).unwrap();
        writer.write_all(b"x").unwrap();
        wait_readable(&reader, None).unwrap();
        // SAFETY: plain system call on an open descriptor.
        let flags = unsafe { libc::fcntl(reader.as_raw_fd(), libc::F_GETFL) };
        assert_eq!(flags & libc::O_NONBLOCK, 0, "it is as blocking as before");
        assert_eq!(reader.read(&mut [0; 4]).unwrap(), 1);
        drop(writer);
        wait_readable(&reader, None).unwrap();
    });
}

#[test]
fn a_library_socket_is_waited_on_while_others_run() {
    in_tasklet(|| {
        let library = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let addr = library.local_addr().unwrap();
        let waiting = Tasklet::spawn(move || {
            wait_readable(&library, None).unwrap();
            library.recv(&mut [0; 4]).unwrap()
        });
        while !waiting.is_blocked() {
            Tasklet::yield_now();
        }
        let sender = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        sender.send_to(b"abc", addr).unwrap();
        assert_eq!(waiting.join().unwrap(), 3);
    });
}

#[test]
fn plain_files_are_always_ready() {
    everywhere(|| {
        let file = File::open("/proc/self/exe").unwrap();
        wait_readable(&file, None).unwrap();
        let mut descriptor = Descriptor::new(file).unwrap();
        let mut magic = [0; 4];
        descriptor.read_exact(&mut magic).unwrap();
        assert_eq!(&magic, b"\x7fELF");
    });
}

#[test]
fn a_descriptor_is_given_back() {
    let (reader, _writer) = io::pipe().unwrap();
    let raw = reader.as_raw_fd();
    let descriptor = Descriptor::new(reader).unwrap();
    let clone = descriptor.try_clone().unwrap();
    let error = descriptor.into_fd().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ResourceBusy);
    assert_eq!(clone.into_fd().unwrap().as_raw_fd(), raw);
}
