//! Addresses of actors.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::ptr::NonNull;
use std::time::{Duration, Instant};

use super::attended::{self, Attendant};
use super::cell::{ActorCell, ENDED, Settings, Typed};
use super::{Accepts, Actor};
use crate::block::{self, Here, Interrupt};
use crate::deadlock::Callee;
use crate::exit::{self, ExitReason, Monitor, Owner, Party};
use crate::mailbox::Mailbox;
use crate::message::{self, Delivery, Limit};
use crate::{
    CallError, Destination, Message, Pid, Placement, Receiver, Recipient, SendError, SpawnError,
    TimedOut, Timer, runtime, time, worker,
};

/// The address of an actor: to send to it, and to end it.
///
/// Cheap to clone, compared by identity. As long as there is one the actor lives, unless it ends for
/// another reason; when the last has gone and its mailbox is empty it ends with
/// [`ExitReason::Unreachable`]. [`WeakAddr`] does not count.
pub struct Addr<A: Actor> {
    cell: NonNull<Typed<A>>,
}

// SAFETY: an address gives no access to the actor's value; what it does reach is Sync.
unsafe impl<A: Actor> Send for Addr<A> {}
// SAFETY: as above.
unsafe impl<A: Actor> Sync for Addr<A> {}

impl<A: Actor> Addr<A> {
    /// Spawns an actor: on the caller's worker, or the one with the fewest tasklets if the caller is a
    /// plain thread. The caller goes on; [`started`](Actor::started) runs when its turn comes.
    ///
    /// # Panics
    ///
    /// If no [`dispatch`](crate::dispatch) runs; [`builder`](Self::builder) gives an error instead.
    pub fn spawn(actor: A) -> Addr<A> {
        Addr::builder()
            .spawn(actor)
            .unwrap_or_else(|error| panic!("cannot spawn an actor: {error}"))
    }

    /// Settings for an actor to be spawned.
    pub fn builder() -> AddrBuilder<A> {
        AddrBuilder {
            name: None,
            mailbox: Mailbox::unbounded(),
            placement: Placement::Here,
            _of: std::marker::PhantomData,
        }
    }

    /// One more address of a living cell.
    ///
    /// # Safety
    ///
    /// The cell lives.
    pub(crate) unsafe fn another(cell: NonNull<Typed<A>>) -> Addr<A> {
        // SAFETY: as the caller promises.
        unsafe { cell.as_ref() }.core.add_handle();
        Addr { cell }
    }

    /// The first address of an actor that has no value yet.
    pub(crate) fn unlaunched(settings: Settings) -> Addr<A> {
        Addr {
            cell: ActorCell::allocate(settings, None),
        }
    }

    pub(crate) fn core(&self) -> &ActorCell {
        // SAFETY: the addresses have a reference.
        &unsafe { self.cell.as_ref() }.core
    }

    /// Sends `message`; see [`Recipient::send`].
    #[inline]
    pub fn send<M: Message>(&self, message: M) -> Result<(), SendError<M>>
    where
        A: Accepts<M>,
    {
        message::send(self, message)
    }

    /// Sends `message` without ever waiting; see [`Recipient::try_send`].
    #[inline]
    pub fn try_send<M: Message>(&self, message: M) -> Result<(), SendError<M>>
    where
        A: Accepts<M>,
    {
        message::try_send(self, message)
    }

    /// Sends `message` and waits for the answer; see [`Recipient::call`].
    #[inline]
    pub fn call<M: Message>(&self, message: M) -> Result<M::Reply, CallError>
    where
        A: Accepts<M>,
    {
        message::call(self, message, Limit::Inherited)
    }

    /// As [`call`](Self::call), for at most `limit`; see [`Recipient::call_timeout`].
    pub fn call_timeout<M: Message>(
        &self,
        message: M,
        limit: Duration,
    ) -> Result<M::Reply, CallError>
    where
        A: Accepts<M>,
    {
        message::call(self, message, Limit::Own(time::after(limit)))
    }

    /// As [`call_timeout`](Self::call_timeout), with a limit that also holds for the calls that the
    /// handler makes; see [`Recipient::call_within`].
    pub fn call_within<M: Message>(
        &self,
        message: M,
        limit: Duration,
    ) -> Result<M::Reply, CallError>
    where
        A: Accepts<M>,
    {
        message::call(self, message, Limit::Shared(time::after(limit)))
    }

    /// A reference through which only messages of the class `M` can be sent, and which does not tell
    /// what kind of actor is behind it.
    pub fn recipient<M: Message>(&self) -> Recipient<M>
    where
        A: Accepts<M>,
    {
        Recipient::new(self.clone())
    }

    /// Sends `message` once `wait` has passed; see [`Recipient::send_after`]. The timer keeps the actor
    /// alive, and goes when it ends.
    pub fn send_after<M: Message>(&self, message: M, wait: Duration) -> Timer
    where
        A: Accepts<M>,
    {
        let timer = self.recipient().send_after(message, wait);
        self.core().own(&timer);
        timer
    }

    /// Sends a clone of `message` every `period`; see [`Recipient::send_every`].
    ///
    /// # Panics
    ///
    /// If `period` is zero.
    pub fn send_every<M: Message + Clone>(&self, message: M, period: Duration) -> Timer
    where
        A: Accepts<M>,
    {
        let timer = self.recipient().send_every(message, period);
        self.core().own(&timer);
        timer
    }

    /// Its identity.
    pub fn pid(&self) -> Pid {
        self.core().pid
    }

    /// What it is called: after its type, or as the builder was told.
    pub fn name(&self) -> &str {
        self.core().name()
    }

    /// Whether it has not ended yet.
    pub fn is_alive(&self) -> bool {
        !self.core().has(ENDED)
    }

    /// Asks it to end after what is in its mailbox, which takes no more.
    pub fn stop(&self) {
        self.core().stop();
    }

    /// Asks it to end before its next message. A handler that runs is not interrupted.
    pub fn stop_now(&self) {
        self.core().end_with(ExitReason::Stopped);
    }

    /// Ends it at its next operation, by unwinding the handler that runs, if one does.
    pub fn kill(&self) {
        self.core().kill();
    }

    /// Waits until it has ended, and says why it has.
    ///
    /// # Panics
    ///
    /// In a handler of the actor itself, which would wait for ever; while the caller unwinds, and outside
    /// a tasklet on a worker's thread.
    pub fn join(&self) -> ExitReason {
        assert!(
            Pid::current() != Some(self.pid()),
            "an actor that waits for its own end waits for ever"
        );
        self.wait_for_end(None)
            .unwrap_or_else(|interrupt| interrupt.raise("join"))
    }

    /// As [`join`](Self::join), for at most `limit`.
    pub fn join_timeout(&self, limit: Duration) -> Result<ExitReason, TimedOut> {
        self.wait_for_end(time::after(limit)).map_err(|_| TimedOut)
    }

    fn wait_for_end(&self, deadline: Option<Instant>) -> Result<ExitReason, Interrupt> {
        let core = self.core();
        core.wait_for(deadline, || core.has(ENDED).then_some(()))?;
        Ok(core.reason().unwrap_or(ExitReason::Normal))
    }

    /// Has the current tasklet or actor told when this one ends, by an [`Exit`](crate::Exit); at once
    /// if it has ended. One that is supervised ends with each of its lives.
    ///
    /// This is no address of the one that is told: it does not keep that one reachable.
    ///
    /// # Panics
    ///
    /// On a plain thread, which has no mailbox.
    pub fn monitor(&self) -> Monitor {
        exit::monitor(exit::watcher(), self.party())
    }

    /// Links this actor and the current tasklet or actor: if one ends abnormally, so does the other,
    /// unless it traps exits.
    ///
    /// # Panics
    ///
    /// On a plain thread, which has no mailbox.
    pub fn link(&self) {
        exit::link(exit::watcher(), self.party());
    }

    /// Takes a link with the current tasklet or actor back.
    ///
    /// # Panics
    ///
    /// On a plain thread, which has no mailbox.
    pub fn unlink(&self) {
        exit::unlink(&exit::watcher(), &self.party());
    }

    pub(crate) fn party(&self) -> Party {
        Party::actor(self.core())
    }

    /// A reference that does not keep the actor alive.
    pub fn downgrade(&self) -> WeakAddr<A> {
        self.core().add_reference();
        WeakAddr { cell: self.cell }
    }
}

impl<A: Actor> Receiver for Addr<A> {
    fn pid(&self) -> Pid {
        Addr::pid(self)
    }

    fn owner(&self) -> Option<Owner> {
        Some(Owner(self.party()))
    }

    fn callee(&self) -> Callee {
        Callee::actor(self.core())
    }
}

impl<M: Message, A: Accepts<M>> Destination<M> for Addr<A> {
    #[inline]
    fn deliver(&self, mut delivery: Delivery<M>) -> Result<(), SendError<M>> {
        delivery.envelope.address_to::<A, M>();
        let refused = match self.core().send(delivery.envelope, delivery.patience) {
            Ok(()) => return Ok(()),
            Err(refused) => refused,
        };
        Err(refused.map(message::unwrap_refused))
    }
}

impl<A: Actor> Clone for Addr<A> {
    fn clone(&self) -> Self {
        // SAFETY: this address keeps it alive.
        unsafe { Addr::another(self.cell) }
    }
}

impl<A: Actor> Drop for Addr<A> {
    fn drop(&mut self) {
        // SAFETY: this is an address, which is not used again.
        unsafe { ActorCell::remove_handle(self.cell.cast()) };
    }
}

impl<A: Actor> PartialEq for Addr<A> {
    fn eq(&self, other: &Self) -> bool {
        self.cell == other.cell
    }
}

impl<A: Actor> Eq for Addr<A> {}

impl<A: Actor> Hash for Addr<A> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.pid().hash(state);
    }
}

impl<A: Actor> fmt::Debug for Addr<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Addr({:?})", self.core())
    }
}

impl<M: Message, A: Accepts<M>> From<Addr<A>> for Recipient<M> {
    fn from(addr: Addr<A>) -> Self {
        Recipient::new(addr)
    }
}

impl<M: Message, A: Accepts<M>> From<&Addr<A>> for Recipient<M> {
    fn from(addr: &Addr<A>) -> Self {
        addr.recipient()
    }
}

/// A reference to an actor that does not keep it alive.
pub struct WeakAddr<A: Actor> {
    cell: NonNull<Typed<A>>,
}

// SAFETY: as for `Addr`.
unsafe impl<A: Actor> Send for WeakAddr<A> {}
// SAFETY: as for `Addr`.
unsafe impl<A: Actor> Sync for WeakAddr<A> {}

impl<A: Actor> WeakAddr<A> {
    fn core(&self) -> &ActorCell {
        // SAFETY: this has a reference.
        &unsafe { self.cell.as_ref() }.core
    }

    /// An address, unless the actor has ended.
    pub fn upgrade(&self) -> Option<Addr<A>> {
        // SAFETY: this has a reference.
        (!self.core().has(ENDED)).then(|| unsafe { Addr::another(self.cell) })
    }

    /// The actor's identity.
    pub fn pid(&self) -> Pid {
        self.core().pid
    }
}

impl<A: Actor> Clone for WeakAddr<A> {
    fn clone(&self) -> Self {
        self.core().add_reference();
        WeakAddr { cell: self.cell }
    }
}

impl<A: Actor> Drop for WeakAddr<A> {
    fn drop(&mut self) {
        // SAFETY: this has a reference, which is not used again.
        unsafe { ActorCell::remove_reference(self.cell.cast()) };
    }
}

impl<A: Actor> fmt::Debug for WeakAddr<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WeakAddr({:?})", self.core())
    }
}

/// Settings for an actor to be spawned.
#[derive(Debug)]
#[must_use = "a builder does nothing until `spawn`"]
pub struct AddrBuilder<A: Actor> {
    name: Option<Box<str>>,
    mailbox: Mailbox,
    placement: Placement,
    _of: std::marker::PhantomData<fn(A)>,
}

impl<A: Actor> AddrBuilder<A> {
    /// How it is called in logs and errors. By default, as its type.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into().into_boxed_str());
        self
    }

    /// How much its mailbox holds. By default, unbounded.
    pub fn mailbox(mut self, mailbox: Mailbox) -> Self {
        self.mailbox = mailbox;
        self
    }

    /// Which worker it begins on. It moves to another that is idle when its own has too much to do.
    pub fn placement(mut self, placement: Placement) -> Self {
        self.placement = placement;
        self
    }

    /// Spawns the actor. Fails with [`SpawnError::NotRunning`] outside a running
    /// [`dispatch`](crate::dispatch).
    pub fn spawn(self, actor: A) -> Result<Addr<A>, SpawnError> {
        let (addr, home) = self.allocate(|settings| ActorCell::allocate(settings, Some(actor)))?;
        addr.core().launch(home);
        Ok(addr)
    }

    /// Spawns an actor with an attendant, which is made when the address is known.
    pub(crate) fn spawn_attended<T: Attendant<A>>(
        self,
        attendant: impl FnOnce(&Addr<A>) -> T,
    ) -> Result<Addr<A>, SpawnError> {
        let (addr, home) = self.allocate(attended::allocate::<A, T>)?;
        let attendant = attendant(&addr);
        // SAFETY: it has just been allocated for this type.
        unsafe { attended::attend(addr.cell, attendant) };
        addr.core().launch(home);
        Ok(addr)
    }

    /// An actor that is still to be launched, and where.
    fn allocate(
        self,
        allocate: impl FnOnce(Settings) -> NonNull<Typed<A>>,
    ) -> Result<(Addr<A>, usize), SpawnError> {
        block::touch();
        let program = runtime::program().ok_or(SpawnError::NotRunning)?;
        let home = match (self.placement, block::here()) {
            (Placement::Worker(id), _) => id % worker::all().len(),
            (Placement::Here, Here::Tasklet(local, _)) => local.id,
            _ => worker::least_loaded(),
        };
        let settings = Settings {
            name: self.name,
            mailbox: self.mailbox,
            program,
        };
        let cell = allocate(settings);
        Ok((Addr { cell }, home))
    }

    /// As [`spawn`](Self::spawn), and waits until [`started`](Actor::started) has returned; its error
    /// is [`SpawnError::Started`].
    pub fn spawn_ready(self, actor: A) -> Result<Addr<A>, SpawnError> {
        let addr = self.spawn(actor)?;
        addr.core()
            .wait_for_start()
            .unwrap_or_else(|interrupt| interrupt.raise("spawn_ready"))
            .map_err(SpawnError::Started)?;
        Ok(addr)
    }
}
