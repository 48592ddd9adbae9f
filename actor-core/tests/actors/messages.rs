//! What is sent to actors, through which addresses, and in which order it is handled.

use super::*;

#[test]
fn messages_are_handled_in_order_between_the_hooks() {
    run(|| {
        let (puppet, told) = Puppet::new();
        let addr = Addr::spawn(puppet);
        for n in 0..3 {
            addr.send(Say(n)).unwrap();
        }
        addr.stop();
        assert_eq!(addr.send(Say(9)), Err(SendError::Ended(Say(9))));
        assert!(matches!(reason(&addr), ExitReason::Stopped));
        assert!(!addr.is_alive());
        let all: Vec<_> = told.try_iter().collect();
        let expected = [
            "started",
            "0",
            "1",
            "2",
            "stopped: was asked to stop",
            "dropped",
        ];
        assert_eq!(all, expected);
    });
}

#[test]
fn mailboxes_keep_their_bounds() {
    run(|| {
        let full = |overflow| {
            let gate = Gate::new();
            let (puppet, told) = Puppet::new();
            let addr = Addr::builder().mailbox(Mailbox::bounded(2, overflow));
            let addr = addr.spawn_ready(puppet).unwrap();
            let (begun, shut) = (Gate::new(), gate.clone());
            let tell = begun.clone();
            addr.send(deed(move |_, _| {
                tell.open();
                shut.pass();
                0
            }))
            .unwrap();
            begun.pass();
            addr.send(Say(1)).unwrap();
            addr.send(Say(2)).unwrap();
            (addr, gate, told)
        };
        let rest = |addr: Addr<Puppet>, told: std::sync::mpsc::Receiver<String>| {
            addr.stop();
            reason(&addr);
            let all: Vec<_> = told.try_iter().collect();
            all[1..all.len() - 2].to_vec()
        };
        let (addr, gate, told) = full(Overflow::Fail);
        assert_eq!(addr.send(Say(3)), Err(SendError::Full(Say(3))));
        gate.open();
        assert_eq!(rest(addr, told), ["1", "2"]);

        let (addr, gate, told) = full(Overflow::DropNewest);
        addr.send(Say(3)).unwrap();
        gate.open();
        assert_eq!(rest(addr, told), ["1", "2"]);

        let (addr, gate, told) = full(Overflow::DropOldest);
        addr.send(Say(3)).unwrap();
        gate.open();
        assert_eq!(rest(addr, told), ["2", "3"]);

        let (addr, gate, told) = full(Overflow::Block);
        assert_eq!(addr.try_send(Say(3)), Err(SendError::Full(Say(3))));
        let blocked = {
            let addr = addr.clone();
            spawn(move || addr.send(Say(3)))
        };
        wait_until_it_waits(&blocked, "waits for room");
        gate.open();
        join(blocked).unwrap();
        assert_eq!(rest(addr, told), ["1", "2", "3"]);
    });
}

#[test]
fn a_handler_has_its_actors_identity() {
    run(|| {
        let [one, other] = [(); 2].map(|()| Addr::spawn(Puppet::new().0));
        for addr in [&one, &other] {
            let pid = addr.pid();
            let same = addr.call(deed(move |_, ctx| {
                assert_eq!(Pid::current(), Some(ctx.pid()));
                usize::from(ctx.pid() == pid)
            }));
            assert_eq!(same, Ok(1));
        }
        // Tasklet-locals are each actor's own, and stay from one message to the next.
        let mark = |n| deed(move |_, _| MARK.with(|mark| mark.replace(n)));
        assert_eq!(one.call(mark(1)), Ok(0));
        assert_eq!(other.call(mark(2)), Ok(0));
        assert_eq!(one.call(mark(3)), Ok(1));
        assert_eq!(other.call(mark(3)), Ok(2));
        assert_eq!(MARK.with(Cell::get), 0);
        // It is no tasklet.
        let refused = one.call(deed(|_, _| {
            assert!(Tasklet::try_current().is_none());
            let current = std::panic::catch_unwind(|| drop(Tasklet::current()));
            let receive = std::panic::catch_unwind(|| drop(Tasklet::try_receive()));
            usize::from(current.is_err() && receive.is_err())
        }));
        assert_eq!(refused, Ok(1));
    });
}

#[test]
fn messages_are_put_aside_and_taken_up_again() {
    #[derive(Default)]
    struct Door {
        open: bool,
        through: Vec<usize>,
    }
    impl Actor for Door {}
    #[derive(Message)]
    struct Pass(usize);
    #[derive(Message)]
    struct Open;
    #[derive(Message)]
    #[message(reply = Vec<usize>)]
    struct Who;
    impl Handler<Pass> for Door {
        fn handle(&mut self, Pass(n): Pass, ctx: &mut Context<Self>) {
            if self.open {
                self.through.push(n);
            } else {
                ctx.stash(Pass(n));
            }
        }
    }
    impl Handler<Open> for Door {
        fn handle(&mut self, _: Open, ctx: &mut Context<Self>) {
            self.open = true;
            ctx.unstash_all();
        }
    }
    impl Accepts<Who> for Door {
        fn accept(&mut self, _: Who, reply: ReplyTo<Vec<usize>>, ctx: &mut Context<Self>) {
            if self.open {
                reply.send(self.through.clone());
            } else {
                ctx.stash_call(Who, reply);
            }
        }
    }
    run(|| {
        let door = Addr::spawn(Door::default());
        door.send(Pass(1)).unwrap();
        door.send(Pass(2)).unwrap();
        let asks = {
            let door = door.clone();
            spawn(move || door.call(Who))
        };
        wait_until_it_waits(&asks, "waits for a reply");
        door.send(Open).unwrap();
        door.send(Pass(3)).unwrap();
        assert_eq!(join(asks), Ok(vec![1, 2]));
        assert_eq!(door.call(Who), Ok(vec![1, 2, 3]));
    });
}

#[test]
fn timers_and_work_aside_come_as_messages() {
    run(|| {
        let (puppet, told) = Puppet::new();
        let addr = Addr::spawn(puppet);
        addr.send_after(Say(1), SHORT);
        addr.send(deed(|_, ctx| {
            ctx.pipe(|| {
                Tasklet::sleep(SHORT);
                Say(2)
            });
            ctx.send_after(Say(3), SHORT);
            let late = ctx.send_after(Say(4), PATIENCE * 100);
            assert!(late.cancel());
            0
        }))
        .unwrap();
        let mut said = Vec::new();
        wait_until(|| {
            said.extend(told.try_iter());
            said.len() >= 4
        });
        said.sort();
        assert_eq!(said, ["1", "2", "3", "started"]);
        // Timers of one that has ended are gone, and keep nobody.
        let late = addr.send_after(Say(5), PATIENCE * 100);
        addr.stop();
        reason(&addr);
        wait_until(|| !late.cancel());
    });
}

#[test]
fn addresses_of_all_kinds_are_of_one_actor() {
    run(|| {
        let (puppet, told) = Puppet::new();
        let addr = Addr::spawn(puppet);
        let say: Recipient<Say> = addr.recipient();
        assert_eq!(say, Recipient::from(&addr));
        assert_eq!(say.pid(), addr.pid());
        say.send(Say(1)).unwrap();
        let weak: WeakAddr<_> = addr.downgrade();
        assert_eq!(weak.upgrade().as_ref(), Some(&addr));
        thread::spawn({
            let addr = addr.clone();
            move || addr.send(Say(2)).unwrap()
        })
        .join()
        .unwrap();
        let from_thread = addr.clone();
        let answer = block_on_thread(move || from_thread.call(deed(|_, _| 3)));
        assert_eq!(answer, Ok(3));
        let all: Vec<_> = told.try_iter().collect();
        assert_eq!(all, ["started", "1", "2"]);
    });
}

/// Spawned everywhere, sent to from everywhere, moved from worker to worker, stopped and killed.
#[test]
fn nothing_is_lost_in_a_storm() {
    const ACTORS: usize = 400;
    const SENDERS: usize = 6;
    const EACH: usize = 20_000;
    static ALIVE: AtomicUsize = AtomicUsize::new(0);
    struct Tally {
        got: Arc<AtomicUsize>,
        next: [usize; SENDERS],
    }
    #[derive(Message)]
    struct From(usize, usize);
    impl Actor for Tally {}
    impl Handler<From> for Tally {
        fn handle(&mut self, From(sender, n): From, _: &mut Context<Self>) {
            assert!(n >= self.next[sender], "{n} of {sender} has been overtaken");
            self.next[sender] = n + 1;
            self.got.fetch_add(1, Ordering::Relaxed);
            // Long enough for backlogs, and so for moves.
            std::hint::black_box((0..200).fold(n, |a, b| a ^ b));
            if n.is_multiple_of(997) {
                Tasklet::yield_now();
            }
        }
    }
    impl Drop for Tally {
        fn drop(&mut self) {
            ALIVE.fetch_sub(1, Ordering::SeqCst);
        }
    }
    run_within(Duration::from_secs(20), || {
        let got = Arc::new(AtomicUsize::new(0));
        // All on one worker, so that the others must take some.
        let actors: Arc<Vec<_>> = Arc::new(
            (0..ACTORS)
                .map(|n| {
                    ALIVE.fetch_add(1, Ordering::SeqCst);
                    // Senders wait for room in some, and are gone on when those have moved.
                    let mailbox = match n % 3 {
                        0 => Mailbox::bounded(4, Overflow::Block),
                        _ => Mailbox::unbounded(),
                    };
                    let builder = Addr::builder().placement(Placement::Worker(0));
                    let builder = builder.mailbox(mailbox);
                    let tally = Tally {
                        got: got.clone(),
                        next: [0; SENDERS],
                    };
                    builder.spawn(tally).unwrap()
                })
                .collect(),
        );
        let senders: Vec<_> = (0..SENDERS)
            .map(|sender| {
                let actors = actors.clone();
                spawn_on(sender % WORKERS, move || {
                    let mut seed = sender as u64;
                    for n in 0..EACH {
                        let to = random(&mut seed) as usize % ACTORS;
                        actors[to].send(From(sender, n)).unwrap();
                        if n % 64 == 0 {
                            Tasklet::yield_now();
                        }
                    }
                })
            })
            .collect();
        senders.into_iter().for_each(join);
        // Half are asked to stop, half are left without an address.
        let weak: Vec<_> = actors.iter().map(Addr::downgrade).collect();
        actors.iter().step_by(2).for_each(Addr::stop);
        drop(actors);
        wait_until(|| weak.iter().all(|weak| weak.upgrade().is_none()));
        assert_eq!(got.load(Ordering::SeqCst), SENDERS * EACH);
        assert_eq!(ALIVE.load(Ordering::SeqCst), 0);
    });
}
