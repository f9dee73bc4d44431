//! A schedule of a program of three tasks, when all of its schedules are explored.
//!
//! `cargo bench --bench explore`, best under `taskset -c 0`.
mod shared;

use criterion::{Criterion, criterion_group, criterion_main};
use maypole::explore::{Explorer, Switches};
use maypole::sync::Mutex;
use std::cell::Cell;
use std::rc::Rc;
use std::time::Instant;

fn three_tasks() {
    let number = Rc::new(Mutex::new(0));
    let tasks = [(); 3].map(|()| {
        let number = number.clone();
        maypole::spawn(move || {
            *number.lock() += 1;
            *number.lock() += 1;
        })
    });
    for task in tasks {
        task.join().unwrap();
    }
    assert_eq!(*number.lock(), 6);
}

fn schedules(criterion: &mut Criterion) {
    let mut group = shared::group(criterion, "explore");
    group.sample_size(10);
    shared::bare_round_trip(&mut group);
    for (name, switches) in [
        ("maypole", Switches::Everywhere),
        ("maypole_parking", Switches::Parking),
    ] {
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|wanted| {
                let done = Cell::new(0);
                let start = Instant::now();
                // Where there are fewer they are explored again.
                while done.get() < wanted.max(100) {
                    let outcome = Explorer::new()
                        .switches(switches)
                        .schedules(wanted.max(100))
                        .check(|| {
                            three_tasks();
                            done.set(done.get() + 1);
                        });
                    assert!(outcome.failure.is_none());
                }
                start.elapsed().mul_f64(wanted as f64 / done.get() as f64)
            });
        });
    }
    group.finish();
}

criterion_group!(benches, schedules);
criterion_main!(benches);
