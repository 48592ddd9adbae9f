//! Frames of WebSockets at a server: the same messages come out, and the same end, however they come in; what is
//! said in answer is well-formed; and no peer makes it take more memory than its limits say.

#![no_main]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use actor_net::http::__private::Probe;
use actor_net::http::ws::{Message, WsError, WsOptions};
use fuzz::{choose, pieces};
use libfuzzer_sys::fuzz_target;

/// What one end may take besides its input: the protocol's buffer, a message and its frames, and what waits to be
/// sent, each in a vector that may have grown to twice that.
const MEMORY: usize = 16 * 1024 + 2 * (FRAME + 2 * MESSAGE + 2 * Probe::MOST_WAITING);

const MESSAGE: usize = 2048;
const FRAME: usize = 1024;

fuzz_target!(|data: &[u8]| {
    let mut data = data;
    let (how, cuts) = (choose(&mut data), choose(&mut data));
    let (echo, is_deaf) = (how & 1 != 0, how & 2 != 0);
    let masked;
    if how & 4 != 0 {
        // Frames that need not be guessed.
        masked = frames(data);
        data = &masked;
    }
    let whole = serve(&[data], echo, is_deaf);
    let cut = serve(&pieces(data, cuts), echo, is_deaf);
    assert_eq!(
        (&cut.messages, &cut.end),
        (&whole.messages, &whole.end),
        "in whatever pieces"
    );
    for served in [whole, cut] {
        check(&served, is_deaf);
    }
});

struct Served {
    messages: Vec<Message>,
    end: Option<String>,
    sent: Vec<u8>,
}

fn serve(pieces: &[&[u8]], echo: bool, is_deaf: bool) -> Served {
    let options = WsOptions::default().with(|options| {
        options.message = MESSAGE;
        options.frame = FRAME;
    });
    let server = Probe::server(options);
    if !is_deaf {
        server.make_room(usize::MAX);
    }
    let (mut messages, mut end) = (Vec::new(), None);
    let mut seen = 0;
    for piece in pieces.iter().filter(|piece| !piece.is_empty()).chain(&[&[][..]]) {
        let before = in_use();
        end = server.feed(piece, &mut messages);
        let held: usize = messages[seen..].iter().map(Message::len).sum();
        assert!(
            in_use() <= before + held + 64 * messages.len() + MEMORY,
            "{} bytes for {}",
            in_use() - before,
            piece.len()
        );
        assert!(server.waiting() <= Probe::MOST_WAITING);
        if end.is_some() {
            break;
        }
        for message in &messages[seen..] {
            assert!(message.len() <= MESSAGE);
            // One that cannot be sent is an error for who sends it, and not for who reads.
            if echo {
                let _ = server.send(message.clone());
            }
        }
        seen = messages.len();
    }
    Served {
        messages,
        end: end.map(|end| match end {
            Ok(()) => "over".to_owned(),
            Err(error) => told(error),
        }),
        sent: server.take_sent(),
    }
}

/// How far a message that is too long has come depends on the pieces.
fn told(error: WsError) -> String {
    match error {
        WsError::TooLong { .. } => "too long".to_owned(),
        WsError::Io(error) => panic!("there is no stream that could fail: {error}"),
        error => format!("{error:?}"),
    }
}

/// A client understands all that a server has said.
fn check(served: &Served, is_deaf: bool) {
    let end = served.end.as_deref().expect("nothing more comes");
    if is_deaf {
        return assert!(served.sent.is_empty());
    }
    let client = Probe::client(WsOptions::default());
    let mut messages = Vec::new();
    if !served.sent.is_empty() {
        let heard = client.feed(&served.sent, &mut messages);
        assert!(!matches!(heard, Some(Err(_))), "{heard:?}");
        // It is told of every end but that of the connection.
        assert_eq!(heard.is_some(), end != "Cut", "{end}");
    }
    assert!(messages.len() <= served.messages.len());
    assert_eq!(messages, served.messages[..messages.len()]);
}

/// Frames of a client: each from two bytes, for its first one and its length, and as many more.
fn frames(mut data: &[u8]) -> Vec<u8> {
    let mut frames = Vec::new();
    while let [first, length, rest @ ..] = data {
        let (payload, rest) = rest.split_at(usize::from(length % 126).min(rest.len()));
        data = rest;
        // Reserved bits are for the other way.
        frames.extend([first & 0x8f, 0x80 | payload.len() as u8, 0, 0, 0, 0]);
        frames.extend(payload);
    }
    frames
}

/// Counts what is in use.
struct Counting;

static IN_USE: AtomicUsize = AtomicUsize::new(0);

fn in_use() -> usize {
    IN_USE.load(Ordering::Relaxed)
}

#[global_allocator]
static COUNTING: Counting = Counting;

// SAFETY: all is done by the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        IN_USE.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        IN_USE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(ptr, layout) }
    }
}
