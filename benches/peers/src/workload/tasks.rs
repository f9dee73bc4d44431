//! What tasks do without channels or locks: yield, spawn, join, sleep.

use std::hint::black_box;
use std::marker::PhantomData;
use std::mem::forget;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::{Stackful, Stackless};
use crate::measure::{cpu_time, laps_between, per_operation};
use crate::peer::{Awaiting, Blocking};

/// How many yields to time: every task yields `rounds` times in each of `laps` laps.
#[derive(Clone, Copy)]
pub struct Yields {
    pub tasks: usize,
    pub laps: usize,
    pub rounds: usize,
}

/// What many sleeping tasks cost, and how punctual they were.
pub struct Sleeps {
    /// Nanoseconds of processor time per timer.
    pub cpu: f64,
    /// Sorted.
    pub lateness: Vec<Duration>,
}

/// Whether the tasks held in memory have had their first turn.
#[derive(Clone, Copy, PartialEq)]
pub enum Held {
    Parked,
    Unstarted,
}

/// A peer that has tasks, ready for every workload. Results are nanoseconds per operation.
pub trait TaskPeer {
    fn name(&self) -> &'static str;
    /// Why this machine cannot run `tasks` tasks of this peer, if it cannot.
    fn obstacle(&self, tasks: usize) -> Option<String>;
    /// The same for work that is only yields.
    fn obstacle_to_yields(&self, tasks: usize) -> Option<String>;
    /// One figure for each lap.
    fn switch(&self, yields: Yields) -> Vec<f64>;
    /// As `switch`, but every yield is made `depth` real calls below the loop.
    fn switch_called(&self, yields: Yields, depth: usize) -> Vec<f64>;
    fn spawn(&self, count: usize) -> f64;
    fn spawn_batch(&self, count: usize) -> f64;
    fn sleep(&self, count: usize, longest: Duration) -> Sleeps;
    fn timeout(&self, count: usize) -> f64;
    /// Calls `before`, makes `count` tasks, calls `after` while they live, and ends the process.
    fn hold(&self, count: usize, held: Held, before: fn(), after: fn(usize)) -> !;
}

impl<P: Blocking> Stackful<P> {
    pub fn tasks() -> Box<dyn TaskPeer> {
        Box::new(Self(PhantomData))
    }
}

impl<P: Awaiting> Stackless<P> {
    pub fn tasks() -> Box<dyn TaskPeer> {
        Box::new(Self(PhantomData))
    }
}

/// Every timeout is far longer than its operation, as in a program where all goes well.
const FAR: Duration = Duration::from_secs(10);

/// The tasks of `hold` that have had their first turn.
static STARTED: AtomicUsize = AtomicUsize::new(0);

macro_rules! workloads {
    ($adapter:ident, $peer:ident, $task:ident, $wait:ident, $called:ident) => {
        impl<P: $peer> TaskPeer for $adapter<P> {
            fn name(&self) -> &'static str {
                P::NAME
            }

            fn obstacle(&self, tasks: usize) -> Option<String> {
                P::obstacle(tasks)
            }

            fn obstacle_to_yields(&self, tasks: usize) -> Option<String> {
                P::NO_TURNS.map(str::to_owned).or_else(|| P::obstacle(tasks))
            }

            fn switch(&self, yields: Yields) -> Vec<f64> {
                workloads!(@switch $task, $wait, yields, P::yield_now())
            }

            fn switch_called(&self, yields: Yields, depth: usize) -> Vec<f64> {
                workloads!(@switch $task, $wait, yields, $called::<P>(depth))
            }

            fn spawn(&self, count: usize) -> f64 {
                P::run($task!({
                    let start = Instant::now();
                    for _ in 0..count {
                        $wait!(P::join(P::spawn($task!({ black_box(()) }))));
                    }
                    per_operation(start.elapsed(), count)
                }))
            }

            fn spawn_batch(&self, count: usize) -> f64 {
                P::run($task!({
                    let start = Instant::now();
                    let handles: Vec<_> =
                        (0..count).map(|_| P::spawn($task!({ black_box(()) }))).collect();
                    for handle in handles {
                        $wait!(P::join(handle));
                    }
                    per_operation(start.elapsed(), count)
                }))
            }

            fn sleep(&self, count: usize, longest: Duration) -> Sleeps {
                P::run($task!({
                    let start = cpu_time();
                    let handles: Vec<_> = (0..count)
                        .map(|index| {
                            P::spawn($task!({
                                let duration = scattered(index, longest);
                                let deadline = Instant::now() + duration;
                                $wait!(P::sleep(duration));
                                deadline.elapsed()
                            }))
                        })
                        .collect();
                    let mut lateness = Vec::with_capacity(count);
                    for handle in handles {
                        lateness.push($wait!(P::join(handle)));
                    }
                    let cpu = per_operation(cpu_time() - start, count);
                    lateness.sort_unstable();
                    Sleeps { cpu, lateness }
                }))
            }

            fn timeout(&self, count: usize) -> f64 {
                P::run($task!({
                    let start = Instant::now();
                    for _ in 0..count {
                        $wait!(P::yield_within(FAR));
                    }
                    per_operation(start.elapsed(), count)
                }))
            }

            fn hold(&self, count: usize, held: Held, before: fn(), after: fn(usize)) -> ! {
                P::run($task!({
                    before();
                    for _ in 0..count {
                        // Some peers kill a task when its handle is dropped.
                        forget(P::spawn($task!({
                            STARTED.fetch_add(1, Ordering::Relaxed);
                            loop {
                                $wait!(P::park());
                            }
                        })));
                    }
                    while held == Held::Parked && STARTED.load(Ordering::Relaxed) < count {
                        // A sleep lets the others run with every peer, a yield does not.
                        $wait!(P::sleep(Duration::from_millis(1)));
                    }
                    after(count);
                    std::process::exit(0)
                }))
            }
        }
    };

    // One task keeps the time for all: its turns are a full round apart where tasks take turns.
    (@switch $task:ident, $wait:ident, $yields:ident, $yield:expr) => {
        P::run($task!({
            let Yields { tasks, laps, rounds } = $yields;
            let handles: Vec<_> = (0..tasks)
                .map(|index| {
                    P::spawn($task!({
                        // Every task has had its first turn, and touched its stack, before the first lap.
                        for _ in 0..2 {
                            $wait!($yield);
                        }
                        let mut stamps = Vec::new();
                        for _ in 0..laps {
                            if index == 0 {
                                stamps.push(Instant::now());
                            }
                            for _ in 0..rounds {
                                $wait!($yield);
                            }
                        }
                        if index == 0 {
                            stamps.push(Instant::now());
                        }
                        stamps
                    }))
                })
                .collect();
            let mut stamps = Vec::new();
            for handle in handles {
                stamps.extend($wait!(P::join(handle)));
            }
            laps_between(&stamps, tasks * rounds)
        }))
    };
}

workloads!(Stackful, Blocking, closure, blocking, yield_below);
workloads!(Stackless, Awaiting, future, awaited, yield_awaited_below);

/// Yields `depth` calls below the caller.
#[inline(never)]
fn yield_below<P: Blocking>(depth: usize) {
    if depth == 1 {
        P::yield_now();
    } else {
        yield_below::<P>(depth - 1);
    }
    // Work after the call, so that it cannot become a jump.
    black_box(depth);
}

/// Yields with `depth` polls between the task and the yield.
///
/// A future has no stack to keep between turns: each resumption polls its way down again.
async fn yield_awaited_below<P: Awaiting>(depth: usize) {
    match depth {
        1 => Frame::new(P::yield_now()).await,
        8 => {
            let four = Frame::new(Frame::new(Frame::new(Frame::new(P::yield_now()))));
            Frame::new(Frame::new(Frame::new(Frame::new(four)))).await;
        }
        other => unreachable!("no chain of {other} futures is written down"),
    }
}

pin_project_lite::pin_project! {
    /// A future whose poll is a real call.
    struct Frame<F> { #[pin] inner: F }
}

impl<F> Frame<F> {
    fn new(inner: F) -> Self {
        Self { inner }
    }
}

impl<F: Future<Output = ()>> Future for Frame<F> {
    type Output = ();

    #[inline(never)]
    fn poll(
        self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<()> {
        black_box(self.project().inner.poll(context))
    }
}

/// A duration between a millisecond and `longest`, the same for an index in every run.
fn scattered(index: usize, longest: Duration) -> Duration {
    // Steele, Lea and Flood's SplitMix64 (2014).
    let mut bits = (index as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^= bits >> 31;
    let shortest = 1_000_000;
    Duration::from_nanos(shortest + bits % (longest.as_nanos() as u64 - shortest))
}
