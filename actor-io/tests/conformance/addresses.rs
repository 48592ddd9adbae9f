//! IPv6, scopes, ports that are shared, and sockets that come from elsewhere.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv6Addr, SocketAddr, SocketAddrV6};
use std::os::fd::{AsRawFd, OwnedFd};

use socket2::{Domain, Socket, Type};

use super::kit::{
    TcpListener, TcpStream, UdpSocket, UnixDatagram, UnixListener, UnixStream, run, spawn,
};

#[test]
fn ipv6_is_spoken() {
    run(|| {
        let listener = TcpListener::bind("[::1]:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let mut near = TcpStream::connect(addr).unwrap();
        let (mut far, peer) = listener.accept().unwrap();
        assert_eq!(peer, near.local_addr().unwrap());
        assert!(peer.is_ipv6());
        near.write_all(b"x").unwrap();
        assert_eq!(far.read(&mut [0; 4]).unwrap(), 1);
    });
}

#[test]
fn a_socket_for_both_sees_mapped_addresses() {
    run(|| {
        let listener = TcpListener::bind("[::]:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let near = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let (_far, peer) = listener.accept().unwrap();
        let SocketAddr::V6(peer) = peer else {
            panic!("{peer}");
        };
        let mapped = peer.ip().to_ipv4_mapped().unwrap();
        assert_eq!(
            SocketAddr::from((mapped, peer.port())),
            near.local_addr().unwrap()
        );
    });
}

/// The index of the loopback interface.
fn loopback() -> u32 {
    // SAFETY: the name ends with a zero byte.
    let index = unsafe { libc::if_nametoindex(c"lo".as_ptr()) };
    assert_ne!(index, 0);
    index
}

/// A link-local address of this machine with its scope, if it has one.
fn link_local() -> Option<SocketAddrV6> {
    let interfaces = std::fs::read_to_string("/proc/net/if_inet6").ok()?;
    interfaces.lines().find_map(|line| {
        let mut fields = line.split_whitespace();
        let addr = u128::from_str_radix(fields.next()?, 16).ok()?;
        let scope = u32::from_str_radix(fields.next()?, 16).ok()?;
        let addr = Ipv6Addr::from(addr);
        addr.is_unicast_link_local()
            .then(|| SocketAddrV6::new(addr, 0, 0, scope))
    })
}

#[test]
fn scopes_are_kept() {
    run(|| {
        // A group of a link means nothing without the link.
        let lo = loopback();
        let group: Ipv6Addr = "ff02::77:7".parse().unwrap();
        let receiver = UdpSocket::bind(SocketAddrV6::new(group, 0, 0, lo)).unwrap();
        let SocketAddr::V6(local) = receiver.local_addr().unwrap() else {
            panic!("{receiver:?}");
        };
        assert_eq!((*local.ip(), local.scope_id()), (group, lo));
        receiver.join_multicast_v6(&group, lo).unwrap();
        receiver.leave_multicast_v6(&group, lo).unwrap();
        let error = receiver.join_multicast_v6(&group, 999_999).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ENODEV));

        let nowhere = SocketAddrV6::new("fe80::1".parse().unwrap(), 9, 0, 999_999);
        assert!(receiver.send_to(b"x", nowhere).is_err());
        assert!(TcpStream::connect(nowhere).is_err());
        let unscoped = SocketAddrV6::new("fe80::1".parse().unwrap(), 0, 0, 0);
        let error = TcpListener::bind(unscoped).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);

        let Some(own) = link_local() else {
            return;
        };
        let listener = TcpListener::bind(own).unwrap();
        let addr = listener.local_addr().unwrap();
        let near = TcpStream::connect(addr).unwrap();
        assert_eq!(near.peer_addr().unwrap(), addr);
        let (_far, peer) = listener.accept().unwrap();
        let SocketAddr::V6(peer) = peer else {
            panic!("{peer}");
        };
        assert_eq!((*peer.ip(), peer.scope_id()), (*own.ip(), own.scope_id()));
    });
}

#[test]
fn several_listeners_share_a_port() {
    run(|| {
        let listen = |addr: SocketAddr| {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            socket.set_reuse_port(true).unwrap();
            socket.bind(&addr.into()).unwrap();
            socket.listen(128).unwrap();
            TcpListener::try_from(socket).unwrap()
        };
        let first = listen("127.0.0.1:0".parse().unwrap());
        let addr = first.local_addr().unwrap();
        let second = listen(addr);
        assert_eq!(second.local_addr().unwrap(), addr);
        // One without the option is refused.
        let error = TcpListener::bind(addr).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
        let servers = [first, second].map(|listener| {
            spawn(move || {
                let mut count = 0;
                loop {
                    let (mut stream, _) = listener.accept().unwrap();
                    match stream.read(&mut [0; 1]).unwrap() {
                        0 => return count,
                        _ => count += 1,
                    }
                }
            })
        });
        for _ in 0..50 {
            TcpStream::connect(addr).unwrap().write_all(b"x").unwrap();
        }
        // They end one after the other, in the order that the system chooses.
        loop {
            match TcpStream::connect(addr).map_err(|error| error.kind()) {
                Ok(_) | Err(ErrorKind::ConnectionReset) => {}
                Err(ErrorKind::ConnectionRefused) => break,
                Err(error) => panic!("{error}"),
            }
        }
        let counts = servers.map(|server| server.join().unwrap());
        assert_eq!(counts.iter().sum::<u32>(), 50);
    });
}

#[test]
fn sockets_come_from_elsewhere_and_go_there() {
    run(|| {
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, None).unwrap();
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        socket.bind(&any.into()).unwrap();
        let fd = socket.as_raw_fd();
        let udp = UdpSocket::try_from(socket).unwrap();
        assert_eq!(udp.as_raw_fd(), fd);
        let socket = Socket::try_from(udp).unwrap();
        assert_eq!(socket.as_raw_fd(), fd);

        let (near, far) = UnixStream::pair().unwrap();
        let fd = OwnedFd::try_from(near).unwrap();
        let mut near = UnixStream::try_from(fd).unwrap();
        near.write_all(b"x").unwrap();
        assert_eq!((&far).read(&mut [0; 4]).unwrap(), 1);

        let (near, far) = UnixDatagram::pair().unwrap();
        let near = UnixDatagram::try_from(OwnedFd::try_from(near).unwrap()).unwrap();
        near.send(b"abc").unwrap();
        assert_eq!(far.recv(&mut [0; 4]).unwrap(), 3);

        let place = std::env::temp_dir().join(format!(
            "elsewhere-{}-{}",
            module_path!().replace("::", "-"),
            std::process::id()
        ));
        let listener = UnixListener::bind(&place).unwrap();
        let listener = UnixListener::try_from(OwnedFd::try_from(listener).unwrap()).unwrap();
        UnixStream::connect(&place).unwrap();
        listener.accept().unwrap();
        std::fs::remove_file(place).unwrap();
    });
}
