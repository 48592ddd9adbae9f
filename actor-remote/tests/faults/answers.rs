//! Answers that are many, big, or never made.

use actor_core::{Actor, Addr, CallError, Context, Handler, Message, Tasklet};
use actor_remote::{Full, RemoteRef, protocol};
use serde::ser::Error as _;
use serde::{Deserialize, Serialize, Serializer};

use crate::common::{Add, Pair, config, program};

/// Close to the longest message that is taken.
const WIDE: usize = (1 << 20) - 100;

#[derive(Message, Debug, Serialize, Deserialize)]
#[message(remote = "faults.Wide", reply = String)]
struct Wide;

#[derive(Debug, Deserialize)]
struct Unwritable;

impl Serialize for Unwritable {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        panic!("nobody can write this")
    }
}

#[derive(Debug, Deserialize)]
struct Refusing;

impl Serialize for Refusing {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(S::Error::custom("it does not want to"))
    }
}

#[derive(Message, Debug, Serialize, Deserialize)]
#[message(remote = "faults.Unwritten", reply = Unwritable)]
struct Unwritten;

#[derive(Message, Debug, Serialize, Deserialize)]
#[message(remote = "faults.Refused", reply = Refusing)]
struct Refused;

protocol! { Answering: Wide, Unwritten, Refused }

struct Answerer;

impl Actor for Answerer {}

impl Handler<Wide> for Answerer {
    fn handle(&mut self, _: Wide, _: &mut Context<Self>) -> String {
        "x".repeat(WIDE)
    }
}

impl Handler<Unwritten> for Answerer {
    fn handle(&mut self, _: Unwritten, _: &mut Context<Self>) -> Unwritable {
        Unwritable
    }
}

impl Handler<Refused> for Answerer {
    fn handle(&mut self, _: Refused, _: &mut Context<Self>) -> Refusing {
        Refusing
    }
}

/// So many answers are more than waits for anybody who does not read, and fewer than make a link give up.
const CALLS: usize = 24;

#[test]
fn two_who_both_have_much_to_answer_do_not_wait_for_each_other() {
    program(|| {
        let small = |name| config(name).outbox(64 << 10, 100, Full::Block);
        let pair = Pair::with(small("server"), small("client"));
        let answerers = [Addr::spawn(Answerer), Addr::spawn(Answerer)];
        let nodes = [&pair.server, &pair.client];
        for (node, answerer) in nodes.into_iter().zip(&answerers) {
            node.expose("answers", answerer).protocol::<Answering>();
        }
        // It is told of the link by the first call.
        assert_eq!(pair.log.call(Add(1)), Ok(1));
        let back = pair.server.peer("client").unwrap();
        let remotes: [RemoteRef<Answering>; 2] = [
            pair.peer.lookup("answers").unwrap(),
            back.lookup("answers").unwrap(),
        ];
        let calls: Vec<_> = (0..2 * CALLS)
            .map(|n| {
                let remote = remotes[n % 2].clone();
                Tasklet::spawn(move || remote.call(Wide).map(|answer| answer.len()))
            })
            .collect();
        let mut answered = 0;
        for call in calls {
            match call.join().unwrap() {
                Ok(length) => {
                    assert_eq!(length, WIDE);
                    answered += 1;
                }
                // It came while there was no room for its answer.
                Err(error) => assert_eq!(error, CallError::Full),
            }
        }
        assert!(answered > CALLS, "{answered}");
        assert!(pair.peer.last_end().is_none(), "the link lasts");
        assert_eq!(pair.log.call(Add(1)), Ok(2));
    });
}

#[test]
fn an_answer_that_cannot_be_written_leaves_nobody_waiting() {
    program(|| {
        let pair = Pair::new();
        let answerer = Addr::spawn(Answerer);
        pair.server
            .expose("answers", &answerer)
            .protocol::<Answering>();
        let remote = pair.peer.lookup::<Answering>("answers").unwrap();
        let refused = remote.call(Refused).unwrap_err();
        assert!(matches!(refused, CallError::Refused(_)), "{refused}");
        let unwritten = remote.call(Unwritten).unwrap_err();
        assert_eq!(unwritten, CallError::Unanswered);
        assert_eq!(pair.log.call(Add(1)), Ok(1));
    });
}
