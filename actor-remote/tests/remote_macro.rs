//! What `#[remote]` makes of a trait, and `protocol!` of messages.

use std::any::TypeId;
use std::sync::{Arc, mpsc};

use actor_core::remote::Export;
use actor_core::{
    Actor, Addr, Context, Handler, Message, RemoteMessage, SendError, Tasklet, dispatch,
};
use actor_remote::{Config, MessageName, Node, Protocol, RemoteRef, Serves, Takes, protocol};
use serde::{Deserialize, Serialize};

#[path = "ui/framework/mod.rs"]
mod framework;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum BankError {
    TooLittle { left: u64 },
}

/// As a name that a message has as well.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Note(String);

/// What a bank does.
#[actor_core::remote(crate = crate::framework)]
trait Bank {
    /// Not of the messages.
    const LIMIT: u64;

    /// No message: it takes no `self`.
    fn new() -> Self
    where
        Self: Sized;

    /// Puts money in.
    fn deposit(&mut self, account: u64, amount: u64) -> Result<u64, BankError>;

    /// Takes money out. [`Self::deposit`] is the contrary.
    fn withdraw(&mut self, account: u64, mut amount: u64) -> Result<u64, BankError> {
        let _ = account;
        amount = amount.min(Self::LIMIT);
        Err(BankError::TooLittle { left: amount })
    }

    fn balance(&self, r#type: u64) -> u64;

    fn note(&mut self, note: Note);

    #[cfg(any())]
    fn never_there(&self, of: NoType) -> NoType;

    #[cfg_attr(all(), cfg(any()))]
    fn never_there_either(&self, of: NoType);

    #[cfg_attr(any(), cfg(any()))]
    fn always_there(&self) -> u8 {
        7
    }

    #[message(derive(Clone, PartialEq))]
    fn r#match(&self, with: Vec<(u64, Option<Note>)>) -> usize {
        with.len()
    }

    fn reset(&mut self) -> ();

    /// No message, and so it may be what a message cannot.
    #[message(skip)]
    #[allow(dead_code)]
    fn each<F: FnMut(u64)>(&self, mut f: F)
    where
        Self: Sized,
    {
        f(self.balance(0));
    }
}

#[derive(Debug)]
struct Vault {
    balance: u64,
    notes: Vec<Note>,
}

impl Bank for Vault {
    const LIMIT: u64 = 100;

    fn new() -> Vault {
        Vault {
            balance: 0,
            notes: Vec::new(),
        }
    }

    fn deposit(&mut self, _: u64, amount: u64) -> Result<u64, BankError> {
        self.balance += amount;
        Ok(self.balance)
    }

    fn balance(&self, _: u64) -> u64 {
        self.balance + self.notes.len() as u64
    }

    fn note(&mut self, note: Note) {
        self.notes.push(note);
    }

    fn reset(&mut self) {
        *self = Vault::new();
    }
}

/// What is served as the protocol `P`, as one in another process.
fn reference<P: Protocol>(served: &impl Serves<P>) -> Vec<Arc<dyn Export>> {
    let mut exports = Vec::new();
    served.recipients(&mut |export| exports.push(export));
    let names: Vec<MessageName> = exports.iter().map(|export| export.class()).collect();
    assert_eq!(names, P::MESSAGES);
    exports
}

#[test]
fn the_messages_are_those_of_the_methods() {
    let names: Vec<&str> = BankProtocol::MESSAGES.iter().map(|m| m.name).collect();
    assert_eq!(
        names,
        [
            "Bank.deposit",
            "Bank.withdraw",
            "Bank.balance",
            "Bank.note",
            "Bank.always_there",
            "Bank.match",
            "Bank.reset",
        ]
    );
    assert_eq!(<BankProtocol as Takes<bank_messages::Deposit>>::INDEX, 0);
    assert_eq!(<BankProtocol as Takes<bank_messages::Match>>::INDEX, 5);
    assert_eq!(size_of::<BankProtocol>(), 0);
    let message = bank_messages::Match { with: vec![] };
    assert_eq!(message.clone(), message);
    let text = format!(
        "{:?}",
        bank_messages::Deposit {
            account: 1,
            amount: 2
        }
    );
    assert_eq!(text, "Deposit { account: 1, amount: 2 }");
    fn reply<M: Message>() -> TypeId {
        TypeId::of::<M::Reply>()
    }
    assert_eq!(
        reply::<bank_messages::Deposit>(),
        TypeId::of::<Result<u64, BankError>>()
    );
    assert_eq!(reply::<bank_messages::Reset>(), TypeId::of::<()>());
}

/// The other side may have written the messages out.
#[test]
fn a_method_is_the_same_message_as_a_type_that_is_written_out() {
    mod written {
        use super::*;

        #[derive(Message, Serialize, Deserialize)]
        #[message(crate = actor_core, remote = "Bank.deposit", reply = Result<u64, BankError>)]
        pub(super) struct PutIn {
            account: u64,
            amount: u64,
        }

        #[derive(Message, Serialize, Deserialize)]
        #[message(crate = actor_core, remote = "Bank.balance", reply = u64)]
        pub(super) struct Left {
            r#type: u64,
        }

        #[derive(Message, Serialize, Deserialize)]
        #[message(crate = actor_core, remote = "Bank.reset")]
        pub(super) struct Clear;
    }

    fn same<M: RemoteMessage, N: RemoteMessage>() {
        assert_eq!(MessageName::of::<M>(), MessageName::of::<N>());
        assert_eq!(M::ENCODING, N::ENCODING);
    }
    same::<bank_messages::Deposit, written::PutIn>();
    same::<bank_messages::Balance, written::Left>();
    same::<bank_messages::Reset, written::Clear>();
}

#[test]
fn a_reference_has_the_methods_and_the_actor_calls_them() {
    dispatch(|| {
        let vault = Addr::spawn(BankActor(Vault::new()));
        let server = Node::listen("127.0.0.1:0", Config::new("server")).unwrap();
        server.expose("bank", &vault).protocol::<BankProtocol>();
        let client = Node::start(Config::new("client")).unwrap();
        let peer = client.connect(server.local_addr().unwrap()).unwrap();

        // Of another node, and of this one.
        for bank in [
            peer.lookup::<BankProtocol>("bank").unwrap(),
            RemoteRef::new(&vault),
        ] {
            assert_eq!(bank.deposit(1, 50), Ok(Ok(50)));
            let refused = Err(BankError::TooLittle { left: 100 });
            assert_eq!(bank.withdraw(1, 200), Ok(refused));
            bank.note(Note("of it".to_owned())).unwrap();
            assert_eq!(bank.balance(1), Ok(51));
            assert_eq!(bank.always_there(), Ok(7));
            assert_eq!(bank.r#match(vec![(1, None)]), Ok(1));
            bank.reset().unwrap();
            assert_eq!(bank.balance(1), Ok(0));
        }

        let bank = peer.lookup::<BankProtocol>("bank").unwrap();
        client.close();
        let note = Note("late".to_owned());
        let Err(SendError::Disconnected(message)) = bank.note(note.clone()) else {
            panic!("the message comes back");
        };
        assert_eq!(message.note, note);
        assert!(bank.balance(1).is_err());
        server.close();
        vault.stop();
    });
}

#[test]
fn actors_that_take_all_messages_serve_the_protocol_and_so_do_tasklets() {
    dispatch(|| {
        let vault = Addr::spawn(BankActor(Vault::new()));
        let exports = reference::<BankProtocol>(&vault);
        assert!(exports.iter().all(|export| export.pid() == vault.pid()));

        let me = Tasklet::current();
        let exports = reference::<BankProtocol>(&me);
        assert!(exports.iter().all(|export| export.pid() == me.pid()));
    });
}

mod elsewhere {
    /// One whose names are all given, and whose methods others see.
    #[actor_core::remote(crate = crate::framework, name = "log/2", module = lines)]
    pub(crate) trait Log {
        fn append(&mut self, line: String);
    }
}

#[test]
fn names_can_be_given() {
    use elsewhere::lines::Append;
    use elsewhere::{Log, LogActor, LogProtocol};

    struct Lines(mpsc::Sender<String>);

    impl Log for Lines {
        fn append(&mut self, line: String) {
            self.0.send(line).expect("wanted");
        }
    }

    assert_eq!(Append::NAME, "log/2.append");
    assert_eq!(LogProtocol::MESSAGES, [MessageName::of::<Append>()]);
    let (lines, written) = mpsc::channel();
    dispatch(|| {
        let log = Addr::spawn(LogActor(Lines(lines)));
        let line = "a line".to_owned();
        log.recipient().send(Append { line }).unwrap();
    });
    assert_eq!(written.iter().collect::<Vec<_>>(), ["a line"]);
}

/// A trait of nothing but what is no message.
#[actor_core::remote(crate = crate::framework)]
#[allow(dead_code)]
trait Nothing {
    const N: usize;
}

#[test]
fn a_protocol_may_be_empty() {
    assert_eq!(NothingProtocol::MESSAGES, []);
}

#[derive(Message, Serialize, Deserialize)]
#[message(crate = actor_core, remote = "clock.Tick")]
struct Tick;

#[derive(Message, Serialize, Deserialize)]
#[message(crate = actor_core, remote = "clock.Time", reply = u64)]
struct Time;

/// A new version goes beside the old one.
#[derive(Message, Serialize, Deserialize)]
#[message(crate = actor_core, remote = "clock.Time", version = 2, reply = u128)]
struct Time2;

protocol! {
    /// A clock.
    pub(crate) Clock: Tick, Time, Time2,
}

struct Hands(u64);

impl Actor for Hands {}

impl Handler<Tick> for Hands {
    fn handle(&mut self, _: Tick, _: &mut Context<Self>) {
        self.0 += 1;
    }
}

impl Handler<Time> for Hands {
    fn handle(&mut self, _: Time, _: &mut Context<Self>) -> u64 {
        self.0
    }
}

impl Handler<Time2> for Hands {
    fn handle(&mut self, _: Time2, _: &mut Context<Self>) -> u128 {
        self.0.into()
    }
}

#[test]
fn a_protocol_can_be_made_of_messages() {
    assert_eq!(
        Clock::MESSAGES,
        [
            MessageName::of::<Tick>(),
            MessageName::of::<Time>(),
            MessageName::of::<Time2>(),
        ]
    );
    assert_eq!(<Clock as Takes<Tick>>::INDEX, 0);
    assert_eq!(<Clock as Takes<Time>>::INDEX, 1);
    assert_eq!(<Clock as Takes<Time2>>::INDEX, 2);
    assert_eq!(size_of::<Clock>(), 0);
    dispatch(|| {
        let hands = Addr::spawn(Hands(0));
        assert_eq!(reference::<Clock>(&hands).len(), 3);
        assert_eq!(reference::<Clock>(&Tasklet::current()).len(), 3);
    });
}
