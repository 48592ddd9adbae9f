//! Records: what a link writes at once, sealed, and opened again at the other end.
//!
//! ```text
//! length u32 | sequence u32 | payload, of that length | check
//! ```
//!
//! All numbers are little endian. Both ends count the records of a direction from 0, as `u64` of which the lower
//! half is on the wire: one that was lost, or comes twice, or out of turn ends the link. The check depends on what
//! is below ([`Protection`]):
//!
//! | link | check |
//! |---|---|
//! | plain | CRC-32 of length, sequence and payload, 4 bytes: detects accidents, not malice |
//! | with keys of the [handshake](crate::handshake) | HMAC-SHA256 over `lp(sequence u64) lp(payload)`, its first 16 bytes |
//! | under TLS | none: TLS has its own |
//!
//! `lp` puts the length of what follows before it, as a `u32`. The tag does not hide what the payload says; TLS does.

use std::error::Error;
use std::fmt;

use crc32fast::Hasher;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

/// How many bytes of length and sequence there are before the payload.
pub const HEADER: usize = 8;

/// How long a payload may be.
pub const MAX_PAYLOAD: usize = 128 * 1024;

/// How many bytes of the HMAC are sent.
const TAG: usize = 16;

/// What the records of one direction of a link are tagged with: 32 bytes that both ends derive in the
/// [handshake](crate::handshake), and that are overwritten when this is dropped.
///
/// ```
/// use actor_remote::wire::record::Key;
///
/// let key = Key::from_bytes([7; 32]);
/// assert_eq!(format!("{key:?}"), "Key(..)");
/// ```
pub struct Key(Zeroizing<[u8; 32]>);

impl Key {
    /// A key of these bytes, which nobody else should be able to guess.
    pub fn from_bytes(bytes: [u8; 32]) -> Key {
        Key(Zeroizing::new(bytes))
    }

    /// HMAC as it is before the first byte: the part of the work that depends on the key alone.
    fn mac(&self) -> Hmac<Sha256> {
        Hmac::new_from_slice(&*self.0).expect("HMAC takes keys of any length")
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

/// What protects the records of one direction.
///
/// ```
/// use actor_remote::wire::record::{Key, Open, Protection, Seal};
///
/// let key = Key::from_bytes([7; 32]);
/// let (mut seal, mut open) = (Seal::new(Protection::Tag(&key)), Open::new(Protection::Tag(&key)));
///
/// let mut buffer = vec![0; 8];
/// buffer.extend(b"hello");
/// seal.seal(&mut buffer, 0);
///
/// let (header, body) = buffer.split_first_chunk().unwrap();
/// assert_eq!(open.header(header), Ok(body.len()));
/// let length = open.check(header, body).unwrap();
/// assert_eq!(&body[..length], b"hello");
/// ```
#[derive(Clone, Copy, Debug)]
pub enum Protection<'a> {
    /// Whatever carries the records protects them, as TLS does.
    Below,
    /// A checksum, against accidents.
    Checksum,
    /// A tag, which only who has the key can make.
    Tag(&'a Key),
}

/// How the checks of one direction are made.
#[derive(Clone)]
enum Check {
    None,
    Checksum,
    Tag(Hmac<Sha256>),
}

impl Check {
    fn new(protection: Protection<'_>) -> Check {
        match protection {
            Protection::Below => Check::None,
            Protection::Checksum => Check::Checksum,
            Protection::Tag(key) => Check::Tag(key.mac()),
        }
    }

    fn len(&self) -> usize {
        match self {
            Check::None => 0,
            Check::Checksum => 4,
            Check::Tag(_) => TAG,
        }
    }
}

impl fmt::Debug for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Check::None => "None",
            Check::Checksum => "Checksum",
            Check::Tag(_) => "Tag(..)",
        })
    }
}

/// The HMAC of a payload in its place. `keyed` is cloned, so that the key is worked in once for all records.
fn mac(keyed: &Hmac<Sha256>, sequence: u64, payload: &[u8]) -> Hmac<Sha256> {
    let mut before = [0; 16];
    before[..4].copy_from_slice(&8u32.to_le_bytes());
    before[4..12].copy_from_slice(&sequence.to_le_bytes());
    before[12..].copy_from_slice(&(payload.len() as u32).to_le_bytes());
    keyed.clone().chain_update(before).chain_update(payload)
}

/// Makes the records of one direction; see [`Protection`] for an example.
#[derive(Debug)]
pub struct Seal {
    check: Check,
    /// The number of the next one.
    sequence: u64,
}

impl Seal {
    /// For a link that nothing has been sent over yet.
    pub fn new(protection: Protection<'_>) -> Seal {
        Seal {
            check: Check::new(protection),
            sequence: 0,
        }
    }

    /// How many bytes [`seal`](Self::seal) appends: what a buffer needs behind the payload so as not to grow.
    ///
    /// ```
    /// use actor_remote::wire::record::{Protection, Seal};
    ///
    /// assert_eq!(Seal::new(Protection::Checksum).appended(), 4);
    /// ```
    pub fn appended(&self) -> usize {
        self.check.len()
    }

    /// Makes the next record of what is in `buffer` from `start` on: 8 bytes for the header, whatever they are,
    /// and behind them, up to the end, the payload. The header is filled in, the check appended, and nothing
    /// moved.
    ///
    /// # Panics
    ///
    /// If there is no room for the header, or the payload is longer than [`MAX_PAYLOAD`].
    ///
    /// ```
    /// use actor_remote::wire::record::{Protection, Seal};
    ///
    /// let mut seal = Seal::new(Protection::Below);
    /// let mut buffer = b"........one".to_vec();
    /// seal.seal(&mut buffer, 0);
    /// let start = buffer.len();
    /// buffer.extend(b"........two");
    /// seal.seal(&mut buffer, start);
    /// assert_eq!(buffer, b"\x03\0\0\0\0\0\0\0one\x03\0\0\0\x01\0\0\0two");
    /// ```
    pub fn seal(&mut self, buffer: &mut Vec<u8>, start: usize) {
        let record = &mut buffer[start..];
        let (header, payload) = record
            .split_first_chunk_mut::<HEADER>()
            .expect("there is room for a header before the payload");
        assert!(
            payload.len() <= MAX_PAYLOAD,
            "the payload of a record is within the limit"
        );
        header[..4].copy_from_slice(&(payload.len() as u32).to_le_bytes());
        header[4..].copy_from_slice(&(self.sequence as u32).to_le_bytes());
        match &self.check {
            Check::None => {}
            Check::Checksum => {
                let sum = crc32fast::hash(record);
                buffer.extend_from_slice(&sum.to_le_bytes());
            }
            Check::Tag(keyed) => {
                let tag = mac(keyed, self.sequence, payload).finalize().into_bytes();
                buffer.extend_from_slice(&tag[..TAG]);
            }
        }
        self.sequence += 1;
    }
}

/// Takes the records of one direction for what they are, or refuses them; see [`Protection`] for an example.
///
/// After the first that is [`Corrupt`] there is no telling where the next one begins: the link is over.
#[derive(Debug)]
pub struct Open {
    check: Check,
    /// The number of the next one.
    sequence: u64,
}

impl Open {
    /// For a link that nothing has come over yet.
    pub fn new(protection: Protection<'_>) -> Open {
        Open {
            check: Check::new(protection),
            sequence: 0,
        }
    }

    /// How many bytes follow this header: payload and check, to be had in memory for [`check`](Self::check).
    ///
    /// Nothing vouches for the header yet, so a length that is wrong may have to be waited for, but never more
    /// than [`MAX_PAYLOAD`] and a check.
    ///
    /// # Errors
    ///
    /// [`Corrupt::TooLong`] or [`Corrupt::Sequence`].
    ///
    /// ```
    /// use actor_remote::wire::record::{Corrupt, Open, Protection};
    ///
    /// let open = Open::new(Protection::Checksum);
    /// assert_eq!(open.header(&[5, 0, 0, 0, 0, 0, 0, 0]), Ok(9));
    /// assert_eq!(
    ///     open.header(&[5, 0, 0, 0, 1, 0, 0, 0]),
    ///     Err(Corrupt::Sequence { expected: 0, found: 1 })
    /// );
    /// ```
    pub fn header(&self, header: &[u8; HEADER]) -> Result<usize, Corrupt> {
        Ok(self.payload(header)? + self.check.len())
    }

    /// How long the payload behind this header is to be.
    fn payload(&self, header: &[u8; HEADER]) -> Result<usize, Corrupt> {
        let (length, found) = (u32_at(header, 0), u32_at(header, 4));
        if length > MAX_PAYLOAD as u32 {
            return Err(Corrupt::TooLong { length });
        }
        let expected = self.sequence as u32;
        if found != expected {
            return Err(Corrupt::Sequence { expected, found });
        }
        Ok(length as usize)
    }

    /// Whether `body`, the bytes that [`header`](Self::header) has asked for, is what was sent: how many bytes of
    /// it, from the front, are the payload. The next record is to have the next number then.
    ///
    /// # Errors
    ///
    /// [`Corrupt`] says what is wrong with it.
    ///
    /// # Panics
    ///
    /// If `body` is not as long as [`header`](Self::header) has said.
    pub fn check(&mut self, header: &[u8; HEADER], body: &[u8]) -> Result<usize, Corrupt> {
        let length = self.payload(header)?;
        assert_eq!(
            body.len(),
            length + self.check.len(),
            "all of a record is there, and nothing else"
        );
        let (payload, check) = body.split_at(length);
        match &self.check {
            Check::None => {}
            Check::Checksum => {
                let mut hasher = Hasher::new();
                hasher.update(header);
                hasher.update(payload);
                if hasher.finalize() != u32_at(check, 0) {
                    return Err(Corrupt::Checksum);
                }
            }
            // In constant time: how much of a guess is right is not to be seen.
            Check::Tag(keyed) => mac(keyed, self.sequence, payload)
                .verify_truncated_left(check)
                .map_err(|_| Corrupt::Tag)?,
        }
        self.sequence += 1;
        Ok(length)
    }
}

/// The number at `at`, where the caller knows there are four bytes.
fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

/// What is wrong with a record. It ends the link.
///
/// ```
/// use actor_remote::wire::record::Corrupt;
///
/// let corrupt = Corrupt::Sequence { expected: 7, found: 9 };
/// assert_eq!(corrupt.to_string(), "record 9 where 7 was to come");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Corrupt {
    /// It claims to be longer than [`MAX_PAYLOAD`].
    TooLong {
        /// How long.
        length: u32,
    },
    /// It is not the next one: something was lost, or has come twice, or out of turn.
    Sequence {
        /// The lower half of the next one's number.
        expected: u32,
        /// What it says.
        found: u32,
    },
    /// The checksum is that of something else: something on the way is faulty.
    Checksum,
    /// The tag is that of something else: it comes from somebody without the key, or was changed on the way.
    Tag,
}

impl fmt::Display for Corrupt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Corrupt::TooLong { length } => {
                write!(
                    f,
                    "a record of {length} bytes is longer than the {MAX_PAYLOAD} allowed"
                )
            }
            Corrupt::Sequence { expected, found } => {
                write!(f, "record {found} where {expected} was to come")
            }
            Corrupt::Checksum => f.write_str("the checksum of a record is wrong"),
            Corrupt::Tag => f.write_str("the tag of a record is wrong"),
        }
    }
}

impl Error for Corrupt {}

#[cfg(test)]
mod tests {
    use super::*;

    /// Only here can a link be so old.
    #[test]
    fn the_number_goes_on_beyond_what_is_on_the_wire() {
        let key = Key::from_bytes([1; 32]);
        let mut seal = Seal::new(Protection::Tag(&key));
        let mut sealed = |sequence| {
            seal.sequence = sequence;
            let mut record = b"........again".to_vec();
            seal.seal(&mut record, 0);
            record
        };
        let (old, last, next) = (sealed(0), sealed(u32::MAX.into()), sealed(1 << 32));
        assert_eq!(old[..13], next[..13], "all but the tag");

        let mut open = Open::new(Protection::Tag(&key));
        open.sequence = u32::MAX.into();
        let mut take = |record: &[u8]| {
            let (header, body) = record.split_first_chunk().unwrap();
            open.check(header, body)
        };
        assert_eq!(take(&last), Ok(5));
        assert_eq!(take(&old), Err(Corrupt::Tag));
        assert_eq!(take(&next), Ok(5));
    }
}
