//! A method of an actor, as what a message is made of.

use proc_macro2::{Group, TokenStream, TokenTree};
use quote::{ToTokens, format_ident, quote};
use syn::ext::IdentExt;
use syn::punctuated::Punctuated;
use syn::visit::{self, Visit};
use syn::{
    Attribute, Error, Expr, ExprLit, FnArg, GenericArgument, GenericParam, Ident, ImplItemFn,
    Lifetime, Lit, Meta, ParenthesizedGenericArguments, Pat, Path, Receiver, ReturnType, Signature,
    Token, TraitBound, Type, TypeBareFn, TypeImplTrait, TypeReference, Visibility, parse_quote,
};

use super::{names, unaliased};

/// The methods of `Addr`, and those that every address has from a trait in scope: in a call these come
/// before those of an extension trait, or make it ambiguous.
const TAKEN: &[&str] = &[
    "call",
    "call_timeout",
    "call_within",
    "clone",
    "clone_from",
    "clone_into",
    "downgrade",
    "drop",
    "eq",
    "into",
    "is_alive",
    "join",
    "join_timeout",
    "kill",
    "link",
    "monitor",
    "name",
    "ne",
    "pid",
    "recipient",
    "send",
    "send_after",
    "send_every",
    "stop",
    "stop_now",
    "to_owned",
    "try_into",
    "try_send",
    "unlink",
];

/// A method of which a message is made.
pub(super) struct Method {
    pub(super) name: Ident,
    /// What the message is called.
    pub(super) class: Ident,
    pub(super) visibility: Visibility,
    /// The attributes that say whether the method is there.
    pub(super) conditions: Vec<Attribute>,
    /// The attributes that say something about it: its documentation, and whether it is deprecated.
    pub(super) notes: Vec<Attribute>,
    /// The traits that are to be derived for the message.
    pub(super) derives: Vec<Path>,
    pub(super) arguments: Vec<Argument>,
    /// Whether the last argument is the actor's context.
    pub(super) takes_context: bool,
    /// What it returns, if it returns something.
    pub(super) reply: Option<Type>,
}

/// An argument of a method: a field of the message.
pub(super) struct Argument {
    pub(super) name: Ident,
    pub(super) of: Type,
    /// How the type is called inside the module.
    pub(super) alias: Ident,
}

impl Method {
    /// `None` if no message is to be made of it. What is said to the macro alone is taken out.
    pub(super) fn parse(function: &mut ImplItemFn, actor: &Type) -> Result<Option<Method>, Error> {
        let options = Options::take(&mut function.attrs)?;
        let signature = &function.sig;
        let Some(receiver) = signature.receiver() else {
            return Ok(None);
        };
        if options.skip {
            return Ok(None);
        }
        check_signature(signature, receiver)?;
        let name = signature.ident.clone();
        let plain = name.unraw().to_string();
        if TAKEN.contains(&plain.as_str()) {
            return Err(Error::new(
                name.span(),
                format!(
                    "an `Addr` has a method `{plain}` of its own, which would be called instead: name \
                     this one otherwise, or put `#[message(skip)]` on it if it is no message"
                ),
            ));
        }
        let class = names::camel(&name).ok_or_else(|| {
            Error::new(
                name.span(),
                format!("no message can be named after `{plain}`: name this method otherwise"),
            )
        })?;
        let class = unaliased(&class);

        let mut parameters: Vec<_> = signature.inputs.iter().skip(1).collect();
        let takes_context = matches!(
            parameters.last(),
            Some(FnArg::Typed(last)) if is_context(&last.ty)
        );
        if takes_context {
            parameters.pop();
        }
        let mut arguments = Vec::new();
        for (index, parameter) in parameters.into_iter().enumerate() {
            let FnArg::Typed(parameter) = parameter else {
                continue; // the compiler has its say
            };
            if is_context(&parameter.ty) {
                return Err(Error::new_spanned(
                    parameter,
                    "the context comes last: it is no part of the message",
                ));
            }
            if let Some(condition) = parameter.attrs.iter().find(|a| is_condition(a.path())) {
                return Err(Error::new_spanned(
                    condition,
                    "a message has all of its arguments: put the condition on the method",
                ));
            }
            owned(
                &parameter.ty,
                "a message outlives its sender: it owns what it carries, and borrows nothing",
            )?;
            arguments.push(Argument {
                name: argument_name(&parameter.pat)?,
                of: spelt_out(&parameter.ty, actor)?,
                alias: format_ident!("{class}_{index}"),
            });
        }

        let reply = match &signature.output {
            ReturnType::Default => None,
            ReturnType::Type(_, reply) if is_unit(reply) => None,
            ReturnType::Type(_, reply) => {
                if let Type::Never(never) = &**reply {
                    return Err(Error::new_spanned(
                        never,
                        "an actor handles one message after the other: this one would be the last",
                    ));
                }
                owned(
                    reply,
                    "an answer outlives its handler: it owns what it carries, and borrows nothing",
                )?;
                Some(spelt_out(reply, actor)?)
            }
        };
        Ok(Some(Method {
            name,
            class,
            visibility: function.vis.clone(),
            conditions: chosen(&function.attrs, is_condition),
            notes: notes(&function.attrs, actor),
            derives: derives(options.derives, &arguments),
            arguments,
            takes_context,
            reply,
        }))
    }

    pub(super) fn is_private(&self) -> bool {
        matches!(self.visibility, Visibility::Inherited)
    }

    /// Whether a trait of this name is to be derived for the message.
    pub(super) fn derives_trait(&self, name: &str) -> bool {
        self.derives.iter().any(|path| is_called(path, name))
    }

    /// A text for a method that has none of its own.
    pub(super) fn docs_or(&self, text: impl FnOnce() -> String) -> Option<TokenStream> {
        let is_text = |note: &Attribute| match &note.meta {
            Meta::NameValue(note) => note.path.is_ident("doc"),
            // Said under a condition, it is as much as the method itself has.
            Meta::List(note) => note.path.is_ident("cfg_attr"),
            Meta::Path(_) => false,
        };
        (!self.notes.iter().any(is_text)).then(|| {
            let text = text();
            quote!(#[doc = #text])
        })
    }
}

/// What the `#[message(..)]` attributes of a method say.
#[derive(Default)]
struct Options {
    /// `skip`
    skip: bool,
    /// `derive(Trait, ..)`
    derives: Vec<Path>,
}

impl Options {
    /// Takes these attributes out.
    fn take(attributes: &mut Vec<Attribute>) -> Result<Options, Error> {
        let mut options = Options::default();
        let mut result = Ok(());
        attributes.retain(|attribute| {
            let is_option = attribute.path().is_ident("message");
            if is_option && result.is_ok() {
                result = options.parse(attribute);
            }
            !is_option
        });
        result.map(|()| options)
    }

    fn parse(&mut self, attribute: &Attribute) -> Result<(), Error> {
        attribute.parse_nested_meta(|meta| {
            if meta.path.is_ident("skip") {
                self.skip = true;
                Ok(())
            } else if meta.path.is_ident("derive") {
                meta.parse_nested_meta(|one| {
                    self.derives.push(one.path);
                    Ok(())
                })
            } else {
                Err(meta.error("unknown option: a method takes `skip` and `derive(Trait, ..)`"))
            }
        })
    }
}

/// Refuses what cannot be called by way of a message.
fn check_signature(signature: &Signature, receiver: &Receiver) -> Result<(), Error> {
    if let Some(token) = &signature.asyncness {
        return Err(Error::new_spanned(
            token,
            "a handler is no `async fn`: it may wait as it is, and needs no `await`",
        ));
    }
    if let Some(token) = &signature.unsafety {
        return Err(Error::new_spanned(
            token,
            "nobody could promise what an `unsafe fn` asks for: put `#[message(skip)]` on it",
        ));
    }
    if let Some(parameter) = signature.generics.params.first() {
        return Err(Error::new_spanned(
            parameter,
            match parameter {
                GenericParam::Lifetime(_) => {
                    "a message outlives its sender: it owns what it carries, and borrows nothing"
                }
                GenericParam::Type(_) | GenericParam::Const(_) => {
                    "a message is one type: no message can be made of a generic method, put \
                     `#[message(skip)]` on it"
                }
            },
        ));
    }
    if !matches!(&*receiver.ty, Type::Reference(_)) {
        return Err(Error::new_spanned(
            receiver,
            "an actor lives on after a message: take `&mut self` or `&self`, or put \
             `#[message(skip)]` on the method",
        ));
    }
    Ok(())
}

/// What the user wants derived, and what every message without arguments can do: be sent again and again.
fn derives(mut wanted: Vec<Path>, arguments: &[Argument]) -> Vec<Path> {
    if arguments.is_empty() {
        for (name, path) in [
            ("Clone", parse_quote!(::core::clone::Clone)),
            ("Copy", parse_quote!(::core::marker::Copy)),
        ] {
            if !wanted.iter().any(|path| is_called(path, name)) {
                wanted.push(path);
            }
        }
    }
    wanted
}

/// Whether a path ends with `name`.
fn is_called(path: &Path, name: &str) -> bool {
    path.segments.last().is_some_and(|last| last.ident == name)
}

/// The name of the field for an argument.
fn argument_name(pattern: &Pat) -> Result<Ident, Error> {
    match pattern {
        Pat::Ident(name) if name.by_ref.is_none() && name.subpat.is_none() => {
            Ok(name.ident.clone())
        }
        other => Err(Error::new_spanned(
            other,
            "an argument of a message is a field of it: give it a name, and take it apart in the body",
        )),
    }
}

/// Whether a type is that of an actor's context, as far as can be told by its name.
fn is_context(of: &Type) -> bool {
    let Type::Reference(reference) = ungrouped(of) else {
        return false;
    };
    match ungrouped(&reference.elem) {
        Type::Path(of) => is_called(&of.path, "Context"),
        _ => false,
    }
}

fn is_unit(of: &Type) -> bool {
    matches!(ungrouped(of), Type::Tuple(tuple) if tuple.elems.is_empty())
}

/// A type without the invisible delimiters that a declarative macro leaves around it.
fn ungrouped(of: &Type) -> &Type {
    match of {
        Type::Group(group) => ungrouped(&group.elem),
        other => other,
    }
}

/// Refuses a type that borrows, or that has no name.
fn owned(of: &Type, why: &'static str) -> Result<(), Error> {
    let mut borrows = Borrows { why, found: None };
    borrows.visit_type(of);
    borrows.found.map_or(Ok(()), Err)
}

/// Looks for a borrow in a type. There may be some in what a function in it takes and returns.
struct Borrows {
    why: &'static str,
    found: Option<Error>,
}

impl Borrows {
    fn found(&mut self, what: &dyn ToTokens, text: &str) {
        self.found
            .get_or_insert_with(|| Error::new_spanned(what.to_token_stream(), text));
    }
}

impl Visit<'_> for Borrows {
    fn visit_type_reference(&mut self, reference: &TypeReference) {
        match &reference.lifetime {
            Some(lifetime) if lifetime.ident == "static" => self.visit_type(&reference.elem),
            _ => self.found(reference, &hint(self.why, &reference.elem)),
        }
    }

    fn visit_lifetime(&mut self, lifetime: &Lifetime) {
        if lifetime.ident != "static" {
            self.found(lifetime, self.why);
        }
    }

    fn visit_type_impl_trait(&mut self, of: &TypeImplTrait) {
        self.found(of, "a message and its answer are of types that have names");
    }

    fn visit_type_bare_fn(&mut self, _: &TypeBareFn) {}

    fn visit_parenthesized_generic_arguments(&mut self, _: &ParenthesizedGenericArguments) {}

    fn visit_trait_bound(&mut self, bound: &TraitBound) {
        // `for<'a>`: any lifetime will do.
        if bound.lifetimes.is_none() {
            visit::visit_trait_bound(self, bound);
        }
    }

    fn visit_generic_argument(&mut self, argument: &GenericArgument) {
        // Not into constant expressions, which may have blocks of any kind.
        if !matches!(argument, GenericArgument::Const(_)) {
            visit::visit_generic_argument(self, argument);
        }
    }

    fn visit_expr(&mut self, _: &Expr) {}
}

/// What to write instead of a borrow of a common kind.
fn hint(why: &str, borrowed: &Type) -> String {
    match ungrouped(borrowed) {
        Type::Path(path) if path.path.is_ident("str") => format!("{why}; take a `String`"),
        Type::Slice(_) => format!("{why}; take a `Vec`"),
        _ => why.to_owned(),
    }
}

/// A type in which `Self` is written out, since it goes where that means something else.
fn spelt_out(of: &Type, actor: &Type) -> Result<Type, Error> {
    syn::parse2(without_self(of.to_token_stream(), actor))
}

fn without_self(tokens: TokenStream, actor: &Type) -> TokenStream {
    let mut tokens = tokens.into_iter().peekable();
    let mut spelt_out = TokenStream::new();
    while let Some(token) = tokens.next() {
        match token {
            TokenTree::Ident(name) if name == "Self" => {
                let is_in_path =
                    matches!(tokens.peek(), Some(TokenTree::Punct(next)) if next.as_char() == ':');
                spelt_out.extend(match is_in_path {
                    true => quote!(<#actor>),
                    false => quote!(#actor),
                });
            }
            TokenTree::Group(group) => {
                let inner = without_self(group.stream(), actor);
                let mut replaced = Group::new(group.delimiter(), inner);
                replaced.set_span(group.span());
                spelt_out.extend([TokenTree::Group(replaced)]);
            }
            other => spelt_out.extend([other]),
        }
    }
    spelt_out
}

fn is_condition(attribute: &Path) -> bool {
    attribute.is_ident("cfg")
}

/// The attributes that are `wanted`, and those that are so under a condition.
fn chosen(attributes: &[Attribute], wanted: fn(&Path) -> bool) -> Vec<Attribute> {
    let choose = |attribute: &Attribute| {
        if wanted(attribute.path()) {
            return Some(attribute.clone());
        }
        if !attribute.path().is_ident("cfg_attr") {
            return None;
        }
        let parse = Punctuated::<Meta, Token![,]>::parse_terminated;
        let mut parts = attribute.parse_args_with(parse).ok()?.into_iter();
        let condition = parts.next()?;
        let given: Vec<_> = parts.filter(|given| wanted(given.path())).collect();
        (!given.is_empty()).then(|| parse_quote!(#[cfg_attr(#condition, #(#given),*)]))
    };
    attributes.iter().filter_map(choose).collect()
}

/// The attributes that document a method. Links to `Self` are to the actor from elsewhere, too.
fn notes(attributes: &[Attribute], actor: &Type) -> Vec<Attribute> {
    let mut notes = chosen(attributes, |path| {
        path.is_ident("doc") || path.is_ident("deprecated")
    });
    let actor = actor.to_token_stream().to_string().replace(' ', "");
    for note in &mut notes {
        if let Meta::NameValue(note) = &mut note.meta
            && let Expr::Lit(ExprLit {
                lit: Lit::Str(text),
                ..
            }) = &mut note.value
            && text.value().contains("Self::")
        {
            let value = text.value().replace("Self::", &format!("{actor}::"));
            *text = syn::LitStr::new(&value, text.span());
        }
    }
    notes
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use syn::{ImplItem, Item};

    use super::*;

    /// The names that are refused are those that an address has.
    #[test]
    fn all_methods_of_an_address_are_refused() {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../src/actor/addr.rs");
        let source = std::fs::read_to_string(source).expect("the source is beside this one");
        let file = syn::parse_file(&source).expect("it compiles");
        let is_of_addr =
            |of: &Type| matches!(of, Type::Path(of) if of.path.segments[0].ident == "Addr");
        let mut seen = 0;
        for item in file.items {
            let Item::Impl(item) = item else { continue };
            if item.trait_.is_some() || !is_of_addr(&item.self_ty) {
                continue;
            }
            for member in item.items {
                if let ImplItem::Fn(function) = member
                    && let Visibility::Public(_) = function.vis
                    && function.sig.receiver().is_some()
                {
                    let name = function.sig.ident.to_string();
                    assert!(TAKEN.contains(&name.as_str()), "`{name}` is not refused");
                    seen += 1;
                }
            }
        }
        assert!(seen > 10, "the methods of `Addr` are not where they were");
    }
}
