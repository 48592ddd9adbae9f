//! Redirects: what is asked next (RFC 9110, section 15.4).

use http::header::{
    AUTHORIZATION, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LENGTH, CONTENT_LOCATION,
    CONTENT_TYPE, COOKIE, EXPECT, HOST, HeaderMap, LOCATION, PROXY_AUTHORIZATION,
    TRANSFER_ENCODING,
};
use http::request::Parts;
use http::{Method, StatusCode, Uri};

use super::error::FetchError;
use super::origin::{self, Origin};
use crate::http::Body;
use crate::http::body::Kind;

/// Which redirects are followed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Redirects {
    pub(super) limit: usize,
    /// Also from `https` to `http`.
    pub(super) downgrade: bool,
}

/// What is to be done about an answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// It is the answer.
    Answer,
    /// The request has been changed, and is to be made again.
    Follow,
}

impl Redirects {
    /// Changes a request to what its redirect asks for. `visited` are the URLs so far, but for the current one.
    pub(super) fn follow(
        &self,
        parts: &mut Parts,
        body: &mut Body,
        status: StatusCode,
        headers: &HeaderMap,
        visited: &mut Vec<Uri>,
    ) -> Result<Next, FetchError> {
        if self.limit == 0 {
            return Ok(Next::Answer);
        }
        let to_get = match status {
            // The standard lets a POST become a GET, for all do it.
            StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND => parts.method == Method::POST,
            StatusCode::SEE_OTHER => parts.method != Method::GET && parts.method != Method::HEAD,
            StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT => false,
            _ => return Ok(Next::Answer),
        };
        let mut locations = headers.get_all(LOCATION).iter();
        let (Some(location), None) = (locations.next(), locations.next()) else {
            return Ok(Next::Answer);
        };
        // A stream has been read, and nobody can read it again.
        if !to_get && !matches!(body.0, Kind::Empty | Kind::Bytes(_)) {
            return Ok(Next::Answer);
        }
        let nowhere = || FetchError::Location {
            location: String::from_utf8_lossy(location.as_bytes()).into_owned(),
        };
        let target = origin::resolve(&parts.uri, location.as_bytes()).ok_or_else(nowhere)?;
        let (from, to) = (
            Origin::of(&parts.uri)?,
            Origin::of(&target).map_err(|_| nowhere())?,
        );
        if !matches!(target.scheme_str(), Some("http" | "https")) {
            return Err(nowhere());
        }
        if from.secure && !to.secure && !self.downgrade {
            return Err(FetchError::Downgrade { location: target });
        }
        visited.push(std::mem::replace(&mut parts.uri, target));
        if visited.len() > self.limit {
            return Err(FetchError::TooManyRedirects {
                visited: std::mem::take(visited),
            });
        }
        if to_get {
            parts.method = Method::GET;
            *body = Body::empty();
            for name in [
                CONTENT_ENCODING,
                CONTENT_LANGUAGE,
                CONTENT_LENGTH,
                CONTENT_LOCATION,
                CONTENT_TYPE,
                EXPECT,
                TRANSFER_ENCODING,
            ] {
                parts.headers.remove(name);
            }
        }
        if from != to {
            // What was meant for the one is not for the other.
            for name in [AUTHORIZATION, COOKIE, HOST, PROXY_AUTHORIZATION] {
                parts.headers.remove(name);
            }
        }
        Ok(Next::Follow)
    }
}
