//! Recipients and rights to answer in messages.

use std::sync::Arc;

use actor_core::{Addr, CallError, Exit, Message, Recipient, ReplyTo, Tasklet};
use actor_remote::protocol;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::common::{Add, Book, Keeper, LONG, Later, Note, Notes, Pair, TellMe, program, until};

#[test]
fn a_recipient_works_at_the_other_end() {
    program(|| {
        let pair = Pair::new();
        let keeper = pair.peer.lookup::<Book>("keeper").unwrap();
        let own = Addr::spawn(Keeper::default());
        keeper.send(TellMe(own.recipient())).unwrap();
        for n in 0..100 {
            keeper.send(Note(n, "to all".into())).unwrap();
        }
        assert_eq!(keeper.call(Add(0)), Ok(0));
        // What the keeper has sent on is behind us on the same link.
        until("all have come", || own.call(Notes).unwrap().len() == 100);
        assert_eq!(own.call(Notes).unwrap(), (0..100).collect::<Vec<_>>());
    });
}

#[test]
fn what_comes_home_is_itself() {
    program(|| {
        let pair = Pair::new();
        let keeper = pair.peer.lookup::<Book>("keeper").unwrap();
        // The keeper's own recipient, which is the server's.
        keeper.send(TellMe(keeper.recipient::<Note>())).unwrap();
        // It would tell itself for ever: so it is told nothing, and only looked at.
        assert_eq!(keeper.call(Add(1)), Ok(1));
        assert_eq!(pair.peer.held().1, 0, "nothing of the client has gone");
    });
}

#[test]
fn handles_are_given_back() {
    program(|| {
        let pair = Pair::new();
        let keeper = pair.peer.lookup::<Book>("keeper").unwrap();
        let own = Tasklet::spawn(|| Tasklet::sleep(LONG));
        let recipient: Recipient<Note> = own.recipient();
        for _ in 0..10 {
            keeper.send(TellMe(recipient.clone())).unwrap();
        }
        assert_eq!(keeper.call(Add(1)), Ok(1));
        assert_eq!(pair.peer.held().1, 1, "one, however often it was sent");
        // The keeper ends, and with it all that it had been given.
        pair.keeper.stop();
        pair.keeper.join();
        until("it is given back", || pair.peer.held().1 == 0);
        own.kill();
    });
}

#[test]
fn what_nobody_watches_any_more_is_given_back() {
    program(|| {
        let pair = Pair::new();
        pair.server
            .offer("keeper", |(): ()| Ok(Addr::spawn(Keeper::default())))
            .protocol::<Book>();
        let start = || pair.peer.spawn::<Book>("keeper", &()).unwrap();
        let server_side = pair.server.peer("client").unwrap();
        let given = || (pair.peer.held().2, server_side.held().1);

        // While it is watched it is kept, whoever else has it.
        let spawned = start();
        let monitor = spawned.reference().monitor();
        drop(spawned);
        pair.peer.lookup::<Book>("keeper").unwrap();
        assert_eq!(given(), (1, 1));
        assert!(monitor.cancel());
        until("it is given back", || given() == (0, 0));

        // Others who watch it, in either way, are for themselves.
        let spawned = start();
        let one = spawned.reference().monitor();
        let two = spawned.reference().monitor();
        spawned.reference().link();
        assert!(one.cancel());
        spawned.reference().unlink();
        spawned.kill();
        let exit = Tasklet::receive_one().unwrap();
        let exit = exit.downcast::<Exit>().unwrap();
        assert_eq!(exit.pid, two.pid());
        assert!(!exit.linked);
        drop(spawned);

        // Taken back and asked for again.
        let spawned = start();
        assert!(spawned.reference().monitor().cancel());
        let again = spawned.reference().monitor();
        spawned.kill();
        let exit = Tasklet::receive_one().unwrap();
        assert_eq!(exit.downcast::<Exit>().unwrap().pid, again.pid());
        assert_eq!(Tasklet::pending(), 0);
        drop(spawned);

        // One that ends lets go of what it was linked with, which is told of it first.
        let spawned = Arc::new(start());
        let linked = Tasklet::spawn({
            let spawned = spawned.clone();
            move || {
                spawned.reference().link();
                drop(spawned);
                panic!("enough");
            }
        });
        assert!(linked.join().is_err());
        let ended = spawned.join_timeout(LONG).unwrap();
        assert!(ended.is_abnormal(), "{ended}");
        drop(spawned);
        until("it is given back", || given() == (0, 0));
    });
}

#[test]
fn a_right_to_answer_crosses() {
    program(|| {
        let pair = Pair::new();
        let keeper = pair.peer.lookup::<Book>("keeper").unwrap();
        let later = keeper.recipient::<Later>();
        // Answered at once, over there.
        let asker = {
            let later = later.clone();
            Tasklet::spawn(move || ask(&later, Some("yes".into())))
        };
        assert_eq!(asker.join().unwrap(), Ok("yes".into()));
        // Kept, and dropped when the keeper ends.
        let asker = Tasklet::spawn(move || ask(&later, None));
        assert_eq!(keeper.call(Add(1)), Ok(1));
        pair.keeper.stop();
        pair.keeper.join();
        let outcome = asker.join().unwrap();
        assert!(
            matches!(outcome, Err(CallError::Unanswered | CallError::Ended)),
            "{outcome:?}"
        );
    });
}

/// A right to answer in a message, of which something stays here.
struct Shared(Arc<ReplyTo<String>>);

impl Serialize for Shared {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Shared {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        ReplyTo::deserialize(deserializer).map(|reply| Shared(Arc::new(reply)))
    }
}

#[derive(Message, Serialize, Deserialize)]
#[message(remote = "test.Handed")]
struct Handed(Shared);

#[test]
fn what_is_left_of_a_right_to_answer_that_has_gone_is_not_wanted() {
    program(|| {
        let pair = Pair::new();
        let answers = Tasklet::spawn(|| {
            let message = Tasklet::receive_one().unwrap();
            let Handed(Shared(reply)) = message.downcast().unwrap();
            assert!(reply.is_wanted());
            Arc::into_inner(reply).unwrap().send("yes".into());
        });
        pair.server
            .expose("answers", answers.tasklet())
            .message::<Handed>();
        protocol! { Answering: Handed }
        let remote = pair.peer.unchecked::<Answering>("answers");
        let forwarder = Tasklet::spawn(move || {
            let message = Tasklet::receive_one().unwrap();
            let (Ask, reply) = message.downcast_call::<Ask>().unwrap();
            let reply = Arc::new(reply);
            assert!(reply.is_wanted());
            remote.send(Handed(Shared(reply.clone()))).unwrap();
            assert!(!reply.is_wanted());
        });
        assert_eq!(forwarder.call(Ask), Ok("yes".into()));
        forwarder.join().unwrap();
    });
}

/// Has the other side answer a call that was made here.
fn ask(later: &Recipient<Later>, text: Option<String>) -> Result<String, CallError> {
    let forwarder = Tasklet::spawn({
        let later = later.clone();
        move || {
            let message = Tasklet::receive_one().unwrap();
            let (Ask, reply) = message.downcast_call::<Ask>().unwrap();
            later.send(Later(reply, text)).unwrap();
        }
    });
    forwarder.call(Ask)
}

#[derive(actor_core::Message)]
#[message(reply = String)]
struct Ask;
