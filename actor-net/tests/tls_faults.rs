//! TLS over connections that break or stall, at every byte. In a program of its own, which counts its
//! descriptors.

#![cfg(feature = "tls")]

#[path = "common/certificates.rs"]
mod certificates;
mod common;

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

use actor_core::{JoinError, Tasklet, join_all};
use actor_io::{TcpListener, TcpStream};
use actor_net::tls::{ClientTls, ServerTls, TlsError, rustls};
use actor_net::{ConnectError, Connector, Server};
use certificates::{Authority, both};
use common::{PATIENCE, eventually, in_tasklet, open_descriptors};
use parking_lot::Mutex;

const REQUEST: &[u8] = &[b'q'; 300];
const ANSWER: &[u8] = &[b'a'; 700];

/// How a relay breaks a direction.
#[derive(Clone, Copy, Debug, PartialEq)]
enum How {
    /// It ends, as if the other end had closed.
    End,
    /// The connection of the receiver is reset.
    Reset,
    /// Nothing more comes.
    Stall,
}

#[derive(Clone, Copy, Debug)]
struct Cut {
    /// What the client gets, or else what it sends.
    to_client: bool,
    after: u64,
    how: How,
}

/// Runs a test, and no other of this program meanwhile: one of them counts descriptors.
fn alone(test: impl FnOnce() + Send + 'static) {
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE.lock();
    in_tasklet(test);
}

fn patient(stream: &TcpStream) {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream.set_nodelay(true).unwrap();
}

/// Copies until the end, or the cut, which it tells of. Counts what has passed.
fn copy(from: &TcpStream, to: &TcpStream, cut: Option<Cut>, passed: &AtomicU64) -> bool {
    let mut bytes = [0; 4096];
    let (mut reader, mut writer) = (from, to);
    loop {
        let left = cut.map_or(u64::MAX, |cut| cut.after - passed.load(SeqCst));
        if left == 0 {
            return true;
        }
        let want = bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        match reader.read(&mut bytes[..want]) {
            Ok(count @ 1..) => {
                if writer.write_all(&bytes[..count]).is_err() {
                    return false;
                }
                passed.fetch_add(count as u64, SeqCst);
            }
            _ => {
                let _ = to.shutdown(Shutdown::Write);
                return false;
            }
        }
    }
}

/// What came of an exchange, and how many bytes went in each direction: to the client, and from it.
#[derive(Debug)]
struct Exchange {
    client: io::Result<Vec<u8>>,
    server: io::Result<()>,
    cut: bool,
    passed: (u64, u64),
}

fn exchange(server: &ServerTls, client: &ClientTls, cut: Option<Cut>) -> Exchange {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let connect = || {
        let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (far, _) = listener.accept().unwrap();
        patient(&near);
        patient(&far);
        (near, far)
    };
    let (client_end, client_relay) = connect();
    let (server_end, server_relay) = connect();
    drop(listener);

    let serving = Tasklet::spawn({
        let server = server.clone();
        move || -> io::Result<()> {
            let mut stream = server.accept(server_end)?;
            let mut request = Vec::new();
            stream.read_to_end(&mut request)?;
            assert_eq!(request, REQUEST, "all or an error");
            stream.write_all(ANSWER)?;
            stream.close()
        }
    });
    let asking = Tasklet::spawn({
        let client = client.clone();
        move || -> io::Result<Vec<u8>> {
            let mut stream = client.connect("localhost", client_end)?;
            stream.write_all(REQUEST)?;
            stream.close_notify()?;
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer)?;
            stream.close()?;
            Ok(answer)
        }
    });
    let passed = Arc::new((AtomicU64::new(0), AtomicU64::new(0)));
    let to_client = cut.filter(|cut| cut.to_client);
    let to_server = cut.filter(|cut| !cut.to_client);
    let forward = |from: &TcpStream, to: &TcpStream, cut: Option<Cut>, first: bool| {
        let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
        let passed = passed.clone();
        Tasklet::spawn(move || {
            let counter = if first { &passed.0 } else { &passed.1 };
            let was_cut = copy(&from, &to, cut, counter);
            if let Some(cut) = cut.filter(|_| was_cut) {
                match cut.how {
                    How::End => {
                        let _ = to.shutdown(Shutdown::Write);
                        // Nobody should be reset because of what is not read.
                        let _ = io::copy(&mut &from, &mut io::sink());
                    }
                    How::Reset => to.set_linger(Some(Duration::ZERO)).unwrap(),
                    How::Stall => {
                        let _ = io::copy(&mut &from, &mut io::sink());
                    }
                }
            }
            was_cut
        })
    };
    let down = forward(&server_relay, &client_relay, to_client, true);
    let up = forward(&client_relay, &server_relay, to_server, false);
    drop((client_relay, server_relay));
    let cutter = match cut {
        Some(cut) if !cut.to_client => (&up, &down),
        _ => (&down, &up),
    };
    if cut.is_some_and(|cut| cut.how == How::Reset) {
        let was_cut = cutter.0.join_timeout(PATIENCE).unwrap();
        if was_cut {
            // The last who has the sockets: they close, the one with a reset.
            cutter.1.kill();
        }
        let _ = cutter.1.wait_timeout(PATIENCE);
        return Exchange {
            client: asking.join_timeout(PATIENCE).unwrap(),
            server: serving.join_timeout(PATIENCE).unwrap(),
            cut: was_cut,
            passed: (passed.0.load(SeqCst), passed.1.load(SeqCst)),
        };
    }
    let client = asking.join_timeout(PATIENCE).unwrap();
    let server = serving.join_timeout(PATIENCE).unwrap();
    let down = down.join_timeout(PATIENCE).unwrap();
    let up = up.join_timeout(PATIENCE).unwrap();
    Exchange {
        client,
        server,
        cut: down || up,
        passed: (passed.0.load(SeqCst), passed.1.load(SeqCst)),
    }
}

/// What a broken connection may look like, and nothing else.
fn is_expected(error: &io::Error, stall: bool) -> bool {
    match error.kind() {
        ErrorKind::UnexpectedEof => {
            matches!(
                error.get_ref().and_then(|inner| inner.downcast_ref()),
                Some(TlsError::Truncated)
            )
        }
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => true,
        ErrorKind::TimedOut => stall,
        _ => false,
    }
}

fn check(cut: Cut, result: &Exchange) {
    let stall = cut.how == How::Stall;
    let errors = [result.client.as_ref().err(), result.server.as_ref().err()];
    for error in errors.into_iter().flatten() {
        assert!(is_expected(error, stall), "{cut:?}: {error:?}");
    }
    // Whoever has succeeded has got everything.
    if let Ok(answer) = &result.client {
        assert_eq!(answer, ANSWER, "{cut:?}");
    }
    // The last bytes in each direction are its end, without which nothing is whole.
    let victim = match cut.to_client {
        true => result.client.is_err(),
        false => result.server.is_err(),
    };
    assert!(victim, "{cut:?}: {result:?}");
}

#[test]
fn an_end_and_a_reset_at_every_byte() {
    alone(|| {
        let versions = [&rustls::version::TLS13, &rustls::version::TLS12];
        let whole_exchange = |server: &ServerTls, client: &ClientTls| {
            let whole = exchange(server, client, None);
            assert_eq!(whole.client.unwrap(), ANSWER);
            whole.server.unwrap();
            whole.passed
        };
        let (server, client) = both();
        whole_exchange(&server, &client);
        eventually("quiet", || Tasklet::current().children().is_empty());
        let before = open_descriptors();
        for version in versions {
            let (server, client) = of_version(version);
            let (down, up) = whole_exchange(&server, &client);
            assert!(down > 1000 && up > 600, "{down}, {up}");
            for (to_client, total) in [(true, down), (false, up)] {
                for how in [How::End, How::Reset] {
                    // Signatures are not all of the same length.
                    for after in 0..total - 8 {
                        let cut = Cut {
                            to_client,
                            after,
                            how,
                        };
                        let result = exchange(&server, &client, Some(cut));
                        assert!(result.cut, "{cut:?}");
                        check(cut, &result);
                    }
                }
            }
        }
        eventually("all descriptors", || open_descriptors() == before);
        eventually("quiet", || Tasklet::current().children().is_empty());
    });
}

/// No tickets, no resumption: each exchange is like the other.
fn of_version(version: &'static rustls::SupportedProtocolVersion) -> (ServerTls, ClientTls) {
    let authority = Authority::new("authority");
    let pem = authority.certify(&["localhost"]);
    let provider = || Arc::new(rustls::crypto::ring::default_provider());
    let parse = |text: &str| {
        use rustls::pki_types::{CertificateDer, pem::PemObject};
        CertificateDer::from_pem_slice(text.as_bytes()).unwrap()
    };
    let key = {
        use rustls::pki_types::{PrivateKeyDer, pem::PemObject};
        PrivateKeyDer::from_pem_slice(pem.key.as_bytes()).unwrap()
    };
    let server = rustls::ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[version])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![parse(&pem.chain)], key)
        .unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(parse(&authority.pem())).unwrap();
    let mut client = rustls::ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    client.resumption = rustls::client::Resumption::disabled();
    (
        ServerTls::from_config(Arc::new(server)),
        ClientTls::from_config(Arc::new(client)),
    )
}

/// A peer that stops in the middle of the handshake, at every seventh byte, is given up in time, by both.
#[test]
fn a_stall_in_the_handshake() {
    alone(|| {
        let authority = Authority::new("authority");
        let limit = Duration::from_millis(100);
        let server = ServerTls::builder()
            .identity(authority.identity(&["localhost"]))
            .handshake_timeout(limit)
            .build()
            .unwrap();
        let client = ClientTls::builder(authority.roots()).handshake_timeout(limit);
        let client = client.build().unwrap();
        for (to_client, handshake) in [(true, 600), (false, 230)] {
            let stalls = (0..handshake).step_by(7).map(|after| {
                let (server, client) = (server.clone(), client.clone());
                Tasklet::spawn(move || {
                    let cut = Cut {
                        to_client,
                        after,
                        how: How::Stall,
                    };
                    let begun = Instant::now();
                    let result = exchange(&server, &client, Some(cut));
                    assert!(begun.elapsed() >= limit && begun.elapsed() < PATIENCE);
                    check(cut, &result);
                    let late = |error: Option<&io::Error>| {
                        error.is_some_and(|error| error.kind() == ErrorKind::TimedOut)
                    };
                    assert!(
                        late(result.client.as_ref().err()) || late(result.server.as_ref().err()),
                        "{cut:?}: {result:?}"
                    );
                })
            });
            for stall in join_all(stalls) {
                stall.unwrap();
            }
        }
    });
}

/// Clients that say nothing hold up neither the others nor the server's end.
#[test]
fn silent_clients_are_turned_away() {
    alone(|| {
        let authority = Authority::new("authority");
        let tls = ServerTls::builder()
            .identity(authority.identity(&["localhost"]))
            .handshake_timeout(Duration::from_millis(100))
            .build()
            .unwrap();
        let server = Server::bind("127.0.0.1:0").unwrap().tls(tls);
        let server =
            server.spawn(|mut stream: actor_net::tls::TlsStream| stream.write_all(b"hello"));
        let server = server.unwrap();
        let addr = server.local_addr();
        let silent: Vec<_> = (0..20).map(|_| TcpStream::connect(addr).unwrap()).collect();
        let client = ClientTls::new(authority.roots()).unwrap();
        let mut served = Connector::tls(client)
            .connect("localhost", addr.port())
            .unwrap();
        let mut text = String::new();
        served.read_to_string(&mut text).unwrap();
        assert_eq!(text, "hello");
        for mut stream in silent {
            patient(&stream);
            assert_eq!(stream.read(&mut [0; 1]).unwrap(), 0);
        }
        eventually("the end of all", || server.connections() == 0);
        server.shutdown(PATIENCE).unwrap();
    });
}

#[test]
fn the_connectors_time_is_that_of_the_handshake_too() {
    alone(|| {
        let (_, client) = both();
        // It accepts, and that is all.
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let limit = Duration::from_millis(50);
        let connector = Connector::builder().timeout(limit).tls(client);
        let begun = Instant::now();
        let error = connector.connect("localhost", port).unwrap_err();
        assert!(begun.elapsed() >= limit && begun.elapsed() < PATIENCE / 2);
        assert!(
            matches!(
                error,
                ConnectError::Tls {
                    error: TlsError::TimedOut,
                    ..
                }
            ),
            "{error:?}"
        );
        assert_eq!(io::Error::from(error).kind(), ErrorKind::TimedOut);
    });
}

/// At each end, in the middle of the handshake.
#[test]
fn a_kill_in_the_handshake_closes_the_connection() {
    alone(|| {
        let (server, client) = both();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr: SocketAddr = listener.local_addr().unwrap();
        let end_of = |victim: actor_core::JoinHandle<Result<(), TlsError>>, mut peer: TcpStream| {
            eventually("the wait", || {
                victim.tree().to_string().contains("waits to read")
            });
            victim.kill();
            let end = victim.join_timeout(PATIENCE);
            assert!(matches!(end, Err(JoinError::Killed)), "{end:?}");
            // All that comes is the end.
            patient(&peer);
            peer.read_to_end(&mut Vec::new()).unwrap();
        };
        let near = TcpStream::connect(addr).unwrap();
        let (far, _) = listener.accept().unwrap();
        let accepting = Tasklet::spawn(move || server.accept(far).map(drop));
        end_of(accepting, near);
        let near = TcpStream::connect(addr).unwrap();
        let (far, _) = listener.accept().unwrap();
        let connecting = Tasklet::spawn(move || client.connect("localhost", near).map(drop));
        end_of(connecting, far);
    });
}
