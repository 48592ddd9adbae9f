//! Whatever pieces it comes in.

use actor_net::http::__private::{Asked, Body, BodyEnd, encode, encode_end, response_head};
use actor_net::http::{HeaderMap, Limits, Method, StatusCode, Version};
use proptest::prelude::*;

use super::responses::read_response;
use super::{read, with};

/// Something like a connection's input: requests and pieces of such, good and bad.
fn traffic() -> impl Strategy<Value = Vec<u8>> {
    let word = prop::sample::select(vec![
        &b"GET / HTTP/1.1\r\n"[..],
        b"POST /x HTTP/1.0\r\n",
        b"Host: a\r\n",
        b"\r\n",
        b"\r",
        b"\n",
        b" ",
        b":",
        b"Content-Length: 3\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"x: y\r\n",
        b"Connection: close\r\n",
        b"Connection: keep-alive\r\n",
        b"Expect: 100-continue\r\n",
        b"3\r\nabc\r\n",
        b"0\r\n\r\n",
        b"0\r\n",
        b"5;x=\"y\"\r\n",
        b"abc",
        b"\x16\x03",
        b"\xff",
        b"\0",
        b"GET /1 HTTP/1.1\r\nHost: b\r\n\r\n",
        b"POST /2 HTTP/1.1\r\nHost: b\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST /3 HTTP/1.1\r\nHost: b\r\nContent-Length: 5\r\n\r\n",
    ]);
    prop::collection::vec(word, 0..12).prop_map(|words| words.concat())
}

/// Limits that such traffic runs into.
fn tight() -> impl Strategy<Value = Limits> {
    (
        0..20usize,
        0..20usize,
        0..4usize,
        0..80usize,
        0..8u64,
        0..4usize,
    )
        .prop_map(|(target, header, headers, head, body, small)| {
            Limits::default().with(|limits| {
                (limits.target, limits.header, limits.headers) = (target, header, headers);
                (limits.head, limits.body, limits.method) = (head, body, small);
                (limits.chunk_extension, limits.chunk_extensions) = (small, small + 1);
                (limits.trailers, limits.trailers_bytes) = (small, 4 * small);
            })
        })
}

fn cut<'a>(bytes: &'a [u8], cuts: &[usize]) -> Vec<&'a [u8]> {
    let (mut pieces, mut rest) = (Vec::new(), bytes);
    for &length in cuts {
        let (piece, other) = rest.split_at(length.min(rest.len()));
        pieces.push(piece);
        rest = other;
    }
    pieces.push(rest);
    pieces
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2000) })]

    #[test]
    fn pieces_make_no_difference(
        bytes in traffic(),
        limits in prop_oneof![Just(Limits::default()), tight()],
        cuts in prop::collection::vec(0..9usize, 0..40),
    ) {
        let whole = read([&bytes[..]], &limits);
        prop_assert_eq!(read(cut(&bytes, &cuts), &limits), whole.clone());
        prop_assert_eq!(read(bytes.chunks(1), &limits), whole);
    }

    #[test]
    fn what_is_encoded_in_chunks_comes_back(
        pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..20),
        cuts in prop::collection::vec(0..9usize, 0..40),
    ) {
        let mut bytes = with("Transfer-Encoding: chunked");
        let mut trailers = HeaderMap::new();
        trailers.insert("x-sum", "1".parse().unwrap());
        trailers.insert("content-length", "1".parse().unwrap());
        pieces.iter().for_each(|piece| encode(piece, &mut bytes));
        encode_end(&trailers, &mut bytes);
        let (seen, left, error) = read(cut(&bytes, &cuts), &Limits::default());
        prop_assert_eq!((seen.len(), left.len(), error), (1, 0, None));
        prop_assert_eq!(&seen[0].body, &pieces.concat());
        prop_assert_eq!(&seen[0].trailers, &[("x-sum".to_owned(), b"1".to_vec())]);
    }

    /// What a server says of a body is what a client understands.
    #[test]
    fn both_ends_agree_on_the_body(
        status in 200..600u16,
        size in prop::option::of(0..10_000u64),
        own in prop::option::of(0..10_000u64),
        (head, old, keep_alive) in any::<(bool, bool, bool)>(),
    ) {
        let version = if old { Version::HTTP_10 } else { Version::HTTP_11 };
        let status = StatusCode::from_u16(status).unwrap();
        let mut headers = HeaderMap::new();
        if let Some(own) = own {
            headers.insert("content-length", own.into());
        }
        let mut bytes = Vec::new();
        let sent = response_head(status, &headers, size, Asked { head, version, keep_alive }, &mut bytes);
        let method = if head { Method::HEAD } else { Method::GET };
        let (read, body, keeps) = read_response(&bytes, method).unwrap();
        prop_assert_eq!(read, status);
        prop_assert_eq!(keeps, sent.keep_alive);
        let expected = match sent.body {
            Body::Nothing => BodyEnd::Length(0),
            Body::Length(length) => BodyEnd::Length(length),
            Body::Chunked => BodyEnd::Chunked,
            Body::Close => BodyEnd::Close,
        };
        prop_assert_eq!(body, expected);
    }
}
