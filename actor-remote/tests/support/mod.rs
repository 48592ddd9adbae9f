//! What the tests of handshakes share: nodes, and what passes their messages on.

#![allow(dead_code, reason = "each test uses its part of it")]

use std::sync::Arc;

use actor_remote::handshake::{
    Agreed, Auth, Config, Hello, Initiator, Nonce, Refused, Responder, Secret, Secrets, Step,
};

/// A node of the cluster `test` that knows the secrets.
pub(crate) fn node(name: &str, secrets: &[&str]) -> Config {
    let mut each = secrets
        .iter()
        .map(|secret| Secret::from_bytes(secret).expect("long enough"));
    let mut known = Secrets::new(each.next().expect("one at least"));
    if let Some(other) = each.next() {
        known = known.also(other);
    }
    Config {
        cluster: "test".into(),
        versions: 1..=3,
        auth: Auth::Secret(Arc::new(known)),
        ..Config::new(name, name.len() as u128)
    }
}

/// The secret of most tests.
pub(crate) const SECRET: &str = "what only these two know";

/// What has become of a handshake at both ends.
#[derive(Debug)]
pub(crate) struct Ends {
    pub(crate) initiator: Result<Agreed, Refused>,
    pub(crate) responder: Result<Agreed, Refused>,
}

impl Ends {
    /// Both, where both have agreed.
    pub(crate) fn agreed(self) -> (Agreed, Agreed) {
        (self.initiator.unwrap(), self.responder.unwrap())
    }

    /// Both, where both have refused.
    pub(crate) fn refused(self) -> (Refused, Refused) {
        (self.initiator.unwrap_err(), self.responder.unwrap_err())
    }
}

pub(crate) fn nonce() -> Nonce {
    Nonce::random().expect("the system has started")
}

/// A handshake in which nobody interferes.
pub(crate) fn exchange(initiator: Config, responder: Config) -> Ends {
    relay(initiator, responder, |_, _| {})
}

/// A handshake of which `change` may change each message, of which it is told the number.
pub(crate) fn relay(
    initiator: Config,
    responder: Config,
    mut change: impl FnMut(usize, &mut Vec<u8>),
) -> Ends {
    let (mut initiator, first) = Initiator::start(initiator, nonce()).unwrap();
    let mut responder = Responder::new(responder, nonce()).unwrap();
    let (mut at_initiator, mut at_responder) = (None, None);
    let mut bytes = first;
    for number in 1.. {
        change(number, &mut bytes);
        let (step, end) = match number % 2 {
            1 => (responder.receive(&mut &bytes[..]), &mut at_responder),
            _ => (initiator.receive(&mut &bytes[..]), &mut at_initiator),
        };
        bytes = match step {
            Ok(Step::Send(bytes)) => bytes,
            Ok(Step::Agreed(bytes, agreed)) => {
                *end = Some(Ok(*agreed));
                if number % 2 == 0 {
                    assert!(bytes.is_empty(), "there is nothing more to say");
                    break;
                }
                bytes
            }
            Ok(Step::More) => break,
            Err(refused) => {
                *end = Some(Err(refused));
                break;
            }
        };
    }
    Ends {
        initiator: at_initiator.unwrap_or_else(|| Err(initiator.end())),
        responder: at_responder.unwrap_or_else(|| Err(responder.end())),
    }
}

/// What a step says.
pub(crate) fn sent(step: Result<Step, Refused>) -> Vec<u8> {
    match step {
        Ok(Step::Send(bytes)) => bytes,
        other => panic!("{other:?} where something was to be said"),
    }
}

/// Changes a hello, in its frame.
pub(crate) fn rewrite(message: &mut Vec<u8>, change: impl FnOnce(&mut Hello)) {
    let mut hello = Hello::decode(&message[2..]).unwrap();
    change(&mut hello);
    *message = frame(&hello.encode().unwrap());
}

/// Puts the length before a message.
pub(crate) fn frame(message: &[u8]) -> Vec<u8> {
    let mut bytes = (message.len() as u16).to_le_bytes().to_vec();
    bytes.extend(message);
    bytes
}
