//! The bare coroutine that every group is compared with.
use corosensei::{Coroutine, CoroutineResult};
use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion};
use std::time::{Duration, Instant};

/// A group whose iterations are single operations, a few hundred million of which fit in seconds.
pub fn group<'a>(criterion: &'a mut Criterion, name: &str) -> BenchmarkGroup<'a, WallTime> {
    let mut group = criterion.benchmark_group(name);
    group
        .sample_size(20)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1));
    group
}

/// One resume and suspend of a bare corosensei coroutine, as `corosensei` in the group.
pub fn bare_round_trip(group: &mut BenchmarkGroup<'_, WallTime>) {
    group.bench_function("corosensei", |bencher| {
        bencher.iter_custom(|iterations| {
            let mut coroutine = Coroutine::new(move |yielder, ()| {
                for _ in 0..iterations {
                    yielder.suspend(());
                }
            });
            let start = Instant::now();
            while let CoroutineResult::Yield(()) = coroutine.resume(()) {}
            start.elapsed()
        });
    });
}
