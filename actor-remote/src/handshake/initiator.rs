//! [`Initiator`].

use std::mem;

use subtle::ConstantTimeEq;

use super::judge::{agreed, judge};
use super::step::{framed, message};
use super::transcript::{Schedule, TAG, transcript};
use super::{Agreed, Auth, BadHello, Config, Hello, MAX_MESSAGE, Nonce, Refused, Role, Step};

/// The end of a link that has connected. There is an example in the documentation of the
/// [module](crate::handshake).
#[derive(Debug)]
pub struct Initiator {
    config: Config,
    state: State,
}

#[derive(Debug)]
enum State {
    /// The peer's hello is to come. Ours is kept, as it is and as it was sent.
    Hello { ours: Hello, sent: Vec<u8> },
    /// This proof of the peer's is to come.
    Proof {
        expected: [u8; TAG],
        agreed: Box<Agreed>,
    },
    /// It is over, for better or worse.
    Over,
}

impl Initiator {
    /// Begins: what to send first.
    ///
    /// # Errors
    ///
    /// What cannot be said of what is in `config`.
    pub fn start(config: Config, nonce: Nonce) -> Result<(Initiator, Vec<u8>), BadHello> {
        let expected = config.expected.clone().unwrap_or_default();
        let ours = config.hello(Role::Initiator, nonce, expected);
        let sent = ours.encode()?;
        let first = framed(&sent);
        let state = State::Hello { ours, sent };
        Ok((Initiator { config, state }, first))
    }

    /// Takes the next message of the peer's off the front of `input`, which is all that has come from it and was
    /// not taken. What comes behind the last one, and is left, are the first records.
    ///
    /// # Errors
    ///
    /// The peer is none, and the connection is to be closed without another word.
    pub fn receive(&mut self, input: &mut &[u8]) -> Result<Step, Refused> {
        let limit = match self.state {
            State::Hello { .. } => MAX_MESSAGE,
            State::Proof { .. } => TAG,
            State::Over => return Err(Refused::Over),
        };
        let message = match message(input, limit) {
            Ok(Some(message)) => message,
            Ok(None) => return Ok(Step::More),
            Err(refused) => {
                self.state = State::Over;
                return Err(refused);
            }
        };
        match mem::replace(&mut self.state, State::Over) {
            State::Hello { ours, sent } => {
                // Ours says all that theirs is compared with, and nothing of the secret is used before it fits.
                let terms = judge(&self.config, &ours, Hello::decode(message)?)?;
                let binding = self
                    .config
                    .binding
                    .as_ref()
                    .map_or(&[][..], |binding| binding);
                let transcript = transcript(&sent, message, binding);
                let secret = match &self.config.auth {
                    Auth::Secret(secrets) => Some(&secrets.current),
                    Auth::None | Auth::Tls => None,
                };
                let schedule = Schedule::new(secret, &transcript);
                let (proof, expected) = (schedule.initiator, schedule.responder);
                self.state = State::Proof {
                    expected,
                    agreed: agreed(&self.config, Role::Initiator, terms, schedule, transcript),
                };
                Ok(Step::Send(framed(&proof)))
            }
            State::Proof { expected, agreed } => match bool::from(expected[..].ct_eq(message)) {
                true => Ok(Step::Agreed(Vec::new(), agreed)),
                false => Err(Refused::Proof),
            },
            State::Over => Err(Refused::Over),
        }
    }

    /// Why there is no link, when the connection has ended or there is no more time.
    pub fn end(self) -> Refused {
        match self.state {
            State::Over => Refused::Over,
            State::Hello { .. } | State::Proof { .. } => Refused::Ended,
        }
    }
}
