//! A message of any of 2 or 8 channels, each filled by a task of its own.
//!
//! `cargo bench --bench select`, best under `taskset -c 0`.
mod shared;

use criterion::{Criterion, criterion_group, criterion_main};
use maypole::channel::{Receiver, Sender, bounded, select};
use std::hint::black_box;
use std::time::{Duration, Instant};

fn time_select(ways: u64, messages: u64, receive: fn(&[Receiver<u64>]) -> u64) -> Duration {
    maypole::run(|| {
        let each = messages.div_ceil(ways);
        let (senders, receivers): (Vec<Sender<u64>>, Vec<_>) =
            (0..ways).map(|_| bounded(1)).unzip();
        for sender in &senders {
            // The original stays here, so that no channel is ever disconnected.
            let sender = sender.clone();
            maypole::spawn(move || {
                for message in 0..=each {
                    sender.send(message).unwrap();
                }
            });
        }
        for _ in 0..ways {
            black_box(receive(&receivers));
        }
        let start = Instant::now();
        for _ in 0..each * ways {
            black_box(receive(&receivers));
        }
        start
            .elapsed()
            .mul_f64(messages as f64 / (each * ways) as f64)
    })
}

fn of_two(receivers: &[Receiver<u64>]) -> u64 {
    let [a, b] = receivers else {
        unreachable!("there are two channels")
    };
    select! {
        recv(a) -> message => message.unwrap(),
        recv(b) -> message => message.unwrap(),
    }
}

fn of_eight(receivers: &[Receiver<u64>]) -> u64 {
    let [a, b, c, d, e, f, g, h] = receivers else {
        unreachable!("there are eight channels")
    };
    select! {
        recv(a) -> message => message.unwrap(),
        recv(b) -> message => message.unwrap(),
        recv(c) -> message => message.unwrap(),
        recv(d) -> message => message.unwrap(),
        recv(e) -> message => message.unwrap(),
        recv(f) -> message => message.unwrap(),
        recv(g) -> message => message.unwrap(),
        recv(h) -> message => message.unwrap(),
    }
}

type OfSeveral = fn(&[Receiver<u64>]) -> u64;

fn selects(criterion: &mut Criterion) {
    let groups: [(&str, u64, OfSeveral); 2] = [("select/2", 2, of_two), ("select/8", 8, of_eight)];
    for (name, ways, receive) in groups {
        let mut group = shared::group(criterion, name);
        shared::bare_round_trip(&mut group);
        group.bench_function("maypole", |bencher| {
            bencher.iter_custom(|messages| time_select(ways, messages, receive));
        });
        group.finish();
    }
}

criterion_group!(benches, selects);
criterion_main!(benches);
