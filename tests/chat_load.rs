//! Ten thousand people in one chat.
//!
//! The server is the example, written with tasklets and written with actors, in a process that may have 20,000 descriptors; the ten thousand
//! clients are this process's one thread and one epoll.

mod common;

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::Instant;

use common::{Client, PATIENCE, Program, example, limit_descriptors, raise_descriptor_limit};

const CLIENTS: usize = 10_000;
const LINES: usize = 100;

#[test]
fn each_of_100_lines_reaches_all_of_10_000_clients() {
    // One after the other: each takes most of the descriptors.
    for server in ["chat", "chat_actors"] {
        println!("{server}:");
        each_line_reaches_all(server);
    }
}

fn each_line_reaches_all(server: &str) {
    raise_descriptor_limit();
    let mut command = example(server);
    // The soft limit is too low: the server has to raise it.
    let chat = Program::start(limit_descriptors(&mut command, 1_024, 20_000).arg("127.0.0.1:0"));
    let addr = chat.address();
    let empty = chat.resident();

    let start = Instant::now();
    let crowd = Crowd::new((0..CLIENTS).map(|_| {
        let client = Client::join(addr);
        client.stream().try_clone().expect("a descriptor")
    }));
    println!(
        "{CLIENTS} clients have been welcomed after {:.1?}",
        start.elapsed()
    );
    let idle = chat.resident();

    let start = Instant::now();
    crowd.everyone_talks_and_listens();
    println!(
        "{} lines have arrived after {:.1?}",
        LINES * (CLIENTS - 1),
        start.elapsed()
    );
    let per_client = |bytes: u64| bytes.saturating_sub(empty) as f64 / CLIENTS as f64 / 1024.0;
    println!(
        "resident per client: {:.1} KiB idle, {:.1} KiB after the talk; {} memory maps, {} descriptors",
        per_client(idle),
        per_client(chat.resident()),
        chat.maps(),
        chat.descriptors()
    );
    assert!(chat.maps() <= 65_530);
    assert!(
        chat.descriptors() < CLIENTS + 200,
        "more than one descriptor a connection"
    );

    chat.signal(libc::SIGTERM);
    crowd.hear_the_end();
    let chat = chat.ended();
    assert_eq!(chat.code(), Some(0), "{}", chat.stderr);
}

/// Many clients, driven by one thread.
struct Crowd {
    streams: Vec<TcpStream>,
    epoll: OwnedFd,
}

/// What one client has heard.
#[derive(Clone, Default)]
struct Heard {
    /// One bit for each line.
    lines: u128,
    /// The beginning of a line of which the rest has yet to come.
    partial: Vec<u8>,
}

impl Crowd {
    fn new(streams: impl Iterator<Item = TcpStream>) -> Crowd {
        // SAFETY: a plain system call that makes a descriptor, which nothing else owns.
        let epoll = unsafe { OwnedFd::from_raw_fd(libc::epoll_create1(libc::EPOLL_CLOEXEC)) };
        let streams: Vec<_> = streams.collect();
        for (n, stream) in streams.iter().enumerate() {
            stream.set_nonblocking(true).unwrap();
            let mut event = libc::epoll_event {
                events: libc::EPOLLIN as u32,
                u64: n as u64,
            };
            // SAFETY: both descriptors are open and `event` is valid for the length of the call.
            let result = unsafe {
                libc::epoll_ctl(
                    epoll.as_raw_fd(),
                    libc::EPOLL_CTL_ADD,
                    stream.as_raw_fd(),
                    &mut event,
                )
            };
            assert_eq!(result, 0, "epoll_ctl: {}", std::io::Error::last_os_error());
        }
        Crowd { streams, epoll }
    }

    /// The numbers of the clients that have something to read. Fails if nothing comes at all.
    fn readable(&self) -> Vec<usize> {
        let mut events = [libc::epoll_event { events: 0, u64: 0 }; 1024];
        // SAFETY: `events` has room for as many events as the call is told.
        let count = unsafe {
            libc::epoll_wait(
                self.epoll.as_raw_fd(),
                events.as_mut_ptr(),
                events.len() as libc::c_int,
                PATIENCE.as_millis() as libc::c_int,
            )
        };
        assert!(count > 0, "nothing has come for {PATIENCE:?}");
        events[..count as usize]
            .iter()
            .map(|event| event.u64 as usize)
            .collect()
    }

    /// Line `n` comes from client `n * CLIENTS / LINES`; ends when all have heard all the others.
    fn everyone_talks_and_listens(&self) {
        for n in 0..LINES {
            let mut talker = &self.streams[n * CLIENTS / LINES];
            talker.write_all(format!("line {n}\n").as_bytes()).unwrap();
        }
        let mut heard = vec![Heard::default(); CLIENTS];
        let mut missing = LINES * (CLIENTS - 1);
        while missing > 0 {
            for client in self.readable() {
                missing -= self.listen(client, &mut heard[client]);
            }
        }
        let all = (1u128 << LINES) - 1;
        for (client, heard) in heard.iter().enumerate() {
            let own = match client % (CLIENTS / LINES) {
                0 => 1 << (client / (CLIENTS / LINES)),
                _ => 0,
            };
            assert_eq!(
                heard.lines,
                all & !own,
                "client {client} has heard something else"
            );
            assert!(heard.partial.is_empty());
        }
    }

    /// Reads what there is for a client; returns how many lines that was.
    fn listen(&self, client: usize, heard: &mut Heard) -> usize {
        let mut chunk = [0; 4096];
        let mut stream = &self.streams[client];
        let count = match stream.read(&mut chunk) {
            Ok(0) => panic!("client {client} has been dropped"),
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return 0,
            Err(error) => panic!("client {client}: {error}"),
        };
        heard.partial.extend_from_slice(&chunk[..count]);
        let whole = heard
            .partial
            .iter()
            .rposition(|&byte| byte == b'\n')
            .map_or(0, |end| end + 1);
        let rest = heard.partial.split_off(whole);
        let lines = String::from_utf8(std::mem::replace(&mut heard.partial, rest)).unwrap();
        for line in lines.lines() {
            let n: u32 = line.strip_prefix("line ").expect(line).parse().unwrap();
            assert_eq!(
                heard.lines >> n & 1,
                0,
                "client {client} hears line {n} a second time"
            );
            heard.lines |= 1 << n;
        }
        lines.lines().count()
    }

    /// Waits until all have been told that the server ends, and it has closed their connections.
    fn hear_the_end(&self) {
        for (client, stream) in self.streams.iter().enumerate() {
            stream.set_nonblocking(false).unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            let mut last = String::new();
            (&*stream).read_to_string(&mut last).unwrap();
            assert_eq!(last, "server is shutting down\n", "client {client}");
        }
    }
}
