//! [`Limits`].

use std::time::Duration;

/// What a peer may ask of a connection: sizes, numbers and times.
///
/// Each has a default that suits a service on the open network, and an answer when it is exceeded; the
/// connection is closed then. Sizes are in bytes.
///
/// ```
/// use actor_net::http::Limits;
///
/// let limits = Limits::default().with(|limits| {
///     limits.body = 64 * 1024 * 1024;
///     limits.requests = Some(1000);
/// });
/// assert_eq!(limits.target, 8 * 1024);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// The method: 32. Status 501.
    pub method: usize,
    /// The target of a request: 8 KiB. Status 414.
    pub target: usize,
    /// How many headers there may be: 100. Status 431.
    pub headers: usize,
    /// One header, its name included: 8 KiB. Status 431.
    pub header: usize,
    /// The head, from the first line to the empty one: 32 KiB. Status 431.
    pub head: usize,
    /// A body: 8 MiB. Status 413; at once, if its length is said in advance.
    pub body: u64,
    /// What may follow the size of one chunk: 256. Status 400.
    pub chunk_extension: usize,
    /// What may follow the sizes of all chunks of a body: 16 KiB. Status 413.
    pub chunk_extensions: usize,
    /// How many trailers there may be: 32. Status 431.
    pub trailers: usize,
    /// All trailers together: 4 KiB. Status 431.
    pub trailers_bytes: usize,
    /// How long a head may take, from its first byte to its last: ten seconds. Status 408.
    pub head_time: Duration,
    /// How long a connection may be idle between two requests, and before the first: 60 seconds. It is closed
    /// without an answer.
    pub idle_time: Duration,
    /// How many bytes of a body are to come in a second: 240. Status 408.
    pub body_rate: u32,
    /// How long a body may be slower than that, at its beginning: five seconds.
    pub body_grace: Duration,
    /// How long the peer may take to read anything of an answer: 30 seconds. The connection is dropped.
    pub write_time: Duration,
    /// How many requests a connection may bring: as many as it likes. The last is answered, with
    /// `Connection: close`.
    pub requests: Option<u32>,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            method: 32,
            target: 8 * 1024,
            headers: 100,
            header: 8 * 1024,
            head: 32 * 1024,
            body: 8 * 1024 * 1024,
            chunk_extension: 256,
            chunk_extensions: 16 * 1024,
            trailers: 32,
            trailers_bytes: 4 * 1024,
            head_time: Duration::from_secs(10),
            idle_time: Duration::from_secs(60),
            body_rate: 240,
            body_grace: Duration::from_secs(5),
            write_time: Duration::from_secs(30),
            requests: None,
        }
    }
}

impl Limits {
    /// These limits with some of them changed.
    ///
    /// ```
    /// use actor_net::http::Limits;
    ///
    /// let limits = Limits::default().with(|limits| limits.headers = 50);
    /// assert_eq!(limits.headers, 50);
    /// ```
    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }
}
