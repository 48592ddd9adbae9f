//! A tasklet as the runtime sees it.
//!
//! Here are its core, its end, who refers to it, what state it is in and how word reaches it. The rest is a file each:
//!
//! - `stack`: its stack, what it does there with its driver: it begins, switches and finishes;
//! - `unwind`: what makes it unwind, kills and what is raised in it, and what holds that off;
//! - `waiting`: what it waits for, and whether it may, or in vain;
//! - `acting`: whom it stands for while it carries an actor.

mod acting;
mod stack;
mod unwind;
mod waiting;

use std::collections::VecDeque;
use std::fmt;
use std::mem;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering, fence};
use std::sync::{Arc, OnceLock, Weak};

use parking_lot::Mutex;

pub(crate) use self::stack::HomeState;
pub(crate) use self::unwind::Raise;
use self::unwind::{CALLED_OFF, HOW_MANY_CALLED_OFF};
use super::family::Family;
use super::local::Locals;
use crate::block;
use crate::contain::contain_or;
use crate::envelope::Envelope;
use crate::exit::{self, Exit, ExitReason, Party, Watchers};
use crate::future::Alert;
use crate::mailbox::{Contents, Mailbox, Patience};
use crate::queue::{Kind, Link};
use crate::runtime::program::Program;
use crate::unmatched::Ignored;
use crate::wait_list::WaitList;
use crate::wake::WakeState;
use crate::worker;
use crate::{Pid, SendError};

const KILLED: u8 = 1;
const STOPPING: u8 = 2;
const ENDED: u8 = 4;
/// All below it are to be killed, those included that are still to come.
const DOOMED: u8 = 8;
/// Something is to be raised in it.
const RAISED: u8 = 16;

/// How a tasklet is called.
#[derive(Debug)]
pub(crate) enum Name {
    /// After its function, as the compiler names it.
    Function(&'static str),
    Given(Box<str>),
}

/// What a tasklet runs. Never unwinds; it has put the result where the join handle finds it.
pub(crate) type Body = Box<dyn FnOnce(&Core) + Send>;

/// Everything about one tasklet, shared by whoever refers to it.
///
/// It holds one reference to itself from the spawn to its end, so whatever has the right to resume
/// it can do with a pointer.
#[repr(C)]
pub(crate) struct Core {
    /// Its place in its home's inbox. First, because the inbox sees only this.
    link: Link,
    pub(crate) wake: WakeState,
    flags: AtomicU8,
    pub(crate) daemon: bool,
    /// Asked to stop as soon as the program is.
    pub(crate) stop_first: bool,
    /// Whether a future that it waits for is to be polled.
    pub(crate) alert: Alert,
    /// The worker it lives on.
    pub(crate) home: usize,
    pub(crate) pid: Pid,
    name: Name,
    pub(crate) mailbox: Contents,
    /// How many `Tasklet`s refer to it. At none its receive loop ends.
    handles: AtomicUsize,
    /// A [`Waiting`], encoded, for display.
    waiting: AtomicU64,
    /// Whoever waits for its end.
    pub(crate) joiners: WaitList,
    pub(crate) family: Mutex<Family>,
    pub(crate) program: Arc<Program>,
    /// Messages that no arm has taken, by class.
    pub(crate) ignored: Mutex<Ignored>,
    watchers: OnceLock<Watchers>,
    /// Whether word of linked ends comes as a message, and does not end it.
    pub(crate) traps_exits: AtomicBool,
    /// What it has [called](crate::call) and waits for.
    pub(crate) called: Mutex<Option<Weak<Core>>>,
    /// Whether it waits for an answer. Written on its home's thread.
    in_call: AtomicBool,
    /// Why it has ended.
    reason: OnceLock<ExitReason>,
    /// What is to be raised in it, in order.
    to_raise: Mutex<VecDeque<Raise>>,
    home_state: HomeState,
}

// SAFETY: all fields but `link` and `home_state` are Sync by themselves. The link is the inbox's while
// the tasklet is in it, and it is there at most once (see `WakeState::post`). The home state is
// reached through `home_state()`, whose callers are on the home thread, and is made and dropped when
// nobody else refers to the core.
unsafe impl Sync for Core {}
// SAFETY: as above. What the home state holds at the time of the last drop is Send: the coroutine has
// been taken out, the body, if it never ran, is Send, and locals are dropped by the tasklet itself.
unsafe impl Send for Core {}

/// What the builder settles.
pub(crate) struct Settings {
    pub(crate) name: Name,
    pub(crate) mailbox: Mailbox,
    pub(crate) daemon: bool,
    pub(crate) stop_first: bool,
    pub(crate) home: usize,
    pub(crate) program: Arc<Program>,
    pub(crate) locals: Locals,
    /// How many `Tasklet`s refer to it from the beginning.
    pub(crate) handles: usize,
}

impl Core {
    pub(crate) fn new(settings: Settings) -> Arc<Core> {
        let core = Arc::new(Core {
            link: Link::new(Kind::Tasklet),
            wake: WakeState::new(),
            flags: AtomicU8::new(0),
            daemon: settings.daemon,
            stop_first: settings.stop_first,
            alert: Alert::new(),
            home: settings.home,
            pid: Pid::unused(),
            name: settings.name,
            mailbox: Contents::new(settings.mailbox),
            handles: AtomicUsize::new(settings.handles),
            waiting: AtomicU64::new(0),
            joiners: WaitList::new(),
            family: Mutex::default(),
            program: settings.program,
            ignored: Mutex::default(),
            watchers: OnceLock::new(),
            traps_exits: AtomicBool::new(false),
            called: Mutex::default(),
            in_call: AtomicBool::new(false),
            reason: OnceLock::new(),
            to_raise: Mutex::default(),
            home_state: HomeState::new(settings.locals),
        });
        // See `whole`.
        Arc::as_ptr(&core).expose_provenance();
        core
    }

    /// The end: called by the tasklet itself, after its body.
    fn end(&self) {
        self.set_ending(true);
        // It is as good as dead: a kill has nothing left to unwind but destructors.
        self.shield();
        // Destructors of the user's run in here. One that panics ends that piece alone.
        let guarded = |piece: &dyn Fn()| {
            contain_or(piece, || {
                tracing::warn!(
                    tasklet = self.name(),
                    "a destructor has panicked at the end"
                );
            });
        };
        self.mailbox.close();
        // Its name is found out only if there is anything.
        let abandon = |message: Envelope| message.abandon(self.pid, self.name());
        // SAFETY: the consumer itself.
        unsafe { self.mailbox.abandon_all(guarded, abandon) };
        if let Some(watchers) = self.watchers.get() {
            watchers.do_deeds();
        }
        // Last, since all the destructors before may have made new ones, and they must not leave this
        // thread. From here on nothing of the user's runs.
        // SAFETY: the tasklet itself.
        Locals::clear(&unsafe { self.home_state() }.locals, guarded);
        if self.flags.fetch_or(ENDED, Ordering::SeqCst) & CALLED_OFF != 0 {
            HOW_MANY_CALLED_OFF.fetch_sub(1, Ordering::Relaxed);
        }
        let late = mem::take(&mut *self.to_raise.lock());
        guarded(&|| late.iter().for_each(|raise| raise.log_lost(self)));
        // As `exit::tell_all` asks; most have none.
        fence(Ordering::SeqCst);
        if self.watchers.get().is_some() {
            exit::tell_all(&Party::Tasklet(self.strong()));
        }
        Family::bury(self);
        self.joiners.wake_all();
        self.program.tasklet_ended(self);
    }

    /// Another reference.
    pub(crate) fn strong(&self) -> Arc<Core> {
        let whole = self.whole();
        // SAFETY: cores are made by `Core::new` alone, in an `Arc`, and `&self` shows that it lives.
        unsafe {
            Arc::increment_strong_count(whole);
            Arc::from_raw(whole)
        }
    }

    /// A pointer to this with the right to use its counts as well, which a reference has not.
    fn whole(&self) -> *const Core {
        ptr::with_exposed_provenance(ptr::from_ref(self).addr())
    }

    pub(crate) fn name(&self) -> &str {
        match &self.name {
            Name::Given(name) => name,
            Name::Function(path) => {
                // `app::serve::{{closure}}` is called `serve`, and one in `main` is called `main`.
                let path = path.trim_end_matches("::{{closure}}");
                let end = path.find('<').unwrap_or(path.len());
                path[..end].rsplit("::").next().unwrap_or(path)
            }
        }
    }

    // Handles -----------------------------------------------------------------------------------

    pub(crate) fn add_handle(&self) {
        self.handles.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts one handle less; the last one to go wakes a receive loop that nobody can reach.
    pub(crate) fn remove_handle(&self) {
        // Release, so that what was sent through the handle is seen by the look that finds no
        // handle left; the wake-up is a read-modify-write as well.
        if self.handles.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.wake_up();
        }
    }

    /// Whether nobody can send to it any more.
    pub(crate) fn is_unreachable(&self) -> bool {
        self.handles.load(Ordering::Acquire) == 0 && !self.program.is_main(self.pid)
    }

    // State -------------------------------------------------------------------------------------

    fn flag(&self, flag: u8) -> bool {
        // Sequentially consistent, as the wait list of the joiners asks.
        self.flags.load(Ordering::SeqCst) & flag != 0
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.flag(ENDED)
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.flag(STOPPING)
    }

    pub(crate) fn is_killed(&self) -> bool {
        self.flag(KILLED)
    }

    /// Asks it to end: no more messages, and the receive loop ends after those that are there.
    pub(crate) fn stop(&self) {
        if self.mark_stopping() {
            self.stop_marked();
        }
    }

    /// The first half of [`stop`](Self::stop), which may be done under locks; `true` if the second is
    /// to follow.
    pub(crate) fn mark_stopping(&self) -> bool {
        self.flags.fetch_or(STOPPING, Ordering::AcqRel) & STOPPING == 0
    }

    /// The second half of [`stop`](Self::stop).
    pub(crate) fn stop_marked(&self) {
        self.mailbox.close();
        self.wake_up();
    }

    pub(crate) fn is_doomed(&self) -> bool {
        self.flag(DOOMED)
    }

    /// Has those killed that will be its children; the caller kills those that are.
    pub(crate) fn doom(&self) {
        self.flags.fetch_or(DOOMED, Ordering::SeqCst);
    }

    /// Makes its next operation unwind it.
    pub(crate) fn kill(&self) {
        self.mark_killed();
        self.wake_up();
    }

    /// Where what it fails with goes if nobody asks for it.
    pub(crate) fn forwards_to(&self) -> Option<Weak<Program>> {
        let forwards = self.program.forwards_panics() && !self.program.is_main(self.pid);
        forwards.then(|| Arc::downgrade(&self.program))
    }

    /// Whether it must run though it is paused: to unwind, or to react to a stop.
    pub(crate) fn must_run(&self) -> bool {
        self.flags.load(Ordering::Acquire) & (KILLED | RAISED | STOPPING) != 0
    }

    /// Makes it look again, if it waits.
    pub(crate) fn wake_up(&self) {
        worker::wake(self);
    }

    // Watching ----------------------------------------------------------------------------------

    pub(crate) fn watchers(&self) -> &Watchers {
        self.watchers.get_or_init(Watchers::default)
    }

    pub(crate) fn watchers_if_any(&self) -> Option<&Watchers> {
        self.watchers.get()
    }

    /// Why it has ended, if it has.
    pub(crate) fn reason(&self) -> Option<ExitReason> {
        self.reason.get().cloned()
    }

    /// Before it ends.
    pub(crate) fn set_reason(&self, reason: ExitReason) {
        let _ = self.reason.set(reason);
    }

    /// It is told of an end.
    pub(crate) fn hear_of(&self, exit: Exit) {
        if !exit.linked || self.traps_exits.load(Ordering::Acquire) {
            // Refused by one that takes no more, which has no use for it.
            let _ = self.send(Envelope::exit_to_tasklet(exit), Patience::System);
        } else if exit.reason.is_abnormal() {
            self.kill();
        }
    }

    /// Puts a message into its mailbox.
    pub(crate) fn send(
        &self,
        envelope: Envelope,
        patience: Patience,
    ) -> Result<(), SendError<Envelope>> {
        block::touch();
        let at_home = || worker::local().is_some_and(|local| local.id == self.home);
        // SAFETY: that is what `at_home` says.
        if unsafe { self.mailbox.push(envelope, patience, self.pid, at_home) }? {
            self.wake_up();
        }
        Ok(())
    }
}

impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.name(), self.pid)
    }
}
