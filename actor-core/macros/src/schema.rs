//! What two processes compare before one sends messages of a class to the other.
//!
//! The hash must be the same for ever, and for each version of the compiler. So it is of a text that is
//! written here token by token: the compiler's own way to print tokens has changed before.

use std::fmt::Write as _;

use proc_macro2::{Delimiter, Group, Literal, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::{Attribute, Data, Error, Fields, Ident, LitStr, Type};

use crate::serde_says::{self, Place};

/// The longest name of a message.
const MAX_NAME: usize = 128;

/// How other processes know a class of messages.
pub(crate) struct Remote {
    pub(crate) name: String,
    pub(crate) version: u32,
    pub(crate) encoding: Encoding,
}

impl Remote {
    /// Says it of the type `class`. What that lacks is said of the place `at`.
    pub(crate) fn implementation(
        &self,
        root: &TokenStream,
        class: &impl ToTokens,
        at: Span,
        schema: u64,
    ) -> TokenStream {
        let Remote {
            name,
            version,
            encoding,
        } = self;
        let encoding = encoding.variant();
        quote_spanned! {at=>
            #[automatically_derived]
            impl #root::RemoteMessage for #class {
                const NAME: &'static str = #name;
                const VERSION: u32 = #version;
                const SCHEMA: u64 = #schema;
                const ENCODING: #root::Encoding = #root::Encoding::#encoding;
            }
        }
    }
}

/// How the fields of a message are written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    Compact,
    Named,
}

impl Encoding {
    pub(crate) fn parse(word: &LitStr) -> Result<Encoding, Error> {
        match word.value().as_str() {
            "compact" => Ok(Encoding::Compact),
            "named" => Ok(Encoding::Named),
            _ => Err(Error::new(
                word.span(),
                "the encodings are \"compact\" and \"named\"",
            )),
        }
    }

    fn variant(self) -> Ident {
        let name = match self {
            Encoding::Compact => "Compact",
            Encoding::Named => "Named",
        };
        Ident::new(name, Span::call_site())
    }
}

/// Refuses what cannot be the name of a message.
pub(crate) fn check_name(name: &str, at: Span) -> Result<(), Error> {
    let refuse = |why: String| Err(Error::new(at, why));
    if name.is_empty() {
        refuse("a remote message has a name: it is how another process knows it".to_owned())
    } else if name.len() > MAX_NAME {
        refuse(format!(
            "the name of a message has at most {MAX_NAME} bytes, and this one {}",
            name.len()
        ))
    } else if let Some(letter) = name.chars().find(|c| c.is_control() || c.is_whitespace()) {
        refuse(format!(
            "the name of a message has no spaces and no control characters, such as {letter:?}"
        ))
    } else {
        Ok(())
    }
}

/// The hash of a struct or an enum.
pub(crate) fn of_type(
    encoding: Encoding,
    attributes: &[Attribute],
    data: &Data,
    reply: &impl ToTokens,
) -> Result<u64, Error> {
    let mut schema = Schema::new(encoding, reply);
    match data {
        Data::Struct(data) => {
            schema.line("struct", None);
            schema.serde(attributes, Place::Type)?;
            schema.fields(&data.fields)?;
        }
        Data::Enum(data) => {
            schema.line("enum", None);
            schema.serde(attributes, Place::Type)?;
            for variant in &data.variants {
                schema.line("variant", Some(variant.ident.unraw().to_token_stream()));
                schema.serde(&variant.attrs, Place::Variant)?;
                schema.fields(&variant.fields)?;
            }
        }
        Data::Union(_) => {}
    }
    Ok(schema.hash())
}

/// The hash of a struct with these fields.
pub(crate) fn of_fields<'a>(
    encoding: Encoding,
    fields: impl Iterator<Item = (&'a Ident, &'a Type)>,
    reply: &impl ToTokens,
) -> u64 {
    let mut schema = Schema::new(encoding, reply);
    schema.line("struct", None);
    for (name, of) in fields {
        schema.field(name.unraw(), of);
    }
    schema.hash()
}

/// A text of what is compared: a line for each thing.
struct Schema {
    encoding: Encoding,
    text: String,
}

impl Schema {
    fn new(encoding: Encoding, reply: &impl ToTokens) -> Schema {
        let mut schema = Schema {
            encoding,
            text: String::new(),
        };
        schema.text.push_str(match encoding {
            Encoding::Compact => "compact\n",
            Encoding::Named => "named\n",
        });
        write_line(&mut schema.text, "reply", Some(reply.to_token_stream()));
        schema
    }

    fn fields(&mut self, fields: &Fields) -> Result<(), Error> {
        for (index, field) in fields.iter().enumerate() {
            match &field.ident {
                Some(name) => self.field(name.unraw(), &field.ty),
                None => self.field(Literal::usize_unsuffixed(index), &field.ty),
            }
            self.serde(&field.attrs, Place::Field)?;
        }
        Ok(())
    }

    /// What serde is told of what the line before is about.
    fn serde(&mut self, attributes: &[Attribute], place: Place) -> Result<(), Error> {
        for said in serde_says::what(attributes, place, self.encoding)? {
            self.line("serde", Some(said));
        }
        Ok(())
    }

    fn field(&mut self, name: impl ToTokens, of: &Type) {
        self.line("field", Some(quote!(#name #of)));
    }

    /// Of fields and variants. Of a named message these need not be alike.
    fn line(&mut self, word: &str, tokens: Option<TokenStream>) {
        if self.encoding == Encoding::Compact {
            write_line(&mut self.text, word, tokens);
        }
    }

    fn hash(&self) -> u64 {
        fnv1a(self.text.as_bytes())
    }
}

fn write_line(text: &mut String, word: &str, tokens: Option<TokenStream>) {
    text.push_str(word);
    if let Some(tokens) = tokens {
        write_tokens(text, tokens);
    }
    text.push('\n');
}

/// Writes tokens as they are, with one space before each, and without what changes nothing: commas at
/// the end, which come and go as lines are broken, and groups that only macros see.
fn write_tokens(text: &mut String, tokens: TokenStream) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    for (at, token) in tokens.iter().enumerate() {
        match token {
            TokenTree::Group(group) => write_group(text, group),
            TokenTree::Punct(punct) => {
                let ends = |next: &TokenTree| is_punct(next, '>');
                if punct.as_char() != ',' || !tokens.get(at + 1).is_some_and(ends) {
                    write!(text, " {}", punct.as_char()).expect("a string takes all");
                }
            }
            TokenTree::Ident(name) => {
                write!(text, " {}", name.unraw()).expect("a string takes all");
            }
            TokenTree::Literal(literal) => {
                write!(text, " {literal}").expect("a string takes all");
            }
        }
    }
}

fn write_group(text: &mut String, group: &Group) {
    let (open, close) = match group.delimiter() {
        Delimiter::Parenthesis => (" (", " )"),
        Delimiter::Bracket => (" [", " ]"),
        Delimiter::Brace => (" {", " }"),
        Delimiter::None => ("", ""),
    };
    text.push_str(open);
    let mut tokens: Vec<TokenTree> = group.stream().into_iter().collect();
    // `(T,)` is a tuple and `(T)` is not, but `(T, U,)` is as good as `(T, U)`.
    if tokens.last().is_some_and(|last| is_punct(last, ',')) && commas(&tokens) > 1 {
        tokens.pop();
    }
    write_tokens(text, tokens.into_iter().collect());
    text.push_str(close);
}

/// The commas that are not between `<` and `>`.
fn commas(tokens: &[TokenTree]) -> usize {
    let (mut depth, mut commas, mut after_dash) = (0, 0, false);
    for token in tokens {
        match token {
            TokenTree::Punct(punct) => match punct.as_char() {
                '<' => depth += 1,
                // Not that of `->`.
                '>' if !after_dash => depth -= 1,
                ',' if depth == 0 => commas += 1,
                _ => {}
            },
            TokenTree::Group(_) | TokenTree::Ident(_) | TokenTree::Literal(_) => {}
        }
        after_dash = is_punct(token, '-');
    }
    commas
}

fn is_punct(token: &TokenTree, which: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == which)
}

/// FNV-1a, 64 bits: short, without state, and the same everywhere.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use syn::{DeriveInput, parse_quote};

    use super::*;

    fn hash_of(input: DeriveInput, reply: Type) -> u64 {
        try_hash_of(Encoding::Compact, input, reply).expect("a message")
    }

    fn try_hash_of(encoding: Encoding, input: DeriveInput, reply: Type) -> Result<u64, Error> {
        of_type(encoding, &input.attrs, &input.data, &reply)
    }

    /// The text of a type as it is hashed.
    fn text(of: &str) -> String {
        let mut text = String::new();
        write_tokens(&mut text, of.parse().expect("tokens"));
        text
    }

    /// The vectors of the hash's authors.
    #[test]
    fn the_hash_is_the_one_that_others_have() {
        assert_eq!(fnv1a(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a(b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(fnv1a(b"foobar"), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn layout_is_no_difference() {
        for (one, other) in [
            ("Vec<u8>", "Vec < u8 >"),
            ("Result<u64, Error>", "Result<\n    u64,\n    Error,\n>"),
            ("(u8, u16)", "(u8, u16,)"),
            ("(Map<u8, u8>, u16)", "(Map<u8, u8>, u16,)"),
            ("fn(u8) -> (u8, u8)", "fn(u8) -> (u8, u8,)"),
            ("a::r#type::T", "a::type::T"),
            ("[u8; 4]", "[u8;4]"),
        ] {
            assert_eq!(text(one), text(other));
        }
    }

    #[test]
    fn another_type_is_a_difference() {
        for (one, other) in [
            ("(T)", "(T,)"),
            ("(Map<u8, u8>)", "(Map<u8, u8>,)"),
            ("(fn() -> u8)", "(fn() -> u8,)"),
            ("[u8; 4]", "[u8; 5]"),
            ("Vec<u8>", "Vec<u16>"),
            ("u64", "std::primitive::u64"),
            ("ab", "a b"),
        ] {
            assert_ne!(text(one), text(other));
        }
    }

    /// What a macro by example passes on as a type is in a group that nobody has written.
    #[test]
    fn a_type_from_another_macro_is_the_same_type() {
        let inner: TokenStream = "Vec<u8>".parse().expect("tokens");
        let group = TokenTree::Group(Group::new(Delimiter::None, inner.clone()));
        let (mut grouped, mut plain) = (String::new(), String::new());
        write_tokens(&mut grouped, group.into());
        write_tokens(&mut plain, inner);
        assert_eq!(grouped, plain);
    }

    #[test]
    fn each_part_of_a_type_counts() {
        let all = [
            hash_of(
                parse_quote!(
                    struct S {
                        a: u8,
                        b: u8,
                    }
                ),
                parse_quote!(()),
            ),
            hash_of(
                parse_quote!(
                    struct S {
                        b: u8,
                        a: u8,
                    }
                ),
                parse_quote!(()),
            ),
            hash_of(
                parse_quote!(
                    struct S {
                        a: u8,
                    }
                ),
                parse_quote!(()),
            ),
            hash_of(
                parse_quote!(
                    struct S {
                        a: u8,
                        c: u8,
                    }
                ),
                parse_quote!(()),
            ),
            hash_of(
                parse_quote!(
                    struct S {
                        a: u8,
                        b: u16,
                    }
                ),
                parse_quote!(()),
            ),
            hash_of(
                parse_quote!(
                    struct S {
                        a: u8,
                        b: u8,
                    }
                ),
                parse_quote!(u8),
            ),
            hash_of(
                parse_quote!(
                    struct S(u8, u8);
                ),
                parse_quote!(()),
            ),
            hash_of(
                parse_quote!(
                    enum S {
                        A,
                        B,
                    }
                ),
                parse_quote!(()),
            ),
            hash_of(
                parse_quote!(
                    enum S {
                        B,
                        A,
                    }
                ),
                parse_quote!(()),
            ),
            hash_of(
                parse_quote!(
                    enum S {
                        A(u8),
                        B,
                    }
                ),
                parse_quote!(()),
            ),
            hash_of(
                parse_quote!(
                    enum S {
                        A,
                        B(u8),
                    }
                ),
                parse_quote!(()),
            ),
            hash_of(
                parse_quote!(
                    enum S {
                        A,
                        B { variant: A },
                    }
                ),
                parse_quote!(()),
            ),
            hash_of(
                parse_quote!(
                    enum S {
                        A,
                        B,
                        A,
                    }
                ),
                parse_quote!(()),
            ),
            hash_of(
                parse_quote!(
                    struct S;
                ),
                parse_quote!(()),
            ),
            hash_of(
                parse_quote!(
                    enum S {}
                ),
                parse_quote!(()),
            ),
        ];
        for (at, one) in all.iter().enumerate() {
            assert!(!all[at + 1..].contains(one), "{at} is like a later one");
        }
    }

    #[test]
    fn the_name_of_the_type_and_its_attributes_do_not_count() {
        let one = hash_of(
            parse_quote!(
                struct One {
                    a: u8,
                }
            ),
            parse_quote!(()),
        );
        let other: DeriveInput = parse_quote! {
            /// Documented.
            #[derive(Debug)]
            pub struct Other {
                /// As well.
                pub(crate) r#a: u8,
            }
        };
        assert_eq!(one, hash_of(other, parse_quote!(())));
    }

    #[test]
    fn what_serde_is_told_counts() {
        let hash = |input: DeriveInput| hash_of(input, parse_quote!(()));
        let all = [
            hash(parse_quote!(
                struct S {
                    a: u8,
                    b: u8,
                }
            )),
            hash(parse_quote!(
                struct S {
                    #[serde(skip)]
                    a: u8,
                    b: u8,
                }
            )),
            hash(parse_quote!(
                struct S {
                    a: u8,
                    #[serde(skip)]
                    b: u8,
                }
            )),
            hash(parse_quote!(
                struct S {
                    #[serde(with = "hex")]
                    a: u8,
                    b: u8,
                }
            )),
            hash(parse_quote!(
                struct S {
                    #[serde(with = "base")]
                    a: u8,
                    b: u8,
                }
            )),
            hash(parse_quote!(
                struct S {
                    #[serde(default)]
                    a: u8,
                    b: u8,
                }
            )),
            hash(parse_quote!(
                struct S {
                    #[serde(rename = "c")]
                    a: u8,
                    b: u8,
                }
            )),
            hash(parse_quote!(
                #[serde(from = "u16", into = "u16")]
                struct S {
                    a: u8,
                    b: u8,
                }
            )),
            hash(parse_quote!(
                #[serde(rename_all = "camelCase")]
                struct S {
                    a: u8,
                    b: u8,
                }
            )),
            hash(parse_quote!(
                enum S {
                    A,
                    B,
                }
            )),
            hash(parse_quote!(
                enum S {
                    #[serde(rename = "C")]
                    A,
                    B,
                }
            )),
            hash(parse_quote!(
                enum S {
                    A,
                    #[serde(with = "hex")]
                    B,
                }
            )),
        ];
        for (at, one) in all.iter().enumerate() {
            assert!(!all[at + 1..].contains(one), "{at} is like a later one");
        }
    }

    #[test]
    fn what_serde_is_told_is_the_same_however_it_is_written() {
        let hash = |input: DeriveInput| hash_of(input, parse_quote!(()));
        assert_eq!(
            hash(parse_quote!(
                struct S {
                    #[serde(skip, default = "one")]
                    a: u8,
                }
            )),
            hash(parse_quote!(
                struct S {
                    #[serde(default = "one")]
                    #[serde(skip)]
                    a: u8,
                }
            )),
        );
        // What changes nothing of the bytes.
        assert_eq!(
            hash(parse_quote!(
                struct S {
                    a: u8,
                }
            )),
            hash(parse_quote! {
                #[serde(crate = "elsewhere::serde", deny_unknown_fields)]
                #[serde(bound(serialize = ""), expecting = "an S")]
                struct S { #[serde(alias = "b")] a: u8 }
            }),
        );
    }

    #[test]
    fn what_nobody_could_read_is_refused() {
        let refused: [DeriveInput; 10] = [
            parse_quote!(
                struct S {
                    #[serde(skip_serializing_if = "is_zero")]
                    a: u8,
                }
            ),
            parse_quote!(
                struct S {
                    #[serde(default, skip_serializing_if = "is_zero")]
                    a: u8,
                }
            ),
            parse_quote!(
                struct S {
                    #[serde(flatten)]
                    a: T,
                }
            ),
            parse_quote!(
                struct S {
                    #[serde(skip_serializing)]
                    a: u8,
                }
            ),
            parse_quote!(
                struct S {
                    #[serde(skip_deserializing)]
                    a: u8,
                }
            ),
            parse_quote!(
                #[serde(untagged)]
                enum S {
                    A,
                    B,
                }
            ),
            parse_quote!(
                #[serde(tag = "kind")]
                enum S {
                    A,
                    B,
                }
            ),
            parse_quote!(
                #[serde(tag = "kind", content = "of")]
                enum S {
                    A,
                    B,
                }
            ),
            parse_quote!(
                enum S {
                    A,
                    #[serde(untagged)]
                    B(u8),
                }
            ),
            parse_quote!(
                enum S {
                    #[serde(skip)]
                    A,
                    B,
                }
            ),
        ];
        for input in refused {
            let text = input.to_token_stream().to_string();
            let compact = try_hash_of(Encoding::Compact, input.clone(), parse_quote!(()));
            assert!(compact.is_err(), "{text}");
            let named = try_hash_of(Encoding::Named, input, parse_quote!(()));
            assert!(named.is_ok(), "{text}");
        }
        let both = parse_quote!(
            struct S {
                #[serde(skip_serializing, skip_deserializing)]
                a: u8,
            }
        );
        assert!(try_hash_of(Encoding::Compact, both, parse_quote!(())).is_ok());
    }

    #[test]
    fn named_messages_differ_by_their_replies_alone() {
        let hash = |input, reply| try_hash_of(Encoding::Named, input, reply).expect("a message");
        let old = hash(
            parse_quote!(
                struct S {
                    a: u8,
                }
            ),
            parse_quote!(u8),
        );
        let new = hash(
            parse_quote!(
                struct S {
                    a: u8,
                    b: u8,
                }
            ),
            parse_quote!(u8),
        );
        assert_eq!(old, new);
        let other = hash(
            parse_quote!(
                struct S {
                    a: u8,
                }
            ),
            parse_quote!(u16),
        );
        assert_ne!(old, other);
        let compact = hash_of(
            parse_quote!(
                struct S {
                    a: u8,
                }
            ),
            parse_quote!(u8),
        );
        assert_ne!(old, compact);
    }
}
