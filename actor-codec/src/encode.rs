//! Values to bytes.

use bincode::config::{self, Configuration};
use bincode::enc::{Encode, EncoderImpl};
use serde::Serialize;
use serde::ser::{
    SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant, Serializer,
};

use crate::bounded::{Bounded, append};
use crate::error::{EncodeError, Failure};

/// Appends the bytes of `value` to `into`, of which there may be at most `max`.
///
/// The bytes are those that bincode 2 writes for `config::standard()`. If it fails, or if the `Serialize` of
/// a type within panics, `into` is as long as before. No more than `max` bytes are ever added, so that a
/// value that is far too big costs no more than one that is a little too big.
///
/// ```
/// use actor_codec::{EncodeError, encode};
///
/// let mut bytes = Vec::new();
/// encode(&(300u16, "hi", Some(true)), &mut bytes, 1024).unwrap();
/// assert_eq!(bytes, [251, 44, 1, 2, b'h', b'i', 1, 1]);
///
/// // Values that could not be read again are refused here rather than there.
/// let refused = encode(&vec![(); 3], &mut bytes, 1024);
/// assert_eq!(refused, Err(EncodeError::ZeroSized));
/// assert_eq!(bytes.len(), 8);
/// ```
pub fn encode<T: Serialize + ?Sized>(
    value: &T,
    into: &mut Vec<u8>,
    max: usize,
) -> Result<(), EncodeError> {
    append(into, max, |bounded| {
        let mut encoder = Encoder(EncoderImpl::new(bounded, config::standard()));
        value.serialize(&mut encoder).map_err(Failure::into_inner)
    })
}

type Result<T, E = Failure<EncodeError>> = std::result::Result<T, E>;

/// Bincode's encoder writes the numbers, texts and lengths. Which of these follow one another is ours,
/// and so are the checks that what is written can be read again.
struct Encoder<'a, 'b>(EncoderImpl<&'a mut Bounded<'b>, Configuration>);

impl Encoder<'_, '_> {
    #[inline]
    fn put<T: Encode + ?Sized>(&mut self, value: &T) -> Result<()> {
        match value.encode(&mut self.0) {
            Ok(()) => Ok(()),
            Err(error) => Err(failed(error)),
        }
    }

    /// How long the buffer is.
    #[inline]
    fn len(&mut self) -> usize {
        use bincode::enc::Encoder as _;
        self.0.writer().len()
    }
}

#[cold]
fn failed(error: bincode::error::EncodeError) -> Failure<EncodeError> {
    // Of the reasons that bincode has, that the writer is full is the only one for which such values can
    // fail; `append` knows its limit and says so.
    serde::ser::Error::custom(error)
}

macro_rules! put {
    ($($method:ident($type:ty))*) => {$(
        #[inline]
        fn $method(self, value: $type) -> Result<()> {
            self.put(&value)
        }
    )*};
}

impl<'e, 'a, 'b> Serializer for &'e mut Encoder<'a, 'b> {
    type Ok = ();
    type Error = Failure<EncodeError>;
    type SerializeSeq = Elements<'e, 'a, 'b>;
    type SerializeTuple = Self;
    type SerializeTupleStruct = Self;
    type SerializeTupleVariant = Self;
    type SerializeMap = Elements<'e, 'a, 'b>;
    type SerializeStruct = Self;
    type SerializeStructVariant = Self;

    put! {
        serialize_bool(bool)
        serialize_i8(i8) serialize_i16(i16) serialize_i32(i32) serialize_i64(i64) serialize_i128(i128)
        serialize_u8(u8) serialize_u16(u16) serialize_u32(u32) serialize_u64(u64) serialize_u128(u128)
        serialize_f32(f32) serialize_f64(f64) serialize_char(char)
        serialize_str(&str) serialize_bytes(&[u8])
    }

    #[inline]
    fn serialize_none(self) -> Result<()> {
        self.put(&0u8)
    }

    #[inline]
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<()> {
        self.put(&1u8)?;
        value.serialize(self)
    }

    #[inline]
    fn serialize_unit(self) -> Result<()> {
        Ok(())
    }

    #[inline]
    fn serialize_unit_struct(self, _: &'static str) -> Result<()> {
        Ok(())
    }

    #[inline]
    fn serialize_unit_variant(self, _: &'static str, index: u32, _: &'static str) -> Result<()> {
        self.put(&index)
    }

    #[inline]
    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<()> {
        value.serialize(self)
    }

    #[inline]
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        index: u32,
        _: &'static str,
        value: &T,
    ) -> Result<()> {
        self.put(&index)?;
        value.serialize(self)
    }

    #[inline]
    fn serialize_seq(self, len: Option<usize>) -> Result<Self::SerializeSeq> {
        Elements::new(self, len)
    }

    #[inline]
    fn serialize_tuple(self, _: usize) -> Result<Self> {
        Ok(self)
    }

    #[inline]
    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Self> {
        Ok(self)
    }

    #[inline]
    fn serialize_tuple_variant(
        self,
        _: &'static str,
        index: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self> {
        self.put(&index)?;
        Ok(self)
    }

    #[inline]
    fn serialize_map(self, len: Option<usize>) -> Result<Self::SerializeMap> {
        Elements::new(self, len)
    }

    #[inline]
    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Self> {
        Ok(self)
    }

    #[inline]
    fn serialize_struct_variant(
        self,
        _: &'static str,
        index: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self> {
        self.put(&index)?;
        Ok(self)
    }

    #[inline]
    fn is_human_readable(&self) -> bool {
        false
    }
}

/// The elements of a sequence, or the entries of a map, of which as many must come as were announced.
struct Elements<'e, 'a, 'b> {
    encoder: &'e mut Encoder<'a, 'b>,
    /// How many were announced.
    said: usize,
    /// How many have come.
    given: usize,
    /// How long the buffer was before the key of the entry that is being written.
    before: usize,
}

impl<'e, 'a, 'b> Elements<'e, 'a, 'b> {
    #[inline]
    fn new(encoder: &'e mut Encoder<'a, 'b>, len: Option<usize>) -> Result<Self> {
        let Some(said) = len else {
            return Err(Failure::new(EncodeError::UnknownLength));
        };
        encoder.put(&said)?;
        Ok(Elements {
            encoder,
            said,
            given: 0,
            before: 0,
        })
    }

    /// An element, or an entry, is written; the buffer was as long `before` it.
    #[inline]
    fn given(&mut self, before: usize) -> Result<()> {
        self.given += 1;
        match self.encoder.len() == before {
            true => Err(Failure::new(EncodeError::ZeroSized)),
            false => Ok(()),
        }
    }

    #[inline]
    fn finish(self) -> Result<()> {
        let Elements { said, given, .. } = self;
        match said == given {
            true => Ok(()),
            false => Err(Failure::new(EncodeError::WrongLength { said, given })),
        }
    }
}

impl SerializeSeq for Elements<'_, '_, '_> {
    type Ok = ();
    type Error = Failure<EncodeError>;

    #[inline]
    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        let before = self.encoder.len();
        value.serialize(&mut *self.encoder)?;
        self.given(before)
    }

    #[inline]
    fn end(self) -> Result<()> {
        self.finish()
    }
}

impl SerializeMap for Elements<'_, '_, '_> {
    type Ok = ();
    type Error = Failure<EncodeError>;

    #[inline]
    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<()> {
        self.before = self.encoder.len();
        key.serialize(&mut *self.encoder)
    }

    #[inline]
    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        value.serialize(&mut *self.encoder)?;
        self.given(self.before)
    }

    #[inline]
    fn end(self) -> Result<()> {
        self.finish()
    }
}

macro_rules! fields {
    ($($trait:ident: $method:ident($($key:ident: $type:ty)?);)*) => {$(
        impl $trait for &mut Encoder<'_, '_> {
            type Ok = ();
            type Error = Failure<EncodeError>;

            #[inline]
            fn $method<T: Serialize + ?Sized>(&mut self, $($key: $type,)? value: &T) -> Result<()> {
                value.serialize(&mut **self)
            }

            #[inline]
            fn end(self) -> Result<()> {
                Ok(())
            }

            $(#[cold]
            fn skip_field(&mut self, field: $type) -> Result<()> {
                Err(Failure::new(EncodeError::SkippedField { field }))
            })?
        }
    )*};
}

fields! {
    SerializeTuple: serialize_element();
    SerializeTupleStruct: serialize_field();
    SerializeTupleVariant: serialize_field();
    SerializeStruct: serialize_field(_key: &'static str);
    SerializeStructVariant: serialize_field(_key: &'static str);
}
