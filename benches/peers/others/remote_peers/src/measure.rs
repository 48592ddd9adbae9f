//! What is measured, for whatever peer.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// What is 32 bytes long.
pub(crate) type Words = [u64; 4];

/// Big enough that no encoding makes them shorter.
pub(crate) const WORDS: Words = [1 << 60, 2 << 60, 3 << 60, 4 << 60];

/// One end of a connection with the process that counts.
pub(crate) trait Peer: Clone + Send + Sync + 'static {
    /// Whether there are messages that nobody answers. If not, tells are calls with an empty answer.
    const ONE_WAY: bool;

    fn call(&self, words: Words) -> impl Future<Output = Words> + Send;

    fn tell_words(&self, words: Words) -> impl Future<Output = ()> + Send;

    fn tell_bytes(&self, bytes: Vec<u8>) -> impl Future<Output = ()> + Send;

    /// How many tells have come since the last count.
    fn count(&self) -> impl Future<Output = u64> + Send;
}

const TIME: Duration = Duration::from_secs(1);

pub(crate) async fn measure<P: Peer>(peer: P, metric: &str) {
    for _ in 0..1_000 {
        assert_eq!(peer.call(WORDS).await, WORDS);
    }
    peer.count().await;
    println!("WARM");
    let cpu = cpu();
    let start = Instant::now();
    let (kind, size) = metric.split_once('_').expect("a known metric");
    let done = match (kind, size) {
        ("round", _) => round_trips(&peer).await,
        ("calls", many) => {
            let many = many.parse().expect("a number");
            at_a_time(peer, many, |peer| async move {
                assert_eq!(peer.call(WORDS).await, WORDS);
            })
            .await
        }
        (_, "32") => {
            sends(
                peer,
                1_000,
                |peer| async move { peer.tell_words(WORDS).await },
            )
            .await
        }
        (_, "1k") => {
            sends(peer, 1_000, |peer| async move {
                peer.tell_bytes(vec![7; 1 << 10]).await
            })
            .await
        }
        _ => {
            sends(peer, 64, |peer| async move {
                peer.tell_bytes(vec![7; 1 << 16]).await
            })
            .await
        }
    };
    if kind != "round" {
        let rate = done as f64 / start.elapsed().as_secs_f64();
        println!("FIGURE {metric}.rate {rate}");
    }
    println!("FIGURE done {done}");
    println!("FIGURE cpu {}", self::cpu() - cpu);
    println!("FIGURE mem {}", most_memory());
}

async fn round_trips<P: Peer>(peer: &P) -> u64 {
    let start = Instant::now();
    let mut times = Vec::new();
    while start.elapsed() < TIME {
        let before = Instant::now();
        assert_eq!(peer.call(WORDS).await, WORDS);
        times.push(before.elapsed());
    }
    times.sort();
    let microseconds = |time: Duration| time.as_nanos() as f64 / 1e3;
    println!(
        "FIGURE round_trip.p50 {}",
        microseconds(times[times.len() / 2])
    );
    println!(
        "FIGURE round_trip.p99 {}",
        microseconds(times[times.len() * 99 / 100])
    );
    times.len() as u64
}

/// `work` over and over by so many tasks, for a second.
async fn at_a_time<P: Peer, W>(
    peer: P,
    tasks: usize,
    work: impl Fn(P) -> W + Clone + Send + 'static,
) -> u64
where
    W: Future<Output = ()> + Send,
{
    let start = Instant::now();
    let done = Arc::new(AtomicU64::new(0));
    let tasks: Vec<_> = (0..tasks)
        .map(|_| {
            let (peer, work, done) = (peer.clone(), work.clone(), done.clone());
            tokio::spawn(async move {
                while start.elapsed() < TIME {
                    work(peer.clone()).await;
                    done.fetch_add(1, Relaxed);
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("it does not panic");
    }
    done.load(Relaxed)
}

async fn sends<P: Peer, W>(
    peer: P,
    tasks: usize,
    work: impl Fn(P) -> W + Clone + Send + 'static,
) -> u64
where
    W: Future<Output = ()> + Send,
{
    let done = if P::ONE_WAY {
        let start = Instant::now();
        let mut done = 0;
        while start.elapsed() < TIME {
            for _ in 0..16 {
                work(peer.clone()).await;
            }
            done += 16;
            // A send that does not wait lets nobody else run.
            tokio::task::yield_now().await;
        }
        done
    } else {
        at_a_time(peer.clone(), tasks, work).await
    };
    assert_eq!(peer.count().await, done, "all have come");
    done
}

fn cpu() -> f64 {
    // SAFETY: all zeroes is a valid `timespec`.
    let mut time: libc::timespec = unsafe { std::mem::zeroed() };
    // SAFETY: `time` is a valid place for the time.
    let status = unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut time) };
    assert_eq!(status, 0, "there is such a clock");
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// The most that was resident, in bytes.
fn most_memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("it can be read");
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    kilobytes.expect("it is there") * 1024
}
