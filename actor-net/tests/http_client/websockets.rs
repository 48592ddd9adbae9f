//! WebSockets over connections of the client, and so through its proxies.

use actor_net::http::ws::{CloseCode, WebSocket, WsError, WsOptions};
use actor_net::http::{Body, HttpClient, Request};

use crate::Running;
use crate::common::in_tasklet;
use crate::proxies::{through, tunnels};

fn echo(mut socket: WebSocket) -> Result<(), WsError> {
    while let Some(message) = socket.read()? {
        socket.send(message)?;
    }
    Ok(())
}

#[test]
fn a_websocket_goes_through_a_proxy() {
    in_tasklet(|| {
        let server = Running::new(|request: Request<Body>| {
            WebSocket::upgrade(&request, &WsOptions::default(), echo)
        });
        let proxy = tunnels("Basic dTpw");
        let client = HttpClient::builder().proxy(through(&proxy, "u:p@")).build();
        // The key and its answer are those of RFC 6455, section 1.3.
        let request = Request::get(server.url("/").replace("http:", "ws:"))
            .header("upgrade", "websocket")
            .header("sec-websocket-version", "13")
            .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
            .body(Body::empty())
            .unwrap();
        let (answer, stream) = client.upgrade(request).unwrap();
        let accept = &answer.headers()["sec-websocket-accept"];
        assert_eq!(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        let stream = stream.unwrap();
        let mut socket = WebSocket::client(stream, Vec::new(), WsOptions::default()).unwrap();
        for text in ["hello", "again"] {
            socket.send(text).unwrap();
            let message = socket.read().unwrap().unwrap();
            assert_eq!(message.as_text(), Some(text));
        }
        socket.close(CloseCode::NORMAL, "").unwrap();
        proxy.tasklet().stop();
    });
}
