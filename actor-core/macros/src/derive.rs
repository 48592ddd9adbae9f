//! `#[derive(Message)]`.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote};
use syn::meta::ParseNestedMeta;
use syn::{
    Attribute, Data, DeriveInput, Error, GenericParam, LitInt, LitStr, Path, Type, parse_quote,
};

use crate::schema::{self, Encoding, Remote};
use crate::set_once;

pub(crate) fn implement(mut input: DeriveInput) -> Result<TokenStream, Error> {
    if let Data::Union(data) = &input.data {
        return Err(Error::new(
            data.union_token.span,
            "a message is a struct or an enum",
        ));
    }
    let options = Options::parse(&input.attrs)?;
    let remote = options.remote()?;
    for parameter in &mut input.generics.params {
        match parameter {
            GenericParam::Type(parameter) => {
                parameter.bounds.push(parse_quote!(::core::marker::Send));
                parameter.bounds.push(parse_quote!('static));
            }
            GenericParam::Lifetime(parameter) => {
                return Err(Error::new_spanned(
                    parameter,
                    "a message outlives its sender: it owns what it carries, and borrows nothing",
                ));
            }
            GenericParam::Const(_) => {}
        }
    }
    if remote.is_some() && !input.generics.params.is_empty() {
        return Err(Error::new_spanned(
            &input.generics,
            "a remote message is one type: this would be one name for many, of which another process \
             could not tell which is meant; write a type for each",
        ));
    }

    let reply = options.reply.unwrap_or_else(|| parse_quote!(()));
    let root = options.root.unwrap_or_else(|| parse_quote!(::concurrence));
    let name = &input.ident;
    let (impl_generics, type_generics, where_clause) = input.generics.split_for_impl();
    let remote = match remote {
        None => None,
        Some(remote) => {
            let schema = schema::of_type(remote.encoding, &input.attrs, &input.data, &reply)?;
            let at = Span::call_site().located_at(name.span());
            Some(remote.implementation(&root.to_token_stream(), name, at, schema))
        }
    };
    Ok(quote! {
        #[automatically_derived]
        impl #impl_generics #root::Message for #name #type_generics #where_clause {
            type Reply = #reply;
        }

        #remote
    })
}

/// What the `#[message(..)]` attributes of a type say.
#[derive(Default)]
struct Options {
    /// `reply = Type`
    reply: Option<Type>,
    /// `crate = path`
    root: Option<Path>,
    /// `remote = "name"`
    remote: Option<LitStr>,
    /// `version = number`, with the word itself.
    version: Option<(Path, LitInt)>,
    /// `encoding = "kind"`, with the word itself.
    encoding: Option<(Path, LitStr)>,
}

impl Options {
    fn parse(attributes: &[Attribute]) -> Result<Options, Error> {
        let mut options = Options::default();
        for attribute in attributes {
            if attribute.path().is_ident("message") {
                attribute.parse_nested_meta(|meta| options.parse_one(&meta))?;
            }
        }
        Ok(options)
    }

    fn parse_one(&mut self, meta: &ParseNestedMeta<'_>) -> Result<(), Error> {
        if meta.path.is_ident("reply") {
            let reply = meta.value()?.parse()?;
            set_once(&mut self.reply, reply, meta)
        } else if meta.path.is_ident("crate") {
            let root = meta.value()?.call(Path::parse_mod_style)?;
            set_once(&mut self.root, root, meta)
        } else if meta.path.is_ident("remote") {
            let name = meta.value()?.parse()?;
            set_once(&mut self.remote, name, meta)
        } else if meta.path.is_ident("version") {
            let version = meta.value()?.parse()?;
            set_once(&mut self.version, (meta.path.clone(), version), meta)
        } else if meta.path.is_ident("encoding") {
            let encoding = meta.value()?.parse()?;
            set_once(&mut self.encoding, (meta.path.clone(), encoding), meta)
        } else {
            Err(meta.error(
                "unknown option: a message takes `reply = Type` and `crate = path`, and for other \
                 processes `remote = \"name\"`, `version = number` and `encoding = \"named\"`",
            ))
        }
    }

    /// How other processes know the class, if they do.
    fn remote(&self) -> Result<Option<Remote>, Error> {
        let Some(name) = &self.remote else {
            let version = self.version.as_ref().map(|(word, _)| word);
            let encoding = self.encoding.as_ref().map(|(word, _)| word);
            return match version.or(encoding) {
                None => Ok(None),
                Some(word) => Err(Error::new_spanned(
                    word,
                    "this is for messages to other processes: give it a name as well, \
                     `remote = \"module.Name\"`",
                )),
            };
        };
        schema::check_name(&name.value(), name.span())?;
        let version = match &self.version {
            None => 1,
            Some((_, version)) => version.base10_parse()?,
        };
        let encoding = match &self.encoding {
            None => Encoding::Compact,
            Some((_, encoding)) => Encoding::parse(encoding)?,
        };
        Ok(Some(Remote {
            name: name.value(),
            version,
            encoding,
        }))
    }
}
