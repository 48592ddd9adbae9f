//! A clock that costs next to nothing to read, to be asked after every message.
//!
//! It only says when it may be worth while to ask the real one; nothing depends on its being right.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

static PER_MILLISECOND: AtomicU64 = AtomicU64::new(0);

/// The processor's count of its own time.
#[cfg(target_arch = "x86_64")]
#[inline]
pub(crate) fn now() -> u64 {
    // SAFETY: the instruction is on every x86-64, and open to programs but on systems that forbid it,
    // of which Linux is none unless a process asks for it.
    unsafe { std::arch::x86_64::_rdtsc() }
}

#[cfg(not(target_arch = "x86_64"))]
#[inline]
pub(crate) fn now() -> u64 {
    static BASE: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    BASE.get_or_init(Instant::now).elapsed().as_nanos() as u64
}

/// A moment on both clocks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark {
    ticks: u64,
    at: Instant,
}

impl Mark {
    pub(crate) fn now() -> Mark {
        Mark {
            ticks: now(),
            at: Instant::now(),
        }
    }
}

/// Learns how fast it goes from what has passed since `mark`.
pub(crate) fn calibrate(mark: Mark) {
    let passed = now().wrapping_sub(mark.ticks);
    let micros = mark.at.elapsed().as_micros().max(1) as u64;
    PER_MILLISECOND.store(passed.saturating_mul(1_000) / micros, Ordering::Relaxed);
}

/// How many ticks there are in `time`, about.
pub(crate) fn of(time: Duration) -> u64 {
    PER_MILLISECOND.load(Ordering::Relaxed) * time.as_micros() as u64 / 1_000
}
