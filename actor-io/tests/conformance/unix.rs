//! Unix sockets: streams, datagrams and pairs.

use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::{Duration, Instant};

use socket2::SockRef;

use super::kit::{TIMED_OUT, UnixDatagram, UnixListener, UnixStream, let_wait, run, spawn};
use crate::common::pattern;

const MOMENT: Duration = Duration::from_millis(20);

/// A path at which there is nothing, before or after.
struct Place(PathBuf);

impl Place {
    fn new() -> Place {
        Place(std::env::temp_dir().join(unique()))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

impl AsRef<Path> for Place {
    fn as_ref(&self) -> &Path {
        &self.0
    }
}

fn unique() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Relaxed);
    let side = module_path!().replace("::", "-");
    format!("{side}-{}-{count}", std::process::id())
}

#[test]
fn a_path_is_an_address() {
    run(|| {
        let place = Place::new();
        let listener = UnixListener::bind(&place).unwrap();
        let addr = listener.local_addr().unwrap();
        assert_eq!(addr.as_pathname(), Some(place.as_ref()));
        let mut client = UnixStream::connect(&place).unwrap();
        assert_eq!(
            client.peer_addr().unwrap().as_pathname(),
            Some(place.as_ref())
        );
        let (mut server, peer) = listener.accept().unwrap();
        assert!(peer.is_unnamed());
        assert!(client.local_addr().unwrap().is_unnamed());
        client.write_all(b"ping").unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        let mut all = String::new();
        server.read_to_string(&mut all).unwrap();
        assert_eq!(all, "ping");
        let error = UnixListener::bind(&place).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
        drop(listener);
        let error = UnixStream::connect(&place).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    });
}

#[test]
fn bad_paths_are_told() {
    run(|| {
        let error = UnixStream::connect(Place::new()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        let long = "x".repeat(200);
        assert_eq!(
            UnixStream::connect(&long).unwrap_err().kind(),
            ErrorKind::InvalidInput
        );
        assert_eq!(
            UnixListener::bind(&long).unwrap_err().kind(),
            ErrorKind::InvalidInput
        );
        assert_eq!(
            UnixDatagram::bind("a\0b").unwrap_err().kind(),
            ErrorKind::InvalidInput
        );
    });
}

#[test]
fn abstract_names_need_no_file() {
    run(|| {
        let name = unique();
        let addr = SocketAddr::from_abstract_name(&name).unwrap();
        let listener = UnixListener::bind_addr(&addr).unwrap();
        let local = listener.local_addr().unwrap();
        assert_eq!(local.as_abstract_name(), Some(name.as_bytes()));
        let client = UnixStream::connect_addr(&addr).unwrap();
        let peer = client.peer_addr().unwrap();
        assert_eq!(peer.as_abstract_name(), Some(name.as_bytes()));
        let (mut server, _) = listener.accept().unwrap();
        (&client).write_all(b"x").unwrap();
        assert_eq!(server.read(&mut [0; 4]).unwrap(), 1);
        drop(listener);
        // Free again at once.
        UnixListener::bind_addr(&addr).unwrap();

        let name = SocketAddr::from_abstract_name(unique()).unwrap();
        let named = UnixDatagram::bind_addr(&name).unwrap();
        let other = UnixDatagram::unbound().unwrap();
        other.connect_addr(&name).unwrap();
        other.send(b"x").unwrap();
        other.send_to_addr(b"yz", &name).unwrap();
        assert_eq!(named.recv(&mut [0; 4]).unwrap(), 1);
        let (len, from) = named.recv_from(&mut [0; 4]).unwrap();
        assert_eq!(len, 2);
        assert!(from.is_unnamed());
    });
}

#[test]
fn pairs_carry_both_ways() {
    run(|| {
        let (mut near, mut far) = UnixStream::pair().unwrap();
        let bytes = pattern(1_000_000);
        let echo = spawn(move || {
            let mut buf = vec![0; 5000];
            loop {
                match far.read(&mut buf).unwrap() {
                    0 => break,
                    len => far.write_all(&buf[..len]).unwrap(),
                }
            }
        });
        let mut writer = near.try_clone().unwrap();
        let sent = bytes.clone();
        let writer = spawn(move || {
            writer.write_all(&sent).unwrap();
            writer.shutdown(Shutdown::Write).unwrap();
        });
        let mut back = Vec::new();
        near.read_to_end(&mut back).unwrap();
        assert!(back == bytes);
        writer.join().unwrap();
        echo.join().unwrap();
    });
}

#[test]
fn the_end_of_the_other_is_told() {
    run(|| {
        let (mut near, mut far) = UnixStream::pair().unwrap();
        far.write_all(b"last words").unwrap();
        drop(far);
        let error = near.write(b"x").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
        let mut all = String::new();
        near.read_to_string(&mut all).unwrap();
        assert_eq!(all, "last words");
        // With something left unread it is a reset.
        let (mut near, far) = UnixStream::pair().unwrap();
        near.write_all(b"unread").unwrap();
        drop(far);
        let error = near.read(&mut [0; 4]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    });
}

#[test]
fn streams_can_time_out_and_not_wait() {
    run(|| {
        let (mut near, _far) = UnixStream::pair().unwrap();
        near.set_read_timeout(Some(MOMENT)).unwrap();
        near.set_write_timeout(Some(MOMENT)).unwrap();
        let begun = Instant::now();
        assert_eq!(near.read(&mut [0; 4]).unwrap_err().kind(), TIMED_OUT);
        let error = loop {
            if let Err(error) = near.write(&[0; 65536]) {
                break error;
            }
        };
        assert_eq!(error.kind(), TIMED_OUT);
        assert!(begun.elapsed() >= 2 * MOMENT);
        near.set_nonblocking(true).unwrap();
        let error = near.read(&mut [0; 4]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
        let listener = UnixListener::bind_addr(&SocketAddr::from_abstract_name(unique()).unwrap());
        let listener = listener.unwrap();
        listener.set_nonblocking(true).unwrap();
        let error = listener.accept().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
    });
}

#[test]
fn connecting_waits_for_room_in_the_queue() {
    run(|| {
        let addr = SocketAddr::from_abstract_name(unique()).unwrap();
        let listener = UnixListener::bind_addr(&addr).unwrap();
        SockRef::from(&listener).listen(0).unwrap();
        let first = UnixStream::connect_addr(&addr).unwrap();
        let late = spawn(move || {
            let mut stream = UnixStream::connect_addr(&addr).unwrap();
            stream.write_all(b"late").unwrap();
        });
        let_wait(&late);
        drop(first);
        let (mut accepted, _) = listener.accept().unwrap();
        assert_eq!(accepted.read(&mut [0; 4]).unwrap(), 0);
        let (mut accepted, _) = listener
            .incoming()
            .next()
            .unwrap()
            .map(|s| (s, ()))
            .unwrap();
        let mut all = String::new();
        accepted.read_to_string(&mut all).unwrap();
        assert_eq!(all, "late");
        late.join().unwrap();
    });
}

#[test]
fn datagrams_keep_their_bounds() {
    run(|| {
        let (near, far) = UnixDatagram::pair().unwrap();
        near.send(b"").unwrap();
        near.send(b"0123456789").unwrap();
        near.send(b"next").unwrap();
        let mut buf = [0; 4];
        assert_eq!(far.recv(&mut buf).unwrap(), 0);
        let (len, from) = far.recv_from(&mut buf).unwrap();
        assert_eq!((len, &buf), (4, b"0123"));
        assert!(from.is_unnamed());
        assert_eq!(far.recv(&mut buf).unwrap(), 4);
        assert_eq!(&buf, b"next");
    });
}

#[test]
fn datagrams_are_answered_by_path() {
    run(|| {
        let (server_place, client_place) = (Place::new(), Place::new());
        let server = UnixDatagram::bind(&server_place).unwrap();
        let client = UnixDatagram::bind(&client_place).unwrap();
        client.send_to(b"ping", &server_place).unwrap();
        let mut buf = [0; 8];
        let (len, from) = server.recv_from(&mut buf).unwrap();
        assert_eq!(len, 4);
        assert_eq!(from.as_pathname(), Some(client_place.as_ref()));
        server
            .send_to(b"pong", from.as_pathname().unwrap())
            .unwrap();
        assert_eq!(client.recv(&mut buf).unwrap(), 4);
        drop(server);
        let error = client.send_to(b"x", &server_place).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        let error = client.send_to(b"x", Place::new()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        client.connect(&client_place).unwrap();
        assert_eq!(
            client.peer_addr().unwrap().as_pathname(),
            Some(client_place.as_ref())
        );
    });
}

#[test]
fn a_full_queue_makes_senders_wait() {
    run(|| {
        let addr = SocketAddr::from_abstract_name(unique()).unwrap();
        let receiver = UnixDatagram::bind_addr(&addr).unwrap();
        let connected = UnixDatagram::unbound().unwrap();
        connected.connect_addr(&addr).unwrap();
        connected.set_write_timeout(Some(MOMENT)).unwrap();
        let other = UnixDatagram::unbound().unwrap();
        other.set_write_timeout(Some(MOMENT)).unwrap();
        let mut queued = 0;
        let error = loop {
            match connected.send(b"x") {
                Ok(_) => queued += 1,
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), TIMED_OUT);
        assert!(queued > 0);
        let error = other.send_to_addr(b"x", &addr).unwrap_err();
        assert_eq!(error.kind(), TIMED_OUT);
        for socket in [&connected, &other] {
            socket.set_write_timeout(None).unwrap();
        }
        let senders = [
            spawn(move || connected.send(b"yy").unwrap()),
            spawn(move || other.send_to_addr(b"yy", &addr).unwrap()),
        ];
        senders.iter().for_each(let_wait);
        for _ in 0..queued {
            assert_eq!(receiver.recv(&mut [0; 4]).unwrap(), 1);
        }
        for _ in &senders {
            assert_eq!(receiver.recv(&mut [0; 4]).unwrap(), 2);
        }
        for sender in senders {
            assert_eq!(sender.join().unwrap(), 2);
        }
    });
}

#[test]
fn datagram_sockets_are_shut_down() {
    run(|| {
        let (near, far) = UnixDatagram::pair().unwrap();
        near.shutdown(Shutdown::Both).unwrap();
        assert_eq!(near.send(b"x").unwrap_err().kind(), ErrorKind::BrokenPipe);
        assert_eq!(far.send(b"x").unwrap_err().kind(), ErrorKind::BrokenPipe);
        assert_eq!(near.recv(&mut [0; 4]).unwrap(), 0);
    });
}

#[test]
fn datagrams_can_time_out_and_not_wait() {
    run(|| {
        let (_near, far) = UnixDatagram::pair().unwrap();
        far.set_read_timeout(Some(MOMENT)).unwrap();
        assert_eq!(far.recv(&mut [0; 4]).unwrap_err().kind(), TIMED_OUT);
        far.set_nonblocking(true).unwrap();
        let error = far.recv_from(&mut [0; 4]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
    });
}
