//! A gate between two nodes, which can be shut: nothing passes then, as if the network were parted.
//!
//! Either direction can be shut alone. What waits at a shut gate passes when it is opened again, the end of a
//! connection included; connections that are made meanwhile wait as well.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

/// Which way something goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// From who connects.
    There,
    /// To who has connected.
    Back,
}

pub(crate) struct Gate {
    addr: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    target: SocketAddr,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// There, and back.
    shut: [bool; 2],
    over: bool,
    /// How many connections have been made to it.
    come: usize,
    connections: Vec<[TcpStream; 2]>,
}

impl Gate {
    /// An open one.
    pub(crate) fn new(target: SocketAddr) -> Gate {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            target,
            state: Mutex::default(),
            changed: Condvar::new(),
        });
        let accepting = shared.clone();
        thread::spawn(move || accepting.accept(&listener));
        Gate { addr, shared }
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    pub(crate) fn shut(&self, way: Way) {
        self.set(&[way], true);
    }

    pub(crate) fn shut_both(&self) {
        self.set(&[Way::There, Way::Back], true);
    }

    pub(crate) fn open(&self) {
        self.set(&[Way::There, Way::Back], false);
    }

    /// How many connections have been made to it, those that wait included.
    pub(crate) fn come(&self) -> usize {
        self.shared.state.lock().unwrap().come
    }

    fn set(&self, ways: &[Way], shut: bool) {
        let mut state = self.shared.state.lock().unwrap();
        for way in ways {
            state.shut[*way as usize] = shut;
        }
        self.shared.changed.notify_all();
    }

    /// Ends all connections, which both ends notice at once.
    pub(crate) fn cut(&self) {
        for pair in self.shared.state.lock().unwrap().connections.drain(..) {
            for stream in pair {
                drop(stream.shutdown(Shutdown::Both));
            }
        }
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.shared.state.lock().unwrap().over = true;
        self.open();
        self.cut();
        // So that it is seen.
        drop(TcpStream::connect(self.addr));
    }
}

impl Shared {
    fn accept(self: &Arc<Self>, listener: &TcpListener) {
        while let Ok((client, _)) = listener.accept() {
            {
                let mut state = self.state.lock().unwrap();
                if state.over {
                    return;
                }
                state.come += 1;
            }
            let shared = self.clone();
            thread::spawn(move || shared.connection(&client));
        }
    }

    fn connection(self: &Arc<Self>, client: &TcpStream) {
        self.pass(Way::There);
        let Ok(server) = TcpStream::connect(self.target) else {
            return;
        };
        let pair = || [client.try_clone().unwrap(), server.try_clone().unwrap()];
        {
            let mut state = self.state.lock().unwrap();
            if state.over {
                return;
            }
            state.connections.push(pair());
        }
        let [from, to] = pair();
        let shared = self.clone();
        let back = thread::spawn(move || shared.carry(Way::Back, &to, &from));
        self.carry(Way::There, client, &server);
        drop(back.join());
    }

    /// Waits until the gate is open.
    fn pass(&self, way: Way) {
        let state = self.state.lock().unwrap();
        let is_shut = |state: &mut State| state.shut[way as usize];
        drop(self.changed.wait_while(state, is_shut).unwrap());
    }

    fn carry(&self, way: Way, mut from: &TcpStream, mut to: &TcpStream) {
        let mut buffer = [0; 16 * 1024];
        loop {
            let read = from.read(&mut buffer);
            self.pass(way);
            match read {
                Ok(count) if count > 0 => {
                    if to.write_all(&buffer[..count]).is_err() {
                        break;
                    }
                }
                _ => break,
            }
        }
        drop(to.shutdown(Shutdown::Write));
        drop(from.shutdown(Shutdown::Read));
    }
}
