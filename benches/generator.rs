//! A parser with callbacks used as an iterator, and recursion on stacks of their own, each beside the
//! plain way.

#[path = "../examples/stackless/library/mod.rs"]
mod library;
mod support;

use std::hint::black_box;
use std::process::ExitCode;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use concurrence::{Generator, SpawnError, Yielder, call};

use library::{ELEMENTS, Element, Handler};

/// How deep the recursion goes.
const DEPTH: u64 = 1_000;

fn main() -> ExitCode {
    let mut document = Vec::new();
    library::write(ELEMENTS, &mut document).expect("room for it");
    DOCUMENT.set(document.into()).expect("set once");
    support::run(|criterion, runner| {
        let mut group = criterion.benchmark_group("generator");
        group.sample_size(20);
        group.bench_function("give", |bencher| {
            bencher.iter_custom(|times| runner.run(move || give(times)));
        });
        group.bench_function("iterparse/callback", |bencher| {
            bencher.iter_custom(|times| runner.run(move || parse_with_callback(times)));
        });
        for ahead in [0, 4] {
            group.bench_function(format!("iterparse/generator_{ahead}_ahead"), |bencher| {
                bencher.iter_custom(|times| runner.run(move || parse_with_generator(times, ahead)));
            });
        }
        group.finish();
        let mut group = criterion.benchmark_group("recursion");
        group.bench_function("plain", |bencher| {
            bencher.iter_custom(|times| {
                runner.run(move || {
                    support::time(times, |_| {
                        black_box(plain(black_box(DEPTH)));
                    })
                })
            });
        });
        group.bench_function("call", |bencher| {
            bencher.iter_custom(|times| {
                runner.run(move || {
                    support::time(times, |_| {
                        black_box(by_call(black_box(DEPTH)).expect("room for it"));
                    })
                })
            });
        });
        group.finish();
    })
}

static DOCUMENT: OnceLock<Arc<[u8]>> = OnceLock::new();

fn document() -> Arc<[u8]> {
    DOCUMENT.get().expect("set at the start").clone()
}

/// One element, with nothing else done.
fn give(times: u64) -> Duration {
    let mut numbers = Generator::new(|out| {
        for n in 0_u64.. {
            out.give(n);
        }
    });
    support::time(times, |n| assert_eq!(numbers.next(), Some(n)))
}

/// The talk's handler, which counts the elements.
#[derive(Default)]
struct Counter(usize);

impl Handler for Counter {
    fn start_element(&mut self, element: Element) {
        black_box(&element);
        self.0 += 1;
    }
}

/// A handler that gives each element to an iterator.
struct Giver<'a>(&'a Yielder<Element>);

impl Handler for Giver<'_> {
    fn start_element(&mut self, element: Element) {
        self.0.give(element);
    }
}

fn parse_with_callback(times: u64) -> Duration {
    let document = document();
    support::time(times, |_| {
        let mut counter = Counter::default();
        library::parse(&document[..], &mut counter).expect("well-formed");
        assert_eq!(counter.0, ELEMENTS);
    })
}

fn parse_with_generator(times: u64, ahead: usize) -> Duration {
    let document = document();
    support::time(times, |_| {
        let document = document.clone();
        let mut count = 0;
        for element in
            Generator::fallible(move |out| library::parse(&document[..], &mut Giver(out)))
                .ahead(ahead)
        {
            black_box(&element.expect("well-formed"));
            count += 1;
        }
        assert_eq!(count, ELEMENTS);
    })
}

#[inline(never)]
fn plain(n: u64) -> u64 {
    if n <= 1 {
        return 1;
    }
    n.wrapping_mul(black_box(plain(black_box(n - 1))))
}

fn by_call(n: u64) -> Result<u64, SpawnError> {
    if n <= 1 {
        return Ok(1);
    }
    Ok(n.wrapping_mul(call(|| by_call(n - 1))??))
}
