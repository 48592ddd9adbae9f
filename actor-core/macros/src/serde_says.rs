//! What serde's attributes make of a message's bytes.
//!
//! Two sides compare their types, and serde's attributes are part of what is written: so they are compared as
//! well, but for those that change nothing of it. In the compact encoding, where nothing says which field is
//! which, some make bytes that nobody can read: these are refused.

use proc_macro2::TokenStream;
use quote::ToTokens;
use syn::punctuated::Punctuated;
use syn::{Attribute, Error, Meta, Token};

use crate::schema::Encoding;

/// Where an attribute stands.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// At the struct or the enum.
    Type,
    Variant,
    Field,
}

/// Those that change nothing of the bytes: what they are called by, and what code is generated for them.
const WITHOUT_EFFECT: &[&str] = &[
    "alias",
    "borrow",
    "bound",
    "crate",
    "deny_unknown_fields",
    "expecting",
];

/// What serde's attributes say here, in an order of its own.
pub(crate) fn what(
    attributes: &[Attribute],
    place: Place,
    encoding: Encoding,
) -> Result<Vec<TokenStream>, Error> {
    let mut all = Vec::new();
    for attribute in attributes {
        if attribute.path().is_ident("serde") {
            match attribute.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated) {
                Ok(metas) => all.extend(metas),
                // It is serde's to say what is wrong.
                Err(_) => return Ok(vec![attribute.to_token_stream()]),
            }
        }
    }
    if encoding == Encoding::Compact {
        check(&all, place)?;
    }
    all.retain(|meta| !WITHOUT_EFFECT.iter().any(|word| meta.path().is_ident(word)));
    all.sort_by_cached_key(|meta| meta.to_token_stream().to_string());
    Ok(all.into_iter().map(|meta| meta.to_token_stream()).collect())
}

/// Refuses what the compact encoding cannot write, or not so that it could be read again.
fn check(all: &[Meta], place: Place) -> Result<(), Error> {
    let has = |word: &str| all.iter().any(|meta| meta.path().is_ident(word));
    for meta in all {
        let path = meta.path();
        let is = |words: &[&str]| words.iter().any(|word| path.is_ident(word));
        let why = if is(&["flatten", "tag", "content", "untagged"]) {
            "a compact message does not say which of its fields is which, or where they end, so this cannot be read"
        } else if is(&["skip_serializing_if"]) {
            "in a compact message a field that is left out would be taken for the next one"
        } else if is(&["skip", "skip_serializing", "skip_deserializing"]) && place == Place::Variant
        {
            "in a compact message variants are numbers, and those behind this one would be taken for others"
        } else if (is(&["skip_serializing"]) && !has("skip_deserializing"))
            || (is(&["skip_deserializing"]) && !has("skip_serializing"))
        {
            "in a compact message a field that one side leaves out would be taken for the next one: `skip` is for \
             both"
        } else {
            continue;
        };
        return Err(Error::new_spanned(
            path,
            format!("{why} (`encoding = \"named\"` has names)"),
        ));
    }
    Ok(())
}
