//! The address of a peer, as a connection keeps it.

use std::net::{SocketAddr, SocketAddrV4, SocketAddrV6};

/// An address in as little as that of most takes.
#[derive(Debug)]
pub(crate) enum PeerAddr {
    V4(SocketAddrV4),
    V6(Box<SocketAddrV6>),
}

impl From<SocketAddr> for PeerAddr {
    fn from(addr: SocketAddr) -> Self {
        match addr {
            SocketAddr::V4(addr) => PeerAddr::V4(addr),
            SocketAddr::V6(addr) => PeerAddr::V6(Box::new(addr)),
        }
    }
}

impl PeerAddr {
    pub(crate) fn get(&self) -> SocketAddr {
        match self {
            PeerAddr::V4(addr) => SocketAddr::V4(*addr),
            PeerAddr::V6(addr) => SocketAddr::V6(**addr),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_of_a_peer_is_kept() {
        for text in ["10.0.0.1:80", "[fe80::1%3]:65535"] {
            let addr: SocketAddr = text.parse().unwrap();
            assert_eq!(PeerAddr::from(addr).get(), addr);
        }
    }
}
