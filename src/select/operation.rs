//! What the `select!` macros are made of: cases of any type, and the one that was chosen.
//!
//! Public for the macros' sake alone, which expand in other crates.
use super::several::{Alternative, Cases, Claim, Order, enter, first_of, try_first};
use super::{Deadline, Limit};
use crate::scheduler::wait::{Wait, What};
use std::panic::Location;
use std::time::Duration;

/// One case of a `select!`.
#[derive(Clone, Copy)]
pub struct Handle<'a> {
    case: &'a dyn Alternative,
    transacts: bool,
}

impl<'a> Handle<'a> {
    #[inline(always)]
    pub(crate) fn new(case: &'a dyn Alternative) -> Self {
        let transacts = false;
        Handle { case, transacts }
    }

    /// A case that is a transaction.
    pub(crate) fn of_transaction(case: &'a dyn Alternative) -> Self {
        let transacts = true;
        Handle { case, transacts }
    }
}

/// The cases of a `select!`, while it chooses one; the call is over when this is dropped, before a
/// body runs.
struct Choice<'c, 'a>(&'c [&'a dyn Alternative], bool);

impl<'c, 'a> Choice<'c, 'a> {
    #[inline(always)]
    fn cases(&self) -> Cases<'_> {
        match self.1 {
            true => Cases::with_transactions(self.0),
            false => Cases::plain(self.0),
        }
    }
}

impl Drop for Choice<'_, '_> {
    #[inline(always)]
    fn drop(&mut self) {
        if self.1 {
            self.cases().retire();
        }
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
    let transacts = cases.iter().any(|handle| handle.transacts);
    let cases = cases.map(|handle| handle.case);
    let choice = Choice(&cases, transacts);
    let at = place(Location::caller());
    let found = first_of(choice.cases(), order, &Deadline::new(Limit::Never), at);
    let (index, claim) = found.expect("a select without a limit does not time out");
    // First, or what was claimed is lost if a destructor unwinds.
    let operation = Operation::new(cases[index], claim, index);
    drop(choice);
    operation
}

/// Waits for the first case for at most `timeout`.
#[inline(always)]
#[track_caller]
pub fn wait_timeout<'a, const N: usize>(
    cases: [Handle<'a>; N],
    order: Order,
    timeout: Duration,
) -> Option<Operation<'a>> {
    let transacts = cases.iter().any(|handle| handle.transacts);
    let cases = cases.map(|handle| handle.case);
    let choice = Choice(&cases, transacts);
    let at = place(Location::caller());
    let (index, claim) = first_of(
        choice.cases(),
        order,
        &Deadline::new(Limit::After(timeout)),
        at,
    )?;
    let operation = Operation::new(cases[index], claim, index);
    drop(choice);
    Some(operation)
}

/// Takes a case that is ready.
#[inline(always)]
#[track_caller]
pub fn poll<'a, const N: usize>(cases: [Handle<'a>; N], order: Order) -> Option<Operation<'a>> {
    let transacts = cases.iter().any(|handle| handle.transacts);
    let cases = cases.map(|handle| handle.case);
    let choice = Choice(&cases, transacts);
    let at = place(Location::caller());
    // A loop around a `default` must not keep the others from their turns.
    enter(at);
    let (index, claim) = try_first(choice.cases(), order, at)?;
    let operation = Operation::new(cases[index], claim, index);
    drop(choice);
    Some(operation)
}

fn place(at: &'static Location<'static>) -> Wait {
    Wait {
        what: What::Select,
        at,
    }
}
