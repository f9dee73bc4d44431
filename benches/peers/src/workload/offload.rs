//! What tasks have done by other OS threads: one thing at a time, and many at once.

use std::hint::black_box;
use std::marker::PhantomData;
use std::time::Instant;

use super::{Stackful, Stackless};
use crate::measure::per_operation;
use crate::peer::{Awaiting, AwaitingOffload, Blocking, BlockingOffload};

/// Other OS threads, ready for the workloads.
pub trait OffloadPeer {
    fn name(&self) -> &'static str;
    /// Why this machine cannot run `tasks` tasks of this peer, if it cannot.
    fn obstacle(&self, tasks: usize) -> Option<String>;
    /// So many tasks have `count` functions run in all, each one after another.
    fn offload(&self, tasks: usize, count: usize) -> f64;
}

impl<O: BlockingOffload> Stackful<O> {
    pub fn offload() -> Box<dyn OffloadPeer> {
        Box::new(Self(PhantomData))
    }
}

impl<O: AwaitingOffload> Stackless<O> {
    pub fn offload() -> Box<dyn OffloadPeer> {
        Box::new(Self(PhantomData))
    }
}

fn work(number: u64) -> u64 {
    black_box(number) + 1
}

macro_rules! workloads {
    ($adapter:ident, $offload:ident, $task:ident, $wait:ident) => {
        impl<O: $offload> OffloadPeer for $adapter<O> {
            fn name(&self) -> &'static str {
                O::NAME
            }

            fn obstacle(&self, tasks: usize) -> Option<String> {
                O::Tasks::obstacle(tasks)
            }

            fn offload(&self, tasks: usize, count: usize) -> f64 {
                let each = count.div_ceil(tasks) as u64;
                O::Tasks::run($task!({
                    let pool = O::pool();
                    // The OS threads are there before the clock starts.
                    assert_eq!($wait!(O::offload(&pool, work, 1)), 2);
                    let start = Instant::now();
                    let tasks: Vec<_> = (0..tasks)
                        .map(|_| {
                            let pool = pool.clone();
                            O::Tasks::spawn($task!({
                                let mut number = 0;
                                for _ in 0..each {
                                    number = $wait!(O::offload(&pool, work, number));
                                }
                                number
                            }))
                        })
                        .collect();
                    let done = tasks.len() as u64 * each;
                    let mut sum = 0;
                    for task in tasks {
                        sum += $wait!(O::Tasks::join(task));
                    }
                    assert_eq!(sum, done);
                    per_operation(start.elapsed(), done as usize)
                }))
            }
        }
    };
}

workloads!(Stackful, BlockingOffload, closure, blocking);
workloads!(Stackless, AwaitingOffload, future, awaited);
