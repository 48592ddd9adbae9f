//! The path of a request, as one in a tree of files.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Why a path is none that a file could have here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It is not well-formed, or has a NUL in it: status 400.
    Malformed,
    /// It may be well-formed, but names nothing that is served: status 404.
    NoFile,
}

/// A path in a tree: names with single slashes between them, none of them `.` or `..`, and no slash at either end. The
/// empty one is the tree itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreePath {
    path: Vec<u8>,
    /// There was a slash behind the last name, as directories have it.
    is_directory: bool,
}

impl TreePath {
    /// Decodes the path of a request, or what is left of it behind what the tree is mounted at. One slash in
    /// front counts for nothing.
    ///
    /// What a client resolves before it asks (`.`, `..`), what it would have no reason to write (empty names, slashes
    /// that are part of a name) and what is a separator elsewhere (backslashes) is refused and not resolved: so two
    /// programs cannot be of two minds about it. Names are bytes, as they are to the system, and need not
    /// be UTF-8.
    pub fn decode(raw: &str, hidden: bool) -> Result<TreePath, Refused> {
        let raw = raw.strip_prefix('/').unwrap_or(raw);
        if raw.is_empty() {
            return Ok(TreePath {
                path: Vec::new(),
                is_directory: true,
            });
        }
        let (names, is_directory) = match raw.strip_suffix('/') {
            Some(names) => (names, true),
            None => (raw, false),
        };
        let mut path = Vec::with_capacity(names.len());
        let mut refused = None;
        for (i, name) in names.split('/').enumerate() {
            if i > 0 {
                path.push(b'/');
            }
            let begin = path.len();
            // Of what is malformed anywhere this is said, whatever else it is.
            decode_name(name, &mut path)?;
            let name = &path[begin..];
            // The only hidden name that is meant for others (RFC 8615).
            let is_served = !name.starts_with(b".") || hidden || (i == 0 && name == b".well-known");
            if matches!(name, b"" | b"." | b"..")
                || name.iter().any(|byte| matches!(byte, b'/' | b'\\'))
                || !is_served
            {
                refused = Some(Refused::NoFile);
            }
        }
        match refused {
            Some(refused) => Err(refused),
            None => Ok(TreePath { path, is_directory }),
        }
    }

    /// As the system takes it, relative to the tree.
    pub fn as_path(&self) -> &Path {
        match &self.path[..] {
            b"" => Path::new("."),
            path => Path::new(OsStr::from_bytes(path)),
        }
    }

    /// Whether it is written as directories are.
    pub fn is_directory(&self) -> bool {
        self.is_directory
    }

    /// The path of `name` in this directory.
    pub(super) fn join(&self, name: &str) -> TreePath {
        let mut path = self.path.clone();
        if !path.is_empty() {
            path.push(b'/');
        }
        path.extend_from_slice(name.as_bytes());
        TreePath {
            path,
            is_directory: false,
        }
    }

    /// The path with this behind its last name.
    pub(super) fn with_suffix(&self, suffix: &str) -> TreePath {
        TreePath {
            path: [&self.path, suffix.as_bytes()].concat(),
            is_directory: false,
        }
    }

    /// What is behind the last dot of the last name.
    pub(super) fn extension(&self) -> Option<&str> {
        self.as_path().extension()?.to_str()
    }
}

fn decode_name(name: &str, out: &mut Vec<u8>) -> Result<(), Refused> {
    let mut bytes = name.bytes();
    while let Some(byte) = bytes.next() {
        let byte = match byte {
            b'%' => {
                let mut digit = || {
                    let digit = char::from(bytes.next()?).to_digit(16)?;
                    u8::try_from(digit).ok()
                };
                let (Some(high), Some(low)) = (digit(), digit()) else {
                    return Err(Refused::Malformed);
                };
                high << 4 | low
            }
            byte => byte,
        };
        if byte == 0 {
            return Err(Refused::Malformed);
        }
        out.push(byte);
    }
    Ok(())
}

/// Writes a name so that it is one of a path again.
pub(super) fn encode_name(name: &[u8], out: &mut String) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for &byte in name {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let digits = [byte >> 4, byte & 15].map(|digit| DIGITS[usize::from(digit)]);
            out.push('%');
            out.extend(digits.map(char::from));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decoded(raw: &str) -> Result<(Vec<u8>, bool), Refused> {
        let path = TreePath::decode(raw, false)?;
        let is_directory = path.is_directory();
        Ok((path.as_path().as_os_str().as_bytes().to_vec(), is_directory))
    }

    #[test]
    fn paths_are_decoded() {
        for (raw, path, is_directory) in [
            ("", ".", true),
            ("/", ".", true),
            ("/a", "a", false),
            ("a", "a", false),
            ("/a/", "a", true),
            ("/a/b.txt", "a/b.txt", false),
            ("/a%20b/%63", "a b/c", false),
            ("/%e2%82%AC", "€", false),
            ("/a..b/...x/c.", "", false),
            ("/a..b/c.", "a..b/c.", false),
            ("/a+b&c=d;e", "a+b&c=d;e", false),
            ("/%25", "%", false),
            ("/%252e%252e", "%2e%2e", false),
            ("/.well-known/x", ".well-known/x", false),
            ("/%2ewell-known/x", ".well-known/x", false),
        ] {
            let expected = (path.as_bytes().to_vec(), is_directory);
            if path.is_empty() {
                assert_eq!(decoded(raw), Err(Refused::NoFile), "{raw}");
            } else {
                assert_eq!(decoded(raw), Ok(expected), "{raw}");
            }
        }
        // Names are bytes.
        assert_eq!(decoded("/%ff%fe"), Ok((b"\xff\xfe".to_vec(), false)));
    }

    #[test]
    fn paths_never_lead_out() {
        for raw in [
            "/..",
            "/../",
            "/../etc/passwd",
            "/a/../../etc/passwd",
            "/a/..",
            "/./a",
            "/a/.",
            "/%2e%2e/etc/passwd",
            "/%2E%2e/etc/passwd",
            "/.%2e/etc/passwd",
            "/..%2fetc/passwd",
            "/%2fetc/passwd",
            "/a%2fb",
            "/a%2F..%2F..%2Fetc",
            "//",
            "//etc/passwd",
            "/a//b",
            "/a//",
            "/..\\..\\etc",
            "/a\\b",
            "/%5c..%5Cetc",
            "/C:\\x",
            "/.git/config",
            "/a/.htaccess",
            "/%2egit/config",
            "/a/.well-known",
            "/.well-knownx",
        ] {
            assert_eq!(decoded(raw), Err(Refused::NoFile), "{raw}");
        }
        for raw in [
            "/%00",
            "/a%00.txt",
            "/%",
            "/%2",
            "/%zz",
            "/%+1",
            "/a%2/b",
            "/%u0041",
            "/../%",
            "/a/%0",
        ] {
            assert_eq!(decoded(raw), Err(Refused::Malformed), "{raw}");
        }
    }

    #[test]
    fn hidden_files_may_be_served() {
        assert!(TreePath::decode("/.a/.b", true).is_ok());
        for raw in ["/.", "/..", "/.a/..", "/%2e%2e", "//"] {
            assert_eq!(TreePath::decode(raw, true), Err(Refused::NoFile), "{raw}");
        }
    }

    proptest! {
        #[test]
        fn anything_may_come(raw in ".{0,40}", hidden: bool) {
            check(&raw, hidden);
        }

        #[test]
        fn nearly_paths_may_come(raw in "(/|\\.|%2[ef]|%5c|a|%00|\\\\){0,12}", hidden: bool) {
            check(&raw, hidden);
        }

        #[test]
        fn names_come_back(name in prop::collection::vec(1_u8.., 1..20)) {
            prop_assume!(!name.iter().any(|byte| b"/\\".contains(byte)) && name != b"." && name != b"..");
            let mut raw = String::from("/x/");
            encode_name(&name, &mut raw);
            let path = TreePath::decode(&raw, true).unwrap();
            prop_assert_eq!(path.as_path().as_os_str().as_bytes(), [b"x/", &name[..]].concat());
        }
    }

    fn check(raw: &str, hidden: bool) {
        let Ok(path) = TreePath::decode(raw, hidden) else {
            return;
        };
        let path = path.as_path();
        if path == Path::new(".") {
            return;
        }
        for component in path.as_os_str().as_bytes().split(|&byte| byte == b'/') {
            assert!(!component.is_empty() && component != b"." && component != b"..");
            assert!(!component.contains(&0));
        }
    }
}
