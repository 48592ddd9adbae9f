//! What comes over a link before and after the handshake: it is taken for the same however it is cut, and nothing of
//! it proves that somebody knows a secret.

#![no_main]

use std::sync::Arc;

use actor_remote::handshake::{
    Auth, Config, Hello, Initiator, MAX_MESSAGE, Nonce, Refused, Responder, Secret, Secrets, Step,
};
use actor_remote::wire::record::{HEADER, Key, MAX_PAYLOAD, Open, Protection, Seal};
use fuzz::{choose, pieces};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut data = data;
    let (initiated, cuts) = (choose(&mut data) % 2 == 1, choose(&mut data));

    if let Ok(hello) = Hello::decode(data) {
        assert_eq!(hello.encode().unwrap(), data, "there is one way to say it");
    }

    let whole = handshake(initiated, &[data]);
    assert_eq!(handshake(initiated, &pieces(data, cuts)), whole);

    let key = Key::from_bytes([7; 32]);
    assert!(records(Protection::Tag(&key), data).is_empty());
    for protection in [Protection::Below, Protection::Checksum] {
        let mut again = Vec::new();
        let mut seal = Seal::new(protection);
        for payload in records(protection, data) {
            let start = again.len();
            again.extend([0; HEADER]);
            again.extend(payload);
            seal.seal(&mut again, start);
        }
        assert!(data.starts_with(&again), "there is one way to write them");
    }
});

/// What one end says to such a peer, and why it has refused it, if it has.
fn handshake(initiated: bool, pieces: &[&[u8]]) -> (Vec<u8>, Option<Refused>) {
    let secret = Secret::from_bytes("what the peer does not know").unwrap();
    let config = Config {
        auth: Auth::Secret(Arc::new(Secrets::new(secret))),
        ..Config::new("bank", 1)
    };
    let nonce = Nonce::from_bytes([1; 32]);
    match initiated {
        true => {
            let (mut initiator, first) = Initiator::start(config, nonce).unwrap();
            answers(first, pieces, |input| initiator.receive(input))
        }
        false => {
            let mut responder = Responder::new(config, nonce).unwrap();
            answers(Vec::new(), pieces, |input| responder.receive(input))
        }
    }
}

fn answers(
    mut said: Vec<u8>,
    pieces: &[&[u8]],
    mut receive: impl FnMut(&mut &[u8]) -> Result<Step, Refused>,
) -> (Vec<u8>, Option<Refused>) {
    let mut waiting = Vec::new();
    for piece in pieces {
        waiting.extend_from_slice(piece);
        let mut input = &waiting[..];
        loop {
            match receive(&mut input) {
                Ok(Step::More) => break,
                Ok(Step::Send(bytes)) => said.extend(bytes),
                Ok(Step::Agreed(..)) => panic!("nobody has proved anything"),
                Err(refused) => return (said, Some(refused)),
            }
        }
        let left = input.to_vec();
        assert!(waiting.ends_with(&left), "only taken off the front");
        assert!(left.len() < 2 + MAX_MESSAGE, "no more than a message waits");
        waiting = left;
    }
    (said, None)
}

/// The payloads that are accepted.
fn records<'a>(protection: Protection<'_>, mut data: &'a [u8]) -> Vec<&'a [u8]> {
    let mut open = Open::new(protection);
    let mut payloads = Vec::new();
    while let Some((header, rest)) = data.split_first_chunk::<HEADER>() {
        let Ok(length) = open.header(header) else {
            break;
        };
        assert!(length <= MAX_PAYLOAD + 16);
        let Some((body, rest)) = rest.split_at_checked(length) else {
            break;
        };
        let Ok(length) = open.check(header, body) else {
            break;
        };
        payloads.push(&body[..length]);
        data = rest;
    }
    payloads
}
