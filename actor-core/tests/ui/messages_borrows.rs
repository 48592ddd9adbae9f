#![allow(unused_variables)]

extern crate actor_core as concurrence;

use concurrence::{Actor, messages};

struct Counter;

impl Actor for Counter {}

struct Line<'a>(&'a str);

#[messages]
impl Counter {
    fn text(&mut self, text: &str) {}

    fn bytes(&mut self, bytes: Vec<&[u8]>) {}

    fn line(&mut self, line: Line<'_>) {}

    fn named<'a>(&mut self, line: Line<'a>) {}

    fn error(&mut self, error: Box<dyn std::error::Error + '_>) {}

    fn answer(&self) -> Option<&u64> {
        None
    }
}

fn main() {}
