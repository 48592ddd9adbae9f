//! Models of mailboxes.

use std::sync::atomic::Ordering::{Acquire, Release};

use loom::sync::Arc;
use loom::sync::atomic::AtomicBool;
use loom::thread;

use super::check;
use super::nodes::assert_in_order;
use crate::mailbox::{Contents, Mailbox, Patience};

/// The number in a message, for the mailbox's own models.
struct Numbered(usize);

impl crate::Message for Numbered {
    type Reply = ();
}

/// Sends to a mailbox; whether its owner must be woken.
fn send(mailbox: &Contents, number: usize, at_home: bool) -> bool {
    let envelope = crate::Envelope::new(Numbered(number));
    let owner = crate::Pid(1);
    // SAFETY: the models say so on the owner's thread alone.
    let sent = unsafe { mailbox.push(envelope, Patience::Policy, owner, || at_home) };
    sent.unwrap_or_else(|_| panic!("nobody closes it"))
}

/// Takes all that is there. On the owner's thread.
fn receive_all(mailbox: &Contents, into: &mut Vec<usize>) {
    // SAFETY: the consumer itself.
    while let Some(envelope) = unsafe { mailbox.pop() } {
        into.push(envelope.downcast::<Numbered>().unwrap().0);
    }
}

/// An owner that goes to wait while it is sent to from its own thread and from another: it is told to
/// wake if there is anything, and gets everything, each sender's in order.
#[test]
fn loom_mailbox_tells_of_messages_by_either_way() {
    for sends_at_home in [false, true] {
        check(None, move || {
            let mailbox = Arc::new(Contents::new(Mailbox::unbounded()));
            let stranger = {
                let mailbox = mailbox.clone();
                thread::spawn(move || {
                    let first = send(&mailbox, 10, false);
                    let second = send(&mailbox, 11, false);
                    usize::from(first) + usize::from(second)
                })
            };
            let mut received = Vec::new();
            receive_all(&mailbox, &mut received);
            // SAFETY: the consumer itself.
            let waits = unsafe { mailbox.listen() };
            // Another tasklet of the same worker.
            let wakes_at_home = sends_at_home && send(&mailbox, 20, true);
            assert!(!wakes_at_home || waits, "who does not wait is not woken");
            let wakes_from_afar = stranger.join().unwrap();
            assert!(wakes_from_afar <= 1, "it is woken once from afar");
            let before = received.len();
            receive_all(&mailbox, &mut received);
            let woken = wakes_at_home || wakes_from_afar > 0;
            if waits && received.len() > before {
                assert!(woken, "it waits for ever beside {received:?}");
            }
            if waits && sends_at_home {
                assert!(wakes_at_home, "its own thread's push finds it waiting");
            }
            assert_in_order(&received, 1);
            received.sort_unstable();
            assert_eq!(
                received,
                [&[10, 11][..], if sends_at_home { &[20] } else { &[] }].concat()
            );
        });
    }
}

/// A message that is sent at home because of one that has come from elsewhere stays behind it.
#[test]
fn loom_mailbox_lets_no_message_overtake_its_cause() {
    check(None, || {
        let mailbox = Arc::new(Contents::new(Mailbox::unbounded()));
        let told = Arc::new(AtomicBool::new(false));
        let stranger = {
            let (mailbox, told) = (mailbox.clone(), told.clone());
            thread::spawn(move || {
                send(&mailbox, 1, false);
                told.store(true, Release);
            })
        };
        let because = told.load(Acquire);
        send(&mailbox, 2, true);
        stranger.join().unwrap();
        let mut received = Vec::new();
        receive_all(&mailbox, &mut received);
        if because {
            assert_eq!(received, [1, 2]);
        }
        assert_eq!(received.len(), 2);
    });
}
