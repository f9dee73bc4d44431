//! A lock: taken unopposed, and handed from task to task.
//!
//! `cargo bench --bench mutex`, best under `taskset -c 0`.
mod shared;

use criterion::{Criterion, criterion_group, criterion_main};
use maypole::sync::Mutex;
use std::hint::black_box;
use std::rc::Rc;
use std::time::Instant;

fn uncontended(criterion: &mut Criterion) {
    let mut group = shared::group(criterion, "mutex");
    shared::bare_round_trip(&mut group);
    group.bench_function("maypole", |bencher| {
        bencher.iter_custom(|times| {
            maypole::run(|| {
                let lock = Mutex::new(0);
                let start = Instant::now();
                for _ in 0..times {
                    *black_box(&lock).lock() += 1;
                }
                let elapsed = start.elapsed();
                assert_eq!(*lock.lock(), times);
                elapsed
            })
        });
    });
    group.finish();
}

/// Two tasks take the lock in turn, each while the other waits for it, and yield while they have it.
fn handed_over(criterion: &mut Criterion) {
    let mut group = shared::group(criterion, "mutex_handoff");
    shared::bare_round_trip(&mut group);
    group.bench_function("maypole", |bencher| {
        bencher.iter_custom(|times| {
            maypole::run(|| {
                let each = times.div_ceil(2);
                // The value is the number of the task that had the lock last.
                let lock = Rc::new(Mutex::new(1));
                let tasks = [0, 1].map(|task| {
                    let lock = lock.clone();
                    maypole::spawn(move || {
                        for _ in 0..each {
                            let mut last = lock.lock();
                            assert_eq!(*last, 1 - task);
                            *last = task;
                            maypole::yield_now();
                        }
                    })
                });
                let start = Instant::now();
                for task in tasks {
                    task.join().unwrap();
                }
                start.elapsed().mul_f64(times as f64 / (2 * each) as f64)
            })
        });
    });
    group.finish();
}

criterion_group!(benches, uncontended, handed_over);
criterion_main!(benches);
