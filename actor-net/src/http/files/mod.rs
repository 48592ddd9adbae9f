//! [`Files`].

mod encoding;
mod listing;
pub(super) mod path;
pub(super) mod region;
mod tree;
mod types;

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use actor_io::fs::File;
use bytes::Bytes;
use http::header::{
    ACCEPT_RANGES, ALLOW, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_RANGE, CONTENT_TYPE, HeaderMap,
    HeaderValue, LAST_MODIFIED, LOCATION, RANGE, VARY,
};
use http::{Method, Request, Response, StatusCode, Uri};
use rustix::fs::FileType;
use rustix::io::Errno;

use super::body::Body;
use super::conditional::{Condition, EntityTag, Validators};
use super::range::{Selection, select};
use super::response::IntoResponse;
use encoding::{Coding, accepted};
use path::{Refused, TreePath};
use region::Regions;
use tree::{Opened, Tree};
use types::Types;

/// How many ranges a request may ask for unless [said otherwise](Files::max_ranges).
///
/// ```
/// use actor_net::http::{DEFAULT_MAX_RANGES, Files};
///
/// let files = Files::new("/usr/share")?.max_ranges(DEFAULT_MAX_RANGES / 2);
/// # std::io::Result::Ok(())
/// ```
pub const DEFAULT_MAX_RANGES: usize = 16;

/// How long a file is looked for unless [said otherwise](Files::patience).
///
/// ```
/// assert_eq!(actor_net::http::DEFAULT_PATIENCE.as_secs(), 10);
/// ```
pub const DEFAULT_PATIENCE: Duration = Duration::from_secs(10);

/// A directory whose files are served.
///
/// # What is served
///
/// Regular files, for `GET` and `HEAD`; a directory by its `index.html`, and with a slash at the end of its address, to
/// which the client is sent otherwise. Neither directories without one, unless [listed](Self::listing), nor files whose
/// name begins with a dot, unless [allowed](Self::hidden), nor anything else that may lie there: pipes, sockets and
/// devices. The content type goes by the [extension](Self::content_type).
///
/// # Nothing else
///
/// The directory is opened once, and everything is opened below it by a system call that refuses whatever would lead
/// out, `..` and symbolic links included, also while something is renamed. A link within the directory is followed as
/// long as it stays there and is not absolute; [`links`](Self::links) forbids that too. Before Linux 5.6 no
/// link is followed. Paths with `.`, `..`, empty names, encoded slashes and backslashes name nothing. Should the
/// directory be replaced by another of its name, the old one is still served.
///
/// # Versions and parts
///
/// A file has an `ETag`, of its size, the time of its last change and its inode, and a `Last-Modified`; the tag is weak as long
/// as the change is so recent that there may be another in the same instant. Conditional requests are answered as
/// RFC 9110 has it, and so are ranges: one is sent as it is, several as `multipart/byteranges`, and those
/// that overlap, or lie close together, as one. A request for [too many](Self::max_ranges) is answered with the whole
/// file.
///
/// A file that becomes shorter while it is sent ends its connection; of one that grows only as much is sent as was
/// announced.
///
/// # Blocking
///
/// What the system has in its cache is opened, read and sent in place, for the rest a thread of the pool is waited for.
/// Without descriptors, or when no thread has found the file [in time](Self::patience), the answer is 503.
///
/// ```no_run
/// use actor_net::http::{Body, Files, HttpServer, Request};
///
/// actor_core::dispatch(|| -> std::io::Result<()> {
///     let files = Files::new("public")?;
///     HttpServer::serve("localhost:8080", move |request: Request<Body>| files.serve(&request))
/// });
/// ```
#[derive(Clone, Debug)]
pub struct Files {
    tree: Arc<Tree>,
    index: Option<Arc<str>>,
    types: Types,
    cache_control: Option<HeaderValue>,
    max_ranges: usize,
    patience: Duration,
    listing: bool,
    hidden: bool,
    links: bool,
    precompressed: bool,
}

impl Files {
    /// Serves what is in this directory.
    ///
    /// # Errors
    ///
    /// If it cannot be opened, or is none.
    ///
    /// ```
    /// use actor_net::http::Files;
    ///
    /// assert!(Files::new("/usr").is_ok());
    /// assert!(Files::new("/etc/passwd").is_err());
    /// ```
    pub fn new(root: impl AsRef<Path>) -> io::Result<Files> {
        Ok(Files {
            tree: Arc::new(Tree::open(root.as_ref())?),
            index: Some("index.html".into()),
            types: Types::default(),
            cache_control: None,
            max_ranges: DEFAULT_MAX_RANGES,
            patience: DEFAULT_PATIENCE,
            listing: false,
            hidden: false,
            links: true,
            precompressed: false,
        })
    }

    /// The name of the file that is served for its directory: `index.html`. With an empty one none is.
    ///
    /// ```
    /// # use actor_net::http::Files;
    /// let files = Files::new("/usr")?.index("default.htm");
    /// # std::io::Result::Ok(())
    /// ```
    pub fn index(mut self, name: &str) -> Self {
        self.index = (!name.is_empty()).then(|| name.into());
        self
    }

    /// Whether directories without an index are answered with a page of what is in them: not unless this is said.
    ///
    /// ```
    /// # use actor_net::http::Files;
    /// let files = Files::new("/usr")?.listing(true);
    /// # std::io::Result::Ok(())
    /// ```
    pub fn listing(mut self, listing: bool) -> Self {
        self.listing = listing;
        self
    }

    /// Whether files and directories are served whose names begin with a dot: not unless this is said, but for
    /// `/.well-known` (RFC 8615).
    ///
    /// ```
    /// # use actor_net::http::Files;
    /// let files = Files::new("/usr")?.hidden(true);
    /// # std::io::Result::Ok(())
    /// ```
    pub fn hidden(mut self, hidden: bool) -> Self {
        self.hidden = hidden;
        self
    }

    /// Whether symbolic links are followed that stay in the directory: they are unless this is said.
    ///
    /// ```
    /// # use actor_net::http::Files;
    /// let files = Files::new("/usr")?.links(false);
    /// # std::io::Result::Ok(())
    /// ```
    pub fn links(mut self, links: bool) -> Self {
        self.links = links;
        self
    }

    /// Whether `page.html.br` or `page.html.gz` is sent for `page.html` to clients that take it: not unless this is
    /// said. The file itself must be there as well, and one that is newer than its compressed form is sent as it is.
    ///
    /// ```
    /// # use actor_net::http::Files;
    /// let files = Files::new("/usr")?.precompressed(true);
    /// # std::io::Result::Ok(())
    /// ```
    pub fn precompressed(mut self, precompressed: bool) -> Self {
        self.precompressed = precompressed;
        self
    }

    /// What is said of how long the files may be kept by caches, in the header `Cache-Control`: nothing unless this is
    /// said.
    ///
    /// ```
    /// # use actor_net::http::Files;
    /// use actor_net::http::HeaderValue;
    ///
    /// let files = Files::new("/usr")?.cache_control(HeaderValue::from_static("max-age=3600"));
    /// # std::io::Result::Ok(())
    /// ```
    pub fn cache_control(mut self, value: HeaderValue) -> Self {
        self.cache_control = Some(value);
        self
    }

    /// The content type of files with this extension. Those that browsers act upon are known, and what is not is
    /// `application/octet-stream`.
    ///
    /// ```
    /// # use actor_net::http::Files;
    /// use actor_net::http::HeaderValue;
    ///
    /// let files = Files::new("/usr")?.content_type("gpx", HeaderValue::from_static("application/gpx+xml"));
    /// # std::io::Result::Ok(())
    /// ```
    pub fn content_type(mut self, extension: &str, value: HeaderValue) -> Self {
        self.types.set(extension, value);
        self
    }

    /// How many ranges a request may ask for: 16. One that asks for more gets the whole file.
    ///
    /// ```
    /// # use actor_net::http::Files;
    /// let files = Files::new("/usr")?.max_ranges(1);
    /// # std::io::Result::Ok(())
    /// ```
    pub fn max_ranges(mut self, count: usize) -> Self {
        self.max_ranges = count;
        self
    }

    /// How long a file is looked for that the system does not have in its cache, from the wait for a thread on: ten
    /// seconds. (An index and compressed forms are files of their own.) Then the answer is 503, so that a disk that is gone does not take all connections with it.
    ///
    /// ```
    /// # use actor_net::http::Files;
    /// let files = Files::new("/usr")?.patience(std::time::Duration::from_secs(1));
    /// # std::io::Result::Ok(())
    /// ```
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Answers a request with the file that its path names.
    ///
    /// ```
    /// use actor_net::http::{Body, Files, Request};
    ///
    /// let files = Files::new("/usr")?;
    /// let request = Request::get("/no/such/file").body(Body::empty()).unwrap();
    /// assert_eq!(files.serve(&request).status(), 404);
    /// let request = Request::post("/").body(Body::empty()).unwrap();
    /// assert_eq!(files.serve(&request).headers()["allow"], "GET, HEAD");
    /// # std::io::Result::Ok(())
    /// ```
    pub fn serve<B>(&self, request: &Request<B>) -> Response<Body> {
        self.serve_path(request.uri().path(), request)
    }

    /// Answers a request with the file that `path` names, still encoded: what is left of the request's behind where the
    /// directory is mounted.
    ///
    /// ```
    /// use actor_net::http::{Body, Files, IntoResponse, Request, Response, StatusCode};
    ///
    /// fn handler(files: &Files, request: &Request<Body>) -> Response<Body> {
    ///     match request.uri().path().strip_prefix("/static/") {
    ///         Some(path) => files.serve_path(path, request),
    ///         None => StatusCode::NOT_FOUND.into_response(),
    ///     }
    /// }
    /// ```
    pub fn serve_path<B>(&self, path: &str, request: &Request<B>) -> Response<Body> {
        let is_head = match *request.method() {
            Method::GET => false,
            Method::HEAD => true,
            _ => {
                let mut response = status(StatusCode::METHOD_NOT_ALLOWED);
                let allowed = HeaderValue::from_static("GET, HEAD");
                response.headers_mut().insert(ALLOW, allowed);
                return response;
            }
        };
        match self.find(path, request.uri(), request.headers()) {
            Ok(Found::File(file)) => self.answer(file, is_head, request.headers()),
            Ok(Found::Other(response)) => response,
            Err(refusal) => status(refusal),
        }
    }

    /// Looks for what is to be sent.
    fn find(&self, path: &str, uri: &Uri, headers: &HeaderMap) -> Result<Found, StatusCode> {
        let mut path = TreePath::decode(path, self.hidden).map_err(|refused| match refused {
            Refused::Malformed => StatusCode::BAD_REQUEST,
            Refused::NoFile => StatusCode::NOT_FOUND,
        })?;
        let mut opened = self.open(&path)?;
        if opened.kind == FileType::Directory {
            if !uri.path().ends_with('/') {
                return Ok(Found::Other(to_directory(uri)));
            }
            // Opened anew rather than relative to it: that the way leads there is looked at once more.
            let index = self.index.as_ref().map(|name| path.join(name));
            let index = index.map(|index| (self.open(&index), index));
            match index {
                Some((Ok(file), index)) if file.kind == FileType::RegularFile => {
                    (opened, path) = (file, index);
                }
                Some((Err(refusal), _)) if refusal != StatusCode::NOT_FOUND => return Err(refusal),
                _ if self.listing => {
                    let page = listing::page(opened, uri.path(), self.hidden, self.patience)
                        .map_err(refusal)?;
                    return Ok(Found::Other(page));
                }
                _ => return Err(StatusCode::NOT_FOUND),
            }
        } else if path.is_directory() {
            return Err(StatusCode::NOT_FOUND);
        }
        if opened.kind != FileType::RegularFile {
            return Err(StatusCode::NOT_FOUND);
        }
        let content_type = self.types.of(path.extension());
        let compressed = self.compressed(&path, &opened, headers);
        let (opened, coding) = match compressed {
            Some((compressed, coding)) => (compressed, Some(coding)),
            None => (opened, None),
        };
        Ok(Found::File(Served {
            opened,
            content_type,
            coding,
        }))
    }

    fn open(&self, path: &TreePath) -> Result<Opened, StatusCode> {
        let opened = self.tree.get(path, self.links, self.patience);
        opened.map_err(refusal)
    }

    /// What lies beside a file, and is not older, for clients that take it.
    fn compressed(
        &self,
        path: &TreePath,
        file: &Opened,
        headers: &HeaderMap,
    ) -> Option<(Opened, Coding)> {
        if !self.precompressed {
            return None;
        }
        accepted(headers).into_iter().find_map(|coding| {
            let path = path.with_suffix(coding.suffix);
            let compressed = self.tree.get(&path, self.links, self.patience).ok()?;
            let is_one =
                compressed.kind == FileType::RegularFile && compressed.modified >= file.modified;
            is_one.then_some((compressed, coding))
        })
    }

    /// Answers with a file, or a part of it, or that the client has it.
    fn answer(&self, served: Served, is_head: bool, asked: &HeaderMap) -> Response<Body> {
        let now = SystemTime::now();
        let validators = served.validators(now);
        let mut response = Response::new(Body::empty());
        let headers = response.headers_mut();
        validators.set_on(headers);
        if let Some(value) = &self.cache_control {
            headers.insert(CACHE_CONTROL, value.clone());
        }
        if self.precompressed {
            headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
        }
        match validators.check_parts(&Method::GET, asked) {
            Condition::Holds => {}
            Condition::NotModified => {
                // The tag says it all.
                headers.remove(LAST_MODIFIED);
                *response.status_mut() = StatusCode::NOT_MODIFIED;
                return response;
            }
            Condition::Failed => return status(StatusCode::PRECONDITION_FAILED),
        }
        headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        if let Some(coding) = served.coding {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static(coding.name));
        }
        let len = served.opened.len;
        let selection = match is_head {
            // A range is one of what is sent.
            true => Selection::Whole,
            false => self.selection(asked, &validators, len, now),
        };
        let file = File::from(served.opened.into_file());
        match selection {
            Selection::Whole => {
                headers.insert(CONTENT_TYPE, served.content_type);
                *response.body_mut() = Body::file(file, 0, len);
            }
            Selection::Unsatisfiable => {
                response = status(StatusCode::RANGE_NOT_SATISFIABLE);
                let headers = response.headers_mut();
                headers.insert(CONTENT_RANGE, value(&format!("bytes */{len}")));
                headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
            }
            Selection::Parts(parts) => {
                let body = match &parts[..] {
                    [part] => {
                        headers.insert(CONTENT_TYPE, served.content_type);
                        headers.insert(CONTENT_RANGE, value(&content_range(part, len)));
                        Ok(Regions::of(file, part.start, part.end - part.start))
                    }
                    parts => {
                        let boundary = boundary();
                        let multipart = format!("multipart/byteranges; boundary={boundary}");
                        headers.insert(CONTENT_TYPE, value(&multipart));
                        multipart_body(&file, parts, len, &boundary, &served.content_type)
                    }
                };
                match body {
                    Ok(body) => *response.body_mut() = body.into(),
                    Err(error) => return status(refusal(error)),
                }
                *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            }
        }
        response
    }

    fn selection(
        &self,
        asked: &HeaderMap,
        validators: &Validators,
        len: u64,
        now: SystemTime,
    ) -> Selection {
        let mut values = asked.get_all(RANGE).iter();
        match (values.next(), values.next()) {
            (Some(value), None) if validators.allow_range(asked, now) => {
                select(value.as_bytes(), len, self.max_ranges)
            }
            _ => Selection::Whole,
        }
    }
}

enum Found {
    File(Served),
    Other(Response<Body>),
}

/// A file that is to be sent.
struct Served {
    opened: Opened,
    content_type: HeaderValue,
    coding: Option<Coding>,
}

/// How long a change lies back when there can be no other with the same time: some file systems only have every second
/// second.
const SETTLED: Duration = Duration::from_secs(2);

impl Served {
    fn validators(&self, now: SystemTime) -> Validators {
        let (len, inode) = (self.opened.len, self.opened.inode);
        let Some(modified) = self.opened.modified else {
            let tag = EntityTag::weak(format!("{inode:x}-{len:x}"));
            return tag.map_or_else(Validators::new, |tag| Validators::new().with_tag(tag));
        };
        let time = match modified.duration_since(SystemTime::UNIX_EPOCH) {
            Ok(since) => format!("{:x}", since.as_nanos()),
            Err(before) => format!("-{:x}", before.duration().as_nanos()),
        };
        let text = format!("{inode:x}-{len:x}-{time}");
        let is_settled = now.duration_since(modified).is_ok_and(|age| age > SETTLED);
        let tag = match is_settled {
            true => EntityTag::strong(text),
            false => EntityTag::weak(text),
        };
        let validators = Validators::new().with_modified(modified);
        match tag {
            Some(tag) => validators.with_tag(tag),
            None => validators,
        }
    }
}

/// Sends the client to the address with a slash: relative to where it is, so that no host can come of it.
fn to_directory(uri: &Uri) -> Response<Body> {
    let path = uri.path();
    let name = path.rsplit_once('/').map_or(path, |(_, name)| name);
    let query = uri
        .query()
        .map_or_else(String::new, |query| format!("?{query}"));
    let mut response = status(StatusCode::MOVED_PERMANENTLY);
    // Without the dot a name with a colon would be a scheme.
    let location = value(&format!("./{name}/{query}"));
    response.headers_mut().insert(LOCATION, location);
    response
}

/// The answer when something could not be opened or read.
fn refusal(error: io::Error) -> StatusCode {
    match Errno::from_io_error(&error) {
        // Where there is no way, or none that stays inside; and sockets, which cannot be opened.
        Some(
            Errno::NOENT
            | Errno::NOTDIR
            | Errno::NAMETOOLONG
            | Errno::LOOP
            | Errno::XDEV
            | Errno::INVAL
            | Errno::ILSEQ
            | Errno::NXIO
            | Errno::NODEV,
        ) => StatusCode::NOT_FOUND,
        Some(Errno::ACCESS | Errno::PERM) => StatusCode::FORBIDDEN,
        Some(Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::AGAIN) => {
            tracing::warn!(%error, "a file cannot be opened for the time being");
            StatusCode::SERVICE_UNAVAILABLE
        }
        Some(_) => {
            tracing::warn!(%error, "a file cannot be opened");
            StatusCode::INTERNAL_SERVER_ERROR
        }
        // Of the pool: no thread is to be had, or not in time.
        None => {
            tracing::warn!(%error, "a file cannot be opened for the time being");
            StatusCode::SERVICE_UNAVAILABLE
        }
    }
}

/// A status, also in words.
fn status(status: StatusCode) -> Response<Body> {
    (status, status.canonical_reason().unwrap_or_default()).into_response()
}

/// A value of what is made here, and of targets, which have no byte in them that a value may not have.
fn value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static(""))
}

fn content_range(part: &Range<u64>, len: u64) -> String {
    format!("bytes {}-{}/{len}", part.start, part.end - 1)
}

/// What tells parts from each other: nothing that could be in a file but by a chance of none.
fn boundary() -> String {
    let random = || RandomState::new().hash_one(0);
    format!("{:016x}{:016x}", random(), random())
}

fn multipart_body(
    file: &File,
    parts: &[Range<u64>],
    len: u64,
    boundary: &str,
    content_type: &HeaderValue,
) -> io::Result<Regions> {
    let mut regions = Regions::default();
    for (i, part) in parts.iter().enumerate() {
        let line = if i == 0 { "" } else { "\r\n" };
        let mut head = format!("{line}--{boundary}\r\ncontent-type: ").into_bytes();
        head.extend_from_slice(content_type.as_bytes());
        let range = content_range(part, len);
        head.extend_from_slice(format!("\r\ncontent-range: {range}\r\n\r\n").as_bytes());
        regions.push_bytes(head.into());
        regions.push_region(file.try_clone()?, part.start, part.end - part.start);
    }
    regions.push_bytes(Bytes::from(format!("\r\n--{boundary}--\r\n")));
    Ok(regions)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fails_has_its_status() {
        for (errno, status) in [
            (Errno::NOENT, 404),
            (Errno::NOTDIR, 404),
            (Errno::LOOP, 404),
            (Errno::XDEV, 404),
            (Errno::NAMETOOLONG, 404),
            (Errno::NXIO, 404),
            (Errno::ACCESS, 403),
            (Errno::PERM, 403),
            (Errno::MFILE, 503),
            (Errno::NFILE, 503),
            (Errno::NOMEM, 503),
            (Errno::AGAIN, 503),
            (Errno::IO, 500),
        ] {
            assert_eq!(refusal(errno.into()), status, "{errno}");
        }
        let late = io::Error::from(actor_core::TimedOut);
        assert_eq!(refusal(late), 503);
    }

    #[test]
    fn boundaries_differ() {
        let (one, other) = (boundary(), boundary());
        assert_ne!(one, other);
        assert_eq!(one.len(), 32);
        assert!(one.bytes().all(|byte| byte.is_ascii_hexdigit()));
    }
}
