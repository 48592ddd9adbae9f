//! Names: receivers of messages that are found by what they are called.
//!
//! Each program has one table of names. A tasklet, an actor or a [`Recipient`](crate::Recipient) is
//! [registered](register) by whoever likes, and [looked up](lookup) as what it is. A name is freed when
//! the one who has it ends for good: a supervised actor keeps its own from life to life. What is
//! registered is reachable, and so does not end for want of other references. That holds for tasklets
//! as well: a receive loop with a name goes on until it is asked to stop, or the name is taken back.
//!
//! ```
//! # extern crate actor_core as concurrence;
//! use concurrence::registry::{self, LookupError};
//! use concurrence::{Actor, Addr, Context, Handler, Message, Tasklet, dispatch};
//!
//! struct Greeter;
//! impl Actor for Greeter {}
//!
//! #[derive(Message)]
//! #[message(reply = String)]
//! struct Greet(&'static str);
//! impl Handler<Greet> for Greeter {
//!     fn handle(&mut self, Greet(whom): Greet, _: &mut Context<Self>) -> String {
//!         format!("Hello, {whom}!")
//!     }
//! }
//!
//! fn main() {
//!     dispatch(|| {
//!         registry::register("greeter", &Addr::spawn(Greeter)).unwrap();
//!
//!         let greeter = registry::lookup::<Addr<Greeter>>("greeter").unwrap();
//!         assert_eq!(greeter.call(Greet("world")).unwrap(), "Hello, world!");
//!         let wrong = registry::lookup::<Tasklet>("greeter");
//!         assert!(matches!(wrong, Err(LookupError::WrongType { .. })));
//!
//!         greeter.stop();
//!         greeter.join();
//!         let gone = registry::lookup::<Addr<Greeter>>("greeter");
//!         assert!(matches!(gone, Err(LookupError::NotFound { .. })));
//!     });
//! }
//! ```

use std::any::{Any, type_name};
use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::mem;
use std::sync::Arc;

use parking_lot::RwLock;

use crate::exit::AtEnd;
use crate::{Pid, Receiver, runtime};

/// A program's names.
#[derive(Debug, Default)]
pub(crate) struct Names {
    table: RwLock<Table>,
}

#[derive(Debug, Default)]
struct Table {
    entries: BTreeMap<Arc<str>, Entry>,
    issued: u64,
    /// The program is at its end, and registers nobody any more.
    closed: bool,
}

#[derive(Debug)]
struct Entry {
    pid: Pid,
    receiver: Arc<dyn Any + Send + Sync>,
    kind: &'static str,
    /// Tells one tenure of a name from another.
    tenure: u64,
    /// Frees the name at its owner's end. Missing for as long as the registration is not done.
    at_end: Option<AtEnd>,
}

impl Names {
    fn free(&self, name: &str, tenure: Option<u64>) -> Option<Entry> {
        let mut table = self.table.write();
        let entry = table.entries.get(name)?;
        if tenure.is_some_and(|tenure| tenure != entry.tenure) {
            return None;
        }
        // Dropped by the caller, not under the lock: it may be the last reference.
        table.entries.remove(name)
    }

    /// Frees all names, for good: what is registered refers to the program, which has them.
    pub(crate) fn close(&self) {
        let entries = {
            let mut table = self.table.write();
            table.closed = true;
            mem::take(&mut table.entries)
        };
        drop(entries);
    }
}

/// Calls `receiver` by `name` in the program of the caller, until it ends for good or the name is
/// [taken back](unregister). It may have several names.
///
/// A plain thread registers with the program that it works for, or else the oldest that runs. Does not
/// wait.
///
/// # Errors
///
/// [`RegisterError::Taken`] if another has the name, or this one has it already;
/// [`RegisterError::Ended`] if `receiver` has ended; [`RegisterError::NotRunning`] if no program runs.
///
/// ```
/// use actor_core::registry::{self, RegisterError};
/// use actor_core::{Tasklet, dispatch};
///
/// dispatch(|| {
///     let me = Tasklet::current();
///     registry::register("main", &me).unwrap();
///     let taken = registry::register("main", &me);
///     assert_eq!(taken, Err(RegisterError::Taken { name: "main".into(), by: me.pid() }));
/// });
/// ```
pub fn register<R>(name: impl Into<Arc<str>>, receiver: &R) -> Result<(), RegisterError>
where
    R: Receiver + Clone,
{
    let name = name.into();
    let pid = receiver.pid();
    let program = runtime::program().ok_or(RegisterError::NotRunning)?;
    let owned: Arc<dyn Any + Send + Sync> = Arc::new(receiver.clone());
    let tenure = {
        let mut table = program.names.table.write();
        if table.closed {
            return Err(RegisterError::NotRunning);
        }
        if let Some(other) = table.entries.get(&name) {
            let by = other.pid;
            return Err(RegisterError::Taken { name, by });
        }
        table.issued += 1;
        let entry = Entry {
            pid,
            receiver: owned,
            kind: type_name::<R>(),
            tenure: table.issued,
            at_end: None,
        };
        table.entries.insert(name.clone(), entry);
        table.issued
    };
    // Entered first: one that ends meanwhile frees the name again, whichever comes first.
    if let Some(owner) = receiver.owner() {
        let of = Arc::downgrade(&program);
        let freed = name.clone();
        let at_end = AtEnd::of(owner.0, move || {
            if let Some(program) = of.upgrade() {
                drop(program.names.free(&freed, Some(tenure)));
            }
        });
        let mut table = program.names.table.write();
        match table.entries.get_mut(&name) {
            Some(entry) if entry.tenure == tenure => entry.at_end = Some(at_end),
            _ => {
                drop(table);
                drop(at_end);
                return Err(RegisterError::Ended { name, pid });
            }
        }
    }
    Ok(())
}

/// Finds the receiver that is called `name` in the program of the caller, as what it was registered as.
///
/// Does not wait.
///
/// # Errors
///
/// [`LookupError::NotFound`] if nobody has the name, or no program runs; [`LookupError::WrongType`] if it
/// is another kind of receiver.
///
/// ```
/// use actor_core::registry::{self, LookupError};
/// use actor_core::{Tasklet, dispatch};
///
/// dispatch(|| {
///     registry::register("main", &Tasklet::current()).unwrap();
///     assert_eq!(registry::lookup::<Tasklet>("main"), Ok(Tasklet::current()));
///     let nobody = registry::lookup::<Tasklet>("nobody");
///     assert_eq!(nobody, Err(LookupError::NotFound { name: "nobody".into() }));
/// });
/// ```
pub fn lookup<R>(name: &str) -> Result<R, LookupError>
where
    R: Receiver + Clone,
{
    let found = runtime::program().and_then(|program| {
        let table = program.names.table.read();
        let entry = table.entries.get(name)?;
        Some((entry.receiver.clone(), entry.kind))
    });
    let Some((receiver, registered)) = found else {
        return Err(LookupError::NotFound { name: name.into() });
    };
    match receiver.downcast_ref::<R>() {
        Some(receiver) => Ok(receiver.clone()),
        None => Err(LookupError::WrongType {
            name: name.into(),
            registered,
            wanted: type_name::<R>(),
        }),
    }
}

/// Takes a name back, whoever has it; gives who had it. Does not wait.
///
/// ```
/// use actor_core::{Tasklet, dispatch, registry};
///
/// dispatch(|| {
///     registry::register("main", &Tasklet::current()).unwrap();
///     assert_eq!(registry::unregister("main"), Some(Tasklet::current().pid()));
///     assert_eq!(registry::unregister("main"), None);
/// });
/// ```
pub fn unregister(name: &str) -> Option<Pid> {
    let entry = runtime::program()?.names.free(name, None)?;
    Some(entry.pid)
}

/// Who is called `name`, whatever kind of receiver it is. Does not wait.
///
/// ```
/// use actor_core::{Tasklet, dispatch, registry};
///
/// dispatch(|| {
///     registry::register("main", &Tasklet::current()).unwrap();
///     assert_eq!(registry::whereis("main"), Some(Tasklet::current().pid()));
/// });
/// ```
pub fn whereis(name: &str) -> Option<Pid> {
    let program = runtime::program()?;
    let table = program.names.table.read();
    Some(table.entries.get(name)?.pid)
}

/// All names of the caller's program, in their order, each with who has it. Does not wait.
///
/// ```
/// use actor_core::{Tasklet, dispatch, registry};
///
/// dispatch(|| {
///     registry::register("main", &Tasklet::current()).unwrap();
///     let (name, pid) = &registry::names()[0];
///     assert_eq!((&**name, *pid), ("main", Tasklet::current().pid()));
/// });
/// ```
pub fn names() -> Vec<(Arc<str>, Pid)> {
    runtime::program().map_or_else(Vec::new, |program| {
        let table = program.names.table.read();
        let names = table.entries.iter();
        names
            .map(|(name, entry)| (name.clone(), entry.pid))
            .collect()
    })
}

/// Why a receiver was not [registered](register).
///
/// ```
/// use actor_core::registry::{self, RegisterError};
/// use actor_core::{Tasklet, dispatch};
///
/// dispatch(|| {
///     let ended = Tasklet::spawn(|| ());
///     let tasklet = ended.tasklet().clone();
///     ended.join().unwrap();
///     let refused = registry::register("ended", &tasklet);
///     assert!(matches!(refused, Err(RegisterError::Ended { .. })));
/// });
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RegisterError {
    /// The name is taken.
    Taken {
        /// The name.
        name: Arc<str>,
        /// Who has it.
        by: Pid,
    },
    /// The receiver has ended.
    Ended {
        /// The name it was to have.
        name: Arc<str>,
        /// The receiver.
        pid: Pid,
    },
    /// No program runs, or it is at its end.
    NotRunning,
}

impl fmt::Display for RegisterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RegisterError::Taken { name, by } => write!(f, "the name {name:?} is taken by {by}"),
            RegisterError::Ended { name, pid } => {
                write!(f, "{pid} has ended and cannot be called {name:?}")
            }
            RegisterError::NotRunning => f.write_str("no program runs that could register a name"),
        }
    }
}

impl Error for RegisterError {}

/// Why a receiver was not [found](lookup).
///
/// ```
/// use actor_core::registry;
/// use actor_core::{Tasklet, dispatch};
///
/// dispatch(|| {
///     let error = registry::lookup::<Tasklet>("nobody").unwrap_err();
///     assert_eq!(error.to_string(), "nobody is called \"nobody\"");
/// });
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LookupError {
    /// Nobody is called so.
    NotFound {
        /// The name.
        name: Arc<str>,
    },
    /// Who is called so is another kind of receiver.
    WrongType {
        /// The name.
        name: Arc<str>,
        /// What it was registered as, as `std::any::type_name` has it.
        registered: &'static str,
        /// What it was looked up as.
        wanted: &'static str,
    },
}

impl fmt::Display for LookupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LookupError::NotFound { name } => write!(f, "nobody is called {name:?}"),
            LookupError::WrongType {
                name,
                registered,
                wanted,
            } => write!(f, "{name:?} is a {registered} and not a {wanted}"),
        }
    }
}

impl Error for LookupError {}
