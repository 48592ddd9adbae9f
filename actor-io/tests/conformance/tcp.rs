//! TCP streams and listeners.

use std::io::{ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::time::{Duration, Instant};

use socket2::SockRef;

use super::kit::{TIMED_OUT, TcpListener, TcpStream, let_wait, run, spawn};
use crate::common::{PATIENCE, pattern};

const MOMENT: Duration = Duration::from_millis(20);

fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (far, _peer) = listener.accept().unwrap();
    (near, far)
}

/// Two connected streams of which neither takes more than a few kilobytes ahead.
fn narrow_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    SockRef::from(&listener).set_recv_buffer_size(4096).unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    SockRef::from(&near).set_send_buffer_size(4096).unwrap();
    let (far, _peer) = listener.accept().unwrap();
    (near, far)
}

/// Ends a connection so that the other end sees a reset.
fn reset(stream: TcpStream) {
    SockRef::from(&stream)
        .set_linger(Some(Duration::ZERO))
        .unwrap();
    drop(stream);
}

#[test]
fn an_echo_server_serves_many() {
    run(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let server = spawn(move || {
            let handlers: Vec<_> = (0..8)
                .map(|_| {
                    let (mut stream, _) = listener.accept().unwrap();
                    spawn(move || {
                        let mut buf = [0; 1000];
                        loop {
                            match stream.read(&mut buf).unwrap() {
                                0 => break,
                                len => stream.write_all(&buf[..len]).unwrap(),
                            }
                        }
                    })
                })
                .collect();
            handlers.into_iter().for_each(|h| h.join().unwrap());
        });
        let clients: Vec<_> = (0..8)
            .map(|n| {
                spawn(move || {
                    let mut stream = TcpStream::connect(addr).unwrap();
                    let sent = pattern(100_000 + n);
                    let mut writer = stream.try_clone().unwrap();
                    let to_send = sent.clone();
                    let writer = spawn(move || {
                        writer.write_all(&to_send).unwrap();
                        writer.shutdown(Shutdown::Write).unwrap();
                    });
                    let mut back = Vec::new();
                    stream.read_to_end(&mut back).unwrap();
                    writer.join().unwrap();
                    assert!(back == sent);
                })
            })
            .collect();
        clients.into_iter().for_each(|c| c.join().unwrap());
        server.join().unwrap();
    });
}

#[test]
fn the_listener_hands_out_connections_in_order() {
    run(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let clients: Vec<_> = (0..3).map(|_| TcpStream::connect(addr).unwrap()).collect();
        for (client, accepted) in clients.iter().zip(listener.incoming()) {
            let accepted = accepted.unwrap();
            assert_eq!(accepted.peer_addr().unwrap(), client.local_addr().unwrap());
            assert_eq!(accepted.local_addr().unwrap(), addr);
        }
        let late = spawn(move || TcpStream::connect(addr).unwrap());
        let other = listener.try_clone().unwrap();
        let (_stream, peer) = other.accept().unwrap();
        assert_eq!(late.join().unwrap().local_addr().unwrap(), peer);
    });
}

#[test]
fn half_closed_is_half_open() {
    run(|| {
        let (mut near, mut far) = pair();
        near.write_all(b"question").unwrap();
        near.shutdown(Shutdown::Write).unwrap();
        let mut question = String::new();
        far.read_to_string(&mut question).unwrap();
        assert_eq!(question, "question");
        assert_eq!(far.read(&mut [0; 4]).unwrap(), 0, "the end stays the end");
        assert_eq!(near.write(b"x").unwrap_err().kind(), ErrorKind::BrokenPipe);
        far.write_all(b"answer").unwrap();
        drop(far);
        let mut answer = String::new();
        near.read_to_string(&mut answer).unwrap();
        assert_eq!(answer, "answer");
    });
}

#[test]
fn a_shutdown_wakes_a_reader() {
    run(|| {
        let (near, _far) = pair();
        let mut reader = near.try_clone().unwrap();
        let reader = spawn(move || reader.read(&mut [0; 4]).unwrap());
        let_wait(&reader);
        near.shutdown(Shutdown::Read).unwrap();
        assert_eq!(reader.join().unwrap(), 0);
    });
}

#[test]
fn a_reset_is_told_once_and_then_is_the_end() {
    run(|| {
        let (mut near, far) = pair();
        reset(far);
        let error = near.read(&mut [0; 4]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        assert_eq!(near.read(&mut [0; 4]).unwrap(), 0);
        assert_eq!(near.write(b"x").unwrap_err().kind(), ErrorKind::BrokenPipe);
        assert!(near.take_error().unwrap().is_none());
    });
}

#[test]
fn a_reset_wakes_a_reader_and_a_writer() {
    run(|| {
        let (mut near, far) = narrow_pair();
        let mut writer = near.try_clone().unwrap();
        let reader = spawn(move || near.read(&mut [0; 4]).map_err(|error| error.kind()));
        let writer = spawn(move || writer.write_all(&[0; 4_000_000]).unwrap_err().kind());
        let_wait(&reader);
        let_wait(&writer);
        reset(far);
        // The error is the socket's, and whoever comes first takes it along.
        let (read, written) = (reader.join().unwrap(), writer.join().unwrap());
        assert!(
            matches!(read, Err(ErrorKind::ConnectionReset) | Ok(0)),
            "{read:?}"
        );
        assert!(
            matches!(written, ErrorKind::ConnectionReset | ErrorKind::BrokenPipe),
            "{written:?}"
        );
    });
}

#[test]
fn what_came_before_a_reset_can_be_read() {
    run(|| {
        let (mut near, mut far) = pair();
        far.write_all(b"last words").unwrap();
        reset(far);
        let mut buf = [0; 10];
        match near.read_exact(&mut buf) {
            Ok(()) => assert_eq!(&buf, b"last words"),
            Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
        }
    });
}

#[test]
fn urgent_data_is_no_part_of_the_stream() {
    run(|| {
        let (mut near, mut far) = pair();
        near.write_all(b"before").unwrap();
        assert_eq!(SockRef::from(&near).send_out_of_band(b"!").unwrap(), 1);
        near.write_all(b"after").unwrap();
        near.shutdown(Shutdown::Write).unwrap();
        let mut all = String::new();
        far.read_to_string(&mut all).unwrap();
        assert_eq!(all, "beforeafter");
    });
}

#[test]
fn urgent_data_while_one_waits_loses_nothing() {
    run(|| {
        let (mut near, mut far) = pair();
        let reader = spawn(move || {
            let mut buf = [0; 7];
            for n in 0..50 {
                far.read_exact(&mut buf).unwrap();
                assert_eq!(buf, [n; 7]);
                far.write_all(&[n]).unwrap();
            }
        });
        for n in 0..50 {
            near.write_all(&[n; 3]).unwrap();
            // Once at a time: a second one, while the first was not passed, would make that ordinary.
            SockRef::from(&near).send_out_of_band(b"!").unwrap();
            near.write_all(&[n; 4]).unwrap();
            near.read_exact(&mut [0; 1]).unwrap();
        }
        reader.join().unwrap();
    });
}

#[test]
fn a_read_can_time_out_and_be_repeated() {
    run(|| {
        let (mut near, mut far) = pair();
        near.set_read_timeout(Some(MOMENT)).unwrap();
        let begun = Instant::now();
        assert_eq!(near.read(&mut [0; 4]).unwrap_err().kind(), TIMED_OUT);
        assert_eq!(near.peek(&mut [0; 4]).unwrap_err().kind(), TIMED_OUT);
        assert!(begun.elapsed() >= MOMENT);
        far.write_all(b"late").unwrap();
        near.set_read_timeout(None).unwrap();
        assert_eq!(near.read_timeout().unwrap(), None);
        let mut buf = [0; 4];
        near.read_exact(&mut buf).unwrap();
        assert_eq!(&buf, b"late");
        let error = near.set_read_timeout(Some(Duration::ZERO)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    });
}

#[test]
fn a_write_can_time_out_and_has_sent_what_it_said() {
    run(|| {
        let (mut near, mut far) = narrow_pair();
        near.set_write_timeout(Some(MOMENT)).unwrap();
        assert_eq!(near.write_timeout().unwrap(), Some(MOMENT));
        let bytes = pattern(4_000_000);
        let mut sent = 0;
        let error = loop {
            match near.write(&bytes[sent..]) {
                Ok(len) => sent += len,
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), TIMED_OUT);
        near.shutdown(Shutdown::Write).unwrap();
        let mut received = Vec::new();
        far.read_to_end(&mut received).unwrap();
        assert!(received == bytes[..sent]);
    });
}

#[test]
fn nonblocking_never_waits() {
    run(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let would_block = ErrorKind::WouldBlock;
        assert_eq!(listener.accept().unwrap_err().kind(), would_block);
        let (mut near, mut far) = pair();
        near.set_nonblocking(true).unwrap();
        assert_eq!(near.read(&mut [0; 4]).unwrap_err().kind(), would_block);
        assert_eq!(near.peek(&mut [0; 4]).unwrap_err().kind(), would_block);
        let error = loop {
            if let Err(error) = near.write(&[0; 65536]) {
                break error;
            }
        };
        assert_eq!(error.kind(), would_block);
        far.write_all(b"x").unwrap();
        near.set_nonblocking(false).unwrap();
        assert_eq!(near.read(&mut [0; 4]).unwrap(), 1);
    });
}

#[test]
fn peeking_takes_nothing() {
    run(|| {
        let (near, mut far) = pair();
        far.write_all(b"abc").unwrap();
        let mut seen = [0; 2];
        for _ in 0..2 {
            assert_eq!(near.peek(&mut seen).unwrap(), 2);
            assert_eq!(&seen, b"ab");
        }
        let mut buf = [0; 3];
        (&near).read_exact(&mut buf).unwrap();
        assert_eq!(&buf, b"abc");
        drop(far);
        assert_eq!(near.peek(&mut seen).unwrap(), 0);
    });
}

#[test]
fn many_buffers_and_none() {
    run(|| {
        let (mut near, mut far) = pair();
        let sent =
            near.write_vectored(&[IoSlice::new(b"ab"), IoSlice::new(b""), IoSlice::new(b"cd")]);
        assert_eq!(sent.unwrap(), 4);
        let (mut first, mut second) = ([0; 3], [0; 3]);
        let mut bufs = [IoSliceMut::new(&mut first), IoSliceMut::new(&mut second)];
        assert_eq!(far.read_vectored(&mut bufs).unwrap(), 4);
        assert_eq!((&first, &second[..1]), (b"abc", &b"d"[..]));
        assert_eq!(near.write(&[]).unwrap(), 0);
        far.write_all(b"x").unwrap();
        assert_eq!(near.peek(&mut [0; 4]).unwrap(), 1);
        assert_eq!(near.read(&mut []).unwrap(), 0);
        assert_eq!(near.read(&mut [0; 4]).unwrap(), 1);
    });
}

#[test]
fn large_transfers_arrive_in_both_directions_at_once() {
    run(|| {
        let (near, far) = narrow_pair();
        let (one, other) = (pattern(300_000), pattern(200_001));
        let send = |stream: &TcpStream, bytes: &[u8]| {
            let (mut stream, bytes) = (stream.try_clone().unwrap(), bytes.to_vec());
            spawn(move || {
                stream.write_all(&bytes).unwrap();
                stream.shutdown(Shutdown::Write).unwrap();
            })
        };
        let receive = |mut stream: TcpStream| {
            spawn(move || {
                let mut all = Vec::new();
                stream.read_to_end(&mut all).unwrap();
                all
            })
        };
        let senders = [send(&near, &one), send(&far, &other)];
        let (near, far) = (receive(near), receive(far));
        assert!(near.join().unwrap() == other);
        assert!(far.join().unwrap() == one);
        senders
            .into_iter()
            .for_each(|sender| sender.join().unwrap());
    });
}

/// An address on which nobody listens, at least for now.
fn dead_addr() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

#[test]
fn connecting_reports_what_went_wrong() {
    run(|| {
        let error = TcpStream::connect(dead_addr()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        let error = TcpStream::connect(&[] as &[SocketAddr]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        let error = TcpStream::connect_timeout(&dead_addr(), PATIENCE).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        let error = TcpStream::connect_timeout(&dead_addr(), Duration::ZERO).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    });
}

#[test]
fn connecting_to_who_does_not_answer_times_out() {
    run(|| {
        let listener =
            socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        listener.bind(&any.into()).unwrap();
        listener.listen(0).unwrap();
        let addr = listener.local_addr().unwrap().as_socket().unwrap();
        let _queued = TcpStream::connect(addr).unwrap();
        let error = TcpStream::connect_timeout(&addr, MOMENT).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
    });
}

#[test]
fn one_of_several_addresses_is_enough() {
    run(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let alive = listener.local_addr().unwrap();
        let stream = TcpStream::connect(&[dead_addr(), alive][..]).unwrap();
        assert_eq!(stream.peer_addr().unwrap(), alive);
        let free: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let other = TcpListener::bind(&[alive, free][..]).unwrap();
        assert_ne!(other.local_addr().unwrap(), alive);
        let error = TcpListener::bind(alive).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
    });
}

#[test]
fn options_are_those_of_the_socket() {
    run(|| {
        let (near, _far) = pair();
        near.set_nodelay(true).unwrap();
        assert!(near.nodelay().unwrap());
        near.set_ttl(33).unwrap();
        assert_eq!(near.ttl().unwrap(), 33);
        let clone = near.try_clone().unwrap();
        assert_eq!(clone.ttl().unwrap(), 33);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_ttl(44).unwrap();
        assert_eq!(listener.ttl().unwrap(), 44);
        assert!(listener.take_error().unwrap().is_none());
        let name = format!("{near:?}");
        assert!(name.starts_with("TcpStream"), "{name}");
    });
}
