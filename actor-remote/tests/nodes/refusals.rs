//! What is not exposed, not known, or not the same on both sides.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use actor_core::{Addr, CallError, Message, Placement, Refusal, Tasklet};
use actor_remote::{
    Config, ConnectError, LookupError, Node, NodeError, RemoteSpawnError, Secret, protocol,
};
use serde::{Deserialize, Serialize};

use crate::common::{Add, Book, Keeper, Note, Pair, program};

#[test]
fn only_what_is_exposed_is_reached() {
    program(|| {
        let pair = Pair::new();
        assert_eq!(
            pair.peer.lookup::<Book>("vault").unwrap_err(),
            LookupError::Unknown
        );
        let vault = pair.peer.unchecked::<Book>("vault");
        let refused = CallError::Refused(Refusal::Unknown);
        assert_eq!(vault.call(Add(1)), Err(refused));

        // It takes what it is exposed for, and nothing else.
        pair.server.expose("notes", &pair.keeper).message::<Note>();
        let notes = pair.peer.unchecked::<Book>("notes");
        notes.send(Note(1, String::new())).unwrap();
        let refused = CallError::Refused(Refusal::NotExposed);
        assert_eq!(notes.call(Add(1)), Err(refused));

        // Until it is taken back.
        assert!(pair.server.withdraw("notes"));
        let refused = CallError::Refused(Refusal::Unknown);
        assert_eq!(notes.call(Add(1)), Err(refused));
        // What was sent one way is counted.
        notes.send(Note(2, String::new())).unwrap();
        assert_eq!(notes.call(Add(1)), Err(refused));
        assert_eq!(pair.peer.refused(), 1);
    });
}

mod other {
    use super::{Deserialize, Message, Serialize};

    /// By the same name, with other fields.
    #[derive(Message, Debug, Serialize, Deserialize)]
    #[message(remote = "test.Add", reply = u64)]
    pub(super) struct Add {
        pub(super) amount: u32,
    }
}

protocol! { Other: other::Add }

#[test]
fn other_fields_are_another_message() {
    program(|| {
        let pair = Pair::new();
        let error = pair.peer.lookup::<Other>("keeper").unwrap_err();
        let expected = LookupError::Refused {
            message: "test.Add".into(),
            why: Refusal::Version,
        };
        assert_eq!(error, expected);
        let keeper = pair.peer.unchecked::<Other>("keeper");
        let refused = CallError::Refused(Refusal::Version);
        assert_eq!(keeper.call(other::Add { amount: 1 }), Err(refused));
    });
}

#[test]
fn a_node_without_a_secret_stays_on_its_machine() {
    program(|| {
        let refused = Node::listen("0.0.0.0:0", Config::new("open")).unwrap_err();
        assert!(matches!(refused, NodeError::Unprotected(_)), "{refused}");
        let secret = Secret::generate().unwrap();
        let node = Node::listen("0.0.0.0:0", Config::new("shut").secret(secret)).unwrap();
        node.close();
    });
}

#[test]
fn the_secret_must_be_the_same() {
    program(|| {
        let secret = |text: &str| Secret::from_bytes(text).unwrap();
        let server = Config::new("server").secret(secret("open sesame, they said"));
        let server = Node::listen("127.0.0.1:0", server).unwrap();
        let addr = server.local_addr().unwrap();
        let wrong = Config::new("client").secret(secret("open poppy seed, he said"));
        let client = Node::start(wrong).unwrap();
        let refused = client.connect(addr).unwrap_err();
        assert!(
            matches!(refused, ConnectError::Refused(_) | ConnectError::Io(_)),
            "{refused}"
        );
        let none = Node::start(Config::new("client")).unwrap();
        assert!(none.connect(addr).is_err());
        let right = Config::new("client").secret(secret("open sesame, they said"));
        let client = Node::start(right).unwrap();
        let peer = client.connect(addr).unwrap();
        assert!(peer.is_connected());
        assert_eq!(peer.name(), "server");
        client.close();
        server.close();
    });
}

#[test]
fn a_node_of_another_name_is_refused() {
    program(|| {
        let server = Node::listen("127.0.0.1:0", Config::new("server")).unwrap();
        let client = Node::start(Config::new("client")).unwrap();
        let addr = server.local_addr().unwrap();
        assert!(client.connect_to("bank", addr).is_err());
        assert!(client.connect_to("server", addr).is_ok());
        client.close();
        server.close();
    });
}

#[test]
fn who_listens_after_exposing_refuses_nobody() {
    program(|| {
        let server = Node::start(Config::new("server")).unwrap();
        assert_eq!(server.local_addr(), None);
        let keeper = Addr::spawn(Keeper::default());
        server.expose("keeper", &keeper).protocol::<Book>();
        let one = server.listen_on("127.0.0.1:0").unwrap();
        let other = server.listen_on("127.0.0.1:0").unwrap();
        assert_eq!(server.local_addr(), Some(one));
        for (name, addr) in [("one", one), ("other", other)] {
            let client = Node::start(Config::new(name)).unwrap();
            let peer = client.connect(addr).unwrap();
            assert!(peer.lookup::<Book>("keeper").unwrap().call(Add(1)).is_ok());
            client.close();
        }
        server.close();
        assert!(matches!(
            server.listen_on("127.0.0.1:0"),
            Err(NodeError::Closed)
        ));
    });
}

#[test]
fn another_takes_a_name_without_a_gap() {
    program(|| {
        let pair = Pair::new();
        let enough = Arc::new(AtomicBool::new(false));
        let keeper = pair.peer.lookup::<Book>("keeper").unwrap();
        let caller = Tasklet::builder()
            .placement(Placement::LeastLoaded)
            .spawn({
                let enough = enough.clone();
                move || {
                    let mut calls = 0;
                    while calls < 200 || !enough.load(Ordering::Relaxed) {
                        calls += 1;
                        keeper.call(Add(1)).unwrap();
                    }
                }
            })
            .unwrap();
        for _ in 0..2000 {
            // For all of the protocol's messages, one after the other.
            pair.server
                .expose("keeper", &pair.keeper)
                .protocol::<Book>();
            Tasklet::yield_now();
        }
        enough.store(true, Ordering::Relaxed);
        caller.join().unwrap();
    });
}

#[test]
fn names_that_are_too_long_are_unknown_and_do_no_harm() {
    program(|| {
        let pair = Pair::new();
        let keeper = pair.peer.lookup::<Book>("keeper").unwrap();
        let long = "x".repeat(2000);
        assert_eq!(
            pair.peer.lookup::<Book>(&long).unwrap_err(),
            LookupError::Unknown
        );
        let unchecked = pair.peer.unchecked::<Book>(&long);
        let refused = CallError::Refused(Refusal::Unknown);
        assert_eq!(unchecked.call(Add(1)), Err(refused));
        unchecked.monitor();
        assert!(matches!(
            pair.peer.spawn::<Book>(&long, &1_u64),
            Err(RemoteSpawnError::Unknown)
        ));
        assert_eq!(keeper.call(Add(1)), Ok(1));
        assert!(pair.peer.last_end().is_none(), "{:?}", pair.peer.last_end());
    });
}
