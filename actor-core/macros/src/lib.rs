//! The derive and attribute macros of Concurrence, re-exported by `actor-core` and by the facade `concurrence`.

mod classes;
mod derive;
mod messages;
mod method;
mod names;
mod remote;
mod schema;
mod serde_says;

use syn::meta::ParseNestedMeta;
use syn::{DeriveInput, Error, parse_macro_input};

/// Makes a struct or an enum a class of messages.
///
/// The class is the type: a mailbox takes a value of it, and `match_message!` finds it again by its
/// patterns. Its type parameters are required to be `Send` and `'static`, as a message travels
/// between threads.
///
/// # Attributes
///
/// All go into `#[message(..)]`:
///
/// - `reply = Type`: what a call of the message is answered with; `()` without it.
/// - `crate = path`: where the framework is found, if not at `::concurrence`.
/// - `remote = "name"`, `version = number` and `encoding = "named"`: see [below](#other-processes).
///
/// # Examples
///
/// ```
/// # extern crate actor_core as concurrence;
/// use concurrence::Message;
///
/// #[derive(Message)]
/// struct Say {
///     to: String,
///     text: String,
/// }
///
/// #[derive(Message)]
/// #[message(reply = Vec<String>)]
/// struct Members;
///
/// #[derive(Message)]
/// enum Change<T> {
///     Insert(T),
///     Clear,
/// }
///
/// fn is_message<M: Message>() {}
/// is_message::<Say>();
/// is_message::<Change<u64>>();
/// ```
///
/// # Other processes
///
/// With `remote` the class can go to other processes as well, if it and its reply have `Serialize` and
/// `Deserialize`: `RemoteMessage` is implemented for it. This needs the feature `remote`.
///
/// ```
/// # extern crate actor_core as concurrence;
/// use concurrence::{Encoding, Message, RemoteMessage};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Message, Serialize, Deserialize)]
/// #[message(remote = "bank.Deposit", version = 2, reply = u64)]
/// struct Deposit {
///     account: u64,
///     amount: u64,
/// }
///
/// #[derive(Message, Serialize, Deserialize)]
/// #[message(remote = "bank.Options", encoding = "named")]
/// struct Options {
///     limit: u64,
///     #[serde(default)] // added later
///     currency: Option<String>,
/// }
///
/// assert_eq!((Deposit::NAME, Deposit::VERSION), ("bank.Deposit", 2));
/// assert_eq!(Deposit::ENCODING, Encoding::Compact);
/// assert_eq!(Options::ENCODING, Encoding::Named);
/// ```
///
/// - `remote = "bank.Deposit"` is the name, the same in all processes: up to 128 bytes, without spaces and
///   control characters. It is written out, so that a type can be moved and renamed. One name is one type:
///   a generic one has none.
/// - `version = 2`: both sides have the same one; 1 without it.
/// - `encoding = "named"`: the fields travel with their names, so that one can be added (with
///   `#[serde(default)]`) or left out on one side before the other. `"compact"`, which is what it is without
///   it, is smaller and faster, and both sides have the same fields.
///
/// `SCHEMA` is a hash by which two sides find out before the first message that they mean something
/// different by one name. Compact messages are hashed by the names of their fields, the types of these as
/// they are written, and their order; enums by the names and the order of their variants as well; and all
/// by the type of the reply as it is written, and by the encoding. So `u64` and a type alias of it are
/// different, whereas spaces, line breaks, comments and most attributes are not looked at. Those of serde are, as
/// they are written, where they can change what goes over; and what makes bytes of a compact message that nobody can
/// read is an error: `skip_serializing_if`, `flatten`, `untagged`, `tag`, `skip_serializing` without
/// `skip_deserializing` or the reverse, and variants that are skipped. Of named messages
/// the fields and variants are left out: that these differ is what the encoding is for. What the hash cannot
/// see is a change within a type that is only mentioned.
#[proc_macro_derive(Message, attributes(message))]
pub fn derive_message(input: proc_macro::TokenStream) -> proc_macro::TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    derive::implement(input)
        .unwrap_or_else(Error::into_compile_error)
        .into()
}

/// Makes messages of an actor's methods.
///
/// Put on an `impl` of an actor's own methods, which stay what they are, it adds:
///
/// - a module, named after the actor: `counter_messages` for `Counter`. It has a type for each method
///   that takes `&mut self` or `&self`, called as the method is in camel case, and with the method's
///   arguments for its fields: `counter_messages::Add { n: 3 }`. The types can be shown with `{:?}`;
///   those without fields are `Copy`.
/// - a `Handler` of the actor for each of them, which calls the method.
/// - a trait, `CounterMessages`, through which the actor's address has the methods as well. One that
///   returns nothing is sent, with a `Result<(), SendError<_>>`; one that returns a `T` is called, and the
///   caller waits, with a `Result<T, CallError>`; `timeout` limits that. Elsewhere than in the module of the `impl` the trait has
///   to be imported.
///
/// The documentation of a method is also that of its message and of its counterpart at the address.
///
/// ```
/// # extern crate actor_core as concurrence;
/// use concurrence::{Actor, Addr, Context, Recipient, dispatch, messages};
/// use std::time::Duration;
///
/// struct Account {
///     balance: u64,
/// }
///
/// impl Actor for Account {}
///
/// #[messages]
/// impl Account {
///     /// No message: it takes no `self`.
///     fn with(balance: u64) -> Account {
///         Account { balance }
///     }
///
///     /// Puts money in.
///     fn deposit(&mut self, amount: u64) {
///         self.balance += amount;
///     }
///
///     /// Takes money out.
///     fn withdraw(&mut self, amount: u64) -> Result<u64, String> {
///         self.balance = self.balance.checked_sub(amount).ok_or("too little is left")?;
///         Ok(self.balance)
///     }
///
///     /// What is left.
///     fn balance(&self) -> u64 {
///         self.balance
///     }
///
///     /// Adds interest from now on.
///     fn bear_interest(&mut self, period: Duration, ctx: &mut Context<Self>) {
///         ctx.send_every(account_messages::AddInterest, period);
///     }
///
///     fn add_interest(&mut self) {
///         self.deposit(self.balance / 100); // a plain call
///     }
/// }
///
/// fn main() {
///     dispatch(|| {
///         let account = Addr::spawn(Account::with(100));
///         account.deposit(50).unwrap();
///         assert_eq!(account.withdraw(30), Ok(Ok(120)));
///         assert_eq!(account.withdraw(200), Ok(Err("too little is left".to_owned())));
///
///         // The messages are messages like any other.
///         let payee: Recipient<account_messages::Deposit> = account.recipient();
///         payee.send(account_messages::Deposit { amount: 5 }).unwrap();
///         assert_eq!(account.balance(), Ok(125));
///     });
/// }
/// ```
///
/// # Arguments and answers
///
/// A message outlives its sender, and an answer its handler. So both own what they carry: a `String`, not
/// a `&str`. Each argument has a name, and a type that has one. A last argument of the type
/// `&mut Context<Self>` is no part of the message: the handler passes its own. It is recognised by the name
/// `Context`.
///
/// A method that returns a `Result` answers a call with it. If such a message is only sent, as
/// `account.send(account_messages::Withdraw { amount: 5 })`, nobody is there to take an error, so it is
/// logged as a warning, with the actor, the message and the error.
///
/// # Visibility
///
/// A message is as visible as its method. The module and the trait are as visible as the methods that are
/// not private, which must be alike in that. Private methods have a trait of their own if there are others:
/// `PrivateCounterMessages`.
///
/// # What is no message
///
/// Functions without `self` are left alone, and so are methods with `#[message(skip)]` and those in another
/// `impl`. Refused are `async`, `unsafe` and generic methods, those that take `self` by value, and those of
/// a name that `Addr` has taken, such as `stop`: the address would never get to that of the actor. The
/// methods of a generic actor cannot be messages; those of an instance can (`impl Stack<u64>`).
///
/// # Attributes
///
/// For the `impl`:
///
/// - `#[messages(module = name)]`: what the module is called. The trait is called after it, in camel case.
///   For a second `impl` of the same actor.
/// - `#[messages(crate = path)]`: where the framework is found, if not at `::concurrence`.
///
/// For a method:
///
/// - `#[message(skip)]`: it is no message.
/// - `#[message(derive(Trait, ..))]`: what is derived for the message, such as the `Clone` that
///   `send_every` and broadcasts need.
/// - `#[cfg(..)]` and `#[deprecated]` hold for all that is made of the method.
///
/// Within the body of a function, the module does not see types that are local to that function.
#[proc_macro_attribute]
pub fn messages(
    arguments: proc_macro::TokenStream,
    item: proc_macro::TokenStream,
) -> proc_macro::TokenStream {
    messages::expand(arguments.into(), item.into()).into()
}

/// Makes a protocol of a trait: what can be asked of an object in another process.
///
/// The trait stays what it is, to be implemented by whoever does the work. For a trait `Bank` there are
/// beside it:
///
/// - a module `bank_messages`. It has a type for each method that takes `&mut self` or `&self`, called as
///   the method is in camel case, and with the method's arguments for its fields:
///   `bank_messages::Deposit { account, amount }`. In other processes it is `Bank.deposit`. The types have
///   `Debug`, `Serialize` and `Deserialize`, so their fields' types need these; those without fields are `Copy`.
/// - `BankProtocol`, a type that stands for all of these: `RemoteRef<BankProtocol>` is a reference to
///   something in another process that takes them.
/// - `BankClient`, a trait through which such a reference has the methods as well. One that returns nothing is
///   sent, with a `Result<(), SendError<_>>`; one that returns a `T` is called, and the caller waits, with a
///   `Result<T, CallError>`. Elsewhere than in the module of the trait it has to be imported.
/// - `BankActor`, an actor that has the methods of what is in it called by the messages:
///   `Addr::spawn(BankActor(vault))` can be exposed. So can any other actor that handles all messages, and
///   any tasklet, by `Serves`.
///
/// The documentation of a method is also that of its message and of its counterpart at the reference. All of
/// it is as visible as the trait.
///
/// ```
/// # mod concurrence {
/// #     pub use actor_core::__private::remote_attribute as remote;
/// #     pub use actor_core::{Actor, Addr, CallError, Context, Handler, Message, SendError};
/// #     pub use actor_core::{Accepts, Encoding, RemoteMessage, Tasklet, __private, dispatch};
/// #     pub use actor_remote as remote;
/// # }
/// use concurrence::remote::{Protocol, RemoteRef};
/// use concurrence::{Addr, CallError, dispatch, remote};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Debug, PartialEq, Serialize, Deserialize)]
/// pub enum BankError {
///     TooLittle { left: u64 },
/// }
///
/// # /*
/// #[remote]
/// # */ #[remote(crate = crate::concurrence)]
/// pub trait Bank {
///     /// Puts money in.
///     fn deposit(&mut self, account: u64, amount: u64) -> Result<u64, BankError>;
///
///     /// What is left.
///     fn balance(&self, account: u64) -> u64;
///
///     /// Sent, and not waited for.
///     fn note(&mut self, text: String) {
///         drop(text);
///     }
/// }
///
/// /// On the one side.
/// struct Vault(u64);
///
/// impl Bank for Vault {
///     fn deposit(&mut self, _: u64, amount: u64) -> Result<u64, BankError> {
///         self.0 += amount;
///         Ok(self.0)
///     }
///
///     fn balance(&self, _: u64) -> u64 {
///         self.0
///     }
/// }
///
/// /// On the other.
/// fn save(bank: &RemoteRef<BankProtocol>) -> Result<u64, CallError> {
///     bank.note("for a rainy day".to_owned())?;
///     match bank.deposit(1, 50)? {
///         Ok(balance) => Ok(balance),
///         Err(BankError::TooLittle { left }) => Ok(left),
///     }
/// }
///
/// fn main() {
///     assert_eq!(BankProtocol::MESSAGES[0].name, "Bank.deposit");
///     dispatch(|| {
///         let vault = Addr::spawn(BankActor(Vault(0)));
///         let deposit = bank_messages::Deposit { account: 1, amount: 50 };
///         assert_eq!(vault.call(deposit), Ok(Ok(50)));
///     });
/// }
/// ```
///
/// # What both sides agree on
///
/// The names of the trait (or that which is [given](#attributes)) and of the methods, and the names, types
/// and order of their arguments and the types of their answers: `SCHEMA` is that of [`Message`], so that a
/// struct with `#[message(remote = "Bank.deposit", ..)]` and the same fields is the same message. A method
/// that is published is frozen; a change is a new method, or a trait of a new name. Methods can be added, and
/// their order does not matter.
///
/// # Arguments and answers
///
/// A message and an answer own what they carry: a `String`, not a `&str`. `Self` is not among their types, as
/// it is another one for each implementation. There is no `Context`: who implements the trait need not be an
/// actor, and who has to know the actor writes its handlers.
///
/// # What is no message
///
/// Functions without `self`, associated types and constants, and methods with `#[message(skip)]`. Refused
/// are generic traits; `async`, `unsafe` and generic methods, those that take `self` by value, and those of a
/// name that the reference has taken, such as `call`.
///
/// # Attributes
///
/// For the trait:
///
/// - `#[remote(name = "bank")]`: what stands before the names of the methods, if not the name of the trait.
/// - `#[remote(module = name)]`: what the module is called.
/// - `#[remote(crate = path)]`: where the framework is found, if not at `::concurrence`.
///
/// For a method:
///
/// - `#[message(skip)]`: it is no message.
/// - `#[message(derive(Trait, ..))]`: what else is derived for the message.
/// - `#[cfg(..)]` and `#[deprecated]` hold for all that is made of the method.
#[proc_macro_attribute]
pub fn remote(
    arguments: proc_macro::TokenStream,
    item: proc_macro::TokenStream,
) -> proc_macro::TokenStream {
    remote::expand(arguments.into(), item.into()).into()
}

/// Takes the value of an option, of which there can be one.
fn set_once<T>(option: &mut Option<T>, value: T, meta: &ParseNestedMeta<'_>) -> Result<(), Error> {
    match option.replace(value) {
        None => Ok(()),
        Some(_) => Err(meta.error("this option is given twice")),
    }
}
