//! Tasklets: what runs, with a stack and a mailbox of its own.

pub(crate) mod builder;
pub(crate) mod core;
pub(crate) mod family;
pub(crate) mod hooks;
pub(crate) mod join;
mod leaving;
pub(crate) mod local;
pub(crate) mod periodic;
pub(crate) mod raise;
pub(crate) mod receive;
pub(crate) mod ring;
pub(crate) mod tree;

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use self::builder::TaskletBuilder;
use self::core::Core;
use self::family::Family;
use self::join::JoinHandle;
pub use self::receive::Messages;
use self::tree::Tree;
use crate::block::{self, Here, Interrupt, Wait, Waiting};
use crate::envelope::Envelope;
use crate::exit::{self, Monitor, Party};
use crate::mailbox::{Mailbox, Patience};
use crate::message::{self, Limit, Message, Pid, Recipient};
use crate::reply::{self, Reply, ReplyTo, wait_for_reply};
use crate::{CallError, SendError, TimedOut, time};

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

    // Messages ----------------------------------------------------------------------------------

    /// Sends `message`; see [`Recipient::send`].
    ///
    /// A tasklet takes messages of any class. Those that its receive loop has no arm for are dropped,
    /// counted and logged; hand out a [`recipient`](Self::recipient) where that matters.
    ///
    /// ```
    /// # extern crate actor_core as concurrence;
    /// # use concurrence::{Message, Tasklet, dispatch};
    /// #[derive(Message, Debug, PartialEq)]
    /// struct Note(u8);
    ///
    /// # fn main() {
    /// dispatch(|| {
    ///     let reader = Tasklet::spawn(|| Tasklet::receive_one().unwrap().downcast::<Note>().unwrap());
    ///     reader.send(Note(1)).unwrap();
    ///     assert_eq!(reader.join().unwrap(), Note(1));
    /// });
    /// # }
    /// ```
    pub fn send<M: Message>(&self, message: M) -> Result<(), SendError<M>> {
        message::send(self, message)
    }

    /// Sends `message` without ever waiting; see [`Recipient::try_send`].
    ///
    /// ```
    /// # extern crate actor_core as concurrence;
    /// # use concurrence::{Mailbox, Message, Overflow, Tasklet, dispatch};
    /// #[derive(Message, Debug, PartialEq)]
    /// struct Note(u8);
    ///
    /// # fn main() {
    /// dispatch(|| {
    ///     let busy = Tasklet::with_mailbox(Mailbox::bounded(1, Overflow::Block))
    ///         .spawn(|| Tasklet::receive().count())
    ///         .unwrap();
    ///     busy.try_send(Note(1)).unwrap();
    ///     assert!(busy.try_send(Note(2)).unwrap_err().is_full());
    /// });
    /// # }
    /// ```
    pub fn try_send<M: Message>(&self, message: M) -> Result<(), SendError<M>> {
        message::try_send(self, message)
    }

    /// Sends `message` and waits for the answer; see [`Recipient::call`].
    ///
    /// A tasklet that calls itself gets [`CallError::Deadlock`]. Longer cycles of calls wait for
    /// ever unless one of them has a deadline.
    ///
    /// ```
    /// # extern crate actor_core as concurrence;
    /// # use concurrence::{CallError, Message, Tasklet, dispatch, match_message};
    /// #[derive(Message)]
    /// #[message(reply = usize)]
    /// struct Length(&'static str);
    ///
    /// # fn main() {
    /// dispatch(|| {
    ///     let server = Tasklet::spawn(|| {
    ///         for message in Tasklet::receive() {
    ///             match_message!(match message {
    ///                 (Length(text), reply) => reply.send(text.len()),
    ///             });
    ///         }
    ///     });
    ///     assert_eq!(server.call(Length("four")), Ok(4));
    ///     assert_eq!(Tasklet::current().call(Length("self")), Err(CallError::Deadlock));
    /// });
    /// # }
    /// ```
    pub fn call<M: Message>(&self, message: M) -> Result<M::Reply, CallError> {
        message::call(self, message, Limit::Inherited)
    }

    /// As [`call`](Self::call), for at most `limit`; see [`Recipient::call_timeout`].
    ///
    /// ```
    /// # extern crate actor_core as concurrence;
    /// # use concurrence::{CallError, Message, Tasklet, dispatch};
    /// #[derive(Message)]
    /// #[message(reply = usize)]
    /// struct Length(&'static str);
    /// # use std::time::Duration;
    ///
    /// # fn main() {
    /// dispatch(|| {
    ///     let deaf = Tasklet::spawn(|| Tasklet::sleep(Duration::from_secs(60)));
    ///     let late = deaf.call_timeout(Length("four"), Duration::from_millis(1));
    ///     assert_eq!(late, Err(CallError::Timeout));
    ///     deaf.kill();
    /// });
    /// # }
    /// ```
    pub fn call_timeout<M: Message>(
        &self,
        message: M,
        limit: Duration,
    ) -> Result<M::Reply, CallError> {
        message::call(self, message, Limit::Own(time::after(limit)))
    }

    /// As [`call_timeout`](Self::call_timeout), with a limit that the receiver is told; see
    /// [`Recipient::call_within`].
    pub fn call_within<M: Message>(
        &self,
        message: M,
        limit: Duration,
    ) -> Result<M::Reply, CallError> {
        message::call(self, message, Limit::Shared(time::after(limit)))
    }

    /// Sends a message that carries the right to answer inside, and waits for the answer. For
    /// messages that are enums, each of whose variants is answered with a type of its own.
    ///
    /// ```
    /// # extern crate actor_core as concurrence;
    /// # use concurrence::{Message, ReplyTo, Tasklet, dispatch, match_message};
    /// #[derive(Message)]
    /// enum Ask {
    ///     Name(ReplyTo<String>),
    ///     Age(ReplyTo<u8>),
    /// }
    ///
    /// # fn main() {
    /// dispatch(|| {
    ///     let person = Tasklet::spawn(|| {
    ///         for message in Tasklet::receive() {
    ///             match_message!(match message {
    ///                 Ask::Name(reply) => reply.send("Ada".into()),
    ///                 Ask::Age(reply) => reply.send(36),
    ///             });
    ///         }
    ///     });
    ///     assert_eq!(person.call_with(Ask::Name).unwrap(), "Ada");
    ///     assert_eq!(person.call_with(Ask::Age).unwrap(), 36);
    /// });
    /// # }
    /// ```
    pub fn call_with<M, T>(&self, make: impl FnOnce(ReplyTo<T>) -> M) -> Result<T, CallError>
    where
        M: Message,
        T: Send + 'static,
    {
        block::enter().map_err(reply::interrupted)?;
        let waiter = block::waiter().map_err(reply::interrupted)?;
        message::refuse_self_call(self.pid())?;
        let (to, reply) = Reply::pair(waiter);
        self.send(make(to))?;
        wait_for_reply(reply, self.pid(), block::answer_by(), None)
    }

    /// Sends a message on as it came, with the right to answer it if it is a call.
    ///
    /// ```
    /// # extern crate actor_core as concurrence;
    /// # use concurrence::{Message, Tasklet, dispatch};
    /// #[derive(Message, Debug, PartialEq)]
    /// struct Note(u8);
    ///
    /// # fn main() {
    /// dispatch(|| {
    ///     let reader = Tasklet::spawn(|| Tasklet::receive_one().unwrap().is::<Note>());
    ///     let to = reader.tasklet().clone();
    ///     let proxy = Tasklet::spawn(move || to.forward(Tasklet::receive_one().unwrap()).unwrap());
    ///     proxy.send(Note(1)).unwrap();
    ///     assert!(reader.join().unwrap());
    /// });
    /// # }
    /// ```
    pub fn forward(&self, envelope: Envelope) -> Result<(), SendError<Envelope>> {
        self.core.send(envelope, Patience::Policy)
    }

    /// A reference through which only messages of the class `M` can be sent.
    ///
    /// ```
    /// # extern crate actor_core as concurrence;
    /// # use concurrence::{Message, Recipient, Tasklet, dispatch};
    /// #[derive(Message, Debug, PartialEq)]
    /// struct Note(u8);
    ///
    /// # fn main() {
    /// dispatch(|| {
    ///     let me: Recipient<Note> = Tasklet::current().recipient();
    ///     me.send(Note(1)).unwrap();
    ///     assert_eq!(Tasklet::pending(), 1);
    /// });
    /// # }
    /// ```
    pub fn recipient<M: Message>(&self) -> Recipient<M> {
        self.into()
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

    /// Waits until it has ended, whoever has the right to its result.
    ///
    /// As with [`join`](JoinHandle::join), a caller that is asked to stop passes that on. Unlike there,
    /// the reference it is called on counts: it keeps a receive loop going.
    ///
    /// ```
    /// use actor_core::{Tasklet, dispatch};
    ///
    /// dispatch(|| {
    ///     let tasklet = Tasklet::spawn(|| ()).tasklet().clone();
    ///     tasklet.wait();
    ///     assert!(!tasklet.is_alive());
    /// });
    /// ```
    ///
    /// # Panics
    ///
    /// If it would have to wait where that is not possible, as while the caller unwinds; and in the main
    /// tasklet if it could only wait for ever (see [`Deadlock`](crate::Deadlock)).
    pub fn wait(&self) {
        self.wait_for_end(None)
            .unwrap_or_else(|interrupt| interrupt.raise("wait"));
    }

    /// Waits until it has ended, for at most `limit`; at once, as far as waiting goes, while the
    /// caller unwinds.
    ///
    /// ```
    /// use std::time::Duration;
    /// use actor_core::{Tasklet, TimedOut, dispatch};
    ///
    /// dispatch(|| {
    ///     let loops = Tasklet::spawn(|| Tasklet::receive().count());
    ///     assert_eq!(loops.wait_timeout(Duration::from_millis(1)), Err(TimedOut));
    /// });
    /// ```
    pub fn wait_timeout(&self, limit: Duration) -> Result<(), TimedOut> {
        self.wait_for_end(time::after(limit)).map_err(|_| TimedOut)
    }

    fn wait_for_end(&self, deadline: Option<Instant>) -> Result<(), Interrupt> {
        block::enter()?;
        if self.core.has_ended() {
            Ok(())
        } else {
            join::wait_for_end(&self.core, deadline)
        }
    }

    // Watching ----------------------------------------------------------------------------------

    /// Has the current tasklet or actor told when this one ends, by an [`Exit`](crate::Exit) in its
    /// mailbox; at once if it has ended.
    ///
    /// This is no reference to the one that is told: a receive loop to which nobody can send any more
    /// ends, though word of an end was still to come.
    ///
    /// # Panics
    ///
    /// On a plain thread, which has no mailbox.
    pub fn monitor(&self) -> Monitor {
        exit::monitor(exit::watcher(), self.party())
    }

    /// Links this tasklet and the current tasklet or actor: if one ends abnormally, so does the other,
    /// unless it [traps exits](Self::trap_exits).
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

    /// Whether the current tasklet receives an [`Exit`](crate::Exit) when one ends that it is linked
    /// to, and does not end with it.
    ///
    /// # Panics
    ///
    /// Outside a tasklet.
    pub fn trap_exits(on: bool) {
        let core = block::tasklet().expect("only a tasklet can trap exits, and this is none");
        core.traps_exits.store(on, Ordering::Release);
    }

    pub(crate) fn party(&self) -> Party {
        Party::Tasklet(self.core.clone())
    }

    // Ending ------------------------------------------------------------------------------------

    /// Asks it to end in order.
    ///
    /// Its mailbox takes no more messages, and its receive loop ends after those that are there;
    /// [`is_stopping`](Self::is_stopping) tells it in other places. When it has ended, its children
    /// are asked, and so on down the tree. Stopping is not a message, so no catch-all arm can swallow
    /// it. What neither receives nor asks runs on.
    ///
    /// ```
    /// use actor_core::{Tasklet, dispatch};
    ///
    /// dispatch(|| {
    ///     let loops = Tasklet::spawn(|| {
    ///         Tasklet::receive().for_each(drop);
    ///         "said goodbye"
    ///     });
    ///     loops.stop();
    ///     assert_eq!(loops.join().unwrap(), "said goodbye");
    /// });
    /// ```
    pub fn stop(&self) {
        self.core.stop();
    }

    /// Ends it at its next operation, by unwinding: its destructors run, no panic is reported, and
    /// [`join`](JoinHandle::join) gives [`JoinError::Killed`](crate::JoinError::Killed).
    ///
    /// One that waits is woken for it. One that computes without an operation runs on until it comes
    /// to one. Killing the current tasklet unwinds at its next operation, not here. Nobody runs
    /// for it now, unlike with [`kill_now`](Self::kill_now).
    ///
    /// ```
    /// use std::time::Duration;
    /// use actor_core::{JoinError, Tasklet, dispatch};
    ///
    /// dispatch(|| {
    ///     let sleeper = Tasklet::spawn(|| Tasklet::sleep(Duration::from_secs(60)));
    ///     sleeper.kill();
    ///     assert!(matches!(sleeper.join(), Err(JoinError::Killed)));
    /// });
    /// ```
    pub fn kill(&self) {
        self.core.kill();
    }

    /// Kills all its descendants, and those that they or this tasklet still spawn: none of them
    /// outlives this call for longer than it takes to unwind. The tasklet itself runs on.
    ///
    /// ```
    /// use actor_core::{JoinError, Tasklet, dispatch};
    /// use std::time::Duration;
    ///
    /// dispatch(|| {
    ///     let child = Tasklet::spawn(|| Tasklet::sleep(Duration::from_secs(60)));
    ///     Tasklet::current().kill_descendants();
    ///     assert!(matches!(child.join(), Err(JoinError::Killed)));
    /// });
    /// ```
    pub fn kill_descendants(&self) {
        Family::kill_descendants(&self.core);
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
