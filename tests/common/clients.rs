//! The programs of others that speak to ours.

use std::fs;
use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;

use super::Program;

/// A client program, which has to be installed.
pub(crate) fn client<'a>(
    name: &str,
    package: &str,
    args: impl IntoIterator<Item = &'a str>,
) -> Program {
    let found = Command::new(name).arg("-h").output();
    assert!(
        found.is_ok(),
        "`{name}` is missing: apt-get install {package}"
    );
    Program::start(Command::new(name).args(args))
}

pub(crate) fn nc<'a>(args: impl IntoIterator<Item = &'a str>) -> Program {
    client("nc", "netcat-openbsd", args)
}

pub(crate) fn socat<'a>(args: impl IntoIterator<Item = &'a str>) -> Program {
    client("socat", "socat", args)
}

/// Types a line, which comes back.
pub(crate) fn is_echoed(client: &mut Program, line: &str) {
    writeln!(client.stdin(), "{line}").unwrap();
    client.wait_for_output(&format!("{line}\n"));
}

pub(crate) fn words(addr: SocketAddr) -> (String, String) {
    (addr.ip().to_string(), addr.port().to_string())
}

pub(crate) fn stops_orderly(server: Program) {
    server.signal(libc::SIGTERM);
    let ended = server.ended();
    assert_eq!(ended.code(), Some(0), "{}", ended.stderr);
    assert!(!ended.stderr.contains("grace"), "{}", ended.stderr);
}

/// A path for a socket.
pub(crate) struct Place(pub(crate) PathBuf);

impl Place {
    pub(crate) fn new(name: &str) -> Place {
        let name = format!("concurrence-{name}-{}", std::process::id());
        Place(std::env::temp_dir().join(name))
    }

    pub(crate) fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}
