//! A program: what one `dispatch` runs, from its main tasklet to its exit code.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::signals;
use crate::actor::activity::Activity;
use crate::actor::cell::ActorCell;
use crate::actor::roster::Roster;
use crate::registry::Names;
use crate::tasklet::core::{Core, Raise};
use crate::tasklet::tree::Tree;
use crate::{Pid, worker};

/// How long the killed are waited for before the program ends without them.
const LAST_WAIT: Duration = Duration::from_secs(1);
/// Longer than a program without a limit to its grace period waits at a time.
const FAR: Duration = Duration::from_secs(86_400);
/// How often a program that only waits for its actors looks whether they have work left.
const LOOK: Duration = Duration::from_millis(1);

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Program {
    main: OnceLock<Pid>,
    /// The same, once it has its place in the tree.
    main_core: OnceLock<Weak<Core>>,
    grace: Duration,
    /// Whether panics that nobody joins end the main tasklet.
    forwards_panics: bool,
    shutting_down: AtomicBool,
    /// All are being killed, those included that are still to come.
    killing: AtomicBool,
    /// All actors are asked to stop, those included that are still to come.
    stopping_actors: AtomicBool,
    /// Tasklets that live; and of those the ones that are no daemons.
    alive: AtomicUsize,
    keeping: AtomicUsize,
    /// What actors do, and which there are.
    pub(crate) activity: Activity,
    pub(crate) roster: Roster,
    /// What its tasklets and actors are called.
    pub(crate) names: Names,
    state: Mutex<State>,
    /// Told when the last one that keeps the program going has ended, when the last of all has, and
    /// when a shutdown begins.
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Tasklets without a parent.
    roots: BTreeMap<Pid, Weak<Core>>,
    /// Tasklets that are asked to stop at once when a shutdown begins.
    stop_first: BTreeMap<Pid, Weak<Core>>,
    shutdown: Option<Shutdown>,
}

/// Why, and since when, a program is ending.
#[derive(Clone, Copy, Debug)]
struct Shutdown {
    since: Instant,
    cause: Cause,
}

/// What has begun a shutdown.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Cause {
    /// `quit`, with the exit code.
    Quit(u8),
    /// A signal, with its number.
    Signal(u8),
}

impl Cause {
    /// The exit code of a program that had to be killed.
    fn exit_code(self) -> u8 {
        match self {
            Cause::Quit(code) => code,
            // As shells tell it.
            Cause::Signal(number) => 128 + number,
        }
    }
}

/// The programs that run.
static RUNNING: Mutex<Vec<Weak<Program>>> = Mutex::new(Vec::new());

impl Program {
    pub(crate) fn begin(grace: Duration, forwards_panics: bool) -> Arc<Program> {
        let program = Arc::new(Program {
            main: OnceLock::new(),
            main_core: OnceLock::new(),
            grace,
            forwards_panics,
            shutting_down: AtomicBool::new(false),
            killing: AtomicBool::new(false),
            stopping_actors: AtomicBool::new(false),
            alive: AtomicUsize::new(0),
            keeping: AtomicUsize::new(0),
            activity: Activity::new(worker::all().len()),
            roster: Roster::new(worker::all().len()),
            names: Names::default(),
            state: Mutex::default(),
            changed: Condvar::new(),
        });
        RUNNING.lock().push(Arc::downgrade(&program));
        program
    }

    /// What belongs to no program. Never ends.
    pub(crate) fn none() -> Arc<Program> {
        let program = Program::begin(Duration::MAX, false);
        RUNNING.lock().retain(|other| other.as_ptr() != &*program);
        program
    }

    /// All programs that run, the oldest first.
    pub(crate) fn running() -> Vec<Arc<Program>> {
        RUNNING.lock().iter().filter_map(Weak::upgrade).collect()
    }

    pub(crate) fn is_main(&self, pid: Pid) -> bool {
        self.main.get() == Some(&pid)
    }

    /// The only program that runs, if there is but one.
    pub(crate) fn sole() -> Option<Arc<Program>> {
        match RUNNING.lock().as_slice() {
            [program] => program.upgrade(),
            _ => None,
        }
    }

    pub(crate) fn main_core(&self) -> Option<Arc<Core>> {
        self.main_core.get().and_then(Weak::upgrade)
    }

    pub(crate) fn forwards_panics(&self) -> bool {
        self.forwards_panics
    }

    /// Has what has ended a tasklet of this program end whoever called
    /// [`run_all`](crate::Tasklet::run_all) for it, or else the main tasklet.
    pub(crate) fn forward(&self, raise: Raise) {
        let caller = worker::local().and_then(|local| local.innermost_caller(self));
        if let Some(core) = caller.or_else(|| self.main_core())
            && core.add_raise(raise).is_ok()
        {
            worker::hurry(&core);
        }
    }

    pub(crate) fn is_shutting_down(&self) -> bool {
        self.shutting_down.load(Ordering::Acquire)
    }

    // What tasklets report ----------------------------------------------------------------------

    /// Counts a new tasklet in, before anybody else learns of it. The first one is the main one.
    pub(crate) fn count(&self, core: &Core) {
        self.main.get_or_init(|| core.pid);
        self.alive.fetch_add(1, Ordering::SeqCst);
        if !core.daemon {
            self.keeping.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// Makes a new tasklet part of what happens to the program, once it has its place in the tree.
    pub(crate) fn register(&self, core: &Arc<Core>) {
        if self.is_main(core.pid) {
            let _ = self.main_core.set(Arc::downgrade(core));
        }
        if core.stop_first {
            let mut state = self.state.lock();
            // Somebody may have found it in the tree and killed it. Then it is either marked as ended
            // by now, or takes itself out after this.
            if !core.has_ended() {
                state.stop_first.insert(core.pid, Arc::downgrade(core));
            }
            let ending = state.shutdown.is_some();
            drop(state);
            if ending {
                core.stop();
            }
        }
        // Those who kill first say so and then walk the tree: it is in the tree, so they either come
        // upon it or have said so before.
        if self.is_killing() {
            core.kill();
        }
    }

    pub(crate) fn tasklet_ended(&self, core: &Core) {
        if core.stop_first {
            self.state.lock().stop_first.remove(&core.pid);
        }
        let last_keeper = !core.daemon && self.keeping.fetch_sub(1, Ordering::SeqCst) == 1;
        let last = self.alive.fetch_sub(1, Ordering::SeqCst) == 1;
        if last || last_keeper {
            // Under the lock, so that it cannot fall between a look and a wait.
            let _state = self.state.lock();
            self.changed.notify_all();
        }
    }

    pub(crate) fn add_root(&self, core: &Arc<Core>) {
        let mut state = self.state.lock();
        state.roots.insert(core.pid, Arc::downgrade(core));
        let ending = state.shutdown.is_some();
        drop(state);
        if ending {
            core.stop();
        }
    }

    /// Takes the dead root `pid` out, and makes its children roots; `true` if they are to be stopped
    /// because the program is, whose roots have been asked already.
    pub(crate) fn replace_root(&self, pid: Pid, children: &BTreeMap<Pid, Weak<Core>>) -> bool {
        let mut state = self.state.lock();
        state.roots.remove(&pid);
        state
            .roots
            .extend(children.iter().map(|(pid, child)| (*pid, child.clone())));
        state.shutdown.is_some()
    }

    pub(crate) fn roots(&self) -> Vec<Arc<Core>> {
        self.state
            .lock()
            .roots
            .values()
            .filter_map(Weak::upgrade)
            .collect()
    }

    /// What the tasklet or actor `pid` of this program is called.
    pub(crate) fn name_of(&self, pid: Pid) -> Option<String> {
        let mut members = Tree::of(self.roots()).into_members();
        let tasklet = members.find(|core| core.pid == pid);
        let tasklet = tasklet.map(|core| core.name().to_owned());
        tasklet.or_else(|| self.roster.find(pid, |actor| actor.name().to_owned()))
    }

    /// The tree of its tasklets, and some of its actors.
    pub(crate) fn overview(&self) -> String {
        format!("{}{}", Tree::of(self.roots()), self.roster.report())
    }

    // The end -----------------------------------------------------------------------------------

    /// Begins an orderly end: what accepts new work is asked to stop first, then the roots; their
    /// descendants are asked as their parents end. Only the first cause counts.
    pub(crate) fn shut_down(&self, cause: Cause) {
        let first = {
            let mut state = self.state.lock();
            if state.shutdown.is_some() {
                return;
            }
            state.shutdown = Some(Shutdown {
                since: Instant::now(),
                cause,
            });
            self.shutting_down.store(true, Ordering::Release);
            self.changed.notify_all();
            state
                .stop_first
                .values()
                .filter_map(Weak::upgrade)
                .collect::<Vec<_>>()
        };
        for core in first.into_iter().chain(self.roots()) {
            core.stop();
        }
    }

    /// Waits until the main tasklet and all that are no daemons have ended and no actor has work left,
    /// and then until the actors have stopped; past the grace period of a shutdown, kills them all.
    /// Gives the code to exit with if it is not main's own.
    pub(crate) fn wait(&self) -> Option<u8> {
        let mut killed = false;
        let mut actors_stopped = false;
        let mut state = self.state.lock();
        loop {
            let tasklets = self.keeping.load(Ordering::SeqCst) > 0;
            let at_rest = !tasklets && (actors_stopped || self.activity.is_over());
            if at_rest && self.roster.len() == 0 {
                break;
            }
            // Without news: the actors' workers tell none.
            let look = (!tasklets).then_some(LOOK);
            // When the program is to end, those that always find something to do are not waited for
            // longer than for half of the time there is.
            let overdue = !tasklets
                && state
                    .shutdown
                    .is_some_and(|shutdown| shutdown.since.elapsed() >= self.grace / 2);
            if !actors_stopped && (at_rest || overdue) {
                actors_stopped = true;
                self.shutting_down.store(true, Ordering::Release);
                self.stopping_actors.store(true, Ordering::Release);
                drop(state);
                // The supervised ones are asked by their supervisors.
                self.roster.for_each(|actor| {
                    if !actor.is_supervised() {
                        actor.stop();
                    }
                });
                state = self.state.lock();
                continue;
            }
            match state.shutdown {
                None => match look {
                    None => self.changed.wait(&mut state),
                    Some(look) => drop(self.changed.wait_for(&mut state, look)),
                },
                Some(shutdown) => {
                    let last_wait = if killed { LAST_WAIT } else { Duration::ZERO };
                    let patience = self.grace.saturating_add(last_wait);
                    // Later than any clock: never.
                    let far = Instant::now() + FAR;
                    let until = shutdown.since.checked_add(patience).unwrap_or(far);
                    let next = look.map_or(until, |look| until.min(Instant::now() + look));
                    if !self.changed.wait_until(&mut state, next).timed_out()
                        || Instant::now() < until
                    {
                        continue;
                    }
                    drop(state);
                    self.report_survivors(killed);
                    if killed {
                        return Some(shutdown.cause.exit_code());
                    }
                    killed = true;
                    self.kill_all();
                    state = self.state.lock();
                }
            }
        }
        match state.shutdown.map(|shutdown| shutdown.cause) {
            Some(Cause::Quit(code)) => Some(code),
            Some(cause @ Cause::Signal(_)) if killed => Some(cause.exit_code()),
            // An orderly end by a signal is main's own end.
            _ => None,
        }
    }

    /// Ends what is left: the daemons.
    pub(crate) fn end(&self) {
        self.kill_all();
        let mut state = self.state.lock();
        let until = Instant::now() + LAST_WAIT;
        while self.alive.load(Ordering::SeqCst) > 0 {
            if self.changed.wait_until(&mut state, until).timed_out() {
                break;
            }
        }
        drop(state);
        self.names.close();
        let mut running = RUNNING.lock();
        running.retain(|program| program.strong_count() > 0 && program.as_ptr() != self);
        if running.is_empty() {
            signals::forget_first();
        }
    }

    /// Whether all actors are asked to stop.
    pub(crate) fn stops_actors(&self) -> bool {
        self.stopping_actors.load(Ordering::Acquire)
    }

    /// Whether all that is left is being killed.
    pub(crate) fn is_killing(&self) -> bool {
        self.killing.load(Ordering::Acquire)
    }

    fn kill_all(&self) {
        self.killing.store(true, Ordering::Release);
        for core in Tree::of(self.roots()).into_members() {
            core.kill();
        }
        self.roster.for_each(ActorCell::kill);
    }

    /// Says on standard error who keeps the program from ending: whoever waits for it must not have
    /// to guess.
    fn report_survivors(&self, killed: bool) {
        let what = if killed {
            "do not end though killed; leaving them"
        } else {
            "have not ended within the grace period; killing them"
        };
        super::say(format_args!(
            "concurrence: these {what}:\n{}",
            self.overview()
        ));
    }
}
