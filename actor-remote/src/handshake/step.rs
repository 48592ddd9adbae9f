//! What a handshake does next, and how its messages are told apart.

use super::{Agreed, Refused};

/// How many bytes a message of a handshake has at most, besides the two that say how many.
pub const MAX_MESSAGE: usize = 512;

/// What comes of the bytes that have come in.
#[derive(Debug)]
pub enum Step {
    /// Nothing yet: nothing was taken, and more has to come.
    More,
    /// This is to be sent, and then an answer awaited.
    Send(Vec<u8>),
    /// The peer is who it should be. The bytes, if there are any, are to be sent before all records.
    Agreed(Vec<u8>, Box<Agreed>),
}

/// A message as it is sent.
pub(super) fn framed(message: &[u8]) -> Vec<u8> {
    debug_assert!(message.len() <= MAX_MESSAGE);
    let mut bytes = Vec::with_capacity(2 + message.len());
    bytes.extend((message.len() as u16).to_le_bytes());
    bytes.extend(message);
    bytes
}

/// Takes a message of at most `limit` bytes off the front of `input`, if all of it has come. One that is too long is
/// refused before it has.
pub(super) fn message<'a>(input: &mut &'a [u8], limit: usize) -> Result<Option<&'a [u8]>, Refused> {
    let Some((length, rest)) = input.split_first_chunk() else {
        return Ok(None);
    };
    let length = u16::from_le_bytes(*length).into();
    if length > limit {
        return Err(Refused::TooLong { length });
    }
    let Some((message, rest)) = rest.split_at_checked(length) else {
        return Ok(None);
    };
    *input = rest;
    Ok(Some(message))
}
