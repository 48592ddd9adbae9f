//! How the connections of an HTTP server share their worker: who waits for whom, and what becomes of the others
//! when a handler waits, panics or is killed. All of it on one worker.

#![cfg(feature = "http")]

mod common;
#[path = "common/http.rs"]
mod http;

use std::cell::Cell;
use std::collections::HashMap;
use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actor_core::sync::Event;
use actor_core::{Runtime, Tasklet, tasklet_local};
use actor_net::ServerHandle;
use actor_net::http::{Body, HttpServer, IntoResponse, Limits, Request, Response};
use common::{PATIENCE, eventually};
use http::{Client, Running, get, spawn};

fn on_one_worker(test: impl FnOnce() + Send + 'static) {
    let code = Runtime::builder().workers(1).dispatch(test);
    assert_eq!(code, ExitCode::SUCCESS, "see above");
}

/// Doors, by their paths, at which handlers wait.
#[derive(Clone, Default)]
struct Doors(Arc<Mutex<HashMap<String, Arc<Event>>>>);

impl Doors {
    fn at(&self, path: &str) -> Arc<Event> {
        let mut doors = self.0.lock().unwrap();
        doors.entry(path.to_owned()).or_default().clone()
    }

    /// A server whose handlers for `/wait...` say so at `/wait.../begun`, and wait for their doors.
    fn serve(&self) -> Running {
        let doors = self.clone();
        spawn(move |request: Request<Body>| {
            let path = request.uri().path().to_owned();
            if path.starts_with("/wait") {
                doors.at(&format!("{path}/begun")).set();
                doors.at(&path).wait();
            }
            assert!(!path.starts_with("/panic"), "as it is to");
            path
        })
    }
}

#[test]
fn a_finished_answer_does_not_wait_for_a_slow_one() {
    on_one_worker(|| {
        let doors = Doors::default();
        let server = doors.serve();
        let mut client = Client::of(&server);
        let pipeline = ["/1", "/2", "/wait-a", "/3", "/wait-b", "/4"];
        client.send(pipeline.map(get).concat());
        assert_eq!([client.body(), client.body()], ["/1", "/2"]);
        doors.at("/wait-a").set();
        assert_eq!([client.body(), client.body()], ["/wait-a", "/3"]);
        doors.at("/wait-b").set();
        assert_eq!([client.body(), client.body()], ["/wait-b", "/4"]);
        // And the connection goes on.
        client.send(get("/5"));
        assert_eq!(client.body(), "/5");
    });
}

#[test]
fn a_thousand_handlers_wait_at_once() {
    on_one_worker(|| {
        let doors = Doors::default();
        let server = doors.serve();
        let path = |i| format!("/wait-{i}");
        let mut clients: Vec<_> = (0..1000).map(|_| Client::of(&server)).collect();
        for (i, client) in clients.iter_mut().enumerate() {
            client.send(get(&path(i)));
        }
        for i in 0..clients.len() {
            doors.at(&format!("{}/begun", path(i))).wait();
        }
        let mut other = Client::of(&server);
        other.send(get("/"));
        assert_eq!(other.body(), "/");
        // The last first.
        for (i, client) in clients.iter_mut().enumerate().rev() {
            doors.at(&path(i)).set();
            assert_eq!(client.body(), path(i));
            client.send(get("/again"));
        }
        for client in &mut clients {
            assert_eq!(client.body(), "/again");
        }
    });
}

#[test]
fn a_panic_in_the_middle_leaves_the_others_served() {
    on_one_worker(|| {
        let doors = Doors::default();
        let server = doors.serve();
        let mut waiting = Client::of(&server);
        waiting.send([get("/wait"), get("/after")].concat());
        doors.at("/wait/begun").wait();
        for _ in 0..100 {
            let (mut before, mut client, mut after) = (
                Client::of(&server),
                Client::of(&server),
                Client::of(&server),
            );
            before.send(get("/before"));
            client.send([get("/1"), get("/panic"), get("/2")].concat());
            after.send(get("/after"));
            assert_eq!([before.body(), after.body()], ["/before", "/after"]);
            assert_eq!(client.body(), "/1");
            let rest = client.rest();
            assert!(
                rest.starts_with("HTTP/1.1 500 Internal Server Error\r\n"),
                "{rest}"
            );
            assert!(rest.contains("connection: close"), "{rest}");
        }
        doors.at("/wait").set();
        assert_eq!([waiting.body(), waiting.body()], ["/wait", "/after"]);
        eventually("one is left", || server.connections() == 1);
    });
}

#[test]
fn a_panic_after_a_wait_is_answered_for() {
    on_one_worker(|| {
        let server = spawn(|_: Request<Body>| -> &'static str {
            Tasklet::yield_now();
            panic!("as it is to")
        });
        for _ in 0..10 {
            let mut client = Client::of(&server);
            client.send(get("/"));
            assert!(client.rest().starts_with("HTTP/1.1 500 "));
        }
    });
}

#[test]
fn a_kill_ends_those_it_concerns_and_nobody_else() {
    on_one_worker(|| {
        let (doors, others) = (Doors::default(), Doors::default());
        let (server, other) = (doors.serve(), others.serve());
        let mut clients: Vec<_> = (0..20).map(|_| Client::of(&server)).collect();
        let mut spared = Client::of(&other);
        spared.send(get("/wait"));
        others.at("/wait/begun").wait();
        for (i, client) in clients.iter_mut().enumerate() {
            match i % 2 {
                0 => client.send([get("/1"), get(&format!("/wait-{i}")), get("/2")].concat()),
                _ => client.send(get("/idle")),
            }
        }
        for (i, client) in clients.iter_mut().enumerate() {
            let path = client.body();
            match i % 2 {
                0 => doors.at(&format!("/wait-{i}/begun")).wait(),
                _ => assert_eq!(path, "/idle"),
            }
        }
        server.shutdown(Duration::from_millis(1)).unwrap();
        assert_eq!(server.connections(), 0);
        for client in &mut clients {
            let mut rest = String::new();
            match io::Read::read_to_string(&mut client.0, &mut rest) {
                Ok(_) => assert_eq!(rest, ""),
                Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
            }
        }
        others.at("/wait").set();
        assert_eq!(spared.body(), "/wait");
        spared.send(get("/"));
        assert_eq!(spared.body(), "/");
    });
}

#[test]
fn handlers_see_that_the_server_is_to_end() {
    on_one_worker(|| {
        let begun = Arc::new(Event::new());
        let server = spawn({
            let begun = begun.clone();
            move |request: Request<Body>| {
                if request.uri().path() == "/wait" {
                    begun.set();
                    while !Tasklet::is_stopping() {
                        Tasklet::sleep(Duration::from_millis(1));
                    }
                }
                "seen"
            }
        });
        let (mut idle, mut busy) = (Client::of(&server), Client::of(&server));
        idle.send(get("/"));
        assert_eq!(idle.body(), "seen");
        busy.send([get("/wait"), get("/")].concat());
        begun.wait();
        server.shutdown(PATIENCE).unwrap();
        assert_eq!(idle.rest(), "");
        let rest = busy.rest();
        assert!(rest.contains("connection: close"), "{rest}");
        assert_eq!(rest.matches("seen").count(), 1, "{rest}");
    });
}

tasklet_local! {
    static VISITS: Cell<u32> = Cell::new(0);
}

#[test]
fn requests_have_nothing_to_do_with_each_other() {
    on_one_worker(|| {
        let spawned = Arc::new(Mutex::new(Vec::new()));
        let server = spawn({
            let spawned = spawned.clone();
            move |request: Request<Body>| {
                let job = Tasklet::spawn(|| Tasklet::receive().for_each(drop));
                spawned.lock().unwrap().push(job);
                let before = VISITS.with(|visits| visits.replace(visits.get() + 1));
                assert_ne!(request.uri().path(), "/panic", "as it is to");
                before.to_string()
            }
        });
        for _ in 0..3 {
            let mut client = Client::of(&server);
            client.send([get("/"), get("/"), get("/panic")].concat());
            assert_eq!([client.body(), client.body()], ["0", "0"]);
            assert!(client.rest().starts_with("HTTP/1.1 500 "));
        }
        server.shutdown(PATIENCE).unwrap();
        let jobs = std::mem::take(&mut *spawned.lock().unwrap());
        assert_eq!(jobs.len(), 9);
        for job in jobs {
            assert!(job.is_alive());
            job.stop();
            job.join().unwrap();
        }
    });
}

/// Asks again and again until the server says that it was the last time, or ends; answers have to be whole.
fn ask_until_the_end(server: &ServerHandle, answers: &AtomicUsize) {
    let mut client = Client::of(server);
    loop {
        let asked = client.0.write_all(get("/hello").as_bytes());
        let mut all = Vec::new();
        let mut buf = [0; 1024];
        let head = loop {
            match io::Read::read(&mut client.0, &mut buf) {
                Ok(0) => break None,
                Ok(count) => all.extend_from_slice(&buf[..count]),
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
                    break None;
                }
            }
            if all.ends_with(b"\r\n\r\n/hello") {
                break String::from_utf8(all.clone()).ok();
            }
        };
        let Some(head) = head else {
            assert_eq!(all, b"", "no answer is cut");
            return;
        };
        asked.unwrap();
        answers.fetch_add(1, SeqCst);
        if head.contains("connection: close") {
            assert_eq!(client.rest(), "");
            return;
        }
    }
}

#[test]
fn a_shutdown_under_load_cuts_no_answer() {
    on_one_worker(|| {
        for round in 0..5 {
            let server = spawn(move |request: Request<Body>| {
                if round % 2 == 1 {
                    Tasklet::yield_now();
                }
                request.uri().path().to_owned()
            });
            let server = Arc::new(server);
            let answers = Arc::new(AtomicUsize::new(0));
            let clients: Vec<_> = (0..50)
                .map(|_| {
                    let (server, answers) = (server.clone(), answers.clone());
                    Tasklet::spawn(move || ask_until_the_end(&server, &answers))
                })
                .collect();
            eventually("there is load", || answers.load(SeqCst) > 500);
            server.shutdown(PATIENCE).unwrap();
            for client in clients {
                client.join().unwrap();
            }
            assert_eq!(server.connections(), 0);
        }
    });
}

#[test]
fn nobody_starves_beside_one_who_asks_without_end() {
    on_one_worker(|| {
        let floods = Arc::new(AtomicUsize::new(0));
        let server = spawn({
            let floods = floods.clone();
            move |request: Request<Body>| {
                if request.uri().path() == "/flood" {
                    floods.fetch_add(1, SeqCst);
                }
                "served"
            }
        });
        let (mut flood, over) = (Client::of(&server), Arc::new(AtomicBool::new(false)));
        let mut input = flood.0.try_clone().unwrap();
        let drain = Tasklet::spawn(move || io::copy(&mut input, &mut io::sink()));
        let writer = Tasklet::spawn({
            let over = over.clone();
            move || {
                let batch = get("/flood").repeat(16 * 100);
                while !over.load(SeqCst) {
                    flood.send(&batch);
                }
                flood.0.shutdown(std::net::Shutdown::Write).unwrap();
            }
        });
        eventually("there is a flood", || floods.load(SeqCst) > 1000);
        let mut other = Client::of(&server);
        for _ in 0..20 {
            let before = floods.load(SeqCst);
            other.send(get("/"));
            assert_eq!(other.body(), "served");
            let meanwhile = floods.load(SeqCst) - before;
            // A few turns of the other: what was under way, what the next poll found, and one while the answer
            // was on its way.
            assert!(meanwhile <= 8 * 64, "{meanwhile} others came first");
        }
        over.store(true, SeqCst);
        writer.join().unwrap();
        drain.join().unwrap().unwrap();
    });
}

/// A head that grows all the time, and is never complete.
#[test]
fn a_head_that_keeps_coming_is_given_up() {
    let server = |head_time| {
        let server = HttpServer::bind("127.0.0.1:0").unwrap();
        let limits = Limits::default().with(|limits| limits.head_time = head_time);
        let server = server.limits(limits);
        Running(server.spawn(|_: Request<Body>| "well").unwrap())
    };
    on_one_worker(move || {
        let strict = server(Duration::from_millis(100));
        let mut slow = Client::of(&strict);
        // A request before does not count.
        slow.send(get("/"));
        assert_eq!(slow.body(), "well");
        let mut output = slow.0.try_clone().unwrap();
        let trickle = Tasklet::spawn(move || {
            let _ = output.write_all(b"GET /");
            while output.write_all(b"x").is_ok() {
                Tasklet::sleep(Duration::from_millis(5));
            }
        });
        let head = slow.head();
        assert!(head.starts_with("HTTP/1.1 408 "), "{head}");
        assert!(head.contains("connection: close"), "{head}");
        trickle.join().unwrap();
        // One that is only slow is not.
        let patient = server(Duration::from_secs(20));
        let mut client = Client::of(&patient);
        for byte in get("/").bytes() {
            client.send([byte]);
            Tasklet::yield_now();
        }
        assert_eq!(client.body(), "well");
    });
}

#[test]
fn each_head_has_its_own_time() {
    on_one_worker(|| {
        let server = HttpServer::bind("127.0.0.1:0").unwrap();
        let limits = Limits::default().with(|limits| limits.head_time = Duration::from_secs(1));
        let server = Running(
            server
                .limits(limits)
                .spawn(|_: Request<Body>| "well")
                .unwrap(),
        );
        let mut client = Client::of(&server);
        let request = get("/");
        let (begin, end) = request.split_at(9);
        client.send(begin);
        // There is always a head that is incomplete, for longer than one may take.
        for _ in 0..15 {
            Tasklet::sleep(Duration::from_millis(100));
            client.send([end, begin].concat());
            assert_eq!(client.body(), "well");
        }
    });
}

/// What a handler holds up is its own connection, also when the answer is what takes long.
#[test]
fn a_client_that_does_not_read_holds_nobody_up() {
    on_one_worker(|| {
        let server = spawn(|request: Request<Body>| match request.uri().path() {
            "/endless" => Response::new(Body::from_reader(io::repeat(b'x'))),
            _ => "served".into_response(),
        });
        let mut lazy: Vec<_> = (0..20).map(|_| Client::of(&server)).collect();
        for client in &mut lazy {
            client.send(get("/endless"));
            assert!(client.head().contains("chunked"));
        }
        let mut client = Client::of(&server);
        for _ in 0..100 {
            client.send(get("/"));
            assert_eq!(client.body(), "served");
        }
        server.shutdown(Duration::from_millis(1)).unwrap();
    });
}
