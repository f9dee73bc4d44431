//! Tasks: spawning, joining, killing, scopes, and what a task may ask of itself.
mod builder;
mod cleanup;
mod error;
mod gather;
mod handle;
mod join;
mod local;
mod outcome;
mod packet;
mod panics;
mod scope;

pub use crate::scheduler::kill::Killed;
pub use crate::scheduler::task::{PanicPlace, Status, TaskId};
pub use crate::scheduler::wait::What;
pub(crate) use builder::spawn_from_outside;
pub use builder::{Builder, spawn, spawn_now};
pub(crate) use cleanup::{
    Apart, apart, apart_quietly, drop_all_in_turn, drop_in_turn, run_in_turn,
};
pub use error::JoinError;
pub(crate) use error::{Who, message_of};
pub use gather::{both, join_all, race};
pub use handle::Task;
pub use join::{JoinHandle, ScopedJoinHandle};
pub use local::LocalKey;
pub(crate) use outcome::{failure_of_current, outcome_of, wake_if_abandoned};
pub(crate) use packet::{Ending, Harvest, Packet, drop_quietly};
pub(crate) use panics::{
    Unprinted, adopt_panic, install_panic_hook, quietly, take_panic_of_job, take_unprinted,
    watch_job, watch_offload,
};
pub(crate) use scope::{Away, Errand, Lender, Lent, lend};
pub use scope::{Scope, scope};

use crate::coroutine::Extent;
use crate::scheduler::kill::{self, Shield};
use crate::scheduler::wait::Wait;
use crate::scheduler::{self, Ban, deadline_after, park, with_kernel};
use std::cell::Cell;
use std::panic::Location;
use std::time::Duration;

/// The running task.
///
/// Parks: no.
///
/// # Panics
///
/// Outside of a task.
///
/// # Examples
///
/// ```
/// maypole::run(|| assert_eq!(maypole::task::current().name(), "main"));
/// ```
#[track_caller]
pub fn current() -> Task {
    match scheduler::current() {
        Some((id, body)) => Task::new(id, body),
        None => {
            scheduler::outside_of_tasks(format_args!("task::current at {}", Location::caller()))
        }
    }
}

/// Waits until somebody calls [`Task::unpark`] on this task; at once if somebody has since the
/// latest `park`. As in std, but never without a reason.
///
/// Parks: until unparked. A kill unwinds the task from here.
///
/// # Examples
///
/// ```
/// maypole::run(|| {
///     let sleeper = maypole::spawn(|| {
///         maypole::task::park();
///         "awake"
///     });
///     maypole::yield_now();
///     sleeper.task().unpark();
///     assert_eq!(sleeper.join().unwrap(), "awake");
/// });
/// ```
#[inline(always)]
#[track_caller]
pub fn park() {
    let wait = unpark_wait(Location::caller());
    if expects_unpark(wait) {
        park::park(&[], None, wait);
    }
}

/// Waits like [`park`], for at most `timeout`.
///
/// Parks: for at most `timeout`. A kill unwinds the task from here.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// maypole::run(|| maypole::task::park_timeout(Duration::from_millis(1)));
/// ```
#[inline(always)]
#[track_caller]
pub fn park_timeout(timeout: Duration) {
    let wait = unpark_wait(Location::caller());
    if expects_unpark(wait) {
        park::park(&[], deadline_after(timeout), wait);
    }
}

fn unpark_wait(at: &'static Location<'static>) -> Wait {
    Wait {
        what: What::Unpark,
        at,
    }
}

/// What comes before a park for `unpark`; false when that has come already. The token lies with
/// the task itself, as its own record is what `unpark` names: no queue is needed, nor the memory
/// of a waiter.
#[inline(always)]
fn expects_unpark(wait: Wait) -> bool {
    park::enter(wait);
    if with_kernel(|kernel| kernel.take_unpark_token()) {
        return false;
    }
    park::ask(wait);
    true
}

/// Runs `f` under a shield: kills, and timeouts entered outside, wait until it returns.
///
/// Parks: no more than `f` does.
///
/// # Examples
///
/// ```
/// maypole::run(|| {
///     let handle = maypole::spawn(|| {
///         maypole::task::shield(|| {
///             maypole::yield_now(); // killed here, but not unwound
///             println!("done all the same");
///         });
///         maypole::yield_now(); // the kill arrives here
///         unreachable!()
///     });
///     maypole::yield_now();
///     handle.kill("too late");
///     assert!(handle.join().unwrap_err().is_killed());
/// });
/// ```
pub fn shield<T>(f: impl FnOnce() -> T) -> T {
    let _extent = Extent::enter();
    let _shield = Shield::open();
    f()
}

/// Runs `f`, which must not park or yield: proves that it is atomic.
///
/// Parks: no: that is its point.
///
/// # Panics
///
/// In any call inside `f` that would park or yield, with both places.
///
/// # Examples
///
/// ```
/// use std::cell::Cell;
/// maypole::run(|| {
///     let (mine, yours) = (Cell::new(200), Cell::new(100));
///     maypole::task::no_yield(|| {
///         mine.set(mine.get() - 50);
///         yours.set(yours.get() + 50);
///     });
///     assert_eq!((mine.get(), yours.get()), (150, 150));
/// });
/// ```
#[track_caller]
pub fn no_yield<T>(f: impl FnOnce() -> T) -> T {
    struct Place<'a> {
        slot: &'a Cell<Option<&'static Location<'static>>>,
        outer: Option<&'static Location<'static>>,
    }
    impl Drop for Place<'_> {
        fn drop(&mut self) {
            self.slot.set(self.outer);
        }
    }
    let Some((_, body)) = scheduler::current() else {
        return f();
    };
    let _extent = Extent::enter();
    let slot = &body.about().more().forbidden_at;
    let _place = Place {
        slot,
        outer: slot.replace(Some(Location::caller())),
    };
    let _ban = Ban::begin(true);
    f()
}

/// Unwinds the task here if it was killed, or if a timeout around it has expired: for loops that
/// compute for long.
///
/// Parks: no, nor does it yield.
///
/// # Examples
///
/// ```
/// maypole::run(|| {
///     let handle = maypole::spawn(|| {
///         maypole::task::current().kill("enough");
///         maypole::task::check_killed();
///         unreachable!()
///     });
///     assert!(handle.join().unwrap_err().is_killed());
/// });
/// ```
#[inline]
#[track_caller]
pub fn check_killed() {
    kill::check_killed(Wait {
        what: What::Check,
        at: Location::caller(),
    });
}
