//! The border of a link: what leaves in messages becomes handles, and handles become what they stand for.
//!
//! Handles stand in a table before the message's own bytes, which refer to them by their places. So whoever
//! refuses a message, which it may not even be able to decode, can give back all that came with it.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use actor_core::remote::{
    Arrival, Border, BorderError, Encodable, Export, Foreign, ReplyAbroad, ReplyHome,
};
use actor_core::{CallError, Refusal};

use super::Link;
use super::import::Import;
use crate::exposure::Exposed;
use crate::named::Named;
use crate::wire::frame::{Body, Malformed, put_number};

/// What a handle is, in the table.
const OWN: u64 = 0;
const YOURS: u64 = 1;
const REPLY: u64 = 2;
const YOURS_BY_NAME: u64 = 3;

/// How many handles one message has at most.
const MAX_HANDLES: usize = 4096;

/// A message that leaves. Dropped before it is [sent](Self::sent), all that left in it comes back.
pub(super) struct Departures<'a> {
    link: &'a Arc<Link>,
    table: RefCell<Vec<u64>>,
    failed: Cell<bool>,
    sent: Cell<bool>,
}

impl<'a> Departures<'a> {
    pub(super) fn new(link: &'a Arc<Link>) -> Self {
        Departures {
            link,
            table: RefCell::default(),
            failed: Cell::new(false),
            sent: Cell::new(false),
        }
    }

    /// Appends the table, if there is one.
    pub(super) fn write(&self, into: &mut Vec<u8>) {
        let table = self.table.borrow();
        if table.is_empty() {
            return;
        }
        put_number(into, table.len() as u64);
        for &handle in table.iter() {
            put_number(into, handle);
        }
    }

    /// Whether anything could not leave.
    pub(super) fn is_failed(&self) -> bool {
        self.failed.get()
    }

    /// The message has gone.
    pub(super) fn sent(self) {
        self.sent.set(true);
    }

    fn add(&self, handle: u64) -> Result<u32, BorderError> {
        let mut table = self.table.borrow_mut();
        let index = table.len();
        table.push(handle);
        Ok(index as u32)
    }

    fn fail(&self, error: BorderError) -> BorderError {
        self.failed.set(true);
        error
    }

    fn is_full(&self) -> bool {
        self.table.borrow().len() >= MAX_HANDLES
    }
}

impl Border for Departures<'_> {
    fn export(
        &self,
        foreign: Option<&Arc<dyn Foreign>>,
        export: &dyn Fn() -> Vec<Arc<dyn Export>>,
    ) -> Result<u32, BorderError> {
        if self.is_full() {
            return Err(self.fail(BorderError::TooMany));
        }
        if let Some(foreign) = foreign {
            let foreign = foreign.as_any();
            if let Some(import) = foreign.downcast_ref::<Import>()
                && Arc::ptr_eq(&import.link, self.link)
            {
                return self.add(u64::from(import.id) << 2 | YOURS);
            }
            if let Some(named) = foreign.downcast_ref::<Named>()
                && let Some(target) = named.target_on(self.link)
            {
                return self.add(target.object << 2 | YOURS_BY_NAME);
            }
            // Of a third node: what they send goes through this one.
        }
        match self.link.exports.send(export()) {
            Some(id) => self.add(u64::from(id) << 2 | OWN),
            None => Err(self.fail(BorderError::TooMany)),
        }
    }

    fn export_reply(&self, reply: Box<dyn ReplyHome>) -> Result<u32, BorderError> {
        if !self.is_full() {
            match self.link.outbox.add_reply(reply) {
                Ok(id) => return self.add(u64::from(id) << 2 | REPLY),
                Err(reply) => reply.come_back(),
            }
        } else {
            reply.come_back();
        }
        Err(self.fail(BorderError::TooMany))
    }

    fn import(&self, _: u32) -> Result<Arrival, BorderError> {
        Err(BorderError::NoLink)
    }

    fn import_reply(&self, _: u32) -> Result<Box<dyn ReplyAbroad>, BorderError> {
        Err(BorderError::NoLink)
    }
}

impl Drop for Departures<'_> {
    fn drop(&mut self) {
        if self.sent.get() {
            return;
        }
        for &handle in self.table.borrow().iter() {
            let id = (handle >> 2) as u32;
            match handle & 3 {
                OWN => {
                    self.link.exports.release(id, 1);
                }
                REPLY => {
                    if let Some(reply) = self.link.outbox.take_call(id) {
                        reply.come_back();
                    }
                }
                _ => {}
            }
        }
    }
}

/// What came with a message, until it is taken out.
enum Came {
    Own(Arc<Exposed>),
    /// It is taken as often as the message refers to it.
    Foreign(Arc<Import>),
    Reply(Option<Back>),
    /// One of this side that is gone.
    Gone,
}

/// A message that arrives. What it does not take out of it is given back when this is dropped.
pub(super) struct Arrivals {
    table: RefCell<Vec<Came>>,
}

impl Arrivals {
    pub(super) fn none() -> Arrivals {
        Arrivals {
            table: RefCell::default(),
        }
    }

    /// Takes the table off the front of `body`. `by_name` is what the other side's number of a name stands for.
    pub(super) fn read(
        link: &Arc<Link>,
        body: &mut Body<'_>,
        by_name: impl Fn(u32) -> Option<Arc<Exposed>>,
    ) -> Result<Arrivals, Malformed> {
        let count = body.number()?;
        if count == 0 || count > MAX_HANDLES as u64 {
            return Err(Malformed::TooMany);
        }
        let mut table = Vec::new();
        for _ in 0..count {
            let handle = body.number()?;
            let id = u32::try_from(handle >> 2).map_err(|_| Malformed::Number)?;
            table.push(match handle & 3 {
                OWN => {
                    let import = Import::receive(link, id);
                    Came::Foreign(import.ok_or(Malformed::TooMany)?)
                }
                YOURS => match link.exports.get(id) {
                    Some(object) => Came::Own(object),
                    None if link.exports.was_issued(id) => Came::Gone,
                    None => return Err(Malformed::Unknown),
                },
                REPLY => Came::Reply(Some(Back::new(link, id))),
                // Of an object, which is twice its number.
                _ => by_name(id >> 1).map_or(Came::Gone, Came::Own),
            });
        }
        Ok(Arrivals {
            table: RefCell::new(table),
        })
    }
}

impl Border for Arrivals {
    fn export(
        &self,
        _: Option<&Arc<dyn Foreign>>,
        _: &dyn Fn() -> Vec<Arc<dyn Export>>,
    ) -> Result<u32, BorderError> {
        Err(BorderError::NoLink)
    }

    fn export_reply(&self, reply: Box<dyn ReplyHome>) -> Result<u32, BorderError> {
        reply.come_back();
        Err(BorderError::NoLink)
    }

    fn import(&self, index: u32) -> Result<Arrival, BorderError> {
        match self.table.borrow().get(index as usize) {
            Some(Came::Own(object)) => Ok(Arrival::Own(object.exports())),
            Some(Came::Foreign(import)) => Ok(Arrival::Foreign(import.clone())),
            Some(Came::Reply(_)) => Err(BorderError::WrongClass),
            Some(Came::Gone) | None => Err(BorderError::UnknownHandle),
        }
    }

    fn import_reply(&self, index: u32) -> Result<Box<dyn ReplyAbroad>, BorderError> {
        match self.table.borrow_mut().get_mut(index as usize) {
            Some(Came::Reply(back)) => match back.take() {
                Some(back) => Ok(Box::new(back)),
                None => Err(BorderError::Gone),
            },
            Some(_) => Err(BorderError::WrongClass),
            None => Err(BorderError::UnknownHandle),
        }
    }
}

/// The right to answer a caller of the other side.
pub(super) struct Back {
    link: Arc<Link>,
    id: u32,
    used: bool,
}

impl Back {
    pub(super) fn new(link: &Arc<Link>, id: u32) -> Back {
        Back {
            link: link.clone(),
            id,
            used: false,
        }
    }
}

impl ReplyAbroad for Back {
    fn answer(mut self: Box<Self>, outcome: Result<&dyn Encodable, CallError>) {
        self.used = true;
        self.link.reply(self.id, outcome);
    }
}

impl Drop for Back {
    fn drop(&mut self) {
        if !self.used {
            self.link.reply(self.id, Err(CallError::Unanswered));
        }
    }
}

/// What a failure to write a message is for its sender.
pub(super) fn unencodable(departures: &Departures<'_>, is_too_big: bool) -> Refusal {
    if departures.is_failed() {
        Refusal::TooManyNames
    } else if is_too_big {
        Refusal::TooBig
    } else {
        Refusal::Unencodable
    }
}
