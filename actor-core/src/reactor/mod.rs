//! Descriptors that a tasklet can wait on.
//!
//! A [`Source`] owns a descriptor. Its operations are tried first, and only when one would block does
//! the caller wait. The first wait registers the descriptor in the epoll of the worker it happens
//! on, edge-triggered, under a key of slab index and generation, never a pointer; so an event that
//! comes late, for a descriptor that has gone, finds nothing. If a source is waited on from another
//! worker later, the registration moves there, unless somebody still waits on the old one.
//!
//! **Readiness** is a word of flags and a count of the events so far. An operation that finds the
//! descriptor exhausted clears its flag by compare-and-swap against the word it read before the
//! system call: if an event has come in between, the count differs, the swap fails and the flag stays
//! set. The cost of the race is one vain system call, never a lost edge.
//!
//! **Three kinds of those who wait.** Any number of tasklets and threads may wait for the same
//! direction; an event wakes them all, and those who come away with nothing wait again. Plain threads
//! wait with `poll(2)`. And a source may have one owner that holds no stack, a [`Watch`]: it is told when
//! the descriptor becomes ready. It is told once, until it has [looked](Source::rearm); and since it tries
//! until an operation would block, and a flag is cleared by that alone, an event finds the flag clear and
//! tells it, or finds it set, and then the owner is still at it.
//!
//! The sources are in `source`, with how they wait in `wait`; `system` has the calls, `readiness` the word, `watch` the
//! owners without a stack.

mod readiness;
mod source;
mod system;
mod wait;
mod watch;

#[cfg(all(test, loom))]
pub(crate) use self::readiness::Readiness;
pub(crate) use self::readiness::Sources;
pub use self::source::Source;
pub(crate) use self::system::{epoll_add, epoll_remove};
pub(crate) use self::wait::anybody_waits;
pub use self::watch::{ActorWatch, Watch};

/// Which way a descriptor is waited on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Until there is something to read, a connection to accept, or the other end has closed.
    Read,
    /// Until there is room to write, or a connection attempt has ended.
    Write,
}
