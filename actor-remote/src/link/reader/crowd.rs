//! What becomes of the reader when the other side does not read the answers to what it asks.
//!
//! It stops reading: so the other side gets no more answers to wait for. But both sides may stand so, each before the
//! other's answers. Whoever waits for an answer itself therefore reads on soon, and takes no more calls until there
//! is room.

use std::time::{Duration, Instant};

use actor_core::time;

use super::Reader;
use crate::link::LinkEnd;

/// How long one that waits for answers leaves them unread.
const PATIENCE: Duration = Duration::from_millis(50);

/// The other side reads nothing, or not enough.
pub(super) struct Crowd {
    /// How much it had read.
    taken: u64,
    /// Since when it has not read any more.
    since: Instant,
}

impl Reader {
    /// Waits while there is too much to say, or takes no more calls.
    pub(super) fn find_room(&mut self) -> Result<(), LinkEnd> {
        let outbox = &self.link.outbox;
        let give_up = self.link.settings.heartbeat.give_up;
        if let Some(crowd) = &mut self.crowd {
            if let Some(end) = outbox.ended() {
                return Err(end);
            }
            let taken = outbox.taken();
            if !outbox.is_crowded() {
                self.crowd = None;
            } else if outbox.is_overfull() {
                return Err(LinkEnd::Stalled);
            } else if crowd.taken != taken {
                let since = time::now();
                *crowd = Crowd { taken, since };
            } else if time::now() - crowd.since >= give_up {
                return Err(LinkEnd::Stalled);
            }
            return Ok(());
        }
        // As it is nearly always: one look under the lock.
        if outbox.wait_for_words(Duration::ZERO)? {
            return Ok(());
        }
        let waits_itself = outbox.calls() > 0;
        let limit = if waits_itself {
            PATIENCE.min(give_up)
        } else {
            give_up
        };
        if outbox.wait_for_words(limit)? {
            return Ok(());
        }
        if !waits_itself {
            return Err(LinkEnd::Stalled);
        }
        self.crowd = Some(Crowd {
            taken: outbox.taken(),
            since: time::now(),
        });
        Ok(())
    }
}
