//! TLS with OpenSSL at the other end, in both directions.

#![cfg(feature = "tls")]

#[path = "common/certificates.rs"]
mod certificates;
mod common;

use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread;

use actor_core::Tasklet;
use actor_io::{BufferedStream, TcpStream};
use actor_net::tls::{ClientTls, ServerTls, TlsError, TlsStream, rustls::ProtocolVersion};
use actor_net::{Connector, Server, ServerHandle};
use certificates::{Authority, Pem};
use common::{PATIENCE, eventually, in_tasklet};

/// Files for one test, taken away at its end.
struct Scratch(PathBuf);

impl Scratch {
    fn new(test: &str) -> Scratch {
        let name = format!("actor-net-{test}-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        Scratch(path)
    }

    fn file(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.0.join(name);
        fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// A certificate and its key, as options.
    fn identity(&self, name: &str, pem: &Pem) -> [String; 4] {
        let chain = self.file(&format!("{name}.pem"), &pem.chain);
        let key = self.file(&format!("{name}.key"), &pem.key);
        ["-cert".to_owned(), chain, "-key".to_owned(), key]
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

type Said = Arc<Mutex<Vec<u8>>>;

/// A process of OpenSSL's, killed if it is still there at the end.
struct OpenSsl {
    child: Child,
    /// What it has written so far.
    said: Said,
    /// That part of it that was for the standard output.
    output: Said,
    /// They read that, to its end.
    readers: [thread::JoinHandle<()>; 2],
}

impl OpenSsl {
    fn start(args: &[&str], more: &[String], dir: Option<&Path>) -> OpenSsl {
        let mut command = Command::new("openssl");
        command.args(args).args(more);
        if let Some(dir) = dir {
            command.current_dir(dir);
        }
        command.stdin(Stdio::piped());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("openssl is installed");
        let (said, output) = (Said::default(), Said::default());
        let readers = [
            keep(
                child.stdout.take().unwrap(),
                vec![said.clone(), output.clone()],
            ),
            keep(child.stderr.take().unwrap(), vec![said.clone()]),
        ];
        OpenSsl {
            child,
            said,
            output,
            readers,
        }
    }

    fn client(port: u16, ca: &str, args: &[&str], more: &[String]) -> OpenSsl {
        let at = format!("127.0.0.1:{port}");
        let mut all = vec!["s_client", "-connect", &at, "-CAfile", ca];
        all.extend(["-verify_return_error", "-servername", "localhost"]);
        all.extend(args);
        OpenSsl::start(&all, more, None)
    }

    /// A server, and its port.
    fn server(args: &[&str], more: &[String], dir: Option<&Path>) -> (OpenSsl, u16) {
        let mut all = vec!["s_server", "-accept", "127.0.0.1:0"];
        all.extend(args);
        let server = OpenSsl::start(&all, more, dir);
        server.expect("ACCEPT 127.0.0.1:");
        let said = server.said();
        let port = said.split("ACCEPT 127.0.0.1:").nth(1).unwrap();
        let port = port.lines().next().unwrap().parse().unwrap();
        (server, port)
    }

    fn said(&self) -> String {
        String::from_utf8_lossy(&self.said.lock().unwrap()).into_owned()
    }

    /// Waits until it has said this.
    fn expect(&self, text: &str) {
        let begun = std::time::Instant::now();
        while !self.said().contains(text) {
            let said = self.said();
            assert!(begun.elapsed() < PATIENCE, "{text:?} never came in: {said}");
            Tasklet::sleep(std::time::Duration::from_millis(1));
        }
    }

    fn tell(&mut self, text: &str) {
        let stdin = self.child.stdin.as_mut().unwrap();
        stdin.write_all(text.as_bytes()).unwrap();
        stdin.flush().unwrap();
    }

    /// Waits for its end, and until all it has said has been read.
    fn wait(&mut self) -> ExitStatus {
        let mut status = None;
        eventually("the end of openssl", || {
            status = self.child.try_wait().unwrap();
            status.is_some() && self.readers.iter().all(thread::JoinHandle::is_finished)
        });
        status.unwrap()
    }
}

impl Drop for OpenSsl {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn keep(mut pipe: impl Read + Send + 'static, places: Vec<Said>) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        let mut bytes = [0; 64 * 1024];
        loop {
            match pipe.read(&mut bytes) {
                Ok(0) => break,
                Ok(count) => {
                    for place in &places {
                        place.lock().unwrap().extend_from_slice(&bytes[..count]);
                    }
                }
                Err(error) => assert_eq!(error.kind(), ErrorKind::Interrupted),
            }
        }
    })
}

fn patient(stream: &TlsStream) {
    let stream: &TcpStream = stream.get_ref();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
}

/// Tells the client what is known of it, and then a line for a line until `quit`.
fn echo(stream: TlsStream) -> io::Result<()> {
    patient(&stream);
    let hello = format!(
        "{:?} at {:?}, {}",
        stream.version().unwrap(),
        stream.server_name().unwrap(),
        match stream.peer_certificates() {
            [] => "a stranger",
            _ => "known",
        },
    );
    let mut stream = BufferedStream::new(stream);
    stream.writer().write_line(hello)?;
    stream.flush()?;
    while let Some(line) = stream.reader().read_line()? {
        if line == "quit" {
            break;
        }
        stream.writer().write_line(format!("you said: {line}"))?;
        stream.flush()?;
    }
    Ok(())
}

/// A server whose handlers' results can be looked at.
fn serve(tls: ServerTls) -> (ServerHandle, Receiver<io::Result<()>>) {
    let (sender, results) = channel();
    let sender = Mutex::new(sender);
    let server = Server::bind("127.0.0.1:0").unwrap().tls(tls);
    let server = server.spawn(move |stream| {
        let result = echo(stream);
        let _ = sender.lock().unwrap().send(result);
    });
    (server.unwrap(), results)
}

fn next(results: &Receiver<io::Result<()>>) -> io::Result<()> {
    let mut result = None;
    eventually("the end of the handler", || {
        result = results.try_recv().ok();
        result.is_some()
    });
    result.unwrap()
}

#[test]
fn s_client_talks_to_our_server() {
    in_tasklet(|| {
        let scratch = Scratch::new("talks");
        let authority = Authority::new("authority");
        let ca = scratch.file("ca.pem", authority.pem());
        let identity = authority.identity(&["localhost"]);
        let tls = ServerTls::builder().identity(identity).alpn(["echo"]);
        let (server, results) = serve(tls.build().unwrap());
        let port = server.local_addr().port();

        for (option, version) in [("-tls1_3", "TLSv1_3"), ("-tls1_2", "TLSv1_2")] {
            // The server ends it.
            let mut client = OpenSsl::client(port, &ca, &[option, "-alpn", "other,echo"], &[]);
            client.expect(&format!("{version} at \"localhost\", a stranger"));
            client.expect("ALPN protocol: echo");
            client.expect("Verify return code: 0 (ok)");
            client.tell("hello\n");
            client.expect("you said: hello\n");
            client.tell("quit\n");
            assert!(client.wait().success(), "{}", client.said());
            next(&results).unwrap();

            // The client ends it, in order.
            let mut client = OpenSsl::client(port, &ca, &[option], &[]);
            client.expect(version);
            client.tell("Q\n");
            assert!(client.wait().success(), "{}", client.said());
            next(&results).unwrap();

            // And in disorder.
            let mut client = OpenSsl::client(port, &ca, &[option], &[]);
            client.expect(version);
            client.tell("hello\n");
            client.expect("you said: hello\n");
            client.child.kill().unwrap();
            let error = next(&results).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::UnexpectedEof, "{error}");
        }

        // New keys in the middle, asked for by the client and wanted of the server.
        let mut client = OpenSsl::client(port, &ca, &["-tls1_3"], &[]);
        client.expect("TLSv1_3");
        for (count, (command, line)) in [("k\n", "one\n"), ("K\n", "two\n"), ("K\n", "three\n")]
            .into_iter()
            .enumerate()
        {
            client.tell(command);
            // What it reads together with a command is lost.
            eventually("new keys", || {
                client.said().matches("KEYUPDATE").count() > count
            });
            client.tell(line);
            client.expect(&format!("you said: {line}"));
        }
        client.tell("quit\n");
        assert!(client.wait().success(), "{}", client.said());
        next(&results).unwrap();

        // With TLS 1.2 it may ask for a new handshake, which it does not get.
        let mut client = OpenSsl::client(port, &ca, &["-tls1_2"], &[]);
        client.expect("TLSv1_2");
        client.tell("R\n");
        client.wait();
        let _ = next(&results);

        // Who does not trust the server goes.
        let other = scratch.file("other.pem", Authority::new("other").pem());
        let mut client = OpenSsl::client(port, &other, &[], &[]);
        assert!(!client.wait().success(), "{}", client.said());

        // Whoever does not speak TLS at all gets an alert, and nobody else is concerned.
        let mut plain = TcpStream::connect(server.local_addr()).unwrap();
        plain.set_read_timeout(Some(PATIENCE)).unwrap();
        plain.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
        let mut alert = Vec::new();
        plain.read_to_end(&mut alert).unwrap();
        assert_eq!(alert.first(), Some(&21), "{alert:?}");
        eventually("the end of all", || server.connections() == 0);
        assert!(results.try_recv().is_err(), "no handler was called");
        server.shutdown(PATIENCE).unwrap();
    });
}

#[test]
fn s_client_resumes_and_proves_who_it_is() {
    in_tasklet(|| {
        let scratch = Scratch::new("resumes");
        let authority = Authority::new("authority");
        let ca = scratch.file("ca.pem", authority.pem());
        let tls = ServerTls::builder()
            .identity(authority.identity(&["localhost"]))
            .require_client(authority.roots())
            .build()
            .unwrap();
        let (server, results) = serve(tls);
        let port = server.local_addr().port();
        let good = scratch.identity("good", &authority.certify(&["client"]));
        let bad = Authority::new("other").certify(&["client"]);
        let bad = scratch.identity("bad", &bad);

        for (option, version) in [("-tls1_3", "TLSv1_3"), ("-tls1_2", "TLSv1_2")] {
            let session = scratch.0.join(option).to_str().unwrap().to_owned();
            for (sessions, how) in [("-sess_out", "New, "), ("-sess_in", "Reused, ")] {
                let args = [option, sessions, &session];
                let mut client = OpenSsl::client(port, &ca, &args, &good);
                client.expect(how);
                client.expect(&format!("{version} at \"localhost\", known"));
                client.tell("quit\n");
                assert!(client.wait().success(), "{}", client.said());
                next(&results).unwrap();
            }
            for identity in [&bad[..], &[]] {
                let mut client = OpenSsl::client(port, &ca, &[option], identity);
                assert!(!client.wait().success(), "{}", client.said());
                assert!(client.said().contains("alert"), "{}", client.said());
            }
        }
        eventually("the end of all", || server.connections() == 0);
        assert!(results.try_recv().is_err(), "no handler was called");
        server.shutdown(PATIENCE).unwrap();
    });
}

/// Some megabytes there and back again, by a peer that reads and writes as it can.
#[test]
fn s_client_sends_much_and_gets_it_back() {
    in_tasklet(|| {
        let scratch = Scratch::new("much");
        let authority = Authority::new("authority");
        let ca = scratch.file("ca.pem", authority.pem());
        let tls = ServerTls::new(authority.identity(&["localhost"])).unwrap();
        let server = Server::bind("127.0.0.1:0").unwrap().tls(tls);
        let server = server.spawn(|mut stream: TlsStream| -> io::Result<()> {
            patient(&stream);
            let mut bytes = vec![0; 10_000];
            let mut left = LEN;
            while left > 0 {
                let count = stream.read(&mut bytes)?;
                stream.write_all(&bytes[..count])?;
                left -= count;
            }
            Ok(())
        });
        const LEN: usize = 8_000_000;
        let server = server.unwrap();
        let port = server.local_addr().port();
        let sent: Vec<u8> = (0..LEN).map(|at| (at * 31 % 251) as u8).collect();
        let mut client = OpenSsl::client(port, &ca, &["-quiet"], &[]);
        let mut stdin = client.child.stdin.take().unwrap();
        let writing = thread::spawn({
            let sent = sent.clone();
            move || stdin.write_all(&sent).map(|()| stdin).unwrap()
        });
        client.wait();
        drop(writing.join().unwrap());
        assert!(*client.output.lock().unwrap() == sent);
        server.shutdown(PATIENCE).unwrap();
    });
}

#[test]
fn our_client_talks_to_s_server() {
    in_tasklet(|| {
        let scratch = Scratch::new("server");
        let authority = Authority::new("authority");
        let identity = scratch.identity("server", &authority.certify(&["localhost"]));
        let ca = scratch.file("ca.pem", authority.pem());
        for (option, version) in [
            ("-tls1_3", ProtocolVersion::TLSv1_3),
            ("-tls1_2", ProtocolVersion::TLSv1_2),
        ] {
            // It turns lines round.
            let args = [option, "-rev", "-alpn", "echo"];
            let (server, port) = OpenSsl::server(&args, &identity, None);
            let tls = ClientTls::builder(authority.roots()).alpn(["echo", "other"]);
            let connector = Connector::builder().timeout(PATIENCE);
            let connector = connector.tls(tls.build().unwrap());
            for round in 0..2 {
                let stream = connector.connect("localhost", port).unwrap();
                patient(&stream);
                assert_eq!(stream.version(), Some(version));
                assert_eq!(stream.alpn(), Some(&b"echo"[..]));
                assert_eq!(stream.is_resumed(), round > 0);
                let mut stream = BufferedStream::new(stream);
                stream.writer().write_line("hello").unwrap();
                stream.flush().unwrap();
                let line = stream.reader().read_line().unwrap();
                assert_eq!(line.as_deref(), Some("olleh"));
                stream.into_inner().close().unwrap();
            }

            // Cut off in the middle.
            let mut stream = connector.connect("localhost", port).unwrap();
            patient(&stream);
            stream.write_all(b"hello\n").unwrap();
            stream.read_exact(&mut [0; 6]).unwrap();
            drop(server);
            let error = stream.read(&mut [0; 1]).unwrap_err();
            let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
            assert!(matches!(inner, Some(TlsError::Truncated)), "{error:?}");

            // One that wants to know who we are.
            let args = [option, "-rev", "-Verify", "1", "-verify_return_error"];
            let args = [&args[..], &["-CAfile", &ca]].concat();
            let (_server, port) = OpenSsl::server(&args, &identity, None);
            let known = authority.identity(&["client"]);
            let stranger = Authority::new("other").identity(&["client"]);
            for (who, welcome) in [(Some(known), true), (Some(stranger), false), (None, false)] {
                let mut builder = ClientTls::builder(authority.roots());
                if let Some(who) = who {
                    builder = builder.identity(who);
                }
                let connector = Connector::tls(builder.build().unwrap());
                let ask = || -> io::Result<()> {
                    let mut stream = connector.connect("localhost", port)?;
                    patient(&stream);
                    stream.write_all(b"hello\n")?;
                    stream.read_exact(&mut [0; 6])?;
                    stream.close()
                };
                match ask() {
                    Ok(()) => assert!(welcome),
                    Err(error) => {
                        assert!(!welcome, "{error}");
                        // The alert, unless a reset has overtaken it.
                        let kind = error.kind();
                        let expected = [ErrorKind::InvalidData, ErrorKind::ConnectionReset];
                        assert!(
                            expected.contains(&kind) || kind == ErrorKind::BrokenPipe,
                            "{error}"
                        );
                    }
                }
            }
        }

        // An impostor.
        let other = scratch.identity("other", &Authority::new("other").certify(&["localhost"]));
        let (_server, port) = OpenSsl::server(&["-rev"], &other, None);
        let connector = Connector::tls(ClientTls::new(authority.roots()).unwrap());
        let error = connector.connect("localhost", port).unwrap_err();
        assert_eq!(io::Error::from(error).kind(), ErrorKind::InvalidData);
    });
}

#[test]
fn our_client_fetches_a_large_file_from_s_server() {
    in_tasklet(|| {
        let scratch = Scratch::new("file");
        let authority = Authority::new("authority");
        let identity = scratch.identity("server", &authority.certify(&["localhost"]));
        let content: Vec<u8> = (0..20_000_000).map(|at| (at * 31 % 251) as u8).collect();
        scratch.file("large.bin", &content);
        let (_server, port) = OpenSsl::server(&["-WWW"], &identity, Some(&scratch.0));
        let connector = Connector::tls(ClientTls::new(authority.roots()).unwrap());
        let mut stream = connector.connect("localhost", port).unwrap();
        patient(&stream);
        stream
            .write_all(b"GET /large.bin HTTP/1.0\r\n\r\n")
            .unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        assert!(answer.starts_with(b"HTTP/1.0 200 ok\r\n"));
        assert!(answer.ends_with(&content));
    });
}
