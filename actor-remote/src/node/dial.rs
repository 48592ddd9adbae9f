//! Connections that this node makes, and makes again.

use std::io;
use std::mem;
use std::net::SocketAddr;
use std::sync::{Arc, Weak};
use std::time::Duration;

use actor_core::sync::Event;
use actor_core::{Placement, Tasklet, TaskletBuilder, time};
use actor_io::ToAddrs;
use actor_net::Connector;
use parking_lot::Mutex;

use super::Inner;
use super::connection::{Established, STACK, Side, agree};
use crate::error::ConnectError;
use crate::handshake::{Nonce, Refused};
use crate::link::{Link, LinkEnd};
use crate::peer::{Keeper, Peer};

/// After how long a link counts as one that holds, so that the next attempt comes at once again.
const HOLDS: Duration = Duration::from_secs(10);

/// Makes the first link, and has a tasklet make the next ones.
pub(super) fn connect(
    inner: &Arc<Inner>,
    addr: impl ToAddrs,
    name: Option<&str>,
) -> Result<Arc<Peer>, ConnectError> {
    let addrs = addr.to_addrs().map_err(ConnectError::Io)?;
    let (peer, _) = establish(inner, &addrs, name, name)?;
    // Who it is has been proved, and it is to be the same one after a break.
    if let Some(keeper) = peer.keep() {
        let weak = Arc::downgrade(inner);
        let name = name.map(str::to_owned);
        let builder = Tasklet::builder().name(format!("connects to {}", peer.name()));
        spawn(inner, builder, move || {
            let peer = keeper.peer().clone();
            keep(&weak, keeper, &addrs, name.as_deref());
            if let Some(inner) = weak.upgrade() {
                inner.forget(&peer);
            }
        })?;
    }
    Ok(peer)
}

/// Has the node spawn a tasklet, on the worker of the caller. It does not end with the caller, who may be about to: the
/// handler of a server, say.
fn spawn(
    inner: &Inner,
    builder: TaskletBuilder,
    work: impl FnOnce() + Send + 'static,
) -> Result<(), ConnectError> {
    let builder = match Tasklet::try_current() {
        Some(caller) => builder.placement(Placement::Worker(caller.worker())),
        None => builder,
    };
    let outcome = Arc::new((Event::new(), Mutex::new(Ok(()))));
    inner.dialler.run({
        let outcome = outcome.clone();
        move || {
            let (spawned, how) = &*outcome;
            *how.lock() = builder.daemon(true).spawn(work).map(drop);
            spawned.set();
        }
    });
    let (spawned, how) = &*outcome;
    spawned
        .wait_timeout(inner.config.handshake)
        .map_err(|_| ConnectError::Timeout)?;
    mem::replace(&mut *how.lock(), Ok(()))
        .map_err(|error| ConnectError::Io(io::Error::other(error)))
}

/// One attempt, to reach `expected`; `name` is what its certificate is for, if the user has said so. When this comes
/// back, both sides have one link in use: this one, or another that was there before, or that the other side has made at
/// the same time. Besides, which link the attempt has made.
fn establish(
    inner: &Arc<Inner>,
    addrs: &[SocketAddr],
    expected: Option<&str>,
    name: Option<&str>,
) -> Result<(Arc<Peer>, Arc<Link>), ConnectError> {
    if inner.is_closed() {
        return Err(ConnectError::Closed);
    }
    let stream = Connector::builder()
        .timeout(inner.config.handshake)
        .connect(addrs)
        .map_err(|error| ConnectError::Io(error.into()))?;
    let side = Side::Initiator { expected, name };
    let (stream, agreed, rest) = agree(inner, stream, side)?;
    let established = Established::new(inner, stream, agreed, rest)?;
    let link = established.link.clone();
    let peer = inner.peer(&link.peer.name);
    if inner.is_closed() {
        return Err(ConnectError::Closed);
    }
    if let Err(why) = take_into_use(inner, &peer, established) {
        inner.forget(&peer);
        return Err(why);
    }
    Ok((peer, link))
}

/// Has both sides take a link into use, unless there is one, or comes one.
fn take_into_use(
    inner: &Arc<Inner>,
    peer: &Arc<Peer>,
    established: Established,
) -> Result<(), ConnectError> {
    let link = established.link.clone();
    let limit = inner.config.handshake;
    let one_attempt = peer.one_attempt();
    // One that is about to end is none.
    if !peer.wait_parted(limit) {
        return Err(ConnectError::Timeout);
    }
    let Some(proposal) = peer.propose(&link) else {
        return Ok(());
    };
    let settled = Arc::new(Event::new());
    let begin = {
        let (inner, peer, link) = (inner.clone(), peer.clone(), link.clone());
        let settled = settled.clone();
        Box::new(move |moment| {
            let is_taken = peer.agreed(&link, moment);
            if is_taken {
                inner.offers.met(&link.peer);
            }
            settled.set();
            if is_taken && inner.is_closed() {
                // Whoever has closed the node has perhaps not seen it.
                link.close();
            }
            is_taken
        })
    };
    let builder = Tasklet::builder()
        .name(format!("link to {}", peer.name()))
        .stack_size(STACK);
    spawn(inner, builder, {
        let (inner, peer, settled) = (inner.clone(), peer.clone(), settled.clone());
        move || {
            established.run(&inner, &peer, begin);
            settled.set();
            inner.forget(&peer);
        }
    })?;
    let is_late = settled.wait_timeout(limit).is_err();
    if proposal.settle() {
        return Ok(());
    }
    drop(one_attempt);
    if inner.is_closed() {
        return Err(ConnectError::Closed);
    }
    match link.ended() {
        // The other side has said so, since it has made one itself: that is on its way, or there.
        Some(LinkEnd::Closed) => {}
        _ if peer.link().is_some() => {}
        _ if is_late => return Err(ConnectError::Timeout),
        _ => return Err(ConnectError::Refused(Refused::Ended)),
    }
    match peer.wait_up(time::now().checked_add(limit)) {
        Some(_) => Ok(()),
        None => Err(ConnectError::Refused(Refused::Ended)),
    }
}

/// Makes another link when one has ended.
fn keep(weak: &Weak<Inner>, keeper: Keeper, addrs: &[SocketAddr], name: Option<&str>) {
    let peer = keeper.peer();
    let mut pause = None;
    loop {
        let Some(inner) = weak.upgrade() else { return };
        let began = time::now();
        if let Some(link) = peer.link() {
            link.over().wait();
        }
        if time::now() - began >= HOLDS {
            pause = None;
        }
        loop {
            if inner.is_closed() || !keeper.is_wanted() {
                return;
            }
            let wait = pause.unwrap_or(inner.config.first_pause);
            pause = Some((wait * 2).min(inner.config.longest_pause));
            // The closing of the node ends the pause.
            if inner.closing.wait_timeout(part_of(wait)).is_ok() || !keeper.is_wanted() {
                return;
            }
            if peer.link().is_some() {
                break;
            }
            match establish(&inner, addrs, Some(peer.name()), name) {
                Ok((_, link)) => {
                    // Whoever has disconnected meanwhile has perhaps not seen it.
                    if !peer.is_kept() {
                        peer.part_from(&link);
                    }
                    break;
                }
                Err(error) => {
                    tracing::debug!(peer = %peer.name(), %error, "no link yet");
                }
            }
        }
    }
}

/// A random part of a pause, so that many who were cut off together do not come back together.
fn part_of(pause: Duration) -> Duration {
    let random = Nonce::random().map_or(u32::MAX, |nonce| {
        let bytes = nonce.as_bytes();
        u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
    });
    pause.mul_f64(f64::from(random) / f64::from(u32::MAX))
}
