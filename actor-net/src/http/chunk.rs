//! Chunked bodies, in both directions.
//!
//! The grammar is that of RFC 9112, section 7.1, to the letter, but for the blanks that it has recipients
//! tolerate before and in extensions: programs have disagreed on these, and no one sends them.

use bytes::{Bytes, BytesMut};
use http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE,
    CONTENT_TYPE, COOKIE, EXPECT, HOST, HeaderMap, HeaderName, MAX_FORWARDS, PRAGMA,
    PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, RANGE, SET_COOKIE, TE, TRAILER, TRANSFER_ENCODING,
    UPGRADE, WWW_AUTHENTICATE,
};
use memchr::memchr;

use super::class::is_token;
use super::error::BadMessage;
use super::head;
use super::limits::Limits;

/// What the decoder has found at the front of the input.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// Some of the body; never empty.
    Data(&'a [u8]),
    /// All of the input has been taken, and the body has not ended.
    More,
    /// The end of the body.
    End(HeaderMap),
}

/// Takes the chunks of a body apart.
#[derive(Debug, Default)]
pub struct ChunkDecoder {
    state: State,
    /// What is left of the chunk.
    left: u64,
    /// How long the body is, as far as its chunks have been announced.
    total: u64,
    /// The length of the current extension, and of all.
    extension: usize,
    extensions: usize,
    /// The trailers so far.
    trailers: BytesMut,
    /// Where the last line of them begins, and how many there are.
    line: usize,
    lines: usize,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// In the size, of which there are so many digits.
    #[default]
    NoDigit,
    Digits(u8),
    Extension(Extension),
    /// Behind the CR of the line with the size.
    SizeEnd,
    Data,
    DataCr,
    DataLf,
    Trailers,
    Over,
}

/// Where in `;name=value` it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Extension {
    NoName,
    Name,
    NoValue,
    Value,
    Quoted,
    Escaped,
    Unquoted,
}

/// As many as 64 bits have.
const MAX_DIGITS: u8 = 16;

impl ChunkDecoder {
    /// Takes what comes next off the front of the input. To be called until it asks for more. When it has
    /// found the end, what is left of the input does not belong to the body.
    pub fn decode<'a>(
        &mut self,
        input: &mut &'a [u8],
        limits: &Limits,
    ) -> Result<Piece<'a>, BadMessage> {
        loop {
            match self.state {
                State::Data if !input.is_empty() => {
                    let here = usize::try_from(self.left).unwrap_or(usize::MAX);
                    let (data, rest) = input.split_at(here.min(input.len()));
                    *input = rest;
                    self.left -= data.len() as u64;
                    if self.left == 0 {
                        self.state = State::DataCr;
                    }
                    return Ok(Piece::Data(data));
                }
                State::Trailers if !input.is_empty() => {
                    if self.take_trailer(input, limits)? {
                        self.state = State::Over;
                        return self.trailers().map(Piece::End);
                    }
                }
                State::Over => return Ok(Piece::End(HeaderMap::new())),
                state => {
                    let Some((&byte, rest)) = input.split_first() else {
                        return Ok(Piece::More);
                    };
                    *input = rest;
                    self.state = self.after(state, byte, limits)?;
                }
            }
        }
    }

    /// The state that a byte of the lines around the data leads to.
    fn after(&mut self, state: State, byte: u8, limits: &Limits) -> Result<State, BadMessage> {
        match (state, byte) {
            (State::NoDigit, _) => self.digit(byte, 1),
            (State::Digits(_), b'\r') => self.announced(State::SizeEnd, limits),
            (State::Digits(_), b';') => {
                self.extension = 0;
                self.announced(State::Extension(Extension::NoName), limits)?;
                self.extended(Extension::NoName, limits)
            }
            (State::Digits(MAX_DIGITS), _) => Err(BadMessage::ChunkSize),
            (State::Digits(digits), _) => self.digit(byte, digits + 1),
            (State::Extension(extension), _) => {
                match extension.after(byte).ok_or(BadMessage::ChunkExtension)? {
                    Some(next) => self.extended(next, limits),
                    None => Ok(State::SizeEnd),
                }
            }
            (State::SizeEnd, b'\n') if self.left == 0 => Ok(State::Trailers),
            (State::SizeEnd, b'\n') => Ok(State::Data),
            (State::SizeEnd, _) => Err(BadMessage::ChunkSize),
            (State::DataCr, b'\r') => Ok(State::DataLf),
            (State::DataLf, b'\n') => Ok(State::NoDigit),
            (State::DataCr | State::DataLf, _) => Err(BadMessage::ChunkEnd),
            // These take no bytes one by one.
            (State::Data | State::Trailers | State::Over, _) => Ok(state),
        }
    }

    fn digit(&mut self, byte: u8, digits: u8) -> Result<State, BadMessage> {
        let digit = char::from(byte).to_digit(16).ok_or(BadMessage::ChunkSize)?;
        self.left = self.left << 4 | u64::from(digit);
        Ok(State::Digits(digits))
    }

    /// The size of the chunk is known.
    fn announced(&mut self, state: State, limits: &Limits) -> Result<State, BadMessage> {
        match self.total.checked_add(self.left) {
            Some(total) if total <= limits.body => {
                self.total = total;
                Ok(state)
            }
            _ => Err(BadMessage::BodyTooLong),
        }
    }

    /// There is one byte more of an extension.
    fn extended(&mut self, state: Extension, limits: &Limits) -> Result<State, BadMessage> {
        self.extension += 1;
        self.extensions += 1;
        if self.extension > limits.chunk_extension {
            return Err(BadMessage::ChunkExtension);
        }
        if self.extensions > limits.chunk_extensions {
            return Err(BadMessage::ChunkExtensionsTooLong);
        }
        Ok(State::Extension(state))
    }

    /// Takes a line of the trailers, or some of it; `true` if it was the last.
    fn take_trailer(&mut self, input: &mut &[u8], limits: &Limits) -> Result<bool, BadMessage> {
        let whole = memchr(b'\n', input);
        let room = limits.trailers_bytes.saturating_add(2) - self.trailers.len();
        let length = whole.map_or(input.len(), |at| at + 1);
        if length > room {
            return Err(BadMessage::TrailersTooLong);
        }
        let (piece, rest) = input.split_at(length);
        *input = rest;
        self.trailers.extend_from_slice(piece);
        if whole.is_none() {
            return Ok(false);
        }
        let line = &self.trailers[self.line..];
        if !line.ends_with(b"\r\n") || line.ends_with(b"\r\r\n") {
            return Err(BadMessage::LineEnd);
        }
        if line.len() == 2 {
            return Ok(true);
        }
        self.line = self.trailers.len();
        self.lines += 1;
        if self.lines > limits.trailers {
            return Err(BadMessage::TrailersTooLong);
        }
        Ok(false)
    }

    fn trailers(&mut self) -> Result<HeaderMap, BadMessage> {
        if self.lines == 0 {
            self.trailers = BytesMut::new();
            return Ok(HeaderMap::new());
        }
        let lines: Bytes = std::mem::take(&mut self.trailers).freeze();
        let mut trailers = head::trailers(&lines, self.lines)?;
        for name in &NOT_IN_TRAILERS {
            trailers.remove(name);
        }
        Ok(trailers)
    }
}

impl Extension {
    /// What a byte leads to, if it may stand here: to nothing more if it is the CR of the line's end.
    fn after(self, byte: u8) -> Option<Option<Extension>> {
        use Extension::*;
        let next = match (self, byte) {
            (Name | Value | Unquoted, b'\r') => return Some(None),
            (Name | Value | Unquoted, b';') => NoName,
            (NoName | Name, _) if is_token(byte) => Name,
            (Name, b'=') => NoValue,
            (NoValue, b'"') => Quoted,
            (NoValue | Value, _) if is_token(byte) => Value,
            (Quoted, b'"') => Unquoted,
            (Quoted, b'\\') => Escaped,
            (Quoted | Escaped, b'\t' | b' '..=b'~' | 0x80..) => Quoted,
            _ => return None,
        };
        Some(Some(next))
    }
}

/// What a trailer cannot say any more: where the message ends, whom it is for and from, how it is to be read.
/// It is dropped, and trailers are never mixed with the headers.
static NOT_IN_TRAILERS: [HeaderName; 21] = [
    AUTHORIZATION,
    CACHE_CONTROL,
    CONNECTION,
    CONTENT_ENCODING,
    CONTENT_LENGTH,
    CONTENT_RANGE,
    CONTENT_TYPE,
    COOKIE,
    EXPECT,
    HOST,
    MAX_FORWARDS,
    PRAGMA,
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    RANGE,
    SET_COOKIE,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
    WWW_AUTHENTICATE,
];

/// Writes `data` as one chunk. Nothing if it is empty, since that would be the end.
pub fn encode(data: &[u8], out: &mut Vec<u8>) {
    if data.is_empty() {
        return;
    }
    encode_size(data.len(), out);
    out.extend_from_slice(data);
    out.extend_from_slice(b"\r\n");
}

/// Writes the line in front of a chunk of so many bytes, which is to be followed by an empty line.
pub fn encode_size(size: usize, out: &mut Vec<u8>) {
    let digits = (usize::BITS - size.leading_zeros()).div_ceil(4).max(1);
    for digit in (0..digits).rev() {
        out.push(b"0123456789abcdef"[size >> (digit * 4) & 15]);
    }
    out.extend_from_slice(b"\r\n");
}

/// Writes the end of a body, with such trailers as may be there.
pub fn encode_end(trailers: &HeaderMap, out: &mut Vec<u8>) {
    out.extend_from_slice(b"0\r\n");
    for (name, value) in trailers {
        if !NOT_IN_TRAILERS.contains(name) {
            super::encode::header(name, value, out);
        }
    }
    out.extend_from_slice(b"\r\n");
}
