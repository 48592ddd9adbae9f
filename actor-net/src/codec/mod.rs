//! [`Codec`]: between the bytes of a connection and messages.

mod length;
mod line;

use std::error::Error;
use std::fmt;

use actor_core::{BoxError, Message};

pub use length::{DEFAULT_MAX_FRAME, Frame, FrameTooLong, LengthCodec};
pub use line::{Line, LineCodec};

/// How the bytes of a connection become messages to its actor, and what the actor sends becomes bytes.
///
/// Each connection has a clone of its own to decode with, so a codec may remember how far it has come;
/// encoding shares one.
///
/// ```
/// use actor_core::{BoxError, Message};
/// use actor_net::Codec;
///
/// /// A temperature: two bytes, tenths of a degree.
/// #[derive(Debug, PartialEq)]
/// struct Degrees(f64);
///
/// impl Message for Degrees {
///     type Reply = ();
/// }
///
/// #[derive(Clone)]
/// struct Thermometer;
///
/// impl Codec for Thermometer {
///     type Item = Degrees;
///     type Out = f64;
///
///     fn decode(&mut self, input: &mut &[u8]) -> Result<Option<Degrees>, BoxError> {
///         let Some((bytes, rest)) = input.split_first_chunk() else {
///             return Ok(None);
///         };
///         *input = rest;
///         Ok(Some(Degrees(f64::from(i16::from_be_bytes(*bytes)) / 10.0)))
///     }
///
///     fn encode(&self, degrees: f64, bytes: &mut Vec<u8>) -> Result<(), BoxError> {
///         bytes.extend(((degrees * 10.0) as i16).to_be_bytes());
///         Ok(())
///     }
/// }
///
/// let mut bytes = Vec::new();
/// Thermometer.encode(21.5, &mut bytes).unwrap();
/// let mut input = &bytes[..];
/// assert_eq!(Thermometer.decode(&mut input).unwrap(), Some(Degrees(21.5)));
/// assert!(input.is_empty());
/// ```
pub trait Codec: Clone + Send + Sync + 'static {
    /// What a connection's actor is sent: one for each thing that the peer says.
    type Item: Message<Reply = ()>;

    /// What is sent through a [`Connection`](crate::Connection).
    type Out;

    /// Takes the next item off the front of `input`, which holds all that has come in and has not been
    /// taken; `None` if more is needed.
    ///
    /// What is left is there the next time, with more behind it. Nothing bounds how much of it there may
    /// be but the codec: one that waits for a whole frame refuses those that are too long, and does so
    /// before they have come in.
    ///
    /// # Errors
    ///
    /// Whatever is wrong with the input. It ends the connection, as
    /// [`ConnectionError::Decode`](crate::ConnectionError::Decode).
    fn decode(&mut self, input: &mut &[u8]) -> Result<Option<Self::Item>, BoxError>;

    /// Called when the peer has sent all, with what [`decode`](Self::decode) has left of it. By default
    /// nothing may be left.
    ///
    /// # Errors
    ///
    /// As [`decode`](Self::decode), and [`Truncated`] if the rest is no item.
    fn finish(&mut self, rest: &[u8]) -> Result<Option<Self::Item>, BoxError> {
        match rest.len() {
            0 => Ok(None),
            bytes => Err(Truncated { bytes }.into()),
        }
    }

    /// Appends `out` to `bytes`, and changes nothing else of them. Runs where it is sent.
    ///
    /// # Errors
    ///
    /// If it cannot be expressed. That ends the connection too, after what was sent before, as
    /// [`ConnectionError::Encode`](crate::ConnectionError::Encode): the peer would miss it.
    fn encode(&self, out: Self::Out, bytes: &mut Vec<u8>) -> Result<(), BoxError>;
}

/// The peer has ended the connection in the middle of something.
///
/// ```
/// use actor_net::Truncated;
///
/// assert_eq!(Truncated { bytes: 3 }.to_string(), "ended in the middle of a frame, after 3 bytes of it");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Truncated {
    /// How much of it had come.
    pub bytes: usize,
}

impl fmt::Display for Truncated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Truncated { bytes } = self;
        write!(
            f,
            "ended in the middle of a frame, after {bytes} bytes of it"
        )
    }
}

impl Error for Truncated {}
