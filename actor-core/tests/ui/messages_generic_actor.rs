extern crate actor_core as concurrence;

use concurrence::{Actor, messages};

struct Stack<T>(Vec<T>);

impl<T: Send + 'static> Actor for Stack<T> {}

#[messages]
impl<T: Send + 'static> Stack<T> {
    fn push(&mut self, item: T) {
        self.0.push(item);
    }
}

fn main() {}
