//! What the `select!` macros are made of: cases of any type, and the one that was chosen.
//!
//! Public for the macros' sake alone, which expand in other crates.
use super::several::{Alternative, Claim, Order, enter, first_of, try_first};
use super::{Deadline, Limit};
use crate::scheduler::wait::{Wait, What};
use std::panic::Location;
use std::time::Duration;

/// One case of a `select!`.
#[derive(Clone, Copy)]
pub struct Handle<'a>(&'a dyn Alternative);

impl<'a> Handle<'a> {
    pub(crate) fn new(case: &'a dyn Alternative) -> Self {
        Handle(case)
    }
}

/// A case that was made sure of, and that must be completed.
pub struct Operation<'a> {
    case: &'a dyn Alternative,
    claim: Claim,
    index: usize,
}

impl<'a> Operation<'a> {
    #[inline(always)]
    pub(crate) fn new(case: &'a dyn Alternative, claim: Claim, index: usize) -> Self {
        Operation { case, claim, index }
    }

    /// The number of the case.
    #[inline(always)]
    pub fn index(&self) -> usize {
        self.index
    }

    /// The claim, for whoever now completes it.
    #[inline(always)]
    #[track_caller]
    pub(crate) fn take(self, case: &dyn Alternative) -> Claim {
        assert!(
            self.case.address() == case.address(),
            "maypole: this is not the channel that was selected"
        );
        let claim = self.claim;
        std::mem::forget(self);
        claim
    }

    /// For the number of a case that is not there.
    #[cold]
    pub fn unknown(self) -> ! {
        unreachable!("a select chooses one of its cases")
    }
}

/// Gives back what was claimed.
impl Drop for Operation<'_> {
    fn drop(&mut self) {
        self.case.release(self.claim);
    }
}

/// Waits for the first case.
#[inline(always)]
#[track_caller]
pub fn wait<'a, const N: usize>(cases: [Handle<'a>; N], order: Order) -> Operation<'a> {
    let cases = cases.map(|handle| handle.0);
    let at = place(Location::caller());
    let found = first_of(&cases, order, &Deadline::new(Limit::Never), at);
    let (index, claim) = found.expect("a select without a limit does not time out");
    Operation::new(cases[index], claim, index)
}

/// Waits for the first case for at most `timeout`.
#[inline(always)]
#[track_caller]
pub fn wait_timeout<'a, const N: usize>(
    cases: [Handle<'a>; N],
    order: Order,
    timeout: Duration,
) -> Option<Operation<'a>> {
    let cases = cases.map(|handle| handle.0);
    let at = place(Location::caller());
    let (index, claim) = first_of(&cases, order, &Deadline::new(Limit::After(timeout)), at)?;
    Some(Operation::new(cases[index], claim, index))
}

/// Takes a case that is ready.
#[inline(always)]
#[track_caller]
pub fn poll<'a, const N: usize>(cases: [Handle<'a>; N], order: Order) -> Option<Operation<'a>> {
    let cases = cases.map(|handle| handle.0);
    let at = place(Location::caller());
    // A loop around a `default` must not keep the others from their turns.
    enter(at);
    let (index, claim) = try_first(&cases, order, at)?;
    Some(Operation::new(cases[index], claim, index))
}

fn place(at: &'static Location<'static>) -> Wait {
    Wait {
        what: What::Select,
        at,
    }
}
