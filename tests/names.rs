//! The name server of the examples, asked by `dig`, by our own resolver and by those who mean no good.

mod common;

use std::net::{SocketAddr, UdpSocket};

use common::clients::{client, stops_orderly, words};
use common::{PATIENCE, Program, example};

const TABLE: [&str; 4] = [
    "one.example=10.0.0.1",
    "Two.Example.=10.0.0.2",
    "two.example=10.0.0.3",
    "deep.er.one.example=127.0.0.1",
];

fn names() -> Program {
    Program::start(example("names").arg("127.0.0.1:0").args(TABLE))
}

/// What `dig` prints.
fn dig(server: SocketAddr, args: &str) -> String {
    let (host, port) = words(server);
    let server = format!("@{host}");
    let fixed = [&*server, "-p", &*port, "+tries=1", "+time=30", "+ignore"];
    let ended = client(
        "dig",
        "bind9-dnsutils",
        fixed.into_iter().chain(args.split(' ')),
    )
    .ended();
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    ended.stdout
}

#[test]
fn dig_is_told_what_is_in_the_table() {
    let names = names();
    let addr = names.address();
    assert_eq!(dig(addr, "+short one.example"), "10.0.0.1\n");
    assert_eq!(dig(addr, "+short DEEP.er.One.EXAMPLE A"), "127.0.0.1\n");
    assert_eq!(
        dig(addr, "+short +noedns two.example"),
        "10.0.0.2\n10.0.0.3\n"
    );
    assert_eq!(dig(addr, "+short one.example AAAA"), "");

    let whole = dig(addr, "one.example");
    assert!(whole.contains("status: NOERROR"), "{whole}");
    assert!(whole.contains("flags: qr aa rd;"), "{whole}");
    assert!(
        whole.contains("one.example.\t\t60\tIN\tA\t10.0.0.1"),
        "{whole}"
    );
    assert!(!whole.contains("WARNING: Message"), "{whole}");

    for (question, status) in [
        ("three.example", "NXDOMAIN"),
        ("example", "NXDOMAIN"),
        (".", "NXDOMAIN"),
        ("one.example CH A", "NXDOMAIN"),
        ("one.example AAAA", "NOERROR"),
        ("one.example ANY +notcp", "NOERROR"),
        ("+opcode=status one.example", "NOTIMP"),
        ("+header-only one.example", "FORMERR"),
    ] {
        let answer = dig(addr, question);
        assert!(answer.contains(&format!("status: {status}")), "{answer}");
    }
    stops_orderly(names);
}

#[test]
fn more_addresses_than_fit_are_told_in_part() {
    let many = (0..100).map(|number| format!("many.example=10.0.1.{number}"));
    let names = Program::start(example("names").arg("127.0.0.1:0").args(many));
    let answer = dig(names.address(), "many.example");
    assert!(answer.contains("flags: qr aa tc rd;"), "{answer}");
    assert!(
        answer.contains("ANSWER: 30,"),
        "as many as 512 bytes hold: {answer}"
    );
    stops_orderly(names);
}

/// A question for the addresses of `one.example`.
fn query(id: u16) -> Vec<u8> {
    let mut query = id.to_be_bytes().to_vec();
    query.extend(b"\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00");
    query.extend(b"\x03one\x07example\x00\x00\x01\x00\x01");
    query
}

/// The codes of the answers to `packet`, of which there is one at most.
fn code_of_answer(socket: &UdpSocket, packet: &[u8]) -> Option<u8> {
    const LAST: u16 = 0xfeed;
    socket.send(packet).unwrap();
    // What comes before the answer to this is the answer to that.
    socket.send(&query(LAST)).unwrap();
    let mut buf = [0; 1024];
    let mut code = None;
    loop {
        let len = socket.recv(&mut buf).unwrap();
        assert!((12..=512).contains(&len), "an answer of {len} bytes");
        assert!(buf[2] & 0x80 != 0, "it is said to be an answer");
        if buf[..2] == LAST.to_be_bytes() {
            assert_eq!(buf[len - 4..len], [10, 0, 0, 1]);
            return code;
        }
        assert_eq!(code, None, "a second answer");
        assert_eq!(buf[..2], packet[..2]);
        code = Some(buf[3] & 0xf);
    }
}

#[test]
fn bad_packets_are_complained_of_or_dropped() {
    let names = names();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.connect(names.address()).unwrap();
    let code = |packet: &[u8]| code_of_answer(&socket, packet);
    let (no_error, form_err) = (Some(0), Some(1));

    let good = query(7);
    assert_eq!(code(&good), no_error);
    for len in 0..good.len() {
        let expected = if len < 4 { None } else { form_err };
        assert_eq!(code(&good[..len]), expected, "the first {len} bytes");
    }
    // With more behind it, which is for others to understand.
    assert_eq!(code(&[&*good, &[0; 3000]].concat()), no_error);
    assert_eq!(code(&[&*good, &[0; 30_000]].concat()), no_error);

    let changed = |place: usize, to: u8| {
        let mut packet = good.clone();
        packet[place] = to;
        packet
    };
    // An answer, and one to nothing.
    assert_eq!(code(&changed(2, 0x81)), None);
    assert_eq!(code(&changed(2, 0x81)[..8]), None);
    // No question, two, and ones with answers.
    for (place, to) in [(5, 0), (5, 2), (4, 0xff), (7, 1), (9, 1)] {
        assert_eq!(code(&changed(place, to)), form_err, "{place}");
    }
    // A pointer to itself, one to nowhere, a label of a kind that never was, one that reaches too far.
    for to in [0xc0, 0xff, 0x40, 0x3f] {
        assert_eq!(code(&changed(12, to)), form_err, "{to:#x}");
    }
    // A name too long by far.
    let mut long = good[..12].to_vec();
    long.extend([b'\x01', b'a'].repeat(1000));
    long.extend(b"\x00\x00\x01\x00\x01");
    assert_eq!(code(&long), form_err);
    // A dot within a label is no dot between two.
    let mut dotted = good[..12].to_vec();
    dotted.extend(b"\x0bone.example\x00\x00\x01\x00\x01");
    assert_eq!(code(&dotted), Some(3));
    // Whatever byte it may be that is wrong, the server lives.
    for (place, byte) in good.iter().enumerate().skip(2) {
        for bit in 0..8 {
            let packet = changed(place, byte ^ 1 << bit);
            code(&packet);
        }
    }
    stops_orderly(names);
}

#[test]
fn names_refuses_what_it_does_not_understand() {
    let long = format!("{}.example=10.0.0.1", "a".repeat(64));
    for args in [
        &[][..],
        &["127.0.0.1:0", "one"],
        &["127.0.0.1:0", "=10.0.0.1"],
        &["127.0.0.1:0", &*long],
    ] {
        let ended = Program::start(example("names").args(args)).ended();
        assert_eq!(ended.code(), Some(1));
        assert!(ended.stderr.starts_with("usage"), "{}", ended.stderr);
    }
}

#[cfg(feature = "hickory")]
#[test]
fn our_own_resolver_finds_them() {
    use concurrence::net::{Dns, ResolveError};
    use std::net::Ipv4Addr;
    use std::process::ExitCode;

    let names = names();
    let addr = names.address();
    let code = concurrence::dispatch(move || {
        let dns = Dns::with_servers(&[addr], &["example"]).unwrap();
        let mut two = dns.ipv4("two.example", PATIENCE).unwrap();
        two.sort();
        assert_eq!(
            two,
            [Ipv4Addr::new(10, 0, 0, 2), Ipv4Addr::new(10, 0, 0, 3)]
        );
        // By the search domain, and with no address of IPv6.
        let one = dns.resolve("one", 80, PATIENCE).unwrap();
        assert_eq!(one, ["10.0.0.1:80".parse().unwrap()]);
        let error = dns.ipv4("three.example", PATIENCE).unwrap_err();
        assert!(matches!(error, ResolveError::NotFound), "{error:?}");
    });
    assert_eq!(code, ExitCode::SUCCESS);
    stops_orderly(names);
}
