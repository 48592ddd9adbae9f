//! Values of `Authorization`.

use data_encoding::BASE64;
use http::header::{HeaderValue, InvalidHeaderValue};

/// A name and a password, for the header `Authorization` (RFC 7617). Send it over `https` alone: anybody on the
/// way can read it otherwise.
///
/// The value is [sensitive](HeaderValue::is_sensitive): it is not shown by `Debug`. A name with a colon in it
/// is for the server another name.
///
/// ```
/// use actor_net::http::{Body, Request, basic_auth};
///
/// let request = Request::get("https://shop.example/")
///     .header("authorization", basic_auth("Aladdin", "open sesame"))
///     .body(Body::empty())
///     .unwrap();
/// assert_eq!(request.headers()["authorization"], "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
/// ```
pub fn basic_auth(name: &str, password: &str) -> HeaderValue {
    basic(name.as_bytes(), password.as_bytes())
}

pub(super) fn basic(name: &[u8], password: &[u8]) -> HeaderValue {
    let pair = BASE64.encode(&[name, b":", password].concat());
    let mut value = HeaderValue::from_str(&format!("Basic {pair}"))
        .expect("base 64 is made of letters, digits and three signs");
    value.set_sensitive(true);
    value
}

/// A token, for the header `Authorization` (RFC 6750). As [`basic_auth`] otherwise.
///
/// # Errors
///
/// If the token has bytes that no header can have.
///
/// ```
/// use actor_net::http::bearer_auth;
///
/// assert_eq!(bearer_auth("mF_9.B5f").unwrap(), "Bearer mF_9.B5f");
/// assert!(bearer_auth("two\r\nlines").is_err());
/// ```
pub fn bearer_auth(token: &str) -> Result<HeaderValue, InvalidHeaderValue> {
    let mut value = HeaderValue::from_str(&format!("Bearer {token}"))?;
    value.set_sensitive(true);
    Ok(value)
}
