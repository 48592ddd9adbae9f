//! The system's resolver.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use dns_lookup::{AddrInfoHints, LookupErrorKind, getaddrinfo};

use super::ResolveError;

/// Blocks its thread.
pub(super) fn look_up(host: &str) -> Result<Vec<SocketAddr>, ResolveError> {
    let hints = AddrInfoHints {
        // Or every address would come once for each kind of socket.
        socktype: libc::SOCK_STREAM,
        ..AddrInfoHints::default()
    };
    let found = getaddrinfo(Some(host), None, Some(hints)).map_err(|error| {
        let kind = error.kind();
        let error = Arc::new(io::Error::from(error));
        match kind {
            LookupErrorKind::NoName | LookupErrorKind::NoData => ResolveError::NotFound,
            LookupErrorKind::Again => ResolveError::Unavailable(error),
            _ => ResolveError::Failed(error),
        }
    })?;
    // One of a family that is none of the internet's is no address for us.
    let addrs: Vec<_> = found.flatten().map(|info| info.sockaddr).collect();
    match addrs.is_empty() {
        true => Err(ResolveError::NotFound),
        false => Ok(addrs),
    }
}
