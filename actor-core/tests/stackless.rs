//! What Stackless's own tests and its users' programs rely on, beyond what `ring.rs` and `channels.rs`
//! show: who runs next to the letter, and what becomes of those who wait for nobody.

mod common;

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::thread;

use actor_core::channel::{
    Channel, Preference, ReceiveError, Select, SelectError, SendError, channel_hook,
    set_channel_hook,
};
use actor_core::{
    Actor, Addr, BlockTrap, Context, Generator, Handler, InsertError, JoinError, JoinHandle,
    Message, RaiseError, RemoveError, RunError, Tasklet, block_on_thread, call, catch_raised,
    schedule_hook, set_schedule_hook,
};
use common::{
    Count, Log, OnDrop, PATIENCE, alone, assert_killed, forwarding, join, spawn, spawn_on,
    wait_until,
};

extern crate actor_core as concurrence;

#[derive(Debug, PartialEq)]
struct Enough;

impl fmt::Display for Enough {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("enough")
    }
}

impl Error for Enough {}

// Who is who --------------------------------------------------------------------------------------

#[test]
fn who_is_current_and_who_is_main() {
    alone(|| {
        let main = Tasklet::current();
        assert!(main.is_current() && main.is_main());
        assert_eq!(Tasklet::main().as_ref(), Some(&main));
        let known = main.clone();
        let other = spawn(move || {
            assert!(!known.is_current() && known.is_main());
            let me = Tasklet::current();
            assert!(me.is_current() && !me.is_main());
            assert_eq!(Tasklet::main(), Some(known));
        });
        assert!(!other.is_current() && !other.is_main());
        let other = other.tasklet().clone();
        block_on_thread(move || {
            assert!(!other.is_current() && !main.is_current() && main.is_main());
            assert!(Tasklet::main().is_none());
        });
    });
}

#[test]
fn main_is_none_when_it_has_ended() {
    let (tell, told) = std::sync::mpsc::channel();
    alone(move || {
        let main = Tasklet::current();
        Tasklet::spawn(move || {
            wait_until(|| !main.is_alive());
            tell.send(Tasklet::main().is_none()).unwrap();
        });
    });
    assert!(told.recv().unwrap());
}

#[test]
fn a_tasklet_tells_its_worker() {
    alone(|| {
        for worker in 0..common::WORKERS {
            let there = spawn_on(worker, || Tasklet::current().worker());
            assert_eq!((there.worker(), join(there)), (worker, worker));
        }
    });
}

// switch ------------------------------------------------------------------------------------------

/// A tasklet that puts `paused` back, and then says its name.
fn inserts(log: &Log, name: &'static str, paused: &Tasklet) -> JoinHandle<()> {
    let (log, paused) = (log.clone(), paused.clone());
    Tasklet::spawn(move || {
        paused.insert().unwrap();
        log.add(name);
    })
}

#[test]
fn switch_to_a_queued_one_goes_on_from_its_place_without_the_caller() {
    alone(|| {
        let log = Log::default();
        let (_b, c) = (log.says("B"), log.says("C"));
        let _d = inserts(&log, "D", &Tasklet::current());
        c.switch().unwrap();
        log.add("A");
        assert_eq!(log.take(), "C D B A"); // after a `run` it would be C D A B
    });
}

#[test]
fn switch_to_a_removed_one_leaves_the_caller_out() {
    alone(|| {
        let log = Log::default();
        let (_b, t) = (log.says("B"), log.says("T"));
        t.remove().unwrap();
        let _c = inserts(&log, "C", &Tasklet::current());
        t.switch().unwrap();
        log.add("A");
        assert_eq!(log.take(), "T B C A");
    });
}

#[test]
fn caller_of_switch_is_alive_and_paused() {
    alone(|| {
        let main = Tasklet::current();
        let other = Tasklet::spawn(move || {
            let flags = (main.is_alive(), main.is_scheduled(), main.is_paused());
            main.insert().unwrap();
            flags
        });
        other.switch().unwrap();
        assert_eq!(join(other), (true, false, true));
    });
}

#[test]
fn two_that_switch_to_each_other_are_coroutines() {
    alone(|| {
        let log = Log::default();
        let (main, inner) = (Tasklet::current(), log.clone());
        let other = Tasklet::builder()
            .paused(true)
            .spawn(move || {
                for what in ["1", "2", "3"] {
                    inner.add(what);
                    main.switch().unwrap();
                }
                main.insert().unwrap();
            })
            .unwrap();
        let _bystander = log.says("bystander");
        for what in ["a", "b", "c"] {
            other.switch().unwrap();
            log.add(what);
        }
        // Each goes in front of all that are ready; nobody comes in between.
        assert_eq!(log.take(), "1 a 2 b 3 c");
        other.switch().unwrap();
        join(other);
        assert_eq!(log.take(), "bystander");
    });
}

#[test]
fn switch_is_refused_as_run_is_and_then_pauses_nobody() {
    alone(|| {
        let (blocked, ended) = (spawn(|| Tasklet::receive().count()), spawn(|| ()));
        assert_eq!(blocked.switch(), Err(RunError::Blocked));
        assert_eq!(ended.switch(), Err(RunError::Ended));
        assert_eq!(Tasklet::current().switch(), Ok(()));
        let far = spawn_on(
            usize::from(Tasklet::current().worker() == 0),
            Tasklet::schedule_remove,
        );
        wait_until(|| far.is_paused());
        assert_eq!(far.switch(), Err(RunError::OtherWorker));
        far.insert().unwrap();
        join(far);
        let paused = Tasklet::builder().paused(true).spawn(|| ()).unwrap();
        let target = paused.tasklet().clone();
        block_on_thread(move || assert_eq!(target.switch(), Err(RunError::OtherWorker)));
        let target = paused.tasklet().clone();
        let unwinds = spawn(move || {
            let _switches = OnDrop::new(move || {
                assert_eq!(target.switch(), Err(RunError::Unwinding));
            });
            panic!("it unwinds");
        });
        assert!(matches!(unwinds.join(), Err(JoinError::Panicked(_))));
        assert!(paused.is_paused());
        paused.insert().unwrap();
    });
}

struct Switcher(Tasklet);

#[derive(Message)]
#[message(reply = Result<(), RunError>)]
struct Switch;

impl Actor for Switcher {}

impl Handler<Switch> for Switcher {
    fn handle(&mut self, _: Switch, _: &mut Context<Self>) -> Result<(), RunError> {
        self.0.switch()
    }
}

#[test]
fn a_handler_does_not_leave_the_run_queue() {
    alone(|| {
        let paused = Tasklet::builder().paused(true).spawn(|| ()).unwrap();
        let actor = Addr::spawn(Switcher(paused.tasklet().clone()));
        assert_eq!(actor.call(Switch).unwrap(), Err(RunError::OtherWorker));
        assert!(paused.is_paused());
        paused.insert().unwrap();
    });
}

#[test]
fn one_that_has_switched_away_is_killed_and_stopped_where_it_is() {
    alone(|| {
        let away = |end: fn(&Tasklet)| {
            let dropped = Count::new();
            let count = dropped.clone();
            let other = spawn(Tasklet::schedule_remove);
            let target = other.tasklet().clone();
            let away = spawn(move || {
                let _guard = OnDrop::new(move || _ = count.up());
                target.switch().unwrap();
                Tasklet::is_stopping()
            });
            assert!(away.is_paused());
            end(&away);
            let ended = away.join();
            assert_eq!(dropped.get(), 1);
            join(other);
            ended
        };
        assert!(matches!(away(Tasklet::kill_now), Err(JoinError::Killed)));
        assert!(matches!(away(Tasklet::kill), Err(JoinError::Killed)));
        assert!(matches!(away(Tasklet::stop), Ok(true)));
    });
}

#[test]
fn the_inner_code_of_a_generator_switches_as_others_do() {
    alone(|| {
        let log = Log::default();
        let (t, inner) = (log.says("T"), log.clone());
        t.remove().unwrap();
        let mut values = Generator::new(move |out| {
            t.run().unwrap();
            inner.add("after the run");
            out.give(1);
            let me = Tasklet::current();
            let _b = inserts(&inner, "B", &me);
            let c = inner.says("C");
            c.switch().unwrap();
            inner.add("after the switch");
            out.give(2);
        });
        assert_eq!((values.next(), values.next()), (Some(1), Some(2)));
        assert_eq!(log.take(), "T after the run C B after the switch");
    });
}

#[test]
fn one_that_waits_for_its_inner_code_is_as_if_it_ran() {
    alone(|| {
        let consumer = Tasklet::current();
        let mut values = Generator::new(move |out| {
            assert_eq!(consumer.remove(), Err(RemoveError::Current));
            assert_eq!(consumer.run(), Err(RunError::Blocked));
            assert!(consumer.is_scheduled() && !consumer.is_blocked());
            out.give(consumer.insert());
        });
        assert_eq!(values.next(), Some(Ok(())));
        let consumer = Tasklet::current();
        let removed = call(|| consumer.remove()).unwrap();
        assert_eq!(removed, Err(RemoveError::Current));
        // It has one place in the queue, and not two.
        let log = Log::default();
        let _others = (log.says("a"), log.says("b"));
        Tasklet::schedule();
        log.add("main");
        Tasklet::schedule();
        assert_eq!(log.take(), "a b main");
    });
}

// Errors and kills that wait for the tasklet's turn -----------------------------------------------

/// A tasklet that ends by an error or a kill, and says so as it does, in the operation `wait`; and one
/// behind it.
fn victim(log: &Log, wait: fn()) -> [JoinHandle<()>; 2] {
    let inner = log.clone();
    let victim = Tasklet::spawn(move || {
        let _says = OnDrop::new(move || inner.add("victim"));
        wait();
    });
    Tasklet::schedule();
    [victim, log.says("worker")]
}

const HOW: [fn(&Tasklet); 2] = [
    |tasklet| tasklet.raise_later(Enough).unwrap(),
    Tasklet::kill,
];

#[test]
fn a_pending_end_of_a_queued_one_comes_in_its_turn() {
    alone(|| {
        for end in HOW {
            let log = Log::default();
            let [victim, _worker] = victim(&log, Tasklet::schedule);
            end(&victim);
            log.add("after");
            Tasklet::schedule();
            assert_eq!(log.take(), "after victim worker");
            assert!(!victim.is_alive());
        }
    });
}

#[test]
fn a_pending_end_of_a_blocked_or_paused_one_comes_behind_all_others() {
    alone(|| {
        for end in HOW {
            for wait in [|| Tasklet::sleep(PATIENCE), Tasklet::schedule_remove] {
                let log = Log::default();
                let [victim, _worker] = victim(&log, wait);
                end(&victim);
                log.add("after");
                Tasklet::schedule();
                assert_eq!(log.take(), "after worker victim");
                assert!(!victim.is_alive());
            }
        }
    });
}

#[test]
fn a_pending_error_in_the_current_one_is_raised_at_its_next_operation() {
    alone(|| {
        let log = Log::default();
        let inner = log.clone();
        let raised = catch_raised::<Enough, _>(move || {
            Tasklet::current().raise_later(Enough).unwrap();
            inner.add("still here");
            Tasklet::schedule();
            inner.add("never");
        });
        assert_eq!(raised, Err(Enough));
        assert_eq!(log.take(), "still here");
    });
}

#[test]
fn a_pending_error_for_the_dead_comes_back() {
    alone(|| {
        let ended = spawn(|| ());
        let RaiseError::Ended(error) = ended.raise_later(Enough).unwrap_err();
        assert!(error.is::<Enough>());
        ended.kill();
    });
}

#[test]
fn a_pending_error_reaches_another_worker() {
    alone(|| {
        let far = spawn_on(usize::from(Tasklet::current().worker() == 0), || {
            catch_raised::<Enough, _>(|| Tasklet::sleep(PATIENCE))
        });
        far.raise_later(Enough).unwrap();
        match far.join() {
            Ok(caught) => assert_eq!(caught, Err(Enough)),
            // It came before the tasklet had begun.
            Err(error) => assert!(matches!(error, JoinError::Raised(_)), "{error:?}"),
        }
    });
}

#[test]
fn raise_takes_a_receiver_off_its_channel_at_once() {
    alone(|| {
        let log = Log::default();
        let channel = Channel::<u8>::new();
        let (other, inner) = (channel.clone(), log.clone());
        let waits = spawn(move || {
            let raised = catch_raised::<Enough, _>(|| other.receive());
            assert!(matches!(raised, Err(Enough)));
            inner.add("raised");
            other.balance()
        });
        let _worker = log.says("worker");
        assert_eq!(channel.balance(), -1);
        waits.raise(Enough).unwrap();
        log.add("after");
        assert_eq!(log.take(), "raised after"); // it was in no queue: straight back
        assert_eq!((channel.balance(), join(waits)), (0, 0));
    });
}

// Nobody is left ----------------------------------------------------------------------------------

#[test]
fn main_hears_of_the_end_of_the_last_peer() {
    alone(|| {
        let channel = Channel::new();
        let other = channel.clone();
        Tasklet::spawn(move || other.send(1));
        assert_eq!(channel.receive().unwrap(), 1);
        assert!(matches!(channel.receive(), Err(ReceiveError::Closed)));
        let channel = Channel::new();
        let other = channel.clone();
        Tasklet::spawn(move || other.receive());
        channel.send(1).unwrap();
        assert_eq!(channel.send(2), Err(SendError::Closed(2)));
    });
}

#[test]
fn the_last_peer_that_panics_ends_main_at_the_channel() {
    let ended = forwarding(|| {
        let log = Log::default();
        let channel = Channel::<u8>::new();
        let last = channel.clone();
        Tasklet::spawn(move || {
            let _channel = last;
            panic!("the last sender");
        });
        let _after = log.says("after");
        let check = log.clone();
        let _first = OnDrop::new(move || assert_eq!(check.take(), ""));
        let received = channel.receive();
        unreachable!("it is raised in the receive: {received:?}");
    });
    assert_eq!(ended.as_deref(), Some("the last sender"));
}

#[test]
fn a_panic_takes_main_off_the_channel_where_it_is_blocked() {
    let ended = forwarding(|| {
        let log = Log::default();
        let channel = Channel::<u8>::new();
        let keep = channel.clone();
        let _before = log.says("before");
        Tasklet::spawn(|| panic!("forwarded"));
        let _after = log.says("after");
        let _first = OnDrop::new(move || {
            assert_eq!(log.take(), "before");
            assert_eq!(keep.balance(), 0);
        });
        drop(channel.receive());
        unreachable!("it is raised in the receive");
    });
    assert_eq!(ended.as_deref(), Some("forwarded"));
}

#[test]
fn one_that_is_blocked_and_forgotten_ends_as_its_channel_does() {
    alone(|| {
        let dropped = Count::new();
        let count = dropped.clone();
        let channel = Channel::<u8>::new();
        let other = channel.clone();
        drop(spawn(move || {
            let _guard = OnDrop::new(move || _ = count.up());
            assert!(matches!(other.receive(), Err(ReceiveError::Closed)));
        }));
        drop(channel);
        Tasklet::schedule();
        assert_eq!(dropped.get(), 1);
    });
}

// Channels: schedule_all --------------------------------------------------------------------------

const PREFERENCES: [Preference; 3] = [
    Preference::Receiver,
    Preference::Neither,
    Preference::Sender,
];

#[test]
fn with_schedule_all_a_send_lets_all_others_run_before_it_goes_on() {
    alone(|| {
        for preference in PREFERENCES {
            let log = Log::default();
            let channel = Channel::with_preference(preference);
            channel.set_schedule_all(true);
            let (other, inner) = (channel.clone(), log.clone());
            let receiver = spawn(move || inner.add(other.receive().unwrap()));
            let _others = (log.says("a"), log.says("b"));
            channel.send("received").unwrap();
            log.add("sent");
            assert_eq!(log.take(), "a b received sent");
            join(receiver);
        }
    });
}

#[test]
fn with_schedule_all_a_receive_lets_all_others_run_before_it_goes_on() {
    alone(|| {
        for preference in PREFERENCES {
            let log = Log::default();
            let channel = Channel::with_preference(preference);
            channel.set_schedule_all(true);
            let (other, inner) = (channel.clone(), log.clone());
            let sender = spawn(move || {
                other.send("received").unwrap();
                inner.add("sent");
            });
            let _others = (log.says("a"), log.says("b"));
            log.add(channel.receive().unwrap());
            assert_eq!(log.take(), "a b sent received");
            join(sender);
        }
    });
}

#[test]
fn with_schedule_all_a_select_lets_all_others_run_before_it_goes_on() {
    alone(|| {
        let log = Log::default();
        let channel = Channel::new();
        channel.set_schedule_all(true);
        let (other, inner) = (channel.clone(), log.clone());
        let receiver = spawn(move || inner.add(other.receive().unwrap()));
        let _a = log.says("a");
        let mut value = Some("received");
        let sent = Select::new().send(&channel, &mut value, |sent| sent);
        sent.wait().unwrap().unwrap();
        log.add("sent");
        assert_eq!(log.take(), "a received sent");
        join(receiver);
    });
}

#[test]
fn schedule_all_can_change_while_some_wait_and_is_that_of_the_moment_of_the_meeting() {
    alone(|| {
        let log = Log::default();
        let channel = Channel::new();
        let (other, inner) = (channel.clone(), log.clone());
        let receiver = spawn(move || other.iter().for_each(|value| inner.add(value)));
        channel.set_schedule_all(true);
        let _a = log.says("a");
        channel.send("1").unwrap();
        log.add("sent");
        assert_eq!(log.take(), "a 1 sent");
        channel.set_schedule_all(false);
        let _b = log.says("b");
        channel.send("2").unwrap();
        log.add("sent");
        assert_eq!(log.take(), "2 b sent");
        drop(channel);
        join(receiver);
    });
}

#[test]
fn between_workers_schedule_all_makes_no_difference() {
    alone(|| {
        let channel = Channel::new();
        channel.set_schedule_all(true);
        let other = channel.clone();
        let far = spawn_on(usize::from(Tasklet::current().worker() == 0), move || {
            other.receive().unwrap()
        });
        wait_until(|| channel.has_receiver());
        let log = Log::default();
        let _a = log.says("a");
        channel.send(1).unwrap();
        log.add("sent");
        Tasklet::schedule();
        assert_eq!(log.take(), "sent a");
        assert_eq!(join(far), 1);
    });
}

// Channels: in the block trap ---------------------------------------------------------------------

#[test]
fn in_the_trap_a_channel_without_a_peer_fails_and_one_with_a_peer_does_not() {
    alone(|| {
        let channel = Channel::new();
        let other = channel.clone();
        let _trap = BlockTrap::set();
        assert_eq!(channel.send(1), Err(SendError::WouldBlock(1)));
        assert!(matches!(channel.receive(), Err(ReceiveError::WouldBlock)));
        let select = Select::new().receive(&channel, |value| value);
        assert!(matches!(select.wait(), Err(SelectError::WouldBlock)));
        assert_eq!(channel.balance(), 0);
        let sender = spawn(move || other.send(2));
        assert_eq!(channel.receive().unwrap(), 2);
        Tasklet::schedule();
        assert_eq!(sender.join().unwrap(), Ok(()));
    });
}

// Channels: who waits -----------------------------------------------------------------------------

#[test]
fn the_first_in_the_line_is_told_and_can_be_dealt_with() {
    alone(|| {
        let channel = Channel::<u8>::new();
        let waits = |channel: &Channel<u8>| {
            let other = channel.clone();
            spawn(move || other.receive())
        };
        assert_eq!(channel.first_waiting(), None);
        let [first, second] = [waits(&channel), waits(&channel)];
        assert_eq!(channel.first_waiting().as_ref(), Some(first.tasklet()));
        let waiting = channel.first_waiting().expect("it waits");
        assert_eq!(waiting.insert(), Err(InsertError::Blocked));
        waiting.kill_now();
        assert_killed(&first);
        assert_eq!(channel.first_waiting().as_ref(), Some(second.tasklet()));
        second.kill();
        // It has been called off, though it has not run yet.
        assert_eq!(channel.first_waiting(), None);
        assert_killed(&second);
        let other = channel.clone();
        let sender = spawn(move || other.send(1));
        assert_eq!(channel.first_waiting().as_ref(), Some(sender.tasklet()));
        assert_eq!(channel.receive().unwrap(), 1);
        join(sender).unwrap();
    });
}

struct Waiter(Channel<u8>);

#[derive(Message)]
struct Wait;

impl Actor for Waiter {}

impl Handler<Wait> for Waiter {
    fn handle(&mut self, _: Wait, _: &mut Context<Self>) {
        self.0.receive().unwrap();
    }
}

#[test]
fn a_thread_or_a_handler_that_waits_is_nobodys_tasklet() {
    alone(|| {
        let channel = Channel::new();
        let other = channel.clone();
        let thread = thread::spawn(move || other.receive().unwrap());
        wait_until(|| channel.has_receiver());
        assert_eq!(channel.first_waiting(), None);
        channel.send(1).unwrap();
        block_on_thread(move || thread.join().unwrap());
        let actor = Addr::spawn(Waiter(channel.clone()));
        actor.send(Wait).unwrap();
        wait_until(|| channel.has_receiver());
        assert_eq!(channel.first_waiting(), None);
        channel.send(2).unwrap();
    });
}

#[test]
fn an_iteration_that_waits_goes_on_through_a_close_and_ends_with_the_next_wait() {
    alone(|| {
        let log = Log::default();
        let channel = Channel::new();
        let (other, inner) = (channel.clone(), log.clone());
        let iterates = spawn(move || {
            for value in &other {
                inner.add(value);
            }
            inner.add("end");
        });
        channel.close();
        Tasklet::schedule();
        assert_eq!(log.take(), "");
        channel.send("last").unwrap();
        assert_eq!(log.take(), "last end");
        assert_eq!(channel.send("more"), Err(SendError::Closed("more")));
        join(iterates);
    });
}

#[test]
fn what_is_left_of_a_refused_sequence_is_the_callers() {
    alone(|| {
        let channel = Channel::new();
        let other = channel.clone();
        let sender = spawn(move || {
            let mut values = ["a", "b", "c", "d"].into_iter();
            let refused = other.send_all(&mut values);
            (refused, values.collect::<Vec<_>>())
        });
        assert_eq!(channel.receive().unwrap(), "a");
        Tasklet::schedule();
        channel.close();
        assert_eq!(channel.receive().unwrap(), "b"); // it stood in line already
        assert_eq!(join(sender), (Err(SendError::Closed("c")), vec!["d"]));
    });
}

// Hooks -------------------------------------------------------------------------------------------

#[test]
fn a_hook_that_is_set_is_told_and_can_be_chained() {
    alone(|| {
        assert!(schedule_hook().is_none() && channel_hook().is_none());
        let switches = Count::new();
        let count = switches.clone();
        set_schedule_hook(Some(Arc::new(move |_, _| _ = count.up())));
        let inner = schedule_hook().expect("it is set");
        let outer = Count::new();
        let count = outer.clone();
        let before = set_schedule_hook(Some(Arc::new(move |from, to| {
            count.up();
            inner(from, to);
        })));
        assert!(before.is_some());
        spawn(|| ());
        set_schedule_hook(None);
        assert!(outer.get() > 0 && switches.get() >= outer.get());

        let operations = Count::new();
        let count = operations.clone();
        let channel = Channel::new();
        let id = channel.id();
        set_channel_hook(Some(Arc::new(move |operation| {
            if operation.channel == id {
                count.up();
            }
        })));
        let hook = channel_hook().expect("it is set");
        let other = channel.clone();
        Tasklet::spawn(move || other.send(1));
        channel.receive().unwrap();
        assert_eq!(operations.get(), 2);
        set_channel_hook(None);
        assert!(channel_hook().is_none());
        drop(hook);
    });
}
