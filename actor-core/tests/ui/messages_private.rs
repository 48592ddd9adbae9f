extern crate actor_core as concurrence;

use concurrence::Addr;

mod counter {
    use concurrence::{Actor, messages};

    pub struct Counter;

    impl Actor for Counter {}

    #[messages]
    impl Counter {
        pub fn add(&mut self, _n: u64) {}

        fn tick(&mut self) {}
    }
}

use counter::*;

fn tick(counter: &Addr<Counter>) {
    counter.tick().unwrap();
    counter.send(counter_messages::Tick).unwrap();
}

fn main() {}
