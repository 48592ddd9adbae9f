//! WebSockets of plain threads, in a process in which no program has ever run.

#![cfg(feature = "websocket")]

use std::thread;
use std::time::{Duration, Instant};

use actor_io::UnixStream;
use actor_net::http::ws::{CloseCode, Message, WebSocket, WsError, WsOptions};

const SHORT: Duration = Duration::from_millis(30);

/// Turns a hang into a failure.
const PATIENCE: Duration = Duration::from_secs(20);

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
    let error = client(near, options).close(CloseCode::NORMAL, "");
    assert!(matches!(error, Err(WsError::Unanswered)), "{error:?}");
    assert!(begun.elapsed() >= SHORT);
}

#[test]
fn a_peer_that_keeps_sending_instead_of_agreeing_is_given_up_as_well() {
    let (near, far) = UnixStream::pair().unwrap();
    // It says so itself should it never be given up, and the test has failed.
    let flooding = thread::spawn(move || {
        let mut far = WebSocket::server(far, Vec::new(), WsOptions::default()).unwrap();
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            if far.send(vec![0; 1000]).is_err() {
                return true;
            }
        }
        far.close(CloseCode::NORMAL, "").is_err()
    });
    let options = WsOptions::default().with(|options| options.close = SHORT);
    let error = client(near, options).close(CloseCode::NORMAL, "");
    assert!(matches!(error, Err(WsError::Unanswered)), "{error:?}");
    assert!(flooding.join().unwrap());
}

#[test]
fn an_agreement_that_is_found_late_is_one() {
    let (near, far) = UnixStream::pair().unwrap();
    let options = WsOptions::default().with(|options| options.close = SHORT);
    let (mut reader, mut writer) = client(near, options).split();
    writer.close(CloseCode::NORMAL, "").unwrap();
    let mut far = WebSocket::server(far, Vec::new(), WsOptions::default()).unwrap();
    far.send("before").unwrap();
    assert!(far.read().unwrap().is_none());
    let said = Instant::now();
    while said.elapsed() <= SHORT {
        thread::yield_now();
    }
    // All of it has come, although nobody has looked until now.
    assert_eq!(reader.read().unwrap(), Some("before".into()));
    assert_eq!(reader.read().unwrap(), None);
    assert_eq!(reader.peers_close().unwrap().code, CloseCode::NORMAL);
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
