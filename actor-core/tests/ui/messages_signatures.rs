#![allow(unused_variables)]

extern crate actor_core as concurrence;

use concurrence::{Actor, messages};

struct Counter;

impl Actor for Counter {}

#[messages]
impl Counter {
    async fn wait(&mut self) {}

    unsafe fn promise(&mut self) {}

    fn any<T>(&mut self, of: T) {}

    fn some(&mut self, of: impl Send) {}

    fn nameless(&mut self) -> impl Send {}

    fn consume(self) {}

    fn boxed(self: Box<Self>) {}

    fn for_ever(&mut self) -> ! {
        loop {}
    }
}

fn main() {}
