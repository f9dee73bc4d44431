//! Stretches of code that run in one piece: transactions.
//!
//! Within one, nobody parks or yields, no kill and no timeout is raised, and no other begins. The
//! exception is a destructor that runs while the stretch unwinds: it may, so the stretch is undone
//! before the others see what it has half done.
use crate::coroutine::{self, Extent};
use std::cell::Cell;
use std::panic::Location;

/// The stretch that is under way on an OS thread.
#[derive(Clone, Copy)]
struct Stretch {
    at: &'static Location<'static>,
    /// Undoes what it did so far, and ends it.
    undo: fn(Cause),
    /// It unwinds, though the count of panics is hidden at present.
    unwinds: bool,
}

/// Why a stretch that unwinds is undone before it is left.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// Others are about to run.
    Park,
    /// Another stretch is about to begin.
    Nesting,
}

thread_local! {
    static STRETCH: Cell<Option<Stretch>> = const { Cell::new(None) };
    /// Stretches that were undone while frames of theirs still looked at a value.
    static LOOKING: Cell<u32> = const { Cell::new(0) };
}

impl Stretch {
    fn unwinds(&self) -> bool {
        self.unwinds || std::thread::panicking()
    }
}

/// Begins one, called at `at`. On a stack that may be a generator's the caller keeps the extent
/// until the end. A caller that may be in a destructor has hidden the count of panics, so that one
/// that is seen from now on leaves the stretch.
///
/// # Panics
///
/// Inside of another, with both places.
#[inline(always)]
pub(crate) fn begin(at: &'static Location<'static>, undo: fn(Cause)) -> Option<Extent> {
    if is_under_way() {
        refuse_nested("atomically", at);
    }
    let unwinds = false;
    STRETCH.set(Some(Stretch { at, undo, unwinds }));
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
    if let Some(begun_at) = in_the_way() {
        panic!("maypole: {call} at {at} inside the transaction begun at {begun_at}: {cure}");
    }
}

/// Where the stretch began inside of which the caller is; one that unwinds is undone instead.
pub(crate) fn in_the_way() -> Option<&'static Location<'static>> {
    let outer = STRETCH.get()?;
    if outer.unwinds() {
        (outer.undo)(Cause::Nesting);
        return None;
    }
    Some(outer.at)
}

/// A destructor is about to park: undoes the stretch that unwinds. True if none is in the way.
#[cold]
#[inline(never)]
pub(crate) fn make_way() -> bool {
    match STRETCH.get() {
        Some(stretch) if stretch.unwinds() => {
            (stretch.undo)(Cause::Park);
            true
        }
        Some(_) => false,
        None if LOOKING.get() > 0 => still_looking(),
        None => true,
    }
}

/// No borrow may live across a park: others would find the value in use.
pub(crate) fn still_looking() -> ! {
    panic!(
        "maypole: a destructor parks inside of a Clone, a Debug or the closure of a variable's \
         `with`, while that unwinds"
    );
}

/// A stretch is undone, and a frame of it still looks at a value; or no more.
pub(crate) fn count_looking(change: i32) {
    LOOKING.set(LOOKING.get().saturating_add_signed(change));
}

/// The time in which the count of the panics that are on their way is hidden.
pub(crate) struct Hidden(Option<bool>);

impl Hidden {
    /// Begins it, before the count is hidden.
    pub(crate) fn begin() -> Hidden {
        let stretch = STRETCH.get().filter(Stretch::unwinds);
        Hidden(stretch.map(|stretch| {
            let unwinds = true;
            STRETCH.set(Some(Stretch { unwinds, ..stretch }));
            stretch.unwinds
        }))
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        // Unless it was undone meanwhile.
        if let (Some(unwinds), Some(stretch)) = (self.0, STRETCH.get()) {
            STRETCH.set(Some(Stretch { unwinds, ..stretch }));
        }
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
            _extent: begin(at, leave_step),
        }
    }
}

impl Drop for Step {
    #[inline(always)]
    fn drop(&mut self) {
        if !is_under_way() {
            // It was left by `leave_step`.
            count_looking(-1);
        }
        end();
    }
}

fn leave_step(cause: Cause) {
    if cause == Cause::Park {
        still_looking();
    }
    count_looking(1);
    end();
}
