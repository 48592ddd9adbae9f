//! Requests that are to be carried out only if something holds (RFC 9110, 13): [`EntityTag`], [`Validators`] and
//! [`Condition`].

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::header::{
    ETAG, HeaderMap, HeaderName, HeaderValue, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE,
    IF_UNMODIFIED_SINCE, LAST_MODIFIED,
};
use http::{Method, Request};

use super::range::trim;

/// What names one version of what an address stands for: the value of an `ETag` header.
///
/// A *strong* one promises that whatever has it is the same byte for byte; a *weak* one that it may stand in
/// for the other. Tags are equal for `==` if they are the same and both weak or both strong; the standard's two ways
/// to compare are [`matches`](Self::matches) and [`matches_weakly`](Self::matches_weakly).
///
/// ```
/// use actor_net::http::EntityTag;
///
/// let tag = EntityTag::strong("v1").unwrap();
/// assert_eq!(tag.to_string(), "\"v1\"");
/// assert!(!tag.matches(&EntityTag::weak("v1").unwrap()));
/// assert!(tag.matches_weakly(&EntityTag::weak("v1").unwrap()));
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct EntityTag {
    is_weak: bool,
    opaque: Box<[u8]>,
}

impl EntityTag {
    /// A strong tag; `None` if `opaque` has a quotation mark, a blank or a control character, which no tag has.
    ///
    /// ```
    /// use actor_net::http::EntityTag;
    ///
    /// assert!(EntityTag::strong("a b").is_none());
    /// ```
    pub fn strong(opaque: impl AsRef<[u8]>) -> Option<EntityTag> {
        Self::new(false, opaque.as_ref())
    }

    /// A weak tag; `None` as for [`strong`](Self::strong).
    ///
    /// ```
    /// use actor_net::http::EntityTag;
    ///
    /// assert_eq!(EntityTag::weak("v1").unwrap().to_string(), "W/\"v1\"");
    /// ```
    pub fn weak(opaque: impl AsRef<[u8]>) -> Option<EntityTag> {
        Self::new(true, opaque.as_ref())
    }

    fn new(is_weak: bool, opaque: &[u8]) -> Option<EntityTag> {
        opaque
            .iter()
            .all(|&byte| is_opaque(byte))
            .then(|| EntityTag {
                is_weak,
                opaque: opaque.into(),
            })
    }

    /// Whether it is a weak one.
    ///
    /// ```
    /// assert!(actor_net::http::EntityTag::weak("v1").unwrap().is_weak());
    /// ```
    pub fn is_weak(&self) -> bool {
        self.is_weak
    }

    /// Whether both are strong and the same.
    ///
    /// ```
    /// use actor_net::http::EntityTag;
    ///
    /// let weak = EntityTag::weak("v1").unwrap();
    /// assert!(!weak.matches(&weak));
    /// ```
    pub fn matches(&self, other: &EntityTag) -> bool {
        !self.is_weak && self == other
    }

    /// Whether they are the same, whichever of them is weak.
    ///
    /// ```
    /// use actor_net::http::EntityTag;
    ///
    /// let weak = EntityTag::weak("v1").unwrap();
    /// assert!(weak.matches_weakly(&weak));
    /// ```
    pub fn matches_weakly(&self, other: &EntityTag) -> bool {
        self.opaque == other.opaque
    }

    /// As the value of a header.
    ///
    /// ```
    /// let tag = actor_net::http::EntityTag::strong("v1").unwrap();
    /// assert_eq!(tag.to_value(), "\"v1\"");
    /// ```
    pub fn to_value(&self) -> HeaderValue {
        let prefix: &[u8] = if self.is_weak { b"W/\"" } else { b"\"" };
        let text = [prefix, &self.opaque, b"\""].concat();
        // What a tag may be made of, a value may.
        HeaderValue::from_bytes(&text).unwrap_or_else(|_| HeaderValue::from_static("\"\""))
    }

    /// Takes a tag off the front of a list.
    fn take(list: &mut &[u8]) -> Option<EntityTag> {
        let (is_weak, rest) = match *list {
            [b'W', b'/', b'"', rest @ ..] => (true, rest),
            [b'"', rest @ ..] => (false, rest),
            _ => return None,
        };
        let end = memchr::memchr(b'"', rest)?;
        let tag = Self::new(is_weak, &rest[..end])?;
        *list = &rest[end + 1..];
        Some(tag)
    }

    /// The one that a value consists of.
    fn parse(mut value: &[u8]) -> Option<EntityTag> {
        let tag = Self::take(&mut value)?;
        value.is_empty().then_some(tag)
    }
}

/// Whether this byte may be in a tag: nearly everything may, commas as well.
fn is_opaque(byte: u8) -> bool {
    matches!(byte, 0x21 | 0x23..=0x7e | 0x80..=0xff)
}

impl fmt::Display for EntityTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let prefix = if self.is_weak { "W/" } else { "" };
        write!(f, "{prefix}\"{}\"", String::from_utf8_lossy(&self.opaque))
    }
}

impl fmt::Debug for EntityTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What becomes of a request, by its conditions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a request whose conditions do not hold is not to be carried out"]
pub enum Condition {
    /// It is to be carried out.
    Holds,
    /// Status 304, without a body: the client has what it asks for.
    NotModified,
    /// Status 412: it is not to be carried out.
    Failed,
}

/// What versions of something are told apart by: the headers `ETag` and `Last-Modified` of what it is now.
///
/// ```
/// use actor_net::http::{Body, Condition, EntityTag, IntoResponse, Request, Response, StatusCode, Validators};
///
/// fn page(request: Request<Body>) -> Response<Body> {
///     let now = Validators::new().with_tag(EntityTag::strong("v7").unwrap());
///     let mut response = match now.check(&request) {
///         Condition::Holds => "the seventh version".into_response(),
///         Condition::NotModified => StatusCode::NOT_MODIFIED.into_response(),
///         Condition::Failed => return StatusCode::PRECONDITION_FAILED.into_response(),
///     };
///     now.set_on(response.headers_mut());
///     response
/// }
///
/// let request = Request::get("/").header("If-None-Match", "\"v6\", \"v7\"").body(Body::empty()).unwrap();
/// assert_eq!(page(request).status(), 304);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Validators {
    tag: Option<EntityTag>,
    modified: Option<SystemTime>,
}

/// How long ago a change must lie for its date to name one version: dates have whole seconds.
pub(super) const SETTLED: Duration = Duration::from_secs(1);

impl Validators {
    /// None of both.
    ///
    /// ```
    /// assert_eq!(actor_net::http::Validators::new(), Default::default());
    /// ```
    pub fn new() -> Self {
        Validators::default()
    }

    /// With this tag.
    ///
    /// ```
    /// use actor_net::http::{EntityTag, Validators};
    ///
    /// let now = Validators::new().with_tag(EntityTag::weak("v1").unwrap());
    /// ```
    pub fn with_tag(mut self, tag: EntityTag) -> Self {
        self.tag = Some(tag);
        self
    }

    /// With the time of the last change.
    ///
    /// ```
    /// use actor_net::http::Validators;
    ///
    /// let now = Validators::new().with_modified(std::time::SystemTime::now());
    /// ```
    pub fn with_modified(mut self, modified: SystemTime) -> Self {
        self.modified = Some(modified);
        self
    }

    /// Whether a request's `If-Match`, `If-Unmodified-Since`, `If-None-Match` and `If-Modified-Since` hold, in the
    /// order that the standard (RFC 9110, 13.2.2) has for them, of something that exists.
    ///
    /// They count only for a request that would be answered with a status of success otherwise: what is not there,
    /// or not allowed, is said without a look at them.
    ///
    /// ```
    /// use actor_net::http::{Condition, EntityTag, Request, Validators};
    ///
    /// let now = Validators::new().with_tag(EntityTag::strong("v2").unwrap());
    /// let request = Request::put("/").header("If-Match", "\"v1\"").body(()).unwrap();
    /// assert_eq!(now.check(&request), Condition::Failed);
    /// ```
    pub fn check<B>(&self, request: &Request<B>) -> Condition {
        self.check_parts(request.method(), request.headers())
    }

    /// As [`check`](Self::check).
    pub(super) fn check_parts(&self, method: &Method, headers: &HeaderMap) -> Condition {
        if headers.contains_key(IF_MATCH) {
            if !self.is_among(headers, &IF_MATCH, EntityTag::matches) {
                return Condition::Failed;
            }
        } else if let (Some(date), Some(modified)) =
            (date(headers, &IF_UNMODIFIED_SINCE), self.modified_second())
            && modified > date
        {
            return Condition::Failed;
        }
        let is_read = *method == Method::GET || *method == Method::HEAD;
        if headers.contains_key(IF_NONE_MATCH) {
            if self.is_among(headers, &IF_NONE_MATCH, EntityTag::matches_weakly) {
                return match is_read {
                    true => Condition::NotModified,
                    false => Condition::Failed,
                };
            }
        } else if is_read
            && let (Some(date), Some(modified)) =
                (date(headers, &IF_MODIFIED_SINCE), self.modified_second())
            && modified <= date
        {
            return Condition::NotModified;
        }
        Condition::Holds
    }

    /// Whether a `Range` may be answered with a part: there is no `If-Range`, or it names exactly what is there
    /// `now`.
    pub(super) fn allow_range(&self, headers: &HeaderMap, now: SystemTime) -> bool {
        let mut values = headers.get_all(IF_RANGE).iter();
        let (Some(value), None) = (values.next(), values.next()) else {
            return !headers.contains_key(IF_RANGE);
        };
        if let Some(asked) = EntityTag::parse(value.as_bytes()) {
            return self.tag.as_ref().is_some_and(|tag| tag.matches(&asked));
        }
        let is_settled =
            |modified: SystemTime| now.duration_since(modified).is_ok_and(|age| age >= SETTLED);
        self.modified.is_some_and(is_settled)
            && date(headers, &IF_RANGE).is_some()
            && date(headers, &IF_RANGE) == self.modified_second()
    }

    /// Sets the headers `ETag` and `Last-Modified`. A change that lies in the future, by the clock of this machine, is
    /// said to be one of now.
    ///
    /// ```
    /// use actor_net::http::{EntityTag, HeaderMap, Validators};
    ///
    /// let mut headers = HeaderMap::new();
    /// Validators::new().with_tag(EntityTag::strong("v1").unwrap()).set_on(&mut headers);
    /// assert_eq!(headers["etag"], "\"v1\"");
    /// ```
    pub fn set_on(&self, headers: &mut HeaderMap) {
        if let Some(tag) = &self.tag {
            headers.insert(ETAG, tag.to_value());
        }
        if let Some(modified) = self.modified_second() {
            let modified = modified.min(SystemTime::now());
            let text = httpdate::fmt_http_date(modified);
            if let Ok(value) = HeaderValue::from_str(&text) {
                headers.insert(LAST_MODIFIED, value);
            }
        }
    }

    /// The second of the last change, if a date can be of it.
    fn modified_second(&self) -> Option<SystemTime> {
        let since = self.modified?.duration_since(UNIX_EPOCH).ok()?;
        let second = since.as_secs();
        (second <= LAST_SECOND).then(|| UNIX_EPOCH + Duration::from_secs(second))
    }

    /// Whether what there is now is among those that a header lists. What is no tag ends its list.
    fn is_among(
        &self,
        headers: &HeaderMap,
        name: &HeaderName,
        matches: fn(&EntityTag, &EntityTag) -> bool,
    ) -> bool {
        headers.get_all(name).iter().any(|value| {
            // Whatever there is.
            trim(value.as_bytes()) == b"*"
                || self
                    .tag
                    .as_ref()
                    .is_some_and(|tag| Tags(value.as_bytes()).any(|listed| matches(tag, &listed)))
        })
    }
}

/// Of the year 9999.
const LAST_SECOND: u64 = 253_402_300_799;

/// The tags of a list, up to what is none.
struct Tags<'a>(&'a [u8]);

impl Iterator for Tags<'_> {
    type Item = EntityTag;

    fn next(&mut self) -> Option<EntityTag> {
        // There may be elements without anything in them.
        while let [b' ' | b'\t' | b',', rest @ ..] = self.0 {
            self.0 = rest;
        }
        let tag = EntityTag::take(&mut self.0);
        let is_over = match trim(self.0) {
            [] => true,
            [first, ..] => *first != b',',
        };
        if tag.is_none() || is_over {
            let rest = std::mem::take(&mut self.0);
            // A tag with something directly behind it is none.
            return tag.filter(|_| trim(rest).is_empty());
        }
        tag
    }
}

/// The date that a header has. One that cannot be read, or comes twice, counts as none.
fn date(headers: &HeaderMap, name: &HeaderName) -> Option<SystemTime> {
    let mut values = headers.get_all(name).iter();
    let (value, None) = (values.next()?, values.next()) else {
        return None;
    };
    httpdate::parse_http_date(value.to_str().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const BEFORE: &str = "Sun, 06 Nov 1994 08:49:36 GMT";
    const AFTER: &str = "Sun, 06 Nov 1994 08:49:38 GMT";

    /// Half a second after [`DATE`].
    fn modified() -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(784_111_777_500)
    }

    fn tagged(tag: EntityTag) -> Validators {
        Validators::new().with_tag(tag).with_modified(modified())
    }

    fn strong() -> Validators {
        tagged(EntityTag::strong("a").unwrap())
    }

    fn weak() -> Validators {
        tagged(EntityTag::weak("a").unwrap())
    }

    fn headers(given: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in given {
            headers.append(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        headers
    }

    #[test]
    fn conditions_are_as_the_standard_has_them() {
        use Condition::{Failed, Holds, NotModified};
        const MATCH: &str = "if-match";
        const NONE: &str = "if-none-match";
        const SINCE: &str = "if-modified-since";
        const UNMODIFIED: &str = "if-unmodified-since";

        // What there is, the headers, and what becomes of GET and of PUT.
        type Headers = &'static [(&'static str, &'static str)];
        let cases: &[(Validators, Headers, Condition, Condition)] = &[
            (strong(), &[], Holds, Holds),
            // Matches strongly.
            (strong(), &[(MATCH, "\"a\"")], Holds, Holds),
            (strong(), &[(MATCH, "*")], Holds, Holds),
            (strong(), &[(MATCH, "\"b\", \"a\"")], Holds, Holds),
            (strong(), &[(MATCH, "\"b\",,\t\"a\" ,")], Holds, Holds),
            (
                strong(),
                &[(MATCH, "\"b\""), (MATCH, "\"a\"")],
                Holds,
                Holds,
            ),
            (strong(), &[(MATCH, "\"b\"")], Failed, Failed),
            (strong(), &[(MATCH, "W/\"a\"")], Failed, Failed),
            (strong(), &[(MATCH, "")], Failed, Failed),
            (strong(), &[(MATCH, "a")], Failed, Failed),
            (strong(), &[(MATCH, "\"x,\"a\"")], Failed, Failed),
            (strong(), &[(MATCH, "\"x\" \"a\"")], Failed, Failed),
            (strong(), &[(MATCH, "\"a\"x")], Failed, Failed),
            (weak(), &[(MATCH, "\"a\"")], Failed, Failed),
            (weak(), &[(MATCH, "W/\"a\"")], Failed, Failed),
            (weak(), &[(MATCH, "*")], Holds, Holds),
            (Validators::new(), &[(MATCH, "*")], Holds, Holds),
            (Validators::new(), &[(MATCH, "\"a\"")], Failed, Failed),
            // Does not match, weakly.
            (strong(), &[(NONE, "\"a\"")], NotModified, Failed),
            (strong(), &[(NONE, "W/\"a\"")], NotModified, Failed),
            (weak(), &[(NONE, "\"a\"")], NotModified, Failed),
            (weak(), &[(NONE, "W/\"a\"")], NotModified, Failed),
            (strong(), &[(NONE, "*")], NotModified, Failed),
            (strong(), &[(NONE, " * ")], NotModified, Failed),
            (strong(), &[(NONE, "\"x\", W/\"a\"")], NotModified, Failed),
            (strong(), &[(NONE, "\"x,y\",\"a\"")], NotModified, Failed),
            (strong(), &[(NONE, "\"b\"")], Holds, Holds),
            (strong(), &[(NONE, "w/\"a\"")], Holds, Holds),
            (strong(), &[(NONE, "\"a")], Holds, Holds),
            // Dates.
            (strong(), &[(SINCE, DATE)], NotModified, Holds),
            (strong(), &[(SINCE, AFTER)], NotModified, Holds),
            (strong(), &[(SINCE, BEFORE)], Holds, Holds),
            (strong(), &[(SINCE, "yesterday")], Holds, Holds),
            (strong(), &[(SINCE, DATE), (SINCE, DATE)], Holds, Holds),
            (
                strong(),
                &[(SINCE, "Sunday, 06-Nov-94 08:49:37 GMT")],
                NotModified,
                Holds,
            ),
            (
                strong(),
                &[(SINCE, "Sun Nov  6 08:49:37 1994")],
                NotModified,
                Holds,
            ),
            (Validators::new(), &[(SINCE, DATE)], Holds, Holds),
            (strong(), &[(UNMODIFIED, DATE)], Holds, Holds),
            (strong(), &[(UNMODIFIED, AFTER)], Holds, Holds),
            (strong(), &[(UNMODIFIED, BEFORE)], Failed, Failed),
            (strong(), &[(UNMODIFIED, "yesterday")], Holds, Holds),
            (Validators::new(), &[(UNMODIFIED, BEFORE)], Holds, Holds),
            // Tags go before dates, and what must hold before what must not.
            (
                strong(),
                &[(MATCH, "\"a\""), (UNMODIFIED, BEFORE)],
                Holds,
                Holds,
            ),
            (
                strong(),
                &[(MATCH, "\"b\""), (UNMODIFIED, AFTER)],
                Failed,
                Failed,
            ),
            (strong(), &[(NONE, "\"b\""), (SINCE, DATE)], Holds, Holds),
            (
                strong(),
                &[(NONE, "\"a\""), (SINCE, BEFORE)],
                NotModified,
                Failed,
            ),
            (
                strong(),
                &[(MATCH, "\"b\""), (NONE, "\"a\"")],
                Failed,
                Failed,
            ),
            (
                strong(),
                &[(MATCH, "\"a\""), (NONE, "\"a\"")],
                NotModified,
                Failed,
            ),
            (
                strong(),
                &[(UNMODIFIED, BEFORE), (NONE, "\"a\"")],
                Failed,
                Failed,
            ),
            (
                strong(),
                &[(UNMODIFIED, DATE), (SINCE, DATE)],
                NotModified,
                Holds,
            ),
        ];
        for (now, given, get, put) in cases {
            let headers = headers(given);
            assert_eq!(now.check_parts(&Method::GET, &headers), *get, "{given:?}");
            assert_eq!(now.check_parts(&Method::HEAD, &headers), *get, "{given:?}");
            assert_eq!(now.check_parts(&Method::PUT, &headers), *put, "{given:?}");
        }
    }

    #[test]
    fn a_part_is_sent_only_of_what_is_there() {
        let long_after = modified() + Duration::from_secs(10);
        for (now, value, expected) in [
            (strong(), "\"a\"", true),
            (strong(), "W/\"a\"", false),
            (strong(), "\"b\"", false),
            (strong(), "\"a\", \"a\"", false),
            (strong(), "*", false),
            (strong(), DATE, true),
            (strong(), BEFORE, false),
            (strong(), AFTER, false),
            (strong(), "", false),
            (weak(), "\"a\"", false),
            (weak(), "W/\"a\"", false),
            (weak(), DATE, true),
            (Validators::new(), DATE, false),
            (Validators::new(), "", false),
        ] {
            let headers = headers(&[("if-range", value)]);
            assert_eq!(now.allow_range(&headers, long_after), expected, "{value}");
        }
        assert!(strong().allow_range(&HeaderMap::new(), long_after));
        let twice = headers(&[("if-range", "\"a\""), ("if-range", "\"a\"")]);
        assert!(!strong().allow_range(&twice, long_after));
        // It may have been changed twice in that second.
        let date = headers(&[("if-range", DATE)]);
        assert!(!strong().allow_range(&date, modified() + Duration::from_millis(900)));
        assert!(!strong().allow_range(&date, modified() - Duration::from_secs(9)));
    }

    #[test]
    fn what_is_said_is_what_is_compared() {
        let mut headers = HeaderMap::new();
        weak().set_on(&mut headers);
        assert_eq!(headers[ETAG], "W/\"a\"");
        assert_eq!(headers[LAST_MODIFIED], DATE);
        // What changes in the future.
        let later = SystemTime::now() + Duration::from_secs(100_000);
        let mut headers = HeaderMap::new();
        Validators::new().with_modified(later).set_on(&mut headers);
        let said = date(&headers, &LAST_MODIFIED).unwrap();
        assert!(said <= SystemTime::now());
        // And in no year that a date can have.
        let mut headers = HeaderMap::new();
        let never = UNIX_EPOCH - Duration::from_secs(1);
        Validators::new().with_modified(never).set_on(&mut headers);
        assert!(headers.is_empty());
    }

    #[test]
    fn tags_have_all_but_quotation_marks_blanks_and_controls() {
        for bad in ["\"", " ", "\t", "\n", "\0", "\u{7f}"] {
            assert_eq!(EntityTag::strong(bad), None);
            assert_eq!(EntityTag::weak(bad), None);
        }
        for good in [&b""[..], b"!#~,\\", b"\xff\x80"] {
            let tag = EntityTag::weak(good).unwrap();
            assert_eq!(EntityTag::parse(tag.to_value().as_bytes()), Some(tag));
        }
    }
}
