//! How a connection is taken in that gets no stack of its own.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use actor_core::reactor::Source;
use actor_core::time;
use actor_io::__private::into_source;
use actor_io::TcpStream;

use super::builder::Settings;
use super::connection::Refusal;
use super::connections::{Connections, Place};

/// What a server has for such connections, whatever serves them.
pub(crate) struct Admission {
    pub(crate) name: String,
    pub(crate) settings: Settings,
    pub(crate) connections: Arc<Connections>,
    /// How many connections there have been: they go to the workers in turn.
    admitted: AtomicUsize,
    /// What connections count their times from.
    begun: Instant,
}

/// One that has been taken in.
pub(crate) struct Admitted {
    pub(crate) source: Source,
    pub(crate) place: Place,
    /// Which worker it is for, of endlessly many.
    pub(crate) worker: usize,
}

impl Admission {
    pub(crate) fn new(name: String, settings: Settings, connections: Arc<Connections>) -> Self {
        Admission {
            name,
            settings,
            connections,
            admitted: AtomicUsize::new(0),
            begun: time::now(),
        }
    }

    /// The time, in milliseconds. Goes round after seven weeks, which no limit reaches.
    pub(crate) fn now(&self) -> u32 {
        time::now().duration_since(self.begun).as_millis() as u32
    }

    /// Takes a connection in; `None` if it has been lost already.
    pub(crate) fn admit(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
    ) -> Result<Option<Admitted>, Refusal> {
        let limit = self.settings.max_connections;
        let Some(place) = self.connections.admit(limit) else {
            return Err(Refusal::TooMany {
                limit: limit.unwrap_or_default(),
            });
        };
        match into_source(stream) {
            Ok(source) => Ok(Some(Admitted {
                source,
                place,
                worker: self.admitted.fetch_add(1, Ordering::Relaxed),
            })),
            Err(error) if self.settings.is_everyday(error.kind()) => {
                tracing::debug!(server = self.name, %peer, %error, "connection lost at once");
                Ok(None)
            }
            Err(error) => Err(Refusal::System(error)),
        }
    }
}
