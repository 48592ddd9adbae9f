//! Reads what comes over a link, and does what it says.
//!
//! Nothing that comes makes the reader wait: a mailbox that is full has its messages wait in a ferry, which
//! is a tasklet of its own, and the sender gets no more credit for that receiver until they are in.

mod chunks;
mod ferry;

use std::collections::{HashMap, HashSet};
use std::io::{self, Read};
use std::sync::Arc;
use std::time::{Duration, Instant};

use actor_codec::Limits;
use actor_core::__private::{catch_panic, is_slice_over};
use actor_core::remote::{Delivered, Export, InboundCall, Returns, Undelivered, within};
use actor_core::{CallError, ExitReason, Refusal, Tasklet, time};

use self::chunks::{Chunks, MARGIN};
use self::ferry::Ferry;
use super::border::Arrivals;
use super::ends::{error_of, reason, refusal_code, refusal_of};
use super::outbox::{MAX_NAMES, WINDOW, cost};
use super::requests::Answered;
use super::spawn::Order;
use super::{Heartbeat, Link, LinkEnd, ReturnTo};
use crate::exposure::{Exposed, Exposures};
use crate::idempotent::{Begun, Memory, Repeated};
use crate::named::Names;
use crate::offers::Offers;
use crate::watched::Watched as Subject;
use crate::wire::frame::{Body, HANDLES, Head, Kind, Malformed, ONCE, put_number, put_text};
use crate::wire::record::{HEADER, Open};

/// What this node has that others can ask for.
pub(crate) struct Local {
    pub(crate) exposures: Arc<Exposures>,
    pub(crate) offers: Arc<Offers>,
    /// Which process this is.
    pub(crate) incarnation: u128,
    /// What is known of the other node's objects by name, which are told of their ends.
    pub(crate) names: Arc<Names>,
}

/// Reads a link.
pub(crate) struct Reader {
    link: Arc<Link>,
    local: Local,
    returns: Arc<dyn Returns>,
    /// The same.
    calls: Arc<ReturnTo>,
    limits: Limits,
    classes: Vec<Class>,
    /// The same. With two numbers for one, what is kept of an object by numbers would grow with these.
    class_names: HashSet<Class>,
    named: Vec<Object>,
    /// The names of these. With two numbers for one, an object would take twice as much.
    names: HashSet<Arc<str>>,
    handles: HashMap<u32, Object>,
    chunks: Chunks,
    /// Goodbye has come.
    parted: bool,
    /// What is to be done when the other side takes the link into use, or wants to.
    begin: Option<Begin>,
}

/// Takes a link into use, since a moment of the other side's; `false` if it is not to be.
pub(crate) type Begin = Box<dyn FnOnce(u64) -> bool + Send>;

/// A class of messages that the other side has named.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Class {
    name: Arc<str>,
    version: u32,
    schema: u64,
}

/// What a number of the other side stands for.
#[derive(Default)]
struct Object {
    /// If it was named by the other side.
    name: Option<Arc<str>>,
    exposed: Option<Arc<Exposed>>,
    /// When it was looked up.
    changes: u64,
    /// What takes a class, by the class's number, in the order of these: of those alone that it does take, since
    /// numbers are the other side's to choose.
    classes: Vec<(u32, Arc<dyn Export>)>,
    /// What it has taken, and not said yet that it takes again.
    owed: i64,
    ferry: Option<Arc<Ferry>>,
}

/// How much is read at a time, at first.
const FIRST_BUFFER: usize = 16 * 1024;

impl Reader {
    /// `begin` is done when the link is taken into use.
    pub(crate) fn new(link: Arc<Link>, local: Local, begin: Begin) -> Reader {
        let calls = Arc::new(ReturnTo::new(&link));
        let max = link.settings.max_message;
        Reader {
            link,
            local,
            returns: calls.clone(),
            calls,
            limits: Limits::default(),
            classes: Vec::new(),
            class_names: HashSet::new(),
            named: Vec::new(),
            names: HashSet::new(),
            handles: HashMap::new(),
            chunks: Chunks::new(max),
            parted: false,
            begin: Some(begin),
        }
    }

    /// Reads until the link ends, and ends it. Reads of `from` come back with `TimedOut` or `WouldBlock` now
    /// and then, so that a silent link is noticed. `rest` is what has been read already.
    pub(crate) fn run(mut self, from: &mut dyn Read, open: Open, rest: &[u8]) {
        let why = self.read(from, open, rest);
        self.link.end(why);
    }

    fn read(&mut self, from: &mut dyn Read, mut open: Open, rest: &[u8]) -> LinkEnd {
        let mut buffer = vec![0; FIRST_BUFFER.max(rest.len())];
        buffer[..rest.len()].copy_from_slice(rest);
        let (mut start, mut end) = (0, rest.len());
        let mut silence = Silence::new(self.link.settings.heartbeat);
        loop {
            // All the records that are there.
            let wanted = loop {
                let Some(header) = buffer[start..end].first_chunk::<HEADER>() else {
                    break HEADER;
                };
                let header = *header;
                let follow = match open.header(&header) {
                    Ok(follow) => follow,
                    Err(corrupt) => return LinkEnd::Corrupt(corrupt.to_string().into()),
                };
                if end - start < HEADER + follow {
                    break HEADER + follow;
                }
                let body = &buffer[start + HEADER..start + HEADER + follow];
                let payload = match open.check(&header, body) {
                    Ok(payload) => payload,
                    Err(corrupt) => return LinkEnd::Corrupt(corrupt.to_string().into()),
                };
                if let Err(malformed) = self.record(&body[..payload]) {
                    return malformed.into();
                }
                start += HEADER + follow;
                if self.parted {
                    return LinkEnd::Closed;
                }
                if is_slice_over() {
                    Tasklet::yield_now();
                }
                // Another link may have taken its place meanwhile. And what there is to say to all this may be
                // more than the other side reads.
                let give_up = self.link.settings.heartbeat.give_up;
                if let Err(end) = self.link.outbox.wait_for_words(give_up) {
                    return end;
                }
            };
            if start == end {
                (start, end) = (0, 0);
            } else if start + wanted > buffer.len() {
                buffer.copy_within(start..end, 0);
                (start, end) = (0, end - start);
            }
            if end == buffer.len() {
                // It is full of what has come: the buffer grows by that, and not by what is claimed.
                let length = (buffer.len() * 2).min(wanted.max(buffer.len() + 1));
                buffer.resize(length, 0);
            }
            match from.read(&mut buffer[end..]) {
                // In order only if one of the two has said so, and the other has perhaps answered by this.
                Ok(0) if self.link.outbox.is_closing() => return LinkEnd::Closed,
                Ok(0) => return LinkEnd::Cut,
                Ok(count) => {
                    silence.is_broken();
                    end += count;
                    // A peer with much to say gets a bigger buffer.
                    if count == buffer.len() && buffer.len() < 16 * FIRST_BUFFER {
                        buffer.resize(2 * buffer.len(), 0);
                    }
                }
                Err(error) if is_timeout(&error) => {
                    if silence.is_over() {
                        return LinkEnd::Silent;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return error.into(),
            }
            if let Some(end) = self.link.ended() {
                return end;
            }
        }
    }

    fn record(&mut self, mut frames: &[u8]) -> Result<(), Malformed> {
        while !frames.is_empty() {
            let (head, body) = Head::take(&mut frames)?;
            if self.begin.is_some() {
                self.before_use(head.kind, Body(body))?;
            } else if head.kind == Kind::Chunk {
                if let Some((kind, flags, whole)) = self.chunks.add(head, body)? {
                    self.frame(kind, flags, &whole)?;
                }
            } else {
                self.frame(head.kind, head.flags, body)?;
            }
        }
        Ok(())
    }

    /// What comes before the link is in use: hardly anything may.
    fn before_use(&mut self, kind: Kind, mut body: Body<'_>) -> Result<(), Malformed> {
        match kind {
            Kind::Begin => {}
            // It does not want to, or takes its time.
            Kind::Goodbye if self.link.initiated => {
                self.parted = true;
                return body.end();
            }
            Kind::Ping if self.link.initiated => return body.end(),
            _ => return Err(Malformed::OutOfTurn),
        }
        let moment = body.number()?;
        body.end()?;
        let is_taken = self.begin.take().is_some_and(|begin| begin(moment));
        if !is_taken {
            // Nothing comes any more that is listened to.
            self.begin = Some(Box::new(|_| false));
            self.link.close();
        }
        Ok(())
    }

    fn frame(&mut self, kind: Kind, flags: u8, body: &[u8]) -> Result<(), Malformed> {
        let mut body = Body(body);
        match kind {
            Kind::Tell => self.message(&mut body, flags, false),
            Kind::Call => self.message(&mut body, flags, true),
            Kind::Reply => self.reply(&mut body, flags),
            Kind::Class => self.class(&mut body),
            Kind::Object => self.object(&mut body),
            Kind::Release => self.release(&mut body),
            Kind::Refused => {
                let object = body.number()?;
                let code = body.byte()?;
                body.end()?;
                self.link
                    .was_refused(object, code.checked_sub(1).map(refusal_of));
                Ok(())
            }
            Kind::Monitor => {
                let object = body.number()?;
                body.end()?;
                self.watch(object)
            }
            Kind::Demonitor => {
                let object = body.number()?;
                body.end()?;
                self.link.demonitor_for(object);
                Ok(())
            }
            Kind::Link | Kind::Unlink => {
                let object = body.number()?;
                let linker = body.number()?;
                body.end()?;
                if kind == Kind::Link {
                    return self.link.link_for(object, linker);
                }
                self.link.unlink_for(object, linker);
                Ok(())
            }
            Kind::Exit => self.exit(&mut body),
            Kind::Parted => self.parted(&mut body),
            Kind::Ping => {
                self.link.outbox.word(Kind::Pong, 0, |_| {});
                body.end()
            }
            Kind::Pong => body.end(),
            Kind::Credit => {
                let object = body.number()?;
                let amount = i64::try_from(body.number()?).map_err(|_| Malformed::Number)?;
                if amount > WINDOW * 1024 {
                    return Err(Malformed::TooMany);
                }
                self.link.outbox.credit(object, amount);
                body.end()
            }
            Kind::Goodbye => {
                self.parted = true;
                body.end()
            }
            Kind::Lookup => self.lookup(&mut body),
            Kind::Spawn => self.spawn(&mut body, flags),
            Kind::Stop => {
                let number = body.number()?;
                let how = body.byte()?;
                body.end()?;
                self.local.offers.stop(&self.link, number, how);
                Ok(())
            }
            Kind::Found | Kind::Spawned => {
                let id = body.small()?;
                let answer = body.rest();
                match self.link.requests.answer(id, answer) {
                    Answered::Taken => Ok(()),
                    Answered::Nobody if kind == Kind::Spawned => self.link.decline(answer),
                    Answered::Nobody => Ok(()),
                    Answered::Never => Err(Malformed::Unknown),
                }
            }
            Kind::Cancel => {
                let call = body.small()?;
                body.end()?;
                self.calls.give_up(call);
                Ok(())
            }
            Kind::Chunk | Kind::Begin => Err(Malformed::OutOfTurn),
        }
    }

    /// A class of messages is given a number: the next one.
    fn class(&mut self, body: &mut Body<'_>) -> Result<(), Malformed> {
        let number = body.small()?;
        if number as usize != self.classes.len() || number >= MAX_NAMES {
            return Err(Malformed::Again);
        }
        let name = body.text()?.into();
        let version = body.small()?;
        let schema = body
            .rest()
            .try_into()
            .map(u64::from_le_bytes)
            .map_err(|_| Malformed::Short)?;
        let class = Class {
            name,
            version,
            schema,
        };
        if !self.class_names.insert(class.clone()) {
            return Err(Malformed::Again);
        }
        self.classes.push(class);
        Ok(())
    }

    /// A name is given a number: the next one.
    fn object(&mut self, body: &mut Body<'_>) -> Result<(), Malformed> {
        let number = body.small()?;
        if number as usize != self.named.len() || number >= MAX_NAMES {
            return Err(Malformed::Again);
        }
        let name: Arc<str> = body.text()?.into();
        body.end()?;
        if !self.names.insert(name.clone()) {
            return Err(Malformed::Again);
        }
        self.named.push(Object {
            name: Some(name),
            // Not looked up yet.
            changes: u64::MAX,
            ..Object::default()
        });
        Ok(())
    }

    fn message(&mut self, body: &mut Body<'_>, flags: u8, is_call: bool) -> Result<(), Malformed> {
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
    fn refuses(&self, number: u64, class: u32, why: Refusal) {
        let object = usize::try_from(number >> 1).ok();
        let name = object
            .filter(|_| number & 1 == 0)
            .and_then(|at| self.named.get(at)?.name.as_deref());
        let class = self.classes.get(class as usize).map(|class| &*class.name);
        self.link.refuses(&(name, class), why);
    }

    /// What takes messages of a class that go to an object.
    fn find(
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
    fn ferry(
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
    fn owe(&mut self, number: u64, cost: i64) {
        let Some(object) = object(&mut self.named, &mut self.handles, number) else {
            return;
        };
        object.owed += cost;
        if object.owed >= WINDOW / 4 {
            let amount = std::mem::take(&mut object.owed);
            give_credit(&self.link, number, amount);
        }
    }

    fn reply(&mut self, body: &mut Body<'_>, flags: u8) -> Result<(), Malformed> {
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

    fn release(&mut self, body: &mut Body<'_>) -> Result<(), Malformed> {
        let id = body.small()?;
        let count = body.number()?;
        body.end()?;
        if !self.link.exports.release(id, count) {
            return Err(Malformed::Unknown);
        }
        if self.link.exports.get(id).is_none() {
            self.handles.remove(&id);
            self.link.forget_object(u64::from(id) << 1 | 1);
        }
        Ok(())
    }

    fn subject(&self, number: u64) -> Result<Option<Subject>, Malformed> {
        let id = u32::try_from(number >> 1).map_err(|_| Malformed::Number)?;
        let exposed = if number & 1 == 0 {
            let object = self.named.get(id as usize).ok_or(Malformed::Unknown)?;
            object
                .name
                .as_ref()
                .and_then(|name| self.local.exposures.get(name))
        } else if self.link.exports.was_issued(id) {
            self.link.exports.get(id)
        } else {
            return Err(Malformed::Unknown);
        };
        Ok(exposed.and_then(|exposed| exposed.subject()))
    }

    /// The other side wants to know of the end of something.
    fn watch(&mut self, number: u64) -> Result<(), Malformed> {
        match self.subject(number)? {
            Some(subject) => self.link.monitor_for(number, subject),
            None => {
                self.link.report(number, &ExitReason::Unreachable);
                Ok(())
            }
        }
    }

    /// Something of the other side has ended that is watched here.
    fn exit(&mut self, body: &mut Body<'_>) -> Result<(), Malformed> {
        let number = body.number()?;
        let why = reason(body)?;
        body.end()?;
        if number & 1 == 0 {
            self.local.names.ended(self.link.session, number, why);
            return Ok(());
        }
        let id = u32::try_from(number >> 1).map_err(|_| Malformed::Number)?;
        let kept = self.link.kept.lock().remove(&id);
        if let Some(import) = kept.or_else(|| self.link.imports.get(id)) {
            import.absent().end(why);
        }
        Ok(())
    }

    /// One of the other side has ended that is linked with something of this one.
    fn parted(&mut self, body: &mut Body<'_>) -> Result<(), Malformed> {
        let number = body.number()?;
        let linker = body.number()?;
        let why = reason(body)?;
        body.end()?;
        self.link.parted(number, linker, why);
        Ok(())
    }

    /// An actor is to be started, or one that the other side has had started is claimed.
    fn spawn(&mut self, body: &mut Body<'_>, flags: u8) -> Result<(), Malformed> {
        let by_name = by_name(&self.named, &self.local.exposures);
        let order = Order::read(&self.link, body, flags & HANDLES != 0, by_name)?;
        self.local.offers.take(&self.link, order);
        Ok(())
    }

    /// What is exposed by a name, and does it take these classes?
    fn lookup(&mut self, body: &mut Body<'_>) -> Result<(), Malformed> {
        let request = body.small()?;
        let name = body.text()?;
        let exposed = self.local.exposures.get(name);
        let count = body.number()?;
        if count > 4096 {
            return Err(Malformed::TooMany);
        }
        let mut refused = match &exposed {
            Some(_) => None,
            None => Some((String::new(), Refusal::Unknown)),
        };
        for _ in 0..count {
            let class = body.text()?;
            let version = body.small()?;
            let schema = body.number()?;
            if refused.is_none()
                && let Some(exposed) = &exposed
                && let Err(why) = exposed.find(class, version, schema)
            {
                refused = Some((class.to_owned(), why));
            }
        }
        body.end()?;
        if let Some((class, why)) = &refused {
            self.link.refuses(&(name, class), *why);
        }
        self.link.outbox.word(Kind::Found, 0, |into| {
            put_number(into, u64::from(request));
            match &refused {
                None => into.push(0),
                Some((class, why)) => {
                    into.push(refusal_code(*why) + 1);
                    put_text(into, class);
                }
            }
        });
        Ok(())
    }
}

/// What is exposed here by names, by the other side's numbers of these.
fn by_name<'a>(
    named: &'a [Object],
    exposures: &'a Exposures,
) -> impl Fn(u32) -> Option<Arc<Exposed>> + 'a {
    |number| exposures.get(named.get(number as usize)?.name.as_ref()?)
}

fn object<'a>(
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

fn give_credit(link: &Link, number: u64, amount: i64) {
    link.outbox.word(Kind::Credit, 0, |into| {
        put_number(into, number);
        put_number(into, amount as u64);
    });
}

/// Tells the sender of a message that it could not be delivered.
fn refuse(link: &Link, number: u64, why: Undelivered) {
    let code = match why {
        Undelivered::Ended | Undelivered::Full | Undelivered::Disconnected => 0,
        Undelivered::Refused(why) => refusal_code(why) + 1,
    };
    link.outbox.word(Kind::Refused, 0, |into| {
        put_number(into, number);
        into.push(code);
    });
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock
    )
}

/// For how long nothing has come.
struct Silence {
    heartbeat: Heartbeat,
    since: Instant,
    looked: Instant,
}

impl Silence {
    fn new(heartbeat: Heartbeat) -> Silence {
        let now = time::now();
        Silence {
            heartbeat,
            since: now,
            looked: now,
        }
    }

    fn is_broken(&mut self) {
        self.since = time::now();
        self.looked = self.since;
    }

    /// Whether it has lasted for too long. A process that was itself stopped meanwhile has not listened, and
    /// what came is still to be read.
    fn is_over(&mut self) -> bool {
        let now = time::now();
        // It is looked at after every pause for which a read waits.
        if now - self.looked > self.heartbeat.ask + self.heartbeat.give_up / 2 {
            self.since = now;
        }
        self.looked = now;
        now - self.since >= self.heartbeat.give_up
    }
}
