//! Connections that others make.

use std::collections::VecDeque;
use std::net::Shutdown;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use actor_io::{TcpStream, ToAddrs};
use actor_net::Server;
use parking_lot::Mutex;

use super::connection::{Established, STACK, Side, agree};
use super::{Inner, Node};
use crate::error::NodeError;
use crate::handshake::Auth;

pub(super) fn listen(node: &Node, addr: impl ToAddrs) -> Result<(), NodeError> {
    let inner = &node.inner;
    let server = Server::builder()
        .name(format!("node {}", inner.config.name))
        .stack_size(STACK)
        .bind(addr)?;
    let bound = server.local_addr();
    let is_protected = !matches!(inner.config.auth(), Auth::None);
    if !bound.ip().is_loopback() && !is_protected && !inner.config.plaintext {
        return Err(NodeError::Unprotected(bound));
    }
    let weak = Arc::downgrade(inner);
    let handle = server.spawn(move |stream| {
        if let Some(inner) = weak.upgrade() {
            accept(&inner, stream);
        }
    })?;
    *inner.server.lock() = Some(handle);
    Ok(())
}

fn accept(inner: &Arc<Inner>, stream: TcpStream) {
    let Some(place) = inner.half_open.enter(&stream) else {
        inner.refused.fetch_add(1, Ordering::Relaxed);
        return;
    };
    let agreed = agree(inner, stream, Side::Responder);
    drop(place);
    let established =
        agreed.and_then(|(stream, agreed, rest)| Established::new(inner, stream, agreed, rest));
    let established = match established {
        Ok(established) => established,
        Err(error) => {
            inner.refused.fetch_add(1, Ordering::Relaxed);
            // A counter for whoever looks; a line for each would be the attacker's to write.
            tracing::debug!(node = %inner.config.name, %error, "a connection was refused");
            return;
        }
    };
    let link = established.link.clone();
    let peer = inner.peer(&link.peer.name);
    let begin = {
        let (inner, peer) = (inner.clone(), peer.clone());
        Box::new(move |moment| {
            let is_smaller = inner.is_smaller(&link);
            let is_taken = !inner.is_closed() && peer.agree(&link, moment, is_smaller);
            if is_taken && inner.is_closed() {
                // Whoever has closed the node has perhaps not seen it.
                link.close();
            }
            is_taken
        })
    };
    established.run(inner, &peer, begin);
    // Those who come and go are not to add up.
    inner.forget(&peer);
}

/// Connections in their handshake: so many at a time.
#[derive(Debug)]
pub(super) struct HalfOpen {
    max: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    issued: u64,
    open: VecDeque<(u64, TcpStream)>,
}

/// The place of one of them.
pub(super) struct Place<'a> {
    half_open: &'a HalfOpen,
    ticket: u64,
}

impl HalfOpen {
    pub(super) fn new(max: usize) -> HalfOpen {
        HalfOpen {
            max,
            state: Mutex::default(),
        }
    }

    /// Takes one in. If there are too many, the oldest is hung up on.
    fn enter(&self, stream: &TcpStream) -> Option<Place<'_>> {
        let stream = stream.try_clone().ok()?;
        let (ticket, dropped) = {
            let mut state = self.state.lock();
            let dropped = if state.open.len() >= self.max {
                state.open.pop_front()
            } else {
                None
            };
            state.issued += 1;
            let ticket = state.issued;
            state.open.push_back((ticket, stream));
            (ticket, dropped)
        };
        if let Some((_, oldest)) = dropped {
            drop(oldest.shutdown(Shutdown::Both));
        }
        Some(Place {
            half_open: self,
            ticket,
        })
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut state = self.half_open.state.lock();
        let own = state
            .open
            .iter()
            .position(|(ticket, _)| *ticket == self.ticket);
        let stream = own.and_then(|own| state.open.remove(own));
        drop(state);
        drop(stream);
    }
}
