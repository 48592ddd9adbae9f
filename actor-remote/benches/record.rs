//! What it costs to make records and to take them, under each protection.

use std::hint::black_box;

use actor_remote::wire::record::{HEADER, Key, Open, Protection, Seal};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};

fn record(criterion: &mut Criterion) {
    let key = Key::from_bytes([7; 32]);
    let protections = [
        ("none", Protection::Below),
        ("crc", Protection::Checksum),
        ("tag", Protection::Tag(&key)),
    ];
    for (name, protection) in protections {
        let mut group = criterion.benchmark_group(format!("record/{name}"));
        for payload in [64, 4 * 1024, 64 * 1024] {
            group.throughput(Throughput::Bytes(payload as u64));
            let mut seal = Seal::new(protection);
            let mut buffer = vec![7; HEADER + payload + seal.appended()];
            group.bench_function(format!("seal/{payload}"), |bencher| {
                bencher.iter(|| {
                    buffer.truncate(HEADER + payload);
                    seal.seal(black_box(&mut buffer), 0);
                });
            });
            buffer.truncate(HEADER + payload);
            Seal::new(protection).seal(&mut buffer, 0);
            let (header, body) = buffer.split_first_chunk().expect("there is a header");
            // Each is the first of a link, so somebody has to take it who has not taken any.
            let fresh = || Open::new(protection);
            group.bench_function(format!("open/{payload}"), |bencher| {
                bencher.iter_batched_ref(
                    fresh,
                    |open| {
                        let length = open.check(black_box(header), black_box(body));
                        length.expect("it is as it was")
                    },
                    BatchSize::SmallInput,
                );
            });
        }
        group.finish();
    }
}

criterion_group!(benches, record);
criterion_main!(benches);
