//! A line of transactions that wait for the same units, in the order in which they came.
//!
//! A transaction that retries is undone, so it cannot stand in a line that is made of variables. This
//! one is none: who retries because of it stands in it until its call has ended, or until a run of it
//! retries for another reason. Should it come back, it has its old place.
use super::transaction::{Transaction, write_moment};
use super::variable::AnyVariable;
use crate::scheduler;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::{Rc, Weak};

/// Those who wait for units of one thing.
pub(super) struct Line {
    /// Names of their calls, see [`Places::call`]: the least has come first.
    calls: RefCell<BTreeSet<u64>>,
    /// Where they are parked.
    units: Weak<AnyVariable>,
}

impl Line {
    pub(super) fn new(units: Weak<AnyVariable>) -> Line {
        Line {
            calls: RefCell::default(),
            units,
        }
    }

    /// Whether nobody stands here who has come before the call.
    pub(super) fn is_first(&self, call: u64) -> bool {
        let calls = self.calls.borrow();
        calls.first().is_none_or(|first| *first >= call)
    }

    /// The call comes, unless it is there.
    fn join(&self, call: u64) {
        self.calls.borrow_mut().insert(call);
    }

    /// The call goes; those behind it look again whether it is their turn.
    pub(super) fn leave(&self, call: u64) {
        let mut calls = self.calls.borrow_mut();
        if !calls.remove(&call) {
            return;
        }
        let was_last = calls.last().is_none_or(|last| *last < call);
        drop(calls);
        if !was_last && let Some(units) = self.units.upgrade() {
            // Also for those who are on their way to park.
            units.core.saved_at.set(write_moment());
            scheduler::wake_all(units.core.waiters(), 0);
        }
    }
}

/// Where a call of `atomically` stands in line from one run to the next: nowhere, most of the time.
#[derive(Default)]
pub(super) struct Places(Option<Box<Standing>>);

struct Standing {
    /// Names the call, by the moment of the run in which it first stood in a line. It keeps its name
    /// also while it stands nowhere: if one that has given its place up came back as the last, two
    /// of them could pass the first place to each other for ever.
    call: u64,
    lines: Vec<Rc<Line>>,
    /// Where it stood before its latest run.
    former: Vec<Rc<Line>>,
}

impl Places {
    /// The call begins another run.
    #[inline]
    pub(super) fn resume(&self, tx: &Transaction) {
        if let Some(standing) = &self.0 {
            tx.resume(standing.call, &standing.lines);
        }
    }

    /// A run has retried because of the last units of these lines.
    pub(super) fn join(&mut self, call: u64, lines: Vec<Rc<Line>>) {
        if lines.is_empty() && self.0.is_none() {
            return;
        }
        lines.iter().for_each(|line| line.join(call));
        let before = self
            .0
            .as_mut()
            .map(|before| std::mem::take(&mut before.lines));
        self.0 = Some(Box::new(Standing {
            call,
            lines,
            former: before.unwrap_or_default(),
        }));
    }

    /// The run is over: the call stands nowhere else any more.
    #[inline]
    pub(super) fn leave_the_others(&mut self) {
        if let Some(standing) = &mut self.0 {
            standing.leave_the_others();
        }
    }
}

impl Standing {
    fn leave_the_others(&mut self) {
        for line in std::mem::take(&mut self.former) {
            if !self.lines.iter().any(|stays| Rc::ptr_eq(stays, &line)) {
                line.leave(self.call);
            }
        }
    }
}

/// The call has ended, in whatever way.
impl Drop for Standing {
    fn drop(&mut self) {
        for line in self.lines.drain(..).chain(self.former.drain(..)) {
            line.leave(self.call);
        }
    }
}
