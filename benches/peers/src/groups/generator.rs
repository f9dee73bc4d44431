//! A generator in a `for` loop: one item of a long one, and the life of an empty one.

use std::hint::black_box;
use std::time::Instant;

use criterion::Criterion;

use crate::adapters::{corosensei, genawaiter, generator, maypole};
use crate::measure::{Group, Nanoseconds, per_operation};

pub fn groups(criterion: &mut Criterion<Nanoseconds>) {
    every_generator(&mut Group::new(criterion, "generator"), Part::Item);
    every_generator(&mut Group::new(criterion, "generator/create"), Part::Life);
}

#[derive(Clone, Copy)]
enum Part {
    Item,
    Life,
}

fn every_generator(group: &mut Group<'_>, part: Part) {
    add(group, "std", part, |count| 0..count);
    add(group, "corosensei", part, corosensei::numbers);
    add(group, "maypole", part, maypole::numbers);
    add(group, "genawaiter", part, genawaiter::numbers);
    add(group, "generator", part, generator::numbers);
}

fn add<I: Iterator<Item = u64>>(
    group: &mut Group<'_>,
    name: &str,
    part: Part,
    numbers: impl Fn(u64) -> I,
) {
    group.add(name, |iterations| {
        let count = iterations.max(1_000);
        let start = Instant::now();
        match part {
            Part::Item => consume(numbers(black_box(count as u64))),
            Part::Life => (0..count).for_each(|_| consume(numbers(black_box(0)))),
        }
        per_operation(start.elapsed(), count)
    });
}

fn consume(numbers: impl Iterator<Item = u64>) {
    for number in numbers {
        // Keeps plain iterators from being computed ahead.
        black_box(number);
    }
}
