//! `#[remote]`: a trait as what can be asked of an object in another process.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::parse::Parser;
use syn::punctuated::Punctuated;
use syn::{
    Attribute, Error, Generics, Ident, ItemTrait, LitStr, Meta, Path, Token, TraitItem, meta,
    parse_quote, parse_quote_spanned,
};

use crate::classes::{Address, Classes, Options, Receiver, quiet, unaliased};
use crate::method::{Home, Method};
use crate::schema::{self, Encoding, Remote};
use crate::{names, set_once};

pub(crate) fn expand(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let mut options = Options::default();
    let mut prefix = None;
    let parsed = meta::parser(|meta| {
        if meta.path.is_ident("name") {
            let name = meta.value()?.parse::<LitStr>()?;
            return set_once(&mut prefix, name, &meta);
        }
        match options.parse_one(&meta)? {
            true => Ok(()),
            false => Err(meta.error(
                "unknown option: `remote` takes `name = \"name\"`, `module = name` and `crate = path`",
            )),
        }
    })
    .parse2(arguments);
    let expanded = parsed.and_then(|()| Expansion::new(item.clone(), options, prefix));
    match expanded {
        Ok(expansion) => expansion.tokens(),
        // The item stays, so that its other mistakes are found as well, and no more of them.
        Err(error) => {
            let error = error.into_compile_error();
            quote!(#item #error)
        }
    }
}

/// All that is made of one trait.
struct Expansion {
    item: ItemTrait,
    messages: Vec<Message>,
    /// Those of the methods of which nothing can be made.
    errors: Vec<Error>,
    classes: Classes,
    /// The type that stands for the set of messages.
    protocol: Ident,
    /// The trait of those who call.
    client: Ident,
    /// The actor that calls the methods.
    actor: Ident,
    /// The actor's parameter. No name that a type of the user's is likely to have: those are mentioned
    /// where it is in scope.
    implementor: Ident,
}

/// A method, and what its message is called in other processes.
struct Message {
    method: Method,
    remote: Remote,
}

impl Expansion {
    fn new(item: TokenStream, options: Options, prefix: Option<LitStr>) -> Result<Self, Error> {
        let mut item = parse_trait(item)?;
        let plain = names::plain(&item.ident);
        if let Some(prefix) = &prefix {
            schema::check_name(&prefix.value(), prefix.span())?;
        }
        let prefix = prefix.map_or_else(|| plain.to_string(), |prefix| prefix.value());
        let made = |name: Ident| unaliased(&name);
        let module = options.module.unwrap_or_else(|| {
            format_ident!("{}_messages", names::snake(&plain), span = plain.span())
        });
        let classes = Classes {
            module: made(module),
            exported: item.vis.clone(),
            root: options.root,
            of: plain.clone(),
        };

        let (mut messages, mut errors) = (Vec::new(), Vec::new());
        for member in &mut item.items {
            if let TraitItem::Fn(function) = member {
                let (signature, home) = (&function.sig, Home::Trait(&item.ident));
                let method = Method::parse(&mut function.attrs, &item.vis, signature, home);
                match method.and_then(|method| Message::new(method, &prefix, &classes)) {
                    Ok(message) => messages.extend(message),
                    Err(error) => errors.push(error),
                }
            }
        }
        Ok(Expansion {
            messages,
            errors,
            classes,
            protocol: made(format_ident!("{plain}Protocol")),
            client: made(format_ident!("{plain}Client")),
            actor: made(format_ident!("{plain}Actor")),
            implementor: made(format_ident!("{plain}Implementor")),
            item,
        })
    }

    fn tokens(&self) -> TokenStream {
        let item = &self.item;
        let errors = self.errors.iter().map(Error::to_compile_error);
        let mut tokens = quote!(#item #(#errors)*);
        let methods = || self.messages.iter().map(|message| &message.method);

        let root = self.classes.root(Span::call_site());
        let serde = quote!(#root::remote::__private::serde).to_string();
        tokens.extend(
            self.classes
                .module(methods(), quote!(#[serde(crate = #serde)])),
        );
        for Message { method, remote } in &self.messages {
            tokens.extend(self.classes.implementation(method));
            tokens.extend(self.remote_message(method, remote));
        }
        tokens.extend(self.marker());
        tokens.extend(self.serves());
        let address = Address {
            extension: &self.client,
            visibility: &item.vis,
            docs: format!(
                "The methods of `{}`, of one in another process.",
                self.classes.of
            ),
            path: quote!(#root::remote::RemoteRef),
            to: self.protocol.to_token_stream(),
        };
        tokens.extend(self.classes.extension_trait(&address, methods()));
        tokens.extend(self.dispatcher());
        tokens
    }

    /// What makes the type of a message known to other processes.
    fn remote_message(&self, method: &Method, remote: &Remote) -> TokenStream {
        let root = self.classes.root(method.class.span());
        let class = self.classes.path_of(method);
        let schema = schema::of_fields(
            remote.encoding,
            method
                .arguments
                .iter()
                .map(|field| (&field.name, &field.of)),
            &method.answer(),
        );
        let (conditions, quiet) = (&method.conditions, quiet());
        let implementation = remote.implementation(&root, &class, method.class.span(), schema);
        quote!(#(#conditions)* #quiet #implementation)
    }

    /// The type that stands for the set of messages.
    fn marker(&self) -> TokenStream {
        let root = self.classes.root(Span::call_site());
        let Expansion { protocol, .. } = self;
        let visibility = &self.item.vis;
        let quiet = quiet();
        let docs = format!(
            "What can be asked of a `{}` in another process.",
            self.classes.of
        );
        let names = self.messages.iter().map(|Message { method, .. }| {
            let (conditions, class) = (&method.conditions, self.classes.path_of(method));
            quote!(#(#conditions)* #root::remote::MessageName::of::<#class>())
        });
        let relays = self.messages.iter().map(|Message { method, .. }| {
            let (conditions, class) = (&method.conditions, self.classes.path_of(method));
            quote!(#(#conditions)* each(#root::remote::__private::relay::<#class>(abroad));)
        });
        let takes = self.messages.iter().map(|Message { method, .. }| {
            let (conditions, class) = (&method.conditions, self.classes.path_of(method));
            quote_spanned! {method.class.span()=>
                #(#conditions)*
                #[automatically_derived]
                #quiet
                impl #root::remote::Takes<#class> for #protocol {
                    const INDEX: usize = #root::remote::__private::index_of::<Self, #class>();
                }
            }
        });
        quote! {
            #[doc = #docs]
            #[derive(
                ::core::clone::Clone,
                ::core::marker::Copy,
                ::core::fmt::Debug,
                ::core::default::Default,
                ::core::cmp::PartialEq,
                ::core::cmp::Eq,
                ::core::hash::Hash,
            )]
            #quiet
            #visibility struct #protocol;

            #[automatically_derived]
            #quiet
            impl #root::remote::Protocol for #protocol {
                const MESSAGES: &'static [#root::remote::MessageName] = &[#(#names),*];

                fn relays(
                    abroad: &#root::remote::__private::Abroad,
                    each: &mut dyn ::core::ops::FnMut(
                        ::std::sync::Arc<dyn #root::remote::__private::Export>,
                    ),
                ) {
                    let _ = (abroad, &each);
                    #(#relays)*
                }
            }

            #(#takes)*
        }
    }

    /// What makes every actor that takes the messages one that can be exposed, and every tasklet.
    fn serves(&self) -> TokenStream {
        let root = self.classes.root(Span::call_site());
        let Expansion { protocol, .. } = self;
        let quiet = quiet();
        // There are no conditions on bounds: what depends on one is a bound of a trait instead, which is
        // there in both cases.
        let mut conditional = Vec::new();
        let bounds = self.messages.iter().map(|Message { method, .. }| {
            let class = self.classes.path_of(method);
            let accepts = quote_spanned!(method.class.span()=> #root::Accepts<#class>);
            if method.conditions.is_empty() {
                return accepts;
            }
            let name = unaliased(&format_ident!("Accepts{}", method.class));
            let (given, absent) = (&method.conditions, unless(&method.conditions));
            conditional.push(quote! {
                #(#given)*
                #quiet
                trait #name: #accepts {}
                #(#given)*
                #quiet
                impl<A: #accepts> #name for A {}
                #absent
                #quiet
                trait #name: #root::Actor {}
                #absent
                #quiet
                impl<A: #root::Actor> #name for A {}
            });
            name.to_token_stream()
        });
        let bounds: Vec<_> = bounds.collect();
        let exports: TokenStream = self
            .messages
            .iter()
            .map(|Message { method, .. }| {
                let (conditions, class) = (&method.conditions, self.classes.path_of(method));
                quote! {
                    #(#conditions)*
                    each(#root::remote::__private::export(self.recipient::<#class>()));
                }
            })
            .collect();
        let implement = |generics: TokenStream, who: TokenStream| {
            quote! {
                #[automatically_derived]
                #quiet
                impl #generics #root::remote::Serves<#protocol> for #who {
                    fn recipients(
                        &self,
                        each: &mut dyn ::core::ops::FnMut(
                            ::std::sync::Arc<dyn #root::remote::__private::Export>,
                        ),
                    ) {
                        #exports
                    }
                }
            }
        };
        let of_actors = implement(
            quote!(<A: #root::Actor #(+ #bounds)*>),
            quote!(#root::Addr<A>),
        );
        let of_tasklets = implement(TokenStream::new(), quote!(#root::Tasklet));
        quote! {
            const _: () = {
                #(#conditional)*
                #of_actors
                #of_tasklets
            };
        }
    }

    /// The actor that calls the methods of whoever implements the trait.
    fn dispatcher(&self) -> TokenStream {
        let root = self.classes.root(Span::call_site());
        let Expansion {
            actor, implementor, ..
        } = self;
        let (of, visibility) = (&self.item.ident, &self.item.vis);
        let quiet = quiet();
        let docs = format!(
            "An actor that handles the messages of `{}` by the methods of the one in it.",
            self.classes.of
        );
        let generics: Generics = parse_quote! {
            <#implementor: #of + ::core::marker::Send + 'static>
        };
        let receiver = Receiver {
            actor: quote!(#actor<#implementor>),
            generics: &generics,
            methods_of: quote!(<#implementor as #of>),
            this: quote!(&mut self.0),
        };
        let handlers = self
            .messages
            .iter()
            .map(|Message { method, .. }| self.classes.handler(method, &receiver));
        quote! {
            #[doc = #docs]
            #[derive(::core::fmt::Debug)]
            #quiet
            #visibility struct #actor<#implementor: #of>(
                /// Whose methods are called.
                pub #implementor,
            );

            #[automatically_derived]
            #quiet
            impl #generics #root::Actor for #actor<#implementor> {}

            #(#handlers)*
        }
    }
}

impl Message {
    fn new(
        method: Option<Method>,
        prefix: &str,
        classes: &Classes,
    ) -> Result<Option<Message>, Error> {
        let Some(mut method) = method else {
            return Ok(None);
        };
        let name = format!("{prefix}.{}", names::plain(&method.name));
        schema::check_name(&name, method.name.span())?;

        let at = method.class.span();
        let root = classes.root(at);
        let serde = quote_spanned!(at=> #root::remote::__private::serde);
        let derives: [(&str, Path); 3] = [
            ("Debug", parse_quote_spanned!(at=> ::core::fmt::Debug)),
            ("Serialize", parse_quote_spanned!(at=> #serde::Serialize)),
            (
                "Deserialize",
                parse_quote_spanned!(at=> #serde::Deserialize),
            ),
        ];
        for (name, path) in derives {
            if !method.derives_trait(name) {
                method.derives.push(path);
            }
        }
        Ok(Some(Message {
            method,
            remote: Remote {
                name,
                version: 1,
                encoding: Encoding::Compact,
            },
        }))
    }
}

fn parse_trait(item: TokenStream) -> Result<ItemTrait, Error> {
    let item: ItemTrait =
        syn::parse2(item).map_err(|error| Error::new(error.span(), "`remote` goes on a trait"))?;
    if !item.generics.params.is_empty() {
        return Err(Error::new_spanned(
            &item.generics,
            "a remote trait is one set of messages: this would be one name for many, of which another \
             process could not tell which is meant",
        ));
    }
    Ok(item)
}

/// The condition under which something is not there that has these.
fn unless(conditions: &[Attribute]) -> TokenStream {
    let parse = Punctuated::<Meta, Token![,]>::parse_terminated;
    let conditions = conditions.iter().flat_map(|attribute| {
        let is_condition = attribute.path().is_ident("cfg");
        let mut parts = attribute
            .parse_args_with(parse)
            .unwrap_or_default()
            .into_iter();
        let first = parts.next().map(|first| first.to_token_stream());
        match is_condition {
            true => first.into_iter().collect::<Vec<_>>(),
            // `cfg_attr(first, cfg(..), ..)`
            false => parts
                .filter_map(|given| Some(given.require_list().ok()?.tokens.clone()))
                .map(|given| quote!(any(not(#first), #given)))
                .collect(),
        }
    });
    quote!(#[cfg(not(all(#(#conditions),*)))])
}
