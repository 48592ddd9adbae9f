//! Owners of descriptors that hold no stack.

mod common;

use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use actor_core::reactor::{ActorWatch, Direction, Source, Watch};
use actor_core::{Actor, Addr, Context, ExitReason, Handler, Message, Tasklet};
use common::*;

/// Counts how often it is told.
#[derive(Default)]
struct Told(AtomicUsize);

impl Watch for Told {
    fn ready(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

impl Told {
    fn times(&self) -> usize {
        self.0.load(SeqCst)
    }
}

fn pair() -> (Source, UnixStream) {
    let (near, far) = UnixStream::pair().unwrap();
    (Source::new(near).unwrap(), far)
}

fn recv(source: &Source, buffer: &mut [u8]) -> io::Result<usize> {
    let len = buffer.len();
    source.try_io_stream(Direction::Read, len, |fd| {
        let mut stream = UnixStream::from(fd.try_clone_to_owned()?);
        stream.read(buffer)
    })
}

fn would_block(result: io::Result<usize>) -> bool {
    result.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
}

#[test]
fn it_is_told_once_until_it_looks_and_again_after_it_has_seen_all() {
    run(|| {
        let (near, mut far) = pair();
        let told = Arc::<Told>::default();
        near.watch(told.clone()).unwrap();
        assert!(would_block(recv(&near, &mut [0])), "nothing has come in");
        assert_eq!(told.times(), 0);
        far.write_all(b"ab").unwrap();
        wait_until(|| told.times() == 1);
        near.rearm();
        let mut byte = [0];
        assert_eq!(recv(&near, &mut byte).unwrap(), 1);
        // It has not seen all, and is not told of what comes: it is still at it.
        far.write_all(b"c").unwrap();
        assert_eq!(recv(&near, &mut byte).unwrap(), 1);
        assert_eq!(recv(&near, &mut byte).unwrap(), 1);
        assert_eq!(&byte, b"c");
        wait_until(|| would_block(recv(&near, &mut byte)));
        let before = told.times();
        near.rearm();
        far.write_all(b"d").unwrap();
        wait_until(|| told.times() == before + 1);
        // It has not looked, so it is not told of the end.
        assert_eq!(recv(&near, &mut [0; 100]).unwrap(), 1);
        drop(far);
        wait_until(|| near.is_ready(Direction::Read));
        assert_eq!(told.times(), before + 1);
        assert_eq!(recv(&near, &mut byte).unwrap(), 0);
    });
}

#[test]
fn what_is_there_before_it_watches_is_told_and_nothing_after_it_has_ceased() {
    run(|| {
        let (near, mut far) = pair();
        far.write_all(b"a").unwrap();
        let told = Arc::<Told>::default();
        near.watch(told.clone()).unwrap();
        wait_until(|| told.times() == 1);
        near.rearm();
        near.unwatch();
        assert_eq!(Arc::strong_count(&told), 1, "it has been let go");
        assert_eq!(recv(&near, &mut [0; 10]).unwrap(), 1);
        far.write_all(b"b").unwrap();
        wait_until(|| near.is_ready(Direction::Read));
        assert_eq!(told.times(), 1);
        near.tell();
        assert_eq!(told.times(), 1);
        // And it goes with its source.
        near.watch(told.clone()).unwrap();
        near.tell();
        near.tell();
        assert_eq!(told.times(), 2, "it has not looked in between");
        drop(near);
        assert_eq!(Arc::strong_count(&told), 1);
    });
}

#[test]
fn a_thread_that_is_no_worker_cannot_watch() {
    let (near, _far) = pair();
    near.watch(Arc::<Told>::default()).unwrap_err();
    near.unwatch();
}

#[test]
fn a_tasklet_may_wait_beside_it() {
    run(|| {
        let (near, mut far) = pair();
        let near = Arc::new(near);
        let told = Arc::<Told>::default();
        near.watch(told.clone()).unwrap();
        let waiting = spawn({
            let near = near.clone();
            move || near.wait(Direction::Read, None).unwrap()
        });
        wait_until_it_waits(&waiting, "waits to read");
        far.write_all(b"x").unwrap();
        join(waiting);
        wait_until(|| told.times() == 1);
    });
}

/// Keeps what it reads.
struct Reader {
    source: Source,
    read: Arc<AtomicUsize>,
}

impl Actor for Reader {}

impl Reader {
    fn look(&mut self, ctx: &mut Context<Self>) {
        self.source.rearm();
        loop {
            match recv(&self.source, &mut [0; 3]) {
                Ok(0) => return ctx.stop(),
                Ok(count) => drop(self.read.fetch_add(count, SeqCst)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) => return ctx.fail(error),
            }
        }
    }
}

struct Open;

impl Message for Open {
    type Reply = ();
}

impl Handler<Open> for Reader {
    fn handle(&mut self, _: Open, ctx: &mut Context<Self>) {
        let watch = ActorWatch::new(ctx.addr(), Reader::look);
        self.source.watch(Arc::new(watch)).unwrap();
        self.look(ctx);
    }
}

fn reader() -> (Addr<Reader>, UnixStream, Arc<AtomicUsize>) {
    let (source, far) = pair();
    let read = Arc::<AtomicUsize>::default();
    let actor = Reader {
        source,
        read: read.clone(),
    };
    let actor = Addr::spawn(actor);
    actor.call(Open).unwrap();
    (actor, far, read)
}

#[test]
fn an_actor_reads_what_comes_until_the_end_and_is_kept_by_its_source() {
    run(|| {
        let (actor, mut far, read) = reader();
        let actor = actor.downgrade();
        for round in 1..=100 {
            far.write_all(&[0; 7]).unwrap();
            if round % 10 == 0 {
                wait_until(|| read.load(SeqCst) == 7 * round);
            }
        }
        assert!(actor.upgrade().is_some());
        drop(far);
        wait_until(|| actor.upgrade().is_none());
    });
}

/// Word of readiness is given in the middle of whatever runs, which may be about to be killed. That must
/// not end the round of the events in which it comes.
#[test]
fn a_kill_of_who_happens_to_poll_loses_nobodys_events() {
    run(|| {
        // Which operation polls depends on how many there were before.
        for operations in 0..64 {
            let readers: Vec<_> = (0..20).map(|_| reader()).collect();
            let (actors, ends): (Vec<_>, Vec<_>) = readers
                .into_iter()
                .map(|(actor, far, _)| (actor, far))
                .unzip();
            let killed = spawn(move || {
                for _ in 0..operations {
                    let _ = Tasklet::try_receive();
                }
                // Events for all, of which nobody has heard, and longer than a slice.
                drop(ends);
                let begun = Instant::now();
                while begun.elapsed() < Duration::from_millis(1) {}
                Tasklet::current().kill();
                Tasklet::yield_now();
            });
            assert_killed(&killed);
            for actor in actors {
                let reason = actor.join_timeout(Duration::from_secs(20)).unwrap();
                assert!(matches!(reason, ExitReason::Normal), "{reason:?}");
            }
        }
    });
}
