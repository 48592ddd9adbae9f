//! [`Map`]: the dispatchers that are open, and the loop that lasts as long as there are any.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use actor_core::__private::{AnyActor, act, wait_or_stop};
use actor_core::sync::Event;
use actor_core::{Addr, ExitReason, Placement, SpawnError, TimedOut};
use parking_lot::Mutex;

use super::Dispatcher;
use super::turn::open;
use crate::roll::Roll;

/// Those dispatchers whose channels are open, and what runs them: asyncore's map.
///
/// Clones are of the same map.
///
/// ```
/// use actor_core::{Actor, BoxError, Context, dispatch};
/// use actor_net::dispatcher::{Channel, Dispatcher, Map};
/// use std::io::{Read, Write};
/// use std::net::{Shutdown, SocketAddr, TcpStream};
///
/// /// Accepts connections, and sees to it that they are echoed.
/// struct Listener {
///     channel: Channel,
///     map: Map,
/// }
///
/// impl Actor for Listener {}
///
/// impl Dispatcher for Listener {
///     fn channel(&mut self) -> &mut Channel {
///         &mut self.channel
///     }
///
///     fn handle_accepted(
///         &mut self,
///         channel: Channel,
///         _: SocketAddr,
///         _: &mut Context<Self>,
///     ) -> Result<(), BoxError> {
///         self.map.spawn(Echo { channel })?;
///         self.channel.close(); // one is enough
///         Ok(())
///     }
/// }
///
/// /// Sends back what it receives.
/// struct Echo {
///     channel: Channel,
/// }
///
/// impl Actor for Echo {}
///
/// impl Dispatcher for Echo {
///     fn channel(&mut self) -> &mut Channel {
///         &mut self.channel
///     }
///
///     fn handle_read(&mut self, _: &mut Context<Self>) -> Result<(), BoxError> {
///         let mut bytes = [0; 4096];
///         let received = self.channel.recv(&mut bytes)?;
///         self.channel.push(&bytes[..received])?;
///         Ok(())
///     }
/// }
///
/// dispatch(|| {
///     let channel = Channel::listen("127.0.0.1:0").unwrap();
///     let addr = channel.local_addr().unwrap();
///     let map = Map::new();
///     map.spawn(Listener { channel, map: map.clone() }).unwrap();
///     let client = std::thread::spawn(move || {
///         let mut stream = TcpStream::connect(addr).unwrap();
///         stream.write_all(b"hello").unwrap();
///         stream.shutdown(Shutdown::Write).unwrap();
///         let mut echo = String::new();
///         stream.read_to_string(&mut echo).unwrap();
///         echo
///     });
///     map.run();
///     assert_eq!(client.join().unwrap(), "hello");
/// });
/// ```
#[derive(Clone, Default)]
pub struct Map {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// Set while none is open.
    none: Event,
    spawned: AtomicUsize,
}

#[derive(Default)]
struct State {
    open: Roll<Option<AnyActor>>,
    /// Those that come from now on are asked to stop at once.
    closed: bool,
}

impl Map {
    /// A map without dispatchers.
    ///
    /// ```
    /// assert!(actor_net::dispatcher::Map::new().is_empty());
    /// ```
    pub fn new() -> Map {
        Map::default()
    }

    /// Has a dispatcher run: spawned as an actor, on one worker after the other, and told of what its
    /// channel is ready for, until the channel is closed. It counts from now on.
    ///
    /// The open channel keeps it reachable. Does not wait.
    ///
    /// # Errors
    ///
    /// As [`AddrBuilder::spawn`](actor_core::AddrBuilder::spawn). That the channel cannot be registered is
    /// for [`handle_error`](Dispatcher::handle_error).
    ///
    /// See the [type](Self) for an example.
    pub fn spawn<D: Dispatcher>(&self, dispatcher: D) -> Result<Addr<D>, SpawnError> {
        let place = self.place();
        let worker = self.shared.spawned.fetch_add(1, Relaxed);
        let addr = Addr::builder()
            .placement(Placement::Worker(worker))
            .spawn(dispatcher)?;
        place.occupy(AnyActor::new(&addr));
        act(&addr, move |dispatcher, ctx| open(dispatcher, ctx, place));
        Ok(addr)
    }

    /// How many channels are open.
    ///
    /// ```
    /// assert_eq!(actor_net::dispatcher::Map::new().len(), 0);
    /// ```
    pub fn len(&self) -> usize {
        self.shared.state.lock().open.len()
    }

    /// Whether no channel is open.
    ///
    /// ```
    /// assert!(actor_net::dispatcher::Map::new().is_empty());
    /// ```
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// asyncore's `loop`: waits until all channels are closed. If the current tasklet is asked to stop
    /// meanwhile, by the end of the program for one, [closes them all](Self::close_all) first.
    ///
    /// The dispatchers run whether anybody waits for them or not; but a program whose other tasklets have
    /// ended ends, with dispatchers that are idle.
    ///
    /// ```
    /// # actor_core::dispatch(|| {
    /// actor_net::dispatcher::Map::new().run(); // nothing to wait for
    /// # });
    /// ```
    pub fn run(&self) {
        // Without a limit nothing can time out.
        let _ = self.run_until(None);
    }

    /// As [`run`](Self::run), for at most `limit`. The dispatchers go on when it is over.
    ///
    /// # Errors
    ///
    /// [`TimedOut`] if a channel is open still.
    ///
    /// ```
    /// # actor_core::dispatch(|| {
    /// use std::time::Duration;
    ///
    /// let map = actor_net::dispatcher::Map::new();
    /// assert_eq!(map.run_timeout(Duration::ZERO), Ok(()));
    /// # });
    /// ```
    pub fn run_timeout(&self, limit: Duration) -> Result<(), TimedOut> {
        self.run_until(Some(limit))
    }

    fn run_until(&self, limit: Option<Duration>) -> Result<(), TimedOut> {
        {
            let state = self.shared.state.lock();
            if state.open.is_empty() {
                return Ok(());
            }
            // Under the lock: the last one sets it after this.
            self.shared.none.clear();
        }
        if !wait_or_stop(&self.shared.none, limit)? {
            self.close_all();
            self.shared.none.wait();
        }
        Ok(())
    }

    /// asyncore's `close_all`: asks all dispatchers to stop, and those that are spawned later. Does not
    /// wait. What is pending is lost.
    ///
    /// ```
    /// let map = actor_net::dispatcher::Map::new();
    /// map.close_all();
    /// ```
    pub fn close_all(&self) {
        let open: Vec<AnyActor> = {
            let mut state = self.shared.state.lock();
            state.closed = true;
            state.open.iter().flatten().cloned().collect()
        };
        // Not under the lock, which they take when they end.
        for actor in open {
            actor.stop_for(&ExitReason::Stopped);
        }
    }

    fn place(&self) -> Place {
        let index = self.shared.state.lock().open.enter(None);
        Place {
            map: self.clone(),
            index,
        }
    }
}

impl fmt::Debug for Map {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Map")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

/// A dispatcher's place in its map, as long as its channel is open.
pub(super) struct Place {
    map: Map,
    index: u32,
}

impl Place {
    fn occupy(&self, actor: AnyActor) {
        let stops = {
            let mut state = self.map.shared.state.lock();
            state.open[self.index] = Some(actor.clone());
            state.closed
        };
        if stops {
            actor.stop_for(&ExitReason::Stopped);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let actor = {
            let mut state = self.map.shared.state.lock();
            let actor = state.open.leave(self.index);
            if state.open.is_empty() {
                // Under the lock: a moment later there may be another, and somebody who waits for that.
                self.map.shared.none.set();
            }
            actor
        };
        // Not under it.
        drop(actor);
    }
}
