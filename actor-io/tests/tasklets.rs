//! Streams in the hands of tasklets that share them, are killed, or run out of time.

mod common;

use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use actor_core::sync::Mutex;
use actor_core::{JoinError, Tasklet, timeout};
use actor_io::{BufferedReader, BufferedStream, BufferedWriter, TcpListener, TcpStream};
use common::{PATIENCE, eventually, in_tasklet, narrow_pair, pair, pattern};

const MOMENT: Duration = Duration::from_millis(20);

#[test]
fn a_reader_and_a_writer_share_a_stream() {
    in_tasklet(|| {
        let (near, far) = narrow_pair();
        let bytes = pattern(200_000);
        let tasklets: Vec<_> = [near, far]
            .into_iter()
            .map(|stream| {
                let mut writing = stream.try_clone().unwrap();
                let mut reading = stream;
                let bytes = bytes.clone();
                let writer = Tasklet::spawn(move || {
                    writing.write_all(&bytes).unwrap();
                    writing.shutdown(Shutdown::Write).unwrap();
                });
                let reader = Tasklet::spawn(move || {
                    let mut received = Vec::new();
                    reading.read_to_end(&mut received).unwrap();
                    received
                });
                (writer, reader)
            })
            .collect();
        for (writer, reader) in tasklets {
            writer.join_timeout(PATIENCE).unwrap();
            assert!(reader.join_timeout(PATIENCE).unwrap() == bytes);
        }
    });
}

#[test]
fn two_readers_get_each_byte_once() {
    in_tasklet(|| {
        let (mut near, far) = pair();
        let readers: Vec<_> = (0..2)
            .map(|_| {
                let mut far = far.try_clone().unwrap();
                Tasklet::spawn(move || {
                    let mut sum = 0;
                    let mut bytes = [0; 7];
                    loop {
                        match far.read(&mut bytes).unwrap() {
                            0 => return sum,
                            count => {
                                sum += bytes[..count].iter().map(|&b| u64::from(b)).sum::<u64>()
                            }
                        }
                    }
                })
            })
            .collect();
        let bytes = pattern(50_000);
        for chunk in bytes.chunks(11) {
            near.write_all(chunk).unwrap();
            Tasklet::yield_now();
        }
        near.shutdown(Shutdown::Write).unwrap();
        let sums = readers
            .iter()
            .map(|reader| reader.join_timeout(PATIENCE).unwrap());
        let expected = bytes.iter().map(|&b| u64::from(b)).sum::<u64>();
        assert_eq!(sums.sum::<u64>(), expected);
    });
}

#[test]
fn a_kill_ends_any_operation_and_spares_the_stream() {
    in_tasklet(|| {
        let (near, mut far) = narrow_pair();
        let mut stream = near.try_clone().unwrap();
        let reader = Tasklet::spawn(move || {
            let _ = stream.read(&mut [0; 8]);
            unreachable!("killed while it reads");
        });
        let mut stream = near.try_clone().unwrap();
        let writer = Tasklet::spawn(move || {
            loop {
                stream.write_all(&[b'x'; 4096]).unwrap();
            }
        });
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let accepting = listener.try_clone().unwrap();
        let acceptor = Tasklet::spawn(move || {
            let _ = accepting.accept();
            unreachable!("killed while it accepts");
        });
        let all = [reader.tasklet(), writer.tasklet(), acceptor.tasklet()];
        eventually("all wait", || {
            all.iter().all(|tasklet| tasklet.is_blocked())
        });
        all.into_iter().for_each(Tasklet::kill);
        let ends = [
            reader.join_timeout(PATIENCE).map(drop),
            writer.join_timeout(PATIENCE).map(drop),
            acceptor.join_timeout(PATIENCE).map(drop),
        ];
        for end in ends {
            assert!(matches!(end, Err(JoinError::Killed)), "{end:?}");
        }
        // Others go on with both.
        far.write_all(b"y").unwrap();
        assert_eq!((&near).read(&mut [0; 8]).unwrap(), 1);
        let _client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        listener.accept().unwrap();
    });
}

#[test]
fn a_killed_writer_does_not_wait_in_its_destructor() {
    in_tasklet(|| {
        let (near, far) = narrow_pair();
        let writer = Tasklet::spawn(move || {
            let mut writer = BufferedWriter::new(near);
            loop {
                writer.write_line("a peer that does not read").unwrap();
            }
        });
        eventually("it waits for room", || writer.is_blocked());
        writer.kill();
        assert!(matches!(
            writer.join_timeout(PATIENCE),
            Err(JoinError::Killed)
        ));
        drop(far);
    });
}

#[test]
fn a_deadline_around_operations_loses_nothing() {
    in_tasklet(|| {
        let (near, mut far) = pair();
        let (mut reader, _writer) = BufferedStream::new(near).split();
        for piece in ["be", "gin", "ning"] {
            let line = timeout(MOMENT, || reader.read_line());
            assert_eq!(line.unwrap_err().kind(), ErrorKind::TimedOut);
            far.write_all(piece.as_bytes()).unwrap();
        }
        far.write_all(b"\r\n").unwrap();
        assert_eq!(reader.read_line().unwrap().unwrap(), "beginning");

        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let accepted = timeout(MOMENT, || listener.accept());
        assert_eq!(accepted.unwrap_err().kind(), ErrorKind::TimedOut);
        let _client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        timeout(PATIENCE, || listener.accept()).unwrap();
    });
}

#[test]
fn the_nearer_of_two_deadlines_counts() {
    in_tasklet(|| {
        let (mut near, _far) = pair();
        near.set_read_timeout(Some(MOMENT)).unwrap();
        let read = timeout(PATIENCE, || near.read(&mut [0; 8]));
        assert_eq!(read.unwrap_err().kind(), ErrorKind::TimedOut);
        near.set_read_timeout(Some(PATIENCE)).unwrap();
        let read = timeout(MOMENT, || near.read(&mut [0; 8]));
        assert_eq!(read.unwrap_err().kind(), ErrorKind::TimedOut);
    });
}

#[test]
fn accepting_ends_when_the_tasklet_is_asked_to_stop() {
    in_tasklet(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let acceptor = Tasklet::spawn(move || {
            let mut accepted = 0;
            while listener.accept_or_stop().unwrap().is_some() {
                accepted += 1;
            }
            accepted
        });
        for _ in 0..3 {
            let mut stream = TcpStream::connect(addr).unwrap();
            // Closed by the acceptor: it has been counted.
            let _ = stream.read(&mut [0; 8]);
        }
        acceptor.stop();
        assert_eq!(acceptor.join_timeout(PATIENCE).unwrap(), 3);
        assert!(TcpStream::connect(addr).is_err());
    });
}

#[test]
fn a_waiting_tasklet_does_not_hold_up_others() {
    in_tasklet(|| {
        let (mut near, mut far) = pair();
        let read = Arc::new(AtomicBool::new(false));
        let reader = Tasklet::spawn({
            let read = Arc::clone(&read);
            move || {
                near.read_exact(&mut [0; 1]).unwrap();
                read.store(true, SeqCst);
            }
        });
        for _ in 0..1000 {
            Tasklet::yield_now();
        }
        assert!(!read.load(SeqCst));
        far.write_all(b"x").unwrap();
        reader.join_timeout(PATIENCE).unwrap();
    });
}

#[test]
fn halves_belong_to_two_tasklets() {
    in_tasklet(|| {
        let (near, far) = pair();
        let (mut reader, mut writer) = BufferedStream::new(near).split();
        let echo = Tasklet::spawn(move || -> io::Result<()> {
            let (mut reader, mut writer) = BufferedStream::new(far).split();
            while let Some(line) = reader.read_line()? {
                writer.write_line(line)?;
                writer.flush()?;
            }
            Ok(())
        });
        let receiving = Tasklet::spawn(move || {
            let lines: Vec<String> = reader.lines().take(1000).map(Result::unwrap).collect();
            lines
        });
        for number in 0..1000 {
            writer.write_line(number.to_string()).unwrap();
        }
        writer.flush().unwrap();
        let lines = receiving.join_timeout(PATIENCE).unwrap();
        assert!(
            lines
                .iter()
                .enumerate()
                .all(|(number, line)| *line == number.to_string())
        );
        // The reader's half has gone with its tasklet, and this was the other: the stream closes.
        drop(writer);
        echo.join_timeout(PATIENCE).unwrap().unwrap();
    });
}

#[test]
fn a_stalled_peer_costs_a_timeout_and_no_byte() {
    in_tasklet(|| {
        let (near, far) = narrow_pair();
        near.set_write_timeout(Some(MOMENT)).unwrap();
        let mut writer = BufferedWriter::new(near);
        let mut expected = Vec::new();
        let mut failures = 0;
        for number in 0.. {
            let line = format!("line {number} {}", "x".repeat(100));
            expected.push(line.clone());
            if let Err(error) = writer.write_line(line) {
                assert_eq!(error.kind(), ErrorKind::TimedOut);
                failures += 1;
                if failures == 3 {
                    break;
                }
            }
        }
        let reading = Tasklet::spawn(move || {
            let (mut reader, _writer) = BufferedStream::new(far).split();
            reader.lines().collect::<io::Result<Vec<_>>>().unwrap()
        });
        while let Err(error) = writer.flush() {
            assert_eq!(error.kind(), ErrorKind::TimedOut);
        }
        drop(writer);
        assert!(reading.join_timeout(PATIENCE).unwrap() == expected);
    });
}

#[test]
fn a_dropped_writer_sends_what_it_can() {
    in_tasklet(|| {
        let (near, mut far) = pair();
        let mut writer = BufferedWriter::new(near);
        writer.write_line("goodbye").unwrap();
        drop(writer);
        let mut farewell = String::new();
        far.read_to_string(&mut farewell).unwrap();
        assert_eq!(farewell, "goodbye\n");

        let (near, _far) = narrow_pair();
        let mut writer = BufferedWriter::new(near);
        writer.get_mut().set_write_timeout(Some(MOMENT)).unwrap();
        while writer.write_line("a peer that does not read").is_ok() {}
        writer.get_mut().set_write_timeout(None).unwrap();
        timeout(PATIENCE, || -> io::Result<()> {
            drop(writer);
            Ok(())
        })
        .unwrap();
    });
}

/// A tasklet that always finds something to read must not keep its worker to itself.
#[test]
fn a_stream_that_is_never_empty_leaves_others_their_turn() {
    in_tasklet(|| {
        let (mut near, mut far) = pair();
        far.socket_ref().set_recv_buffer_size(1 << 20).unwrap();
        let count = 100_000;
        let filler = vec![b'x'; count];
        near.set_write_timeout(Some(PATIENCE)).unwrap();
        let filling = Tasklet::spawn(move || near.write_all(&filler).map(|()| near));
        let _near = filling.join_timeout(PATIENCE).unwrap().unwrap();
        let done = Arc::new(AtomicBool::new(false));
        let reader = Tasklet::spawn({
            let done = Arc::clone(&done);
            move || {
                for _ in 0..count {
                    far.read_exact(&mut [0; 1]).unwrap();
                }
                done.store(true, SeqCst);
            }
        });
        let mut turns = 0;
        while !done.load(SeqCst) {
            Tasklet::yield_now();
            turns += 1;
        }
        assert!(turns > 10, "{turns} turns while another read {count} times");
        reader.join_timeout(PATIENCE).unwrap();
    });
}

/// One of several who share a writer may be killed in the middle of a line.
#[test]
fn a_kill_does_not_tear_a_line() {
    in_tasklet(|| {
        let (near, far) = narrow_pair();
        let writer = Arc::new(Mutex::new(BufferedWriter::new(near)));
        let killed = Tasklet::spawn({
            let writer = Arc::clone(&writer);
            move || writer.lock().write_line("x".repeat(5_000_000))
        });
        eventually("a full connection", || {
            killed.tree().to_string().contains("waits to write")
        });
        killed.kill();
        let end = killed.join_timeout(PATIENCE);
        assert!(matches!(end, Err(JoinError::Killed)), "{end:?}");
        let writing = Tasklet::spawn(move || {
            let mut writer = writer.lock();
            writer.write_line("next").and_then(|()| writer.flush())
        });
        let mut reader = BufferedReader::new(far).with_max_line(usize::MAX);
        assert_eq!(reader.read_line().unwrap().unwrap().len(), 5_000_000);
        assert_eq!(reader.read_line().unwrap().unwrap(), "next");
        writing.join_timeout(PATIENCE).unwrap().unwrap();
    });
}

/// And one of several who share a reader, who finds what came in before.
#[test]
fn a_kill_loses_nothing_that_was_read() {
    in_tasklet(|| {
        let (near, mut far) = pair();
        let reader = Arc::new(Mutex::new(BufferedReader::new(near)));
        far.write_all(b"begin").unwrap();
        let killed = Tasklet::spawn({
            let reader = Arc::clone(&reader);
            move || reader.lock().read_line()
        });
        eventually("the wait for the rest", || {
            killed.tree().to_string().contains("waits to read")
        });
        killed.kill();
        let end = killed.join_timeout(PATIENCE).map(drop);
        assert!(matches!(end, Err(JoinError::Killed)), "{end:?}");
        far.write_all(b"ning\n").unwrap();
        let line = reader.lock().read_line().unwrap();
        assert_eq!(line.as_deref(), Some("beginning"));
    });
}

#[test]
fn the_halves_close_the_connection_together() {
    in_tasklet(|| {
        let (near, mut far) = pair();
        far.set_read_timeout(Some(MOMENT)).unwrap();
        let (reader, writer) = BufferedStream::new(near).split();
        drop(writer);
        let error = far.read(&mut [0; 1]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        reader.get_ref().shutdown(Shutdown::Write).unwrap();
        far.set_read_timeout(Some(PATIENCE)).unwrap();
        assert_eq!(far.read(&mut [0; 1]).unwrap(), 0);
        far.write_all(b"x").unwrap();
        drop(reader);
        // The unread byte makes it a reset.
        eventually("the end", || far.write_all(b"x").is_err());
    });
}
