//! A function of the user's that sees what is done with channels.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::RwLock;

use crate::contain::contain_or;
use crate::{Pid, block};

/// What somebody does with a channel, as a [`ChannelHook`] is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Operation {
    /// The channel's [number](super::Channel::id).
    pub channel: u64,
    /// The tasklet or actor that does it; `None` for a plain thread.
    pub by: Option<Pid>,
    /// Whether it sends; if not, it receives.
    pub sending: bool,
    /// Whether it must wait for a peer.
    pub will_block: bool,
}

/// Is told of every [`Operation`].
pub type ChannelHook = Arc<dyn Fn(&Operation) + Send + Sync>;

static IS_SET: AtomicBool = AtomicBool::new(false);
static HOOK: RwLock<Option<ChannelHook>> = RwLock::new(None);

/// Has `hook` called for every send and receive in the process from now on, for tracing; `None` for no
/// more calls. Returns the one that was set before.
///
/// It is called once an operation has met its peer, or has found that it must wait for one, and before
/// anybody else runs for it; by the caller of the operation, on its stack. An operation that fails at
/// once is not reported, and of a [`Select`](super::Select) only the arm that comes to pass without
/// waiting. A panic of the hook is caught and logged. As long as no hook is set, it costs an operation
/// one load of a flag.
///
/// The idea is Stackless Python's channel callback.
///
/// # Examples
///
/// ```
/// use std::sync::{Arc, Mutex};
/// use actor_core::channel::{Channel, set_channel_hook};
/// use actor_core::{Tasklet, dispatch};
///
/// let seen = Arc::new(Mutex::new(Vec::new()));
/// let sees = seen.clone();
/// set_channel_hook(Some(Arc::new(move |operation| {
///     sees.lock().unwrap().push((operation.sending, operation.will_block));
/// })));
/// dispatch(|| {
///     let channel = Channel::new();
///     let receiver = channel.clone();
///     Tasklet::spawn(move || receiver.receive());
///     channel.send(1).unwrap();
/// });
/// set_channel_hook(None);
/// assert_eq!(*seen.lock().unwrap(), [(true, true), (false, false)]);
/// ```
pub fn set_channel_hook(hook: Option<ChannelHook>) -> Option<ChannelHook> {
    let mut place = HOOK.write();
    IS_SET.store(hook.is_some(), Ordering::Relaxed);
    std::mem::replace(&mut *place, hook)
}

/// The hook that is set.
///
/// # Examples
///
/// ```
/// use std::sync::Arc;
/// use actor_core::channel::{channel_hook, set_channel_hook};
///
/// assert!(channel_hook().is_none());
/// set_channel_hook(Some(Arc::new(|_| ())));
/// assert!(channel_hook().is_some());
/// # set_channel_hook(None);
/// ```
pub fn channel_hook() -> Option<ChannelHook> {
    HOOK.read().clone()
}

#[inline(always)]
pub(super) fn report(channel: u64, sending: bool, will_block: bool) {
    if IS_SET.load(Ordering::Relaxed) {
        call(channel, sending, will_block);
    }
}

#[cold]
fn call(channel: u64, sending: bool, will_block: bool) {
    // Not called under the lock: it may set another.
    let Some(hook) = channel_hook() else {
        return;
    };
    let operation = Operation {
        channel,
        by: block::current().map(crate::tasklet::core::Core::acting_pid),
        sending,
        will_block,
    };
    // What has changed hands must not be lost to a panic, or to a kill that it meets.
    block::shielded(|| {
        contain_or(
            || hook(&operation),
            || tracing::error!("the channel hook has panicked"),
        );
    });
}
