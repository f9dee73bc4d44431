//! A message: answered, streamed, from many to one, around a ring, through communicating processes.
//!
//! `cargo bench --bench channel`, best under `taskset -c 0`.
mod shared;

use criterion::{Criterion, criterion_group, criterion_main};
use maypole::channel::{Receiver, Sender, bounded, unbounded};
use std::hint::black_box;
use std::mem::replace;
use std::time::{Duration, Instant};

/// What `count` operations would have taken if `measured` took `elapsed`.
fn scaled(elapsed: Duration, measured: u64, count: u64) -> Duration {
    elapsed.mul_f64(count as f64 / measured as f64)
}

/// Two tasks that answer each other; `send` and `receive` are theirs.
fn time_answers(
    capacity: usize,
    messages: u64,
    send: impl Fn(&Sender<u64>, u64) + Copy + 'static,
    receive: impl Fn(&Receiver<u64>) -> u64 + Copy + 'static,
) -> Duration {
    maypole::run(|| {
        let rounds = messages.div_ceil(2);
        let (there, heard) = bounded(capacity);
        let (answer, back) = bounded(capacity);
        maypole::spawn(move || {
            for _ in 0..=rounds {
                send(&answer, receive(&heard));
            }
        });
        send(&there, 0);
        receive(&back);
        let start = Instant::now();
        for message in 1..=rounds {
            send(&there, message);
            assert_eq!(receive(&back), message);
        }
        scaled(start.elapsed(), 2 * rounds, messages)
    })
}

#[inline(never)]
fn send_called(sender: &Sender<u64>, message: u64) {
    sender.send(message).unwrap();
    // Not a tail call.
    black_box(());
}

#[inline(never)]
fn receive_called(receiver: &Receiver<u64>) -> u64 {
    black_box(receiver.recv().unwrap())
}

fn answers(criterion: &mut Criterion) {
    for (name, capacity) in [("rendezvous", 0), ("channel/1", 1)] {
        let mut group = shared::group(criterion, name);
        shared::bare_round_trip(&mut group);
        group.bench_function("maypole", |bencher| {
            bencher.iter_custom(|messages| {
                time_answers(
                    capacity,
                    messages,
                    #[inline(always)]
                    |sender, message| sender.send(message).unwrap(),
                    #[inline(always)]
                    |receiver| receiver.recv().unwrap(),
                )
            });
        });
        // Made a real call below the loop, as most are.
        group.bench_function("maypole_called", |bencher| {
            bencher.iter_custom(|messages| {
                time_answers(capacity, messages, send_called, receive_called)
            });
        });
        group.finish();
    }
}

fn streams(criterion: &mut Criterion) {
    for (name, capacity) in [("channel/128", Some(128)), ("channel/unbounded", None)] {
        let mut group = shared::group(criterion, name);
        shared::bare_round_trip(&mut group);
        group.bench_function("maypole", |bencher| {
            bencher.iter_custom(|messages| time_stream(capacity, messages));
        });
        group.finish();
    }
}

fn time_stream(capacity: Option<usize>, messages: u64) -> Duration {
    // Without a bound the producer would send everything before the consumer has its turn.
    const AHEAD: u64 = 1_024;
    maypole::run(|| {
        let (sender, receiver) = capacity.map_or_else(unbounded, bounded);
        let bounded = capacity.is_some();
        maypole::spawn(move || {
            for message in 0..=messages {
                sender.send(message).unwrap();
                if !bounded && message % AHEAD == AHEAD - 1 {
                    maypole::yield_now();
                }
            }
        });
        assert_eq!(receiver.recv(), Ok(0));
        let start = Instant::now();
        for message in 1..=messages {
            assert_eq!(receiver.recv(), Ok(message));
        }
        start.elapsed()
    })
}

fn fan_in(criterion: &mut Criterion) {
    const PRODUCERS: u64 = 1_000;
    const CAPACITY: usize = 128;
    let mut group = shared::group(criterion, "fanin");
    group.sample_size(10);
    shared::bare_round_trip(&mut group);
    group.bench_function("maypole", |bencher| {
        bencher.iter_custom(|messages| {
            maypole::run(|| {
                // All producers have had their first turn after this many each.
                const EARLY: u64 = 2;
                let each = messages.div_ceil(PRODUCERS);
                let (sender, receiver) = bounded(CAPACITY);
                for _ in 0..PRODUCERS {
                    let sender = sender.clone();
                    maypole::spawn(move || {
                        for message in 0..EARLY + each {
                            sender.send(message).unwrap();
                        }
                    });
                }
                for _ in 0..EARLY * PRODUCERS {
                    black_box(receiver.recv().unwrap());
                }
                let start = Instant::now();
                for _ in 0..each * PRODUCERS {
                    black_box(receiver.recv().unwrap());
                }
                scaled(start.elapsed(), each * PRODUCERS, messages)
            })
        });
    });
    group.finish();
}

fn ring(criterion: &mut Criterion) {
    const TASKS: u64 = 503;
    let mut group = shared::group(criterion, "ring");
    shared::bare_round_trip(&mut group);
    group.bench_function("maypole", |bencher| {
        bencher.iter_custom(|passes| {
            maypole::run(|| {
                let laps = passes.div_ceil(TASKS);
                let (first, mut receiver) = bounded(1);
                for _ in 1..TASKS {
                    let (next, last) = bounded(1);
                    let previous = replace(&mut receiver, last);
                    maypole::spawn(move || {
                        for token in previous {
                            next.send(token + 1).unwrap();
                        }
                    });
                }
                first.send(1_u64).unwrap();
                let mut token = receiver.recv().unwrap();
                let start = Instant::now();
                for _ in 0..laps {
                    first.send(token + 1).unwrap();
                    token = receiver.recv().unwrap();
                }
                let elapsed = start.elapsed();
                assert_eq!(token, (laps + 1) * TASKS);
                scaled(elapsed, laps * TASKS, passes)
            })
        });
    });
    group.finish();
}

/// Prefix, delta, successor and consumer; four communications make a cycle.
fn commstime(criterion: &mut Criterion) {
    let mut group = shared::group(criterion, "commstime");
    shared::bare_round_trip(&mut group);
    group.bench_function("maypole", |bencher| {
        bencher.iter_custom(|communications| {
            maypole::run(|| {
                let cycles = communications.div_ceil(4);
                let (to_delta, from_prefix) = bounded(0);
                let (to_successor, for_successor) = bounded(0);
                let (to_prefix, from_successor) = bounded(0);
                let (to_consumer, from_delta) = bounded(0);
                maypole::spawn(move || {
                    let mut number = 0_u64;
                    for _ in 0..=cycles {
                        to_delta.send(number).unwrap();
                        number = from_successor.recv().unwrap();
                    }
                });
                maypole::spawn(move || {
                    for number in from_prefix {
                        to_successor.send(number).unwrap();
                        to_consumer.send(number).unwrap();
                    }
                });
                maypole::spawn(move || {
                    for number in for_successor {
                        to_prefix.send(number + 1).unwrap();
                    }
                });
                assert_eq!(from_delta.recv(), Ok(0));
                let start = Instant::now();
                for cycle in 1..=cycles {
                    assert_eq!(from_delta.recv(), Ok(cycle));
                }
                scaled(start.elapsed(), 4 * cycles, communications)
            })
        });
    });
    group.finish();
}

criterion_group!(benches, answers, streams, fan_in, ring, commstime);
criterion_main!(benches);
