//! genawaiter: generators made of futures.

use genawaiter::rc::Gen;

/// The numbers from 0 up to `count`, as a generator.
pub fn numbers(count: u64) -> impl Iterator<Item = u64> {
    Gen::new(move |yielder| async move {
        for number in 0..count {
            yielder.yield_(number).await;
        }
    })
    .into_iter()
}
