//! The derive macro of Concurrence, re-exported by `actor-core` and by the facade `concurrence`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::meta::ParseNestedMeta;
use syn::{
    Attribute, Data, DeriveInput, Error, GenericParam, Path, Type, parse_macro_input, parse_quote,
};

/// Makes a struct or an enum a class of messages.
///
/// The class is the type: a mailbox takes a value of it, and `match_message!` finds it again by its
/// patterns. Its type parameters are required to be `Send` and `'static`, as a message travels
/// between threads.
///
/// # Attributes
///
/// Both go into `#[message(..)]`:
///
/// - `reply = Type`: what a call of the message is answered with; `()` without it.
/// - `crate = path`: where the framework is found, if not at `::concurrence`.
///
/// # Examples
///
/// ```
/// # extern crate actor_core as concurrence;
/// use concurrence::Message;
///
/// #[derive(Message)]
/// struct Say {
///     to: String,
///     text: String,
/// }
///
/// #[derive(Message)]
/// #[message(reply = Vec<String>)]
/// struct Members;
///
/// #[derive(Message)]
/// enum Change<T> {
///     Insert(T),
///     Clear,
/// }
///
/// fn is_message<M: Message>() {}
/// is_message::<Say>();
/// is_message::<Change<u64>>();
/// ```
#[proc_macro_derive(Message, attributes(message))]
pub fn derive_message(input: proc_macro::TokenStream) -> proc_macro::TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    implement_message(input)
        .unwrap_or_else(Error::into_compile_error)
        .into()
}

fn implement_message(mut input: DeriveInput) -> Result<TokenStream, Error> {
    if let Data::Union(data) = &input.data {
        return Err(Error::new(
            data.union_token.span,
            "a message is a struct or an enum",
        ));
    }
    let options = Options::parse(&input.attrs)?;
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

    let Options { reply, root } = options;
    let reply = reply.unwrap_or_else(|| parse_quote!(()));
    let root = root.unwrap_or_else(|| parse_quote!(::concurrence));
    let name = &input.ident;
    let (impl_generics, type_generics, where_clause) = input.generics.split_for_impl();
    Ok(quote! {
        #[automatically_derived]
        impl #impl_generics #root::Message for #name #type_generics #where_clause {
            type Reply = #reply;
        }
    })
}

/// What the `#[message(..)]` attributes of a type say.
#[derive(Default)]
struct Options {
    /// `reply = Type`
    reply: Option<Type>,
    /// `crate = path`
    root: Option<Path>,
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
        } else {
            Err(meta.error("unknown option: a message takes `reply = Type` and `crate = path`"))
        }
    }
}

fn set_once<T>(option: &mut Option<T>, value: T, meta: &ParseNestedMeta<'_>) -> Result<(), Error> {
    match option.replace(value) {
        None => Ok(()),
        Some(_) => Err(meta.error("this option is given twice")),
    }
}
