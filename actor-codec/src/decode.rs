//! Bytes to values.

use serde::de::value::U32Deserializer;
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess,
    SeqAccess, VariantAccess, Visitor,
};

use crate::error::{DecodeError, Failure};
use crate::limits::Limits;
use crate::reader::{Reader, Result};

/// The most elements that a collection is told to make room for before any has come. It grows by
/// itself from then on, with what has really come.
pub(crate) const MAX_HINT: usize = 4096;

/// The value whose bytes, all of them, these are.
///
/// They may come from anyone. Nothing is allocated, and nothing is repeated, for what they claim, only for
/// what is there; and what is there may cost no more than `limits` say. The stack that is used depends on the
/// type and on [`Limits::depth`]. A type whose `Deserialize` panics does so here.
///
/// ```
/// use actor_codec::{DecodeError, Limits, decode};
///
/// let limits = Limits::default();
/// let value: (u16, String, Option<bool>) = decode(&[251, 44, 1, 2, b'h', b'i', 1, 1], &limits).unwrap();
/// assert_eq!(value, (300, "hi".to_string(), Some(true)));
///
/// // A text of a million bytes, it says.
/// let refused = decode::<String>(&[252, 64, 66, 15, 0], &limits);
/// let claimed = 1_000_000;
/// assert_eq!(refused, Err(DecodeError::LengthBeyondInput { claimed, left: 0 }));
/// ```
pub fn decode<T: DeserializeOwned>(bytes: &[u8], limits: &Limits) -> Result<T, DecodeError> {
    let mut reader = Reader::new(bytes, limits);
    let value = T::deserialize(&mut reader).map_err(Failure::into_inner)?;
    match reader.left() {
        0 => Ok(value),
        bytes => Err(DecodeError::Trailing { bytes }),
    }
}

// In a build without optimization, whatever has a name, and each `?`, takes stack at every level. So results
// that hold a value are handed on as they are here, and looked at in passing.

/// What asks for a value of any type.
#[cold]
fn self_describing<T>() -> Result<T> {
    Err(Failure::new(DecodeError::SelfDescribing))
}

macro_rules! numbers {
    ($($method:ident: $read:ident $visit:ident;)*) => {$(
        #[inline]
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
            visitor.$visit(self.$read()?)
        }
    )*};
}

impl<'de> Deserializer<'de> for &mut Reader<'de> {
    type Error = Failure<DecodeError>;

    numbers! {
        deserialize_u8: byte visit_u8;
        deserialize_u16: u16 visit_u16;
        deserialize_u32: u32 visit_u32;
        deserialize_u64: u64 visit_u64;
        deserialize_u128: u128 visit_u128;
        deserialize_i16: i16 visit_i16;
        deserialize_i32: i32 visit_i32;
        deserialize_i64: i64 visit_i64;
        deserialize_i128: i128 visit_i128;
        deserialize_char: char visit_char;
    }

    #[inline]
    fn deserialize_i8<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_i8(self.byte()? as i8)
    }

    #[inline]
    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_f32(f32::from_le_bytes(self.array()?))
    }

    #[inline]
    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_f64(f64::from_le_bytes(self.array()?))
    }

    #[inline]
    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.byte()? {
            0 => visitor.visit_bool(false),
            1 => visitor.visit_bool(true),
            byte => Err(Failure::new(DecodeError::BadBool(byte))),
        }
    }

    #[inline]
    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match str::from_utf8(self.bytes()?) {
            Ok(text) => visitor.visit_borrowed_str(text),
            Err(_) => Err(Failure::new(DecodeError::BadUtf8)),
        }
    }

    #[inline]
    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        // The visitor copies it. There is no `String` of ours that it could have as it is.
        self.deserialize_str(visitor)
    }

    #[inline]
    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_borrowed_bytes(self.bytes()?)
    }

    #[inline]
    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.deserialize_bytes(visitor)
    }

    #[inline]
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        if !self.is_some()? {
            return visitor.visit_none();
        }
        self.enter(1)?;
        let value = visitor.visit_some(&mut *self);
        self.leave(1);
        value
    }

    #[inline]
    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_unit()
    }

    #[inline]
    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value> {
        visitor.visit_unit()
    }

    #[inline]
    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value> {
        self.enter(1)?;
        let value = visitor.visit_newtype_struct(&mut *self);
        self.leave(1);
        value
    }

    #[inline]
    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.enter(1)?;
        let left = self.items()?;
        let mut elements = Elements::new(self, left);
        let value = visitor.visit_seq(&mut elements);
        if elements.left > 0 && value.is_ok() {
            return unread(elements.left);
        }
        self.leave(1);
        value
    }

    #[inline]
    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.enter(1)?;
        let left = self.items()?;
        let mut entries = Entries {
            elements: Elements::new(self, left),
            before: 0,
            charged: 0,
        };
        let value = visitor.visit_map(&mut entries);
        if entries.elements.left > 0 && value.is_ok() {
            return unread(entries.elements.left);
        }
        self.leave(1);
        value
    }

    #[inline]
    fn deserialize_tuple<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value> {
        self.fields(1, len, visitor)
    }

    #[inline]
    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value> {
        self.fields(1, len, visitor)
    }

    #[inline]
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        self.fields(1, fields.len(), visitor)
    }

    #[inline]
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        self.enter(1)?;
        let value = visitor.visit_enum(Variant { reader: self, name });
        self.leave(1);
        value
    }

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value> {
        self_describing()
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, _: V) -> Result<V::Value> {
        self_describing()
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value> {
        self_describing()
    }

    #[inline]
    fn is_human_readable(&self) -> bool {
        false
    }
}

impl<'de> Reader<'de> {
    /// Values one after the other, as many as the type says, and so many levels deeper: none, if they are
    /// those of an enum's variant, which is a level itself.
    #[inline]
    fn fields<V: Visitor<'de>>(&mut self, levels: u16, len: usize, visitor: V) -> Result<V::Value> {
        self.enter(levels)?;
        let mut fields = Fields {
            reader: self,
            left: len,
        };
        let value = visitor.visit_seq(&mut fields);
        if fields.left > 0 && value.is_ok() {
            return unread(fields.left);
        }
        self.leave(levels);
        value
    }
}

/// Refuses a value whose type has not taken all that was there for it: what follows would be taken for
/// something else.
#[cold]
#[inline(never)]
fn unread<T>(elements: usize) -> Result<T> {
    Err(Failure::new(DecodeError::Unread { elements }))
}

/// Refuses an element that has taken no bytes: any number of these would have come for free.
#[cold]
#[inline(never)]
fn zero_sized<T>() -> Result<T> {
    Err(Failure::new(DecodeError::ZeroSized))
}

/// The fields of a struct or tuple, whose number the type says, so that they need no limit.
struct Fields<'a, 'de> {
    reader: &'a mut Reader<'de>,
    left: usize,
}

impl<'de> SeqAccess<'de> for Fields<'_, 'de> {
    type Error = Failure<DecodeError>;

    #[inline]
    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>> {
        let Some(left) = self.left.checked_sub(1) else {
            return Ok(None);
        };
        self.left = left;
        seed.deserialize(&mut *self.reader).map(Some)
    }

    #[inline]
    fn size_hint(&self) -> Option<usize> {
        Some(self.left)
    }
}

/// The elements of a sequence, whose number the sender says.
struct Elements<'a, 'de> {
    reader: &'a mut Reader<'de>,
    left: usize,
    /// How many bytes of memory have been charged for each of those that are left.
    charged: usize,
}

impl<'a, 'de> Elements<'a, 'de> {
    #[inline]
    fn new(reader: &'a mut Reader<'de>, left: usize) -> Elements<'a, 'de> {
        Elements {
            reader,
            left,
            charged: 0,
        }
    }

    /// Whether there is another, which is about to be decoded.
    ///
    /// With the first, whose type is known only now, all are charged for, before any is made.
    #[inline]
    fn next<T>(&mut self) -> Result<bool> {
        let Some(left) = self.left.checked_sub(1) else {
            return Ok(false);
        };
        let size = size_of::<T>();
        if size > self.charged {
            self.reader.charge(self.left, size - self.charged)?;
            self.charged = size;
        }
        self.left = left;
        Ok(true)
    }

    #[inline]
    fn hint(&self) -> Option<usize> {
        Some(self.left.min(MAX_HINT))
    }
}

impl<'de> SeqAccess<'de> for Elements<'_, 'de> {
    type Error = Failure<DecodeError>;

    #[inline]
    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>> {
        if !self.next::<S::Value>()? {
            return Ok(None);
        }
        let before = self.reader.left();
        let value = seed.deserialize(&mut *self.reader);
        if self.reader.left() == before && value.is_ok() {
            return zero_sized();
        }
        value.map(Some)
    }

    #[inline]
    fn size_hint(&self) -> Option<usize> {
        self.hint()
    }
}

/// The entries of a map, whose number the sender says.
struct Entries<'a, 'de> {
    elements: Elements<'a, 'de>,
    /// How many bytes were left before the key of the entry.
    before: usize,
    /// How many bytes of memory have been charged for each value; for the keys, the elements know.
    charged: usize,
}

impl<'de> MapAccess<'de> for Entries<'_, 'de> {
    type Error = Failure<DecodeError>;

    #[inline]
    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>> {
        if !self.elements.next::<S::Value>()? {
            return Ok(None);
        }
        let reader = &mut *self.elements.reader;
        self.before = reader.left();
        seed.deserialize(reader).map(Some)
    }

    #[inline]
    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value> {
        let reader = &mut *self.elements.reader;
        let size = size_of::<S::Value>();
        if size > self.charged {
            // This one has already been taken off those that are left.
            reader.charge(self.elements.left + 1, size - self.charged)?;
            self.charged = size;
        }
        let value = seed.deserialize(&mut *reader);
        if reader.left() == self.before && value.is_ok() {
            return zero_sized();
        }
        value
    }

    #[inline]
    fn size_hint(&self) -> Option<usize> {
        self.elements.hint()
    }
}

/// A variant of an enum: its number, then what it holds.
struct Variant<'a, 'de> {
    reader: &'a mut Reader<'de>,
    /// The name of the enum.
    name: &'static str,
}

impl<'a, 'de> EnumAccess<'de> for Variant<'a, 'de> {
    type Error = Failure<DecodeError>;
    type Variant = &'a mut Reader<'de>;

    #[inline]
    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self::Variant)> {
        let Variant { reader, name } = self;
        let index = reader.u32()?;
        // Whether there is such a variant is left to the type: `#[serde(other)]` takes any number.
        let deserializer: U32Deserializer<Failure<DecodeError>> = index.into_deserializer();
        match seed.deserialize(deserializer) {
            Ok(variant) => Ok((variant, reader)),
            Err(_) => Err(Failure::new(DecodeError::BadVariant { name, index })),
        }
    }
}

impl<'de> VariantAccess<'de> for &mut Reader<'de> {
    type Error = Failure<DecodeError>;

    #[inline]
    fn unit_variant(self) -> Result<()> {
        Ok(())
    }

    #[inline]
    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value> {
        seed.deserialize(self)
    }

    #[inline]
    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value> {
        self.fields(0, len, visitor)
    }

    #[inline]
    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        self.fields(0, fields.len(), visitor)
    }
}
