//! An echo server as one writes it for Python's asyncore: a dispatcher listens, others echo, and none of
//! them holds a stack while nothing happens.
//! Try it: `cargo run --example asyncore_echo`, then `nc localhost 9008` and type.

use std::net::SocketAddr;
use std::{env, process::ExitCode};

use concurrence::dispatcher::{Channel, Dispatcher, Map};
use concurrence::{Actor, BoxError, Context, dispatch, io};

/// Accepts connections, and has each echoed by a dispatcher of its own.
struct Listener {
    channel: Channel,
    map: Map,
}

impl Actor for Listener {}

impl Dispatcher for Listener {
    fn channel(&mut self) -> &mut Channel {
        &mut self.channel
    }

    fn handle_accepted(
        &mut self,
        channel: Channel,
        _: SocketAddr,
        _: &mut Context<Self>,
    ) -> Result<(), BoxError> {
        self.map.spawn(Echo { channel })?;
        Ok(())
    }
}

/// Sends back what comes in. A client that does not read is not read from either, beyond what waits for it.
struct Echo {
    channel: Channel,
}

impl Actor for Echo {}

impl Dispatcher for Echo {
    fn channel(&mut self) -> &mut Channel {
        &mut self.channel
    }

    fn handle_read(&mut self, _: &mut Context<Self>) -> Result<(), BoxError> {
        let mut bytes = [0; 8192];
        let received = self.channel.recv(&mut bytes)?;
        self.channel.push(&bytes[..received])?;
        Ok(())
    }
}

fn main() -> ExitCode {
    tracing_subscriber::fmt().with_writer(io::stderr).init();
    let addr = env::args().nth(1).unwrap_or("localhost:9008".into());
    dispatch(|| -> io::Result<()> {
        let channel = Channel::listen(addr)?;
        eprintln!("listening on {}", channel.local_addr()?);
        let map = Map::new();
        let listener = Listener {
            channel,
            map: map.clone(),
        };
        map.spawn(listener)?;
        // Until all channels are closed, which the end of the program sees to.
        map.run();
        Ok(())
    })
}
