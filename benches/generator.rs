//! A generator: one item of a `for`, and the life of an empty one.
//!
//! `cargo bench --bench generator`, best under `taskset -c 0`.
mod shared;

use corosensei::{Coroutine, CoroutineResult};
use criterion::{Criterion, criterion_group, criterion_main};
use maypole::generator::Generator;
use std::hint::black_box;
use std::time::Instant;

fn items(criterion: &mut Criterion) {
    let mut group = shared::group(criterion, "generator");
    group.bench_function("corosensei", |bencher| {
        bencher.iter_custom(|items| {
            let mut coroutine = Coroutine::new(move |yielder, ()| {
                for item in 0..items {
                    yielder.suspend(item);
                }
            });
            let start = Instant::now();
            while let CoroutineResult::Yield(item) = coroutine.resume(()) {
                black_box(item);
            }
            start.elapsed()
        });
    });
    group.bench_function("maypole", |bencher| {
        bencher.iter_custom(|items| {
            let generator = Generator::new(move |y| {
                for item in 0..items {
                    y.yield_(item);
                }
            });
            let start = Instant::now();
            for item in generator {
                black_box(item);
            }
            start.elapsed()
        });
    });
    group.finish();
}

fn create(criterion: &mut Criterion) {
    let mut group = shared::group(criterion, "generator/create");
    shared::bare_round_trip(&mut group);
    group.bench_function("maypole", |bencher| {
        bencher.iter(|| {
            let mut generator: Generator<u64> = Generator::new(|_| ());
            black_box(generator.next())
        });
    });
    group.finish();
}

criterion_group!(benches, items, create);
criterion_main!(benches);
