//! [`match_message!`](crate::match_message): a `match` over messages of any class.
//!
//! A mailbox holds messages of classes that are not known where it is read, and a pattern does not
//! name the class it belongs to: `Op::Inc(n)` could be a struct in a module or a variant of an enum.
//! So the macro does not look at patterns. It makes every arm a `match` of its own and lets the
//! compiler infer from the pattern which class the arm is for:
//!
//! ```text
//! match slot.take() {                  // Option<M>: the message, if it is of the pattern's class M
//!     Some(PATTERN) if GUARD => BODY,
//!     rest => {
//!         slot.restore(rest);          // pattern or guard said no: back to where it was
//!         ..                           // the next arm
//!     }
//! }
//! ```
//!
//! A message goes back and forth between its place in the envelope and the arm's scrutinee by a move;
//! nothing is allocated. As an arm is only a `match`, without a loop, closure or label around its
//! body, `break`, `continue`, `return` and `?` in it mean what they say.

use crate::envelope::Envelope;
use crate::message::Message;
use crate::reply::ReplyTo;

/// The message that a [`match_message!`](crate::match_message) looks at, for the arms to take it
/// out of and put it back into.
///
/// It lives until the arm that matched has ended, and only then drops what is left of the envelope:
/// that answers a call whose reply is `()`.
#[derive(Debug)]
pub struct Slot(Envelope);

impl Slot {
    /// Prepares `envelope` to be matched.
    pub fn new(envelope: Envelope) -> Slot {
        Slot(envelope)
    }

    /// Takes the message out if its class is `M`.
    pub fn take<M: Message>(&mut self) -> Option<M> {
        self.0.message_mut()?.take()
    }

    /// Puts back what [`take`](Self::take) gave.
    pub fn restore<M: Message>(&mut self, taken: Option<M>) {
        if taken.is_some()
            && let Some(place) = self.0.message_mut()
        {
            *place = taken;
        }
    }

    /// Takes the message out if its class is `M`, together with the right to answer it. Nobody waits
    /// for the answer if the message was only sent.
    pub fn take_call<M: Message>(&mut self) -> Option<(M, ReplyTo<M::Reply>)> {
        let message = self.take()?;
        let reply = self.0.take_reply::<M>().unwrap_or_else(ReplyTo::nobody);
        Some((message, reply))
    }

    /// Puts back what [`take_call`](Self::take_call) gave.
    pub fn restore_call<M: Message>(&mut self, taken: Option<(M, ReplyTo<M::Reply>)>) {
        if let Some((message, reply)) = taken {
            self.restore(Some(message));
            self.0.put_reply::<M>(reply);
        }
    }

    /// Gives the envelope to the last arm, which takes a message of any class.
    pub fn into_envelope(self) -> Envelope {
        self.0
    }

    /// Ends a match without a last arm: no arm has taken the message.
    pub fn unmatched(self) {
        crate::unmatched::unmatched(self.0);
    }
}

/// Matches a message of any class by class, pattern and guard, as `match` does a value.
///
/// An arm belongs to the class of its pattern, and is passed over by messages of other classes. The
/// first arm whose class, pattern and guard fit runs, and owns the message.
///
/// ```text
/// match_message!(match EXPR { ARMS })       // rustfmt formats this one
/// match_message!(EXPR, { ARMS })
///
/// PATTERN | PATTERN if GUARD => BODY        // a message; the alternatives may be of several classes
/// (PATTERN, name) if GUARD => BODY          // a call: `name` is the `ReplyTo` that answers it
/// name: Type => BODY                        // any message of one class
///
/// other => BODY                             // last: any message at all, as an `Envelope`
/// name @ _ => BODY                          // last: the same under a name of one's own
/// _ => BODY                                 // last: any message at all, which is dropped first
/// ```
///
/// A guard is an expression that sees the message by reference; `if let` is not taken. A body that is a
/// block needs no comma. `break`, `continue`, labels, `return` and `?` in a body act on what is around
/// the macro.
///
/// # Without a last arm
///
/// The whole is a statement: the value of a body, of whatever type, is dropped. A message that fits no
/// arm is logged, counted and dropped; its caller, if it has one, gets
/// [`CallError::Unanswered`](crate::CallError::Unanswered).
///
/// ```
/// # extern crate actor_core as concurrence;
/// use concurrence::{Message, Tasklet, dispatch, match_message};
///
/// #[derive(Message)]
/// struct Add(u64);
///
/// #[derive(Message)]
/// #[message(reply = u64)]
/// struct Get;
///
/// #[derive(Message)]
/// struct Quit;
///
/// fn count() -> u64 {
///     let mut total = 0;
///     for message in Tasklet::receive() {
///         match_message!(match message {
///             Add(0) => continue,
///             Add(n) if total + n > 100 => return total,
///             Add(n) => total += n,
///             (Get, reply) => reply.send(total),
///             Quit => break,
///         });
///     }
///     total
/// }
///
/// fn main() -> std::process::ExitCode {
///     dispatch(|| {
///         let counter = Tasklet::spawn(count);
///         counter.send(Add(3)).unwrap();
///         assert_eq!(counter.call(Get), Ok(3));
///         counter.send(Quit).unwrap();
///         assert_eq!(counter.join().unwrap(), 3);
///     })
/// }
/// ```
///
/// # With a last arm
///
/// The whole is an expression, and all bodies have its type. `other` stands for the message that no
/// arm has taken: it can be looked at or [forwarded](crate::Tasklet::forward). Only this name does,
/// for a name alone is a unit struct, and a misspelt one should not quietly take every message.
///
/// ```
/// # extern crate actor_core as concurrence;
/// use concurrence::{Envelope, Message, match_message};
///
/// #[derive(Message)]
/// struct Line(String);
///
/// #[derive(Message)]
/// enum Command {
///     Look,
///     Say(String),
/// }
///
/// fn describe(message: Envelope) -> String {
///     match_message!(match message {
///         Line(text) | Command::Say(text) => text,
///         Command::Look => "a room".to_string(),
///         other => format!("something of class {}", other.class()),
///     })
/// }
/// # fn main() {
/// # use concurrence::__private::envelope;
/// # assert_eq!(describe(envelope(Command::Say("hello".into()))), "hello");
/// # assert_eq!(describe(envelope(Command::Look)), "a room");
/// # }
/// ```
///
/// # Calls
///
/// An arm `(PATTERN, reply)` owns the right to answer, and may hand it on and answer later; dropped, it
/// ends the call with [`CallError::Unanswered`](crate::CallError::Unanswered). The arm also takes a
/// message that was only sent: nobody waits for the answer then. A call whose reply is `()` needs no
/// such arm: it is answered when the arm that took it has ended.
#[macro_export]
macro_rules! match_message {
    (match $message:tt { $($arms:tt)* }) => {
        $crate::match_message!($message, { $($arms)* })
    };
    (match $($tokens:tt)+) => {
        $crate::__match_message!(@head [] $($tokens)+)
    };
    ($message:expr, { $($arms:tt)* } $(,)?) => {{
        #[allow(unused_mut)]
        let mut slot = $crate::__private::Slot::new($message);
        $crate::__match_message!(@arms slot [] $($arms)*)
    }};
}

/// The inner rules of [`match_message!`](crate::match_message).
///
/// `@head` finds the arms, `@arms` reads them one by one into a list `[..]` of uniform ones, and
/// `@emit` turns the list into nested `match`es. An arm in the list is
///
/// ```text
/// { (take) restore [(PATTERN) (PATTERN) ..] (if GUARD) BODY }
/// ```
///
/// with the methods of the slot that take such a message and put it back. Each pass costs one level of
/// macro recursion an arm, which makes room for some 60 arms within the default limit of 128.
///
/// The rules for a body that is a block come before those for other expressions, and not only because
/// of the comma: an arm that follows a block would be read as an operand of it (`{ .. } (Get, reply)`
/// looks like a function call), and a pattern that is no expression would then end the compilation.
#[doc(hidden)]
#[macro_export]
macro_rules! __match_message {
    // `match EXPR { ARMS }`: the last braces hold the arms, all before them is the expression.
    (@head [$($message:tt)+] { $($arms:tt)* }) => {
        $crate::match_message!($($message)+, { $($arms)* })
    };
    (@head [$($message:tt)*] $next:tt $($rest:tt)+) => {
        $crate::__match_message!(@head [$($message)* $next] $($rest)+)
    };

    // The end without a last arm: a statement, and so is each body, whatever its type.
    (@arms $slot:ident $list:tt) => {{
        $crate::__match_message!(@emit $slot (;) { $slot.unmatched() } $list);
    }};

    // The comma that may follow a block.
    (@arms $slot:ident $list:tt , $($rest:tt)*) => {
        $crate::__match_message!(@arms $slot $list $($rest)*)
    };

    // The last arm `_`, which drops the message before its body: no caller waits for the body.
    (@arms $slot:ident $list:tt _ => $body:expr $(,)?) => {
        $crate::__match_message!(@emit $slot () {
            match ::core::mem::drop($slot.into_envelope()) { () => $body }
        } $list)
    };
    (@arms $slot:ident $list:tt _ $($rest:tt)*) => {
        ::core::compile_error!(
            "`_` takes every message that is left: it must be the last arm, without a guard"
        )
    };

    // The last arm `name @ _`.
    (@arms $slot:ident $list:tt $name:ident @ _ => $body:expr $(,)?) => {
        $crate::__match_message!(@emit $slot () {
            match $slot.into_envelope() { $name => $body }
        } $list)
    };
    (@arms $slot:ident $list:tt $name:ident @ _ $($rest:tt)*) => {
        ::core::compile_error!(
            "`name @ _` takes every message that is left: it must be the last arm, without a guard"
        )
    };

    // The last arm, if it is a name alone: `other`, or a unit struct as in any arm. The name is given
    // twice, to be compared and to be bound: an `other` written here could not be seen by the body.
    (@last $slot:ident $list:tt other $name:ident $body:expr) => {
        $crate::__match_message!(@emit $slot () {
            match $slot.into_envelope() { $name => $body }
        } $list)
    };
    (@last $slot:ident [$($list:tt)*] $same:ident $name:ident $body:expr) => {
        $crate::__match_message!(@arms $slot [$($list)* { (take) restore [($name {})] () $body }])
    };

    // Unit structs and unit variants by name: NAME | NAME if GUARD => BODY. In the list they become
    // `NAME {}`, which unlike `NAME` is never a binding: a misspelt one is an error at its place.
    (@arms $slot:ident $list:tt $name:ident => $body:block $(,)?) => {
        $crate::__match_message!(@last $slot $list $name $name $body)
    };
    (@arms $slot:ident [$($list:tt)*]
        $(|)? $($name:ident)|+ $(if $guard:expr)? => $body:block $($rest:tt)*
    ) => {
        $crate::__match_message!(@arms $slot
            [$($list)* { (take) restore [$(($name {}))+] ($(if $guard)?) $body }] $($rest)*)
    };
    (@arms $slot:ident $list:tt $name:ident => $body:expr $(,)?) => {
        $crate::__match_message!(@last $slot $list $name $name $body)
    };
    (@arms $slot:ident [$($list:tt)*]
        $(|)? $($name:ident)|+ $(if $guard:expr)? => $body:expr $(, $($rest:tt)*)?
    ) => {
        $crate::__match_message!(@arms $slot
            [$($list)* { (take) restore [$(($name {}))+] ($(if $guard)?) $body }] $($($rest)*)?)
    };

    // A whole class: NAME: TYPE => BODY.
    (@arms $slot:ident [$($list:tt)*] $name:ident: $class:ty => $body:block $($rest:tt)*) => {
        $crate::__match_message!(@arms $slot
            [$($list)* { (take::<$class>) restore [($name)] () $body }] $($rest)*)
    };
    (@arms $slot:ident [$($list:tt)*]
        $name:ident: $class:ty => $body:expr $(, $($rest:tt)*)?
    ) => {
        $crate::__match_message!(@arms $slot
            [$($list)* { (take::<$class>) restore [($name)] () $body }] $($($rest)*)?)
    };

    // A call: (PATTERN, NAME) if GUARD => BODY.
    (@arms $slot:ident [$($list:tt)*]
        ($pattern:pat, $reply:ident) $(if $guard:expr)? => $body:block $($rest:tt)*
    ) => {
        $crate::__match_message!(@arms $slot
            [$($list)* { (take_call) restore_call [(($pattern, $reply))] ($(if $guard)?) $body }]
            $($rest)*)
    };
    (@arms $slot:ident [$($list:tt)*]
        ($pattern:pat, $reply:ident) $(if $guard:expr)? => $body:expr $(, $($rest:tt)*)?
    ) => {
        $crate::__match_message!(@arms $slot
            [$($list)* { (take_call) restore_call [(($pattern, $reply))] ($(if $guard)?) $body }]
            $($($rest)*)?)
    };
    (@arms $slot:ident $list:tt ($pattern:pat, _) $($rest:tt)*) => {
        ::core::compile_error!("the right to answer a call has a name: `(PATTERN, name) => ..`")
    };
    (@arms $slot:ident $list:tt ($pattern:pat, $reply:ident) | $($rest:tt)*) => {
        ::core::compile_error!(
            "a call has one arm for each class; patterns of one class go inside: \
             `(PATTERN | PATTERN, name) => ..`"
        )
    };

    // Messages by pattern: PATTERN | PATTERN if GUARD => BODY.
    (@arms $slot:ident [$($list:tt)*]
        $(|)? $($pattern:pat_param)|+ $(if $guard:expr)? => $body:block $($rest:tt)*
    ) => {
        $crate::__match_message!(@arms $slot
            [$($list)* { (take) restore [$(($pattern))+] ($(if $guard)?) $body }] $($rest)*)
    };
    (@arms $slot:ident [$($list:tt)*]
        $(|)? $($pattern:pat_param)|+ $(if $guard:expr)? => $body:expr $(, $($rest:tt)*)?
    ) => {
        $crate::__match_message!(@arms $slot
            [$($list)* { (take) restore [$(($pattern))+] ($(if $guard)?) $body }] $($($rest)*)?)
    };

    // What is left of the list is empty: the message goes to the last arm, or is unmatched.
    (@emit $slot:ident $end:tt $last:tt []) => { $last };

    // An `other` that was not the last arm has been read as the name of a unit struct.
    (@emit $slot:ident $end:tt $last:tt [
        { $take:tt $restore:ident [(other {}) $($more:tt)*] $guard:tt $body:expr } $($rest:tt)*
    ]) => {
        ::core::compile_error!(
            "`other` takes every message that is left: it must be the last arm, without a guard"
        )
    };

    // An arm with one pattern.
    (@emit $slot:ident ($($end:tt)?) $last:tt [
        { ($($take:tt)+) $restore:ident [($($pattern:tt)+)] ($($guard:tt)*) $body:expr }
        $($rest:tt)*
    ]) => {
        match $slot.$($take)+() {
            ::core::option::Option::Some($($pattern)+) $($guard)* => { $body $($end)? }
            rest => {
                $slot.$restore(rest);
                $crate::__match_message!(@emit $slot ($($end)?) $last [$($rest)*])
            }
        }
    };

    // Alternatives may be of different classes, so each becomes an arm of its own.
    (@emit $slot:ident $end:tt $last:tt [
        { $take:tt $restore:ident [$pattern:tt $($more:tt)+] $guard:tt $body:expr } $($rest:tt)*
    ]) => {
        $crate::__match_message!(@emit $slot $end $last [
            { $take $restore [$pattern] $guard $body }
            { $take $restore [$($more)+] $guard $body }
            $($rest)*
        ])
    };
}
