//! Groups: who is in them, who hears of it, and what a broadcast reaches.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use actor_core::{
    Actor, Addr, Child, Context, Group, GroupChanged, Handler, Mailbox, Membership, Message,
    Overflow, Pid, Placement, Receiver, Recipient, Restart, Supervisor, Tasklet, WeakAddr,
};
use common::*;

extern crate actor_core as concurrence;

#[derive(Message, Clone)]
struct News(#[allow(dead_code, reason = "it is shared")] Arc<str>);

#[derive(Message)]
#[message(reply = usize)]
struct Heard;

#[derive(Message)]
struct Crash;

/// Counts what it hears.
#[derive(Default)]
struct Reader {
    heard: usize,
}

impl Actor for Reader {}

impl Handler<News> for Reader {
    fn handle(&mut self, _: News, _: &mut Context<Self>) {
        self.heard += 1;
    }
}

impl Handler<Heard> for Reader {
    fn handle(&mut self, _: Heard, _: &mut Context<Self>) -> usize {
        self.heard
    }
}

impl Handler<Crash> for Reader {
    fn handle(&mut self, _: Crash, _: &mut Context<Self>) {
        panic!("as told");
    }
}

fn reader_on(worker: usize) -> Addr<Reader> {
    let builder = Addr::builder().placement(Placement::Worker(worker));
    builder.spawn(Reader::default()).unwrap()
}

fn news() -> News {
    News("it works".into())
}

#[track_caller]
fn join<A: Actor>(addr: &Addr<A>) {
    promptly(|limit| addr.join_timeout(limit)).expect("the actor ends");
}

/// The next word of a change that the current tasklet gets.
#[track_caller]
fn next_change<R: Receiver + Clone>() -> (Pid, Membership) {
    let word = promptly(Tasklet::receive_timeout).expect("word of a change");
    let word = word.downcast::<GroupChanged<R>>().unwrap();
    (word.member.pid(), word.change)
}

#[test]
fn a_member_that_ends_drops_out_at_once() {
    run(|| {
        let group = Group::new();
        for round in 0..200 {
            let reader = reader_on(round);
            group.join(&reader);
            assert_eq!(group.members(), std::slice::from_ref(&reader));
            match round % 3 {
                0 => reader.stop(),
                1 => reader.kill(),
                _ => reader.send(Crash).unwrap(),
            }
            join(&reader);
            assert!(group.is_empty());
            assert!(!group.contains(&reader));
        }
        let tasklets = Group::new();
        for round in 0..200 {
            let tasklet = spawn_on(round, || Tasklet::receive_one().is_ok());
            tasklets.join(tasklet.tasklet());
            if round % 2 == 0 {
                tasklet.stop();
            } else {
                tasklet.kill();
            }
            promptly(|limit| tasklet.wait_timeout(limit)).unwrap();
            assert!(tasklets.is_empty());
        }
        let recipients: Group<Recipient<News>> = Group::new();
        let reader = reader_on(1);
        recipients.join(&reader.recipient());
        recipients.join(&reader.recipient());
        assert_eq!(recipients.len(), 1);
        reader.stop();
        join(&reader);
        assert!(recipients.is_empty());
    });
}

#[test]
fn who_has_ended_is_out_before_join_returns() {
    run(|| {
        let group = Group::new();
        let reader = reader_on(0);
        reader.stop();
        join(&reader);
        group.join(&reader);
        assert!(group.is_empty());
    });
}

#[test]
fn who_ends_while_it_joins_leaves_no_ghost() {
    run(|| {
        let group = Group::new();
        for round in 0..1_000 {
            let reader = reader_on(round);
            reader.stop();
            group.join(&reader);
            if round % 2 == 0 {
                group.leave(&reader);
                group.join(&reader);
            }
            join(&reader);
            // One that joins in the middle of its end may be seen for a moment longer.
            wait_until(|| group.is_empty());
        }
    });
}

#[test]
fn many_join_leave_and_end_at_the_same_time() {
    run(|| {
        let group = Group::new();
        let others: Vec<_> = (0..WORKERS)
            .map(|worker| {
                let group = group.clone();
                spawn_on(worker, move || {
                    let mut seed = worker as u64;
                    for _ in 0..300 {
                        let reader = reader_on(random(&mut seed) as usize);
                        group.join(&reader);
                        match random(&mut seed) % 4 {
                            0 => drop(group.leave(&reader)),
                            1 => reader.kill(),
                            2 => drop(group.broadcast(news())),
                            _ => {}
                        }
                        reader.stop();
                        join(&reader);
                        assert!(!group.contains(&reader));
                        Tasklet::yield_now();
                    }
                })
            })
            .collect();
        others.into_iter().for_each(common::join);
        assert!(group.is_empty());
    });
}

#[test]
fn membership_is_a_reference_until_it_ends() {
    run(|| {
        let group = Group::new();
        group.join(&reader_on(0));
        group.join(&reader_on(1));
        for _ in 0..20 {
            Tasklet::yield_now();
        }
        assert_eq!(group.broadcast(news()), 2);
        let members: Vec<WeakAddr<Reader>> = group.members().iter().map(Addr::downgrade).collect();
        group.leave(&members[0].upgrade().unwrap());
        wait_until(|| members[0].upgrade().is_none());
        assert!(members[1].upgrade().is_some());
        // The look-out for its members' ends keeps no group.
        drop(group);
        wait_until(|| members[1].upgrade().is_none());
    });
}

#[test]
fn a_group_that_is_gone_is_no_matter_to_its_members() {
    run(|| {
        let reader = reader_on(1);
        for _ in 0..100 {
            let group = Group::new();
            group.join(&reader);
        }
        assert_eq!(reader.call(Heard), Ok(0));
        reader.stop();
        join(&reader);
    });
}

#[test]
fn a_supervised_member_stays_from_life_to_life() {
    run(|| {
        let child = Child::new("reader", Reader::default).restart(Restart::Transient);
        let reader = child.addr();
        let group = Group::new();
        group.join(&reader);
        group.watch(Tasklet::current());
        let supervisor = Supervisor::one_for_one()
            .intensity(9, PATIENCE)
            .child(child);
        let supervisor = Addr::spawn(supervisor);
        reader.send(Crash).unwrap();
        assert_eq!(group.broadcast(news()), 1);
        // The crash was in the first life, the news came to the second.
        assert_eq!(reader.call(Heard), Ok(1));
        reader.stop();
        join(&reader);
        assert!(group.is_empty());
        assert_eq!(next_change::<Addr<Reader>>().1, Membership::Ended);
        assert_eq!(Tasklet::pending(), 0);
        drop(supervisor);
    });
}

#[test]
fn watchers_hear_of_every_change_from_then_on() {
    run(|| {
        let group = Group::new();
        let (first, second) = (reader_on(0), reader_on(1));
        group.join(&first);
        let there = group.watch(Tasklet::current());
        assert_eq!(there, std::slice::from_ref(&first));
        assert_eq!(Tasklet::pending(), 0);
        group.join(&second);
        group.join(&second);
        group.leave(&first);
        group.leave(&first);
        second.stop();
        join(&second);
        assert_eq!(
            next_change::<Addr<Reader>>(),
            (second.pid(), Membership::Joined)
        );
        assert_eq!(
            next_change::<Addr<Reader>>(),
            (first.pid(), Membership::Left)
        );
        assert_eq!(
            next_change::<Addr<Reader>>(),
            (second.pid(), Membership::Ended)
        );
        assert!(group.unwatch(&Tasklet::current()));
        assert!(!group.unwatch(&Tasklet::current()));
        group.join(&first);
        assert_eq!(Tasklet::pending(), 0);
    });
}

#[test]
fn actors_watch_groups() {
    #[derive(Default)]
    struct Register(Vec<(Pid, Membership)>);
    impl Actor for Register {}
    impl Handler<GroupChanged<Tasklet>> for Register {
        fn handle(&mut self, word: GroupChanged<Tasklet>, _: &mut Context<Self>) {
            self.0.push((word.member.pid(), word.change));
        }
    }
    #[derive(Message)]
    #[message(reply = usize)]
    struct Len;
    impl Handler<Len> for Register {
        fn handle(&mut self, _: Len, _: &mut Context<Self>) -> usize {
            self.0.len()
        }
    }

    run(|| {
        let group = Group::new();
        let register = Addr::spawn(Register::default());
        group.watch(&register);
        for _ in 0..10 {
            let tasklet = Tasklet::spawn(|| ());
            group.join(tasklet.tasklet());
            common::join(tasklet);
        }
        assert_eq!(register.call(Len), Ok(20));
        // A watcher that ends is told no more.
        register.stop();
        join(&register);
        assert!(!group.unwatch(&register));
    });
}

#[test]
fn all_watchers_hear_of_the_changes_in_the_same_order() {
    run(|| {
        let group: Group<Addr<Reader>> = Group::new();
        let watchers: Vec<_> = (0..WORKERS)
            .map(|worker| {
                let watch = group.clone();
                let watching = Gate::new();
                let ready = watching.clone();
                let watcher = spawn_on(worker, move || {
                    watch.watch(Tasklet::current());
                    ready.open();
                    (0..WORKERS * 100)
                        .map(|_| next_change::<Addr<Reader>>())
                        .collect::<Vec<_>>()
                });
                watching.pass();
                watcher
            })
            .collect();
        let changers: Vec<_> = (0..WORKERS)
            .map(|worker| {
                let group = group.clone();
                spawn_on(worker, move || {
                    for round in 0..50 {
                        let reader = reader_on(worker + round);
                        group.join(&reader);
                        if round % 2 == 0 {
                            group.leave(&reader);
                        } else {
                            reader.kill();
                        }
                    }
                })
            })
            .collect();
        changers.into_iter().for_each(common::join);
        let heard: Vec<_> = watchers.into_iter().map(common::join).collect();
        assert!(heard.iter().all(|one| *one == heard[0]));
        for (pid, _) in &heard[0] {
            let of_one: Vec<_> = heard[0].iter().filter(|(own, _)| own == pid).collect();
            assert_eq!(of_one.len(), 2);
            assert_eq!(of_one[0].1, Membership::Joined);
        }
    });
}

#[test]
fn a_watcher_may_use_the_group_and_may_panic() {
    run(|| {
        let group: Group<Addr<Reader>> = Group::new();
        let (inner, count) = (group.clone(), Count::new());
        let heard = count.clone();
        // A lock held meanwhile would not let it in.
        group.watch(Recipient::from_fn(move |word: GroupChanged<_>| {
            heard.up();
            if word.change == Membership::Joined {
                inner.leave(&word.member);
            }
            panic!("as told");
        }));
        let reader = reader_on(0);
        group.join(&reader);
        assert!(group.is_empty());
        assert_eq!(count.get(), 2);
        assert_eq!(reader.call(Heard), Ok(0));
    });
}

#[test]
fn a_broadcast_shares_what_is_shared() {
    run(|| {
        let group = Group::new();
        for worker in 0..100 {
            group.join(&reader_on(worker));
        }
        let text: Arc<str> = "it works".into();
        assert_eq!(group.broadcast(News(text.clone())), 100);
        for member in group.members() {
            assert_eq!(member.call(Heard), Ok(1));
        }
        wait_until(|| Arc::strong_count(&text) == 1);
    });
}

#[test]
fn a_broadcast_does_not_wait_for_the_slow() {
    run(|| {
        let group = Group::new();
        let slow = Tasklet::with_mailbox(Mailbox::bounded(1, Overflow::Block))
            .spawn(|| {
                Tasklet::sleep(PATIENCE);
            })
            .unwrap();
        group.join(slow.tasklet());
        group.join(&Tasklet::current());
        assert_eq!(group.broadcast(news()), 2);
        assert_eq!(group.broadcast(news()), 1);
        assert_eq!(group.broadcast_others(news()), 0);
        assert_eq!(group.len(), 2);
        slow.kill();
    });
}

#[test]
fn who_takes_no_more_drops_out_when_a_broadcast_finds_it() {
    run(|| {
        let group = Group::new();
        let gate = Gate::new();
        let passed = gate.clone();
        let busy = spawn(move || passed.pass());
        group.join(busy.tasklet());
        group.watch(Tasklet::current());
        busy.stop();
        assert_eq!(group.len(), 1);
        assert_eq!(group.broadcast(news()), 0);
        assert!(group.is_empty());
        gate.open();
        let pid = busy.pid();
        common::join(busy);
        assert_eq!(next_change::<Tasklet>(), (pid, Membership::Ended));
        assert_eq!(Tasklet::pending(), 0);
    });
}

#[test]
fn actors_broadcast_to_the_others() {
    #[derive(Message)]
    #[message(reply = usize)]
    struct Spread(Group<Addr<Reader>>);
    impl Handler<Spread> for Reader {
        fn handle(&mut self, Spread(group): Spread, _: &mut Context<Self>) -> usize {
            group.broadcast_others(news())
        }
    }

    run(|| {
        let group = Group::new();
        for worker in 0..3 {
            group.join(&reader_on(worker));
        }
        let members = group.members();
        assert_eq!(members[0].call(Spread(group)), Ok(2));
        assert_eq!(members[0].call(Heard), Ok(0));
        assert_eq!(members[1].call(Heard), Ok(1));
    });
}

#[test]
fn plain_threads_use_groups() {
    let done = Arc::new(AtomicBool::new(false));
    let told = done.clone();
    run(move || {
        let group = Group::new();
        let reader = reader_on(0);
        let (theirs, member) = (group.clone(), reader.clone());
        thread::spawn(move || {
            theirs.join(&member);
            theirs.broadcast(news());
            told.store(true, Ordering::SeqCst);
        });
        wait_until(|| done.load(Ordering::SeqCst));
        assert_eq!(reader.call(Heard), Ok(1));
        reader.stop();
        join(&reader);
        assert!(group.is_empty());
    });
}
