//! What tasks do with a lock: take it unopposed, and hand it to each other.

use std::hint::black_box;
use std::marker::PhantomData;
use std::time::{Duration, Instant};

use super::{Stackful, Stackless};
use crate::measure::per_operation;
use crate::peer::{Awaiting, AwaitingLock, Blocking, BlockingLock};

/// Two tasks at one lock.
pub struct HandOver {
    /// Nanoseconds per time the lock was taken.
    pub time: f64,
    /// How often the task that took the lock was not the one that had it before, from 0 to 1.
    pub alternation: f64,
}

/// A lock, ready for every workload.
pub trait LockPeer {
    fn name(&self) -> &'static str;
    /// Why this machine cannot run `tasks` tasks of this peer, if it cannot.
    fn obstacle(&self, tasks: usize) -> Option<String>;
    /// Locks and unlocks what nobody else wants.
    fn uncontended(&self, count: usize) -> f64;
    /// Two tasks take the lock in turn, each while the other waits for it, and yield while they have it.
    fn hand_over(&self, count: usize) -> HandOver;
}

impl<L: BlockingLock> Stackful<L> {
    pub fn lock() -> Box<dyn LockPeer> {
        Box::new(Self(PhantomData))
    }
}

impl<L: AwaitingLock> Stackless<L> {
    pub fn lock() -> Box<dyn LockPeer> {
        Box::new(Self(PhantomData))
    }
}

/// Long enough for two tasks to come to the lock.
const MOMENT: Duration = Duration::from_millis(2);

macro_rules! workloads {
    ($adapter:ident, $lock:ident, $task:ident, $wait:ident) => {
        impl<L: $lock> LockPeer for $adapter<L> {
            fn name(&self) -> &'static str {
                L::NAME
            }

            fn obstacle(&self, tasks: usize) -> Option<String> {
                L::Tasks::obstacle(tasks)
            }

            fn uncontended(&self, count: usize) -> f64 {
                L::Tasks::run($task!({
                    let lock = L::new(0);
                    let start = Instant::now();
                    for _ in 0..count {
                        let mut value = $wait!(L::lock(black_box(&lock)));
                        *value += 1;
                    }
                    let time = per_operation(start.elapsed(), count);
                    assert_eq!(*$wait!(L::lock(&lock)), count as u64);
                    time
                }))
            }

            fn hand_over(&self, count: usize) -> HandOver {
                L::Tasks::run($task!({
                    let each = count.div_ceil(2);
                    // The value is the number of the task that had the lock last.
                    let lock = L::new(0);
                    let held = $wait!(L::lock(&lock));
                    let tasks = [0_u64, 1].map(|task| {
                        let lock = lock.clone();
                        L::Tasks::spawn($task!({
                            let mut alternations = 0;
                            for _ in 0..each {
                                let mut last = $wait!(L::lock(&lock));
                                alternations += usize::from(*last != task);
                                *last = task;
                                $wait!(L::Tasks::yield_now());
                            }
                            alternations
                        }))
                    });
                    // A sleep lets both come to the lock with every peer, a yield does not.
                    $wait!(L::Tasks::sleep(MOMENT));
                    let start = Instant::now();
                    drop(held);
                    let mut alternations = 0;
                    for task in tasks {
                        alternations += $wait!(L::Tasks::join(task));
                    }
                    let taken = 2 * each;
                    HandOver {
                        time: per_operation(start.elapsed(), taken),
                        alternation: alternations as f64 / taken as f64,
                    }
                }))
            }
        }
    };
}

workloads!(Stackful, BlockingLock, closure, blocking);
workloads!(Stackless, AwaitingLock, future, awaited);
