//! maypole, in three variants: as it comes, with coarse timers, and spawning child first.

use std::time::Duration;

use maypole::JoinHandle;

use crate::peer::Blocking;

/// maypole as it comes.
pub struct Maypole;

/// With tokio's slack: timers may be a millisecond late, so that many fire in one go.
pub struct MaypoleCoarse;

/// With `spawn_now` for `spawn`: the child runs at once, until it first parks.
pub struct MaypoleChildFirst;

impl Blocking for Maypole {
    const NAME: &'static str = "maypole";

    type Handle<T: Send + 'static> = JoinHandle<T>;

    fn run<T: Send + 'static>(main: impl FnOnce() -> T + Send + 'static) -> T {
        maypole::run(main)
    }

    #[inline(always)]
    fn spawn<T: Send + 'static>(task: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
        maypole::spawn(task)
    }

    #[inline(always)]
    fn join<T: Send + 'static>(handle: JoinHandle<T>) -> T {
        handle.join().expect("no task of a workload fails")
    }

    #[inline(always)]
    fn yield_now() {
        maypole::yield_now();
    }

    fn park() {
        maypole::task::park();
    }

    #[inline(always)]
    fn sleep(duration: Duration) {
        maypole::time::sleep(duration);
    }

    #[inline(always)]
    fn yield_within(limit: Duration) {
        maypole::time::timeout(limit, maypole::yield_now)
            .expect("a yield is done long before its timeout");
    }
}

macro_rules! as_maypole {
    () => {
        type Handle<T: Send + 'static> = JoinHandle<T>;

        #[inline(always)]
        fn join<T: Send + 'static>(handle: JoinHandle<T>) -> T {
            Maypole::join(handle)
        }

        #[inline(always)]
        fn yield_now() {
            Maypole::yield_now();
        }

        fn park() {
            Maypole::park();
        }

        #[inline(always)]
        fn sleep(duration: Duration) {
            Maypole::sleep(duration);
        }

        #[inline(always)]
        fn yield_within(limit: Duration) {
            Maypole::yield_within(limit);
        }
    };
}

impl Blocking for MaypoleCoarse {
    const NAME: &'static str = "maypole_slack_1ms";

    as_maypole!();

    fn run<T: Send + 'static>(main: impl FnOnce() -> T + Send + 'static) -> T {
        maypole::Builder::new()
            .timer_slack(Duration::from_millis(1))
            .run(main)
            .expect("no workload deadlocks")
    }

    #[inline(always)]
    fn spawn<T: Send + 'static>(task: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
        Maypole::spawn(task)
    }
}

impl Blocking for MaypoleChildFirst {
    const NAME: &'static str = "spawn_now";

    as_maypole!();

    fn run<T: Send + 'static>(main: impl FnOnce() -> T + Send + 'static) -> T {
        Maypole::run(main)
    }

    #[inline(always)]
    fn spawn<T: Send + 'static>(task: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
        maypole::spawn_now(task)
    }
}

/// The numbers from 0 up to `count`, as a generator.
pub fn numbers(count: u64) -> impl Iterator<Item = u64> {
    maypole::generator::Generator::new(move |yielder| {
        for number in 0..count {
            yielder.yield_(number);
        }
    })
}
