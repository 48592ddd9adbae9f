//! What can be asked of an object in another process: a set of classes of messages.

use std::sync::Arc;

/// One class of messages of a protocol, as both sides name it.
///
/// ```
/// use actor_core::Message;
/// use actor_remote::MessageName;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Message, Serialize, Deserialize)]
/// #[message(crate = actor_core, remote = "bank.Deposit", version = 2)]
/// struct Deposit(u64);
///
/// const DEPOSIT: MessageName = MessageName::of::<Deposit>();
/// assert_eq!((DEPOSIT.name, DEPOSIT.version), ("bank.Deposit", 2));
/// ```
pub use actor_core::remote::ClassName as MessageName;
use actor_core::remote::{Abroad, Export, RemoteMessage};

/// What can be asked of a remote object: a set of classes.
///
/// It is implemented by a type without values of interest, which stands for the set where a reference to an
/// object in another process says what that takes. [`#[remote]`](actor_core::remote) makes one of a trait,
/// and [`protocol!`](crate::protocol!) of messages that are there already. No two classes of one protocol
/// have the same name and version.
pub trait Protocol: Send + Sync + 'static {
    /// The classes.
    const MESSAGES: &'static [MessageName];

    /// Gives a recipient of each class to `each`, which leads to one of another node. What makes the protocol
    /// writes it; without it a reference to an object of a third node cannot be sent on.
    #[doc(hidden)]
    fn relays(abroad: &Abroad, each: &mut dyn FnMut(Arc<dyn Export>)) {
        let _ = (abroad, each);
    }
}

/// A protocol of which the class `M` is one.
#[diagnostic::on_unimplemented(
    message = "`{M}` is no message of the protocol `{Self}`",
    label = "not one of the messages of `{Self}`"
)]
pub trait Takes<M: RemoteMessage>: Protocol {
    /// Which one of [`MESSAGES`](Protocol::MESSAGES) it is.
    const INDEX: usize;
}

/// Something in this process that takes all messages of a protocol, so that it can be seen by other
/// processes as one that does.
///
/// What makes the protocol implements this for the addresses of actors that take them all, and for
/// tasklets. Something else can implement it as well.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not take all messages of the protocol `{P}`",
    label = "does not take all messages of `{P}`",
    note = "an actor's address does if there is an `impl Handler<M>` for each message `M` of the protocol"
)]
pub trait Serves<P: Protocol> {
    /// Gives a recipient of each class to `each`, in the order of [`Protocol::MESSAGES`].
    fn recipients(&self, each: &mut dyn FnMut(Arc<dyn Export>));
}

/// Makes a protocol of messages.
///
/// It makes a type that stands for them, with [`Protocol`], and with [`Takes`] for each of them. It can be
/// [served](Serves) by every actor that handles them all, and by tasklets.
///
/// ```
/// use actor_core::Message;
/// use actor_remote::{Protocol, Takes, protocol};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Message, Serialize, Deserialize)]
/// #[message(crate = actor_core, remote = "bank.Deposit")]
/// struct Deposit {
///     account: u64,
///     amount: u64,
/// }
///
/// #[derive(Message, Serialize, Deserialize)]
/// #[message(crate = actor_core, remote = "bank.Balance", reply = u64)]
/// struct Balance {
///     account: u64,
/// }
///
/// protocol! {
///     /// A bank.
///     pub Bank: Deposit, Balance
/// }
///
/// assert_eq!(Bank::MESSAGES[1].name, "bank.Balance");
/// assert_eq!(<Bank as Takes<Balance>>::INDEX, 1);
/// ```
///
/// Two messages of the same name and version are refused.
#[macro_export]
macro_rules! protocol {
    ($(#[$attribute:meta])* $visibility:vis $name:ident: $($message:ty),+ $(,)?) => {
        $(#[$attribute])*
        #[derive(
            ::core::clone::Clone,
            ::core::marker::Copy,
            ::core::fmt::Debug,
            ::core::default::Default,
            ::core::cmp::PartialEq,
            ::core::cmp::Eq,
            ::core::hash::Hash,
        )]
        $visibility struct $name;

        impl $crate::Protocol for $name {
            const MESSAGES: &'static [$crate::MessageName] = &[
                $($crate::MessageName::of::<$message>()),+
            ];

            fn relays(
                abroad: &$crate::__private::Abroad,
                each: &mut dyn ::core::ops::FnMut(
                    ::std::sync::Arc<dyn $crate::__private::Export>,
                ),
            ) {
                $(each($crate::__private::relay::<$message>(abroad));)+
            }
        }

        const _: () = $crate::__private::assert_distinct::<$name>();

        $(
            impl $crate::Takes<$message> for $name {
                const INDEX: usize = $crate::__private::index_of::<$name, $message>();
            }
        )+

        impl<A> $crate::Serves<$name> for $crate::__private::Addr<A>
        where
            A: $crate::__private::Actor $(+ $crate::__private::Accepts<$message>)+,
        {
            fn recipients(
                &self,
                each: &mut dyn ::core::ops::FnMut(
                    ::std::sync::Arc<dyn $crate::__private::Export>,
                ),
            ) {
                $(each($crate::__private::export(self.recipient::<$message>()));)+
            }
        }

        impl $crate::Serves<$name> for $crate::__private::Tasklet {
            fn recipients(
                &self,
                each: &mut dyn ::core::ops::FnMut(
                    ::std::sync::Arc<dyn $crate::__private::Export>,
                ),
            ) {
                $(each($crate::__private::export(self.recipient::<$message>()));)+
            }
        }
    };
}

/// What the macros expand to. Not part of the interface.
#[doc(hidden)]
pub mod __private {
    use std::sync::Arc;

    pub use actor_core::remote::{Abroad, Export, export};
    pub use actor_core::{Accepts, Actor, Addr, Tasklet};
    pub use serde;

    use super::{MessageName, Protocol, RemoteMessage, Takes};

    /// What passes messages of the class `M` on to one of another node.
    pub fn relay<M: RemoteMessage>(abroad: &Abroad) -> Arc<dyn Export> {
        export(actor_core::Recipient::<M>::new(abroad.clone()))
    }

    /// Which message of the protocol `M` is.
    pub const fn index_of<P: Takes<M>, M: RemoteMessage>() -> usize {
        match position(P::MESSAGES, MessageName::of::<M>(), 0) {
            Some(index) => index,
            None => panic!("a protocol takes no message that it does not have"),
        }
    }

    /// Refuses two messages of one name, of which only the first would ever be found.
    pub const fn assert_distinct<P: Protocol>() {
        let mut index = 0;
        while index < P::MESSAGES.len() {
            let later = position(P::MESSAGES, P::MESSAGES[index], index + 1);
            assert!(
                later.is_none(),
                "two messages of a protocol have the same name and version"
            );
            index += 1;
        }
    }

    const fn position(
        messages: &[MessageName],
        message: MessageName,
        mut from: usize,
    ) -> Option<usize> {
        while from < messages.len() {
            if is_same(messages[from], message) {
                return Some(from);
            }
            from += 1;
        }
        None
    }

    const fn is_same(one: MessageName, other: MessageName) -> bool {
        let (one_name, other_name) = (one.name.as_bytes(), other.name.as_bytes());
        if one.version != other.version || one_name.len() != other_name.len() {
            return false;
        }
        let mut at = 0;
        while at < one_name.len() {
            if one_name[at] != other_name[at] {
                return false;
            }
            at += 1;
        }
        true
    }
}
