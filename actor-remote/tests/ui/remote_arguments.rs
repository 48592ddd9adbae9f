#![allow(unused_variables)]

#[path = "framework/mod.rs"]
mod framework;

use actor_core::{Context, remote};

#[remote(crate = crate::framework)]
trait Bank {
    type Error;

    fn text(&self, of: &str);

    fn slice(&self, of: &[u8]);

    fn answer(&self) -> &u64;

    fn lifetime<'a>(&self, of: &'a u64);

    fn merge(&mut self, with: Self);

    fn check(&self) -> Result<(), Self::Error>;

    fn within(&self, of: Vec<[u8; Self::SIZE]>);

    fn later(&mut self, ctx: &mut Context<u8>);

    fn pair(&self, (one, other): (u8, u8)) {}

    fn conditional(&self, #[cfg(all())] of: u8);

    #[message(version = 2)]
    fn versioned(&self);

    fn well_formed(&self) -> u64;
}

fn main() {}
