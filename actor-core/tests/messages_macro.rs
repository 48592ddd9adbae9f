//! What `#[messages]` makes of an actor's methods.

mod common;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, Once};
use std::time::Duration;

use actor_core::{
    Actor, Addr, CallError, Context, ExitReason, Mailbox, Overflow, Recipient, SendError, messages,
};
use common::*;

extern crate actor_core as concurrence;

#[derive(Default)]
struct Counter {
    value: u64,
    ticks: u64,
}

impl Actor for Counter {}

#[messages]
impl Counter {
    const STEP: u64 = 10;

    /// No message: it has no `self`.
    fn starting_at(value: u64) -> Self {
        Counter { value, ticks: 0 }
    }

    /// Adds `n`.
    fn add(&mut self, n: u64) {
        self.value += n;
    }

    fn add_product(&mut self, mut a: u64, b: u64) {
        a *= b;
        self.add(a); // still a plain method in here
    }

    fn get(&self) -> u64 {
        self.value
    }

    fn swap(&mut self, other: Self) -> Self {
        std::mem::replace(self, other)
    }

    fn steps(&self, _sizes: [u8; Self::STEP as usize]) -> [u64; Self::STEP as usize] {
        [self.value; Self::STEP as usize]
    }

    fn end(&mut self, ctx: &mut Context<Self>) {
        ctx.stop();
    }

    #[allow(clippy::unused_unit)]
    fn unit(&mut self) -> () {}

    fn count_ticks(&mut self, period: Duration, ctx: &mut actor_core::Context<Self>) -> String {
        ctx.send_every(counter_messages::Tick, period);
        ctx.addr().name().to_owned()
    }

    fn tick(&mut self) {
        self.ticks += 1;
    }

    fn hold(&mut self, begun: Gate, end: Gate) {
        begun.open();
        end.pass();
    }

    fn ticks(&self, _: &Context<Self>) -> u64 {
        self.ticks
    }

    #[message(skip)]
    fn call(&self) -> &u64 {
        &self.value
    }
}

#[test]
fn without_a_return_value_it_is_sent_with_one_it_is_called() {
    run(|| {
        let counter = Addr::spawn(Counter::starting_at(1));
        let sent: Result<(), SendError<counter_messages::Add>> = counter.add(2);
        assert!(sent.is_ok());
        counter.add_product(3, 4).expect("it lives");
        let called: Result<u64, CallError> = counter.get();
        assert_eq!(called, Ok(15));
        assert!(counter.unit().is_ok());
    });
    assert_eq!(*Counter::starting_at(3).call(), 3);
}

#[test]
fn self_is_the_actor_in_what_a_message_carries_and_its_answer() {
    run(|| {
        let counter = Addr::spawn(Counter::default());
        let before = counter.swap(Counter::starting_at(7)).expect("answered");
        assert_eq!(before.value, 0);
        assert_eq!(counter.steps([0; 10]), Ok([7; 10]));
    });
}

#[test]
fn the_context_is_passed_and_is_no_part_of_the_message() {
    run(|| {
        let counter = Addr::builder().name("watch").spawn(Counter::default());
        let counter = counter.expect("there is room");
        assert_eq!(counter.count_ticks(SHORT).as_deref(), Ok("watch"));
        wait_until(|| counter.ticks().expect("answered") > 2);
        counter.end().expect("it lives");
        assert!(matches!(counter.join(), ExitReason::Normal));
        assert_eq!(counter.get(), Err(CallError::Ended));
        let refused = counter.add(3).expect_err("it has ended");
        assert_eq!(refused.into_message().n, 3);
    });
}

#[test]
fn the_types_are_messages_like_any_other() {
    run(|| {
        let counter = Addr::spawn(Counter::default());
        counter.send(counter_messages::Add { n: 1 }).expect("taken");
        let recipient: Recipient<counter_messages::AddProduct> = counter.recipient();
        let six = counter_messages::AddProduct { a: 2, b: 3 };
        recipient.call(six).expect("answered");
        assert_eq!(counter.call(counter_messages::Get), Ok(7));
    });
}

#[test]
fn the_types_can_be_shown() {
    assert_eq!(format!("{:?}", counter_messages::Get), "Get");
    let add = counter_messages::Add { n: 1 };
    assert_eq!(format!("{add:?}"), "Add { .. }");
    let task = named_messages::Line {
        line: Line("x".into()),
    };
    assert_eq!(task.clone(), task);
    assert_eq!(format!("{task:?}"), r#"Line { line: Line("x") }"#);
}

#[test]
fn a_full_mailbox_gives_the_message_back() {
    run(|| {
        let counter = Addr::builder()
            .mailbox(Mailbox::bounded(1, Overflow::Fail))
            .spawn(Counter::default())
            .expect("there is room");
        let (begun, end) = (Gate::new(), Gate::new());
        counter.hold(begun.clone(), end.clone()).expect("taken");
        begun.pass();
        counter.add(1).expect("there is room for one");
        match counter.add(2) {
            Err(SendError::Full(counter_messages::Add { n })) => assert_eq!(n, 2),
            other => panic!("{other:?}"),
        }
        end.open();
    });
}

/// Its messages are called as types that are used in them.
#[derive(Default)]
struct Named {
    lines: Vec<String>,
}

#[derive(Clone, Debug, PartialEq)]
struct Line(String);

impl Actor for Named {}

#[messages]
impl Named {
    #[message(derive(Clone, Debug, PartialEq))]
    fn line(&mut self, line: Line) -> Option<Line> {
        let last = self.lines.last().cloned().map(Line);
        self.lines.push(line.0);
        last
    }

    fn string(&self, of: Vec<String>) -> String {
        of.concat()
    }

    fn vec(&self, string: String) -> Vec<String> {
        vec![string]
    }

    fn result(&self, of: Result<u8, ()>) -> Result<(), u8> {
        of.map_or(Ok(()), Err)
    }

    fn option(&self) -> Option<u8> {
        None
    }

    // What the macro itself speaks of.
    fn handle(&self, message: u8, ctx: u8, _: &mut Context<Self>) -> u8 {
        message + ctx
    }

    fn unheard(&self) -> u8 {
        1
    }

    fn answer(&self, ctx: u8, message: u8) -> u8 {
        message - ctx
    }

    fn context(&self, arguments: u8) -> u8 {
        arguments
    }

    fn addr(&self) -> u8 {
        2
    }

    // An address can have these: what has the name already is no method of it.
    fn spawn(&self) -> u8 {
        3
    }

    fn builder(&self) -> u8 {
        4
    }

    fn r#type(&self, r#fn: u8) -> u8 {
        r#fn
    }
}

#[test]
fn names_do_not_collide() {
    run(|| {
        let named = Addr::spawn(Named::default());
        assert_eq!(named.line(Line("a".into())), Ok(None));
        assert_eq!(named.line(Line("b".into())), Ok(Some(Line("a".into()))));
        let parts = vec!["a".to_owned(), "b".to_owned()];
        assert_eq!(named.string(parts).as_deref(), Ok("ab"));
        assert_eq!(named.vec("a".into()), Ok(vec!["a".to_owned()]));
        assert_eq!(named.result(Ok(1)), Ok(Err(1)));
        assert_eq!(named.option(), Ok(None));
        assert_eq!(named.handle(1, 2), Ok(3));
        assert_eq!(named.unheard(), Ok(1));
        assert_eq!(named.answer(1, 2), Ok(1));
        assert_eq!(named.context(5), Ok(5));
        assert_eq!(named.addr(), Ok(2));
        assert_eq!(named.spawn(), Ok(3));
        assert_eq!(named.builder(), Ok(4));
        assert_eq!(named.r#type(6), Ok(6));
        assert_eq!(named.call(named_messages::Type { r#fn: 7 }), Ok(7));
    });
}

mod bank {
    use super::*;

    pub(super) struct Account {
        pub(super) balance: u64,
    }

    impl Actor for Account {}

    #[messages]
    impl Account {
        pub(super) fn balance(&self) -> u64 {
            self.balance
        }

        pub(super) fn deposit_later(&mut self, amount: u64, ctx: &mut Context<Self>) {
            // The private message and its trait are seen here.
            ctx.addr().deposit(amount).expect("it lives");
        }

        fn deposit(&mut self, amount: u64) {
            self.balance += amount;
        }
    }

    #[messages(module = audit)]
    impl Account {
        pub(crate) fn is_sound(&self) -> bool {
            true
        }
    }

    pub(super) mod inner {
        use super::*;

        #[messages(module = inspection)]
        impl Account {
            pub(in super::super) fn is_rich(&self) -> bool {
                self.balance > 1_000_000
            }
        }
    }
}

#[test]
fn a_message_is_as_visible_as_its_method() {
    use bank::inner::{Inspection, inspection};
    use bank::{AccountMessages, Audit, account_messages};

    run(|| {
        let account = Addr::spawn(bank::Account { balance: 5 });
        account.deposit_later(6).expect("it lives");
        wait_until(|| account.balance() == Ok(11));
        assert_eq!(account.call(account_messages::Balance), Ok(11));
        assert_eq!(account.is_sound(), Ok(true));
        assert_eq!(account.call(bank::audit::IsSound), Ok(true));
        assert_eq!(account.is_rich(), Ok(false));
        assert_eq!(account.call(inspection::IsRich), Ok(false));
    });
}

struct Conditional;

impl Actor for Conditional {}

#[messages]
impl Conditional {
    #[cfg(test)]
    fn present(&self, n: u8) -> u8 {
        n
    }

    #[cfg(not(test))]
    fn present(&self, n: Missing) -> Missing {
        n
    }

    #[cfg_attr(test, doc = "Not there.", cfg(not(test)))]
    fn absent(&self, n: Missing) -> Missing {
        n
    }

    #[cfg_attr(test, inline, doc = "There.")]
    #[cfg_attr(not(test), cfg(not(test)))]
    #[deprecated]
    fn old(&self) -> u8 {
        1
    }
}

#[test]
#[expect(deprecated, reason = "it is carried over")]
fn conditions_are_carried_over() {
    run(|| {
        let conditional = Addr::spawn(Conditional);
        assert_eq!(conditional.present(3), Ok(3));
        assert_eq!(conditional.old(), Ok(1));
    });
}

struct Keeper;

type Outcome<T> = Result<T, Refused>;
type Comparison = fn(&str, &str) -> bool;

#[derive(Debug, PartialEq)]
enum Refused {
    Closed,
}

#[derive(Debug, PartialEq)]
struct Broken;

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("broken in two")
    }
}

struct Unspeakable;

struct Dreadful;

impl fmt::Display for Dreadful {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        panic!("it is not to be shown")
    }
}

impl Actor for Keeper {}

#[messages]
impl Keeper {
    fn displayed(&mut self, fails: bool) -> Result<u8, Broken> {
        if fails { Err(Broken) } else { Ok(1) }
    }

    fn debugged(&mut self) -> Outcome<()> {
        Err(Refused::Closed)
    }

    fn opaque(&mut self) -> Result<(), Unspeakable> {
        Err(Unspeakable)
    }

    fn dreadful(&mut self) -> Result<(), Dreadful> {
        Err(Dreadful)
    }

    fn no_result(&mut self) -> Option<Broken> {
        Some(Broken)
    }

    fn owned(
        &mut self,
        name: &'static str,
        compare: Comparison,
        find: fn(&str) -> &str,
        ask: Box<dyn for<'a> Fn(&'a str) -> &'a str + Send>,
    ) -> (bool, BTreeMap<&'static str, String>) {
        let found = find(ask(name)).to_owned();
        (compare(name, &found), BTreeMap::from([(name, found)]))
    }
}

/// The log lines of this file's tests.
static LOG: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Keeps what is logged.
struct Log;

impl tracing::Subscriber for Log {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        *metadata.level() <= tracing::Level::WARN
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        struct Text(String);
        impl tracing::field::Visit for Text {
            fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn fmt::Debug) {
                self.0 += &format!("{field}={value:?} ");
            }
        }
        let mut text = Text(format!("{} ", event.metadata().level()));
        event.record(&mut text);
        LOG.lock().expect("no test panics with it").push(text.0);
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}

fn log_of(actor: &str) -> Vec<String> {
    let lines = LOG.lock().expect("no test panics with it").clone();
    let of_actor = |line: &String| line.contains(&format!("actor=\"{actor}\""));
    lines.into_iter().filter(of_actor).collect()
}

#[test]
fn the_error_of_a_message_that_was_only_sent_is_logged() {
    use keeper_messages::*;

    static SET: Once = Once::new();
    SET.call_once(|| tracing::subscriber::set_global_default(Log).expect("it is the first"));
    run(|| {
        let keeper = Addr::builder().name("keeper").spawn(Keeper);
        let keeper = keeper.expect("there is room");

        // A caller has the error, and it is for the caller to say so.
        assert_eq!(keeper.displayed(true), Ok(Err(Broken)));
        assert_eq!(keeper.displayed(false), Ok(Ok(1)));
        keeper.send(Displayed { fails: false }).expect("taken");
        keeper.send(NoResult).expect("taken");
        assert_eq!(keeper.no_result(), Ok(Some(Broken)));
        assert_eq!(log_of("keeper"), [""; 0]);

        keeper.send(Displayed { fails: true }).expect("taken");
        keeper.send(Debugged).expect("taken");
        keeper.send(Opaque).expect("taken");
        keeper.send(Dreadful).expect("taken");
        assert_eq!(keeper.no_result(), Ok(Some(Broken)));
        let log = log_of("keeper");
        assert_eq!(log.len(), 3, "{log:?}");
        for (line, (class, error)) in log.iter().zip([
            ("Displayed", "broken in two"),
            ("Debugged", "Closed"),
            ("Opaque", "messages_macro::Unspeakable"),
        ]) {
            assert!(line.starts_with("WARN"), "{line}");
            assert!(line.contains("a message that was only sent has failed"));
            let class = format!("class=\"messages_macro::keeper_messages::{class}\"");
            assert!(line.contains(&class), "{line}");
            assert!(line.contains(&format!("error=\"{error}\"")), "{line}");
        }
    });
}

#[test]
fn what_borrows_from_nobody_is_taken() {
    run(|| {
        let keeper = Addr::spawn(Keeper);
        let answer = keeper.owned("a", |a, b| a == b, str::trim, Box::new(|text| text));
        let (same, map) = answer.expect("answered");
        assert!(same);
        assert_eq!(map["a"], "a");
    });
}

#[test]
fn it_works_in_a_function() {
    struct Local(u8);

    impl Actor for Local {}

    #[messages]
    impl Local {
        fn add(&mut self, n: u8) {
            self.0 += n;
        }

        fn get(&self) -> u8 {
            self.0
        }
    }

    run(|| {
        let local = Addr::spawn(Local(1));
        local.add(2).expect("it lives");
        assert_eq!(local.get(), Ok(3));
    });
}

macro_rules! cell {
    ($vis:vis $name:ident of $content:ty, $set:ident) => {
        $vis struct $name($content);

        impl Actor for $name {}

        #[messages]
        impl $name {
            $vis fn get(&self) -> $content {
                self.0.clone()
            }

            $vis fn $set(&mut self, content: $content, _: &mut Context<Self>) {
                self.0 = content;
            }
        }
    };
}

cell!(TextCell of String, set);

mod cells {
    use super::*;

    cell!(pub(super) NumberCell of u64, put);

    impl NumberCell {
        pub(super) fn new() -> NumberCell {
            NumberCell(1)
        }
    }
}

#[test]
fn it_works_out_of_a_declarative_macro() {
    use cells::NumberCellMessages;

    run(|| {
        let cell = Addr::spawn(TextCell("a".into()));
        cell.set("b".into()).expect("it lives");
        assert_eq!(cell.get().as_deref(), Ok("b"));
        let cell = Addr::spawn(cells::NumberCell::new());
        cell.put(2).expect("it lives");
        assert_eq!(cell.get(), Ok(2));
    });
}

mod elsewhere {
    pub(crate) use actor_core as framework;
}

struct Distant<T>(T);

impl<T: Send + 'static> Actor for Distant<T> {}

#[messages(crate = crate::elsewhere::framework)]
impl Distant<u64> {
    fn number(&self) -> u64 {
        self.0
    }
}

#[messages(module = texts, crate = elsewhere::framework)]
impl Distant<String> {
    fn text(&self) -> String {
        self.0.clone()
    }
}

#[test]
fn an_instance_of_a_generic_type_can_have_messages() {
    run(|| {
        assert_eq!(Addr::spawn(Distant(3_u64)).number(), Ok(3));
        let text = Addr::spawn(Distant("three".to_owned()));
        assert_eq!(text.text().as_deref(), Ok("three"));
        assert_eq!(text.call(texts::Text).as_deref(), Ok("three"));
    });
}

#[messages(module = nothing)]
impl Counter {
    fn also_starting_at(value: u64) -> Self {
        Counter::starting_at(value)
    }
}

#[test]
fn an_impl_may_be_without_messages() {
    assert_eq!(Counter::also_starting_at(3).get(), 3);
}
