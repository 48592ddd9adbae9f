//! What `match_message!` means: which arm a message goes to, and what is left of it if to none.

extern crate actor_core as concurrence;

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use concurrence::__private::{Slot, call_envelope, envelope};
use concurrence::{CallError, Envelope, Message, ReplyTo, match_message};

#[derive(Message, Debug, PartialEq)]
struct Quit;

#[derive(Message)]
struct Disconnected;

#[derive(Message)]
struct Line(String);

#[derive(Message, Debug, PartialEq)]
struct Move {
    dx: i32,
    dy: i32,
}

#[derive(Message)]
struct Level(u8);

#[derive(Message)]
struct Pair(Option<u8>, Result<u8, String>);

#[derive(Message)]
struct Publish<T> {
    value: T,
}

#[derive(Message)]
enum Command {
    Look,
    Say(String),
}

#[derive(Message)]
#[message(reply = u64)]
struct Get;

#[derive(Message)]
#[message(reply = Result<String, String>)]
struct Lookup {
    key: String,
}

mod proto {
    use concurrence::Message;

    #[derive(Message)]
    pub(super) struct Ping;

    #[derive(Message)]
    pub(super) enum Op {
        Inc(u32),
        Dec,
    }
}

fn line(text: &str) -> Envelope {
    envelope(Line(text.to_string()))
}

/// One arm of each form a pattern can have, with a last arm.
fn name(message: Envelope) -> String {
    match_message!(match message {
        Quit => "quit".into(),
        Line(text) if text.is_empty() => "empty line".into(),
        Line(mut text) => {
            text.push('!');
            text
        }
        Move { dx: 0, dy: 0 } => "stay".into(),
        Move { dx, .. } if dx > 100 => "jump".into(),
        whole @ Move { dy: 0, .. } => format!("along {}", whole.dx),
        Move { dx, dy } => format!("by {dx}, {dy}"),
        Level(0 | 255) => "extreme".into(),
        Level(low @ 1..=9) => format!("low {low}"),
        Level(200..) => "high".into(),
        Level(_) => "middling".into(),
        Pair(Some(7), Ok(_)) => "seven".into(),
        Pair(None, Err(ref why)) => format!("none because {why}"),
        Pair(..) => "pair".into(),
        Publish::<u64> { value } => format!("number {value}"),
        Publish::<String> { value } => format!("text {value}"),
        Command::Look => "look".into(),
        Command::Say(text) => format!("say {text}"),
        proto::Ping => "ping".into(),
        self::proto::Op::Inc(n) => format!("inc {n}"),
        other => format!("other: {}", other.class()),
    })
}

#[test]
fn patterns_of_every_form_pick_their_message() {
    let by = |dx, dy| envelope(Move { dx, dy });
    assert_eq!(name(envelope(Quit)), "quit");
    assert_eq!(name(line("")), "empty line");
    assert_eq!(name(line("hello")), "hello!");
    assert_eq!(name(by(0, 0)), "stay");
    assert_eq!(name(by(101, 0)), "jump");
    assert_eq!(name(by(5, 0)), "along 5");
    assert_eq!(name(by(5, 6)), "by 5, 6");
    assert_eq!(name(envelope(Level(0))), "extreme");
    assert_eq!(name(envelope(Level(255))), "extreme");
    assert_eq!(name(envelope(Level(9))), "low 9");
    assert_eq!(name(envelope(Level(200))), "high");
    assert_eq!(name(envelope(Level(10))), "middling");
    assert_eq!(name(envelope(Pair(Some(7), Ok(1)))), "seven");
    let none = Pair(None, Err("lost".into()));
    assert_eq!(name(envelope(none)), "none because lost");
    assert_eq!(name(envelope(Pair(None, Ok(1)))), "pair");
    assert_eq!(name(envelope(Publish { value: 7_u64 })), "number 7");
    let text = Publish {
        value: "x".to_string(),
    };
    assert_eq!(name(envelope(text)), "text x");
    assert_eq!(name(envelope(Command::Look)), "look");
    assert_eq!(name(envelope(Command::Say("hi".into()))), "say hi");
    assert_eq!(name(envelope(proto::Ping)), "ping");
    assert_eq!(name(envelope(proto::Op::Inc(3))), "inc 3");
}

#[test]
fn other_gets_what_no_arm_takes() {
    assert!(name(envelope(proto::Op::Dec)).ends_with("Op"));
    assert!(name(envelope(Publish { value: () })).contains("Publish"));
    assert!(name(envelope(Disconnected)).starts_with("other: "));
}

#[test]
fn alternatives_may_be_of_different_classes() {
    let leaves = |message| {
        match_message!(match message {
            Quit | Disconnected => true,
            Line(text) | Command::Say(text) if text == "quit" => true,
            proto::Ping | proto::Op::Inc(_) | proto::Op::Dec | Command::Look => false,
            _ => false,
        })
    };
    assert!(leaves(envelope(Quit)));
    assert!(leaves(envelope(Disconnected)));
    assert!(leaves(line("quit")));
    assert!(leaves(envelope(Command::Say("quit".into()))));
    assert!(!leaves(line("stay")));
    assert!(!leaves(envelope(proto::Op::Dec)));
    assert!(!leaves(envelope(Get)));
}

#[test]
fn alternatives_may_bind_a_name_at_different_types() {
    let text = |message| {
        match_message!(match message {
            Level(n) | Publish::<u64> { value: n } => n.to_string(),
            _ => "none".to_string(),
        })
    };
    assert_eq!(text(envelope(Level(3))), "3");
    assert_eq!(
        text(envelope(Publish { value: 1_u64 << 40 })),
        "1099511627776"
    );
    assert_eq!(text(envelope(Quit)), "none");
}

#[test]
fn a_unit_variant_may_be_named_alone() {
    use Command::{Look, Say};

    let looks = |message| {
        match_message!(match message {
            Look => true,
            Say(_) => false,
            _ => panic!("not a command"),
        })
    };
    assert!(looks(envelope(Look)));
    assert!(!looks(envelope(Say(String::new()))));
}

#[test]
fn a_guard_sees_the_message_and_a_body_owns_it() {
    fn keep(kept: &mut Vec<String>, message: Envelope) {
        let limit = 3;
        match_message!(match message {
            Line(text) if text.len() <= limit => kept.push(text),
            Line(text) if { text.starts_with('#') } => kept.push(text + "!"),
        });
    }
    let mut kept = Vec::new();
    keep(&mut kept, line("abc"));
    keep(&mut kept, line("abcd"));
    keep(&mut kept, line("#abc"));
    assert_eq!(kept, ["abc", "#abc!"]);
}

#[test]
fn guards_run_in_order_and_for_their_class_only() {
    let asked = Cell::new(0);
    let ask = |answer| {
        asked.set(asked.get() + 1);
        answer
    };
    let taken_by = match_message!(match envelope(Level(1)) {
        Quit if ask(true) => 0,
        Level(9) if ask(true) => 1,
        Level(_) if ask(false) => 2,
        Level(_) if ask(true) => 3,
        Level(_) if ask(true) => 4,
        _ => 5,
    });
    assert_eq!((taken_by, asked.get()), (3, 2));
}

#[test]
fn a_whole_class_is_matched_exhaustively_inside() {
    let describe = |message| {
        match_message!(message, {
            command: Command => match command {
                Command::Look => "look",
                Command::Say(_) => "say",
            },
            publish: Publish<u64> => {
                assert_eq!(publish.value, 1);
                "publish"
            }
            other: Level => { if other.0 == 0 { "zero" } else { "level" } }
            _ => "none",
        })
    };
    assert_eq!(describe(envelope(Command::Look)), "look");
    assert_eq!(describe(envelope(Command::Say(String::new()))), "say");
    assert_eq!(describe(envelope(Publish { value: 1_u64 })), "publish");
    assert_eq!(describe(envelope(Level(0))), "zero");
    assert_eq!(describe(envelope(Quit)), "none");
}

#[test]
fn last_arms_take_an_envelope() {
    let classes = [line("x"), envelope(Level(1))].map(|message| {
        match_message!(match message {
            Quit => unreachable!(),
            rest @ _ => rest,
        })
    });
    assert!(classes[0].is::<Line>());
    assert!(classes[1].is::<Level>());

    let only_last = match_message!(match line("x") {
        other => {
            let other: Envelope = other;
            other.downcast::<Line>().map(|line| line.0)
        }
    });
    assert_eq!(only_last.unwrap(), "x");
}

#[test]
fn a_unit_struct_may_be_last() {
    let mut quit = false;
    for message in [line("x"), envelope(Quit)] {
        match_message!(match message {
            Line(_) => {}
            Quit => quit = true,
        });
    }
    assert!(quit);

    match_message!(match envelope(Quit) {
        Quit => {
            quit = false;
        }
    });
    assert!(!quit);
}

#[test]
fn a_statement_takes_bodies_of_different_types() {
    fn run(message: Envelope, log: &mut Vec<u32>) -> Result<(), std::num::ParseIntError> {
        let mut texts = std::collections::HashSet::new();
        match_message!(match message {
            Line(text) => text.parse::<u32>()?,
            Level(n) => log.push(n.into()),
            Quit => texts.insert("a value that is dropped"),
            Move { .. } => {}
            (Get, reply) => reply.send(1),
        });
        log.push(0);
        Ok(())
    }
    let mut log = Vec::new();
    assert!(run(line("7"), &mut log).is_ok());
    assert!(run(line("seven"), &mut log).is_err());
    assert!(run(envelope(Level(5)), &mut log).is_ok());
    assert!(run(envelope(Quit), &mut log).is_ok());
    assert!(run(envelope(Disconnected), &mut log).is_ok());
    assert_eq!(log, [0, 5, 0, 0, 0]);
}

#[test]
fn break_continue_labels_and_return_act_on_what_is_around() {
    /// Goes through `messages` in rounds of two, and says how it ended and which rounds were whole.
    fn run(messages: [Vec<Envelope>; 2]) -> (&'static str, Vec<usize>) {
        let mut whole = Vec::new();
        'rounds: for (round, messages) in messages.into_iter().enumerate() {
            for message in messages {
                match_message!(match message {
                    Quit => break 'rounds,
                    Disconnected => return ("returned", whole),
                    Command::Look => break,
                    Line(_) => continue 'rounds,
                    Level(_) => continue,
                });
                return ("came past the match", whole);
            }
            whole.push(round);
        }
        ("ended", whole)
    }
    let level = || envelope(Level(1));
    let round = || vec![level(), level()];
    assert_eq!(run([round(), round()]), ("ended", vec![0, 1]));
    let broken = vec![envelope(Command::Look), envelope(Disconnected)];
    assert_eq!(run([broken, round()]), ("ended", vec![0, 1]));
    assert_eq!(run([vec![line("")], round()]), ("ended", vec![1]));
    assert_eq!(run([round(), vec![envelope(Quit)]]), ("ended", vec![0]));
    let left = vec![level(), envelope(Disconnected)];
    assert_eq!(run([round(), left]), ("returned", vec![0]));
    let unmatched = vec![envelope(Get)];
    assert_eq!(run([round(), unmatched]), ("came past the match", vec![0]));
}

#[test]
fn break_gives_a_loop_its_value() {
    let mut messages = vec![line("late"), envelope(Level(4)), line("early")];
    let level = loop {
        match_message!(match messages.pop().unwrap() {
            Level(n) => break n,
            Line(_) => continue,
        });
    };
    assert_eq!((level, messages.len()), (4, 1));
}

#[test]
fn the_matched_expression_is_any_expression() {
    struct Inbox(Vec<Envelope>);
    impl Inbox {
        fn next(&mut self) -> Result<Envelope, String> {
            self.0.pop().ok_or_else(|| "empty".to_string())
        }
    }
    fn run(inbox: &mut Inbox) -> Result<u8, String> {
        match_message!(match inbox.next()? {
            Level(n) => Ok(n),
            other => Err(other.class().to_string()),
        })
    }
    let mut inbox = Inbox(vec![envelope(Level(1))]);
    assert_eq!(run(&mut inbox), Ok(1));
    assert_eq!(run(&mut inbox), Err("empty".to_string()));

    let mut inbox = Inbox(vec![envelope(Level(2)), envelope(Level(3))]);
    let block = match_message!(match { inbox.next().unwrap() } {
        Level(n) => n,
        _ => 0,
    });
    let method = match_message!(inbox.next().unwrap(), { Level(n) => n, _ => 0 },);
    assert_eq!((block, method), (3, 2));
}

#[test]
fn matches_nest() {
    #[derive(Default)]
    struct Room {
        heard: Vec<String>,
    }
    impl Room {
        fn take(&mut self, message: Envelope) -> Option<()> {
            match_message!(match message {
                Publish::<Envelope> { value } => match_message!(match value {
                    Line(text) => self.heard.push(text),
                    _ => return Some(()),
                }),
                Quit => None?,
                other => self.heard.push(other.class().to_string()),
            });
            None
        }
    }
    let mut room = Room::default();
    assert!(room.take(envelope(Publish { value: line("in") })).is_none());
    let quit = Publish {
        value: envelope(Quit),
    };
    assert!(room.take(envelope(quit)).is_some());
    assert!(room.take(envelope(Quit)).is_none());
    assert_eq!(room.heard, ["in"]);
}

#[test]
fn an_arm_after_a_block_without_comma_is_an_arm_of_its_own() {
    let run = |message| {
        match_message!(match message {
            Quit => { 1 }
            (Lookup { key, .. }, reply) if !key.is_empty() => {
                reply.send(Ok(key));
                2
            }
            Level(_) => { 3 },
            (Get, reply) => { reply.send(0); 4 }
            | Disconnected => { 5 }
            Line(mut text) => { text.push('x'); 6 }
            Move { dx: -1, .. } => { 7 }
            command: Command => { drop(command); 8 }
            (Lookup { key: _ }, _reply) => { 9 }
            _ => { 5 + 5 }
        })
    };
    assert_eq!(run(envelope(Quit)), 1);
    assert_eq!(run(envelope(Lookup { key: "k".into() })), 2);
    assert_eq!(run(envelope(Level(1))), 3);
    assert_eq!(run(envelope(Get)), 4);
    assert_eq!(run(envelope(Disconnected)), 5);
    assert_eq!(run(line("")), 6);
    assert_eq!(run(envelope(Move { dx: -1, dy: 0 })), 7);
    assert_eq!(run(envelope(Command::Look)), 8);
    assert_eq!(run(envelope(Lookup { key: "".into() })), 9);
    assert_eq!(run(envelope(proto::Ping)), 10);
}

#[test]
fn a_call_arm_answers() {
    let answer = |message| {
        match_message!(match message {
            (Get, reply) => reply.send(7),
            (Lookup { key }, reply) if key == "x" => reply.send(Ok(key)),
            (Lookup { key }, reply) => reply.send(Err(key)),
        });
    };
    let (message, result) = call_envelope(Get);
    answer(message);
    assert_eq!(result(), Ok(7));

    let (message, result) = call_envelope(Lookup { key: "x".into() });
    answer(message);
    assert_eq!(result(), Ok(Ok("x".to_string())));

    let (message, result) = call_envelope(Lookup { key: "y".into() });
    answer(message);
    assert_eq!(result(), Ok(Err("y".to_string())));
}

#[test]
fn a_call_arm_takes_a_message_that_was_only_sent() {
    let wanted = match_message!(match envelope(Get) {
        (Get, reply) => {
            let wanted = reply.is_wanted();
            reply.send(7);
            Some(wanted)
        }
        _ => None,
    });
    assert_eq!(wanted, Some(false));
}

#[test]
fn a_reply_may_come_after_the_arm() {
    let mut waiting: Vec<ReplyTo<u64>> = Vec::new();
    let (message, result) = call_envelope(Get);
    match_message!(match message {
        (Get, reply) if waiting.is_empty() => waiting.push(reply),
        (Get, reply) => reply.send(0),
    });
    waiting.pop().unwrap().send(7);
    assert_eq!(result(), Ok(7));
}

#[test]
fn a_dropped_reply_leaves_the_call_unanswered() {
    let (message, result) = call_envelope(Get);
    match_message!(match message {
        (Get, reply) => drop(reply),
    });
    assert_eq!(result(), Err(CallError::Unanswered));
}

#[test]
fn a_call_that_is_matched_as_a_message_is_unanswered() {
    let (message, result) = call_envelope(Get);
    match_message!(match message {
        Get => {}
    });
    assert_eq!(result(), Err(CallError::Unanswered));
}

#[test]
fn a_call_without_a_reply_value_is_answered_by_the_end_of_its_arm() {
    let (message, result) = call_envelope(Level(3));
    let mut level = 0;
    match_message!(match message {
        Level(n) => level = n,
    });
    assert_eq!((level, result()), (3, Ok(())));

    let (message, result) = call_envelope(Level(3));
    let value = match_message!(match message {
        Level(n) => n,
        _ => 0,
    });
    assert_eq!((value, result()), (3, Ok(())));

    let (message, result) = call_envelope(Quit);
    for message in [message] {
        match_message!(match message {
            Quit => break,
        });
    }
    assert_eq!(result(), Ok(()));

    let (message, result) = call_envelope(Command::Look);
    match_message!(message, { command: Command => drop(command) });
    assert_eq!(result(), Ok(()));
}

#[test]
fn a_panicking_arm_does_not_answer() {
    let (message, result) = call_envelope(Level(3));
    let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        match_message!(match message {
            Level(n) => std::panic::resume_unwind(Box::new(n)),
        });
    }));
    assert_eq!(*panic.unwrap_err().downcast::<u8>().unwrap(), 3);
    assert_eq!(result(), Err(CallError::Ended));
}

#[test]
fn an_underscore_drops_the_message_before_its_body() {
    struct OnDrop(Arc<AtomicUsize>);
    impl Drop for OnDrop {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    let drops = Arc::new(AtomicUsize::new(0));
    let message = envelope(Publish {
        value: OnDrop(drops.clone()),
    });
    let dropped_before = match_message!(match message {
        Quit => usize::MAX,
        _ => drops.load(Ordering::Relaxed),
    });
    assert_eq!(dropped_before, 1);

    let (message, result) = call_envelope(Get);
    let outcome = match_message!(match message {
        Quit => Ok(0),
        _ => result(),
    });
    assert_eq!(outcome, Err(CallError::Unanswered));
}

#[test]
fn what_no_arm_takes_is_passed_on_whole() {
    let (message, result) = call_envelope(Lookup { key: "k".into() });
    let message = match_message!(match message {
        (Lookup { key }, _reply) if key.is_empty() => panic!("the guard says no"),
        Lookup { key } if key == "x" => panic!("the guard says no"),
        lookup @ Lookup { .. } if lookup.key.len() > 1 => panic!("the guard says no"),
        Quit | Get => panic!("another class"),
        other => other,
    });
    assert!(message.is::<Lookup>() && message.is_call());
    let message = match_message!(match message {
        (Quit, reply) => panic!("another class, for {reply:?}"),
        rest @ _ => rest,
    });
    match_message!(match message {
        (Lookup { key }, reply) => reply.send(Ok(key)),
    });
    assert_eq!(result(), Ok(Ok("k".to_string())));
}

#[test]
fn an_unmatched_call_is_unanswered() {
    let (message, result) = call_envelope(Lookup { key: "k".into() });
    match_message!(match message {
        Quit => {}
        (Lookup { key }, reply) if key.is_empty() => reply.send(Ok(key)),
    });
    assert_eq!(result(), Err(CallError::Unanswered));
}

#[test]
fn names_of_the_macro_do_not_meet_those_of_its_user() {
    let slot = 1_u8;
    let rest = 2_u8;
    let message = envelope(Level(3));
    let sum = match_message!(match message {
        Level(n) if n == slot => 0,
        Level(n) if n > rest => n + slot + rest,
        _ => 0,
    });
    assert_eq!(sum, 6);
}

/// As many classes as a test asks for.
#[derive(Message)]
struct C<const N: usize>(usize);

#[test]
fn forty_arms_fit() {
    fn number(message: Envelope) -> usize {
        match_message!(match message {
            C::<0>(n) => n,
            C::<1>(n) => n + 1,
            C::<2>(n) => n + 2,
            C::<3>(n) => n + 3,
            C::<4>(n) => n + 4,
            C::<5>(n) => n + 5,
            C::<6>(n) => n + 6,
            C::<7>(n) => n + 7,
            C::<8>(n) => n + 8,
            C::<9>(n) => n + 9,
            C::<10>(n) => n + 10,
            C::<11>(n) => n + 11,
            C::<12>(n) => n + 12,
            C::<13>(n) => n + 13,
            C::<14>(n) => n + 14,
            C::<15>(n) => n + 15,
            C::<16>(n) => n + 16,
            C::<17>(n) => n + 17,
            C::<18>(n) => n + 18,
            C::<19>(n) => n + 19,
            C::<20>(n) => n + 20,
            C::<21>(n) => n + 21,
            C::<22>(n) => n + 22,
            C::<23>(n) => n + 23,
            C::<24>(n) => n + 24,
            C::<25>(n) => n + 25,
            C::<26>(n) => n + 26,
            C::<27>(n) => n + 27,
            C::<28>(n) => n + 28,
            C::<29>(n) => n + 29,
            (Get, reply) => {
                reply.send(1);
                30
            }
            (Lookup { key }, _reply) => key.len(),
            Quit | Disconnected => 32,
            Line(text) if text.is_empty() => 33,
            Line(text) => text.len(),
            Move { dx: 0, .. } => 35,
            Move { .. } => 36,
            Command::Look | proto::Ping => 37,
            proto::Op::Dec => 38,
            Level(_) => 39,
            other => other.class().len(),
        })
    }
    assert_eq!(number(envelope(C::<0>(1))), 1);
    assert_eq!(number(envelope(C::<29>(1))), 30);
    assert_eq!(number(envelope(Disconnected)), 32);
    assert_eq!(number(envelope(proto::Ping)), 37);
    assert_eq!(number(envelope(Level(0))), 39);
    assert!(number(envelope(C::<40>(0))) > 0);
}

#[test]
fn a_right_to_answer_is_put_back_only_where_it_came_from() {
    let (call, wait) = call_envelope(Get);
    let (other_call, other_wait) = call_envelope(Get);
    let taken = Slot::new(call).take_call::<Get>();
    // Into another call, which has its own, and into one that was only sent.
    let mut other = Slot::new(other_call);
    other.restore_call(taken);
    assert_eq!(wait(), Err(CallError::Unanswered));
    let (_, reply) = other.take_call::<Get>().expect("it still has its own");
    let mut sent = Slot::new(envelope(Get));
    let message = sent.take::<Get>().expect("it is of this class");
    sent.restore_call(Some((message, reply)));
    assert_eq!(other_wait(), Err(CallError::Unanswered));
    drop(sent);
}
