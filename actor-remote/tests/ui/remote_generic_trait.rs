use actor_core::remote;

#[remote]
trait Store<T> {
    fn put(&mut self, value: T);
}

#[remote]
trait Borrowed<'a> {
    fn get(&self) -> u64;
}

fn main() {}
