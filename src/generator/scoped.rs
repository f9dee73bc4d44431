//! Generators that borrow: closed before what they borrow is gone.
use super::core::Core;
use super::{Ignored, STACK_SIZE, Yielder, finished, not_started};
use crate::coroutine::{self, Extent, Step};
use crate::scheduler::kill::Shield;
use crate::scheduler::wait::{Wait, What};
use crate::scheduler::{self, park};
use crate::task::drop_quietly;
use std::any::Any;
use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, Location, catch_unwind, resume_unwind};

/// How often a scoped generator may yield again while it is being closed.
const CLOSES: usize = 64;

/// A generator whose body borrows; see [`scoped`].
///
/// # Examples
///
/// ```
/// use maypole::generator::{Step, scoped};
/// let words = ["may", "pole"];
/// let first = scoped(
///     |y| words.iter().for_each(|word| y.yield_(word.len())),
///     |lengths| lengths.resume(()),
/// );
/// assert_eq!(first, Step::Yielded(3));
/// ```
pub struct ScopedGenerator<'g, 'env, Y, R, S = ()>(
    Core<'env, Y, R, S>,
    PhantomData<Brand<'g, 'env>>,
);

/// Invariant in both, so that no other scoped generator can be put in the place of one.
type Brand<'g, 'env> = (Cell<&'g ()>, Cell<&'env ()>);

generator_methods!(impl<Y, R, S> ScopedGenerator<'_, '_, Y, R, S>);

impl<Y, R> Iterator for ScopedGenerator<'_, '_, Y, R, ()> {
    type Item = Y;

    #[inline]
    fn next(&mut self) -> Option<Y> {
        if self.is_done() {
            return None;
        }
        match self.resume(()) {
            Step::Yielded(value) => Some(value),
            Step::Returned(_) => None,
        }
    }
}

impl<Y, R, S> fmt::Debug for ScopedGenerator<'_, '_, Y, R, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScopedGenerator")
            .field("done", &self.is_done())
            .finish_non_exhaustive()
    }
}

/// Runs `driver` with a generator whose `body` may borrow from around the call.
///
/// The generator is closed when `driver` returns or unwinds. A body that yields again 64 times
/// then would outlive what it borrows, so the process is aborted, by name.
///
/// Parks: no more than the body and the driver do.
///
/// # Panics
///
/// With the panics of the driver, then of the body; where parking is forbidden, as the body may
/// park while it is closed.
///
/// # Examples
///
/// ```
/// use maypole::generator::scoped;
/// let words = ["may", "pole"];
/// let mut total = 0;
/// let lengths: Vec<usize> = scoped(
///     |y| {
///         for word in &words {
///             total += word.len();
///             y.yield_(word.len());
///         }
///     },
///     |lengths| lengths.collect(),
/// );
/// assert_eq!((lengths, total), (vec![3, 4], 7));
/// ```
///
/// What the body borrows cannot be changed meanwhile:
///
/// ```compile_fail,E0502
/// use maypole::generator::{Yielder, scoped};
/// let mut n = 1;
/// scoped(|y: &Yielder<i32>| y.yield_(n), |g| {
///     n = 2;
///     g.next();
/// });
/// ```
///
/// Nor can one scoped generator be put in the place of another, to be forgotten there:
///
/// ```compile_fail,E0521
/// use maypole::generator::{Yielder, scoped};
/// scoped(
///     |y: &Yielder<u32>| y.yield_(1),
///     |a| scoped(|y: &Yielder<u32>| y.yield_(1), |b| std::mem::swap(a, b)),
/// );
/// ```
///
/// Nor does one leave its driver:
///
/// ```compile_fail,E0521
/// use maypole::generator::{Yielder, scoped};
/// let mut kept = None;
/// scoped(|y: &Yielder<u32>| y.yield_(1), |g| kept = Some(g));
/// ```
#[track_caller]
pub fn scoped<'env, Y, R, S, T>(
    body: impl FnOnce(&Yielder<Y, S>) -> R + 'env,
    driver: impl for<'g> FnOnce(&mut ScopedGenerator<'g, 'env, Y, R, S>) -> T,
) -> T {
    let site = Location::caller();
    if scheduler::is_in_task() {
        let wait = Wait {
            what: What::Turn,
            at: site,
        };
        park::enter(wait);
        park::ask(wait);
    }
    let mut generator = ScopedGenerator(Core::new(STACK_SIZE, site, body), PhantomData);
    let result = catch_unwind(AssertUnwindSafe(|| driver(&mut generator)));
    // Whatever became of the driver: what the body borrows is about to go.
    let closed = catch_unwind(AssertUnwindSafe(|| close_for_good(&mut generator.0)));
    match (result, closed) {
        (Ok(value), Ok(())) => value,
        (Ok(value), Err(payload)) => {
            drop_quietly(value);
            resume_unwind(payload)
        }
        (Err(payload), closed) => {
            drop_quietly(closed);
            resume_unwind(payload)
        }
    }
}

fn close_for_good<Y, R, S>(core: &mut Core<'_, Y, R, S>) {
    let _extent = Extent::enter();
    let _shield = Shield::open();
    let mut panic = None;
    for _ in 0..CLOSES {
        // A panic may be the body's, or of the destructor of something that was yielded or sent:
        // only the coroutine knows whether the body has ended.
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| core.close())) {
            match panic {
                None => panic = Some(payload),
                Some(_) => std::mem::forget(payload),
            }
        }
        if !core.is_suspended() {
            return panic.map_or((), |payload| resume_unwind(payload));
        }
    }
    coroutine::say(format_args!(
        "maypole: fatal: the scoped generator made at {} ignored its close {CLOSES} times; what it \
         borrows would be gone",
        core.mailbox().site
    ));
    std::process::abort();
}
