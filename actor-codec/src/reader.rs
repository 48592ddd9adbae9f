//! The bytes of a value, taken one after the other, and what it may still cost.

use crate::error::{DecodeError, Failure};
use crate::limits::Limits;

pub(crate) type Result<T, E = Failure<DecodeError>> = std::result::Result<T, E>;

/// An integer up to here is its own single byte. The bytes above say how wide is what follows.
const SINGLE: u8 = 250;
const U16: u8 = 251;
const U32: u8 = 252;
const U64: u8 = 253;
const U128: u8 = 254;

pub(crate) struct Reader<'de> {
    /// What has not been taken.
    rest: &'de [u8],
    /// How many levels may still be entered.
    depth: u16,
    /// How many elements may still come.
    items: usize,
    /// How many bytes of memory these may still take.
    memory: usize,
    limits: &'de Limits,
}

impl<'de> Reader<'de> {
    #[inline]
    pub(crate) fn new(bytes: &'de [u8], limits: &'de Limits) -> Reader<'de> {
        Reader {
            rest: bytes,
            depth: limits.depth,
            items: limits.items,
            memory: limits.memory,
            limits,
        }
    }

    /// How many bytes have not been taken.
    #[inline]
    pub(crate) fn left(&self) -> usize {
        self.rest.len()
    }

    /// Begins what has other values inside. Each is followed by [`leave`](Self::leave), unless decoding ends
    /// there, or the type makes nothing of an error, which then costs it a level.
    #[inline]
    pub(crate) fn enter(&mut self, levels: u16) -> Result<()> {
        match self.depth.checked_sub(levels) {
            Some(depth) => {
                self.depth = depth;
                Ok(())
            }
            None => self.too_deep(),
        }
    }

    #[inline]
    pub(crate) fn leave(&mut self, levels: u16) {
        self.depth += levels;
    }

    /// Charges for the memory of so many elements, keys or values.
    #[inline]
    pub(crate) fn charge(&mut self, count: usize, size: usize) -> Result<()> {
        match self.memory.checked_sub(count.saturating_mul(size)) {
            Some(memory) => {
                self.memory = memory;
                Ok(())
            }
            None => self.too_large(),
        }
    }

    /// The number of elements that follow. It is charged for at once.
    #[inline]
    pub(crate) fn items(&mut self) -> Result<usize> {
        let len = self.length()?;
        match self.items.checked_sub(len) {
            Some(items) => {
                self.items = items;
                Ok(len)
            }
            None => self.too_many(),
        }
    }

    /// As many bytes as the number before them says.
    #[inline]
    pub(crate) fn bytes(&mut self) -> Result<&'de [u8]> {
        let len = self.length()?;
        let (bytes, rest) = self.rest.split_at(len);
        self.rest = rest;
        Ok(bytes)
    }

    /// A length: never more than there are bytes left, since everything that has a length has at least
    /// one byte for each unit of it.
    #[inline]
    fn length(&mut self) -> Result<usize> {
        let claimed = self.u64()?;
        let left = self.rest.len();
        match usize::try_from(claimed) {
            Ok(len) if len <= left => Ok(len),
            _ => beyond_input(claimed, left),
        }
    }

    #[inline]
    pub(crate) fn byte(&mut self) -> Result<u8> {
        match self.rest.split_first() {
            Some((&byte, rest)) => {
                self.rest = rest;
                Ok(byte)
            }
            None => end(),
        }
    }

    #[inline]
    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        match self.rest.split_first_chunk() {
            Some((&array, rest)) => {
                self.rest = rest;
                Ok(array)
            }
            None => end(),
        }
    }

    #[inline]
    pub(crate) fn u16(&mut self) -> Result<u16> {
        match self.byte()? {
            small @ ..=SINGLE => Ok(small.into()),
            // Two bytes always fit.
            mark => self.wide(mark, U16).map(|value| value as u16),
        }
    }

    #[inline]
    pub(crate) fn u32(&mut self) -> Result<u32> {
        match self.byte()? {
            small @ ..=SINGLE => Ok(small.into()),
            // Four bytes always fit.
            mark => self.wide(mark, U32).map(|value| value as u32),
        }
    }

    #[inline]
    pub(crate) fn u64(&mut self) -> Result<u64> {
        match self.byte()? {
            small @ ..=SINGLE => Ok(small.into()),
            mark => self.wide(mark, U64),
        }
    }

    #[inline]
    pub(crate) fn u128(&mut self) -> Result<u128> {
        match self.byte()? {
            small @ ..=SINGLE => Ok(small.into()),
            U128 => {
                let value = u128::from_le_bytes(self.array()?);
                canonical(value, value > u64::MAX.into())
            }
            mark => self.wide(mark, U64).map(u128::from),
        }
    }

    /// The integer behind `mark`, which is above [`SINGLE`], for a type no wider than `widest` says.
    #[inline]
    fn wide(&mut self, mark: u8, widest: u8) -> Result<u64> {
        if mark > widest {
            return bad_integer();
        }
        match mark {
            U16 => {
                let value = u16::from_le_bytes(self.array()?);
                canonical(value.into(), value > SINGLE.into())
            }
            U32 => {
                let value = u32::from_le_bytes(self.array()?);
                canonical(value.into(), value > u16::MAX.into())
            }
            _ => {
                let value = u64::from_le_bytes(self.array()?);
                canonical(value, value > u32::MAX.into())
            }
        }
    }

    /// Whether an option has a value, which follows.
    #[inline]
    pub(crate) fn is_some(&mut self) -> Result<bool> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            byte => Err(Failure::new(DecodeError::BadOption(byte))),
        }
    }

    /// A character, in UTF-8.
    pub(crate) fn char(&mut self) -> Result<char> {
        let Some(&first) = self.rest.first() else {
            return end();
        };
        let len = match first {
            0..0x80 => 1,
            0xc0..0xe0 => 2,
            0xe0..0xf0 => 3,
            0xf0..0xf8 => 4,
            _ => return bad_char(),
        };
        let Some((bytes, rest)) = self.rest.split_at_checked(len) else {
            return end();
        };
        self.rest = rest;
        let text = str::from_utf8(bytes).ok();
        match text.and_then(|text| text.chars().next()) {
            Some(char) => Ok(char),
            None => bad_char(),
        }
    }
}

// What goes wrong is made out of the way of what goes right, which is inlined many times over.

/// Errors that have nothing to tell beside themselves.
macro_rules! failures {
    ($($name:ident: $error:ident;)*) => {$(
        #[cold]
        #[inline(never)]
        fn $name<T>() -> Result<T> {
            Err(Failure::new(DecodeError::$error))
        }
    )*};
}

failures! {
    end: End;
    bad_char: BadChar;
    bad_integer: BadInteger;
    non_canonical: NonCanonical;
}

#[cold]
#[inline(never)]
fn beyond_input<T>(claimed: u64, left: usize) -> Result<T> {
    Err(Failure::new(DecodeError::LengthBeyondInput {
        claimed,
        left,
    }))
}

/// Refusals by the limits.
impl Reader<'_> {
    #[cold]
    #[inline(never)]
    fn too_deep<T>(&self) -> Result<T> {
        let limit = self.limits.depth;
        Err(Failure::new(DecodeError::TooDeep { limit }))
    }

    #[cold]
    #[inline(never)]
    fn too_many<T>(&self) -> Result<T> {
        let limit = self.limits.items;
        Err(Failure::new(DecodeError::TooMany { limit }))
    }

    #[cold]
    #[inline(never)]
    fn too_large<T>(&self) -> Result<T> {
        let limit = self.limits.memory;
        Err(Failure::new(DecodeError::TooLarge { limit }))
    }
}

/// Lets `value` pass if it is written in as few bytes as it needs.
#[inline]
fn canonical<T>(value: T, is: bool) -> Result<T> {
    match is {
        true => Ok(value),
        false => non_canonical(),
    }
}

/// The signed integer that `folded` stands for: 0, -1, 1, -2, 2, and so on.
macro_rules! signed {
    ($($name:ident($from:ident: $unsigned:ty) -> $signed:ty;)*) => {
        impl Reader<'_> {$(
            #[inline]
            pub(crate) fn $name(&mut self) -> Result<$signed> {
                let folded: $unsigned = self.$from()?;
                Ok((folded >> 1) as $signed ^ -((folded & 1) as $signed))
            }
        )*}
    };
}

signed! {
    i16(u16: u16) -> i16;
    i32(u32: u32) -> i32;
    i64(u64: u64) -> i64;
    i128(u128: u128) -> i128;
}
