//! A transaction: an amount moved, a variable read, a task woken by `retry`, a message through a queue.
//!
//! `cargo bench --bench stm`, best under `taskset -c 0`.
mod shared;

use criterion::{Criterion, criterion_group, criterion_main};
use maypole::stm::{TBQueue, TQueue, TVar, atomically, check};
use std::hint::black_box;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// An amount is moved in one transaction; and as without transactions, by one who holds both locks.
fn transfers(criterion: &mut Criterion) {
    let mut group = shared::group(criterion, "stm");
    shared::bare_round_trip(&mut group);
    group.bench_function("maypole", |bencher| {
        bencher.iter_custom(|times| {
            maypole::run(|| {
                let amount = times as i64;
                let (left, right) = (TVar::new(amount), TVar::new(0));
                let start = Instant::now();
                for _ in 0..times {
                    transfer(black_box(&left), black_box(&right), 1);
                }
                let elapsed = start.elapsed();
                assert_eq!((left.get(), right.get()), (0, amount));
                elapsed
            })
        });
    });
    group.bench_function("std_threads", |bencher| {
        bencher.iter_custom(|times| {
            maypole::run(|| {
                let amount = times as i64;
                let (left, right) = (Mutex::new(amount), Mutex::new(0));
                let start = Instant::now();
                for _ in 0..times {
                    transfer_locked(black_box(&left), black_box(&right), 1);
                }
                let elapsed = start.elapsed();
                let [left, right] = [left, right].map(|value| value.into_inner().unwrap());
                assert_eq!((left, right), (0, amount));
                elapsed
            })
        });
    });
    group.finish();
}

fn transfer(from: &TVar<i64>, to: &TVar<i64>, amount: i64) {
    atomically(|transaction| {
        let left = from.read(transaction);
        let right = to.read(transaction);
        from.write(transaction, left - amount);
        to.write(transaction, right + amount);
        Ok(())
    });
}

fn transfer_locked(from: &Mutex<i64>, to: &Mutex<i64>, amount: i64) {
    let mut left = from.lock().unwrap();
    let mut right = to.lock().unwrap();
    *left -= amount;
    *right += amount;
}

fn reads(criterion: &mut Criterion) {
    let mut group = shared::group(criterion, "stm/read");
    shared::bare_round_trip(&mut group);
    group.bench_function("maypole", |bencher| {
        bencher.iter_custom(|times| {
            time_reads(
                times,
                #[inline(always)]
                |variable| atomically(|transaction| Ok(variable.read(transaction))),
            )
        });
    });
    group.bench_function("maypole_get", |bencher| {
        bencher.iter_custom(|times| time_reads(times, TVar::get));
    });
    group.finish();
}

fn time_reads(times: u64, read: impl Fn(&TVar<i64>) -> i64) -> Duration {
    maypole::run(|| {
        let variable = TVar::new(1);
        let mut sum = 0;
        let start = Instant::now();
        for _ in 0..times {
            sum += read(black_box(&variable));
        }
        let elapsed = start.elapsed();
        assert_eq!(sum, times as i64);
        elapsed
    })
}

fn wakes(criterion: &mut Criterion) {
    let mut group = shared::group(criterion, "stm/retry");
    shared::bare_round_trip(&mut group);
    group.bench_function("maypole", |bencher| {
        bencher.iter_custom(|wakes| time_wakes(wakes, pass));
    });
    // Made a real call below the loop, as most are.
    group.bench_function("maypole_called", |bencher| {
        bencher.iter_custom(|wakes| time_wakes(wakes, pass_called));
    });
    group.finish();
}

/// Two tasks give each other a turn, each while the other waits for it.
fn time_wakes(wakes: u64, pass: impl Fn(&TVar<i64>, i64, i64) + Copy + 'static) -> Duration {
    maypole::run(|| {
        let rounds = wakes.div_ceil(2);
        // Which of the two may go on.
        let turn = TVar::new(0);
        let other = {
            let turn = turn.clone();
            maypole::spawn(move || {
                for _ in 0..=rounds {
                    pass(&turn, 1, 0);
                }
            })
        };
        pass(&turn, 0, 1);
        // Both have had their first turn by then.
        pass(&turn, 0, 0);
        let start = Instant::now();
        for _ in 0..rounds {
            pass(&turn, 0, 1);
        }
        pass(&turn, 0, 0);
        let elapsed = start.elapsed();
        other.join().unwrap();
        elapsed.mul_f64(wakes as f64 / (2 * rounds) as f64)
    })
}

/// Waits until the variable has the value `awaited`, and gives it the value `next`.
#[inline(always)]
fn pass(variable: &TVar<i64>, awaited: i64, next: i64) {
    atomically(|transaction| {
        check(variable.read(transaction) == awaited)?;
        variable.write(transaction, next);
        Ok(())
    });
}

#[inline(never)]
fn pass_called(variable: &TVar<i64>, awaited: i64, next: i64) {
    pass(variable, awaited, next);
    // Not a tail call.
    black_box(());
}

fn queues(criterion: &mut Criterion) {
    // Without a bound the producer would write everything before the consumer has its turn.
    const AHEAD: u64 = 1_024;
    let mut group = shared::group(criterion, "stm/queue");
    shared::bare_round_trip(&mut group);
    group.bench_function("maypole", |bencher| {
        bencher.iter_custom(|messages| {
            maypole::run(|| {
                let queue = TQueue::new();
                let into = queue.clone();
                maypole::spawn(move || {
                    for message in 0..=messages {
                        atomically(|transaction| {
                            into.write(transaction, message);
                            Ok(())
                        });
                        if message % AHEAD == AHEAD - 1 {
                            maypole::yield_now();
                        }
                    }
                });
                time_messages(
                    messages,
                    #[inline(always)]
                    || atomically(|transaction| queue.read(transaction)),
                )
            })
        });
    });
    group.finish();

    let mut group = shared::group(criterion, "stm/queue/128");
    shared::bare_round_trip(&mut group);
    group.bench_function("maypole", |bencher| {
        bencher.iter_custom(|messages| {
            maypole::run(|| {
                let queue = TBQueue::new(128);
                let into = queue.clone();
                maypole::spawn(move || {
                    for message in 0..=messages {
                        atomically(|transaction| into.write(transaction, message));
                    }
                });
                time_messages(
                    messages,
                    #[inline(always)]
                    || atomically(|transaction| queue.read(transaction)),
                )
            })
        });
    });
    group.finish();
}

/// The messages after the first, with which the producer has had its first turn.
#[inline(always)]
fn time_messages(messages: u64, receive: impl Fn() -> u64) -> Duration {
    assert_eq!(receive(), 0);
    let start = Instant::now();
    for message in 1..=messages {
        assert_eq!(receive(), message);
    }
    start.elapsed()
}

criterion_group!(benches, transfers, reads, wakes, queues);
criterion_main!(benches);
