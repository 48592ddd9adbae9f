//! Servers and connectors over Unix sockets.

mod common;

use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::PathBuf;
use std::time::Duration;

use actor_core::{Tasklet, join_all};
use actor_io::UnixStream;
use actor_net::{Connector, Server};
use common::{PATIENCE, eventually, in_tasklet, keep_log, logged};

/// A path that is free, and is freed in the end.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Place {
        let name = format!("actor-net-{name}-{}", std::process::id());
        Place(std::env::temp_dir().join(name))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn echo(mut stream: UnixStream) -> io::Result<()> {
    let mut buf = [0; 512];
    while let Some(len @ 1..) = stream.read_or_stop(&mut buf)? {
        stream.write_all(&buf[..len])?;
    }
    Ok(())
}

fn ask(client: &mut UnixStream, text: &str) -> String {
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    client.write_all(text.as_bytes()).unwrap();
    let mut answer = vec![0; text.len()];
    client.read_exact(&mut answer).unwrap();
    String::from_utf8(answer).unwrap()
}

#[test]
fn many_clients_are_served_at_once_and_the_path_is_freed() {
    let place = Place::new("many");
    in_tasklet(move || {
        let server = Server::bind_unix(&place.0).unwrap().spawn(echo).unwrap();
        let clients = (0..50).map(|number| {
            let path = place.0.clone();
            Tasklet::spawn(move || {
                let mut client = Connector::connect_unix(path).unwrap();
                for round in 0..20 {
                    let text = format!("client {number}, round {round}");
                    assert_eq!(ask(&mut client, &text), text);
                }
            })
        });
        for client in join_all(clients) {
            client.unwrap();
        }
        eventually("the end of all", || server.connections() == 0);
        // One that is open hears of the stop, as its handler does.
        let mut open = Connector::connect_unix(&place.0).unwrap();
        assert_eq!(ask(&mut open, "x"), "x");
        server.shutdown(PATIENCE).unwrap();
        assert_eq!(open.read(&mut [0]).unwrap(), 0);
        assert!(!place.0.exists());
        let error = Connector::connect_unix(&place.0).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
    });
}

#[test]
fn its_options_hold() {
    keep_log();
    let place = Place::new("options");
    in_tasklet(move || {
        let server = Server::builder()
            .name("optional")
            .max_connections(1)
            .idle_timeout(Duration::from_millis(50))
            .bind_unix(&place.0)
            .unwrap();
        let strict = |mut stream: UnixStream| match stream.read(&mut [0; 8])? {
            0 => Ok(()),
            _ => Err(io::Error::other("nothing was to be said")),
        };
        let server = server.spawn(strict).unwrap();
        let connect = || {
            let client = Connector::connect_unix(&place.0).unwrap();
            client.set_read_timeout(Some(PATIENCE)).unwrap();
            client
        };
        let mut idle = connect();
        eventually("a connection", || server.connections() == 1);
        let mut refused = connect();
        assert_eq!(refused.read(&mut [0]).unwrap(), 0);
        assert_eq!(idle.read(&mut [0]).unwrap(), 0);
        eventually("the end of the idle one", || server.connections() == 0);
        let mut talker = connect();
        talker.write_all(b"hm").unwrap();
        assert_eq!(talker.read(&mut [0]).unwrap(), 0);
        eventually("the log line", || {
            !logged(&["optional", "(unnamed)", "nothing was to be said"]).is_empty()
        });
        assert_eq!(server.refused(), 1);
        server.shutdown(PATIENCE).unwrap();
        let refused = Server::builder().idle_timeout(Duration::ZERO);
        let error = refused.bind_unix(&place.0).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    });
}

#[test]
fn only_an_abandoned_socket_is_replaced() {
    let place = Place::new("abandoned");
    let path = &place.0;
    let kind = |server: io::Result<Server<_>>| server.unwrap_err().kind();
    // One that is in use.
    let living = UnixListener::bind(path).unwrap();
    assert_eq!(kind(Server::bind_unix(path)), ErrorKind::AddrInUse);
    assert!(path.exists());
    // One whose owner has gone, if that is wanted.
    drop(living);
    let careful = Server::builder().reuse_addr(false).bind_unix(path);
    assert_eq!(kind(careful), ErrorKind::AddrInUse);
    let server = Server::bind_unix(path).unwrap();
    // Somebody else has taken the path: it stays.
    fs::remove_file(path).unwrap();
    fs::write(path, "theirs").unwrap();
    drop(server);
    assert_eq!(fs::read_to_string(path).unwrap(), "theirs");
    // Something that is no socket.
    assert_eq!(kind(Server::bind_unix(path)), ErrorKind::AddrInUse);
    assert_eq!(fs::read_to_string(path).unwrap(), "theirs");
}

#[test]
fn a_killed_server_frees_its_path() {
    let place = Place::new("killed");
    in_tasklet(move || {
        let server = Server::bind_unix(&place.0).unwrap().spawn(echo).unwrap();
        let mut client = Connector::connect_unix(&place.0).unwrap();
        assert_eq!(ask(&mut client, "x"), "x");
        server.tasklet().kill();
        server.join().unwrap_err();
        assert_eq!(client.read(&mut [0]).unwrap(), 0);
        assert!(!place.0.exists());
    });
}

#[test]
fn abstract_names_are_served_too() {
    in_tasklet(|| {
        let name = format!("actor-net-abstract-{}", std::process::id());
        let addr = SocketAddr::from_abstract_name(name).unwrap();
        let server = Server::builder().bind_unix_addr(&addr).unwrap();
        assert_eq!(
            server.local_addr().as_abstract_name(),
            addr.as_abstract_name()
        );
        let server = server.spawn(echo).unwrap();
        let mut client = UnixStream::connect_addr(&addr).unwrap();
        assert_eq!(ask(&mut client, "x"), "x");
        drop(client);
        server.shutdown(PATIENCE).unwrap();
    });
    let unnamed = SocketAddr::from_pathname("").unwrap();
    assert!(Server::builder().bind_unix_addr(&unnamed).is_err());
}

#[test]
fn a_connector_loses_patience_with_a_server_that_accepts_nobody() {
    let place = Place::new("busy");
    let addr = socket2::SockAddr::unix(&place.0).unwrap();
    let busy = socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None).unwrap();
    busy.bind(&addr).unwrap();
    busy.listen(0).unwrap();
    in_tasklet(move || {
        let connector = Connector::builder().timeout(Duration::from_millis(20));
        let waiting = Connector::connect_unix(&place.0).unwrap();
        let error = connector.connect_unix(&place.0).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        drop((waiting, busy));
    });
}
