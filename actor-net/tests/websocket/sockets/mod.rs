//! Both ends of ours: halves, ends, times and stalls.

mod ends;
mod stalls;

use std::net::Shutdown;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use actor_core::sync::Event;
use actor_core::{BoxError, Placement, Tasklet, timeout};
use actor_io::{TcpListener, TcpStream, UnixStream};
use actor_net::http::ws::{
    self, Close, CloseCode, Message, WebSocket, WsConnector, WsError, WsOptions,
};

use crate::common::{PATIENCE, eventually, in_tasklet, keep_log, logged};
use crate::raw::{
    BINARY, CLOSE, FIN, Frame, PING, PONG, Raw, TEXT, closing, echo, serve, serve_with,
};

const SHORT: Duration = Duration::from_millis(30);

/// Two ends of a WebSocket over TCP.
fn pair(near: WsOptions, far: WsOptions) -> (WebSocket, WebSocket) {
    let (client, server) = streams();
    (
        WebSocket::client(client, Vec::new(), near).unwrap(),
        WebSocket::server(server, Vec::new(), far).unwrap(),
    )
}

fn streams() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let server = listener.accept().unwrap().0;
    for stream in [&client, &server] {
        stream.set_nodelay(true).unwrap();
    }
    (client, server)
}

fn default_pair() -> (WebSocket, WebSocket) {
    pair(WsOptions::default(), WsOptions::default())
}

fn echoing(socket: WebSocket) -> actor_core::JoinHandle<Result<(), WsError>> {
    Tasklet::spawn(move || echo(socket))
}

#[test]
fn messages_go_both_ways_and_end_well() {
    in_tasklet(|| {
        let (mut near, far) = default_pair();
        let far = echoing(far);
        for message in [
            Message::from("text"),
            Message::from(vec![0, 255]),
            Message::from(""),
        ] {
            near.send(message.clone()).unwrap();
            assert_eq!(near.read().unwrap(), Some(message));
        }
        near.close(CloseCode(4000), "enough").unwrap();
        far.join().unwrap().unwrap();
    });
}

#[test]
fn full_duplex_on_two_workers() {
    const COUNT: usize = 20_000;
    let run = || {
        let (near, far) = default_pair();
        // Who says that it is over does so when both have got all.
        let got = Arc::new(AtomicUsize::new(0));
        let mut tasks = Vec::new();
        for (worker, socket) in [near, far].into_iter().enumerate() {
            let (mut reader, mut writer) = socket.split();
            let (count, got) = (got.clone(), got.clone());
            let placed = |worker| Tasklet::builder().placement(Placement::Worker(worker));
            tasks.push(
                placed(worker)
                    .spawn(move || -> Result<(), BoxError> {
                        for n in 0..COUNT {
                            writer.send(vec![n as u8; 4096])?;
                        }
                        while got.load(Ordering::SeqCst) < 2 * COUNT {
                            Tasklet::sleep(Duration::from_millis(1));
                        }
                        Ok(writer.close(CloseCode::NORMAL, "")?)
                    })
                    .unwrap(),
            );
            tasks.push(
                placed(1 - worker)
                    .spawn(move || -> Result<(), BoxError> {
                        for n in 0..COUNT {
                            let message = reader.read()?.ok_or("too few")?;
                            assert_eq!(message, Message::from(vec![n as u8; 4096]));
                            count.fetch_add(1, Ordering::SeqCst);
                        }
                        assert_eq!(reader.read()?, None);
                        Ok(())
                    })
                    .unwrap(),
            );
        }
        for task in tasks {
            task.join().unwrap().unwrap();
        }
    };
    in_tasklet(run);
}

#[test]
fn messages_longer_than_any_buffer_arrive() {
    in_tasklet(|| {
        let options = WsOptions::default().with(|options| options.message = 64 << 20);
        let (mut near, far) = pair(options.clone(), options);
        let far = echoing(far);
        let big: Vec<u8> = (0..20 << 20).map(|n: u32| (n % 251) as u8).collect();
        let big = Message::from(big);
        let (mut reader, mut writer) = {
            near.send("first").unwrap();
            near.split()
        };
        let sent = big.clone();
        let sending = Tasklet::spawn(move || {
            writer.send(sent).unwrap();
            writer
        });
        assert_eq!(reader.read().unwrap(), Some("first".into()));
        assert!(reader.read().unwrap() == Some(big));
        let mut writer = sending.join().unwrap();
        writer.close(CloseCode::NORMAL, "").unwrap();
        assert_eq!(reader.read().unwrap(), None);
        far.join().unwrap().unwrap();
    });
}

#[test]
fn any_stream_will_do() {
    in_tasklet(|| {
        let (near, far) = UnixStream::pair().unwrap();
        let far = echoing(WebSocket::server(far, Vec::new(), WsOptions::default()).unwrap());
        let mut near = WebSocket::client(near, Vec::new(), WsOptions::default()).unwrap();
        near.send("local").unwrap();
        assert_eq!(near.read().unwrap(), Some("local".into()));
        near.close(CloseCode::NORMAL, "").unwrap();
        far.join().unwrap().unwrap();
    });
}

#[test]
fn a_handshake_can_be_made_over_any_stream() {
    in_tasklet(|| {
        let server = serve(echo);
        let stream = TcpStream::connect(server.local_addr()).unwrap();
        let mut socket = WsConnector::new().connect_over(stream, "ws://a/").unwrap();
        socket.send("x").unwrap();
        assert_eq!(socket.read().unwrap(), Some("x".into()));
        socket.close(CloseCode::NORMAL, "").unwrap();
    });
}

#[test]
fn plain_threads_can_use_it_as_well() {
    let (sender, addr) = std::sync::mpsc::channel();
    let (end, ended) = std::sync::mpsc::channel::<()>();
    let program = std::thread::spawn(move || {
        in_tasklet(move || {
            let server = serve(echo);
            sender.send(server.local_addr()).unwrap();
            actor_core::block_on_thread(move || ended.recv().unwrap());
        });
    });
    let mut socket = ws::connect(&format!("ws://{}/", addr.recv().unwrap())).unwrap();
    socket.send("from a thread").unwrap();
    assert_eq!(socket.read().unwrap(), Some("from a thread".into()));
    socket.close(CloseCode::NORMAL, "").unwrap();
    end.send(()).unwrap();
    program.join().unwrap();
}
