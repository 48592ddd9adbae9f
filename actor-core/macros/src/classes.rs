//! The types of messages that are made of methods, in a module of their own, and what calls and sends them.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::meta::ParseNestedMeta;
use syn::spanned::Spanned;
use syn::{Error, Generics, Ident, Path, Visibility, parse_quote_spanned};

use crate::method::{Argument, Method};
use crate::set_once;

/// What the two macros have in common in their parentheses.
#[derive(Default)]
pub(crate) struct Options {
    /// `module = name`
    pub(crate) module: Option<Ident>,
    /// `crate = path`
    pub(crate) root: Option<Path>,
}

impl Options {
    /// Whether this option is one of these.
    pub(crate) fn parse_one(&mut self, meta: &ParseNestedMeta<'_>) -> Result<bool, Error> {
        if meta.path.is_ident("module") {
            let module = meta.value()?.parse()?;
            set_once(&mut self.module, module, meta).map(|()| true)
        } else if meta.path.is_ident("crate") {
            let root = meta.value()?.call(Path::parse_mod_style)?;
            set_once(&mut self.root, root, meta).map(|()| true)
        } else {
            Ok(false)
        }
    }
}

/// The messages that are made of one `impl`, or of one trait.
pub(crate) struct Classes {
    /// Whose methods they are made of, without a path.
    pub(crate) of: Ident,
    pub(crate) module: Ident,
    /// How visible the module is.
    pub(crate) exported: Visibility,
    /// Where the framework is found, if not at `::concurrence`.
    pub(crate) root: Option<Path>,
}

/// Who handles the messages.
pub(crate) struct Receiver<'a> {
    pub(crate) actor: TokenStream,
    pub(crate) generics: &'a Generics,
    /// What the methods are called by: `Self` for `Self::name(..)`.
    pub(crate) methods_of: TokenStream,
    /// What is given to the methods for their `self`.
    pub(crate) this: TokenStream,
}

/// What gets a trait of typed methods.
pub(crate) struct Address<'a> {
    /// The trait.
    pub(crate) extension: &'a Ident,
    pub(crate) visibility: &'a Visibility,
    pub(crate) docs: String,
    /// The address without what it is the address of, such as `::concurrence::Addr`.
    pub(crate) path: TokenStream,
    /// What it is the address of.
    pub(crate) to: TokenStream,
}

impl Classes {
    /// The module with the types of the messages. `head` is what else is said above each type.
    pub(crate) fn module<'a>(
        &self,
        methods: impl Iterator<Item = &'a Method> + Clone,
        head: TokenStream,
    ) -> TokenStream {
        let Classes {
            module, exported, ..
        } = self;
        let docs = format!("The messages of `{}`.", self.of);
        let quiet = quiet();
        let messages = methods.clone().map(|method| self.message(method, &head));
        let aliases = methods.flat_map(|method| {
            let conditions = &method.conditions;
            method
                .arguments
                .iter()
                .map(move |Argument { alias, of, .. }| {
                    quote!(#(#conditions)* pub(in super::super) type #alias = #of;)
                })
        });
        quote! {
            #[doc = #docs]
            #quiet
            #exported mod #module {
                use super::*;
                #(#messages)*
                /// The types of the arguments, in a scope where no message hides one of the same name.
                mod arguments {
                    use super::super::*;
                    #(#aliases)*
                }
            }
        }
    }

    /// The type of one message, for inside the module.
    fn message(&self, method: &Method, head: &TokenStream) -> TokenStream {
        let Method {
            class,
            conditions,
            notes,
            derives,
            arguments,
            ..
        } = method;
        let at = class.span();
        let visibility = one_deeper(&method.visibility, at);
        let docs = method.docs_or(|| {
            format!(
                "The message that has `{}` of `{}` called.",
                method.name, self.of
            )
        });
        let fields = arguments.iter().map(|Argument { name, of, alias }| {
            let docs = format!("The argument `{name}`.");
            // What is derived and does not hold for a type is said where the type is.
            let at = Span::call_site().located_at(of.span());
            quote_spanned!(at=> #[doc = #docs] #visibility #name: arguments::#alias)
        });
        let (body, finish) = match arguments.is_empty() {
            true => (quote_spanned!(at=> ;), quote!(finish)),
            false => (
                quote_spanned!(at=> { #(#fields),* }),
                quote!(finish_non_exhaustive),
            ),
        };
        // The arguments need not have `Debug` for the message to have it.
        let text = class.to_string();
        let debug = (!method.derives_trait("Debug")).then(|| {
            quote_spanned! {at=>
                #(#conditions)*
                #[automatically_derived]
                impl ::core::fmt::Debug for #class {
                    fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                        f.debug_struct(#text).#finish()
                    }
                }
            }
        });
        quote_spanned! {at=>
            #(#conditions)*
            #(#notes)*
            #docs
            #[derive(#(#derives),*)]
            #head
            #visibility struct #class #body
            #debug
        }
    }

    /// What makes a type of the module a message.
    pub(crate) fn implementation(&self, method: &Method) -> TokenStream {
        let at = method.class.span();
        let root = self.root(at);
        let conditions = &method.conditions;
        let class = self.path_of(method);
        let answer = method.answer();
        let quiet = quiet();
        quote_spanned! {at=>
            #(#conditions)*
            #[automatically_derived]
            #quiet
            impl #root::Message for #class {
                type Reply = #answer;
            }
        }
    }

    /// What makes an actor the receiver of a message.
    pub(crate) fn handler(&self, method: &Method, receiver: &Receiver<'_>) -> TokenStream {
        let at = method.class.span();
        let root = self.root(at);
        let Method {
            name,
            conditions,
            reply,
            ..
        } = method;
        let Receiver {
            actor,
            generics,
            methods_of,
            this,
        } = receiver;
        let (impl_generics, _, where_clause) = generics.split_for_impl();
        let class = self.path_of(method);
        let answer = method.answer();
        // These are of the macro's, and cannot be meant by what comes from the user.
        let own = Span::mixed_site().located_at(at);
        let (message, context) = (Ident::new("message", own), Ident::new("ctx", own));
        let fields = method.arguments.iter().map(|Argument { name, .. }| name);
        let passed = method.takes_context.then_some(&context);
        let quiet = quiet();
        let unheard = reply.as_ref().map(|_| {
            quote_spanned! {at=>
                fn unheard(#message: #answer, #context: &mut #root::Context<Self>) {
                    use #root::__private::ErrorText as _;
                    #root::__private::log_unheard::<#class, Self>(#context, || {
                        (&&&&#root::__private::Answer(&#message)).error_text()
                    });
                }
            }
        });
        quote_spanned! {at=>
            #(#conditions)*
            #[automatically_derived]
            #quiet
            impl #impl_generics #root::Handler<#class> for #actor #where_clause {
                fn handle(
                    &mut self,
                    #message: #class,
                    #context: &mut #root::Context<Self>,
                ) -> #answer {
                    #methods_of::#name(#this, #(#message.#fields,)* #passed)
                }
                #unheard
            }
        }
    }

    /// A trait of typed methods, and its implementation for an address.
    pub(crate) fn extension_trait<'a>(
        &self,
        address: &Address<'_>,
        methods: impl Iterator<Item = &'a Method> + Clone,
    ) -> TokenStream {
        let Address {
            extension,
            visibility,
            docs,
            path,
            to,
        } = address;
        let quiet = quiet();
        let path_text = path.to_string().replace(' ', "");
        let path_name = path_text.rsplit("::").next().unwrap_or_default();
        let signatures = methods.clone().map(|method| {
            let signature = self.signature(method);
            let (conditions, notes) = (&method.conditions, &method.notes);
            let docs = method.docs_or(|| {
                format!(
                    "Has `{}` of `{}` called, in its turn.",
                    method.name, self.of
                )
            });
            let how = match &method.reply {
                None => format!(
                    "Sent and not waited for; fails as [`{path_name}::send`]({path_text}::send) does."
                ),
                Some(_) => format!(
                    "Waits for the answer; fails as [`{path_name}::call`]({path_text}::call) does."
                ),
            };
            quote_spanned! {method.class.span()=>
                #(#conditions)* #(#notes)* #docs #[doc = ""] #[doc = #how] #signature;
            }
        });
        let bodies = methods.map(|method| {
            let signature = self.signature(method);
            let conditions = &method.conditions;
            let class = self.path_of(method);
            let fields = method.arguments.iter().map(|Argument { name, .. }| name);
            let verb = match method.reply {
                None => quote!(send),
                Some(_) => quote!(call),
            };
            quote! {
                #(#conditions)*
                #signature {
                    #path::#verb(self, #class { #(#fields),* })
                }
            }
        });
        quote! {
            #[doc = #docs]
            #quiet
            #visibility trait #extension {
                #(#signatures)*
            }

            #[automatically_derived]
            #quiet
            impl #extension for #path<#to> {
                #(#bodies)*
            }
        }
    }

    /// The head of the typed method for a message.
    fn signature(&self, method: &Method) -> TokenStream {
        let at = method.class.span();
        let root = self.root(at);
        let Method { name, reply, .. } = method;
        let parameters = method
            .arguments
            .iter()
            .map(|Argument { name, of, .. }| quote!(#name: #of));
        let result = match reply {
            None => {
                let class = self.path_of(method);
                quote_spanned!(at=> ::core::result::Result<(), #root::SendError<#class>>)
            }
            Some(reply) => quote_spanned!(at=> ::core::result::Result<#reply, #root::CallError>),
        };
        quote_spanned!(at=> fn #name(&self, #(#parameters),*) -> #result)
    }

    /// The path of the framework.
    pub(crate) fn root(&self, at: Span) -> TokenStream {
        match &self.root {
            Some(root) => quote!(#root),
            None => quote_spanned!(at=> ::concurrence),
        }
    }

    /// The type of a message, from outside the module. The compiler's words on it point at the method.
    pub(crate) fn path_of(&self, method: &Method) -> TokenStream {
        let mut module = self.module.clone();
        module.set_span(method.class.span());
        let class = &method.class;
        quote!(#module::#class)
    }
}

/// Lints that speak of what is written here of the user's words, and not of what the user has written.
pub(crate) fn quiet() -> TokenStream {
    quote! {
        #[allow(
            dead_code,
            deprecated,
            non_camel_case_types,
            private_bounds,
            private_interfaces,
            unreachable_pub,
            unused_imports,
            clippy::all,
            clippy::pedantic,
            rustdoc::all
        )]
    }
}

/// The same name at the same place, but known to be the macro's: the compiler does not take what it
/// is used for as written by the user.
pub(crate) fn unaliased(name: &Ident) -> Ident {
    let mut name = name.clone();
    name.set_span(Span::call_site().located_at(name.span()));
    name
}

/// A visibility as it is written one module deeper.
fn one_deeper(visibility: &Visibility, at: Span) -> Visibility {
    let private = || parse_quote_spanned!(at=> pub(super));
    let Visibility::Restricted(restricted) = visibility else {
        return match visibility {
            Visibility::Inherited => private(),
            public => public.clone(),
        };
    };
    let path = &restricted.path;
    if path.is_ident("self") {
        return private();
    }
    if path.segments[0].ident == "super" {
        return parse_quote_spanned!(at=> pub(in super::#path));
    }
    visibility.clone()
}
