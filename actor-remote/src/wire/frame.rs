//! Frames: one message, or one word about the link, each.
//!
//! A record carries whole frames. Each has a head of eight bytes, little endian:
//!
//! ```text
//! length of what follows u32 | kind u8 | flags u8 | lane u16
//! ```
//!
//! Numbers in what follows are varints: seven bits a byte, the lowest first, no longer than they need be.

use std::fmt;

/// How long a frame's head is.
pub const HEAD: usize = 8;

/// The most bytes that follow a head: a message of 64 KiB, and what comes before it. Bigger ones go in pieces.
pub const MAX_FRAME: usize = 64 * 1024 + 256;

/// What a frame is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// A message that was sent.
    Tell = 1,
    /// A message that was called.
    Call = 2,
    /// The outcome of a call.
    Reply = 3,
    /// The number by which the sender of this frame names a class of messages from now on.
    Class = 4,
    /// The number by which the sender of this frame names an exposed object from now on.
    Object = 5,
    /// A piece of a frame that is bigger than one may be.
    Chunk = 6,
    /// Handles that are no longer used.
    Release = 7,
    /// A message that was sent, and that cannot be delivered.
    Refused = 8,
    /// The sender of this frame wants to know of an object's end.
    Monitor = 9,
    /// An object has ended.
    Exit = 10,
    /// The same as `Monitor`, both ways: a receiver of each side is linked with one of the other.
    Link = 11,
    /// A link is taken back.
    Unlink = 12,
    /// To be answered at once.
    Ping = 13,
    /// The answer to `Ping`.
    Pong = 14,
    /// An object takes so much more.
    Credit = 15,
    /// The link is closed in order.
    Goodbye = 16,
    /// What is exposed by a name?
    Lookup = 17,
    /// The answer to `Lookup`.
    Found = 18,
    /// Start an actor of a kind that is offered.
    Spawn = 19,
    /// The answer to `Spawn`.
    Spawned = 20,
    /// A receiver that was linked from the sender's side has ended.
    Parted = 21,
    /// Whoever made a call waits no longer.
    Cancel = 22,
    /// The first frame of each side, but for `Ping`: the initiator wants to take the link into use, and the other does.
    Begin = 23,
    /// A spawned actor is to end.
    Stop = 24,
    /// The sender of this frame no longer wants to know of an object's end.
    Demonitor = 25,
}

impl Kind {
    const ALL: [Kind; 25] = [
        Kind::Tell,
        Kind::Call,
        Kind::Reply,
        Kind::Class,
        Kind::Object,
        Kind::Chunk,
        Kind::Release,
        Kind::Refused,
        Kind::Monitor,
        Kind::Exit,
        Kind::Link,
        Kind::Unlink,
        Kind::Ping,
        Kind::Pong,
        Kind::Credit,
        Kind::Goodbye,
        Kind::Lookup,
        Kind::Found,
        Kind::Spawn,
        Kind::Spawned,
        Kind::Parted,
        Kind::Cancel,
        Kind::Begin,
        Kind::Stop,
        Kind::Demonitor,
    ];

    /// The kind of this number.
    pub fn of(number: u8) -> Option<Kind> {
        let kind = *Kind::ALL.get(usize::from(number).checked_sub(1)?)?;
        debug_assert!(kind as u8 == number);
        Some(kind)
    }
}

/// A frame's head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// How many bytes follow.
    pub length: u32,
    /// What they are about.
    pub kind: Kind,
    /// What they have; see [`FIRST`] and the others.
    pub flags: u8,
    /// Which way they go, if in pieces.
    pub lane: u16,
}

/// The frame's body begins with a table of handles.
pub const HANDLES: u8 = 1;
/// The first piece: the length of the whole, its kind and its flags come before it.
pub const FIRST: u8 = 2;
/// The last piece.
pub const LAST: u8 = 4;

/// A call that is executed once, however often it is made: which one it is comes before the rest.
pub const ONCE: u8 = 8;

impl Head {
    /// As bytes.
    pub fn to_bytes(self) -> [u8; HEAD] {
        let length = self.length.to_le_bytes();
        let lane = self.lane.to_le_bytes();
        [
            length[0],
            length[1],
            length[2],
            length[3],
            self.kind as u8,
            self.flags,
            lane[0],
            lane[1],
        ]
    }

    /// Takes the next frame off `bytes`: its head, and what follows.
    ///
    /// # Errors
    ///
    /// [`Malformed`] if it is not there as a whole, is too long, or of no known kind; nothing is taken then.
    pub fn take<'a>(bytes: &mut &'a [u8]) -> Result<(Head, &'a [u8]), Malformed> {
        let Some((head, rest)) = bytes.split_first_chunk::<HEAD>() else {
            return Err(Malformed::Short);
        };
        let length = u32::from_le_bytes([head[0], head[1], head[2], head[3]]);
        let kind = Kind::of(head[4]).ok_or(Malformed::Kind(head[4]))?;
        if length as usize > MAX_FRAME {
            return Err(Malformed::TooLong(length));
        }
        let Some((body, rest)) = rest.split_at_checked(length as usize) else {
            return Err(Malformed::Short);
        };
        *bytes = rest;
        let head = Head {
            length,
            kind,
            flags: head[5],
            lane: u16::from_le_bytes([head[6], head[7]]),
        };
        Ok((head, body))
    }
}

/// Why the bytes of a frame make no sense. It ends the link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Malformed {
    /// It ends in the middle.
    Short,
    /// Something is behind its end.
    Trailing,
    /// It is longer than a frame may be.
    TooLong(u32),
    /// There is no such kind.
    Kind(u8),
    /// A number is longer than it need be, or too great.
    Number,
    /// A text is no UTF-8, or longer than it may be.
    Text,
    /// It names something that has not been introduced.
    Unknown,
    /// It introduces something that has been introduced, or out of turn.
    Again,
    /// It is not for this side to say.
    OutOfTurn,
    /// More is open at a time than the two have agreed on.
    TooMany,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Malformed::Short => f.write_str("a frame ends in the middle"),
            Malformed::Trailing => f.write_str("a frame has more than belongs to it"),
            Malformed::TooLong(length) => write!(f, "a frame of {length} bytes is too long"),
            Malformed::Kind(number) => write!(f, "there are no frames of kind {number}"),
            Malformed::Number => f.write_str("a number in a frame is not well formed"),
            Malformed::Text => f.write_str("a text in a frame is not well formed"),
            Malformed::Unknown => f.write_str("a frame names what has not been introduced"),
            Malformed::Again => f.write_str("a frame introduces what is there already"),
            Malformed::OutOfTurn => {
                f.write_str("a frame comes from the wrong side, or out of turn")
            }
            Malformed::TooMany => f.write_str("a frame opens more than may be open at a time"),
        }
    }
}

impl std::error::Error for Malformed {}

/// Appends a number.
#[inline]
pub fn put_number(into: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        into.push(number as u8 | 0x80);
        number >>= 7;
    }
    into.push(number as u8);
}

/// Appends a text.
pub fn put_text(into: &mut Vec<u8>, text: &str) {
    put_number(into, text.len() as u64);
    into.extend_from_slice(text.as_bytes());
}

/// The longest text in a frame: names, and why something has ended.
pub const MAX_TEXT: usize = 1024;

/// As much of `text` as goes into a frame.
pub fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_TEXT)]
}

/// What is left of a frame's body. What cannot be read is [`Malformed`], and how much is left after that is open.
///
/// ```
/// use actor_remote::wire::frame::{Body, Malformed, put_number, put_text};
///
/// let mut bytes = Vec::new();
/// put_number(&mut bytes, 300);
/// put_text(&mut bytes, "bank");
///
/// let mut body = Body(&bytes);
/// assert_eq!(body.number(), Ok(300));
/// assert_eq!(body.text(), Ok("bank"));
/// assert_eq!(body.end(), Ok(()));
/// assert_eq!(body.byte(), Err(Malformed::Short));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Body<'a>(pub &'a [u8]);

impl<'a> Body<'a> {
    /// The next number.
    #[inline]
    pub fn number(&mut self) -> Result<u64, Malformed> {
        let mut number = 0u64;
        for place in 0..10 {
            let (&byte, rest) = self.0.split_first().ok_or(Malformed::Short)?;
            self.0 = rest;
            let bits = u64::from(byte & 0x7F);
            // The tenth byte has room for one bit; a last byte of nothing is one too many.
            if (place == 9 && byte > 1) || (place > 0 && byte == 0) {
                return Err(Malformed::Number);
            }
            number |= bits << (7 * place);
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(Malformed::Number)
    }

    /// The next number, which is below 2^32.
    #[inline]
    pub fn small(&mut self) -> Result<u32, Malformed> {
        u32::try_from(self.number()?).map_err(|_| Malformed::Number)
    }

    /// The next sixteen bytes, as a number.
    pub fn wide(&mut self) -> Result<u128, Malformed> {
        let (bytes, rest) = self.0.split_first_chunk().ok_or(Malformed::Short)?;
        self.0 = rest;
        Ok(u128::from_le_bytes(*bytes))
    }

    /// The next byte.
    pub fn byte(&mut self) -> Result<u8, Malformed> {
        let (&byte, rest) = self.0.split_first().ok_or(Malformed::Short)?;
        self.0 = rest;
        Ok(byte)
    }

    /// The next text.
    pub fn text(&mut self) -> Result<&'a str, Malformed> {
        let length = self.number()?;
        if length > MAX_TEXT as u64 {
            return Err(Malformed::Text);
        }
        let (text, rest) = self
            .0
            .split_at_checked(length as usize)
            .ok_or(Malformed::Short)?;
        self.0 = rest;
        std::str::from_utf8(text).map_err(|_| Malformed::Text)
    }

    /// All that is left.
    pub fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }

    /// Fails if something is left.
    pub fn end(&self) -> Result<(), Malformed> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(Malformed::Trailing)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_have_their_numbers() {
        for number in 0..=255 {
            match Kind::of(number) {
                Some(kind) => assert_eq!(kind as u8, number),
                None => assert!(number == 0 || usize::from(number) > Kind::ALL.len()),
            }
        }
    }

    #[test]
    fn numbers_come_back() {
        for number in [
            0,
            1,
            127,
            128,
            300,
            16_383,
            16_384,
            u64::from(u32::MAX),
            u64::MAX,
        ] {
            let mut bytes = Vec::new();
            put_number(&mut bytes, number);
            let mut body = Body(&bytes);
            assert_eq!(body.number(), Ok(number));
            assert_eq!(body.end(), Ok(()));
        }
    }

    #[test]
    fn numbers_have_one_form() {
        assert_eq!(Body(&[0x80, 0x00]).number(), Err(Malformed::Number));
        assert_eq!(Body(&[0x80]).number(), Err(Malformed::Short));
        assert_eq!(Body(&[0xFF; 10]).number(), Err(Malformed::Number));
        assert_eq!(Body(&[0xFF; 11]).number(), Err(Malformed::Number));
        let too_great = [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x02];
        assert_eq!(Body(&too_great).number(), Err(Malformed::Number));
    }

    #[test]
    fn frames_that_end_in_the_middle_are_refused() {
        let head = Head {
            length: 3,
            kind: Kind::Ping,
            flags: 0,
            lane: 7,
        };
        let mut whole = head.to_bytes().to_vec();
        whole.extend_from_slice(b"abc");
        for length in 0..whole.len() {
            assert_eq!(Head::take(&mut &whole[..length]), Err(Malformed::Short));
        }
        let mut bytes = &whole[..];
        assert_eq!(Head::take(&mut bytes), Ok((head, &b"abc"[..])));
        assert!(bytes.is_empty());
    }

    #[test]
    fn long_and_unknown_frames_are_refused() {
        let mut bytes = [0; HEAD];
        bytes[..4].copy_from_slice(&(MAX_FRAME as u32 + 1).to_le_bytes());
        bytes[4] = Kind::Tell as u8;
        let length = MAX_FRAME as u32 + 1;
        assert_eq!(Head::take(&mut &bytes[..]), Err(Malformed::TooLong(length)));
        bytes[4] = 99;
        assert_eq!(Head::take(&mut &bytes[..]), Err(Malformed::Kind(99)));
    }

    #[test]
    fn texts_are_cut_at_a_character() {
        let long = "ä".repeat(MAX_TEXT);
        assert_eq!(cut(&long).len(), MAX_TEXT);
        let odd = format!("a{long}");
        assert_eq!(cut(&odd).len(), MAX_TEXT - 1);
    }
}
