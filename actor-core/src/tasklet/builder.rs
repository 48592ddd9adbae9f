//! Spawning.

use std::any::{Any, type_name};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::Tasklet;
use super::core::{Body, Core, Name, Settings};
use super::family::Family;
use super::join::{Failure, JoinHandle, Packet};
use super::local::Locals;
use crate::block::{self, Here, Killed, Raised};
use crate::contain::{contain, contain_or};
use crate::mailbox::Mailbox;
use crate::runtime::{self, limits, panics};
use crate::substrate::Coroutine;
use crate::{BoxError, ExitReason, JoinError, Panic, SpawnError, outcome, stacks, worker};

/// Where a tasklet lives. It never moves.
///
/// ```
/// use actor_core::{Placement, Tasklet, dispatch};
///
/// dispatch(|| {
///     let elsewhere = Tasklet::builder().placement(Placement::LeastLoaded).spawn(|| 7).unwrap();
///     assert_eq!(elsewhere.join().unwrap(), 7);
/// });
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Placement {
    /// On the worker of the tasklet that spawns it, so that the two take turns in a known order; on
    /// the one with the fewest tasklets if a plain thread spawns it.
    #[default]
    Here,
    /// On this worker, counted from 0; modulo their number if there are not so many.
    Worker(usize),
    /// On the worker that has the fewest tasklets.
    LeastLoaded,
}

/// Settings for a tasklet to be spawned.
///
/// ```
/// use actor_core::{Mailbox, Overflow, Tasklet, dispatch};
///
/// dispatch(|| {
///     let logger = Tasklet::builder()
///         .name("logger")
///         .daemon(true)
///         .stack_size(64 * 1024)
///         .mailbox(Mailbox::bounded(1000, Overflow::DropOldest))
///         .spawn(|| Tasklet::receive().for_each(drop))
///         .expect("a tasklet to be had");
///     assert_eq!(logger.name(), "logger");
/// });
/// ```
#[derive(Debug)]
#[must_use = "a builder does nothing until `spawn`"]
pub struct TaskletBuilder {
    name: Option<Box<str>>,
    /// The function it is called after, if not the one that is spawned.
    function: Option<&'static str>,
    stack_size: Option<usize>,
    daemon: bool,
    stop_first: bool,
    mailbox: Mailbox,
    placement: Placement,
    paused: bool,
}

impl TaskletBuilder {
    pub(crate) fn new() -> Self {
        TaskletBuilder {
            name: None,
            function: None,
            stack_size: None,
            daemon: false,
            stop_first: false,
            mailbox: Mailbox::unbounded(),
            placement: Placement::Here,
            paused: false,
        }
    }

    /// A builder for a tasklet that runs `function`, wrapped in something else.
    pub(crate) fn named_after(function: &'static str) -> Self {
        TaskletBuilder {
            function: Some(function),
            ..TaskletBuilder::new()
        }
    }

    /// How it is called in logs, errors and the tree. By default, as its function.
    ///
    /// ```
    /// use actor_core::{Tasklet, dispatch};
    ///
    /// dispatch(|| {
    ///     let named = Tasklet::builder().name("reader of 127.0.0.1:9010").spawn(|| ()).unwrap();
    ///     assert_eq!(named.name(), "reader of 127.0.0.1:9010");
    /// });
    /// ```
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into().into_boxed_str());
        self
    }

    /// How many bytes of stack it has, rounded up to pages. By default what
    /// [`RuntimeBuilder::stack_size`](crate::RuntimeBuilder::stack_size) says. At least 16 KiB, in which a
    /// panic has room; 64 KiB where panics print backtraces (`RUST_BACKTRACE`).
    ///
    /// Address space is taken for all of it, memory for what is used. Overflowing it ends the process
    /// with a message that names the tasklet. The function's own captures may have to fit as well: they
    /// come by way of the heap, but the function may move them to its stack.
    ///
    /// ```
    /// use actor_core::{Tasklet, dispatch};
    ///
    /// dispatch(|| {
    ///     let deep = Tasklet::builder().stack_size(4 << 20).spawn(|| [1_u8; 1 << 20].len()).unwrap();
    ///     assert_eq!(deep.join().unwrap(), 1 << 20);
    /// });
    /// ```
    pub fn stack_size(mut self, bytes: usize) -> Self {
        self.stack_size = Some(bytes);
        self
    }

    /// Whether the program may end while it still runs.
    ///
    /// ```
    /// use actor_core::{Tasklet, dispatch};
    ///
    /// dispatch(|| {
    ///     let hour = std::time::Duration::from_secs(3600);
    ///     Tasklet::builder().daemon(true).spawn(move || Tasklet::sleep(hour)).unwrap();
    ///     // The program does not wait for it.
    /// });
    /// ```
    pub fn daemon(mut self, daemon: bool) -> Self {
        self.daemon = daemon;
        self
    }

    /// Whether it is asked to stop as soon as the program is, and not only once its parent has ended.
    /// For what accepts new work.
    ///
    /// ```
    /// use actor_core::{Tasklet, dispatch, is_shutting_down, quit};
    ///
    /// dispatch(|| {
    ///     let door = Tasklet::builder().stop_first(true);
    ///     let door = door.spawn(|| Tasklet::receive().for_each(drop)).unwrap();
    ///     quit(0);
    ///     door.join().unwrap(); // shut, while main goes on to see to those who are in
    ///     assert!(is_shutting_down());
    /// });
    /// ```
    pub fn stop_first(mut self, stop_first: bool) -> Self {
        self.stop_first = stop_first;
        self
    }

    /// How much its mailbox holds. By default, unbounded.
    pub fn mailbox(mut self, mailbox: Mailbox) -> Self {
        self.mailbox = mailbox;
        self
    }

    /// Which worker it lives on.
    ///
    /// ```
    /// use actor_core::{Placement, Tasklet, dispatch};
    ///
    /// dispatch(|| {
    ///     let first = Tasklet::builder().placement(Placement::Worker(0)).spawn(|| ()).unwrap();
    ///     first.join().unwrap();
    /// });
    /// ```
    pub fn placement(mut self, placement: Placement) -> Self {
        self.placement = placement;
        self
    }

    /// Whether it stays out of the run queue until it is [inserted](Tasklet::insert) or
    /// [run](Tasklet::run). As Stackless's tasklet that is bound to its arguments and not set up.
    ///
    /// ```
    /// use actor_core::{Tasklet, dispatch};
    ///
    /// dispatch(|| {
    ///     let later = Tasklet::builder().paused(true).spawn(|| "its turn").unwrap();
    ///     assert!(later.is_paused());
    ///     later.insert()?;
    ///     assert_eq!(later.join().unwrap(), "its turn");
    ///     Ok::<(), actor_core::InsertError>(())
    /// });
    /// ```
    pub fn paused(mut self, paused: bool) -> Self {
        self.paused = paused;
        self
    }

    /// Spawns a tasklet that runs `f`. The caller goes on; the tasklet runs when its turn comes.
    ///
    /// Past the number of tasklets that there is room for it fails with
    /// [`SpawnError::TaskletLimit`], outside a running [`dispatch`](crate::dispatch) with
    /// [`SpawnError::NotRunning`], and where the system or the limits refuse the stack with
    /// [`SpawnError::StackSize`] or [`SpawnError::System`].
    ///
    /// ```
    /// use actor_core::{Tasklet, dispatch};
    ///
    /// dispatch(|| {
    ///     match Tasklet::builder().spawn(|| 7) {
    ///         Ok(tasklet) => assert_eq!(tasklet.join().unwrap(), 7),
    ///         Err(error) => eprintln!("no room: {error}"),
    ///     }
    /// });
    /// ```
    pub fn spawn<F, T>(self, f: F) -> Result<JoinHandle<T>, SpawnError>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let packet = Packet::new();
        let body = body(f, packet.clone());
        let function = self.function.unwrap_or(type_name::<F>());
        let tasklet = self.launch(Name::Function(function), body)?;
        Ok(JoinHandle::new(tasklet, packet))
    }

    /// As [`spawn`](Self::spawn), but the tasklet sleeps until it is woken, or visited. It is called
    /// after `G`, unless it has a name.
    pub(crate) fn spawn_asleep<G, F, T>(
        self,
        f: F,
    ) -> Result<(Arc<Core>, Arc<Packet<T>>), SpawnError>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let packet = Packet::new();
        let body = body(f, packet.clone());
        let function = self.function.unwrap_or(type_name::<G>());
        let core = TaskletBuilder {
            // There is no handle to put it back with, and it begins when it is woken in any case.
            paused: false,
            ..self
        }
        .launch_asleep(Name::Function(function), body, 0)?;
        Ok((core, packet))
    }

    /// The part of spawning that does not depend on the function.
    fn launch(self, function: Name, body: Body) -> Result<Tasklet, SpawnError> {
        let core = self.launch_asleep(function, body, 1)?;
        core.wake_up();
        Ok(Tasklet::counted(core))
    }

    /// A tasklet to which there are `handles` references, and which sleeps until it is woken, or visited.
    pub(crate) fn launch_asleep(
        self,
        function: Name,
        body: Body,
        handles: usize,
    ) -> Result<Arc<Core>, SpawnError> {
        block::touch();
        let program = runtime::program().ok_or(SpawnError::NotRunning)?;
        let parent = block::tasklet();
        let home = match (self.placement, parent) {
            (Placement::Worker(id), _) => id % worker::all().len(),
            (Placement::Here, _) if let Some(here) = block::current() => here.home,
            (Placement::Here | Placement::LeastLoaded, _) => worker::least_loaded(),
        };
        // Before a place is taken: it clones values of the user's.
        let locals = Locals::inherited();
        let coroutine = self.stack()?;
        let core = Core::new(Settings {
            name: self.name.map_or(function, Name::Given),
            mailbox: self.mailbox,
            daemon: self.daemon,
            stop_first: self.stop_first,
            home,
            program: program.clone(),
            locals,
            handles,
        });
        Core::prepare(&core, coroutine, body);
        if self.paused {
            core.wake.pause();
        }
        program.count(&core);
        let adopted = parent.is_some_and(|parent| {
            Arc::ptr_eq(&parent.program, &program) && Family::adopt(&parent.strong(), &core)
        });
        if !adopted {
            program.add_root(&core);
            if let Some(actor) = block::current().and_then(Core::acting) {
                actor.adopt(&core);
            }
        }
        program.register(&core);
        // Whoever kills a whole family marks each parent first, and looks for its children then.
        if parent.is_some_and(Core::is_doomed) {
            core.doom();
            core.kill();
        }
        Ok(core)
    }

    /// A stack, within the limits.
    fn stack(&self) -> Result<Coroutine, SpawnError> {
        let default = runtime::default_stack_size();
        let bytes = match self.stack_size {
            Some(bytes) => limits::stack_size(bytes)?,
            None => default,
        };
        limits::reserve()?;
        let local = match block::here() {
            Here::Tasklet(local, _) => Some(local),
            Here::Driver | Here::Thread => None,
        };
        let stack = if bytes == default {
            stacks::take(local)
        } else {
            stacks::allocate(bytes)
        };
        stack.inspect_err(|_| limits::give_back())
    }
}

/// What the tasklet runs: `f`, with everything caught, and the result left for the join handle.
fn body<F, T>(f: F, packet: Arc<Packet<T>>) -> Body
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    Box::new(move |core| {
        let result = catch_unwind(AssertUnwindSafe(|| {
            if core.is_called_off() {
                // Killed before its first run. The closure is dropped here, inside the tasklet.
                drop(f);
                core.end_before_start();
            }
            f()
        }));
        // What follows runs code of the user's, which a kill may still end: so all of it is contained.
        let result = result.map_err(|payload| {
            if payload.is::<Killed>() {
                return JoinError::Killed;
            }
            match payload.downcast::<Raised>() {
                Ok(raised) => JoinError::Raised(raised.0),
                Err(payload) => {
                    let place = panics::take_place(&*payload);
                    JoinError::Panicked(Panic::new(payload, place))
                }
            }
        });
        let failure = failure(core, &result);
        core.set_reason(exit_reason(core, &result, failure.as_ref()));
        let forward_to = core.forwards_to();
        packet.put(result, failure, forward_to);
        // If the handle has gone, this drops the result.
        contain_or(
            || drop(packet),
            || tracing::warn!(tasklet = core.name(), "dropping the result has panicked"),
        );
    })
}

/// What those hear who watch it.
fn exit_reason<T>(
    core: &Core,
    result: &Result<T, JoinError>,
    failure: Option<&Failure>,
) -> ExitReason {
    match (result, failure) {
        (Err(JoinError::Panicked(panic)), _) => ExitReason::Panicked(panic.to_string().into()),
        (Err(JoinError::Raised(_)), Some(Failure::Returned { error, .. })) => {
            ExitReason::Failed(BoxError::from(error.clone()).into())
        }
        (Err(_), _) => ExitReason::Killed,
        (Ok(_), Some(Failure::Returned { error, .. })) => {
            ExitReason::Failed(BoxError::from(error.clone()).into())
        }
        (Ok(_), _) if core.program.is_shutting_down() => ExitReason::Shutdown,
        (Ok(_), _) if core.is_stopping() => ExitReason::Stopped,
        (Ok(_), _) => ExitReason::Normal,
    }
}

/// What is to be logged of a result that nobody takes.
fn failure<T: 'static>(core: &Core, result: &Result<T, JoinError>) -> Option<Failure> {
    let name = || core.name().to_owned();
    match result {
        Ok(value) => {
            let text = contain(|| outcome::error_text(value as &dyn Any));
            let error = text.unwrap_or_else(|| Some("(displaying it has panicked)".to_owned()))?;
            Some(Failure::Returned {
                name: name(),
                error,
                stopping: core.is_stopping() || core.program.is_shutting_down(),
            })
        }
        Err(JoinError::Raised(error)) => {
            let text = contain(|| error.to_string());
            Some(Failure::Returned {
                name: name(),
                error: text.unwrap_or_else(|| "(displaying it has panicked)".to_owned()),
                stopping: core.is_stopping() || core.program.is_shutting_down(),
            })
        }
        Err(JoinError::Panicked(panic)) => Some(Failure::Panicked {
            name: name(),
            place: panic.location().unwrap_or("an unknown place").to_owned(),
            message: panic.message().to_owned(),
        }),
        Err(_) => None,
    }
}
