//! A server that runs out of tasklets. In a program of its own: the limit is the runtime's.

mod common;

use std::process::ExitCode;

use actor_core::Runtime;
use actor_net::Server;
use common::{PATIENCE, ask, client, echo, eventually, is_closed, keep_log, logged};

const LIMIT: usize = 8;

#[test]
fn connections_without_a_tasklet_are_turned_away() {
    keep_log();
    let code = Runtime::builder().tasklets(LIMIT).dispatch(|| {
        let server = Server::bind("127.0.0.1:0").unwrap().spawn(echo).unwrap();
        let mut clients = Vec::new();
        // The main tasklet and the server's are two of them.
        for _ in 0..LIMIT - 2 {
            let mut client = client(server.local_addr());
            assert_eq!(ask(&mut client, "in").unwrap().unwrap(), "in");
            clients.push(client);
        }
        for _ in 0..10 {
            assert!(is_closed(&mut client(server.local_addr())));
        }
        assert_eq!(server.refused(), 10);
        assert_eq!(server.connections(), LIMIT - 2);
        let lines = logged(&["WARN", "connections refused"]);
        assert!(!lines.is_empty() && lines.len() < 10, "{lines:?}");
        for client in &mut clients {
            assert_eq!(ask(client, "still in").unwrap().unwrap(), "still in");
        }
        clients.clear();
        eventually("room for another", || {
            matches!(ask(&mut client(server.local_addr()), "in"), Ok(Some(_)))
        });
        server.shutdown(PATIENCE).unwrap();
    });
    assert_eq!(code, ExitCode::SUCCESS);
}
