//! A kill in the middle of connecting. In a program of its own, which can count its descriptors.

mod common;

use std::fs;
use std::net::SocketAddr;
use std::time::Duration;

use actor_core::{JoinError, Tasklet, timeout};
use actor_io::TcpStream;
use common::{PATIENCE, eventually, in_tasklet};

fn open_descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

#[test]
fn a_kill_ends_an_attempt_to_connect_and_closes_its_socket() {
    in_tasklet(|| {
        // A queue of one, which is full, leaves further attempts unanswered.
        let listener =
            socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        listener.bind(&any.into()).unwrap();
        listener.listen(0).unwrap();
        let busy = listener.local_addr().unwrap().as_socket().unwrap();
        let _queued = TcpStream::connect(busy).unwrap();

        let before = open_descriptors();
        let connecting: Vec<_> = (0..10)
            .map(|_| Tasklet::spawn(move || TcpStream::connect(busy).map(drop)))
            .collect();
        for tasklet in &connecting {
            eventually("the attempt", || {
                tasklet.tree().to_string().contains("waits to write")
            });
        }
        assert_eq!(open_descriptors(), before + connecting.len());
        for tasklet in &connecting {
            tasklet.kill();
            let end = tasklet.join_timeout(PATIENCE);
            assert!(matches!(end, Err(JoinError::Killed)), "{end:?}");
        }
        assert_eq!(open_descriptors(), before);

        // So does a deadline.
        let limit = Duration::from_millis(20);
        timeout(limit, || TcpStream::connect(busy)).unwrap_err();
        TcpStream::connect_timeout(&busy, limit).unwrap_err();
        assert_eq!(open_descriptors(), before);
    });
}
