//! What the tests of dispatchers share.

use std::net::SocketAddr;

use actor_core::{Actor, BoxError, Context};
use actor_net::dispatcher::{Channel, Dispatcher, Map};

/// Accepts, and has what it accepts served by what `serve` makes.
struct Listener<F> {
    channel: Channel,
    serve: F,
}

impl<F: FnMut(Channel) -> Result<(), BoxError> + Send + 'static> Actor for Listener<F> {}

impl<F: FnMut(Channel) -> Result<(), BoxError> + Send + 'static> Dispatcher for Listener<F> {
    fn channel(&mut self) -> &mut Channel {
        &mut self.channel
    }

    fn handle_accepted(
        &mut self,
        channel: Channel,
        peer: SocketAddr,
        _: &mut Context<Self>,
    ) -> Result<(), BoxError> {
        assert_eq!(channel.peer_addr().unwrap(), peer);
        (self.serve)(channel)
    }
}

/// Has the dispatchers that `make` makes of them serve the connections that are made to this address.
pub(crate) fn listen<D: Dispatcher>(
    map: &Map,
    mut make: impl FnMut(Channel) -> D + Send + 'static,
) -> SocketAddr {
    let channel = Channel::listen("127.0.0.1:0").unwrap();
    let addr = channel.local_addr().unwrap();
    let of = map.clone();
    let serve = move |channel| {
        of.spawn(make(channel))?;
        Ok(())
    };
    map.spawn(Listener { channel, serve }).unwrap();
    addr
}
