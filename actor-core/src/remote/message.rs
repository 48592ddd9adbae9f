//! Messages that can go to another process.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Message;

/// A message that can go to another process, by a name that both sides know.
///
/// Derive it together with [`Message`], `Serialize` and `Deserialize` by giving a name:
///
/// ```
/// # extern crate actor_core as concurrence;
/// use concurrence::{Message, RemoteMessage};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Message, Serialize, Deserialize)]
/// #[message(remote = "bank.Deposit", reply = u64)]
/// struct Deposit {
///     account: u64,
///     amount: u64,
/// }
///
/// assert_eq!(Deposit::NAME, "bank.Deposit");
/// ```
///
/// The name is explicit: a path in the code would make moving a module a break of the protocol. A message
/// that has been published is frozen; a change is a new name, such as `bank.Deposit/2`, or a variant added
/// at the end of an enum. `docs/wire.md` has the rules and the reasons.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no name by which another process could know it",
    label = "not a remote message",
    note = "derive `Message`, `Serialize` and `Deserialize`, and name it: `#[message(remote = \"module.Name\")]`"
)]
pub trait RemoteMessage:
    Message<Reply: Serialize + DeserializeOwned> + Serialize + DeserializeOwned
{
    /// The name, the same in all processes.
    const NAME: &'static str;

    /// Which version of the message this is. Two sides must agree on it.
    const VERSION: u32 = 1;

    /// A hash of the fields' names, their types as they are written, what serde is told of them by attributes, and
    /// their order; of the reply's type as well. Fields that are written [with their names](Encoding::Named) are not in it. Two
    /// sides must agree on it: otherwise one would read what the other never wrote.
    const SCHEMA: u64 = 0;

    /// How its fields are written.
    const ENCODING: Encoding = Encoding::Compact;
}

/// How the fields of a message are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// One after the other, as bincode does: small and quick, and without a word of which is which.
    Compact,
    /// With their names, as maps of MessagePack: bigger and slower, but a field can be added or left out on
    /// one side before the other.
    Named,
}
