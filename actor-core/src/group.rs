//! Groups: members to send to at once.
//!
//! A member's end is the group's affair as well: it has something done then, which takes the member out.
//! A member is entered in the list first and its end looked out for second, so that one that ends
//! meanwhile is taken out again, whichever comes first.
//!
//! What happens to the members is told to those who watch them, in one order for all. No lock is held
//! meanwhile: a change is queued together with those who are to be told of it, under the lock, and
//! whoever finds that nobody is telling tells what is queued until there is no more.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::contain::contain;
use crate::exit::AtEnd;
use crate::message::{Destination, Message, Pid, Receiver};
use crate::{Recipient, SendError, block, message};

/// Members to send to at once: the clients of a chat room, the workers on a subject.
///
/// A clone refers to the same group. A member that ends drops out at once; so does one whose mailbox takes
/// no more when a broadcast finds that out. Membership is a reference: a tasklet or an actor that is in a
/// group does not end for want of others. The group itself goes with its last reference, whoever is in
/// it.
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
pub struct Group<R: Receiver> {
    shared: Arc<Mutex<State<R>>>,
}

struct State<R: Receiver> {
    members: List<R>,
    watchers: List<Recipient<GroupChanged<R>>>,
    /// What has not been told yet, the oldest first.
    news: VecDeque<News<R>>,
    /// Whether somebody is telling.
    telling: bool,
}

/// A change, and who is to be told of it.
struct News<R: Receiver> {
    member: R,
    change: Membership,
    to: Arc<[Recipient<GroupChanged<R>>]>,
}

/// Word of a change in a group, to those who [watch](Group::watch) it.
///
/// ```
/// # extern crate actor_core as concurrence;
/// use concurrence::{Group, GroupChanged, Membership, Tasklet, dispatch};
///
/// fn main() {
///     dispatch(|| {
///         let group: Group<Tasklet> = Group::new();
///         group.watch(Tasklet::current());
///         let member = Tasklet::spawn(|| ());
///         group.join(&member);
///         for expected in [Membership::Joined, Membership::Ended] {
///             let word = Tasklet::receive_one().unwrap();
///             let word = word.downcast::<GroupChanged<Tasklet>>().unwrap();
///             assert_eq!((word.change, word.member), (expected, member.tasklet().clone()));
///         }
///     });
/// }
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub struct GroupChanged<R: Receiver> {
    /// The group.
    pub group: Group<R>,
    /// Who has come or gone.
    pub member: R,
    /// Which of the two, and why.
    pub change: Membership,
}

impl<R: Receiver> Message for GroupChanged<R> {
    type Reply = ();
}

impl<R: Receiver> fmt::Debug for GroupChanged<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GroupChanged({} {:?})", self.member.pid(), self.change)
    }
}

/// What has happened to a member of a [`Group`].
///
/// ```
/// use actor_core::Membership;
///
/// assert_ne!(Membership::Left, Membership::Ended);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Membership {
    /// It has joined.
    Joined,
    /// It, or somebody for it, has left.
    Left,
    /// It has ended, or takes no more messages.
    Ended,
}

/// Receivers by their identity, and a look at all of them.
struct List<T> {
    entries: BTreeMap<Pid, Entry<T>>,
    /// A copy of the references, made by the first who asks after a change. So a stable list is not copied
    /// each time, and a thousand joins in a row copy nothing.
    snapshot: Option<Arc<[T]>>,
    /// How many have ever been entered.
    issued: u64,
}

struct Entry<T> {
    receiver: T,
    /// Tells one stay from another of the same.
    stay: u64,
    /// Takes it out when it ends. Missing for as long as whoever enters it is not done.
    at_end: Option<AtEnd>,
}

impl<T: Receiver + Clone> List<T> {
    const fn new() -> Self {
        List {
            entries: BTreeMap::new(),
            snapshot: None,
            issued: 0,
        }
    }

    /// Enters a receiver; `None` if it is there.
    fn enter(&mut self, receiver: &T) -> Option<Entered<T>> {
        let pid = receiver.pid();
        if self.entries.contains_key(&pid) {
            return None;
        }
        self.issued += 1;
        let entry = Entry {
            receiver: receiver.clone(),
            stay: self.issued,
            at_end: None,
        };
        self.entries.insert(pid, entry);
        Some(Entered {
            pid,
            stay: self.issued,
            stale: self.snapshot.take(),
        })
    }

    /// Takes one out. What falls out is dropped by the caller, not under the lock.
    fn remove(&mut self, pid: Pid) -> Option<Removed<T>> {
        Some(Removed {
            entry: self.entries.remove(&pid)?,
            _stale: self.snapshot.take(),
        })
    }

    /// Keeps what takes a receiver out at its end; gives it back if that one is out already.
    fn keep(&mut self, pid: Pid, stay: u64, at_end: AtEnd) -> Option<AtEnd> {
        match self.entries.get_mut(&pid) {
            Some(entry) if entry.stay == stay => entry.at_end.replace(at_end),
            _ => Some(at_end),
        }
    }

    fn snapshot(&mut self) -> Arc<[T]> {
        let entries = &self.entries;
        self.snapshot
            .get_or_insert_with(|| {
                let receivers = entries.values().map(|entry| entry.receiver.clone());
                receivers.collect()
            })
            .clone()
    }
}

/// A receiver that has just been entered.
struct Entered<T> {
    pid: Pid,
    stay: u64,
    /// To be dropped, not under the lock.
    stale: Option<Arc<[T]>>,
}

/// A receiver that has been taken out.
struct Removed<T> {
    entry: Entry<T>,
    _stale: Option<Arc<[T]>>,
}

/// One of a group's lists.
type Which<R, T> = fn(&mut State<R>) -> &mut List<T>;

impl<R: Receiver + Clone> State<R> {
    /// Queues word of a change for those who watch.
    fn note(&mut self, member: &R, change: Membership) {
        if !self.watchers.entries.is_empty() {
            self.news.push_back(News {
                member: member.clone(),
                change,
                to: self.watchers.snapshot(),
            });
        }
    }
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

    /// Takes `member` in. It is in the group once, however often it joins. One that has ended is out again
    /// by the time this returns.
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
        let entered = {
            let mut state = self.shared.lock();
            let entered = state.members.enter(member);
            if entered.is_some() {
                state.note(member, Membership::Joined);
            }
            entered
        };
        if let Some(entered) = entered {
            self.look_out(
                member,
                entered,
                |state| &mut state.members,
                |group, pid| {
                    group.remove(pid, Membership::Ended);
                },
            );
            self.tell();
        }
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
        self.remove(member.pid(), Membership::Left)
    }

    fn remove(&self, pid: Pid, change: Membership) -> bool {
        let removed = {
            let mut state = self.shared.lock();
            let removed = state.members.remove(pid);
            if let Some(removed) = &removed {
                state.note(&removed.entry.receiver, change);
            }
            removed
        };
        if removed.is_some() {
            self.tell();
        }
        removed.is_some()
    }

    /// Has `ended` done when a receiver ends that has just been entered.
    ///
    /// Until then, or until the receiver is taken out, that one refers to the group, but does not keep it.
    fn look_out<T: Receiver + Clone>(
        &self,
        receiver: &T,
        entered: Entered<T>,
        list: Which<R, T>,
        ended: fn(&Group<R>, Pid),
    ) {
        let Entered { pid, stay, stale } = entered;
        drop(stale);
        let Some(owner) = receiver.owner() else {
            return;
        };
        let group = Arc::downgrade(&self.shared);
        let at_end = AtEnd::of(owner.0, move || {
            if let Some(shared) = group.upgrade() {
                ended(&Group { shared }, pid);
            }
        });
        let unwanted = list(&mut self.shared.lock()).keep(pid, stay, at_end);
        drop(unwanted);
    }

    /// Has `watcher` told of each change from now on, by a [`GroupChanged`]; gives the members that there
    /// are now. All who watch hear of the changes in the same order.
    ///
    /// Nothing waits for a watcher: a word that its mailbox refuses is lost. It is told until it ends or
    /// [`unwatch`](Self::unwatch) is called, and until then the group is a reference to it. A
    /// [function](Recipient::from_fn) is called by whoever changes the group, or ends; it must not wait.
    ///
    /// ```
    /// use actor_core::{Group, Tasklet, dispatch};
    ///
    /// dispatch(|| {
    ///     let group: Group<Tasklet> = Group::new();
    ///     assert!(group.watch(Tasklet::current()).is_empty());
    ///     group.join(&Tasklet::current());
    ///     assert_eq!(Tasklet::pending(), 1);
    /// });
    /// ```
    pub fn watch(&self, watcher: impl Into<Recipient<GroupChanged<R>>>) -> Vec<R> {
        let watcher = watcher.into();
        let (entered, members) = {
            let mut state = self.shared.lock();
            (state.watchers.enter(&watcher), state.members.snapshot())
        };
        if let Some(entered) = entered {
            self.look_out(
                &watcher,
                entered,
                |state| &mut state.watchers,
                |group, pid| {
                    group.remove_watcher(pid);
                },
            );
        }
        members.to_vec()
    }

    /// Has `watcher` told no more; `false` if it was not. Word that is on its way still comes.
    ///
    /// ```
    /// use actor_core::{Group, Tasklet, dispatch};
    ///
    /// dispatch(|| {
    ///     let group: Group<Tasklet> = Group::new();
    ///     group.watch(Tasklet::current());
    ///     assert!(group.unwatch(&Tasklet::current()));
    ///     group.join(&Tasklet::current());
    ///     assert_eq!(Tasklet::pending(), 0);
    /// });
    /// ```
    pub fn unwatch(&self, watcher: &impl Receiver) -> bool {
        self.remove_watcher(watcher.pid())
    }

    fn remove_watcher(&self, pid: Pid) -> bool {
        let removed = self.shared.lock().watchers.remove(pid);
        removed.is_some()
    }

    /// Tells what is queued, unless somebody else is at it.
    fn tell(&self) {
        {
            let mut state = self.shared.lock();
            if state.telling || state.news.is_empty() {
                return;
            }
            state.telling = true;
        }
        // A kill in the middle would leave the rest untold.
        block::shielded(|| {
            while let Some(News { member, change, to }) = self.next_news() {
                for watcher in &*to {
                    // It may be a function of the user's.
                    contain(|| self.tell_one(watcher, &member, change));
                }
                contain(|| drop((member, to)));
            }
        });
    }

    fn tell_one(&self, watcher: &Recipient<GroupChanged<R>>, member: &R, change: Membership) {
        let word = GroupChanged {
            group: self.clone(),
            member: member.clone(),
            change,
        };
        if let Err(refused) = watcher.try_send(word) {
            tracing::debug!(to = %watcher.pid(), %refused, "word of a group's change was refused");
        }
    }

    fn next_news(&self) -> Option<News<R>> {
        let mut state = self.shared.lock();
        let next = state.news.pop_front();
        state.telling = next.is_some();
        next
    }

    /// How many members there are.
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
        self.shared.lock().members.entries.len()
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

    /// Whether `member` is in it.
    ///
    /// ```
    /// use actor_core::{Group, Tasklet, dispatch};
    ///
    /// dispatch(|| {
    ///     assert!(!Group::new().contains(&Tasklet::current()));
    /// });
    /// ```
    pub fn contains(&self, member: &R) -> bool {
        self.shared
            .lock()
            .members
            .entries
            .contains_key(&member.pid())
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

    fn snapshot(&self) -> Arc<[R]> {
        self.shared.lock().members.snapshot()
    }

    /// Sends a clone of `message` to every member, without ever waiting; gives how many took it.
    ///
    /// A member whose mailbox refuses because it is full does not get this message. Each member's mailbox
    /// has a node of its own for it, from memory that is used again; so a message that is large is best
    /// shared: a clone of an [`Arc`] copies nothing, and then the broadcast allocates nothing for it.
    ///
    /// ```
    /// # extern crate actor_core as concurrence;
    /// # use concurrence::{Group, Message, Tasklet, dispatch};
    /// # use std::sync::Arc;
    /// #[derive(Message, Clone)]
    /// struct News(Arc<str>);
    ///
    /// # fn main() {
    /// dispatch(|| {
    ///     let group = Group::new();
    ///     group.join(&Tasklet::current());
    ///     assert_eq!(group.broadcast(News("it works".into())), 1);
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

    /// As [`broadcast`](Self::broadcast), to all but the current tasklet or actor.
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
        let members = self.snapshot();
        for member in members.iter() {
            let pid = member.pid();
            if Some(pid) == except {
                continue;
            }
            match message::try_send(member, message.clone()) {
                Ok(()) => taken += 1,
                Err(SendError::Ended(_)) => drop(self.remove(pid, Membership::Ended)),
                Err(_) => {}
            }
        }
        taken
    }
}

impl<R: Receiver> Clone for Group<R> {
    fn clone(&self) -> Self {
        Group {
            shared: self.shared.clone(),
        }
    }
}

impl<R: Receiver + Clone> Default for Group<R> {
    fn default() -> Self {
        Group {
            shared: Arc::new(Mutex::new(State {
                members: List::new(),
                watchers: List::new(),
                news: VecDeque::new(),
                telling: false,
            })),
        }
    }
}

/// By identity.
impl<R: Receiver> PartialEq for Group<R> {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }
}

impl<R: Receiver> Eq for Group<R> {}

impl<R: Receiver> fmt::Debug for Group<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set()
            .entries(self.shared.lock().members.entries.keys())
            .finish()
    }
}
