//! [`Reply`]: the body of an answer, as its reader wants it.

use std::io::{self, Read};

use http::HeaderMap;

#[cfg(feature = "compression")]
use super::decode::Decoder;
use super::received::Received;

/// See the [module](self).
#[derive(Debug)]
pub(in crate::http) enum Reply {
    Plain(Box<Received>),
    #[cfg(feature = "compression")]
    Encoded(Box<Decoder>),
}

impl Reply {
    pub(in crate::http) fn left(&self) -> Option<u64> {
        match self {
            Reply::Plain(received) => received.left(),
            #[cfg(feature = "compression")]
            Reply::Encoded(_) => None,
        }
    }

    pub(in crate::http) fn trailers(&self) -> Option<&HeaderMap> {
        match self {
            Reply::Plain(received) => received.trailers(),
            #[cfg(feature = "compression")]
            Reply::Encoded(decoder) => decoder.get_ref().trailers(),
        }
    }
}

impl Read for Reply {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self {
            Reply::Plain(received) => received.read(buf),
            #[cfg(feature = "compression")]
            Reply::Encoded(decoder) => decoder.read(buf),
        }
    }
}
