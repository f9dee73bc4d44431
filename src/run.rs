//! The pieces put together: a run, from its first task to the end of its last.
//!
//! ```text
//!   main is spawned ─► drive ─► main has ended ─► kill the others, in the order of spawning,
//!                        │                         each until it has ended or parks in its cleanup
//!                        └────► deadlock, turn limit, no stack: report, kill all, main first
//! ```
mod repeat;
mod replay;

pub(crate) use repeat::{Repeat, repeat};
pub(crate) use replay::{Order, take_order};

use crate::coroutine;
use crate::io::World;
use crate::report::{self, Report};
use crate::scheduler::clock::Clock as KernelClock;
use crate::scheduler::driver::Driver;
use crate::scheduler::policy::Seeded;
use crate::scheduler::task::{About, Flags, TaskId};
use crate::scheduler::{self, First, Scheduler, Stop, Traits, atomic};
use crate::task::{Ending, Harvest, JoinError, Lender, Lent, Packet, lend};
use std::any::Any;
use std::error::Error;
use std::fmt;
use std::hash::{BuildHasher, Hasher};
use std::panic::{Location, resume_unwind};
use std::rc::Rc;
use std::time::Duration;

/// Stack size of a task that asks for none: address space, of which a task uses what it touches.
const STACK_SIZE: usize = 256 << 10;

/// That of the first task, whose code ran on the OS thread's own big stack before it was a task.
const MAIN_STACK_SIZE: usize = 1 << 20;

/// Runs `main` as the first task and gives its result, once `main` has returned and every other
/// task is gone.
///
/// `main` may borrow: it ends before `run` returns. Tasks that are left when it returns are killed
/// in the order of their spawning, and their destructors have run before `run` returns. It may be
/// called again afterwards, and in any OS thread, where each run is a world of its own.
///
/// Parks: no: the OS thread is in it until the run is over, and sleeps when every task waits.
///
/// # Panics
///
/// With the panic of `main`, its payload unchanged. With a report that names every task, when no
/// task can go on (a deadlock). Inside of another run.
///
/// # Examples
///
/// ```
/// let mut log = Vec::new();
/// maypole::run(|| {
///     let child = maypole::spawn(|| "child");
///     log.push("main");
///     log.push(child.join().unwrap());
/// });
/// assert_eq!(log, ["main", "child"]);
/// ```
#[track_caller]
pub fn run<T>(main: impl FnOnce() -> T) -> T {
    match Builder::new().execute(main, Location::caller()) {
        Ok(value) => value,
        Err(error) => panic!("{error}"),
    }
}

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
    clock: Clock,
    seed: u64,
    max_turns: u64,
    timer_slack: Duration,
    fail_on_unjoined_panic: bool,
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

    /// Runs `main` as the first task; see [`run`].
    ///
    /// Parks: no, as [`run`].
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

    fn execute<T>(
        self,
        main: impl FnOnce() -> T,
        at: &'static Location<'static>,
    ) -> Result<T, RunError> {
        if scheduler::is_running() {
            panic!(
                "maypole: run at {at} inside of another run on this OS thread; spawn a task instead"
            );
        }
        atomic::refuse("run", at, "call it before or after");
        let mut options = self.heed_environment();
        let order = replay::take_order();
        if let Some(order) = &order {
            options.clock = order.clock();
        }
        let ended = beside_panics(|| {
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

    fn scheduler(&self) -> Scheduler {
        let clock = match self.clock {
            Clock::Real => KernelClock::real(),
            Clock::Virtual => KernelClock::virtual_time(),
        };
        let scheduler = Scheduler::new(clock, self.stack_size.unwrap_or(STACK_SIZE));
        scheduler.set_slack(self.timer_slack);
        scheduler.watch_cycles(report::cycle_closed);
        scheduler.kernel(|kernel| {
            kernel.audit = audits();
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

    /// Lets the environment overrule the options, each announced in one line.
    fn heed_environment(mut self) -> Self {
        if let Some(value) = variable("MAYPOLE_SEED") {
            match value.as_str() {
                "random" => {
                    self.seed = random_seed();
                    let seed = self.seed;
                    coroutine::say(format_args!(
                        "maypole: MAYPOLE_SEED=random: the seed of this run is {seed}"
                    ));
                }
                digits => match digits.parse() {
                    Ok(seed) => {
                        self.seed = seed;
                        coroutine::say(format_args!(
                            "maypole: MAYPOLE_SEED={seed}: tasks are chosen by this seed"
                        ));
                    }
                    Err(_) => coroutine::say(format_args!(
                        "maypole: MAYPOLE_SEED={value} is ignored: a number or random is expected"
                    )),
                },
            }
        }
        if let Some(value) = variable("MAYPOLE_CLOCK") {
            match value.as_str() {
                "virtual" => {
                    self.clock = Clock::Virtual;
                    coroutine::say(format_args!(
                        "maypole: MAYPOLE_CLOCK=virtual: sleeping takes no time"
                    ));
                }
                _ => coroutine::say(format_args!(
                    "maypole: MAYPOLE_CLOCK={value} is ignored: virtual is expected"
                )),
            }
        }
        self
    }
}

/// On in debug builds, so in tests; elsewhere on request.
fn audits() -> bool {
    match variable("MAYPOLE_AUDIT").as_deref() {
        Some("0") => {
            coroutine::say(format_args!(
                "maypole: MAYPOLE_AUDIT=0: parks are not audited"
            ));
            false
        }
        Some("1") => {
            coroutine::say(format_args!(
                "maypole: MAYPOLE_AUDIT=1: parks look for callers that must not be interleaved"
            ));
            true
        }
        other => {
            if let Some(value) = other {
                coroutine::say(format_args!(
                    "maypole: MAYPOLE_AUDIT={value} is ignored: 1 or 0 is expected"
                ));
            }
            cfg!(debug_assertions)
        }
    }
}

fn variable(name: &str) -> Option<String> {
    let value = std::env::var_os(name)?;
    Some(value.to_string_lossy().into_owned()).filter(|value| !value.is_empty())
}

/// A seed that differs from run to run and is never 0.
fn random_seed() -> u64 {
    let seed = std::collections::hash_map::RandomState::new()
        .build_hasher()
        .finish();
    // Short enough to be typed again.
    seed % 1_000_000 + 1
}

/// Does what any run needs, also one in a destructor: its tasks are not the ones that unwind.
fn beside_panics<R>(body: impl FnOnce() -> R) -> R {
    coroutine::watch_for_overflow();
    report::install_panic_hook();
    let levels = match std::thread::panicking() {
        true => coroutine::hide_panics(),
        false => 0,
    };
    let in_hook = scheduler::swap_hook_mark(false);
    let result = body();
    scheduler::swap_hook_mark(in_hook);
    coroutine::restore_panics(levels);
    result
}

/// What a run takes place on.
struct Stage<'a, 'env> {
    scheduler: &'a Scheduler,
    lender: &'a Lender<'env>,
    at: &'static Location<'static>,
    name: Rc<str>,
    max_turns: u64,
    detail: Detail,
    /// Where main has a stack of another size than all.
    main_stack_size: Option<usize>,
}

/// What is told of a run that cannot go on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Detail {
    Reports,
    /// Only what kind of trouble it is, in no time.
    Verdicts,
}

/// What a run came to.
pub(crate) struct Ended<T> {
    pub(crate) result: Option<Result<T, JoinError>>,
    pub(crate) trouble: Option<RunError>,
    pub(crate) panics: scheduler::UnjoinedPanics,
}

impl<'env> Stage<'_, 'env> {
    /// Runs `main` as the first task, until the last is gone.
    fn perform<T: 'env>(&self, main: impl FnOnce() -> T + 'env) -> Ended<T> {
        let packet = Rc::new(Packet::new(
            About::named(self.at, self.name.clone()),
            main,
            MainEnding(self.lender.token()),
        ));
        let body = self.lender.erase(packet.clone());
        let trouble = self.scheduler.enter(|| {
            let traits = Traits {
                stack_size: self.main_stack_size,
                flags: Flags::default().with(Flags::SCOPED),
            };
            match scheduler::launch(body, traits, First::Parent, |_| ()) {
                Ok(id) => Run::new(self, id).drive_to_the_end(),
                Err(limit) => {
                    packet.withdraw();
                    Some(RunError::Stacks(Report::new(format!(
                        "maypole: no stack for the first task: {limit}"
                    ))))
                }
            }
        });
        Ended {
            result: packet.outcome().take(),
            trouble,
            panics: self.scheduler.take_panics(),
        }
    }
}

struct MainEnding(Lent);

impl From<MainEnding> for Lent {
    fn from(ending: MainEnding) -> Lent {
        ending.0
    }
}

impl Ending for MainEnding {
    fn panicked(&self, _: &About, payload: Box<dyn Any + Send>) -> Option<Box<dyn Any + Send>> {
        Some(payload)
    }
    fn over(self) {
        drop(self.0);
    }
}

/// Why a run failed, with a report for people. Its `Display` is the report.
///
/// # Examples
///
/// ```
/// use maypole::{Builder, RunError, spawn, task};
/// let stuck = Builder::new().run(|| spawn(|| task::park()).join().is_ok());
/// let Err(RunError::Deadlock(report)) = stuck else {
///     panic!("the child waits for ever, and main for the child");
/// };
/// println!("{report}");
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum RunError {
    /// No task was ready, and nothing could wake any.
    Deadlock(Report),
    /// The turns given by [`Builder::max_turns`] were used up.
    TurnLimit(Report),
    /// A task panicked and nobody joined it
    /// ([`fail_on_unjoined_panic`](Builder::fail_on_unjoined_panic)).
    Panicked(Report),
    /// Tasks could not start for want of stacks, and none could come back.
    Stacks(Report),
    /// The program is not the one whose trail `MAYPOLE_REPLAY` gave it to obey.
    Diverged(Report),
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RunError::Deadlock(report)
            | RunError::TurnLimit(report)
            | RunError::Panicked(report)
            | RunError::Stacks(report)
            | RunError::Diverged(report) => report.fmt(f),
        }
    }
}

impl Error for RunError {}

/// Enough for any cleanup, and soon over for tasks that spin under a shield.
const LEAST_TURNS_TO_DIE: u64 = 1_000_000;

/// A run under way.
struct Run<'a> {
    scheduler: &'a Scheduler,
    main: TaskId,
    at: &'static Location<'static>,
    driver: Box<dyn Driver>,
    /// Turns that the tasks get to die in, where turns are limited at all.
    turns_to_die: u64,
    detail: Detail,
}

/// The trouble that ended a run, with no word about it.
fn verdict(stop: Stop) -> RunError {
    let nothing = Report::new(String::new());
    match stop {
        Stop::Turns => RunError::TurnLimit(nothing),
        Stop::Stacks(_) => RunError::Stacks(nothing),
        Stop::Deadlock => RunError::Deadlock(nothing),
        Stop::Diverged => RunError::Diverged(nothing),
        Stop::Watched | Stop::Quiet | Stop::Empty | Stop::Hopeless => {
            unreachable!("a run stops so only while it is being ended")
        }
    }
}

impl<'a> Run<'a> {
    fn new(stage: &'a Stage<'_, '_>, main: TaskId) -> Self {
        let turns_to_die = match stage.max_turns {
            u64::MAX => u64::MAX,
            limited => limited.max(LEAST_TURNS_TO_DIE),
        };
        stage.scheduler.watch(main);
        Run {
            scheduler: stage.scheduler,
            main,
            at: stage.at,
            driver: Box::new(World::begin()),
            turns_to_die,
            detail: stage.detail,
        }
    }

    /// Runs main to its end and kills what is left; tells what went wrong.
    fn drive_to_the_end(mut self) -> Option<RunError> {
        let trouble = match self.scheduler.drive(&mut *self.driver) {
            Stop::Watched => None,
            stop => Some(self.trouble(stop)),
        };
        if let Some(trouble) = &trouble {
            self.kill_all_main_first(trouble);
        }
        // The panic of main itself comes out of the run.
        scheduler::panic_joined(self.main);
        self.kill_the_rest();
        debug_assert!(
            self.scheduler.kernel(|kernel| kernel.is_clean()),
            "something is left in the kernel after the last task"
        );
        trouble
    }

    fn trouble(&self, stop: Stop) -> RunError {
        if self.detail == Detail::Verdicts {
            return verdict(stop);
        }
        let tasks = self.scheduler.kernel(|kernel| kernel.snapshot());
        match stop {
            Stop::Turns => RunError::TurnLimit(report::stuck(
                "the turn limit is reached: the run would not end",
                &tasks,
            )),
            Stop::Stacks(limit) => RunError::Stacks(report::stuck(
                &format!("tasks wait for a stack and none can come back: {limit}"),
                &tasks,
            )),
            Stop::Deadlock => RunError::Deadlock(report::deadlock(&tasks)),
            stop => verdict(stop),
        }
    }

    /// Ends main, and with it the run, by kills.
    fn kill_all_main_first(&mut self, trouble: &RunError) {
        let reason = match trouble {
            RunError::Deadlock(_) => "deadlock",
            RunError::TurnLimit(_) => "the turn limit is reached",
            RunError::Stacks(_) => "no stack for a task",
            RunError::Panicked(_) => "a task panicked",
            RunError::Diverged(_) => "the program is not the recorded one",
        };
        self.scheduler.kernel(|kernel| {
            kernel.limit_turns(self.turns_to_die);
            kernel.killing = true;
        });
        // Main is the first that was spawned.
        for id in self.scheduler.kernel(|kernel| kernel.unkilled_tasks()) {
            scheduler::kill(id, reason, self.at);
        }
        if cfg!(panic = "unwind")
            && self
                .scheduler
                .kernel(|kernel| kernel.find(self.main).is_none())
        {
            return;
        }
        match self.scheduler.drive(&mut *self.driver) {
            Stop::Watched => {}
            _ => {
                let left = self.scheduler.kernel(|kernel| kernel.snapshot());
                let left = report::stuck("these tasks would not die", &left);
                coroutine::say(format_args!("{trouble}\n{left}"));
                coroutine::say(format_args!(
                    "maypole: main cannot be ended, what it borrows may still be in use"
                ));
                std::process::abort();
            }
        }
    }

    /// Kills the tasks that are left, one after another, and waits for them.
    fn kill_the_rest(&mut self) {
        self.scheduler.kernel(|kernel| {
            kernel.limit_turns(self.turns_to_die);
            kernel.hold_ready();
            (kernel.ending, kernel.killing) = (true, true);
        });
        if cfg!(not(panic = "unwind")) {
            return self.scheduler.leak_all();
        }
        self.release_the_killed();
        loop {
            for id in self.scheduler.kernel(|kernel| kernel.held_or_unkilled()) {
                scheduler::kill(id, "the end of the run", self.at);
                self.scheduler.kernel(|kernel| kernel.release_held(id));
                if self.drive_until_quiet() {
                    return;
                }
            }
            if self.drive_until_quiet() {
                return;
            }
        }
    }

    fn has_unkilled(&self) -> bool {
        self.scheduler
            .kernel(|kernel| !kernel.unkilled_tasks().is_empty())
    }

    /// Lets those go on that were killed before the end of the run, in the order of spawning: no
    /// further kill would reach them.
    fn release_the_killed(&mut self) {
        self.scheduler.kernel(|kernel| {
            for id in kernel.held_or_unkilled() {
                if kernel
                    .find(id)
                    .is_some_and(|task| task.flags.has(Flags::KILLED))
                {
                    kernel.release_held(id);
                }
            }
        });
    }

    /// Lets the tasks that die have their turns; true when none is left.
    fn drive_until_quiet(&mut self) -> bool {
        match self.scheduler.drive(&mut *self.driver) {
            Stop::Empty => true,
            Stop::Quiet | Stop::Watched => false,
            // Those that no kill has reached yet may still die.
            Stop::Hopeless if self.has_unkilled() => false,
            Stop::Deadlock | Stop::Hopeless | Stop::Turns | Stop::Stacks(_) | Stop::Diverged => {
                if self.detail == Detail::Reports {
                    let left = self.scheduler.kernel(|kernel| kernel.snapshot());
                    coroutine::say(format_args!(
                        "{}",
                        report::stuck("these tasks would not die and are leaked", &left)
                    ));
                }
                self.scheduler.leak_all();
                true
            }
        }
    }
}
