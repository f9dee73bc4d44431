//! Time: a timeout that is armed, used and disarmed, and 100,000 random sleeps.
//!
//! `cargo bench --bench time`, best under `taskset -c 0`. `timers` gives the wall time per sleep
//! on virtual time, where nothing is waited for: the cost of the timer wheel and two switches.
mod shared;

use criterion::{Criterion, criterion_group, criterion_main};
use maypole::{Builder, Clock};
use std::time::{Duration, Instant};

fn timeout(criterion: &mut Criterion) {
    let mut group = shared::group(criterion, "timeout");
    shared::bare_round_trip(&mut group);
    group.bench_function("maypole", |bencher| {
        bencher.iter_custom(|timeouts| {
            maypole::run(|| {
                let start = Instant::now();
                for _ in 0..timeouts {
                    maypole::time::timeout(Duration::from_secs(10), || maypole::yield_now())
                        .unwrap();
                }
                start.elapsed()
            })
        });
    });
    group.finish();
}

fn timers(criterion: &mut Criterion) {
    const SLEEPERS: u64 = 100_000;
    let mut group = shared::group(criterion, "timers");
    group.sample_size(10);
    shared::bare_round_trip(&mut group);
    group.bench_function("maypole", |bencher| {
        bencher.iter_custom(|timers| {
            let rounds = timers.div_ceil(SLEEPERS);
            let mut elapsed = Duration::ZERO;
            for round in 0..rounds {
                let virtual_time = Builder::new().clock(Clock::Virtual);
                elapsed += virtual_time
                    .run(|| {
                        let start = Instant::now();
                        let sleepers: Vec<_> = (0..SLEEPERS)
                            .map(|n| {
                                // Knuth's multiplicative hash: the same spread in every run.
                                let spread = (n + round).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 34;
                                let nap = Duration::from_nanos(spread);
                                maypole::spawn(move || maypole::sleep(nap))
                            })
                            .collect();
                        for sleeper in sleepers {
                            sleeper.join().unwrap();
                        }
                        start.elapsed()
                    })
                    .unwrap();
            }
            elapsed.mul_f64(timers as f64 / (rounds * SLEEPERS) as f64)
        });
    });
    group.finish();
}

criterion_group!(benches, timeout, timers);
criterion_main!(benches);
