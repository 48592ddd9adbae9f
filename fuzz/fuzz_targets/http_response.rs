//! Responses: the end of a head is found in the same place, or the head refused for the same reason, however it
//! comes in; and what is taken has one end of its body alone.

#![no_main]

use actor_net::http::__private::{BodyEnd, Extent, FirstLine, HeadScan, of_response, response};
use actor_net::http::{BadMessage, HeaderMap, Limits, Method};
use bytes::Bytes;
use fuzz::{choose, pieces};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut data = data;
    let (limit, cuts) = (choose(&mut data), choose(&mut data));
    let limits = Limits::default().with(|limits| limits.header = 1 + usize::from(limit));
    let whole = find(&[data], &limits);
    assert_eq!(find(&pieces(data, cuts), &limits), whole);

    let Ok(Some(Extent {
        begin,
        end,
        headers,
    })) = whole
    else {
        return;
    };
    let head = Bytes::copy_from_slice(&data[begin..end]);
    let Ok(mut response) = response(&head, headers, HeaderMap::new()) else {
        return;
    };
    assert_eq!(response.headers().len(), headers);
    let status = response.status();
    for method in [Method::GET, Method::HEAD] {
        if let Ok((body, keep_alive)) = of_response(&mut response, &method) {
            assert!(!(keep_alive && body == BodyEnd::Close));
            let never = method == Method::HEAD || [204, 304].contains(&status.as_u16());
            assert!(!never || body == BodyEnd::Length(0));
        }
    }
});

fn find(pieces: &[&[u8]], limits: &Limits) -> Result<Option<Extent>, BadMessage> {
    let (mut scan, mut input) = (HeadScan::default(), Vec::new());
    for piece in pieces {
        input.extend_from_slice(piece);
        if let Some(extent) = scan.find(&input, FirstLine::Status, limits)? {
            return Ok(Some(extent));
        }
    }
    Ok(None)
}
