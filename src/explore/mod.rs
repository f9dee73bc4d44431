//! Every schedule of a program: the same code under all orders its tasks could take.
//!
//! [`check`] runs a closure as a program of its own again and again, each time with its tasks in
//! another order, and panics with a report if one of them fails: a panic that nobody joined, or a
//! deadlock. Time is virtual. What runs is the scheduler of every other run; only who chooses is
//! another.
//!
//! ```
//! use maypole::{explore, scope, yield_now};
//! use std::cell::Cell;
//! explore::check(|| {
//!     let total = Cell::new(0);
//!     scope(|s| {
//!         for _ in 0..3 {
//!             s.spawn(|| {
//!                 total.set(total.get() + 1); // no blocking call in between: nothing is lost
//!                 yield_now();
//!             });
//!         }
//!     });
//!     assert_eq!(total.get(), 3);
//! });
//! ```
//!
//! # What a schedule is
//!
//! The list of the answers to: who has the next turn, when a task has parked, yielded or ended?
//! Which of the ready cases does a `select!` take? What does [`any`] give? And before a call that
//! may park: does the task go on, or is another first? The last is a *forced switch*. In
//! production it happens when a task has used up its budget of calls that did not wait. As most
//! errors need few of them, the search goes through all schedules without a forced switch, then
//! those with one, and so on: the first that fails has the fewest.
//!
//! A task that has yielded is not chosen before those that were ready then have had their turn;
//! to choose it earlier counts as a forced switch too. What happens after main has returned, when
//! the tasks that are left are killed, is in one order only.
//!
//! A number of schedules that is too large to try grows with the number of tasks, and fast: keep
//! programs small, two or three tasks of a few steps. Nothing is left out because it would make no
//! difference (no partial-order reduction).
//!
//! # What the program may do
//!
//! Everything but look outside: the hash order of a `HashMap`, the system's clock, random numbers,
//! real I/O and what an earlier schedule has left behind in a static variable make two runs of one
//! schedule differ. The first schedule is run twice, and every other begins like one that was run
//! before: a program that differs is a failure, and the report says where. What it prints, it
//! prints in every schedule; its panics print nothing, until the report.
//!
//! # Seeing it again
//!
//! A report ends with a *trail*, the schedule as text. The variable `MAYPOLE_REPLAY=trail` makes
//! the first [`maypole::run`](crate::run) or exploration of any program obey it, and [`replay`] does so in a
//! test. A program that has changed since is noticed: replay says at which step it is another.
mod chance;
mod course;
mod depth;
mod outcome;
mod search;
mod shared;
mod verdict;

pub use crate::scheduler::policy::Switches;
pub use outcome::{Failure, Outcome};
pub use shared::Shared;

use crate::run::{self, Order, Repeat, repeat};
use crate::scheduler::clock::Clock;
use crate::scheduler::policy::{Kind, Trail};
use crate::scheduler::wait::{Wait, What};
use crate::scheduler::{self, atomic};
use outcome::Coverage;
use search::Search;
use std::panic::Location;
use std::time::Duration;

/// Schedules that are run where no limit is given, and choices in all of them: schedules that are
/// cut are long.
const SCHEDULES: u64 = 100_000;
const CHOICES: u64 = 20_000_000;

/// Turns after which a schedule is cut where no limit is given.
const TURNS: u64 = 10_000;

/// Turns after which a replay is left: its schedule may have been found where more were allowed.
const TURNS_OF_A_REPLAY: u64 = 1_000_000;

/// Runs `f`, the main function of a program, under all its schedules, or the first 100,000, fewest
/// forced switches first; says on stderr what that proves. More options: [`Explorer`].
///
/// Parks: no: it is called outside of a run.
///
/// # Panics
///
/// With a report, if a schedule fails: its numbered steps and its trail. Inside of a run; in a
/// program built with `panic = "abort"`, as any exploration.
///
/// # Examples
///
/// What must stay whole across a yield needs a lock:
///
/// ```
/// use maypole::{explore, scope, sync::Mutex, yield_now};
/// explore::check(|| {
///     let balance = Mutex::new(100);
///     scope(|s| {
///         for _ in 0..2 {
///             s.spawn(|| {
///                 let mut balance = balance.lock();
///                 let before = *balance;
///                 yield_now(); // the other task would read the same here
///                 *balance = before + 50;
///             });
///         }
///     });
///     assert_eq!(*balance.lock(), 200);
/// });
/// ```
#[track_caller]
pub fn check(f: impl Fn()) {
    let outcome = explore(&Explorer::new(), &f, Location::caller());
    if let Some(failure) = &outcome.failure {
        panic!("{failure}");
    }
    // What a test harness captures of a test that succeeds.
    eprintln!("{outcome}");
}

/// Runs `f`, the main function of a program, as the trail of a [`Failure`] says; returns if it
/// does not fail any more. A run of more than 1,000,000 turns is left there.
///
/// Parks: no: it is called outside of a run.
///
/// # Panics
///
/// With the report of the failure, if it recurs. If `f` does another operation than was recorded:
/// with the step, what was recorded and what came instead. If `trail` is damaged. Inside of a run.
///
/// # Examples
///
/// ```
/// use maypole::explore::{self, Explorer};
/// let unlucky = || assert_ne!(explore::any(10), 7);
/// let failure = Explorer::new().check(unlucky).failure.unwrap();
/// let again = std::panic::catch_unwind(|| explore::replay(failure.trail(), unlucky));
/// assert!(again.is_err());
/// ```
#[track_caller]
pub fn replay(trail: &str, f: impl Fn()) {
    let at = Location::caller();
    refuse_where_it_cannot_be("explore::replay", at);
    let trail: Trail = match trail.parse() {
        Ok(trail) => trail,
        Err(error) => panic!("maypole: explore::replay: {trail:?} is no trail: {error}"),
    };
    if let Err(text) = obey(&trail, TURNS_OF_A_REPLAY, &f, at) {
        panic!("{text}");
    }
}

/// A number below `n`: an exploration tries each.
///
/// Elsewhere it is chosen by [`Builder::seed`](crate::Builder::seed), else by chance that is the
/// same in every run; outside of a run it is 0.
///
/// Parks: no.
///
/// # Panics
///
/// If `n` is 0 or more than 4,294,967,295.
///
/// # Examples
///
/// ```
/// use maypole::explore::{self, Explorer};
/// use std::{cell::RefCell, collections::BTreeSet};
/// let seen = RefCell::new(BTreeSet::new());
/// let outcome = Explorer::new().check(|| {
///     seen.borrow_mut().insert((explore::any(2), explore::any(3)));
/// });
/// assert_eq!((outcome.schedules, seen.borrow().len()), (6, 6));
/// ```
#[track_caller]
pub fn any(n: usize) -> usize {
    assert!(
        n > 0,
        "maypole: explore::any(0): there is no number below 0"
    );
    // The answer is kept in so many bits.
    assert!(
        u32::try_from(n).is_ok(),
        "maypole: explore::any({n}): more numbers than 4294967295"
    );
    let wait = Wait {
        what: What::Call("any"),
        at: Location::caller(),
    };
    scheduler::choose_value(Kind::Any, n, wait)
}

/// Goes through the schedules of a program.
///
/// # Examples
///
/// ```
/// use maypole::explore::{Explorer, Switches};
/// use maypole::{scope, yield_now};
/// let two_tasks = || {
///     scope(|s| {
///         for _ in 0..2 {
///             s.spawn(|| {
///                 yield_now();
///                 yield_now();
///             });
///         }
///     });
/// };
/// let outcome = Explorer::new().forced(1).check(two_tasks);
/// assert_eq!(outcome.forced, Some(1));
/// assert!(outcome.failure.is_none());
/// ```
#[derive(Clone, Debug)]
#[must_use = "an explorer does nothing until `check`"]
pub struct Explorer {
    switches: Switches,
    forced: usize,
    schedules: Option<u64>,
    budget: Option<Duration>,
    turns: u64,
    manner: Manner,
}

/// In which order schedules are tried.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Manner {
    /// All, depth first, fewest forced switches first.
    Depth,
    /// By chance, with this seed.
    Random(u64),
    /// By priorities, with this seed and depth.
    Priorities(u64, usize),
}

impl Default for Explorer {
    fn default() -> Self {
        Explorer {
            switches: Switches::Parking,
            forced: usize::MAX,
            schedules: None,
            budget: None,
            turns: TURNS,
            manner: Manner::Depth,
        }
    }
}

impl Explorer {
    /// All schedules, depth first, or the first 100,000; switches as in production; a schedule is
    /// cut after 10,000 turns.
    ///
    /// Parks: no, nor does any option.
    ///
    /// # Examples
    ///
    /// ```
    /// let outcome = maypole::explore::Explorer::new().check(|| ());
    /// assert_eq!((outcome.schedules, outcome.complete), (1, true));
    /// ```
    pub fn new() -> Self {
        Explorer::default()
    }

    /// Chooses where tasks switch; see [`Switches`].
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::explore::{Explorer, Shared, Switches};
    /// let program = || {
    ///     let n = Shared::new(0);
    ///     maypole::scope(|s| {
    ///         s.spawn(|| n.set(1));
    ///         s.spawn(|| n.set(2));
    ///     });
    /// };
    /// let schedules = |switches| Explorer::new().switches(switches).check(program).schedules;
    /// assert!(schedules(Switches::Parking) < schedules(Switches::Everywhere));
    /// ```
    pub fn switches(mut self, switches: Switches) -> Self {
        self.switches = switches;
        self
    }

    /// Leaves out schedules with more forced switches than this.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::explore::Explorer;
    /// let program = || {
    ///     let child = maypole::spawn(maypole::task::park);
    ///     child.task().unpark();
    ///     child.join().unwrap();
    /// };
    /// let outcome = Explorer::new().forced(0).check(program);
    /// assert_eq!((outcome.forced, outcome.complete), (Some(0), false));
    /// ```
    pub fn forced(mut self, switches: usize) -> Self {
        self.forced = switches;
        self
    }

    /// Stops after so many schedules; 100,000 where nothing else is said.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::explore::{any, Explorer};
    /// let outcome = Explorer::new().schedules(50).check(|| drop(any(100)));
    /// assert_eq!((outcome.schedules, outcome.complete), (50, false));
    /// ```
    pub fn schedules(mut self, schedules: u64) -> Self {
        self.schedules = Some(schedules);
        self
    }

    /// Stops after so much time, on the system's clock; without [`schedules`](Self::schedules)
    /// then nothing else stops it.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::explore::{any, Explorer};
    /// use std::time::Duration;
    /// let explorer = Explorer::new().budget(Duration::from_millis(1));
    /// assert!(!explorer.check(|| drop([any(1000), any(1000), any(1000)])).complete);
    /// ```
    pub fn budget(mut self, budget: Duration) -> Self {
        self.budget = Some(budget);
        self
    }

    /// Cuts a schedule after so many turns; 10,000 where nothing else is said. A schedule that is
    /// cut counts as run, and as [cut](Outcome::cut).
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::explore::Explorer;
    /// let spins = || loop {
    ///     maypole::yield_now();
    /// };
    /// let outcome = Explorer::new().turns(100).check(spins);
    /// assert_eq!((outcome.cut, outcome.complete), (1, false));
    /// ```
    pub fn turns(mut self, turns: u64) -> Self {
        self.turns = turns;
        self
    }

    /// Tries schedules by chance, the same ones for the same seed, until
    /// [`schedules`](Self::schedules) or [`budget`](Self::budget) stop it: for programs with too
    /// many to try all.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::explore::{any, Explorer};
    /// let unlucky = || assert!(any(1000) != 77 || any(10) != 5);
    /// let failure = Explorer::new().random(1).check(unlucky).failure.unwrap();
    /// assert!(failure.report().to_string().contains("seed 1"));
    /// ```
    pub fn random(mut self, seed: u64) -> Self {
        self.manner = Manner::Random(seed);
        self
    }

    /// Tries schedules by random priorities of the tasks, which change at `depth` - 1 random steps
    /// (Burckhardt, Kothari, Musuvathi and Nagarakatte, 2010): an error that needs `depth` events
    /// in a certain order is found with a chance that has a known lower bound.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::explore::{Explorer, Shared, Switches};
    /// let lost_update = || {
    ///     let n = Shared::new(0);
    ///     maypole::scope(|s| {
    ///         for _ in 0..2 {
    ///             s.spawn(|| n.update(|n| n + 1));
    ///         }
    ///     });
    ///     assert_eq!(n.get(), 2);
    /// };
    /// let explorer = Explorer::new().switches(Switches::Everywhere).pct(1, 2);
    /// assert!(explorer.check(lost_update).failure.is_some());
    /// ```
    pub fn pct(mut self, seed: u64, depth: usize) -> Self {
        self.manner = Manner::Priorities(seed, depth);
        self
    }

    /// Runs `f`, the main function of a program, under its schedules, until one fails.
    ///
    /// Parks: no: it is called outside of a run.
    ///
    /// # Panics
    ///
    /// Inside of a run. Not if a schedule fails: that is in the answer.
    ///
    /// # Examples
    ///
    /// ```
    /// use maypole::explore::Explorer;
    /// let outcome = Explorer::new().check(|| assert!(maypole::spawn(|| 1).join().is_ok()));
    /// assert!(outcome.complete);
    /// ```
    #[track_caller]
    pub fn check(&self, f: impl Fn()) -> Outcome {
        explore(self, &f, Location::caller())
    }

    fn choices_at_most(&self) -> u64 {
        match (self.schedules, self.budget) {
            (None, None) => CHOICES,
            _ => u64::MAX,
        }
    }

    fn schedules_at_most(&self) -> u64 {
        match (self.schedules, self.budget) {
            (Some(schedules), _) => schedules.max(1),
            (None, Some(_)) => u64::MAX,
            (None, None) => SCHEDULES,
        }
    }
}

#[track_caller]
fn explore(explorer: &Explorer, f: &dyn Fn(), at: &'static Location<'static>) -> Outcome {
    refuse_where_it_cannot_be("explore", at);
    if let Some(order) = run::take_order() {
        return explore_as_ordered(explorer, &order, f, at);
    }
    repeat(f, Clock::virtual_time(), explorer.turns, at, |program| {
        Search::new(explorer, program).go()
    })
}

fn refuse_where_it_cannot_be(call: &str, at: &'static Location<'static>) {
    scheduler::refuse_second(call, at, ["a run", "call it outside"]);
    atomic::refuse(call, at, "call it before or after");
    if cfg!(not(panic = "unwind")) {
        panic!("maypole: {call} at {at} in a program built with panic = \"abort\": it must unwind");
    }
}

/// `MAYPOLE_REPLAY` instead of a search.
fn explore_as_ordered(
    explorer: &Explorer,
    order: &Order,
    f: &dyn Fn(),
    at: &'static Location<'static>,
) -> Outcome {
    let start = scheduler::now();
    let obeyed = obey(&order.trail, explorer.turns, f, at);
    Outcome {
        schedules: 1,
        cut: 0,
        forced: None,
        complete: false,
        coverage: Coverage {
            manner: explorer.manner,
            ended: outcome::Ended::Replayed,
            pruned: true,
            of_finished_levels: 0,
            estimate: None,
            turns: explorer.turns,
            took: scheduler::now().saturating_duration_since(start),
        },
        failure: obeyed.err(),
    }
}

/// Runs the program along a trail.
fn obey(
    trail: &Trail,
    turns: u64,
    f: &dyn Fn(),
    at: &'static Location<'static>,
) -> Result<(), Failure> {
    let clock = match trail.virtual_time {
        true => Clock::virtual_time(),
        false => Clock::real(),
    };
    let watch = |program: &Repeat<'_, '_>| search::watch(program, trail);
    let watched = repeat(f, clock, turns, at, watch);
    match (watched.failed, watched.left) {
        (Some(text), _) => {
            let head = "maypole explore: FAILED in the replay".to_string();
            let forced = 0;
            Err(Failure::new(head, text, trail, &watched.steps, forced))
        }
        (None, Some(left)) => Err(Failure::unsteady(format!("maypole explore: {left}"))),
        (None, None) => Ok(()),
    }
}
