#![allow(unused_variables)]

#[path = "framework/mod.rs"]
mod framework;

use actor_core::remote;

#[remote(crate = crate::framework)]
trait Bank {
    async fn wait(&mut self);

    unsafe fn promise(&mut self);

    fn any<T>(&mut self, of: T);

    fn some(&mut self, of: impl Send);

    fn nameless(&mut self) -> impl Send;

    fn consume(self);

    fn boxed(self: Box<Self>);

    fn for_ever(&mut self) -> !;

    fn well_formed(&self) -> u64;
}

fn main() {}
