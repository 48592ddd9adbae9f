//! Bytes that are made to harm: they are refused in no time, with no memory, on a small stack.

use std::alloc::{GlobalAlloc, Layout, System};
use std::collections::{BTreeMap, HashMap};
use std::hint::black_box;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use actor_codec::{DecodeError, Limits, decode, encode, named};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Counts what is allocated, and remembers the most.
struct Counting;

static NOW: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

// SAFETY: everything is left to `System`; beside that, numbers are counted.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let now = NOW.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        MOST.fetch_max(now, Ordering::Relaxed);
        // SAFETY: the caller keeps the promises of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller keeps the promises of `dealloc`, and `pointer` is of `System`.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// All tests of this file allocate, so they do it one at a time.
static ONE: Mutex<()> = Mutex::new(());

/// How many bytes are allocated at the same time, at most, while `work` is done.
fn allocated(work: impl FnOnce()) -> usize {
    let before = NOW.load(Ordering::Relaxed);
    MOST.store(before, Ordering::Relaxed);
    work();
    MOST.load(Ordering::Relaxed) - before
}

/// A type of which one byte makes a kilobyte.
#[expect(clippy::large_enum_variant, reason = "that is what it is for")]
#[derive(Serialize, Deserialize, Clone)]
enum Big {
    Small,
    Large([[u64; 16]; 8]),
}

#[derive(Serialize, Deserialize, Debug, Default)]
struct Nest {
    inside: Vec<Nest>,
}

#[derive(Serialize, Deserialize, Debug)]
enum Tree {
    Leaf,
    Node(Box<Tree>),
}

#[derive(Serialize, Deserialize, Debug)]
struct Chain {
    id: u64,
    name: String,
    next: Option<Box<Chain>>,
}

#[derive(Serialize, Deserialize, Debug)]
struct Directory(BTreeMap<String, Directory>);

#[derive(Serialize, Deserialize, Debug)]
struct Endless(Box<Endless>);

#[derive(Serialize, Deserialize, Debug)]
struct Maybe(Option<Box<Maybe>>);

#[derive(Serialize, Deserialize, Debug)]
enum Rich {
    Empty,
    Tuple(u8, Box<Rich>, [u32; 4]),
    Struct {
        left: Box<Rich>,
        right: Option<Box<Rich>>,
    },
    Many(Vec<(u16, Rich)>),
}

#[test]
fn a_claim_allocates_next_to_nothing() {
    let _one = ONE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    // Each of these claims as many elements as there are bytes left, and ends with the first.
    fn claims<T: DeserializeOwned>(rest: usize) -> usize {
        let mut bytes = vec![252];
        bytes.extend((rest as u32).to_le_bytes());
        bytes.resize(bytes.len() + rest, 255);
        let limits = Limits::new().with_memory(usize::MAX);
        allocated(|| assert!(decode::<T>(&bytes, &limits).is_err()))
    }
    const MIB: usize = 1 << 20;
    for rest in [70_000, MIB] {
        // The standard library's `Deserialize` makes room for a MiB at most.
        assert!(claims::<Vec<Big>>(rest) <= MIB + 1000);
        assert!(claims::<Vec<(u64, Option<char>, Big)>>(rest) <= MIB + 1000);
        assert!(claims::<HashMap<u64, Big>>(rest) <= 3 * MIB);
        // And for so many elements.
        assert!(claims::<Vec<String>>(rest) <= 100_000);
        assert!(claims::<Vec<Nest>>(rest) <= 100_000);
    }
    // A text that is not there.
    let beyond = [253, 0, 0, 0, 0, 0, 1, 0, 0];
    assert!(allocated(|| assert!(decode::<String>(&beyond, &Limits::new()).is_err())) < 1000);
    assert!(allocated(|| assert!(decode::<bytes::Bytes>(&beyond, &Limits::new()).is_err())) < 1000);
    let beyond = [0xdd, 255, 255, 255, 255, 0xc1];
    assert!(
        allocated(|| assert!(named::decode::<Vec<Big>>(&beyond, &Limits::new()).is_err()))
            <= MIB + 1000
    );
    let beyond = [0xdb, 255, 255, 255, 255, b'a'];
    assert!(
        allocated(|| assert!(named::decode::<String>(&beyond, &Limits::new()).is_err())) < 1000
    );
}

#[test]
fn a_claim_at_every_level_allocates_little() {
    let _one = ONE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    // At each of 31 levels, a claim of all that is left.
    let mut bytes = Vec::new();
    for _ in 0..31 {
        bytes.extend([251, 0, 251]);
    }
    bytes.resize(70_000, 255);
    let memory = allocated(|| assert!(decode::<Nest>(&bytes, &Limits::new()).is_err()));
    assert!(memory <= 31 * 4096 * size_of::<Nest>() + 1000, "{memory}");
}

#[test]
fn what_is_small_as_bytes_and_large_in_memory_is_limited() {
    let _one = ONE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let count = 250_000u32;
    let mut bytes = vec![252];
    bytes.extend(count.to_le_bytes());
    bytes.resize(bytes.len() + count as usize, 0);
    let memory = allocated(|| {
        let limit = 64 << 20;
        let refused = decode::<Vec<Big>>(&bytes, &Limits::new()).map(|big| big.len());
        assert_eq!(refused, Err(DecodeError::TooLarge { limit }));
    });
    // All that was made is room for a first few, if that.
    assert!(memory <= (1 << 20) + 1000, "{memory}");

    let mut named = vec![0xdd];
    named.extend(count.to_be_bytes());
    for _ in 0..count {
        named.extend(b"\xa5Small");
    }
    let memory = allocated(|| {
        let limit = 64 << 20;
        let refused = named::decode::<Vec<Big>>(&named, &Limits::new()).map(|big| big.len());
        assert_eq!(refused, Err(DecodeError::TooLarge { limit }));
    });
    // A vector that grows is there twice for a moment.
    assert!(memory <= 3 * (64 << 20), "{memory}");

    let fine = vec![Big::Small, Big::Large([[7; 16]; 8])];
    let mut bytes = Vec::new();
    encode(&fine, &mut bytes, 10_000).unwrap();
    assert_eq!(decode::<Vec<Big>>(&bytes, &Limits::new()).unwrap().len(), 2);
}

#[test]
fn a_hundred_thousand_levels_are_refused() {
    let _one = ONE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let deep = 100_000;
    let limit = 64;
    let refused = Some(DecodeError::TooDeep { limit });
    fn error<T: DeserializeOwned>(bytes: &[u8]) -> Option<DecodeError> {
        decode::<T>(bytes, &Limits::new()).err()
    }
    fn named_error<T: DeserializeOwned>(bytes: &[u8]) -> Option<DecodeError> {
        named::decode::<T>(bytes, &Limits::new()).err()
    }
    let ones = vec![1; deep];
    assert_eq!(error::<Tree>(&ones), refused);
    assert_eq!(error::<Nest>(&ones), refused);
    assert_eq!(error::<Maybe>(&ones), refused);
    assert_eq!(error::<Directory>(&[1, 1, b'a'].repeat(deep)), refused);
    assert_eq!(error::<Chain>(&[7, 1, b'a', 1].repeat(deep)), refused);
    // A type that has no end, from no bytes at all.
    assert_eq!(error::<Endless>(&[]), refused);

    assert_eq!(named_error::<Tree>(&b"\x81\xa4Node".repeat(deep)), refused);
    assert_eq!(
        named_error::<Nest>(&b"\x81\xa6inside\x91".repeat(deep)),
        refused
    );
    assert_eq!(
        named_error::<Directory>(&b"\x81\xa1a".repeat(deep)),
        refused
    );
    assert_eq!(named_error::<Endless>(&[]), refused);
    // Any value is `Some`, and a newtype is what it holds.
    assert_eq!(named_error::<Maybe>(&[7]), refused);
    // What nobody asks for is nested as well.
    assert_eq!(
        named_error::<Nest>(&[b"\x82\xa1x".to_vec(), vec![0x91; deep]].concat()),
        refused
    );
}

/// What `T` is in bytes, nested until the limit is reached.
fn deepest<T: Serialize>(mut value: T, wrap: impl Fn(T) -> T, levels: usize) -> Vec<u8> {
    for _ in 0..levels {
        value = wrap(value);
    }
    let mut bytes = Vec::new();
    encode(&value, &mut bytes, 1 << 20).unwrap();
    bytes
}

/// In a build without optimization, 64 levels of the usual kinds fit on 64 KiB of stack, of which the thread
/// itself takes some; those of wide variants, and of maps, on 96. If they did not, this would be the end
/// of the process.
#[test]
fn the_default_depth_needs_little_stack() {
    let _one = ONE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    fn fits<T: DeserializeOwned>(kib: usize, bytes: &[u8]) {
        let decoded = thread::scope(|scope| {
            thread::Builder::new()
                .stack_size(kib << 10)
                .spawn_scoped(scope, || {
                    let limits = Limits::new();
                    drop(black_box(decode::<T>(bytes, &limits)?));
                    // That was the deepest there is.
                    let refused = decode::<T>(bytes, &limits.with_depth(62)).err();
                    assert_eq!(refused, Some(DecodeError::TooDeep { limit: 62 }));
                    Ok::<_, DecodeError>(())
                })
                .unwrap()
                .join()
                .unwrap()
        });
        assert_eq!(decoded, Ok(()));
    }
    fits::<Tree>(64, &deepest(Tree::Leaf, |tree| Tree::Node(tree.into()), 63));
    let nest = |nest| Nest { inside: vec![nest] };
    fits::<Nest>(64, &deepest(Nest::default(), nest, 31));
    let chain = |next: Option<Chain>| Chain {
        id: 1 << 50,
        name: "a".into(),
        next: next.map(Box::new),
    };
    let chained = deepest(chain(None), |next| chain(Some(next)), 31);
    fits::<Chain>(64, &chained);
    let list = |list| Rich::Many(vec![(1, list)]);
    fits::<Rich>(64, &deepest(Rich::Empty, list, 21));
    let empty = Directory(BTreeMap::new());
    let inside = |inside| Directory(BTreeMap::from([("a".into(), inside)]));
    fits::<Directory>(96, &deepest(empty, inside, 31));
    let tuple = |rich: Rich| Rich::Tuple(1, rich.into(), [2; 4]);
    fits::<Rich>(96, &deepest(Rich::Empty, tuple, 62));
}

/// Whatever is done to good bytes, decoding them neither panics nor takes more than its limits.
#[test]
fn mutations_do_no_harm() {
    let _one = ONE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    const MUTATIONS: usize = 200_000;
    type All = (
        Rich,
        Chain,
        Directory,
        Nest,
        Vec<(i128, f64, Option<char>, bool)>,
    );
    let good: All = (
        Rich::Struct {
            left: Rich::Tuple(1, Rich::Empty.into(), [2, 300, 70_000, u32::MAX]).into(),
            right: Some(Rich::Many(vec![(1, Rich::Empty), (400, Rich::Empty)]).into()),
        },
        Chain {
            id: u64::MAX,
            name: "größer".into(),
            next: Some(
                Chain {
                    id: 1,
                    name: String::new(),
                    next: None,
                }
                .into(),
            ),
        },
        Directory(BTreeMap::from([("a".into(), Directory(BTreeMap::new()))])),
        Nest {
            inside: vec![Nest::default(), Nest::default()],
        },
        vec![(i128::MIN, 0.5, Some('€'), true), (-3, -0.0, None, false)],
    );
    let (mut bytes, mut named) = (Vec::new(), Vec::new());
    encode(&good, &mut bytes, 10_000).unwrap();
    named::encode(&good, &mut named, 10_000).unwrap();

    let limits = Limits::new().with_items(1000);
    let mut dice = Dice(0x5eed);
    let (mut taken, mut refused) = (0, 0);
    let memory = allocated(|| {
        for round in 0..MUTATIONS {
            let mut input = if round % 4 == 0 { &named } else { &bytes }.clone();
            for _ in 0..=dice.roll(3) {
                mutate(&mut input, &mut dice);
            }
            let decoded = match round % 4 {
                0 => named::decode::<All>(&input, &limits),
                _ => decode::<All>(&input, &limits),
            };
            match decoded {
                Ok(_) => taken += 1,
                Err(_) => refused += 1,
            }
        }
    });
    // Both happen, or the mutations would be too many or too few.
    assert!(
        taken > MUTATIONS / 100 && refused > MUTATIONS / 100,
        "{taken} and {refused}"
    );
    assert!(memory < 1 << 20, "{memory}");
}

/// Xorshift: the same every time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % sides
    }
}

fn mutate(bytes: &mut Vec<u8>, dice: &mut Dice) {
    const TELLING: [u8; 12] = [0, 1, 2, 127, 128, 250, 251, 252, 253, 254, 255, 0xdd];
    let at = dice.roll(bytes.len().max(1)).min(bytes.len());
    match dice.roll(6) {
        0 if at < bytes.len() => bytes[at] ^= 1 << dice.roll(8),
        1 if at < bytes.len() => bytes[at] = TELLING[dice.roll(TELLING.len())],
        2 if at < bytes.len() => drop(bytes.remove(at)),
        3 => bytes.insert(at, dice.roll(256) as u8),
        4 => bytes.truncate(at),
        _ => {
            let end = (at + dice.roll(16)).min(bytes.len());
            bytes.extend_from_within(at..end);
        }
    }
}
