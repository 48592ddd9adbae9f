//! Telnet, for those who serve text to people: its commands taken out of what they type.
//!
//! A telnet client mixes commands into what its user types: it proposes options (the size of its
//! window, say, or to send each key by itself), and asks for others. A server of plain text wants none of
//! them. [`TelnetFilter`] takes them out, and has the refusals that a client expects; [`TelnetStream`] does so
//! for a stream and answers by itself; [`TelnetCodec`] is for connections that
//! [actors serve](crate::Server::serve_actors). Clients that know nothing of telnet, such as `nc`, are
//! served just as well.
//!
//! The protocol is that of RFC 854.

mod codec;
mod stream;

pub use codec::TelnetCodec;
pub use stream::{TelnetReader, TelnetStream, TelnetWriter};

/// Begins a command; twice, it is the byte itself.
const IAC: u8 = 255;
const DONT: u8 = 254;
const DO: u8 = 253;
const WONT: u8 = 252;
const WILL: u8 = 251;
/// Begins what the ends tell each other about an option, up to `IAC SE`.
const SB: u8 = 250;
const SE: u8 = 240;

/// Takes the commands of telnet out of a stream of bytes.
///
/// Whatever comes, and however it is cut into pieces, it takes a fixed amount of memory: the text never gets
/// longer, and each option is refused once. So it never negotiates in circles.
///
/// ```
/// use actor_net::TelnetFilter;
///
/// let mut filter = TelnetFilter::new();
/// let (mut text, mut refusals) = (Vec::new(), Vec::new());
/// // The client offers to tell the size of its window, in the middle of a line.
/// filter.filter(b"he\xff\xfb\x1fllo\r\0", &mut text, &mut refusals);
/// assert_eq!(text, b"hello\r");
/// assert_eq!(refusals, b"\xff\xfe\x1f", "do not");
/// ```
#[derive(Clone, Debug, Default)]
pub struct TelnetFilter {
    state: State,
    /// The options that the other end has been told not to use, and that this end does not.
    refused: [Options; 2],
}

#[derive(Clone, Copy, Debug, Default)]
enum State {
    #[default]
    Text,
    /// Behind a carriage return, which is followed by a line feed, or by a zero that means nothing.
    Return,
    /// Behind IAC.
    Command,
    /// Behind DO, WILL and the like: the option comes.
    Option(u8),
    /// In what is said about an option; and there, behind IAC.
    About,
    AboutCommand,
}

/// A set of options.
#[derive(Clone, Copy, Debug, Default)]
struct Options([u64; 4]);

impl Options {
    /// Whether it was not there before.
    fn insert(&mut self, option: u8) -> bool {
        let (word, bit) = (&mut self.0[usize::from(option / 64)], 1 << (option % 64));
        let new = *word & bit == 0;
        *word |= bit;
        new
    }
}

impl TelnetFilter {
    /// A filter at the beginning of a stream.
    ///
    /// ```
    /// let filter = actor_net::TelnetFilter::new();
    /// ```
    pub fn new() -> Self {
        TelnetFilter::default()
    }

    /// Appends the text of `input` to `text`, and what is to be sent back to `refusals`.
    ///
    /// What a client does not get to hear of its options it takes for refused, so the refusals may be
    /// dropped; some clients only start more slowly then.
    pub fn filter(&mut self, input: &[u8], text: &mut Vec<u8>, refusals: &mut Vec<u8>) {
        text.extend(input.iter().filter_map(|&byte| self.next(byte, refusals)));
    }

    /// As [`filter`](Self::filter), in place: how many bytes of text are left, at the front.
    ///
    /// ```
    /// use actor_net::TelnetFilter;
    ///
    /// let mut bytes = *b"\xff\xf1hello";
    /// let count = TelnetFilter::new().filter_in_place(&mut bytes, &mut Vec::new());
    /// assert_eq!(bytes[..count], *b"hello");
    /// ```
    pub fn filter_in_place(&mut self, bytes: &mut [u8], refusals: &mut Vec<u8>) -> usize {
        let mut count = 0;
        for index in 0..bytes.len() {
            if let Some(byte) = self.next(bytes[index], refusals) {
                bytes[count] = byte;
                count += 1;
            }
        }
        count
    }

    /// Takes in a byte; gives it back if it belongs to the text.
    fn next(&mut self, byte: u8, refusals: &mut Vec<u8>) -> Option<u8> {
        let (state, text) = match (self.state, byte) {
            (State::Text | State::Return, IAC) => (State::Command, None),
            (State::Return, 0) => (State::Text, None),
            (State::Text | State::Return, b'\r') => (State::Return, Some(byte)),
            (State::Text | State::Return, _) => (State::Text, Some(byte)),
            (State::Command, IAC) => (State::Text, Some(byte)),
            (State::Command, DO | DONT | WILL | WONT) => (State::Option(byte), None),
            (State::Command, SB) => (State::About, None),
            (State::Command, _) => (State::Text, None),
            (State::Option(command), option) => {
                self.refuse(command, option, refusals);
                (State::Text, None)
            }
            (State::About, IAC) => (State::AboutCommand, None),
            (State::About, _) => (State::About, None),
            (State::AboutCommand, SE) => (State::Text, None),
            // Twice IAC is a byte of it; other commands have no business there.
            (State::AboutCommand, _) => (State::About, None),
        };
        self.state = state;
        text
    }

    fn refuse(&mut self, command: u8, option: u8, refusals: &mut Vec<u8>) {
        let [theirs, ours] = &mut self.refused;
        let (refused, refusal) = match command {
            WILL => (theirs, DONT),
            DO => (ours, WONT),
            // They say what is so already.
            _ => return,
        };
        if refused.insert(option) {
            refusals.extend([IAC, refusal, option]);
        }
    }
}
