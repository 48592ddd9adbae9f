//! [`Window`].

/// How many messages, and bytes they were made of, a receiver may have to handle before more is read.
const MESSAGES: usize = 64;
const BYTES: usize = 64 * 1024;

/// What one peer has put into a mailbox that has no bound of its own, since its receiver was last waited for.
///
/// The last message of a window is a call, which ends when the receiver has handled it, and so all before it.
/// Others can send to the receiver meanwhile; a bound on the mailbox would refuse or delay them as well.
#[derive(Debug, Default)]
pub(crate) struct Window {
    messages: usize,
    bytes: usize,
}

impl Window {
    /// Whether a message that is made of `bytes` is the last of it; the next window begins behind it.
    pub(crate) fn ends_with(&mut self, bytes: usize) -> bool {
        self.messages += 1;
        self.bytes += bytes;
        let ends = self.messages >= MESSAGES || self.bytes >= BYTES;
        if ends {
            *self = Window::default();
        }
        ends
    }
}
