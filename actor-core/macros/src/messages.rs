//! `#[messages]`: message types, handlers and a trait of typed methods out of an actor's own methods.

mod method;
mod names;

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::meta::ParseNestedMeta;
use syn::parse::Parser;
use syn::{
    Error, Ident, ImplItem, ItemImpl, Path, PathArguments, Type, Visibility, meta,
    parse_quote_spanned,
};

use self::method::{Argument, Method};
use crate::set_once;

pub(crate) fn expand(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let mut options = Options::default();
    let parsed = meta::parser(|meta| options.parse_one(&meta)).parse2(arguments);
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

/// What is in the parentheses of `#[messages(..)]`.
#[derive(Default)]
struct Options {
    /// `module = name`
    module: Option<Ident>,
    /// `crate = path`
    root: Option<Path>,
}

impl Options {
    fn parse_one(&mut self, meta: &ParseNestedMeta<'_>) -> Result<(), Error> {
        if meta.path.is_ident("module") {
            let module = meta.value()?.parse()?;
            set_once(&mut self.module, module, meta)
        } else if meta.path.is_ident("crate") {
            let root = meta.value()?.call(Path::parse_mod_style)?;
            set_once(&mut self.root, root, meta)
        } else {
            Err(meta.error("unknown option: `messages` takes `module = name` and `crate = path`"))
        }
    }
}

/// All that is made of one `impl`.
struct Expansion {
    item: ItemImpl,
    methods: Vec<Method>,
    /// Those of the methods of which nothing can be made.
    errors: Vec<Error>,
    /// The actor's name, without a path.
    actor: Ident,
    module: Ident,
    /// The trait of the methods that the others may use, or of all if they are private.
    extension: Ident,
    /// The visibility of the methods that are not private, which is that of the module.
    exported: Visibility,
    /// Where the framework is found, if not at `::concurrence`.
    root: Option<Path>,
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
                match Method::parse(function, &item.self_ty) {
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
            actor,
            module: unaliased(&module),
            extension: unaliased(&extension),
            exported,
            root: options.root,
        })
    }

    fn tokens(&self) -> TokenStream {
        let item = &self.item;
        let errors = self.errors.iter().map(Error::to_compile_error);
        let mut tokens = quote!(#item #(#errors)*);
        if self.methods.is_empty() {
            return tokens;
        }
        tokens.extend(self.message_module());
        tokens.extend(self.methods.iter().map(|method| self.handler(method)));

        let is_private = |method: &&Method| method.is_private();
        let (private, exported): (Vec<_>, Vec<_>) = self.methods.iter().partition(is_private);
        let all_private = matches!(self.exported, Visibility::Inherited);
        if !exported.is_empty() {
            tokens.extend(self.extension_trait(&self.extension, &self.exported, &exported));
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

    /// The module with the types of the messages.
    fn message_module(&self) -> TokenStream {
        let Expansion {
            module, exported, ..
        } = self;
        let docs = format!("The messages of `{}`.", self.actor);
        let quiet = quiet();
        let messages = self.methods.iter().map(|method| self.message(method));
        let aliases = self.methods.iter().flat_map(|method| {
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
    fn message(&self, method: &Method) -> TokenStream {
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
                method.name, self.actor
            )
        });
        let fields = arguments.iter().map(|Argument { name, alias, .. }| {
            let docs = format!("The argument `{name}`.");
            quote!(#[doc = #docs] #visibility #name: arguments::#alias)
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
            #visibility struct #class #body
            #debug
        }
    }

    /// What makes a type of the module a message, and the actor its receiver.
    fn handler(&self, method: &Method) -> TokenStream {
        let at = method.class.span();
        let root = self.root(at);
        let actor = &self.item.self_ty;
        let Method {
            name,
            conditions,
            reply,
            ..
        } = method;
        let class = self.path_of(method);
        let answer = reply.as_ref().map_or(quote!(()), |reply| quote!(#reply));
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
            impl #root::Message for #class {
                type Reply = #answer;
            }

            #(#conditions)*
            #[automatically_derived]
            #quiet
            impl #root::Handler<#class> for #actor {
                fn handle(
                    &mut self,
                    #message: #class,
                    #context: &mut #root::Context<Self>,
                ) -> #answer {
                    Self::#name(self, #(#message.#fields,)* #passed)
                }
                #unheard
            }
        }
    }

    /// A trait of typed methods, and its implementation for the actor's address.
    fn extension_trait(
        &self,
        extension: &Ident,
        visibility: &Visibility,
        methods: &[&Method],
    ) -> TokenStream {
        let root = self.root(Span::call_site());
        let actor = &self.item.self_ty;
        let quiet = quiet();
        let docs = format!(
            "The messages of `{}` as methods of its address.",
            self.actor
        );
        let root_text = quote!(#root).to_string().replace(' ', "");
        let signatures = methods.iter().map(|method| {
            let signature = self.signature(method);
            let (conditions, notes) = (&method.conditions, &method.notes);
            let docs = method.docs_or(|| {
                format!(
                    "Has `{}` of `{}` called, in its turn.",
                    method.name, self.actor
                )
            });
            let how = match &method.reply {
                None => format!(
                    "Sent and not waited for; fails as [`Addr::send`]({root_text}::Addr::send) does."
                ),
                Some(_) => format!(
                    "Waits for the answer; fails as [`Addr::call`]({root_text}::Addr::call) does."
                ),
            };
            quote_spanned! {method.class.span()=>
                #(#conditions)* #(#notes)* #docs #[doc = ""] #[doc = #how] #signature;
            }
        });
        let bodies = methods.iter().map(|method| {
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
                    #root::Addr::#verb(self, #class { #(#fields),* })
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
            impl #extension for #root::Addr<#actor> {
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
    fn root(&self, at: Span) -> TokenStream {
        match &self.root {
            Some(root) => quote!(#root),
            None => quote_spanned!(at=> ::concurrence),
        }
    }

    /// The type of a message, from outside the module. The compiler's words on it point at the method.
    fn path_of(&self, method: &Method) -> TokenStream {
        let mut module = self.module.clone();
        module.set_span(method.class.span());
        let class = &method.class;
        quote!(#module::#class)
    }
}

/// Lints that speak of what is written here of the user's words, and not of what the user has written.
fn quiet() -> TokenStream {
    quote! {
        #[allow(
            dead_code,
            deprecated,
            non_camel_case_types,
            private_interfaces,
            unreachable_pub,
            unused_imports,
            clippy::all,
            clippy::pedantic,
            rustdoc::all
        )]
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

/// The same name at the same place, but known to be the macro's: the compiler does not take what it
/// is used for as written by the user.
fn unaliased(name: &Ident) -> Ident {
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
