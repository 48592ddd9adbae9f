//! [`Dns`]: name servers asked directly, by hickory.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use actor_core::__private::PoolBusy;
use actor_core::sync::Event;
use actor_core::try_block_on_thread;
use hickory_resolver::config::{
    ConnectionConfig, NameServerConfig, ProtocolConfig, ResolverConfig, ResolverOpts,
};
use hickory_resolver::lookup::Lookup;
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{Name, RData};
use hickory_resolver::{TokioResolver, system_conf};
use parking_lot::Mutex;
use tokio::runtime::{Builder, Runtime};

use super::ResolveError;

/// Name servers, asked without the system's resolver: with a cache that keeps answers for as long as they say,
/// and for what that resolver does not know of (SRV and TXT records).
///
/// It does not go by `nsswitch.conf`, but it reads the hosts file. The work is done by [hickory] on one thread
/// of its own, however many look-ups there are; only the calling tasklet waits, and one that leaves early,
/// by its time, a [`timeout`](actor_core::timeout) or a kill, takes its question back. Clones share thread and
/// cache; make one and keep it.
///
/// [hickory]: hickory_resolver
///
/// ```no_run
/// use actor_io::{Dns, ResolveError};
/// use std::time::Duration;
///
/// # fn main() -> Result<(), ResolveError> {
/// let dns = Dns::system()?;
/// let limit = Duration::from_secs(5);
/// let addrs = dns.resolve("www.rust-lang.org", 443, limit)?;
/// for service in dns.srv("_xmpp-client._tcp.example.org", limit)? {
///     println!("{} at port {}", service.target, service.port);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Dns {
    shared: Arc<Shared>,
}

struct Shared {
    resolver: TokioResolver,
    /// Taken only when it is dropped.
    runtime: Option<Runtime>,
}

/// Where a service is to be found: an SRV record (RFC 2782).
///
/// ```
/// use actor_io::Service;
///
/// fn best(services: &[Service]) -> Option<&Service> {
///     services.first()
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Those with a lower one are to be tried first.
    pub priority: u16,
    /// How much of the load it should get of that of its priority.
    pub weight: u16,
    /// Its port.
    pub port: u16,
    /// The name of its host.
    pub target: String,
}

impl Dns {
    /// Goes by `/etc/resolv.conf`: the name servers, the search domains, and when they are tried. Only the
    /// calling tasklet waits for the file.
    ///
    /// # Errors
    ///
    /// [`ResolveError::Failed`] if it cannot be read, or the system has no thread left.
    ///
    /// ```no_run
    /// let dns = actor_io::Dns::system().unwrap();
    /// ```
    pub fn system() -> Result<Dns, ResolveError> {
        let read = try_block_on_thread(system_conf::read_system_conf);
        let read = read.map_err(|error| ResolveError::failed(error.into()))?;
        let (config, options) = read.map_err(net_error)?;
        Dns::from_config(config, options)
    }

    /// Asks these name servers, by UDP and, for what is too long, by TCP. A name without a dot is looked for in
    /// each of the `search` domains in turn.
    ///
    /// # Errors
    ///
    /// [`ResolveError::Failed`] if a search domain is no name, or the system has no thread left.
    ///
    /// ```
    /// use actor_io::Dns;
    ///
    /// let servers = ["192.0.2.53:53".parse().unwrap()];
    /// let dns = Dns::with_servers(&servers, &["our.example"]).unwrap();
    /// ```
    pub fn with_servers(servers: &[SocketAddr], search: &[&str]) -> Result<Dns, ResolveError> {
        let servers = servers.iter().map(|server| {
            let connections = [ProtocolConfig::Udp, ProtocolConfig::Tcp].map(|protocol| {
                let mut connection = ConnectionConfig::new(protocol);
                connection.port = server.port();
                connection
            });
            NameServerConfig::new(server.ip(), true, connections.to_vec())
        });
        let search: Result<_, _> = search.iter().map(Name::from_utf8).collect();
        let search = search.map_err(|error| net_error(error.into()))?;
        let config = ResolverConfig::from_parts(None, search, servers.collect());
        Dns::from_config(config, ResolverOpts::default())
    }

    /// As hickory has it configured.
    ///
    /// # Errors
    ///
    /// [`ResolveError::Failed`] if hickory does not like it, or the system has no thread left.
    ///
    /// ```
    /// use actor_io::Dns;
    /// use hickory_resolver::config::{ResolverConfig, ResolverOpts};
    ///
    /// let mut options = ResolverOpts::default();
    /// options.cache_size = 1000;
    /// let dns = Dns::from_config(ResolverConfig::default(), options).unwrap();
    /// ```
    pub fn from_config(config: ResolverConfig, options: ResolverOpts) -> Result<Dns, ResolveError> {
        // With one worker, since a runtime without any would run on the threads of those who ask.
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("concurrence-dns")
            .enable_all()
            .build()
            .map_err(ResolveError::failed)?;
        let mut builder =
            TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
        *builder.options_mut() = options;
        let resolver = {
            let _entered = runtime.enter();
            builder.build().map_err(net_error)?
        };
        Ok(Dns {
            shared: Arc::new(Shared {
                resolver,
                runtime: Some(runtime),
            }),
        })
    }

    /// The addresses of `host`, IPv6 ones first, with `port`; at least one. It can be called in place of
    /// [`resolve`](super::resolve()).
    ///
    /// # Errors
    ///
    /// See [`ResolveError`].
    ///
    /// ```no_run
    /// # use actor_io::{Dns, ResolveError};
    /// # use std::net::SocketAddr;
    /// # use std::time::Duration;
    /// fn web(dns: &Dns, host: &str) -> Result<Vec<SocketAddr>, ResolveError> {
    ///     dns.resolve(host, 443, Duration::from_secs(5))
    /// }
    /// ```
    pub fn resolve(
        &self,
        host: &str,
        port: u16,
        timeout: Duration,
    ) -> Result<Vec<SocketAddr>, ResolveError> {
        if let Ok(literal) = host.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(literal, port)]);
        }
        let resolver = self.shared.resolver.clone();
        let host = host.to_owned();
        let found = self.ask(timeout, async move { resolver.lookup_ip(host).await })?;
        some(found.iter().map(|ip| SocketAddr::new(ip, port)))
    }

    /// The IPv4 addresses of `host` (A records); at least one.
    ///
    /// # Errors
    ///
    /// See [`ResolveError`].
    ///
    /// ```no_run
    /// # use actor_io::{Dns, ResolveError};
    /// # use std::time::Duration;
    /// fn count(dns: &Dns, host: &str) -> Result<usize, ResolveError> {
    ///     Ok(dns.ipv4(host, Duration::from_secs(5))?.len())
    /// }
    /// ```
    pub fn ipv4(&self, host: &str, timeout: Duration) -> Result<Vec<Ipv4Addr>, ResolveError> {
        let resolver = self.shared.resolver.clone();
        let host = host.to_owned();
        let found = self.ask(timeout, async move { resolver.ipv4_lookup(host).await })?;
        records(&found, |data| match data {
            RData::A(addr) => Some(addr.0),
            _ => None,
        })
    }

    /// The IPv6 addresses of `host` (AAAA records); at least one.
    ///
    /// # Errors
    ///
    /// See [`ResolveError`].
    ///
    /// ```no_run
    /// # use actor_io::{Dns, ResolveError};
    /// # use std::time::Duration;
    /// fn count(dns: &Dns, host: &str) -> Result<usize, ResolveError> {
    ///     Ok(dns.ipv6(host, Duration::from_secs(5))?.len())
    /// }
    /// ```
    pub fn ipv6(&self, host: &str, timeout: Duration) -> Result<Vec<Ipv6Addr>, ResolveError> {
        let resolver = self.shared.resolver.clone();
        let host = host.to_owned();
        let found = self.ask(timeout, async move { resolver.ipv6_lookup(host).await })?;
        records(&found, |data| match data {
            RData::AAAA(addr) => Some(addr.0),
            _ => None,
        })
    }

    /// Where a service is to be found (SRV records), by priority, and among those of one the greatest
    /// weight first; at least one.
    ///
    /// # Errors
    ///
    /// See [`ResolveError`].
    ///
    /// ```no_run
    /// # use actor_io::{Dns, ResolveError, Service};
    /// # use std::time::Duration;
    /// fn chat_servers(dns: &Dns, domain: &str) -> Result<Vec<Service>, ResolveError> {
    ///     dns.srv(&format!("_xmpp-client._tcp.{domain}"), Duration::from_secs(5))
    /// }
    /// ```
    pub fn srv(&self, name: &str, timeout: Duration) -> Result<Vec<Service>, ResolveError> {
        let resolver = self.shared.resolver.clone();
        let name = name.to_owned();
        let found = self.ask(timeout, async move { resolver.srv_lookup(name).await })?;
        let mut services = records(&found, |data| match data {
            RData::SRV(srv) => Some(Service {
                priority: srv.priority,
                weight: srv.weight,
                port: srv.port,
                target: srv.target.to_utf8(),
            }),
            _ => None,
        })?;
        services.sort_by_key(|service| (service.priority, u16::MAX - service.weight));
        Ok(services)
    }

    /// Texts (TXT records), each with its parts put together; at least one.
    ///
    /// # Errors
    ///
    /// See [`ResolveError`].
    ///
    /// ```no_run
    /// # use actor_io::{Dns, ResolveError};
    /// # use std::time::Duration;
    /// fn policy(dns: &Dns, domain: &str) -> Result<Option<Vec<u8>>, ResolveError> {
    ///     let texts = dns.txt(domain, Duration::from_secs(5))?;
    ///     Ok(texts.into_iter().find(|text| text.starts_with(b"v=spf1")))
    /// }
    /// ```
    pub fn txt(&self, name: &str, timeout: Duration) -> Result<Vec<Vec<u8>>, ResolveError> {
        let resolver = self.shared.resolver.clone();
        let name = name.to_owned();
        let found = self.ask(timeout, async move { resolver.txt_lookup(name).await })?;
        records(&found, |data| match data {
            RData::TXT(text) => Some(text.txt_data.concat()),
            _ => None,
        })
    }

    /// Has the other thread ask, and waits for the answer.
    fn ask<T: Send + 'static>(
        &self,
        limit: Duration,
        question: impl Future<Output = Result<T, NetError>> + Send + 'static,
    ) -> Result<T, ResolveError> {
        let Some(runtime) = &self.shared.runtime else {
            return Err(ResolveError::failed(io::Error::other("it has ended")));
        };
        let answer = Arc::new((Event::new(), Mutex::new(None)));
        // As for the threads of the system's resolver.
        let busy = PoolBusy::new();
        let task = runtime.spawn({
            let answer = Arc::clone(&answer);
            async move {
                let _busy = busy;
                let result = question.await;
                let (landed, place) = &*answer;
                *place.lock() = Some(result);
                landed.set();
            }
        });
        let _question = TakeBack(task);
        let (landed, place) = &*answer;
        landed.wait_timeout(limit)?;
        let result = place.lock().take();
        match result {
            Some(result) => result.map_err(net_error),
            None => Err(ResolveError::failed(io::Error::other("no answer"))),
        }
    }
}

/// A question that nobody waits for any more is not asked any further.
struct TakeBack(tokio::task::JoinHandle<()>);

impl Drop for TakeBack {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Without waiting for its thread, as its own drop would.
            runtime.shutdown_background();
        }
    }
}

/// What there is of one kind in an answer.
fn records<T>(found: &Lookup, pick: impl Fn(&RData) -> Option<T>) -> Result<Vec<T>, ResolveError> {
    some(
        found
            .answers()
            .iter()
            .filter_map(|record| pick(&record.data)),
    )
}

fn some<T>(found: impl Iterator<Item = T>) -> Result<Vec<T>, ResolveError> {
    let found: Vec<_> = found.collect();
    match found.is_empty() {
        true => Err(ResolveError::NotFound),
        false => Ok(found),
    }
}

fn net_error(error: NetError) -> ResolveError {
    if error.is_nx_domain() || error.is_no_records_found() {
        return ResolveError::NotFound;
    }
    match error {
        NetError::Busy | NetError::Timeout | NetError::NoConnections | NetError::Io(_) => {
            ResolveError::Unavailable(Arc::new(io::Error::other(error)))
        }
        error => ResolveError::failed(io::Error::other(error)),
    }
}

impl fmt::Debug for Dns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dns").finish_non_exhaustive()
    }
}
