//! Copying between streams, in one direction and in both, and sending files.

mod common;

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::path::PathBuf;
use std::time::Duration;

use actor_core::{Tasklet, timeout};
use actor_io::{
    Descriptor, Endpoint, Split, TcpListener, TcpStream, UnixStream, copy, copy_bidirectional,
    send_file,
};
use common::{everywhere, in_tasklet, narrow_pair, pair, pattern};

const MOMENT: Duration = Duration::from_millis(20);
const LARGE: usize = 3_000_000;

/// Runs `f` beside the caller, which may be a thread.
fn beside<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> impl FnOnce() -> T {
    enum Beside<T> {
        Tasklet(actor_core::JoinHandle<T>),
        Thread(std::thread::JoinHandle<T>),
    }
    let beside = match Tasklet::try_current() {
        Some(_) => Beside::Tasklet(Tasklet::spawn(f)),
        None => Beside::Thread(std::thread::spawn(f)),
    };
    move || match beside {
        Beside::Tasklet(handle) => handle.join().unwrap(),
        Beside::Thread(handle) => handle.join().unwrap(),
    }
}

/// Sends `bytes` through `from`, copies what comes out of `reader` to `writer`, and checks what then comes
/// out of `to`.
fn carries(
    bytes: Vec<u8>,
    mut from: impl Write + Send + 'static,
    mut reader: impl Read + Endpoint + Send + 'static,
    mut writer: impl Write + Endpoint + Send + 'static,
    mut to: impl Read,
) {
    let sent = bytes.clone();
    let sender = beside(move || from.write_all(&sent).unwrap());
    let copier = beside(move || copy(&mut reader, &mut writer).unwrap());
    let mut all = Vec::new();
    to.read_to_end(&mut all).unwrap();
    sender();
    assert_eq!(copier(), bytes.len() as u64);
    assert!(all == bytes, "{} of {} bytes", all.len(), bytes.len());
}

/// A stream of which the system sees nothing.
struct Opaque<S>(S);

impl<S: Read> Read for Opaque<S> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.read(buf)
    }
}

impl<S: Write> Write for Opaque<S> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.0.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl<S: Endpoint> Endpoint for Opaque<S> {
    fn close_write(&mut self) -> io::Result<()> {
        self.0.close_write()
    }

    fn abort(&self) {
        self.0.abort();
    }
}

impl<S: Split> Split for Opaque<S> {
    type Reader = Opaque<S::Reader>;
    type Writer = Opaque<S::Writer>;

    fn split(self) -> (Self::Reader, Self::Writer) {
        let (reader, writer) = self.0.split();
        (Opaque(reader), Opaque(writer))
    }

    fn unsplit(reader: Self::Reader, writer: Self::Writer) -> Self {
        Opaque(S::unsplit(reader.0, writer.0))
    }
}

fn pipe() -> (Descriptor, Descriptor) {
    let (reader, writer) = io::pipe().unwrap();
    (
        Descriptor::new(reader).unwrap(),
        Descriptor::new(writer).unwrap(),
    )
}

#[test]
fn all_kinds_of_streams_are_copied_to_all_kinds() {
    everywhere(|| {
        for len in [0, 1, 16 * 1024, LARGE] {
            let bytes = || pattern(len);
            let ((a, b), (c, d)) = (narrow_pair(), narrow_pair());
            carries(bytes(), a, b, c, d);
            let ((a, b), (c, d)) = (pair(), UnixStream::pair().unwrap());
            carries(bytes(), a, b, c, d);
            let ((a, b), (c, d)) = (UnixStream::pair().unwrap(), pair());
            carries(bytes(), a, b, c, d);
            let ((a, b), (d, c)) = (UnixStream::pair().unwrap(), pipe());
            carries(bytes(), a, b, c, d);
            let ((b, a), (d, c)) = (pipe(), pipe());
            carries(bytes(), a, b, c, d);
            let ((a, b), (c, d)) = (pair(), pair());
            carries(bytes(), a, Opaque(b), c, d);
        }
    });
}

/// A file that is gone at the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Scratch {
        let kind = Tasklet::try_current().map_or("thread", |_| "tasklet");
        let name = format!("{name}-{kind}-{}", std::process::id());
        Scratch(std::env::temp_dir().join(name))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[test]
fn what_has_been_read_when_the_system_refuses_is_not_lost() {
    everywhere(|| {
        // The system does not splice to files that are appended to.
        let scratch = Scratch::new("appended");
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&scratch.0)
            .unwrap();
        let mut file = Descriptor::new(file).unwrap();
        let (mut near, mut far) = pair();
        let bytes = pattern(LARGE);
        let sent = bytes.clone();
        let sender = beside(move || {
            near.write_all(&sent).unwrap();
        });
        assert_eq!(copy(&mut far, &mut file).unwrap(), LARGE as u64);
        sender();
        assert!(fs::read(&scratch.0).unwrap() == bytes);
    });
}

#[test]
fn a_copy_tells_which_failure_it_was() {
    everywhere(|| {
        let ((near, mut far), (mut out, reader)) = (pair(), pair());
        near.set_linger(Some(Duration::ZERO)).unwrap();
        drop(near);
        let error = copy(&mut far, &mut out).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);

        // Of a peer that no longer reads the second write hears at the latest.
        let (mut near, mut far) = pair();
        drop(reader);
        let sender = beside(move || while near.write_all(&[0; 10_000]).is_ok() {});
        let error = copy(&mut far, &mut out).unwrap_err();
        assert!(
            matches!(
                error.kind(),
                ErrorKind::BrokenPipe | ErrorKind::ConnectionReset
            ),
            "{error}"
        );
        drop(far);
        sender();
        let mut limited = {
            let (near, far) = pair();
            std::mem::forget(near);
            far.with_timeout(MOMENT)
        };
        let error = copy(&mut limited, &mut out).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
    });
}

/// A proxy between two ends of which it gives the others.
fn proxy() -> (
    TcpStream,
    UnixStream,
    impl FnOnce() -> io::Result<(u64, u64)>,
) {
    let (client, a) = pair();
    let (b, server) = UnixStream::pair().unwrap();
    (client, server, beside(move || copy_bidirectional(a, b)))
}

#[test]
fn both_directions_end_by_themselves() {
    everywhere(|| {
        let (mut client, mut server, proxied) = proxy();
        client.write_all(b"question").unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        let mut question = String::new();
        server.read_to_string(&mut question).unwrap();
        assert_eq!(question, "question");
        server.write_all(b"the answer").unwrap();
        drop(server);
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        assert_eq!(answer, "the answer");
        assert_eq!(proxied().unwrap(), (8, 10));
    });
}

#[test]
fn much_goes_both_ways_at_once() {
    everywhere(|| {
        let (mut client, mut server, proxied) = proxy();
        let echo = beside(move || {
            let mut buf = vec![0; 30_000];
            loop {
                match server.read(&mut buf).unwrap() {
                    0 => break,
                    len => server.write_all(&buf[..len]).unwrap(),
                }
            }
        });
        let bytes = pattern(LARGE);
        let mut writer = client.try_clone().unwrap();
        let sent = bytes.clone();
        let writer = beside(move || {
            writer.write_all(&sent).unwrap();
            writer.shutdown(Shutdown::Write).unwrap();
        });
        let mut back = Vec::new();
        client.read_to_end(&mut back).unwrap();
        assert!(back == bytes);
        writer();
        echo();
        assert_eq!(proxied().unwrap(), (LARGE as u64, LARGE as u64));
    });
}

#[test]
fn streams_that_the_system_does_not_see_are_copied_both_ways() {
    everywhere(|| {
        let ((mut client, a), (b, mut server)) = (pair(), pair());
        let proxied = beside(move || copy_bidirectional(Opaque(a), Opaque(b)));
        client.write_all(b"ping").unwrap();
        let mut buf = [0; 4];
        server.read_exact(&mut buf).unwrap();
        server.write_all(b"pong").unwrap();
        client.read_exact(&mut buf).unwrap();
        drop(client);
        assert_eq!(server.read(&mut buf).unwrap(), 0);
        drop(server);
        assert_eq!(proxied().unwrap(), (4, 4));
    });
}

#[test]
fn a_reset_of_either_end_ends_both() {
    everywhere(|| {
        let (client, mut server, proxied) = proxy();
        client.set_linger(Some(Duration::ZERO)).unwrap();
        drop(client);
        assert_eq!(proxied().unwrap_err().kind(), ErrorKind::ConnectionReset);
        assert_eq!(server.read(&mut [0; 4]).unwrap(), 0);

        // The other direction, which the caller itself does not wait for.
        let ((a, client), (server, b)) = (UnixStream::pair().unwrap(), pair());
        let proxied = beside(move || copy_bidirectional(a, b));
        server.set_linger(Some(Duration::ZERO)).unwrap();
        drop(server);
        assert_eq!(proxied().unwrap_err().kind(), ErrorKind::ConnectionReset);
        assert_eq!((&client).read(&mut [0; 4]).unwrap(), 0);
    });
}

#[test]
fn an_end_that_stalls_is_given_up() {
    everywhere(|| {
        let ((mut client, a), (b, server)) = (narrow_pair(), narrow_pair());
        b.set_write_timeout(Some(MOMENT)).unwrap();
        let proxied = beside(move || copy_bidirectional(a, b));
        // The server reads nothing.
        while client.write(&[0; 65536]).is_ok() {}
        assert_eq!(proxied().unwrap_err().kind(), ErrorKind::TimedOut);
        drop(server);
    });
}

#[test]
fn a_kill_or_a_deadline_closes_both_streams() {
    in_tasklet(|| {
        let ((mut client, a), (b, mut server)) = (pair(), pair());
        let proxy = Tasklet::spawn(move || copy_bidirectional(a, b));
        client.write_all(b"x").unwrap();
        server.read_exact(&mut [0; 1]).unwrap();
        assert_eq!(proxy.children().len(), 1);
        proxy.kill();
        assert!(proxy.join().is_err());
        assert_eq!(client.read(&mut [0; 4]).unwrap(), 0);
        assert_eq!(server.read(&mut [0; 4]).unwrap(), 0);

        let ((mut client, a), (b, mut server)) = (pair(), pair());
        let result = timeout(MOMENT, || copy_bidirectional(a, b));
        assert_eq!(result.unwrap_err().kind(), ErrorKind::TimedOut);
        assert_eq!(client.read(&mut [0; 4]).unwrap(), 0);
        assert_eq!(server.read(&mut [0; 4]).unwrap(), 0);
    });
}

#[test]
fn files_are_sent_whole_and_in_part() {
    everywhere(|| {
        let scratch = Scratch::new("sent");
        let bytes = pattern(LARGE);
        fs::write(&scratch.0, &bytes).unwrap();
        let len = LARGE as u64;
        for (offset, wanted, expected) in [
            (0, None, 0..LARGE),
            (1000, None, 1000..LARGE),
            (5, Some(10), 5..15),
            (7, Some(500_000), 7..500_007),
            (5, Some(0), 0..0),
            (len - 3, Some(10), LARGE - 3..LARGE),
            (len + 10, None, 0..0),
            (0, Some(u64::MAX), 0..LARGE),
        ] {
            for opaque in [false, true] {
                let file = File::open(&scratch.0).unwrap();
                let (mut near, mut far) = narrow_pair();
                let sender = beside(move || {
                    let sent = if opaque {
                        send_file(&file, &mut Opaque(&near), offset, wanted)
                    } else {
                        send_file(&file, &mut near, offset, wanted)
                    };
                    sent.unwrap()
                });
                let mut all = Vec::new();
                far.read_to_end(&mut all).unwrap();
                assert_eq!(sender(), expected.len() as u64);
                assert!(all == bytes[expected.clone()], "{expected:?}");
            }
        }
    });
}

#[test]
fn a_file_that_cannot_be_sent_is_told() {
    everywhere(|| {
        let scratch = Scratch::new("unsent");
        fs::write(&scratch.0, pattern(LARGE)).unwrap();
        let file = File::open(&scratch.0).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (far, _) = listener.accept().unwrap();
        let error = send_file(&file, &mut near.with_timeout(MOMENT), 0, None);
        // Unless the buffers of the system have taken all of it.
        if let Err(error) = error {
            assert_eq!(error.kind(), ErrorKind::TimedOut);
        }
        drop(far);
        let error = loop {
            if let Err(error) = send_file(&file, &mut near, 0, None) {
                break error;
            }
        };
        assert!(
            matches!(
                error.kind(),
                ErrorKind::BrokenPipe | ErrorKind::ConnectionReset
            ),
            "{error}"
        );
        let directory = File::open(std::env::temp_dir()).unwrap();
        let (mut near, _far) = pair();
        let error = send_file(&directory, &mut near, 0, None).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::IsADirectory);
    });
}

#[test]
fn files_of_the_system_are_sent_too() {
    everywhere(|| {
        let expected = fs::read("/proc/version").unwrap();
        let (mut near, mut far) = UnixStream::pair().unwrap();
        let file = File::open("/proc/version").unwrap();
        assert_eq!(
            send_file(&file, &mut near, 0, None).unwrap(),
            expected.len() as u64
        );
        drop(near);
        let mut all = Vec::new();
        far.read_to_end(&mut all).unwrap();
        assert!(all == expected);
    });
}
