//! Tasklets end by unwinding, so a build that aborts instead is refused.

use std::path::Path;
use std::process::Command;

/// What the compiler says to the crate, built with `options`. It knows none of the crate's
/// dependencies here, and so says much else; to build those a second time would take a minute.
fn compile(options: &[&str]) -> String {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(["src/lib.rs", "--crate-name=actor_core", "--crate-type=lib"])
        .args(["--edition=2024", "--emit=metadata", "--out-dir"])
        .arg(Path::new(env!("CARGO_TARGET_TMPDIR")))
        .args(options)
        .output()
        .expect("the compiler that has built this test");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_build_that_aborts_on_panic_is_refused() {
    let refusal = "Concurrence ends tasklets by unwinding them";
    let said = compile(&["-C", "panic=abort"]);
    assert!(said.contains(refusal), "{said}");
    assert!(said.contains("Cargo.toml"), "does not say what helps");
    assert!(!compile(&["-C", "panic=unwind"]).contains(refusal));
}
