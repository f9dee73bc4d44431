//! What tasks do by transactions: move an amount, read, wake each other by `retry`, pass messages.

use std::hint::black_box;
use std::marker::PhantomData;
use std::time::Instant;

use super::{Stackful, Stackless};
use crate::measure::per_operation;
use crate::peer::{
    Awaiting, AwaitingStm, AwaitingStmQueue, Blocking, BlockingStm, BlockingStmQueue,
};

/// Transactions, ready for the workloads on variables.
pub trait StmPeer {
    fn name(&self) -> &'static str;
    /// Why this machine cannot run `tasks` tasks of this peer, if it cannot.
    fn obstacle(&self, tasks: usize) -> Option<String>;
    /// Moves an amount from one variable to another, unopposed.
    fn transfer(&self, count: usize) -> f64;
    /// Reads one variable.
    fn read(&self, count: usize) -> f64;
    /// Two tasks give each other a turn, each while the other waits for it; the operation is one wake-up.
    fn wake(&self, count: usize) -> f64;
}

/// Queues that transactions use, ready for the workload on them.
pub trait StmQueuePeer {
    fn name(&self) -> &'static str;
    /// Why this machine cannot run `tasks` tasks of this peer, if it cannot.
    fn obstacle(&self, tasks: usize) -> Option<String>;
    /// One task puts messages in, another takes them out, each in a transaction of its own.
    fn stream(&self, capacity: Option<usize>, messages: usize) -> f64;
}

impl<S: BlockingStm> Stackful<S> {
    pub fn stm() -> Box<dyn StmPeer> {
        Box::new(Self(PhantomData))
    }
}

impl<S: BlockingStmQueue> Stackful<S> {
    pub fn stm_queue() -> Box<dyn StmQueuePeer> {
        Box::new(Self(PhantomData))
    }
}

impl<S: AwaitingStm> Stackless<S> {
    pub fn stm() -> Box<dyn StmPeer> {
        Box::new(Self(PhantomData))
    }
}

impl<S: AwaitingStmQueue> Stackless<S> {
    pub fn stm_queue() -> Box<dyn StmQueuePeer> {
        Box::new(Self(PhantomData))
    }
}

/// How many messages an unbounded stream may be ahead. A task that never waits would otherwise put all
/// its messages in before the other gets a turn.
const AHEAD: u64 = 1_024;

macro_rules! workloads {
    ($adapter:ident, $stm:ident, $queue:ident, $task:ident, $wait:ident) => {
        impl<S: $stm> StmPeer for $adapter<S> {
            fn name(&self) -> &'static str {
                S::NAME
            }

            fn obstacle(&self, tasks: usize) -> Option<String> {
                S::Tasks::obstacle(tasks)
            }

            fn transfer(&self, count: usize) -> f64 {
                S::Tasks::run($task!({
                    let amount = count as i64;
                    let (left, right) = (S::variable(amount), S::variable(0));
                    let start = Instant::now();
                    for _ in 0..count {
                        $wait!(S::transfer(black_box(&left), black_box(&right), 1));
                    }
                    let time = per_operation(start.elapsed(), count);
                    assert_eq!($wait!(S::read(&left)), 0);
                    assert_eq!($wait!(S::read(&right)), amount);
                    time
                }))
            }

            fn read(&self, count: usize) -> f64 {
                S::Tasks::run($task!({
                    let variable = S::variable(1);
                    let mut sum = 0;
                    let start = Instant::now();
                    for _ in 0..count {
                        sum += $wait!(S::read(black_box(&variable)));
                    }
                    let time = per_operation(start.elapsed(), count);
                    assert_eq!(sum, count as i64);
                    time
                }))
            }

            fn wake(&self, count: usize) -> f64 {
                S::Tasks::run($task!({
                    let rounds = count.div_ceil(2);
                    // Which of the two may go on.
                    let turn = S::variable(0);
                    let other = {
                        let turn = turn.clone();
                        S::Tasks::spawn($task!({
                            for _ in 0..=rounds {
                                $wait!(S::pass(&turn, 1, 0));
                            }
                        }))
                    };
                    // Both tasks have had their first turn before the clock starts.
                    $wait!(S::pass(&turn, 0, 1));
                    $wait!(S::pass(&turn, 0, 0));
                    let start = Instant::now();
                    for _ in 0..rounds {
                        $wait!(S::pass(&turn, 0, 1));
                    }
                    $wait!(S::pass(&turn, 0, 0));
                    let time = per_operation(start.elapsed(), 2 * rounds);
                    $wait!(S::Tasks::join(other));
                    time
                }))
            }
        }

        impl<S: $queue> StmQueuePeer for $adapter<S> {
            fn name(&self) -> &'static str {
                S::NAME
            }

            fn obstacle(&self, tasks: usize) -> Option<String> {
                S::Tasks::obstacle(tasks)
            }

            fn stream(&self, capacity: Option<usize>, messages: usize) -> f64 {
                S::Tasks::run($task!({
                    let last = messages as u64;
                    let must_wait =
                        move |message: u64| capacity.is_none() && message % AHEAD == AHEAD - 1;
                    let (queue, permits) = (S::queue(capacity), S::queue(capacity));
                    let producer = {
                        let (queue, permits) = (queue.clone(), permits.clone());
                        S::Tasks::spawn($task!({
                            for message in 0..=last {
                                $wait!(S::put(&queue, message));
                                if must_wait(message) {
                                    $wait!(S::take(&permits));
                                }
                            }
                        }))
                    };
                    let mut sum = $wait!(S::take(&queue));
                    let start = Instant::now();
                    for message in 1..=last {
                        sum += $wait!(S::take(&queue));
                        if must_wait(message) {
                            $wait!(S::put(&permits, 0));
                        }
                    }
                    let time = per_operation(start.elapsed(), messages);
                    $wait!(S::Tasks::join(producer));
                    assert_eq!(sum, last * (last + 1) / 2);
                    time
                }))
            }
        }
    };
}

workloads!(Stackful, BlockingStm, BlockingStmQueue, closure, blocking);
workloads!(Stackless, AwaitingStm, AwaitingStmQueue, future, awaited);
