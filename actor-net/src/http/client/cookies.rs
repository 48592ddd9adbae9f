//! [`CookieJar`], for the feature `cookies`.

use std::cmp::Reverse;
use std::fmt;
use std::sync::Arc;

use cookie_store::{CookieDomain, CookieStore, RawCookie};
use http::header::{HeaderMap, HeaderValue, SET_COOKIE};
use http::uri::Uri;
use parking_lot::Mutex;
use url::Url;

/// How long a cookie may be, with its attributes, and how many a jar holds (RFC 6265, section 6.1).
const LONGEST: usize = 4096;
const MOST: usize = 3000;

/// How many of them may be of those who share a domain that can be had (`example.co.uk`): else one of them could fill the jar.
const MOST_OF_ONE: usize = 150;

/// Cookies that servers have given, and get back (RFC 6265). Clones share them.
///
/// A cookie goes to the server that it came from, or to those below a domain that this one has named, if the domain is not one
/// under which anybody can have a name (`co.uk`, `github.io`). Those domains are Mozilla's list as it was when the program was
/// built. What is `Secure` is taken from and given to `https` alone. A jar holds 3000 cookies of up to 4 KiB, 150 of them from the hosts of one
/// domain, and no further ones. Those that are over make room.
///
/// ```
/// use actor_net::http::{Body, CookieJar, HttpClient, HttpServer, Request, Response};
///
/// fn count(request: Request<Body>) -> Response<Body> {
///     let seen = request.headers().get("cookie").is_some();
///     let response = Response::builder().header("set-cookie", "seen=yes");
///     response.body(Body::from(if seen { "again" } else { "new" })).unwrap()
/// }
///
/// # actor_core::dispatch(|| {
/// let server = HttpServer::bind("127.0.0.1:0").unwrap().spawn(count).unwrap();
/// let url = format!("http://{}/", server.local_addr());
/// let jar = CookieJar::new();
/// let client = HttpClient::builder().cookies(jar.clone()).build();
/// for expected in ["new", "again"] {
///     let answer = client.get(&*url).unwrap();
///     assert_eq!(answer.into_body().into_bytes().unwrap(), expected);
/// }
/// assert_eq!(jar.get(&url.parse().unwrap()).unwrap(), "seen=yes");
/// # server.tasklet().stop();
/// # });
/// ```
#[derive(Clone, Default)]
pub struct CookieJar(Arc<Mutex<CookieStore>>);

impl CookieJar {
    /// An empty one.
    ///
    /// ```
    /// assert!(actor_net::http::CookieJar::new().is_empty());
    /// ```
    pub fn new() -> CookieJar {
        CookieJar::default()
    }

    /// What a server gets with a request for this URL: the value of the header `Cookie`.
    ///
    /// ```
    /// use actor_net::http::{CookieJar, Uri};
    ///
    /// assert_eq!(CookieJar::new().get(&Uri::from_static("http://a/")), None);
    /// ```
    pub fn get(&self, uri: &Uri) -> Option<HeaderValue> {
        let url = Url::parse(&uri.to_string()).ok()?;
        let jar = self.0.lock();
        let mut cookies = jar.matches(&url);
        // Those with longer paths first; and always in the same order.
        cookies.sort_by_key(|cookie| (Reverse(cookie.path.len()), cookie.name().to_owned()));
        let pairs: Vec<_> = cookies
            .iter()
            .map(|cookie| format!("{}={}", cookie.name(), cookie.value()))
            .collect();
        let mut value = HeaderValue::try_from(pairs.join("; ")).ok()?;
        value.set_sensitive(true);
        (!pairs.is_empty()).then_some(value)
    }

    /// Takes what an answer from this URL gives: its headers `Set-Cookie`. What is malformed, too long or not the server's to
    /// give is passed over.
    ///
    /// ```
    /// use actor_net::http::{CookieJar, HeaderMap, HeaderValue, Uri};
    ///
    /// let jar = CookieJar::new();
    /// let mut headers = HeaderMap::new();
    /// headers.append("set-cookie", HeaderValue::from_static("a=b; Path=/x"));
    /// jar.take(&Uri::from_static("http://example.org/"), &headers);
    /// assert_eq!(jar.get(&Uri::from_static("http://example.org/x/y")).unwrap(), "a=b");
    /// assert_eq!(jar.get(&Uri::from_static("http://example.org/")), None);
    /// ```
    pub fn take(&self, uri: &Uri, headers: &HeaderMap) {
        if !headers.contains_key(SET_COOKIE) {
            return;
        }
        let Ok(url) = Url::parse(&uri.to_string()) else {
            return;
        };
        let mut jar = self.0.lock();
        for value in headers.get_all(SET_COOKIE) {
            let Some(cookie) = acceptable(value, &url) else {
                continue;
            };
            if !is_known(&jar, &cookie) && !has_room(&mut jar, &cookie) {
                tracing::debug!(%uri, "a cookie is passed over: the jar is full");
                continue;
            }
            // Those that are refused are so by the rules.
            let _ = jar.insert(cookie.into_owned(), &url);
        }
    }

    /// Whether there is none.
    ///
    /// ```
    /// assert!(actor_net::http::CookieJar::new().is_empty());
    /// ```
    pub fn is_empty(&self) -> bool {
        self.0.lock().iter_unexpired().next().is_none()
    }

    /// Throws all away.
    ///
    /// ```
    /// actor_net::http::CookieJar::new().clear();
    /// ```
    pub fn clear(&self) {
        self.0.lock().clear();
    }
}

/// A cookie that a server may give.
fn acceptable<'a>(value: &'a HeaderValue, url: &Url) -> Option<cookie_store::Cookie<'a>> {
    if value.len() > LONGEST {
        return None;
    }
    let raw = RawCookie::parse(value.to_str().ok()?).ok()?;
    if raw.secure() == Some(true) && url.scheme() != "https" {
        return None;
    }
    let mut cookie = cookie_store::Cookie::try_from_raw_cookie(&raw, url)
        .ok()?
        .into_owned();
    if let CookieDomain::Suffix(domain) = &cookie.domain
        && psl::suffix_str(domain) == Some(domain)
    {
        // All who have a name below this would share it.
        if url.host_str() != Some(domain) {
            return None;
        }
        cookie.domain = CookieDomain::host_only(url).ok()?;
    }
    Some(cookie)
}

/// Whether one more may be kept. Throws those away that are over if there is no room else.
fn has_room(jar: &mut CookieStore, cookie: &cookie_store::Cookie<'_>) -> bool {
    let host = String::from(&cookie.domain);
    let owner = registered(&host);
    let is_of_owner = |other: &cookie_store::Cookie<'_>| {
        let domain = other.domain.as_cow().unwrap_or_default();
        let below = domain.strip_suffix(owner);
        below.is_some_and(|below| below.is_empty() || below.ends_with('.'))
    };
    let fits = |jar: &CookieStore| {
        jar.iter_any().count() < MOST
            && jar.iter_any().filter(|other| is_of_owner(other)).count() < MOST_OF_ONE
    };
    if fits(jar) {
        return true;
    }
    let over: Vec<_> = jar
        .iter_any()
        .filter(|cookie| cookie.is_expired())
        .map(|cookie| {
            let domain = String::from(&cookie.domain);
            (domain, cookie.path.to_string(), cookie.name().to_owned())
        })
        .collect();
    for (domain, path, name) in &over {
        jar.remove(domain, path, name);
    }
    !over.is_empty() && fits(jar)
}

/// The domain that somebody has, for a host below it. Addresses are hosts of their own.
fn registered(host: &str) -> &str {
    match host.parse::<std::net::IpAddr>() {
        Ok(_) => host,
        Err(_) => psl::domain_str(host).unwrap_or(host),
    }
}

fn is_known(jar: &CookieStore, cookie: &cookie_store::Cookie<'_>) -> bool {
    let domain = String::from(&cookie.domain);
    jar.contains_any(&domain, &cookie.path, cookie.name())
}

impl fmt::Debug for CookieJar {
    /// Without their values.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let jar = self.0.lock();
        let names = jar.iter_unexpired().map(|cookie| cookie.name().to_owned());
        f.debug_tuple("CookieJar")
            .field(&names.collect::<Vec<_>>())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn give(jar: &CookieJar, url: &'static str, cookie: &'static str) {
        let headers = HeaderMap::from_iter([(SET_COOKIE, HeaderValue::from_static(cookie))]);
        jar.take(&Uri::from_static(url), &headers);
    }

    fn get(jar: &CookieJar, url: &'static str) -> String {
        let value = jar.get(&Uri::from_static(url));
        value.map_or(String::new(), |value| value.to_str().unwrap().to_owned())
    }

    #[test]
    fn cookies_go_where_they_may() {
        let jar = CookieJar::new();
        give(&jar, "http://www.example.com/a/b", "own=1");
        give(
            &jar,
            "http://www.example.com/a/b",
            "all=2; Domain=example.com; Path=/",
        );
        give(&jar, "https://www.example.com/", "safe=3; Secure");
        let cases = [
            ("http://www.example.com/a/c", "own=1; all=2"),
            ("http://www.example.com/", "all=2"),
            ("http://example.com/a/", "all=2"),
            ("http://x.example.com:81/a/", "all=2"),
            ("https://www.example.com/a/", "own=1; all=2; safe=3"),
            ("http://notexample.com/a/", ""),
            ("http://example.org/a/", ""),
        ];
        for (url, expected) in cases {
            assert_eq!(get(&jar, url), expected, "{url}");
        }
        // They can be replaced and taken back.
        give(&jar, "http://www.example.com/a/b", "own=4");
        assert_eq!(get(&jar, "http://www.example.com/a/"), "own=4; all=2");
        give(&jar, "http://www.example.com/a/b", "own=; Max-Age=0");
        assert_eq!(get(&jar, "http://www.example.com/a/"), "all=2");
        assert!(!format!("{jar:?}").contains('2'));
        jar.clear();
        assert!(jar.is_empty());
    }

    #[test]
    fn cookies_that_are_not_the_servers_to_give_are_passed_over() {
        let cases = [
            ("http://www.example.com/", "a=b; Domain=example.org"),
            ("http://example.com/", "a=b; Domain=www.example.com"),
            ("http://www.example.com/", "a=b; Domain=com"),
            ("http://a.co.uk/", "a=b; Domain=co.uk"),
            ("http://a.github.io/", "a=b; Domain=.github.io"),
            ("http://example.com/", "a=b; Secure"),
            ("http://example.com/", "=; ="),
            ("http://127.0.0.1/", "a=b; Domain=0.0.1"),
        ];
        for (url, cookie) in cases {
            let jar = CookieJar::new();
            give(&jar, url, cookie);
            assert!(jar.is_empty(), "{url} {cookie}: {jar:?}");
        }
        // Who is such a domain has it for itself.
        let jar = CookieJar::new();
        give(&jar, "http://github.io/", "a=b; Domain=github.io");
        assert_eq!(get(&jar, "http://github.io/"), "a=b");
        assert_eq!(get(&jar, "http://x.github.io/"), "");
    }

    #[test]
    fn a_jar_has_its_bounds() {
        let jar = CookieJar::new();
        let uri = Uri::from_static("http://example.com/");
        let long = format!("long={}", "x".repeat(LONGEST));
        jar.take(
            &uri,
            &HeaderMap::from_iter([(SET_COOKIE, HeaderValue::try_from(long).unwrap())]),
        );
        assert!(jar.is_empty());
        let some = |count: usize| -> HeaderMap {
            let values = (0..count).map(|i| HeaderValue::try_from(format!("n{i}=x")).unwrap());
            values.map(|value| (SET_COOKIE, value)).collect()
        };
        let count = || jar.0.lock().iter_any().count();
        // However many names they have.
        jar.take(&uri, &some(100));
        jar.take(&Uri::from_static("http://www.example.com/"), &some(100));
        assert_eq!(count(), MOST_OF_ONE);
        for i in 1.. {
            let uri: Uri = format!("http://example{i}.com/").parse().unwrap();
            jar.take(&uri, &some(100));
            if count() < (i + 1) * 100 + 50 {
                break;
            }
        }
        assert_eq!(count(), MOST);
        give(&jar, "http://example.com/", "n0=y");
        assert_eq!(
            jar.0.lock().get("example.com", "/", "n0").unwrap().value(),
            "y"
        );
    }

    #[test]
    fn cookies_that_are_over_make_room() {
        let jar = CookieJar::new();
        let url = Url::parse("http://example.com/").unwrap();
        for i in 0..MOST_OF_ONE {
            let raw = RawCookie::parse(format!("n{i}=x; Max-Age=100")).unwrap();
            let mut cookie = cookie_store::Cookie::try_from_raw_cookie(&raw, &url)
                .unwrap()
                .into_owned();
            let mut store = jar.0.lock();
            store.insert(cookie.clone(), &url).unwrap();
            // As after its time.
            cookie.expire();
            let _ = store.insert(cookie, &url);
        }
        assert!(jar.is_empty());
        assert_eq!(jar.0.lock().iter_any().count(), MOST_OF_ONE);
        give(&jar, "http://example.com/", "new=x");
        assert_eq!(get(&jar, "http://example.com/"), "new=x");
        assert_eq!(jar.0.lock().iter_any().count(), 1);
    }
}
