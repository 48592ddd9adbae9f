//! Who is asked, and what for: what a URL says.
//!
//! URLs are those of the crate `http`, which requests have anyway. One parser decides who is meant, for the
//! connection, for `Host` and for what is the same origin, and for WebSockets as well; a second one beside it
//! might decide otherwise.

use http::header::HeaderValue;
use http::uri::{Authority, PathAndQuery, Scheme, Uri};

use super::auth;
use super::error::FetchError;

/// A server: whether TLS is spoken there, its name in small letters, and its port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::http) struct Origin {
    pub(in crate::http) secure: bool,
    /// An IPv6 address without its brackets.
    pub(in crate::http) host: String,
    pub(in crate::http) port: u16,
}

impl Origin {
    /// That of a URL, whose scheme is one of HTTP's or WebSocket's.
    pub(in crate::http) fn of(uri: &Uri) -> Result<Origin, FetchError> {
        let secure = match uri.scheme_str() {
            Some("http" | "ws") => false,
            Some("https" | "wss") => true,
            Some(_) => {
                return Err(FetchError::Request(
                    "the URL's scheme is neither http nor https",
                ));
            }
            None => {
                return Err(FetchError::Request(
                    "the URL has no scheme: it is to begin with http:// or https://",
                ));
            }
        };
        let host = uri.host().unwrap_or_default();
        let host = match host.strip_prefix('[') {
            Some(address) => address.trim_end_matches(']'),
            None => host,
        };
        if host.is_empty() || !host.bytes().all(is_of_host) {
            return Err(FetchError::Request(
                "the URL has no host, or one that is not spelt in letters, digits and dots",
            ));
        }
        let port = match uri.authority().map(port) {
            Some(Port::Given(port)) => port,
            Some(Port::Malformed) => {
                return Err(FetchError::Request("the URL's port is none"));
            }
            Some(Port::None) | None if secure => 443,
            Some(Port::None) | None => 80,
        };
        Ok(Origin {
            secure,
            host: host.to_ascii_lowercase(),
            port,
        })
    }

    /// As `Host` and a proxy want it.
    pub(in crate::http) fn authority(&self, with_port: bool) -> String {
        let usual = if self.secure { 443 } else { 80 };
        let (open, close) = match self.host.contains(':') {
            true => ("[", "]"),
            false => ("", ""),
        };
        if with_port || self.port != usual {
            format!("{open}{}{close}:{}", self.host, self.port)
        } else {
            format!("{open}{}{close}", self.host)
        }
    }
}

enum Port {
    None,
    Given(u16),
    Malformed,
}

fn port(authority: &Authority) -> Port {
    let text = authority.as_str();
    let text = text.rsplit_once('@').map_or(text, |(_, host)| host);
    let behind = match text.rsplit_once(']') {
        Some((_, behind)) => behind,
        None => text.find(':').map_or("", |at| &text[at..]),
    };
    match behind.strip_prefix(':') {
        None if behind.is_empty() => Port::None,
        Some("") => Port::None,
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            digits.parse().map_or(Port::Malformed, Port::Given)
        }
        _ => Port::Malformed,
    }
}

/// What names and addresses are made of. Others would be read in different ways.
fn is_of_host(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~:".contains(&byte)
}

/// Takes name and password out of a URL: they are the client's alone, and for a header.
pub(super) fn take_user(uri: &mut Uri) -> Result<Option<HeaderValue>, FetchError> {
    let Some(authority) = uri.authority() else {
        return Ok(None);
    };
    let Some((user, host)) = authority.as_str().rsplit_once('@') else {
        return Ok(None);
    };
    let (name, password) = user.split_once(':').unwrap_or((user, ""));
    let header = auth::basic(&decode(name), &decode(password));
    let host = Authority::try_from(host).map_err(|_| MALFORMED)?;
    let mut parts = uri.clone().into_parts();
    parts.authority = Some(host);
    *uri = Uri::from_parts(parts).map_err(|_| MALFORMED)?;
    Ok(Some(header))
}

const MALFORMED: FetchError = FetchError::Request("the URL is malformed");

/// What `%` and two digits stand for.
fn decode(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, behind)) = rest.split_first() {
        rest = behind;
        let digits = behind.first_chunk::<2>().filter(|_| byte == b'%');
        let digits = digits.and_then(|digits| str::from_utf8(digits).ok());
        let digits = digits.filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(decoded) => {
                bytes.push(decoded);
                rest = &rest[2..];
            }
            None => bytes.push(byte),
        }
    }
    bytes
}

/// Writes what cannot be in a request's target as `%` and two digits, and the rest as it is.
pub(super) fn escape(text: &[u8], out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for &byte in text {
        if byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte) {
            out.push(byte);
        } else {
            let digits = [byte >> 4, byte & 15].map(|digit| DIGITS[usize::from(digit)]);
            out.extend_from_slice(&[b'%', digits[0], digits[1]]);
        }
    }
}

/// What a server is asked for: path and query, spelt so that they can be sent.
pub(in crate::http) fn target(uri: &Uri, out: &mut Vec<u8>) {
    let target = uri.path_and_query().map_or("", PathAndQuery::as_str);
    if !target.starts_with('/') {
        out.push(b'/');
    }
    escape(target.as_bytes(), out);
}

/// Where a reference in a document of `base` leads (RFC 3986, section 5.2). Its fragment is for who shows the
/// document, and a name and a password in it are nobody's.
pub(super) fn resolve(base: &Uri, reference: &[u8]) -> Option<Uri> {
    let mut text = Vec::with_capacity(reference.len());
    escape(reference.trim_ascii(), &mut text);
    let text = String::from_utf8(text).ok()?;
    let text = text.split('#').next().unwrap_or_default();
    let (scheme, rest) = match split_scheme(text) {
        Some((scheme, rest)) => (Some(scheme), rest),
        None => (None, text),
    };
    let (authority, rest) = match rest.strip_prefix("//") {
        Some(rest) => {
            let end = rest.find(['/', '?']).unwrap_or(rest.len());
            (Some(&rest[..end]), &rest[end..])
        }
        None => (None, rest),
    };
    if scheme.is_some() && authority.is_none() {
        return None;
    }
    let (path, query) = match rest.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (rest, None),
    };
    let same_place = authority.is_none();
    let (path, query) = if same_place && path.is_empty() {
        (base.path().to_owned(), query.or(base.query()))
    } else if path.starts_with('/') || !same_place {
        (without_dots(path), query)
    } else {
        let directory = base.path().rfind('/').map_or(0, |at| at + 1);
        let merged = format!("{}{path}", &base.path()[..directory]);
        (without_dots(&merged), query)
    };
    let mut target = if path.starts_with('/') {
        path
    } else {
        format!("/{path}")
    };
    if let Some(query) = query {
        target.push('?');
        target.push_str(query);
    }
    let authority = match authority {
        Some(authority) => {
            let host = authority
                .rsplit_once('@')
                .map_or(authority, |(_, host)| host);
            Authority::try_from(host).ok()?
        }
        None => base.authority()?.clone(),
    };
    let scheme = match scheme {
        Some(scheme) => Scheme::try_from(scheme.to_ascii_lowercase().as_str()).ok()?,
        None => base.scheme()?.clone(),
    };
    Uri::builder()
        .scheme(scheme)
        .authority(authority)
        .path_and_query(PathAndQuery::try_from(target).ok()?)
        .build()
        .ok()
}

fn split_scheme(text: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = text.split_once(':')?;
    let is_scheme = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    is_scheme.then_some((scheme, rest))
}

/// A path without `.` and `..` (RFC 3986, section 5.2.4).
fn without_dots(path: &str) -> String {
    let mut segments: Vec<&str> = Vec::new();
    let mut parts = path.strip_prefix('/').unwrap_or(path).split('/').peekable();
    while let Some(part) = parts.next() {
        let is_last = parts.peek().is_none();
        match part {
            "." | ".." => {
                if part == ".." {
                    segments.pop();
                }
                if is_last {
                    segments.push("");
                }
            }
            _ => segments.push(part),
        }
    }
    format!("/{}", segments.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_lead_where_the_rfc_says() {
        let base = Uri::from_static("http://a/b/c/d;p?q");
        // RFC 3986, section 5.4, as far as it is about HTTP.
        let cases = [
            ("g", "http://a/b/c/g"),
            ("./g", "http://a/b/c/g"),
            ("g/", "http://a/b/c/g/"),
            ("/g", "http://a/g"),
            ("//g", "http://g/"),
            ("?y", "http://a/b/c/d;p?y"),
            ("g?y", "http://a/b/c/g?y"),
            ("#s", "http://a/b/c/d;p?q"),
            ("g#s", "http://a/b/c/g"),
            ("g?y#s", "http://a/b/c/g?y"),
            (";x", "http://a/b/c/;x"),
            ("g;x=1/./y", "http://a/b/c/g;x=1/y"),
            ("g;x=1/../y", "http://a/b/c/y"),
            ("", "http://a/b/c/d;p?q"),
            (".", "http://a/b/c/"),
            ("./", "http://a/b/c/"),
            ("..", "http://a/b/"),
            ("../", "http://a/b/"),
            ("../g", "http://a/b/g"),
            ("../..", "http://a/"),
            ("../../g", "http://a/g"),
            ("../../../g", "http://a/g"),
            ("/./g", "http://a/g"),
            ("/../g", "http://a/g"),
            ("g.", "http://a/b/c/g."),
            ("..g", "http://a/b/c/..g"),
            ("./g/.", "http://a/b/c/g/"),
            ("g/./h", "http://a/b/c/g/h"),
            ("g/../h", "http://a/b/c/h"),
            ("g?y/../x", "http://a/b/c/g?y/../x"),
            // And what servers say besides.
            ("HTTPS://x.example:8443/y", "https://x.example:8443/y"),
            ("http://user:word@x/", "http://x/"),
            ("http://x?y", "http://x/?y"),
            ("/a b/\u{fc}", "http://a/a%20b/%C3%BC"),
            ("/a%20b", "http://a/a%20b"),
            ("/x:y", "http://a/x:y"),
        ];
        for (reference, expected) in cases {
            let resolved = resolve(&base, reference.as_bytes()).expect(reference);
            assert_eq!(resolved.to_string(), expected, "{reference}");
        }
        for nowhere in [
            "http:g",
            "mailto:a@b",
            "http://",
            "http://[::1",
            "javascript:alert(1)",
        ] {
            assert_eq!(resolve(&base, nowhere.as_bytes()), None, "{nowhere}");
        }
    }

    #[test]
    fn a_url_says_who_is_asked() {
        let origin = |url: &str| {
            Origin::of(&url.parse().unwrap())
                .map(|origin| (origin.secure, origin.host, origin.port))
        };
        let cases = [
            ("http://A.example/", (false, "a.example", 80)),
            ("https://a.example", (true, "a.example", 443)),
            ("https://a.example:8443/x", (true, "a.example", 8443)),
            ("http://a:/", (false, "a", 80)),
            ("http://[::1]:81/", (false, "::1", 81)),
            ("http://[::1]/", (false, "::1", 80)),
            ("http://u:p@a:82/", (false, "a", 82)),
            ("http://a@b@c/", (false, "c", 80)),
        ];
        for (url, (secure, host, port)) in cases {
            // What the parser refuses is refused.
            if url.parse::<Uri>().is_ok() {
                assert_eq!(
                    origin(url).unwrap(),
                    (secure, host.to_owned(), port),
                    "{url}"
                );
            }
        }
        for url in [
            "/path",
            "a.example",
            "ftp://a/",
            "http://a:99999/",
            "http://a%41/",
        ] {
            if url.parse::<Uri>().is_ok() {
                assert!(origin(url).is_err(), "{url}");
            }
        }
        let local = Origin::of(&Uri::from_static("http://[::1]:80/")).unwrap();
        assert_eq!(local.authority(false), "[::1]");
        assert_eq!(local.authority(true), "[::1]:80");
    }

    #[test]
    fn users_are_taken_out() {
        let mut uri = Uri::from_static("http://us%65r:p%3Aw@a:81/x?y");
        let header = take_user(&mut uri).unwrap().unwrap();
        assert_eq!(header, "Basic dXNlcjpwOnc=");
        assert_eq!(uri, "http://a:81/x?y");
        assert!(take_user(&mut uri).unwrap().is_none());
    }
}
