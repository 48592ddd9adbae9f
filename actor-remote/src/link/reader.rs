//! Reads what comes over a link, and does what it says.
//!
//! No receiver makes the reader wait: a mailbox that is full has its messages wait in a ferry, which
//! is a tasklet of its own, and the sender gets no more credit for that receiver until they are in. The other side
//! itself does, if it asks and does not read the answers, which would have no bound otherwise.

mod chunks;
mod crowd;
mod ferry;
mod messages;
mod silence;
mod watching;

use std::collections::{HashMap, HashSet};
use std::io::{self, Read};
use std::sync::Arc;

use actor_codec::Limits;
use actor_core::__private::is_slice_over;
use actor_core::remote::{Export, Returns};
use actor_core::{Refusal, Tasklet, time};

use self::chunks::Chunks;
use self::crowd::Crowd;
use self::ferry::Ferry;
use self::messages::by_name;
use self::silence::Silence;
use super::ends::{refusal_code, refusal_of};
use super::outbox::{MAX_NAMES, WINDOW};
use super::requests::Answered;
use super::spawn::Order;
use super::{Link, LinkEnd, ReturnTo};
use crate::exposure::{Exposed, Exposures};
use crate::named::Names;
use crate::offers::Offers;
use crate::wire::frame::{Body, HANDLES, Head, Kind, Malformed, put_number, put_text};
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
    /// Handles that the other side has given back, and for which messages wait.
    given_back: Vec<u32>,
    chunks: Chunks,
    /// Goodbye has come.
    parted: bool,
    /// While there is too much to say.
    crowd: Option<Crowd>,
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
            given_back: Vec::new(),
            chunks: Chunks::new(max),
            parted: false,
            crowd: None,
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
        let opened = time::now();
        loop {
            // One that is never taken into use is not kept for as long as its maker says a little now and then.
            if self.begin.is_some() && time::now() - opened >= self.link.settings.heartbeat.give_up
            {
                return LinkEnd::Silent;
            }
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
                if let Err(end) = self.find_room() {
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
            // Of one that waits to hear whether it is in use, or has not heard yet that it is not.
            Kind::Ping => return body.end(),
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

fn is_timeout(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock
    )
}
