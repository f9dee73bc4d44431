//! The one blocking algorithm: try, else enlist and park, then accept.
//!
//! ```text
//!   enter: kill check, budget ──► try_now ──► Some: done
//!                                    │ None
//!                                    ▼
//!                                 enlist ──► park ──► Ready: accept ──► None: again from try_now
//!                                              └────► TimedOut: None
//! ```
//!
//! `first_of` is the same over several cases at once.
mod limit;
mod operation;
mod several;

pub(crate) use limit::{Deadline, Limit};
pub use operation::{Handle, Operation, poll, wait, wait_timeout};
pub use several::Order;
pub(crate) use several::{
    Alternative, Cases, Claim, Interest, Waited, enter, first_of, first_ready, try_first, try_ready,
};

use crate::coroutine;
use crate::scheduler::wait::{Packed, Wait, WaitQueue, Woken};
use crate::scheduler::{kill, park};

/// An operation that may have to wait. Every blocking call of the crate is one.
pub(crate) trait Case {
    type Output;

    /// Whether code of the user runs between `enter` and the park, which may get the task killed.
    const RUNS_CODE: bool = false;

    /// Completes now if it can.
    fn try_now(&mut self) -> Option<Self::Output>;

    /// Where to wait, and what the waker is shown.
    fn enlist(&mut self) -> (&WaitQueue, usize);

    /// Completes after a wake that brought `token`; `None` to try again.
    fn accept(&mut self, token: usize) -> Option<Self::Output>;

    /// The first half of the park, for a case that waits in several queues.
    #[inline(always)]
    fn begin(&mut self, until: Option<u64>, wait: Packed) -> bool {
        let (queue, offer) = self.enlist();
        park::begin_in(queue, offer, until, wait)
    }

    /// When it may complete without a wake; it then accepts 0.
    #[inline(always)]
    fn due(&self) -> Option<u64> {
        None
    }
}

/// For callers that need their case back after a time-out.
impl<C: Case> Case for &mut C {
    type Output = C::Output;

    const RUNS_CODE: bool = C::RUNS_CODE;

    #[inline(always)]
    fn try_now(&mut self) -> Option<Self::Output> {
        (**self).try_now()
    }

    #[inline(always)]
    fn enlist(&mut self) -> (&WaitQueue, usize) {
        (**self).enlist()
    }

    #[inline(always)]
    fn accept(&mut self, token: usize) -> Option<Self::Output> {
        (**self).accept(token)
    }

    #[inline(always)]
    fn begin(&mut self, until: Option<u64>, wait: Packed) -> bool {
        (**self).begin(until, wait)
    }

    #[inline(always)]
    fn due(&self) -> Option<u64> {
        (**self).due()
    }
}

/// Completes `case` however long it takes, for a wait that must not be refused: it looks for no
/// kill, no `no_yield` and no auditor. The caller has opened a shield.
pub(crate) fn wait_out<C: Case>(mut case: C, wait: Wait) -> C::Output {
    loop {
        if let Some(output) = case.try_now() {
            return output;
        }
        let (queue, offer) = case.enlist();
        if let Woken::Ready { token, .. } = park::park_in(queue, offer, None, wait)
            && let Some(output) = case.accept(token)
        {
            return output;
        }
    }
}

/// Completes `case`, parking the task until it can; `None` when `deadline` comes first.
///
/// Outside of a task it completes what needs no waiting, and panics otherwise.
#[inline(always)]
pub(crate) fn block_on<C: Case>(case: C, deadline: Option<u64>, wait: Wait) -> Option<C::Output> {
    block_on_within(case, || deadline, wait)
}

/// The same, with a deadline that is asked for only when the case must wait: it reads the clock.
#[inline(always)]
pub(crate) fn block_on_within<C: Case>(
    case: C,
    deadline: impl Fn() -> Option<u64>,
    wait: Wait,
) -> Option<C::Output> {
    enter(wait);
    complete(case, deadline, wait)
}

/// The same, for a caller that has done what comes first: [`enter`].
#[inline(always)]
pub(crate) fn complete<C: Case>(
    mut case: C,
    deadline: impl Fn() -> Option<u64>,
    wait: Wait,
) -> Option<C::Output> {
    let mut until = None;
    loop {
        if let Some(output) = case.try_now() {
            return Some(output);
        }
        if coroutine::attention() == coroutine::OUTSIDE {
            crate::scheduler::outside(wait);
        }
        if C::RUNS_CODE {
            kill::raise_if_pending(wait);
        }
        let limit = *until.get_or_insert_with(&deadline);
        let due = case
            .due()
            .filter(|due| limit.is_none_or(|limit| *due <= limit));
        let begun = prepare(&mut case, due.or(limit), wait.pack());
        let token = match park::finish(begun, wait) {
            Woken::Ready { token, .. } => token,
            Woken::TimedOut if due.is_some() => 0,
            Woken::TimedOut => return None,
            // The bound that ended the park was left meanwhile, which takes a foreign coroutine:
            // as if nothing had been.
            Woken::Killed | Woken::Interrupted => continue,
        };
        if let Some(output) = case.accept(token) {
            return Some(output);
        }
        kill::raise_if_pending(wait);
    }
}

/// The part of a blocking call that need not be inlined.
#[inline(never)]
fn prepare<C: Case>(case: &mut C, until: Option<u64>, wait: Packed) -> bool {
    park::ask_packed(wait);
    case.begin(until, wait)
}
