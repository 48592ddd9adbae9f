//! Encoding and decoding beside bincode's own.
//!
//! `call` is the usual small message, an id and 24 bytes; `rich` has something of every kind; `bytes` are 64 KiB
//! as a `Vec<u8>` of serde's, whose elements come one by one, and as types that are copied at once. The times
//! are those that the thread was on a CPU.

use std::hint::black_box;
use std::time::Duration;

use actor_codec::{Limits, decode, encode, named};
use bytes::Bytes;
use criterion::{Bencher, Criterion, Throughput};
use rustix::time::{ClockId, clock_gettime};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

#[derive(Serialize, Deserialize)]
struct Call {
    id: u64,
    payload: [u8; 24],
}

#[derive(Serialize, Deserialize)]
struct Text {
    id: u64,
    payload: ByteBuf,
}

#[derive(Serialize, Deserialize)]
enum Kind {
    Transfer { from: u64, to: u64 },
    Rejected(String),
}

#[derive(Serialize, Deserialize)]
struct Rich {
    id: u64,
    name: String,
    kinds: Vec<Kind>,
    tags: Vec<(u16, String)>,
    note: Option<String>,
    ratio: f64,
    delta: i32,
    last: bool,
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let call = Call {
        id: 0x0123_4567_89ab_cdef,
        payload: [7; 24],
    };
    compare(&mut criterion, "call", &call);
    let text = Text {
        id: 0x0123_4567_89ab_cdef,
        payload: ByteBuf::from([7; 24]),
    };
    compare(&mut criterion, "call_bytes", &text);
    let rich = Rich {
        id: 0x0123_4567_89ab_cdef,
        name: "a name of usual length".into(),
        kinds: vec![
            Kind::Transfer {
                from: 7,
                to: 70_000,
            },
            Kind::Rejected("no".into()),
        ],
        tags: vec![(300, "first".into()), (2, "second".into())],
        note: Some("noted".into()),
        ratio: 0.5,
        delta: -70_000,
        last: true,
    };
    compare(&mut criterion, "rich", &rich);
    let bytes = vec![7u8; 64 << 10];
    compare(&mut criterion, "bytes_vec", &bytes);
    compare(
        &mut criterion,
        "bytes_serde_bytes",
        &ByteBuf::from(bytes.clone()),
    );
    compare(&mut criterion, "bytes_bytes", &Bytes::from(bytes));
    criterion.final_summary();
}

fn compare<T: Serialize + DeserializeOwned>(criterion: &mut Criterion, name: &str, value: &T) {
    let config = bincode::config::standard();
    let limits = Limits::default();
    let mut buffer = Vec::with_capacity(1 << 20);
    let mut bytes = Vec::new();
    encode(value, &mut bytes, usize::MAX).expect("encodes");
    let mut group = criterion.benchmark_group(format!("codec/{name}/{}_bytes", bytes.len()));
    group.throughput(Throughput::Bytes(bytes.len() as u64));
    group.bench_function("encode", |bencher| {
        timed(bencher, || {
            buffer.clear();
            encode(black_box(value), &mut buffer, 1 << 20)
        });
    });
    group.bench_function("encode_bincode", |bencher| {
        timed(bencher, || {
            buffer.clear();
            bincode::serde::encode_into_std_write(black_box(value), &mut buffer, config)
                .expect("encodes")
        });
    });
    group.bench_function("decode", |bencher| {
        timed(bencher, || {
            decode::<T>(black_box(&bytes), black_box(&limits)).expect("decodes")
        });
    });
    group.bench_function("decode_bincode", |bencher| {
        timed(bencher, || {
            bincode::serde::decode_from_slice::<T, _>(black_box(&bytes), config).expect("decodes")
        });
    });
    let mut named = Vec::new();
    named::encode(value, &mut named, usize::MAX).expect("encodes");
    group.bench_function(format!("decode_named_{}", named.len()), |bencher| {
        timed(bencher, || {
            named::decode::<T>(black_box(&named), &limits).expect("decodes")
        });
    });
    group.finish();
}

/// How long `work` keeps the CPU.
fn timed<T>(bencher: &mut Bencher<'_>, mut work: impl FnMut() -> T) {
    bencher.iter_custom(|times| {
        let start = cpu_time();
        for _ in 0..times {
            black_box(work());
        }
        cpu_time() - start
    });
}

fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
