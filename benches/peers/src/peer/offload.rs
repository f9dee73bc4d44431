//! What a workload asks of a peer's other OS threads. The work is a function of a number.

use std::future::Future;

use super::{Awaiting, Blocking};

/// Work that a task which blocks has done by another OS thread.
pub trait BlockingOffload: 'static {
    /// The contender's name in the results.
    const NAME: &'static str;

    /// Whose tasks wait.
    type Tasks: Blocking;
    /// Who does the work, where the program has to keep that itself.
    type Pool: Clone + Send + 'static;

    fn pool() -> Self::Pool;
    fn offload(pool: &Self::Pool, work: fn(u64) -> u64, number: u64) -> u64;
}

/// Work that a task which is a future has done by another OS thread.
pub trait AwaitingOffload: 'static {
    /// The contender's name in the results.
    const NAME: &'static str;

    /// Whose tasks wait.
    type Tasks: Awaiting;
    /// Who does the work, where the program has to keep that itself.
    type Pool: Clone + 'static;

    fn pool() -> Self::Pool;
    fn offload(pool: &Self::Pool, work: fn(u64) -> u64, number: u64) -> impl Future<Output = u64>;
}
