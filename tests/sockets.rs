//! The servers and proxies of the examples as their users meet them: through `nc` and `socat`.

mod common;

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::FileTypeExt;
use std::thread;
use std::time::Duration;

use common::clients::{Place, is_echoed, nc, socat, stops_orderly, words};
use common::{PATIENCE, Program, eventually, example};

#[test]
fn echo_speaks_tcp_with_nc_and_socat() {
    let echo = Program::start(example("echo").arg("127.0.0.1:0"));
    let addr = echo.address();
    let (host, port) = words(addr);
    let mut nc = nc([&*host, &*port]);
    let mut socat = socat(["-", &format!("TCP:{addr}")]);
    for line in ["one", "two", "three"] {
        is_echoed(&mut nc, line);
        is_echoed(&mut socat, line);
    }
    // The input of `socat` ends: the other end closes as well, after the rest.
    assert_eq!(socat.ended().stdout, "one\ntwo\nthree\n");
    // One is still there.
    stops_orderly(echo);
    assert_eq!(nc.ended().stdout, "one\ntwo\nthree\n");
}

#[test]
fn echo_speaks_udp_with_nc_and_socat() {
    let echo = Program::start(example("echo").args(["--udp", "127.0.0.1:0"]));
    let addr = echo.address();
    let (host, port) = words(addr);
    let mut nc = nc(["-u", &*host, &*port]);
    let mut socat = socat(["-", &format!("UDP:{addr}")]);
    for line in ["one", "two", "three"] {
        is_echoed(&mut nc, line);
        is_echoed(&mut socat, line);
    }
    // Large and empty ones, with a socket.
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.connect(addr).unwrap();
    let mut buf = vec![1; 65536];
    for len in [0, 1, 65507] {
        let sent = vec![7; len];
        socket.send(&sent).unwrap();
        assert_eq!(socket.recv(&mut buf).unwrap(), len);
        assert!(buf[..len] == sent);
    }
    stops_orderly(echo);
}

#[test]
fn echo_speaks_to_unix_sockets_with_nc_and_socat() {
    let place = Place::new("echo");
    let echo = Program::start(example("echo").args(["--unix", place.path()]));
    echo.wait_for("listening");
    assert!(fs::metadata(&place.0).unwrap().file_type().is_socket());
    let mut nc = nc(["-U", place.path()]);
    let mut socat = socat(["-", &format!("UNIX-CONNECT:{}", place.path())]);
    for line in ["one", "two", "three"] {
        is_echoed(&mut nc, line);
        is_echoed(&mut socat, line);
    }
    assert_eq!(socat.ended().stdout, "one\ntwo\nthree\n");
    // There can be one only.
    let second = Program::start(example("echo").args(["--unix", place.path()])).ended();
    assert_eq!(second.code(), Some(1));
    assert!(second.stderr.contains("in use"), "{}", second.stderr);
    stops_orderly(echo);
    assert!(!place.0.exists(), "the socket was left behind");
    assert_eq!(nc.ended().stdout, "one\ntwo\nthree\n");
}

#[test]
fn echo_takes_the_place_of_one_that_was_killed() {
    let place = Place::new("again");
    let echo = || {
        let echo = Program::start(example("echo").args(["--unix", place.path()]));
        echo.wait_for("listening");
        echo
    };
    let first = echo();
    first.signal(libc::SIGKILL);
    assert_eq!(first.ended().signal(), Some(libc::SIGKILL));
    assert!(place.0.exists());
    let second = echo();
    let mut nc = nc(["-N", "-U", place.path()]);
    is_echoed(&mut nc, "still here");
    assert_eq!(nc.ended().code(), Some(0));
    stops_orderly(second);
    assert!(!place.0.exists());
}

#[test]
fn echo_refuses_what_it_does_not_understand() {
    for args in [&["--frob"][..], &["--unix"], &["a", "b"]] {
        let ended = Program::start(example("echo").args(args)).ended();
        assert_eq!(ended.code(), Some(1));
        assert!(ended.stderr.starts_with("usage"), "{}", ended.stderr);
    }
    let ended = Program::start(example("echo").args(["--unix", "/nowhere/at/all"])).ended();
    assert_eq!(ended.code(), Some(1));
}

fn proxy_to(upstream: SocketAddr) -> Program {
    Program::start(example("proxy").args(["127.0.0.1:0", &upstream.to_string()]))
}

#[test]
fn proxy_stands_between_nc_and_socat() {
    // The server is socat: it sends back what it gets.
    let place = Place::new("proxied-port");
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = free.local_addr().unwrap();
    drop(free);
    let listen = format!("TCP-LISTEN:{},bind=127.0.0.1,fork,reuseaddr", addr.port());
    let server = socat([&*listen, "EXEC:cat"]);
    eventually("socat", || TcpStream::connect(addr).is_ok());
    let proxy = proxy_to(addr);
    let (host, port) = words(proxy.address());
    let mut clients = [0, 1].map(|_| nc(["-N", &*host, &*port]));
    for line in ["one", "two", "three"] {
        for client in &mut clients {
            is_echoed(client, line);
        }
    }
    // The half-close goes through to `cat`, and the end of `cat` comes back.
    for client in clients {
        assert_eq!(client.ended().stdout, "one\ntwo\nthree\n");
    }
    stops_orderly(proxy);
    drop((server, place));
}

#[test]
fn proxy_carries_much_and_leaves_nothing_open() {
    let echo = Program::start(example("echo").arg("127.0.0.1:0"));
    let proxy = proxy_to(echo.address());
    let addr = proxy.address();
    let exchange = move |len: usize| {
        let mut stream = TcpStream::connect(addr).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let sent: Vec<_> = (0..len).map(|place| (place % 251) as u8).collect();
        let writer = thread::spawn({
            let (mut stream, sent) = (stream.try_clone().unwrap(), sent.clone());
            move || {
                stream.write_all(&sent).unwrap();
                stream.shutdown(Shutdown::Write).unwrap();
            }
        });
        let mut back = Vec::new();
        stream.read_to_end(&mut back).unwrap();
        writer.join().unwrap();
        assert!(back == sent, "{} of {len} bytes", back.len());
    };
    // One connection that stays, so that it is known what is open.
    let mut held = TcpStream::connect(addr).unwrap();
    held.write_all(b"x").unwrap();
    held.read_exact(&mut [0; 1]).unwrap();
    let before = [proxy.descriptors(), echo.descriptors()];
    let clients: Vec<_> = [0, 1, 100, 100_000, 5_000_000, 5_000_000]
        .into_iter()
        .map(|len| thread::spawn(move || exchange(len)))
        .collect();
    clients
        .into_iter()
        .for_each(|client| client.join().unwrap());
    // Some that are reset, of which the echo has its own opinion.
    for _ in 0..5 {
        let mut stream = TcpStream::connect(addr).unwrap();
        stream.write_all(b"never read").unwrap();
        socket2::SockRef::from(&stream)
            .set_linger(Some(Duration::ZERO))
            .unwrap();
    }
    eventually("all is closed", || {
        [proxy.descriptors(), echo.descriptors()] == before
    });
    // One that is still open does not keep the proxy.
    stops_orderly(proxy);
    assert_eq!(held.read(&mut [0; 1]).unwrap(), 0);
    stops_orderly(echo);
}

#[test]
fn proxy_ends_in_time_with_connections_that_do_not_move() {
    // A server that sends without end, and a client that never reads.
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let proxy = proxy_to(server.local_addr().unwrap());
    let client = TcpStream::connect(proxy.address()).unwrap();
    let (mut flood, _) = server.accept().unwrap();
    flood
        .set_write_timeout(Some(Duration::from_millis(300)))
        .unwrap();
    let zeros = vec![0; 1 << 20];
    let stuck = loop {
        if let Err(error) = flood.write(&zeros) {
            break error;
        }
    };
    assert_eq!(stuck.kind(), std::io::ErrorKind::WouldBlock);
    stops_orderly(proxy);
    drop(client);
}

#[test]
fn proxy_closes_what_it_cannot_pass_on() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = free.local_addr().unwrap();
    drop(free);
    let proxy = proxy_to(nobody);
    let mut stream = TcpStream::connect(proxy.address()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    assert_eq!(stream.read(&mut [0; 4]).unwrap(), 0);
    proxy.wait_for("connection failed");
    stops_orderly(proxy);
}
