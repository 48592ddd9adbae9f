//! Writes what is in a link's outbox, and asks the other side for a sign of life when there is nothing.

use std::io::{self, IoSlice, Write};

use actor_core::time;

use super::Link;
use crate::wire::frame::Kind;
use crate::wire::record::Seal;

/// Writes until the link ends; `true` if it was closed in order, and all has been written. `to` is written to in
/// whole records.
pub(crate) fn write(link: &Link, to: &mut dyn Write, mut seal: Seal) -> bool {
    let mut batch = Vec::new();
    let mut swept = time::now();
    while link.outbox.take(&mut batch, link.settings.heartbeat.ask) {
        if batch.is_empty() {
            link.outbox.word(Kind::Ping, 0, |_| {});
        }
        for record in &mut batch {
            seal.seal(record, 0);
        }
        if let Err(error) = write_all(to, &batch) {
            link.end(error.into());
            return false;
        }
        link.outbox.give_back(&mut batch);
        let now = time::now();
        if now - swept >= link.settings.heartbeat.ask {
            swept = now;
            link.outbox.forget_unwanted();
        }
    }
    link.ended().is_none()
}

/// In as few system calls as possible: each wakes whoever reads at the other end.
fn write_all(to: &mut dyn Write, batch: &[Vec<u8>]) -> io::Result<()> {
    let mut slices: Vec<_> = batch.iter().map(|record| IoSlice::new(record)).collect();
    let mut left = &mut slices[..];
    while !left.is_empty() {
        match to.write_vectored(left) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => IoSlice::advance_slices(&mut left, count),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    to.flush()
}
