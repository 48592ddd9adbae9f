//! What the queues of the models hold: numbers.

use std::ptr::NonNull;

use loom::cell::UnsafeCell;

use crate::queue::{Chain, Kind, Link, Push, Queue};

/// A node, as an envelope is one. loom sees to it that what is in it is written before it is read.
#[repr(C)]
struct Node {
    link: Link,
    value: UnsafeCell<usize>,
}

pub(super) fn node(value: usize) -> NonNull<Link> {
    let node = Node {
        link: Link::new(Kind::Envelope),
        value: UnsafeCell::new(0),
    };
    // SAFETY: not shared yet.
    node.value.with_mut(|place| unsafe { *place = value });
    NonNull::from(Box::leak(Box::new(node))).cast()
}

/// Takes a node apart that is the caller's.
pub(super) fn value(node: NonNull<Link>) -> usize {
    // SAFETY: made by `node`, and the caller owns it.
    let node = unsafe { Box::from_raw(node.cast::<Node>().as_ptr()) };
    // SAFETY: the box is the only owner.
    node.value.with(|place| unsafe { *place })
}

pub(super) fn push(queue: &Queue, number: usize) -> Push {
    let node = node(number);
    // SAFETY: just made.
    let pushed = unsafe { queue.push(node) };
    if pushed == Push::Closed {
        assert_eq!(
            value(node),
            number,
            "a refused node is still the producer's"
        );
    }
    pushed
}

pub(super) fn drain(mut chain: Chain, into: &mut Vec<usize>) {
    let len = chain.len();
    let before = into.len();
    while let Some(node) = chain.pop() {
        into.push(value(node));
    }
    assert_eq!(into.len() - before, len, "a chain is as long as it says");
}

pub(super) fn assert_in_order(taken: &[usize], producer: usize) {
    let own: Vec<_> = taken
        .iter()
        .filter(|value| *value / 10 == producer)
        .collect();
    assert!(own.is_sorted(), "producer {producer}: {taken:?}");
}
