//! Names made of other names.

use syn::Ident;
use syn::ext::IdentExt;

/// A name without the mark of a raw one.
pub(crate) fn plain(name: &Ident) -> Ident {
    name.unraw()
}

/// `DeadLetters` as `dead_letters`, `HTTPServer` as `http_server`.
pub(crate) fn snake(name: &Ident) -> String {
    let letters: Vec<char> = name.unraw().to_string().chars().collect();
    let mut snake = String::new();
    for (at, letter) in letters.iter().enumerate() {
        let before = at.checked_sub(1).map(|at| letters[at]);
        let ends_word = before.is_some_and(|before| before.is_lowercase() || before.is_numeric());
        let ends_initials = before.is_some_and(char::is_uppercase)
            && letters
                .get(at + 1)
                .is_some_and(|after| after.is_lowercase());
        if letter.is_uppercase() && (ends_word || ends_initials) {
            snake.push('_');
        }
        snake.extend(letter.to_lowercase());
    }
    snake
}

/// `take_over` as `TakeOver`; `None` if nothing is left that can be a name.
pub(crate) fn camel(name: &Ident) -> Option<Ident> {
    let mut camel = String::new();
    for word in name.unraw().to_string().split('_') {
        let mut letters = word.chars();
        camel.extend(letters.next().into_iter().flat_map(char::to_uppercase));
        camel.push_str(letters.as_str());
    }
    let mut camel: Ident = syn::parse_str(&camel).ok()?;
    camel.set_span(name.span());
    Some(camel)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Ident {
        syn::parse_str(text).expect("a name")
    }

    #[test]
    fn modules_are_named_after_actors() {
        for (of, snake_name) in [
            ("Counter", "counter"),
            ("DeadLetters", "dead_letters"),
            ("HTTPServer", "http_server"),
            ("Http2Server", "http2_server"),
            ("ServerHTTP", "server_http"),
            ("A", "a"),
            ("AB", "ab"),
            ("r#Raw", "raw"),
            ("snake_case", "snake_case"),
            ("Übung", "übung"),
        ] {
            assert_eq!(snake(&name(of)), snake_name);
        }
    }

    #[test]
    fn messages_are_named_after_methods() {
        for (of, camel_name) in [
            ("add", "Add"),
            ("take_over", "TakeOver"),
            ("get_2nd", "Get2nd"),
            ("_tick", "Tick"),
            ("r#type", "Type"),
            ("a__b_", "AB"),
        ] {
            assert_eq!(camel(&name(of)).expect("a name"), camel_name);
        }
        for nameless in ["__", "_1", "self_"] {
            assert_eq!(camel(&name(nameless)), None);
        }
    }
}
