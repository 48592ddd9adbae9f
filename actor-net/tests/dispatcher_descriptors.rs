//! Dispatchers whose listener runs out of descriptors: those who come too late wait, and are served when there
//! is room; and none is lost. In a program of its own, whose descriptors can be used up.

mod common;
#[path = "common/dispatchers.rs"]
mod dispatchers;

use std::fs::File;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;

use actor_core::{Actor, BoxError, Context, ExitReason, block_on_thread};
use actor_net::dispatcher::{Channel, Dispatcher, Map};
use common::{
    PATIENCE, eventually, in_tasklet, keep_log, limit_descriptors, logged, open_descriptors,
};
use dispatchers::listen;

struct Echo(Channel);

impl Actor for Echo {}

impl Dispatcher for Echo {
    fn channel(&mut self) -> &mut Channel {
        &mut self.0
    }

    fn handle_read(&mut self, ctx: &mut Context<Self>) -> Result<(), BoxError> {
        let mut bytes = [0; 100];
        let received = self.0.recv(&mut bytes)?;
        match &bytes[..received] {
            b"panic" => panic!("as the client wished"),
            b"die" => ctx.addr().kill(),
            bytes => self.0.push(bytes)?,
        }
        Ok(())
    }
}

fn echo() -> (Map, SocketAddr) {
    let map = Map::new();
    let addr = listen(&map, Echo);
    (map, addr)
}

fn client(addr: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(addr).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

fn echoes(stream: &mut TcpStream) {
    stream.write_all(b"x").unwrap();
    let mut byte = [0];
    stream.read_exact(&mut byte).unwrap();
    assert_eq!(&byte, b"x");
}

fn close(map: &Map) {
    map.close_all();
    map.run_timeout(PATIENCE).unwrap();
}

/// One test after the other: they count descriptors.
#[test]
fn descriptors_run_out_and_come_back() {
    keep_log();
    in_tasklet(|| {
        // What the runtime opens for itself is open after this.
        round();
        let before = open_descriptors();
        for _ in 0..10 {
            round();
        }
        eventually("the end of all", || open_descriptors() == before);
        shortage();
        eventually("the end of all", || open_descriptors() == before);
    });
}

/// Ends of every kind.
fn round() {
    let (map, addr) = echo();
    block_on_thread(move || {
        for wish in ["panic", "die"] {
            let mut stream = client(addr);
            stream.write_all(wish.as_bytes()).unwrap();
            // Closed, in whichever way.
            let _ = stream.read(&mut [0]);
        }
        for _ in 0..5 {
            echoes(&mut client(addr));
        }
    });
    let (near, far) = UnixStream::pair().unwrap();
    let echo = map.spawn(Echo(Channel::adopt(near).unwrap())).unwrap();
    echo.stop();
    assert!(matches!(echo.join(), ExitReason::Stopped));
    drop(far);
    close(&map);
}

fn shortage() {
    let (map, addr) = echo();
    let waiting = block_on_thread(move || {
        let first = client(addr);
        // Connected by the system, and to be accepted.
        let mut taken = Vec::new();
        let mut clients = vec![first];
        echoes(&mut clients[0]);
        // All but those for one client more.
        limit_descriptors(Some(open_descriptors() + 20));
        while let Ok(file) = File::open("/dev/null") {
            taken.push(file);
        }
        taken.pop();
        let mut late = client(addr);
        late.write_all(b"x").unwrap();
        clients.push(late);
        // The first one is served all the same.
        echoes(&mut clients[0]);
        (clients, taken)
    });
    let (mut clients, taken) = waiting;
    eventually("the pause", || {
        !logged(&["WARN", "cannot accept"]).is_empty()
    });
    block_on_thread(move || {
        drop(taken);
        let mut byte = [0];
        clients[1].read_exact(&mut byte).unwrap();
        assert_eq!(&byte, b"x");
        clients.iter_mut().for_each(echoes);
    });
    close(&map);
}
