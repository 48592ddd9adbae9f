//! What others can reach: objects, by name or by handle, and the classes of messages that each takes.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use actor_core::remote::{Export, export};
use actor_core::{Destination, Receiver, Recipient, Refusal, RemoteMessage};
use parking_lot::{Mutex, RwLock};

use crate::idempotent::{Dedup, Memory, MemoryLimits};
use crate::link::LinkOwner;
use crate::watched::Watched;

/// Something that others can reach.
pub(crate) struct Exposed {
    classes: RwLock<Vec<Arc<dyn Export>>>,
    owner: Option<LinkOwner>,
    /// Calls that may be made again, if it remembers them.
    memory: RwLock<Option<Arc<Memory>>>,
}

impl Exposed {
    pub(crate) fn new(classes: Vec<Arc<dyn Export>>) -> Exposed {
        let owner = classes.iter().find_map(|class| class.owner());
        Exposed {
            classes: RwLock::new(classes),
            owner,
            memory: RwLock::default(),
        }
    }

    fn owned(owner: Option<LinkOwner>) -> Exposed {
        Exposed {
            classes: RwLock::default(),
            owner,
            memory: RwLock::default(),
        }
    }

    /// What takes messages of this class.
    pub(crate) fn find(
        &self,
        name: &str,
        version: u32,
        schema: u64,
    ) -> Result<Arc<dyn Export>, Refusal> {
        let classes = self.classes.read();
        let mut known = false;
        for export in classes.iter() {
            let class = export.class();
            if class.name == name {
                if class.version == version && class.schema == schema {
                    return Ok(export.clone());
                }
                known = true;
            }
        }
        Err(if known {
            Refusal::Version
        } else {
            Refusal::NotExposed
        })
    }

    /// What it takes.
    pub(crate) fn exports(&self) -> Vec<Arc<dyn Export>> {
        self.classes.read().clone()
    }

    /// What it remembers of calls that may be made again, if it does.
    pub(crate) fn remembers(&self) -> Option<Arc<Memory>> {
        self.memory.read().clone()
    }

    /// Whose end is its end, at present.
    pub(crate) fn subject(&self) -> Option<Watched> {
        let third = self
            .classes
            .read()
            .iter()
            .find_map(|class| class.foreign().cloned());
        match third {
            // Of a third node.
            Some(foreign) => Some(Watched::foreign(&*foreign)),
            None => self.owner.clone().map(|owner| Watched::own(Some(owner))),
        }
    }
}

impl fmt::Debug for Exposed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let classes: Vec<_> = self.exports().iter().map(|export| export.class()).collect();
        f.debug_tuple("Exposed").field(&classes).finish()
    }
}

/// All that a node exposes by name.
#[derive(Debug, Default)]
pub(crate) struct Exposures {
    by_name: Mutex<HashMap<Arc<str>, Arc<Exposed>>>,
    /// What objects remember, by their names: not lost when another is exposed by the same name.
    memories: Mutex<HashMap<Arc<str>, Arc<Memory>>>,
    /// How often something has changed, so that links can keep what they have looked up.
    changes: AtomicU64,
}

impl Exposures {
    pub(crate) fn get(&self, name: &str) -> Option<Arc<Exposed>> {
        self.by_name.lock().get(name).cloned()
    }

    /// How often something has changed.
    pub(crate) fn changes(&self) -> u64 {
        // Acquire: who sees the change sees what has changed.
        self.changes.load(Ordering::Acquire)
    }

    fn put(&self, name: &str, exposed: Option<Arc<Exposed>>) -> Option<Arc<Exposed>> {
        let before = {
            let mut by_name = self.by_name.lock();
            match exposed {
                Some(exposed) => by_name.insert(name.into(), exposed),
                None => by_name.remove(name),
            }
        };
        self.changes.fetch_add(1, Ordering::Release);
        before
    }
}

/// An object that is to be exposed, to say for which messages; see [`Node::expose`](crate::Node::expose).
///
/// Dropping this exposes it, for all of them at once: who calls meanwhile finds what was there before, or all that is
/// there then.
#[derive(Debug)]
pub struct Exposure<'a, R> {
    exposures: &'a Exposures,
    name: Arc<str>,
    exposed: Arc<Exposed>,
    receiver: R,
}

impl<R> Drop for Exposure<'_, R> {
    fn drop(&mut self) {
        // What was there before is dropped here, and not under the lock.
        drop(self.exposures.put(&self.name, Some(self.exposed.clone())));
    }
}

impl<'a, R: Receiver + Clone> Exposure<'a, R> {
    pub(crate) fn new(exposures: &'a Exposures, name: &str, receiver: R) -> Self {
        Exposure {
            exposures,
            name: name.into(),
            exposed: Arc::new(Exposed::owned(receiver.owner())),
            receiver,
        }
    }

    /// Lets others send it messages of the class `M`, and call it by them.
    pub fn message<M: RemoteMessage>(self) -> Self
    where
        R: Destination<M>,
    {
        self.add(export(Recipient::<M>::new(self.receiver.clone())));
        self
    }

    /// Lets others send it all the messages of a protocol.
    pub fn protocol<P: crate::Protocol>(self) -> Self
    where
        R: crate::Serves<P>,
    {
        self.receiver.recipients(&mut |export| self.add(export));
        self
    }

    /// Has it remember calls that are made by [`call_idempotent`](crate::RemoteRef::call_idempotent), so that each is
    /// executed once, however often it is made; others are as ever.
    ///
    /// What is remembered is what the name's receivers have answered, as long as this process lasts, also when
    /// another is exposed by the name.
    ///
    /// ```
    /// # extern crate actor_core as concurrence;
    /// # use actor_core::{Actor, Addr, Context, Handler, Message, dispatch};
    /// # use serde::{Deserialize, Serialize};
    /// use actor_remote::{Config, Idempotent, MemoryLimits, Node, protocol};
    /// #
    /// # #[derive(Message, Serialize, Deserialize)]
    /// # #[message(remote = "counter.Add", reply = u64)]
    /// # struct Add(u64);
    /// #
    /// # protocol! { Counting: Add }
    /// #
    /// # struct Counter(u64);
    /// #
    /// # impl Actor for Counter {}
    /// #
    /// # impl Handler<Add> for Counter {
    /// #     fn handle(&mut self, Add(n): Add, _: &mut Context<Self>) -> u64 {
    /// #         self.0 += n;
    /// #         self.0
    /// #     }
    /// # }
    ///
    /// # fn main() {
    /// dispatch(|| {
    ///     let server = Node::listen("127.0.0.1:0", Config::new("server")).unwrap();
    ///     server
    ///         .expose("counter", &Addr::spawn(Counter(0)))
    ///         .protocol::<Counting>()
    ///         .idempotent(MemoryLimits::default());
    ///
    ///     // In another process:
    ///     let client = Node::start(Config::new("client")).unwrap();
    ///     let peer = client.connect(server.local_addr().unwrap()).unwrap();
    ///     let counter = peer.lookup::<Counting>("counter").unwrap();
    ///     assert_eq!(counter.call_idempotent(Add(5), &Idempotent::new()), Ok(5));
    ///     # client.close();
    ///     # server.close();
    /// });
    /// # }
    /// ```
    pub fn idempotent(self, limits: MemoryLimits) -> Self {
        self.remember(limits, None)
    }

    /// The same, with a store of the user's behind it, which outlasts this process.
    pub fn idempotent_with(self, limits: MemoryLimits, store: impl Dedup) -> Self {
        self.remember(limits, Some(Arc::new(store)))
    }

    fn remember(self, limits: MemoryLimits, store: Option<Arc<dyn Dedup>>) -> Self {
        let memory = {
            let mut memories = self.exposures.memories.lock();
            memories.entry(self.name.clone()).or_default().clone()
        };
        memory.set(limits, store);
        *self.exposed.memory.write() = Some(memory);
        self
    }

    fn add(&self, export: Arc<dyn Export>) {
        let mut classes = self.exposed.classes.write();
        classes.retain(|known| known.class().name != export.class().name);
        classes.push(export);
    }
}

/// Takes a name back.
pub(crate) fn withdraw(exposures: &Exposures, name: &str) -> bool {
    exposures.put(name, None).is_some()
}
