//! [`Timeouts`], and the deadlines that they make.

use std::time::{Duration, Instant};

use actor_core::time;

use super::stream::Wait;

/// How long the parts of a request may take. `None` is no limit.
///
/// They are the client's, or those of one request, in whose extensions they have been put. An enclosing
/// [`timeout`](actor_core::timeout) counts besides.
///
/// ```
/// use actor_net::http::{Body, HttpClient, Request, Timeouts};
/// use std::time::Duration;
///
/// let timeouts = Timeouts::default().with(|limits| limits.total = Some(Duration::from_secs(5)));
/// let client = HttpClient::builder().timeouts(timeouts.clone()).build();
///
/// let patient = timeouts.with(|limits| limits.answer = None);
/// let request = Request::get("http://localhost/slow").extension(patient).body(Body::empty());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Timeouts {
    /// The look-up of the name and the connection: 30 seconds.
    pub connect: Option<Duration>,
    /// The handshake of TLS: ten seconds. What `ClientTls` says counts besides.
    pub tls: Option<Duration>,
    /// How long the server may take to receive anything of the request: 30 seconds.
    pub write: Option<Duration>,
    /// From the end of the request to the head of the answer: 60 seconds.
    pub answer: Option<Duration>,
    /// Between two pieces of the answer's body: 30 seconds.
    pub read: Option<Duration>,
    /// All of it, from the look-up of the name to the last byte of the body, redirects included: no limit.
    pub total: Option<Duration>,
}

impl Default for Timeouts {
    fn default() -> Self {
        Timeouts {
            connect: Some(Duration::from_secs(30)),
            tls: Some(Duration::from_secs(10)),
            write: Some(Duration::from_secs(30)),
            answer: Some(Duration::from_secs(60)),
            read: Some(Duration::from_secs(30)),
            total: None,
        }
    }
}

impl Timeouts {
    /// These with some of them changed.
    ///
    /// ```
    /// use actor_net::http::Timeouts;
    ///
    /// let timeouts = Timeouts::default().with(|limits| limits.read = None);
    /// assert_eq!(timeouts.read, None);
    /// ```
    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }
}

/// The timeouts of a request that has begun.
#[derive(Clone, Debug)]
pub(super) struct Clock {
    pub(super) limits: Timeouts,
    over: Option<Instant>,
}

impl Clock {
    pub(super) fn start(limits: Timeouts) -> Clock {
        let over = limits
            .total
            .and_then(|limit| time::now().checked_add(limit));
        Clock { limits, over }
    }

    /// How long an operation that may take `limit` waits.
    pub(super) fn wait(&self, limit: Option<Duration>) -> Wait {
        let deadline = limit.and_then(|limit| time::now().checked_add(limit));
        Wait::Until(match (deadline, self.over) {
            (Some(deadline), Some(over)) => Some(deadline.min(over)),
            (deadline, over) => deadline.or(over),
        })
    }

    /// Whether there is no time left for anything.
    pub(super) fn is_over(&self) -> bool {
        self.over.is_some_and(|over| time::now() >= over)
    }

    /// How much of `limit` is left; `None` is all the time there is.
    pub(super) fn left(&self, limit: Option<Duration>) -> Option<Duration> {
        let over = self
            .over
            .map(|over| over.saturating_duration_since(time::now()));
        match (limit, over) {
            (Some(limit), Some(over)) => Some(limit.min(over)),
            (limit, over) => limit.or(over),
        }
    }
}
