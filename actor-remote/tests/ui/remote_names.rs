#[path = "framework/mod.rs"]
mod framework;

use actor_core::remote;

#[remote(crate = crate::framework)]
trait Bank {
    fn call(&self);

    fn send(&self, amount: u64);

    fn serialize(&self) -> String;

    fn __(&self);

    fn a_name_that_is_so_long_that_no_line_of_any_log_has_room_for_it_and_that_nobody_would_ever_want_to_write_or_read_or_have_to_say_aloud(
        &self,
    );

    fn well_formed(&self) -> u64;
}

fn main() {}
