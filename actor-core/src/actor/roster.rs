//! The actors of a program that live.
//!
//! Split by the worker that an actor was spawned on, so that spawning takes no lock that others want.

use std::ptr::NonNull;

use crossbeam_utils::CachePadded;
use parking_lot::Mutex;

use super::cell::ActorCell;
use crate::Pid;

/// How many actors a report names.
const REPORTED: usize = 20;

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Roster {
    /// One for each worker, and one for all other threads.
    parts: Box<[CachePadded<Mutex<Part>>]>,
}

/// Where in a roster an actor stands.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Entry {
    part: u32,
    index: u32,
}

#[derive(Debug, Default)]
struct Part {
    actors: Vec<Option<NonNull<ActorCell>>>,
    free: Vec<u32>,
}

// SAFETY: the pointers are to cells that live for as long as they are in here, and are Sync.
unsafe impl Send for Part {}

impl Roster {
    pub(crate) fn new(workers: usize) -> Self {
        Roster {
            parts: (0..=workers).map(|_| CachePadded::default()).collect(),
        }
    }

    /// Takes in an actor that is spawned on worker `on`, or on another thread. It is to be
    /// [removed](Self::remove) before its memory goes.
    pub(crate) fn add(&self, actor: NonNull<ActorCell>, on: Option<usize>) -> Entry {
        let which = on.unwrap_or(self.parts.len() - 1);
        let mut part = self.parts[which].lock();
        let index = match part.free.pop() {
            Some(index) => {
                part.actors[index as usize] = Some(actor);
                index
            }
            None => {
                part.actors.push(Some(actor));
                (part.actors.len() - 1) as u32
            }
        };
        Entry {
            part: which as u32,
            index,
        }
    }

    pub(crate) fn remove(&self, entry: Entry) {
        let mut part = self.parts[entry.part as usize].lock();
        part.actors[entry.index as usize] = None;
        part.free.push(entry.index);
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        let len = |part: &CachePadded<Mutex<Part>>| {
            let part = part.lock();
            part.actors.len() - part.free.len()
        };
        self.parts.iter().map(len).sum()
    }

    /// Those who live, one on a line, up to a number of lines; those in a handler first.
    pub(crate) fn report(&self) -> String {
        let (mut busy, mut idle) = (Vec::new(), Vec::new());
        self.for_each(|actor| {
            let list = if actor.is_in_handler() {
                &mut busy
            } else {
                &mut idle
            };
            if list.len() < REPORTED {
                list.push(format!("{actor:?}"));
            }
        });
        let busy = busy.iter().map(|name| format!("{name} is in a handler\n"));
        let idle = idle.iter().map(|name| format!("{name} is not\n"));
        let mut text: String = busy.chain(idle).take(REPORTED).collect();
        let more = self.len().saturating_sub(REPORTED);
        if more > 0 {
            text.push_str(&format!("and {more} more actors\n"));
        }
        text
    }

    /// Looks at the actor `pid`, if it is here.
    pub(crate) fn find<T>(&self, pid: Pid, look: impl Fn(&ActorCell) -> T) -> Option<T> {
        self.parts.iter().find_map(|part| {
            let part = part.lock();
            let mut actors = part.actors.iter().flatten().map(|actor| {
                // SAFETY: it lives while it is in here, which it is under the lock.
                unsafe { actor.as_ref() }
            });
            actors.find(|actor| actor.pid == pid).map(&look)
        })
    }

    /// Does something with each that there is now, one part after the other.
    pub(crate) fn for_each(&self, mut f: impl FnMut(&ActorCell)) {
        for part in &self.parts {
            let held: Vec<_> = part
                .lock()
                .actors
                .iter()
                .flatten()
                .inspect(|actor| {
                    // SAFETY: it lives while it is in here.
                    unsafe { actor.as_ref() }.add_reference();
                })
                .copied()
                .collect();
            // Not under the lock: it may end at once.
            for actor in held {
                // SAFETY: the reference that has just been taken.
                f(unsafe { actor.as_ref() });
                // SAFETY: that reference.
                unsafe { ActorCell::remove_reference(actor) };
            }
        }
    }
}
