//! By way of proxies.

use std::io::{self, Read, Write};

use actor_io::{TcpStream, copy_bidirectional};
use actor_net::http::{Body, FetchError, HttpClient, Proxy, Request, StatusCode};
use actor_net::{Server, ServerHandle};

use crate::common::in_tasklet;
use crate::{Peer, Running, Script, act, ok, text};

/// A proxy that passes on bytes, for those who say this.
pub(crate) fn tunnels(authorization: &'static str) -> ServerHandle {
    let handler = move |stream: TcpStream| -> io::Result<()> {
        let mut peer = Peer::new(stream);
        let head = peer.head();
        let target = head.strip_prefix("CONNECT ").expect(&head);
        let (target, _) = target.split_once(' ').unwrap();
        if !head.contains(&format!("\r\nproxy-authorization: {authorization}\r\n")) {
            peer.say("HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n");
            return Ok(());
        }
        let server = TcpStream::connect(target)?;
        peer.say("HTTP/1.1 200 Connection established\r\n\r\n");
        copy_bidirectional(peer.stream, server).map(drop)
    };
    Server::bind("127.0.0.1:0").unwrap().spawn(handler).unwrap()
}

pub(crate) fn through(proxy: &ServerHandle, user: &str) -> Proxy {
    Proxy::new(&format!("http://{user}{}", proxy.local_addr())).unwrap()
}

#[test]
fn plain_requests_are_asked_of_the_proxy() {
    in_tasklet(|| {
        let script = Script::new(vec![act(|peer| {
            for host in ["one.example", "two.example:81"] {
                let (head, _) = peer.request();
                let line = format!("GET http://{host}/x?y HTTP/1.1\r\nhost: {host}\r\n");
                assert!(head.starts_with(&line), "{head}");
                let user = "\r\nproxy-authorization: Basic dTpw\r\n";
                assert!(head.contains(user), "{head}");
                peer.say(ok(host));
            }
        })]);
        let direct = Running::new(|request: Request<Body>| {
            request
                .headers()
                .contains_key("proxy-authorization")
                .to_string()
        });
        let proxy = Proxy::new(&format!("http://u:p@{}", script.addr)).unwrap();
        let client = HttpClient::builder()
            .proxy(proxy.except("127.0.0.1"))
            .build();
        // One connection serves all hosts.
        for host in ["one.example", "two.example:81"] {
            let answer = client.get(format!("http://{host}/x?y")).unwrap();
            assert_eq!(text(answer), host);
        }
        assert_eq!(script.seen(), 1);
        // What is for the proxy is not for others.
        let own = Request::get(direct.url("/")).header("proxy-authorization", "x");
        let answer = client.request(own.body(Body::empty()).unwrap()).unwrap();
        assert_eq!(text(answer), "false");
        client.close_idle();
        script.finish();
    });
}

#[test]
fn proxies_that_refuse_or_babble_are_errors() {
    in_tasklet(|| {
        let proxy = tunnels("Basic dTpw");
        let client = HttpClient::builder().proxy(through(&proxy, "")).build();
        let request = Request::post("https://example.org/")
            .body(Body::from("x"))
            .unwrap();
        let failed = client.send(request).unwrap_err();
        let status = StatusCode::PROXY_AUTHENTICATION_REQUIRED;
        assert!(matches!(failed.error, FetchError::Proxy(code) if code == status));
        assert!(failed.request.is_some());
        proxy.tasklet().stop();

        let answers = [
            // What follows would be taken for the server's.
            "HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
            "nonsense\r\n\r\n",
            "HTTP/1.1 200 OK\r\nX: y",
            "",
        ];
        for answer in answers {
            let script = Script::new(vec![act(move |peer| {
                assert!(
                    peer.head()
                        .starts_with("CONNECT example.org:443 HTTP/1.1\r\n")
                );
                peer.say(answer);
            })]);
            let proxy = Proxy::new(&script.addr.to_string()).unwrap();
            let client = HttpClient::builder().proxy(proxy).build();
            let error = client.get("https://example.org/").unwrap_err();
            let expected = matches!(
                error,
                FetchError::Refused(_) | FetchError::Truncated | FetchError::Closed(_)
            );
            assert!(expected, "{answer:?}: {error:?}");
            script.finish();
        }
    });
}

#[test]
fn other_protocols_go_through_the_proxy() {
    in_tasklet(|| {
        let script = Script::new(vec![act(|peer| {
            assert!(peer.head().starts_with("GET /x HTTP/1.1\r\n"));
            peer.say("HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\n\r\n");
            let said = peer.bytes(2);
            peer.say(said);
        })]);
        let proxy = tunnels("Basic dTpw");
        let client = HttpClient::builder().proxy(through(&proxy, "u:p@")).build();
        let request = Request::get(script.url("/x")).header("upgrade", "echo");
        let (_, stream) = client
            .upgrade(request.body(Body::empty()).unwrap())
            .unwrap();
        let mut stream = stream.unwrap();
        stream.write_all(b"hi").unwrap();
        let mut said = [0; 2];
        stream.read_exact(&mut said).unwrap();
        assert_eq!(&said, b"hi");
        drop(stream);
        script.finish();
        proxy.tasklet().stop();
    });
}
