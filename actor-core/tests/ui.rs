//! What the compiler says about mistakes in the macros.

#[test]
fn mistakes_are_named_where_they_are() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/ui/*.rs");
    // These get as far as the traits that the feature brings.
    #[cfg(feature = "remote")]
    cases.compile_fail("tests/ui/remote/*.rs");
}
