//! How many tasklets there is room for, and how large a stack may be.
//!
//! A stack is two memory maps, the stack and its guard page, and the system gives a process only so
//! many (`vm.max_map_count`). The dependency that makes stacks panics where the system refuses, and
//! everything else that maps memory fails as well, so the runtime counts and refuses first.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{env, fs};

use crate::{SpawnError, stacks, substrate};

/// Where Linux keeps the number of maps that a process may have.
const MAX_MAPS_FILE: &str = "/proc/sys/vm/max_map_count";
const MAX_MAPS_NAME: &str = "vm.max_map_count";
/// What Linux has unless told otherwise.
const DEFAULT_MAX_MAPS: usize = 65_530;
/// Maps that a stack takes: itself and its guard page.
const MAPS_PER_STACK: usize = 2;
/// Maps left for the allocator, threads and libraries.
const RESERVED_MAPS: usize = 1_024;
/// The least that a stack is given: the frames of the runtime and of a panic must fit.
const MIN_STACK: usize = 16 * 1024;
/// The same where panics print backtraces, whose names are looked up on the stack that panics.
const MIN_STACK_WITH_BACKTRACE: usize = 64 * 1024;

/// How many tasklets the system has maps for.
static ROOM: AtomicUsize = AtomicUsize::new(0);
static LIMIT: AtomicUsize = AtomicUsize::new(0);
static ALIVE: AtomicUsize = AtomicUsize::new(0);

/// Finds out how many tasklets the system has maps for.
pub(crate) fn count_maps(workers: usize) {
    let max_maps = fs::read_to_string(MAX_MAPS_FILE)
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or(DEFAULT_MAX_MAPS);
    let maps_now = fs::read_to_string("/proc/self/maps").map_or(0, |maps| maps.lines().count());
    let maps_left = max_maps.saturating_sub(maps_now + RESERVED_MAPS);
    let room = maps_left / MAPS_PER_STACK;
    let room = room.saturating_sub(workers * stacks::PER_WORKER).max(1);
    ROOM.store(room, Ordering::Relaxed);
}

/// `wanted`, or as many tasklets as there are maps for if that is less.
pub(crate) fn within_room(wanted: usize) -> usize {
    wanted.min(ROOM.load(Ordering::Relaxed))
}

/// Settles how many tasklets there may be. After [`count_maps`].
pub(crate) fn set_tasklet_limit(wanted: Option<usize>) -> usize {
    let limit = within_room(wanted.unwrap_or(usize::MAX));
    LIMIT.store(limit, Ordering::Relaxed);
    limit
}

/// How many more stacks may exist.
pub(crate) fn unused() -> usize {
    LIMIT
        .load(Ordering::Relaxed)
        .saturating_sub(ALIVE.load(Ordering::Relaxed))
}

/// Counts a new tasklet, if there is room for it.
pub(crate) fn reserve() -> Result<(), SpawnError> {
    let limit = LIMIT.load(Ordering::Relaxed);
    if ALIVE.fetch_add(1, Ordering::Relaxed) < limit {
        return Ok(());
    }
    give_back();
    Err(SpawnError::TaskletLimit {
        limit,
        sysctl: MAX_MAPS_NAME,
    })
}

/// Counts a tasklet out again.
pub(crate) fn give_back() {
    ALIVE.fetch_sub(1, Ordering::Relaxed);
}

/// The size of a stack for which `bytes` were asked: whole pages, and not too few. Fails if it is
/// more than the system allows.
pub(crate) fn stack_size(bytes: usize) -> Result<usize, SpawnError> {
    let page = page_size();
    let limit = stack_limit();
    // The guard page counts as well.
    let largest = (limit / page * page).saturating_sub(page);
    if bytes > largest {
        return Err(SpawnError::StackSize {
            requested: bytes,
            limit: largest,
        });
    }
    Ok(bytes.max(least_stack()).next_multiple_of(page))
}

fn least_stack() -> usize {
    static LEAST: OnceLock<usize> = OnceLock::new();
    *LEAST.get_or_init(|| {
        // What the standard library goes by.
        let style = env::var_os("RUST_BACKTRACE");
        if style.is_none_or(|style| style == "0") {
            MIN_STACK
        } else {
            MIN_STACK_WITH_BACKTRACE
        }
    })
}

/// What the system allows a stack to be: the hard limit, as `generator` asks.
fn stack_limit() -> usize {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: fills in a local of the right type.
    let failed = unsafe { libc::getrlimit(libc::RLIMIT_STACK, &mut limit) } != 0;
    // No mapping can be larger than half the address space.
    let most = isize::MAX as usize;
    if failed || limit.rlim_max == libc::RLIM_INFINITY {
        most
    } else {
        usize::try_from(limit.rlim_max).unwrap_or(most).min(most)
    }
}

pub(crate) fn page_size() -> usize {
    // SAFETY: plain call without preconditions.
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    usize::try_from(size).unwrap_or(4096)
}

/// Raises the soft limit on descriptors to the hard one: a server needs one for each connection, and
/// the low default is there for programs that use `select`.
pub(crate) fn raise_descriptor_limit() {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: fills in a local of the right type.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) } == 0
        && limit.rlim_cur < limit.rlim_max
    {
        limit.rlim_cur = limit.rlim_max;
        // SAFETY: reads a local of the right type.
        if unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) } != 0 {
            tracing::debug!("the limit on descriptors stays as it is");
        }
    }
}

/// How many workers there are if nobody says.
pub(crate) fn default_workers() -> usize {
    std::thread::available_parallelism().map_or(substrate::MIN_WORKERS, usize::from)
}
