//! A port on which nobody listens must refuse, even when the system makes both ends of it. In a
//! program of its own, so that nobody else takes the port meanwhile.

use std::io::ErrorKind;

use actor_io::TcpStream;

/// The system may pick as local port the very one that is asked for, and connects the socket to
/// itself. With this many attempts it does, so that a success here would be one of those.
#[test]
fn a_socket_never_connects_to_itself() {
    let range = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap();
    let lowest: u16 = range.split_whitespace().next().unwrap().parse().unwrap();
    let free = |port: &u16| std::net::TcpListener::bind(("127.0.0.1", *port)).is_ok();
    let port = (lowest + lowest % 2..).step_by(2).find(free).unwrap();
    for _ in 0..40_000 {
        let error = TcpStream::connect(("127.0.0.1", port)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    }
}
