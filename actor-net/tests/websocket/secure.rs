//! WebSockets over TLS.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use actor_core::{BoxError, Mailbox, Overflow, Tasklet};
use actor_net::ConnectError;
use actor_net::http::HttpServer;
use actor_net::http::ws::{CloseCode, Message, WebSocket, WsConnector, WsError, WsOptions};
use actor_net::tls::{ClientTls, ServerTls};

use crate::certificates::both;
use crate::common::{PATIENCE, in_tasklet};
use crate::raw::{Running, echo};

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
