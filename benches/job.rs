//! Jobs: yields to a task, a checkpoint that nobody wants anything at, and a kill until it has come.
//!
//! `cargo bench --bench job`.
mod shared;

use criterion::{Criterion, criterion_group, criterion_main};
use maypole::generator::Yielder;
use maypole::job;
use std::time::{Duration, Instant};

fn yields(criterion: &mut Criterion) {
    let mut group = shared::group(criterion, "job");
    shared::bare_round_trip(&mut group);
    group.bench_function("in_task", |bencher| {
        bencher.iter_custom(|values| {
            maypole::run(|| {
                let start = Instant::now();
                let job = job::in_task(move |y| (0..values).for_each(|n| y.yield_(n)));
                assert_eq!(job.iter().count() as u64, values);
                start.elapsed()
            })
        });
    });
    group.bench_function("in_thread", |bencher| {
        bencher.iter_custom(|values| {
            maypole::run(|| {
                let start = Instant::now();
                let job = job::in_thread(move |y| (0..values).for_each(|n| y.yield_(n)));
                assert_eq!(job.iter().count() as u64, values);
                start.elapsed()
            })
        });
    });
    group.bench_function("std_threads", |bencher| {
        bencher.iter_custom(|values| {
            let start = Instant::now();
            let (sender, receiver) = std::sync::mpsc::channel();
            let thread = std::thread::spawn(move || {
                (0..values).for_each(|n| sender.send(n).expect("somebody receives"));
            });
            assert_eq!(receiver.iter().count() as u64, values);
            thread.join().expect("it sends and ends");
            start.elapsed()
        });
    });
    group.finish();
}

fn checkpoint(criterion: &mut Criterion) {
    let mut group = shared::group(criterion, "job_checkpoint");
    group.bench_function("in_thread", |bencher| {
        bencher.iter_custom(|checkpoints| {
            let job = job::in_thread(move |y: &Yielder<()>| {
                let start = Instant::now();
                for _ in 0..checkpoints {
                    y.checkpoint();
                }
                start.elapsed()
            });
            job.join().expect("nobody kills it")
        });
    });
    group.finish();
}

fn kill(criterion: &mut Criterion) {
    let mut group = shared::group(criterion, "job_kill");
    group.sample_size(10);
    group.bench_function("in_thread", |bencher| {
        bencher.iter_custom(|kills| {
            let mut elapsed = Duration::ZERO;
            for _ in 0..kills {
                let job = job::in_thread(|y| {
                    y.yield_(());
                    loop {
                        y.checkpoint();
                    }
                });
                job.recv().expect("it has begun");
                let start = Instant::now();
                job.kill("as soon as it can");
                let _ = job.join();
                elapsed += start.elapsed();
            }
            elapsed
        });
    });
    group.finish();
}

criterion_group!(benches, yields, checkpoint, kill);
criterion_main!(benches);
