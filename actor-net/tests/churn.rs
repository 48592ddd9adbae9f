//! Connections that have come and gone leave no memory behind, however long they might have been idle. In a
//! program of its own, which counts its allocations.

#[cfg(all(feature = "http", feature = "tls"))]
#[path = "common/certificates.rs"]
mod certificates;
mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use actor_core::{Actor, Context, Handler, block_on_thread};
use actor_net::{Line, LineCodec, Server};
use common::{PATIENCE, eventually, in_tasklet};

/// Counts what is allocated at the moment.
struct Counting;

static LIVE: AtomicUsize = AtomicUsize::new(0);

// SAFETY: the system's allocator does it all.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE.fetch_add(1, Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        LIVE.fetch_sub(1, Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(place, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Held by whoever counts.
static COUNTS: Mutex<()> = Mutex::new(());

struct Silent;

impl Actor for Silent {}

impl Handler<Line> for Silent {
    fn handle(&mut self, _: Line, _: &mut Context<Self>) {}
}

fn come_and_go(addr: SocketAddr, count: usize) {
    block_on_thread(move || {
        for _ in 0..count {
            let mut stream = TcpStream::connect(addr).unwrap();
            stream.shutdown(Shutdown::Write).unwrap();
            // Closed by the server.
            assert_eq!(std::io::Read::read(&mut stream, &mut [0]).unwrap(), 0);
        }
    });
}

#[test]
fn the_time_that_a_connection_might_have_been_idle_is_not_waited_for() {
    const COUNT: usize = 500;
    let _alone = COUNTS.lock().unwrap_or_else(PoisonError::into_inner);
    for stackless in [false, true] {
        in_tasklet(move || {
            let server = Server::builder()
                .stackless(stackless)
                .idle_timeout(Duration::from_secs(3600))
                .bind("127.0.0.1:0")
                .unwrap()
                .spawn_actors(LineCodec::new(), |_| Silent)
                .unwrap();
            let addr = server.local_addr();
            // What is kept for later is there after this.
            come_and_go(addr, COUNT);
            eventually("the end of all", || server.connections() == 0);
            let before = LIVE.load(Relaxed);
            come_and_go(addr, COUNT);
            eventually("quiet", || {
                server.connections() == 0 && LIVE.load(Relaxed) < before + COUNT
            });
            server.shutdown(PATIENCE).unwrap();
        });
    }
}

/// Handshakes that their clients or their server give up: neither the timers nor what they are for is kept for as long
/// as they might have taken.
#[cfg(all(feature = "http", feature = "tls"))]
#[test]
fn the_time_that_a_handshake_might_have_taken_is_not_waited_for() {
    use std::io::Write;

    use actor_net::http::{Body, HttpServer, Request};
    use actor_net::tls::ServerTls;

    const COUNT: usize = 300;
    let _alone = COUNTS.lock().unwrap_or_else(PoisonError::into_inner);
    in_tasklet(|| {
        let identity = certificates::Authority::new("authority").identity(&["localhost"]);
        let tls = ServerTls::builder().identity(identity);
        let tls = tls
            .handshake_timeout(Duration::from_secs(3600))
            .build()
            .unwrap();
        // It ends with half of them under way.
        let live_and_end = |grace| {
            let server = HttpServer::bind("127.0.0.1:0").unwrap().tls(tls.clone());
            let server = server.spawn(|_: Request<Body>| "never").unwrap();
            let addr = server.local_addr();
            let clients = block_on_thread(move || {
                let begin = |_| {
                    let mut stream = TcpStream::connect(addr).unwrap();
                    stream.write_all(&[22, 3, 1]).unwrap();
                    stream
                };
                (0..COUNT).for_each(|_| drop(begin(0)));
                (0..COUNT).map(begin).collect::<Vec<_>>()
            });
            eventually("half have gone", || server.connections() == COUNT);
            server.shutdown(grace).unwrap();
            drop(clients);
        };
        for grace in [PATIENCE, Duration::ZERO] {
            live_and_end(grace);
            let before = LIVE.load(Relaxed);
            live_and_end(grace);
            eventually("quiet", || LIVE.load(Relaxed) < before + COUNT / 2);
        }
    });
}
