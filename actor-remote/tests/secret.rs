//! Secrets: where they may come from.

use std::fs::{self, OpenOptions, Permissions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use actor_remote::handshake::{MIN_SECRET, Secret, SecretError, Secrets};

/// A file that only its owner may read.
fn file(name: &str, content: &[u8]) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("secret-{name}"));
    let _ = fs::remove_file(&path);
    let mut options = OpenOptions::new();
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path)
        .unwrap();
    file.write_all(content).unwrap();
    path
}

#[test]
fn short_ones_are_refused() {
    let long = "x".repeat(MIN_SECRET);
    assert_eq!(Secret::from_bytes(&long).unwrap().expose(), long.as_bytes());
    let bytes = MIN_SECRET - 1;
    let error = Secret::from_bytes(&long[1..]).unwrap_err();
    assert_eq!(error, SecretError::Short { bytes });
    // What does not count cannot make up for it.
    let padded = file("padded", format!("{}\n\n\n", &long[1..]).as_bytes());
    assert_eq!(
        Secret::from_file(padded).unwrap_err(),
        SecretError::Short { bytes }
    );
}

#[test]
fn a_generated_one_survives_a_file() {
    let secret = Secret::generate().unwrap();
    assert!(secret.expose().iter().all(u8::is_ascii_hexdigit));
    assert_ne!(secret.expose(), Secret::generate().unwrap().expose());
    let path = file("generated", &[secret.expose(), b"\n"].concat());
    assert_eq!(Secret::from_file(path).unwrap().expose(), secret.expose());
}

#[test]
fn files_that_others_have_access_to_are_refused() {
    let path = file("shared", b"long enough to be a secret");
    for mode in [0o640, 0o604, 0o620, 0o602, 0o644, 0o777] {
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        let error = Secret::from_file(&path).unwrap_err();
        assert_eq!(error, SecretError::Shared { mode });
        assert!(error.to_string().contains(&format!("{mode:o}")));
    }
    for mode in [0o600, 0o400, 0o700] {
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        Secret::from_file(&path).unwrap();
    }
}

#[test]
fn files_that_are_no_secrets_are_refused() {
    let long = file("long", &[b'x'; 5000]);
    assert_eq!(Secret::from_file(long).unwrap_err(), SecretError::Long);
    let empty = file("empty", b"");
    assert_eq!(
        Secret::from_file(empty).unwrap_err(),
        SecretError::Short { bytes: 0 }
    );
    let missing = Path::new(env!("CARGO_TARGET_TMPDIR")).join("secret-missing");
    assert_eq!(
        Secret::from_file(missing).unwrap_err(),
        SecretError::File(ErrorKind::NotFound)
    );
}

#[test]
fn nothing_of_a_secret_is_printed() {
    let secret = Secret::from_bytes("the content of a secret").unwrap();
    let secrets = Secrets::from(secret).also(Secret::from_bytes("another such content").unwrap());
    let printed = format!("{secrets:?}");
    assert!(!printed.contains("content"), "{printed}");
    assert!(!printed.contains("99"), "{printed}");
}
