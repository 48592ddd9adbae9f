//! Which of the forms of a file a client would rather have: `Accept-Encoding` (RFC 9110, 12.5.3).

use http::header::{ACCEPT_ENCODING, HeaderMap};

use super::super::range::trim;

/// A way in which a file can lie beside itself, compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Coding {
    pub(super) name: &'static str,
    pub(super) suffix: &'static str,
}

/// The smaller one first.
const CODINGS: [Coding; 2] = [
    Coding {
        name: "br",
        suffix: ".br",
    },
    Coding {
        name: "gzip",
        suffix: ".gz",
    },
];

/// Those that the client takes, the one that it would rather have first, then the smaller one. None that it would less
/// like than the file as it is.
pub(super) fn accepted(headers: &HeaderMap) -> Vec<Coding> {
    let identity = weight(headers, "identity");
    let mut accepted: Vec<_> = CODINGS
        .into_iter()
        .filter_map(|coding| {
            let weight = weight(headers, coding.name).or_else(|| weight(headers, "*"))?;
            (weight > 0 && identity.is_none_or(|identity| weight >= identity))
                .then_some((weight, coding))
        })
        .collect();
    accepted.sort_by_key(|&(weight, _)| std::cmp::Reverse(weight));
    accepted.into_iter().map(|(_, coding)| coding).collect()
}

/// How much a coding is liked, in thousandths, if it is named. Of one that is named badly nothing is known.
fn weight(headers: &HeaderMap, name: &str) -> Option<u16> {
    let values = headers.get_all(ACCEPT_ENCODING).iter();
    let mut items = values.flat_map(|value| value.as_bytes().split(|&byte| byte == b','));
    items.find_map(|item| {
        let mut parts = item.split(|&byte| byte == b';').map(trim);
        let coding = parts.next()?;
        // The other name that `gzip` has.
        let coding = if coding.eq_ignore_ascii_case(b"x-gzip") {
            b"gzip"
        } else {
            coding
        };
        if !coding.eq_ignore_ascii_case(name.as_bytes()) {
            return None;
        }
        match (parts.next(), parts.next()) {
            (None, _) => Some(1000),
            (Some([b'q' | b'Q', b'=', quality @ ..]), None) => thousandths(quality),
            _ => None,
        }
    })
}

/// A quality: from 0 to 1, with up to three digits behind the point.
fn thousandths(quality: &[u8]) -> Option<u16> {
    let (whole, digits) = match quality {
        [whole @ (b'0' | b'1')] => (whole, &[][..]),
        [whole @ (b'0' | b'1'), b'.', digits @ ..] if digits.len() <= 3 => (whole, digits),
        _ => return None,
    };
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let digit = |i: usize| digits.get(i).map_or(0, |digit| u16::from(digit - b'0'));
    let thousandths = u16::from(whole - b'0') * 1000 + digit(0) * 100 + digit(1) * 10 + digit(2);
    (thousandths <= 1000).then_some(thousandths)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn the_client_says_what_it_takes() {
        for (values, expected) in [
            (&[][..], &[][..]),
            (&[""], &[]),
            (&["gzip"], &["gzip"]),
            (&["GZIP"], &["gzip"]),
            (&["x-gzip"], &["gzip"]),
            (&["deflate, gzip, br, zstd"], &["br", "gzip"]),
            (&["gzip", "br"], &["br", "gzip"]),
            (&["br;q=0.5, gzip"], &["gzip", "br"]),
            (&["br; q=0.5 , gzip ;Q=0.501"], &["gzip", "br"]),
            (&["br;q=0, gzip;q=0.001"], &["gzip"]),
            (&["br;q=0.000"], &[]),
            (&["*"], &["br", "gzip"]),
            (&["*;q=0"], &[]),
            (&["*, br;q=0"], &["gzip"]),
            (&["identity"], &[]),
            (&["gzip, identity;q=0"], &["gzip"]),
            (&["gzip;q=0.5, identity"], &[]),
            (&["gzip;q=0.5, identity;q=0.5"], &["gzip"]),
            (&["gzip;q=2"], &[]),
            (&["gzip;q=1.001"], &[]),
            (&["gzip;q=0.1234"], &[]),
            (&["gzip;q="], &[]),
            (&["gzip;q=x"], &[]),
            (&["gzip;level=9"], &[]),
            (&["gzip;q=1;q=1"], &[]),
            (&["brr, xgzip"], &[]),
        ] {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(ACCEPT_ENCODING, HeaderValue::from_static(value));
            }
            let names: Vec<_> = accepted(&headers)
                .into_iter()
                .map(|coding| coding.name)
                .collect();
            assert_eq!(names, expected, "{values:?}");
        }
    }
}
