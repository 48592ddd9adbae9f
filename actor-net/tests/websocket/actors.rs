//! Messages of WebSockets in mailboxes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use actor_core::sync::{Event, Mutex, Semaphore};
use actor_core::{
    Actor, BoxError, Context, ExitReason, Group, Handler, Mailbox, Overflow, Recipient, SendError,
    Tasklet, match_message,
};
use actor_net::http::ws::{self, CloseCode, Message, WebSocket, WsError, WsOptions, WsSender};

use crate::common::{PATIENCE, eventually, in_tasklet};
use crate::raw::{CLOSE, FIN, Frame, Raw, Running, TEXT, closing, serve};

const OUTBOX: Mailbox = Mailbox::bounded(1024, Overflow::Fail);

/// Sends what it is sent to all who are in the room; what it is told to do, it does.
struct Guest {
    peer: WsSender,
    room: Group<Recipient<Message>>,
    ends: Arc<Mutex<Vec<String>>>,
}

impl Actor for Guest {
    fn started(&mut self, _: &mut Context<Self>) -> Result<(), BoxError> {
        self.room.join(&self.peer.recipient());
        self.peer.send("welcome")?;
        Ok(())
    }

    fn stopped(&mut self, reason: &ExitReason) {
        let _ = self.peer.send("goodbye");
        let close = self.peer.peers_close().map(|close| close.code);
        self.ends.lock().push(format!("{reason:?} {close:?}"));
    }
}

impl Handler<Message> for Guest {
    fn handle(&mut self, message: Message, ctx: &mut Context<Self>) {
        match message.as_text() {
            Some("stop") => ctx.stop(),
            Some("panic") => panic!("as it was told"),
            Some("dismiss me") => self.peer.close(CloseCode::POLICY, "as you like"),
            _ => {
                self.room.broadcast(message);
            }
        }
    }
}

struct Room {
    server: Running,
    ends: Arc<Mutex<Vec<String>>>,
}

fn open() -> Room {
    let (room, ends) = (Group::new(), Arc::new(Mutex::new(Vec::new())));
    let kept = ends.clone();
    let server = serve(move |socket: WebSocket| {
        let (room, ends) = (room.clone(), ends.clone());
        socket.serve_actor(OUTBOX, move |peer| Guest { peer, room, ends })
    });
    Room { server, ends: kept }
}

impl Room {
    fn enter(&self) -> WebSocket {
        let mut socket = ws::connect(&format!("ws://{}/", self.server.local_addr())).unwrap();
        assert_eq!(text(&mut socket), "welcome");
        socket
    }

    fn ended(&self, end: &str) {
        eventually(end, || self.ends.lock().iter().any(|known| known == end));
    }
}

fn text(socket: &mut WebSocket) -> String {
    let message = socket.read().unwrap().expect("another message");
    message.as_text().unwrap().to_owned()
}

#[test]
fn actors_talk_through_their_sockets() {
    in_tasklet(|| {
        let room = open();
        let mut guests: Vec<_> = (0..5).map(|_| room.enter()).collect();
        guests[2].send("hello, all").unwrap();
        for guest in &mut guests {
            assert_eq!(text(guest), "hello, all");
        }
        for guest in guests {
            guest.close(CloseCode::NORMAL, "").unwrap();
        }
        room.ended("Stopped Some(CloseCode(1000))");
    });
}

#[test]
fn the_end_of_the_actor_is_the_end_of_the_socket() {
    in_tasklet(|| {
        let room = open();
        let mut guest = room.enter();
        guest.send("stop").unwrap();
        // What it sends at its end arrives.
        assert_eq!(text(&mut guest), "goodbye");
        assert_eq!(guest.read().unwrap(), None);
        assert_eq!(guest.peers_close().unwrap().code, CloseCode::NORMAL);
        room.ended("Normal None");

        let mut guest = room.enter();
        guest.send("panic").unwrap();
        while guest.read().unwrap().is_some() {}
        assert_eq!(guest.peers_close().unwrap().code, CloseCode::ERROR);

        let mut guest = room.enter();
        guest.send("dismiss me").unwrap();
        assert_eq!(guest.read().unwrap(), None);
        let close = guest.peers_close().unwrap();
        assert_eq!(
            (close.code, &close.reason[..]),
            (CloseCode::POLICY, "as you like")
        );
        room.ended("Stopped Some(CloseCode(1008))");
    });
}

#[test]
fn a_peer_that_goes_without_a_word_ends_its_actor() {
    in_tasklet(|| {
        let room = open();
        drop(room.enter());
        room.ended("Stopped None");
    });
}

#[test]
fn a_shutdown_reaches_the_actors_and_their_peers() {
    in_tasklet(|| {
        let room = open();
        let mut guests: Vec<_> = (0..10).map(|_| room.enter()).collect();
        let leaving = Tasklet::spawn(move || {
            for guest in &mut guests {
                assert_eq!(text(guest), "goodbye");
                assert_eq!(guest.read().unwrap(), None);
                assert_eq!(guest.peers_close().unwrap().code, CloseCode::AWAY);
            }
        });
        room.server.shutdown(PATIENCE).unwrap();
        leaving.join().unwrap();
        let ends = room.ends.lock();
        assert_eq!(ends.len(), 10);
        assert!(
            ends.iter().all(|end| end.starts_with("Shutdown")),
            "{ends:?}"
        );
    });
}

#[test]
fn one_who_does_not_read_holds_up_nobody() {
    in_tasklet(|| {
        let room = open();
        // It never reads anything but the first message.
        let mut stalled = Raw::connect(&room.server);
        assert_eq!(stalled.read(), Some(Frame::new(FIN | TEXT, "welcome")));
        let (mut talker, mut listener) = (room.enter(), room.enter());
        // How many messages each of the others has got: whoever falls behind is not sent all of them.
        let (heard, told) = <(Arc<AtomicUsize>, Arc<AtomicUsize>)>::default();
        let count = heard.clone();
        let listening = Tasklet::spawn(move || {
            let mut heard = 0;
            while let Some(message) = listener.read().unwrap() {
                heard += message.len();
                count.fetch_add(1, Ordering::SeqCst);
                if message.len() == 4 {
                    break;
                }
            }
            heard
        });
        let (mut reader, mut writer) = {
            talker.send("first").unwrap();
            assert_eq!(text(&mut talker), "first");
            talker.split()
        };
        let count = told.clone();
        let _reading = Tasklet::spawn(move || {
            while let Ok(Some(_)) = reader.read() {
                count.fetch_add(1, Ordering::SeqCst);
            }
        });
        // More than the stalled one's outbox and sockets hold.
        const COUNT: usize = 3000;
        let line = "x".repeat(10_000);
        for n in 0..COUNT {
            eventually("the others get it", || {
                heard
                    .load(Ordering::SeqCst)
                    .min(told.load(Ordering::SeqCst))
                    + 100
                    >= n
            });
            writer.send(line.as_str()).unwrap();
        }
        writer.send("last").unwrap();
        let heard = listening.join().unwrap();
        assert_eq!(heard, 5 + COUNT * line.len() + 4);
    });
}

#[test]
fn a_full_outbox_does_what_its_policy_says() {
    in_tasklet(|| {
        for policy in [Overflow::Fail, Overflow::DropOldest, Overflow::DropNewest] {
            let (done, server_side) = (Arc::new(Event::new()), Arc::new(Mutex::new(None)));
            let (end, place) = (done.clone(), server_side.clone());
            let server = serve(move |socket: WebSocket| {
                let (_reader, writer) = socket.split();
                *place.lock() = Some(writer.into_sender(Mailbox::bounded(3, policy)).unwrap());
                end.wait();
            });
            let mut raw = Raw::connect(&server);
            eventually("the sender", || server_side.lock().is_some());
            let sender = server_side.lock().take().unwrap();
            // Fills the sockets and the mailbox.
            let mut n = 0;
            let begun = std::time::Instant::now();
            let refused = loop {
                let result = sender.send(format!("{n:0>60000}"));
                n += 1;
                match result {
                    Ok(()) if begun.elapsed() > PATIENCE => panic!("{policy:?} takes everything"),
                    Ok(()) if policy != Overflow::Fail && n >= 1000 => break None,
                    Ok(()) => Tasklet::yield_now(),
                    Err(error) => break Some(error),
                }
            };
            let is_full = matches!(refused, Some(SendError::Full(_)));
            assert_eq!(is_full, policy == Overflow::Fail, "{policy:?}");
            // What has been taken is written, in order, when the peer reads again.
            sender.close(CloseCode::NORMAL, "");
            assert!(sender.send("behind").is_err());
            let mut numbers = Vec::new();
            loop {
                let frame = raw.message();
                if frame.kind == FIN | CLOSE {
                    break;
                }
                numbers.push(
                    String::from_utf8(frame.payload)
                        .unwrap()
                        .parse::<usize>()
                        .unwrap(),
                );
            }
            assert!(numbers.is_sorted(), "{policy:?}: {numbers:?}");
            match policy {
                Overflow::Fail => assert_eq!(numbers, (0..n - 1).collect::<Vec<_>>()),
                Overflow::DropOldest => assert_eq!(numbers.last(), Some(&(n - 1))),
                _ => assert!(numbers.len() < n && numbers[1] == 1, "{numbers:?}"),
            }
            raw.send(FIN | CLOSE, closing(1000, b""));
            done.set();
        }
    });
}

#[test]
fn an_outbox_is_full_of_bytes_as_well() {
    in_tasklet(|| {
        const MOST: usize = 1 << 20;
        // How much of what was sent had been taken when one was refused.
        let taken = |outbox: usize, mailbox: Mailbox| {
            let options = WsOptions::default().with(|options| {
                options.outbox = outbox;
                options.send = None;
                options.ping = None;
            });
            let (near, far) = actor_io::UnixStream::pair().unwrap();
            let far = WebSocket::server(far, Vec::new(), options).unwrap();
            let (_reader, writer) = far.split();
            let sender = writer.into_sender(mailbox).unwrap();
            let message = Message::from(vec![7; 64 * 1024]);
            let mut taken = 0;
            loop {
                // By whichever way: both are weighed.
                let sent = match taken % 2 {
                    0 => sender.send(message.clone()),
                    _ => sender.recipient().send(message.clone()),
                };
                match sent {
                    Ok(()) => taken += 1,
                    Err(refused) => {
                        assert!(refused.is_full());
                        assert_eq!(refused.into_message(), message);
                        break;
                    }
                }
                assert!(taken * message.len() < 64 << 20, "everything is taken");
                Tasklet::yield_now();
            }
            // All of it arrives.
            sender.close(CloseCode::NORMAL, "");
            let mut near = WebSocket::client(near, Vec::new(), WsOptions::default()).unwrap();
            for _ in 0..taken {
                assert!(near.read().unwrap() == Some(message.clone()));
            }
            assert_eq!(near.read().unwrap(), None);
            taken * message.len()
        };
        let many = Mailbox::bounded(100_000, Overflow::Fail);
        let (little, much) = (taken(MOST, many), taken(8 * MOST, many));
        // What the sockets hold is the same for both, and less than a megabyte.
        assert!((MOST..2 * MOST).contains(&little), "{little}");
        assert!((8 * MOST..9 * MOST).contains(&much), "{much}");
        // The number counts as well.
        assert!(taken(8 * MOST, Mailbox::bounded(4, Overflow::Fail)) < 2 * MOST);
        // One that is longer than all that may wait is sent nevertheless.
        assert!(taken(1000, many) < MOST);
    });
}

#[test]
fn what_the_peer_says_comes_into_a_tasklets_mailbox() {
    in_tasklet(|| {
        let server = serve(|socket: WebSocket| -> Result<(), BoxError> {
            let (mut reader, writer) = socket.split();
            let sender = writer.into_sender(OUTBOX)?;
            let handling = Tasklet::spawn(move || {
                for message in Tasklet::receive() {
                    match_message!(match message {
                        Message::Text(text) => sender.send(text.to_uppercase()).unwrap(),
                        Message::Binary(bytes) => sender.send(bytes).unwrap(),
                    });
                }
            });
            reader.forward_to(&handling.recipient())?;
            handling.stop();
            handling.join()?;
            Ok(())
        });
        let mut socket = ws::connect(&format!("ws://{}/", server.local_addr())).unwrap();
        for n in 0..1000 {
            socket.send(format!("a{n}")).unwrap();
            assert_eq!(text(&mut socket), format!("A{n}"));
        }
        socket.close(CloseCode::NORMAL, "").unwrap();
    });
}

/// Handles as many as it is let.
struct Slow {
    handled: Arc<AtomicUsize>,
    go_on: Arc<Semaphore>,
}

impl Actor for Slow {}

impl Handler<Message> for Slow {
    fn handle(&mut self, _: Message, _: &mut Context<Self>) {
        self.go_on.acquire().forget();
        self.handled.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn a_peer_that_floods_waits_for_the_actor() {
    in_tasklet(|| {
        let (handled, go_on) = (Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(0)));
        let (count, gate) = (handled.clone(), go_on.clone());
        let server = serve(move |socket: WebSocket| {
            let (handled, go_on) = (count.clone(), gate.clone());
            socket.serve_actor(OUTBOX, move |_| Slow { handled, go_on })
        });
        let (reader, mut writer) = ws::connect(&format!("ws://{}/", server.local_addr()))
            .unwrap()
            .split();
        let sent = Arc::new(AtomicUsize::new(0));
        let count = sent.clone();
        const MESSAGES: usize = 1000;
        const LENGTH: usize = 40_000;
        // More than the sockets of both ends hold, and what is read ahead of the actor.
        const MOST: usize = 16_000_000 / LENGTH;
        let sending = Tasklet::spawn(move || -> Result<(), WsError> {
            for _ in 0..MESSAGES {
                writer.send(vec![0; LENGTH])?;
                count.fetch_add(1, Ordering::SeqCst);
            }
            writer.close(CloseCode::NORMAL, "")
        });
        eventually("it waits", || sending.is_blocked());
        // It is never far ahead, however long each takes.
        for n in 1..=MESSAGES {
            go_on.add_permits(1);
            eventually("one is handled", || handled.load(Ordering::SeqCst) == n);
            let ahead = sent.load(Ordering::SeqCst).saturating_sub(n);
            assert!(ahead < MOST, "{ahead} messages ahead of {n}");
        }
        sending.join().unwrap().unwrap();
        assert_eq!(reader.count(), 0);
    });
}

#[test]
fn a_room_with_a_thousand_guests() {
    in_tasklet(|| {
        const GUESTS: usize = 1000;
        let room = open();
        let mut guests: Vec<_> = (0..GUESTS).map(|_| room.enter()).collect();
        for n in 0..3 {
            guests[n * 100].send(format!("news {n}")).unwrap();
            for guest in &mut guests {
                assert_eq!(text(guest), format!("news {n}"));
            }
        }
        room.server.shutdown(Duration::ZERO).ok();
    });
}
