//! Messages, calls and answers: who takes them, and what becomes of them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use actor_core::__private::catch_panic;
use actor_core::remote::{Delivered, Export, InboundCall, Undelivered, within};
use actor_core::{CallError, Refusal, time};

use super::super::Link;
use super::super::border::Arrivals;
use super::super::ends::{error_of, refusal_code};
use super::super::outbox::{WINDOW, cost};
use super::chunks::MARGIN;
use super::ferry::Ferry;
use super::{Object, Reader};
use crate::exposure::{Exposed, Exposures};
use crate::idempotent::{Begun, Memory, Repeated};
use crate::wire::frame::{Body, HANDLES, Kind, Malformed, ONCE, put_number};

impl Reader {
    pub(super) fn message(
        &mut self,
        body: &mut Body<'_>,
        flags: u8,
        is_call: bool,
    ) -> Result<(), Malformed> {
        let mut once = None;
        let mut call = if is_call {
            let id = body.small()?;
            let left = body.number()?;
            once = (flags & ONCE != 0)
                .then(|| Repeated::read(body))
                .transpose()?;
            let deadline = (left > 0)
                .then(|| time::now().checked_add(Duration::from_millis(left)))
                .flatten();
            Some(InboundCall {
                id: u64::from(id),
                returns: self.returns.clone(),
                deadline,
            })
        } else {
            None
        };
        let number = body.number()?;
        let class = body.small()?;
        let arrivals = if flags & HANDLES == 0 {
            None
        } else {
            let by_name = by_name(&self.named, &self.local.exposures);
            Some(Arrivals::read(&self.link, body, by_name)?)
        };
        let bytes = body.rest();
        let cost = cost(bytes.len());

        let export = self.find(number, class)?;
        let mut inquiry = None;
        if let Some(call) = &call
            && self.crowd.is_some()
        {
            // There is no room for its answer.
            call.returns.answer(call.id, Err(CallError::Full));
            drop(arrivals);
            self.owe(number, cost);
            return Ok(());
        }
        if let (Some(once), Ok(_), Some(own)) = (once, &export, &mut call) {
            let remembers = object(&mut self.named, &mut self.handles, number)
                .and_then(|object| object.exposed.as_ref()?.remembers());
            match Memory::begin(remembers.as_ref(), once, self.local.incarnation, own) {
                Begun::Execute(returns) => own.returns = returns,
                Begun::Ask(returns, ask) => {
                    own.returns = returns;
                    inquiry = Some(ask);
                }
                Begun::Known => {
                    // It has been answered, or will be.
                    drop(arrivals);
                    self.owe(number, cost);
                    return Ok(());
                }
            }
        }
        let outcome = match export {
            Err(why) => {
                if let Some(call) = &call {
                    call.returns.answer(call.id, Err(CallError::Refused(why)));
                }
                Err(Undelivered::Refused(why))
            }
            Ok(export) => {
                let limits = &self.limits;
                let behind = object(&mut self.named, &mut self.handles, number)
                    .and_then(|object| object.ferry.as_ref())
                    .is_some_and(|ferry| ferry.is_busy());
                // A store may take its time, and is asked where messages wait for room.
                let behind = behind || inquiry.is_some();
                let asker = call.as_ref().map(|call| (call.id, call.returns.clone()));
                let deliver = || match &arrivals {
                    Some(arrivals) => {
                        within(arrivals, || export.deliver(bytes, limits, call, behind))
                    }
                    None => {
                        let none = Arrivals::none();
                        within(&none, || export.deliver(bytes, limits, call, behind))
                    }
                };
                // A `Deserialize` that panics concerns its message alone.
                catch_panic(deliver).unwrap_or_else(|panic| {
                    self.link.panicked(export.class().name, &panic);
                    let why = Refusal::Undecodable;
                    if let Some((id, returns)) = &asker {
                        returns.answer(*id, Err(CallError::Refused(why)));
                    }
                    Err(Undelivered::Refused(why))
                })
            }
        };
        // What came with the message and is not in it is given back.
        drop(arrivals);
        if let Err(Undelivered::Refused(why)) = &outcome {
            self.refuses(number, class, *why);
        }
        let refused = match outcome {
            Ok(Delivered::Done) => None,
            Ok(Delivered::Full(wait)) => {
                let wait = match inquiry {
                    None => wait,
                    Some(inquiry) => Box::new(move || inquiry.then(wait)),
                };
                return self.ferry(number, wait, cost);
            }
            Err(undelivered) => Some(undelivered),
        };
        if let Some(undelivered) = refused
            && !is_call
        {
            refuse(&self.link, number, undelivered);
        }
        self.owe(number, cost);
        Ok(())
    }

    /// A message was refused: a line for the log.
    #[cold]
    pub(super) fn refuses(&self, number: u64, class: u32, why: Refusal) {
        let object = usize::try_from(number >> 1).ok();
        let name = object
            .filter(|_| number & 1 == 0)
            .and_then(|at| self.named.get(at)?.name.as_deref());
        let class = self.classes.get(class as usize).map(|class| &*class.name);
        self.link.refuses(&(name, class), why);
    }

    /// What takes messages of a class that go to an object.
    pub(super) fn find(
        &mut self,
        number: u64,
        class: u32,
    ) -> Result<Result<Arc<dyn Export>, Refusal>, Malformed> {
        let Some(known) = self.classes.get(class as usize) else {
            return Err(Malformed::Unknown);
        };
        let changes = self.local.exposures.changes();
        let object = if number & 1 == 0 {
            let object = usize::try_from(number >> 1)
                .ok()
                .and_then(|at| self.named.get_mut(at))
                .ok_or(Malformed::Unknown)?;
            if object.changes != changes {
                object.changes = changes;
                object.classes.clear();
                object.exposed = object
                    .name
                    .as_ref()
                    .and_then(|name| self.local.exposures.get(name));
            }
            object
        } else {
            let id = u32::try_from(number >> 1).map_err(|_| Malformed::Number)?;
            if !self.link.exports.was_issued(id) {
                return Err(Malformed::Unknown);
            }
            let exposed = self.link.exports.get(id);
            if exposed.is_none() {
                self.handles.remove(&id);
                return Ok(Err(Refusal::Unknown));
            }
            let object = self.handles.entry(id).or_default();
            object.exposed = exposed;
            object
        };
        let Some(exposed) = &object.exposed else {
            return Ok(Err(Refusal::Unknown));
        };
        let place = match object.classes.binary_search_by_key(&class, |(of, _)| *of) {
            Ok(place) => return Ok(Ok(object.classes[place].1.clone())),
            Err(place) => place,
        };
        let found = exposed.find(&known.name, known.version, known.schema);
        if let Ok(export) = &found {
            object.classes.insert(place, (class, export.clone()));
        }
        Ok(found)
    }

    /// Has a message wait for room in its mailbox, behind those that wait already.
    pub(super) fn ferry(
        &mut self,
        number: u64,
        wait: Box<dyn FnOnce() -> Result<(), Undelivered> + Send>,
        cost: i64,
    ) -> Result<(), Malformed> {
        let link = &self.link;
        // A sender goes on until its credit is used up, and so beyond it by less than one message.
        let most = WINDOW + link.settings.max_message as i64 + MARGIN as i64;
        let Some(object) = object(&mut self.named, &mut self.handles, number) else {
            return Ok(());
        };
        let ferry = object
            .ferry
            .get_or_insert_with(|| Arc::new(Ferry::new(link.clone(), number)));
        if ferry.put(wait, cost, most) {
            Ok(())
        } else {
            Err(Malformed::TooMany)
        }
    }

    /// The object has taken so much: it takes as much more.
    pub(super) fn owe(&mut self, number: u64, cost: i64) {
        let Some(object) = object(&mut self.named, &mut self.handles, number) else {
            return;
        };
        object.owed += cost;
        if object.owed >= WINDOW / 4 {
            let amount = std::mem::take(&mut object.owed);
            give_credit(&self.link, number, amount);
        }
    }

    pub(super) fn reply(&mut self, body: &mut Body<'_>, flags: u8) -> Result<(), Malformed> {
        let call = body.small()?;
        let code = body.byte()?;
        let arrivals = if flags & HANDLES == 0 {
            Arrivals::none()
        } else {
            let by_name = by_name(&self.named, &self.local.exposures);
            Arrivals::read(&self.link, body, by_name)?
        };
        // Late answers, whose callers have gone, find nothing.
        let Some(reply) = self.link.outbox.take_call(call) else {
            return Ok(());
        };
        let outcome = if code == 0 {
            Ok(body.rest())
        } else {
            Err(error_of(code))
        };
        let answered = catch_panic(|| within(&arrivals, || reply.answer(outcome)));
        if let Err(panic) = answered {
            self.link.panicked("an answer", &panic);
        }
        Ok(())
    }
}

/// What is exposed here by names, by the other side's numbers of these.
pub(super) fn by_name<'a>(
    named: &'a [Object],
    exposures: &'a Exposures,
) -> impl Fn(u32) -> Option<Arc<Exposed>> + 'a {
    |number| exposures.get(named.get(number as usize)?.name.as_ref()?)
}

pub(super) fn object<'a>(
    named: &'a mut [Object],
    handles: &'a mut HashMap<u32, Object>,
    number: u64,
) -> Option<&'a mut Object> {
    let id = u32::try_from(number >> 1).ok()?;
    if number & 1 == 0 {
        named.get_mut(id as usize)
    } else {
        handles.get_mut(&id)
    }
}

pub(super) fn give_credit(link: &Link, number: u64, amount: i64) {
    link.outbox.word(Kind::Credit, 0, |into| {
        put_number(into, number);
        put_number(into, amount as u64);
    });
}

/// Tells the sender of a message that it could not be delivered.
pub(super) fn refuse(link: &Link, number: u64, why: Undelivered) {
    let code = match why {
        Undelivered::Ended | Undelivered::Full | Undelivered::Disconnected => 0,
        Undelivered::Refused(why) => refusal_code(why) + 1,
    };
    link.outbox.word(Kind::Refused, 0, |into| {
        put_number(into, number);
        into.push(code);
    });
}
