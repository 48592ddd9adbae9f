//! Recipients and rights to answer as fields of messages to other processes.

use std::fmt;
use std::sync::Arc;

use actor_codec::{EncodeError, Limits};
use parking_lot::Mutex;
use serde::de::{DeserializeOwned, Error as _};
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::border::{Arrival, BorderError, Encodable, ReplyAbroad, ReplyHome, at_border};
use super::export::export;
use super::{Abroad, RemoteMessage};
use crate::message::Receiver;
use crate::reply::{Departed, Reply, ReplyTo};
use crate::waiter::{Relay, Waiter};
use crate::{CallError, Recipient, Refusal};

/// Within a message over a link alone: it becomes a handle there, which is given back when the recipient
/// that is made of it is dropped.
impl<M: RemoteMessage> Serialize for Recipient<M> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let export = || vec![export(self.clone())];
        let index =
            at_border(|border| border.export(self.foreign(), &export)).map_err(S::Error::custom)?;
        serializer.serialize_u32(index)
    }
}

impl<'de, M: RemoteMessage> Deserialize<'de> for Recipient<M> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let index = u32::deserialize(deserializer)?;
        match at_border(|border| border.import(index)).map_err(D::Error::custom)? {
            Arrival::Foreign(foreign) => Ok(Recipient::new(Abroad(foreign))),
            Arrival::Own(exports) => exports
                .iter()
                .find_map(|export| export.recipient::<M>())
                .ok_or_else(|| D::Error::custom(BorderError::WrongClass)),
        }
    }
}

/// What stands for a right to answer nobody. Handles begin after it.
const NOBODY: u32 = 0;

/// Within a message over a link alone. It is the other side that answers from then on, and if it does not,
/// or the link breaks, the caller is told; what is left here can be dropped.
impl<T: Serialize + DeserializeOwned + Send + 'static> Serialize for ReplyTo<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.is_to_nobody() {
            return serializer.serialize_u32(NOBODY);
        }
        let departed = self
            .depart()
            .ok_or_else(|| S::Error::custom(BorderError::Gone))?;
        let index = at_border(|border| border.export_reply(Box::new(departed)))
            .map_err(S::Error::custom)?;
        serializer.serialize_u32(index + 1)
    }
}

impl<'de, T: Serialize + DeserializeOwned + Send + 'static> Deserialize<'de> for ReplyTo<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Some(index) = u32::deserialize(deserializer)?.checked_sub(1) else {
            return Ok(ReplyTo::nobody());
        };
        let abroad = at_border(|border| border.import_reply(index)).map_err(D::Error::custom)?;
        let relay = Arc::new(Passage {
            ends: Mutex::new(None),
        });
        let (reply_to, reply) = Reply::pair(Waiter::Relay(relay.clone()));
        *relay.ends.lock() = Some((reply, abroad));
        Ok(reply_to)
    }
}

impl<T: DeserializeOwned + Send + 'static> ReplyHome for Departed<T> {
    fn answer(self: Box<Self>, outcome: Result<&[u8], CallError>) {
        let outcome = outcome.and_then(|bytes| {
            actor_codec::decode(bytes, &Limits::default())
                .map_err(|_| CallError::Refused(Refusal::Undecodable))
        });
        Departed::answer(*self, outcome);
    }

    fn come_back(self: Box<Self>) {
        Departed::come_back(*self);
    }

    fn is_wanted(&self) -> bool {
        Departed::is_wanted(self)
    }
}

/// Where the answer comes out, and where it goes.
type Ends<T> = (Reply<T>, Box<dyn ReplyAbroad>);

/// From the right to answer that is here to the caller in another process.
struct Passage<T> {
    ends: Mutex<Option<Ends<T>>>,
}

impl<T: Serialize + Send> Relay for Passage<T> {
    fn pass_on(&self) {
        let Some((reply, abroad)) = self.ends.lock().take() else {
            return;
        };
        match reply.take() {
            Some(Ok(value)) => abroad.answer(Ok(&Plain(value))),
            Some(Err(error)) => abroad.answer(Err(error)),
            None => {}
        }
    }
}

impl<T> fmt::Debug for Passage<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passage")
    }
}

/// An answer without a message that it belongs to.
struct Plain<T>(T);

impl<T: Serialize> Encodable for Plain<T> {
    fn encode(&self, into: &mut Vec<u8>, max: usize) -> Result<(), EncodeError> {
        actor_codec::encode(&self.0, into, max)
    }
}
