//! WebSockets over TLS.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use actor_core::sync::Event;
use actor_core::{BoxError, Mailbox, Overflow, Tasklet};
use actor_net::http::HttpServer;
use actor_net::http::ws::{CloseCode, Message, WebSocket, WsConnector, WsError, WsOptions};
use actor_net::tls::{ClientTls, ServerTls, TlsStream};
use actor_net::{ConnectError, Connector};

use crate::certificates::both;
use crate::common::{PATIENCE, in_tasklet};
use crate::raw::{CONTINUATION, FIN, Frame, PING, PONG, Raw, Running, TEXT, echo};

fn serve(tls: ServerTls) -> (Running, String) {
    let server = HttpServer::bind("127.0.0.1:0").unwrap().tls(tls);
    let server = server.spawn(|request| WebSocket::upgrade(&request, &WsOptions::default(), echo));
    let server = Running(server.unwrap());
    let url = format!("wss://localhost:{}/", server.local_addr().port());
    (server, url)
}

fn connector(tls: ClientTls) -> WsConnector {
    WsConnector::new().tls(tls).timeout(PATIENCE)
}

#[test]
fn messages_of_all_sizes_come_back_encrypted() {
    in_tasklet(|| {
        let (tls, client) = both();
        let (_server, url) = serve(tls);
        let mut socket = connector(client).connect(&url).unwrap();
        for size in [0, 125, 126, 65535, 65536, 1_000_000] {
            let message = Message::from(vec![7; size]);
            socket.send(message.clone()).unwrap();
            assert!(socket.read().unwrap() == Some(message), "{size}");
        }
        socket.close(CloseCode::NORMAL, "").unwrap();
    });
}

#[test]
fn full_duplex_encrypted() {
    in_tasklet(|| {
        let (tls, client) = both();
        let (_server, url) = serve(tls);
        let (mut reader, mut writer) = connector(client).connect(&url).unwrap().split();
        const COUNT: usize = 2000;
        let sending = Tasklet::spawn(move || -> Result<_, WsError> {
            for n in 0..COUNT {
                writer.send(vec![n as u8; 4096])?;
            }
            Ok(writer)
        });
        for n in 0..COUNT {
            assert!(reader.read().unwrap() == Some(vec![n as u8; 4096].into()));
        }
        let mut writer = sending.join().unwrap().unwrap();
        writer.close(CloseCode::NORMAL, "").unwrap();
        assert_eq!(reader.read().unwrap(), None);
    });
}

/// A client that sends what it likes, encrypted.
fn raw(tls: ClientTls, server: &Running) -> Raw<TlsStream> {
    let connector = Connector::tls(tls);
    let stream = connector.connect("localhost", server.local_addr().port());
    let stream = stream.unwrap();
    stream.get_ref().set_read_timeout(Some(PATIENCE)).unwrap();
    let mut raw = Raw::over(stream);
    raw.shake_hands();
    raw
}

#[test]
fn pings_are_answered_encrypted() {
    in_tasklet(|| {
        let (tls, client) = both();
        let (server, _) = serve(tls);
        let mut raw = raw(client, &server);
        for payload in [&b""[..], b"hello", &[0xff; 125]] {
            raw.send(FIN | PING, payload);
            assert_eq!(raw.read(), Some(Frame::new(FIN | PONG, payload)));
        }
        // In the middle of a message.
        raw.send(TEXT, "frag");
        raw.send(FIN | PING, "between");
        assert_eq!(raw.read(), Some(Frame::new(FIN | PONG, "between")));
        raw.send(FIN | CONTINUATION, "ments");
        assert_eq!(raw.read(), Some(Frame::new(FIN | TEXT, "fragments")));
        raw.part(1000);
    });
}

#[test]
fn an_encrypted_peer_that_is_silent_is_asked_and_then_given_up() {
    in_tasklet(|| {
        let (tls, client) = both();
        let ended = Arc::new(Event::new());
        let flag = ended.clone();
        let options = WsOptions::default().with(|options| {
            options.ping = Some(Duration::from_millis(30));
            options.pong = Duration::from_millis(30);
        });
        let server = HttpServer::bind("127.0.0.1:0").unwrap().tls(tls);
        let server = server.spawn(move |request| {
            let flag = flag.clone();
            WebSocket::upgrade(&request, &options, move |mut socket: WebSocket| {
                let error = socket.read().unwrap_err();
                assert!(matches!(error, WsError::Silent), "{error:?}");
                flag.set();
            })
        });
        let server = Running(server.unwrap());
        let mut raw = raw(client, &server);
        assert_eq!(raw.read(), Some(Frame::new(FIN | PING, "")));
        ended.wait_timeout(PATIENCE).unwrap();
    });
}

#[test]
fn an_encrypted_pong_that_found_no_room_is_sent_when_there_is_some() {
    in_tasklet(|| {
        let (tls, client) = both();
        let waiting = Arc::new(Event::new());
        let flag = waiting.clone();
        let options = WsOptions::default().with(|options| {
            options.ping = None;
            options.send = Some(Duration::from_millis(30));
        });
        let server = HttpServer::bind("127.0.0.1:0").unwrap().tls(tls);
        let server = server.spawn(move |request| {
            let flag = flag.clone();
            WebSocket::upgrade(&request, &options, move |socket: WebSocket| {
                let (mut reader, mut writer) = socket.split();
                assert_eq!(reader.read().unwrap(), Some("begin".into()));
                // Until the sockets are full.
                while writer.send(vec![1; 50_000]).is_ok() {}
                flag.set();
                // By the time this comes, the ping in front of it has been tried in vain.
                assert_eq!(reader.read().unwrap(), Some("behind it".into()));
                assert_eq!(reader.read().unwrap(), None);
            })
        });
        let server = Running(server.unwrap());
        let mut raw = raw(client, &server);
        raw.send(FIN | TEXT, "begin");
        waiting.wait_timeout(PATIENCE).unwrap();
        raw.send(FIN | PING, "are you there?");
        raw.send(FIN | TEXT, "behind it");
        loop {
            let frame = raw.read().unwrap();
            if frame.kind == FIN | PONG {
                assert_eq!(frame.payload, b"are you there?");
                break;
            }
        }
        raw.part(1000);
    });
}

#[test]
fn a_shutdown_takes_leave_of_encrypted_clients() {
    in_tasklet(|| {
        let (tls, client) = both();
        let (server, url) = serve(tls);
        let mut socket = connector(client).connect(&url).unwrap();
        socket.send("x").unwrap();
        assert_eq!(socket.read().unwrap(), Some("x".into()));
        let leaving = Tasklet::spawn(move || {
            assert_eq!(socket.read().unwrap(), None);
            socket.peers_close().unwrap().code
        });
        server.shutdown(PATIENCE).unwrap();
        assert_eq!(leaving.join().unwrap(), CloseCode::AWAY);
    });
}

#[test]
fn a_server_that_nobody_vouches_for_is_not_talked_to() {
    in_tasklet(|| {
        let (tls, _) = both();
        let (_, stranger) = both();
        let (_server, url) = serve(tls);
        let error = connector(stranger).connect(&url).unwrap_err();
        assert!(
            matches!(error, WsError::Connect(ConnectError::Tls { .. })),
            "{error:?}"
        );
        // One that does not speak TLS at all.
        let plain = crate::raw::serve(echo);
        let url = format!("wss://localhost:{}/", plain.local_addr().port());
        let (_, client) = both();
        let error = connector(client).connect(&url).unwrap_err();
        assert!(
            matches!(error, WsError::Connect(ConnectError::Tls { .. })),
            "{error:?}"
        );
    });
}

#[test]
fn actors_are_served_encrypted() {
    struct Echo(actor_net::http::ws::WsSender, Arc<AtomicUsize>);
    impl actor_core::Actor for Echo {}
    impl actor_core::Handler<Message> for Echo {
        fn handle(&mut self, message: Message, ctx: &mut actor_core::Context<Self>) {
            self.1.fetch_add(1, Ordering::Relaxed);
            if self.0.send(message).is_err() {
                ctx.stop();
            }
        }
    }
    in_tasklet(|| -> Result<(), BoxError> {
        let (tls, client) = both();
        let count = Arc::new(AtomicUsize::new(0));
        let counted = count.clone();
        let server = HttpServer::bind("127.0.0.1:0")?
            .tls(tls)
            .spawn(move |request| {
                let count = counted.clone();
                WebSocket::upgrade(&request, &WsOptions::default(), |socket| {
                    let outbox = Mailbox::bounded(64, Overflow::Fail);
                    socket.serve_actor(outbox, |peer| Echo(peer, count))
                })
            })?;
        let server = Running(server);
        let url = format!("wss://localhost:{}/", server.local_addr().port());
        let mut socket = connector(client).connect(&url)?;
        for n in 0..100 {
            socket.send(format!("{n}"))?;
            assert_eq!(socket.read()?, Some(format!("{n}").into()));
        }
        socket.close(CloseCode::NORMAL, "")?;
        assert_eq!(count.load(Ordering::Relaxed), 100);
        Ok(())
    })
    .unwrap();
}
