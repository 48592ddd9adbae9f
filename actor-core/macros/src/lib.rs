//! The derive and attribute macros of Concurrence, re-exported by `actor-core` and by the facade `concurrence`.

mod messages;

use proc_macro2::TokenStream;
use quote::quote;
use syn::meta::ParseNestedMeta;
use syn::{
    Attribute, Data, DeriveInput, Error, GenericParam, Path, Type, parse_macro_input, parse_quote,
};

/// Makes a struct or an enum a class of messages.
///
/// The class is the type: a mailbox takes a value of it, and `match_message!` finds it again by its
/// patterns. Its type parameters are required to be `Send` and `'static`, as a message travels
/// between threads.
///
/// # Attributes
///
/// Both go into `#[message(..)]`:
///
/// - `reply = Type`: what a call of the message is answered with; `()` without it.
/// - `crate = path`: where the framework is found, if not at `::concurrence`.
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
#[proc_macro_derive(Message, attributes(message))]
pub fn derive_message(input: proc_macro::TokenStream) -> proc_macro::TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    implement_message(input)
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

fn implement_message(mut input: DeriveInput) -> Result<TokenStream, Error> {
    if let Data::Union(data) = &input.data {
        return Err(Error::new(
            data.union_token.span,
            "a message is a struct or an enum",
        ));
    }
    let options = Options::parse(&input.attrs)?;
    for parameter in &mut input.generics.params {
        match parameter {
            GenericParam::Type(parameter) => {
                parameter.bounds.push(parse_quote!(::core::marker::Send));
                parameter.bounds.push(parse_quote!('static));
            }
            GenericParam::Lifetime(parameter) => {
                return Err(Error::new_spanned(
                    parameter,
                    "a message outlives its sender: it owns what it carries, and borrows nothing",
                ));
            }
            GenericParam::Const(_) => {}
        }
    }

    let Options { reply, root } = options;
    let reply = reply.unwrap_or_else(|| parse_quote!(()));
    let root = root.unwrap_or_else(|| parse_quote!(::concurrence));
    let name = &input.ident;
    let (impl_generics, type_generics, where_clause) = input.generics.split_for_impl();
    Ok(quote! {
        #[automatically_derived]
        impl #impl_generics #root::Message for #name #type_generics #where_clause {
            type Reply = #reply;
        }
    })
}

/// What the `#[message(..)]` attributes of a type say.
#[derive(Default)]
struct Options {
    /// `reply = Type`
    reply: Option<Type>,
    /// `crate = path`
    root: Option<Path>,
}

impl Options {
    fn parse(attributes: &[Attribute]) -> Result<Options, Error> {
        let mut options = Options::default();
        for attribute in attributes {
            if attribute.path().is_ident("message") {
                attribute.parse_nested_meta(|meta| options.parse_one(&meta))?;
            }
        }
        Ok(options)
    }

    fn parse_one(&mut self, meta: &ParseNestedMeta<'_>) -> Result<(), Error> {
        if meta.path.is_ident("reply") {
            let reply = meta.value()?.parse()?;
            set_once(&mut self.reply, reply, meta)
        } else if meta.path.is_ident("crate") {
            let root = meta.value()?.call(Path::parse_mod_style)?;
            set_once(&mut self.root, root, meta)
        } else {
            Err(meta.error("unknown option: a message takes `reply = Type` and `crate = path`"))
        }
    }
}

fn set_once<T>(option: &mut Option<T>, value: T, meta: &ParseNestedMeta<'_>) -> Result<(), Error> {
    match option.replace(value) {
        None => Ok(()),
        Some(_) => Err(meta.error("this option is given twice")),
    }
}
