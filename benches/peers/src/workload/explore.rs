//! A program of three tasks under every schedule.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use crate::measure::per_operation;
use crate::peer::Explored;

/// Nanoseconds per schedule, of at least `schedules`: where there are fewer, they are explored again.
pub fn explore<E: Explored>(schedules: usize) -> f64 {
    let done = Arc::new(AtomicUsize::new(0));
    let start = Instant::now();
    while done.load(Ordering::Relaxed) < schedules {
        let done = Arc::clone(&done);
        E::explore(schedules, move || {
            three_tasks::<E>();
            done.fetch_add(1, Ordering::Relaxed);
        });
    }
    per_operation(start.elapsed(), done.load(Ordering::Relaxed))
}

/// Three tasks, each of which takes the same lock twice.
fn three_tasks<E: Explored>() {
    let number = E::number();
    let tasks = [(); 3].map(|()| {
        let number = number.clone();
        E::spawn(move || {
            E::add_one(&number);
            E::add_one(&number);
        })
    });
    tasks.into_iter().for_each(E::join);
    assert_eq!(E::read(&number), 6);
}
