//! HTTP/1.1, for the feature `http`, which is on by default.
//!
//! Messages are those of the crate [`http`], which is what the frameworks of Rust speak. What a peer may send
//! is bounded by [`Limits`]; what leaves room for two opinions on where a message ends is refused, as
//! [`BadMessage`] lists it.

mod body;
mod chunk;
mod conn;
mod date;
mod encode;
mod error;
mod framing;
mod head;
mod incoming;
mod limits;
mod reader;
mod response;
mod scan;
mod server;
mod wire;

pub use body::Body;
pub use bytes::Bytes;
pub use error::BadMessage;
pub use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri, Version,
};
pub use limits::Limits;
pub use response::IntoResponse;
pub use server::HttpServer;

/// For fuzzing and benches alone: no part of the interface.
#[doc(hidden)]
pub mod __private {
    pub use super::chunk::{ChunkDecoder, Piece, encode, encode_end, encode_size};
    pub use super::encode::{Asked, Body, CONTINUE, Sent, response_head};
    pub use super::framing::{BodyEnd, Framing, of_request, of_response};
    pub use super::head::{request, response};
    pub use super::reader::{Event, RequestReader};
    pub use super::scan::{Extent, FirstLine, HeadScan};
}
