//! Answers that are written while they are sent, and server-sent events.

#![cfg(feature = "http")]

mod common;
#[path = "common/http.rs"]
mod web;

use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use actor_core::sync::Event as Signal;
use actor_core::{Tasklet, block_on_thread, timeout};
use actor_net::http::sse::{self, Event, Events};
use actor_net::http::{Body, BodyWriter, HttpServer, Limits, Request, Response};
use common::{PATIENCE, eventually, in_tasklet};
use parking_lot::Mutex;
use web::{Client, Running, get, spawn};

/// A server that gives what writes its answers to the test.
fn given<T: Send + 'static>(
    make: impl Fn() -> (T, Response<Body>) + Send + Sync + 'static,
) -> (Running, Receiver<T>) {
    let (sender, receiver): (Sender<T>, _) = channel();
    let sender = Mutex::new(sender);
    let server = spawn(move |request: Request<Body>| {
        if request.uri().path() == "/next" {
            return Response::new(Body::from("next"));
        }
        let (writer, response) = make();
        sender.lock().send(writer).unwrap();
        response
    });
    (server, receiver)
}

fn written(ahead: usize) -> (Running, Receiver<BodyWriter>) {
    given(move || {
        let (writer, body) = Body::channel_of(ahead);
        (writer, Response::new(body))
    })
}

/// What comes out of the channel, without holding the worker up.
fn next<T>(receiver: &Receiver<T>) -> T {
    let mut value = None;
    eventually("the request", || {
        value = receiver.try_recv().ok();
        value.is_some()
    });
    value.unwrap()
}

fn expect(client: &mut Client, bytes: &str) {
    let mut came = vec![0; bytes.len()];
    client.0.read_exact(&mut came).unwrap();
    assert_eq!(String::from_utf8(came).unwrap(), bytes);
}

#[test]
fn what_is_written_goes_out_at_once() {
    in_tasklet(|| {
        let (server, writers) = written(1000);
        let mut client = Client::of(&server);
        client.send([get("/"), get("/next")].concat());
        let mut writer = next(&writers);
        assert!(client.head().contains("transfer-encoding: chunked\r\n"));
        for text in ["hello", "world"] {
            writer.write_all(text.as_bytes()).unwrap();
            expect(&mut client, &format!("5\r\n{text}\r\n"));
        }
        writer.finish().unwrap();
        expect(&mut client, "0\r\n\r\n");
        // And the connection goes on.
        assert_eq!(client.body(), "next");

        // For those who know no chunks the end is the connection's.
        let mut client = Client::of(&server);
        client.send("GET / HTTP/1.0\r\n\r\n");
        let mut writer = next(&writers);
        assert!(client.head().contains("connection: close\r\n"));
        writer.write_all(b"hello").unwrap();
        expect(&mut client, "hello");
        writer.finish().unwrap();
        assert_eq!(client.rest(), "");
    });
}

#[test]
fn the_writer_waits_for_the_client() {
    in_tasklet(|| {
        let (server, writers) = written(10_000);
        let mut client = Client::of(&server);
        client.send(get("/"));
        let mut writer = next(&writers);
        client.head();
        let size = 64 * 1024 * 1024;
        let progress = Arc::new(Mutex::new(0));
        let count = progress.clone();
        let writing = Tasklet::spawn(move || -> io::Result<()> {
            let piece = [b'x'; 1000];
            while *count.lock() < size {
                writer.write_all(&piece)?;
                *count.lock() += piece.len();
            }
            writer.finish()
        });
        // It comes to a stop long before the end.
        let (mut last, mut same) = (0, 0);
        while same < 100 {
            Tasklet::sleep(Duration::from_millis(2));
            let now = *progress.lock();
            same = if now == last && now > 0 { same + 1 } else { 0 };
            last = now;
        }
        assert!(last < size / 2, "{last} bytes were written");
        // And goes on when somebody reads.
        let (mut chunks, mut piece) = (Vec::new(), vec![0; 1024 * 1024]);
        while !chunks.ends_with(b"\r\n0\r\n\r\n") {
            let count = client.0.read(&mut piece).unwrap();
            assert!(count > 0);
            chunks.extend_from_slice(&piece[..count]);
        }
        let count = chunks.iter().filter(|&&byte| byte == b'x').count();
        assert!(count >= size && count < size + 1000, "{count}");
        writing.join().unwrap().unwrap();
    });
}

#[test]
fn who_does_not_finish_leaves_something_missing() {
    in_tasklet(|| {
        let (server, writers) = written(1000);
        type Way = fn(BodyWriter);
        let ways: [Way; 4] = [
            BodyWriter::abort,
            drop,
            |writer| {
                let panics = Tasklet::spawn(move || {
                    let _writer = writer;
                    panic!("as it should");
                });
                assert!(panics.join().is_err());
            },
            |writer| {
                let (waits, go) = (Arc::new(Signal::new()), Signal::new());
                let at_it = waits.clone();
                let waiting = Tasklet::spawn(move || {
                    let _writer = writer;
                    at_it.set();
                    go.wait();
                });
                waits.wait();
                waiting.kill();
                assert!(waiting.join().is_err());
            },
        ];
        for way in ways {
            let mut client = Client::of(&server);
            client.send([get("/"), get("/next")].concat());
            let mut writer = next(&writers);
            client.head();
            writer.write_all(b"hello").unwrap();
            expect(&mut client, "5\r\nhello\r\n");
            way(writer);
            // Neither the last chunk nor the next answer.
            let mut rest = Vec::new();
            match client.0.read_to_end(&mut rest) {
                Ok(_) => {}
                Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
            }
            assert!(rest.is_empty(), "{rest:?}");
        }
        eventually("the connections have gone", || server.connections() == 0);
    });
}

#[test]
fn the_writer_is_told_when_the_client_has_gone() {
    in_tasklet(|| {
        let (server, writers) = written(1000);
        // One that waits for room.
        let mut client = Client::of(&server);
        client.send(get("/"));
        let mut writer = next(&writers);
        let writing = Tasklet::spawn(move || {
            loop {
                if let Err(error) = writer.write_all(&[b'x'; 1000]) {
                    return (error.kind(), writer.is_gone());
                }
            }
        });
        client.head();
        drop(client);
        assert_eq!(writing.join().unwrap(), (ErrorKind::BrokenPipe, true));

        // One that has nothing to say, of a client that says nothing but that it is gone.
        let mut client = Client::of(&server);
        client.send(get("/"));
        let writer = next(&writers);
        client.head();
        let (told, gone) = (Arc::new(Signal::new()), Arc::new(Signal::new()));
        let tell = told.clone();
        writer.when_gone(move || tell.set());
        let stream = std::net::TcpStream::try_from(client.0).unwrap();
        socket2::SockRef::from(&stream)
            .set_linger(Some(Duration::ZERO))
            .unwrap();
        drop(stream);
        told.wait_timeout(PATIENCE).unwrap();
        assert!(writer.is_gone());
        // Too late, but not too late to be told.
        let tell = gone.clone();
        writer.when_gone(move || tell.set());
        assert!(gone.is_set());
        assert_eq!(writer.finish().unwrap_err().kind(), ErrorKind::BrokenPipe);

        // Of a head alone there is nothing to write.
        let mut client = Client::of(&server);
        client.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
        let mut writer = next(&writers);
        client.head();
        eventually("nobody reads", || writer.is_gone());
        assert_eq!(
            writer.try_write(b"x").unwrap_err().kind(),
            ErrorKind::BrokenPipe
        );
        client.send(get("/next"));
        assert_eq!(client.body(), "next");
    });
}

#[test]
fn half_a_connection_is_enough_for_a_body() {
    in_tasklet(|| {
        let (server, writers) = written(1000);
        let mut client = Client::of(&server);
        client.send(get("/"));
        let mut writer = next(&writers);
        client.head();
        client.0.shutdown(Shutdown::Write).unwrap();
        // Longer than it takes to look after the client.
        Tasklet::sleep(Duration::from_millis(1500));
        writer.write_all(b"hello").unwrap();
        writer.finish().unwrap();
        assert_eq!(client.rest(), "5\r\nhello\r\n0\r\n\r\n");
    });
}

#[test]
fn a_writer_keeps_its_bounds_and_deadlines() {
    in_tasklet(|| {
        let (mut writer, mut body) = Body::channel_of(10);
        assert_eq!(writer.write(&[b'x'; 20]).unwrap(), 10);
        assert_eq!(
            writer.try_write(b"y").unwrap_err().kind(),
            ErrorKind::WouldBlock
        );
        let late = timeout(Duration::from_millis(1), || writer.write(b"y"));
        assert_eq!(late.unwrap_err().kind(), ErrorKind::TimedOut);
        let mut buf = [0; 4];
        assert_eq!(body.read(&mut buf).unwrap(), 4);
        // All has been taken, though not all has been read.
        writer.try_write(&[b'y'; 10]).unwrap();
        assert_eq!(
            writer.try_write(b"z").unwrap_err().kind(),
            ErrorKind::WouldBlock
        );
        let mut rest = [0; 16];
        body.read_exact(&mut rest).unwrap();
        assert_eq!(&rest, b"xxxxxxyyyyyyyyyy");
        // What is larger than all there is goes alone.
        writer.try_write(&[b'z'; 100]).unwrap();
        assert_eq!(writer.write(b"").unwrap(), 0);
        let late = timeout(Duration::from_millis(1), || {
            body.read_exact(&mut [0; 100])?;
            body.read(&mut buf)
        });
        assert_eq!(late.unwrap_err().kind(), ErrorKind::TimedOut);
        writer.finish().unwrap();
        assert_eq!(body.read(&mut buf).unwrap(), 0);
        assert_eq!(body.read(&mut buf).unwrap(), 0);
    });
}

fn events(stream: sse::Stream) -> (Running, Receiver<Events>) {
    given(move || stream.clone().open())
}

#[test]
fn events_come_one_by_one() {
    in_tasklet(|| {
        let (server, streams) = events(sse::Stream::new());
        let mut client = Client::of(&server);
        client.send(get("/"));
        let mut events = next(&streams);
        let head = client.head();
        assert!(
            head.contains("content-type: text/event-stream\r\n"),
            "{head}"
        );
        assert!(head.contains("cache-control: no-cache\r\n"), "{head}");
        for i in 0..100 {
            let event = Event::new().id(&i.to_string()).unwrap().data("hello");
            events.send(&event).unwrap();
            let text = event.text();
            expect(&mut client, &format!("{:x}\r\n{text}\r\n", text.len()));
        }
        drop(events);
        expect(&mut client, "0\r\n\r\n");
        client.send(get("/next"));
        assert_eq!(client.body(), "next");
    });
}

/// So no comment can come into the middle of one.
#[test]
fn an_event_goes_whole_or_not_at_all() {
    in_tasklet(|| {
        let (mut events, response) = sse::Stream::new().ahead(20).open();
        let event = Event::new().data("0123456789");
        events.send(&event).unwrap();
        let late = timeout(Duration::from_millis(1), || events.send(&event));
        assert_eq!(late.unwrap_err().kind(), ErrorKind::TimedOut);
        let mut body = response.into_body();
        let mut first = vec![0; event.text().len()];
        body.read_exact(&mut first).unwrap();
        assert_eq!(first, event.text().as_bytes());
        let reading = Tasklet::spawn(move || body.into_bytes());
        for _ in 0..10 {
            events.send(&event).unwrap();
        }
        drop(events);
        let rest = reading.join().unwrap().unwrap();
        assert_eq!(rest, event.text().repeat(10));
    });
}

#[test]
fn silence_is_broken_by_comments() {
    in_tasklet(|| {
        let (server, streams) = events(sse::Stream::new().keep_alive(Duration::from_millis(1)));
        let mut client = Client::of(&server);
        client.send(get("/"));
        let mut events = next(&streams);
        client.head();
        for _ in 0..2 {
            expect(&mut client, "3\r\n:\n\n\r\n");
        }
        events.send(&Event::new().data("x")).unwrap();
        let event = "9\r\ndata: x\n\n\r\n";
        let mut came = String::new();
        while !came.ends_with(event) {
            came.push(client.byte().into());
        }
        assert_eq!(
            came.trim_end_matches(event).replace("3\r\n:\n\n\r\n", ""),
            ""
        );
    });
}

#[test]
fn a_listener_that_goes_is_missed() {
    in_tasklet(|| {
        let (server, streams) = events(sse::Stream::new().keep_alive(Duration::ZERO));
        let mut client = Client::of(&server);
        client.send(get("/"));
        let mut events = next(&streams);
        client.head();
        let told = Arc::new(Signal::new());
        let tell = told.clone();
        events.when_gone(move || tell.set());
        // In the orderly way: nothing is sent, and nothing has to be.
        drop(client);
        told.wait_timeout(PATIENCE).unwrap();
        let error = events.try_send(&Event::new().data("x")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
        eventually("the connection has gone", || server.connections() == 0);
    });
}

#[test]
fn a_listener_that_does_not_read_is_told_from_the_others() {
    in_tasklet(|| {
        let (server, streams) = events(sse::Stream::new().ahead(4096));
        let (mut slow, mut client) = (Client::of(&server), Client::of(&server));
        slow.send(get("/"));
        let mut slow_events = next(&streams);
        client.send(get("/"));
        let mut events = next(&streams);
        slow.head();
        client.head();
        let event = Event::new().data(&"x".repeat(1000));
        let chunk = format!("{:x}\r\n{}\r\n", event.text().len(), event.text());
        let error = loop {
            events.try_send(&event).unwrap();
            expect(&mut client, &chunk);
            if let Err(error) = slow_events.try_send(&event) {
                break error;
            }
        };
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
    });
}

#[test]
fn a_server_that_stops_does_not_wait_for_events() {
    in_tasklet(|| {
        let (sender, streams) = channel();
        let sender = Mutex::new(sender);
        let limits = Limits::default();
        let server = HttpServer::bind("127.0.0.1:0").unwrap().limits(limits);
        let server = server
            .spawn(move |_| {
                let (events, response) = sse::stream();
                sender.lock().send(events).unwrap();
                response
            })
            .unwrap();
        let mut client = Client::of(&server);
        client.send(get("/"));
        let mut events = next(&streams);
        client.head();
        let begun = Instant::now();
        server.shutdown(PATIENCE).unwrap();
        assert!(begun.elapsed() < PATIENCE / 2);
        assert_eq!(client.rest(), "0\r\n\r\n");
        assert!(events.send(&Event::new().data("x")).is_err());
    });
}

#[test]
fn curl_gets_events_as_they_come() {
    in_tasklet(|| {
        let (server, streams) = events(sse::Stream::new());
        let url = format!("http://{}/", server.local_addr());
        let mut curl = std::process::Command::new("curl")
            .args(["-sSN", &url])
            .stdout(std::process::Stdio::piped())
            .spawn()
            .expect("`curl` is missing: apt-get install curl");
        let mut output = curl.stdout.take().unwrap();
        let mut events = next(&streams);
        for i in 0..3 {
            let event = Event::new().data(&i.to_string());
            events.send(&event).unwrap();
            let length = event.text().len();
            let came;
            (output, came) = block_on_thread(move || {
                let mut came = vec![0; length];
                output.read_exact(&mut came).unwrap();
                (output, came)
            });
            assert_eq!(came, event.text().as_bytes());
        }
        drop(events);
        let status = block_on_thread(move || curl.wait().unwrap());
        assert!(status.success(), "{status}");
    });
}
