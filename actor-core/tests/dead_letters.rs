//! What is left when a mailbox's owner ends, and the time that an answer may take.

mod common;

use std::sync::mpsc::channel;
use std::time::Duration;

use actor_core::{
    Actor, Addr, CallError, Context, DeadLetter, DeadLetterCause, Handler, Message, Pid, Recipient,
    ReplyTo, Tasklet, dropped, match_message, subscribe_dead_letters,
};
use common::*;

extern crate actor_core as concurrence;

#[derive(Message, Debug, PartialEq)]
struct Note(u32);

#[derive(Message)]
#[message(reply = u32)]
struct Ask;

struct Shut(Gate);

impl Actor for Shut {}

impl Handler<Note> for Shut {
    fn handle(&mut self, _: Note, _: &mut Context<Self>) {
        self.0.pass();
    }
}

impl Handler<Ask> for Shut {
    fn handle(&mut self, _: Ask, _: &mut Context<Self>) -> u32 {
        1
    }
}

/// Those to `of`, as the tests share the process.
fn letters_to(of: Pid, told: &std::sync::mpsc::Receiver<DeadLetter>) -> Vec<DeadLetter> {
    told.try_iter().filter(|letter| letter.to == of).collect()
}

#[test]
fn what_an_actor_leaves_unread_can_be_read() {
    run(|| {
        let (tell, told) = channel();
        let letters =
            subscribe_dead_letters(Recipient::from_fn(move |letter| drop(tell.send(letter))));
        let gate = Gate::new();
        let addr = Addr::builder()
            .name("shut")
            .spawn(Shut(gate.clone()))
            .unwrap();
        let before = dropped().undelivered;
        for n in 0..4 {
            addr.send(Note(n)).unwrap();
        }
        let asks = {
            let addr = addr.clone();
            spawn(move || addr.call(Ask))
        };
        wait_until_it_waits(&asks, "waits for a reply");
        addr.stop_now();
        gate.open();
        promptly(|limit| addr.join_timeout(limit)).unwrap();
        assert_eq!(join(asks), Err(CallError::Ended));
        let left = letters_to(addr.pid(), &told);
        assert!(
            left.iter()
                .all(|letter| letter.cause == DeadLetterCause::Ended
                    && &*letter.name == "shut"
                    && letter.class.ends_with("Note"))
        );
        // The first that asks has the message; it is an ordinary one.
        assert!(left[0].clone().take().is_some());
        assert!(left[0].take().is_none());
        let rest: Vec<_> = left[1..]
            .iter()
            .map(|letter| letter.take().unwrap().downcast::<Note>().unwrap())
            .collect();
        assert_eq!(rest, [Note(2), Note(3)]);
        // Three, and the call. Others may end meanwhile.
        assert!(dropped().undelivered >= before + 4);
        letters.cancel();
        let addr = Addr::spawn(Shut(Gate::new()));
        addr.send(Note(1)).unwrap();
        addr.kill();
        promptly(|limit| addr.join_timeout(limit)).unwrap();
        assert!(letters_to(addr.pid(), &told).is_empty());
    });
}

#[test]
fn unmatched_messages_are_dead_letters_too() {
    run(|| {
        let (tell, told) = channel();
        let letters =
            subscribe_dead_letters(Recipient::from_fn(move |letter| drop(tell.send(letter))));
        let deaf = spawn(|| {
            match_message!(match Tasklet::receive_one().unwrap() {
                Note(7) => {}
            });
        });
        deaf.send(Note(3)).unwrap();
        let pid = deaf.pid();
        join(deaf);
        let left = letters_to(pid, &told);
        assert_eq!(left.len(), 1);
        assert_eq!(left[0].cause, DeadLetterCause::Unmatched);
        assert_eq!(left[0].take().unwrap().downcast::<Note>().unwrap(), Note(3));
        letters.cancel();
    });
}

#[test]
fn a_subscriber_that_ends_leaves_no_letters_about_letters() {
    run(|| {
        let subscriber = spawn(|| drop(Tasklet::receive_one()));
        let letters = subscribe_dead_letters(subscriber.tasklet());
        for _ in 0..3 {
            let ended = spawn(|| Tasklet::current().send(Note(1)).unwrap());
            join(ended);
        }
        join(subscriber);
        join(spawn(|| Tasklet::current().send(Note(1)).unwrap()));
        letters.cancel();
    });
}

/// Asks the one behind it, which never answers.
struct Front(Recipient<Ask>);

impl Actor for Front {}

impl Handler<Ask> for Front {
    fn handle(&mut self, _: Ask, _: &mut Context<Self>) -> u32 {
        match self.0.call(Ask) {
            Err(CallError::Timeout) => 408,
            _ => 500,
        }
    }
}

#[test]
fn a_limit_that_is_shared_holds_all_the_way() {
    run(|| {
        let kept: std::sync::Arc<parking_lot::Mutex<Vec<ReplyTo<u32>>>> = Default::default();
        let keeps = kept.clone();
        let deaf = spawn(move || {
            for message in Tasklet::receive() {
                match_message!(match message {
                    (Ask, reply) => keeps.lock().push(reply),
                });
            }
        });
        let inner = Addr::spawn(Front(deaf.recipient()));
        let outer = Addr::spawn(Front(inner.recipient()));
        let late = outer.call_within(Ask, SHORT);
        assert!(
            matches!(late, Err(CallError::Timeout) | Ok(408)),
            "{late:?}"
        );
        // Both have given up as well, and serve others.
        wait_until(|| kept.lock().len() == 1);
        let told = kept.lock()[0].deadline();
        assert!(told.is_some());
        // One's own limit does not go further, and a limit is no longer than the one it is within.
        let asks = spawn(move || outer.call_timeout(Ask, Duration::from_secs(3600)));
        wait_until(|| kept.lock().len() == 2);
        assert_eq!(kept.lock()[1].deadline(), None);
        kept.lock().drain(..).for_each(|reply| reply.send(1));
        assert_eq!(join(asks), Ok(500));
        deaf.stop();
        join(deaf);
    });
}
