//! Python's `websockets` at the other end.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

use actor_core::block_on_thread;
use actor_net::http::ws::{CloseCode, Message, WebSocket, WsConnector, WsOptions};

use crate::common::{PATIENCE, in_tasklet};
use crate::raw::{echo, serve_with};

/// The version that `.ci/run` installs.
const VERSION: &str = "15.0.1";

/// A Python that knows `websockets`: that of the system, with the packages that have been put into `target/python`.
fn python(script: &str) -> Command {
    let packages = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("../python");
    let mut python = Command::new("python3");
    python.env("PYTHONPATH", &packages);
    let known = python
        .args(["-c", "import websockets; print(websockets.__version__)"])
        .output();
    let version = match &known {
        Ok(output) => String::from_utf8_lossy(&output.stdout).trim().to_owned(),
        Err(error) => error.to_string(),
    };
    assert_eq!(
        version,
        VERSION,
        "this test needs Python's `websockets`: python3 -m pip install --target {} websockets=={VERSION}",
        packages.display()
    );
    let mut python = Command::new("python3");
    python
        .env("PYTHONPATH", packages)
        .args(["-u", "-c", script]);
    python
}

fn run(script: &str, argument: String) -> Output {
    let mut python = python(script);
    python.arg(argument);
    block_on_thread(move || python.output().unwrap())
}

fn options() -> WsOptions {
    WsOptions::default().with(|options| options.protocols = vec!["superchat".to_owned()])
}

const CLIENT: &str = r#"
import asyncio, sys, websockets
from websockets.exceptions import ConnectionClosedOK, ConnectionClosedError, InvalidStatus

async def main(url):
    async with websockets.connect(url, subprotocols=["chat", "superchat"], max_size=2**24) as ws:
        assert ws.subprotocol == "superchat", ws.subprotocol
        assert not ws.protocol.extensions, ws.protocol.extensions
        for size in [0, 1, 125, 126, 65535, 65536, 1000000]:
            for message in ["é" * (size // 2), bytes(size)]:
                await ws.send(message)
                assert await ws.recv() == message, size
        await ws.send(["in ", "three ", "pieces"])
        assert await ws.recv() == "in three pieces"
        await asyncio.wait_for(await ws.ping(b"payload"), 30)
        await asyncio.gather(*(ws.send(f"{n}") for n in range(1000)))
        for n in range(1000):
            await ws.recv()
        await ws.close(4000, "thanks")
        assert (ws.close_code, ws.close_reason) == (4000, "thanks"), (ws.close_code, ws.close_reason)

    async with websockets.connect(url) as ws:
        try:
            await ws.send(["x" * 1000000] * 5)
            await ws.recv()
            raise SystemExit("5 MB were taken")
        except ConnectionClosedError as error:
            assert error.rcvd.code == 1009, error

    try:
        await websockets.connect(url, origin="http://evil.example")
        raise SystemExit("let in")
    except InvalidStatus as error:
        assert error.response.status_code == 403, error

asyncio.run(main(sys.argv[1]))
print("well")
"#;

#[test]
fn pythons_client_at_our_server() {
    in_tasklet(|| {
        let server = serve_with(options(), echo);
        let output = run(CLIENT, format!("ws://{}/", server.local_addr()));
        let (out, err) = (
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
        );
        assert!(output.status.success() && out == "well\n", "{out}{err}");
    });
}

const SERVER: &str = r#"
import asyncio, websockets

async def handler(ws):
    async for message in ws:
        if message == "ping me":
            await asyncio.wait_for(await ws.ping(), 30)
            await ws.send("pong came")
        elif message == "close":
            await ws.close(4001, "as you wish")
        elif message == "cut":
            ws.transport.abort()
        else:
            await ws.send(message)

async def main():
    async with websockets.serve(handler, "127.0.0.1", 0, subprotocols=["superchat"], max_size=2**24) as server:
        print(server.sockets[0].getsockname()[1])
        await asyncio.Future()

asyncio.run(main())
"#;

/// A program, killed at the end.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn our_client_at_pythons_server() {
    let mut child = python(SERVER).stdout(Stdio::piped()).spawn().unwrap();
    let mut port = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut port)
        .unwrap();
    let _running = Running(child);
    let url = format!("ws://127.0.0.1:{}/", port.trim());
    in_tasklet(move || {
        let connector = WsConnector::new().protocol("superchat").timeout(PATIENCE);
        let mut socket = connector.connect(&url).unwrap();
        assert_eq!(socket.protocol(), Some("superchat"));
        let mut ask = |message: Message| {
            socket.send(message).unwrap();
            socket.read().unwrap().unwrap()
        };
        for size in [0, 1, 125, 126, 65535, 65536, 1_000_000] {
            let message = Message::from("x".repeat(size));
            assert!(ask(message.clone()) == message, "{size}");
            let message = Message::from(vec![9; size]);
            assert!(ask(message.clone()) == message, "{size}");
        }
        assert_eq!(ask("ping me".into()), "pong came".into());
        socket.close(CloseCode(4000), "thanks").unwrap();

        let mut socket = connector.connect(&url).unwrap();
        socket.send("close").unwrap();
        assert_eq!(socket.read().unwrap(), None);
        let close = socket.peers_close().unwrap();
        assert_eq!(
            (close.code, &close.reason[..]),
            (CloseCode(4001), "as you wish")
        );

        let mut socket: WebSocket = connector.connect(&url).unwrap();
        socket.send("cut").unwrap();
        assert!(socket.read().is_err());
        std::io::stdout().flush().unwrap();
    });
}
