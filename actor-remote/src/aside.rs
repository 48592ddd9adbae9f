//! What links have done by others than themselves: because it may wait, or is to outlast them.
//!
//! The tasklet that reads a link belongs to a connection of a server, and with that end all tasklets that it has
//! spawned. So what is to go on is spawned by one that belongs to whoever has set up the node. The same holds for
//! links that are made, since whoever connects may be such a connection as well.

use actor_core::{Message, SendError, Tasklet};

/// A tasklet that does what it is given, one after the other.
pub(crate) struct Aside {
    tasklet: Option<Tasklet>,
}

struct Work(Box<dyn FnOnce() + Send>);

impl Message for Work {
    type Reply = ();
}

impl Aside {
    /// Belongs to the caller.
    pub(crate) fn new(name: &str) -> Aside {
        let spawned = Tasklet::builder().name(name).daemon(true).spawn(|| {
            for message in Tasklet::receive() {
                if let Ok(Work(work)) = message.downcast() {
                    work();
                }
            }
        });
        match spawned {
            Ok(handle) => Aside {
                tasklet: Some(handle.tasklet().clone()),
            },
            Err(error) => {
                tracing::warn!(%error, "what links have to do aside is done in place");
                Aside { tasklet: None }
            }
        }
    }

    /// Nothing more is to be done: it ends.
    pub(crate) fn stop(&self) {
        if let Some(tasklet) = &self.tasklet {
            tasklet.stop();
        }
    }

    /// Has something done; where that tasklet has ended, as with the program, here.
    pub(crate) fn run(&self, work: impl FnOnce() + Send + 'static) {
        let work = Work(Box::new(work));
        let left = match &self.tasklet {
            None => Some(work),
            Some(tasklet) => tasklet.send(work).err().map(SendError::into_message),
        };
        if let Some(Work(work)) = left {
            work();
        }
    }
}
