//! Name servers asked directly: a small one, which counts what it is asked.

#![cfg(feature = "hickory")]

mod common;

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use actor_core::{JoinError, Tasklet, join_all, timeout};
use actor_io::{Dns, ResolveError, Service};
use common::{PATIENCE, eventually, everywhere, in_tasklet};
use hickory_resolver::proto::op::{Message, ResponseCode};
use hickory_resolver::proto::rr::rdata::{A, AAAA, SRV, TXT};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};

type Asked = Arc<Mutex<HashMap<(String, RecordType), usize>>>;

/// A name server for `our.example`. It does not answer questions about `silent`.
fn server() -> (SocketAddr, Asked) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let addr = socket.local_addr().unwrap();
    let asked = Asked::default();
    let counts = Arc::clone(&asked);
    thread::spawn(move || {
        let mut bytes = [0; 4096];
        while let Ok((count, peer)) = socket.recv_from(&mut bytes) {
            let query = Message::from_vec(&bytes[..count]).unwrap();
            let question = query.queries[0].clone();
            // Upper and lower case are mixed, against those who guess.
            let name = question.name().to_lowercase().to_utf8();
            let kind = question.query_type();
            *counts
                .lock()
                .unwrap()
                .entry((name.clone(), kind))
                .or_default() += 1;
            if name.starts_with("silent") {
                continue;
            }
            let target = |text: &str| Name::from_utf8(text).unwrap();
            let found = match (name.as_str(), kind) {
                ("host.our.example.", RecordType::A) => {
                    vec![RData::A(A::new(10, 0, 0, 7)), RData::A(A::new(10, 0, 0, 8))]
                }
                ("host.our.example.", RecordType::AAAA) => {
                    vec![RData::AAAA(AAAA::new(0xfd00, 0, 0, 0, 0, 0, 0, 7))]
                }
                ("_chat._tcp.our.example.", RecordType::SRV) => vec![
                    RData::SRV(SRV::new(20, 0, 7003, target("c.our.example."))),
                    RData::SRV(SRV::new(10, 1, 7002, target("b.our.example."))),
                    RData::SRV(SRV::new(10, 9, 7001, target("a.our.example."))),
                ],
                ("our.example.", RecordType::TXT) => vec![RData::TXT(TXT::new(vec![
                    "in two ".to_owned(),
                    "parts".to_owned(),
                ]))],
                _ => Vec::new(),
            };
            let mut answer = Message::response(query.metadata.id, query.metadata.op_code);
            answer.metadata.authoritative = true;
            answer.metadata.recursion_available = true;
            if found.is_empty() && !name.starts_with("host.our") {
                answer.metadata.response_code = ResponseCode::NXDomain;
            }
            for data in found {
                answer.add_answer(Record::from_rdata(question.name().clone(), 3600, data));
            }
            answer.add_query(question);
            socket.send_to(&answer.to_vec().unwrap(), peer).unwrap();
        }
    });
    (addr, asked)
}

#[test]
fn all_kinds_of_records() {
    everywhere(|| {
        let (addr, asked) = server();
        let dns = Dns::with_servers(&[addr], &["nowhere.example", "our.example"]).unwrap();
        let addrs = dns.resolve("host.our.example", 80, PATIENCE).unwrap();
        let expected = ["[fd00::7]:80", "10.0.0.7:80", "10.0.0.8:80"];
        let mut sorted = addrs.clone();
        sorted[1..].sort();
        assert_eq!(sorted, expected.map(|addr| addr.parse().unwrap()));
        let mut v4 = dns.ipv4("host.our.example", PATIENCE).unwrap();
        v4.sort();
        assert_eq!(v4, [Ipv4Addr::new(10, 0, 0, 7), Ipv4Addr::new(10, 0, 0, 8)]);
        let v6 = dns.ipv6("host.our.example", PATIENCE).unwrap();
        assert_eq!(v6, ["fd00::7".parse::<std::net::Ipv6Addr>().unwrap()]);
        let services = dns.srv("_chat._tcp.our.example", PATIENCE).unwrap();
        let service = |priority, weight, port, target: &str| Service {
            priority,
            weight,
            port,
            target: target.to_owned(),
        };
        assert_eq!(
            services,
            [
                service(10, 9, 7001, "a.our.example."),
                service(10, 1, 7002, "b.our.example."),
                service(20, 0, 7003, "c.our.example."),
            ]
        );
        let texts = dns.txt("our.example", PATIENCE).unwrap();
        assert_eq!(texts, [b"in two parts"]);
        let error = dns
            .resolve("nobody.our.example.", 80, PATIENCE)
            .unwrap_err();
        assert!(matches!(error, ResolveError::NotFound), "{error}");
        assert_eq!(
            dns.resolve("10.1.2.3", 80, PATIENCE).unwrap(),
            ["10.1.2.3:80".parse().unwrap()]
        );

        // From the cache, and by the search domains.
        let count = |name: &str, kind| {
            let asked = asked.lock().unwrap();
            asked.get(&(name.to_owned(), kind)).copied().unwrap_or(0)
        };
        let before = count("host.our.example.", RecordType::A);
        let again = dns.resolve("host.our.example", 80, PATIENCE).unwrap();
        assert_eq!(again.len(), addrs.len());
        assert_eq!(
            dns.resolve("host", 80, PATIENCE).unwrap().len(),
            addrs.len()
        );
        assert_eq!(count("host.our.example.", RecordType::A), before);
        assert!(count("host.nowhere.example.", RecordType::A) > 0);
    });
}

#[test]
fn many_at_once_on_one_thread() {
    in_tasklet(|| {
        let (addr, _) = server();
        let dns = Dns::with_servers(&[addr], &[]).unwrap();
        let callers = (0..200).map(|port| {
            let dns = dns.clone();
            Tasklet::spawn(move || {
                dns.resolve("host.our.example.", port, PATIENCE)
                    .unwrap()
                    .len()
            })
        });
        for count in join_all(callers) {
            assert_eq!(count.unwrap(), 3);
        }
    });
}

#[test]
fn a_server_that_does_not_answer() {
    in_tasklet(|| {
        let (addr, asked) = server();
        let dns = Dns::with_servers(&[addr], &[]).unwrap();
        let moment = Duration::from_millis(30);
        let begun = Instant::now();
        let error = dns.resolve("silent.", 80, moment).unwrap_err();
        assert!(matches!(error, ResolveError::TimedOut), "{error}");
        let error = timeout(moment, || dns.txt("silent.", PATIENCE)).unwrap_err();
        assert!(matches!(error, ResolveError::TimedOut), "{error}");
        assert!(begun.elapsed() >= 2 * moment && begun.elapsed() < PATIENCE / 2);
        let victim = Tasklet::spawn({
            let dns = dns.clone();
            move || dns.srv("silent.", PATIENCE)
        });
        eventually("the question", || {
            let asked = asked.lock().unwrap();
            asked.contains_key(&("silent.".to_owned(), RecordType::SRV))
        });
        victim.kill();
        let end = victim.join_timeout(PATIENCE);
        assert!(matches!(end, Err(JoinError::Killed)), "{end:?}");
        // The others are not concerned.
        dns.resolve("host.our.example.", 80, PATIENCE).unwrap();
    });
}
