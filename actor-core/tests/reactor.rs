//! Descriptors: any number of waiters, duplicates, moves between workers, and churn.

mod common;

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use actor_core::reactor::{Direction, Source};
use actor_core::{JoinHandle, Tasklet, block_on_thread, time};
use common::*;

fn pair() -> (Source, Source) {
    let (near, far) = UnixStream::pair().unwrap();
    (Source::new(near).unwrap(), Source::new(far).unwrap())
}

fn recv(fd: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<usize> {
    // SAFETY: the descriptor is open, and the buffer is as long as it says.
    let count = unsafe { libc::read(fd.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len()) };
    usize::try_from(count).map_err(|_| io::Error::last_os_error())
}

fn send(fd: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<usize> {
    // SAFETY: the descriptor is open, and the buffer is as long as it says.
    let count = unsafe { libc::write(fd.as_raw_fd(), bytes.as_ptr().cast(), bytes.len()) };
    usize::try_from(count).map_err(|_| io::Error::last_os_error())
}

fn read(source: &Source, buffer: &mut [u8]) -> io::Result<usize> {
    let len = buffer.len();
    source.io_stream(Direction::Read, None, len, |fd| recv(fd, buffer))
}

fn write_all(source: &Source, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let len = bytes.len();
        let count = source.io_stream(Direction::Write, None, len, |fd| send(fd, bytes))?;
        bytes = &bytes[count..];
    }
    Ok(())
}

/// Reads one byte on `worker`, and sees that it stays there.
fn reader(worker: usize, source: &Arc<Source>) -> JoinHandle<u8> {
    let source = source.clone();
    spawn_on(worker, move || {
        let thread = thread::current().id();
        let mut byte = [0];
        assert_eq!(read(&source, &mut byte).unwrap(), 1);
        assert_eq!(thread::current().id(), thread);
        byte[0]
    })
}

#[test]
fn any_number_may_wait_for_the_same_descriptor_each_on_its_worker() {
    run(|| {
        for round in 0..30 {
            let (near, far) = pair();
            let near = Arc::new(near);
            let readers: Vec<_> = (0..6).map(|n| reader(round + n, &near)).collect();
            for reader in &readers {
                wait_until_it_waits(reader, "waits to read");
            }
            for n in 0..6 {
                write_all(&far, &[n]).unwrap();
            }
            let mut bytes: Vec<_> = readers.into_iter().map(join).collect();
            bytes.sort_unstable();
            assert_eq!(bytes, [0, 1, 2, 3, 4, 5]);
        }
    });
}

#[test]
fn a_reader_and_a_writer_do_not_disturb_each_other() {
    run(|| {
        let (near, far) = pair();
        let near = Arc::new(near);
        let reader = reader(1, &near);
        let (filled, writer) = (Gate::new(), near.clone());
        let writer = {
            let filled = filled.clone();
            spawn_on(2, move || {
                // Until it is full, and then some.
                let block = [7; 4096];
                let mut sent = 0;
                let full = |fd: BorrowedFd<'_>| send(fd, &block);
                loop {
                    let now = Some(time::now());
                    match writer.io(Direction::Write, now, full) {
                        Ok(count) => sent += count,
                        Err(error) => {
                            assert_eq!(error.kind(), io::ErrorKind::TimedOut);
                            break;
                        }
                    }
                }
                filled.open();
                write_all(&writer, &block).unwrap();
                // SAFETY: a plain system call on an open descriptor.
                unsafe { libc::shutdown(writer.as_raw_fd(), libc::SHUT_WR) };
                sent + block.len()
            })
        };
        filled.pass();
        wait_until_it_waits(&writer, "waits to write");
        write_all(&far, b"x").unwrap();
        assert_eq!(join(reader), b'x');
        let (mut taken, mut buffer) = (0, vec![0; 64 * 1024]);
        loop {
            match read(&far, &mut buffer).unwrap() {
                0 => break,
                count => taken += count,
            }
        }
        let sent = join(writer);
        assert_eq!(taken, sent);
    });
}

#[test]
fn a_stream_moves_between_workers_and_threads() {
    run(|| {
        let (near, far) = pair();
        let (near, far) = (Arc::new(near), Arc::new(far));
        for round in 0..60_u8 {
            let from = if round % 4 == 3 {
                let near = near.clone();
                let thread = thread::spawn(move || {
                    let mut byte = [0];
                    read(&near, &mut byte).unwrap();
                    byte[0]
                });
                write_all(&far, &[round]).unwrap();
                block_on_thread(|| thread.join().unwrap())
            } else {
                let reader = reader(round.into(), &near);
                if round % 2 == 0 {
                    wait_until_it_waits(&reader, "waits to read");
                }
                write_all(&far, &[round]).unwrap();
                join(reader)
            };
            assert_eq!(from, round);
        }
    });
}

#[test]
fn bulk_data_goes_through_whatever_the_buffers_are() {
    const LEN: usize = 4 << 20;
    run(|| {
        for receiver in 0..WORKERS {
            let (near, far) = pair();
            let sender = spawn_on(0, move || {
                let bytes: Vec<u8> = (0..LEN).map(|n| (n % 251) as u8).collect();
                for chunk in bytes.chunks(10_007) {
                    write_all(&far, chunk).unwrap();
                }
            });
            let received = spawn_on(receiver, move || {
                let (mut at, mut seed, mut buffer) = (0, 1, vec![0; 100_000]);
                loop {
                    let len = 1 + random(&mut seed) as usize % buffer.len();
                    let count = read(&near, &mut buffer[..len]).unwrap();
                    if count == 0 {
                        return at;
                    }
                    for byte in &buffer[..count] {
                        assert_eq!(*byte, (at % 251) as u8);
                        at += 1;
                    }
                }
            });
            join(sender);
            assert_eq!(join(received), LEN);
        }
    });
}

#[test]
fn the_end_of_a_stream_and_a_hang_up_are_heard() {
    run(|| {
        let (near, far) = pair();
        let near = Arc::new(near);
        let reader = {
            let near = near.clone();
            spawn_on(1, move || {
                let mut all = Vec::new();
                let mut buffer = [0; 16];
                loop {
                    match read(&near, &mut buffer).unwrap() {
                        0 => return all,
                        count => all.extend_from_slice(&buffer[..count]),
                    }
                }
            })
        };
        wait_until_it_waits(&reader, "waits to read");
        write_all(&far, b"the last word").unwrap();
        drop(far);
        assert_eq!(join(reader), b"the last word");
        assert_eq!(
            write_all(&near, b"x").unwrap_err().kind(),
            io::ErrorKind::BrokenPipe
        );
        near.wait(Direction::Read, None).unwrap();
    });
}

#[test]
fn a_duplicate_is_a_source_of_its_own() {
    run(|| {
        for round in 0..50 {
            let (near, far) = pair();
            let twin = Source::new(near.as_fd().try_clone_to_owned().unwrap()).unwrap();
            let (near, twin) = (Arc::new(near), Arc::new(twin));
            let doomed = reader(round, &near);
            let waits = reader(round + 1, &twin);
            wait_until_it_waits(&doomed, "waits to read");
            wait_until_it_waits(&waits, "waits to read");
            doomed.kill();
            assert_killed(&doomed);
            drop(near); // closes one number; the socket lives on under the other
            // Whatever takes the number over is not confused with it.
            let (other_near, other_far) = pair();
            let other = reader(round + 2, &Arc::new(other_near));
            write_all(&far, b"t").unwrap();
            assert_eq!(join(waits), b't');
            write_all(&other_far, b"o").unwrap();
            assert_eq!(join(other), b'o');
        }
    });
}

#[test]
fn churn_loses_no_registration() {
    // Descriptors come and go on all workers and threads, and their numbers are used again at once.
    const EACH: usize = 1_500;
    run(|| {
        let churn = |number: usize| {
            move || {
                let mut seed = number as u64;
                for round in 0..EACH {
                    let (near, far) = pair();
                    let near = Arc::new(near);
                    let byte = (round % 256) as u8;
                    if random(&mut seed).is_multiple_of(2) {
                        let reader = reader(random(&mut seed) as usize, &near);
                        if random(&mut seed).is_multiple_of(2) {
                            Tasklet::yield_now();
                        }
                        write_all(&far, &[byte]).unwrap();
                        assert_eq!(join(reader), byte);
                    } else {
                        let late = near.wait(Direction::Read, Some(time::now()));
                        assert_eq!(late.unwrap_err().kind(), io::ErrorKind::TimedOut);
                        write_all(&far, &[byte]).unwrap();
                        let mut buffer = [0; 8];
                        assert_eq!(read(&near, &mut buffer).unwrap(), 1);
                        assert_eq!(buffer[0], byte);
                    }
                }
            }
        };
        let tasklets: Vec<_> = (0..4).map(|n| spawn_on(n, churn(n))).collect();
        let threads: Vec<_> = (4..6)
            .map(|_| {
                thread::spawn(move || {
                    for _ in 0..EACH {
                        let (mut near, mut far) = UnixStream::pair().unwrap();
                        far.write_all(b"x").unwrap();
                        near.read_exact(&mut [0]).unwrap();
                    }
                })
            })
            .collect();
        tasklets.into_iter().for_each(join);
        block_on_thread(|| {
            threads
                .into_iter()
                .for_each(|thread| thread.join().unwrap())
        });
    });
}

#[test]
fn a_read_that_timed_out_has_lost_nothing() {
    run(|| {
        let (near, far) = pair();
        let far = Arc::new(far);
        let sender = {
            let far = far.clone();
            spawn_on(1, move || {
                for n in 0..=255_u8 {
                    write_all(&far, &[n]).unwrap();
                    Tasklet::yield_now();
                }
            })
        };
        let (mut next, mut timeouts) = (0_u16, 0_u64);
        while next <= 255 {
            let deadline = time::now() + Duration::from_nanos(100 * (timeouts % 300));
            let mut byte = [0];
            match near.io(Direction::Read, Some(deadline), |fd| recv(fd, &mut byte)) {
                Ok(count) => {
                    assert_eq!((count, u16::from(byte[0])), (1, next));
                    next += 1;
                }
                Err(error) => {
                    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
                    timeouts += 1;
                }
            }
        }
        join(sender);
    });
}

#[test]
fn an_accept_loop_ends_when_it_is_asked_to_stop() {
    run(|| {
        let (near, far) = pair();
        let bytes = Count::new();
        let count = bytes.clone();
        let waits = spawn_on(1, move || {
            let mut byte = [0];
            while near
                .io_or_stop(Direction::Read, |fd| recv(fd, &mut byte))?
                .is_some()
            {
                count.up();
            }
            Ok::<_, io::Error>(count.get())
        });
        write_all(&far, b"ab").unwrap();
        wait_until(|| bytes.get() == 2);
        wait_until_it_waits(&waits, "waits to read");
        waits.stop();
        assert_eq!(join(waits).unwrap(), 2);
        // One that is asked before it waits does not even try.
        let stopped = spawn(|| {
            Tasklet::current().stop();
            let (near, _far) = pair();
            near.io_or_stop(Direction::Write, |_| -> io::Result<()> { unreachable!() })
        });
        assert!(join(stopped).unwrap().is_none());
    });
}

#[test]
fn a_source_gives_its_descriptor_back() {
    run(|| {
        let (near, far) = pair();
        let late = near.wait(Direction::Read, Some(time::now()));
        assert_eq!(late.unwrap_err().kind(), io::ErrorKind::TimedOut);
        let fd: OwnedFd = near.into_fd();
        write_all(&far, b"x").unwrap();
        let near = Source::new(fd).unwrap();
        let mut byte = [0];
        assert_eq!(read(&near, &mut byte).unwrap(), 1);
        assert_eq!(byte, *b"x");
    });
}

#[test]
fn what_epoll_refuses_is_an_error_and_not_a_hang() {
    run(|| {
        let file = Source::new(OwnedFd::from(File::open("/proc/self/stat").unwrap())).unwrap();
        let blocked = file.io(Direction::Read, None, |_| {
            Err::<(), _>(io::ErrorKind::WouldBlock.into())
        });
        assert_eq!(blocked.unwrap_err().raw_os_error(), Some(libc::EPERM));
    });
}

#[test]
fn an_error_of_the_operation_is_passed_on_and_an_interruption_is_not() {
    run(|| {
        let (near, _far) = pair();
        let mut tries = 0;
        let result = near.io(Direction::Write, None, |_| {
            tries += 1;
            if tries < 3 {
                Err(io::ErrorKind::Interrupted.into())
            } else {
                Ok(tries)
            }
        });
        assert_eq!(result.unwrap(), 3);
        let refused = near.io(Direction::Write, None, |_| {
            Err::<(), _>(io::Error::from_raw_os_error(libc::EIO))
        });
        assert_eq!(refused.unwrap_err().raw_os_error(), Some(libc::EIO));
    });
}

#[test]
fn plain_threads_wait_with_deadlines_too() {
    finish(|| {
        let (near, far) = pair();
        let before = time::now();
        let late = near.wait(Direction::Read, Some(before + SHORT));
        assert_eq!(late.unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert!(time::now() >= before + SHORT);
        write_all(&far, b"x").unwrap();
        let mut byte = [0];
        assert_eq!(read(&near, &mut byte).unwrap(), 1);
    });
}
