//! Models of the meetings, whose interleavings loom tries; see [`loom_models`](crate::loom_models).
//!
//! The rendezvous, its lock, the claims and the selects are the real ones. What is modelled is the wait:
//! the steps of `block::wait_until`, on a [`Seat`] in place of a tasklet. A deadline needs no clock: it
//! passes wherever the schedule puts the waiter's giving up.

use std::sync::Arc;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};

use loom::sync::Notify;
use loom::sync::atomic::AtomicBool;
use loom::thread;

use super::Preference;
use super::rendezvous::{Claim, Member, Party, Received, Rendezvous, Sent};
use super::select::model::{Lines, receiving, sending};

type Meeting = Rendezvous<usize, Arc<Seat>>;

/// Checks `model` under every schedule with at most `preemptions`; under all of them if `None`.
fn check(preemptions: Option<usize>, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = preemptions;
    builder.check(model);
}

/// Whoever waits.
struct Seat {
    killed: AtomicBool,
    bell: Notify,
}

impl Seat {
    fn new() -> Arc<Seat> {
        Arc::new(Seat {
            killed: AtomicBool::new(false),
            bell: Notify::new(),
        })
    }

    /// `Core::kill`.
    fn kill(&self) {
        self.killed.store(true, SeqCst);
        self.bell.notify();
    }

    /// `block::wait_until`, until it is out or killed; `false` if killed.
    fn wait_until(&self, mut is_out: impl FnMut() -> bool) -> bool {
        loop {
            let killed = self.killed.load(Relaxed);
            if is_out() {
                return true;
            }
            if killed {
                return false;
            }
            self.bell.wait();
        }
    }
}

impl Party for Arc<Seat> {
    fn is_called_off(&self) -> bool {
        self.killed.load(Relaxed)
    }

    fn any_called_off() -> bool {
        true
    }
}

/// How long an operation waits.
#[derive(Clone, Copy, PartialEq)]
enum Patience {
    /// Until it is met or killed.
    Endless,
    /// Until its time is up, which is whenever it comes to that.
    Late,
}

/// `Channel::send`; whether the value has been taken.
fn send(meeting: &Meeting, value: usize, seat: &Arc<Seat>, patience: Patience) -> bool {
    let mut state = meeting.lock();
    let item = match state.send(Ok(value)) {
        Ok(peer) => {
            drop(state);
            peer.bell.notify();
            return true;
        }
        Err(item) => item,
    };
    let ticket = state.join_senders(Member::sole(seat.clone()), item);
    drop(state);
    let out = || meeting.lock().is_sender_out(ticket);
    let killed = patience == Patience::Endless && !seat.wait_until(out);
    let sent = meeting.lock().leave_senders(ticket);
    match sent {
        Sent::Taken => {
            assert!(!killed, "its wait was over when the kill came");
            true
        }
        Sent::Withdrawn(item) => {
            assert_eq!(item.unwrap(), value);
            false
        }
        Sent::Refused(_) => panic!("no handle has gone"),
    }
}

/// `Channel::receive`.
fn receive(meeting: &Meeting, seat: &Arc<Seat>, patience: Patience) -> Option<usize> {
    let mut state = meeting.lock();
    if let Some((item, peer)) = state.receive() {
        drop(state);
        peer.bell.notify();
        return Some(item.unwrap());
    }
    let ticket = state.join_receivers(Member::sole(seat.clone()));
    drop(state);
    let out = || meeting.lock().is_receiver_out(ticket);
    let killed = patience == Patience::Endless && !seat.wait_until(out);
    let received = meeting.lock().leave_receivers(ticket);
    match received {
        Received::Item(item) => {
            assert!(!killed, "nothing is given to one that unwinds");
            Some(item.unwrap())
        }
        Received::Withdrawn => None,
        Received::Refused => panic!("no handle has gone"),
    }
}

fn meeting() -> Arc<Meeting> {
    Arc::new(Rendezvous::new(Preference::Receiver))
}

#[test]
fn loom_channel_sender_and_receiver_meet() {
    check(None, || {
        let meeting = meeting();
        let other = meeting.clone();
        let sender = thread::spawn(move || send(&other, 7, &Seat::new(), Patience::Endless));
        assert_eq!(receive(&meeting, &Seat::new(), Patience::Endless), Some(7));
        assert!(sender.join().unwrap());
        assert_eq!(meeting.lock().balance(), 0);
    });
}

/// Either side gives up, or both: the value has been received, or it has come back.
#[test]
fn loom_channel_time_outs_on_either_side() {
    check(None, || {
        let meeting = meeting();
        let other = meeting.clone();
        let sender = thread::spawn(move || send(&other, 7, &Seat::new(), Patience::Late));
        let received = receive(&meeting, &Seat::new(), Patience::Late);
        assert_eq!(received, sender.join().unwrap().then_some(7));
        assert_eq!(meeting.lock().balance(), 0);
    });
}

/// A receiver is killed while one sends to it, and the sender gives up: the value has been received
/// before the kill was carried out, or it has come back.
#[test]
fn loom_channel_kill_of_the_receiver() {
    check(Some(3), || {
        let meeting = meeting();
        let seat = Seat::new();
        let receiver = {
            let (meeting, seat) = (meeting.clone(), seat.clone());
            thread::spawn(move || receive(&meeting, &seat, Patience::Endless))
        };
        let killer = thread::spawn(move || seat.kill());
        let sent = send(&meeting, 7, &Seat::new(), Patience::Late);
        killer.join().unwrap();
        assert_eq!(receiver.join().unwrap(), sent.then_some(7));
        assert_eq!(meeting.lock().balance(), 0);
    });
}

/// The same for a sender.
#[test]
fn loom_channel_kill_of_the_sender() {
    check(Some(3), || {
        let meeting = meeting();
        let seat = Seat::new();
        let sender = {
            let (meeting, seat) = (meeting.clone(), seat.clone());
            thread::spawn(move || send(&meeting, 7, &seat, Patience::Endless))
        };
        let killer = thread::spawn(move || seat.kill());
        let received = receive(&meeting, &Seat::new(), Patience::Late);
        killer.join().unwrap();
        assert_eq!(received, sender.join().unwrap().then_some(7));
        assert_eq!(meeting.lock().balance(), 0);
    });
}

/// Of two receivers one is killed: the value goes to the other, or to the one that is killed after.
#[test]
fn loom_channel_value_passes_over_a_killed_receiver() {
    check(Some(3), || {
        let meeting = meeting();
        let (first, second) = (Seat::new(), Seat::new());
        let receiver = {
            let (meeting, seat) = (meeting.clone(), first.clone());
            thread::spawn(move || receive(&meeting, &seat, Patience::Endless))
        };
        let patient = {
            let (meeting, seat) = (meeting.clone(), second.clone());
            thread::spawn(move || receive(&meeting, &seat, Patience::Endless))
        };
        first.kill();
        assert!(send(&meeting, 7, &Seat::new(), Patience::Endless));
        let to_first = receiver.join().unwrap();
        // What is left of the two gets another.
        if to_first.is_some() {
            assert!(send(&meeting, 8, &Seat::new(), Patience::Endless));
        }
        let to_second = patient.join().unwrap();
        let received = to_first.into_iter().chain(to_second);
        assert_eq!(
            received.sum::<usize>(),
            if to_first.is_some() { 15 } else { 7 }
        );
        assert_eq!(meeting.lock().balance(), 0);
    });
}

/// The last handle that could send goes while the receiver begins to wait: the receiver is told, whichever
/// is first.
#[test]
fn loom_channel_receiver_hears_of_the_last_other_handle() {
    check(None, || {
        let meeting = meeting();
        meeting.lock().add_handle();
        let other = meeting.clone();
        let leaves = thread::spawn(move || {
            let refused = other.lock().remove_handle();
            refused.iter().for_each(|seat| seat.bell.notify());
        });
        let seat = Seat::new();
        let mut state = meeting.lock();
        if !state.is_deserted(1) {
            let ticket = state.join_receivers(Member::sole(seat.clone()));
            drop(state);
            assert!(seat.wait_until(|| meeting.lock().is_receiver_out(ticket)));
            let left = meeting.lock().leave_receivers(ticket);
            assert!(matches!(left, Received::Refused), "{left:?}");
        } else {
            drop(state);
        }
        leaves.join().unwrap();
    });
}

/// A select that receives from either, until it is killed. The locks are taken in the same order by all.
fn receive_from_either(a: &Meeting, b: &Meeting, seat: &Arc<Seat>) -> Option<usize> {
    let (mut first, mut second) = (a.lock(), b.lock());
    if let Some((item, peer)) = first.receive().or_else(|| second.receive()) {
        drop((first, second));
        peer.bell.notify();
        return Some(item.unwrap());
    }
    let claim = Arc::new(Claim::new());
    let arm = |arm| Member::arm(seat.clone(), claim.clone(), arm, 1);
    let tickets = [first.join_receivers(arm(0)), second.join_receivers(arm(1))];
    drop((first, second));
    let killed = !seat.wait_until(|| claim.look(seat.killed.load(Relaxed)));
    let met = claim.withdraw();
    let left = [
        a.lock().leave_receivers(tickets[0]),
        b.lock().leave_receivers(tickets[1]),
    ];
    let mut received = None;
    for (arm, left) in left.into_iter().enumerate() {
        if let Received::Item(item) = left {
            assert!(!killed, "nothing is given to one that unwinds");
            assert_eq!(met, Some(arm), "the other arm has come to pass");
            received = Some(item.unwrap());
        }
    }
    assert_eq!(met.is_some(), received.is_some());
    received
}

/// A select is killed while one sends to it, who may give up.
#[test]
fn loom_channel_kill_of_a_select() {
    check(Some(3), || {
        let (a, b) = (meeting(), meeting());
        let seat = Seat::new();
        let select = {
            let (a, b, seat) = (a.clone(), b.clone(), seat.clone());
            thread::spawn(move || receive_from_either(&a, &b, &seat))
        };
        let killer = thread::spawn(move || seat.kill());
        let sent = send(&b, 7, &Seat::new(), Patience::Late);
        killer.join().unwrap();
        assert_eq!(select.join().unwrap(), sent.then_some(7));
        assert_eq!((a.lock().balance(), b.lock().balance()), (0, 0));
    });
}

/// The same of one that sends 7 to either.
fn send_to_either(meetings: [&Meeting; 2], seat: &Arc<Seat>) -> bool {
    let mut states = meetings.map(|meeting| meeting.lock());
    for at in 0..2 {
        if let Ok(peer) = states[at].send(Ok(7)) {
            drop(states);
            peer.bell.notify();
            return true;
        }
    }
    let claim = Arc::new(Claim::new());
    let arm = |arm| Member::arm(seat.clone(), claim.clone(), arm, 1);
    let tickets = [0, 1].map(|at| states[at].join_senders(arm(at), Ok(7)));
    drop(states);
    let is_met = seat.wait_until(|| claim.look(seat.killed.load(Relaxed)));
    let met = claim.withdraw();
    assert_eq!(met.is_some(), is_met, "a kill ends the wait once");
    for at in 0..2 {
        match meetings[at].lock().leave_senders(tickets[at]) {
            Sent::Taken => assert_eq!(met, Some(at), "nothing is taken of one that unwinds"),
            Sent::Withdrawn(_) => assert_ne!(met, Some(at)),
            Sent::Refused(_) => panic!("no handle has gone"),
        }
    }
    met.is_some()
}

/// The same of one that sends.
#[test]
fn loom_channel_kill_of_a_select_that_sends() {
    check(Some(3), || {
        let (a, b) = (meeting(), meeting());
        let seat = Seat::new();
        let sender = {
            let (a, b, seat) = (a.clone(), b.clone(), seat.clone());
            thread::spawn(move || send_to_either([&a, &b], &seat))
        };
        let killer = thread::spawn(move || seat.kill());
        let received = receive(&b, &Seat::new(), Patience::Late);
        killer.join().unwrap();
        assert_eq!(received, sender.join().unwrap().then_some(7));
        assert_eq!((a.lock().balance(), b.lock().balance()), (0, 0));
    });
}

/// A kill, a deadline on the other side, and a second sender that waits: whatever comes first, the second
/// value goes to the receiver that is left.
#[test]
fn loom_channel_senders_pass_over_a_killed_select() {
    check(Some(3), || {
        let (a, b) = (meeting(), meeting());
        let seat = Seat::new();
        let killed = {
            let (a, b, seat) = (a.clone(), b.clone(), seat.clone());
            thread::spawn(move || receive_from_either(&a, &b, &seat))
        };
        let sender = {
            let b = b.clone();
            thread::spawn(move || assert!(send(&b, 7, &Seat::new(), Patience::Endless)))
        };
        seat.kill();
        // It goes to the one that is killed, if it is first.
        let taken = killed.join().unwrap();
        let left = if taken.is_none() {
            receive(&b, &Seat::new(), Patience::Endless)
        } else {
            None
        };
        sender.join().unwrap();
        assert_eq!(taken.or(left), Some(7));
        assert_eq!((a.lock().balance(), b.lock().balance()), (0, 0));
    });
}

/// A select is met at both channels at the same time, by two who wait: by one of them alone, and the other
/// one goes on waiting, until it is killed.
#[test]
fn loom_channel_two_meet_a_select() {
    check(Some(3), || {
        let (a, b) = (meeting(), meeting());
        let senders = [(a.clone(), 1), (b.clone(), 2)].map(|(meeting, value)| {
            let seat = Seat::new();
            let sender = {
                let seat = seat.clone();
                thread::spawn(move || send(&meeting, value, &seat, Patience::Endless))
            };
            (sender, seat)
        });
        let received = receive_from_either(&a, &b, &Seat::new()).unwrap();
        for (arm, (sender, seat)) in senders.into_iter().enumerate() {
            seat.kill();
            assert_eq!(sender.join().unwrap(), received == arm + 1);
        }
        assert_eq!((a.lock().balance(), b.lock().balance()), (0, 0));
    });
}

/// What a select of two channels has done, and what it has kept.
type Done = (Option<usize>, [Option<usize>; 2]);

/// A select that sends 1 on the one or 2 on the other; with `late` it may give up.
fn send_either(a: &super::Channel<usize>, b: &super::Channel<usize>, late: bool) -> Done {
    let (mut x, mut y) = (Some(1), Some(2));
    let arm = Lines::new(vec![sending(a, &mut x), sending(b, &mut y)]).run(late);
    (arm, [x, y])
}

/// A select that receives from either.
fn receive_either(a: &super::Channel<usize>, b: &super::Channel<usize>, late: bool) -> Done {
    let (mut x, mut y) = (None, None);
    let arm = Lines::new(vec![receiving(b, &mut y), receiving(a, &mut x)]).run(late);
    (arm, [x, y])
}

/// Two selects on both ends of two channels: they meet at one of them, and nobody is left at the other.
#[test]
fn loom_channel_selects_meet_once() {
    check(Some(3), || {
        let (a, b) = (super::Channel::new(), super::Channel::new());
        let (other_a, other_b) = (a.clone(), b.clone());
        let sender = thread::spawn(move || send_either(&other_a, &other_b, false));
        let (_, received) = receive_either(&a, &b, false);
        let (_, kept) = sender.join().unwrap();
        assert!(
            matches!(
                (received, kept),
                ([Some(1), None], [None, Some(2)]) | ([None, Some(2)], [Some(1), None])
            ),
            "{received:?} {kept:?}"
        );
        assert_eq!((a.balance(), b.balance()), (0, 0));
    });
}

/// The same, and both may give up.
#[test]
fn loom_channel_selects_give_up() {
    check(Some(3), || {
        let (a, b) = (super::Channel::new(), super::Channel::new());
        let (other_a, other_b) = (a.clone(), b.clone());
        let sender = thread::spawn(move || send_either(&other_a, &other_b, true));
        let (_, received) = receive_either(&a, &b, true);
        let (_, kept) = sender.join().unwrap();
        for n in 0..2 {
            assert_eq!(
                received[n].or(kept[n]),
                Some(n + 1),
                "{received:?} {kept:?}"
            );
            assert!(received[n].is_none() || kept[n].is_none());
        }
        assert!(received.iter().flatten().count() <= 1);
    });
}

/// A select that waits is met by two at the same time, at different channels: by one of them alone.
#[test]
fn loom_channel_select_is_met_by_one_alone() {
    check(Some(3), || {
        let (a, b) = (super::Channel::new(), super::Channel::new());
        let _kept = (a.clone(), b.clone());
        let takers = [a.clone(), b.clone()].map(|channel| {
            thread::spawn(move || {
                channel
                    .shared
                    .rendezvous
                    .lock()
                    .receive()
                    .map(|(item, _)| item)
            })
        });
        let (met, kept) = send_either(&a, &b, true);
        let taken = takers.map(|taker| taker.join().unwrap().map(Result::unwrap));
        for n in 0..2 {
            assert_eq!(taken[n].or(kept[n]), Some(n + 1));
            assert_eq!(taken[n].is_some(), met == Some(n));
            assert!(taken[n].is_none() || kept[n].is_none());
        }
        assert_eq!((a.balance(), b.balance()), (0, 0));
    });
}
