//! Heads of requests.

use http::header::{
    ACCEPT, CONNECTION, CONTENT_LENGTH, EXPECT, HOST, HeaderMap, HeaderName, HeaderValue,
    PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE, USER_AGENT,
};
use http::{Method, Uri};

use super::error::FetchError;
use super::origin::{self, Origin};
use super::proxy::Place;
use crate::http::{Body, encode};

/// How the body of a request ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Length {
    /// There is none, and none is announced.
    None,
    Known(u64),
    Chunked,
}

/// What is asked.
pub(super) struct Asked<'a> {
    pub(super) method: &'a Method,
    pub(super) uri: &'a Uri,
    pub(super) headers: &'a HeaderMap,
    pub(super) origin: &'a Origin,
    /// The proxy that is to ask it.
    pub(super) forward: Option<&'a Place>,
    pub(super) length: Length,
    /// Whether the body waits for the server's consent.
    pub(super) expect: bool,
    /// Whether another protocol is wanted.
    pub(super) upgrade: bool,
    /// Encodings that will be undone.
    pub(super) encodings: Option<&'static str>,
}

/// What is said of the body, which must be what is sent.
pub(super) fn length(
    method: &Method,
    headers: &HeaderMap,
    body: &Body,
) -> Result<Length, FetchError> {
    let said = match headers.get(CONTENT_LENGTH) {
        None => None,
        Some(value) => {
            let said = value.to_str().ok().and_then(|text| text.parse().ok());
            Some(said.ok_or(FetchError::Request(
                "the request's Content-Length is no number",
            ))?)
        }
    };
    match (body.size(), said) {
        (Some(size), Some(said)) if size != said => Err(FetchError::Request(
            "the request's Content-Length is not that of its body",
        )),
        (Some(0), _) if !may_have_body(method) => Ok(Length::None),
        (Some(size), _) | (None, Some(size)) => Ok(Length::Known(size)),
        (None, None) => Ok(Length::Chunked),
    }
}

/// Whether a server may wait for the body of such a request, and so must be told that there is none.
fn may_have_body(method: &Method) -> bool {
    *method == Method::POST || *method == Method::PUT || *method == Method::PATCH
}

/// Writes the head. How the body ends, and what becomes of the connection, is decided here, whatever the headers
/// say.
pub(super) fn write(asked: &Asked<'_>, out: &mut Vec<u8>) {
    let Asked { uri, headers, .. } = asked;
    out.extend_from_slice(asked.method.as_str().as_bytes());
    out.push(b' ');
    if asked.forward.is_some() {
        out.extend_from_slice(b"http://");
        out.extend_from_slice(asked.origin.authority(false).as_bytes());
    }
    origin::target(uri, out);
    out.extend_from_slice(b" HTTP/1.1\r\n");
    match headers.get(HOST) {
        Some(host) => encode::header(&HOST, host, out),
        None => line("host", asked.origin.authority(false).as_bytes(), out),
    }
    for (name, value) in *headers {
        if !is_ours(name) {
            encode::header(name, value, out);
        }
    }
    if let Some(authorization) = asked.forward.and_then(|place| place.authorization.as_ref()) {
        encode::header(&PROXY_AUTHORIZATION, authorization, out);
    }
    if asked.upgrade {
        line("connection", b"upgrade", out);
        for value in headers.get_all(UPGRADE) {
            encode::header(&UPGRADE, value, out);
        }
    } else if closes(headers) {
        line("connection", b"close", out);
    }
    match asked.length {
        Length::None => {}
        Length::Known(size) => line(
            "content-length",
            itoa::Buffer::new().format(size).as_bytes(),
            out,
        ),
        Length::Chunked => line("transfer-encoding", b"chunked", out),
    }
    if asked.expect {
        line("expect", b"100-continue", out);
    }
    if let Some(encodings) = asked.encodings {
        line("accept-encoding", encodings.as_bytes(), out);
    }
    if !headers.contains_key(ACCEPT) {
        line("accept", b"*/*", out);
    }
    if !headers.contains_key(USER_AGENT) {
        line("user-agent", USER_AGENT_VALUE.as_bytes(), out);
    }
    out.extend_from_slice(b"\r\n");
}

/// Asks a proxy for a way to a server.
pub(super) fn write_connect(origin: &Origin, proxy: &Place, out: &mut Vec<u8>) {
    let authority = origin.authority(true);
    out.extend_from_slice(b"CONNECT ");
    out.extend_from_slice(authority.as_bytes());
    out.extend_from_slice(b" HTTP/1.1\r\n");
    line("host", authority.as_bytes(), out);
    if let Some(authorization) = &proxy.authorization {
        encode::header(&PROXY_AUTHORIZATION, authorization, out);
    }
    line("user-agent", USER_AGENT_VALUE.as_bytes(), out);
    out.extend_from_slice(b"\r\n");
}

const USER_AGENT_VALUE: &str = concat!("concurrence/", env!("CARGO_PKG_VERSION"));

fn line(name: &str, value: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// Whether a header is decided here, or is for another connection than the one that the request goes over.
fn is_ours(name: &HeaderName) -> bool {
    [
        CONNECTION,
        CONTENT_LENGTH,
        EXPECT,
        HOST,
        PROXY_AUTHORIZATION,
        TE,
        TRAILER,
        TRANSFER_ENCODING,
        UPGRADE,
    ]
    .contains(name)
        || matches!(name.as_str(), "keep-alive" | "proxy-connection")
}

/// Whether the connection is to end with the answer.
pub(super) fn closes(headers: &HeaderMap) -> bool {
    options(headers.get_all(CONNECTION)).any(|option| option.eq_ignore_ascii_case(b"close"))
}

/// Whether the server is to be asked for its consent.
pub(super) fn expects(headers: &HeaderMap) -> bool {
    options(headers.get_all(EXPECT)).any(|option| option.eq_ignore_ascii_case(b"100-continue"))
}

/// The members of a list.
fn options<'a>(
    values: impl IntoIterator<Item = &'a HeaderValue>,
) -> impl Iterator<Item = &'a [u8]> {
    let values = values.into_iter();
    values.flat_map(|value| {
        value
            .as_bytes()
            .split(|&byte| byte == b',')
            .map(<[u8]>::trim_ascii)
    })
}

/// Whether a request that was perhaps carried out can be made again without harm (RFC 9110, section 9.2.2).
pub(super) fn is_idempotent(method: &Method) -> bool {
    [
        Method::GET,
        Method::HEAD,
        Method::PUT,
        Method::DELETE,
        Method::OPTIONS,
        Method::TRACE,
    ]
    .contains(method)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    fn head(request: Request<Body>, forward: Option<&Place>) -> String {
        let (parts, body) = request.into_parts();
        let origin = Origin::of(&parts.uri).unwrap();
        let mut out = Vec::new();
        let asked = Asked {
            method: &parts.method,
            uri: &parts.uri,
            headers: &parts.headers,
            origin: &origin,
            forward,
            length: length(&parts.method, &parts.headers, &body).unwrap(),
            expect: false,
            upgrade: false,
            encodings: None,
        };
        write(&asked, &mut out);
        let text = String::from_utf8(out).unwrap();
        let always = format!("accept: */*|user-agent: {USER_AGENT_VALUE}||");
        let text = text.replace("\r\n", "|");
        text.strip_suffix(&always).expect(&text).to_owned()
    }

    #[test]
    fn the_head_says_what_is_asked_of_whom() {
        let get = |uri: &str| Request::get(uri).body(Body::empty()).unwrap();
        assert_eq!(head(get("http://A.b"), None), "GET / HTTP/1.1|host: a.b|");
        assert_eq!(
            head(get("http://a:81?x={y}"), None),
            "GET /?x=%7By%7D HTTP/1.1|host: a:81|"
        );
        assert_eq!(
            head(get("https://a:443/b"), None),
            "GET /b HTTP/1.1|host: a|"
        );
        let proxy = Place {
            host: "p".to_owned(),
            port: 1,
            authorization: Some(HeaderValue::from_static("Basic x")),
        };
        assert_eq!(
            head(get("http://a:81/b"), Some(&proxy)),
            "GET http://a:81/b HTTP/1.1|host: a:81|proxy-authorization: Basic x|"
        );
        let named = Request::get("http://a/").header("host", "b");
        let named = named.body(Body::empty()).unwrap();
        assert_eq!(head(named, None), "GET / HTTP/1.1|host: b|");
    }

    #[test]
    fn the_head_says_where_the_body_ends() {
        let post = |body: Body| Request::post("http://a/").body(body).unwrap();
        let begin = "POST / HTTP/1.1|host: a|";
        assert_eq!(
            head(post(Body::from("abc")), None),
            format!("{begin}content-length: 3|")
        );
        assert_eq!(
            head(post(Body::empty()), None),
            format!("{begin}content-length: 0|")
        );
        assert_eq!(
            head(post(Body::from_reader(&b"abc"[..])), None),
            format!("{begin}transfer-encoding: chunked|")
        );
        let said = Request::post("http://a/")
            .header("content-length", "3")
            .header("transfer-encoding", "gzip")
            .header("connection", "x, Close")
            .header("te", "trailers")
            .body(Body::from_reader(&b"abc"[..]))
            .unwrap();
        assert_eq!(
            head(said, None),
            format!("{begin}connection: close|content-length: 3|")
        );
        let headers = HeaderMap::from_iter([(CONTENT_LENGTH, HeaderValue::from_static("4"))]);
        assert!(length(&Method::POST, &headers, &Body::from("abc")).is_err());
        let headers = HeaderMap::from_iter([(CONTENT_LENGTH, HeaderValue::from_static("x"))]);
        assert!(length(&Method::POST, &headers, &Body::from("abc")).is_err());
    }
}
