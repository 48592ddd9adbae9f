//! Ends that one side watches at the other, and handles that are given back.

use actor_core::ExitReason;

use super::super::ends::reason;
use super::Reader;
use super::messages::give_credit;
use crate::watched::Watched as Subject;
use crate::wire::frame::{Body, Malformed};

impl Reader {
    pub(super) fn release(&mut self, body: &mut Body<'_>) -> Result<(), Malformed> {
        let id = body.small()?;
        let count = body.number()?;
        body.end()?;
        if !self.link.exports.release(id, count) {
            return Err(Malformed::Unknown);
        }
        // It may have to stay until what was sent to it is in its mailbox, and be given away again meanwhile.
        if !self.given_back.contains(&id) {
            self.given_back.push(id);
        }
        for id in std::mem::take(&mut self.given_back) {
            if self.link.exports.is_only_held(id) {
                self.given_back.push(id);
            } else if self.link.exports.get(id).is_none() {
                let number = u64::from(id) << 1 | 1;
                // All that was sent to it has been taken: its account is closed on both sides.
                if let Some(object) = self.handles.remove(&id)
                    && object.owed > 0
                {
                    give_credit(&self.link, number, object.owed);
                }
                self.link.forget_object(number);
            }
        }
        Ok(())
    }

    pub(super) fn subject(&self, number: u64) -> Result<Option<Subject>, Malformed> {
        let id = u32::try_from(number >> 1).map_err(|_| Malformed::Number)?;
        let exposed = if number & 1 == 0 {
            let object = self.named.get(id as usize).ok_or(Malformed::Unknown)?;
            object
                .name
                .as_ref()
                .and_then(|name| self.local.exposures.get(name))
        } else if self.link.exports.was_issued(id) {
            self.link.exports.get(id)
        } else {
            return Err(Malformed::Unknown);
        };
        Ok(exposed.and_then(|exposed| exposed.subject()))
    }

    /// The other side wants to know of the end of something.
    pub(super) fn watch(&mut self, number: u64) -> Result<(), Malformed> {
        match self.subject(number)? {
            Some(subject) => self.link.monitor_for(number, subject),
            None => {
                self.link.report(number, &ExitReason::Unreachable);
                Ok(())
            }
        }
    }

    /// Something of the other side has ended that is watched here.
    pub(super) fn exit(&mut self, body: &mut Body<'_>) -> Result<(), Malformed> {
        let number = body.number()?;
        let why = reason(body)?;
        body.end()?;
        if number & 1 == 0 {
            self.local.names.ended(self.link.session, number, why);
            return Ok(());
        }
        let id = u32::try_from(number >> 1).map_err(|_| Malformed::Number)?;
        let kept = self.link.kept.lock().remove(&id);
        if let Some(import) = kept.or_else(|| self.link.imports.get(id)) {
            import.absent().end(why);
        }
        Ok(())
    }

    /// One of the other side has ended that is linked with something of this one.
    pub(super) fn parted(&mut self, body: &mut Body<'_>) -> Result<(), Malformed> {
        let number = body.number()?;
        let linker = body.number()?;
        let why = reason(body)?;
        body.end()?;
        self.link.parted(number, linker, why);
        Ok(())
    }
}
