//! TLS between two ends of this crate: what is agreed upon, and how streams behave.

#![cfg(feature = "tls")]

#[path = "common/certificates.rs"]
mod certificates;
mod common;

use std::io::{self, ErrorKind, Read, Write};
use std::time::Duration;

use actor_core::{Actor, Context, Handler, Placement, Tasklet};
use actor_io::{BufferedStream, Split, TcpListener, TcpStream, copy_bidirectional};
use actor_net::tls::{ClientTls, ServerTls, TlsError, TlsStream, rustls};
use actor_net::{ConnectError, Connection, Connector, Line, LineCodec, Server};
use certificates::{Authority, both};
use common::{PATIENCE, eventually, in_tasklet};

fn tcp() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (far, _) = listener.accept().unwrap();
    for stream in [&near, &far] {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
    }
    (near, far)
}

/// A client and a server, connected.
fn pair_of(server: &ServerTls, client: &ClientTls) -> (TlsStream, TlsStream) {
    let (near, far) = tcp();
    let server = server.clone();
    let accepting = Tasklet::spawn(move || server.accept(far));
    let client = client.connect("localhost", near).unwrap();
    (client, accepting.join().unwrap().unwrap())
}

fn pair() -> (TlsStream, TlsStream) {
    let (server, client) = both();
    pair_of(&server, &client)
}

fn echo(mut stream: TlsStream) -> io::Result<()> {
    let mut bytes = [0; 16 * 1024];
    loop {
        match stream.read(&mut bytes)? {
            0 => return Ok(()),
            count => stream.write_all(&bytes[..count])?,
        }
    }
}

#[test]
fn a_server_and_a_client() {
    in_tasklet(|| {
        let (server, client) = both();
        let server = Server::bind("127.0.0.1:0").unwrap().tls(server);
        let server = server.spawn(echo).unwrap();
        let port = server.local_addr().port();
        let connector = Connector::tls(client);
        for _ in 0..3 {
            let mut stream = connector.connect("localhost", port).unwrap();
            stream.write_all(b"hello").unwrap();
            let mut bytes = [0; 5];
            stream.read_exact(&mut bytes).unwrap();
            assert_eq!(&bytes, b"hello");
            stream.close_notify().unwrap();
            assert_eq!(stream.read(&mut bytes).unwrap(), 0, "the server has closed");
        }
        server.shutdown(PATIENCE).unwrap();
    });
}

#[test]
fn what_was_agreed_upon_can_be_asked() {
    in_tasklet(|| {
        let authority = Authority::new("authority");
        let server = ServerTls::builder()
            .identity(authority.identity(&["localhost"]))
            .alpn(["b", "a"])
            .build()
            .unwrap();
        let client = ClientTls::builder(authority.roots()).alpn(["a", "b", "c"]);
        let client = client.build().unwrap();
        let (near, far) = pair_of(&server, &client);
        for end in [&near, &far] {
            assert_eq!(end.alpn(), Some(&b"b"[..]), "the server chooses");
            assert_eq!(end.version(), Some(rustls::ProtocolVersion::TLSv1_3));
            assert!(!end.is_resumed());
        }
        assert_eq!(near.server_name(), None);
        assert_eq!(far.server_name(), Some("localhost"));
        assert_eq!(near.peer_certificates().len(), 1);
        assert!(far.peer_certificates().is_empty());

        // Nothing in common.
        let other = ClientTls::builder(authority.roots()).alpn(["z"]).build();
        let (near, far) = tcp();
        let accepting = Tasklet::spawn(move || server.accept(far).map(drop));
        let error = other.unwrap().connect("localhost", near).unwrap_err();
        assert!(
            matches!(
                error,
                TlsError::Protocol(rustls::Error::AlertReceived(
                    rustls::AlertDescription::NoApplicationProtocol
                ))
            ),
            "{error:?}"
        );
        let error = accepting.join().unwrap().unwrap_err();
        assert!(matches!(error, TlsError::Protocol(_)), "{error:?}");
    });
}

#[test]
fn each_name_has_its_certificate_and_a_reload_needs_no_restart() {
    in_tasklet(|| {
        let authority = Authority::new("authority");
        let tls = ServerTls::builder()
            .identity_for("a.our.example", authority.identity(&["a.our.example"]))
            .identity_for("*.our.example", authority.identity(&["*.our.example"]))
            .build()
            .unwrap();
        let server = Server::bind("127.0.0.1:0").unwrap().tls(tls.clone());
        let server = server.spawn(echo).unwrap();
        let addr = server.local_addr();
        // Without a memory of former sessions.
        let shown = |name: &str| {
            let connector = Connector::tls(ClientTls::new(authority.roots()).unwrap());
            let stream = connector.connect_to(addr, name)?;
            Ok::<_, ConnectError>(stream.peer_certificates()[0].clone())
        };
        let first = shown("a.our.example").unwrap();
        assert_eq!(shown("A.Our.Example").unwrap(), first);
        let second = shown("b.our.example").unwrap();
        assert_ne!(second, first);
        shown("a.b.our.example").expect_err("an asterisk stands for one part of a name");
        shown("localhost").expect_err("nobody's name");

        let mut old = Connector::tls(ClientTls::new(authority.roots()).unwrap())
            .connect_to(addr, "a.our.example")
            .unwrap();
        tls.set_identity_for("a.our.example", authority.identity(&["a.our.example"]));
        assert_ne!(shown("a.our.example").unwrap(), first);
        assert_eq!(shown("b.our.example").unwrap(), second);
        tls.set_identity(authority.identity(&["localhost"]));
        shown("localhost").unwrap();
        // The connection from before goes on.
        old.write_all(b"x").unwrap();
        old.read_exact(&mut [0; 1]).unwrap();
        drop(old);

        // All at once, by other rules.
        let other = Authority::new("other");
        tls.replace(&ServerTls::new(other.identity(&["a.our.example"])).unwrap());
        let error = shown("a.our.example").unwrap_err();
        assert!(
            matches!(&error, ConnectError::Tls { address: Some(at), .. } if *at == addr),
            "{error}"
        );
        assert!(error.to_string().contains("UnknownIssuer"), "{error}");
        server.shutdown(PATIENCE).unwrap();
    });
}

#[test]
fn sessions_are_resumed() {
    in_tasklet(|| {
        let (server, client) = both();
        let server = Server::bind("127.0.0.1:0").unwrap().tls(server.clone());
        let server = server.spawn(echo).unwrap();
        let connector = Connector::tls(client);
        let port = server.local_addr().port();
        for round in 0..3 {
            let mut stream = connector.connect("localhost", port).unwrap();
            assert_eq!(stream.is_resumed(), round > 0, "round {round}");
            stream.write_all(b"x").unwrap();
            // Takes in the tickets, which come before.
            stream.read_exact(&mut [0; 1]).unwrap();
            stream.close().unwrap();
        }
        server.shutdown(PATIENCE).unwrap();
    });
}

#[test]
fn clients_prove_who_they_are() {
    in_tasklet(|| {
        let authority = Authority::new("authority");
        let (good, bad) = (Authority::new("good"), Authority::new("bad"));
        let client = |identity| {
            let mut builder = ClientTls::builder(authority.roots());
            if let Some(identity) = identity {
                builder = builder.identity(identity);
            }
            builder.build().unwrap()
        };
        let known = client(Some(good.identity(&["client"])));
        let unknown = client(Some(bad.identity(&["client"])));
        let nobody = client(None);
        let builder = ServerTls::builder().identity(authority.identity(&["localhost"]));
        let only = builder
            .clone()
            .require_client(good.roots())
            .build()
            .unwrap();
        let either = builder.request_client(good.roots()).build().unwrap();

        let (_near, far) = pair_of(&only, &known);
        assert_eq!(far.peer_certificates().len(), 1);
        let (_near, far) = pair_of(&either, &nobody);
        assert!(far.peer_certificates().is_empty());
        for (server, client) in [(&only, &unknown), (&only, &nobody), (&either, &unknown)] {
            let (near, far) = tcp();
            let server = server.clone();
            let accepting = Tasklet::spawn(move || server.accept(far).map(drop));
            // It hears of it when it reads, since it has the last word of the handshake.
            let mut near = client.connect("localhost", near).unwrap();
            let error = near.read(&mut [0; 1]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidData, "{error}");
            let error = accepting.join().unwrap().unwrap_err();
            assert!(matches!(error, TlsError::Protocol(_)), "{error:?}");
        }
    });
}

#[test]
fn the_wrong_server_is_refused() {
    in_tasklet(|| {
        let (server, client) = both();
        let server = Server::bind("127.0.0.1:0").unwrap().tls(server);
        let server = server.spawn(echo).unwrap();
        let addr = server.local_addr();
        let connector = Connector::tls(client.clone());
        connector.connect("127.0.0.1", addr.port()).unwrap();
        let refused = |error: ConnectError, says: &str| {
            assert!(error.to_string().contains(says), "{error}");
            io::Error::from(error).kind()
        };
        let error = connector.connect_to(addr, "elsewhere.example").unwrap_err();
        assert_eq!(refused(error, "not valid for name"), ErrorKind::InvalidData);
        let stranger = ClientTls::new(Authority::new("stranger").roots()).unwrap();
        let error = Connector::tls(stranger).connect("127.0.0.1", addr.port());
        let kind = refused(error.unwrap_err(), "UnknownIssuer");
        assert_eq!(kind, ErrorKind::InvalidData);
        let error = connector.connect_to(addr, "not a name").unwrap_err();
        assert_eq!(refused(error, "neither"), ErrorKind::InvalidInput);

        // And what does not speak TLS at all.
        let plain = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = plain.local_addr().unwrap().port();
        let banner = Tasklet::spawn(move || {
            let (mut stream, _) = plain.accept().unwrap();
            stream.write_all(b"220 mail.example ESMTP\r\n").unwrap();
            let _ = stream.read_to_end(&mut Vec::new());
        });
        let error = connector.connect("127.0.0.1", port).unwrap_err();
        assert_eq!(io::Error::from(error).kind(), ErrorKind::InvalidData);
        banner.join().unwrap();
        server.shutdown(PATIENCE).unwrap();
    });
}

#[test]
fn each_direction_ends_by_itself() {
    in_tasklet(|| {
        let (mut near, mut far) = pair();
        near.write_all(b"question").unwrap();
        near.close_notify().unwrap();
        near.close_notify().unwrap();
        assert_eq!(near.write(b"x").unwrap_err().kind(), ErrorKind::BrokenPipe);
        let mut question = String::new();
        far.read_to_string(&mut question).unwrap();
        assert_eq!(question, "question");
        assert_eq!(far.read(&mut [0; 8]).unwrap(), 0, "the end stays the end");
        far.write_all(b"answer").unwrap();
        let closing = Tasklet::spawn(move || far.close());
        let mut answer = String::new();
        near.read_to_string(&mut answer).unwrap();
        assert_eq!(answer, "answer");
        near.close().unwrap();
        closing.join().unwrap().unwrap();
    });
}

#[test]
fn an_end_without_a_word_is_a_truncation() {
    in_tasklet(|| {
        let (mut near, mut far) = pair();
        far.write_all(b"half").unwrap();
        let mut unread = [0; 64];
        // Tickets first, so that it is an end and no reset.
        drop(far);
        let count = near.read(&mut unread).unwrap();
        assert_eq!(&unread[..count], b"half");
        for _ in 0..2 {
            let error = near.read(&mut unread).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
            let inner = error.get_ref().unwrap().downcast_ref();
            assert!(matches!(inner, Some(TlsError::Truncated)), "{error:?}");
        }
    });
}

/// The orderly end is the server's doing when a handler has returned well, and only then.
#[test]
fn a_handler_that_fails_does_not_end_the_stream() {
    in_tasklet(|| {
        let (server, client) = both();
        let handler = |stream: TlsStream| -> io::Result<()> {
            let (mut reader, mut writer) = BufferedStream::new(stream).split();
            let wish = reader.read_line()?.unwrap_or_default();
            writer.write_line("half of it")?;
            writer.flush()?;
            match wish.as_str() {
                "panic" => panic!("as the client wished"),
                "fail" => Err(io::Error::other("as the client wished")),
                "leave to a child" => {
                    // It writes when it is asked to stop.
                    Tasklet::spawn(move || {
                        for _ in Tasklet::receive() {}
                        writer.write_line("the rest")
                    });
                    Ok(())
                }
                _ => Ok(()),
            }
        };
        let server = Server::bind("127.0.0.1:0").unwrap().tls(server);
        let server = server.spawn(handler).unwrap();
        let port = server.local_addr().port();
        let connector = Connector::tls(client);
        let answer = |wish: &str| {
            let stream = connector.connect("localhost", port).unwrap();
            stream.get_ref().set_read_timeout(Some(PATIENCE)).unwrap();
            let mut stream = BufferedStream::new(stream);
            stream.writer().write_line(wish).unwrap();
            stream.flush().unwrap();
            let mut text = String::new();
            let result = stream.read_to_string(&mut text);
            result.map(|_| text).map_err(|error| error.kind())
        };
        assert_eq!(answer("return").unwrap(), "half of it\n");
        let rest = answer("leave to a child").unwrap();
        assert_eq!(rest, "half of it\nthe rest\n");
        for wish in ["panic", "fail"] {
            let kind = answer(wish).unwrap_err();
            assert!(
                matches!(kind, ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset),
                "{wish}: {kind}"
            );
        }
        server.shutdown(PATIENCE).unwrap();
    });
}

/// Both directions are full all the time, and the halves of one end are on two workers.
#[test]
fn full_duplex_with_much_data() {
    const BYTES: usize = 24 * 1024 * 1024;
    fn run(stream: TlsStream, elsewhere: bool) -> (u64, u64) {
        let (reader, writer) = stream.split();
        let placement = match elsewhere {
            true => Placement::LeastLoaded,
            false => Placement::Here,
        };
        let writing = Tasklet::builder().placement(placement).spawn(move || {
            let mut writer = writer;
            let mut sum = 0u64;
            let mut next = 0u64;
            let mut left = BYTES;
            while left > 0 {
                // Of all sizes, beyond a record and within one.
                let len = left.min(1 + (next as usize * 7919) % 100_000);
                let bytes: Vec<u8> = (0..len).map(|at| (next as usize + at) as u8).collect();
                sum = bytes.iter().fold(sum, |sum, &byte| {
                    sum.wrapping_mul(31).wrapping_add(byte.into())
                });
                writer.write_all(&bytes).unwrap();
                left -= len;
                next += 1;
            }
            writer.close_notify().unwrap();
            (writer, sum)
        });
        let mut reader = reader;
        let (mut sum, mut total) = (0u64, 0);
        let mut bytes = vec![0; 50_000];
        loop {
            let count = reader.read(&mut bytes).unwrap();
            if count == 0 {
                break;
            }
            total += count;
            sum = bytes[..count].iter().fold(sum, |sum, &byte| {
                sum.wrapping_mul(31).wrapping_add(byte.into())
            });
        }
        assert_eq!(total, BYTES);
        let (writer, sent) = writing.unwrap().join().unwrap();
        // They fit together again.
        let stream = TlsStream::unsplit(reader, writer);
        assert!(stream.version().is_some());
        (sent, sum)
    }
    in_tasklet(|| {
        let (near, far) = pair();
        let other = Tasklet::spawn(move || run(far, true));
        let (sent, received) = run(near, false);
        let (answered, heard) = other.join().unwrap();
        assert_eq!((sent, answered), (heard, received));
    });
}

#[test]
fn a_reader_that_waits_keeps_nobody_from_writing() {
    in_tasklet(|| {
        let (near, mut far) = pair();
        let (mut reader, mut writer) = near.split();
        let reading = Tasklet::spawn(move || {
            let mut bytes = [0; 4];
            reader.read_exact(&mut bytes).unwrap();
            bytes
        });
        eventually("the wait", || {
            reading.tree().to_string().contains("waits to read")
        });
        writer.write_all(b"ping").unwrap();
        let mut bytes = [0; 4];
        far.read_exact(&mut bytes).unwrap();
        far.write_all(&bytes).unwrap();
        assert_eq!(&reading.join().unwrap(), b"ping");
    });
}

/// What a timeout or a kill leaves unsent is sent later, and nothing twice.
#[test]
fn writes_that_ran_out_of_time_lose_nothing() {
    in_tasklet(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.socket_ref().set_recv_buffer_size(4096).unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        near.socket_ref().set_send_buffer_size(4096).unwrap();
        let (far, _) = listener.accept().unwrap();
        far.set_read_timeout(Some(PATIENCE)).unwrap();
        let (server, client) = both();
        let accepting = Tasklet::spawn(move || server.accept(far));
        let mut near = client.connect("localhost", near).unwrap();
        let mut far = accepting.join().unwrap().unwrap();

        let moment = Duration::from_millis(20);
        near.get_ref().set_write_timeout(Some(moment)).unwrap();
        let bytes: Vec<u8> = (0..3_000_000).map(|at| (at * 31 % 251) as u8).collect();
        let mut sent = 0;
        let error = loop {
            match near.write(&bytes[sent..]) {
                Ok(count) => sent += count,
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert!(sent > 0 && sent < bytes.len());
        near.get_ref().set_write_timeout(None).unwrap();

        // Killed in the middle of a write, with the stream in somebody else's hands afterwards.
        let (mut reader, writer) = near.split();
        let shared = std::sync::Arc::new(parking_lot::Mutex::new(Some(writer)));
        struct GiveBack(
            std::sync::Arc<parking_lot::Mutex<Option<actor_net::tls::TlsWriter>>>,
            Option<actor_net::tls::TlsWriter>,
        );
        impl Drop for GiveBack {
            fn drop(&mut self) {
                *self.0.lock() = self.1.take();
            }
        }
        let writer = shared.lock().take();
        let mut borrowed = GiveBack(shared.clone(), writer);
        let rest = bytes[sent..].to_vec();
        let (tell, told) = std::sync::mpsc::channel();
        let victim = Tasklet::spawn(move || {
            let mut sent = 0;
            while sent < rest.len() {
                sent += borrowed.1.as_mut().unwrap().write(&rest[sent..]).unwrap();
                tell.send(sent).unwrap();
            }
        });
        eventually("the wait", || {
            victim.tree().to_string().contains("waits to write")
        });
        victim.kill();
        victim.join().unwrap_err();
        sent += told.try_iter().last().unwrap_or(0);

        let reading = Tasklet::spawn(move || {
            let mut received = Vec::new();
            far.read_to_end(&mut received).unwrap();
            received
        });
        let mut writer = shared.lock().take().unwrap();
        // One write may have been taken as it was killed, without having said so.
        writer.flush().unwrap();
        writer.close_notify().unwrap();
        drop(writer);
        let received = reading.join().unwrap();
        assert!(received.len() >= sent, "{} of {sent}", received.len());
        assert!(bytes.starts_with(&received));
        reader.read(&mut [0; 1]).unwrap_err();
    });
}

#[test]
fn plain_threads_can_do_it_too() {
    let (server, client) = both();
    let (near, far) = tcp();
    let thread = std::thread::spawn(move || {
        let mut far = server.accept(far).unwrap();
        let mut text = String::new();
        far.read_to_string(&mut text).unwrap();
        far.write_all(text.to_uppercase().as_bytes()).unwrap();
        far.close().unwrap();
    });
    let mut near = client.connect("localhost", near).unwrap();
    near.write_all(b"hello").unwrap();
    near.close_notify().unwrap();
    let mut text = String::new();
    near.read_to_string(&mut text).unwrap();
    assert_eq!(text, "HELLO");
    thread.join().unwrap();
}

/// TLS in TLS: any stream of bytes will do.
#[test]
fn over_any_other_stream() {
    in_tasklet(|| {
        let (outer_near, outer_far) = pair();
        let (server, client) = both();
        let accepting = Tasklet::spawn(move || {
            let mut stream = server.accept(outer_far).unwrap();
            let mut text = String::new();
            stream.read_to_string(&mut text).unwrap();
            text
        });
        let stream = client.connect("localhost", outer_near).unwrap();
        let (_reader, mut writer) = BufferedStream::new(stream).split();
        writer.write_line("hello").unwrap();
        writer.flush().unwrap();
        writer.get_mut().close_notify().unwrap();
        assert_eq!(accepting.join().unwrap(), "hello\n");
    });
}

struct Wisher(Connection<LineCodec>);

impl Actor for Wisher {}

impl Handler<Line> for Wisher {
    fn handle(&mut self, Line(wish): Line, ctx: &mut Context<Self>) {
        self.0.send(format!("as you wish: {wish}"));
        match wish.as_str() {
            "panic" => panic!("as the client wished"),
            "much" => (0..20_000).for_each(|number| self.0.send(format!("line {number}"))),
            "end" => ctx.stop(),
            _ => {}
        }
    }
}

#[test]
fn actors_serve_it_too() {
    in_tasklet(|| {
        let (tls, client) = both();
        let server = Server::builder().outbox(100_000, 10_000_000);
        let server = server.bind("127.0.0.1:0").unwrap().tls(tls);
        let server = server.spawn_actors(LineCodec::new(), Wisher).unwrap();
        let port = server.local_addr().port();
        let connector = Connector::tls(client);
        let connect = || {
            let stream = connector.connect("localhost", port).unwrap();
            stream.get_ref().set_read_timeout(Some(PATIENCE)).unwrap();
            BufferedStream::new(stream)
        };
        let wish = |stream: &mut BufferedStream<TlsStream>, what: &str| {
            stream.writer().write_line(what).unwrap();
            stream.flush().unwrap();
        };
        let mut stream = connect();
        for what in ["a", "b", "much", "end"] {
            wish(&mut stream, what);
        }
        let mut lines = stream.reader().lines();
        for what in ["a", "b", "much"] {
            let line = lines.next().unwrap().unwrap();
            assert_eq!(line, format!("as you wish: {what}"));
        }
        for number in 0..20_000 {
            assert_eq!(lines.next().unwrap().unwrap(), format!("line {number}"));
        }
        assert_eq!(lines.next().unwrap().unwrap(), "as you wish: end");
        assert!(lines.next().is_none(), "the end was told");

        let mut stream = connect();
        wish(&mut stream, "panic");
        let error = loop {
            match stream.reader().read_line() {
                Ok(Some(_)) => {}
                Ok(None) => panic!("a panic is no end"),
                Err(error) => break error,
            }
        };
        assert!(
            matches!(
                error.kind(),
                ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset
            ),
            "{error}"
        );

        // One that says nothing is told of the server's end.
        let mut stream = connect();
        wish(&mut stream, "a");
        stream.reader().read_line().unwrap().unwrap();
        server.shutdown(PATIENCE).unwrap();
        assert_eq!(stream.reader().read_line().unwrap(), None);
    });
}

/// A proxy that takes TLS off, and one that puts it on again.
#[test]
fn a_proxy_passes_both_directions_and_their_ends() {
    in_tasklet(|| {
        let (server, client) = both();
        // Plain text at the very end: turns round what it gets.
        let plain = Server::bind("127.0.0.1:0").unwrap();
        let plain = plain.spawn(|mut stream: TcpStream| -> io::Result<()> {
            let mut bytes = Vec::new();
            stream.read_to_end(&mut bytes)?;
            bytes.reverse();
            stream.write_all(&bytes)
        });
        let plain = plain.unwrap();
        let to_plain = plain.local_addr();
        let off = Server::bind("127.0.0.1:0").unwrap().tls(server);
        let off = off.spawn(move |stream: TlsStream| -> io::Result<()> {
            copy_bidirectional(stream, TcpStream::connect(to_plain)?).map(drop)
        });
        let off = off.unwrap();
        let tls_port = off.local_addr().port();
        let on = Server::bind("127.0.0.1:0").unwrap();
        let on = on.spawn({
            let connector = Connector::tls(client.clone());
            move |stream: TcpStream| -> io::Result<()> {
                let stream_on = connector.connect("localhost", tls_port)?;
                copy_bidirectional(stream, stream_on).map(drop)
            }
        });
        let on = on.unwrap();

        let sent: Vec<u8> = (0..2_000_000).map(|at| (at * 31 % 251) as u8).collect();
        let mut turned = sent.clone();
        turned.reverse();
        let mut stream = TcpStream::connect(on.local_addr()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(&sent).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        assert!(answer == turned);

        // The end of TLS is passed on, too.
        let mut stream = Connector::tls(client)
            .connect("localhost", tls_port)
            .unwrap();
        stream.get_ref().set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(b"abc").unwrap();
        stream.close_notify().unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert_eq!(answer, "cba");
        for server in [on, off, plain] {
            server.shutdown(PATIENCE).unwrap();
        }
    });
}

/// What the documentation says of the stack, here in whatever build the tests are.
#[test]
fn a_handshake_fits_into_a_small_stack() {
    in_tasklet(|| {
        let (server, client) = both();
        let (near, far) = tcp();
        let small = || Tasklet::builder().stack_size(128 * 1024);
        let accepting = small().spawn(move || {
            let mut stream = server.accept(far).unwrap();
            stream.write_all(b"hello").unwrap();
            stream.close().unwrap();
        });
        let connecting = small().spawn(move || {
            let mut stream = client.connect("localhost", near).unwrap();
            let mut text = String::new();
            stream.read_to_string(&mut text).unwrap();
            text
        });
        assert_eq!(connecting.unwrap().join().unwrap(), "hello");
        accepting.unwrap().join().unwrap();
    });
}
