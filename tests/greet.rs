//! Tasklets of one worker take turns in the order in which they were spawned.

mod common;

use common::{Program, example};

#[test]
fn greetings_come_round_robin() {
    let greet = Program::start(&mut example("greet")).ended();
    assert_eq!(greet.stdout, "Hello, A\nHello, B\nGoodbye A\nGoodbye B\n");
    assert_eq!(greet.code(), Some(0), "{}", greet.stderr);
}
