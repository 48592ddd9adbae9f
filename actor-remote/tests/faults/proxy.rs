//! A proxy that does to what goes through it what faulty machines do.
//!
//! It knows what goes through it: two messages of a handshake, and records from then on. So it can lose,
//! double and exchange whole records, besides cutting and garbling bytes.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use actor_remote::wire::record::HEADER;
use fastrand::Rng;

/// What can happen to a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// A byte is another one.
    Garbled,
    /// A record comes twice.
    Doubled,
    /// A record does not come.
    Lost,
    /// A record comes behind the next one.
    Exchanged,
    /// The connection ends in the middle of a record.
    Cut,
    /// Some bytes of a record come twice.
    Stuttered,
}

const FAULTS: [Fault; 6] = [
    Fault::Garbled,
    Fault::Doubled,
    Fault::Lost,
    Fault::Exchanged,
    Fault::Cut,
    Fault::Stuttered,
];

/// A proxy on an address of its own.
pub(crate) struct Proxy {
    addr: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    target: SocketAddr,
    seed: u64,
    /// How many bytes follow the payload of a record.
    check: usize,
    faults: &'static [Fault],
    connections: AtomicUsize,
    /// No more faults.
    calm: AtomicBool,
    over: AtomicBool,
}

impl Proxy {
    /// One that makes faults of all sorts. A link that has a secret has tags of 16 bytes in its records, and one that has
    /// not has checksums of 4.
    pub(crate) fn new(target: SocketAddr, seed: u64, check: usize) -> Proxy {
        Proxy::with(target, seed, check, &FAULTS)
    }

    /// One that makes faults of these sorts.
    pub(crate) fn with(
        target: SocketAddr,
        seed: u64,
        check: usize,
        faults: &'static [Fault],
    ) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            target,
            seed,
            check,
            faults,
            connections: AtomicUsize::new(0),
            calm: AtomicBool::new(false),
            over: AtomicBool::new(false),
        });
        let accepting = shared.clone();
        thread::spawn(move || accepting.accept(&listener));
        Proxy { addr, shared }
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// How many connections have gone through it.
    pub(crate) fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::Acquire)
    }

    /// From now on it makes no faults.
    pub(crate) fn calm(&self) {
        self.shared.calm.store(true, Ordering::Release);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::Release);
        // So that it sees that.
        drop(TcpStream::connect(self.addr));
    }
}

impl Shared {
    fn accept(self: &Arc<Self>, listener: &TcpListener) {
        while let Ok((client, _)) = listener.accept() {
            if self.over.load(Ordering::Acquire) {
                return;
            }
            let Ok(server) = TcpStream::connect(self.target) else {
                continue;
            };
            let number = self.connections.fetch_add(1, Ordering::AcqRel);
            let pairs = [
                (client.try_clone().unwrap(), server.try_clone().unwrap()),
                (server, client),
            ];
            for (direction, (from, to)) in pairs.into_iter().enumerate() {
                let shared = self.clone();
                let rng = Rng::with_seed(self.seed ^ ((number * 2 + direction) as u64) << 32);
                thread::spawn(move || {
                    // However it ends, it ends both ways.
                    drop(shared.pass(&from, &to, rng, number == 0));
                    drop(to.shutdown(Shutdown::Both));
                    drop(from.shutdown(Shutdown::Both));
                });
            }
        }
    }

    /// Passes on what comes, until something happens to it.
    fn pass(
        &self,
        mut from: &TcpStream,
        mut to: &TcpStream,
        mut rng: Rng,
        first: bool,
    ) -> io::Result<()> {
        // The first connection at least gets through its handshake.
        let spared = if first { 3 } else { 0 };
        let mut left = spared + rng.usize(..60);
        let mut number = 0;
        loop {
            let mut unit = self.unit(&mut from, number)?;
            number += 1;
            if rng.u8(..) < 8 {
                thread::sleep(Duration::from_millis(rng.u64(1..5)));
            }
            if left > 0 || self.calm.load(Ordering::Acquire) {
                left = left.saturating_sub(1);
                // In two pieces now and then.
                let at = if rng.bool() {
                    rng.usize(..unit.len())
                } else {
                    0
                };
                to.write_all(&unit[..at])?;
                to.write_all(&unit[at..])?;
                continue;
            }
            left = 5 + rng.usize(..60);
            match self.faults[rng.usize(..self.faults.len())] {
                Fault::Garbled => {
                    let at = rng.usize(..unit.len());
                    unit[at] ^= 1 << rng.u8(..8);
                    to.write_all(&unit)?;
                }
                Fault::Doubled => {
                    to.write_all(&unit)?;
                    to.write_all(&unit)?;
                }
                Fault::Lost => {}
                Fault::Exchanged => {
                    let next = self.unit(&mut from, number)?;
                    number += 1;
                    to.write_all(&next)?;
                    to.write_all(&unit)?;
                }
                Fault::Cut => {
                    to.write_all(&unit[..rng.usize(..unit.len())])?;
                    return Ok(());
                }
                Fault::Stuttered => {
                    let at = rng.usize(..unit.len());
                    to.write_all(&unit)?;
                    to.write_all(&unit[at..])?;
                }
            }
        }
    }

    /// The next message of the handshake, or the next record.
    fn unit(&self, from: &mut &TcpStream, number: usize) -> io::Result<Vec<u8>> {
        let (header, check) = if number < 2 {
            (2, 0)
        } else {
            (HEADER, self.check)
        };
        let mut unit = vec![0; header];
        from.read_exact(&mut unit)?;
        let length = if number < 2 {
            usize::from(u16::from_le_bytes([unit[0], unit[1]]))
        } else {
            u32::from_le_bytes([unit[0], unit[1], unit[2], unit[3]]) as usize
        };
        unit.resize(header + length + check, 0);
        from.read_exact(&mut unit[header..])?;
        Ok(unit)
    }
}
