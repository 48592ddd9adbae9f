//! [`Watch`]: who is told of readiness without waiting for it.

use std::sync::Arc;

use crate::__private::act;
use crate::{Actor, Addr, Context};

/// An owner of a [`Source`](super::Source) that holds no stack while it waits.
///
/// A tasklet that waits on a descriptor is woken when that is ready; such an owner is told so. Most are
/// actors, which [`ActorWatch`] sends a message: a connection that is idle then costs what its actor
/// does. See [`Source::watch`](super::Source::watch).
pub trait Watch: Send + Sync + 'static {
    /// The descriptor has become ready, in one direction or both.
    ///
    /// Called on a worker's thread, in the middle of whatever runs there, so it must not wait or panic;
    /// it is to pass word on, and no more.
    fn ready(self: Arc<Self>);
}

/// Has an actor do something when a descriptor is ready, as it handles a message.
///
/// It keeps the actor reachable. Word of readiness takes no room in a bounded mailbox, and there is at
/// most one in it at a time; it is dropped if the actor has ended.
///
/// ```
/// # extern crate actor_core as concurrence;
/// use concurrence::reactor::{ActorWatch, Direction, Source};
/// use concurrence::{Actor, Addr, Context, Handler, Message, Tasklet, dispatch};
/// use std::io::{ErrorKind, Read, Write};
/// use std::os::unix::net::UnixStream;
/// use std::sync::{Arc, mpsc};
///
/// struct Reader {
///     source: Source,
///     heard: mpsc::Sender<u8>,
/// }
///
/// impl Actor for Reader {}
///
/// impl Reader {
///     fn look(&mut self, _: &mut Context<Self>) {
///         self.source.rearm();
///         loop {
///             let mut byte = [0];
///             let read = self.source.try_io(Direction::Read, |fd| {
///                 (&UnixStream::from(fd.try_clone_to_owned()?)).read(&mut byte)
///             });
///             match read {
///                 Ok(1) => self.heard.send(byte[0]).unwrap(),
///                 Ok(_) => return,
///                 // It will be told when there is more.
///                 Err(error) if error.kind() == ErrorKind::WouldBlock => return,
///                 Err(error) => panic!("{error}"),
///             }
///         }
///     }
/// }
///
/// #[derive(Message)]
/// struct Open;
///
/// impl Handler<Open> for Reader {
///     fn handle(&mut self, _: Open, ctx: &mut Context<Self>) {
///         let watch = ActorWatch::new(ctx.addr(), Reader::look);
///         self.source.watch(Arc::new(watch)).unwrap();
///         self.look(ctx);
///     }
/// }
///
/// # fn main() {
/// dispatch(|| {
///     let (near, mut far) = UnixStream::pair().unwrap();
///     let (heard, bytes) = mpsc::channel();
///     let reader = Addr::spawn(Reader { source: Source::new(near).unwrap(), heard });
///     reader.send(Open).unwrap();
///     far.write_all(b"x").unwrap();
///     while bytes.try_recv() != Ok(b'x') {
///         Tasklet::yield_now();
///     }
/// });
/// # }
/// ```
#[derive(Debug)]
pub struct ActorWatch<A: Actor> {
    addr: Addr<A>,
    look: fn(&mut A, &mut Context<A>),
}

impl<A: Actor> ActorWatch<A> {
    /// Has `look` run by the actor `addr`.
    ///
    /// ```
    /// use actor_core::reactor::ActorWatch;
    /// use actor_core::{Actor, Addr, dispatch};
    ///
    /// struct Reader;
    /// impl Actor for Reader {}
    ///
    /// dispatch(|| {
    ///     let watch = ActorWatch::new(Addr::spawn(Reader), |_, ctx| ctx.stop());
    /// });
    /// ```
    pub fn new(addr: Addr<A>, look: fn(&mut A, &mut Context<A>)) -> Self {
        ActorWatch { addr, look }
    }
}

impl<A: Actor> Watch for ActorWatch<A> {
    fn ready(self: Arc<Self>) {
        act(&self.addr, self.look);
    }
}
