//! What a handle asks of the host of its job, wherever that is: in a task, in an OS thread. A
//! process would be one more implementation.
use crate::channel::{RecvTimeoutError, TryRecvError};
use crate::select::Limit;
use crate::task::{JoinError, Killed, Status};

/// The handle's side of a job that yields values of `Y` and returns an `R`.
pub(super) trait Seat<Y, R> {
    /// Has the body unwind from its next yield. Runs no code of the body's, and waits for nothing.
    fn kill(&self, reason: &str) -> Killed;

    fn pause(&self);

    fn go_on(&self);

    fn status(&self) -> Status;

    /// The next value, in the order of the yields; waits for one within the limit.
    fn recv(&self, limit: Limit) -> Result<Y, RecvTimeoutError>;

    fn try_recv(&self) -> Result<Y, TryRecvError>;

    /// Why there is no result, if there is none. From then on it is the handle's.
    fn take_failure(&self) -> Option<JoinError>;

    /// The result, once there is one. Nobody takes values any more, and nobody will let the job go
    /// on: it is held back no longer.
    fn join(&mut self) -> Result<R, JoinError>;
}

/// Why a handle that was dropped has killed its job.
pub(super) const DROPPED: &str = "its handle was dropped";

/// How many values are kept that destructors yield while a killed body unwinds: enough to tell of
/// a cleanup, and not so many that one that never ends takes all memory.
pub(super) const LAST_WORDS: u32 = 64;
