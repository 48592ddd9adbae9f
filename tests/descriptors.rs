//! Sockets shared, cloned, moved between workers and dropped while others wait on them.

use std::io::{ErrorKind, Read, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use concurrence::net::{TcpListener, TcpStream};
use concurrence::{JoinError, Placement, Runtime, Tasklet};

fn run(main: impl FnOnce() + Send + 'static) {
    assert_eq!(
        Runtime::builder().workers(2).dispatch(main),
        ExitCode::SUCCESS
    );
}

/// The two ends of a connection.
fn connected() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let client = Tasklet::spawn(move || TcpStream::connect(addr).unwrap());
    let (server, _) = listener.accept().unwrap();
    (client.join().unwrap(), server)
}

#[test]
fn two_readers_of_one_socket_get_a_byte_each() {
    run(|| {
        let (client, mut server) = connected();
        let client = Arc::new(client);
        let readers: Vec<_> = (0..2)
            .map(|worker| {
                let client = client.clone();
                let builder = Tasklet::builder().placement(Placement::Worker(worker));
                let reader = builder.spawn(move || {
                    let home = std::thread::current().id();
                    let mut byte = [0];
                    (&*client).read_exact(&mut byte).unwrap();
                    assert_eq!(std::thread::current().id(), home);
                    byte[0]
                });
                reader.unwrap()
            })
            .collect();
        // Both wait before the first byte comes.
        while !readers.iter().all(|reader| reader.is_blocked()) {
            Tasklet::yield_now();
        }
        server.write_all(&[1]).unwrap();
        server.write_all(&[2]).unwrap();
        let mut bytes: Vec<_> = readers
            .iter()
            .map(|reader| reader.join().unwrap())
            .collect();
        bytes.sort();
        assert_eq!(bytes, [1, 2]);
    });
}

#[test]
fn a_stream_may_be_read_on_one_worker_after_another() {
    run(|| {
        let (mut client, mut server) = connected();
        for n in 0..100u8 {
            let builder = Tasklet::builder().placement(Placement::Worker(usize::from(n) % 2));
            let reader = builder.spawn(move || {
                let mut byte = [0];
                server.read_exact(&mut byte).unwrap();
                (server, byte[0])
            });
            client.write_all(&[n]).unwrap();
            let byte;
            (server, byte) = reader.unwrap().join().unwrap();
            assert_eq!(byte, n);
        }
    });
}

#[test]
fn a_clone_goes_on_when_the_original_has_been_dropped() {
    run(|| {
        for _ in 0..100 {
            let (mut client, server) = connected();
            let mut clone = server.try_clone().unwrap();
            let waits = Tasklet::spawn(move || {
                let mut server = server;
                server.read_exact(&mut [0])
            });
            Tasklet::yield_now();
            waits.kill(); // drops the original, which its worker's epoll knows
            assert!(matches!(waits.join(), Err(JoinError::Killed)));
            client.write_all(b"!").unwrap();
            clone.read_exact(&mut [0]).unwrap();
        }
    });
}

#[test]
fn a_descriptor_number_used_again_wakes_its_new_owner() {
    run(|| {
        let churners: Vec<_> = (0..8)
            .map(|n| {
                let builder = Tasklet::builder().placement(Placement::Worker(n % 2));
                let churner = builder.spawn(|| {
                    for _ in 0..200 {
                        let (mut client, mut server) = connected();
                        let echo = Tasklet::spawn(move || {
                            let mut byte = [0];
                            server.read_exact(&mut byte).unwrap();
                            server.write_all(&byte).unwrap();
                        });
                        Tasklet::yield_now();
                        client.write_all(b"!").unwrap();
                        client.read_exact(&mut [0]).unwrap();
                        echo.join().unwrap();
                    }
                });
                churner.unwrap()
            })
            .collect();
        for churner in churners {
            churner.join().unwrap();
        }
    });
}

#[test]
fn a_read_timeout_of_less_than_a_millisecond_is_one() {
    run(|| {
        let (mut client, _server) = connected();
        for limit in [
            Duration::from_micros(1),
            Duration::from_micros(100),
            Duration::from_millis(3),
        ] {
            client.set_read_timeout(Some(limit)).unwrap();
            let start = Instant::now();
            let error = client.read(&mut [0]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::TimedOut);
            assert!(start.elapsed() >= limit);
        }
    });
}

#[test]
fn a_killed_reader_leaves_the_next_one_nothing_stale() {
    run(|| {
        let (mut client, server) = connected();
        let server = Arc::new(server);
        let shared = server.clone();
        let victim = Tasklet::spawn(move || (&*shared).read(&mut [0]));
        Tasklet::yield_now();
        victim.kill();
        assert!(matches!(victim.join(), Err(JoinError::Killed)));
        let reader = Tasklet::spawn(move || {
            let mut bytes = [0; 5];
            (&*server).read_exact(&mut bytes).map(|()| bytes)
        });
        Tasklet::yield_now();
        client.write_all(b"hello").unwrap();
        assert_eq!(&reader.join().unwrap().unwrap(), b"hello");
    });
}

#[test]
fn plain_threads_use_the_same_sockets() {
    run(|| {
        let (client, server) = connected();
        let thread = std::thread::spawn(move || {
            let mut client = client;
            client.write_all(b"from a thread").unwrap();
            let mut answer = [0; 14];
            client.read_exact(&mut answer).unwrap();
            answer
        });
        let mut server = server;
        let mut text = [0; 13];
        server.read_exact(&mut text).unwrap();
        assert_eq!(&text, b"from a thread");
        server.write_all(b"from a tasklet").unwrap();
        let answer = concurrence::block_on_thread(move || thread.join().unwrap());
        assert_eq!(&answer, b"from a tasklet");
    });
}
