//! Connections that a node makes, and whose they are.

use std::time::Duration;

use actor_remote::Config;

use crate::common::{Add, Book, Pair, program};

#[test]
fn a_handshake_may_take_for_ever() {
    program(|| {
        let patient = |name: &str| Config::new(name).handshakes(Duration::MAX, 16);
        let pair = Pair::with(patient("server"), patient("client"));
        let keeper = pair.peer.lookup::<Book>("keeper").unwrap();
        assert_eq!(keeper.call(Add(1)), Ok(1));
    });
}
