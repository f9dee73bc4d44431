//! What a workload asks of a peer's transactions. The values in the variables are numbers.

use std::future::Future;

use super::{Awaiting, Blocking};

/// Transactions of tasks that block.
pub trait BlockingStm: 'static {
    /// The contender's name in the results.
    const NAME: &'static str;

    /// Whose tasks wait for each other.
    type Tasks: Blocking;
    /// A handle to a variable, which all clones share.
    type Variable: Clone + Send + 'static;

    fn variable(value: i64) -> Self::Variable;
    /// Moves an amount in one transaction: reads both variables, then writes both.
    fn transfer(from: &Self::Variable, to: &Self::Variable, amount: i64);
    /// A transaction that reads one variable.
    fn read(variable: &Self::Variable) -> i64;
    /// A transaction that retries until the variable has the value `awaited`, and then writes `next`.
    fn pass(variable: &Self::Variable, awaited: i64, next: i64);
}

/// Queues that transactions use.
pub trait BlockingStmQueue: BlockingStm {
    /// A handle to a queue, which all clones share.
    type Queue: Clone + Send + 'static;

    /// A queue that holds `capacity` messages; `None` is no bound.
    fn queue(capacity: Option<usize>) -> Self::Queue;
    /// A transaction that puts a message in, and retries while the queue is full.
    fn put(queue: &Self::Queue, message: u64);
    /// A transaction that takes a message out, and retries while the queue is empty.
    fn take(queue: &Self::Queue) -> u64;
}

/// Transactions of tasks that are futures.
pub trait AwaitingStm: 'static {
    /// The contender's name in the results.
    const NAME: &'static str;

    /// Whose tasks wait for each other.
    type Tasks: Awaiting;
    /// A handle to a variable, which all clones share.
    type Variable: Clone + 'static;

    fn variable(value: i64) -> Self::Variable;
    /// Moves an amount in one transaction: reads both variables, then writes both.
    fn transfer(
        from: &Self::Variable,
        to: &Self::Variable,
        amount: i64,
    ) -> impl Future<Output = ()>;
    /// A transaction that reads one variable.
    fn read(variable: &Self::Variable) -> impl Future<Output = i64>;
    /// A transaction that retries until the variable has the value `awaited`, and then writes `next`.
    fn pass(variable: &Self::Variable, awaited: i64, next: i64) -> impl Future<Output = ()>;
}

/// Queues that transactions use.
pub trait AwaitingStmQueue: AwaitingStm {
    /// A handle to a queue, which all clones share.
    type Queue: Clone + 'static;

    /// A queue that holds `capacity` messages; `None` is no bound.
    fn queue(capacity: Option<usize>) -> Self::Queue;
    /// A transaction that puts a message in, and retries while the queue is full.
    fn put(queue: &Self::Queue, message: u64) -> impl Future<Output = ()>;
    /// A transaction that takes a message out, and retries while the queue is empty.
    fn take(queue: &Self::Queue) -> impl Future<Output = u64>;
}
