//! The names of headers that come often, found without a look into a table.
//!
//! The crate `http` makes a name of bytes in two passes and an allocation if it does not know it, and it
//! does not know half of what browsers send. Here the length of a name leaves a few it may be, each of which is
//! compared as one or two words.

use http::header::{self, HeaderName};

macro_rules! by_length {
    ($name:ident, $($length:literal => [$($header:expr, $text:literal;)+])+) => {
        match $name.len() {
            $($length => {
                let name = lower_case::<$length>($name)?;
                $(if name == *$text {
                    return Some(const { $header });
                })+
                None
            })+
            _ => None,
        }
    };
}

/// The name, if it is one of those that come often.
#[inline]
pub(super) fn frequent(name: &[u8]) -> Option<HeaderName> {
    by_length! { name,
        2 => [header::TE, b"te";]
        3 => [header::DNT, b"dnt";]
        4 => [header::HOST, b"host"; header::DATE, b"date";]
        5 => [header::RANGE, b"range";]
        6 => [
            header::ACCEPT, b"accept";
            header::COOKIE, b"cookie";
            header::ORIGIN, b"origin";
            header::PRAGMA, b"pragma";
            header::EXPECT, b"expect";
        ]
        7 => [header::REFERER, b"referer"; header::UPGRADE, b"upgrade";]
        8 => [HeaderName::from_static("priority"), b"priority"; header::IF_RANGE, b"if-range";]
        10 => [
            header::USER_AGENT, b"user-agent";
            header::CONNECTION, b"connection";
            HeaderName::from_static("keep-alive"), b"keep-alive";
        ]
        12 => [header::CONTENT_TYPE, b"content-type";]
        13 => [
            header::CACHE_CONTROL, b"cache-control";
            header::AUTHORIZATION, b"authorization";
            header::IF_NONE_MATCH, b"if-none-match";
        ]
        14 => [
            header::CONTENT_LENGTH, b"content-length";
            HeaderName::from_static("sec-fetch-dest"), b"sec-fetch-dest";
            HeaderName::from_static("sec-fetch-mode"), b"sec-fetch-mode";
            HeaderName::from_static("sec-fetch-site"), b"sec-fetch-site";
            HeaderName::from_static("sec-fetch-user"), b"sec-fetch-user";
        ]
        15 => [
            header::ACCEPT_ENCODING, b"accept-encoding";
            header::ACCEPT_LANGUAGE, b"accept-language";
            HeaderName::from_static("x-forwarded-for"), b"x-forwarded-for";
        ]
        16 => [header::CONTENT_ENCODING, b"content-encoding";]
        17 => [
            header::TRANSFER_ENCODING, b"transfer-encoding";
            header::IF_MODIFIED_SINCE, b"if-modified-since";
            HeaderName::from_static("x-forwarded-proto"), b"x-forwarded-proto";
        ]
        25 => [header::UPGRADE_INSECURE_REQUESTS, b"upgrade-insecure-requests";]
    }
}

#[inline]
fn lower_case<const LENGTH: usize>(name: &[u8]) -> Option<[u8; LENGTH]> {
    let name: [u8; LENGTH] = name.try_into().ok()?;
    Some(name.map(|byte| byte.to_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each is the name that the crate `http` makes of it, in whichever case, and so are those that are near it.
    #[test]
    fn frequent_names_are_the_names_they_seem_to_be() {
        let frequent_ones = "te dnt host date range accept cookie origin pragma expect referer upgrade priority if-range \
            user-agent connection keep-alive content-type cache-control authorization if-none-match \
            content-length sec-fetch-dest sec-fetch-mode sec-fetch-site sec-fetch-user accept-encoding \
            accept-language x-forwarded-for content-encoding transfer-encoding if-modified-since \
            x-forwarded-proto upgrade-insecure-requests";
        for name in frequent_ones.split_whitespace() {
            for spelt in [name.to_owned(), name.to_uppercase(), capitals(name)] {
                let found = frequent(spelt.as_bytes()).expect(name);
                assert_eq!(found, HeaderName::from_bytes(spelt.as_bytes()).unwrap());
                assert_eq!(found.as_str(), name);
            }
            for at in 0..name.len() {
                for byte in 0..=u8::MAX {
                    let mut near = name.as_bytes().to_vec();
                    near[at] = byte;
                    let known = HeaderName::from_bytes(&near);
                    if let Some(found) = frequent(&near) {
                        assert_eq!(known.ok(), Some(found), "{near:?}");
                    }
                }
            }
        }
        assert_eq!(frequent(b""), None);
        assert_eq!(frequent(b"x-checksum"), None);
        assert_eq!(frequent(b"content_length"), None);
    }

    fn capitals(name: &str) -> String {
        let parts = name.split('-').map(|part| {
            let (first, rest) = part.split_at(1);
            first.to_uppercase() + rest
        });
        parts.collect::<Vec<_>>().join("-")
    }
}
