//! Links: what connects two nodes, as long as one connection lasts.
//!
//! A link has two tasklets: the [reader] decodes what comes and puts it into mailboxes, and never waits for
//! one; the [writer] writes what is in the [outbox]. Whoever sends writes into the outbox itself. The end of a
//! link is final: calls end, monitors fire, handles mean nothing any more, and what comes next is another
//! link.

mod border;
mod ends;
mod handles;
mod import;
mod outbox;
mod reader;
mod requests;
mod spawn;
mod watch;
mod writer;

use std::cell::Cell;
use std::collections::HashMap;
use std::fmt;
use std::mem;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use actor_core::remote::{Encodable, GiveUp, Outbound, Returns, Unsent, within};
use actor_core::sync::Event;
use actor_core::{CallError, ExitReason, Refusal};
use actor_net::__private::Throttle;
use parking_lot::Mutex;

use self::border::{Departures, unencodable};
pub use self::ends::LinkEnd;
pub(crate) use self::ends::refusal_of;
use self::ends::{code_of, put_reason};
use self::handles::{Exports, Imports};
pub(crate) use self::import::Import;
pub use self::outbox::Full;
pub(crate) use self::outbox::{Bounds, Target};
use self::outbox::{Letter, Outbox};
pub(crate) use self::reader::{Begin, Local, Reader};
use self::requests::{NoAnswer, Requests};
pub(crate) use self::spawn::{
    Arguments, KILL, NotSpawned, Order, Outcome, OwnedClass, STOP, Wanted,
};
pub(crate) use self::watch::Watch;
use self::watch::Watching;
pub(crate) use self::writer::write;
use crate::error::LookupError;
use crate::handshake::PeerId;
use crate::wire::frame::{self, Kind, put_number};

/// One whose end can be seen.
pub(crate) type LinkOwner = actor_core::remote::Owner;

/// What a link is to keep to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LinkSettings {
    pub(crate) bounds: Bounds,
    pub(crate) heartbeat: Heartbeat,
    /// The biggest message that is taken.
    pub(crate) max_message: usize,
}

/// When a link is probed, and given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Heartbeat {
    /// After so much silence the other side is asked.
    pub(crate) ask: Duration,
    /// After so much it is taken for gone.
    pub(crate) give_up: Duration,
}

/// A connection of this node with another.
pub(crate) struct Link {
    pub(crate) peer: PeerId,
    /// Which of the two has connected.
    pub(crate) initiated: bool,
    /// Different for each link of the process.
    pub(crate) session: u64,
    /// At which moment of its own the other side has taken it into use, or wanted to.
    begun: AtomicU64,
    settings: LinkSettings,
    outbox: Outbox,
    exports: Exports,
    imports: Imports,
    requests: Requests,
    /// What is watched here for the other side.
    watching: Watching,
    /// Handles that are watched here.
    kept: Mutex<HashMap<u32, Arc<Import>>>,
    /// Messages that the other side could not deliver.
    refused: AtomicU64,
    /// Lines of the log about these, and about what this side has refused.
    log: Mutex<Log>,
    has_ended: AtomicBool,
    superseded: AtomicBool,
    over: Event,
    /// Nothing of what has come over it is being delivered any more.
    quiet: Event,
}

/// Lines of the log that another node can have written, a second each at most.
#[derive(Debug, Default)]
struct Log {
    by_them: Throttle,
    by_us: Throttle,
    panics: Throttle,
}

thread_local! {
    /// What messages are written into first: not the outbox, since a `Serialize` may wait.
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// How much a thread keeps for the next messages.
const MAX_SCRATCH: usize = 1 << 20;

impl Link {
    pub(crate) fn new(peer: PeerId, initiated: bool, settings: LinkSettings) -> Arc<Link> {
        static SESSIONS: AtomicU64 = AtomicU64::new(1);
        Arc::new(Link {
            peer,
            initiated,
            session: SESSIONS.fetch_add(1, Ordering::Relaxed),
            begun: AtomicU64::new(0),
            settings,
            outbox: Outbox::new(settings.bounds),
            exports: Exports::default(),
            imports: Imports::default(),
            requests: Requests::default(),
            watching: Watching::default(),
            kept: Mutex::default(),
            refused: AtomicU64::new(0),
            log: Mutex::default(),
            has_ended: AtomicBool::new(false),
            superseded: AtomicBool::new(false),
            over: Event::new(),
            quiet: Event::new(),
        })
    }

    /// Why it has ended, if it has.
    pub(crate) fn ended(&self) -> Option<LinkEnd> {
        self.outbox.ended()
    }

    /// Whether it has. Without a lock, for every send.
    pub(crate) fn has_ended(&self) -> bool {
        self.has_ended.load(Ordering::Acquire)
    }

    /// Waits for its end.
    pub(crate) fn over(&self) -> &Event {
        &self.over
    }

    /// The other side takes it into use, or wants to, at this moment of its own.
    pub(crate) fn begins(&self, theirs: u64) {
        // Under a lock of the peer's.
        self.begun.store(theirs, Ordering::Relaxed);
    }

    /// When that was.
    pub(crate) fn begun(&self) -> u64 {
        self.begun.load(Ordering::Relaxed)
    }

    /// Another takes its place: what has come over it and waits yet is not to come behind what that brings.
    pub(crate) fn supersede(&self) {
        self.superseded.store(true, Ordering::Release);
    }

    fn is_superseded(&self) -> bool {
        self.superseded.load(Ordering::Acquire)
    }

    /// Nothing more comes of it.
    pub(crate) fn is_quiet(&self) {
        self.quiet.set();
    }

    /// Waits until nothing more comes of it, once it has ended.
    pub(crate) fn wait_quiet(&self, limit: Duration) {
        if self.quiet.wait_timeout(limit).is_err() {
            tracing::warn!(peer = %self.peer.name, "a link that has ended is still being read");
        }
    }

    /// What is exposed there as `name`, for frames.
    pub(crate) fn object(&self, name: &Arc<str>) -> Result<Target, Unsent> {
        self.outbox.object(name)
    }

    /// Sends a message, or waits for room as it says.
    pub(crate) fn send(
        self: &Arc<Self>,
        target: &Target,
        outbound: Outbound<'_>,
    ) -> Result<(), Unsent> {
        let departures = Departures::new(self);
        let mut body = SCRATCH.take();
        body.clear();
        let max = self.outbox.max_message();
        let encoded = within(&departures, || outbound.message.encode(&mut body, max));
        let sent = match encoded {
            Err(error) => {
                let too_big = matches!(error, actor_codec::EncodeError::TooBig { .. });
                tracing::debug!(class = outbound.class.name, %error, "a message cannot go");
                Err(Unsent::Refused(unencodable(&departures, too_big)))
            }
            Ok(()) => {
                let mut handles = Vec::new();
                departures.write(&mut handles);
                if let Some(once) = outbound.call.as_ref().and_then(|call| call.once.as_ref()) {
                    *once.goes_to.lock() = Some(self.peer.incarnation);
                }
                self.outbox.send(Letter {
                    target,
                    class: outbound.class,
                    handles: &handles,
                    body: &body,
                    call: outbound.call,
                    wait: outbound.wait,
                })
            }
        };
        if sent.is_ok() {
            departures.sent();
        }
        if body.capacity() <= MAX_SCRATCH {
            SCRATCH.set(body);
        }
        sent
    }

    /// Sends the outcome of a call. Never waits.
    fn reply(self: &Arc<Self>, call: u32, outcome: Result<&dyn Encodable, CallError>) {
        let fail = |error: CallError| {
            self.outbox.word(Kind::Reply, 0, |into| {
                put_number(into, u64::from(call));
                into.push(code_of(error));
            });
        };
        let value = match outcome {
            Ok(value) => value,
            Err(error) => return fail(error),
        };
        /// A `Serialize` may panic, or be killed while it waits: its caller is not to wait for that.
        struct Unsaid<'a>(&'a dyn Fn(CallError));
        impl Drop for Unsaid<'_> {
            fn drop(&mut self) {
                (self.0)(CallError::Unanswered);
            }
        }
        let departures = Departures::new(self);
        let mut body = SCRATCH.take();
        body.clear();
        let max = self.outbox.max_message();
        let unsaid = Unsaid(&fail);
        let encoded = within(&departures, || value.encode(&mut body, max));
        mem::forget(unsaid);
        match encoded {
            Err(error) => {
                let too_big = matches!(error, actor_codec::EncodeError::TooBig { .. });
                fail(CallError::Refused(unencodable(&departures, too_big)));
            }
            Ok(()) => {
                let mut handles = Vec::new();
                departures.write(&mut handles);
                let flags = if handles.is_empty() {
                    0
                } else {
                    frame::HANDLES
                };
                let write = |into: &mut Vec<u8>| {
                    put_number(into, u64::from(call));
                    into.push(0);
                    into.extend_from_slice(&handles);
                    into.extend_from_slice(&body);
                };
                let is_kept = if body.len() + handles.len() + 16 <= frame::MAX_FRAME {
                    self.outbox.answer(flags, write)
                } else if self.outbox.is_overfull() {
                    false
                } else {
                    let mut whole = Vec::with_capacity(body.len() + handles.len() + 16);
                    write(&mut whole);
                    self.outbox
                        .word_of(Kind::Reply, flags, u64::from(call), whole);
                    true
                };
                if is_kept {
                    departures.sent();
                } else {
                    // It has been executed, and there is no room for what has come of it.
                    fail(CallError::Unanswered);
                }
            }
        }
        if body.capacity() <= MAX_SCRATCH {
            SCRATCH.set(body);
        }
    }

    /// Tells the other side of the end of something that it watches.
    fn report(&self, object: u64, reason: &ExitReason) {
        // Not under the outbox's lock: an error's `Display` is somebody else's.
        let mut why = Vec::new();
        put_reason(&mut why, reason);
        self.outbox.word_behind(Kind::Exit, |into| {
            put_number(into, object);
            into.extend_from_slice(&why);
        });
    }

    /// Keeps a handle while it is watched.
    fn keep(&self, import: Arc<Import>) {
        let id = import.id;
        let before = self.kept.lock().insert(id, import);
        drop(before);
        // Nobody would take it out again.
        if self.has_ended() {
            let late = self.kept.lock().remove(&id);
            drop(late);
        }
    }

    /// The other side could not deliver a message.
    fn was_refused(&self, object: u64, why: Option<Refusal>) {
        self.refused.fetch_add(1, Ordering::Relaxed);
        let peer = &self.peer.name;
        let Some(why) = why else {
            tracing::debug!(%peer, object, "a message came to one who had ended");
            return;
        };
        if let Some(count) = self.log.lock().by_them.count() {
            tracing::warn!(%peer, object, %why, count, "messages are refused by the other node");
        }
    }

    /// This side has refused something of the other's. What it was about may be a text of that.
    pub(crate) fn refuses(&self, what: &dyn fmt::Debug, why: Refusal) {
        if let Some(count) = self.log.lock().by_us.count() {
            tracing::warn!(peer = %self.peer.name, ?what, %why, count, "what another node says is refused");
        }
    }

    /// A panic of what reads its messages.
    fn panicked(&self, class: &str, panic: &dyn fmt::Display) {
        if let Some(count) = self.log.lock().panics.count() {
            tracing::warn!(peer = %self.peer.name, class, %panic, count, "decoding has panicked");
        }
    }

    /// How many messages the other side could not deliver.
    pub(crate) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// What is held for it: calls, handles given, and handles had.
    pub(crate) fn held(&self) -> (usize, usize, usize) {
        (self.outbox.calls(), self.exports.len(), self.imports.len())
    }

    /// Writes a frame about the link.
    pub(crate) fn word(&self, kind: Kind, write: impl FnOnce(&mut Vec<u8>)) {
        self.outbox.word(kind, 0, write);
    }

    /// The same, behind all that has been sent until now.
    pub(crate) fn word_behind(&self, kind: Kind, write: impl FnOnce(&mut Vec<u8>)) {
        self.outbox.word_behind(kind, write);
    }

    /// Asks the other node itself, and waits for the answer.
    pub(crate) fn ask(
        &self,
        kind: Kind,
        limit: Duration,
        write: impl FnOnce(&mut Vec<u8>),
    ) -> Result<Vec<u8>, LookupError> {
        let asked = self.requests.ask().ok_or(LookupError::Disconnected)?;
        let mut body = Vec::new();
        put_number(&mut body, u64::from(asked.id));
        write(&mut body);
        self.outbox.word_of(kind, 0, 0, body);
        asked.wait(limit).map_err(|none| match none {
            NoAnswer::Disconnected => LookupError::Disconnected,
            NoAnswer::TimedOut => LookupError::Timeout,
        })
    }

    /// Says goodbye, after what is to go yet.
    pub(crate) fn close(&self) {
        self.outbox.close();
    }

    /// Ends it: calls end, those who watch are told, handles are given back. Only the first end counts.
    pub(crate) fn end(&self, why: LinkEnd) {
        tracing::debug!(peer = %self.peer.name, session = self.session, %why, "a link ends");
        if !self.outbox.end(why) {
            return;
        }
        self.has_ended.store(true, Ordering::Release);
        self.requests.end();
        self.watching.end();
        for import in self.imports.all() {
            import.absent().end(ExitReason::NoConnection);
        }
        let kept = std::mem::take(&mut *self.kept.lock());
        // Not under the lock.
        drop(kept);
        self.exports.clear();
        self.over.set();
    }
}

/// Where answers to calls go that have come over the link.
#[derive(Debug)]
struct ReturnTo {
    link: Arc<Link>,
    waiting: Mutex<Waiting>,
}

/// Calls that have come, and are perhaps not answered yet.
#[derive(Default)]
struct Waiting {
    all: HashMap<u32, Weak<dyn GiveUp>>,
    /// How many there may be before those that have been answered are taken out.
    limit: usize,
}

impl ReturnTo {
    fn new(link: &Arc<Link>) -> ReturnTo {
        ReturnTo {
            link: link.clone(),
            waiting: Mutex::default(),
        }
    }

    /// Nobody waits for the answer to a call any more.
    fn give_up(&self, call: u32) {
        let here = self.waiting.lock().all.remove(&call);
        if let Some(here) = here.and_then(|here| here.upgrade()) {
            here.give_up();
        }
    }
}

impl Returns for ReturnTo {
    fn answer(&self, call: u64, outcome: Result<&dyn Encodable, CallError>) {
        self.link.reply(call as u32, outcome);
    }

    fn waits(&self, call: u64, here: Weak<dyn GiveUp>) {
        let mut waiting = self.waiting.lock();
        if waiting.all.len() >= waiting.limit {
            waiting.all.retain(|_, here| here.strong_count() > 0);
            waiting.limit = 64 + 2 * waiting.all.len();
        }
        waiting.all.insert(call as u32, here);
    }
}

impl fmt::Debug for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.all.keys()).finish()
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link")
            .field("peer", &self.peer.name)
            .field("session", &self.session)
            .field("outbox", &self.outbox)
            .finish_non_exhaustive()
    }
}
