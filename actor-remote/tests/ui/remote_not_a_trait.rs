use actor_core::remote;

#[remote]
struct Bank;

#[remote]
impl Bank {
    fn close(&mut self) {}
}

#[remote]
fn open() {}

fn main() {}
