//! Several tasks at once, by what is wanted of them: the first, both, all.
use super::error::JoinError;
use super::packet::drop_quietly;
use super::scope::{Scope, scope, scope_of_equals};
use crate::scheduler::wait::{Wait, WaitQueue, What};
use crate::scheduler::{self, First, kill};
use crate::select::{Case, block_on};
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, Location, catch_unwind, resume_unwind};

/// Runs all `tasks` and gives the result of the first to finish; the others are killed and waited
/// for.
///
/// A panic counts as finishing: it is re-raised with its payload. Trio's and thredo's `wait=any`.
///
/// Parks: until the first has finished and the others are gone.
///
/// # Panics
///
/// If there are no tasks, or all were killed; with the panic of the first to finish.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// let winner = maypole::run(|| {
///     maypole::task::race([30, 10, 20].map(|ms| {
///         move || {
///             maypole::sleep(Duration::from_millis(ms));
///             ms
///         }
///     }))
/// });
/// assert_eq!(winner, 10);
/// ```
#[track_caller]
pub fn race<T, F: FnOnce() -> T>(tasks: impl IntoIterator<Item = F>) -> T {
    let at = Location::caller();
    let track = Track {
        winner: RefCell::new(None),
        running: Cell::new(0),
        changed: WaitQueue::new(),
    };
    scope_of_equals(at, |s| {
        for task in tasks {
            run_in(s, at, &track, task);
        }
        assert!(
            track.running.get() > 0 || track.winner.borrow().is_some(),
            "maypole: a race at {at} without tasks"
        );
        let wait = Wait {
            what: What::Scope,
            at,
        };
        block_on(Decided(&track), None, wait);
        s.kill("another task won the race");
    });
    match track.winner.into_inner() {
        Some(Ok(value)) => value,
        Some(Err(payload)) => resume_unwind(payload),
        None => panic!("maypole: every task of the race at {at} was killed"),
    }
}

/// The state of a race.
struct Track<T> {
    winner: RefCell<Option<std::thread::Result<T>>>,
    running: Cell<usize>,
    changed: WaitQueue,
}

fn run_in<'scope, T: 'scope, F: FnOnce() -> T + 'scope>(
    s: &'scope Scope<'scope, '_>,
    at: &'static Location<'static>,
    track: &'scope Track<T>,
    task: F,
) {
    /// Counts the runner out, however it ends.
    struct Out<'a, T>(&'a Track<T>);
    impl<T> Drop for Out<'_, T> {
        fn drop(&mut self) {
            self.0.running.set(self.0.running.get() - 1);
            scheduler::wake_all(&self.0.changed, 0);
        }
    }
    track.running.set(track.running.get() + 1);
    let out = Out(track);
    s.spawn_at(at, First::Parent, move || {
        let _out = out;
        let result = catch_unwind(AssertUnwindSafe(task));
        match result {
            Err(payload) if kill::is_ours(&*payload) => resume_unwind(payload),
            result if track.winner.borrow().is_none() => {
                *track.winner.borrow_mut() = Some(result);
            }
            late => drop_quietly(late),
        }
    });
}

/// Waits until a race has a winner, or nobody left who could win.
struct Decided<'a, T>(&'a Track<T>);

impl<T> Case for Decided<'_, T> {
    type Output = ();
    fn try_now(&mut self) -> Option<()> {
        (self.0.winner.borrow().is_some() || self.0.running.get() == 0).then_some(())
    }
    fn enlist(&mut self) -> (&WaitQueue, usize) {
        (&self.0.changed, 0)
    }
    fn accept(&mut self, _: usize) -> Option<()> {
        self.try_now()
    }
}

/// Runs `a` in this task and `b` in another, and gives both results.
///
/// When one panics, the other is killed, and the panic goes on with its payload.
///
/// Parks: until both have finished.
///
/// # Panics
///
/// With the first panic of the two.
///
/// # Examples
///
/// ```
/// let (sum, product) =
///     maypole::run(|| maypole::task::both(|| 1 + 2 + 3, || 2 * 3 * 4));
/// assert_eq!((sum, product), (6, 24));
/// ```
#[track_caller]
pub fn both<A, B>(a: impl FnOnce() -> A, b: impl FnOnce() -> B) -> (A, B) {
    let at = Location::caller();
    let second = Cell::new(None);
    let first = scope(|s| {
        s.spawn_at(at, First::Parent, || second.set(Some(b())));
        a()
    });
    match second.into_inner() {
        Some(second) => (first, second),
        None => panic!("maypole: one of both tasks was killed"),
    }
}

/// Runs all `tasks` and gives their results in the order of the tasks, each with its own error: a
/// failure of one is not the others' business.
///
/// Each is started child first, in order ([`spawn_now`](crate::spawn_now)).
///
/// Parks: until all have ended. A kill of the caller is passed on to them.
///
/// # Examples
///
/// ```
/// # std::panic::set_hook(Box::new(|_| ()));
/// maypole::run(|| {
///     let results = maypole::task::join_all([3, 0, 4].map(|n| move || 12 / n));
///     assert_eq!(*results[0].as_ref().unwrap(), 4);
///     assert!(results[1].as_ref().unwrap_err().is_panic());
///     assert_eq!(*results[2].as_ref().unwrap(), 3);
/// });
/// ```
#[track_caller]
pub fn join_all<T, F: FnOnce() -> T>(
    tasks: impl IntoIterator<Item = F>,
) -> Vec<Result<T, JoinError>> {
    let at = Location::caller();
    scope_of_equals(at, |s| {
        let spawn = |task| s.spawn_at(at, First::Child, task);
        let handles: Vec<_> = tasks.into_iter().map(spawn).collect();
        handles.into_iter().map(|handle| handle.join()).collect()
    })
}
