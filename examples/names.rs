//! A name server for a few names, over UDP: it says which addresses of IPv4 they have, and nothing else.
//!
//! `names ADDRESS NAME=IP ..`, where a name may have several addresses. Try it:
//! `cargo run --example names localhost:5354 one.example=10.0.0.1 two.example=10.0.0.2`, and then
//! `dig @localhost -p 5354 one.example`.
//!
//! What comes from the network is read with care. Each query gets one answer at most, of 512 bytes at most; and
//! what is no query gets none, since two servers that answer each other's complaints would never come to an
//! end.

use std::collections::HashMap;
use std::env;
use std::net::Ipv4Addr;
use std::process::ExitCode;

use concurrence::net::UdpSocket;
use concurrence::{dispatch, io};

/// As much as may be sent to those who do not say that they take more (RFC 1035, section 2.3.4).
const LARGEST: usize = 512;

/// How long others may remember what they were told, in seconds.
const TIME_TO_LIVE: u32 = 60;

const HEADER: usize = 12;

/// Flags of a header.
const IS_RESPONSE: u16 = 1 << 15;
const OPCODE: u16 = 0xf << 11;
const AUTHORITATIVE: u16 = 1 << 10;
const IS_TRUNCATED: u16 = 1 << 9;
const RECURSION_DESIRED: u16 = 1 << 8;

/// What may be wrong with a query, by the numbers of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Code {
    NoError = 0,
    FormErr = 1,
    NXDomain = 3,
    NotImp = 4,
}

const TYPE_A: u16 = 1;
const TYPE_ANY: u16 = 255;
const CLASS_IN: u16 = 1;

/// Names in lower case, without the dot at the end.
type Table = HashMap<String, Vec<Ipv4Addr>>;

/// Reads from a packet; all that lies beyond its end is missing, and no reason to panic.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn bytes(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    fn u16(&mut self) -> Option<u16> {
        let bytes = self.bytes(2)?.try_into().ok()?;
        Some(u16::from_be_bytes(bytes))
    }

    /// A name: labels with their lengths, and an empty one. Nothing stands before that of a question that
    /// it could be a pointer to, so there are none.
    fn name(&mut self) -> Option<String> {
        let mut name = String::new();
        loop {
            let len = usize::from(self.bytes(1)?[0]);
            if len == 0 {
                return Some(name);
            }
            if len > 63 || name.len() + len > 253 {
                return None;
            }
            if !name.is_empty() {
                name.push('.');
            }
            for &byte in self.bytes(len)? {
                // A label may hold any bytes, a dot as well. None of our names does, and so it must not look
                // like one of them.
                name.push(match byte {
                    b'.' => char::REPLACEMENT_CHARACTER,
                    _ => char::from(byte).to_ascii_lowercase(),
                });
            }
        }
    }
}

struct Question {
    name: String,
    kind: u16,
    class: u16,
}

fn question(reader: &mut Reader) -> Option<Question> {
    Some(Question {
        name: reader.name()?,
        kind: reader.u16()?,
        class: reader.u16()?,
    })
}

/// What is to be sent back; nothing to what is not a query.
fn answer(packet: &[u8], table: &Table) -> Option<Vec<u8>> {
    let mut reader = Reader(packet);
    let (id, flags) = (reader.u16()?, reader.u16()?);
    let counts = [(); 4].map(|()| reader.u16());
    if flags & IS_RESPONSE != 0 {
        return None;
    }
    let [Some(questions), Some(answers), Some(authorities), Some(_)] = counts else {
        return Some(reply(id, flags, Code::FormErr, &[], &[]));
    };
    if flags & OPCODE != 0 {
        return Some(reply(id, flags, Code::NotImp, &[], &[]));
    }
    // What else it may bring, EDNS for one, is left unread.
    let asked = (questions == 1 && answers == 0 && authorities == 0)
        .then(|| question(&mut reader))
        .flatten();
    let Some(asked) = asked else {
        return Some(reply(id, flags, Code::FormErr, &[], &[]));
    };
    // As it was asked, with its upper and lower case, in which resolvers hide a secret.
    let echo = &packet[HEADER..packet.len() - reader.0.len()];
    let found = match asked.class {
        CLASS_IN => table.get(&asked.name),
        _ => None,
    };
    let (code, addrs) = match (found, asked.kind) {
        (None, _) => (Code::NXDomain, &[][..]),
        (Some(addrs), TYPE_A | TYPE_ANY) => (Code::NoError, &**addrs),
        // The name is there, and has nothing of that kind.
        (Some(_), _) => (Code::NoError, &[][..]),
    };
    Some(reply(id, flags, code, echo, addrs))
}

/// `question` is empty if it could not be understood.
fn reply(id: u16, asked: u16, code: Code, question: &[u8], addrs: &[Ipv4Addr]) -> Vec<u8> {
    const RECORD: usize = 16;
    let room = (LARGEST - HEADER).saturating_sub(question.len()) / RECORD;
    let told = &addrs[..addrs.len().min(room)];
    let mut flags = IS_RESPONSE | asked & (OPCODE | RECURSION_DESIRED) | code as u16;
    if !question.is_empty() {
        flags |= AUTHORITATIVE;
    }
    if told.len() < addrs.len() {
        flags |= IS_TRUNCATED;
    }
    let mut out = Vec::with_capacity(LARGEST);
    let counts = [u16::from(!question.is_empty()), told.len() as u16, 0, 0];
    for word in [id, flags].into_iter().chain(counts) {
        out.extend(word.to_be_bytes());
    }
    out.extend(question);
    for addr in told {
        // The name is that of the question, right behind the header.
        out.extend((0xc000 | HEADER as u16).to_be_bytes());
        out.extend(TYPE_A.to_be_bytes());
        out.extend(CLASS_IN.to_be_bytes());
        out.extend(TIME_TO_LIVE.to_be_bytes());
        out.extend(4u16.to_be_bytes());
        out.extend(addr.octets());
    }
    out
}

fn serve(addr: &str, table: &Table) -> io::Result<()> {
    let socket = UdpSocket::bind(addr)?;
    eprintln!("listening on {}", socket.local_addr()?);
    let mut buf = [0; 4096];
    while let Some(datagram) = socket.receive_or_stop(&mut buf)? {
        if let Some(reply) = answer(&buf[..datagram.len], table) {
            // One that cannot be told concerns nobody else.
            if let Err(error) = socket.send_to(&reply, datagram.from) {
                eprintln!("{}: {error}", datagram.from);
            }
        }
    }
    Ok(())
}

fn entry(text: &str) -> Option<(String, Ipv4Addr)> {
    let (name, addr) = text.split_once('=')?;
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    let may_be_asked =
        name.is_ascii() && name.split('.').all(|label| (1..64).contains(&label.len()));
    may_be_asked.then_some((name, addr.parse().ok()?))
}

fn main() -> ExitCode {
    let mut args = env::args().skip(1);
    let addr = args.next();
    let entries: Option<Vec<_>> = args.map(|arg| entry(&arg)).collect();
    let (Some(addr), Some(entries)) = (addr, entries) else {
        eprintln!("usage: names ADDRESS NAME=IP ..");
        return ExitCode::FAILURE;
    };
    let mut table = Table::new();
    for (name, addr) in entries {
        table.entry(name).or_default().push(addr);
    }
    dispatch(move || serve(&addr, &table))
}
