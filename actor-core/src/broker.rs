//! A broker: messages go to those who have subscribed to their topic.
//!
//! Topics and patterns are written as in NATS: tokens with dots between them, `*` for any one token, `>`
//! at the end for one or more. Of the two conventions in use, MQTT's `/`, `+` and `#` is made for paths; this
//! one reads like the names of modules, hosts and loggers, and its `>` means one thing: MQTT's `#` takes
//! the level above in as well.
//!
//! Patterns are kept in a trie, a level for each token. A publication goes down it with all nodes that
//! match so far, which are at most two for each of the level above: the token itself and `*`. So it costs
//! what matches, however many patterns there are.

use std::collections::{BTreeMap, HashMap};
use std::error::Error;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use parking_lot::RwLock;

use crate::exit::AtEnd;
use crate::{Message, Receiver, Recipient, SendError};

/// How many tokens a topic may have.
const DEEPEST: usize = 64;
const ANY_TOKEN: &str = "*";
const ANY_REST: &str = ">";

/// Hands messages of the class `M` on to those who have subscribed to their topic.
///
/// A topic is made of tokens, with dots between them: `sports.football.results`. A subscription is for a
/// pattern, in which `*` stands for any one token, and `>`, as the last, for one or more:
///
/// | pattern            | `sports.football.results` | `sports.football` | `sports` |
/// |--------------------|---------------------------|-------------------|----------|
/// | `sports.*.results` | yes                       | no                | no       |
/// | `sports.*`         | no                        | yes               | no       |
/// | `sports.>`         | yes                       | yes               | no       |
///
/// That is how NATS writes them. Tokens are compared byte by byte.
///
/// Nothing waits for a subscriber: its mailbox takes what is published, or refuses it. A subscriber that ends
/// drops out at once. A clone refers to the same broker.
///
/// ```
/// # extern crate actor_core as concurrence;
/// # use concurrence::{Broker, Message, Tasklet, dispatch};
/// # use std::sync::Arc;
/// #[derive(Message, Clone)]
/// struct Result(Arc<str>);
///
/// # fn main() {
/// dispatch(|| {
///     let broker = Broker::new();
///     let results = broker.subscribe("sports.*.results", Tasklet::current()).unwrap();
///     assert_eq!(broker.publish("sports.football.results", Result("2:1".into())), Ok(1));
///     assert_eq!(broker.publish("sports.football.rumours", Result("3:0".into())), Ok(0));
///     assert!(Tasklet::receive_one().unwrap().is::<Result>());
///     results.unsubscribe();
///     assert_eq!(broker.publish("sports.football.results", Result("2:2".into())), Ok(0));
/// });
/// # }
/// ```
pub struct Broker<M: Message + Clone> {
    shared: Arc<Shared<M>>,
}

struct Shared<M: Message> {
    patterns: RwLock<Patterns<M>>,
    refused: AtomicU64,
}

struct Patterns<M: Message> {
    root: Node<M>,
    /// How many subscriptions there are, and have ever been.
    count: usize,
    issued: u64,
}

/// What follows the tokens that lead to it.
struct Node<M: Message> {
    next: HashMap<Box<str>, Node<M>>,
    /// After `*`.
    any: Option<Box<Node<M>>>,
    /// Of the patterns that end here.
    here: Leaf<M>,
    /// Of those that go on with `>`.
    below: Leaf<M>,
}

/// The subscribers of one pattern.
struct Leaf<M: Message> {
    subscribers: BTreeMap<u64, Arc<Subscriber<M>>>,
    /// A copy for those who publish, made by the first of them after a change.
    snapshot: OnceLock<Subscribers<M>>,
}

type Subscribers<M> = Arc<[Arc<Subscriber<M>>]>;

struct Subscriber<M: Message> {
    id: u64,
    to: Recipient<M>,
    pattern: Arc<Pattern>,
    refused: Arc<AtomicU64>,
    /// Takes it out at its end.
    at_end: OnceLock<AtEnd>,
}

struct Pattern {
    text: Box<str>,
    /// Whether it ends with `>`, which [`tokens`](Self::tokens) leaves out.
    open: bool,
}

impl Pattern {
    fn parse(text: &str) -> Result<Pattern, TopicError> {
        let mut open = false;
        for token in tokens(text)? {
            if open || (token != ANY_TOKEN && token != ANY_REST && has_wildcard(token)) {
                return Err(TopicError::Wildcard { topic: text.into() });
            }
            open = token == ANY_REST;
        }
        Ok(Pattern {
            text: text.into(),
            open,
        })
    }

    fn tokens(&self) -> impl Iterator<Item = &str> {
        self.text.split('.').filter(|token| *token != ANY_REST)
    }
}

fn has_wildcard(token: &str) -> bool {
    token.contains(ANY_TOKEN) || token.contains(ANY_REST)
}

/// The tokens of a topic or pattern, each of which has something in it.
fn tokens(text: &str) -> Result<impl Iterator<Item = &str>, TopicError> {
    if text.split('.').any(str::is_empty) {
        return Err(TopicError::EmptyToken { topic: text.into() });
    }
    if text.split('.').nth(DEEPEST).is_some() {
        return Err(TopicError::TooDeep { limit: DEEPEST });
    }
    Ok(text.split('.'))
}

impl<M: Message> Leaf<M> {
    fn new() -> Self {
        Leaf {
            subscribers: BTreeMap::new(),
            snapshot: OnceLock::new(),
        }
    }

    fn snapshot(&self) -> Option<Subscribers<M>> {
        if self.subscribers.is_empty() {
            return None;
        }
        let copy = || self.subscribers.values().cloned().collect();
        Some(self.snapshot.get_or_init(copy).clone())
    }
}

impl<M: Message> Node<M> {
    fn new() -> Self {
        Node {
            next: HashMap::new(),
            any: None,
            here: Leaf::new(),
            below: Leaf::new(),
        }
    }

    /// The leaf of a pattern, which is made if it is not there.
    fn leaf(&mut self, pattern: &Pattern) -> &mut Leaf<M> {
        let mut node = self;
        for token in pattern.tokens() {
            node = if token == ANY_TOKEN {
                node.any.get_or_insert_with(|| Box::new(Node::new()))
            } else {
                if !node.next.contains_key(token) {
                    node.next.insert(token.into(), Node::new());
                }
                match node.next.get_mut(token) {
                    Some(next) => next,
                    None => unreachable!("it has just been put there"),
                }
            };
        }
        if pattern.open {
            &mut node.below
        } else {
            &mut node.here
        }
    }

    /// Takes a subscriber out, and the nodes that nobody needs any more.
    fn remove<'a>(
        &mut self,
        mut tokens: impl Iterator<Item = &'a str>,
        open: bool,
        id: u64,
    ) -> Option<Removed<M>> {
        let Some(token) = tokens.next() else {
            let leaf = if open {
                &mut self.below
            } else {
                &mut self.here
            };
            let subscriber = leaf.subscribers.remove(&id)?;
            return Some(Removed {
                _subscriber: subscriber,
                _stale: leaf.snapshot.take(),
            });
        };
        if token == ANY_TOKEN {
            let removed = self.any.as_mut()?.remove(tokens, open, id);
            self.any.take_if(|any| any.is_unused());
            removed
        } else {
            let next = self.next.get_mut(token)?;
            let removed = next.remove(tokens, open, id);
            if next.is_unused() {
                self.next.remove(token);
            }
            removed
        }
    }

    fn is_unused(&self) -> bool {
        self.next.is_empty()
            && self.any.is_none()
            && self.here.subscribers.is_empty()
            && self.below.subscribers.is_empty()
    }
}

/// What has been taken out of the trie. Not to be dropped under its lock: it may be the last reference to
/// the subscriber.
struct Removed<M: Message> {
    _subscriber: Arc<Subscriber<M>>,
    _stale: Option<Subscribers<M>>,
}

impl<M: Message> Shared<M> {
    fn remove(&self, pattern: &Pattern, id: u64) -> bool {
        let removed = {
            let mut patterns = self.patterns.write();
            let removed = patterns.root.remove(pattern.tokens(), pattern.open, id);
            patterns.count -= usize::from(removed.is_some());
            removed
        };
        removed.is_some()
    }
}

impl<M: Message + Clone> Broker<M> {
    /// A broker without subscribers.
    ///
    /// ```
    /// # extern crate actor_core as concurrence;
    /// # use concurrence::{Broker, Message};
    /// #[derive(Message, Clone, Debug)]
    /// struct Note(u8);
    ///
    /// # fn main() {
    /// let broker = Broker::new();
    /// assert_eq!(broker.publish("nobody.listens", Note(1)), Ok(0));
    /// # }
    /// ```
    pub fn new() -> Self {
        Broker {
            shared: Arc::new(Shared {
                patterns: RwLock::new(Patterns {
                    root: Node::new(),
                    count: 0,
                    issued: 0,
                }),
                refused: AtomicU64::new(0),
            }),
        }
    }

    /// Has `subscriber` sent what is published from now on with a topic that matches `pattern`. One that
    /// subscribes twice is sent everything that matches both twice.
    ///
    /// A subscription is a reference to the subscriber. It lasts until that one has ended or
    /// [`unsubscribe`](Subscription::unsubscribe) is called, and does not keep the broker. Does not wait.
    ///
    /// # Errors
    ///
    /// If `pattern` is none; see [`TopicError`].
    ///
    /// ```
    /// # extern crate actor_core as concurrence;
    /// # use concurrence::{Broker, Message, Tasklet, TopicError, dispatch};
    /// #[derive(Message, Clone, Debug)]
    /// struct Note(u8);
    ///
    /// # fn main() {
    /// dispatch(|| {
    ///     let broker: Broker<Note> = Broker::new();
    ///     broker.subscribe("log.>", Tasklet::current()).unwrap();
    ///     let wrong = broker.subscribe("log.>.error", Tasklet::current());
    ///     assert!(matches!(wrong, Err(TopicError::Wildcard { .. })));
    /// });
    /// # }
    /// ```
    pub fn subscribe(
        &self,
        pattern: &str,
        subscriber: impl Into<Recipient<M>>,
    ) -> Result<Subscription<M>, TopicError> {
        let pattern = Arc::new(Pattern::parse(pattern)?);
        let to = subscriber.into();
        let owner = to.owner();
        let refused = Arc::new(AtomicU64::new(0));
        let (subscriber, stale) = {
            let mut patterns = self.shared.patterns.write();
            patterns.issued += 1;
            patterns.count += 1;
            let subscriber = Arc::new(Subscriber {
                id: patterns.issued,
                to,
                pattern: pattern.clone(),
                refused: refused.clone(),
                at_end: OnceLock::new(),
            });
            let leaf = patterns.root.leaf(&pattern);
            leaf.subscribers.insert(subscriber.id, subscriber.clone());
            let stale = leaf.snapshot.take();
            (subscriber, stale)
        };
        drop(stale);
        let subscription = Subscription {
            broker: Arc::downgrade(&self.shared),
            id: subscriber.id,
            pattern,
            refused,
        };
        // Second, so that one that ends meanwhile is found in the trie.
        if let Some(owner) = owner {
            let ended = subscription.clone();
            let at_end = AtEnd::of(owner.0, move || {
                ended.unsubscribe();
            });
            let _ = subscriber.at_end.set(at_end);
        }
        Ok(subscription)
    }

    /// Sends a clone of `message` to all whose pattern matches `topic`, in the order in which they have
    /// subscribed to each, without ever waiting; gives how many took it.
    ///
    /// What a subscriber's mailbox refuses because it is full is lost to that one, and counted. As for
    /// a [broadcast](crate::Group::broadcast), a message that is large is best shared.
    ///
    /// # Errors
    ///
    /// If `topic` is none; see [`TopicError`].
    ///
    /// ```
    /// # extern crate actor_core as concurrence;
    /// # use concurrence::{Broker, Message, Tasklet, dispatch};
    /// #[derive(Message, Clone, Debug)]
    /// struct Note(u8);
    ///
    /// # fn main() {
    /// dispatch(|| {
    ///     let broker = Broker::new();
    ///     broker.subscribe("log.*", Tasklet::current()).unwrap();
    ///     assert_eq!(broker.publish("log.error", Note(1)), Ok(1));
    ///     assert!(broker.publish("log.*", Note(2)).is_err());
    /// });
    /// # }
    /// ```
    pub fn publish(&self, topic: &str, message: M) -> Result<usize, TopicError> {
        if has_wildcard(topic) {
            return Err(TopicError::Wildcard {
                topic: topic.into(),
            });
        }
        let mut taken = 0;
        for subscribers in self.matching(topic)? {
            for subscriber in subscribers.iter() {
                match subscriber.to.try_send(message.clone()) {
                    Ok(()) => taken += 1,
                    Err(SendError::Ended(_)) => {
                        self.shared.remove(&subscriber.pattern, subscriber.id);
                    }
                    Err(_) => {
                        subscriber.refused.fetch_add(1, Ordering::Relaxed);
                        self.shared.refused.fetch_add(1, Ordering::Relaxed);
                    }
                }
            }
        }
        Ok(taken)
    }

    /// The subscribers of each pattern that matches a topic.
    fn matching(&self, topic: &str) -> Result<Vec<Subscribers<M>>, TopicError> {
        let tokens = tokens(topic)?;
        let mut found = Vec::new();
        let patterns = self.shared.patterns.read();
        let mut nodes = vec![&patterns.root];
        let mut after = Vec::new();
        for token in tokens {
            for node in nodes.drain(..) {
                found.extend(node.below.snapshot());
                after.extend(node.next.get(token));
                after.extend(node.any.as_deref());
            }
            std::mem::swap(&mut nodes, &mut after);
        }
        found.extend(nodes.into_iter().filter_map(|node| node.here.snapshot()));
        Ok(found)
    }

    /// How many subscriptions there are.
    ///
    /// ```
    /// # extern crate actor_core as concurrence;
    /// # use concurrence::{Broker, Message, Tasklet, dispatch};
    /// #[derive(Message, Clone, Debug)]
    /// struct Note(u8);
    ///
    /// # fn main() {
    /// dispatch(|| {
    ///     let broker: Broker<Note> = Broker::new();
    ///     broker.subscribe("log.*", Tasklet::current()).unwrap();
    ///     assert_eq!(broker.subscriptions(), 1);
    /// });
    /// # }
    /// ```
    pub fn subscriptions(&self) -> usize {
        self.shared.patterns.read().count
    }

    /// How often a subscriber's mailbox has refused what was published, because it was full.
    ///
    /// ```
    /// # extern crate actor_core as concurrence;
    /// # use concurrence::{Broker, Mailbox, Message, Overflow, Tasklet, dispatch};
    /// #[derive(Message, Clone, Debug)]
    /// struct Note(u8);
    ///
    /// # fn main() {
    /// dispatch(|| {
    ///     let slow = Tasklet::with_mailbox(Mailbox::bounded(1, Overflow::Fail))
    ///         .spawn(|| Tasklet::receive_one().is_ok())
    ///         .unwrap();
    ///     let broker = Broker::new();
    ///     broker.subscribe("log.*", slow.tasklet()).unwrap();
    ///     assert_eq!(broker.publish("log.error", Note(1)), Ok(1));
    ///     assert_eq!(broker.publish("log.error", Note(2)), Ok(0));
    ///     assert_eq!(broker.refused(), 1);
    /// });
    /// # }
    /// ```
    pub fn refused(&self) -> u64 {
        self.shared.refused.load(Ordering::Relaxed)
    }
}

impl<M: Message + Clone> Clone for Broker<M> {
    fn clone(&self) -> Self {
        Broker {
            shared: self.shared.clone(),
        }
    }
}

impl<M: Message + Clone> Default for Broker<M> {
    fn default() -> Self {
        Broker::new()
    }
}

impl<M: Message + Clone> fmt::Debug for Broker<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Broker")
            .field("subscriptions", &self.subscriptions())
            .field("refused", &self.refused())
            .finish()
    }
}

/// A subscription with a [`Broker`]. Dropping it changes nothing.
///
/// ```
/// # extern crate actor_core as concurrence;
/// # use concurrence::{Broker, Message, Tasklet, dispatch};
/// #[derive(Message, Clone, Debug)]
/// struct Note(u8);
///
/// # fn main() {
/// dispatch(|| {
///     let broker: Broker<Note> = Broker::new();
///     let subscription = broker.subscribe("log.*", Tasklet::current()).unwrap();
///     assert_eq!(subscription.pattern(), "log.*");
///     assert!(subscription.unsubscribe());
/// });
/// # }
/// ```
pub struct Subscription<M: Message> {
    broker: Weak<Shared<M>>,
    id: u64,
    pattern: Arc<Pattern>,
    refused: Arc<AtomicU64>,
}

impl<M: Message> Subscription<M> {
    /// Ends it; `false` if it has ended. What is on its way still comes.
    pub fn unsubscribe(&self) -> bool {
        let broker = self.broker.upgrade();
        broker.is_some_and(|broker| broker.remove(&self.pattern, self.id))
    }

    /// What it is for.
    pub fn pattern(&self) -> &str {
        &self.pattern.text
    }

    /// How often the subscriber's mailbox has refused what was published, because it was full.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }
}

impl<M: Message> Clone for Subscription<M> {
    fn clone(&self) -> Self {
        Subscription {
            broker: self.broker.clone(),
            id: self.id,
            pattern: self.pattern.clone(),
            refused: self.refused.clone(),
        }
    }
}

impl<M: Message> fmt::Debug for Subscription<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Subscription({:?})", self.pattern())
    }
}

/// Why a text is no topic, or no pattern.
///
/// ```
/// # extern crate actor_core as concurrence;
/// # use concurrence::{Broker, Message};
/// #[derive(Message, Clone, Debug)]
/// struct Note(u8);
///
/// # fn main() {
/// let error = Broker::new().publish("log..error", Note(1)).unwrap_err();
/// assert_eq!(error.to_string(), "\"log..error\" has an empty token");
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TopicError {
    /// There is nothing before, after or between the dots.
    EmptyToken {
        /// The text.
        topic: Box<str>,
    },
    /// There is a wildcard where none can be: in a topic, in the middle of a token, or, if it is `>`, before
    /// the last token.
    Wildcard {
        /// The text.
        topic: Box<str>,
    },
    /// It has too many tokens.
    TooDeep {
        /// How many there may be.
        limit: usize,
    },
}

impl fmt::Display for TopicError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TopicError::EmptyToken { topic } => write!(f, "{topic:?} has an empty token"),
            TopicError::Wildcard { topic } => {
                write!(f, "{topic:?} has a wildcard where none can be")
            }
            TopicError::TooDeep { limit } => {
                write!(f, "a topic has more than {limit} tokens")
            }
        }
    }
}

impl Error for TopicError {}
