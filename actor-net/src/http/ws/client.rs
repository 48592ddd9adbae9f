//! Connecting to a server.

use std::io::{Read, Write};
use std::time::Duration;

use actor_core::timeout;
use bytes::{Bytes, BytesMut};
use http::header::{
    CONNECTION, CONTENT_LENGTH, HOST, HeaderMap, HeaderName, HeaderValue, SEC_WEBSOCKET_EXTENSIONS,
    SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{Response, StatusCode, Uri};
use tungstenite::handshake::client::generate_key;

use super::error::WsError;
use super::handshake::{UPGRADES, VERSION, WEBSOCKET, check};
use super::options::WsOptions;
use super::socket::WebSocket;
use super::transport::Transport;
use crate::Connector;
use crate::http::Limits;
use crate::http::class::is_token;
use crate::http::client::origin::{self, Origin};
use crate::http::head::response;
use crate::http::scan::{FirstLine, HeadScan};
#[cfg(feature = "tls")]
use crate::tls::ClientTls;

/// How much of the body of a refusal is kept.
const REFUSAL: usize = 16 * 1024;

/// Connects to the server of a `ws:` or `wss:` URL, with the defaults of a [`WsConnector`].
///
/// # Errors
///
/// See [`WsConnector::connect`].
///
/// ```
/// use actor_net::http::ws::{self, CloseCode, WsError};
///
/// fn ask(question: &str) -> Result<String, WsError> {
///     let mut socket = ws::connect("wss://oracle.example/ask")?;
///     socket.send(question)?;
///     let answer = socket.read()?.ok_or(WsError::Closed)?;
///     socket.close(CloseCode::NORMAL, "")?;
///     Ok(answer.as_text().unwrap_or("?").to_owned())
/// }
/// ```
pub fn connect(url: &str) -> Result<WebSocket, WsError> {
    WsConnector::new().connect(url)
}

/// Connects to WebSocket servers, with options. Can be used again and again.
///
/// ```
/// use actor_net::http::ws::{WebSocket, WsConnector, WsError};
/// use std::time::Duration;
///
/// fn join(room: &str) -> Result<WebSocket, WsError> {
///     WsConnector::new()
///         .header("authorization", "Bearer 1234")
///         .protocol("chat.v2")
///         .timeout(Duration::from_secs(5))
///         .connect(&format!("wss://chat.example/{room}"))
/// }
/// ```
#[derive(Clone, Debug)]
#[must_use = "a connector does nothing until it connects"]
pub struct WsConnector {
    headers: Vec<(String, String)>,
    protocols: Vec<String>,
    timeout: Option<Duration>,
    options: WsOptions,
    #[cfg(feature = "tls")]
    tls: Option<ClientTls>,
}

impl Default for WsConnector {
    fn default() -> Self {
        WsConnector::new()
    }
}

impl WsConnector {
    /// One with the defaults: half a minute to connect, no subprotocols, and the platform's root certificates.
    ///
    /// ```
    /// use actor_net::http::ws::WsConnector;
    ///
    /// let connector = WsConnector::new();
    /// ```
    pub fn new() -> Self {
        WsConnector {
            headers: Vec::new(),
            protocols: Vec::new(),
            timeout: Some(Duration::from_secs(30)),
            options: WsOptions::default(),
            #[cfg(feature = "tls")]
            tls: None,
        }
    }

    /// A header to be sent with the request, besides those that make it what it is.
    ///
    /// ```
    /// use actor_net::http::ws::WsConnector;
    ///
    /// let connector = WsConnector::new().header("origin", "https://www.example.com");
    /// ```
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Offers a subprotocol, behind those that have been offered. Which one the server has chosen says
    /// [`WebSocket::protocol`].
    ///
    /// ```
    /// use actor_net::http::ws::WsConnector;
    ///
    /// let connector = WsConnector::new().protocol("chat.v2").protocol("chat.v1");
    /// ```
    pub fn protocol(mut self, name: impl Into<String>) -> Self {
        self.protocols.push(name.into());
        self
    }

    /// How long it may take from the look-up of the name to the server's consent; `None` for no limit but that of
    /// an enclosing [`timeout`].
    ///
    /// ```
    /// use actor_net::http::ws::WsConnector;
    /// use std::time::Duration;
    ///
    /// let connector = WsConnector::new().timeout(Duration::from_secs(5));
    /// ```
    pub fn timeout(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.timeout = limit.into();
        self
    }

    /// Limits and times of the connections.
    ///
    /// ```
    /// use actor_net::http::ws::{WsConnector, WsOptions};
    ///
    /// let connector =
    ///     WsConnector::new().options(WsOptions::default().with(|options| options.ping = None));
    /// ```
    pub fn options(mut self, options: WsOptions) -> Self {
        self.options = options;
        self
    }

    /// How to speak TLS, for `wss:`. By default the platform's root certificates are trusted.
    ///
    /// ```
    /// use actor_net::http::ws::WsConnector;
    /// use actor_net::tls::ClientTls;
    ///
    /// fn make(tls: &ClientTls) -> WsConnector {
    ///     WsConnector::new().tls(tls.clone())
    /// }
    /// ```
    #[cfg(feature = "tls")]
    pub fn tls(mut self, tls: ClientTls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Connects to the server of a `ws:` or `wss:` URL. A redirection is a refusal.
    ///
    /// # Errors
    ///
    /// [`Url`](WsError::Url) and [`Header`](WsError::Header) before anything is done,
    /// [`Connect`](WsError::Connect) if there is nobody, [`Refused`](WsError::Refused) with what the server
    /// says if it does not want to, [`Answer`](WsError::Answer) and [`Handshake`](WsError::Handshake) if
    /// it is no WebSocket server, and [`TimedOut`](WsError::TimedOut).
    ///
    /// ```
    /// use actor_net::http::ws::{WsConnector, WsError};
    ///
    /// # let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    /// let error = WsConnector::new().connect(&format!("ws://127.0.0.1:{port}/")).unwrap_err();
    /// assert!(matches!(error, WsError::Connect(_)));
    /// ```
    pub fn connect(&self, url: &str) -> Result<WebSocket, WsError> {
        let target = Target::of(url)?;
        let key = generate_key();
        let request = self.request(&target, &key)?;
        let Origin { secure, host, port } = target.origin;
        let work = || {
            let host = host.as_str();
            match secure {
                false => self.begin(Connector::connect((host, port))?, &request, &key),
                #[cfg(feature = "tls")]
                true => {
                    let tls = match &self.tls {
                        Some(tls) => tls.clone(),
                        None => platform()?,
                    };
                    let stream = Connector::tls(tls).connect(host, port)?;
                    self.begin(stream, &request, &key)
                }
                #[cfg(not(feature = "tls"))]
                true => Err(WsError::Url(presentable(url))),
            }
        };
        match self.timeout {
            Some(limit) => timeout(limit, work),
            None => work(),
        }
    }

    /// Makes the handshake on a stream to the server of a URL.
    ///
    /// # Errors
    ///
    /// Those of [`connect`](Self::connect) but for connecting.
    ///
    /// ```
    /// use actor_io::UnixStream;
    /// use actor_net::http::ws::{WebSocket, WsConnector, WsError};
    ///
    /// fn local() -> Result<WebSocket, WsError> {
    ///     let stream = UnixStream::connect("/run/chat.socket")?;
    ///     WsConnector::new().connect_over(stream, "ws://localhost/")
    /// }
    /// ```
    pub fn connect_over(
        &self,
        stream: impl Transport + Read + Write,
        url: &str,
    ) -> Result<WebSocket, WsError> {
        let target = Target::of(url)?;
        let key = generate_key();
        let request = self.request(&target, &key)?;
        let work = || self.begin(stream, &request, &key);
        match self.timeout {
            Some(limit) => timeout(limit, work),
            None => work(),
        }
    }

    fn begin(
        &self,
        mut stream: impl Transport + Read + Write,
        request: &[u8],
        key: &str,
    ) -> Result<WebSocket, WsError> {
        stream.write_all(request)?;
        stream.flush()?;
        let (answer, read_ahead) = read_answer(&mut stream)?;
        if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
            let body = read_refusal(&mut stream, &answer, read_ahead);
            return Err(WsError::Refused(Box::new(answer.map(|()| body))));
        }
        let protocol = check(&answer, key, &self.protocols)?;
        let mut socket = WebSocket::client(stream, read_ahead.into(), self.options.clone())?;
        socket.set_protocol(protocol);
        Ok(socket)
    }

    /// What the server is asked.
    fn request(&self, target: &Target, key: &str) -> Result<Vec<u8>, WsError> {
        let mut request = Vec::with_capacity(512);
        request.extend_from_slice(b"GET ");
        origin::target(&target.uri, &mut request);
        request.extend_from_slice(b" HTTP/1.1\r\n");
        let mut line = |name: &HeaderName, value: &[u8]| {
            request.extend_from_slice(name.as_str().as_bytes());
            request.extend_from_slice(b": ");
            request.extend_from_slice(value);
            request.extend_from_slice(b"\r\n");
        };
        line(&HOST, target.origin.authority(false).as_bytes());
        line(&UPGRADE, WEBSOCKET.as_bytes());
        line(&CONNECTION, UPGRADES.as_bytes());
        line(&SEC_WEBSOCKET_KEY, key.as_bytes());
        line(&SEC_WEBSOCKET_VERSION, VERSION.as_bytes());
        if let Some(name) = self.protocols.iter().find(|name| !is_protocol(name)) {
            return Err(WsError::Header(name.clone()));
        }
        if !self.protocols.is_empty() {
            line(
                &SEC_WEBSOCKET_PROTOCOL,
                self.protocols.join(", ").as_bytes(),
            );
        }
        for (name, value) in &self.headers {
            let parsed: Option<(HeaderName, HeaderValue)> =
                name.parse().ok().zip(value.parse().ok());
            match parsed {
                Some((name, value)) if !is_ours(&name) => line(&name, value.as_bytes()),
                // Its value may be a secret.
                _ => return Err(WsError::Header(name.clone())),
            }
        }
        request.extend_from_slice(b"\r\n");
        Ok(request)
    }
}

fn is_protocol(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(is_token)
}

/// Whether a header is for the handshake alone to say.
fn is_ours(name: &HeaderName) -> bool {
    [
        HOST,
        UPGRADE,
        CONNECTION,
        CONTENT_LENGTH,
        http::header::TRANSFER_ENCODING,
        SEC_WEBSOCKET_KEY,
        SEC_WEBSOCKET_VERSION,
        SEC_WEBSOCKET_PROTOCOL,
        SEC_WEBSOCKET_EXTENSIONS,
    ]
    .contains(name)
}

/// What trusts the platform's root certificates. Made once, since that reads some hundred files.
#[cfg(feature = "tls")]
fn platform() -> Result<ClientTls, WsError> {
    use std::sync::OnceLock;

    use crate::tls::Roots;

    static PLATFORM: OnceLock<ClientTls> = OnceLock::new();
    if let Some(tls) = PLATFORM.get() {
        return Ok(tls.clone());
    }
    let make = || -> Result<ClientTls, std::io::Error> { Ok(ClientTls::new(Roots::platform()?)?) };
    let tls = make()?;
    Ok(PLATFORM.get_or_init(|| tls).clone())
}

/// Who is asked, and what for.
struct Target {
    uri: Uri,
    origin: Origin,
}

impl Target {
    fn of(url: &str) -> Result<Target, WsError> {
        let parsed: Option<Uri> = url.parse().ok();
        let uri = parsed.filter(|uri| matches!(uri.scheme_str(), Some("ws" | "wss")));
        // A name and a password have no place in the protocol.
        let has_user = |uri: &Uri| {
            uri.authority()
                .is_some_and(|host| host.as_str().contains('@'))
        };
        let target = uri.filter(|uri| !has_user(uri)).and_then(|uri| {
            let origin = Origin::of(&uri).ok()?;
            Some(Target { uri, origin })
        });
        target.ok_or_else(|| WsError::Url(presentable(url)))
    }
}

/// A URL as it can be shown. It may be no URL at all, so all that could be a name and a password is left out: from
/// the scheme up to the last `@`.
fn presentable(url: &str) -> String {
    let Some((before, rest)) = url.rsplit_once('@') else {
        return url.to_owned();
    };
    let scheme = before.split_once("://").map(|(scheme, _)| scheme);
    let known = ["ws", "wss", "http", "https"];
    match scheme.filter(|scheme| known.iter().any(|known| scheme.eq_ignore_ascii_case(known))) {
        Some(scheme) => format!("{scheme}://***@{rest}"),
        None => format!("***@{rest}"),
    }
}

/// Reads the head of the answer; what comes behind it as well.
fn read_answer(stream: &mut impl Read) -> Result<(Response<()>, BytesMut), WsError> {
    let limits = Limits::default();
    let mut input = BytesMut::new();
    let mut scan = HeadScan::default();
    loop {
        let found = scan.find(&input, FirstLine::Status, &limits);
        if let Some(extent) = found.map_err(WsError::Answer)? {
            let head: Bytes = input.split_to(extent.end).freeze();
            let answer = response(&head, extent.headers, HeaderMap::new());
            let answer = answer.map_err(WsError::Answer)?;
            let is_final = !answer.status().is_informational()
                || answer.status() == StatusCode::SWITCHING_PROTOCOLS;
            if is_final {
                return Ok((answer, input));
            }
            scan = HeadScan::default();
            continue;
        }
        let mut buf = [0; 4096];
        match stream.read(&mut buf)? {
            0 => return Err(WsError::Cut),
            count => input.extend_from_slice(&buf[..count]),
        }
    }
}

/// The beginning of the body of a refusal. That it does not come changes nothing.
fn read_refusal(stream: &mut impl Read, answer: &Response<()>, begun: BytesMut) -> Bytes {
    let length = answer.headers().get(CONTENT_LENGTH);
    let length = length.and_then(|value| value.to_str().ok()?.parse().ok());
    let length = length.unwrap_or(begun.len()).min(REFUSAL);
    let mut body = begun;
    let mut buf = [0; 4096];
    while body.len() < length {
        match stream.read(&mut buf) {
            Ok(0) | Err(_) => break,
            Ok(count) => body.extend_from_slice(&buf[..count]),
        }
    }
    body.truncate(length);
    body.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_that_is_none_is_shown_without_what_may_be_a_password() {
        for (url, shown) in [
            ("ws://user:word@a/", "ws://***@a/"),
            ("WSS://user:wo/rd@a:1/x", "WSS://***@a:1/x"),
            ("ws://us@er:w@rd@a", "ws://***@a"),
            ("user:p://word@a", "***@a"),
            ("ws:user:word@a", "***@a"),
            ("http://user:word@a", "http://***@a"),
            ("ws://user:word@", "ws://***@"),
            ("http://a/", "http://a/"),
            ("", ""),
        ] {
            let Err(error) = Target::of(url) else {
                panic!("{url} has been taken");
            };
            assert!(
                matches!(&error, WsError::Url(url) if url == shown),
                "{error:?}"
            );
            assert!(!format!("{error} {error:?}").contains("rd"), "{error:?}");
        }
    }

    #[test]
    fn a_target_is_what_it_is_for_http_as_well() {
        for (url, secure, host, port, authority, path) in [
            ("ws://A.example", false, "a.example", 80, "a.example", "/"),
            ("wss://a/x?y=^", true, "a", 443, "a", "/x?y=%5E"),
            ("wss://a:80?q", true, "a", 80, "a:80", "/?q"),
            ("ws://[::1]:80/", false, "::1", 80, "[::1]", "/"),
            ("ws://[::1]:81/#part", false, "::1", 81, "[::1]:81", "/"),
        ] {
            let target = Target::of(url).unwrap();
            let origin = &target.origin;
            assert_eq!(
                (origin.secure, &origin.host[..], origin.port),
                (secure, host, port),
                "{url}"
            );
            let request = WsConnector::new().request(&target, "key").unwrap();
            let begin = format!("GET {path} HTTP/1.1\r\nhost: {authority}\r\n");
            assert!(request.starts_with(begin.as_bytes()), "{request:?}");
        }
        // A host that is spelt in a way that others would read differently; a port that is none.
        for url in [
            "ws://a%41/",
            "ws://a:99999/",
            "ws://a:b/",
            "ws:///x",
            "a",
            "/x",
        ] {
            assert!(Target::of(url).is_err(), "{url}");
        }
    }
}
