//! Nodes in processes of their own that start actors for others, have some started at others, and book what is to be
//! booked once.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use actor_core::sync::Event;
use actor_core::{Actor, Addr, BoxError, Context, Handler, Message, Supervisor};
use actor_remote::{
    CallId, Config, Dedup, MemoryLimits, Node, PeerRef, RemoteActor, RemoteChild, RemoteRef,
    Verdict, WhichNode, protocol,
};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::agent::{Agent, given, obey};
use crate::common::{Add, LONG, program};

/// After how much silence these nodes give a link up.
pub(crate) const GIVE_UP: Duration = Duration::from_secs(1);

/// Longer than it takes until a node has ended what nobody claims, with `SOON`.
pub(crate) const LINGER: Duration = Duration::from_millis(2500);

/// How long children of others are kept that nobody claims: for a moment, or for longer than a test lasts.
pub(crate) const SOON: Duration = Duration::from_millis(300);
pub(crate) const NEVER: Duration = Duration::from_secs(600);

const ORPHANS: &str = "FAULTS_NODE_ORPHANS";
const LEDGER: &str = "FAULTS_NODE_LEDGER";
const STORE: &str = "FAULTS_NODE_STORE";

pub(crate) fn config(name: &str) -> Config {
    Config::new(name)
        .heartbeat(GIVE_UP / 5, GIVE_UP)
        .handshakes(GIVE_UP, 64)
        .reconnect(Duration::from_millis(5), Duration::from_millis(50))
}

/// A directory that is removed with this.
pub(crate) struct Directory(PathBuf);

impl Directory {
    pub(crate) fn new() -> Directory {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("actor-remote-faults-{}-{count}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Directory(path)
    }

    pub(crate) fn file(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

const ANY: &str = "127.0.0.1:0";

/// A node that starts actors for others, and keeps them for so long when they are not claimed.
pub(crate) fn host(name: &str, orphans: Duration) -> Agent {
    host_at(name, ANY.parse().unwrap(), orphans)
}

pub(crate) fn host_at(name: &str, addr: SocketAddr, orphans: Duration) -> Agent {
    let settings = [(ORPHANS, orphans.as_millis().to_string())];
    Agent::start_as("host::a_host", name, addr, &settings)
}

/// A node that books into a file, with a store behind what it remembers of calls or without.
pub(crate) fn bookkeeper(addr: Option<SocketAddr>, ledger: &str, store: bool) -> Agent {
    let mut settings = vec![(LEDGER, ledger.to_owned())];
    if store {
        settings.push((STORE, "yes".to_owned()));
    }
    let addr = addr.unwrap_or_else(|| ANY.parse().unwrap());
    Agent::start_as("host::a_host", "books", addr, &settings)
}

/// Not a test: what the other processes are.
#[test]
#[ignore = "started by the tests that need other processes"]
fn a_host() {
    let Some((name, addr)) = given() else { return };
    program(move || {
        let orphans = std::env::var(ORPHANS).map_or(0, |millis| millis.parse().unwrap());
        let orphans = Duration::from_millis(orphans);
        let node = Node::listen(addr, config(&name).orphan_after(orphans)).unwrap();
        let guests = Guests::default();
        guests.offer(&node);
        let books = std::env::var(LEDGER).ok().map(|path| {
            let books = Books::open(Path::new(&path));
            let exposure = node
                .expose("books", &Addr::spawn(books.clone()))
                .protocol::<Booking>();
            match std::env::var(STORE) {
                Ok(_) => exposure.idempotent_with(MemoryLimits::default(), books.clone()),
                Err(_) => exposure.idempotent(MemoryLimits::default()),
            };
            books
        });
        let books = || books.as_ref().expect("it has a ledger");
        let mut supervised = None;
        obey(&node, |words| match words {
            ["alive"] => guests.alive.load(Ordering::SeqCst).to_string(),
            ["started"] => guests.started.load(Ordering::SeqCst).to_string(),
            ["supervise", lock, addrs @ ..] => {
                let connect = |addr: &&str| node.connect(*addr).unwrap();
                let peers: Vec<_> = addrs.iter().map(connect).collect();
                let new = Supervised::new(lock, &peers, |child| child.linger(LINGER));
                supervised.insert(new).sum().expect("it has started")
            }
            ["hold"] => {
                books().may_answer.clear();
                "holds".to_owned()
            }
            ["has-booked"] => books().booked.is_set().to_string(),
            ["release"] => {
                books().may_answer.set();
                "released".to_owned()
            }
            order => panic!("{order:?} is no order"),
        });
    });
}

protocol! { pub(crate) Keeping: Add }

/// What a node has started for others.
#[derive(Default, Clone)]
struct Guests {
    alive: Arc<AtomicUsize>,
    started: Arc<AtomicUsize>,
}

impl Guests {
    fn offer(&self, node: &Node) {
        let guests = self.clone();
        node.offer("keeper", move |lock: String| {
            guests.started.fetch_add(1, Ordering::SeqCst);
            guests.alive.fetch_add(1, Ordering::SeqCst);
            Ok(Addr::spawn(Keeper {
                sum: 0,
                alive: guests.alive.clone(),
                _sole: Sole::new(Path::new(&lock))?,
            }))
        })
        .protocol::<Keeping>();
    }
}

/// Knows whether there are two of it, in whatever processes: the system has one lock for all, and takes it back from
/// one that is killed.
struct Sole {
    _locked: File,
}

impl Sole {
    fn new(path: &Path) -> Result<Sole, BoxError> {
        let file = File::create(path)?;
        if file.try_lock().is_err() {
            File::create(path.with_extension("two"))?;
        }
        Ok(Sole { _locked: file })
    }
}

/// Whether there have ever been two that had this lock.
pub(crate) fn were_two(lock: &str) -> bool {
    Path::new(lock).with_extension("two").exists()
}

struct Keeper {
    sum: u64,
    alive: Arc<AtomicUsize>,
    _sole: Sole,
}

impl Actor for Keeper {}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.alive.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Handler<Add> for Keeper {
    fn handle(&mut self, Add(n): Add, _: &mut Context<Self>) -> u64 {
        self.sum += n;
        self.sum
    }
}

/// A supervisor of this process with a keeper at others.
pub(crate) struct Supervised {
    pub(crate) keeper: RemoteRef<Keeping>,
    pub(crate) child: Addr<RemoteActor<Keeping>>,
    supervisor: Addr<Supervisor>,
}

impl Supervised {
    pub(crate) fn new(
        lock: &str,
        peers: &[PeerRef],
        settings: impl FnOnce(RemoteChild<Keeping>) -> RemoteChild<Keeping>,
    ) -> Supervised {
        let child = RemoteChild::new("keeper", "keeper", lock.to_owned(), peers.to_vec());
        let child = settings(child);
        let keeper = child.reference();
        let child = child.child();
        let addr = child.addr();
        let supervisor = Supervisor::one_for_one()
            .intensity(1000, Duration::from_secs(60))
            .child(child);
        Supervised {
            keeper,
            child: addr,
            supervisor: Addr::builder().spawn_ready(supervisor).unwrap(),
        }
    }

    /// Adds one, and says how much it is; nothing if it is not there.
    pub(crate) fn sum(&self) -> Option<String> {
        let sum = self.keeper.call_timeout(Add(1), LONG).ok()?;
        Some(sum.to_string())
    }

    pub(crate) fn place(&self) -> Option<String> {
        self.child.call_timeout(WhichNode, LONG).ok().flatten()
    }
}

impl Drop for Supervised {
    fn drop(&mut self) {
        self.supervisor.stop();
        self.supervisor.join();
    }
}

/// Books an amount, once for each id. The answer is the sum then.
#[derive(Message, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[message(remote = "faults.Book", reply = u64)]
pub(crate) struct Book {
    pub(crate) id: CallId,
    pub(crate) amount: u64,
}

protocol! { pub(crate) Booking: Book }

/// Writes what it books into a file, number and effect in one, before it answers.
#[derive(Clone)]
struct Books {
    file: Arc<File>,
    answers: Arc<Mutex<Answers>>,
    booked: Arc<Event>,
    may_answer: Arc<Event>,
}

#[derive(Default)]
struct Answers {
    sum: u64,
    of: HashMap<CallId, u64>,
}

/// What has been booked: which call, how much, and what was the sum then. A line that is torn is not there.
pub(crate) fn entries(ledger: &Path) -> Vec<(CallId, u64, u64)> {
    let mut text = String::new();
    if let Ok(mut file) = File::open(ledger) {
        file.read_to_string(&mut text).unwrap();
    }
    let entry = |line: &str| {
        let mut words = line.strip_suffix('\n')?.split(' ');
        let client = words.next()?.parse().ok()?;
        let mut number = || words.next()?.parse::<u64>().ok();
        let id = CallId {
            client,
            number: number()?,
        };
        Some((id, number()?, number()?))
    };
    text.split_inclusive('\n').filter_map(entry).collect()
}

impl Books {
    fn open(path: &Path) -> Books {
        let mut answers = Answers::default();
        for (id, amount, sum) in entries(path) {
            answers.sum += amount;
            assert_eq!(answers.sum, sum);
            answers.of.insert(id, sum);
        }
        let file = OpenOptions::new().create(true).append(true).open(path);
        let may_answer = Event::new();
        may_answer.set();
        Books {
            file: Arc::new(file.unwrap()),
            answers: Arc::new(Mutex::new(answers)),
            booked: Arc::new(Event::new()),
            may_answer: Arc::new(may_answer),
        }
    }
}

impl Actor for Books {}

impl Handler<Book> for Books {
    fn handle(&mut self, Book { id, amount }: Book, _: &mut Context<Self>) -> u64 {
        let sum = {
            let mut answers = self.answers.lock();
            let sum = answers.sum + amount;
            let line = format!("{} {} {amount} {sum}\n", id.client, id.number);
            (&*self.file).write_all(line.as_bytes()).unwrap();
            answers.sum = sum;
            answers.of.insert(id, sum);
            sum
        };
        self.booked.set();
        self.may_answer.wait();
        sum
    }
}

impl Dedup for Books {
    fn look_up(&self, id: CallId) -> Verdict {
        match self.answers.lock().of.get(&id) {
            Some(sum) => {
                let mut answer = Vec::new();
                actor_codec::encode(sum, &mut answer, 16).unwrap();
                Verdict::Done(answer)
            }
            None => Verdict::New,
        }
    }

    fn done(&self, id: CallId, _: &[u8]) {
        // It has been written with its effect.
        assert!(self.answers.lock().of.contains_key(&id));
    }
}
