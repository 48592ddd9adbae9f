//! Connections that this node makes, and makes again.

use std::net::SocketAddr;
use std::sync::{Arc, Weak};
use std::time::Duration;

use actor_core::{Tasklet, time};
use actor_io::ToAddrs;
use actor_net::Connector;

use super::Inner;
use super::connection::{Established, STACK, Side, agree};
use crate::error::ConnectError;
use crate::handshake::Nonce;
use crate::peer::Peer;
use crate::wire::frame::Kind;

/// After how long a link counts as one that holds, so that the next attempt comes at once again.
const HOLDS: Duration = Duration::from_secs(10);

/// Makes the first link, and has a tasklet make the next ones.
pub(super) fn connect(
    inner: &Arc<Inner>,
    addr: impl ToAddrs,
    name: Option<&str>,
) -> Result<Arc<Peer>, ConnectError> {
    let addrs = addr.to_addrs().map_err(ConnectError::Io)?;
    let (peer, established) = establish(inner, &addrs, name, name)?;
    // Who it is has been proved, and it is to be the same one after a break.
    if peer.keep() {
        let weak = Arc::downgrade(inner);
        let kept = peer.clone();
        let name = name.map(str::to_owned);
        let spawned = Tasklet::builder()
            .name(format!("link to {}", peer.name()))
            .stack_size(STACK)
            .daemon(true)
            .spawn(move || keep(&weak, &kept, &addrs, name.as_deref(), established));
        if let Err(error) = spawned {
            peer.leave();
            return Err(ConnectError::Io(std::io::Error::other(error)));
        }
    } else if let Some(established) = established {
        // Another tasklet connects to it already: this link is one more of its.
        let inner = inner.clone();
        let spawned = Tasklet::builder()
            .name(format!("link to {}", peer.name()))
            .stack_size(STACK)
            .daemon(true)
            .spawn(move || established.run(&inner, None));
        if let Err(error) = spawned {
            return Err(ConnectError::Io(std::io::Error::other(error)));
        }
    }
    Ok(peer)
}

/// One attempt, to reach `expected`; `name` is what its certificate is for, if the user has said so. The peer may
/// have a link already; then there is no other.
fn establish(
    inner: &Arc<Inner>,
    addrs: &[SocketAddr],
    expected: Option<&str>,
    name: Option<&str>,
) -> Result<(Arc<Peer>, Option<Established>), ConnectError> {
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
    // First: what is sent from now on comes behind it.
    link.word(Kind::Begin, |_| {});
    if peer.adopt(&link, inner.is_smaller(&link)) {
        Ok((peer, Some(established)))
    } else {
        Ok((peer, None))
    }
}

/// Runs the link, and makes another when it has ended.
fn keep(
    weak: &Weak<Inner>,
    peer: &Arc<Peer>,
    addrs: &[SocketAddr],
    name: Option<&str>,
    mut established: Option<Established>,
) {
    let mut pause = None;
    loop {
        let Some(inner) = weak.upgrade() else { return };
        let began = time::now();
        match established.take() {
            Some(established) => established.run(&inner, None),
            // The other side has connected: as long as that holds there is nothing to do.
            None => {
                if let Some(link) = peer.link() {
                    link.over().wait();
                }
            }
        }
        if time::now() - began >= HOLDS {
            pause = None;
        }
        loop {
            if inner.is_closed() || !peer.is_kept() {
                return;
            }
            let wait = pause.unwrap_or(inner.config.first_pause);
            pause = Some((wait * 2).min(inner.config.longest_pause));
            // The closing of the node ends the pause.
            if inner.closing.wait_timeout(part_of(wait)).is_ok() || !peer.is_kept() {
                return;
            }
            if peer.link().is_some() {
                break;
            }
            match establish(&inner, addrs, Some(peer.name()), name) {
                Ok((_, made)) => {
                    established = made;
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
