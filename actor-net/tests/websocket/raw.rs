//! A server, and a client that sends what it likes.

use std::io::{self, ErrorKind, Read, Write};

use actor_core::Outcome;
use actor_io::TcpStream;
use actor_net::ServerHandle;
use actor_net::http::HttpServer;
use actor_net::http::ws::{WebSocket, WsError, WsOptions};

use crate::common::PATIENCE;
pub(crate) use crate::common::Running;

pub(crate) const CONTINUATION: u8 = 0;
pub(crate) const TEXT: u8 = 1;
pub(crate) const BINARY: u8 = 2;
pub(crate) const CLOSE: u8 = 8;
pub(crate) const PING: u8 = 9;
pub(crate) const PONG: u8 = 10;

/// The bit of the last frame of a message.
pub(crate) const FIN: u8 = 0x80;

pub(crate) fn serve_with<R: Outcome + 'static>(
    options: WsOptions,
    handler: impl Fn(WebSocket) -> R + Send + Sync + Clone + 'static,
) -> Running {
    let upgrade = move |request: actor_net::http::Request<actor_net::http::Body>| {
        WebSocket::upgrade(&request, &options, handler.clone())
    };
    Running(
        HttpServer::bind("127.0.0.1:0")
            .unwrap()
            .spawn(upgrade)
            .unwrap(),
    )
}

pub(crate) fn serve<R: Outcome + 'static>(
    handler: impl Fn(WebSocket) -> R + Send + Sync + Clone + 'static,
) -> Running {
    serve_with(WsOptions::default(), handler)
}

pub(crate) fn echo(mut socket: WebSocket) -> Result<(), WsError> {
    while let Some(message) = socket.read()? {
        socket.send(message)?;
    }
    Ok(())
}

/// What a client asks for, with other values or further lines for some of its headers.
pub(crate) fn request(changes: &[(&str, &str)]) -> String {
    let mut headers = vec![
        ("host", "a"),
        ("upgrade", "websocket"),
        ("connection", "Upgrade"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("sec-websocket-version", "13"),
    ];
    headers.retain(|(name, _)| !changes.iter().any(|(changed, _)| changed == name));
    headers.extend(changes.iter().filter(|(_, value)| !value.is_empty()));
    let lines = headers
        .iter()
        .map(|(name, value)| format!("{name}: {value}\r\n"));
    format!("GET /chat HTTP/1.1\r\n{}\r\n", lines.collect::<String>())
}

/// A frame as it is read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    /// With the bit for the last one.
    pub kind: u8,
    pub payload: Vec<u8>,
}

impl Frame {
    pub(crate) fn new(kind: u8, payload: impl AsRef<[u8]>) -> Frame {
        Frame {
            kind,
            payload: payload.as_ref().to_vec(),
        }
    }
}

pub(crate) const MASK: [u8; 4] = [0x12, 0x00, 0xab, 0x40];

/// A frame as a client sends it, or without a mask as a server does. `kind` is all of its first byte.
pub(crate) fn frame(kind: u8, payload: &[u8], mask: Option<[u8; 4]>) -> Vec<u8> {
    let mut bytes = header(kind, payload.len() as u64, mask.is_some());
    match mask {
        None => bytes.extend_from_slice(payload),
        Some(mask) => {
            bytes.extend_from_slice(&mask);
            let masked = payload.iter().zip(mask.iter().cycle());
            bytes.extend(masked.map(|(byte, mask)| byte ^ mask));
        }
    }
    bytes
}

/// What comes before mask and payload.
pub(crate) fn header(kind: u8, length: u64, is_masked: bool) -> Vec<u8> {
    let bit = if is_masked { 0x80 } else { 0 };
    let mut bytes = vec![kind];
    match length {
        0..126 => bytes.push(bit | length as u8),
        126..65536 => {
            bytes.push(bit | 126);
            bytes.extend_from_slice(&(length as u16).to_be_bytes());
        }
        _ => {
            bytes.push(bit | 127);
            bytes.extend_from_slice(&length.to_be_bytes());
        }
    }
    bytes
}

/// The payload of a close frame.
pub(crate) fn closing(code: u16, reason: &[u8]) -> Vec<u8> {
    [&code.to_be_bytes(), reason].concat()
}

/// One end that sends what it likes.
pub(crate) struct Raw<S = TcpStream> {
    pub stream: S,
    mask: Option<[u8; 4]>,
}

impl Raw {
    /// A client, after the handshake.
    pub(crate) fn connect(server: &ServerHandle) -> Raw {
        let mut raw = Raw::visit(server);
        raw.shake_hands();
        raw
    }

    /// A client before the handshake.
    pub(crate) fn visit(server: &ServerHandle) -> Raw {
        let stream = TcpStream::connect(server.local_addr()).unwrap();
        Raw::of(stream, Some(MASK))
    }

    /// A server, whatever there was before.
    pub(crate) fn server(stream: TcpStream) -> Raw {
        Raw::of(stream, None)
    }

    /// A client, whatever there was before.
    pub(crate) fn client(stream: TcpStream) -> Raw {
        Raw::of(stream, Some(MASK))
    }

    fn of(stream: TcpStream, mask: Option<[u8; 4]>) -> Raw {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Raw { stream, mask }
    }
}

impl<S: Read + Write> Raw<S> {
    /// A client, whatever there was before, over a stream that has its timeouts.
    #[cfg(feature = "tls")]
    pub(crate) fn over(stream: S) -> Raw<S> {
        Raw {
            stream,
            mask: Some(MASK),
        }
    }

    /// A client's handshake.
    pub(crate) fn shake_hands(&mut self) {
        self.bytes(request(&[]));
        let head = self.head();
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        // That of the key, in the RFC's own example.
        assert!(
            head.contains("sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"),
            "{head}"
        );
    }

    /// Sends bytes; the other end may have closed already.
    pub(crate) fn bytes(&mut self, bytes: impl AsRef<[u8]>) {
        let written = self.stream.write_all(bytes.as_ref());
        match written.and_then(|()| self.stream.flush()) {
            Ok(()) => {}
            Err(error) if is_gone(&error) => {}
            Err(error) => panic!("{error}"),
        }
    }

    pub(crate) fn send(&mut self, kind: u8, payload: impl AsRef<[u8]>) {
        let bytes = frame(kind, payload.as_ref(), self.mask);
        self.bytes(bytes);
    }

    pub(crate) fn head(&mut self) -> String {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            self.stream.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        String::from_utf8(head).unwrap()
    }

    /// The next frame; `None` at the end.
    pub(crate) fn read(&mut self) -> Option<Frame> {
        let mut start = [0; 2];
        match self.stream.read(&mut start[..1]) {
            Ok(0) => return None,
            Ok(_) => {}
            Err(error) => panic!("{error}"),
        }
        self.stream.read_exact(&mut start[1..]).unwrap();
        assert_eq!(
            start[1] & 0x80 != 0,
            self.mask.is_none(),
            "a mask where there is to be none, or none"
        );
        let length = match start[1] & 0x7f {
            126 => u64::from(u16::from_be_bytes(self.array())),
            127 => u64::from_be_bytes(self.array()),
            length => u64::from(length),
        };
        let mask = match self.mask {
            None => self.array(),
            Some(_) => [0; 4],
        };
        let mut payload = vec![0; length as usize];
        self.stream.read_exact(&mut payload).unwrap();
        for (byte, mask) in payload.iter_mut().zip(mask.iter().cycle()) {
            *byte ^= mask;
        }
        Some(Frame {
            kind: start[0],
            payload,
        })
    }

    fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.stream.read_exact(&mut bytes).unwrap();
        bytes
    }

    /// The next message, from however many frames.
    pub(crate) fn message(&mut self) -> Frame {
        let mut message = self.read().unwrap();
        while message.kind & FIN == 0 {
            let next = self.read().unwrap();
            assert_eq!(next.kind & 0x7f, CONTINUATION);
            message.kind |= next.kind & FIN;
            message.payload.extend(next.payload);
        }
        message
    }

    /// Reads a close frame with this code, and the end.
    pub(crate) fn is_closed_with(&mut self, code: u16) {
        let frame = self.read().expect("the other end says why");
        assert_eq!(frame.kind, FIN | CLOSE, "{frame:?}");
        let (sent, reason) = frame.payload.split_at(2);
        let reason = String::from_utf8_lossy(reason);
        assert_eq!(
            u16::from_be_bytes(sent.try_into().unwrap()),
            code,
            "{reason}"
        );
        assert_eq!(self.read(), None);
    }

    /// Agrees to the end.
    pub(crate) fn part(mut self, code: u16) {
        self.send(FIN | CLOSE, closing(code, b""));
        self.is_closed_with(code);
    }
}

pub(crate) fn is_gone(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::BrokenPipe | ErrorKind::ConnectionReset
    )
}
