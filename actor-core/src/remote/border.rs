//! The border between two processes, as what crosses it inside a message sees it.
//!
//! A recipient or a right to answer that is a field of a message is no data: what goes over is the number of
//! a handle, which means something on that link alone. `Serialize` and `Deserialize` know nothing of links.
//! So whoever encodes or decodes a message enters a scope, in which the border of its link is found. It
//! belongs to the tasklet and not to the thread: a user's `Serialize` may wait, and others run meanwhile.

use std::any::Any;
use std::cell::Cell;
use std::fmt;
use std::ptr::NonNull;
use std::sync::Arc;

use super::{Export, Foreign};
use crate::CallError;
use crate::block;
use crate::tasklet::core::Core;

/// A link, as what is in a message sees it while that is encoded or decoded.
pub trait Border {
    /// A recipient leaves. `foreign` is what it refers to if that is in another process; `export` makes of
    /// it what takes messages from there, class by class. The result stands for it in the message.
    fn export(
        &self,
        foreign: Option<&Arc<dyn Foreign>>,
        export: &dyn Fn() -> Vec<Arc<dyn Export>>,
    ) -> Result<u32, BorderError>;

    /// A right to answer leaves.
    fn export_reply(&self, reply: Box<dyn ReplyHome>) -> Result<u32, BorderError>;

    /// What a number in a message stands for.
    fn import(&self, index: u32) -> Result<Arrival, BorderError>;

    /// The right to answer that a number in a message stands for.
    fn import_reply(&self, index: u32) -> Result<Box<dyn ReplyAbroad>, BorderError>;
}

/// What has arrived.
pub enum Arrival {
    /// Something of this process that was away: what it takes.
    Own(Vec<Arc<dyn Export>>),
    /// Something of the other.
    Foreign(Arc<dyn Foreign>),
}

impl fmt::Debug for Arrival {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Arrival::Own(_) => "Own(..)",
            Arrival::Foreign(_) => "Foreign(..)",
        })
    }
}

/// A right to answer of this process that is in another one. Dropped, the caller gets
/// [`CallError::Unanswered`].
pub trait ReplyHome: Any + Send {
    /// The answer has come: its bytes, to be decoded within the scope of the link, or why there is none.
    fn answer(self: Box<Self>, outcome: Result<&[u8], CallError>);

    /// It could not leave after all.
    fn come_back(self: Box<Self>);

    /// Whether somebody still waits for the answer.
    fn is_wanted(&self) -> bool;
}

/// A right to answer of another process that is in this one. Dropped, the caller there gets
/// [`CallError::Unanswered`].
pub trait ReplyAbroad: Send {
    /// Sends the answer, or why there is none.
    fn answer(self: Box<Self>, outcome: Result<&dyn Encodable, CallError>);
}

/// Something that can be written, of whatever type.
pub trait Encodable {
    /// Appends it; at most `max` bytes.
    fn encode(&self, into: &mut Vec<u8>, max: usize) -> Result<(), actor_codec::EncodeError>;
}

/// Why a reference cannot cross a border.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BorderError {
    /// The message is encoded or decoded outside any link.
    NoLink,
    /// It names a handle that is not there.
    UnknownHandle,
    /// It names a handle of something that takes other messages.
    WrongClass,
    /// The link has no room for another handle.
    TooMany,
    /// The right to answer has gone to another process already.
    Gone,
}

impl fmt::Display for BorderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            BorderError::NoLink => {
                "a reference to a receiver means something only in a message over a link"
            }
            BorderError::UnknownHandle => "the handle is not known on this link",
            BorderError::WrongClass => "the handle is of a receiver of other messages",
            BorderError::TooMany => "the link has no room for another handle",
            BorderError::Gone => "the right to answer has been sent away already",
        })
    }
}

impl std::error::Error for BorderError {}

/// A border that a tasklet or a thread has put around what it does.
type Scope = Option<NonNull<dyn Border>>;

thread_local! {
    /// That of a plain thread.
    static OF_THREAD: Cell<Scope> = const { Cell::new(None) };
}

/// Where the scope of whoever runs is kept.
fn swap(core: Option<&Core>, scope: Scope) -> Scope {
    match core {
        // SAFETY: the tasklet itself.
        Some(core) => unsafe { core.home_state() }.border.replace(scope),
        None => OF_THREAD.with(|of_thread| of_thread.replace(scope)),
    }
}

/// Runs `work` in the scope of `border`: what it encodes or decodes crosses that.
pub fn within<T>(border: &dyn Border, work: impl FnOnce() -> T) -> T {
    struct Restore<'a> {
        core: Option<&'a Core>,
        before: Scope,
    }

    impl Drop for Restore<'_> {
        fn drop(&mut self) {
            swap(self.core, self.before);
        }
    }

    let core = block::current();
    let border: NonNull<dyn Border + '_> = NonNull::from(border);
    // SAFETY: only the lifetime changes. The pointer is gone from where it is kept when this returns or
    // unwinds, and `border` outlives that; a tasklet that never returns from here is never resumed either.
    let border: NonNull<dyn Border> = unsafe { std::mem::transmute(border) };
    let before = swap(core, Some(border));
    let _restore = Restore { core, before };
    work()
}

/// Hands the border around the caller to `work`.
pub fn at_border<T>(
    work: impl FnOnce(&dyn Border) -> Result<T, BorderError>,
) -> Result<T, BorderError> {
    let scope = match block::current() {
        // SAFETY: the tasklet itself.
        Some(core) => unsafe { core.home_state() }.border.get(),
        None => OF_THREAD.with(Cell::get),
    };
    let border = scope.ok_or(BorderError::NoLink)?;
    // SAFETY: `within` keeps it there only as long as it lives, and the caller is inside of that: nobody
    // else than the tasklet or the thread that is in there can see its scope.
    work(unsafe { border.as_ref() })
}
