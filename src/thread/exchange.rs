//! The one algorithm for waits that another OS thread may end: a task parks, an OS thread that runs
//! none is blocked.
//!
//! ```text
//!   try ──► done
//!    │ not yet
//!    ▼
//!   enlist: from here on another OS thread may grant it ──► sleep ──► woken: look, it is granted
//!                                                            └─► too late, killed: withdraw
//! ```
//!
//! What was granted is kept: a kill, or a time that is over, which comes before the sleeper has seen
//! its grant does not undo it. The kill comes at the task's next park.
use super::sleeper::{Bed, Sleeper};
use crate::io::refuse_exploring;
use crate::scheduler::clock::system_now;
use crate::scheduler::wait::{Wait, WaitQueue};
use crate::scheduler::{is_in_task, kill, park};
use crate::select::{Case, Limit, complete};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::Instant;

/// Something that may have to wait until another OS thread grants it.
pub(crate) trait Attempt {
    type Output;

    /// Completes now if it can. Nothing is enlisted.
    fn try_now(&mut self) -> Option<Self::Output>;

    /// Waits to be granted it from now on; true if it is granted already.
    fn enlist(&mut self, sleeper: Sleeper) -> bool;

    /// Takes what was granted, and waits no more.
    fn look(&mut self) -> Option<Self::Output>;

    /// Waits no more; gives what was granted.
    fn withdraw(&mut self) -> Option<Self::Output>;
}

/// Completes the attempt; `None` when the limit comes first.
#[inline]
pub(crate) fn exchange<A: Attempt>(mut attempt: A, limit: Limit, wait: Wait) -> Option<A::Output> {
    let in_task = is_in_task();
    if in_task {
        park::enter(wait);
    }
    if let Some(output) = attempt.try_now() {
        return Some(output);
    }
    match in_task {
        true => park_for(attempt, || limit.deadline(), wait),
        false => block_for(attempt, limit),
    }
}

fn block_for<A: Attempt>(mut attempt: A, limit: Limit) -> Option<A::Output> {
    let deadline = match limit {
        Limit::Never => None,
        Limit::After(duration) => system_now().checked_add(duration),
        Limit::At(at) => Some(at),
    };
    attempt.enlist(Sleeper::this_thread());
    loop {
        if let Some(output) = attempt.look() {
            return Some(output);
        }
        match deadline.map(left) {
            None => std::thread::park(),
            Some(left) if left.is_zero() => return attempt.withdraw(),
            Some(left) => std::thread::park_timeout(left),
        }
    }
}

fn left(deadline: Instant) -> std::time::Duration {
    deadline.saturating_duration_since(system_now())
}

/// The second half, in a task, which has called [`park::enter`].
#[inline(never)]
pub(super) fn park_for<A: Attempt>(
    attempt: A,
    until: impl Fn() -> Option<u64>,
    wait: Wait,
) -> Option<A::Output> {
    refuse_exploring("a call to another OS thread", wait.at);
    let at = wait.at;
    let bed = Bed::make()
        .unwrap_or_else(|error| panic!("maypole: {} at {at} cannot wait: {error}", wait.what));
    let mut parked = Parked {
        attempt,
        bed: &bed,
        enlisted: false,
    };
    let parks = AssertUnwindSafe(|| complete(&mut parked, until, wait));
    match catch_unwind(parks) {
        Ok(Some(output)) => Some(output),
        Ok(None) => parked.withdraw(),
        Err(payload) => match parked.withdraw() {
            // It was granted before the kill came, which will come again.
            Some(output) if kill::is_ours(&*payload) => Some(output),
            given_up => {
                let _given_up = given_up;
                resume_unwind(payload)
            }
        },
    }
}

struct Parked<'a, A> {
    attempt: A,
    bed: &'a Bed,
    enlisted: bool,
}

impl<A: Attempt> Parked<'_, A> {
    fn withdraw(&mut self) -> Option<A::Output> {
        match std::mem::take(&mut self.enlisted) {
            true => self.attempt.withdraw(),
            false => None,
        }
    }
}

impl<A: Attempt> Case for Parked<'_, A> {
    type Output = A::Output;

    fn try_now(&mut self) -> Option<Self::Output> {
        if !self.enlisted {
            return None;
        }
        let granted = self.attempt.look()?;
        self.enlisted = false;
        Some(granted)
    }

    fn enlist(&mut self) -> (&WaitQueue, usize) {
        if !self.enlisted {
            self.enlisted = true;
            if self.attempt.enlist(self.bed.sleeper()) {
                self.bed.wake_soon();
            }
        }
        (self.bed.queue(), 0)
    }

    fn accept(&mut self, _: usize) -> Option<Self::Output> {
        self.try_now()
    }
}
