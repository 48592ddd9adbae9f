//! Who can use them: threads, actors, proxies, over any stream.

use super::*;

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
