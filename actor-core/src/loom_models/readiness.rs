//! Models of [`Readiness`].

use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, SeqCst};

use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, AtomicUsize};
use loom::thread;

use super::check;
use crate::reactor::{Direction, Readiness};

/// A socket: how much there is to read, and the readiness word that events set.
struct Socket {
    bytes: AtomicUsize,
    readiness: Readiness,
}

impl Socket {
    fn new() -> Arc<Socket> {
        Arc::new(Socket {
            bytes: AtomicUsize::new(0),
            readiness: Readiness::new(),
        })
    }

    /// The peer writes, and the worker hears of it.
    fn arrive(&self) {
        self.bytes.fetch_add(1, AcqRel);
        self.readiness.set_ready(libc::EPOLLIN as u32);
    }

    /// One attempt of `Source::attempt`; `false` if it would block, which it has then noted.
    fn try_read(&self) -> bool {
        let seen = self.readiness.state();
        let has_some = |bytes: usize| bytes.checked_sub(1);
        if self.bytes.fetch_update(AcqRel, Acquire, has_some).is_ok() {
            return true;
        }
        self.readiness.clear(Direction::Read, seen);
        false
    }
}

/// A reader that finds nothing while bytes arrive: the flag is up afterwards whenever there is
/// something left to read. So nobody who waits for it waits in vain.
#[test]
fn loom_readiness_keeps_an_edge_that_comes_during_a_vain_attempt() {
    check(None, || {
        let socket = Socket::new();
        let peer = {
            let socket = socket.clone();
            thread::spawn(move || {
                socket.arrive();
                socket.arrive();
            })
        };
        let read = usize::from(socket.try_read()) + usize::from(socket.try_read());
        peer.join().unwrap();
        let left = socket.bytes.load(Acquire);
        assert_eq!(read + left, 2);
        assert!(
            left == 0 || socket.readiness.is_ready(Direction::Read),
            "{left} wait unheard of"
        );
        assert!(
            socket.readiness.is_ready(Direction::Write),
            "the other direction is not touched"
        );
    });
}

/// The same with two readers, each of which may clear what the other has yet to see.
#[test]
fn loom_readiness_keeps_an_edge_between_two_readers() {
    check(Some(3), || {
        let socket = Socket::new();
        let peer = {
            let socket = socket.clone();
            thread::spawn(move || socket.arrive())
        };
        let other = {
            let socket = socket.clone();
            thread::spawn(move || usize::from(socket.try_read()))
        };
        let read = usize::from(socket.try_read()) + other.join().unwrap();
        peer.join().unwrap();
        let left = socket.bytes.load(Acquire);
        assert_eq!(read + left, 1);
        assert!(
            left == 0 || socket.readiness.is_ready(Direction::Read),
            "it waits unheard of"
        );
    });
}

/// One turn of an owner without a stack: it says that it looks, and reads until it would block, as
/// `Source::attempt_once` does. Gives how much it has read.
fn look(socket: &Socket) -> usize {
    socket.readiness.rearm();
    read_all(socket)
}

fn read_all(socket: &Socket) -> usize {
    let mut read = 0;
    loop {
        let seen = socket.readiness.state();
        if !socket.readiness.is_ready(Direction::Read) {
            return read;
        }
        let has_some = |bytes: usize| bytes.checked_sub(1);
        if socket.bytes.fetch_update(AcqRel, Acquire, has_some).is_ok() {
            read += 1;
        } else if socket.readiness.clear(Direction::Read, seen) {
            return read;
        }
    }
}

/// An owner that looks while bytes arrive: afterwards either nothing is left, or it has been told, and
/// looks once more.
#[test]
fn loom_readiness_tells_an_owner_of_all_that_it_has_not_seen() {
    check(None, || {
        let socket = Socket::new();
        socket.readiness.mark_watched();
        let peer = {
            let socket = socket.clone();
            thread::spawn(move || {
                socket.arrive();
                socket.arrive();
            })
        };
        let mut read = look(&socket);
        peer.join().unwrap();
        if socket.readiness.is_told() {
            read += look(&socket);
        }
        assert_eq!(read, 2, "something waits unheard of");
    });
}

/// The same if a tasklet takes from the descriptor as well: what it clears, the owner is told of when it
/// comes again.
#[test]
fn loom_readiness_tells_an_owner_beside_a_reader() {
    check(Some(3), || {
        let socket = Socket::new();
        socket.readiness.mark_watched();
        let peer = {
            let socket = socket.clone();
            thread::spawn(move || socket.arrive())
        };
        let other = {
            let socket = socket.clone();
            thread::spawn(move || usize::from(socket.try_read()))
        };
        let mut read = look(&socket) + other.join().unwrap();
        peer.join().unwrap();
        if socket.readiness.is_told() {
            read += look(&socket);
        }
        assert_eq!(read, 1, "it waits unheard of");
    });
}

/// An owner that is told by way of a message, of which there is one at a time: what it is told by takes note
/// and sends the message, unless one is on its way, and the owner reads when it handles that. As connections
/// of actors without a stack do.
#[test]
fn loom_readiness_tells_by_one_message_at_a_time() {
    struct Owner {
        socket: Arc<Socket>,
        sent: AtomicBool,
        messages: AtomicUsize,
        read: AtomicUsize,
    }

    impl Owner {
        /// What `Watch::ready` does.
        fn ready(&self) {
            self.socket.readiness.rearm();
            let readable = self.socket.readiness.is_ready(Direction::Read);
            if readable && !self.sent.swap(true, SeqCst) {
                self.messages.fetch_add(1, AcqRel);
            }
        }

        /// Handles a message, if there is one.
        fn turn(&self) {
            let one_less = |messages: usize| messages.checked_sub(1);
            if self
                .messages
                .fetch_update(AcqRel, Acquire, one_less)
                .is_ok()
            {
                self.sent.swap(false, SeqCst);
                let read = read_all(&self.socket);
                self.read.fetch_add(read, Relaxed);
            }
        }
    }

    check(Some(3), || {
        let socket = Socket::new();
        socket.readiness.mark_watched();
        let owner = Arc::new(Owner {
            socket,
            sent: AtomicBool::new(false),
            messages: AtomicUsize::new(0),
            read: AtomicUsize::new(0),
        });
        // All begins with a look.
        owner.read.fetch_add(look(&owner.socket), Relaxed);
        let worker = {
            let owner = owner.clone();
            thread::spawn(move || {
                for _ in 0..2 {
                    let was_told = owner.socket.readiness.is_told();
                    owner.socket.arrive();
                    // The worker's own thread alone sets the mark, and takes it down.
                    if !was_told && owner.socket.readiness.is_told() {
                        owner.ready();
                    }
                }
            })
        };
        owner.turn();
        worker.join().unwrap();
        // It is one actor, so its turns do not overlap.
        while owner.messages.load(Acquire) > 0 {
            owner.turn();
        }
        assert_eq!(owner.read.load(Relaxed), 2, "something waits unheard of");
    });
}
