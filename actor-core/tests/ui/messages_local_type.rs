#![allow(unused_variables)]

extern crate actor_core as concurrence;

use concurrence::{Actor, messages};

fn function() {
    struct Job;

    struct Counter;

    impl Actor for Counter {}

    #[messages]
    impl Counter {
        fn work(&mut self, job: Job) {}
    }
}

fn main() {}
