//! A line of transactions that wait for the same units, in the order in which they came.
//!
//! A transaction that retries is undone, so it cannot stand in a line that is made of variables. This
//! one is none: who retries because of it stands in it until its call has ended, or until a run of it
//! retries for another reason.
use super::transaction::{Transaction, write_moment};
use super::variable::AnyVariable;
use crate::scheduler;
use std::cell::RefCell;
use std::rc::{Rc, Weak};

/// Those who wait for units of one thing.
pub(super) struct Line {
    /// Names of their calls, see [`Place::call`].
    calls: RefCell<Vec<u64>>,
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

    /// Whether there is one of so many units for the call: fewer have come before it.
    pub(super) fn is_turn_of(&self, call: u64, units: i64) -> bool {
        let units = usize::try_from(units).unwrap_or(0);
        let calls = self.calls.borrow();
        calls.len() < units || calls.iter().take(units).any(|stands| *stands == call)
    }

    /// The call goes; those behind it look again whether it is their turn.
    fn leave(&self, call: u64) {
        let mut calls = self.calls.borrow_mut();
        let Some(stands_at) = calls.iter().position(|stands| *stands == call) else {
            return;
        };
        calls.remove(stands_at);
        let was_last = stands_at == calls.len();
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
    /// Names the call, by the moment of its first run.
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
            tx.resume(standing.call);
        }
    }

    /// A run has retried because of the last units of these lines.
    pub(super) fn join(&mut self, call: u64, lines: Vec<Rc<Line>>) {
        if lines.is_empty() && self.0.is_none() {
            return;
        }
        let before = self
            .0
            .as_mut()
            .map(|before| std::mem::take(&mut before.lines));
        let former = before.unwrap_or_default();
        let mut stands_in: Vec<Rc<Line>> = Vec::with_capacity(lines.len());
        for line in lines {
            let is_it = |other: &Rc<Line>| Rc::ptr_eq(other, &line);
            if stands_in.iter().any(is_it) {
                continue;
            }
            if !former.iter().any(is_it) {
                line.calls.borrow_mut().push(call);
            }
            stands_in.push(line);
        }
        self.0 = Some(Box::new(Standing {
            call,
            lines: stands_in,
            former,
        }));
    }

    /// The run is over: the call stands nowhere else any more.
    #[inline]
    pub(super) fn leave_the_others(&mut self) {
        if let Some(standing) = &mut self.0
            && standing.leave_the_others()
        {
            self.0 = None;
        }
    }
}

impl Standing {
    /// True if it stands nowhere.
    fn leave_the_others(&mut self) -> bool {
        for line in std::mem::take(&mut self.former) {
            if !self.lines.iter().any(|stays| Rc::ptr_eq(stays, &line)) {
                line.leave(self.call);
            }
        }
        self.lines.is_empty()
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
