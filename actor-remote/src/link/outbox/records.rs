//! Frames, as they are written into the record in the making.

use super::State;
use crate::wire::frame::{HEAD, Head, Kind, MAX_FRAME};
use crate::wire::record;

impl State {
    /// The record in the making.
    pub(super) fn last(&mut self) -> &mut Vec<u8> {
        if self.records.is_empty() {
            self.begin_record();
        }
        &mut self.records.back_mut().expect("there is one now").0
    }

    /// One more message is in the record in the making.
    pub(super) fn count(&mut self) {
        self.messages += 1;
        if let Some((_, messages)) = self.records.back_mut() {
            *messages += 1;
        }
    }

    pub(super) fn begin_record(&mut self) {
        let mut record = self.spare.pop().unwrap_or_default();
        record.clear();
        record.resize(record::HEADER, 0);
        self.records.push_back((record, 0));
        self.begun += 1;
    }

    /// Begins a frame, in a record that has room for any.
    pub(super) fn begin(&mut self, kind: Kind, flags: u8) -> usize {
        let is_full = |(record, _): &(Vec<u8>, usize)| {
            record.len() + HEAD + MAX_FRAME > record::HEADER + record::MAX_PAYLOAD
        };
        if self.records.back().is_none_or(is_full) {
            self.begin_record();
        }
        let record = self.last();
        let start = record.len();
        let head = Head {
            length: 0,
            kind,
            flags,
            lane: 0,
        };
        record.extend_from_slice(&head.to_bytes());
        start
    }

    /// The frame that began at `start` is whole.
    pub(super) fn end_frame(&mut self, start: usize) {
        let record = self.last();
        let length = (record.len() - start - HEAD) as u32;
        record[start..start + 4].copy_from_slice(&length.to_le_bytes());
        self.bytes += HEAD + length as usize;
    }
}
