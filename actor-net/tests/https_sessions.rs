//! What the session beneath a connection of HTTPS does on its own account: alerts, records that are no requests,
//! handshakes that do not come to an end.

#![cfg(all(feature = "http", feature = "tls"))]

#[path = "common/certificates.rs"]
mod certificates;
mod common;
#[path = "common/http.rs"]
mod http;
#[path = "common/https.rs"]
mod https;

use std::io::{self, ErrorKind, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use actor_core::{Placement, Tasklet};
use actor_net::http::{Body, HttpServer, Limits, Request};
use actor_net::tls::{ClientTls, ServerTls, TlsError};
use certificates::{Authority, both};
use common::{PATIENCE, eventually, in_tasklet};
use http::{Client, Running, get, next, told};
use https::{connect, hello, serve};

/// Somebody reads what is no record while the connection is in the middle of sending one: the alert that this calls
/// for must not get into it. The client has read a little, so that there is room, and too little for the connection
/// to have been told so.
#[test]
fn an_alert_does_not_get_into_a_record() {
    in_tasklet(|| {
        let (tls, client_tls) = both();
        let (tell, read) = told();
        let tell = Arc::new(tell);
        let server = serve(&tls, move |request: Request<Body>| {
            let tell = tell.clone();
            let elsewhere = Tasklet::builder()
                .placement(Placement::Worker(1))
                .daemon(true);
            let reader = elsewhere.spawn(move || tell(request.into_body().into_bytes()));
            drop(reader.unwrap());
            Body::from_reader(io::repeat(b'x'))
        });
        for round in 0..60 {
            let mut client = connect(&server, &client_tls);
            client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n");
            client.head();
            // Until nothing more goes out.
            let waiting = || rustix::io::ioctl_fionread(client.0.get_ref()).unwrap();
            let mut before = (waiting(), Instant::now());
            while before.1.elapsed() < Duration::from_millis(5) {
                let now = waiting();
                if now != before.0 {
                    before = (now, Instant::now());
                }
                Tasklet::yield_now();
            }
            let mut some = vec![0; 1_000 + round * 5_000];
            client.0.read_exact(&mut some).unwrap();
            // A record that nobody can have sealed.
            let garbage = [&[23, 3, 3, 0, 32][..], &[7; 32]].concat();
            client.0.get_ref().write_all(&garbage).unwrap();
            let error = next(&read).unwrap_err();
            let error = error
                .get_ref()
                .and_then(|error| error.downcast_ref::<TlsError>());
            assert!(matches!(error, Some(TlsError::Protocol(_))), "{error:?}");
            let end = io::copy(&mut client.0, &mut io::sink()).unwrap_err();
            assert!(
                format!("{end:?}").contains("AlertReceived"),
                "{round}: {end:?}"
            );
        }
        eventually("all have gone", || server.connections() == 0);
    });
}

/// What is no request does not put the end off: not the bytes of a record that never comes, however many they are.
#[test]
fn a_record_in_pieces_buys_no_time() {
    in_tasklet(|| {
        let (tls, client_tls) = both();
        let limits = Limits::default().with(|limits| {
            limits.idle_time = Duration::from_millis(300);
        });
        let server = HttpServer::bind("127.0.0.1:0")
            .unwrap()
            .limits(limits)
            .tls(tls);
        let handler = |request: Request<Body>| request.uri().path().to_owned();
        let server = Running(server.spawn(handler).unwrap());
        for requests in [0, 1] {
            let mut client = connect(&server, &client_tls);
            for _ in 0..requests {
                client.send(get("/well"));
                assert_eq!(client.body(), "/well");
            }
            let mut stream = client.0.get_ref().try_clone().unwrap();
            let ended = Arc::new(AtomicBool::new(false));
            let writer = {
                let ended = ended.clone();
                Tasklet::spawn(move || {
                    let mut record = [&[23, 3, 3, 64, 0][..], &[7; 16 * 1024]]
                        .concat()
                        .into_iter();
                    while !ended.load(Ordering::SeqCst) {
                        let byte = record.next().expect("it has been let go on for minutes");
                        if stream.write_all(&[byte]).is_err() {
                            break;
                        }
                        Tasklet::sleep(Duration::from_millis(10));
                    }
                })
            };
            // It is told the end, and gets no answer.
            assert_eq!(client.rest(), "");
            ended.store(true, Ordering::SeqCst);
            writer.join().unwrap();
        }
        eventually("all have gone", || server.connections() == 0);
    });
}

/// However far they have come, and whichever way it ends; and others who go by the same configuration have their turns.
#[test]
fn handshakes_end_with_their_server() {
    in_tasklet(|| {
        let authority = Authority::new("authority");
        let tls = ServerTls::builder()
            .identity(authority.identity(&["localhost"]))
            .handshakes(1)
            .handshake_timeout(Duration::from_secs(3_600))
            .build()
            .unwrap();
        let client_tls = ClientTls::new(authority.roots()).unwrap();
        let hello = hello(&client_tls);
        for grace in [PATIENCE, Duration::ZERO] {
            for turns in [0, 1, 10, 100] {
                let server = serve(&tls, |_: Request<Body>| "well");
                let mut clients: Vec<_> = (0..40).map(|_| Client::of(&server)).collect();
                eventually("all are there", || server.connections() == 40);
                for (i, client) in clients.iter_mut().enumerate() {
                    client.send(&hello[..[0, 1, hello.len() / 2, hello.len()][i % 4]]);
                }
                (0..turns).for_each(|_| Tasklet::yield_now());
                let begun = Instant::now();
                server.shutdown(grace).unwrap();
                assert!(begun.elapsed() < PATIENCE);
                assert_eq!(server.connections(), 0);
                for mut client in clients {
                    let end = client.0.read_to_end(&mut Vec::new());
                    let error = end.as_ref().err().map(io::Error::kind);
                    assert!(
                        error.is_none_or(|kind| kind == ErrorKind::ConnectionReset),
                        "{end:?}"
                    );
                }
            }
        }
        let server = serve(&tls, |_: Request<Body>| "well");
        for _ in 0..4 {
            let mut client = connect(&server, &client_tls);
            client.send(get("/"));
            assert_eq!(client.body(), "well");
        }
    });
}
