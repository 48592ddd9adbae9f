//! Each phase has its time.
//!
//! The clock is the real one, since the virtual one stands still while anybody waits for a socket: the server does nothing until
//! the client has given up.

use std::io::Read;
use std::time::{Duration, Instant};

use actor_core::{Tasklet, timeout};
use actor_net::http::{Body, FetchError, HttpClient, Phase, Request, Timeouts};

use crate::common::{PATIENCE, in_tasklet};
use crate::{Script, act, ok, text};

const BRIEF: Duration = Duration::from_millis(20);

fn with(change: impl FnOnce(&mut Timeouts)) -> HttpClient {
    let none = Timeouts::default().with(|limits| {
        let rest = &mut *limits;
        (rest.connect, rest.tls, rest.write) = (None, None, None);
        (rest.answer, rest.read) = (None, None);
    });
    HttpClient::builder().timeouts(none.with(change)).build()
}

fn phase_of(error: FetchError) -> Phase {
    match error {
        FetchError::TimedOut { phase } => phase,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_server_that_does_not_accept() {
    in_tasklet(|| {
        let listener = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None);
        let listener = listener.unwrap();
        let any: std::net::SocketAddr = "127.0.0.1:0".parse().unwrap();
        listener.bind(&any.into()).unwrap();
        listener.listen(0).unwrap();
        let busy = listener.local_addr().unwrap().as_socket().unwrap();
        let _filler = std::net::TcpStream::connect(busy).unwrap();
        let client = with(|limits| limits.connect = Some(BRIEF));
        let begun = Instant::now();
        let error = client.get(format!("http://{busy}/")).unwrap_err();
        assert_eq!(phase_of(error), Phase::Connect);
        assert!((BRIEF..PATIENCE).contains(&begun.elapsed()));
    });
}

#[test]
fn a_server_that_does_not_read() {
    in_tasklet(|| {
        let script = Script::new(vec![act(|peer| {
            // As much as fits is taken by the system alone; then the client gives up.
            while peer.more() {
                if peer.ahead.len() > 1000 {
                    actor_core::Tasklet::sleep(Duration::from_secs(3600));
                }
            }
        })]);
        let client = with(|limits| limits.write = Some(BRIEF));
        let endless = Body::from_reader(std::io::repeat(b'x'));
        let error = client.post(script.url("/"), endless).unwrap_err();
        assert_eq!(phase_of(error), Phase::Send);
    });
}

#[test]
fn a_server_that_does_not_answer() {
    for (said, heard) in [
        ("", false),
        ("HTTP/1.1 2", true),
        ("HTTP/1.1 100 Continue\r\n\r\n", true),
    ] {
        in_tasklet(move || {
            let script = Script::new(vec![act(move |peer| {
                peer.request();
                peer.say(said);
                peer.expect_end();
            })]);
            let client = with(|limits| limits.answer = Some(BRIEF));
            let error = client.get(script.url("/")).unwrap_err();
            assert_eq!(phase_of(error), Phase::Answer, "{heard}");
            script.finish();
        });
    }
}

#[test]
fn a_server_that_stops_in_the_body() {
    let bodies = [
        "Content-Length: 10\r\n\r\nhello",
        "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        "\r\nhello",
    ];
    for rest in bodies {
        in_tasklet(move || {
            let script = Script::new(vec![act(move |peer| {
                peer.request();
                peer.say(format!("HTTP/1.1 200 OK\r\n{rest}"));
                peer.expect_end();
            })]);
            let client = with(|limits| limits.read = Some(BRIEF));
            let mut body = client.get(script.url("/")).unwrap().into_body();
            let mut text = [0; 5];
            body.read_exact(&mut text).unwrap();
            assert_eq!(&text, b"hello");
            // The body is still there, and can be waited for once more.
            for _ in 0..2 {
                let error = body.read(&mut text).unwrap_err();
                assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
                assert_eq!(phase_of(error.downcast().unwrap()), Phase::Body);
            }
            drop(body);
            script.finish();
            assert_eq!(client.idle_connections(), 0);
        });
    }
}

#[test]
fn a_server_that_says_a_byte_now_and_then() {
    in_tasklet(|| {
        let script = Script::new(vec![act(|peer| {
            peer.request();
            peer.say("HTTP/1.1 200 OK\r\n\r\n");
            loop {
                if std::io::Write::write(&mut peer.stream, b"x").is_err() {
                    break;
                }
                actor_core::Tasklet::sleep(Duration::from_millis(1));
            }
        })]);
        let client = with(|limits| {
            limits.read = Some(PATIENCE);
            // Long enough for the head to come, whatever else the machine does.
            limits.total = Some(Duration::from_millis(500));
        });
        let mut body = client.get(script.url("/")).unwrap().into_body();
        let error = body.read_to_end(&mut Vec::new()).unwrap_err();
        assert_eq!(phase_of(error.downcast().unwrap()), Phase::Body);
        drop(body);
        script.finish();
    });
}

#[test]
fn an_enclosing_timeout_counts_as_well() {
    in_tasklet(|| {
        let script = Script::new(vec![act(|peer| {
            peer.request();
            peer.say(ok("first"));
            peer.request();
            peer.expect_end();
        })]);
        let client = with(|_| {});
        // Now there is a connection, and nothing else to wait for than the answer.
        assert_eq!(text(client.get(script.url("/")).unwrap()), "first");
        let outcome = timeout(BRIEF, || client.get(script.url("/")));
        assert_eq!(phase_of(outcome.unwrap_err()), Phase::Answer);
        script.finish();
    });
}

#[test]
fn interim_answers_do_not_put_the_answer_off() {
    in_tasklet(|| {
        let late = || {
            Script::new(vec![act(|peer| {
                peer.request();
                // Together they take six times as long as there is, however fast they come.
                for _ in 0..30 {
                    peer.try_say("HTTP/1.1 103 Early Hints\r\n\r\n");
                    Tasklet::sleep(Duration::from_millis(20));
                }
                peer.try_say(ok("late"));
            })])
        };
        let script = late();
        let client = with(|limits| limits.answer = Some(Duration::from_millis(100)));
        let error = client.get(script.url("/")).unwrap_err();
        assert_eq!(phase_of(error), Phase::Answer);
        script.finish();

        let script = late();
        let mut connection = client.connect(script.url("/")).unwrap();
        let request = Request::get("/").body(Body::empty()).unwrap();
        connection.send(request).unwrap();
        let error = connection.receive().unwrap_err();
        assert_eq!(phase_of(error), Phase::Answer);
        script.finish();
    });
}
