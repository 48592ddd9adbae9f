//! Files over HTTP, byte by byte.

#![cfg(feature = "http")]

#[cfg(feature = "tls")]
#[path = "common/certificates.rs"]
mod certificates;
mod common;
#[path = "common/http.rs"]
mod web;

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use actor_core::block_on_thread;
use actor_net::http::{Body, Files, HeaderValue, HttpServer, Limits, Request, Response};
use common::{eventually, in_tasklet, keep_log, logged};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use web::{Client, Running, spawn};

/// A directory that goes with its test.
struct Dir(PathBuf);

impl Dir {
    fn new() -> Dir {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("actor-net-files-{}-{count}", std::process::id());
        let dir = std::env::temp_dir().join(name);
        fs::create_dir(&dir).unwrap();
        Dir(dir)
    }

    /// Puts a file there that was changed long ago.
    fn put(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        set_time(&path, 1_000_000_000);
        path
    }

    fn files(&self) -> Files {
        Files::new(&self.0).unwrap()
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn set_time(path: &Path, second: u64) {
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(second);
    File::options()
        .write(true)
        .open(path)
        .unwrap()
        .set_modified(time)
        .unwrap();
}

const DATE: &str = "Sun, 09 Sep 2001 01:46:40 GMT";

fn serve(files: Files) -> Running {
    spawn(move |request: Request<Body>| files.serve(&request))
}

/// An answer, taken apart.
#[derive(Debug, PartialEq, Eq)]
struct Answer {
    status: u16,
    headers: HashMap<String, String>,
    body: Vec<u8>,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    fn text(&self) -> &str {
        str::from_utf8(&self.body).unwrap()
    }
}

/// Asks for something on a connection that goes on.
fn ask(client: &mut Client, method: &str, target: &str, headers: &[(&str, &str)]) -> Answer {
    let lines: String = headers
        .iter()
        .map(|(name, value)| format!("{name}: {value}\r\n"))
        .collect();
    client.send(format!(
        "{method} {target} HTTP/1.1\r\nHost: a\r\n{lines}\r\n"
    ));
    answer(client, method)
}

fn answer(client: &mut Client, method: &str) -> Answer {
    let head = client.head();
    let mut lines = head.lines();
    let status: u16 = lines.next().unwrap()[9..12].parse().unwrap();
    let headers: HashMap<_, _> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let length = match method {
        "HEAD" => 0,
        _ if status == 304 => 0,
        _ => headers["content-length"].parse().unwrap(),
    };
    let mut body = vec![0; length];
    client.0.read_exact(&mut body).unwrap();
    Answer {
        status,
        headers,
        body,
    }
}

fn get(client: &mut Client, target: &str) -> Answer {
    ask(client, "GET", target, &[])
}

/// Bytes no two stretches of which are alike.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 56) as u8
    };
    (0..len).map(|_| next()).collect()
}

#[test]
fn files_are_served_whole() {
    in_tasklet(|| {
        let dir = Dir::new();
        let large = noise(3_000_001);
        dir.put("hello.txt", "hello");
        dir.put("empty.css", "");
        dir.put("a b/ü.bin", &large);
        let server = serve(dir.files());
        let mut client = Client::of(&server);

        let hello = get(&mut client, "/hello.txt");
        assert_eq!((hello.status, hello.text()), (200, "hello"));
        assert_eq!(
            hello.header("content-type"),
            Some("text/plain; charset=utf-8")
        );
        assert_eq!(hello.header("last-modified"), Some(DATE));
        assert_eq!(hello.header("accept-ranges"), Some("bytes"));
        assert!(hello.header("etag").unwrap().starts_with('"'), "{hello:?}");
        assert_eq!(hello.header("cache-control"), None);
        assert_eq!(hello.header("vary"), None);

        let head = ask(&mut client, "HEAD", "/hello.txt?query", &[]);
        let without_date = |mut answer: Answer| {
            answer.headers.remove("date");
            (answer.status, answer.headers)
        };
        assert_eq!(without_date(head), without_date(hello));

        let empty = get(&mut client, "/empty.css");
        assert_eq!((empty.status, empty.text()), (200, ""));
        for target in ["/a%20b/%C3%BC.bin", "/%61%20b/%c3%bc.bin"] {
            let answer = get(&mut client, target);
            assert_eq!(answer.status, 200);
            assert_eq!(
                answer.header("content-type"),
                Some("application/octet-stream")
            );
            assert!(answer.body == large, "the file has come to harm");
        }

        // Small, large, small: in order, and each in its place.
        let names = ["/hello.txt", "/a%20b/%C3%BC.bin", "/hello.txt"];
        client.send(names.map(web::get).concat());
        assert_eq!(answer(&mut client, "GET").text(), "hello");
        assert!(answer(&mut client, "GET").body == large);
        assert_eq!(answer(&mut client, "GET").text(), "hello");
    });
}

#[test]
fn only_what_is_in_the_directory_is_served() {
    in_tasklet(|| {
        let outside = Dir::new();
        outside.put("secret", "secret");
        let dir = Dir::new();
        dir.put("a/file", "a file");
        dir.put(".hidden", "hidden");
        dir.put("a/.git/config", "hidden");
        dir.put(".well-known/acme", "known");
        let link = |to: &Path, name: &str| symlink(to, dir.0.join(name)).unwrap();
        link(&outside.0, "absolute");
        link(&outside.0.join("secret"), "secret");
        let name = outside.0.file_name().unwrap();
        link(&Path::new("..").join(name), "relative");
        link(Path::new("../.."), "a/up");
        link(Path::new("/proc/self/cwd"), "magic");
        link(Path::new("loop"), "loop");
        link(Path::new("a/file"), "inside");
        link(Path::new("../a"), "a/across");
        let _socket = UnixListener::bind(dir.0.join("socket")).unwrap();
        let made = Command::new("mkfifo").arg(dir.0.join("pipe")).status();
        assert!(made.unwrap().success());

        let server = serve(dir.files());
        let mut client = Client::of(&server);
        for target in ["/a/file", "/inside", "/a/across/file"] {
            let answer = get(&mut client, target);
            assert_eq!((answer.status, answer.text()), (200, "a file"), "{target}");
        }
        assert_eq!(get(&mut client, "/.well-known/acme").text(), "known");
        let absolute = format!("/{}", outside.0.join("secret").display());
        for target in [
            "/absolute/secret",
            "/secret",
            "/relative/secret",
            "/a/up/etc/passwd",
            "/a/up/",
            "/magic/",
            "/magic/Cargo.toml",
            "/loop",
            "/../secret",
            "/a/../../secret",
            "/%2e%2e/secret",
            "/..%2fsecret",
            "/a/..%5c..%5csecret",
            "//etc/passwd",
            "/%2fetc/passwd",
            &absolute,
            "/.hidden",
            "/%2ehidden",
            "/a/.git/config",
            "/.",
            "/a/.",
            "/a/file/",
            "/a/file/x",
            "/nothing",
            "/nothing/",
            "/",
            "/a/",
            "/pipe",
            "/socket",
            &format!("/{}", "x".repeat(300)),
            &format!("/{}", "x/".repeat(3000)),
        ] {
            let answer = get(&mut client, target);
            assert_eq!(
                (answer.status, answer.text()),
                (404, "Not Found"),
                "{target}"
            );
        }
        for target in ["/%00", "/a%00/file", "/%zz", "/a/%", "/file%2"] {
            assert_eq!(get(&mut client, target).status, 400, "{target}");
        }

        let server = serve(dir.files().links(false).hidden(true));
        let mut client = Client::of(&server);
        for (target, status) in [
            ("/a/file", 200),
            ("/inside", 404),
            ("/a/across/file", 404),
            ("/.hidden", 200),
            ("/a/.git/config", 200),
            ("/a/.git/../file", 404),
        ] {
            assert_eq!(get(&mut client, target).status, status, "{target}");
        }
    });
}

/// What is exchanged while it is looked up is found inside, or not at all.
#[test]
fn nothing_leads_out_while_it_is_renamed() {
    in_tasklet(|| {
        let outside = Dir::new();
        outside.put("file", "secret");
        let dir = Dir::new();
        dir.put("x/y/file", "inside");
        symlink(&outside.0, dir.0.join("link")).unwrap();
        symlink("..", dir.0.join("x/up")).unwrap();

        let server = serve(dir.files());
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, root) = (stop.clone(), dir.0.clone());
        let swaps = std::thread::spawn(move || {
            let mut swaps = 0;
            let swap = |a: &str, b: &str| {
                let (a, b) = (root.join(a), root.join(b));
                renameat_with(CWD, a, CWD, b, RenameFlags::EXCHANGE).unwrap();
            };
            while !stopped.load(Ordering::Relaxed) {
                swap("x/y", "link");
                swap("x/y", "link");
                swaps += 1;
            }
            swaps
        });
        let mut seen = HashMap::<u16, usize>::new();
        let mut client = Client::of(&server);
        for i in 0..4000 {
            let target = ["/x/y/file", "/x/up/x/y/file", "/link/file"][i % 3];
            let answer = get(&mut client, target);
            *seen.entry(answer.status).or_default() += 1;
            match answer.status {
                200 => assert_eq!(answer.text(), "inside"),
                404 | 503 => {}
                status => panic!("{status}"),
            }
        }
        stop.store(true, Ordering::Relaxed);
        let swaps = block_on_thread(|| swaps.join().unwrap());
        assert!(swaps > 100 && seen[&200] > 100, "{swaps} swaps, {seen:?}");
    });
}

#[test]
fn directories_have_an_index_and_a_slash() {
    in_tasklet(|| {
        let dir = Dir::new();
        dir.put("index.html", "the root");
        dir.put("sub/index.html", "the sub");
        dir.put("c:d/index.html", "a colon");
        dir.put("odd/index.html/x", "");
        let server = serve(dir.files());
        let mut client = Client::of(&server);
        for (target, text) in [
            ("/", "the root"),
            ("/sub/", "the sub"),
            ("/sub/?q", "the sub"),
        ] {
            let answer = get(&mut client, target);
            assert_eq!((answer.status, answer.text()), (200, text));
            assert_eq!(
                answer.header("content-type"),
                Some("text/html; charset=utf-8")
            );
        }
        for (target, location) in [
            ("/sub", "./sub/"),
            ("/sub?a=b/c", "./sub/?a=b/c"),
            ("/%73ub", "./%73ub/"),
            ("/c:d", "./c:d/"),
            ("http://a/sub", "./sub/"),
        ] {
            let answer = get(&mut client, target);
            assert_eq!(answer.status, 301);
            assert_eq!(answer.header("location"), Some(location), "{target}");
        }
        assert_eq!(get(&mut client, "/odd/").status, 404);

        // Somewhere else than at the root, with another name.
        let files = dir.files().index("x");
        let server = spawn(move |request: Request<Body>| {
            let path = request.uri().path().strip_prefix("/files").unwrap();
            files.serve_path(path, &request)
        });
        let mut client = Client::of(&server);
        assert_eq!(
            get(&mut client, "/files").header("location"),
            Some("./files/")
        );
        assert_eq!(get(&mut client, "/files/").status, 404);
        assert_eq!(get(&mut client, "/files/odd/index.html/x").status, 200);
        let location = get(&mut client, "/files/odd/index.html");
        assert_eq!(location.header("location"), Some("./index.html/"));
    });
}

#[test]
fn directories_are_listed_if_that_is_wished() {
    in_tasklet(|| {
        let dir = Dir::new();
        dir.put("a/<b>&\"c\" %.txt", "");
        dir.put("a/.hidden", "");
        dir.put("a/sub/index.html", "the sub");
        dir.put("a/javascript:alert(1)", "");
        let server = serve(dir.files().listing(true));
        let mut client = Client::of(&server);
        let page = get(&mut client, "/a/");
        assert_eq!(page.status, 200);
        assert_eq!(
            page.header("content-type"),
            Some("text/html; charset=utf-8")
        );
        assert_eq!(
            page.text(),
            "<!DOCTYPE html>\n<meta charset=\"utf-8\">\n<title>/a/</title>\n<ul>\n\
             <li><a href=\"../\">../</a>\n\
             <li><a href=\"./%3Cb%3E%26%22c%22%20%25.txt\">&lt;b&gt;&amp;&quot;c&quot; %.txt</a>\n\
             <li><a href=\"./javascript%3Aalert%281%29\">javascript:alert(1)</a>\n\
             <li><a href=\"./sub/\">sub/</a>\n\
             </ul>\n"
        );
        assert_eq!(
            get(&mut client, "/a/%3Cb%3E%26%22c%22%20%25.txt").status,
            200
        );
        assert_eq!(get(&mut client, "/a/sub/").text(), "the sub");
        assert_eq!(get(&mut client, "/a").status, 301);
        let head = ask(&mut client, "HEAD", "/a/", &[]);
        assert_eq!(head.header("content-length"), page.header("content-length"));
    });
}

#[test]
fn files_are_read_and_nothing_else() {
    in_tasklet(|| {
        let dir = Dir::new();
        dir.put("file", "file");
        let server = serve(dir.files());
        let mut client = Client::of(&server);
        for method in [
            "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "PROPFIND", "get",
        ] {
            for target in ["/file", "/nothing"] {
                let answer = ask(&mut client, method, target, &[]);
                assert_eq!(answer.status, 405, "{method}");
                assert_eq!(answer.header("allow"), Some("GET, HEAD"));
            }
        }
        assert_eq!(get(&mut client, "/file").text(), "file");
    });
}

#[test]
fn conditions_are_kept() {
    in_tasklet(|| {
        let dir = Dir::new();
        let path = dir.put("file", "0123456789");
        let control = HeaderValue::from_static("max-age=60");
        let server = serve(dir.files().cache_control(control));
        let mut client = Client::of(&server);
        let first = get(&mut client, "/file");
        assert_eq!(first.header("cache-control"), Some("max-age=60"));
        let tag = first.header("etag").unwrap().to_owned();
        let weak = format!("W/{tag}");
        let list = format!("\"x\", {tag}");

        for (headers, status) in [
            (&[("If-None-Match", &*tag)][..], 304),
            (&[("If-None-Match", &*weak)], 304),
            (&[("If-None-Match", &*list)], 304),
            (&[("If-None-Match", "*")], 304),
            (&[("If-None-Match", "\"x\"")], 200),
            (
                &[("If-None-Match", "\"x\""), ("If-Modified-Since", DATE)],
                200,
            ),
            (&[("If-Modified-Since", DATE)], 304),
            (
                &[("If-Modified-Since", "Sun, 09 Sep 2001 01:46:39 GMT")],
                200,
            ),
            (&[("If-Match", &*tag)], 200),
            (&[("If-Match", &*weak)], 412),
            (&[("If-Match", "\"x\"")], 412),
            (&[("If-Unmodified-Since", DATE)], 200),
            (
                &[("If-Unmodified-Since", "Sun, 09 Sep 2001 01:46:39 GMT")],
                412,
            ),
            (&[("Range", "bytes=2-4"), ("If-Range", &*tag)], 206),
            (&[("Range", "bytes=2-4"), ("If-Range", &*weak)], 200),
            (&[("Range", "bytes=2-4"), ("If-Range", "\"x\"")], 200),
            (&[("Range", "bytes=2-4"), ("If-Range", DATE)], 206),
            (&[("Range", "bytes=20-40"), ("If-Range", "\"x\"")], 200),
            (&[("Range", "bytes=20-40"), ("If-None-Match", &*tag)], 304),
            (&[("Range", "bytes=20-40"), ("If-Match", "\"x\"")], 412),
            (&[("Range", "bytes=2-4"), ("If-Match", &*tag)], 206),
        ] {
            let answer = ask(&mut client, "GET", "/file", headers);
            assert_eq!(answer.status, status, "{headers:?}");
            match status {
                200 => assert_eq!(answer.text(), "0123456789"),
                206 => assert_eq!(answer.text(), "234"),
                304 => {
                    assert_eq!(answer.header("etag"), Some(&*tag));
                    assert_eq!(answer.header("cache-control"), Some("max-age=60"));
                    for name in ["last-modified", "content-type", "content-length"] {
                        assert_eq!(answer.header(name), None, "{name}");
                    }
                }
                _ => {}
            }
            let head = ask(&mut client, "HEAD", "/file", headers);
            let expected = if status == 206 { 200 } else { status };
            assert_eq!(head.status, expected, "{headers:?}");
        }
        // What is not there, or is elsewhere, has no conditions.
        let headers = [("If-None-Match", "*"), ("If-Match", "\"x\"")];
        assert_eq!(ask(&mut client, "GET", "/nothing", &headers).status, 404);

        // Whatever changes, the tag does.
        let mut tags = vec![tag];
        let mut changed = |what: &str| {
            let tag = get(&mut client, "/file").header("etag").unwrap().to_owned();
            assert!(!tags.contains(&tag), "{what}: {tag}");
            tags.push(tag);
        };
        set_time(&path, 1_000_000_001);
        changed("the time");
        fs::write(&path, "0123456789!").unwrap();
        set_time(&path, 1_000_000_001);
        changed("the length");
        let other = dir.put("other", "0123456789!");
        set_time(&other, 1_000_000_001);
        fs::rename(&other, &path).unwrap();
        changed("the file");
        // This may not have been the last change of its instant.
        fs::write(&path, "9876543210").unwrap();
        changed("the content");
        assert!(tags.last().unwrap().starts_with("W/"), "{tags:?}");
    });
}

#[test]
fn parts_are_served() {
    in_tasklet(|| {
        let dir = Dir::new();
        let content = noise(1_000_000);
        dir.put("noise.png", &content);
        dir.put("empty", "");
        let server = serve(dir.files());
        let mut client = Client::of(&server);
        let mut range =
            |target: &str, range: &str| ask(&mut client, "GET", target, &[("Range", range)]);
        for (asked, part) in [
            ("bytes=0-0", 0..1),
            ("bytes=0-", 0..1_000_000),
            ("bytes=10-99", 10..100),
            ("bytes=999999-", 999_999..1_000_000),
            ("bytes=-1", 999_999..1_000_000),
            ("bytes=-9000000", 0..1_000_000),
            ("bytes=500000-9000000", 500_000..1_000_000),
            ("bytes=0-99, 50-199", 0..200),
        ] {
            let answer = range("/noise.png", asked);
            assert_eq!(answer.status, 206, "{asked}");
            let said = format!("bytes {}-{}/1000000", part.start, part.end - 1);
            assert_eq!(answer.header("content-range"), Some(&*said));
            assert_eq!(answer.header("content-type"), Some("image/png"));
            assert!(answer.body == content[part], "{asked}");
        }
        for asked in ["bytes=1000000-", "bytes=-0", "bytes=2000000-3000000"] {
            let answer = range("/noise.png", asked);
            assert_eq!(answer.status, 416, "{asked}");
            assert_eq!(answer.header("content-range"), Some("bytes */1000000"));
        }
        assert_eq!(
            range("/empty", "bytes=0-").header("content-range"),
            Some("bytes */0")
        );
        assert_eq!(range("/empty", "bytes=-5").status, 200);
        let many: Vec<_> = (0..1000).map(|i| format!("{}-", i * 500)).collect();
        let many = format!("bytes={}", many.join(","));
        for asked in ["bytes=5-4", "lines=1-2", "bytes=x", &many] {
            let answer = range("/noise.png", asked);
            assert_eq!(
                (answer.status, answer.body.len()),
                (200, 1_000_000),
                "{asked}"
            );
            assert_eq!(answer.header("content-range"), None);
        }

        // Several, of which one is large.
        let answer = range("/noise.png", "bytes=-10,0-9,100000-899999");
        assert_eq!(answer.status, 206);
        assert_eq!(answer.header("content-range"), None);
        let content_type = answer.header("content-type").unwrap();
        let boundary = content_type
            .strip_prefix("multipart/byteranges; boundary=")
            .unwrap();
        let mut expected = Vec::new();
        for part in [999_990..1_000_000, 0..10, 100_000..900_000] {
            let line = if expected.is_empty() { "" } else { "\r\n" };
            write!(
                expected,
                "{line}--{boundary}\r\ncontent-type: image/png\r\ncontent-range: bytes {}-{}/1000000\r\n\r\n",
                part.start,
                part.end - 1
            )
            .unwrap();
            expected.extend_from_slice(&content[part]);
        }
        write!(expected, "\r\n--{boundary}--\r\n").unwrap();
        assert!(
            answer.body == expected,
            "{}",
            String::from_utf8_lossy(&answer.body[..300])
        );
        let twice = [("Range", "bytes=0-0"), ("Range", "bytes=1-1")];
        assert_eq!(ask(&mut client, "GET", "/noise.png", &twice).status, 200);
    });
}

#[test]
fn compressed_forms_are_sent_to_those_who_take_them() {
    in_tasklet(|| {
        let dir = Dir::new();
        dir.put("page.html", "plain");
        dir.put("page.html.gz", "gzip!");
        dir.put("page.html.br", "brotli");
        dir.put("old.css", "plain");
        let old = dir.put("old.css.gz", "old");
        set_time(&old, 999_999_999);
        dir.put("only.js.gz", "only");
        fs::create_dir(dir.0.join("old.css.br")).unwrap();
        let server = serve(dir.files().precompressed(true));
        let mut client = Client::of(&server);
        let mut tags = Vec::new();
        for (target, accept, text, coding) in [
            ("/page.html", "", "plain", None),
            ("/page.html", "gzip, br", "brotli", Some("br")),
            ("/page.html", "gzip", "gzip!", Some("gzip")),
            (
                "/page.html",
                "br;q=0.1, gzip, identity;q=0",
                "gzip!",
                Some("gzip"),
            ),
            ("/page.html", "br;q=0", "plain", None),
            ("/old.css", "gzip, br", "plain", None),
        ] {
            let answer = ask(&mut client, "GET", target, &[("Accept-Encoding", accept)]);
            assert_eq!((answer.status, answer.text()), (200, text), "{accept}");
            assert_eq!(answer.header("content-encoding"), coding);
            assert_eq!(answer.header("vary"), Some("accept-encoding"));
            let content_type = answer.header("content-type").unwrap();
            assert!(content_type.starts_with("text/"), "{content_type}");
            tags.push(answer.header("etag").unwrap().to_owned());
        }
        assert!(tags[0] != tags[1] && tags[1] != tags[2] && tags[0] != tags[2]);
        let headers = [("Accept-Encoding", "gzip"), ("If-None-Match", &*tags[2])];
        let answer = ask(&mut client, "GET", "/page.html", &headers);
        assert_eq!(answer.status, 304);
        assert_eq!(answer.header("vary"), Some("accept-encoding"));
        let headers = [("Accept-Encoding", "gzip"), ("Range", "bytes=1-2")];
        let answer = ask(&mut client, "GET", "/page.html", &headers);
        assert_eq!((answer.status, answer.text()), (206, "zi"));
        assert_eq!(answer.header("content-encoding"), Some("gzip"));
        let headers = [("Accept-Encoding", "gzip")];
        assert_eq!(ask(&mut client, "GET", "/only.js", &headers).status, 404);
    });
}

#[test]
fn what_becomes_shorter_while_it_is_sent_ends_the_connection() {
    in_tasklet(|| {
        keep_log();
        let dir = Dir::new();
        let path = dir.put("file", vec![b'x'; 64 * 1024 * 1024]);
        let server = serve(dir.files());
        let mut client = Client::of(&server);
        client.send([web::get("/file"), web::get("/next")].concat());
        assert!(client.head().contains("content-length: 67108864\r\n"));
        // More than the sockets hold is not on its way yet.
        File::options()
            .write(true)
            .open(&path)
            .unwrap()
            .set_len(32 * 1024 * 1024)
            .unwrap();
        let mut body = Vec::new();
        match client.0.read_to_end(&mut body) {
            Ok(_) => {}
            Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
        }
        assert!(body.len() <= 32 * 1024 * 1024 && body.iter().all(|&byte| byte == b'x'));
        eventually("the connection has gone", || server.connections() == 0);
        let said = logged(&["a body is shorter than its length says", "67108864"]);
        assert_eq!(said.len(), 1, "{said:?}");
    });
}

#[test]
fn of_what_grows_as_much_is_sent_as_was_announced() {
    in_tasklet(|| {
        let dir = Dir::new();
        let path = dir.put("file", vec![b'x'; 16 * 1024 * 1024]);
        let server = serve(dir.files());
        let mut client = Client::of(&server);
        client.send([web::get("/file"), web::get("/nothing")].concat());
        let head = client.head();
        assert!(head.contains("content-length: 16777216\r\n"), "{head}");
        let mut file = File::options().append(true).open(&path).unwrap();
        file.write_all(&[b'y'; 100_000]).unwrap();
        let mut body = vec![0; 16 * 1024 * 1024];
        client.0.read_exact(&mut body).unwrap();
        assert!(body.iter().all(|&byte| byte == b'x'));
        assert_eq!(answer(&mut client, "GET").status, 404);
        assert_eq!(
            get(&mut client, "/file").body.len(),
            16 * 1024 * 1024 + 100_000
        );
    });
}

#[test]
fn who_does_not_read_is_dropped_and_holds_nobody_up() {
    in_tasklet(|| {
        let dir = Dir::new();
        dir.put("large", vec![b'x'; 64 * 1024 * 1024]);
        dir.put("small", "small");
        let files = dir.files();
        let limits =
            Limits::default().with(|limits| limits.write_time = Duration::from_millis(300));
        let server = HttpServer::bind("127.0.0.1:0").unwrap().limits(limits);
        let server = server.spawn(move |request: Request<Body>| files.serve(&request));
        let server = Running(server.unwrap());
        let mut slow = Client::of(&server);
        slow.send(web::get("/large"));
        assert!(slow.head().starts_with("HTTP/1.1 200 OK\r\n"));
        let mut client = Client::of(&server);
        assert_eq!(get(&mut client, "/small").text(), "small");
        assert_eq!(server.connections(), 2);
        let mut served = 0;
        while server.connections() == 2 {
            assert_eq!(get(&mut client, "/small").text(), "small");
            served += 1;
        }
        assert!(served > 1, "{served}");
        assert_eq!(server.connections(), 1);
    });
}

/// How many descriptors this process has of a file.
fn descriptors(path: &Path) -> usize {
    let all = fs::read_dir("/proc/self/fd").unwrap();
    let links = all.filter_map(|fd| fs::read_link(fd.ok()?.path()).ok());
    links.filter(|link| link == path).count()
}

#[test]
fn a_file_that_is_being_sent_does_not_outlive_its_server() {
    in_tasklet(|| {
        let dir = Dir::new();
        let path = dir.put("file", vec![b'x'; 64 * 1024 * 1024]);
        let server = serve(dir.files());
        let mut client = Client::of(&server);
        client.send(web::get("/file"));
        assert!(client.head().starts_with("HTTP/1.1 200 OK\r\n"));
        assert_eq!(descriptors(&path), 1);
        // The client does not read, so that it would never end.
        let _ = server.shutdown(Duration::from_millis(100));
        eventually("the file is closed", || descriptors(&path) == 0);
        let mut body = Vec::new();
        match client.0.read_to_end(&mut body) {
            Ok(_) => {}
            Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
        }
        assert!(body.len() < 64 * 1024 * 1024);
        // Nor one whose client has gone.
        let server = serve(dir.files());
        let mut client = Client::of(&server);
        client.send(web::get("/file"));
        client.head();
        drop(client);
        eventually("the file is closed", || descriptors(&path) == 0);
    });
}

#[test]
fn parts_of_files_are_bodies() {
    in_tasklet(|| {
        let dir = Dir::new();
        let content = noise(200_000);
        let path = dir.put("file", &content);
        let body = move |request: Request<Body>| {
            let file = File::open(&path).unwrap();
            let mut response = match request.uri().path() {
                "/part" => Response::new(Body::file(file, 1000, 100_000)),
                "/cut" | "/small" => Response::new(Body::file(file, 1000, 100_000)),
                // Its place is behind the end.
                _ => Response::new(Body::file(file, 199_990, 100)),
            };
            let length = match request.uri().path() {
                "/cut" => Some("50000"),
                "/small" => Some("5"),
                _ => None,
            };
            if let Some(length) = length {
                let length = HeaderValue::from_static(length);
                response.headers_mut().insert("content-length", length);
            }
            response
        };
        let server = spawn(body.clone());
        let mut client = Client::of(&server);
        assert!(get(&mut client, "/part").body == content[1000..101_000]);
        assert!(get(&mut client, "/cut").body == content[1000..51_000]);
        assert!(get(&mut client, "/small").body == content[1000..1005]);
        client.send(web::get("/short"));
        assert!(client.head().contains("content-length: 100\r\n"));
        let mut rest = Vec::new();
        client.0.read_to_end(&mut rest).unwrap();
        assert!(rest == content[199_990..]);

        // And can be read as any other.
        let request = |path: &str| Request::get(path).body(Body::empty()).unwrap();
        let read = |path: &str| body(request(path)).into_body().into_bytes().unwrap();
        assert!(read("/part") == content[1000..101_000]);
        assert!(read("/short") == content[199_990..]);
    });
}

#[test]
fn curl_goes_on_where_it_left_off() {
    in_tasklet(|| {
        let dir = Dir::new();
        let content = noise(500_000);
        dir.put("file", &content);
        let server = serve(dir.files());
        let url = format!("http://{}/file", server.local_addr());
        let target = dir.0.join("copy");
        fs::write(&target, &content[..123_456]).unwrap();
        let output = target.clone();
        let ended = block_on_thread(move || {
            let mut curl = Command::new("curl");
            curl.args(["-sS", "-C", "-", "-o"]).arg(output).arg(url);
            curl.output()
                .expect("`curl` is missing: apt-get install curl")
        });
        assert!(ended.status.success(), "{ended:?}");
        assert!(fs::read(target).unwrap() == content);
    });
}

#[cfg(feature = "tls")]
#[test]
fn what_is_encrypted_is_read_first() {
    in_tasklet(|| {
        let dir = Dir::new();
        let content = noise(1_000_000);
        dir.put("file", &content);
        let identity = certificates::Authority::new("files").identity(&["localhost"]);
        let tls = actor_net::tls::ServerTls::new(identity).unwrap();
        let files = dir.files();
        let server = HttpServer::bind("127.0.0.1:0").unwrap().tls(tls);
        let server = server.spawn(move |request: Request<Body>| files.serve(&request));
        let server = Running(server.unwrap());
        let url = format!("https://{}/file", server.local_addr());
        let curl = move |args: &'static [&str]| {
            let mut curl = Command::new("curl");
            curl.args(["-sSk"]).args(args).arg(&url);
            let ended = block_on_thread(move || curl.output().expect("`curl` is installed"));
            assert!(ended.status.success(), "{ended:?}");
            ended.stdout
        };
        assert!(curl(&[]) == content);
        assert!(curl(&["-r", "5-600000"]) == content[5..600_001]);
        let parts = curl(&["-r", "0-9,500000-999999"]);
        assert!(
            parts.len() > 500_010
                && parts
                    .windows(1000)
                    .any(|part| *part == content[500_000..501_000])
        );
    });
}
