//! Who chooses: the one source of chance.
//!
//! A run is determined by the answers of its policy, the clock and the driver: a schedule is the
//! list of the answers, a [`Trail`] writes it down, and [`Replay`] reads it.
mod replay;
mod seeded;
mod trail;

pub(crate) use replay::{Divergence, Meeting, Progress, Replay};
pub(crate) use seeded::Seeded;
pub(crate) use trail::{END, Token, Trail};

use super::wait::{Wait, What};
use std::panic::Location;

/// Answers each choice of the scheduler.
///
/// Without a policy index 0 is taken: first in, first out.
pub(crate) trait Policy {
    /// An index below `among`; `None` ends the run there.
    fn choose(&mut self, choice: &Choice<'_>) -> Option<usize>;

    /// Whether it goes through schedules, and wants to be asked before operations too.
    fn explores(&self) -> Option<Switches> {
        None
    }

    /// A task to kill before the next turn, by its place in the order of spawning; for tests that
    /// kill at every step.
    fn victim(&mut self) -> Option<u64> {
        None
    }
}

/// What there is to choose from.
pub(crate) struct Choice<'a> {
    pub(crate) kind: Kind,
    pub(crate) among: usize,
    /// Answers below it are what the scheduler could do by itself; each of the others is a forced
    /// switch.
    pub(crate) free: usize,
    /// The serial numbers of the tasks to choose between, for a policy that explores. Of a
    /// [`Kind::Switch`] the first is the running task, which may go on.
    pub(crate) tasks: &'a [u64],
    /// The task that is about to do something, or that did something last.
    pub(crate) task: u64,
    /// What it is about to do, or did.
    pub(crate) wait: Wait,
}

impl Choice<'_> {
    /// Between ready tasks, for a policy that wants to know no more.
    #[inline]
    pub(super) fn plain(among: usize) -> Self {
        const NOWHERE: &Location<'static> = Location::caller();
        Choice {
            kind: Kind::Turn,
            among,
            free: among,
            tasks: &[],
            task: 0,
            wait: Wait {
                what: What::Turn,
                at: NOWHERE,
            },
        }
    }
}

/// What is chosen.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Kind {
    /// Who has the next turn.
    Turn,
    /// Whether the running task goes on, or who comes before its next operation.
    Switch,
    /// Which ready case of a `select!` is taken.
    Case,
    /// A number that the program asks for.
    Any,
}

/// Where an exploration switches tasks.
///
/// # Examples
///
/// A lost update needs a switch between a read and a write, which no schedule of tasks has:
///
/// ```
/// use maypole::explore::{Explorer, Shared, Switches};
/// let deposits = || {
///     let balance = Shared::new(0);
///     maypole::scope(|s| {
///         for _ in 0..2 {
///             s.spawn(|| balance.set(balance.get() + 50));
///         }
///     });
///     assert_eq!(balance.get(), 100);
/// };
/// let tasks = Explorer::new().switches(Switches::Parking).check(deposits);
/// assert!(tasks.failure.is_none());
/// let threads = Explorer::new().switches(Switches::Everywhere).check(deposits);
/// assert!(threads.failure.is_some());
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Switches {
    /// Where tasks can switch in production: when one parks, yields or ends, and before every
    /// call that may park, which yields by itself now and then.
    #[default]
    Parking,
    /// Before every operation that another task could see, as between OS threads: `try_send`,
    /// an unlock, an access to a [`Shared`](crate::explore::Shared).
    Everywhere,
}
