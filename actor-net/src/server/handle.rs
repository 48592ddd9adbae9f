//! [`ServerHandle`].

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use actor_core::{JoinError, JoinHandle, Tasklet, TimedOut, time};
use actor_io::{Family, Internet};

use super::connections::Connections;

/// A server that runs in a tasklet of its own: see [`Server::spawn`](super::Server::spawn).
///
/// Dropping it leaves the server alone.
///
/// ```
/// use actor_net::Server;
/// use std::time::Duration;
///
/// # actor_core::dispatch(|| {
/// let server = Server::bind("127.0.0.1:0").unwrap().spawn(drop).unwrap();
/// assert_eq!(server.connections(), 0);
/// assert_eq!(server.refused(), 0);
/// server.shutdown(Duration::from_secs(1)).unwrap();
/// # });
/// ```
pub struct ServerHandle<F: Family = Internet> {
    tasklet: JoinHandle<io::Result<()>>,
    local_addr: F::Addr,
    connections: Arc<Connections>,
}

impl<F: Family> ServerHandle<F> {
    pub(super) fn new(
        tasklet: JoinHandle<io::Result<()>>,
        local_addr: F::Addr,
        connections: Arc<Connections>,
    ) -> Self {
        ServerHandle {
            tasklet,
            local_addr,
            connections,
        }
    }

    /// The address that the server listens on.
    ///
    /// ```
    /// # actor_core::dispatch(|| {
    /// let server = actor_net::Server::bind("127.0.0.1:0").unwrap().spawn(drop).unwrap();
    /// assert!(server.local_addr().ip().is_loopback());
    /// # server.tasklet().stop();
    /// # });
    /// ```
    pub fn local_addr(&self) -> F::Addr {
        self.local_addr.clone()
    }

    /// How many connections it has at the moment: those whose tasklets have not ended yet.
    ///
    /// ```
    /// # actor_core::dispatch(|| {
    /// let server = actor_net::Server::bind("127.0.0.1:0").unwrap().spawn(drop).unwrap();
    /// println!("{} clients", server.connections());
    /// # server.tasklet().stop();
    /// # });
    /// ```
    pub fn connections(&self) -> usize {
        self.connections.len()
    }

    /// How many connections it has turned away for want of room: places, tasklets or descriptors.
    ///
    /// ```
    /// # actor_core::dispatch(|| {
    /// let server = actor_net::Server::bind("127.0.0.1:0").unwrap().spawn(drop).unwrap();
    /// assert_eq!(server.refused(), 0);
    /// # server.tasklet().stop();
    /// # });
    /// ```
    pub fn refused(&self) -> u64 {
        self.connections.refused()
    }

    /// The tasklet that accepts; the parent of the connections' tasklets. To
    /// [stop](Tasklet::stop) it begins a shutdown without waiting for it.
    ///
    /// ```
    /// # actor_core::dispatch(|| {
    /// let server = actor_net::Server::bind("127.0.0.1:0").unwrap().spawn(drop).unwrap();
    /// server.tasklet().stop();
    /// server.join().unwrap();
    /// # });
    /// ```
    pub fn tasklet(&self) -> &Tasklet {
        self.tasklet.tasklet()
    }

    /// Stops the server and waits for its end: the listener is closed, the connections are asked to
    /// stop, and those that still live after `grace` are killed.
    ///
    /// If the caller's own [`timeout`](actor_core::timeout) expires before, the server goes on
    /// stopping and nobody is killed. A handler that shuts down the server it serves waits for itself,
    /// and is killed with the others after `grace`; to stop the [tasklet](Self::tasklet) is better.
    ///
    /// # Errors
    ///
    /// As [`join`](Self::join).
    ///
    /// ```
    /// use actor_core::Tasklet;
    /// use std::time::Duration;
    ///
    /// # actor_core::dispatch(|| {
    /// let forever = |_stream| Tasklet::sleep(Duration::MAX);
    /// let server = actor_net::Server::bind("127.0.0.1:0").unwrap().spawn(forever).unwrap();
    /// let client = actor_net::Connector::connect(server.local_addr()).unwrap();
    /// server.shutdown(Duration::from_millis(10)).unwrap();
    /// assert_eq!(server.connections(), 0);
    /// # });
    /// ```
    pub fn shutdown(&self, grace: Duration) -> io::Result<()> {
        let begun = time::now();
        self.tasklet.stop();
        match self.tasklet.join_timeout(grace) {
            Err(JoinError::Timeout) if time::now().duration_since(begun) >= grace => {
                self.connections.kill_all();
                self.join()
            }
            ended => outcome(ended),
        }
    }

    /// Waits until the server has ended, and tells why; after the first time, only that it has.
    ///
    /// # Errors
    ///
    /// Those of [`Server::run`](super::Server::run); one around a [`JoinError`] if the server's tasklet
    /// was killed; [`TimedOut`](io::ErrorKind::TimedOut) if an enclosing
    /// [`timeout`](actor_core::timeout) expires, and the server runs on.
    ///
    /// ```
    /// # actor_core::dispatch(|| {
    /// let server = actor_net::Server::bind("127.0.0.1:0").unwrap().spawn(drop).unwrap();
    /// server.tasklet().kill();
    /// assert!(server.join().is_err());
    /// # });
    /// ```
    pub fn join(&self) -> io::Result<()> {
        outcome(self.tasklet.join())
    }
}

fn outcome(ended: Result<io::Result<()>, JoinError>) -> io::Result<()> {
    match ended {
        Ok(outcome) => outcome,
        Err(JoinError::Taken) => Ok(()),
        Err(JoinError::Timeout) => Err(TimedOut.into()),
        Err(error) => Err(io::Error::other(error)),
    }
}

impl<F: Family> fmt::Debug for ServerHandle<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerHandle")
            .field("local_addr", &self.local_addr)
            .field("connections", &self.connections())
            .finish_non_exhaustive()
    }
}
