//! What tasks do with channels: ping-pong, streams, a ring, skynet, communicating processes.

use std::hint::black_box;
use std::marker::PhantomData;
use std::mem::replace;
use std::time::Instant;

use super::{Stackful, Stackless};
use crate::measure::per_operation;
use crate::peer::{Awaiting, AwaitingChannel, Blocking, BlockingChannel};

/// A kind of channel, ready for every workload.
pub trait ChannelPeer {
    fn name(&self) -> &'static str;
    /// Why this machine cannot run `tasks` tasks of this peer, if it cannot.
    fn obstacle(&self, tasks: usize) -> Option<String>;
    /// Two tasks that answer each other: at no time is more than one message under way.
    fn ping_pong(&self, capacity: usize, messages: usize) -> f64;
    /// One task sends, another receives.
    fn stream(&self, capacity: Option<usize>, messages: usize) -> f64;
    /// Many tasks send `each` messages to one.
    fn fan_in(&self, producers: usize, each: usize) -> f64;
    /// A token passed around `tasks` tasks.
    fn ring(&self, tasks: usize, laps: usize) -> f64;
    /// Hoare's and Welch's four processes; the operation is one communication.
    fn commstime(&self, capacity: usize, cycles: usize) -> f64;
    /// A tree of tasks with ten children each and a million leaves; the operation is the whole tree.
    fn skynet(&self) -> f64;
}

impl<C: BlockingChannel> Stackful<C> {
    pub fn channel() -> Box<dyn ChannelPeer> {
        Box::new(Self(PhantomData))
    }
}

impl<C: AwaitingChannel> Stackless<C> {
    pub fn channel() -> Box<dyn ChannelPeer> {
        Box::new(Self(PhantomData))
    }
}

/// How many messages an unbounded stream may be ahead. A task that never waits would otherwise send all
/// its messages before the other gets a turn.
const AHEAD: u64 = 1_024;

/// How many messages wait at most where many tasks send to one.
const QUEUE: usize = 128;

/// Leaves of skynet's tree, children of each node, and the sum of the leaves' numbers.
const LEAVES: u64 = 1_000_000;
const CHILDREN: u64 = 10;
const SUM: u64 = LEAVES * (LEAVES - 1) / 2;

macro_rules! workloads {
    ($adapter:ident, $channel:ident, $task:ident, $wait:ident, $($keyword:tt)?) => {
        impl<C: $channel> ChannelPeer for $adapter<C> {
            fn name(&self) -> &'static str {
                C::NAME
            }

            fn obstacle(&self, tasks: usize) -> Option<String> {
                C::Tasks::obstacle(tasks)
            }

            fn ping_pong(&self, capacity: usize, messages: usize) -> f64 {
                C::Tasks::run($task!({
                    let rounds = messages.div_ceil(2) as u64;
                    let (there, mut heard) = C::channel(Some(capacity));
                    let (answer, mut back) = C::channel(Some(capacity));
                    let other = C::Tasks::spawn($task!({
                        for _ in 0..=rounds {
                            let message = $wait!(C::receive(&mut heard));
                            $wait!(C::send(&answer, message));
                        }
                    }));
                    let mut sum = 0;
                    // Both tasks have had their first turn before the clock starts.
                    $wait!(C::send(&there, 0));
                    sum += $wait!(C::receive(&mut back));
                    let start = Instant::now();
                    for message in 1..=rounds {
                        $wait!(C::send(&there, message));
                        sum += $wait!(C::receive(&mut back));
                    }
                    let time = per_operation(start.elapsed(), 2 * rounds as usize);
                    $wait!(C::Tasks::join(other));
                    assert_eq!(sum, rounds * (rounds + 1) / 2);
                    time
                }))
            }

            fn stream(&self, capacity: Option<usize>, messages: usize) -> f64 {
                C::Tasks::run($task!({
                    let last = messages as u64;
                    let must_wait =
                        move |message: u64| capacity.is_none() && message % AHEAD == AHEAD - 1;
                    let (sender, mut receiver) = C::channel(capacity);
                    let (permit, mut permits) = C::channel(capacity);
                    let producer = C::Tasks::spawn($task!({
                        for message in 0..=last {
                            $wait!(C::send(&sender, message));
                            if must_wait(message) {
                                $wait!(C::receive(&mut permits));
                            }
                        }
                    }));
                    let mut sum = $wait!(C::receive(&mut receiver));
                    let start = Instant::now();
                    for message in 1..=last {
                        sum += $wait!(C::receive(&mut receiver));
                        if must_wait(message) {
                            $wait!(C::send(&permit, 0));
                        }
                    }
                    let time = per_operation(start.elapsed(), messages);
                    $wait!(C::Tasks::join(producer));
                    assert_eq!(sum, last * (last + 1) / 2);
                    time
                }))
            }

            fn fan_in(&self, producers: usize, each: usize) -> f64 {
                C::Tasks::run($task!({
                    let (sender, mut receiver) = C::channel(Some(QUEUE));
                    // By then every producer has had its first turn: each can send one message at most
                    // while it waits in line.
                    let early = 2 * producers + QUEUE;
                    let messages = producers * each;
                    let handles: Vec<_> = (0..producers)
                        .map(|index| {
                            let sender = sender.clone();
                            let own = each + early / producers + usize::from(index < early % producers);
                            C::Tasks::spawn($task!({
                                for _ in 0..own {
                                    $wait!(C::send(&sender, 1));
                                }
                            }))
                        })
                        .collect();
                    let mut sum = 0;
                    for _ in 0..early {
                        sum += $wait!(C::receive(&mut receiver));
                    }
                    let start = Instant::now();
                    for _ in 0..messages {
                        sum += $wait!(C::receive(&mut receiver));
                    }
                    let time = per_operation(start.elapsed(), messages);
                    for handle in handles {
                        $wait!(C::Tasks::join(handle));
                    }
                    assert_eq!(sum, (early + messages) as u64);
                    time
                }))
            }

            fn ring(&self, tasks: usize, laps: usize) -> f64 {
                C::Tasks::run($task!({
                    let (first, mut receiver) = C::channel(Some(1));
                    let mut handles = Vec::new();
                    for _ in 1..tasks {
                        let (next, last) = C::channel(Some(1));
                        let mut previous = replace(&mut receiver, last);
                        handles.push(C::Tasks::spawn($task!({
                            for _ in 0..=laps {
                                let token = $wait!(C::receive(&mut previous));
                                $wait!(C::send(&next, token + 1));
                            }
                        })));
                    }
                    $wait!(C::send(&first, 1));
                    let mut token = $wait!(C::receive(&mut receiver));
                    let start = Instant::now();
                    for _ in 0..laps {
                        $wait!(C::send(&first, token + 1));
                        token = $wait!(C::receive(&mut receiver));
                    }
                    let time = per_operation(start.elapsed(), laps * tasks);
                    for handle in handles {
                        $wait!(C::Tasks::join(handle));
                    }
                    assert_eq!(token, (tasks * (laps + 1)) as u64);
                    time
                }))
            }

            fn commstime(&self, capacity: usize, cycles: usize) -> f64 {
                C::Tasks::run($task!({
                    let last = cycles as u64;
                    let (to_delta, mut from_prefix) = C::channel(Some(capacity));
                    let (to_successor, mut for_successor) = C::channel(Some(capacity));
                    let (to_prefix, mut from_successor) = C::channel(Some(capacity));
                    let (to_consumer, mut from_delta) = C::channel(Some(capacity));
                    let prefix = C::Tasks::spawn($task!({
                        let mut number = 0;
                        for _ in 0..=last {
                            $wait!(C::send(&to_delta, number));
                            number = $wait!(C::receive(&mut from_successor));
                        }
                    }));
                    let delta = C::Tasks::spawn($task!({
                        for _ in 0..=last {
                            let number = $wait!(C::receive(&mut from_prefix));
                            $wait!(C::send(&to_successor, number));
                            $wait!(C::send(&to_consumer, number));
                        }
                    }));
                    let successor = C::Tasks::spawn($task!({
                        for _ in 0..=last {
                            let number = $wait!(C::receive(&mut for_successor));
                            $wait!(C::send(&to_prefix, number + 1));
                        }
                    }));
                    assert_eq!($wait!(C::receive(&mut from_delta)), 0);
                    let start = Instant::now();
                    for cycle in 1..=last {
                        assert_eq!($wait!(C::receive(&mut from_delta)), cycle);
                    }
                    let time = per_operation(start.elapsed(), 4 * cycles);
                    for process in [prefix, delta, successor] {
                        $wait!(C::Tasks::join(process));
                    }
                    time
                }))
            }

            fn skynet(&self) -> f64 {
                C::Tasks::run($task!({
                    let (sender, mut sum) = C::channel(Some(CHILDREN as usize));
                    let start = Instant::now();
                    C::Tasks::detach(C::Tasks::spawn($task!({
                        $wait!(Self::skynet_node(sender, 0, LEAVES));
                    })));
                    let sum = $wait!(C::receive(&mut sum));
                    let time = per_operation(start.elapsed(), 1);
                    assert_eq!(sum, SUM);
                    time
                }))
            }
        }

        impl<C: $channel> $adapter<C> {
            /// Sends the sum of the `leaves` numbers from `first` on.
            $($keyword)? fn skynet_node(parent: C::Sender, first: u64, leaves: u64) {
                if leaves == 1 {
                    return $wait!(C::send(&parent, first));
                }
                let (sender, mut receiver) = C::channel(Some(CHILDREN as usize));
                let share = leaves / CHILDREN;
                for child in 0..CHILDREN {
                    let sender = sender.clone();
                    C::Tasks::detach(C::Tasks::spawn($task!({
                        $wait!(Self::skynet_node(sender, first + child * share, share));
                    })));
                }
                let mut sum = 0;
                for _ in 0..CHILDREN {
                    sum += black_box($wait!(C::receive(&mut receiver)));
                }
                $wait!(C::send(&parent, sum));
            }
        }
    };
}

workloads!(Stackful, BlockingChannel, closure, blocking,);
workloads!(Stackless, AwaitingChannel, future, awaited, async);
