//! A peer that speaks the protocol by hand.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};

use actor_core::remote::ClassName;
use actor_remote::handshake::{Config, Initiator, Nonce, Step};
use actor_remote::wire::frame::{Body, Head, Kind, put_number, put_text};
use actor_remote::wire::record::{HEADER, Open, Seal};
use parking_lot::Mutex;

use crate::common::{Add, Item, LONG, program};

/// A connection whose handshake is done.
pub(crate) struct Raw {
    pub(crate) stream: TcpStream,
    pub(crate) seal: Seal,
    open: Open,
    frames: Vec<(Kind, Vec<u8>)>,
}

/// Runs a test while no other does: the memory that it measures is the process's.
pub(crate) fn alone(test: impl FnOnce() + Send + 'static) {
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock();
    program(test);
}

/// How much more memory the process has than it had, at most, for a peer that claims a lot.
pub(crate) const GROWTH: usize = 64 << 20;

/// How much memory the process has.
pub(crate) fn memory() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().nth(1));
    kilobytes.unwrap().parse::<usize>().unwrap() * 1024
}

/// Connects, with limits that only turn a hang into a failure.
pub(crate) fn dial(addr: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(addr).unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    stream.set_write_timeout(Some(LONG)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// Whether the other side ends the connection. What it says before that is read.
pub(crate) fn is_hung_up_on(stream: &mut TcpStream) -> bool {
    let mut buffer = [0; 4096];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) => return error.kind() != ErrorKind::WouldBlock,
        }
    }
}

/// Whether the other side has ended the connection by now.
pub(crate) fn is_gone(stream: &mut TcpStream) -> bool {
    stream.set_nonblocking(true).unwrap();
    is_hung_up_on(stream)
}

/// Reads a message of the handshake, with its length before it; `None` if there is none.
pub(crate) fn read_message(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut message = vec![0; 2];
    stream.read_exact(&mut message).ok()?;
    let length = usize::from(u16::from_le_bytes([message[0], message[1]]));
    message.resize(2 + length, 0);
    stream.read_exact(&mut message[2..]).ok()?;
    Some(message)
}

/// A frame.
pub(crate) fn frame(kind: Kind, flags: u8, lane: u16, body: &[u8]) -> Vec<u8> {
    let head = Head {
        length: body.len() as u32,
        kind,
        flags,
        lane,
    };
    let mut bytes = head.to_bytes().to_vec();
    bytes.extend_from_slice(body);
    bytes
}

/// The body of a frame: numbers, and bytes behind them.
pub(crate) fn body(numbers: &[u64], rest: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for &number in numbers {
        put_number(&mut bytes, number);
    }
    bytes.extend_from_slice(rest);
    bytes
}

/// Gives a class a number.
pub(crate) fn class(number: u64, class: ClassName) -> Vec<u8> {
    let mut bytes = body(&[number], &[]);
    put_text(&mut bytes, class.name);
    put_number(&mut bytes, u64::from(class.version));
    bytes.extend_from_slice(&class.schema.to_le_bytes());
    frame(Kind::Class, 0, 0, &bytes)
}

/// Gives a name a number.
pub(crate) fn object(number: u64, name: &str) -> Vec<u8> {
    let mut bytes = body(&[number], &[]);
    put_text(&mut bytes, name);
    frame(Kind::Object, 0, 0, &bytes)
}

/// What the classes are called after [`Raw::introduced`].
pub(crate) const ITEM: u64 = 0;
pub(crate) const ADD: u64 = 1;

impl Raw {
    /// One that has taken the link into use.
    pub(crate) fn begun(addr: SocketAddr, config: Config) -> Raw {
        let mut raw = Raw::agreed(addr, config);
        // Each of them is later than those before.
        static MOMENTS: AtomicU64 = AtomicU64::new(1);
        let now = MOMENTS.fetch_add(1, Ordering::Relaxed);
        raw.send(&frame(Kind::Begin, 0, 0, &body(&[now], &[])));
        raw.next(Kind::Begin);
        raw
    }

    /// The same, which has introduced two classes, and `log` as the object 0.
    pub(crate) fn introduced(addr: SocketAddr, config: Config) -> Raw {
        let mut raw = Raw::begun(addr, config);
        raw.send(&class(ITEM, ClassName::of::<Item>()));
        raw.send(&class(ADD, ClassName::of::<Add>()));
        raw.send(&object(0, "log"));
        raw
    }

    /// One that has not said anything yet.
    pub(crate) fn agreed(addr: SocketAddr, config: Config) -> Raw {
        let mut stream = dial(addr);
        let (mut side, first) = Initiator::start(config, Nonce::random().unwrap()).unwrap();
        stream.write_all(&first).unwrap();
        loop {
            let message = read_message(&mut stream).expect("an answer");
            match side.receive(&mut &message[..]).unwrap() {
                Step::Send(bytes) => stream.write_all(&bytes).unwrap(),
                Step::Agreed(bytes, agreed) => {
                    stream.write_all(&bytes).unwrap();
                    return Raw {
                        stream,
                        seal: agreed.seal(),
                        open: agreed.open(),
                        frames: Vec::new(),
                    };
                }
                Step::More => panic!("the message is whole"),
            }
        }
    }

    /// Sends frames, in a record; `false` if the other side has hung up.
    pub(crate) fn try_send(&mut self, frames: &[u8]) -> bool {
        let mut record = vec![0; HEADER];
        record.extend_from_slice(frames);
        self.seal.seal(&mut record, 0);
        self.stream.write_all(&record).is_ok()
    }

    pub(crate) fn send(&mut self, frames: &[u8]) {
        assert!(self.try_send(frames));
    }

    /// Whether this ends the link.
    pub(crate) fn ends_the_link(mut self, frames: &[u8]) -> bool {
        self.send(frames);
        is_hung_up_on(&mut self.stream)
    }

    /// The next frame of the kind, of whatever comes.
    pub(crate) fn next(&mut self, wanted: Kind) -> Vec<u8> {
        loop {
            if let Some(body) = self.take(wanted) {
                return body;
            }
            let mut header = [0; HEADER];
            self.stream.read_exact(&mut header).expect("another record");
            let mut follow = vec![0; self.open.header(&header).unwrap()];
            self.stream.read_exact(&mut follow).unwrap();
            let length = self.open.check(&header, &follow).unwrap();
            let mut payload = &follow[..length];
            while !payload.is_empty() {
                let (head, body) = Head::take(&mut payload).unwrap();
                self.frames.push((head.kind, body.to_vec()));
            }
        }
    }

    /// One of the kind, if it has come.
    pub(crate) fn take(&mut self, wanted: Kind) -> Option<Vec<u8>> {
        let at = self.frames.iter().position(|(kind, _)| *kind == wanted)?;
        Some(self.frames.remove(at).1)
    }

    /// Whether the other side answers, so that all before was taken.
    pub(crate) fn ping(&mut self) {
        self.send(&frame(Kind::Ping, 0, 0, &[]));
        self.next(Kind::Pong);
    }

    /// Calls the object 0 with these bytes as an [`Add`], and says what the outcome's code is.
    pub(crate) fn call(&mut self, id: u64, bytes: &[u8]) -> u8 {
        self.send(&frame(Kind::Call, 0, 0, &body(&[id, 0, 0, ADD], bytes)));
        let reply = self.next(Kind::Reply);
        let mut reply = Body(&reply);
        assert_eq!(reply.number(), Ok(id));
        reply.byte().unwrap()
    }
}
