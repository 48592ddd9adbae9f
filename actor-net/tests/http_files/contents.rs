//! What is in a file: all of it, parts of it, compressed, or nothing new.

use super::*;

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
