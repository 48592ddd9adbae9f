//! Tasklets: what runs, with a stack and a mailbox of its own.

pub(crate) mod builder;
pub(crate) mod core;
mod end;
pub(crate) mod family;
pub(crate) mod hooks;
pub(crate) mod join;
mod leaving;
pub(crate) mod local;
pub(crate) mod periodic;
pub(crate) mod raise;
pub(crate) mod receive;
pub(crate) mod ring;
mod send;
pub(crate) mod tree;

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Weak};
use std::time::Duration;

use self::builder::TaskletBuilder;
use self::core::Core;
use self::family::Family;
use self::join::JoinHandle;
pub use self::receive::Messages;
use self::tree::Tree;
use crate::block::{self, Here, Interrupt, Wait, Waiting};
use crate::mailbox::Mailbox;
use crate::message::Pid;
use crate::time;

/// A reference to a tasklet: to send to it, and to end it.
///
/// A tasklet is a thread of control with a stack and a mailbox of its own, and costs a few kilobytes.
/// It lives on one worker for life, and gives way to the worker's others whenever it waits. Tasklets
/// of one worker run in the order in which they became ready:
///
/// ```
/// use actor_core::{Tasklet, dispatch};
/// use std::sync::{Arc, Mutex};
///
/// let said = Arc::new(Mutex::new(Vec::new()));
/// let log = said.clone();
/// dispatch(move || {
///     for name in ["A", "B"] {
///         let log = log.clone();
///         Tasklet::spawn(move || {
///             log.lock().unwrap().push(format!("Hello {name}"));
///             Tasklet::yield_now();
///             log.lock().unwrap().push(format!("Goodbye {name}"));
///         });
///     }
/// });
/// assert_eq!(*said.lock().unwrap(), ["Hello A", "Hello B", "Goodbye A", "Goodbye B"]);
/// ```
///
/// References are cheap to clone and compare by identity. As long as there is one, the tasklet's
/// receive loop goes on; when the last has gone, nobody can send to it any more, and the loop ends.
pub struct Tasklet {
    core: Arc<Core>,
}

impl Tasklet {
    pub(crate) fn new(core: Arc<Core>) -> Tasklet {
        core.add_handle();
        Tasklet { core }
    }

    /// For a reference that has been counted.
    pub(crate) fn counted(core: Arc<Core>) -> Tasklet {
        Tasklet { core }
    }

    pub(crate) fn core(&self) -> &Core {
        &self.core
    }

    // Spawning ----------------------------------------------------------------------------------

    /// Spawns a tasklet that runs `f`, on the caller's worker. The caller goes on; the new one runs
    /// when its turn comes.
    ///
    /// ```
    /// use actor_core::{Tasklet, dispatch};
    ///
    /// dispatch(|| {
    ///     let answer = Tasklet::spawn(|| 6 * 7);
    ///     assert_eq!(answer.join().unwrap(), 42);
    /// });
    /// ```
    ///
    /// Tasklets are never moved to balance the load, so a `main` that spawns everything like this runs on
    /// one core. What is to run on the others is placed there, with what it spawns in turn:
    ///
    /// ```
    /// use actor_core::{Placement, Tasklet, dispatch, join_all};
    ///
    /// dispatch(|| {
    ///     let search = |part: u32| {
    ///         let elsewhere = Tasklet::builder().placement(Placement::LeastLoaded);
    ///         elsewhere.spawn(move || part * part).expect("a tasklet to be had")
    ///     };
    ///     let found = join_all((0..8).map(search)).into_iter().map(Result::unwrap);
    ///     assert_eq!(found.sum::<u32>(), 140);
    /// });
    /// ```
    ///
    /// A server does so with its connections. Actors are another matter: those that are ready go to
    /// workers that have nothing to do.
    ///
    /// # Panics
    ///
    /// If it cannot be spawned: there are too many, or no [`dispatch`](crate::dispatch) runs. Use
    /// [`builder`](Self::builder) to get an error instead.
    pub fn spawn<F, T>(f: F) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        Tasklet::builder()
            .spawn(f)
            .unwrap_or_else(|error| panic!("cannot spawn a tasklet: {error}"))
    }

    /// Settings for a tasklet to be spawned.
    ///
    /// ```
    /// use actor_core::{Tasklet, dispatch};
    ///
    /// dispatch(|| {
    ///     let named = Tasklet::builder().name("reader").spawn(|| ()).unwrap();
    ///     assert_eq!(named.name(), "reader");
    /// });
    /// ```
    pub fn builder() -> TaskletBuilder {
        TaskletBuilder::new()
    }

    /// A builder whose mailbox is settled: `Tasklet::builder().mailbox(mailbox)`.
    ///
    /// ```
    /// use actor_core::{Mailbox, Overflow, Tasklet, dispatch};
    ///
    /// dispatch(|| {
    ///     let outbox = Mailbox::bounded(1024, Overflow::Fail);
    ///     let writer = Tasklet::with_mailbox(outbox).spawn(|| Tasklet::receive().count()).unwrap();
    ///     assert_eq!(writer.join().unwrap(), 0);
    /// });
    /// ```
    pub fn with_mailbox(mailbox: Mailbox) -> TaskletBuilder {
        Tasklet::builder().mailbox(mailbox)
    }

    // The current tasklet -----------------------------------------------------------------------

    /// The tasklet that the caller runs in.
    ///
    /// ```
    /// use actor_core::{Tasklet, dispatch};
    ///
    /// dispatch(|| {
    ///     assert_eq!(Tasklet::current().name(), "main");
    /// });
    /// ```
    ///
    /// # Panics
    ///
    /// Outside one, and in a handler of an actor; see [`try_current`](Self::try_current).
    pub fn current() -> Tasklet {
        Tasklet::try_current().unwrap_or_else(|| match block::current().and_then(Core::acting) {
            Some(actor) => panic!(
                "Tasklet::current was called in a handler of the actor {actor:?}: use \
                     Context::addr"
            ),
            None => panic!("Tasklet::current was called outside a tasklet"),
        })
    }

    /// The tasklet that the caller runs in; `None` on a plain thread, and in a handler of an actor.
    ///
    /// ```
    /// use actor_core::Tasklet;
    ///
    /// assert!(Tasklet::try_current().is_none()); // a plain thread
    /// ```
    pub fn try_current() -> Option<Tasklet> {
        block::tasklet().map(|core| Tasklet::new(core.strong()))
    }

    /// Lets the others run that are ready, and goes on after them. On a plain thread, as
    /// [`std::thread::yield_now`].
    ///
    /// ```
    /// use actor_core::{Tasklet, dispatch};
    ///
    /// dispatch(|| {
    ///     let ready = Tasklet::spawn(|| ());
    ///     Tasklet::yield_now(); // it has its turn, and ends
    ///     assert!(!ready.is_alive());
    /// });
    /// ```
    #[inline]
    pub fn yield_now() {
        block::touch();
        match block::here() {
            Here::Tasklet(local, core) if !std::thread::panicking() => {
                if local.is_over_budget() {
                    core.give_way(local);
                } else {
                    core.yield_now(local);
                }
                core.check_kill(local);
            }
            Here::Tasklet(..) | Here::Driver => {}
            Here::Thread => std::thread::yield_now(),
        }
    }

    /// Waits for `time`, never less. While the tasklet unwinds it returns at once.
    ///
    /// ```
    /// use std::time::Duration;
    /// use actor_core::{Tasklet, dispatch, time};
    ///
    /// dispatch(|| {
    ///     let before = time::now();
    ///     Tasklet::sleep(Duration::from_millis(2));
    ///     assert!(time::now() - before >= Duration::from_millis(2));
    /// });
    /// ```
    pub fn sleep(time: Duration) {
        let Some(until) = time::after(time) else {
            // Beyond what the clock can tell: until a kill, or the deadline of a block around it.
            return Tasklet::sleep(Duration::from_secs(u32::MAX.into()));
        };
        let slept = block::enter().and_then(|()| {
            let wait = Wait::new(Waiting::Time, Some(until));
            match block::wait_until(wait, || None::<()>) {
                Err(Interrupt::TimedOut | Interrupt::Unwinding) => Ok(()),
                waited => waited,
            }
        });
        slept.unwrap_or_else(|interrupt| interrupt.raise("sleep"));
    }

    /// Whether the current tasklet, or the actor in one of whose handlers this is called, has been asked
    /// to stop. `false` on a plain thread.
    ///
    /// ```
    /// use actor_core::{Tasklet, dispatch};
    ///
    /// dispatch(|| {
    ///     let counts = Tasklet::spawn(|| {
    ///         let mut n = 0_u64;
    ///         while !Tasklet::is_stopping() {
    ///             n += 1;
    ///             Tasklet::yield_now();
    ///         }
    ///         n
    ///     });
    ///     Tasklet::yield_now();
    ///     counts.stop();
    ///     assert!(counts.join().unwrap() > 0);
    /// });
    /// ```
    pub fn is_stopping() -> bool {
        block::current().is_some_and(Core::is_asked_to_stop)
    }

    /// Runs `f` without being killed: a kill that comes meanwhile is carried out at the first
    /// operation after it. For steps that must not be left half done. Time-outs are not held off.
    ///
    /// ```
    /// use actor_core::{JoinError, Tasklet, dispatch};
    /// use std::time::{Duration, Instant};
    ///
    /// dispatch(|| {
    ///     let (tell, told) = std::sync::mpsc::channel();
    ///     let careful = Tasklet::spawn(move || {
    ///         Tasklet::shield(|| {
    ///             Tasklet::sleep(Duration::from_millis(1));
    ///             tell.send("done").unwrap();
    ///         });
    ///         Tasklet::yield_now();
    ///         tell.send("not reached").unwrap();
    ///     });
    ///     Tasklet::yield_now(); // it sleeps now
    ///     careful.kill();
    ///     assert!(matches!(careful.join(), Err(JoinError::Killed)));
    ///     assert_eq!(told.iter().collect::<Vec<_>>(), ["done"]);
    /// });
    /// ```
    pub fn shield<R>(f: impl FnOnce() -> R) -> R {
        struct Lower<'a>(&'a Core);
        impl Drop for Lower<'_> {
            fn drop(&mut self) {
                self.0.unshield();
            }
        }
        let Some(core) = block::current() else {
            return f();
        };
        core.shield();
        let _lower = Lower(core);
        f()
    }

    // Identity ----------------------------------------------------------------------------------

    /// Its identity.
    ///
    /// ```
    /// use actor_core::{Pid, Tasklet, dispatch};
    ///
    /// dispatch(|| {
    ///     assert_eq!(Some(Tasklet::current().pid()), Pid::current());
    /// });
    /// ```
    pub fn pid(&self) -> Pid {
        self.core.pid
    }

    /// What it is called: after its function, or as the builder was told.
    ///
    /// ```
    /// use actor_core::{Tasklet, dispatch};
    ///
    /// dispatch(|| {
    ///     fn reader() {}
    ///     assert_eq!(Tasklet::spawn(reader).name(), "reader");
    /// });
    /// ```
    pub fn name(&self) -> &str {
        self.core.name()
    }

    /// Whether it has not ended yet.
    ///
    /// ```
    /// use actor_core::{Tasklet, dispatch};
    ///
    /// dispatch(|| {
    ///     let brief = Tasklet::spawn(|| ());
    ///     assert!(brief.is_alive()); // it has not had its turn yet
    ///     brief.join().unwrap();
    ///     assert!(!brief.is_alive());
    /// });
    /// ```
    pub fn is_alive(&self) -> bool {
        !self.core.has_ended()
    }

    /// The number of the worker that it lives on, as [`Placement`](crate::Placement) counts them.
    ///
    /// ```
    /// use actor_core::{Placement, Tasklet, dispatch};
    ///
    /// dispatch(|| {
    ///     let first = Tasklet::builder().placement(Placement::Worker(0)).spawn(|| ()).unwrap();
    ///     assert_eq!(first.worker(), 0);
    /// });
    /// ```
    pub fn worker(&self) -> usize {
        self.core.home
    }

    /// The main tasklet of the caller's program; `None` if that has ended, or on a plain thread.
    ///
    /// ```
    /// use actor_core::{Tasklet, dispatch};
    ///
    /// dispatch(|| {
    ///     let parent = Tasklet::current();
    ///     Tasklet::spawn(move || assert_eq!(Tasklet::main(), Some(parent))).join().unwrap();
    /// });
    /// ```
    pub fn main() -> Option<Tasklet> {
        let core = block::current()?.acting_program().main_core()?;
        (!core.has_ended()).then(|| Tasklet::new(core))
    }

    /// Whether it is the main tasklet of its program.
    ///
    /// ```
    /// use actor_core::{Tasklet, dispatch};
    ///
    /// dispatch(|| {
    ///     assert!(Tasklet::current().is_main());
    ///     assert!(!Tasklet::spawn(|| ()).is_main());
    /// });
    /// ```
    pub fn is_main(&self) -> bool {
        self.core.program.is_main(self.core.pid)
    }

    /// The tasklet that spawned it, or the nearest of that one's ancestors that lives; `None` for the
    /// main tasklet, and for those that plain threads spawned.
    ///
    /// ```
    /// use actor_core::{Tasklet, dispatch};
    ///
    /// dispatch(|| {
    ///     let child = Tasklet::spawn(|| ());
    ///     assert_eq!(child.parent(), Some(Tasklet::current()));
    ///     assert_eq!(Tasklet::current().parent(), None);
    /// });
    /// ```
    pub fn parent(&self) -> Option<Tasklet> {
        Family::parent(&self.core).map(Tasklet::new)
    }

    /// Its children that live, in the order in which they were spawned.
    ///
    /// ```
    /// use actor_core::{Tasklet, dispatch};
    ///
    /// dispatch(|| {
    ///     let child = Tasklet::spawn(|| ());
    ///     assert_eq!(Tasklet::current().children(), [child.tasklet().clone()]);
    /// });
    /// ```
    pub fn children(&self) -> Vec<Tasklet> {
        Family::children(&self.core)
            .into_iter()
            .map(Tasklet::new)
            .collect()
    }

    /// It and its descendants, with what each waits for; to be printed.
    ///
    /// ```
    /// use actor_core::{Tasklet, dispatch};
    ///
    /// dispatch(|| {
    ///     let idle = Tasklet::builder().name("idle").spawn(|| Tasklet::receive().count()).unwrap();
    ///     Tasklet::yield_now();
    ///     let tree = Tasklet::current().tree().to_string();
    ///     assert!(tree.contains("idle") && tree.contains("waits for a message"), "{tree}");
    ///     drop(idle);
    /// });
    /// ```
    pub fn tree(&self) -> Tree {
        Tree::of(vec![self.core.clone()])
    }

    /// A reference that does not keep the receive loop going.
    ///
    /// ```
    /// use actor_core::{Tasklet, dispatch};
    ///
    /// dispatch(|| {
    ///     let loops = Tasklet::spawn(|| Tasklet::receive().count());
    ///     let weak = loops.downgrade();
    ///     drop(loops); // nobody can send any more: the loop ends
    ///     while weak.upgrade().is_some() {
    ///         Tasklet::yield_now();
    ///     }
    /// });
    /// ```
    pub fn downgrade(&self) -> WeakTasklet {
        WeakTasklet {
            core: Arc::downgrade(&self.core),
        }
    }
}

impl Clone for Tasklet {
    fn clone(&self) -> Self {
        Tasklet::new(self.core.clone())
    }
}

impl Drop for Tasklet {
    fn drop(&mut self) {
        self.core.remove_handle();
    }
}

impl PartialEq for Tasklet {
    fn eq(&self, other: &Self) -> bool {
        self.pid() == other.pid()
    }
}

impl Eq for Tasklet {}

impl Hash for Tasklet {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.pid().hash(state);
    }
}

impl fmt::Debug for Tasklet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.core.fmt(f)
    }
}

/// A reference to a tasklet that does not keep its receive loop going.
#[derive(Clone, Debug)]
pub struct WeakTasklet {
    core: Weak<Core>,
}

impl WeakTasklet {
    /// The tasklet, unless it has ended.
    ///
    /// If no other reference was left, its receive loop may have ended already, and it with it soon.
    ///
    /// ```
    /// use actor_core::{Tasklet, dispatch};
    ///
    /// dispatch(|| {
    ///     let me = Tasklet::current();
    ///     assert_eq!(me.downgrade().upgrade(), Some(me));
    /// });
    /// ```
    pub fn upgrade(&self) -> Option<Tasklet> {
        let core = self.core.upgrade()?;
        (!core.has_ended()).then(|| Tasklet::new(core))
    }
}
