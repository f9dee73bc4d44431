//! A task's life: spawned and joined, parent first and child first, singly and 100,000 at once.
//!
//! `cargo bench --bench spawn`, best under `taskset -c 0`.
mod shared;

use criterion::{Criterion, criterion_group, criterion_main};
use std::time::Instant;

const BATCH: u64 = 100_000;

type Spawn = fn() -> maypole::JoinHandle<()>;

fn spawn(criterion: &mut Criterion) {
    let mut group = shared::group(criterion, "spawn");
    shared::bare_round_trip(&mut group);
    group.bench_function("maypole", |bencher| {
        bencher.iter_custom(|tasks| {
            maypole::run(|| {
                let start = Instant::now();
                for _ in 0..tasks {
                    maypole::spawn(|| ()).join().unwrap();
                }
                start.elapsed()
            })
        });
    });
    group.bench_function("spawn_now", |bencher| {
        bencher.iter_custom(|tasks| {
            maypole::run(|| {
                let start = Instant::now();
                for _ in 0..tasks {
                    maypole::spawn_now(|| ()).join().unwrap();
                }
                start.elapsed()
            })
        });
    });
    group.finish();
}

fn spawn_batch(criterion: &mut Criterion) {
    let mut group = shared::group(criterion, "spawn_batch");
    group.sample_size(10);
    shared::bare_round_trip(&mut group);
    let parent_first: Spawn = || maypole::spawn(|| ());
    let child_first: Spawn = || maypole::spawn_now(|| ());
    for (name, spawn) in [("maypole", parent_first), ("spawn_now", child_first)] {
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|tasks| {
                let rounds = tasks.div_ceil(BATCH);
                let elapsed = maypole::run(|| {
                    let start = Instant::now();
                    for _ in 0..rounds {
                        let handles: Vec<_> = (0..BATCH).map(|_| spawn()).collect();
                        for handle in handles {
                            handle.join().unwrap();
                        }
                    }
                    start.elapsed()
                });
                elapsed.mul_f64(tasks as f64 / (rounds * BATCH) as f64)
            });
        });
    }
    group.finish();
}

criterion_group!(benches, spawn, spawn_batch);
criterion_main!(benches);
