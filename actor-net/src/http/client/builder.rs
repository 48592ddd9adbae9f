//! [`HttpClientBuilder`].

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

#[cfg(feature = "cookies")]
use super::cookies::CookieJar;
use super::dial::Dialer;
#[cfg(feature = "tls")]
use super::dial::Trust;
use super::error::FetchError;
use super::pool::{Kept, Pool};
use super::proxy::{Proxies, Proxy};
use super::redirect::Redirects;
use super::timeouts::Timeouts;
use super::{HttpClient, Inner};
use crate::http::limits::Limits;
#[cfg(feature = "tls")]
use crate::tls::ClientTls;

/// The options of an [`HttpClient`].
///
/// ```
/// use actor_net::http::HttpClient;
/// use std::time::Duration;
///
/// let client = HttpClient::builder()
///     .redirects(3)
///     .idle_per_host(4)
///     .consent(Duration::from_millis(500))
///     .build();
/// ```
#[derive(Clone)]
#[must_use = "a builder does nothing until it builds"]
pub struct HttpClientBuilder {
    kept: Kept,
    proxies: Proxies,
    redirects: Redirects,
    timeouts: Timeouts,
    limits: Limits,
    consent: Option<Duration>,
    compression: bool,
    nodelay: bool,
    #[cfg(feature = "cookies")]
    cookies: Option<CookieJar>,
    #[cfg(feature = "tls")]
    tls: Option<ClientTls>,
}

impl Default for HttpClientBuilder {
    fn default() -> Self {
        HttpClientBuilder {
            kept: Kept {
                per_host: 8,
                in_all: 128,
                time: Duration::from_secs(60),
            },
            proxies: Proxies::default(),
            redirects: Redirects {
                limit: 10,
                downgrade: false,
            },
            timeouts: Timeouts::default(),
            limits: Limits::default().with(|limits| limits.body = u64::MAX),
            consent: None,
            compression: true,
            nodelay: true,
            #[cfg(feature = "cookies")]
            cookies: None,
            #[cfg(feature = "tls")]
            tls: None,
        }
    }
}

impl HttpClientBuilder {
    /// How many connections to one server are kept when nobody uses them: 8. How many are in use is not limited.
    ///
    /// ```
    /// let client = actor_net::http::HttpClient::builder().idle_per_host(1).build();
    /// ```
    pub fn idle_per_host(mut self, count: usize) -> Self {
        self.kept.per_host = count;
        self
    }

    /// How many connections are kept in all when nobody uses them: 128. Those that have been idle longest go first.
    ///
    /// ```
    /// let client = actor_net::http::HttpClient::builder().idle_in_all(16).build();
    /// ```
    pub fn idle_in_all(mut self, count: usize) -> Self {
        self.kept.in_all = count;
        self
    }

    /// For how long a connection is kept: 60 seconds. It is not used after that, and closed when one is next
    /// taken or given back: no timer does it. So what a client that asks for nothing any more has kept stays open until its
    /// servers close it, the last clone of the client is dropped, or [`close_idle`](super::HttpClient::close_idle) is called.
    ///
    /// ```
    /// use actor_net::http::HttpClient;
    /// use std::time::Duration;
    ///
    /// let client = HttpClient::builder().idle_time(Duration::from_secs(5)).build();
    /// ```
    pub fn idle_time(mut self, time: Duration) -> Self {
        self.kept.time = time;
        self
    }

    /// How many redirects are followed: 10. With 0 they are answers like any other.
    ///
    /// ```
    /// let client = actor_net::http::HttpClient::builder().redirects(0).build();
    /// ```
    pub fn redirects(mut self, limit: usize) -> Self {
        self.redirects.limit = limit;
        self
    }

    /// Whether redirects are followed from `https` to `http`, where everybody on the way can read and change what comes:
    /// they are not.
    ///
    /// ```
    /// let client = actor_net::http::HttpClient::builder().redirect_to_http(true).build();
    /// ```
    pub fn redirect_to_http(mut self, follow: bool) -> Self {
        self.redirects.downgrade = follow;
        self
    }

    /// How long the parts of a request may take.
    ///
    /// ```
    /// use actor_net::http::{HttpClient, Timeouts};
    /// use std::time::Duration;
    ///
    /// let timeouts = Timeouts::default().with(|limits| limits.total = Some(Duration::from_secs(10)));
    /// let client = HttpClient::builder().timeouts(timeouts).build();
    /// ```
    pub fn timeouts(mut self, timeouts: Timeouts) -> Self {
        self.timeouts = timeouts;
        self
    }

    /// What an answer may be: of the [limits](Limits) those of sizes and numbers count. The default is
    /// that of servers, but with no limit to the body.
    ///
    /// ```
    /// use actor_net::http::{HttpClient, Limits};
    ///
    /// let limits = Limits::default().with(|limits| limits.body = 1024 * 1024);
    /// let client = HttpClient::builder().limits(limits).build();
    /// ```
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Asks the server for its consent before a body is sent (`Expect: 100-continue`), and waits for it so long. After
    /// that the body is sent all the same: many servers know nothing of this. Off by default.
    ///
    /// ```
    /// use actor_net::http::HttpClient;
    /// use std::time::Duration;
    ///
    /// let client = HttpClient::builder().consent(Duration::from_secs(1)).build();
    /// ```
    pub fn consent(mut self, wait: Duration) -> Self {
        self.consent = Some(wait);
        self
    }

    /// Whether compressed answers are asked for, with the feature `compression`: they are.
    ///
    /// ```
    /// let client = actor_net::http::HttpClient::builder().compression(false).build();
    /// ```
    pub fn compression(mut self, on: bool) -> Self {
        self.compression = on;
        self
    }

    /// A proxy for all that it does not [except](Proxy::except). None by default, whatever the environment says.
    ///
    /// ```
    /// use actor_net::http::{HttpClient, Proxy};
    ///
    /// let proxy = Proxy::new("http://proxy.example:3128").unwrap();
    /// let client = HttpClient::builder().proxy(proxy).build();
    /// ```
    pub fn proxy(mut self, proxy: Proxy) -> Self {
        self.proxies = Proxies::all(proxy);
        self
    }

    /// The proxies that the environment tells of: `http_proxy`, `https_proxy`, `all_proxy` and `no_proxy`, and all but the first
    /// in capitals as well.
    ///
    /// # Errors
    ///
    /// As [`Proxy::new`].
    ///
    /// ```
    /// use actor_net::http::{FetchError, HttpClient};
    ///
    /// # fn main() -> Result<(), FetchError> {
    /// let client = HttpClient::builder().proxy_from_environment()?.build();
    /// # Ok(())
    /// # }
    /// ```
    pub fn proxy_from_environment(mut self) -> Result<Self, FetchError> {
        self.proxies = Proxies::of_environment()?;
        Ok(self)
    }

    /// Keeps cookies in this jar, and sends them with requests that have no `Cookie` of their own. None are kept by default.
    ///
    /// ```
    /// use actor_net::http::{CookieJar, HttpClient};
    ///
    /// let client = HttpClient::builder().cookies(CookieJar::new()).build();
    /// ```
    #[cfg(feature = "cookies")]
    pub fn cookies(mut self, jar: CookieJar) -> Self {
        self.cookies = Some(jar);
        self
    }

    /// How TLS is spoken. By default the roots of the system are trusted, which are read at the first need; if there are none, and the feature
    /// `webpki-roots` is on, Mozilla's. The protocols that are offered should be `http/1.1` alone.
    ///
    /// ```
    /// use actor_net::http::HttpClient;
    /// use actor_net::tls::{ClientTls, Roots, TlsError};
    ///
    /// fn inside(roots: Roots) -> Result<HttpClient, TlsError> {
    ///     let tls = ClientTls::builder(roots).alpn(["http/1.1"]).build()?;
    ///     Ok(HttpClient::builder().tls(tls).build())
    /// }
    /// ```
    #[cfg(feature = "tls")]
    pub fn tls(mut self, tls: ClientTls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Whether small pieces are sent at once (`TCP_NODELAY`): they are.
    ///
    /// ```
    /// let client = actor_net::http::HttpClient::builder().nodelay(false).build();
    /// ```
    pub fn nodelay(mut self, nodelay: bool) -> Self {
        self.nodelay = nodelay;
        self
    }

    /// What all of this makes.
    ///
    /// ```
    /// let client = actor_net::http::HttpClient::builder().build();
    /// ```
    pub fn build(self) -> HttpClient {
        HttpClient {
            inner: Arc::new(Inner {
                pool: Arc::new(Pool::new(self.kept)),
                dialer: Dialer {
                    nodelay: self.nodelay,
                    #[cfg(feature = "tls")]
                    tls: self.tls.map_or_else(Trust::default, Trust::of),
                },
                proxies: self.proxies,
                redirects: self.redirects,
                timeouts: self.timeouts,
                limits: Arc::new(self.limits),
                consent: self.consent,
                compression: self.compression,
                #[cfg(feature = "cookies")]
                cookies: self.cookies,
            }),
        }
    }
}

impl fmt::Debug for HttpClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpClientBuilder")
            .field("kept", &self.kept)
            .field("proxies", &self.proxies)
            .field("redirects", &self.redirects)
            .field("timeouts", &self.timeouts)
            .finish_non_exhaustive()
    }
}
