//! How a dispatcher accepts.

use std::io;
use std::time::Duration;

use actor_core::{BoxError, Context, Tasklet};
use parking_lot::Mutex;

use super::Dispatcher;
use crate::server::accept::Failure;
use crate::server::throttle::Throttle;

/// How long to wait when the system is short of something.
const PAUSE: Duration = Duration::from_millis(50);

/// All listeners are short of the same.
static SHORTAGES: Mutex<Throttle> = Mutex::new(Throttle::new());

/// What [`Dispatcher::handle_accept`] does by default.
pub(super) fn accept<D: Dispatcher>(
    dispatcher: &mut D,
    ctx: &mut Context<D>,
) -> Result<(), BoxError> {
    match dispatcher.channel().accept() {
        Ok((channel, peer)) => dispatcher.handle_accepted(channel, peer, ctx),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
        Err(error) => match Failure::of(&error) {
            Failure::Connection => {
                tracing::debug!(%error, "connection lost before it was accepted");
                Ok(())
            }
            Failure::Shortage => {
                let count = SHORTAGES.lock().count();
                if let Some(count) = count {
                    tracing::warn!(%error, count, "cannot accept, pausing");
                }
                Tasklet::sleep(PAUSE);
                Ok(())
            }
            Failure::Listener => Err(error.into()),
        },
    }
}
