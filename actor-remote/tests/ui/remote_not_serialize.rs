#[path = "framework/mod.rs"]
mod framework;

use actor_core::remote;

#[derive(Debug)]
struct Plain;

#[remote(crate = crate::framework)]
trait Bank {
    fn open(&mut self, with: Plain);

    fn close(&mut self) -> Plain;
}

fn main() {}
