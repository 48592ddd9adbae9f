//! UDP sockets.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use super::kit::{TIMED_OUT, UdpSocket, run, spawn};
use crate::common::pattern;

const MOMENT: Duration = Duration::from_millis(20);

fn socket() -> (UdpSocket, SocketAddr) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let addr = socket.local_addr().unwrap();
    (socket, addr)
}

/// Two sockets that are connected to each other.
fn pair() -> (UdpSocket, UdpSocket) {
    let ((near, near_addr), (far, far_addr)) = (socket(), socket());
    near.connect(far_addr).unwrap();
    far.connect(near_addr).unwrap();
    (near, far)
}

#[test]
fn a_datagram_tells_where_it_comes_from() {
    run(|| {
        let ((near, near_addr), (far, far_addr)) = (socket(), socket());
        assert_eq!(near.send_to(b"ping", far_addr).unwrap(), 4);
        let mut buf = [0; 16];
        assert_eq!(far.recv_from(&mut buf).unwrap(), (4, near_addr));
        assert_eq!(&buf[..4], b"ping");
        assert_eq!(far.send_to(b"pong!", near_addr.to_string()).unwrap(), 5);
        assert_eq!(near.recv(&mut buf).unwrap(), 5);
    });
}

#[test]
fn whoever_waits_is_woken() {
    run(|| {
        let ((near, _), (far, far_addr)) = (socket(), socket());
        let receiver = spawn(move || {
            let mut buf = [0; 16];
            (0..100)
                .map(|_| {
                    assert_eq!(far.recv(&mut buf).unwrap(), 1);
                    u32::from(buf[0])
                })
                .sum::<u32>()
        });
        for n in 0..100 {
            near.send_to(&[n], far_addr).unwrap();
        }
        assert_eq!(receiver.join().unwrap(), (0..100).sum());
    });
}

#[test]
fn a_datagram_without_bytes_is_one() {
    run(|| {
        let (near, far) = pair();
        assert_eq!(near.send(&[]).unwrap(), 0);
        assert_eq!(near.send(b"x").unwrap(), 1);
        let mut buf = [7; 4];
        let (len, from) = far.recv_from(&mut buf).unwrap();
        assert_eq!((len, from), (0, near.local_addr().unwrap()));
        assert_eq!(buf, [7; 4]);
        assert_eq!(far.recv(&mut buf).unwrap(), 1);
        // Nor does a buffer without room go without.
        near.send(b"lost").unwrap();
        near.send(b"y").unwrap();
        assert_eq!(far.recv(&mut []).unwrap(), 0);
        assert_eq!(far.recv(&mut buf).unwrap(), 1);
        assert_eq!(buf[0], b'y');
    });
}

#[test]
fn what_does_not_fit_is_lost() {
    run(|| {
        let (near, far) = pair();
        near.send(b"0123456789").unwrap();
        near.send(b"next").unwrap();
        let mut buf = [0; 4];
        assert_eq!(far.peek(&mut buf).unwrap(), 4);
        let addr = near.local_addr().unwrap();
        assert_eq!(far.peek_from(&mut buf).unwrap(), (4, addr));
        assert_eq!(far.recv_from(&mut buf).unwrap(), (4, addr));
        assert_eq!(&buf, b"0123");
        assert_eq!(far.recv(&mut buf).unwrap(), 4);
        assert_eq!(&buf, b"next");
    });
}

#[test]
fn the_largest_datagram_arrives_and_larger_ones_are_refused() {
    run(|| {
        let (near, far) = pair();
        let largest = pattern(65507);
        assert_eq!(near.send(&largest).unwrap(), largest.len());
        let mut buf = vec![0; 70_000];
        assert_eq!(far.recv(&mut buf).unwrap(), largest.len());
        assert!(buf[..largest.len()] == largest);
        let error = near.send(&[0; 65508]).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EMSGSIZE));
    });
}

#[test]
fn a_connected_socket_hears_one_peer_only() {
    run(|| {
        let (near, far) = pair();
        let (stranger, _) = socket();
        let far_addr = far.local_addr().unwrap();
        stranger.send_to(b"stranger", far_addr).unwrap();
        near.send(b"peer").unwrap();
        let mut buf = [0; 16];
        assert_eq!(far.recv(&mut buf).unwrap(), 4);
        assert_eq!(&buf[..4], b"peer");
        assert_eq!(near.peer_addr().unwrap(), far_addr);
        assert_eq!(
            stranger.peer_addr().unwrap_err().kind(),
            ErrorKind::NotConnected
        );
        let error = stranger.send(b"nowhere").unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EDESTADDRREQ));
    });
}

#[test]
fn nobody_there_is_told_to_a_connected_socket() {
    run(|| {
        let (near, _) = socket();
        let (gone, addr) = socket();
        drop(gone);
        near.connect(addr).unwrap();
        near.send(b"hello?").unwrap();
        let error = near.recv(&mut [0; 4]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    });
}

#[test]
fn receiving_can_time_out() {
    run(|| {
        let (near, far) = pair();
        far.set_read_timeout(Some(MOMENT)).unwrap();
        far.set_write_timeout(Some(MOMENT)).unwrap();
        assert_eq!(far.read_timeout().unwrap(), Some(MOMENT));
        let begun = Instant::now();
        assert_eq!(far.recv(&mut [0; 4]).unwrap_err().kind(), TIMED_OUT);
        assert_eq!(far.recv_from(&mut [0; 4]).unwrap_err().kind(), TIMED_OUT);
        assert_eq!(far.peek(&mut [0; 4]).unwrap_err().kind(), TIMED_OUT);
        assert!(begun.elapsed() >= 2 * MOMENT);
        near.send(b"late").unwrap();
        far.set_read_timeout(None).unwrap();
        assert_eq!(far.recv(&mut [0; 4]).unwrap(), 4);
    });
}

#[test]
fn nonblocking_never_waits() {
    run(|| {
        let (_near, far) = pair();
        far.set_nonblocking(true).unwrap();
        let error = far.recv(&mut [0; 4]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
    });
}

#[test]
fn clones_share_the_queue() {
    run(|| {
        let (near, far) = pair();
        let clone = far.try_clone().unwrap();
        near.send(b"one").unwrap();
        near.send(b"three").unwrap();
        assert_eq!(clone.recv(&mut [0; 8]).unwrap(), 3);
        drop(clone);
        assert_eq!(far.recv(&mut [0; 8]).unwrap(), 5);
    });
}

#[test]
fn options_are_those_of_the_socket() {
    run(|| {
        let (socket, _) = socket();
        socket.set_broadcast(true).unwrap();
        assert!(socket.broadcast().unwrap());
        socket.set_ttl(33).unwrap();
        assert_eq!(socket.ttl().unwrap(), 33);
        socket.set_multicast_ttl_v4(5).unwrap();
        assert_eq!(socket.multicast_ttl_v4().unwrap(), 5);
        socket.set_multicast_loop_v4(false).unwrap();
        assert!(!socket.multicast_loop_v4().unwrap());
        assert!(socket.take_error().unwrap().is_none());
        let v6 = UdpSocket::bind("[::1]:0").unwrap();
        v6.set_multicast_loop_v6(false).unwrap();
        assert!(!v6.multicast_loop_v6().unwrap());
    });
}

#[test]
fn a_group_is_joined_and_left() {
    run(|| {
        let group = Ipv4Addr::new(239, 255, 77, 7);
        let receiver = UdpSocket::bind("0.0.0.0:0").unwrap();
        let port = receiver.local_addr().unwrap().port();
        let (sender, addr) = socket();
        socket2::SockRef::from(&sender)
            .set_multicast_if_v4(&Ipv4Addr::LOCALHOST)
            .unwrap();
        receiver
            .join_multicast_v4(&group, &Ipv4Addr::LOCALHOST)
            .unwrap();
        sender.send_to(b"all", (group, port)).unwrap();
        assert_eq!(receiver.recv_from(&mut [0; 8]).unwrap(), (3, addr));
        receiver
            .leave_multicast_v4(&group, &Ipv4Addr::LOCALHOST)
            .unwrap();
        let error = receiver
            .leave_multicast_v4(&group, &Ipv4Addr::LOCALHOST)
            .unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EADDRNOTAVAIL));
    });
}
