//! [`LengthCodec`].

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use actor_core::{BoxError, Message};

use super::Codec;

/// How long a frame may be, unless [`LengthCodec::with_max_frame`] says otherwise. In bytes.
///
/// ```
/// assert_eq!(actor_net::DEFAULT_MAX_FRAME, 1024 * 1024);
/// ```
pub const DEFAULT_MAX_FRAME: usize = 1024 * 1024;

/// A frame from the peer, without its length.
///
/// ```
/// use actor_core::{Actor, Context, Handler};
/// use actor_net::{Connection, Frame, LengthCodec};
///
/// struct Echo(Connection<LengthCodec>);
///
/// impl Actor for Echo {}
///
/// impl Handler<Frame> for Echo {
///     fn handle(&mut self, Frame(bytes): Frame, _: &mut Context<Self>) {
///         self.0.send(bytes);
///     }
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame(pub Vec<u8>);

impl Message for Frame {
    type Reply = ();
}

/// Frames of bytes, each behind its length.
///
/// The length is that of the frame alone, in four bytes, the highest first, unless it is told otherwise.
/// A frame that is longer than the limit is refused as soon as its length has come, or is sent.
///
/// ```
/// use actor_net::{Codec, Frame, LengthCodec, Truncated};
///
/// let mut codec = LengthCodec::new().with_width(2);
/// let mut bytes = Vec::new();
/// codec.encode(b"hello"[..].into(), &mut bytes).unwrap();
/// assert_eq!(bytes, b"\0\x05hello");
///
/// bytes.extend(b"\0\x05wo");
/// let mut input = &bytes[..];
/// assert_eq!(codec.decode(&mut input).unwrap(), Some(Frame(b"hello".into())));
/// assert_eq!(codec.decode(&mut input).unwrap(), None);
/// let error = codec.finish(input).unwrap_err();
/// assert_eq!(error.downcast_ref(), Some(&Truncated { bytes: 4 }));
/// ```
#[derive(Clone, Debug)]
pub struct LengthCodec {
    width: usize,
    little_endian: bool,
    max_frame: usize,
}

impl LengthCodec {
    /// Lengths of four bytes, the highest first, and frames of at most [`DEFAULT_MAX_FRAME`] bytes.
    ///
    /// ```
    /// use actor_net::{Codec, Frame, LengthCodec};
    ///
    /// let mut input = &b"\0\0\0\x02hi"[..];
    /// assert_eq!(LengthCodec::new().decode(&mut input).unwrap(), Some(Frame(b"hi".into())));
    /// ```
    pub fn new() -> Self {
        LengthCodec {
            width: 4,
            little_endian: false,
            max_frame: DEFAULT_MAX_FRAME,
        }
    }

    /// Sets how many bytes a length has: one to eight.
    ///
    /// # Panics
    ///
    /// If it has none, or more than eight.
    ///
    /// ```
    /// use actor_net::{Codec, Frame, LengthCodec};
    ///
    /// let mut input = &b"\x02hi"[..];
    /// let mut codec = LengthCodec::new().with_width(1);
    /// assert_eq!(codec.decode(&mut input).unwrap(), Some(Frame(b"hi".into())));
    /// ```
    pub fn with_width(mut self, bytes: usize) -> Self {
        assert!(
            (1..=8).contains(&bytes),
            "a length has one to eight bytes, not {bytes}"
        );
        self.width = bytes;
        self
    }

    /// Sets that lengths come with the lowest byte first.
    ///
    /// ```
    /// use actor_net::{Codec, LengthCodec};
    ///
    /// let mut bytes = Vec::new();
    /// LengthCodec::new().little_endian().encode(b"hi"[..].into(), &mut bytes).unwrap();
    /// assert_eq!(bytes, b"\x02\0\0\0hi");
    /// ```
    pub fn little_endian(mut self) -> Self {
        self.little_endian = true;
        self
    }

    /// Sets how many bytes a frame may have, its length not counted, in both directions. Lengths that
    /// are too narrow for it are a limit as well.
    ///
    /// ```
    /// use actor_net::{Codec, FrameTooLong, LengthCodec};
    ///
    /// let mut codec = LengthCodec::new().with_max_frame(100);
    /// let error = codec.decode(&mut &b"\0\0\0\x65"[..]).unwrap_err();
    /// assert_eq!(error.downcast_ref(), Some(&FrameTooLong { len: 101, limit: 100 }));
    /// ```
    pub fn with_max_frame(mut self, limit: usize) -> Self {
        self.max_frame = limit;
        self
    }

    /// `len`, if a frame may have it.
    fn checked(&self, len: u64) -> Result<u64, FrameTooLong> {
        let expressible = u64::MAX >> (64 - 8 * self.width);
        let limit = expressible.min(self.max_frame as u64);
        match len <= limit {
            true => Ok(len),
            false => Err(FrameTooLong { len, limit }),
        }
    }
}

impl Default for LengthCodec {
    fn default() -> Self {
        LengthCodec::new()
    }
}

impl Codec for LengthCodec {
    type Item = Frame;
    type Out = Arc<[u8]>;

    fn decode(&mut self, input: &mut &[u8]) -> Result<Option<Frame>, BoxError> {
        let Some((prefix, rest)) = input.split_at_checked(self.width) else {
            return Ok(None);
        };
        let mut number = [0; 8];
        let len = if self.little_endian {
            number[..self.width].copy_from_slice(prefix);
            u64::from_le_bytes(number)
        } else {
            number[8 - self.width..].copy_from_slice(prefix);
            u64::from_be_bytes(number)
        };
        // No more than the limit, which is a `usize`.
        let len = self.checked(len)? as usize;
        let Some((frame, rest)) = rest.split_at_checked(len) else {
            return Ok(None);
        };
        *input = rest;
        Ok(Some(Frame(frame.to_vec())))
    }

    fn encode(&self, out: Arc<[u8]>, bytes: &mut Vec<u8>) -> Result<(), BoxError> {
        let len = self.checked(out.len() as u64)?;
        if self.little_endian {
            bytes.extend_from_slice(&len.to_le_bytes()[..self.width]);
        } else {
            bytes.extend_from_slice(&len.to_be_bytes()[8 - self.width..]);
        }
        bytes.extend_from_slice(&out);
        Ok(())
    }
}

/// A frame was longer than its codec allows, or than its length can tell.
///
/// ```
/// use actor_net::FrameTooLong;
///
/// let error = FrameTooLong { len: 70_000, limit: 65_535 };
/// assert!(error.to_string().starts_with("a frame of 70000 bytes"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameTooLong {
    /// How many bytes it has, or claims to have.
    pub len: u64,
    /// How many were allowed.
    pub limit: u64,
}

impl fmt::Display for FrameTooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let FrameTooLong { len, limit } = self;
        write!(
            f,
            "a frame of {len} bytes, more than the {limit} bytes allowed (`with_max_frame` sets the limit, up \
             to what `with_width` can express)"
        )
    }
}

impl Error for FrameTooLong {}
