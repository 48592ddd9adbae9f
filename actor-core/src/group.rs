//! Groups: members to send to at once.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::message::{Destination, Message, Pid, Receiver};
use crate::{SendError, message};

/// Members to send to at once: the clients of a chat room, the subscribers of a topic.
///
/// A clone refers to the same group. A member that has ended drops out when the group next meets it.
/// Membership is a reference: a tasklet that is in a group does not end for want of others.
///
/// ```
/// # extern crate actor_core as concurrence;
/// # use concurrence::{Group, Message, Tasklet, dispatch};
/// #[derive(Message, Clone)]
/// struct News(&'static str);
///
/// # fn main() {
/// dispatch(|| {
///     let readers: Group<Tasklet> = Group::new();
///     for _ in 0..3 {
///         readers.join(&Tasklet::spawn(|| Tasklet::receive_one().is_ok()));
///     }
///     assert_eq!(readers.broadcast(News("it works")), 3);
/// });
/// # }
/// ```
pub struct Group<R> {
    state: Arc<Mutex<State<R>>>,
}

struct State<R> {
    members: BTreeMap<Pid, R>,
    /// What broadcasts go by: a copy of the references, made by the first of them after a change. So
    /// a stable group is not copied each time, and a thousand joins in a row copy nothing.
    snapshot: Option<Arc<[R]>>,
}

impl<R: Receiver + Clone> Group<R> {
    /// A group without members.
    ///
    /// ```
    /// use actor_core::{Group, Tasklet};
    ///
    /// let nobody: Group<Tasklet> = Group::new();
    /// assert!(nobody.is_empty());
    /// ```
    pub fn new() -> Self {
        Group::default()
    }

    /// Takes `member` in. It is in the group once, however often it joins.
    ///
    /// ```
    /// use actor_core::{Group, Tasklet, dispatch};
    ///
    /// dispatch(|| {
    ///     let group = Group::new();
    ///     group.join(&Tasklet::current());
    ///     group.join(&Tasklet::current());
    ///     assert_eq!(group.len(), 1);
    /// });
    /// ```
    pub fn join(&self, member: &R) {
        let (pid, member) = (member.pid(), member.clone());
        self.change(|members| members.insert(pid, member));
    }

    /// Lets `member` go; `false` if it was none.
    ///
    /// ```
    /// use actor_core::{Group, Tasklet, dispatch};
    ///
    /// dispatch(|| {
    ///     let group = Group::new();
    ///     group.join(&Tasklet::current());
    ///     assert!(group.leave(&Tasklet::current()));
    ///     assert!(!group.leave(&Tasklet::current()));
    /// });
    /// ```
    pub fn leave(&self, member: &R) -> bool {
        self.change(|members| members.remove(&member.pid()))
            .is_some()
    }

    /// How many members there are, those included that have ended unnoticed.
    ///
    /// ```
    /// use actor_core::{Group, Tasklet, dispatch};
    ///
    /// dispatch(|| {
    ///     let group = Group::new();
    ///     group.join(&Tasklet::current());
    ///     assert_eq!(group.len(), 1);
    /// });
    /// ```
    pub fn len(&self) -> usize {
        self.state.lock().members.len()
    }

    /// Whether there are none.
    ///
    /// ```
    /// use actor_core::{Group, Tasklet};
    ///
    /// assert!(Group::<Tasklet>::new().is_empty());
    /// ```
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The members, in the order of their pids.
    ///
    /// ```
    /// use actor_core::{Group, Tasklet, dispatch};
    ///
    /// dispatch(|| {
    ///     let group = Group::new();
    ///     group.join(&Tasklet::current());
    ///     assert_eq!(group.members(), [Tasklet::current()]);
    /// });
    /// ```
    pub fn members(&self) -> Vec<R> {
        self.snapshot().to_vec()
    }

    /// Changes the members. What falls out, references that may be the last, is dropped by the caller
    /// or here, not under the lock.
    fn change<T>(&self, change: impl FnOnce(&mut BTreeMap<Pid, R>) -> T) -> T {
        let mut state = self.state.lock();
        let changed = change(&mut state.members);
        let stale = state.snapshot.take();
        drop(state);
        drop(stale);
        changed
    }

    fn snapshot(&self) -> Arc<[R]> {
        let mut state = self.state.lock();
        let State { members, snapshot } = &mut *state;
        snapshot
            .get_or_insert_with(|| members.values().cloned().collect())
            .clone()
    }

    /// Sends a clone of `message` to every member, without ever waiting; gives how many took it.
    ///
    /// A member whose mailbox refuses because it is full does not get this message.
    ///
    /// ```
    /// # extern crate actor_core as concurrence;
    /// # use concurrence::{Group, Message, Tasklet, dispatch};
    /// #[derive(Message, Clone)]
    /// struct News(&'static str);
    ///
    /// # fn main() {
    /// dispatch(|| {
    ///     let group = Group::new();
    ///     group.join(&Tasklet::current());
    ///     assert_eq!(group.broadcast(News("it works")), 1);
    ///     assert!(Tasklet::receive_one().unwrap().is::<News>());
    /// });
    /// # }
    /// ```
    pub fn broadcast<M>(&self, message: M) -> usize
    where
        M: Message + Clone,
        R: Destination<M>,
    {
        self.send_to_all_but(None, message)
    }

    /// As [`broadcast`](Self::broadcast), to all but the current tasklet.
    ///
    /// ```
    /// # extern crate actor_core as concurrence;
    /// # use concurrence::{Group, Message, Tasklet, dispatch};
    /// #[derive(Message, Clone)]
    /// struct News(&'static str);
    ///
    /// # fn main() {
    /// dispatch(|| {
    ///     let group = Group::new();
    ///     group.join(&Tasklet::current());
    ///     assert_eq!(group.broadcast_others(News("nobody else is here")), 0);
    /// });
    /// # }
    /// ```
    pub fn broadcast_others<M>(&self, message: M) -> usize
    where
        M: Message + Clone,
        R: Destination<M>,
    {
        self.send_to_all_but(Pid::current(), message)
    }

    fn send_to_all_but<M>(&self, except: Option<Pid>, message: M) -> usize
    where
        M: Message + Clone,
        R: Destination<M>,
    {
        let mut taken = 0;
        let mut ended = Vec::new();
        for member in self
            .snapshot()
            .iter()
            .filter(|member| Some(member.pid()) != except)
        {
            match message::try_send(member, message.clone()) {
                Ok(()) => taken += 1,
                Err(SendError::Ended(_)) => ended.push(member.pid()),
                Err(_) => {}
            }
        }
        if !ended.is_empty() {
            let gone: Vec<_> =
                self.change(|members| ended.iter().filter_map(|pid| members.remove(pid)).collect());
            drop(gone);
        }
        taken
    }
}

impl<R> Clone for Group<R> {
    fn clone(&self) -> Self {
        Group {
            state: self.state.clone(),
        }
    }
}

impl<R> Default for Group<R> {
    fn default() -> Self {
        Group {
            state: Arc::new(Mutex::new(State {
                members: BTreeMap::new(),
                snapshot: None,
            })),
        }
    }
}

impl<R> fmt::Debug for Group<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set()
            .entries(self.state.lock().members.keys())
            .finish()
    }
}
