//! Why links end, and what crosses them as codes: outcomes of calls, reasons of ends.

use std::fmt;
use std::io;
use std::sync::Arc;

use actor_core::__private::catch_panic;
use actor_core::{BoxError, CallError, ExitReason, Refusal};

use crate::wire::frame::{Body, Malformed, cut, put_text};

/// Why a link has ended; see [`PeerRef::last_end`](crate::PeerRef::last_end).
///
/// ```
/// use actor_remote::LinkEnd;
///
/// assert_eq!(LinkEnd::Cut.to_string(), "was cut off");
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum LinkEnd {
    /// One of the two nodes has closed it.
    Closed,
    /// Nothing has been heard of the other node for too long.
    Silent,
    /// The other node does not read the answers to what it says.
    Stalled,
    /// The connection has ended, and nobody had closed the link: one of the two processes has ended, or something between
    /// them has.
    Cut,
    /// The connection has failed.
    Failed(io::ErrorKind),
    /// What came makes no sense: another program, a faulty proxy, or an attack.
    Corrupt(Arc<str>),
    /// Another has taken its place: the other node has started anew, or this one had ended for it before it had for this
    /// node.
    Replaced,
}

impl fmt::Display for LinkEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LinkEnd::Closed => f.write_str("was closed"),
            LinkEnd::Silent => f.write_str("has been silent for too long"),
            LinkEnd::Stalled => f.write_str("was not read from for too long"),
            LinkEnd::Cut => f.write_str("was cut off"),
            LinkEnd::Failed(kind) => write!(f, "has failed: {kind}"),
            LinkEnd::Corrupt(what) => write!(f, "brought what makes no sense: {what}"),
            LinkEnd::Replaced => f.write_str("was replaced by another"),
        }
    }
}

impl From<Malformed> for LinkEnd {
    fn from(malformed: Malformed) -> LinkEnd {
        LinkEnd::Corrupt(malformed.to_string().into())
    }
}

impl From<io::Error> for LinkEnd {
    fn from(error: io::Error) -> LinkEnd {
        LinkEnd::Failed(error.kind())
    }
}

/// An outcome of a call that is no answer, as a number above zero.
pub(super) fn code_of(error: CallError) -> u8 {
    match error {
        CallError::Timeout => 1,
        CallError::Ended => 2,
        CallError::Full => 3,
        CallError::Deadlock => 5,
        CallError::Exhausted => 6,
        CallError::WouldBlock => 7,
        CallError::Disconnected {
            maybe_executed: false,
        } => 8,
        CallError::Disconnected {
            maybe_executed: true,
        } => 9,
        CallError::Refused(why) => 16 + refusal_code(why),
        // A later one, which the other side may not know.
        _ => 4,
    }
}

/// Of such a number.
pub(super) fn error_of(code: u8) -> CallError {
    match code {
        1 => CallError::Timeout,
        2 => CallError::Ended,
        3 => CallError::Full,
        5 => CallError::Deadlock,
        6 => CallError::Exhausted,
        7 => CallError::WouldBlock,
        8 => CallError::Disconnected {
            maybe_executed: false,
        },
        9 => CallError::Disconnected {
            maybe_executed: true,
        },
        code if code >= 16 => CallError::Refused(refusal_of(code - 16)),
        _ => CallError::Unanswered,
    }
}

/// A refusal as a number.
pub(crate) fn refusal_code(why: Refusal) -> u8 {
    match why {
        Refusal::NotExposed => 1,
        Refusal::Version => 2,
        Refusal::Undecodable => 3,
        Refusal::Unencodable => 4,
        Refusal::TooBig => 5,
        Refusal::TooManyNames => 6,
        Refusal::Forgotten => 7,
        Refusal::NotIdempotent => 8,
        _ => 0,
    }
}

/// Of such a number.
pub(crate) fn refusal_of(code: u8) -> Refusal {
    match code {
        1 => Refusal::NotExposed,
        2 => Refusal::Version,
        3 => Refusal::Undecodable,
        4 => Refusal::Unencodable,
        5 => Refusal::TooBig,
        6 => Refusal::TooManyNames,
        7 => Refusal::Forgotten,
        8 => Refusal::NotIdempotent,
        _ => Refusal::Unknown,
    }
}

/// Writes why something has ended. Panics and errors cross as texts.
pub(super) fn put_reason(into: &mut Vec<u8>, reason: &ExitReason) {
    let (code, text) = match reason {
        ExitReason::Normal => (0, String::new()),
        ExitReason::Stopped => (1, String::new()),
        ExitReason::Shutdown => (2, String::new()),
        ExitReason::Killed => (3, String::new()),
        ExitReason::Panicked(text) => (4, text.to_string()),
        // A `Display` that panics takes nothing from those who are told of the end.
        ExitReason::Failed(error) => (5, catch_panic(|| error.to_string()).unwrap_or_default()),
        ExitReason::NoConnection => (7, String::new()),
        // Unreachable, and later ones.
        _ => (6, String::new()),
    };
    into.push(code);
    put_text(into, cut(&text));
}

/// Reads what [`put_reason`] has written.
pub(super) fn reason(body: &mut Body<'_>) -> Result<ExitReason, Malformed> {
    let code = body.byte()?;
    let text = body.text()?;
    Ok(match code {
        0 => ExitReason::Normal,
        1 => ExitReason::Stopped,
        2 => ExitReason::Shutdown,
        3 => ExitReason::Killed,
        4 => ExitReason::Panicked(text.into()),
        5 => ExitReason::Failed(Arc::from(BoxError::from(text))),
        7 => ExitReason::NoConnection,
        _ => ExitReason::Unreachable,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_come_back() {
        let disconnected = |maybe_executed| CallError::Disconnected { maybe_executed };
        for error in [
            CallError::Timeout,
            CallError::Ended,
            CallError::Full,
            CallError::Unanswered,
            CallError::Deadlock,
            CallError::Exhausted,
            CallError::WouldBlock,
            disconnected(false),
            disconnected(true),
            CallError::Refused(Refusal::Unknown),
            CallError::Refused(Refusal::NotExposed),
            CallError::Refused(Refusal::Version),
            CallError::Refused(Refusal::Undecodable),
            CallError::Refused(Refusal::Unencodable),
            CallError::Refused(Refusal::TooBig),
            CallError::Refused(Refusal::TooManyNames),
            CallError::Refused(Refusal::Forgotten),
            CallError::Refused(Refusal::NotIdempotent),
        ] {
            assert_ne!(code_of(error), 0);
            assert_eq!(error_of(code_of(error)), error);
        }
    }

    #[test]
    fn reasons_come_back() {
        let failed = ExitReason::Failed(Arc::from(BoxError::from("out of paper")));
        for sent in [
            ExitReason::Normal,
            ExitReason::Stopped,
            ExitReason::Shutdown,
            ExitReason::Killed,
            ExitReason::Panicked("at once".into()),
            failed,
            ExitReason::Unreachable,
            ExitReason::NoConnection,
        ] {
            let mut bytes = Vec::new();
            put_reason(&mut bytes, &sent);
            let mut body = Body(&bytes);
            let back = reason(&mut body).unwrap();
            assert_eq!(format!("{back:?}"), format!("{sent:?}"));
            body.end().unwrap();
        }
    }
}
