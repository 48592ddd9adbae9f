//! `#[messages]`: message types, handlers and a trait of typed methods out of an actor's own methods.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, format_ident, quote};
use syn::parse::Parser;
use syn::{Error, Ident, ImplItem, ItemImpl, PathArguments, Type, Visibility, meta};

use crate::classes::{Address, Classes, Options, Receiver, unaliased};
use crate::method::{Home, Method};
use crate::names;

pub(crate) fn expand(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let mut options = Options::default();
    let parsed = meta::parser(|meta| match options.parse_one(&meta)? {
        true => Ok(()),
        false => {
            Err(meta.error("unknown option: `messages` takes `module = name` and `crate = path`"))
        }
    })
    .parse2(arguments);
    let expanded = parsed.and_then(|()| Expansion::new(item.clone(), options));
    match expanded {
        Ok(expansion) => expansion.tokens(),
        // The item stays, so that its other mistakes are found as well, and no more of them.
        Err(error) => {
            let error = error.into_compile_error();
            quote!(#item #error)
        }
    }
}

/// All that is made of one `impl`.
struct Expansion {
    item: ItemImpl,
    methods: Vec<Method>,
    /// Those of the methods of which nothing can be made.
    errors: Vec<Error>,
    /// The types of the messages. As visible as the methods that are not private.
    classes: Classes,
    /// The trait of the methods that the others may use, or of all if they are private.
    extension: Ident,
}

impl Expansion {
    fn new(item: TokenStream, options: Options) -> Result<Expansion, Error> {
        let mut item = parse_impl(item)?;
        let actor = actor_name(&item.self_ty)?;
        let (module, extension) = match options.module {
            Some(module) => {
                let extension = names::camel(&module).ok_or_else(|| {
                    Error::new(module.span(), "no trait can be named after this module")
                })?;
                (module, extension)
            }
            None => (
                format_ident!("{}_messages", names::snake(&actor), span = actor.span()),
                format_ident!("{}Messages", actor),
            ),
        };

        let (mut methods, mut errors) = (Vec::new(), Vec::new());
        for member in &mut item.items {
            if let ImplItem::Fn(function) = member {
                let (signature, home) = (&function.sig, Home::Actor(&item.self_ty));
                match Method::parse(&mut function.attrs, &function.vis, signature, home) {
                    Ok(method) => methods.extend(method),
                    Err(error) => errors.push(error),
                }
            }
        }
        let exported = methods
            .iter()
            .find(|method| !method.is_private())
            .map_or(Visibility::Inherited, |method| method.visibility.clone());
        let text = |visibility: &Visibility| visibility.to_token_stream().to_string();
        for method in &methods {
            if !method.is_private() && text(&method.visibility) != text(&exported) {
                errors.push(Error::new_spanned(
                    &method.visibility,
                    "the messages of one `impl` have one visibility, besides private ones: write \
                     this method in another, under `#[messages(module = name)]`",
                ));
            }
        }
        Ok(Expansion {
            item,
            methods,
            errors,
            classes: Classes {
                of: actor,
                module: unaliased(&module),
                exported,
                root: options.root,
            },
            extension: unaliased(&extension),
        })
    }

    fn tokens(&self) -> TokenStream {
        let item = &self.item;
        let errors = self.errors.iter().map(Error::to_compile_error);
        let mut tokens = quote!(#item #(#errors)*);
        if self.methods.is_empty() {
            return tokens;
        }
        let classes = &self.classes;
        tokens.extend(classes.module(self.methods.iter(), TokenStream::new()));
        let receiver = Receiver {
            actor: item.self_ty.to_token_stream(),
            generics: &item.generics,
            methods_of: quote!(Self),
            this: quote!(self),
        };
        for method in &self.methods {
            tokens.extend(classes.implementation(method));
            tokens.extend(classes.handler(method, &receiver));
        }

        let is_private = |method: &&Method| method.is_private();
        let (private, exported): (Vec<_>, Vec<_>) = self.methods.iter().partition(is_private);
        let all_private = matches!(classes.exported, Visibility::Inherited);
        if !exported.is_empty() {
            tokens.extend(self.extension_trait(&self.extension, &classes.exported, &exported));
        }
        if !private.is_empty() {
            let name = match all_private {
                true => self.extension.clone(),
                false => format_ident!("Private{}", self.extension),
            };
            tokens.extend(self.extension_trait(&name, &Visibility::Inherited, &private));
        }
        tokens
    }

    /// Some of the methods for the actor's address.
    fn extension_trait(
        &self,
        extension: &Ident,
        visibility: &Visibility,
        methods: &[&Method],
    ) -> TokenStream {
        let root = self.classes.root(Span::call_site());
        let address = Address {
            extension,
            visibility,
            docs: format!(
                "The messages of `{}` as methods of its address.",
                self.classes.of
            ),
            path: quote!(#root::Addr),
            to: self.item.self_ty.to_token_stream(),
        };
        self.classes
            .extension_trait(&address, methods.iter().copied())
    }
}

fn parse_impl(item: TokenStream) -> Result<ItemImpl, Error> {
    let item: ItemImpl = syn::parse2(item)
        .map_err(|error| Error::new(error.span(), "`messages` goes on an `impl` of an actor"))?;
    if let Some((_, of, _)) = &item.trait_ {
        return Err(Error::new_spanned(
            of,
            "messages are made of an actor's own methods, not of a trait's",
        ));
    }
    if !item.generics.params.is_empty() {
        return Err(Error::new_spanned(
            &item.generics,
            "the messages of a generic actor cannot be made of its methods: write the types and \
             their `Handler`s out",
        ));
    }
    Ok(item)
}

fn actor_name(of: &Type) -> Result<Ident, Error> {
    match of {
        Type::Group(group) => actor_name(&group.elem),
        Type::Paren(paren) => actor_name(&paren.elem),
        Type::Path(path) => {
            let name = path.path.segments.last().expect("a path is not empty");
            if let PathArguments::Parenthesized(arguments) = &name.arguments {
                return Err(Error::new_spanned(arguments, "this is no actor's type"));
            }
            Ok(names::plain(&name.ident))
        }
        other => Err(Error::new_spanned(other, "this is no actor's type")),
    }
}
