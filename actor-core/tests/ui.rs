//! What the compiler says about mistakes in `#[derive(Message)]` and `match_message!`.

#[test]
fn mistakes_are_named_where_they_are() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
