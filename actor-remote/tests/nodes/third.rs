//! References to objects of a third node, which the one in the middle passes on.

use actor_core::{
    Actor, Addr, CallError, Context, Exit, ExitReason, Handler, JoinHandle, Message, Recipient,
    ReplyTo, Tasklet,
};
use actor_remote::{Config, Node, RemoteRef, protocol};
use serde::{Deserialize, Serialize};

use crate::common::{Add, Book, Fail, Keeper, LONG, Later, Note, Notes, program, until};

#[derive(Message, Debug, Serialize, Deserialize)]
#[message(remote = "test.Use", reply = Result<u64, String>)]
struct Use(RemoteRef<Book>);

#[derive(Message, Debug, Serialize, Deserialize)]
#[message(remote = "test.Write")]
struct Write(Recipient<Note>, u64);

#[derive(Message, Debug, Serialize, Deserialize)]
#[message(remote = "test.Answer")]
struct Answer(ReplyTo<String>, String);

#[derive(Message, Debug, Serialize, Deserialize)]
#[message(remote = "test.Watch", reply = String)]
struct Watch(RemoteRef<Book>);

/// To be linked with it, and perhaps to take that back, and to stay.
#[derive(Message, Debug, Serialize, Deserialize)]
#[message(remote = "test.Bind", reply = ())]
struct Bind(RemoteRef<Book>, bool);

protocol! { Using: Use, Write, Answer, Watch, Bind }

/// Uses what it is given.
#[derive(Default)]
struct User(Vec<JoinHandle<()>>);

impl Actor for User {}

impl Handler<Use> for User {
    fn handle(&mut self, Use(book): Use, _: &mut Context<Self>) -> Result<u64, String> {
        book.call_timeout(Add(5), LONG)
            .map_err(|error| error.to_string())
    }
}

impl Handler<Write> for User {
    fn handle(&mut self, Write(to, n): Write, _: &mut Context<Self>) {
        for n in 0..n {
            to.send(Note(n, String::new())).unwrap();
        }
    }
}

impl Handler<Answer> for User {
    fn handle(&mut self, Answer(to, text): Answer, _: &mut Context<Self>) {
        to.send(text);
    }
}

impl Handler<Watch> for User {
    fn handle(&mut self, Watch(book): Watch, _: &mut Context<Self>) -> String {
        let watcher = Tasklet::spawn(move || {
            // Somebody has to be able to reach it, or it receives nothing.
            let _itself = Tasklet::current();
            book.monitor();
            // So that it is watched over there.
            book.call_timeout(Add(0), LONG).unwrap();
            book.send(Fail("out of ink".into())).unwrap();
            let exit = Tasklet::receive_one().unwrap();
            match exit.downcast::<Exit>().unwrap().reason {
                ExitReason::Panicked(text) => text.to_string(),
                other => format!("{other:?}"),
            }
        });
        watcher.join().unwrap()
    }
}

impl Handler<Bind> for User {
    fn handle(&mut self, Bind(book, back): Bind, _: &mut Context<Self>) {
        let bound = Tasklet::spawn(move || {
            let _itself = Tasklet::current();
            book.link();
            if back {
                book.unlink();
            }
            // It has come over there.
            book.call_timeout(Note(0, String::new()), LONG).unwrap();
            while Tasklet::receive_one().is_ok() {}
        });
        self.0.push(bound);
    }
}

#[test]
fn a_link_that_was_taken_back_is_none_two_links_away() {
    program(|| {
        for back in [true, false] {
            let three = Three::new();
            let watched = three.keeper.clone();
            three.user.call(Bind(three.book.clone(), back)).unwrap();
            until("it is linked", || watched.call(Notes).unwrap() == [0]);
            three.middle.close();
            let middle = three.first.peer("middle").unwrap();
            assert!(middle.wait_disconnected(LONG));
            // Who was linked is ended by the break, before this comes.
            assert_eq!(watched.call(Add(0)).is_ok(), back);
        }
    });
}

/// A node in the middle, which is linked with two that are not linked with each other.
struct Three {
    first: Node,
    middle: Node,
    last: Node,
    keeper: Addr<Keeper>,
    book: RemoteRef<Book>,
    user: RemoteRef<Using>,
}

impl Three {
    fn new() -> Three {
        let first = Node::listen("127.0.0.1:0", Config::new("first")).unwrap();
        let keeper = Addr::spawn(Keeper::default());
        first.expose("keeper", &keeper).protocol::<Book>();
        let last = Node::listen("127.0.0.1:0", Config::new("last")).unwrap();
        last.expose("user", &Addr::spawn(User::default()))
            .protocol::<Using>();
        let middle = Node::start(Config::new("middle")).unwrap();
        let to = |node: &Node| middle.connect(node.local_addr().unwrap()).unwrap();
        let book = to(&first).lookup::<Book>("keeper").unwrap();
        let user = to(&last).lookup::<Using>("user").unwrap();
        Three {
            first,
            middle,
            last,
            keeper,
            book,
            user,
        }
    }
}

impl Drop for Three {
    fn drop(&mut self) {
        self.middle.close();
        self.first.close();
        self.last.close();
    }
}

#[test]
fn a_reference_is_passed_on() {
    program(|| {
        let three = Three::new();
        assert_eq!(three.user.call(Use(three.book.clone())), Ok(Ok(5)));
        assert_eq!(three.user.call(Use(three.book.clone())), Ok(Ok(10)));
        assert_eq!(three.keeper.call(Add(0)), Ok(10));
        // The handles are given back.
        until("they are", || {
            three.middle.peer("last").unwrap().held().1 == 0
        });
    });
}

#[test]
fn a_recipient_is_passed_on_and_keeps_its_order() {
    program(|| {
        let three = Three::new();
        three
            .user
            .send(Write(three.book.recipient(), 1000))
            .unwrap();
        until("all have come", || {
            three.keeper.call(Notes).unwrap().len() == 1000
        });
        let all: Vec<_> = (0..1000).collect();
        assert_eq!(three.keeper.call(Notes).unwrap(), all);
    });
}

#[test]
fn a_right_to_answer_is_passed_on() {
    program(|| {
        let three = Three::new();
        // The first asks the middle, and the last answers.
        let user = three.user.recipient::<Answer>();
        let forwarder = Tasklet::spawn(move || {
            for message in Tasklet::receive() {
                let Later(reply, text) = message.downcast::<Later>().unwrap();
                user.send(Answer(reply, text.unwrap())).unwrap();
            }
        });
        three
            .middle
            .expose("forwarder", forwarder.tasklet())
            .message::<Later>();
        let asked = three
            .first
            .peer("middle")
            .unwrap()
            .unchecked::<Book>("forwarder");
        let caller = Tasklet::spawn({
            let asked = asked.recipient::<Later>();
            move || {
                let asks = Tasklet::spawn(move || {
                    let (Ask, reply) = Tasklet::receive_one()
                        .unwrap()
                        .downcast_call::<Ask>()
                        .unwrap();
                    asked
                        .send(Later(reply, Some("by the last".into())))
                        .unwrap();
                });
                asks.call(Ask)
            }
        });
        assert_eq!(caller.join().unwrap(), Ok("by the last".into()));
        forwarder.kill();
    });
}

#[derive(Message)]
#[message(reply = String)]
struct Ask;

#[test]
fn without_the_first_there_is_no_connection() {
    program(|| {
        let three = Three::new();
        three.first.close();
        let middle = three.middle.peer("first").unwrap();
        assert!(middle.wait_disconnected(LONG));
        assert_eq!(
            three.user.call(Use(three.book.clone())),
            Ok(Err(CallError::Disconnected {
                maybe_executed: false
            }
            .to_string()))
        );
    });
}

#[test]
fn an_end_is_told_two_links_away() {
    program(|| {
        let three = Three::new();
        let told = three.user.call(Watch(three.book.clone())).unwrap();
        assert!(told.contains("out of ink"), "{told}");
    });
}
