//! [`Limits`].

use std::time::Duration;

/// What a peer may ask of a connection: sizes, numbers, times and tunnels.
///
/// Each has a default that suits a service on the open network, and an answer when it is exceeded; the
/// connection is closed then. Sizes are in bytes:
///
/// | | default | if exceeded |
/// |---|---|---|
/// | [`method`](Self::method) | 32 bytes | 501 |
/// | [`target`](Self::target) | 8 KiB | 414 |
/// | [`header`](Self::header), one | 8 KiB | 431 |
/// | [`headers`](Self::headers) | 100 lines | 431 |
/// | [`head`](Self::head) | 32 KiB | 431 |
/// | [`body`](Self::body) | 8 MiB | 413 |
/// | [`chunk_extension`](Self::chunk_extension), of one chunk | 256 bytes | 400 |
/// | [`chunk_extensions`](Self::chunk_extensions), of a body | 16 KiB | 413 |
/// | [`trailers`](Self::trailers) | 32 lines | 431 |
/// | [`trailers_bytes`](Self::trailers_bytes), of all | 4 KiB | 431 |
/// | [`head_time`](Self::head_time) | 10 seconds | 408 |
/// | [`idle_time`](Self::idle_time) | 60 seconds | closed |
/// | [`body_rate`](Self::body_rate) | 240 bytes a second | 408 |
/// | [`body_grace`](Self::body_grace) | 5 seconds | |
/// | [`write_time`](Self::write_time) | 30 seconds | dropped |
/// | [`requests`](Self::requests) | none | the last closes |
/// | [`connect`](Self::connect) | no | 501 |
///
/// That a head or a request does not come is noticed within a second or two.
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
    /// How long the method may be. Default: 32 bytes. Status 501.
    pub method: usize,
    /// How long the target of a request may be. Default: 8 KiB. Status 414.
    pub target: usize,
    /// How many headers there may be. Default: 100 lines. Status 431.
    pub headers: usize,
    /// How long one header may be, with its name and what is between. Default: 8 KiB. Status 431.
    pub header: usize,
    /// How long the head may be, from the first line to the empty one. Default: 32 KiB. Status 431.
    pub head: usize,
    /// How long a body may be. Default: 8 MiB. Status 413; at once, if its length is said in advance.
    pub body: u64,
    /// How long that may be which follows the size of one chunk. Default: 256 bytes. Status 400.
    pub chunk_extension: usize,
    /// How long that may be which follows the sizes of all chunks of a body. Default: 16 KiB. Status 413.
    pub chunk_extensions: usize,
    /// How many trailers there may be. Default: 32 lines. Status 431.
    pub trailers: usize,
    /// How long all trailers may be together. Default: 4 KiB. Status 431.
    pub trailers_bytes: usize,
    /// How long a head may take, from its first byte to its last. Default: 10 seconds. Status 408.
    pub head_time: Duration,
    /// How long a connection may be idle between two requests, and before the first. Default: 60 seconds. It is
    /// closed without an answer. A body may not be silent for longer either, however quickly it came before.
    /// Status 408.
    pub idle_time: Duration,
    /// How much of a body is to come in a second. Default: 240 bytes. Status 408.
    pub body_rate: u32,
    /// How long a body may be slower than that, at its beginning. Default: 5 seconds.
    pub body_grace: Duration,
    /// How long the peer may take to read anything of an answer. Default: 30 seconds. The connection is dropped. As long
    /// is waited for a service of tower to go on with the body of a request that has been answered.
    pub write_time: Duration,
    /// How many requests a connection may bring. Default: as many as it likes. The last is answered, with
    /// `Connection: close`.
    pub requests: Option<u32>,
    /// Whether requests for a tunnel (`CONNECT`) are given to the handler, with the target as the authority of their
    /// URI; it may agree with an [`Upgrade`](super::Upgrade). They are not by default. Status 501. A refusal closes the
    /// connection, since what comes behind it was meant for the tunnel.
    pub connect: bool,
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
            connect: false,
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
