//! The tree of tasklets, for whoever wants to know what a program does, or why it does not end.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use super::core::Core;
use super::family::Family;
use crate::Pid;
use crate::block::Waiting;
use crate::tasklet::Tasklet;
use crate::worker;

/// Tasklets and their descendants at one moment; see [`Tasklet::tree`].
///
/// Printed, it is a line for each: its name and pid, whether it runs, is ready or what it waits for,
/// and what else is to be told of it. A lock is told by its address, which is also what `{:p}` prints
/// of a reference to it: two tasklets that wait for the same one can be seen to, and a program can log
/// which of its own is where.
///
/// ```
/// use actor_core::{Tasklet, dispatch, sync::Mutex};
/// use std::sync::Arc;
///
/// dispatch(|| {
///     let ledger = Arc::new(Mutex::new(0));
///     let guard = ledger.lock();
///     let clerk = {
///         let ledger = ledger.clone();
///         Tasklet::spawn(move || *ledger.lock() += 1)
///     };
///     assert!(clerk.tree().to_string().contains(" is ready, "));
///     Tasklet::yield_now();
///     let waits = format!("waits for the mutex at {ledger:p}");
///     assert!(clerk.tree().to_string().contains(&waits));
///     drop(guard);
/// });
/// ```
#[derive(Clone, Debug)]
pub struct Tree {
    /// Each with its depth, parents before their children.
    members: Vec<(usize, Arc<Core>)>,
}

impl Tree {
    pub(crate) fn of(roots: Vec<Arc<Core>>) -> Tree {
        let mut members = Vec::new();
        // Not recursive: a tree may be deeper than a stack.
        let mut rest: Vec<_> = roots.into_iter().rev().map(|core| (0, core)).collect();
        while let Some((depth, core)) = rest.pop() {
            let children = Family::children(&core);
            members.push((depth, core));
            rest.extend(children.into_iter().rev().map(|child| (depth + 1, child)));
        }
        Tree { members }
    }

    pub(crate) fn into_members(self) -> impl Iterator<Item = Arc<Core>> {
        self.members.into_iter().map(|(_, core)| core)
    }

    /// The tasklets, parents before their children, each with its depth below the root.
    ///
    /// ```
    /// use actor_core::{Tasklet, dispatch};
    ///
    /// dispatch(|| {
    ///     let child = Tasklet::builder().name("child").spawn(|| ()).unwrap();
    ///     let tree = Tasklet::current().tree();
    ///     let names: Vec<_> = tree.iter().map(|(depth, tasklet)| (depth, tasklet.name().to_owned())).collect();
    ///     assert_eq!(names, [(0, "main".into()), (1, "child".into())]);
    ///     drop(child);
    /// });
    /// ```
    pub fn iter(&self) -> impl Iterator<Item = (usize, Tasklet)> + '_ {
        self.members
            .iter()
            .map(|(depth, core)| (*depth, Tasklet::new(core.clone())))
    }
}

impl fmt::Display for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let by_pid = self.members.iter().map(|(_, core)| (core.pid, &**core));
        let by_pid = by_pid.collect();
        for (depth, core) in &self.members {
            write!(f, "{:indent$}{core:?} ", "", indent = depth * 2)?;
            describe(core, &by_pid, f)?;
            writeln!(f)?;
        }
        Ok(())
    }
}

fn describe(core: &Core, by_pid: &HashMap<Pid, &Core>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if core.has_ended() {
        return f.write_str("has ended");
    }
    match core.waits_for() {
        _ if worker::is_running(core) => f.write_str("runs")?,
        _ if core.wake.is_paused() => f.write_str("is paused")?,
        _ if !core.wake.is_parked() => f.write_str("is ready")?,
        Waiting::Nothing => f.write_str("waits")?,
        Waiting::Message => f.write_str("waits for a message")?,
        Waiting::Reply(of) => write!(f, "waits for a reply of {}", name(of, by_pid))?,
        Waiting::Room(of) => write!(f, "waits for room in the mailbox of {}", name(of, by_pid))?,
        Waiting::End(of) | Waiting::Exit(of) => {
            write!(f, "waits for the end of {}", name(of, by_pid))?
        }
        Waiting::Readable(fd) => write!(f, "waits to read from descriptor {}", file(fd))?,
        Waiting::Writable(fd) => write!(f, "waits to write to descriptor {}", file(fd))?,
        Waiting::Lock(at) => write!(f, "waits for the mutex at {at:#x}")?,
        Waiting::Condition(at) => write!(f, "waits for the condition variable at {at:#x}")?,
        Waiting::Event(at) => write!(f, "waits for the event at {at:#x}")?,
        Waiting::Permit(at) => write!(f, "waits for a permit of the semaphore at {at:#x}")?,
        Waiting::Thread => f.write_str("waits for a thread of the pool")?,
        Waiting::Time => f.write_str("waits for a time")?,
        Waiting::Sender(channel) => write!(f, "waits to send on channel {channel}")?,
        Waiting::Receiver(channel) => write!(f, "waits to receive from channel {channel}")?,
        Waiting::Any | Waiting::AnyPeer => f.write_str("waits for one of several things")?,
        Waiting::Element(of) => write!(f, "waits for an element of {}", name(of, by_pid))?,
        Waiting::Future => f.write_str("waits for a future")?,
        Waiting::Demand => f.write_str("waits until its next element is wanted")?,
    }
    write!(f, ", on worker {}", core.home)?;
    for (is_so, what) in [
        (core.daemon, ", daemon"),
        (core.is_stopping(), ", stopping"),
        (core.is_killed(), ", killed"),
    ] {
        if is_so {
            f.write_str(what)?;
        }
    }
    for (class, count) in core.ignored.lock().iter() {
        write!(f, ", has no arm for {count} of {class}")?;
    }
    Ok(())
}

/// Name and pid, if it is one of those shown; of others only the pid is known.
fn name(pid: Pid, by_pid: &HashMap<Pid, &Core>) -> String {
    by_pid
        .get(&pid)
        .map_or_else(|| pid.to_string(), |core| format!("{core:?}"))
}

/// A descriptor, and what the system says of it: `socket:[12345]`, or a path.
fn file(fd: i32) -> String {
    match std::fs::read_link(format!("/proc/self/fd/{fd}")) {
        Ok(target) => format!("{fd} ({})", target.display()),
        Err(_) => fd.to_string(),
    }
}
