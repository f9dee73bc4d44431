//! One task that waits for several channels at once, with a producer behind each.

use std::marker::PhantomData;
use std::time::Instant;

use super::{Stackful, Stackless};
use crate::measure::per_operation;
use crate::peer::{Awaiting, AwaitingSelect, Blocking, BlockingSelect};

/// Channels of which a task can wait for several, ready for the workload.
pub trait SelectPeer {
    fn name(&self) -> &'static str;
    /// Why this machine cannot run `tasks` tasks of this peer, if it cannot.
    fn obstacle(&self, tasks: usize) -> Option<String>;
    /// One task receives from `ways` channels of one place each, each filled by a task of its own.
    fn select(&self, ways: usize, messages: usize) -> f64;
}

impl<C: BlockingSelect> Stackful<C> {
    pub fn select() -> Box<dyn SelectPeer> {
        Box::new(Self(PhantomData))
    }
}

impl<C: AwaitingSelect> Stackless<C> {
    pub fn select() -> Box<dyn SelectPeer> {
        Box::new(Self(PhantomData))
    }
}

macro_rules! workloads {
    ($adapter:ident, $channel:ident, $task:ident, $wait:ident) => {
        impl<C: $channel> SelectPeer for $adapter<C> {
            fn name(&self) -> &'static str {
                C::NAME
            }

            fn obstacle(&self, tasks: usize) -> Option<String> {
                C::Tasks::obstacle(tasks)
            }

            fn select(&self, ways: usize, messages: usize) -> f64 {
                C::Tasks::run($task!({
                    let each = messages.div_ceil(ways) + 1;
                    let (senders, mut receivers): (Vec<_>, Vec<_>) =
                        (0..ways).map(|_| C::channel(Some(1))).unzip();
                    let producers: Vec<_> = senders
                        .iter()
                        .map(|sender| {
                            // The original stays here, so that no channel is ever disconnected.
                            let sender = sender.clone();
                            C::Tasks::spawn($task!({
                                for _ in 0..each {
                                    $wait!(C::send(&sender, 1));
                                }
                            }))
                        })
                        .collect();
                    let mut sum = 0;
                    for _ in 0..ways {
                        sum += $wait!(C::select(&mut receivers));
                    }
                    let messages = ways * (each - 1);
                    let start = Instant::now();
                    for _ in 0..messages {
                        sum += $wait!(C::select(&mut receivers));
                    }
                    let time = per_operation(start.elapsed(), messages);
                    for producer in producers {
                        $wait!(C::Tasks::join(producer));
                    }
                    drop(senders);
                    assert_eq!(sum, (ways * each) as u64);
                    time
                }))
            }
        }
    };
}

workloads!(Stackful, BlockingSelect, closure, blocking);
workloads!(Stackless, AwaitingSelect, future, awaited);
