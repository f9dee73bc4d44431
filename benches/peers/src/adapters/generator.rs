//! generator: the bare coroutines under may.

use std::hint::black_box;
use std::time::Instant;

use generator::{Gn, Scope};

use crate::measure::per_operation;

/// The numbers from 0 up to `count`, as a generator.
pub fn numbers(count: u64) -> impl Iterator<Item = u64> {
    Gn::<()>::new_scoped_local(move |mut yielder| {
        for number in 0..count {
            yielder.yield_with(number);
        }
        generator::done!()
    })
}

/// One resume and yield, the latter `depth` real calls below its loop.
pub fn round_trip(count: usize, depth: usize) -> f64 {
    let mut coroutine = Gn::<()>::new_scoped_local(move |mut yielder| {
        for _ in 0..=count {
            if depth == 0 {
                yielder.yield_with(());
            } else {
                yield_below(&mut yielder, depth);
            }
        }
        generator::done!()
    });
    coroutine.resume();
    let start = Instant::now();
    for _ in 0..count {
        coroutine.resume();
    }
    let time = per_operation(start.elapsed(), count);
    // To its end, so that dropping it has nothing to unwind.
    coroutine.resume();
    time
}

#[inline(never)]
fn yield_below(yielder: &mut Scope<'_, '_, (), ()>, depth: usize) {
    if depth == 1 {
        yielder.yield_with(());
    } else {
        yield_below(yielder, depth - 1);
    }
    black_box(depth);
}
