//! Which bytes may stand where.

const TOKEN: u8 = 1;
const TARGET: u8 = 2;
const HOST: u8 = 4;

/// What each byte may be part of. One look-up for a byte, since there are many.
static CLASSES: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut classes = [0; 256];
    let mut byte = 0;
    while byte < 128 {
        let is = byte as u8;
        let any = is.is_ascii_alphanumeric();
        if any || is_in(is, b"!#$%&'*+-.^_`|~") {
            classes[byte] |= TOKEN;
        }
        if is.is_ascii_graphic() && !is_in(is, b"\"#<>\\^`{|}") {
            classes[byte] |= TARGET;
        }
        if any || is_in(is, b"-._~%!$&'()*+;=") {
            classes[byte] |= HOST;
        }
        byte += 1;
    }
    classes
}

const fn is_in(byte: u8, mut set: &[u8]) -> bool {
    while let [first, rest @ ..] = set {
        if *first == byte {
            return true;
        }
        set = rest;
    }
    false
}

fn all(bytes: &[u8], class: u8) -> bool {
    bytes
        .iter()
        .all(|&byte| CLASSES[usize::from(byte)] & class != 0)
}

/// Whether a byte is one of those that names are made of.
#[inline]
pub(super) fn is_token(byte: u8) -> bool {
    CLASSES[usize::from(byte)] & TOKEN != 0
}

/// Whether this is a name of something: of a header, a coding, an option.
pub(super) fn is_name(name: &[u8]) -> bool {
    !name.is_empty() && all(name, TOKEN)
}

/// Whether bytes may be in a target: they may be in a URI, and begin no fragment.
#[inline]
pub(super) fn are_of_target(target: &[u8]) -> bool {
    all(target, TARGET)
}

/// The name of a host at the beginning, as far as its bytes may be in one, and what is behind it. A comma may be
/// by the letter, but is taken for a list.
#[inline]
pub(super) fn split_name(host: &[u8]) -> (&[u8], &[u8]) {
    let end = host
        .iter()
        .position(|&byte| CLASSES[usize::from(byte)] & HOST == 0);
    host.split_at(end.unwrap_or(host.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_byte_is_where_it_may_be() {
        let of = |class: u8| -> String {
            let bytes = (0..=255).filter(|&byte: &u8| CLASSES[usize::from(byte)] & class != 0);
            let others = bytes.filter(|byte| !byte.is_ascii_alphanumeric());
            others.map(char::from).collect()
        };
        assert_eq!(of(TOKEN), "!#$%&'*+-.^_`|~");
        assert_eq!(of(TARGET), "!$%&'()*+,-./:;=?@[]_~");
        assert_eq!(of(HOST), "!$%&'()*+-.;=_~");
        assert_eq!(split_name(b"a.b:80"), (&b"a.b"[..], &b":80"[..]));
        assert_eq!(split_name(b"a/b"), (&b"a"[..], &b"/b"[..]));
        assert_eq!(split_name(b"a"), (&b"a"[..], &b""[..]));
        assert!(is_name(b"x9") && !is_name(b"") && !is_name(b"x y"));
    }
}
