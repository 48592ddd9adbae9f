//! Several chat servers that are one room: what somebody types at one of them, all at all of them get to see.
//! Try it: `cargo run --release --example remote_chat -- north`, then in another terminal
//! `cargo run --release --example remote_chat -- south 127.0.0.1:9032 127.0.0.1:9012 127.0.0.1:9031`, and
//! `nc localhost 9011` and `nc localhost 9012` in two more. A third server needs to be told of one of the others
//! only. Kill one and start it again.
//!
//! The arguments are the server's name, the address for other servers, the one for people, and where other servers
//! are. Beyond one machine they need a secret of at least 16 bytes, in the variable `CHAT_SECRET`.
//!
//! Each server has a room, and a room knows those of all the others. Who joins gets to know from the one it
//! joins which others there are, and joins these as well. A room is given with a reference to itself, on which
//! the other one has a monitor: so a server is a member for as long as there is a link to it, and becomes one again
//! when there is a link again. A line goes from the room where it was typed to each of the others, once; what
//! is typed while there is no link to one of them is not seen there.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use std::{env, process::ExitCode, sync::Arc};

use concurrence::net::{Connection, Line, LineCodec, Server, SocketAddr};
use concurrence::remote::{Config, Node, PeerRef, RemoteRef, Secret, protocol};
use concurrence::{
    Actor, Addr, BoxError, CallError, Context, Exit, ExitReason, Handler, Message, Pid, Tasklet,
    dispatch, match_message,
};
use serde::{Deserialize, Serialize};

const USAGE: &str =
    "usage: remote_chat NAME [NODE_ADDRESS [PEOPLE_ADDRESS [OTHER_NODE_ADDRESS ..]]]";

/// How many bytes one may say at once, and may be called.
const MAX_LINE: usize = 1024;
/// How long a server may take to answer another.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long to wait before another attempt to join.
const PAUSE: Duration = Duration::from_millis(500);

/// Lets a room into another one, which answers with itself and with all the others that it knows.
#[derive(Message, Serialize, Deserialize)]
#[message(remote = "chat.Join", reply = Welcome)]
struct Join(Member);

#[derive(Serialize, Deserialize)]
struct Welcome {
    me: Member,
    others: Vec<SocketAddr>,
}

/// A room, and where its server can be reached.
#[derive(Clone, Serialize, Deserialize)]
struct Member {
    server: String,
    addr: SocketAddr,
    room: RemoteRef<Rooms>,
}

/// What somebody has typed, or what else people are to know.
#[derive(Message, Clone, Serialize, Deserialize)]
#[message(remote = "chat.Said")]
struct Said(String);

/// Asks for the people at one server.
#[derive(Message, Serialize, Deserialize)]
#[message(remote = "chat.People", reply = Vec<String>)]
struct People;

protocol! { Rooms: Join, Said, People }

/// What is joined now.
#[derive(Message)]
struct Joined(Member);

/// A server of whom another has told.
#[derive(Message)]
struct Heard(SocketAddr);

/// Somebody comes in.
#[derive(Message)]
struct Enter {
    name: String,
    who: Addr<Client>,
}

/// For those here and everywhere else, but for the one who has typed it.
#[derive(Message)]
struct Say {
    who: Pid,
    text: String,
}

/// The rooms that are joined now.
#[derive(Message)]
#[message(reply = Vec<Member>)]
struct Members;

/// A line to be shown to somebody.
#[derive(Message)]
struct Show(Arc<str>);

/// What one server has of the room.
struct Room {
    node: Node,
    addr: SocketAddr,
    /// By the name of their server.
    members: BTreeMap<String, Member>,
    /// With each of which somebody sees to it that it is joined.
    joining: BTreeSet<SocketAddr>,
    people: BTreeMap<Pid, (String, Addr<Client>)>,
}

impl Room {
    fn me(&self, ctx: &Context<Self>) -> Member {
        Member {
            server: self.node.name().to_owned(),
            addr: self.addr,
            room: RemoteRef::new(&ctx.addr()),
        }
    }

    fn admit(&mut self, member: Member) {
        member.room.monitor();
        let server = member.server.clone();
        if self.members.insert(server.clone(), member).is_none() {
            tracing::info!("{server} is here");
            self.show(None, &format!("* {server} is here"));
        }
    }

    /// To the people here. One that does not read is hung up on, as its outbox is bounded; one may just have gone.
    fn show(&self, but: Option<Pid>, text: &str) {
        let text: Arc<str> = text.into();
        for (pid, (_, client)) in &self.people {
            if Some(*pid) != but {
                let _ = client.try_send(Show(text.clone()));
            }
        }
    }

    /// To the people everywhere.
    fn say(&self, but: Option<Pid>, text: String) {
        self.show(but, &text);
        for member in self.members.values() {
            // One that does not keep up, or has just gone, misses it; it does not hold up the others.
            if let Err(error) = member.room.try_send(Said(text.clone())) {
                tracing::warn!(server = member.server, %error, "a line is lost");
            }
        }
    }
}

impl Actor for Room {
    fn exited(&mut self, exit: Exit, _: &mut Context<Self>) {
        if let Some((name, _)) = self.people.remove(&exit.pid) {
            return self.say(None, format!("* {name} leaves"));
        }
        // Who has come back meanwhile is there by another reference, which is another identity.
        let gone = |member: &&Member| member.room.pid() == Some(exit.pid);
        let gone = self.members.values().find(gone);
        if let Some(server) = gone.map(|member| member.server.clone()) {
            self.members.remove(&server);
            tracing::info!("{server} is gone");
            self.show(None, &format!("* {server} is gone"));
        }
    }
}

impl Handler<Join> for Room {
    fn handle(&mut self, Join(member): Join, ctx: &mut Context<Self>) -> Welcome {
        let others = self.members.values().map(|other| other.addr);
        let others = others.filter(|addr| *addr != member.addr).collect();
        self.admit(member);
        let me = self.me(ctx);
        Welcome { me, others }
    }
}

impl Handler<Joined> for Room {
    fn handle(&mut self, Joined(member): Joined, _: &mut Context<Self>) {
        self.admit(member);
    }
}

impl Handler<Heard> for Room {
    fn handle(&mut self, Heard(addr): Heard, ctx: &mut Context<Self>) {
        if addr != self.addr && self.joining.insert(addr) {
            let (node, me) = (self.node.clone(), self.me(ctx));
            keep_joined(node, me, ctx.addr(), addr);
        }
    }
}

impl Handler<Said> for Room {
    fn handle(&mut self, Said(text): Said, _: &mut Context<Self>) {
        self.show(None, &text);
    }
}

impl Handler<Say> for Room {
    fn handle(&mut self, Say { who, text }: Say, _: &mut Context<Self>) {
        if let Some((name, _)) = self.people.get(&who) {
            self.say(Some(who), format!("{name}: {text}"));
        }
    }
}

impl Handler<Enter> for Room {
    fn handle(&mut self, Enter { name, who }: Enter, _: &mut Context<Self>) {
        who.monitor();
        let pid = who.pid();
        self.people.insert(pid, (name.clone(), who));
        self.say(Some(pid), format!("* {name} enters"));
    }
}

impl Handler<People> for Room {
    fn handle(&mut self, _: People, _: &mut Context<Self>) -> Vec<String> {
        self.people.values().map(|(name, _)| name.clone()).collect()
    }
}

impl Handler<Members> for Room {
    fn handle(&mut self, _: Members, ctx: &mut Context<Self>) -> Vec<Member> {
        let members = self.members.values().cloned();
        [self.me(ctx)].into_iter().chain(members).collect()
    }
}

/// Sees to it that the room at `addr` is joined, and joined again when it comes back.
fn keep_joined(node: Node, me: Member, own: Addr<Room>, addr: SocketAddr) {
    let name = format!("join {addr}");
    let joining = Tasklet::builder().name(name).daemon(true).spawn(move || {
        // The node connects again by itself, once it has been connected.
        let peer = loop {
            match node.connect(addr) {
                Ok(peer) => break peer,
                Err(error) => tracing::debug!(%addr, %error, "not connected"),
            }
            Tasklet::sleep(PAUSE);
        };
        loop {
            peer.wait_connected(PATIENCE);
            if let Err(error) = join(&peer, &me, &own) {
                tracing::debug!(%addr, error, "not joined");
                Tasklet::sleep(PAUSE);
            }
        }
    });
    if let Err(error) = joining {
        tracing::error!(%addr, %error, "cannot join");
    }
}

/// Returns when what was joined is gone.
fn join(peer: &PeerRef, me: &Member, own: &Addr<Room>) -> Result<(), BoxError> {
    let room = peer.lookup::<Rooms>("room")?;
    let Welcome { me: host, others } = room.call_timeout(Join(me.clone()), PATIENCE)?;
    host.room.monitor();
    for other in others {
        own.send(Heard(other))?;
    }
    own.send(Joined(host))?;
    for message in Tasklet::receive() {
        match_message!(match message {
            Exit { .. } => return Ok(()),
        });
    }
    Ok(())
}

/// Somebody who is connected.
struct Client {
    connection: Connection<LineCodec>,
    room: Addr<Room>,
    has_name: bool,
}

impl Actor for Client {
    fn started(&mut self, _: &mut Context<Self>) -> Result<(), BoxError> {
        self.connection.send("what is your name?");
        Ok(())
    }

    fn stopped(&mut self, reason: &ExitReason) {
        if let ExitReason::Shutdown = reason {
            self.connection.send("the server is shutting down");
        }
    }
}

impl Client {
    fn typed(&mut self, line: &str, ctx: &mut Context<Self>) -> Result<(), CallError> {
        match line {
            "" => {}
            name if !self.has_name => {
                self.has_name = true;
                self.connection
                    .send("'/who' shows who is here, '/quit' leaves");
                let (name, who) = (name.to_owned(), ctx.addr());
                self.room.call(Enter { name, who })?;
            }
            "/quit" => ctx.stop(),
            "/who" => {
                for line in who_is_here(&self.room)? {
                    self.connection.send(line);
                }
            }
            // Not `send`: who floods us waits until it has been passed on.
            line => {
                let (who, text) = (ctx.pid(), line.to_owned());
                self.room.call(Say { who, text })?;
            }
        }
        Ok(())
    }
}

impl Handler<Line> for Client {
    fn handle(&mut self, Line(line): Line, ctx: &mut Context<Self>) {
        if let Err(error) = self.typed(line.trim(), ctx) {
            ctx.fail(error);
        }
    }
}

impl Handler<Show> for Client {
    fn handle(&mut self, Show(line): Show, _: &mut Context<Self>) {
        self.connection.send(line);
    }
}

/// One line for each server: each is asked.
fn who_is_here(room: &Addr<Room>) -> Result<Vec<String>, CallError> {
    let members = room.call(Members)?;
    let line = |member: Member| match member.room.call_timeout(People, PATIENCE) {
        Ok(people) => format!("{}: {}", member.server, people.join(", ")),
        Err(error) => format!("{}: {error}", member.server),
    };
    Ok(members.into_iter().map(line).collect())
}

struct Arguments {
    name: String,
    node: String,
    people: String,
    others: Vec<SocketAddr>,
}

fn run(arguments: Arguments) -> Result<(), BoxError> {
    let mut config = Config::new(arguments.name)
        .cluster("chat")
        .heartbeat(Duration::from_millis(500), Duration::from_secs(3))
        .reconnect(Duration::from_millis(100), Duration::from_secs(2));
    if let Ok(secret) = env::var("CHAT_SECRET") {
        config = config.secret(Secret::from_bytes(secret)?);
    }
    let node = Node::listen(arguments.node, config)?;
    let addr = node
        .local_addr()
        .ok_or("a node that listens has an address")?;
    let room = Addr::spawn(Room {
        node: node.clone(),
        addr,
        members: BTreeMap::new(),
        joining: BTreeSet::new(),
        people: BTreeMap::new(),
    });
    node.expose("room", &room).protocol::<Rooms>();
    for other in arguments.others {
        room.send(Heard(other))?;
    }
    let server = Server::builder().name("people").bind(arguments.people)?;
    println!("servers {addr}, people {}", server.local_addr());
    let codec = LineCodec::new().with_max_line(MAX_LINE);
    let served = server.run_actors(codec, move |connection| Client {
        connection,
        room: room.clone(),
        has_name: false,
    });
    node.close();
    Ok(served?)
}

fn arguments() -> Option<Arguments> {
    let mut arguments = env::args().skip(1);
    Some(Arguments {
        name: arguments.next()?,
        node: arguments.next().unwrap_or("127.0.0.1:9031".into()),
        people: arguments.next().unwrap_or("127.0.0.1:9011".into()),
        others: arguments
            .map(|addr| addr.parse().ok())
            .collect::<Option<_>>()?,
    })
}

fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .init();
    let Some(arguments) = arguments() else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    dispatch(move || run(arguments))
}
