//! Carriers: the tasklets on whose stacks handlers run.
//!
//! A worker has one that runs actors, one message after the other, without a switch in between. If a
//! handler waits, its carrier waits with it, as any tasklet does, and the driver, to which that
//! returns, gives the actors that are ready to another carrier. When the handler goes on it finishes
//! its message on the stack that it began on, and the carrier then helps with what is ready, or lies
//! idle. Since the driver alone decides who runs next, there is nothing to be handed over between
//! carriers, and no race.
//!
//! Before a handler waits there must be another carrier to be had, or everything that could end the
//! wait might be waiting for it; if there is none the operation fails, as exhausted.

use std::ptr::NonNull;
use std::sync::{Arc, OnceLock};

use crate::mailbox::Mailbox;
use crate::runtime::limits;
use crate::runtime::program::Program;
use crate::tasklet::core::{Body, Core, Name, Settings};
use crate::tasklet::local::Locals;
use crate::worker::{self, Local};
use crate::{SpawnError, stacks};

/// How many idle ones a worker keeps. Their stacks are warm.
pub(crate) const KEPT: usize = 64;

/// Makes a carrier for the worker of this thread. It has not run yet.
pub(crate) fn make(local: &'static Local) -> Result<NonNull<Core>, SpawnError> {
    limits::reserve()?;
    let coroutine = stacks::take(Some(local)).inspect_err(|_| limits::give_back())?;
    let core = Core::new(Settings {
        name: Name::Function("carrier"),
        mailbox: Mailbox::unbounded(),
        daemon: true,
        stop_first: false,
        home: local.id,
        program: no_program(),
        locals: Locals::default(),
        handles: 0,
    });
    let body: Body = Box::new(carry);
    Core::prepare(&core, coroutine, body);
    core.program.count(&core);
    // The coroutine has a reference of its own, until it has finished.
    Ok(NonNull::from(&*core))
}

/// Whether `core` is one.
pub(crate) fn is(core: &Core) -> bool {
    Arc::ptr_eq(&core.program, &no_program())
}

/// Carriers belong to none; while they run a handler they stand for its actor.
fn no_program() -> Arc<Program> {
    static NONE: OnceLock<Arc<Program>> = OnceLock::new();
    NONE.get_or_init(Program::none).clone()
}

/// The life of a carrier.
fn carry(core: &Core) {
    let local = worker::local().expect("a carrier runs on a worker");
    loop {
        local.run_actors(core);
        if !local.lay_by(core) {
            return;
        }
    }
}
