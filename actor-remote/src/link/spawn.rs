//! Orders to start actors, and what comes of them, as frames.
//!
//! Whoever orders gives the new one a number, which no other of its process has: so it can be stopped before
//! anybody knows whether it has started, and claimed over another link.

use std::sync::Arc;
use std::time::Duration;

use actor_codec::{DecodeError, Limits};
use actor_core::Refusal;
use actor_core::remote::{ClassName, Encodable, Export, within};

use super::border::{Arrivals, Departures, unencodable};
use super::ends::{refusal_code, refusal_of};
use super::import::Import;
use super::requests::{Asked, NoAnswer};
use super::{Link, frame};
use crate::exposure::Exposed;
use crate::wire::frame::{Body, Kind, MAX_TEXT, Malformed, cut, put_number, put_text};

/// What an order is.
const NEW: u8 = 0;
const CLAIM: u8 = 1;

/// What comes of it.
const STARTED: u8 = 0;
const UNKNOWN: u8 = 1;
const REFUSED: u8 = 2;
const FAILED: u8 = 3;
const TOO_MANY: u8 = 4;
const GONE: u8 = 5;

/// How one is to end.
pub(crate) const STOP: u8 = 0;
pub(crate) const KILL: u8 = 1;

/// How many classes may be asked for.
const MAX_CLASSES: u64 = 4096;

/// One that is to be started.
pub(crate) struct Wanted<'a> {
    pub(crate) kind: &'a str,
    pub(crate) classes: &'static [ClassName],
    pub(crate) args: &'a dyn Encodable,
}

/// Why there is none.
#[derive(Debug)]
pub(crate) enum NotSpawned {
    Unknown,
    Refused(Refusal),
    Failed(String),
    TooMany,
    Gone,
    Disconnected,
    TimedOut,
}

impl Link {
    /// Has an actor started, as `number`, and waits until it has. If this ends by a failure, or by a kill, the other
    /// side is told to end it.
    pub(crate) fn spawn(
        self: &Arc<Self>,
        number: u64,
        wanted: &Wanted<'_>,
        limit: Duration,
    ) -> Result<Arc<Import>, NotSpawned> {
        if wanted.kind.len() > MAX_TEXT {
            // Nobody can offer it.
            return Err(NotSpawned::Unknown);
        }
        let departures = Departures::new(self);
        let mut args = Vec::new();
        let max = self.outbox.max_message();
        within(&departures, || wanted.args.encode(&mut args, max)).map_err(|error| {
            let too_big = matches!(error, actor_codec::EncodeError::TooBig { .. });
            NotSpawned::Refused(unencodable(&departures, too_big))
        })?;
        let mut handles = Vec::new();
        departures.write(&mut handles);
        let order = self.order(number)?;
        let mut body = order.begin(NEW);
        put_text(&mut body, wanted.kind);
        put_number(&mut body, wanted.classes.len() as u64);
        for class in wanted.classes {
            put_text(&mut body, class.name);
            put_number(&mut body, u64::from(class.version));
            put_number(&mut body, class.schema);
        }
        body.extend_from_slice(&handles);
        body.extend_from_slice(&args);
        let flags = if handles.is_empty() {
            0
        } else {
            frame::HANDLES
        };
        self.outbox.word_of(Kind::Spawn, flags, 0, body);
        departures.sent();
        order.wait(limit)
    }

    /// Claims one that this process has had started over another link.
    pub(crate) fn claim(
        self: &Arc<Self>,
        number: u64,
        limit: Duration,
    ) -> Result<Arc<Import>, NotSpawned> {
        let mut order = self.order(number)?;
        // One that was there before, and is not ended because nobody has waited for this.
        order.ends_it = false;
        let body = order.begin(CLAIM);
        // Behind the word that it is to end, if that has been said.
        self.outbox
            .word_behind(Kind::Spawn, |into| into.extend_from_slice(&body));
        order.wait(limit)
    }

    fn order(self: &Arc<Self>, number: u64) -> Result<Ordered<'_>, NotSpawned> {
        Ok(Ordered {
            link: self,
            number,
            asked: self.requests.ask().ok_or(NotSpawned::Disconnected)?,
            ends_it: true,
        })
    }

    /// Has one ended. Behind the order to start it, which may be long, and on its way yet.
    pub(crate) fn stop(&self, number: u64, how: u8) {
        self.outbox.word_behind(Kind::Stop, |into| {
            put_number(into, number);
            into.push(how);
        });
    }

    /// Gives back what has come for somebody who waits no longer.
    pub(super) fn decline(&self, answer: &[u8]) -> Result<(), Malformed> {
        let mut answer = Body(answer);
        if answer.byte()? == STARTED {
            let id = answer.small()?;
            self.outbox.word(Kind::Release, 0, |into| {
                put_number(into, u64::from(id));
                put_number(into, 1);
            });
        }
        Ok(())
    }

    /// Makes a handle of something for the other side; `None` if there is no room.
    fn give(&self, classes: Vec<Arc<dyn Export>>) -> Option<u32> {
        // What is given to a link that has ended is never given back.
        if self.has_ended() {
            return None;
        }
        self.exports.send(classes)
    }

    /// Says what has come of an order.
    pub(crate) fn tell_outcome(&self, request: u32, outcome: Outcome<'_>) {
        let handle = match &outcome {
            Outcome::Started(classes) => self.give(classes.to_vec()),
            _ => None,
        };
        self.outbox.word(Kind::Spawned, 0, |into| {
            put_number(into, u64::from(request));
            match outcome {
                Outcome::Started(_) => match handle {
                    Some(id) => {
                        into.push(STARTED);
                        put_number(into, u64::from(id));
                    }
                    None => into.push(TOO_MANY),
                },
                Outcome::Unknown => into.push(UNKNOWN),
                Outcome::Refused(why) => {
                    into.push(REFUSED);
                    into.push(refusal_code(why));
                }
                Outcome::Failed(text) => {
                    into.push(FAILED);
                    put_text(into, cut(text));
                }
                Outcome::TooMany => into.push(TOO_MANY),
                Outcome::Gone => into.push(GONE),
            }
        });
    }
}

/// An order on its way.
struct Ordered<'a> {
    link: &'a Arc<Link>,
    number: u64,
    asked: Asked<'a>,
    ends_it: bool,
}

impl Ordered<'_> {
    fn begin(&self, what: u8) -> Vec<u8> {
        let mut body = Vec::new();
        put_number(&mut body, u64::from(self.asked.id));
        body.push(what);
        put_number(&mut body, self.number);
        body
    }

    fn wait(mut self, limit: Duration) -> Result<Arc<Import>, NotSpawned> {
        let answer = self.asked.wait(limit).map_err(|none| match none {
            NoAnswer::Disconnected => NotSpawned::Disconnected,
            NoAnswer::TimedOut => NotSpawned::TimedOut,
        })?;
        let link = self.link;
        let mut answer = Body(&answer);
        let mut read = || -> Result<_, Malformed> {
            Ok(match answer.byte()? {
                STARTED => Ok(answer.small()?),
                UNKNOWN => Err(NotSpawned::Unknown),
                REFUSED => Err(NotSpawned::Refused(refusal_of(answer.byte()?))),
                FAILED => Err(NotSpawned::Failed(answer.text()?.to_owned())),
                TOO_MANY => Err(NotSpawned::TooMany),
                _ => Err(NotSpawned::Gone),
            })
        };
        let started = match read() {
            Ok(Ok(id)) => Import::receive(link, id).ok_or(NotSpawned::TooMany),
            Ok(Err(why)) => Err(why),
            Err(malformed) => {
                link.end(malformed.into());
                Err(NotSpawned::Disconnected)
            }
        };
        // Otherwise it has not started, or is there without a handle for it, and is ended.
        self.ends_it &= started.is_err();
        started
    }
}

impl Drop for Ordered<'_> {
    fn drop(&mut self) {
        if let Some(answer) = self.asked.give_up() {
            // What makes no sense has ended nothing but this.
            let _ = self.link.decline(&answer);
        }
        if self.ends_it {
            self.link.stop(self.number, STOP);
        }
    }
}

/// An order of the other side.
pub(crate) struct Order {
    pub(crate) request: u32,
    pub(crate) number: u64,
    /// What is to be started; otherwise one is claimed that was.
    pub(crate) new: Option<(String, Vec<OwnedClass>, Arguments)>,
}

/// A class of messages that is asked for.
pub(crate) struct OwnedClass {
    pub(crate) name: String,
    pub(crate) version: u32,
    pub(crate) schema: u64,
}

/// What an actor is to be started with.
pub(crate) struct Arguments {
    bytes: Vec<u8>,
    arrivals: Arrivals,
}

impl Arguments {
    /// Reads them.
    pub(crate) fn decode<A: serde::de::DeserializeOwned>(&self) -> Result<A, DecodeError> {
        within(&self.arrivals, || {
            actor_codec::decode(&self.bytes, &Limits::default())
        })
    }
}

impl Order {
    pub(super) fn read(
        link: &Arc<Link>,
        body: &mut Body<'_>,
        has_handles: bool,
        by_name: impl Fn(u32) -> Option<Arc<Exposed>>,
    ) -> Result<Order, Malformed> {
        let request = body.small()?;
        let what = body.byte()?;
        let number = body.number()?;
        if what == CLAIM {
            body.end()?;
            return Ok(Order {
                request,
                number,
                new: None,
            });
        }
        let kind = body.text()?.to_owned();
        let count = body.number()?;
        if count > MAX_CLASSES {
            return Err(Malformed::TooMany);
        }
        let mut classes = Vec::new();
        for _ in 0..count {
            classes.push(OwnedClass {
                name: body.text()?.to_owned(),
                version: body.small()?,
                schema: body.number()?,
            });
        }
        let arrivals = if has_handles {
            Arrivals::read(link, body, by_name)?
        } else {
            Arrivals::none()
        };
        let bytes = body.rest().to_vec();
        Ok(Order {
            request,
            number,
            new: Some((kind, classes, Arguments { bytes, arrivals })),
        })
    }
}

/// What comes of an order of the other side.
pub(crate) enum Outcome<'a> {
    Started(&'a [Arc<dyn Export>]),
    Unknown,
    Refused(Refusal),
    Failed(&'a str),
    TooMany,
    Gone,
}
