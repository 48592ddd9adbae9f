//! What can be reached, and what directories answer.

use super::*;

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
