//! A method of an actor or of a remote trait, as what a message is made of.

use proc_macro2::{Group, Span, TokenStream, TokenTree};
use quote::{ToTokens, format_ident, quote};
use syn::ext::IdentExt;
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{
    Attribute, Error, Expr, ExprLit, FnArg, GenericArgument, GenericParam, Ident, Lifetime, Lit,
    Meta, ParenthesizedGenericArguments, Pat, Path, Receiver, ReturnType, Signature, Token,
    TraitBound, Type, TypeBareFn, TypeImplTrait, TypeReference, Visibility, parse_quote,
};

use crate::classes::unaliased;
use crate::names;

/// The methods of `Addr` and of `RemoteRef`, and those that every address has from a trait in scope: in a
/// call these come before those of an extension trait, or make it ambiguous.
const TAKEN: &[&str] = &[
    "call",
    "call_idempotent",
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

/// What a reference has beyond that: it can be a field of a message.
const TAKEN_OF_REFERENCES: &[&str] = &["serialize"];

/// Where a method is written.
#[derive(Clone, Copy)]
pub(crate) enum Home<'a> {
    /// In the `impl` of this actor.
    Actor(&'a Type),
    /// In this trait.
    Trait(&'a Ident),
}

impl Home<'_> {
    /// What has the methods that are made of these.
    fn address(self) -> &'static str {
        match self {
            Home::Actor(_) => "an `Addr`",
            Home::Trait(_) => "a `RemoteRef`",
        }
    }

    /// Whether that has one of this name already.
    fn has(self, method: &str) -> bool {
        let of_references = match self {
            Home::Actor(_) => &[],
            Home::Trait(_) => TAKEN_OF_REFERENCES,
        };
        TAKEN.contains(&method) || of_references.contains(&method)
    }

    /// A type as it is called elsewhere, where `Self` means something else.
    fn spelt_out(self, of: &Type) -> Result<Type, Error> {
        match self {
            Home::Actor(actor) => syn::parse2(without_self(of.to_token_stream(), actor)),
            Home::Trait(_) => match find_self(of.to_token_stream()) {
                None => Ok(of.clone()),
                Some(found) => Err(Error::new(
                    found.span(),
                    "a message is the same whoever implements the trait: name a type, instead of one \
                     that each has of its own",
                )),
            },
        }
    }

    /// Its name, without spaces.
    fn text(self) -> String {
        match self {
            Home::Actor(actor) => actor.to_token_stream().to_string().replace(' ', ""),
            Home::Trait(name) => name.to_string(),
        }
    }
}

/// A method of which a message is made.
pub(crate) struct Method {
    pub(crate) name: Ident,
    /// What the message is called.
    pub(crate) class: Ident,
    pub(crate) visibility: Visibility,
    /// The attributes that say whether the method is there.
    pub(crate) conditions: Vec<Attribute>,
    /// The attributes that say something about it: its documentation, and whether it is deprecated.
    pub(crate) notes: Vec<Attribute>,
    /// The traits that are to be derived for the message.
    pub(crate) derives: Vec<Path>,
    pub(crate) arguments: Vec<Argument>,
    /// Whether the last argument is the actor's context.
    pub(crate) takes_context: bool,
    /// What it returns, if it returns something.
    pub(crate) reply: Option<Type>,
}

/// An argument of a method: a field of the message.
pub(crate) struct Argument {
    pub(crate) name: Ident,
    pub(crate) of: Type,
    /// How the type is called inside the module.
    pub(crate) alias: Ident,
}

impl Method {
    /// `None` if no message is to be made of it. What is said to the macro alone is taken out of the attributes.
    pub(crate) fn parse(
        attributes: &mut Vec<Attribute>,
        visibility: &Visibility,
        signature: &Signature,
        home: Home<'_>,
    ) -> Result<Option<Method>, Error> {
        let options = Options::take(attributes)?;
        let Some(receiver) = signature.receiver() else {
            return Ok(None);
        };
        if options.skip {
            return Ok(None);
        }
        check_signature(signature, receiver)?;
        let name = signature.ident.clone();
        let plain = name.unraw().to_string();
        if home.has(&plain) {
            return Err(Error::new(
                name.span(),
                format!(
                    "{} has a method `{plain}` of its own, which would be called instead: name this \
                     one otherwise, or put `#[message(skip)]` on it if it is no message",
                    home.address()
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
            let last = parameters.pop();
            if let Home::Trait(_) = home {
                return Err(Error::new_spanned(
                    last,
                    "a context is an actor's, and who calls this may be in another process: take no \
                     `Context`",
                ));
            }
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
            let at = Span::call_site().located_at(parameter.ty.span());
            arguments.push(Argument {
                name: argument_name(&parameter.pat)?,
                of: home.spelt_out(&parameter.ty)?,
                alias: format_ident!("{class}_{index}", span = at),
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
                Some(home.spelt_out(reply)?)
            }
        };
        Ok(Some(Method {
            name,
            class,
            visibility: visibility.clone(),
            conditions: chosen(attributes, is_condition),
            notes: notes(attributes, home),
            derives: derives(options.derives, &arguments),
            arguments,
            takes_context,
            reply,
        }))
    }

    pub(crate) fn is_private(&self) -> bool {
        matches!(self.visibility, Visibility::Inherited)
    }

    /// What a call is answered with.
    pub(crate) fn answer(&self) -> TokenStream {
        self.reply
            .as_ref()
            .map_or(quote!(()), ToTokens::to_token_stream)
    }

    /// Whether a trait of this name is to be derived for the message.
    pub(crate) fn derives_trait(&self, name: &str) -> bool {
        self.derives.iter().any(|path| is_called(path, name))
    }

    /// A text for a method that has none of its own.
    pub(crate) fn docs_or(&self, text: impl FnOnce() -> String) -> Option<TokenStream> {
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

/// The first `Self` in a type.
fn find_self(tokens: TokenStream) -> Option<Ident> {
    tokens.into_iter().find_map(|token| match token {
        TokenTree::Ident(name) => (name == "Self").then_some(name),
        TokenTree::Group(group) => find_self(group.stream()),
        TokenTree::Punct(_) | TokenTree::Literal(_) => None,
    })
}

/// A type in which `Self` is written out, since it goes where that means something else.
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

/// The attributes that document a method. Links to `Self` are to its home from elsewhere, too.
fn notes(attributes: &[Attribute], home: Home<'_>) -> Vec<Attribute> {
    let mut notes = chosen(attributes, |path| {
        path.is_ident("doc") || path.is_ident("deprecated")
    });
    let home = home.text();
    for note in &mut notes {
        if let Meta::NameValue(note) = &mut note.meta
            && let Expr::Lit(ExprLit {
                lit: Lit::Str(text),
                ..
            }) = &mut note.value
            && text.value().contains("Self::")
        {
            let value = text.value().replace("Self::", &format!("{home}::"));
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
        let seen = all_are_refused("../src/actor/addr.rs", "Addr");
        assert!(seen > 10, "the methods of `Addr` are not where they were");
    }

    /// And those that a reference to another process has.
    #[test]
    fn all_methods_of_a_reference_are_refused() {
        let seen = all_are_refused("../../actor-remote/src/remote_ref.rs", "RemoteRef");
        assert!(
            seen > 5,
            "the methods of `RemoteRef` are not where they were"
        );
    }

    /// How many methods the type `address` has in a source.
    fn all_are_refused(source: &str, address: &str) -> usize {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(source);
        let source = std::fs::read_to_string(source).expect("the source is beside this one");
        let file = syn::parse_file(&source).expect("it compiles");
        let is_of_address =
            |of: &Type| matches!(of, Type::Path(of) if of.path.segments[0].ident == address);
        let mut seen = 0;
        for item in file.items {
            let Item::Impl(item) = item else { continue };
            if item.trait_.is_some() || !is_of_address(&item.self_ty) {
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
        seen
    }
}
