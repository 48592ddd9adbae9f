//! Messages that are bigger than a frame: they go by lanes, a piece at a time, and what must not overtake them
//! waits behind them.

use std::collections::VecDeque;

use super::{LANES, State};
use crate::wire::frame::{FIRST, Kind, LAST, MAX_FRAME, put_number};

/// A frame that goes by its lane.
pub(super) struct Bulk {
    pub(super) kind: Kind,
    pub(super) flags: u8,
    pub(super) body: Vec<u8>,
    pub(super) sent: usize,
    pub(super) call: Option<u32>,
    /// How many there had been when it was added, with itself.
    pub(super) number: u64,
}

/// Word that is behind what goes by the lanes.
pub(super) struct Deferred {
    /// How many there had been that it comes behind.
    pub(super) behind: u64,
    pub(super) kind: Kind,
    pub(super) body: Vec<u8>,
}

/// What word that waits counts for, beside its bytes.
const DEFERRED: usize = 96;

impl State {
    pub(super) fn add_bulk(&mut self, lane: usize, mut bulk: Bulk) {
        self.bytes += bulk.body.len();
        self.bulk += 1;
        self.messages += 1;
        self.bulks += 1;
        bulk.number = self.bulks;
        self.lanes[lane].push_back(bulk);
    }

    pub(super) fn word_behind(&mut self, kind: Kind, write: impl FnOnce(&mut Vec<u8>)) {
        if self.bulk == 0 {
            let start = self.begin(kind, 0);
            write(self.last());
            self.end_frame(start);
            return;
        }
        let mut body = Vec::new();
        write(&mut body);
        let behind = self.bulks;
        self.bytes += DEFERRED + body.len();
        self.deferred.push_back(Deferred { behind, kind, body });
    }

    /// A frame has gone by its lane: so has perhaps all that some word was behind.
    pub(super) fn bulk_has_gone(&mut self) {
        self.bulk -= 1;
        let fronts = self.lanes.iter().filter_map(VecDeque::front);
        let oldest = fronts.map(|bulk| bulk.number).min().unwrap_or(u64::MAX);
        while let Some(word) = self.deferred.pop_front_if(|word| word.behind < oldest) {
            self.bytes -= DEFERRED + word.body.len();
            let start = self.begin(word.kind, 0);
            self.last().extend_from_slice(&word.body);
            self.end_frame(start);
        }
    }

    /// Puts a piece of one lane into the record: the next lane's turn each time.
    pub(super) fn pump_lanes(&mut self) {
        if self.bulk == 0 {
            return;
        }
        for _ in 0..LANES {
            let lane = self.next_lane;
            self.next_lane = (lane + 1) % LANES;
            if let Some(bulk) = self.lanes[lane].pop_front() {
                self.pump(lane, bulk);
                return;
            }
        }
    }

    pub(super) fn pump(&mut self, lane: usize, mut bulk: Bulk) {
        // What goes into a record is counted with that.
        if bulk.sent == 0 && bulk.body.len() <= MAX_FRAME {
            let start = self.begin(bulk.kind, bulk.flags);
            self.last().extend_from_slice(&bulk.body);
            self.end_frame(start);
            self.bytes -= bulk.body.len();
            self.messages -= 1;
            let record = self.begun;
            if let Some(call) = bulk.call {
                self.went(call, record);
            }
            self.bulk_has_gone();
            return;
        }
        let first = bulk.sent == 0;
        // What the first piece has before it: the whole's length, kind and flags.
        let piece = (bulk.body.len() - bulk.sent).min(MAX_FRAME - 16);
        let last = bulk.sent + piece == bulk.body.len();
        let flags = if first { FIRST } else { 0 } | if last { LAST } else { 0 };
        let start = self.begin(Kind::Chunk, flags);
        let into = self.last();
        into[start + 6..start + 8].copy_from_slice(&(lane as u16).to_le_bytes());
        if first {
            put_number(into, bulk.body.len() as u64);
            into.push(bulk.kind as u8);
            into.push(bulk.flags);
        }
        into.extend_from_slice(&bulk.body[bulk.sent..bulk.sent + piece]);
        self.end_frame(start);
        self.bytes -= piece;
        bulk.sent += piece;
        let record = self.begun;
        if first && let Some(call) = bulk.call {
            self.went(call, record);
        }
        if last {
            self.messages -= 1;
            self.bulk_has_gone();
        } else {
            self.lanes[lane].push_front(bulk);
        }
    }
}
