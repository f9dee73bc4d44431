//! A yield: with 1 to 1,000,000 tasks, and made by 1 and 8 real calls below the task's loop.
//!
//! `cargo bench --bench switch`, best under `taskset -c 0`.
mod shared;

use criterion::{Criterion, criterion_group, criterion_main};
use std::cell::Cell;
use std::hint::black_box;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// The time of `yields` yields among `tasks` tasks that do nothing else, as one of them sees it.
fn time_yields(tasks: u64, yields: u64, step: impl Fn() + Copy + 'static) -> Duration {
    maypole::run(|| {
        let over = Rc::new(Cell::new(false));
        for _ in 1..tasks {
            let over = over.clone();
            maypole::spawn(move || {
                while !over.get() {
                    step();
                }
            });
        }
        // All have their stacks, and are where they will be, before the clock starts.
        step();
        step();
        let rounds = yields.div_ceil(tasks);
        let start = Instant::now();
        for _ in 0..rounds {
            step();
        }
        let elapsed = start.elapsed();
        over.set(true);
        step();
        elapsed.mul_f64(yields as f64 / (rounds * tasks) as f64)
    })
}

fn switch(criterion: &mut Criterion) {
    for (name, tasks) in [
        ("1", 1),
        ("2", 2),
        ("1k", 1_000),
        ("100k", 100_000),
        ("1m", 1_000_000),
    ] {
        let mut group = shared::group(criterion, &format!("switch/{name}"));
        if tasks >= 100_000 {
            group.sample_size(10);
        }
        shared::bare_round_trip(&mut group);
        group.bench_function("maypole", |bencher| {
            bencher.iter_custom(|yields| {
                // A few rounds at least: each begins with cold caches.
                let measured = yields.max(4 * tasks);
                time_yields(tasks, measured, || maypole::yield_now())
                    .mul_f64(yields as f64 / measured as f64)
            });
        });
        group.finish();
    }
}

#[inline(never)]
fn call(depth: u32) {
    if depth == 1 {
        maypole::yield_now();
    } else {
        call(black_box(depth - 1));
    }
    // Not a tail call.
    black_box(());
}

#[inline(never)]
fn call_bare(yielder: &corosensei::Yielder<(), ()>, depth: u32) {
    if depth == 1 {
        yielder.suspend(());
    } else {
        call_bare(yielder, black_box(depth - 1));
    }
    black_box(());
}

fn switch_called(criterion: &mut Criterion) {
    for depth in [1, 8] {
        let mut group = shared::group(criterion, &format!("switch_called/{depth}"));
        group.bench_function("corosensei", |bencher| {
            bencher.iter_custom(|iterations| {
                let mut coroutine = corosensei::Coroutine::new(move |yielder, ()| {
                    for _ in 0..iterations {
                        call_bare(yielder, depth);
                    }
                });
                let start = Instant::now();
                while let corosensei::CoroutineResult::Yield(()) = coroutine.resume(()) {}
                start.elapsed()
            });
        });
        group.bench_function("maypole", |bencher| {
            bencher.iter_custom(|yields| time_yields(2, yields, move || call(depth)));
        });
        group.finish();
    }
}

criterion_group!(benches, switch, switch_called);
criterion_main!(benches);
