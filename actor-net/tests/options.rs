//! That the options of a server have their effects.

mod common;

use std::io;
use std::net::{SocketAddr, TcpStream as StdStream};
use std::sync::mpsc;
use std::time::Duration;

use actor_core::block_on_thread;
use actor_net::{Server, ServerBuilder};
use common::{PATIENCE, client, in_tasklet, is_closed};

#[test]
fn nodelay_is_on_unless_it_is_switched_off() {
    in_tasklet(|| {
        let cases: [(ServerBuilder, bool); 3] = [
            (Server::builder(), true),
            (Server::builder().nodelay(true), true),
            (Server::builder().nodelay(false), false),
        ];
        for (builder, expected) in cases {
            let (tell, told) = mpsc::channel();
            let server = builder.bind("127.0.0.1:0").unwrap();
            let server = server.spawn(move |stream| {
                let _ = tell.send(stream.nodelay());
            });
            let server = server.unwrap();
            assert!(is_closed(&mut client(server.local_addr())));
            assert_eq!(told.try_recv().unwrap().unwrap(), expected);
            server.shutdown(PATIENCE).unwrap();
        }
    });
}

#[test]
fn an_address_can_be_had_again_at_once_unless_that_is_switched_off() {
    in_tasklet(|| {
        // The server closes first, so its end of the connection keeps the address for a minute.
        let server = Server::bind("127.0.0.1:0").unwrap().spawn(|_stream| ());
        let server = server.unwrap();
        let addr = server.local_addr();
        assert!(is_closed(&mut client(addr)));
        server.shutdown(PATIENCE).unwrap();
        let refused = Server::builder().reuse_addr(false).bind(addr).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::AddrInUse);
        Server::bind(addr).unwrap();
    });
}

#[test]
fn the_backlog_bounds_those_who_wait_to_be_accepted() {
    /// How many of these connect to one that accepts nobody.
    fn connected(addr: SocketAddr) -> usize {
        const CLIENTS: usize = 6;
        block_on_thread(move || {
            let connect = || StdStream::connect_timeout(&addr, Duration::from_secs(1)).ok();
            let all: Vec<_> = std::iter::repeat_with(connect)
                .take(CLIENTS)
                .map_while(|stream| stream)
                .collect();
            all.len()
        })
    }
    in_tasklet(|| {
        let small = Server::builder().backlog(1).bind("127.0.0.1:0").unwrap();
        // Linux takes one more than it is told.
        assert_eq!(connected(small.local_addr()), 2);
        let usual = Server::bind("127.0.0.1:0").unwrap();
        assert_eq!(connected(usual.local_addr()), 6);
    });
}
