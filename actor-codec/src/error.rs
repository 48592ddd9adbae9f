//! What is wrong with a value, or with the bytes of one.

use std::error::Error;
use std::fmt::{self, Display, Formatter, Write};

use serde::{de, ser};

/// How many bytes are kept of what a type's own code says is wrong: it may quote what a peer has sent.
const MAX_TEXT: usize = 1024;

/// Why a value cannot be sent. The buffer that it was to be added to is as it was.
///
/// ```
/// use actor_codec::{EncodeError, encode};
///
/// let mut bytes = Vec::new();
/// let refused = encode("far too long", &mut bytes, 8);
/// assert_eq!(refused, Err(EncodeError::TooBig { max: 8 }));
/// assert!(bytes.is_empty());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EncodeError {
    /// It takes more bytes than it may.
    TooBig {
        /// How many it may take.
        max: usize,
    },
    /// A sequence or map does not know beforehand how long it is. `#[serde(flatten)]` makes such.
    UnknownLength,
    /// A sequence or map has more or fewer elements than its `Serialize` said at first.
    WrongLength {
        /// How many it said.
        said: usize,
        /// How many came.
        given: usize,
    },
    /// A sequence or map has elements that take no bytes, such as `()`. No receiver takes these, since the
    /// number of them costs the sender nothing.
    ZeroSized,
    /// A field was left out by `#[serde(skip_serializing_if)]`, which the receiver would not notice: it
    /// would take the next field for this one.
    SkippedField {
        /// Its name.
        field: &'static str,
    },
    /// What the `Serialize` of a type within says, or one that the encoding cannot take; cut after 1 KiB.
    Custom(String),
}

impl Display for EncodeError {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            EncodeError::TooBig { max } => write!(
                f,
                "the message takes more than {max} bytes: send less at once, or raise the limit on both sides"
            ),
            EncodeError::UnknownLength => f.write_str(
                "a sequence or map does not say its length first: collect it before, and do not use `flatten`",
            ),
            EncodeError::WrongLength { said, given } => write!(
                f,
                "a sequence or map gave {given} elements after it had said {said}: correct its `Serialize`"
            ),
            EncodeError::ZeroSized => f.write_str(
                "elements of a sequence or map take no bytes, and are refused by receivers: send their number",
            ),
            EncodeError::SkippedField { field } => write!(
                f,
                "the field `{field}` was skipped, which this encoding cannot express: make it an `Option`, \
                 or use the named encoding"
            ),
            EncodeError::Custom(text) => f.write_str(text),
        }
    }
}

impl Error for EncodeError {}

/// Why bytes are not a value of the type that was asked for.
///
/// All of these can be caused by a peer. A program that is well behaved sees them when the type has
/// changed on one side alone (see the [crate's page](crate#evolution)), or when its limits are too small.
///
/// ```
/// use actor_codec::{DecodeError, Limits, decode};
///
/// let limits = Limits::default();
/// assert_eq!(decode::<bool>(&[2], &limits), Err(DecodeError::BadBool(2)));
/// assert_eq!(decode::<(u8, u8)>(&[2], &limits), Err(DecodeError::End));
/// assert_eq!(decode::<u8>(&[2, 3], &limits), Err(DecodeError::Trailing { bytes: 1 }));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodeError {
    /// The bytes end in the middle of the value.
    End,
    /// There are more bytes than the value has.
    Trailing {
        /// How many more.
        bytes: usize,
    },
    /// It is nested deeper than [`Limits::depth`](crate::Limits::depth).
    TooDeep {
        /// How deep it may be.
        limit: u16,
    },
    /// Its sequences and maps have more elements than [`Limits::items`](crate::Limits::items).
    TooMany {
        /// How many it may have.
        limit: usize,
    },
    /// Their elements take more memory than [`Limits::memory`](crate::Limits::memory).
    TooLarge {
        /// How many bytes they may take.
        limit: usize,
    },
    /// A sequence, map or text claims to be longer than the bytes that are left.
    LengthBeyondInput {
        /// What it claims.
        claimed: u64,
        /// How many bytes are left.
        left: usize,
    },
    /// An integer is written in more bytes than it needs, which no sender does.
    NonCanonical,
    /// An integer is beyond its type, or begins with a byte that begins none.
    BadInteger,
    /// A `bool` is neither 0 nor 1.
    BadBool(u8),
    /// An `Option` is neither 0 nor 1.
    BadOption(u8),
    /// Text is no UTF-8.
    BadUtf8,
    /// A `char` is no character.
    BadChar,
    /// An enum has no such variant.
    BadVariant {
        /// The name of the enum.
        name: &'static str,
        /// The number of the variant, of which the first is 0.
        index: u32,
    },
    /// A sequence or map is not empty although its elements take no bytes, such as `()`.
    ZeroSized,
    /// The type took fewer elements, or fields, than there are.
    Unread {
        /// How many it has left.
        elements: usize,
    },
    /// The type wants to be told what comes next, which the encoding does not say: it has `untagged`,
    /// `flatten`, an internal `tag`, or is one that stands for any value.
    SelfDescribing,
    /// What the `Deserialize` of a type within says; cut after 1 KiB.
    Custom(String),
}

impl Display for DecodeError {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            DecodeError::End => f.write_str(
                "the bytes end in the middle of the value: use the same type on both sides",
            ),
            DecodeError::Trailing { bytes } => write!(
                f,
                "{bytes} bytes are left after the value: use the same type on both sides"
            ),
            DecodeError::TooDeep { limit } => write!(
                f,
                "the value is nested deeper than {limit} levels: send it flat, or raise `Limits::depth`"
            ),
            DecodeError::TooMany { limit } => write!(
                f,
                "the value has more than {limit} elements: send fewer at once, or raise `Limits::items`"
            ),
            DecodeError::TooLarge { limit } => write!(
                f,
                "the elements of the value take more than {limit} bytes of memory: send fewer at once, \
                 box what is large and rare in their type, or raise `Limits::memory`"
            ),
            DecodeError::LengthBeyondInput { claimed, left } => write!(
                f,
                "a length of {claimed} is claimed with {left} bytes left: use the same type on both sides, \
                 and no elements that take no bytes"
            ),
            DecodeError::NonCanonical => f.write_str(
                "an integer has more bytes than it needs: encode with this crate, or with bincode 2",
            ),
            DecodeError::BadInteger => f.write_str(
                "an integer is beyond its type: use the same type on both sides",
            ),
            DecodeError::BadBool(byte) => {
                write!(f, "{byte} is no bool: use the same type on both sides")
            }
            DecodeError::BadOption(byte) => {
                write!(f, "{byte} begins no option: use the same type on both sides")
            }
            DecodeError::BadUtf8 => {
                f.write_str("the text is no UTF-8: send what need not be as bytes")
            }
            DecodeError::BadChar => {
                f.write_str("the bytes are no char: use the same type on both sides")
            }
            DecodeError::BadVariant { name, index } => write!(
                f,
                "`{name}` has no variant {index}: the sender has a newer one, or another type"
            ),
            DecodeError::ZeroSized => f.write_str(
                "elements of a sequence or map take no bytes: send their number in place of them",
            ),
            DecodeError::Unread { elements } => write!(
                f,
                "{elements} elements were not taken by the type: correct its `Deserialize`"
            ),
            DecodeError::SelfDescribing => f.write_str(
                "the type wants to know what comes next, which is not sent: do without `untagged`, \
                 `flatten` and `tag`, or use the named encoding",
            ),
            DecodeError::Custom(text) => f.write_str(text),
        }
    }
}

impl Error for DecodeError {}

/// An error on its way out of nested code: a pointer wide, since each level of a value has several results
/// on the stack that could be one.
pub(crate) struct Failure<E>(Box<E>);

impl<E> Failure<E> {
    #[cold]
    #[inline(never)]
    pub(crate) fn new(error: E) -> Failure<E> {
        Failure(Box::new(error))
    }

    pub(crate) fn into_inner(self) -> E {
        *self.0
    }
}

impl<E: fmt::Debug> fmt::Debug for Failure<E> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<E: Display> Display for Failure<E> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<E: Error> Error for Failure<E> {}

impl ser::Error for Failure<EncodeError> {
    #[cold]
    fn custom<T: Display>(message: T) -> Self {
        Failure::new(EncodeError::Custom(cut(message)))
    }
}

impl de::Error for Failure<DecodeError> {
    #[cold]
    fn custom<T: Display>(message: T) -> Self {
        Failure::new(DecodeError::Custom(cut(message)))
    }
}

/// What `message` says, cut after [`MAX_TEXT`] bytes; it is not written any further than that.
pub(crate) fn cut(message: impl Display) -> String {
    struct Cut(String);

    impl Write for Cut {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            let room = MAX_TEXT - self.0.len();
            self.0.push_str(&text[..text.floor_char_boundary(room)]);
            match text.len() <= room {
                true => Ok(()),
                false => Err(fmt::Error),
            }
        }
    }

    let mut text = Cut(String::new());
    // An error says that it was cut, or that it has nothing more to say.
    let _ = write!(text, "{message}");
    text.0
}
