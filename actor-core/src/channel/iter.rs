//! Receiving one value after the other.

use std::iter::FusedIterator;

use super::transfer::{Patience, Refusal};
use super::{Channel, ReceiveError};
use crate::block::Interrupt;
use crate::contain::contain;

/// The values that come over a channel; see [`Channel::iter`].
///
/// An expired [`timeout`](crate::timeout()) around it unwinds to the edge of that block. What else has
/// ended it, [`end`](Self::end) says; an error of a sender for which nobody asks there is logged.
#[derive(Debug)]
#[must_use = "values are received by iterating"]
pub struct Iter<'a, T> {
    channel: &'a Channel<T>,
    /// What has ended it, other than the end of the channel.
    ended_by: Option<ReceiveError>,
    is_over: bool,
}

impl<'a, T> Iter<'a, T> {
    pub(super) fn new(channel: &'a Channel<T>) -> Self {
        Iter {
            channel,
            ended_by: None,
            is_over: false,
        }
    }

    /// What has ended the iteration: `Ok` says that it was the end of the channel, or that it has not
    /// ended.
    ///
    /// # Examples
    ///
    /// ```
    /// use actor_core::channel::Channel;
    /// use actor_core::{Tasklet, dispatch};
    ///
    /// dispatch(|| {
    ///     let channel = Channel::new();
    ///     let sender = channel.clone();
    ///     Tasklet::spawn(move || {
    ///         sender.send(1).unwrap();
    ///         sender.send_error("out of numbers").unwrap();
    ///     });
    ///     let mut values = channel.iter();
    ///     assert_eq!(values.by_ref().count(), 1);
    ///     assert_eq!(values.end().unwrap_err().to_string(), "out of numbers");
    /// });
    /// ```
    pub fn end(mut self) -> Result<(), ReceiveError> {
        self.ended_by.take().map_or(Ok(()), Err)
    }
}

impl<T> Iterator for Iter<'_, T> {
    type Item = T;

    #[inline]
    fn next(&mut self) -> Option<T> {
        if self.is_over {
            return None;
        }
        match self.channel.receive_item(Patience::ENDLESS) {
            Ok(Ok(value)) => return Some(value),
            Ok(Err(error)) => self.ended_by = Some(ReceiveError::Raised(error)),
            Err(Refusal::Closed) => {}
            Err(Refusal::Interrupted(expired @ Interrupt::Expired(_))) => {
                expired.raise("receiving from a channel")
            }
            Err(refusal) => self.ended_by = Some(refusal.into()),
        }
        self.is_over = true;
        None
    }
}

impl<T> FusedIterator for Iter<'_, T> {}

impl<T> Drop for Iter<'_, T> {
    fn drop(&mut self) {
        if let Some(error) = &self.ended_by {
            contain(
                || tracing::warn!(channel = self.channel.id(), %error, "an error has ended an iteration"),
            );
        }
    }
}
