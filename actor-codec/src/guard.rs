//! Limits around the deserializer of another crate.
//!
//! Everything that a type is handed, deserializers, accesses and seeds, is wrapped, so that each value is seen
//! on its way in. The first thing that is refused is kept beside the other crate's error, which has no
//! place for it.

use std::cell::{Cell, OnceCell};

use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error, MapAccess, SeqAccess, VariantAccess, Visitor,
};

use crate::decode::MAX_HINT;
use crate::error::DecodeError;
use crate::limits::Limits;

/// What a value may still cost.
pub(crate) struct Budget<'l> {
    depth: Cell<u16>,
    items: Cell<usize>,
    memory: Cell<usize>,
    limits: &'l Limits,
    refused: OnceCell<DecodeError>,
}

impl<'l> Budget<'l> {
    pub(crate) fn new(limits: &'l Limits) -> Budget<'l> {
        Budget {
            depth: Cell::new(limits.depth),
            items: Cell::new(limits.items),
            memory: Cell::new(limits.memory),
            limits,
            refused: OnceCell::new(),
        }
    }

    /// Wraps what is limited by this.
    pub(crate) fn guard<T>(&self, inner: T) -> Guard<'_, T> {
        Guard {
            budget: self,
            inner,
        }
    }

    /// What was refused, if anything was.
    pub(crate) fn into_refused(self) -> Option<DecodeError> {
        self.refused.into_inner()
    }

    #[cold]
    fn refuse<E: Error>(&self, error: DecodeError) -> E {
        let text = E::custom(&error);
        // Only the first matters: it is why the others came about.
        let _ = self.refused.set(error);
        text
    }

    /// Begins what has other values inside. When it fails, decoding ends, and nothing needs to be left.
    fn enter<E: Error>(&self) -> Result<(), E> {
        match self.depth.get().checked_sub(1) {
            Some(depth) => {
                self.depth.set(depth);
                Ok(())
            }
            None => Err(self.refuse(DecodeError::TooDeep {
                limit: self.limits.depth,
            })),
        }
    }

    fn leave(&self) {
        self.depth.set(self.depth.get() + 1);
    }

    /// Charges for one more element or entry.
    fn item<E: Error>(&self) -> Result<(), E> {
        match self.items.get().checked_sub(1) {
            Some(items) => {
                self.items.set(items);
                Ok(())
            }
            None => Err(self.refuse(DecodeError::TooMany {
                limit: self.limits.items,
            })),
        }
    }

    /// Charges for a place in a collection.
    fn charge<E: Error>(&self, size: usize) -> Result<(), E> {
        match self.memory.get().checked_sub(size) {
            Some(memory) => {
                self.memory.set(memory);
                Ok(())
            }
            None => Err(self.refuse(DecodeError::TooLarge {
                limit: self.limits.memory,
            })),
        }
    }
}

/// A deserializer, visitor, access or seed whose values are charged to a budget.
pub(crate) struct Guard<'b, T> {
    budget: &'b Budget<'b>,
    inner: T,
}

macro_rules! deserialize {
    ($($method:ident($($argument:ident: $type:ty),*);)*) => {$(
        fn $method<V: Visitor<'de>>(self, $($argument: $type,)* visitor: V) -> Result<V::Value, D::Error> {
            self.inner.$method($($argument,)* self.budget.guard(visitor))
        }
    )*};
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Guard<'_, D> {
    type Error = D::Error;

    deserialize! {
        deserialize_any();
        deserialize_bool();
        deserialize_i8();
        deserialize_i16();
        deserialize_i32();
        deserialize_i64();
        deserialize_i128();
        deserialize_u8();
        deserialize_u16();
        deserialize_u32();
        deserialize_u64();
        deserialize_u128();
        deserialize_f32();
        deserialize_f64();
        deserialize_char();
        deserialize_str();
        deserialize_string();
        deserialize_bytes();
        deserialize_byte_buf();
        deserialize_option();
        deserialize_unit();
        deserialize_unit_struct(name: &'static str);
        deserialize_newtype_struct(name: &'static str);
        deserialize_seq();
        deserialize_tuple(len: usize);
        deserialize_tuple_struct(name: &'static str, len: usize);
        deserialize_map();
        deserialize_struct(name: &'static str, fields: &'static [&'static str]);
        deserialize_enum(name: &'static str, variants: &'static [&'static str]);
        deserialize_identifier();
        deserialize_ignored_any();
    }

    fn is_human_readable(&self) -> bool {
        self.inner.is_human_readable()
    }
}

macro_rules! visit {
    ($($method:ident($($argument:ident: $type:ty)?);)*) => {$(
        fn $method<E: Error>(self, $($argument: $type)?) -> Result<V::Value, E> {
            self.inner.$method($($argument)?)
        }
    )*};
}

/// What has other values inside.
macro_rules! visit_nested {
    ($($method:ident<$type:ident: $trait:ident>;)*) => {$(
        fn $method<$type: $trait<'de>>(self, inside: $type) -> Result<V::Value, $type::Error> {
            self.budget.enter()?;
            let value = self.inner.$method(self.budget.guard(inside))?;
            self.budget.leave();
            Ok(value)
        }
    )*};
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Guard<'_, V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.inner.expecting(f)
    }

    visit! {
        visit_bool(value: bool);
        visit_i8(value: i8);
        visit_i16(value: i16);
        visit_i32(value: i32);
        visit_i64(value: i64);
        visit_i128(value: i128);
        visit_u8(value: u8);
        visit_u16(value: u16);
        visit_u32(value: u32);
        visit_u64(value: u64);
        visit_u128(value: u128);
        visit_f32(value: f32);
        visit_f64(value: f64);
        visit_char(value: char);
        visit_str(value: &str);
        visit_borrowed_str(value: &'de str);
        visit_string(value: String);
        visit_bytes(value: &[u8]);
        visit_borrowed_bytes(value: &'de [u8]);
        visit_byte_buf(value: Vec<u8>);
        visit_none();
        visit_unit();
    }

    visit_nested! {
        visit_some<D: Deserializer>;
        visit_newtype_struct<D: Deserializer>;
        visit_seq<A: SeqAccess>;
        visit_map<A: MapAccess>;
        visit_enum<A: EnumAccess>;
    }
}

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Guard<'_, S> {
    type Value = S::Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<S::Value, D::Error> {
        self.inner.deserialize(self.budget.guard(deserializer))
    }
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for Guard<'_, A> {
    type Error = A::Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, A::Error> {
        let Some(value) = self.inner.next_element_seed(self.budget.guard(seed))? else {
            return Ok(None);
        };
        self.budget.item()?;
        self.budget.charge(size_of::<S::Value>())?;
        Ok(Some(value))
    }

    fn size_hint(&self) -> Option<usize> {
        self.inner.size_hint().map(|hint| hint.min(MAX_HINT))
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Guard<'_, A> {
    type Error = A::Error;

    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, A::Error> {
        let Some(key) = self.inner.next_key_seed(self.budget.guard(seed))? else {
            return Ok(None);
        };
        self.budget.item()?;
        self.budget.charge(size_of::<S::Value>())?;
        Ok(Some(key))
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        self.budget.charge(size_of::<S::Value>())?;
        self.inner.next_value_seed(self.budget.guard(seed))
    }

    fn size_hint(&self) -> Option<usize> {
        self.inner.size_hint().map(|hint| hint.min(MAX_HINT))
    }
}

impl<'de, 'b, A: EnumAccess<'de>> EnumAccess<'de> for Guard<'b, A> {
    type Error = A::Error;
    type Variant = Guard<'b, A::Variant>;

    fn variant_seed<S: DeserializeSeed<'de>>(
        self,
        seed: S,
    ) -> Result<(S::Value, Self::Variant), A::Error> {
        let (value, variant) = self.inner.variant_seed(self.budget.guard(seed))?;
        Ok((value, self.budget.guard(variant)))
    }
}

impl<'de, A: VariantAccess<'de>> VariantAccess<'de> for Guard<'_, A> {
    type Error = A::Error;

    fn unit_variant(self) -> Result<(), A::Error> {
        self.inner.unit_variant()
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, A::Error> {
        self.inner.newtype_variant_seed(self.budget.guard(seed))
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, A::Error> {
        self.inner.tuple_variant(len, self.budget.guard(visitor))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        self.inner
            .struct_variant(fields, self.budget.guard(visitor))
    }
}
