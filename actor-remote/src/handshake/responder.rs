//! [`Responder`].

use std::mem;

use subtle::{Choice, ConstantTimeEq};

use super::judge::{Terms, agreed, judge};
use super::step::{framed, message};
use super::transcript::{Schedule, TAG, transcript};
use super::{Auth, BadHello, Config, Hello, MAX_MESSAGE, Nonce, Refused, Role, Step};

/// The end of a link that has accepted. There is an example in the documentation of the
/// [module](crate::handshake).
///
/// Every hello that is one is answered, and every proof takes the same work, whatever is wrong: who is not let in
/// does not learn why.
#[derive(Debug)]
pub struct Responder {
    config: Config,
    state: State,
}

#[derive(Debug)]
enum State {
    /// The peer's hello is to come.
    Hello { nonce: Nonce },
    /// The peer's proof is to come. It is refused in any case if its hello was.
    Proof {
        terms: Result<Terms, Refused>,
        transcript: [u8; 32],
    },
    /// It is over, for better or worse.
    Over,
}

impl Responder {
    /// For a connection that nothing has come over yet.
    ///
    /// # Errors
    ///
    /// What cannot be said of what is in `config`.
    pub fn new(config: Config, nonce: Nonce) -> Result<Responder, BadHello> {
        // Tried here, so that it is the configuration's fault and not the first peer's.
        let ours = config.hello(Role::Responder, nonce, String::new());
        ours.encode()?;
        let state = State::Hello { nonce: ours.nonce };
        Ok(Responder { config, state })
    }

    /// Takes the next message of the peer's off the front of `input`, which is all that has come from it and was
    /// not taken. Behind the last one there is nothing, as the peer has to wait for the answer to it.
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
            State::Hello { nonce } => {
                let theirs = Hello::decode(message)?;
                let ours = self
                    .config
                    .hello(Role::Responder, nonce, theirs.name.clone());
                let sent = ours.encode()?;
                let binding = self
                    .config
                    .binding
                    .as_ref()
                    .map_or(&[][..], |binding| binding);
                self.state = State::Proof {
                    transcript: transcript(message, &sent, binding),
                    terms: judge(&self.config, &ours, theirs),
                };
                Ok(Step::Send(framed(&sent)))
            }
            State::Proof { terms, transcript } => {
                let schedule = self.proved(&transcript, message);
                let terms = terms?;
                let schedule = schedule.ok_or(Refused::Proof)?;
                let proof = framed(&schedule.responder);
                let agreed = agreed(&self.config, Role::Responder, terms, schedule, transcript);
                Ok(Step::Agreed(proof, agreed))
            }
            State::Over => Err(Refused::Over),
        }
    }

    /// The schedule under the secret that `proof` is made with, if it is one of this node's. As much is computed for
    /// one secret as for two, and for none that fits as for the first.
    fn proved(&self, transcript: &[u8; 32], proof: &[u8]) -> Option<Schedule> {
        let (first, second) = match &self.config.auth {
            Auth::Secret(secrets) => {
                let current = &secrets.current;
                (
                    Some(current),
                    Some(secrets.other.as_ref().unwrap_or(current)),
                )
            }
            Auth::None | Auth::Tls => (None, None),
        };
        let [first, second] = [first, second].map(|secret| Schedule::new(secret, transcript));
        let fits = |schedule: &Schedule| -> Choice { schedule.initiator[..].ct_eq(proof) };
        let (is_first, is_second) = (fits(&first), fits(&second));
        match (is_first.into(), is_second.into()) {
            (true, _) => Some(first),
            (false, true) => Some(second),
            (false, false) => None,
        }
    }

    /// Why there is no link, when the connection has ended or there is no more time: what was wrong with the peer's
    /// hello, which it has probably found out from ours, if something was.
    pub fn end(self) -> Refused {
        match self.state {
            State::Over => Refused::Over,
            State::Proof {
                terms: Err(refused),
                ..
            } => refused,
            State::Hello { .. } | State::Proof { .. } => Refused::Ended,
        }
    }
}
