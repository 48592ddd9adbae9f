//! A deadline for a single operation, whatever it is, and what else only our sockets have.

mod common;

use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::OwnedFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::SocketAddr;
use std::time::{Duration, Instant};

use actor_core::{Tasklet, time, timeout};
use actor_io::{
    Descriptor, TcpListener, TcpStream, UdpSocket, UnixDatagram, UnixListener, UnixStream,
};
use common::{PATIENCE, everywhere, in_tasklet, narrow_pair, pair};

const MOMENT: Duration = Duration::from_millis(5);

fn abstract_addr(name: &str) -> SocketAddr {
    SocketAddr::from_abstract_name(format!("{name}-{}", std::process::id())).unwrap()
}

#[track_caller]
fn times_out<T: std::fmt::Debug>(operation: impl FnOnce() -> io::Result<T>) {
    let begun = Instant::now();
    let error = operation().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    assert!(
        error
            .get_ref()
            .is_some_and(|inner| inner.is::<actor_core::TimedOut>())
    );
    assert!(begun.elapsed() < PATIENCE);
}

#[test]
fn every_operation_takes_a_deadline() {
    everywhere(|| {
        let (near, _far) = narrow_pair();
        times_out(|| near.with_timeout(MOMENT).read(&mut [0; 4]));
        times_out(|| near.with_timeout(MOMENT).peek(&mut [0; 4]));
        times_out(|| {
            let mut two = ([0; 2], [0; 2]);
            let mut bufs = [
                io::IoSliceMut::new(&mut two.0),
                io::IoSliceMut::new(&mut two.1),
            ];
            near.with_timeout(MOMENT).read_vectored(&mut bufs)
        });
        times_out(|| near.with_timeout(MOMENT).read_or_stop(&mut [0; 4]));
        times_out(|| near.with_timeout(MOMENT).write_all(&[0; 4_000_000]));
        let slices = [io::IoSlice::new(b"x"); 2];
        times_out(|| near.with_timeout(MOMENT).write_vectored(&slices));

        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        times_out(|| listener.with_timeout(MOMENT).accept());
        times_out(|| listener.with_timeout(MOMENT).accept_or_stop());
        times_out(|| listener.with_timeout(MOMENT).incoming().next().unwrap());

        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        times_out(|| udp.with_timeout(MOMENT).recv(&mut [0; 4]));
        times_out(|| udp.with_timeout(MOMENT).recv_from(&mut [0; 4]));
        times_out(|| udp.with_timeout(MOMENT).receive(&mut [0; 4]));
        times_out(|| udp.with_timeout(MOMENT).peek(&mut [0; 4]));
        times_out(|| udp.with_timeout(MOMENT).peek_from(&mut [0; 4]));

        let (near, far) = UnixDatagram::pair().unwrap();
        times_out(|| near.with_timeout(MOMENT).recv(&mut [0; 4]));
        times_out(|| {
            loop {
                near.with_timeout(MOMENT).send(b"x")?;
            }
            #[allow(unreachable_code)]
            Ok(())
        });
        drop(far);

        let descriptor = Descriptor::new(io::pipe().unwrap().0).unwrap();
        assert_eq!(
            descriptor.with_timeout(MOMENT).read(&mut [0; 4]).unwrap(),
            0,
            "the writer has gone"
        );
        let (reader, _writer) = io::pipe().unwrap();
        let reader = Descriptor::new(reader).unwrap();
        times_out(|| reader.with_timeout(MOMENT).read(&mut [0; 4]));
        times_out(|| reader.with_timeout(MOMENT).wait_readable());
    });
}

#[test]
fn waiting_for_room_at_a_unix_socket_takes_a_deadline() {
    everywhere(|| {
        let on_thread = Tasklet::try_current().is_none();
        let addr = abstract_addr(&format!("full-{on_thread}"));
        let listener = UnixListener::bind_addr(&addr).unwrap();
        listener.socket_ref().listen(0).unwrap();
        let _queued = UnixStream::connect_addr(&addr).unwrap();
        times_out(|| UnixStream::connect_timeout(&addr, MOMENT));
        let told = timeout(PATIENCE, || {
            timeout(MOMENT, || -> Result<_, io::Error> {
                let error = UnixStream::connect_addr(&addr).unwrap_err();
                Ok(error.kind())
            })
        });
        assert_eq!(
            told.unwrap(),
            ErrorKind::TimedOut,
            "by an error, in the block"
        );

        let addr = abstract_addr(&format!("full-datagrams-{on_thread}"));
        let _receiver = UnixDatagram::bind_addr(&addr).unwrap();
        let sender = UnixDatagram::unbound().unwrap();
        times_out(|| {
            loop {
                sender.with_timeout(MOMENT).send_to_addr(b"x", &addr)?;
            }
            #[allow(unreachable_code)]
            Ok(())
        });
    });
}

#[test]
fn a_deadline_holds_for_one_handle_and_covers_several_operations() {
    everywhere(|| {
        let (mut near, mut far) = pair();
        let mut limited = near.with_deadline(time::now() + MOMENT);
        far.write_all(b"abc").unwrap();
        let mut buf = [0; 3];
        limited.read_exact(&mut buf).unwrap();
        times_out(|| limited.read(&mut buf));
        // It is over, but what need not wait is done all the same.
        far.write_all(b"def").unwrap();
        near.peek(&mut buf).unwrap();
        limited.read_exact(&mut buf).unwrap();
        assert_eq!(&buf, b"def");
        times_out(|| limited.read(&mut buf));
        drop(limited);
        // The other handle knows of nothing.
        assert!(!near.is_shared());
        far.write_all(b"ghi").unwrap();
        near.read_exact(&mut buf).unwrap();
        assert_eq!(&buf, b"ghi");
    });
}

#[test]
fn of_timeout_and_deadline_the_first_counts() {
    everywhere(|| {
        let (near, _far) = pair();
        near.set_read_timeout(Some(MOMENT)).unwrap();
        times_out(|| near.with_timeout(PATIENCE).read(&mut [0; 4]));
        near.set_read_timeout(Some(PATIENCE)).unwrap();
        times_out(|| near.with_timeout(MOMENT).read(&mut [0; 4]));
        times_out(|| timeout(MOMENT, || near.with_timeout(PATIENCE).read(&mut [0; 4])));
        // Forever is no deadline at all.
        near.set_read_timeout(Some(MOMENT)).unwrap();
        times_out(|| near.with_timeout(Duration::MAX).read(&mut [0; 4]));
    });
}

#[test]
fn a_kill_ends_the_wait_for_room() {
    in_tasklet(|| {
        let addr = abstract_addr("killed");
        let listener = UnixListener::bind_addr(&addr).unwrap();
        listener.socket_ref().listen(0).unwrap();
        let _queued = UnixStream::connect_addr(&addr).unwrap();
        let waiting = Tasklet::spawn(move || UnixStream::connect_addr(&addr).map(drop));
        while !waiting.is_blocked() {
            Tasklet::yield_now();
        }
        waiting.kill();
        assert!(waiting.join().is_err());
    });
}

#[test]
fn a_truncated_datagram_is_told() {
    everywhere(|| {
        let near = UdpSocket::bind("127.0.0.1:0").unwrap();
        let far = UdpSocket::bind("127.0.0.1:0").unwrap();
        near.send_to(b"0123456789", far.local_addr().unwrap())
            .unwrap();
        near.send_to(b"0123", far.local_addr().unwrap()).unwrap();
        near.send_to(b"", far.local_addr().unwrap()).unwrap();
        let mut buf = [0; 4];
        let received = far.receive(&mut buf).unwrap();
        assert!(received.is_truncated());
        assert_eq!((received.len, received.sent), (4, 10));
        assert_eq!(received.from, near.local_addr().unwrap());
        for len in [4, 0] {
            let received = far.receive(&mut buf).unwrap();
            assert!(!received.is_truncated());
            assert_eq!((received.len, received.sent), (len, len));
        }
    });
}

#[test]
fn shared_sockets_stay_and_those_of_another_kind_are_refused() {
    let (near, far) = UnixStream::pair().unwrap();
    let clone = near.try_clone().unwrap();
    let error = std::os::unix::net::UnixStream::try_from(near).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ResourceBusy);
    far.set_read_timeout(Some(MOMENT)).unwrap();
    let far = std::os::unix::net::UnixStream::try_from(far).unwrap();
    assert!(far.read_timeout().unwrap().is_some());
    assert_eq!(
        (&far).read(&mut [0; 4]).unwrap_err().kind(),
        ErrorKind::WouldBlock
    );
    drop(clone);

    let refused = |error: io::Error| assert_eq!(error.kind(), ErrorKind::InvalidInput);
    refused(TcpStream::try_from(OwnedFd::from(far)).unwrap_err());
    let udp = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    refused(TcpStream::try_from(OwnedFd::from(udp)).unwrap_err());
    let (datagrams, _) = std::os::unix::net::UnixDatagram::pair().unwrap();
    refused(UdpSocket::try_from(OwnedFd::from(datagrams)).unwrap_err());
    let (datagrams, _) = std::os::unix::net::UnixDatagram::pair().unwrap();
    refused(UnixStream::try_from(OwnedFd::from(datagrams)).unwrap_err());
}

#[test]
fn senders_that_never_wait_give_way() {
    // On one worker: another tasklet must have its turn while one sends for as long as it is let.
    in_tasklet(|| {
        let addr = abstract_addr("turns");
        let receiver = UnixDatagram::bind_addr(&addr).unwrap();
        let sender = UnixDatagram::unbound().unwrap();
        let done = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        let other = Tasklet::spawn({
            let done = std::sync::Arc::clone(&done);
            move || done.store(true, std::sync::atomic::Ordering::Relaxed)
        });
        let begun = Instant::now();
        while !done.load(std::sync::atomic::Ordering::Relaxed) {
            assert!(begun.elapsed() < PATIENCE, "the other never had its turn");
            sender.send_to_addr(b"x", &addr).unwrap();
            // Straight from the socket, which is no operation of ours.
            let mut buf = [std::mem::MaybeUninit::uninit(); 4];
            receiver.socket_ref().recv(&mut buf).unwrap();
        }
        other.join().unwrap();
    });
}
