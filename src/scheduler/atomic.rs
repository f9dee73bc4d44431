//! Stretches of code that run in one piece: transactions.
//!
//! Within one, nobody parks or yields, no kill and no timeout is raised, and no other begins. The
//! exception is a destructor that runs while unwinding: it may park, so the stretch is undone
//! before the others see what it has half done.
use crate::coroutine::{self, Extent};
use std::cell::Cell;
use std::panic::Location;

/// The stretch that is under way on an OS thread.
#[derive(Clone, Copy)]
struct Stretch {
    at: &'static Location<'static>,
    /// Undoes what it did so far, and ends it.
    undo: fn(),
}

thread_local! {
    static STRETCH: Cell<Option<Stretch>> = const { Cell::new(None) };
}

/// Begins one, called at `at`. On a stack that may be a generator's the caller keeps the extent
/// until the end.
///
/// # Panics
///
/// Inside of another, with both places.
#[inline(always)]
pub(crate) fn begin(at: &'static Location<'static>, undo: fn()) -> Option<Extent> {
    if is_under_way() {
        refuse_nested("atomically", at);
    }
    STRETCH.set(Some(Stretch { at, undo }));
    match coroutine::begin_atomic() {
        true => None,
        false => Some(Extent::enter()),
    }
}

#[inline(always)]
pub(crate) fn end() {
    STRETCH.set(None);
    coroutine::end_atomic();
}

#[inline(always)]
pub(crate) fn is_under_way() -> bool {
    STRETCH.get().is_some()
}

/// Where the stretch began that is under way.
pub(crate) fn begun_at() -> Option<&'static Location<'static>> {
    STRETCH.get().map(|stretch| stretch.at)
}

/// Refuses a call that is a stretch of its own, or undoes the one that unwinds.
#[cold]
#[inline(never)]
pub(crate) fn refuse_nested(call: &str, at: &'static Location<'static>) {
    refuse(
        call,
        at,
        "transactions do not nest; pass the outer one's &Transaction on, or do this after it \
         (Transaction::on_commit)",
    );
}

/// Refuses a call inside of a stretch, or undoes the one that unwinds.
#[cold]
#[inline(never)]
pub(crate) fn refuse(call: &str, at: &'static Location<'static>, cure: &str) {
    let Some(outer) = STRETCH.get() else {
        return;
    };
    if std::thread::panicking() {
        return (outer.undo)();
    }
    panic!(
        "maypole: {call} at {at} inside the transaction begun at {}: {cure}",
        outer.at
    );
}

/// A destructor is about to park, or to run code as if nothing unwound.
#[cold]
#[inline(never)]
pub(crate) fn undo() {
    if let Some(stretch) = STRETCH.get() {
        (stretch.undo)();
    }
}

/// A stretch that runs code of the user while it borrows, and has nothing to undo.
pub(crate) struct Step {
    _extent: Option<Extent>,
}

impl Step {
    /// Begins one for `call`, made at `at`.
    ///
    /// # Panics
    ///
    /// Inside of a stretch, with both places.
    #[inline(always)]
    pub(crate) fn begin(call: &'static str, at: &'static Location<'static>) -> Step {
        if is_under_way() {
            refuse_nested(call, at);
        }
        Step {
            _extent: begin(at, stuck),
        }
    }
}

impl Drop for Step {
    #[inline(always)]
    fn drop(&mut self) {
        end();
    }
}

fn stuck() {
    panic!("maypole: a destructor parks or begins a transaction inside a Clone that unwinds");
}
