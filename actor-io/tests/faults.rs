//! Peers that reset, stall and end at every point of an exchange, and descriptors that run out: each
//! ends in an error of its own within its time, and leaves neither descriptor nor tasklet behind.

mod common;

use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::os::linux::net::SocketAddrExt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use actor_core::Tasklet;
use actor_io::{
    BufferedStream, Descriptor, TcpListener, TcpStream, UdpSocket, UnixDatagram, UnixListener,
    UnixStream, copy, copy_bidirectional, wait_readable,
};
use common::{PATIENCE, eventually, in_tasklet, pair};

/// Far more than an exchange takes, and what a stall costs.
const LIMIT: Duration = Duration::from_millis(25);

/// What the two sides say, in turn: the client begins.
const EXCHANGE: [&[u8]; 4] = [
    b"HELLO first line\r\n",
    b"200 welcome, go on\r\n",
    b"DATA some more of it\r\n",
    b"250 taken, good bye\r\n",
];

/// The tests count what the whole process has.
fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Runs `test` in a tasklet, after which there must be as many descriptors as before, and no tasklet.
fn leaves_nothing_behind(test: impl FnOnce() + Send + 'static) {
    let _alone = alone();
    // The runtime's own, which stay, are made before.
    in_tasklet(|| {
        let (mut near, mut far) = pair();
        near.set_read_timeout(Some(LIMIT)).unwrap();
        near.read(&mut [0; 1]).unwrap_err();
        far.write_all(b"x").unwrap();
    });
    let before = descriptors();
    in_tasklet(move || {
        test();
        let me = Tasklet::current();
        eventually("the end of all tasklets", || me.children().is_empty());
    });
    assert_eq!(descriptors(), before);
}

/// What a peer does that keeps to the protocol for some bytes only.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    Reset,
    End,
    Stall,
}

/// One side of the exchange; the steps that are its own have this remainder.
fn converse(mut stream: impl Read + Write, own: usize) -> io::Result<()> {
    for (step, words) in EXCHANGE.iter().enumerate() {
        if step % 2 == own {
            stream.write_all(words)?;
        } else {
            let mut heard = vec![0; words.len()];
            stream.read_exact(&mut heard)?;
            assert_eq!(heard, *words, "what came is what was sent");
        }
    }
    Ok(())
}

/// As [`converse`], for as long as there is patience left: after so many bytes, said and heard, the fault
/// happens. On threads, with the standard library's sockets: it is the peer.
fn misbehave(
    mut stream: std::net::TcpStream,
    own: usize,
    mut patience: usize,
    fault: Fault,
) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    for (step, words) in EXCHANGE.iter().enumerate() {
        let len = words.len().min(patience);
        if step % 2 == own {
            stream.write_all(&words[..len])?;
        } else {
            stream.read_exact(&mut vec![0; len])?;
        }
        patience -= len;
        if patience == 0 {
            break;
        }
    }
    match fault {
        Fault::Reset => socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)),
        Fault::End => Ok(()),
        // Until the other has lost its patience: what it has sent is read, but not answered.
        Fault::Stall => io::copy(&mut stream, &mut io::sink()).map(drop),
    }
}

#[test]
fn faults_at_every_byte_are_told_by_the_right_error() {
    leaves_nothing_behind(|| {
        let total: usize = EXCHANGE.iter().map(|words| words.len()).sum();
        for fault in [Fault::Reset, Fault::End, Fault::Stall] {
            for own in [0, 1] {
                for patience in 0..total {
                    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
                    let addr = listener.local_addr().unwrap();
                    let peer = thread::spawn(move || {
                        let (stream, _) = listener.accept().unwrap();
                        misbehave(stream, 1 - own, patience, fault)
                    });
                    let begun = Instant::now();
                    // Every byte may take as long as it wants, all of them together may not.
                    let limit = match fault {
                        Fault::Stall => LIMIT,
                        _ => PATIENCE,
                    };
                    let conversation = Tasklet::spawn(move || {
                        // Which hears of a reset that comes at once.
                        let stream = TcpStream::connect(addr)?;
                        converse(stream.with_timeout(limit), own)
                    });
                    let result = conversation.join().unwrap();
                    let took = begun.elapsed();
                    let misbehaved = peer.join().unwrap();
                    let case = format!("{fault:?} of {own} at {patience}: {result:?}");
                    assert!(took < PATIENCE, "{case}");
                    // Whose patience has come to an end may have left something unread.
                    assert!(misbehaved.is_ok() || fault == Fault::Stall, "{case}");
                    let kind = result.as_ref().map_err(io::Error::kind);
                    // Whoever has the last word need not hear that it was not heard.
                    let last_word = own == 1 && patience >= total - EXCHANGE[3].len();
                    let right = match (kind, fault) {
                        (Ok(()), _) => last_word,
                        (Err(ErrorKind::ConnectionReset | ErrorKind::BrokenPipe), Fault::Reset) => {
                            true
                        }
                        // An end with something unread is a reset.
                        (
                            Err(
                                ErrorKind::UnexpectedEof
                                | ErrorKind::ConnectionReset
                                | ErrorKind::BrokenPipe,
                            ),
                            Fault::End,
                        ) => true,
                        (Err(ErrorKind::TimedOut), Fault::Stall) => true,
                        _ => false,
                    };
                    assert!(right, "{case}");
                }
            }
        }
    });
}

#[test]
fn lines_are_whole_or_an_error_wherever_the_peer_resets() {
    leaves_nothing_behind(|| {
        let text = b"one\r\ntwo and more\r\n\r\nfour\r\n";
        for len in 0..=text.len() {
            let (mut near, far) = pair();
            far.set_read_timeout(Some(PATIENCE)).unwrap();
            let reader = Tasklet::spawn(move || {
                let mut stream = BufferedStream::new(far);
                let mut lines = Vec::new();
                loop {
                    match stream.reader().read_line() {
                        Ok(Some(line)) => lines.push(line),
                        Ok(None) => return (lines, None),
                        Err(error) => return (lines, Some(error.kind())),
                    }
                }
            });
            near.write_all(&text[..len]).unwrap();
            near.set_linger(Some(Duration::ZERO)).unwrap();
            drop(near);
            let (lines, end) = reader.join().unwrap();
            assert_eq!(end, Some(ErrorKind::ConnectionReset));
            let whole = text[..len].iter().filter(|&&byte| byte == b'\n').count();
            assert!(lines.len() <= whole, "{lines:?} of {len} bytes");
            let all = ["one", "two and more", "", "four"];
            assert_eq!(lines, all[..lines.len()]);
        }
    });
}

#[test]
fn proxies_survive_resets_at_every_byte() {
    leaves_nothing_behind(|| {
        let said = EXCHANGE[0].len() + EXCHANGE[1].len();
        for own in [0, 1] {
            for patience in 0..said {
                let server = TcpListener::bind("127.0.0.1:0").unwrap();
                let front = TcpListener::bind("127.0.0.1:0").unwrap();
                let (server_addr, addr) =
                    (server.local_addr().unwrap(), front.local_addr().unwrap());
                let proxy = Tasklet::spawn(move || {
                    let (client, _) = front.accept().unwrap();
                    copy_bidirectional(client, TcpStream::connect(server_addr).unwrap())
                });
                let client = std::net::TcpStream::connect(addr).unwrap();
                let (server, _) = server.accept().unwrap();
                let server = std::net::TcpStream::try_from(server).unwrap();
                let (bad, mut good) = match own {
                    0 => (client, server),
                    _ => (server, client),
                };
                let peer = thread::spawn(move || {
                    good.set_read_timeout(Some(PATIENCE)).unwrap();
                    if own == 1 {
                        let _ = good.write_all(EXCHANGE[0]);
                    } else {
                        let mut heard = vec![0; EXCHANGE[0].len()];
                        if good.read_exact(&mut heard).is_ok() {
                            let _ = good.write_all(EXCHANGE[1]);
                        }
                    }
                    // The proxy passes the end on, in whatever form.
                    match good.read_to_end(&mut Vec::new()) {
                        Ok(_) => {}
                        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
                    }
                });
                let bad = thread::spawn(move || misbehave(bad, own, patience, Fault::Reset));
                let result = proxy.join().unwrap();
                bad.join().unwrap().unwrap();
                peer.join().unwrap();
                assert_eq!(
                    result.unwrap_err().kind(),
                    ErrorKind::ConnectionReset,
                    "{own} at {patience}"
                );
            }
        }
    });
}

#[test]
fn kills_at_every_wait_close_what_was_open() {
    leaves_nothing_behind(|| {
        let ((near, _far), (far, _near)) = (pair(), pair());
        let (unix, _unix) = UnixStream::pair().unwrap();
        let (datagrams, _datagrams) = UnixDatagram::pair().unwrap();
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (reader, writer) = io::pipe().unwrap();
        let pipe = Descriptor::new(reader.try_clone().unwrap()).unwrap();
        let (other, _peer) = pair();
        let (mut a, b) = pair();
        let (c, mut d) = UnixStream::pair().unwrap();
        let waiting: Vec<Box<dyn FnOnce() + Send>> = vec![
            Box::new(move || drop((&near).read(&mut [0; 1]))),
            Box::new(move || drop((&far).write_all(&[0; 10_000_000]))),
            Box::new(move || drop((&unix).write_all(&[0; 10_000_000]))),
            Box::new(move || drop(datagrams.recv(&mut [0; 1]))),
            Box::new(move || drop(udp.recv_from(&mut [0; 1]))),
            Box::new(move || drop(listener.accept())),
            Box::new(move || drop((&pipe).read(&mut [0; 1]))),
            Box::new(move || drop(wait_readable(&reader, None))),
            Box::new(move || drop(copy(&mut &other, &mut io_sink()))),
            Box::new(move || drop(copy_bidirectional(b, c))),
        ];
        let waiting: Vec<_> = waiting.into_iter().map(Tasklet::spawn).collect();
        for tasklet in &waiting {
            eventually("a wait", || tasklet.is_blocked());
            tasklet.kill();
        }
        for tasklet in waiting {
            assert!(tasklet.join().is_err());
        }
        assert_eq!(a.read(&mut [0; 1]).unwrap(), 0);
        assert_eq!(d.read(&mut [0; 1]).unwrap(), 0);
        drop(writer);
    });
}

/// Somewhere to copy to.
fn io_sink() -> Descriptor {
    Descriptor::new(fs::File::options().write(true).open("/dev/null").unwrap()).unwrap()
}

/// Takes all the descriptors that the process may have, until dropped.
struct Exhausted {
    before: libc::rlimit,
    _held: Vec<fs::File>,
}

impl Exhausted {
    fn new() -> Exhausted {
        let mut before = libc::rlimit {
            rlim_cur: 0,
            rlim_max: 0,
        };
        // SAFETY: a place for the answer.
        let got = unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut before) };
        assert_eq!(got, 0);
        // So few that they are soon taken.
        limit(libc::rlimit {
            rlim_cur: 200,
            ..before
        });
        let mut held = Vec::new();
        while let Ok(file) = fs::File::open("/dev/null") {
            held.push(file);
        }
        Exhausted {
            before,
            _held: held,
        }
    }
}

impl Drop for Exhausted {
    fn drop(&mut self) {
        limit(self.before);
    }
}

fn limit(limit: libc::rlimit) {
    // SAFETY: a valid limit.
    let set = unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) };
    assert_eq!(set, 0);
}

#[test]
fn without_descriptors_all_that_needs_one_says_so() {
    leaves_nothing_behind(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr: SocketAddr = listener.local_addr().unwrap();
        let name = format!("exhausted-{}", std::process::id());
        let name = std::os::unix::net::SocketAddr::from_abstract_name(name).unwrap();
        let unix = UnixListener::bind_addr(&name).unwrap();
        let queued = [(); 2].map(|()| TcpStream::connect(addr).unwrap());
        let unix_queued = UnixStream::connect_addr(&name).unwrap();
        let (reader, _writer) = io::pipe().unwrap();
        let (mut near, mut far) = pair();
        let (mut out, mut end) = pair();

        let exhausted = Exhausted::new();
        let refused = |what: &str, error: io::Error| {
            assert_eq!(error.raw_os_error(), Some(libc::EMFILE), "{what}: {error}");
        };
        refused("accept", listener.accept().unwrap_err());
        refused("accept", listener.accept_or_stop().unwrap_err());
        refused("incoming", listener.incoming().next().unwrap().unwrap_err());
        refused("accept", unix.accept().unwrap_err());
        refused("connect", TcpStream::connect(addr).unwrap_err());
        refused("connect", UnixStream::connect_addr(&name).unwrap_err());
        refused("bind", TcpListener::bind("127.0.0.1:0").unwrap_err());
        refused("bind", UdpSocket::bind("127.0.0.1:0").unwrap_err());
        refused("pair", UnixStream::pair().unwrap_err());
        refused("pair", UnixDatagram::pair().unwrap_err());
        refused("unbound", UnixDatagram::unbound().unwrap_err());
        refused("wait", wait_readable(&reader, Some(LIMIT)).unwrap_err());
        // Another handle needs none, nor does a copy, which has no pipe then.
        near.try_clone().unwrap();
        let bytes = common::pattern(1_000_000);
        let sent = bytes.clone();
        let sender = Tasklet::spawn(move || near.write_all(&sent).unwrap());
        let copier = Tasklet::spawn(move || copy(&mut far, &mut out).unwrap());
        let mut all = Vec::new();
        end.read_to_end(&mut all).unwrap();
        sender.join().unwrap();
        assert_eq!(copier.join().unwrap(), bytes.len() as u64);
        assert!(all == bytes);

        // Those who wait are served once there are descriptors again.
        drop(exhausted);
        for client in &queued {
            let (_, peer) = listener.accept().unwrap();
            assert_eq!(peer, client.local_addr().unwrap());
        }
        unix.accept().unwrap();
        drop(unix_queued);
    });
}
