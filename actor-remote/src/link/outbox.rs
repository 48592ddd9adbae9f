//! What is to go over a link: frames, in the order in which they are to go, as the bytes of records.
//!
//! Whoever sends writes its frame into the record that is in the making, under one short lock; the writer
//! takes records out and writes them. A lone message so goes at once, and a batch forms while a write is
//! under way. Messages bigger than a frame go by lanes, a piece at a time, between the records of others.

mod lanes;
mod records;
mod target;

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use actor_core::remote::{ClassName, OutboundCall, ReplyHome, Unsent, Wait};
use actor_core::sync::Event;
use actor_core::{CallError, Refusal, time};
use parking_lot::{Mutex, MutexGuard};

use self::lanes::{Bulk, Deferred};
pub(crate) use self::target::Target;
pub(super) use self::target::{WINDOW, cost};
use super::ends::LinkEnd;
use crate::wire::frame::{self, Kind, MAX_FRAME, MAX_TEXT, put_number, put_text};
use crate::wire::record;

/// How many messages that are bigger than a frame go at a time.
pub(super) const LANES: usize = 8;

/// How many names of one sort a link has at most, and how many handles.
pub(super) const MAX_NAMES: u32 = 65_536;

/// What an outbox holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bounds {
    pub(crate) bytes: usize,
    pub(crate) messages: usize,
    pub(crate) policy: Full,
    /// The biggest message.
    pub(crate) message: usize,
}

/// What a send over a link does that has no room; see [`Config::outbox`](crate::Config::outbox).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// It waits until there is room: back-pressure on the sender.
    Block,
    /// It fails with [`SendError::Full`](actor_core::SendError::Full).
    Fail,
    /// It drops the message that is being sent, and succeeds. A call ends with
    /// [`CallError::Full`].
    DropNewest,
}

/// A call whose answer has not come.
pub(super) struct Pending {
    pub(super) reply: Box<dyn ReplyHome>,
    /// In which record it went, or goes.
    record: u64,
}

#[derive(Default)]
struct State {
    end: Option<LinkEnd>,
    /// No more is taken, and what is there goes yet.
    closing: bool,
    /// Records in the making, and how many messages are in each; the last one is still added to.
    records: VecDeque<(Vec<u8>, usize)>,
    /// How many have been begun, and how many of these the writer has taken.
    begun: u64,
    taken: u64,
    bytes: usize,
    messages: usize,
    lanes: [VecDeque<Bulk>; LANES],
    bulk: usize,
    /// How many frames have gone by lanes, or are to.
    bulks: u64,
    deferred: VecDeque<Deferred>,
    next_lane: usize,
    /// Whether the writer waits for work.
    writer_waits: bool,
    /// Senders that wait for room: each its own event, so that none can miss what another has taken back.
    senders: Vec<Arc<Event>>,
    spare: Vec<Vec<u8>>,
    classes: HashMap<ClassName, u32>,
    /// The class that was used last: most often the next as well.
    last_class: Option<(ClassName, u32)>,
    objects: HashMap<Arc<str>, Target>,
    credits: HashMap<u64, Arc<AtomicI64>>,
    calls: HashMap<u32, Pending>,
    next_call: u32,
}

/// What is to go over a link.
pub(crate) struct Outbox {
    state: Mutex<State>,
    bounds: Bounds,
    work: Event,
}

/// A frame in the making: what comes before the message's own bytes.
pub(super) struct Letter<'a> {
    pub(super) target: &'a Target,
    pub(super) class: ClassName,
    /// What to begin the body with: the table of handles, if there are any.
    pub(super) handles: &'a [u8],
    pub(super) body: &'a [u8],
    pub(super) call: Option<OutboundCall>,
    pub(super) wait: Wait,
}

/// How many records the outbox keeps for the next ones.
const SPARE: usize = 4;

impl Outbox {
    pub(super) fn new(bounds: Bounds) -> Outbox {
        Outbox {
            state: Mutex::new(State {
                next_call: 1,
                ..State::default()
            }),
            bounds,
            work: Event::new(),
        }
    }

    pub(super) fn max_message(&self) -> usize {
        self.bounds.message
    }

    /// The object that is exposed there as `name`.
    pub(super) fn object(&self, name: &Arc<str>) -> Result<Target, Unsent> {
        let mut state = self.state.lock();
        if state.end.is_some() || state.closing {
            return Err(Unsent::Disconnected);
        }
        if let Some(target) = state.objects.get(name) {
            return Ok(target.clone());
        }
        let number = state.objects.len() as u32;
        if number == MAX_NAMES {
            return Err(Unsent::Refused(Refusal::TooManyNames));
        }
        let target = Target::new(u64::from(number) << 1);
        state.objects.insert(name.clone(), target.clone());
        state.credits.insert(target.object, target.credit.clone());
        let start = state.begin(Kind::Object, 0);
        let into = state.last();
        put_number(into, u64::from(number));
        put_text(into, name);
        state.end_frame(start);
        self.has_work(state);
        Ok(target)
    }

    /// A handle of the other side is known here from now on. If it was before, it has still to take what it was sent
    /// then.
    pub(super) fn add_handle(&self, object: u64) -> Target {
        let mut state = self.state.lock();
        let credit = state
            .credits
            .entry(object)
            .or_insert_with(|| Target::new(object).credit);
        Target {
            object,
            credit: credit.clone(),
        }
    }

    /// A handle is not known any more. What it has not taken yet stands until it has: it may be known again.
    pub(super) fn forget_handle(&self, target: &Target) {
        let mut state = self.state.lock();
        // That of the table, and the one that goes.
        let is_last = |credit: &Arc<AtomicI64>| Arc::strong_count(credit) == 2;
        let is_settled = target.credit.load(Ordering::Relaxed) >= WINDOW;
        if is_settled && state.credits.get(&target.object).is_some_and(is_last) {
            state.credits.remove(&target.object);
        }
    }

    /// An object takes so much more.
    pub(super) fn credit(&self, object: u64, amount: i64) {
        let mut state = self.state.lock();
        let Some(credit) = state.credits.get(&object) else {
            return;
        };
        // It never says more than what has been sent to it; if it does, it is its own harm.
        let before = credit.fetch_add(amount, Ordering::Relaxed);
        let is_settled = before.saturating_add(amount) >= WINDOW;
        if is_settled && Arc::strong_count(credit) == 1 {
            state.credits.remove(&object);
        }
        if before <= 0 {
            self.make_room(state);
        }
    }

    /// Sends a message.
    pub(super) fn send(&self, letter: Letter<'_>) -> Result<(), Unsent> {
        let size = letter.body.len() + letter.handles.len();
        let cost = cost(letter.body.len());
        let mut deadline = None;
        loop {
            let mut state = self.state.lock();
            if state.end.is_some() || state.closing {
                return Err(Unsent::Disconnected);
            }
            let is_room = state.bytes < self.bounds.bytes && state.messages < self.bounds.messages;
            if is_room && letter.target.credit.load(Ordering::Relaxed) > 0 {
                return self.put(state, letter, size, cost);
            }
            match (letter.wait, self.bounds.policy) {
                (Wait::Never, _) | (_, Full::Fail) => return Err(Unsent::Full),
                (_, Full::DropNewest) => {
                    return if letter.call.is_some() {
                        Err(Unsent::Full)
                    } else {
                        Ok(())
                    };
                }
                (Wait::Until(until), Full::Block) => deadline = until,
                (Wait::Policy, Full::Block) => {}
            }
            let room = Arc::new(Event::new());
            state.senders.push(room.clone());
            drop(state);
            match deadline {
                None => room.wait(),
                Some(at) => {
                    let limit = at.saturating_duration_since(time::now());
                    if limit.is_zero() || room.wait_timeout(limit).is_err() {
                        return Err(Unsent::Timeout);
                    }
                }
            }
        }
    }

    fn put(
        &self,
        mut state: MutexGuard<'_, State>,
        letter: Letter<'_>,
        size: usize,
        cost: i64,
    ) -> Result<(), Unsent> {
        let class = match state.class(letter.class) {
            Ok(class) => class,
            Err(unsent) => {
                // Its call is dropped without the lock, and may wake whoever has made it.
                drop(state);
                return Err(unsent);
            }
        };
        letter.target.credit.fetch_sub(cost, Ordering::Relaxed);
        let mut flags = if letter.handles.is_empty() {
            0
        } else {
            frame::HANDLES
        };
        let kind = if letter.call.is_some() {
            Kind::Call
        } else {
            Kind::Tell
        };
        let object = letter.target.object;
        let lane = letter.target.lane();
        let mut once = None;
        let call = letter.call.map(|call| {
            let id = state.add_call(call.reply);
            once = call.once;
            // At least one: none is no deadline.
            let left = call.deadline.map_or(0, |at| {
                let left = at.saturating_duration_since(time::now());
                (left.as_millis() as u64).max(1)
            });
            (id, left)
        });
        if once.is_some() {
            flags |= frame::ONCE;
        }
        let head = |into: &mut Vec<u8>| {
            if let Some((id, left)) = call {
                put_number(into, u64::from(id));
                put_number(into, left);
            }
            if let Some(once) = &once {
                into.extend_from_slice(&once.client.to_le_bytes());
                put_number(into, once.number);
                put_number(into, once.window.as_millis() as u64);
                into.extend_from_slice(&once.before.unwrap_or_default().to_le_bytes());
            }
            put_number(into, object);
            put_number(into, u64::from(class));
            into.extend_from_slice(letter.handles);
            into.extend_from_slice(letter.body);
        };
        // Numbers are ten bytes at most.
        let before = if once.is_some() { 100 } else { 40 };
        if state.lanes[lane].is_empty() && size + before <= MAX_FRAME {
            let start = state.begin(kind, flags);
            head(state.last());
            state.end_frame(start);
            let record = state.begun;
            state.count();
            if let Some((id, _)) = call {
                state.went(id, record);
            }
        } else {
            let mut body = Vec::with_capacity(size + 40);
            head(&mut body);
            state.add_bulk(
                lane,
                Bulk {
                    kind,
                    flags,
                    body,
                    sent: 0,
                    call: call.map(|(id, _)| id),
                    number: 0,
                },
            );
        }
        self.has_work(state);
        Ok(())
    }

    /// Word about the link, or an answer: it always has room, since what it answers had. `write` appends it.
    pub(super) fn word(&self, kind: Kind, flags: u8, write: impl FnOnce(&mut Vec<u8>)) {
        self.write_word(self.state.lock(), kind, flags, write);
    }

    fn write_word(
        &self,
        mut state: MutexGuard<'_, State>,
        kind: Kind,
        flags: u8,
        write: impl FnOnce(&mut Vec<u8>),
    ) {
        if state.end.is_some() {
            return;
        }
        let start = state.begin(kind, flags);
        write(state.last());
        state.end_frame(start);
        self.has_work(state);
    }

    /// An answer that fits a frame; `false` if there is so much that it is not kept.
    pub(super) fn answer(&self, flags: u8, write: impl FnOnce(&mut Vec<u8>)) -> bool {
        let state = self.state.lock();
        if self.has_too_much(&state) {
            return false;
        }
        self.write_word(state, Kind::Reply, flags, write);
        true
    }

    /// The same for what must not come before any message that has been sent until now, such as that a handle is no
    /// longer used.
    pub(super) fn word_behind(&self, kind: Kind, write: impl FnOnce(&mut Vec<u8>)) {
        let mut state = self.state.lock();
        if state.end.is_some() {
            return;
        }
        state.word_behind(kind, write);
        self.has_work(state);
    }

    /// The same for what may be bigger than a frame; `lane` is by what it has to stay in order with.
    pub(super) fn word_of(&self, kind: Kind, flags: u8, lane: u64, body: Vec<u8>) {
        if body.len() <= MAX_FRAME {
            self.word(kind, flags, |into| into.extend_from_slice(&body));
            return;
        }
        let mut state = self.state.lock();
        if state.end.is_some() {
            return;
        }
        let bulk = Bulk {
            kind,
            flags,
            body,
            sent: 0,
            call: None,
            number: 0,
        };
        state.add_bulk(lane as usize % LANES, bulk);
        self.has_work(state);
    }

    /// Registers a right to answer that goes away in a message.
    pub(super) fn add_reply(&self, reply: Box<dyn ReplyHome>) -> Result<u32, Box<dyn ReplyHome>> {
        let mut state = self.state.lock();
        if state.end.is_some() || state.calls.len() >= MAX_NAMES as usize * 16 {
            return Err(reply);
        }
        let id = state.add_call(reply);
        // It goes with a message that is not there yet.
        let record = state.begun;
        state.went(id, record);
        Ok(id)
    }

    /// Takes a call out that has an outcome.
    pub(super) fn take_call(&self, id: u32) -> Option<Box<dyn ReplyHome>> {
        self.state
            .lock()
            .calls
            .remove(&id)
            .map(|pending| pending.reply)
    }

    /// Drops the calls that nobody waits for any more.
    pub(super) fn forget_unwanted(&self) {
        let mut unwanted = Vec::new();
        {
            let mut state = self.state.lock();
            state.calls.retain(|&id, pending| {
                let wanted = pending.reply.is_wanted();
                if !wanted {
                    unwanted.push(id);
                }
                wanted
            });
        }
        for id in unwanted {
            // Behind the call itself.
            self.word_behind(Kind::Cancel, |into| put_number(into, u64::from(id)));
        }
    }

    /// How many bytes may wait before the other side is not listened to: far more than what is sent is bounded by.
    fn most(&self) -> usize {
        let most = self.bounds.bytes.saturating_mul(2);
        most.saturating_add(self.bounds.message.saturating_mul(LANES))
    }

    /// Whether there is far more to say than is bounded by what is sent: answers above all, of a peer that asks and does
    /// not read.
    pub(super) fn is_crowded(&self) -> bool {
        self.state.lock().bytes > self.most()
    }

    /// Whether there is so much that answers are not kept any more.
    pub(super) fn is_overfull(&self) -> bool {
        self.has_too_much(&self.state.lock())
    }

    fn has_too_much(&self, state: &State) -> bool {
        state.bytes > self.most().saturating_mul(4)
    }

    /// How many records have gone, by which it is seen that the other side reads.
    pub(super) fn taken(&self) -> u64 {
        self.state.lock().taken
    }

    /// Waits while it is crowded; `false` if none has gone for `limit`.
    pub(super) fn wait_for_words(&self, limit: Duration) -> Result<bool, LinkEnd> {
        let mut taken = None;
        let mut until = None;
        loop {
            let mut state = self.state.lock();
            if let Some(end) = &state.end {
                return Err(end.clone());
            }
            if state.bytes <= self.most() {
                return Ok(true);
            }
            if taken.replace(state.taken) != Some(state.taken) {
                until = time::now().checked_add(limit);
            }
            let room = Arc::new(Event::new());
            state.senders.push(room.clone());
            drop(state);
            let left = until.map_or(limit, |at| at.saturating_duration_since(time::now()));
            if left.is_zero() || room.wait_timeout(left).is_err() {
                return Ok(false);
            }
        }
    }

    /// How many calls wait for their outcome.
    pub(super) fn calls(&self) -> usize {
        self.state.lock().calls.len()
    }

    /// Waits for records and takes them, to be written into `batch` one behind the other; `false` when no
    /// more are to come. After `limit` without any, it comes back with an empty batch.
    pub(super) fn take(&self, batch: &mut Vec<Vec<u8>>, limit: Duration) -> bool {
        loop {
            let mut state = self.state.lock();
            if state.end.is_some() {
                return false;
            }
            state.pump_lanes();
            if !state.records.is_empty() {
                // What is being written next to each other is one batch.
                let mut bytes = 0;
                while bytes < BATCH
                    && let Some((record, messages)) = state.records.pop_front()
                {
                    bytes += record.len() - record::HEADER;
                    batch.push(record);
                    state.messages -= messages;
                    state.taken += 1;
                }
                state.bytes -= bytes;
                self.make_room(state);
                return true;
            }
            if state.closing {
                return false;
            }
            state.writer_waits = true;
            self.work.clear();
            drop(state);
            if self.work.wait_timeout(limit).is_err() {
                self.state.lock().writer_waits = false;
                return true;
            }
        }
    }

    /// Gives written records back, for the next ones.
    pub(super) fn give_back(&self, batch: &mut Vec<Vec<u8>>) {
        let mut state = self.state.lock();
        for record in batch.drain(..) {
            if state.spare.len() < SPARE && record.capacity() <= 2 * record::MAX_PAYLOAD {
                state.spare.push(record);
            }
        }
    }

    /// Takes no more; what is there goes yet, and a goodbye behind it.
    pub(super) fn close(&self) {
        let mut state = self.state.lock();
        if state.closing || state.end.is_some() {
            return;
        }
        state.closing = true;
        state.word_behind(Kind::Goodbye, |_| {});
        let waits = mem::take(&mut state.writer_waits);
        let senders = mem::take(&mut state.senders);
        drop(state);
        set_all(senders);
        if waits {
            self.work.set();
        }
    }

    /// Ends it: all who wait are told, and calls end; `false` if it had ended before.
    pub(super) fn end(&self, why: LinkEnd) -> bool {
        let (calls, senders, taken) = {
            let mut state = self.state.lock();
            if state.end.is_some() {
                return false;
            }
            state.end = Some(why);
            state.writer_waits = false;
            state.records.clear();
            for lane in &mut state.lanes {
                lane.clear();
            }
            state.deferred.clear();
            let calls = mem::take(&mut state.calls);
            (calls, mem::take(&mut state.senders), state.taken)
        };
        self.work.set();
        set_all(senders);
        for (_, pending) in calls {
            // What has never been handed to a write has certainly not been executed.
            let maybe_executed = pending.record <= taken;
            pending
                .reply
                .answer(Err(CallError::Disconnected { maybe_executed }));
        }
        true
    }

    /// Whether this side has closed it.
    pub(super) fn is_closing(&self) -> bool {
        self.state.lock().closing
    }

    /// Why it has ended, if it has.
    pub(super) fn ended(&self) -> Option<LinkEnd> {
        self.state.lock().end.clone()
    }

    fn has_work(&self, mut state: MutexGuard<'_, State>) {
        if mem::take(&mut state.writer_waits) {
            drop(state);
            self.work.set();
        }
    }

    fn make_room(&self, mut state: MutexGuard<'_, State>) {
        if !state.senders.is_empty() {
            let senders = mem::take(&mut state.senders);
            drop(state);
            set_all(senders);
        }
    }
}

fn set_all(events: Vec<Arc<Event>>) {
    for event in events {
        event.set();
    }
}

/// How much is written at a time: several of the longest frames, since each write wakes whoever reads at the other end.
const BATCH: usize = 512 * 1024;

impl State {
    /// The number of a class of messages, which the other side is told with its first use.
    fn class(&mut self, class: ClassName) -> Result<u32, Unsent> {
        if let Some((last, number)) = self.last_class
            && last == class
        {
            return Ok(number);
        }
        let number = match self.classes.get(&class) {
            Some(&number) => number,
            // Longer than any that can be said over there.
            None if class.name.len() > MAX_TEXT => {
                return Err(Unsent::Refused(Refusal::Unknown));
            }
            None => {
                let number = self.classes.len() as u32;
                if number == MAX_NAMES {
                    return Err(Unsent::Refused(Refusal::TooManyNames));
                }
                self.classes.insert(class, number);
                let start = self.begin(Kind::Class, 0);
                let into = self.last();
                put_number(into, u64::from(number));
                put_text(into, class.name);
                put_number(into, u64::from(class.version));
                into.extend_from_slice(&class.schema.to_le_bytes());
                self.end_frame(start);
                number
            }
        };
        self.last_class = Some((class, number));
        Ok(number)
    }

    fn add_call(&mut self, reply: Box<dyn ReplyHome>) -> u32 {
        loop {
            let id = self.next_call;
            self.next_call = self.next_call.checked_add(1).unwrap_or(1);
            // After 2^32 calls the numbers begin again; one may still be waited for.
            if let Entry::Vacant(place) = self.calls.entry(id) {
                let record = u64::MAX;
                place.insert(Pending { reply, record });
                return id;
            }
        }
    }

    fn went(&mut self, call: u32, record: u64) {
        if let Some(pending) = self.calls.get_mut(&call) {
            pending.record = record;
        }
    }
}

impl fmt::Debug for Outbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state.lock();
        f.debug_struct("Outbox")
            .field("bytes", &state.bytes)
            .field("messages", &state.messages)
            .field("calls", &state.calls.len())
            .field("end", &state.end)
            .finish()
    }
}
