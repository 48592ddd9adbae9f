//! Whoever stands in a channel's lines: a tasklet, an actor's handler or a thread.

use super::rendezvous::Party;
use crate::block::{self, Interrupt};
use crate::tasklet::core::Core;
use crate::waiter::Waiter;

/// Whoever waits at a channel.
#[derive(Clone, Debug)]
pub(super) struct Peer {
    pub(super) waiter: Waiter,
    /// Whether a kill ends the wait.
    is_mortal: bool,
}

impl Peer {
    #[inline]
    pub(super) fn current() -> Result<Peer, Interrupt> {
        let waiter = block::waiter()?;
        let is_mortal = match &waiter {
            Waiter::Tasklet(core) => !core.is_shielded(),
            _ => false,
        };
        Ok(Peer { waiter, is_mortal })
    }
}

impl Party for Peer {
    #[inline]
    fn is_called_off(&self) -> bool {
        match &self.waiter {
            Waiter::Tasklet(core) => self.is_mortal && core.is_called_off(),
            _ => false,
        }
    }

    #[inline]
    fn any_called_off() -> bool {
        Core::any_called_off()
    }
}

pub(super) fn wake_all(peers: Vec<Peer>) {
    for peer in peers {
        peer.waiter.wake();
    }
}
