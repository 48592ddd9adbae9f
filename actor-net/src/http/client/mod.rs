//! [`HttpClient`]: the other end of HTTP.

mod auth;
mod builder;
mod conn;
#[cfg(feature = "cookies")]
mod cookies;
#[cfg(feature = "compression")]
mod decode;
mod dial;
mod error;
mod exchange;
mod head;
pub(super) mod origin;
mod pipeline;
mod pool;
mod proxy;
mod received;
mod redirect;
mod reply;
mod request;
mod stream;
mod switched;
mod timeouts;

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::{Method, Request, Response, StatusCode, Uri};

use self::dial::Dialer;
use self::pool::Pool;
use self::proxy::Proxies;
use self::redirect::{Next, Redirects};
use self::request::{DRAIN, Miss, failed};
use super::body::{Body, Kind};
use super::limits::Limits;

pub use auth::{basic_auth, bearer_auth};
pub use builder::HttpClientBuilder;
#[cfg(feature = "cookies")]
pub use cookies::CookieJar;
pub use error::{Failed, FetchError, Phase};
pub use pipeline::HttpConnection;
pub use proxy::Proxy;
pub use switched::{Switched, SwitchedReader, SwitchedWriter};
pub use timeouts::Timeouts;

pub(super) use reply::Reply;

/// A client of HTTP/1.1 and 1.0.
///
/// A request blocks its tasklet until the head of the answer has come, and nobody else. The body of the answer is read where
/// it is needed, and as fast as it is. Clones share everything, and may be used anywhere: keep one for all requests that
/// go by the same rules.
///
/// # Connections
///
/// They are kept for the next request that goes the same way, within [bounds](HttpClientBuilder::idle_per_host). An answer's
/// connection is free again when its body has been read to the end. A body that is dropped before gives it back if the
/// rest has come already, and is little; otherwise it closes it. So does a kill in the middle.
///
/// One that the server has closed meanwhile is found out before it is used. If it closes just then, and the request
/// can be made again without harm (`GET`, `HEAD`, `PUT`, `DELETE`, `OPTIONS`, `TRACE`, or nothing of it was sent) and its
/// body as well (bytes, no reader), it is made again, once, on a new one. Nothing else is ever repeated.
///
/// # What is done besides
///
/// - *Redirects* are followed, [ten](HttpClientBuilder::redirects) unless set otherwise. 303 makes a `GET` of what is none, and so do 301 and 302 of
///   a `POST`; 307 and 308 repeat the request, where its body can be. To another origin no credentials are taken, and
///   from `https` to `http` none is followed. The answer's extensions have the [`FinalUri`].
/// - *Compressed bodies*, with the feature `compression`, are asked for and undone, unless the request has an `Accept-Encoding` of
///   its own or a `Range`. `Content-Encoding` and `Content-Length` are taken out then. A few bytes may become
///   gigabytes: how much is read of a body is for its reader to limit, as with [`Read::take`](std::io::Read::take).
/// - *Cookies*, with the feature `cookies`, are kept in a jar, if the client has one (`HttpClientBuilder::cookies`).
/// - A *name and a password* in the URL become a header `Authorization`, if there is none, and are not sent otherwise.
/// - An *early answer* that is an error ends the sending of a body. Apart from that all of a body is sent before any of the
///   answer is read.
///
/// # Errors
///
/// All have a [type](FetchError). A status such as 404 is an answer and no error.
///
/// ```
/// use actor_net::http::{Body, HttpClient, HttpServer, Request};
/// use std::io::Read;
/// use std::time::Duration;
///
/// fn shout(request: Request<Body>) -> std::io::Result<Vec<u8>> {
///     Ok(request.into_body().into_bytes()?.to_ascii_uppercase())
/// }
///
/// # fn main() -> std::process::ExitCode {
/// actor_core::dispatch(|| -> std::io::Result<()> {
///     let server = HttpServer::bind("127.0.0.1:0")?.spawn(shout)?;
///     let url = format!("http://{}/", server.local_addr());
///
///     let client = HttpClient::new();
///     let mut text = String::new();
///     client.post(&*url, "hello")?.into_body().read_to_string(&mut text)?;
///     assert_eq!(text, "HELLO");
///     server.shutdown(Duration::from_secs(5))
/// })
/// # }
/// ```
#[derive(Clone)]
pub struct HttpClient {
    inner: Arc<Inner>,
}

struct Inner {
    pool: Arc<Pool>,
    dialer: Dialer,
    proxies: Proxies,
    redirects: Redirects,
    timeouts: Timeouts,
    limits: Arc<Limits>,
    consent: Option<Duration>,
    #[cfg_attr(not(feature = "compression"), allow(dead_code))]
    compression: bool,
    #[cfg(feature = "cookies")]
    cookies: Option<CookieJar>,
}

/// Where an answer comes from: the request's URL, or that of the last redirect. In the extensions of an answer.
///
/// ```
/// use actor_net::http::{FinalUri, HttpClient, HttpServer};
///
/// # actor_core::dispatch(|| {
/// let server = HttpServer::bind("127.0.0.1:0").unwrap().spawn(|_| "hello").unwrap();
/// let url = format!("http://{}/a", server.local_addr());
/// let answer = HttpClient::new().get(&*url).unwrap();
/// assert_eq!(answer.extensions().get::<FinalUri>().unwrap().0, *url);
/// # server.tasklet().stop();
/// # });
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FinalUri(pub Uri);

/// Gets what is at a URL, with a client that all who call this share. Whatever the status, it is an answer.
///
/// # Errors
///
/// See [`FetchError`].
///
/// ```
/// use actor_net::http::{HttpServer, fetch};
///
/// # actor_core::dispatch(|| {
/// let server = HttpServer::bind("127.0.0.1:0").unwrap().spawn(|_| "hello").unwrap();
/// let answer = fetch(format!("http://{}/", server.local_addr())).unwrap();
/// assert_eq!(answer.into_body().into_bytes().unwrap(), "hello");
/// # server.tasklet().stop();
/// # });
/// ```
pub fn fetch<U>(url: U) -> Result<Response<Body>, FetchError>
where
    U: TryInto<Uri, Error: Into<http::Error>>,
{
    static SHARED: OnceLock<HttpClient> = OnceLock::new();
    SHARED.get_or_init(HttpClient::new).get(url)
}

impl Default for HttpClient {
    fn default() -> Self {
        HttpClient::new()
    }
}

impl HttpClient {
    /// With the default options.
    ///
    /// ```
    /// let client = actor_net::http::HttpClient::new();
    /// assert_eq!(client.idle_connections(), 0);
    /// ```
    pub fn new() -> HttpClient {
        HttpClient::builder().build()
    }

    /// With options.
    ///
    /// ```
    /// use actor_net::http::HttpClient;
    ///
    /// let client = HttpClient::builder().redirects(0).idle_per_host(2).build();
    /// ```
    pub fn builder() -> HttpClientBuilder {
        HttpClientBuilder::default()
    }

    /// Gets what is at a URL.
    ///
    /// # Errors
    ///
    /// See [`FetchError`].
    ///
    /// ```
    /// # use actor_net::http::{FetchError, HttpClient};
    /// fn size(client: &HttpClient) -> Result<Option<u64>, FetchError> {
    ///     Ok(client.get("https://www.rust-lang.org/")?.body().size())
    /// }
    /// ```
    pub fn get<U>(&self, url: U) -> Result<Response<Body>, FetchError>
    where
        U: TryInto<Uri, Error: Into<http::Error>>,
    {
        self.make(Method::GET, url, Body::empty())
    }

    /// As [`get`](Self::get), but for the head of the answer alone.
    ///
    /// # Errors
    ///
    /// See [`FetchError`].
    ///
    /// ```
    /// # use actor_net::http::{FetchError, HttpClient};
    /// fn exists(client: &HttpClient) -> Result<bool, FetchError> {
    ///     Ok(client.head("https://www.rust-lang.org/")?.status().is_success())
    /// }
    /// ```
    pub fn head<U>(&self, url: U) -> Result<Response<Body>, FetchError>
    where
        U: TryInto<Uri, Error: Into<http::Error>>,
    {
        self.make(Method::HEAD, url, Body::empty())
    }

    /// Sends a body to a URL, for what is there to do something with it.
    ///
    /// # Errors
    ///
    /// See [`FetchError`].
    ///
    /// ```
    /// # use actor_net::http::{Body, FetchError, HttpClient};
    /// use std::fs::File;
    ///
    /// fn upload(client: &HttpClient, file: File) -> Result<(), FetchError> {
    ///     // Of an unknown length, so in chunks.
    ///     client.post("https://files.example/", Body::from_reader(file))?;
    ///     Ok(())
    /// }
    /// ```
    pub fn post<U>(&self, url: U, body: impl Into<Body>) -> Result<Response<Body>, FetchError>
    where
        U: TryInto<Uri, Error: Into<http::Error>>,
    {
        self.make(Method::POST, url, body.into())
    }

    /// Puts a body where a URL says.
    ///
    /// # Errors
    ///
    /// See [`FetchError`].
    ///
    /// ```
    /// # use actor_net::http::{FetchError, HttpClient};
    /// fn save(client: &HttpClient, text: String) -> Result<bool, FetchError> {
    ///     Ok(client.put("https://files.example/text", text)?.status().is_success())
    /// }
    /// ```
    pub fn put<U>(&self, url: U, body: impl Into<Body>) -> Result<Response<Body>, FetchError>
    where
        U: TryInto<Uri, Error: Into<http::Error>>,
    {
        self.make(Method::PUT, url, body.into())
    }

    /// Deletes what is at a URL.
    ///
    /// # Errors
    ///
    /// See [`FetchError`].
    ///
    /// ```
    /// # use actor_net::http::{FetchError, HttpClient};
    /// fn remove(client: &HttpClient) -> Result<bool, FetchError> {
    ///     Ok(client.delete("https://files.example/text")?.status().is_success())
    /// }
    /// ```
    pub fn delete<U>(&self, url: U) -> Result<Response<Body>, FetchError>
    where
        U: TryInto<Uri, Error: Into<http::Error>>,
    {
        self.make(Method::DELETE, url, Body::empty())
    }

    fn make<U>(&self, method: Method, url: U, body: Body) -> Result<Response<Body>, FetchError>
    where
        U: TryInto<Uri, Error: Into<http::Error>>,
    {
        let uri = url
            .try_into()
            .map_err(|_| FetchError::Request("the URL is malformed"))?;
        let mut request = Request::new(body);
        *request.method_mut() = method;
        *request.uri_mut() = uri;
        self.request(request)
    }

    /// Makes any request. Its URL is to be whole, with scheme and host. [`Timeouts`] in its extensions are its own.
    ///
    /// Headers that say where the body ends, or are about the connection, are the client's to write: `Connection: close`
    /// counts, and the others are passed over. A body of a reader is sent in chunks, unless it has a length or the request a
    /// `Content-Length`. `Expect: 100-continue` waits for the server's consent [as long as set](HttpClientBuilder::consent).
    ///
    /// # Errors
    ///
    /// See [`FetchError`].
    ///
    /// ```
    /// use actor_net::http::{Body, FetchError, HttpClient, Method, Request, bearer_auth};
    ///
    /// fn options(client: &HttpClient, token: &str) -> Result<(), FetchError> {
    ///     let request = Request::builder()
    ///         .method(Method::OPTIONS)
    ///         .uri("https://api.example/things")
    ///         .header("authorization", bearer_auth(token).unwrap())
    ///         .body(Body::empty())
    ///         .unwrap();
    ///     let answer = client.request(request)?;
    ///     println!("{:?}", answer.headers().get("allow"));
    ///     Ok(())
    /// }
    /// ```
    pub fn request(&self, request: Request<Body>) -> Result<Response<Body>, FetchError> {
        Ok(self.send(request)?)
    }

    /// As [`request`](Self::request), but gives a request that has not been sent back, so that it can be made again or
    /// kept.
    ///
    /// # Errors
    ///
    /// See [`Failed`].
    ///
    /// ```
    /// use actor_net::http::{Body, Failed, HttpClient, Request};
    ///
    /// fn deliver(client: &HttpClient, request: Request<Body>) -> Option<Request<Body>> {
    ///     match client.send(request) {
    ///         Err(Failed { request, .. }) => request, // to be tried again later
    ///         Ok(_) => None,
    ///     }
    /// }
    /// ```
    // The request that comes back is what makes it large, and it came in by value as well.
    #[allow(clippy::result_large_err)]
    pub fn send(&self, request: Request<Body>) -> Result<Response<Body>, Failed> {
        let inner = &*self.inner;
        let (mut parts, mut body) = request.into_parts();
        let clock = inner.clock(&parts);
        let mut visited = Vec::new();
        loop {
            #[cfg(feature = "cookies")]
            let added = inner.add_cookies(&mut parts);
            let result = inner.once(&mut parts, &mut body, &clock, false);
            #[cfg(feature = "cookies")]
            inner.take_cookies(&mut parts, added, &result);
            let (head, conn, route) = match result {
                Ok(answer) => answer,
                Err(Miss { error, unsent }) => {
                    let is_untouched = unsent && visited.is_empty();
                    let error = error.after(is_untouched, visited);
                    let request = is_untouched.then(|| Request::from_parts(parts, body));
                    return Err(Failed { error, request });
                }
            };
            let (mut answer, received) = inner
                .answer(&parts, head, conn, Some(route), &clock)
                .map_err(failed)?;
            let next = inner.redirects.follow(
                &mut parts,
                &mut body,
                answer.status(),
                answer.headers(),
                &mut visited,
            );
            match next.map_err(failed)? {
                Next::Follow => {
                    let mut received = received;
                    // Its connection may serve the next.
                    let brief = clock.limits.read.map_or(DRAIN, |limit| limit.min(DRAIN));
                    received.drain(clock.wait(Some(brief)));
                }
                Next::Answer => {
                    let reply = inner.reply(&parts, &mut answer, received);
                    answer.extensions_mut().insert(FinalUri(parts.uri));
                    return Ok(answer.map(|()| Body(Kind::Reply(reply))));
                }
            }
        }
    }

    /// Asks a server to go on with another protocol, which the header `Upgrade` of the request names. The connection is a
    /// new one, through a proxy if there is one and not by it. The URL's scheme may also be `ws` or `wss`. Redirects are not
    /// followed, and no cookie jar is used.
    ///
    /// Gives the answer, and the stream if that has the status 101. Whether the answer is the one that was wanted is for
    /// the caller to see.
    ///
    /// # Errors
    ///
    /// See [`FetchError`].
    ///
    /// ```
    /// use actor_net::http::{Body, FetchError, HttpClient, Request, Switched};
    ///
    /// fn open(client: &HttpClient) -> Result<Option<Switched>, FetchError> {
    ///     let request = Request::get("http://example.org/").header("upgrade", "echo");
    ///     let (answer, stream) = client.upgrade(request.body(Body::empty()).unwrap())?;
    ///     println!("{}", answer.status());
    ///     Ok(stream)
    /// }
    /// ```
    pub fn upgrade(
        &self,
        request: Request<Body>,
    ) -> Result<(Response<Body>, Option<Switched>), FetchError> {
        let inner = &*self.inner;
        let (mut parts, mut body) = request.into_parts();
        let clock = inner.clock(&parts);
        let (head, conn, route) = inner
            .once(&mut parts, &mut body, &clock, true)
            .map_err(|miss| miss.error.after(miss.unsent, Vec::new()))?;
        if head.response.status() == StatusCode::SWITCHING_PROTOCOLS {
            let answer = head.response.map(|()| Body::empty());
            return Ok((answer, Some(Switched::new(conn))));
        }
        let (mut answer, received) = inner.answer(&parts, head, conn, Some(route), &clock)?;
        let reply = inner.reply(&parts, &mut answer, received);
        answer.extensions_mut().insert(FinalUri(parts.uri));
        Ok((answer.map(|()| Body(Kind::Reply(reply))), None))
    }

    /// A connection of one's own to the server of a URL, to send several requests over before the first answer is
    /// received: see [`HttpConnection`].
    ///
    /// # Errors
    ///
    /// See [`FetchError`].
    ///
    /// ```
    /// # use actor_net::http::{FetchError, HttpClient, HttpConnection};
    /// fn open(client: &HttpClient) -> Result<HttpConnection, FetchError> {
    ///     client.connect("https://www.rust-lang.org")
    /// }
    /// ```
    pub fn connect<U>(&self, url: U) -> Result<HttpConnection, FetchError>
    where
        U: TryInto<Uri, Error: Into<http::Error>>,
    {
        let uri = url
            .try_into()
            .map_err(|_| FetchError::Request("the URL is malformed"))?;
        HttpConnection::open(self.clone(), uri)
    }

    /// How many connections are kept, that nobody uses.
    ///
    /// ```
    /// use actor_net::http::{HttpClient, HttpServer};
    ///
    /// # actor_core::dispatch(|| {
    /// let server = HttpServer::bind("127.0.0.1:0").unwrap().spawn(|_| "hello").unwrap();
    /// let client = HttpClient::new();
    /// let answer = client.get(format!("http://{}/", server.local_addr())).unwrap();
    /// assert_eq!(client.idle_connections(), 0);
    /// answer.into_body().into_bytes().unwrap();
    /// assert_eq!(client.idle_connections(), 1);
    /// # server.tasklet().stop();
    /// # });
    /// ```
    pub fn idle_connections(&self) -> usize {
        self.inner.pool.count()
    }

    /// Closes the connections that nobody uses.
    ///
    /// ```
    /// let client = actor_net::http::HttpClient::new();
    /// client.close_idle();
    /// assert_eq!(client.idle_connections(), 0);
    /// ```
    pub fn close_idle(&self) {
        self.inner.pool.clear();
    }
}

impl fmt::Debug for HttpClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpClient")
            .field("idle_connections", &self.idle_connections())
            .field("timeouts", &self.inner.timeouts)
            .finish_non_exhaustive()
    }
}
