//! Those who are not let in.

use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use actor_core::block_on_thread;
use actor_remote::handshake::{Auth, Config, Initiator, Nonce, Secret, Secrets, Step};
use actor_remote::wire::frame::Kind;
use actor_remote::{ConnectError, Node};

use crate::common::{Add, LONG, Pair, config, secret, until};
use crate::raw::{Raw, alone, dial, frame, is_gone, is_hung_up_on, memory, read_message};

fn knowing(name: &str, secret: Secret) -> Config {
    Config {
        auth: Auth::Secret(Arc::new(Secrets::new(secret))),
        ..Config::new(name, 1)
    }
}

/// Two nodes with a secret, and an attack on the one that listens.
fn attack(work: impl FnOnce(SocketAddr) + Send + 'static) {
    alone(move || {
        let pair = Pair::with(
            config("server").secret(secret()),
            config("client").secret(secret()),
        );
        let addr = pair.server.local_addr().unwrap();
        assert_eq!(pair.log.call(Add(1)), Ok(1));
        block_on_thread(move || work(addr));
        assert_eq!(pair.log.call(Add(1)), Ok(2));
        assert!(pair.server.refused() > 0);
        // Nobody else was let in, and whoever is to be still is.
        assert_eq!(pair.server.peers().len(), 1);
        block_on_thread(move || Raw::begun(addr, knowing("good", secret())).ping());
    });
}

#[test]
fn a_wrong_secret() {
    attack(|addr| {
        for config in [
            knowing(
                "wrong",
                Secret::from_bytes("what somebody else knows").unwrap(),
            ),
            Config::new("none", 1),
        ] {
            let mut stream = dial(addr);
            let (mut side, first) = Initiator::start(config, Nonce::random().unwrap()).unwrap();
            stream.write_all(&first).unwrap();
            let hello = read_message(&mut stream).unwrap();
            // One that does not look, and goes on.
            if let Ok(Step::Send(proof)) = side.receive(&mut &hello[..]) {
                stream.write_all(&proof).unwrap();
            } else {
                stream.write_all(&[32, 0]).unwrap();
                stream.write_all(&[7; 32]).unwrap();
            }
            assert_eq!(read_message(&mut stream), None, "no proof, and no reason");
        }
    });
}

#[test]
fn frames_instead_of_a_proof() {
    attack(|addr| {
        let mut stream = dial(addr);
        drop(stream.write_all(&frame(Kind::Begin, 0, 0, &[])));
        assert!(is_hung_up_on(&mut stream));
        // The hello is right.
        let mut stream = dial(addr);
        let right = knowing("right", secret());
        let (_, first) = Initiator::start(right, Nonce::random().unwrap()).unwrap();
        stream.write_all(&first).unwrap();
        read_message(&mut stream).unwrap();
        drop(stream.write_all(&frame(Kind::Begin, 0, 0, &[0; 100])));
        assert!(is_hung_up_on(&mut stream));
        // Longer than any message of a handshake.
        let mut stream = dial(addr);
        drop(stream.write_all(&[0xFF; 3000]));
        assert!(is_hung_up_on(&mut stream));
    });
}

/// Records what goes through from the one that has connected.
fn recorded(addr: SocketAddr) -> Vec<Vec<u8>> {
    let mut stream = dial(addr);
    let (mut side, first) =
        Initiator::start(knowing("victim", secret()), Nonce::random().unwrap()).unwrap();
    stream.write_all(&first).unwrap();
    let hello = read_message(&mut stream).unwrap();
    let Ok(Step::Send(proof)) = side.receive(&mut &hello[..]) else {
        panic!("it is the right one");
    };
    stream.write_all(&proof).unwrap();
    read_message(&mut stream).unwrap();
    vec![first, proof]
}

#[test]
fn a_replay() {
    attack(|addr| {
        let said = recorded(addr);
        let mut stream = dial(addr);
        stream.write_all(&said[0]).unwrap();
        read_message(&mut stream).unwrap();
        stream.write_all(&said[1]).unwrap();
        assert_eq!(read_message(&mut stream), None);
    });
}

#[test]
fn a_reflection() {
    attack(|addr| {
        // What the node says to one connection is said to it on another, and back.
        let (mut one, mut other) = (dial(addr), dial(addr));
        let (_, first) =
            Initiator::start(knowing("mirror", secret()), Nonce::random().unwrap()).unwrap();
        one.write_all(&first).unwrap();
        let hello = read_message(&mut one).unwrap();
        other.write_all(&hello).unwrap();
        // It is answered as any other, so that nobody learns what is wrong.
        let answer = read_message(&mut other).unwrap();
        drop(one.write_all(&answer));
        assert!(is_hung_up_on(&mut one), "a hello is no proof");
        let mut proof = vec![32, 0];
        proof.extend_from_slice(&answer[..32]);
        other.write_all(&proof).unwrap();
        assert_eq!(read_message(&mut other), None);
    });
}

#[test]
fn a_relay_without_the_secret() {
    alone(|| {
        // It leads one to another than it has asked for, and changes what is said to a node.
        let server = Node::listen("127.0.0.1:0", config("server").secret(secret())).unwrap();
        let target = server.local_addr().unwrap();
        let client = Node::start(config("client").secret(secret())).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let relay = listener.local_addr().unwrap();
        thread::spawn(move || {
            for round in 0..3 {
                let (mut from, _) = listener.accept().unwrap();
                let mut to = dial(target);
                from.set_read_timeout(Some(LONG)).unwrap();
                relayed(&mut from, &mut to, round);
            }
        });
        let elsewhere = client.connect_to("other", relay);
        assert!(
            matches!(elsewhere, Err(ConnectError::Refused(_))),
            "{elsewhere:?}"
        );
        for _ in 0..2 {
            let changed = client.connect(relay);
            assert!(changed.is_err());
        }
        assert_eq!(server.peers().len(), 0);
        until("all were counted", || server.refused() >= 3);
        client.connect(target).unwrap();
        client.close();
        server.close();
    });
}

/// Relays a handshake: as it is, or with one byte of a hello changed, which only the proof shows.
fn relayed(from: &mut TcpStream, to: &mut TcpStream, round: usize) {
    for number in 0.. {
        let (from, to) = if number % 2 == 0 {
            (&mut *from, &mut *to)
        } else {
            (&mut *to, &mut *from)
        };
        let Some(mut message) = read_message(from) else {
            return;
        };
        // Of the nonces, behind the length, the mark and the role.
        if round > 0 && number == round - 1 {
            message[2 + 6 + 3] ^= 1;
        }
        if to.write_all(&message).is_err() {
            return;
        }
    }
}

#[test]
fn half_open_handshakes_are_bounded() {
    const ALL: usize = 50_000;
    const AT_A_TIME: usize = 200;

    alone(|| {
        let server = config("server").secret(secret()).handshakes(LONG, 64);
        let pair = Pair::with(server, config("client").secret(secret()));
        let addr = pair.server.local_addr().unwrap();
        assert_eq!(pair.log.call(Add(1)), Ok(1));
        let before = memory();
        block_on_thread(move || {
            let mut most = 0;
            let mut open = Vec::new();
            let (_, hello) =
                Initiator::start(knowing("half", secret()), Nonce::random().unwrap()).unwrap();
            for number in 0..ALL {
                let mut stream = dial(addr);
                // Some say nothing, some a part, some all but the proof.
                let length = [0, 10, hello.len()][number % 3];
                drop(stream.write_all(&hello[..length]));
                open.push(stream);
                // Some are dropped for others: the limit of time is far. Which ones is for the server to say, whose
                // workers take them in.
                let limit = Instant::now() + LONG;
                while open.len() > AT_A_TIME {
                    assert!(Instant::now() < limit, "none at number {number}");
                    open.retain_mut(|stream| !is_gone(stream));
                    thread::yield_now();
                }
                if number % 1000 == 0 {
                    most = most.max(memory());
                }
            }
            // Each that is under way has a tasklet, of whose stack it touches some 16 KiB: 64 of them, those that have
            // been hung up on and not noticed yet, and stacks that are kept for the next ones. All 50,000 would have
            // 800 MiB.
            let grown = most.saturating_sub(before);
            assert!(grown < 32 << 20, "{grown} bytes more");
            // One that means it gets in among them.
            Raw::begun(addr, knowing("good", secret())).ping();
        });
        assert!(pair.server.refused() >= (ALL - AT_A_TIME) as u64);
        assert_eq!(pair.log.call(Add(1)), Ok(2));
    });
}
