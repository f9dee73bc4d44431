//! What a workload asks of a peer's locks. The value under the lock is a number.

use std::future::Future;
use std::ops::DerefMut;

use super::{Awaiting, Blocking};

/// A lock between tasks that block.
pub trait BlockingLock: 'static {
    /// The contender's name in the results.
    const NAME: &'static str;

    /// Whose tasks lock.
    type Tasks: Blocking;
    /// A handle to the lock, which all clones share.
    type Lock: Clone + Send + 'static;
    type Guard<'a>: DerefMut<Target = u64>;

    fn new(value: u64) -> Self::Lock;
    fn lock(lock: &Self::Lock) -> Self::Guard<'_>;
}

/// A lock between tasks that are futures.
pub trait AwaitingLock: 'static {
    /// The contender's name in the results.
    const NAME: &'static str;

    /// Whose tasks lock.
    type Tasks: Awaiting;
    /// A handle to the lock, which all clones share.
    type Lock: Clone + 'static;
    type Guard<'a>: DerefMut<Target = u64>;

    fn new(value: u64) -> Self::Lock;
    fn lock(lock: &Self::Lock) -> impl Future<Output = Self::Guard<'_>>;
}
