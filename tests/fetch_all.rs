//! The example that fetches many URLs, with our server and with Python's.

mod common;

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use common::{Program, example};
use concurrence::net::http::{Body, HttpServer, Request};
use concurrence::{Tasklet, block_on_thread, dispatch};

fn run(args: &[String]) -> (Option<i32>, String) {
    let mut command = example("fetch_all");
    for name in [
        "http_proxy",
        "https_proxy",
        "all_proxy",
        "HTTPS_PROXY",
        "ALL_PROXY",
    ] {
        command.env_remove(name);
    }
    let ended = Program::start(command.args(args)).ended();
    (ended.code(), ended.stdout)
}

/// The lines but for the last, without their times, in order.
fn outcomes(said: &str) -> Vec<String> {
    let mut lines: Vec<_> = said
        .lines()
        .map(|line| {
            let words: Vec<_> = line.split_whitespace().collect();
            format!("{} {} {}", words[0], words[1], words.last().unwrap())
        })
        .collect();
    lines.pop();
    lines.sort();
    lines
}

#[test]
fn many_urls_come_from_our_server_a_few_at_a_time() {
    let code = dispatch(|| {
        let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let seen = Arc::clone(&most);
        let handler = move |request: Request<Body>| {
            most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            // Others come meanwhile, if they do.
            Tasklet::sleep(Duration::from_millis(2));
            now.fetch_sub(1, Ordering::SeqCst);
            "x".repeat(request.uri().path().len())
        };
        let server = HttpServer::bind("127.0.0.1:0")
            .unwrap()
            .spawn(handler)
            .unwrap();
        let url = |i: usize| format!("http://{}/{i:03}", server.local_addr());
        let mut args = vec!["-n".to_owned(), "4".to_owned()];
        args.extend((0..100).map(url));
        let (code, said) = block_on_thread(move || run(&args));
        let expected: Vec<_> = (0..100).map(|i| format!("200 4 {}", url(i))).collect();
        assert_eq!(outcomes(&said), expected);
        assert!(said.contains("\n100 fetched, 0 not, 400 B in "), "{said}");
        assert_eq!(code, Some(0));
        let seen = seen.load(Ordering::SeqCst);
        assert!((2..=4).contains(&seen), "{seen} at once");
        server.tasklet().stop();
    });
    assert_eq!(code, std::process::ExitCode::SUCCESS);
}

/// Ended with its test.
struct Python(Child);

impl Drop for Python {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn urls_from_a_file_come_from_pythons_server_or_do_not() {
    let dir = std::env::temp_dir().join(format!("fetch-all-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::write(dir.join("there"), "hello\n").unwrap();
    let mut command = Command::new("python3");
    command.args(["-u", "-m", "http.server", "--bind", "127.0.0.1", "0"]);
    command
        .current_dir(&dir)
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut python = Python(command.spawn().unwrap());
    let mut said = String::new();
    let mut stdout = BufReader::new(python.0.stdout.take().unwrap());
    stdout.read_line(&mut said).unwrap();
    // It says `Serving HTTP on 127.0.0.1 port 12345 (http://127.0.0.1:12345/) ...`.
    let at = said.split(['(', ')']).nth(1).expect(&said).to_owned();
    // It has the port, so that nobody else listens there, and does not listen either.
    let holder = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    holder
        .bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into())
        .unwrap();
    let dead = holder.local_addr().unwrap().as_socket().unwrap();
    let list = dir.join("list");
    let mut file = std::fs::File::create(&list).unwrap();
    writeln!(
        file,
        "# what there is\n{at}there\n\n{at}missing\nhttp://{dead}/"
    )
    .unwrap();
    let (code, said) = run(&["-f".to_owned(), list.to_str().unwrap().to_owned()]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains(" B ") && said.contains("--- "), "{said}");
    assert!(
        said.lines()
            .any(|line| line.starts_with("200          6 B ")),
        "{said}"
    );
    assert!(said.lines().any(|line| line.starts_with("404 ")), "{said}");
    let failed = said.lines().find(|line| line.starts_with("---")).unwrap();
    assert!(
        failed.contains("not sent") && failed.contains("refused"),
        "{failed}"
    );
    assert!(said.contains("\n2 fetched, 1 not, "), "{said}");
    drop(python);
    std::fs::remove_dir_all(dir).unwrap();
}
