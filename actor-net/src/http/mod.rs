//! HTTP/1.1, for the feature `http`, which is on by default.
//!
//! Messages are those of the crate [`http`], which is what the frameworks of Rust speak. What a peer may send
//! is bounded by [`Limits`]; what leaves room for two opinions on where a message ends is refused, as
//! [`BadMessage`] lists it.

mod body;
mod channel;
mod chunk;
mod class;
mod clerk;
mod client;
mod conditional;
mod conn;
mod date;
mod encode;
mod error;
mod files;
mod framing;
mod head;
mod incoming;
mod limits;
mod names;
mod peer;
mod range;
mod raw;
mod reader;
mod response;
mod scan;
#[cfg_attr(not(feature = "tls"), path = "insecure.rs")]
mod secure;
mod server;
mod shard;
pub mod sse;
mod stream;
#[cfg(feature = "tower")]
pub mod tower;
mod turn;
mod upgrade;
mod upgraded;
mod wire;
#[cfg(feature = "websocket")]
pub mod ws;

pub use body::Body;
pub use bytes::Bytes;
pub use channel::{BodyWriter, DEFAULT_BODY_AHEAD};
#[cfg(feature = "cookies")]
pub use client::CookieJar;
pub use client::{
    Failed, FetchError, FinalUri, HttpClient, HttpClientBuilder, HttpConnection, Phase, Proxy,
    Switched, SwitchedReader, SwitchedWriter, Timeouts, basic_auth, bearer_auth, fetch,
};
pub use conditional::{Condition, EntityTag, Validators};
pub use error::BadMessage;
pub use files::{DEFAULT_MAX_RANGES, DEFAULT_PATIENCE, Files};
pub use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri, Version,
};
pub use limits::Limits;
pub use peer::{Peer, peer, peer_gone};
#[cfg(feature = "tls")]
pub use peer::{peer_certificates, server_name};
pub use raw::{RawAnswer, RawHead};
pub use response::IntoResponse;
pub use server::HttpServer;
#[cfg(feature = "tower")]
pub use tower::tower;
pub use upgrade::Upgrade;
pub use upgraded::{Upgraded, UpgradedReader, UpgradedWriter};

/// For fuzzing and benches alone: no part of the interface.
#[doc(hidden)]
pub mod __private {
    pub use super::chunk::{ChunkDecoder, Piece, encode, encode_end, encode_size};
    pub use super::encode::{Asked, Body, CONTINUE, Sent, response_head};
    pub use super::files::path::{Refused, TreePath};
    pub use super::framing::{BodyEnd, Framing, of_response};
    pub use super::head::response;
    pub use super::range::{Selection, select};
    pub use super::reader::{Event, RequestReader};
    pub use super::scan::{Extent, FirstLine, HeadScan};
    #[cfg(feature = "websocket")]
    pub use super::ws::probe::Probe;
}
