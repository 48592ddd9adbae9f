//! [`IntoResponse`].

use std::io;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Response, StatusCode};

use super::body::Body;

/// What a handler may return.
///
/// Text and bytes are answers of status 200; a status is one without a body; a pair of both has both. Of a
/// `Result`, either side is. An [`io::Error`] is status 500, and is logged, not told to the client.
///
/// ```
/// use actor_net::http::{IntoResponse, StatusCode};
///
/// let response = (StatusCode::NOT_FOUND, "no such page").into_response();
/// assert_eq!(response.status(), 404);
/// assert_eq!(response.headers()["content-type"], "text/plain; charset=utf-8");
/// ```
pub trait IntoResponse {
    /// The answer.
    ///
    /// ```
    /// use actor_net::http::IntoResponse;
    ///
    /// assert_eq!("hello".into_response().status(), 200);
    /// ```
    fn into_response(self) -> Response<Body>;
}

impl<B: Into<Body>> IntoResponse for Response<B> {
    fn into_response(self) -> Response<Body> {
        self.map(Into::into)
    }
}

impl IntoResponse for Body {
    fn into_response(self) -> Response<Body> {
        Response::new(self)
    }
}

impl IntoResponse for () {
    fn into_response(self) -> Response<Body> {
        Response::new(Body::empty())
    }
}

impl IntoResponse for StatusCode {
    fn into_response(self) -> Response<Body> {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = self;
        response
    }
}

impl<T: IntoResponse> IntoResponse for (StatusCode, T) {
    fn into_response(self) -> Response<Body> {
        let mut response = self.1.into_response();
        *response.status_mut() = self.0;
        response
    }
}

impl<T: IntoResponse, E: IntoResponse> IntoResponse for Result<T, E> {
    fn into_response(self) -> Response<Body> {
        match self {
            Ok(value) => value.into_response(),
            Err(error) => error.into_response(),
        }
    }
}

impl IntoResponse for io::Error {
    fn into_response(self) -> Response<Body> {
        tracing::warn!(error = %self, "a handler has failed");
        StatusCode::INTERNAL_SERVER_ERROR.into_response()
    }
}

fn typed(content_type: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    let value = HeaderValue::from_static(content_type);
    response.headers_mut().insert(CONTENT_TYPE, value);
    response
}

macro_rules! typed {
    ($($type:ty => $content_type:literal),* $(,)?) => {$(
        impl IntoResponse for $type {
            fn into_response(self) -> Response<Body> {
                typed($content_type, self.into())
            }
        }
    )*};
}

typed! {
    &'static str => "text/plain; charset=utf-8",
    String => "text/plain; charset=utf-8",
    &'static [u8] => "application/octet-stream",
    Vec<u8> => "application/octet-stream",
    Bytes => "application/octet-stream",
}
