//! The options of a run.
use super::environment::audits;
use super::error::RunError;
use super::replay;
use super::stage::{Detail, Ended, Stage, beside_panics};
use crate::coroutine;
use crate::report;
use crate::scheduler::clock::Clock as KernelClock;
use crate::scheduler::policy::Seeded;
use crate::scheduler::{self, Scheduler, atomic};
use crate::task::lend;
use crate::thread::Offices;
use std::panic::{Location, resume_unwind};
use std::time::Duration;

/// Stack size of a task that asks for none: address space, of which a task uses what it touches.
pub(super) const STACK_SIZE: usize = 256 << 10;

/// That of the first task, whose code ran on the OS thread's own big stack before it was a task.
const MAIN_STACK_SIZE: usize = 1 << 20;

/// The clock of a run.
///
/// # Examples
///
/// ```
/// use maypole::{Builder, Clock, sleep, time};
/// use std::time::Duration;
/// let hour = Duration::from_secs(3600);
/// let slept = Builder::new().clock(Clock::Virtual).run(|| {
///     let start = time::now();
///     sleep(hour);
///     time::now() - start
/// });
/// assert_eq!(slept.unwrap(), hour); // at once
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Clock {
    /// The system's monotonic clock.
    #[default]
    Real,
    /// Time that stands still while any task is ready and jumps to the next deadline when none is.
    Virtual,
}

/// Options for a run.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use maypole::{Builder, Clock};
/// let day = Duration::from_secs(24 * 60 * 60);
/// Builder::new()
///     .clock(Clock::Virtual)
///     .seed(7)
///     .run(|| maypole::sleep(day)) // takes no time
///     .unwrap();
/// ```
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `run`"]
pub struct Builder {
    /// As asked for.
    stack_size: Option<usize>,
    pub(super) clock: Clock,
    pub(super) seed: u64,
    pub(super) max_turns: u64,
    timer_slack: Duration,
    fail_on_unjoined_panic: bool,
    /// As asked for.
    cleanup: Option<Duration>,
    pub(super) offload_limit: Option<usize>,
}

impl Default for Builder {
    fn default() -> Self {
        Builder {
            stack_size: None,
            clock: Clock::Real,
            seed: 0,
            max_turns: u64::MAX,
            timer_slack: Duration::ZERO,
            fail_on_unjoined_panic: false,
            cleanup: None,
            offload_limit: None,
        }
    }
}

impl Builder {
    /// The real clock, first in, first out, 256 KiB of stack, 1 MiB for main.
    ///
    /// Parks: no, nor does any option.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(maypole::Builder::new().run(|| 42).unwrap(), 42);
    /// ```
    pub fn new() -> Self {
        Builder::default()
    }

    /// Gives main and the tasks that ask for none a stack of at least so many bytes, rounded up to
    /// a power of two from 16 KiB on; more than 1 GiB counts as 1 GiB.
    ///
    /// # Examples
    ///
    /// ```
    /// fn depth(n: u32) -> u32 {
    ///     if n == 0 { 0 } else { 1 + depth(std::hint::black_box(n - 1)) }
    /// }
    /// let deep = maypole::Builder::new().stack_size(8 << 20).run(|| depth(10_000));
    /// assert_eq!(deep.unwrap(), 10_000);
    /// ```
    pub fn stack_size(mut self, bytes: usize) -> Self {
        self.stack_size = Some(bytes);
        self
    }

    /// Chooses the clock.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::{Builder, Clock, sleep};
    /// let year = std::time::Duration::from_secs(365 * 24 * 3600);
    /// Builder::new().clock(Clock::Virtual).run(|| sleep(year)).unwrap(); // takes no time
    /// ```
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Chooses the next ready task at random, the same way for the same seed; 0 is first in, first
    /// out.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::{Builder, spawn, yield_now};
    /// use std::{cell::RefCell, rc::Rc};
    /// fn order(seed: u64) -> Vec<u32> {
    ///     let order = Rc::new(RefCell::new(Vec::new()));
    ///     let log = order.clone();
    ///     let tasks = move || {
    ///         for n in 0..8 {
    ///             let log = log.clone();
    ///             spawn(move || log.borrow_mut().push(n));
    ///         }
    ///         while log.borrow().len() < 8 {
    ///             yield_now();
    ///         }
    ///     };
    ///     Builder::new().seed(seed).run(tasks).unwrap();
    ///     order.take()
    /// }
    /// assert_eq!(order(0), [0, 1, 2, 3, 4, 5, 6, 7]);
    /// assert_eq!(order(7), order(7));
    /// ```
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Ends the run after so many turns of its tasks, as one that spins: for tests.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::{Builder, RunError, yield_now};
    /// let spins = || loop {
    ///     yield_now();
    /// };
    /// let end: Result<(), RunError> = Builder::new().max_turns(1000).run(spins);
    /// assert!(matches!(end, Err(RunError::TurnLimit(_))));
    /// ```
    pub fn max_turns(mut self, turns: u64) -> Self {
        self.max_turns = turns;
        self
    }

    /// Lets timers ring up to `slack` late, so that many share one wake-up of the OS thread.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// maypole::Builder::new()
    ///     .timer_slack(Duration::from_millis(1))
    ///     .run(|| maypole::sleep(Duration::from_millis(1)))
    ///     .unwrap();
    /// ```
    pub fn timer_slack(mut self, slack: Duration) -> Self {
        self.timer_slack = slack;
        self
    }

    /// Whether the run fails when a task panicked and nobody joined it. Such a panic is named at
    /// the end of the run in any case.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::{Builder, RunError, spawn, yield_now};
    /// let end = Builder::new().fail_on_unjoined_panic(true).run(|| {
    ///     drop(spawn(|| panic!("and nobody joins")));
    ///     yield_now();
    /// });
    /// assert!(matches!(end, Err(RunError::Panicked(_))));
    /// ```
    pub fn fail_on_unjoined_panic(mut self, fail: bool) -> Self {
        self.fail_on_unjoined_panic = fail;
        self
    }

    /// Gives destructors that wait for the outside world while their task unwinds so much time, 5
    /// seconds unless said otherwise. After that what they wait for fails with
    /// [`TimedOut`](std::io::ErrorKind::TimedOut), so that a peer who reads nothing cannot hold up
    /// the end of a task that flushes a buffer.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// maypole::Builder::new()
    ///     .cleanup(Duration::from_millis(100))
    ///     .run(|| ())
    ///     .unwrap();
    /// ```
    pub fn cleanup(mut self, limit: Duration) -> Self {
        self.cleanup = Some(limit);
        self
    }

    /// Lets at most so many OS threads, and at least one, work for the tasks at a time
    /// ([`thread::offload`](crate::thread::offload)); unless said otherwise four for each core, 16
    /// at least and 64 at most.
    ///
    /// A function that waits for another one that was offloaded takes two.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::{scope, thread};
    /// use std::sync::atomic::{AtomicU32, Ordering};
    /// let at_once = AtomicU32::new(0);
    /// let work = || {
    ///     assert!(at_once.fetch_add(1, Ordering::SeqCst) < 2);
    ///     at_once.fetch_sub(1, Ordering::SeqCst);
    /// };
    /// maypole::Builder::new()
    ///     .offload_limit(2)
    ///     .run(|| scope(|s| (0..9).for_each(|_| drop(s.spawn(|| thread::offload(work))))))
    ///     .unwrap();
    /// ```
    pub fn offload_limit(mut self, threads: usize) -> Self {
        self.offload_limit = Some(threads);
        self
    }

    /// Runs `main` as the first task; see [`run`](crate::run).
    ///
    /// Parks: no, as [`run`](crate::run).
    ///
    /// # Errors
    ///
    /// [`RunError`], with a report for people.
    ///
    /// # Panics
    ///
    /// With the panic of `main`; inside of another run.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::{Builder, RunError, task};
    /// assert_eq!(Builder::new().run(|| 1 + 1).unwrap(), 2);
    /// let stuck = Builder::new().run(|| task::park());
    /// assert!(matches!(stuck, Err(RunError::Deadlock(_))));
    /// ```
    #[track_caller]
    pub fn run<T>(self, main: impl FnOnce() -> T) -> Result<T, RunError> {
        self.execute(main, Location::caller())
    }

    pub(super) fn execute<T>(
        self,
        main: impl FnOnce() -> T,
        at: &'static Location<'static>,
    ) -> Result<T, RunError> {
        scheduler::refuse_second("run", at, ["another run", "spawn a task instead"]);
        atomic::refuse("run", at, "call it before or after");
        let mut options = self.heed_environment();
        let order = replay::take_order();
        if let Some(order) = &order {
            options.clock = order.clock();
        }
        let ended = beside_panics(|| {
            let _offices = Offices::open(options.offload_limit);
            lend(|lender| {
                let scheduler = options.scheduler();
                if let Some(order) = &order {
                    order.direct(&scheduler);
                }
                let stage = Stage {
                    scheduler: &scheduler,
                    lender,
                    at,
                    name: "main".into(),
                    max_turns: options.max_turns,
                    detail: Detail::Reports,
                    main_stack_size: match options.stack_size {
                        None => Some(MAIN_STACK_SIZE),
                        Some(_) => None,
                    },
                };
                stage.perform(main)
            })
        });
        let ended = match order {
            Some(order) => order.judge(ended),
            None => ended,
        };
        options.conclude(ended)
    }

    pub(super) fn scheduler(&self) -> Scheduler {
        let clock = match self.clock {
            Clock::Real => KernelClock::real(),
            Clock::Virtual => KernelClock::virtual_time(),
        };
        let scheduler = Scheduler::new(clock, self.stack_size.unwrap_or(STACK_SIZE));
        scheduler.set_slack(self.timer_slack);
        scheduler.watch_cycles(report::cycle_closed);
        scheduler.kernel(|kernel| {
            kernel.audit = audits();
            if let Some(limit) = self.cleanup {
                kernel.cleanup = u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX);
            }
            if self.seed != 0 {
                kernel.set_policy(Box::new(Seeded::new(self.seed)));
            }
            if self.max_turns != u64::MAX {
                kernel.limit_turns(self.max_turns);
            }
        });
        scheduler
    }

    /// What the run comes to, once it is over.
    fn conclude<T>(
        &self,
        Ended {
            result,
            trouble,
            panics,
        }: Ended<T>,
    ) -> Result<T, RunError> {
        let unjoined = report::unjoined(&panics);
        if let Some(report) = &unjoined {
            coroutine::say(format_args!("{report}"));
        }
        if let Some(trouble) = trouble {
            return Err(trouble);
        }
        let value = match result.expect("the run ends after main") {
            Ok(value) => value,
            Err(error) if error.is_panic() => resume_unwind(error.into_panic()),
            Err(error) => panic!("maypole: {error}"),
        };
        match unjoined {
            Some(report) if self.fail_on_unjoined_panic => Err(RunError::Panicked(report)),
            _ => Ok(value),
        }
    }
}
