//! WebSockets of plain threads, in a process in which no program has ever run.

#![cfg(feature = "websocket")]

use std::thread;
use std::time::{Duration, Instant};

use actor_io::UnixStream;
use actor_net::http::ws::{CloseCode, Message, WebSocket, WsError, WsOptions};

const SHORT: Duration = Duration::from_millis(30);

fn client(stream: UnixStream, options: WsOptions) -> WebSocket {
    WebSocket::client(stream, Vec::new(), options).unwrap()
}

#[test]
fn threads_talk_without_a_runtime() {
    let (near, far) = UnixStream::pair().unwrap();
    let far = thread::spawn(move || -> Result<(), WsError> {
        let mut far = WebSocket::server(far, Vec::new(), WsOptions::default())?;
        while let Some(message) = far.read()? {
            far.send(message)?;
        }
        Ok(())
    });
    let mut near = client(near, WsOptions::default());
    for size in [0, 1000, 1_000_000] {
        let message = Message::from(vec![1; size]);
        near.send(message.clone()).unwrap();
        assert!(near.read().unwrap() == Some(message));
    }
    near.close(CloseCode::NORMAL, "").unwrap();
    far.join().unwrap().unwrap();
}

#[test]
fn a_peer_that_does_not_agree_to_the_end_is_given_up() {
    let (near, _far) = UnixStream::pair().unwrap();
    let options = WsOptions::default().with(|options| options.close = SHORT);
    let begun = Instant::now();
    client(near, options).close(CloseCode::NORMAL, "").unwrap();
    assert!(begun.elapsed() >= SHORT);
}

#[test]
fn a_silent_peer_is_given_up() {
    let (near, _far) = UnixStream::pair().unwrap();
    let options = WsOptions::default().with(|options| {
        options.ping = Some(SHORT);
        options.pong = SHORT;
    });
    let begun = Instant::now();
    let mut near = client(near, options);
    assert!(matches!(near.read(), Err(WsError::Silent)));
    assert!(begun.elapsed() >= 2 * SHORT);
    assert!(near.read().unwrap().is_none());
}
