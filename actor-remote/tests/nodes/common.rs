//! What the tests talk about, and nodes to talk over.

use actor_core::{Actor, Addr, Context, Handler, Message, Recipient, ReplyTo, Tasklet};
use actor_remote::{Config, Node, PeerRef, protocol};
use serde::{Deserialize, Serialize};

pub(crate) use crate::support::{LONG, deaf, program, until};

#[derive(Message, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[message(remote = "test.Add", reply = u64)]
pub(crate) struct Add(pub(crate) u64);

#[derive(Message, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[message(remote = "test.Note")]
pub(crate) struct Note(pub(crate) u64, pub(crate) String);

#[derive(Message, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[message(remote = "test.Notes", reply = Vec<u64>)]
pub(crate) struct Notes;

#[derive(Message, Debug, Serialize, Deserialize)]
#[message(remote = "test.TellMe")]
pub(crate) struct TellMe(pub(crate) Recipient<Note>);

#[derive(Message, Debug, Serialize, Deserialize)]
#[message(remote = "test.Later")]
pub(crate) struct Later(pub(crate) ReplyTo<String>, pub(crate) Option<String>);

#[derive(Message, Debug, Serialize, Deserialize)]
#[message(remote = "test.Fail")]
pub(crate) struct Fail(pub(crate) String);

#[derive(Message, Debug, Serialize, Deserialize)]
#[message(remote = "test.Length", reply = usize)]
pub(crate) struct Length(pub(crate) Vec<String>);

protocol! {
    pub(crate) Book: Add, Note, Notes, TellMe, Later, Fail, Length
}

/// Counts, and writes down what it is told.
#[derive(Default)]
pub(crate) struct Keeper {
    pub(crate) sum: u64,
    pub(crate) notes: Vec<u64>,
    pub(crate) readers: Vec<Recipient<Note>>,
    pub(crate) later: Vec<ReplyTo<String>>,
}

impl Actor for Keeper {}

impl Handler<Add> for Keeper {
    fn handle(&mut self, Add(n): Add, _: &mut Context<Self>) -> u64 {
        self.sum += n;
        self.sum
    }
}

impl Handler<Note> for Keeper {
    fn handle(&mut self, note: Note, _: &mut Context<Self>) {
        self.notes.push(note.0);
        for reader in &self.readers {
            reader.send(note.clone()).unwrap();
        }
    }
}

impl Handler<Notes> for Keeper {
    fn handle(&mut self, _: Notes, _: &mut Context<Self>) -> Vec<u64> {
        self.notes.clone()
    }
}

impl Handler<TellMe> for Keeper {
    fn handle(&mut self, TellMe(reader): TellMe, _: &mut Context<Self>) {
        self.readers.push(reader);
    }
}

impl Handler<Later> for Keeper {
    fn handle(&mut self, Later(reply, text): Later, _: &mut Context<Self>) {
        match text {
            Some(text) => reply.send(text),
            None => self.later.push(reply),
        }
    }
}

impl Handler<Fail> for Keeper {
    fn handle(&mut self, Fail(text): Fail, _: &mut Context<Self>) {
        panic!("{text}");
    }
}

impl Handler<Length> for Keeper {
    fn handle(&mut self, Length(texts): Length, _: &mut Context<Self>) -> usize {
        texts.iter().map(String::len).sum()
    }
}

/// Has `server` end its link with the node `client`, which knows it as `peer`, and waits until that is noticed. The
/// client connects again.
pub(crate) fn cut(server: &Node, client: &str, peer: &PeerRef) {
    let mut known = None;
    until("the server has the link", || {
        known = server.peer(client).filter(PeerRef::is_connected);
        known.is_some()
    });
    // Who begins to wait only then may wait for the end of the next link.
    let lost = Tasklet::spawn({
        let peer = peer.clone();
        move || peer.wait_disconnected(LONG)
    });
    Tasklet::yield_now();
    known.unwrap().disconnect();
    assert!(lost.join().unwrap());
}

/// A node that exposes a keeper, and another that is linked with it.
pub(crate) struct Pair {
    pub(crate) server: Node,
    pub(crate) client: Node,
    pub(crate) peer: PeerRef,
    pub(crate) keeper: Addr<Keeper>,
}

impl Pair {
    pub(crate) fn new() -> Pair {
        Pair::with(Config::new("server"), Config::new("client"))
    }

    pub(crate) fn with(server: Config, client: Config) -> Pair {
        let server = Node::listen("127.0.0.1:0", server).unwrap();
        let keeper = Addr::spawn(Keeper::default());
        server.expose("keeper", &keeper).protocol::<Book>();
        let client = Node::start(client).unwrap();
        let peer = client.connect(server.local_addr().unwrap()).unwrap();
        Pair {
            server,
            client,
            peer,
            keeper,
        }
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        self.client.close();
        self.server.close();
    }
}
