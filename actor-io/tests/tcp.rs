//! Streams and listeners, between each other and with the standard library's.

mod common;

use std::io::{self, ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::os::fd::{AsRawFd, OwnedFd};
use std::thread;
use std::time::{Duration, Instant};

use actor_io::{TcpListener, TcpStream, ToAddrs};
use common::{PATIENCE, everywhere, in_tasklet, narrow_pair, pair, pattern};

const MOMENT: Duration = Duration::from_millis(20);

#[test]
fn bytes_arrive_through_narrow_buffers() {
    everywhere(|| {
        let (mut near, mut far) = narrow_pair();
        let sent = pattern(300_000);
        let writer = thread::spawn({
            let sent = sent.clone();
            move || near.write_all(&sent).unwrap()
        });
        let mut received = Vec::new();
        far.read_to_end(&mut received).unwrap();
        writer.join().unwrap();
        assert!(received == sent);
    });
}

#[test]
fn std_on_the_other_end_cannot_tell() {
    everywhere(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let client = thread::spawn(move || {
            let mut stream = std::net::TcpStream::connect(addr).unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            stream.write_all(b"ping").unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            answer
        });
        let mut stream = listener.incoming().next().unwrap().unwrap();
        let mut request = [0; 4];
        stream.read_exact(&mut request).unwrap();
        stream.write_all(b"pong").unwrap();
        drop(stream);
        assert_eq!(client.join().unwrap(), "pong");
        assert_eq!(&request, b"ping");
    });
}

#[test]
fn each_direction_ends_by_itself() {
    everywhere(|| {
        let (mut near, mut far) = pair();
        near.write_all(b"question").unwrap();
        near.shutdown(Shutdown::Write).unwrap();
        let mut question = String::new();
        far.read_to_string(&mut question).unwrap();
        assert_eq!(question, "question");
        assert_eq!(far.read(&mut [0; 8]).unwrap(), 0, "the end stays the end");
        far.write_all(b"answer").unwrap();
        drop(far);
        let mut answer = String::new();
        near.read_to_string(&mut answer).unwrap();
        assert_eq!(answer, "answer");
        let error = near.write(b"x").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
    });
}

#[test]
fn a_reset_is_an_error_and_no_signal() {
    everywhere(|| {
        let (mut near, far) = pair();
        far.set_linger(Some(Duration::ZERO)).unwrap();
        drop(far);
        let error = near.read(&mut [0; 8]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        assert_eq!(near.write(b"x").unwrap_err().kind(), ErrorKind::BrokenPipe);
        let error = near.write_vectored(&[IoSlice::new(b"x")]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
    });
}

#[test]
fn a_read_that_timed_out_can_be_repeated() {
    everywhere(|| {
        let (mut near, mut far) = pair();
        near.set_read_timeout(Some(MOMENT)).unwrap();
        assert_eq!(near.read_timeout().unwrap(), Some(MOMENT));
        let begun = Instant::now();
        let error = near.read(&mut [0; 8]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert!(error.get_ref().unwrap().is::<actor_core::TimedOut>());
        assert!(begun.elapsed() >= MOMENT);
        assert_eq!(
            near.peek(&mut [0; 8]).unwrap_err().kind(),
            ErrorKind::TimedOut
        );
        far.write_all(b"late").unwrap();
        near.set_read_timeout(None).unwrap();
        let mut bytes = [0; 4];
        near.read_exact(&mut bytes).unwrap();
        assert_eq!(&bytes, b"late");
    });
}

#[test]
fn a_write_that_timed_out_has_sent_what_it_said() {
    everywhere(|| {
        let (mut near, mut far) = narrow_pair();
        near.set_write_timeout(Some(MOMENT)).unwrap();
        let bytes = pattern(4_000_000);
        let mut sent = 0;
        let error = loop {
            match near.write(&bytes[sent..]) {
                Ok(count) => sent += count,
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        near.shutdown(Shutdown::Write).unwrap();
        let mut received = Vec::new();
        far.read_to_end(&mut received).unwrap();
        assert!(received == bytes[..sent]);
    });
}

#[test]
fn a_timeout_of_zero_is_refused() {
    let (near, _far) = pair();
    let zero = Some(Duration::ZERO);
    for result in [near.set_read_timeout(zero), near.set_write_timeout(zero)] {
        assert_eq!(result.unwrap_err().kind(), ErrorKind::InvalidInput);
    }
    let addr = near.peer_addr().unwrap();
    let error = TcpStream::connect_timeout(&addr, Duration::ZERO).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

/// An address on which nobody listens, at least for now.
fn dead_addr() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

/// A listener whose queue is full, so that it leaves connections unanswered.
fn busy_listener() -> (socket2::Socket, SocketAddr, Vec<std::net::TcpStream>) {
    let listener =
        socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    listener.bind(&any.into()).unwrap();
    listener.listen(0).unwrap();
    let addr = listener.local_addr().unwrap().as_socket().unwrap();
    let queued = vec![std::net::TcpStream::connect(addr).unwrap()];
    (listener, addr, queued)
}

#[test]
fn connect_reports_refusals_and_silence() {
    everywhere(|| {
        let error = TcpStream::connect(dead_addr()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        let (_listener, busy, _queued) = busy_listener();
        let error = TcpStream::connect_timeout(&busy, MOMENT).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        let no_address: &[SocketAddr] = &[];
        let error = TcpStream::connect(no_address).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    });
}

#[test]
fn connect_waits_for_an_answer_that_takes_its_time() {
    everywhere(|| {
        let (listener, busy, queued) = busy_listener();
        let unblock = thread::spawn(move || {
            thread::sleep(MOMENT);
            for _ in 0..=queued.len() {
                listener.accept().unwrap();
            }
        });
        // The system tries again by itself after a second.
        let stream = TcpStream::connect_timeout(&busy, PATIENCE).unwrap();
        assert_eq!(stream.peer_addr().unwrap(), busy);
        unblock.join().unwrap();
    });
}

#[test]
fn connect_tries_every_address() {
    everywhere(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let alive = listener.local_addr().unwrap();
        let stream = TcpStream::connect([dead_addr(), dead_addr(), alive]).unwrap();
        assert_eq!(stream.peer_addr().unwrap(), alive);
        let error = TcpStream::connect(vec![dead_addr(), dead_addr()]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    });
}

#[test]
fn bind_takes_the_first_address_that_can_be_had() {
    let holder = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = holder.local_addr().unwrap();
    let free: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let listener = TcpListener::bind([taken, free]).unwrap();
    assert_ne!(listener.local_addr().unwrap(), taken);
    let error = TcpListener::bind(taken).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AddrInUse);
}

#[test]
fn names_are_resolved_wherever_they_are_used() {
    everywhere(|| {
        let listener = TcpListener::bind("localhost:0".to_string()).unwrap();
        let addr = listener.local_addr().unwrap();
        let host = addr.ip().to_string();
        for result in [
            TcpStream::connect(addr),
            TcpStream::connect(addr.to_string()),
            TcpStream::connect(addr.to_string().as_str()),
            TcpStream::connect(("localhost", addr.port())),
            TcpStream::connect((String::from("localhost"), addr.port())),
            TcpStream::connect((host.as_str(), addr.port())),
            TcpStream::connect((addr.ip(), addr.port())),
        ] {
            assert_eq!(result.unwrap().peer_addr().unwrap(), addr);
        }
        assert_eq!(
            "localhost".to_addrs().unwrap_err().kind(),
            ErrorKind::InvalidInput
        );
    });
}

#[test]
fn clones_share_one_descriptor() {
    let (near, mut far) = pair();
    let other = near.try_clone().unwrap();
    assert_eq!(near.as_raw_fd(), other.as_raw_fd());
    assert!(near.is_shared());
    other.set_read_timeout(Some(MOMENT)).unwrap();
    assert_eq!(near.read_timeout().unwrap(), Some(MOMENT));
    drop(near);
    far.set_read_timeout(Some(MOMENT)).unwrap();
    assert_eq!(
        far.read(&mut [0; 8]).unwrap_err().kind(),
        ErrorKind::TimedOut
    );
    drop(other);
    far.set_read_timeout(Some(PATIENCE)).unwrap();
    assert_eq!(far.read(&mut [0; 8]).unwrap(), 0);
}

#[test]
fn peek_leaves_the_bytes_there() {
    everywhere(|| {
        let (mut near, mut far) = pair();
        far.write_all(b"abc").unwrap();
        let mut seen = [0; 2];
        for _ in 0..3 {
            assert_eq!(near.peek(&mut seen).unwrap(), 2);
            assert_eq!(&seen, b"ab");
        }
        let mut bytes = [0; 3];
        near.read_exact(&mut bytes).unwrap();
        assert_eq!(&bytes, b"abc");
        drop(far);
        assert_eq!(near.peek(&mut seen).unwrap(), 0);
    });
}

#[test]
fn vectored_operations_take_any_number_of_buffers() {
    everywhere(|| {
        let (mut near, mut far) = pair();
        let sent =
            near.write_vectored(&[IoSlice::new(b"ab"), IoSlice::new(b""), IoSlice::new(b"cd")]);
        assert_eq!(sent.unwrap(), 4);
        let (mut first, mut second) = ([0; 3], [0; 3]);
        let mut bufs = [IoSliceMut::new(&mut first), IoSliceMut::new(&mut second)];
        assert_eq!(far.read_vectored(&mut bufs).unwrap(), 4);
        assert_eq!((&first, &second[..1]), (b"abc", &b"d"[..]));
        // More than the system takes at a time.
        let many = vec![IoSlice::new(b"x"); 3000];
        assert!(near.write_vectored(&many).unwrap() > 0);
        assert_eq!(near.write_vectored(&[]).unwrap(), 0);
        assert_eq!(near.write(&[]).unwrap(), 0);
        assert_eq!(near.read(&mut []).unwrap(), 0);
    });
}

#[test]
fn shared_references_read_and_write() {
    everywhere(|| {
        let (near, far) = pair();
        (&near).write_all(b"x").unwrap();
        let mut byte = [0; 1];
        (&far).read_exact(&mut byte).unwrap();
        assert_eq!(&byte, b"x");
    });
}

#[test]
fn options_are_those_of_the_socket() {
    let (near, _far) = pair();
    near.set_nodelay(true).unwrap();
    assert!(near.nodelay().unwrap());
    near.set_ttl(33).unwrap();
    assert_eq!(near.ttl().unwrap(), 33);
    assert_eq!(near.linger().unwrap(), None);
    near.socket_ref().set_keepalive(true).unwrap();
    assert!(near.socket_ref().keepalive().unwrap());
    assert!(near.take_error().unwrap().is_none());
    assert!(format!("{near:?}").contains("peer"));
}

#[test]
fn streams_come_from_std_and_go_there_with_their_timeouts() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let listener = TcpListener::try_from(listener).unwrap();
    let blocking = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    blocking.set_read_timeout(Some(MOMENT)).unwrap();
    let stream = TcpStream::try_from(blocking).unwrap();
    assert_eq!(stream.read_timeout().unwrap(), Some(MOMENT));
    let (mut accepted, _) = listener.accept().unwrap();
    let clone = stream.try_clone().unwrap();
    let error = std::net::TcpStream::try_from(clone).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ResourceBusy);
    let mut blocking = std::net::TcpStream::try_from(stream).unwrap();
    // It blocks again, for as long as it was told to.
    assert_eq!(
        blocking.read(&mut [0; 8]).unwrap_err().kind(),
        ErrorKind::WouldBlock
    );
    assert_eq!(blocking.read_timeout().unwrap().unwrap().as_millis(), 20);
    accepted.write_all(b"x").unwrap();
    assert_eq!(blocking.read(&mut [0; 8]).unwrap(), 1);
    let mut again = TcpStream::try_from(OwnedFd::from(blocking)).unwrap();
    again.write_all(b"y").unwrap();
    assert_eq!(accepted.read(&mut [0; 8]).unwrap(), 1);
}

#[test]
fn descriptors_do_not_leak_into_other_programs() {
    let (near, far) = pair();
    for stream in [&near, &far] {
        // SAFETY: asks for the flags of a descriptor that is open.
        let flags = unsafe { libc::fcntl(stream.as_raw_fd(), libc::F_GETFD) };
        assert_ne!(flags & libc::FD_CLOEXEC, 0);
        assert!(stream.socket_ref().nonblocking().unwrap());
    }
}

/// Operations of a plain thread go on after a signal, with the deadline they began with.
#[test]
fn signals_do_not_interrupt() {
    extern "C" fn ignore(_signal: libc::c_int) {}
    // SAFETY: the action is fully initialised, and its handler does nothing at all.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = ignore as *const () as usize;
        libc::sigaction(libc::SIGUSR2, &action, std::ptr::null_mut());
    }
    let (mut near, mut far) = pair();
    // SAFETY: asks for the calling thread's own id.
    let reader = unsafe { libc::pthread_self() };
    let pest = thread::spawn(move || {
        for _ in 0..50 {
            // SAFETY: the thread waits for this one to end, so it exists.
            unsafe { libc::pthread_kill(reader, libc::SIGUSR2) };
            thread::sleep(Duration::from_millis(1));
        }
        far.write_all(b"x").unwrap();
        far
    });
    assert_eq!(near.read(&mut [0; 8]).unwrap(), 1);
    let _far = pest.join().unwrap();
    near.set_read_timeout(Some(MOMENT)).unwrap();
    assert_eq!(
        near.read(&mut [0; 8]).unwrap_err().kind(),
        ErrorKind::TimedOut
    );
}

#[test]
fn a_shutdown_wakes_those_who_wait() {
    in_tasklet(|| {
        let (near, _far) = pair();
        let mut reader = near.try_clone().unwrap();
        let reading = actor_core::Tasklet::spawn(move || reader.read(&mut [0; 8]));
        actor_core::Tasklet::yield_now();
        near.shutdown(Shutdown::Read).unwrap();
        let read: io::Result<usize> = reading.join_timeout(PATIENCE).unwrap();
        assert_eq!(read.unwrap(), 0);
    });
}

/// Sockets that keep messages apart would break the assumption that a short count means exhausted.
#[test]
fn what_is_no_tcp_socket_is_refused() {
    let (unix, _peer) = std::os::unix::net::UnixStream::pair().unwrap();
    let udp = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let file = std::fs::File::open("/dev/null").unwrap();
    for fd in [OwnedFd::from(unix), udp.into(), file.into()] {
        let copy = fd.try_clone().unwrap();
        TcpStream::try_from(fd).unwrap_err();
        TcpListener::try_from(copy).unwrap_err();
    }
}
