//! What is still to be sent to a dispatcher's channel, and how much that may be.

use std::error::Error;
use std::fmt;

/// How many bytes may wait to be sent, unless [`Channel::set_output_limit`](super::Channel::set_output_limit) says otherwise.
///
/// ```
/// assert_eq!(actor_net::dispatcher::DEFAULT_OUTPUT, 64 * 1024);
/// ```
pub const DEFAULT_OUTPUT: usize = 64 * 1024;

/// What is still to be sent.
#[derive(Debug, Default)]
pub(super) struct Output {
    pub(super) bytes: Vec<u8>,
    pub(super) sent: usize,
}

impl Output {
    pub(super) fn rest(&self) -> &[u8] {
        &self.bytes[self.sent..]
    }
}

/// There is no room for what was to be sent: the peer does not read.
///
/// ```
/// use actor_net::dispatcher::OutputFull;
///
/// let error = OutputFull { wanted: 3, pending: 8, limit: 10 };
/// assert_eq!(error.to_string(), "no room for 3 bytes: of at most 10, 8 are still to be sent");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutputFull {
    /// How many bytes were to be sent.
    pub wanted: usize,
    /// How many were pending.
    pub pending: usize,
    /// How many may be.
    pub limit: usize,
}

impl fmt::Display for OutputFull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let OutputFull {
            wanted,
            pending,
            limit,
        } = self;
        write!(
            f,
            "no room for {wanted} bytes: of at most {limit}, {pending} are still to be sent"
        )
    }
}

impl Error for OutputFull {}
