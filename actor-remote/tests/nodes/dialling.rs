//! Connections that a node makes, and whose they are.

use std::sync::Arc;
use std::time::Duration;

use actor_core::sync::Event;
use actor_core::{JoinError, Tasklet};
use actor_remote::{Config, Node};

use crate::common::{Add, Book, LONG, Pair, cut, program};

#[test]
fn a_link_outlasts_who_has_connected() {
    program(|| {
        let pair = Pair::new();
        let addr = pair.server.local_addr().unwrap();
        let quick = Duration::from_millis(20);
        let node = Node::start(Config::new("node").reconnect(quick, quick)).unwrap();
        let connected = Arc::new(Event::new());
        let caller = Tasklet::spawn({
            let (node, connected) = (node.clone(), connected.clone());
            move || {
                let keeper = node.connect(addr).unwrap().lookup::<Book>("keeper");
                assert_eq!(keeper.unwrap().call(Add(1)), Ok(1));
                connected.set();
                Event::new().wait();
            }
        });
        connected.wait_timeout(LONG).unwrap();
        // As with the handler of a server that has come to its end.
        caller.tasklet().kill_descendants();
        caller.kill();
        assert!(matches!(caller.join(), Err(JoinError::Killed)));
        let peer = node.peer("server").unwrap();
        let keeper = peer.unchecked::<Book>("keeper");
        assert_eq!(keeper.call(Add(1)), Ok(2), "{:?}", peer.last_end());
        assert!(peer.last_end().is_none());
        // And there is another one when it breaks.
        cut(&pair.server, "node", &peer);
        assert!(peer.wait_connected(LONG));
        assert_eq!(keeper.call(Add(1)), Ok(3));
        node.close();
    });
}

#[test]
fn a_handshake_may_take_for_ever() {
    program(|| {
        let patient = |name: &str| Config::new(name).handshakes(Duration::MAX, 16);
        let pair = Pair::with(patient("server"), patient("client"));
        let keeper = pair.peer.lookup::<Book>("keeper").unwrap();
        assert_eq!(keeper.call(Add(1)), Ok(1));
    });
}
