//! Messages that come in pieces.

use std::mem;

use super::super::outbox::LANES;
use crate::wire::frame::{Body, FIRST, Head, Kind, LAST, Malformed};

/// What has come of messages that have not come whole: one a lane.
pub(super) struct Chunks {
    lanes: [Option<Partial>; LANES],
    max: usize,
}

struct Partial {
    kind: Kind,
    flags: u8,
    total: usize,
    bytes: Vec<u8>,
}

/// A frame has more than the message: numbers and handles.
pub(super) const MARGIN: usize = 64 * 1024;

impl Chunks {
    pub(super) fn new(max: usize) -> Chunks {
        Chunks {
            lanes: Default::default(),
            max: max + MARGIN,
        }
    }

    /// The whole frame, if this was its last piece.
    pub(super) fn add(
        &mut self,
        head: Head,
        body: &[u8],
    ) -> Result<Option<(Kind, u8, Vec<u8>)>, Malformed> {
        let lane = usize::from(head.lane);
        if lane >= LANES {
            return Err(Malformed::TooMany);
        }
        let mut body = Body(body);
        if head.flags & FIRST != 0 {
            let total = usize::try_from(body.number()?).map_err(|_| Malformed::Number)?;
            let number = body.byte()?;
            let kind = Kind::of(number).ok_or(Malformed::Kind(number))?;
            let flags = body.byte()?;
            if self.lanes[lane].is_some() || kind == Kind::Chunk {
                return Err(Malformed::OutOfTurn);
            }
            if total > self.max {
                return Err(Malformed::TooLong(u32::try_from(total).unwrap_or(u32::MAX)));
            }
            self.lanes[lane] = Some(Partial {
                kind,
                flags,
                total,
                // It grows with what comes.
                bytes: Vec::new(),
            });
        }
        let Some(partial) = &mut self.lanes[lane] else {
            return Err(Malformed::OutOfTurn);
        };
        let piece = body.rest();
        if partial.bytes.len() + piece.len() > partial.total || piece.is_empty() {
            return Err(Malformed::Trailing);
        }
        partial.bytes.extend_from_slice(piece);
        if head.flags & LAST == 0 {
            return Ok(None);
        }
        if partial.bytes.len() != partial.total {
            return Err(Malformed::Short);
        }
        let whole = (partial.kind, partial.flags, mem::take(&mut partial.bytes));
        self.lanes[lane] = None;
        Ok(Some(whole))
    }
}
