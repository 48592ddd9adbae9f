//! A client that reads what it expects, byte for byte.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use super::PATIENCE;

pub(crate) struct Terminal(pub(crate) TcpStream);

impl Terminal {
    /// Sees how it is welcomed.
    pub(crate) fn connect(addr: SocketAddr, welcome: &str) -> Terminal {
        let stream = TcpStream::connect(addr).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut terminal = Terminal(stream);
        terminal.sees(welcome);
        terminal
    }

    pub(crate) fn sees(&mut self, expected: &str) {
        let mut seen = vec![0; expected.len()];
        self.0.read_exact(&mut seen).expect("as much as expected");
        assert_eq!(String::from_utf8_lossy(&seen), expected);
    }

    pub(crate) fn types(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.write_all(bytes.as_ref()).unwrap();
    }

    pub(crate) fn port(&self) -> u16 {
        self.0.local_addr().unwrap().port()
    }

    pub(crate) fn sees_the_end(&mut self) {
        let mut rest = Vec::new();
        self.0.read_to_end(&mut rest).unwrap();
        assert_eq!(String::from_utf8_lossy(&rest), "");
    }
}
