//! What becomes of a task that somebody outside of the run has asked for, and who has no handle.
use super::error::JoinError;
use super::packet::drop_quietly;
use crate::scheduler;
use crate::scheduler::kill::{self, Shield};
use crate::scheduler::task::Fate;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Waker;

/// Runs `f`, all that the running task does, and tells how it ended.
pub(crate) fn outcome_of<T>(f: impl FnOnce() -> T) -> Result<T, JoinError> {
    let result = catch_unwind(AssertUnwindSafe(f));
    let (id, body) = scheduler::current().expect("a body runs inside its task");
    let about = body.about();
    match result {
        Ok(value) if !scheduler::is_kill_pending() => Ok(value),
        // A killed task is never a success.
        Ok(value) => {
            let _shield = Shield::open();
            drop_quietly(value);
            Err(JoinError::killed(id, about))
        }
        Err(payload) if kill::is_kill(&*payload) && scheduler::is_current_killed() => {
            Err(JoinError::killed(id, about))
        }
        Err(payload) => {
            let mut error = JoinError::panicked(id, about, &*payload);
            error.keep(payload);
            Err(error)
        }
    }
}

/// Has `waker` told if the running task is given up, which leaves nobody else to tell.
pub(crate) fn wake_if_abandoned(waker: &Waker) {
    let (_, body) = scheduler::current().expect("a body runs inside its task");
    body.about().wake_at_end(waker);
}

/// Why the running task has no result: it was killed before it began, or given up. `None` outside
/// of a task.
pub(crate) fn failure_of_current() -> Option<JoinError> {
    let (id, body) = scheduler::current()?;
    let about = body.about();
    Some(match about.fate.get() {
        Fate::Abandoned => JoinError::abandoned(id, about),
        _ => JoinError::killed(id, about),
    })
}
