//! What a request for a file may say: its path never leads out, its ranges are parts of what is there and not more than
//! may be, and its conditions are decided in the same way for those who read.

#![no_main]

use actor_net::http::__private::{Selection, TreePath, select};
use actor_net::http::{Condition, EntityTag, HeaderValue, Request, Validators};
use fuzz::choose;
use libfuzzer_sys::fuzz_target;
use std::path::Component;

fuzz_target!(|data: &[u8]| {
    let mut data = data;
    match choose(&mut data) % 3 {
        0 => path(data),
        1 => ranges(data),
        _ => conditions(data),
    }
});

fn path(mut data: &[u8]) {
    let hidden = choose(&mut data) % 2 == 1;
    let Ok(raw) = str::from_utf8(data) else {
        return;
    };
    let Ok(path) = TreePath::decode(raw, hidden) else {
        return;
    };
    if path.as_path().as_os_str() == "." {
        assert!(raw.is_empty() || raw == "/");
        return;
    }
    let bytes = path.as_path().as_os_str().as_encoded_bytes();
    assert!(!bytes.contains(&0) && !bytes.contains(&b'\\'));
    assert!(!bytes.starts_with(b"/") && !bytes.ends_with(b"/"));
    let names: Vec<_> = path.as_path().components().collect();
    assert_eq!(names.len(), bytes.split(|&byte| byte == b'/').count());
    for (i, name) in names.into_iter().enumerate() {
        let Component::Normal(name) = name else {
            panic!("{path:?}");
        };
        let is_hidden = name.as_encoded_bytes().starts_with(b".");
        assert!(
            hidden || !is_hidden || (i == 0 && name == ".well-known"),
            "{path:?}"
        );
    }
}

fn ranges(mut data: &[u8]) {
    let limit = usize::from(choose(&mut data) % 20);
    let scale = choose(&mut data) % 64;
    let len = u64::from(choose(&mut data)) << scale;
    let prefixed = [b"bytes=", data].concat();
    let Selection::Parts(parts) = select(&prefixed, len, limit) else {
        return;
    };
    assert!(!parts.is_empty() && parts.len() <= limit);
    let mut sorted = parts.clone();
    sorted.sort_by_key(|part| part.start);
    assert!(
        parts
            .iter()
            .all(|part| part.start < part.end && part.end <= len)
    );
    assert!(sorted.windows(2).all(|pair| pair[0].end < pair[1].start));
    // What has been selected is selected again.
    let again: Vec<_> = parts
        .iter()
        .map(|part| format!("{}-{}", part.start, part.end - 1))
        .collect();
    let again = format!("bytes={}", again.join(","));
    assert_eq!(
        select(again.as_bytes(), len, limit),
        Selection::Parts(parts)
    );
}

fn conditions(mut data: &[u8]) {
    const NAMES: [&str; 4] = [
        "if-match",
        "if-none-match",
        "if-modified-since",
        "if-unmodified-since",
    ];
    let tag = EntityTag::strong("a").expect("a letter");
    let modified = std::time::UNIX_EPOCH + std::time::Duration::from_secs(784_111_777);
    let now = Validators::new().with_tag(tag).with_modified(modified);
    let mut headers = Vec::new();
    while !data.is_empty() {
        let name = NAMES[usize::from(choose(&mut data) % 4)];
        let (value, rest) = data.split_at(usize::from(choose(&mut data)).min(data.len()));
        data = rest;
        let Ok(value) = HeaderValue::from_bytes(value) else {
            return;
        };
        headers.push((name, value));
    }
    let check = |method: &str| {
        let mut request = Request::builder().method(method);
        for (name, value) in &headers {
            request = request.header(*name, value);
        }
        now.check(&request.body(()).expect("well-formed"))
    };
    let read = check("GET");
    assert_eq!(read, check("HEAD"));
    // Only a date makes a difference between those who read and those who write.
    match check("PUT") {
        Condition::NotModified => panic!("nothing was asked for"),
        Condition::Holds => assert_ne!(read, Condition::Failed),
        Condition::Failed => assert_ne!(read, Condition::Holds),
    }
}
