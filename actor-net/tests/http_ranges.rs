//! Files of which more parts are asked for than anybody needs: the answer is no larger than the file.

#![cfg(feature = "http")]

mod common;
#[path = "common/http.rs"]
mod http;

use std::fs;
use std::io::Read;

use actor_net::http::{Body, DEFAULT_MAX_RANGES, Files, Request};
use common::in_tasklet;
use http::{Client, get, spawn};

const LENGTH: usize = 1_000_000;

fn set(count: usize, range: impl Fn(usize) -> String) -> String {
    let ranges: Vec<_> = (0..count).map(range).collect();
    format!("bytes={}", ranges.join(","))
}

#[test]
fn a_thousand_ranges_cost_no_more_than_the_file() {
    in_tasklet(|| {
        let dir = std::env::temp_dir().join(format!("actor-net-ranges-{}", std::process::id()));
        fs::create_dir(&dir).unwrap();
        let content: Vec<u8> = (0..LENGTH).map(|i| (i / 7 % 251) as u8).collect();
        fs::write(dir.join("file"), &content).unwrap();
        let files = Files::new(&dir).unwrap();
        let server = spawn(move |request: Request<Body>| files.serve(&request));
        let mut client = Client::of(&server);
        let most = DEFAULT_MAX_RANGES;
        let many = 1_000;
        for (ranges, expected) in [
            (set(many, |i| format!("{i}-{i}")), 200),
            (set(many, |i| format!("{}-", i % 10)), 200),
            (set(many, |i| format!("5-{}", i + 5)), 200),
            (set(many, |_| "-1".to_owned()), 200),
            (set(600, |i| format!("{}-{}", i * 200, i * 200 + 1)), 200),
            (set(800, |i| format!("{}-", LENGTH + i)), 200),
            (set(most + 1, |i| format!("{}-", LENGTH + i)), 200),
            (set(most, |i| format!("{}-", LENGTH + i)), 416),
            (set(most + 1, |i| format!("{0}-{0}", i * 200)), 200),
            (set(most, |i| format!("{0}-{0}", i * 200)), 206),
            // Those that overlap are one.
            (set(most, |_| "0-".to_owned()), 206),
            (set(many, |_| String::new()), 200),
            // The last one is beyond the limit of a line.
            (set(2_000, |i| format!("{i}-{i}")), 431),
        ] {
            // To a `HEAD` ranges mean nothing.
            for method in ["HEAD", "GET"] {
                let expected = match (method, expected) {
                    ("HEAD", 206 | 416) => 200,
                    _ => expected,
                };
                client.send(format!(
                    "{method} /file HTTP/1.1\r\nHost: a\r\nRange: {ranges}\r\n\r\n"
                ));
                let head = client.head();
                let what = &ranges[..ranges.len().min(60)];
                assert!(
                    head.starts_with(&format!("HTTP/1.1 {expected} ")),
                    "{what}: {head}"
                );
                let length = head.split_once("content-length: ").unwrap().1;
                let length: usize = length.split_once('\r').unwrap().0.parse().unwrap();
                // A line or two around each part.
                assert!(length <= LENGTH + most * 200, "{what}: {head}");
                if expected == 431 {
                    client = Client::of(&server);
                    continue;
                }
                if method == "GET" {
                    let mut body = vec![0; length];
                    client.0.read_exact(&mut body).unwrap();
                    assert!(expected != 200 || body == content, "{what}");
                }
            }
        }
        // The connection has gone on, and goes on.
        client.send(get("/file"));
        assert!(
            client
                .head()
                .contains(&format!("content-length: {LENGTH}\r\n"))
        );
        fs::remove_dir_all(dir).unwrap();
    });
}
