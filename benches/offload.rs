//! A function that another OS thread runs while its task waits, there and back: against a bare OS
//! thread with two channels.
//!
//! `cargo bench --bench offload`, best under `taskset -c 0`.
mod shared;

use criterion::{Criterion, criterion_group, criterion_main};
use std::hint::black_box;
use std::sync::mpsc;
use std::time::Instant;

fn offload(criterion: &mut Criterion) {
    let mut group = shared::group(criterion, "offload");
    shared::bare_round_trip(&mut group);
    group.bench_function("maypole", |bencher| {
        bencher.iter_custom(|calls| {
            maypole::run(|| {
                maypole::thread::offload(|| ());
                let start = Instant::now();
                for n in 0..calls {
                    black_box(maypole::thread::offload(|| black_box(n) + 1));
                }
                start.elapsed()
            })
        });
    });
    group.bench_function("std_threads", |bencher| {
        bencher.iter_custom(|calls| {
            let (order, orders) = mpsc::channel::<u64>();
            let (answer, answers) = mpsc::channel();
            let other = std::thread::spawn(move || {
                for n in orders {
                    answer.send(black_box(n) + 1).unwrap();
                }
            });
            order.send(0).unwrap();
            answers.recv().unwrap();
            let start = Instant::now();
            for n in 0..calls {
                order.send(n).unwrap();
                black_box(answers.recv().unwrap());
            }
            let elapsed = start.elapsed();
            drop(order);
            other.join().unwrap();
            elapsed
        });
    });
    group.finish();
}

criterion_group!(benches, offload);
criterion_main!(benches);
