//! The chat on a page: people at browsers and people at telnet clients are in one room.
//! Try it: `cargo run --release --example chat_web`, open <http://localhost:9080> in two windows, and
//! `telnet localhost 9010` or `nc localhost 9010` in a terminal.

use std::{env, process::ExitCode, sync::Arc};

use concurrence::net::http::ws::{self, WebSocket, WsError, WsOptions, WsSender};
use concurrence::net::http::{
    Body, HeaderValue, HttpServer, IntoResponse, Request, Response, StatusCode,
};
use concurrence::net::{Connection, Line, LineCodec, Server};
use concurrence::{
    Actor, Addr, BoxError, Context, Exit, ExitReason, Handler, Mailbox, Message, Overflow,
    dispatch, io,
};

const PAGE: &str = include_str!("chat_web.html");

/// How long names and lines may be, in characters. What is longer is cut.
const NAME: usize = 40;
const LINE: usize = 2000;

/// What a guest is to see.
enum Seen {
    /// Who is in the room; the name of the guest itself first.
    Here(Vec<Arc<str>>),
    Came(Arc<str>),
    Left(Arc<str>),
    Said(Arc<str>, Arc<str>),
}

/// Somebody wants to come in and be called so.
#[derive(Message)]
struct Enter(Arc<str>, Addr<Guest>, Peer);

/// Somebody in the room says something.
#[derive(Message)]
struct Say(Addr<Guest>, Arc<str>);

/// Knows who is there, and tells all of them what happens, in one order: straight to their peers, which are told
/// without waiting and take only so much. In the guests' mailboxes it could pile up.
#[derive(Default)]
struct Room {
    guests: Vec<(Arc<str>, Addr<Guest>, Peer)>,
}

impl Actor for Room {
    fn exited(&mut self, exit: Exit, _: &mut Context<Self>) {
        let place = self
            .guests
            .iter()
            .position(|(_, guest, _)| guest.pid() == exit.pid);
        if let Some(place) = place {
            let (name, ..) = self.guests.remove(place);
            self.tell(&Seen::Left(name));
        }
    }
}

impl Room {
    fn tell(&self, seen: &Seen) {
        for (_, guest, peer) in &self.guests {
            if peer.show(seen).is_err() {
                guest.stop(); // it has stopped reading, or gone
            }
        }
    }
}

impl Handler<Enter> for Room {
    fn handle(&mut self, Enter(wish, guest, peer): Enter, _: &mut Context<Self>) {
        let numbered = (2..).map(|n| format!("{wish} ({n})").into());
        let mut names = std::iter::once(wish.clone()).chain(numbered);
        let is_free = |name: &Arc<str>| self.guests.iter().all(|(taken, ..)| taken != name);
        let Some(name) = names.find(is_free) else {
            return;
        };
        guest.monitor();
        self.tell(&Seen::Came(name.clone()));
        let others = self.guests.iter().map(|(name, ..)| name.clone());
        let here = std::iter::once(name.clone()).chain(others).collect();
        if peer.show(&Seen::Here(here)).is_err() {
            guest.stop();
        }
        self.guests.push((name, guest, peer));
    }
}

impl Handler<Say> for Room {
    fn handle(&mut self, Say(guest, line): Say, _: &mut Context<Self>) {
        if let Some((name, ..)) = self.guests.iter().find(|(_, known, _)| *known == guest) {
            self.tell(&Seen::Said(name.clone(), line));
        }
    }
}

/// How a guest is reached.
#[derive(Clone)]
enum Peer {
    Browser(WsSender),
    Telnet(Connection<LineCodec>),
}

impl Peer {
    /// To a page go the fields of a line with tabs in between, which there are none of in names and lines.
    fn show(&self, seen: &Seen) -> Result<(), BoxError> {
        match (self, seen) {
            (Peer::Browser(page), Seen::Here(names)) => {
                page.send(format!("here\t{}", names.join("\t")))?
            }
            (Peer::Browser(page), Seen::Came(name)) => page.send(format!("came\t{name}"))?,
            (Peer::Browser(page), Seen::Left(name)) => page.send(format!("left\t{name}"))?,
            (Peer::Browser(page), Seen::Said(name, line)) => {
                page.send(format!("said\t{name}\t{line}"))?
            }
            (Peer::Telnet(line), Seen::Here(names)) => {
                line.send(format!("you are {}; type 'quit' to exit..", names[0]));
                if names.len() > 1 {
                    line.send(format!("here: {}", names[1..].join(", ")));
                }
            }
            (Peer::Telnet(line), Seen::Came(name)) => line.send(format!("* {name} has come")),
            (Peer::Telnet(line), Seen::Left(name)) => line.send(format!("* {name} has left")),
            (Peer::Telnet(line), Seen::Said(name, text)) => line.send(format!("{name}: {text}")),
        }
        Ok(())
    }
}

struct Guest {
    peer: Peer,
    room: Addr<Room>,
    has_name: bool,
}

impl Actor for Guest {
    fn started(&mut self, _: &mut Context<Self>) -> Result<(), BoxError> {
        if let Peer::Telnet(line) = &self.peer {
            line.send("what is your name?");
        }
        Ok(())
    }

    fn stopped(&mut self, reason: &ExitReason) {
        if let (Peer::Telnet(line), ExitReason::Shutdown) = (&self.peer, reason) {
            line.send("server is shutting down");
        }
    }
}

impl Guest {
    /// The first thing that it says is its name.
    fn hear(&mut self, text: &str, ctx: &mut Context<Self>) {
        let longest = if self.has_name { LINE } else { NAME };
        let clean = text
            .trim()
            .chars()
            .map(|char| if char.is_control() { ' ' } else { char });
        let text: Arc<str> = clean.take(longest).collect::<String>().into();
        if text.is_empty() {
            return;
        }
        // Calls: whoever says more than the room can tell all others waits, and so does the peer in the end.
        let _ = match std::mem::replace(&mut self.has_name, true) {
            false => self.room.call(Enter(text, ctx.addr(), self.peer.clone())),
            true => self.room.call(Say(ctx.addr(), text)),
        };
    }
}

impl Handler<Line> for Guest {
    fn handle(&mut self, Line(line): Line, ctx: &mut Context<Self>) {
        match line.as_str() {
            "quit" => ctx.stop(),
            line => self.hear(line, ctx),
        }
    }
}

impl Handler<ws::Message> for Guest {
    fn handle(&mut self, message: ws::Message, ctx: &mut Context<Self>) {
        if let Some(text) = message.as_text() {
            self.hear(text, ctx);
        }
    }
}

fn page() -> Response<Body> {
    let mut response = PAGE.into_response();
    let headers = response.headers_mut();
    headers.insert(
        "content-type",
        HeaderValue::from_static("text/html; charset=utf-8"),
    );
    headers.insert("cache-control", HeaderValue::from_static("no-cache"));
    response
}

/// For as long as the browser stays.
fn chat(socket: WebSocket, room: Addr<Room>) -> Result<(), WsError> {
    let outbox = Mailbox::bounded(1024, Overflow::Fail); // full: the browser has stopped reading
    socket.serve_actor(outbox, |page| Guest {
        peer: Peer::Browser(page),
        room,
        has_name: false,
    })
}

fn main() -> ExitCode {
    tracing_subscriber::fmt().with_writer(io::stderr).init();
    let mut args = env::args().skip(1);
    let web = args.next().unwrap_or("localhost:9080".into());
    let telnet = args.next().unwrap_or("localhost:9010".into());
    dispatch(move || -> io::Result<()> {
        let room = Addr::spawn(Room::default());
        let lines = room.clone();
        let server = Server::builder().name("telnet").bind(telnet)?;
        server.spawn_actors(LineCodec::new(), move |connection| Guest {
            peer: Peer::Telnet(connection),
            room: lines.clone(),
            has_name: false,
        })?;
        let options = WsOptions::default().with(|options| options.message = 16 * 1024);
        HttpServer::serve(web, move |request: Request<Body>| {
            let room = room.clone();
            match request.uri().path() {
                "/" => page(),
                "/chat" => WebSocket::upgrade(&request, &options, |socket| chat(socket, room)),
                _ => StatusCode::NOT_FOUND.into_response(),
            }
        })
    })
}
