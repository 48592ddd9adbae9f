//! Monitors: who hears of an end, when, and for which reason.

use super::*;

#[test]
fn monitors_tell_who_and_why_and_take_nobody_along() {
    run(|| {
        for (watcher, subject) in KINDS.into_iter().flat_map(|one| KINDS.map(|k| (one, k))) {
            for how in ENDS {
                // Actors that do not trap take no notice.
                let meek = Being::spawn(watcher);
                let (watcher, told) = Being::trapping(watcher);
                let subject = Being::spawn(subject);
                for watcher in [&meek, &watcher] {
                    let subject = subject.clone();
                    let pid = subject.pid();
                    let monitored = watcher.run(move || subject.monitor().pid());
                    assert_eq!(monitored, pid);
                }
                subject.end(how);
                let exit = heard(&told);
                assert_eq!((exit.pid, exit.linked), (subject.pid(), false));
                assert_eq!(*exit.name, subject.name());
                how.assert_is(&exit.reason);
                for watcher in [&meek, &watcher] {
                    assert_eq!(watcher.run(|| 7), 7);
                }
                assert!(told.try_recv().is_err());
            }
        }
    });
}

#[test]
fn the_other_reasons_are_told_as_well() {
    run(|| {
        // Nobody can reach it.
        let addr = Addr::spawn(Meek);
        addr.monitor();
        let pid = addr.pid();
        drop(addr);
        let exit = next_exit();
        assert_eq!(exit.pid, pid);
        assert!(matches!(exit.reason, ExitReason::Unreachable), "{exit}");
        // Its supervisor ends.
        let child = Child::new("meek", || Meek);
        let addr = child.addr();
        let supervisor = Addr::spawn(Supervisor::one_for_one().child(child));
        assert_eq!(Being::Meek(addr.clone()).run(|| 7), 7);
        addr.monitor();
        supervisor.stop();
        let exit = next_exit();
        assert_eq!((exit.pid, &*exit.name), (addr.pid(), "meek"));
        assert!(matches!(exit.reason, ExitReason::Shutdown), "{exit}");
        // It cannot start.
        struct Stillborn;
        impl Actor for Stillborn {
            fn started(&mut self, _: &mut Context<Self>) -> Result<(), BoxError> {
                Err("no sugar".into())
            }
        }
        let addr = Addr::spawn(Stillborn);
        addr.monitor();
        End::Failed.assert_is(&next_exit().reason);
    });
}

#[test]
fn what_has_ended_is_told_at_once() {
    run(|| {
        for kind in KINDS {
            for how in ENDS {
                let subject = Being::spawn(kind);
                subject.end(how);
                subject.wait();
                for _ in 0..2 {
                    let exit = exit_of(&subject);
                    assert_eq!(exit.pid, subject.pid());
                    how.assert_is(&exit.reason);
                }
                let monitor = subject.monitor();
                assert!(!monitor.cancel());
                assert_eq!(next_exit().pid, subject.pid());
                for linked in KINDS {
                    let (trapper, told) = Being::trapping(linked);
                    trapper.link_to(&subject);
                    how.assert_is(&heard(&told).reason);
                    let linked = Being::spawn(linked);
                    let to = subject.clone();
                    linked.tell(move || {
                        to.link();
                        Then::Go
                    });
                    if how.is_abnormal() {
                        linked.assert_has_fallen_with(&subject);
                    } else {
                        assert_eq!(linked.run(|| 7), 7);
                    }
                }
            }
        }
    });
}

/// Begun at the same moment as the end: told once, neither never nor twice.
#[test]
fn no_word_is_lost_or_doubled_at_the_moment_of_an_end() {
    const ROUNDS: usize = 300;
    const WATCHERS: usize = 2 * WORKERS;
    run(|| {
        for round in 0..ROUNDS {
            let kind = KINDS[round % 2];
            let how = ENDS[round % ENDS.len()];
            let (subject, _) = Being::spawn_on(round % WORKERS, kind, false);
            let ready = Arc::new(AtomicUsize::new(0));
            // All at once, or as nearly as spinning can make it.
            let meet = {
                let ready = ready.clone();
                move || {
                    ready.fetch_add(1, Ordering::SeqCst);
                    while ready.load(Ordering::SeqCst) < WATCHERS + 1 {
                        Tasklet::yield_now();
                        thread::yield_now();
                    }
                }
            };
            let watchers: Vec<_> = (0..WATCHERS)
                .map(|n| {
                    let (subject, meet) = (subject.clone(), meet.clone());
                    spawn_on(n % WORKERS, move || {
                        Tasklet::trap_exits(true);
                        meet();
                        let linked = n < WORKERS;
                        if linked {
                            subject.link();
                        } else {
                            subject.monitor();
                        }
                        let exit = next_exit();
                        assert_eq!((exit.pid, exit.linked), (subject.pid(), linked));
                        how.assert_is(&exit.reason);
                        subject.wait();
                        assert_eq!(Tasklet::pending(), 0);
                    })
                })
                .collect();
            meet();
            subject.end(how);
            watchers.into_iter().for_each(join);
        }
    });
}

#[test]
fn a_monitor_is_cancelled() {
    run(|| {
        for kind in KINDS {
            let subject = Being::spawn(kind);
            let [first, second, third] = [(); 3].map(|()| subject.monitor());
            assert!(first.cancel());
            drop(third);
            subject.end(End::Killed);
            for _ in 0..2 {
                assert_eq!(next_exit().pid, subject.pid());
            }
            subject.wait();
            assert!(!second.cancel());
            assert_eq!(Tasklet::pending(), 0);
        }
    });
}

#[test]
fn word_of_an_end_takes_no_room() {
    struct Reader {
        got: Sender<String>,
    }
    impl Actor for Reader {
        fn exited(&mut self, exit: Exit, _: &mut Context<Self>) {
            let _ = self.got.send(format!("exit of {}", exit.name));
        }
    }
    impl Handler<Say> for Reader {
        fn handle(&mut self, Say(n): Say, _: &mut Context<Self>) {
            let _ = self.got.send(n.to_string());
        }
    }
    impl Handler<Do> for Reader {
        fn handle(&mut self, Do(deed): Do, _: &mut Context<Self>) {
            deed();
        }
    }
    fn subjects() -> Vec<Being> {
        (0..20).map(|n| Being::spawn(KINDS[n % 2])).collect()
    }
    for overflow in [
        Overflow::Block,
        Overflow::Fail,
        Overflow::DropNewest,
        Overflow::DropOldest,
    ] {
        for kind in KINDS {
            run(move || {
                let (got, all) = channel();
                let mailbox = Mailbox::bounded(2, overflow);
                let (shut, begun) = (Gate::new(), Gate::new());
                let subjects = subjects();
                let watch = {
                    let (subjects, shut, begun) = (subjects.clone(), shut.clone(), begun.clone());
                    move || {
                        subjects.iter().for_each(|subject| drop(subject.monitor()));
                        begun.open();
                        shut.pass();
                    }
                };
                type Send = Box<dyn Fn(usize) -> Result<(), SendError<Say>>>;
                let (send, stop): (Send, Box<dyn Fn()>) = match kind {
                    Kind::Tasklet => {
                        let read = move || {
                            watch();
                            for message in Tasklet::receive() {
                                match_message!(match message {
                                    Say(n) => drop(got.send(n.to_string())),
                                    exit @ Exit { .. } =>
                                        drop(got.send(format!("exit of {}", exit.name))),
                                });
                            }
                        };
                        let reader = Tasklet::with_mailbox(mailbox).spawn(read).unwrap();
                        let stop = reader.tasklet().clone();
                        (
                            Box::new(move |n| reader.try_send(Say(n))),
                            Box::new(move || stop.stop()),
                        )
                    }
                    Kind::Actor => {
                        let reader = Addr::builder().mailbox(mailbox).spawn(Reader { got });
                        let reader = reader.unwrap();
                        let deed = Do(Box::new(move || {
                            watch();
                            Then::Go
                        }));
                        reader.send(deed).unwrap();
                        let stop = reader.clone();
                        (
                            Box::new(move |n| reader.try_send(Say(n))),
                            Box::new(move || stop.stop()),
                        )
                    }
                };
                begun.pass();
                send(1).unwrap();
                send(2).unwrap();
                let (first, rest) = subjects.split_at(10);
                for subject in first {
                    subject.end(End::Normal);
                    subject.wait();
                }
                let full = send(3);
                let kept = match overflow {
                    Overflow::Block | Overflow::Fail => {
                        assert_eq!(full, Err(SendError::Full(Say(3))));
                        ["1", "2"]
                    }
                    Overflow::DropNewest => ["1", "2"],
                    Overflow::DropOldest => ["2", "3"],
                };
                shut.open();
                let mut got = Vec::new();
                wait_until(|| {
                    got.extend(all.try_iter());
                    got.len() == 12
                });
                let (exits, said): (Vec<_>, Vec<_>) =
                    got.into_iter().partition(|text| text.starts_with("exit"));
                assert_eq!((exits.len(), said), (10, Vec::from(kept.map(String::from))));
                // There is as much room as before, and no more.
                for subject in rest {
                    subject.end(End::Killed);
                    subject.wait();
                }
                let mut exits = 0;
                wait_until(|| {
                    exits += all.try_iter().count();
                    exits == 10
                });
                if matches!(overflow, Overflow::Block | Overflow::Fail) {
                    send(4).unwrap();
                    send(5).unwrap();
                    assert_eq!(send(6), Err(SendError::Full(Say(6))));
                }
                stop();
            });
        }
    }
}

/// From whatever worker it was sent, and to whatever kind.
#[test]
fn word_of_an_end_comes_after_what_had_been_sent() {
    const SAID: usize = 50;
    struct Listener {
        said: usize,
        done: Sender<usize>,
    }
    impl Actor for Listener {
        fn exited(&mut self, _: Exit, ctx: &mut Context<Self>) {
            self.done.send(self.said).unwrap();
            ctx.stop();
        }
    }
    impl Handler<Say> for Listener {
        fn handle(&mut self, _: Say, _: &mut Context<Self>) {
            self.said += 1;
        }
    }
    #[derive(Message)]
    struct Watch(Being);
    impl Handler<Watch> for Listener {
        fn handle(&mut self, Watch(being): Watch, _: &mut Context<Self>) {
            being.monitor();
        }
    }
    run(|| {
        for round in 0..100 {
            let how = ENDS[round % ENDS.len()];
            let (speaker, _) = Being::spawn_on(round % WORKERS, KINDS[round % 2], false);
            let (done, finished) = channel();
            let listener = Addr::spawn(Listener { said: 0, done });
            let heard = Gate::new();
            let tasklet = {
                let (speaker, heard) = (speaker.clone(), heard.clone());
                spawn(move || {
                    let _reachable = Tasklet::current();
                    speaker.monitor();
                    heard.open();
                    let mut said = 0;
                    loop {
                        let message = promptly(Tasklet::receive_timeout).unwrap();
                        if message.is::<Exit>() {
                            return said;
                        }
                        said += 1;
                    }
                })
            };
            heard.pass();
            listener.send(Watch(speaker.clone())).unwrap();
            let (to, also) = (listener.clone(), tasklet.tasklet().clone());
            speaker.tell(move || {
                for n in 0..SAID {
                    to.send(Say(n)).unwrap();
                    also.send(Say(n)).unwrap();
                }
                Then::Go
            });
            if how == End::Killed {
                speaker.run(|| ());
            }
            speaker.end(how);
            assert_eq!(join(tasklet), SAID);
            promptly(|limit| listener.join_timeout(limit)).unwrap();
            assert_eq!(finished.try_recv(), Ok(SAID));
        }
    });
}

/// The word that comes to one that has ended is dropped.
#[test]
fn the_dead_are_told_nothing() {
    run(|| {
        for (one, other) in KINDS.into_iter().flat_map(|one| KINDS.map(|k| (one, k))) {
            let (one, other) = (Being::spawn(one), Being::spawn(other));
            let subject = other.clone();
            one.run(move || drop((subject.monitor(), subject.link())));
            one.end(End::Normal);
            one.wait();
            other.end(End::Killed);
            other.wait();
            End::Normal.assert_is(&exit_of(&one).reason);
            End::Killed.assert_is(&exit_of(&other).reason);
        }
    });
}

#[test]
fn a_plain_thread_cannot_watch() {
    run(|| {
        let addr = Addr::spawn(Meek);
        let thread = thread::spawn(move || {
            let [monitor, link, unlink] = [Being::watch, Being::link, Being::unlink];
            for f in [monitor, link, unlink] {
                let addr = Being::Meek(addr.clone());
                let refused = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| f(&addr)));
                assert!(refused.is_err());
            }
        });
        wait_until(|| thread.is_finished());
        thread.join().unwrap();
    });
}
