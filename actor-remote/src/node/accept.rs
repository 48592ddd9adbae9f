//! Connections that others make.

use std::cmp::Reverse;
use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::{IpAddr, Ipv6Addr, Shutdown, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use actor_io::{TcpStream, ToAddrs};
use actor_net::Server;
use parking_lot::Mutex;

use super::connection::{Established, STACK, Side, agree};
use super::{Inner, Node};
use crate::error::{ConnectError, NodeError};
use crate::handshake::Auth;

pub(super) fn listen(node: &Node, addr: impl ToAddrs) -> Result<SocketAddr, NodeError> {
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
    {
        let mut servers = inner.servers.lock();
        // Under the lock: whoever closes the node finds it there, or has closed it before.
        if !inner.is_closed() {
            servers.push(handle);
            return Ok(bound);
        }
    }
    handle.tasklet().stop();
    Err(NodeError::Closed)
}

fn accept(inner: &Arc<Inner>, stream: TcpStream) {
    let place = match inner.half_open.enter(&stream) {
        Ok(place) => place,
        Err(error) => return refuse(inner, &ConnectError::Io(error)),
    };
    let agreed = agree(inner, stream, Side::Responder);
    drop(place);
    let established =
        agreed.and_then(|(stream, agreed, rest)| Established::new(inner, stream, agreed, rest));
    let established = match established {
        Ok(established) => established,
        Err(error) => return refuse(inner, &error),
    };
    let link = established.link.clone();
    let peer = inner.peer(&link.peer.name);
    let begin = {
        let (inner, peer) = (inner.clone(), peer.clone());
        Box::new(move |moment| {
            let is_smaller = inner.is_smaller(&link);
            let is_taken = !inner.is_closed() && peer.agree(&link, moment, is_smaller);
            if is_taken {
                inner.offers.met(&link.peer);
                if inner.is_closed() {
                    // Whoever has closed the node has perhaps not seen it.
                    link.close();
                }
            }
            is_taken
        })
    };
    established.run(inner, &peer, begin);
    // Those who come and go are not to add up.
    inner.forget(&peer);
}

/// Counts a connection that is refused. Of all in a second one is told of in a line: one for each would be the attacker's
/// to write.
fn refuse(inner: &Inner, why: &ConnectError) {
    inner.refused.fetch_add(1, Ordering::Relaxed);
    let node = &inner.config.name;
    tracing::debug!(%node, %why, "a connection is refused");
    if let Some(count) = inner.refusals.lock().count() {
        tracing::warn!(%node, %why, count, "connections are refused");
    }
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
    open: VecDeque<Open>,
}

#[derive(Debug)]
struct Open {
    ticket: u64,
    source: IpAddr,
    stream: TcpStream,
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

    /// Takes one in. If there are too many, one is hung up on: of those that come from where most do, the oldest. So who
    /// floods a node from one place drives out his own.
    fn enter(&self, stream: &TcpStream) -> io::Result<Place<'_>> {
        let source = source(stream.peer_addr()?.ip());
        let stream = stream.try_clone()?;
        let (ticket, dropped) = {
            let mut state = self.state.lock();
            let dropped = if state.open.len() >= self.max {
                let sources = state.open.iter().map(|open| open.source);
                crowded(sources).and_then(|place| state.open.remove(place))
            } else {
                None
            };
            state.issued += 1;
            let ticket = state.issued;
            state.open.push_back(Open {
                ticket,
                source,
                stream,
            });
            (ticket, dropped)
        };
        if let Some(dropped) = dropped {
            drop(dropped.stream.shutdown(Shutdown::Both));
        }
        Ok(Place {
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
            .position(|open| open.ticket == self.ticket);
        let open = own.and_then(|own| state.open.remove(own));
        drop(state);
        drop(open);
    }
}

/// Where a connection comes from: of IPv6, what somebody is given as a whole.
fn source(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(ip) => IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() & !u128::from(u64::MAX))),
        ip => ip,
    }
}

/// The place of the first of the source that has the most, the earlier of two that have as many.
fn crowded(sources: impl Iterator<Item = IpAddr>) -> Option<usize> {
    let mut of = HashMap::new();
    for (place, source) in sources.enumerate() {
        let (_, count) = of.entry(source).or_insert((place, 0_usize));
        *count += 1;
    }
    of.into_values()
        .max_by_key(|&(first, count)| (count, Reverse(first)))
        .map(|(first, _)| first)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(sources: &[&str]) -> Option<usize> {
        let sources = sources
            .iter()
            .map(|ip| source(ip.parse().expect("an address")));
        crowded(sources)
    }

    #[test]
    fn whoever_crowds_a_node_makes_room() {
        assert_eq!(place(&[]), None);
        assert_eq!(place(&["10.0.0.1"]), Some(0));
        assert_eq!(place(&["10.0.0.1", "10.0.0.2", "10.0.0.2"]), Some(1));
        assert_eq!(
            place(&["10.0.0.1", "10.0.0.2"]),
            Some(0),
            "the oldest of all"
        );
    }

    #[test]
    fn addresses_of_one_network_are_one_source() {
        assert_eq!(
            place(&["10.0.0.1", "2001:db8::1", "2001:db8::2:1"]),
            Some(1)
        );
        assert_eq!(
            place(&["10.0.0.1", "2001:db8::1", "2001:db8:0:1::1"]),
            Some(0)
        );
        assert_eq!(place(&["10.0.0.1", "10.0.0.2", "::ffff:10.0.0.2"]), Some(1));
    }
}
