//! The one blocking algorithm: try, else enlist and park, then accept.
//!
//! ```text
//!   enter: kill check, budget ──► try_now ──► Some: done
//!                                    │ None
//!                                    ▼
//!                                 enlist ──► park ──► Ready: accept ──► None: again from try_now
//!                                              └────► TimedOut: None
//! ```
use crate::coroutine;
use crate::scheduler::wait::{Wait, WaitQueue, Woken};
use crate::scheduler::{kill, park};

/// An operation that may have to wait. Every blocking call of the crate is one.
pub(crate) trait Case {
    type Output;

    /// Completes now if it can.
    fn try_now(&mut self) -> Option<Self::Output>;

    /// Where to wait, and what the waker is shown.
    fn enlist(&mut self) -> (&WaitQueue, usize);

    /// Completes after a wake that brought `token`; `None` to try again.
    fn accept(&mut self, token: usize) -> Option<Self::Output>;
}

/// Completes `case` however long it takes, for a wait that must not be refused: it looks for no
/// kill, no `no_yield` and no auditor. The caller has opened a shield.
pub(crate) fn wait_out<C: Case>(mut case: C, wait: Wait) -> C::Output {
    loop {
        if let Some(output) = case.try_now() {
            return output;
        }
        let (queue, offer) = case.enlist();
        park::park(&[(queue, offer)], None, wait);
    }
}

/// Completes `case`, parking the task until it can; `None` when `deadline` comes first.
///
/// Outside of a task it completes what needs no waiting, and panics otherwise.
#[inline(always)]
pub(crate) fn block_on<C: Case>(
    mut case: C,
    deadline: Option<u64>,
    wait: Wait,
) -> Option<C::Output> {
    if coroutine::attention() != coroutine::OUTSIDE {
        park::enter(wait);
    }
    loop {
        if let Some(output) = case.try_now() {
            return Some(output);
        }
        if coroutine::attention() == coroutine::OUTSIDE {
            crate::scheduler::outside(wait);
        }
        park::ask(wait);
        let (queue, offer) = case.enlist();
        match park::park(&[(queue, offer)], deadline, wait) {
            Woken::Ready { token, .. } => {
                if let Some(output) = case.accept(token) {
                    return Some(output);
                }
                kill::raise_if_pending(wait);
            }
            Woken::TimedOut => return None,
            // The bound that ended the park was left meanwhile, which takes a foreign coroutine:
            // as if nothing had been.
            Woken::Killed | Woken::Interrupted => {}
        }
    }
}
