//! What both ends say before a connection is a WebSocket (RFC 6455, section 4).

use std::any::Any;
use std::io;

use actor_core::{BoxError, Outcome};
use http::header::{
    CONNECTION, CONTENT_LENGTH, HOST, HeaderMap, HeaderName, HeaderValue, ORIGIN,
    SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
    SEC_WEBSOCKET_VERSION, TRANSFER_ENCODING, UPGRADE,
};
use http::uri::Authority;
use http::{Method, Request, Response, StatusCode, Version};
use tungstenite::handshake::derive_accept_key;

use super::error::WsError;
use super::message::{Close, CloseCode};
use super::options::{Origins, WsOptions};
use super::socket::WebSocket;
use crate::http::{Body, IntoResponse, Upgrade, Upgraded};
use crate::server::connection::failure;

/// The version of the protocol.
pub(super) const VERSION: HeaderValue = HeaderValue::from_static("13");

pub(super) const WEBSOCKET: HeaderValue = HeaderValue::from_static("websocket");
pub(super) const UPGRADES: HeaderValue = HeaderValue::from_static("Upgrade");

impl WebSocket {
    /// Answers the request of a client that wants a WebSocket: with consent, and then `then` has it, on the
    /// handler's stack, for as long as it likes; or with a refusal, if the request is none. When `then` returns
    /// and it is still open, the peer is told that it is over: [normally](CloseCode::NORMAL), or because of an
    /// [error](CloseCode::ERROR), which is logged. See [`Upgrade`] for what else there is to know.
    ///
    /// A request for something else is refused with status 426, one for another version as well, with the
    /// version that is spoken; what is malformed with 400; a page of another [origin](WsOptions::origins) with 403.
    ///
    /// ```
    /// use actor_net::http::ws::{WebSocket, WsError, WsOptions};
    /// use actor_net::http::{Body, IntoResponse, Request, Response, StatusCode};
    ///
    /// fn handler(request: Request<Body>) -> Response<Body> {
    ///     match request.uri().path() {
    ///         "/echo" => WebSocket::upgrade(&request, &WsOptions::default(), echo),
    ///         _ => StatusCode::NOT_FOUND.into_response(),
    ///     }
    /// }
    ///
    /// fn echo(mut socket: WebSocket) -> Result<(), WsError> {
    ///     while let Some(message) = socket.read()? {
    ///         socket.send(message)?;
    ///     }
    ///     Ok(())
    /// }
    ///
    /// let response = handler(Request::get("/echo").body(Body::empty()).unwrap());
    /// assert_eq!(response.status(), StatusCode::UPGRADE_REQUIRED);
    /// ```
    pub fn upgrade<B, R: Outcome + 'static>(
        request: &Request<B>,
        options: &WsOptions,
        then: impl FnOnce(WebSocket) -> R + Send + 'static,
    ) -> Response<Body> {
        let Accepted { response, protocol } = match accept(request, options) {
            Ok(accepted) => accepted,
            Err(refusal) => return *refusal,
        };
        let options = options.clone();
        let run = move |stream: Upgraded| -> Result<(), BoxError> {
            let mut socket = WebSocket::server(stream, Vec::new(), options)?;
            socket.set_protocol(protocol);
            let session = socket.session();
            let result = outcome(then(socket));
            let code = match result {
                Ok(()) => CloseCode::NORMAL,
                Err(_) => CloseCode::ERROR,
            };
            if session.is_open() {
                // Its connection is closed in any case.
                let _ = session.close(&Close::of(code, ""));
            }
            result
        };
        Upgrade::new(response, run).into_response()
    }
}

/// How a handler has ended. Our own error becomes one of which the server can tell whether it is an everyday thing.
fn outcome<R: Outcome + 'static>(result: R) -> Result<(), BoxError> {
    let mut result = Some(result);
    let any: &mut dyn Any = &mut result;
    if let Some(ours) = any.downcast_mut::<Option<Result<(), WsError>>>() {
        return match ours.take() {
            Some(Err(error)) => Err(io::Error::from(error).into()),
            _ => Ok(()),
        };
    }
    result.map_or(Ok(()), failure)
}

/// A consent to be a WebSocket.
#[derive(Debug)]
pub(super) struct Accepted {
    pub(super) response: Response<()>,
    /// The subprotocol that is spoken.
    pub(super) protocol: Option<String>,
}

/// Consents to a request, or says why not.
pub(super) fn accept<B>(
    request: &Request<B>,
    options: &WsOptions,
) -> Result<Accepted, Box<Response<Body>>> {
    let headers = request.headers();
    if !has_token(headers, &UPGRADE, "websocket") || request.version() != Version::HTTP_11 {
        let mut response = (StatusCode::UPGRADE_REQUIRED, "this is for WebSockets").into_response();
        response.headers_mut().insert(UPGRADE, WEBSOCKET);
        response.headers_mut().insert(CONNECTION, UPGRADES);
        return Err(response.into());
    }
    if request.method() != Method::GET {
        let mut response = StatusCode::METHOD_NOT_ALLOWED.into_response();
        let allow = HeaderValue::from_static("GET");
        response.headers_mut().insert(http::header::ALLOW, allow);
        return Err(response.into());
    }
    if !has_token(headers, &CONNECTION, "upgrade") {
        return Err(malformed("no `Connection: Upgrade`"));
    }
    let versions: Vec<_> = headers.get_all(SEC_WEBSOCKET_VERSION).iter().collect();
    if versions != [VERSION] {
        let mut response = (StatusCode::UPGRADE_REQUIRED, "version 13 is spoken").into_response();
        let headers = response.headers_mut();
        headers.insert(SEC_WEBSOCKET_VERSION, VERSION);
        headers.insert(UPGRADE, WEBSOCKET);
        headers.insert(CONNECTION, UPGRADES);
        return Err(response.into());
    }
    let mut keys = headers.get_all(SEC_WEBSOCKET_KEY).iter();
    let (Some(key), None) = (keys.next(), keys.next()) else {
        return Err(malformed("not one `Sec-WebSocket-Key`"));
    };
    if !is_key(key.as_bytes()) {
        return Err(malformed("a `Sec-WebSocket-Key` that is none"));
    }
    let has_length = |value: &HeaderValue| value.as_bytes() != b"0";
    if headers.contains_key(TRANSFER_ENCODING)
        || headers.get(CONTENT_LENGTH).is_some_and(has_length)
    {
        return Err(malformed("a body"));
    }
    if !options.origins.allow(headers) {
        let refusal = (StatusCode::FORBIDDEN, "not from this origin").into_response();
        return Err(refusal.into());
    }
    let protocol = choose_protocol(headers, &options.protocols)?;

    let mut response = Response::new(());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let accept = HeaderValue::try_from(derive_accept_key(key.as_bytes()))
        .map_err(|_| Box::new(StatusCode::INTERNAL_SERVER_ERROR.into_response()))?;
    let headers = response.headers_mut();
    headers.insert(UPGRADE, WEBSOCKET);
    headers.insert(CONNECTION, UPGRADES);
    headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
    let protocol = protocol.map(|name| {
        let text = name.to_str().unwrap_or_default().to_owned();
        headers.insert(SEC_WEBSOCKET_PROTOCOL, name);
        text
    });
    Ok(Accepted { response, protocol })
}

/// Refuses what is no handshake, and ends the connection: the client means something else.
fn malformed(what: &'static str) -> Box<Response<Body>> {
    let mut response = (StatusCode::BAD_REQUEST, what).into_response();
    let close = HeaderValue::from_static("close");
    response.headers_mut().insert(CONNECTION, close);
    response.into()
}

/// Sixteen bytes in Base64.
fn is_key(key: &[u8]) -> bool {
    let is_digit = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/".contains(byte);
    key.len() == 24 && key.ends_with(b"==") && key[..22].iter().all(is_digit)
}

/// Whether one of the values of a header that is a list is `token`, in whatever case.
fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    list(headers, name).any(|value| value.eq_ignore_ascii_case(token))
}

fn list<'h>(headers: &'h HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'h str> {
    let lines = headers.get_all(name).iter();
    lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(','))
        .map(|value| value.trim_matches([' ', '\t']))
        .filter(|value| !value.is_empty())
}

/// The first of ours that the client speaks as well.
fn choose_protocol(
    headers: &HeaderMap,
    ours: &[String],
) -> Result<Option<HeaderValue>, Box<Response<Body>>> {
    let chosen = ours
        .iter()
        .find(|name| list(headers, &SEC_WEBSOCKET_PROTOCOL).any(|theirs| theirs == *name));
    chosen
        .map(|name| HeaderValue::from_str(name))
        .transpose()
        .map_err(|_| Box::new(StatusCode::INTERNAL_SERVER_ERROR.into_response()))
}

impl Origins {
    /// Only browsers say where the page comes from that asks; others have no origin that anybody could abuse.
    fn allow(&self, headers: &HeaderMap) -> bool {
        let mut origins = headers.get_all(ORIGIN).iter();
        let Some(origin) = origins.next() else {
            return true;
        };
        let Ok(origin) = origin.to_str() else {
            return false;
        };
        let is_one = origins.next().is_none();
        is_one
            && match self {
                Origins::Any => true,
                Origins::Only(list) => list.iter().any(|one| one.eq_ignore_ascii_case(origin)),
                Origins::SameHost => {
                    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
                    host.is_some_and(|host| is_same_host(origin, host))
                }
            }
    }
}

/// Whether an origin is that of a page of this host. A port may be missing where it is the scheme's own.
fn is_same_host(origin: &str, host: &str) -> bool {
    let (default, authority) = match origin.split_once("://") {
        Some(("http", authority)) => (80, authority),
        Some(("https", authority)) => (443, authority),
        _ => return false,
    };
    let parse = |text: &str| text.parse::<Authority>().ok();
    let (Some(origin), Some(host)) = (parse(authority), parse(host)) else {
        return false;
    };
    origin.host().eq_ignore_ascii_case(host.host())
        && origin.port_u16().unwrap_or(default) == host.port_u16().unwrap_or(default)
}

/// Whether a server has consented to a request with `key`, and what subprotocol it has chosen of those offered.
pub(super) fn check<B>(
    response: &Response<B>,
    key: &str,
    offered: &[String],
) -> Result<Option<String>, WsError> {
    let headers = response.headers();
    let is_accept =
        |value: &HeaderValue| value.as_bytes() == derive_accept_key(key.as_bytes()).as_bytes();
    let mut accepts = headers.get_all(SEC_WEBSOCKET_ACCEPT).iter();
    let is_accepted = accepts.next().is_some_and(is_accept) && accepts.next().is_none();
    if !has_token(headers, &UPGRADE, "websocket") || !has_token(headers, &CONNECTION, "upgrade") {
        return Err(WsError::Handshake(
            "the server has upgraded to something else",
        ));
    }
    if !is_accepted {
        return Err(WsError::Handshake(
            "the server has not understood the request",
        ));
    }
    if list(headers, &SEC_WEBSOCKET_EXTENSIONS).next().is_some() {
        return Err(WsError::Handshake(
            "the server uses an extension that was not offered",
        ));
    }
    let mut chosen = headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter();
    match (chosen.next(), chosen.next()) {
        (None, _) => Ok(None),
        (Some(name), None) if offered.iter().any(|one| one.as_bytes() == name.as_bytes()) => {
            Ok(name.to_str().ok().map(str::to_owned))
        }
        _ => Err(WsError::Handshake(
            "the server speaks a subprotocol that was not offered",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_the_same_whether_or_not_its_own_port_is_named() {
        for (origin, host, same) in [
            ("http://a.example", "a.example", true),
            ("http://a.example", "A.example:80", true),
            ("https://a.example", "a.example:443", true),
            ("https://a.example:443", "a.example", true),
            ("http://a.example:8080", "a.example:8080", true),
            ("http://[::1]:8080", "[::1]:8080", true),
            ("http://a.example", "a.example:8080", false),
            ("https://a.example", "a.example:80", false),
            ("http://evil.example", "a.example", false),
            ("http://a.example.evil.example", "a.example", false),
            ("http://a.example@evil.example", "a.example", false),
            ("null", "a.example", false),
            ("file://", "a.example", false),
        ] {
            assert_eq!(is_same_host(origin, host), same, "{origin} at {host}");
        }
    }
}
