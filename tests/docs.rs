//! That the pages name tests that exist, and the facade all that there is.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// What stands between backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// The file and the name of a test of `actor-core`, if `quoted` looks like one.
fn as_test(quoted: &str) -> Option<(&str, &str)> {
    let (file, name) = quoted.split_once("::")?;
    let is_word = |text: &str| {
        text.chars()
            .all(|char| char.is_ascii_lowercase() || char.is_ascii_digit() || char == '_')
    };
    // The cases of a test without a harness have names of several words.
    let is_test = is_word(file) && name.split(&[' ', ',', '\'']).all(is_word);
    is_test.then_some((file, name))
}

#[test]
fn the_tests_that_the_page_on_stackless_names_exist() {
    let page = read("docs/stackless.md");
    let named: BTreeSet<_> = quoted(&page).filter_map(as_test).collect();
    assert!(named.len() > 50, "only {} tests found", named.len());
    for (file, name) in named {
        let source = test_source(file);
        let exists = if name.contains(' ') {
            source.contains(&format!("(\"{name}\","))
        } else {
            source.contains(&format!("#[test]\nfn {name}()"))
        };
        assert!(exists, "there is no test `{file}::{name}`");
    }
}

#[test]
fn each_row_of_the_page_on_stackless_names_a_test_or_says_why_not() {
    let page = read("docs/stackless.md");
    let lines: Vec<_> = page.lines().collect();
    let is_rule = |line: &str| line.starts_with("|---");
    for pair in lines.windows(2) {
        let (line, next) = (pair[0], pair[1]);
        let is_row = line.starts_with('|') && !is_rule(line) && !is_rule(next);
        if is_row {
            let is_shown = quoted(line).any(|text| as_test(text).is_some());
            assert!(is_shown || line.contains("not carried over: "), "{line}");
        }
    }
}

/// The text of an integration test of the core, which may be a folder of several files.
fn test_source(name: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("actor-core/tests");
    let Ok(folder) = fs::read_dir(root.join(name)) else {
        return read(&format!("actor-core/tests/{name}.rs"));
    };
    let files = folder.map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap());
    files.collect::<Vec<_>>().join("\n")
}

/// The names that the `pub use` items of `source` bring.
fn exported(source: &str) -> BTreeSet<&str> {
    let items = source.split("pub use ").skip(1);
    let items = items.filter_map(|item| item.split(';').next());
    let names = items.flat_map(|item| {
        let list = item.split_once('{').map(|(_, list)| list);
        let list = list.unwrap_or_else(|| item.rsplit("::").next().unwrap_or(item));
        let names = list.split([',', '}']).map(str::trim);
        names.map(|name| name.rsplit(" as ").next().unwrap_or(name))
    });
    names.filter(|name| !name.is_empty()).collect()
}

#[test]
fn the_facade_has_all_that_the_core_has() {
    let (core, facade) = (read("actor-core/src/lib.rs"), read("src/lib.rs"));
    let (core, _) = core
        .split_once("#[doc(hidden)]\npub mod __private")
        .expect("its end");
    let (ours, all) = (exported(&facade), exported(core));
    assert!(all.contains("Tasklet"), "the names are not found: {all:?}");
    let missing: Vec<_> = all.difference(&ours).collect();
    assert!(missing.is_empty(), "not in the facade: {missing:?}");
}

#[test]
fn the_facade_has_all_that_input_and_output_have() {
    let facade = read("src/lib.rs");
    let ours = exported(&facade);
    for krate in ["actor-io", "actor-net"] {
        let source = read(&format!("{krate}/src/lib.rs"));
        let source = source.split("#[doc(hidden)]").next().unwrap_or_default();
        let all = exported(source);
        assert!(all.len() > 10, "the names are not found: {all:?}");
        let missing: Vec<_> = all.difference(&ours).collect();
        assert!(
            missing.is_empty(),
            "{krate}: not in the facade: {missing:?}"
        );
    }
}
