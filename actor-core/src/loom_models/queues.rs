//! Models of [`Queue`].

use std::sync::atomic::Ordering::{AcqRel, Acquire, Release};

use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, AtomicUsize};
use loom::thread;

use super::check;
use super::nodes::{assert_in_order, drain, push};
use crate::queue::{Chain, Push, Queue};

/// Two producers, and a consumer that takes while they push: every node comes out once, those of a
/// producer in its order.
#[test]
fn loom_queue_delivers_everything_once_and_in_order() {
    check(None, || {
        let queue = Arc::new(Queue::new());
        let producers: Vec<_> = [(1, 2), (2, 1)]
            .into_iter()
            .map(|(producer, count)| {
                let queue = queue.clone();
                thread::spawn(move || {
                    for number in 0..count {
                        // The consumer never goes idle, so nobody has to wake it.
                        assert_eq!(push(&queue, producer * 10 + number), Push::Queued);
                    }
                })
            })
            .collect();
        let mut taken = Vec::new();
        drain(queue.take_all(), &mut taken);
        producers
            .into_iter()
            .for_each(|producer| producer.join().unwrap());
        let mut later = Chain::EMPTY;
        later.append(queue.take_all());
        drain(later, &mut taken);
        assert_in_order(&taken, 1);
        assert_in_order(&taken, 2);
        taken.sort_unstable();
        assert_eq!(taken, [10, 11, 20]);
    });
}

/// Of the pushes that meet an idle consumer exactly one is told to wake it.
#[test]
fn loom_queue_tells_one_producer_to_wake_an_idle_consumer() {
    check(None, || {
        let queue = Arc::new(Queue::new());
        assert!(queue.go_idle());
        let wakes = Arc::new(AtomicUsize::new(0));
        let producers: Vec<_> = (0..2)
            .map(|producer| {
                let (queue, wakes) = (queue.clone(), wakes.clone());
                thread::spawn(move || match push(&queue, producer) {
                    Push::WakeConsumer => drop(wakes.fetch_add(1, AcqRel)),
                    Push::Queued => {}
                    Push::Closed => panic!("nobody has closed it"),
                })
            })
            .collect();
        producers
            .into_iter()
            .for_each(|producer| producer.join().unwrap());
        assert_eq!(wakes.load(Acquire), 1);
        let mut taken = Vec::new();
        drain(queue.take_all(), &mut taken);
        assert_eq!(taken.len(), 2);
    });
}

/// A close against two producers: a node is drained afterwards or refused, never both and never
/// neither; and if the consumer was idle exactly one of the three is told to wake it.
#[test]
fn loom_queue_closes_in_one_step() {
    for idle in [false, true] {
        check(None, move || {
            let queue = Arc::new(Queue::new());
            if idle {
                assert!(queue.go_idle());
            }
            let producers: Vec<_> = (1..3)
                .map(|producer| {
                    let queue = queue.clone();
                    thread::spawn(move || push(&queue, producer))
                })
                .collect();
            let closer = {
                let queue = queue.clone();
                thread::spawn(move || queue.close())
            };
            let pushes = producers
                .into_iter()
                .map(|producer| producer.join().unwrap());
            let pushes: Vec<_> = pushes.collect();
            let told_to_wake = usize::from(closer.join().unwrap())
                + pushes
                    .iter()
                    .filter(|push| **push == Push::WakeConsumer)
                    .count();
            assert_eq!(told_to_wake, usize::from(idle));
            let mut taken = Vec::new();
            drain(queue.take_all(), &mut taken);
            let accepted = pushes.iter().filter(|push| **push != Push::Closed).count();
            assert_eq!(taken.len(), accepted, "{pushes:?}");
            assert!(queue.is_closed() && !queue.has_nodes());
            assert!(
                !queue.go_idle(),
                "a closed queue's consumer has nothing to wait for"
            );
            assert_eq!(push(&queue, 3), Push::Closed);
        });
    }
}

/// The end of a tasklet: the consumer itself closes and drains while a producer pushes. Nothing is
/// left behind.
#[test]
fn loom_queue_consumer_closes_and_drains() {
    check(None, || {
        let queue = Arc::new(Queue::new());
        let producer = {
            let queue = queue.clone();
            thread::spawn(move || {
                let pushes = [push(&queue, 1), push(&queue, 2)];
                pushes.iter().filter(|push| **push != Push::Closed).count()
            })
        };
        let mut taken = Vec::new();
        drain(queue.take_all(), &mut taken);
        queue.close();
        drain(queue.take_all(), &mut taken);
        assert_eq!(producer.join().unwrap(), taken.len());
        drain(queue.take_all(), &mut taken);
        assert_eq!(taken, [1, 2][..taken.len()]);
    });
}

/// A consumer that was idle, timed out and went on working: a push that came in between has said so,
/// or is found by the next look; and after the idle state was taken back no push reports it.
#[test]
fn loom_queue_consumer_times_out_of_the_idle_state() {
    check(None, || {
        let queue = Arc::new(Queue::new());
        let told = Arc::new(AtomicBool::new(false));
        assert!(queue.go_idle());
        let producer = {
            let (queue, told) = (queue.clone(), told.clone());
            thread::spawn(move || {
                if push(&queue, 7) == Push::WakeConsumer {
                    told.store(true, Release);
                }
            })
        };
        let mut taken = Vec::new();
        queue.leave_idle();
        drain(queue.take_all(), &mut taken);
        if taken.is_empty() && queue.go_idle() {
            producer.join().unwrap();
            // Idle, and nothing was there: so this push must have been told to wake.
            assert!(told.load(Acquire));
            drain(queue.take_all(), &mut taken);
        } else {
            drain(queue.take_all(), &mut taken);
            producer.join().unwrap();
        }
        assert_eq!(taken, [7]);
    });
}
