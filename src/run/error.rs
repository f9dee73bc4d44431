//! Why a run failed.
use crate::report::Report;
use std::error::Error;
use std::fmt;

/// Why a run failed, with a report for people. Its `Display` is the report.
///
/// # Examples
///
/// ```
/// use maypole::{Builder, RunError, spawn, task};
/// let stuck = Builder::new().run(|| spawn(|| task::park()).join().is_ok());
/// let Err(RunError::Deadlock(report)) = stuck else {
///     panic!("the child waits for ever, and main for the child");
/// };
/// println!("{report}");
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum RunError {
    /// No task was ready, and nothing could wake any.
    Deadlock(Report),
    /// The turns given by [`Builder::max_turns`](crate::Builder::max_turns) were used up.
    TurnLimit(Report),
    /// A task panicked and nobody joined it
    /// ([`fail_on_unjoined_panic`](crate::Builder::fail_on_unjoined_panic)).
    Panicked(Report),
    /// Tasks could not start for want of stacks, and none could come back.
    Stacks(Report),
    /// The program is not the one whose trail `MAYPOLE_REPLAY` gave it to obey.
    Diverged(Report),
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RunError::Deadlock(report)
            | RunError::TurnLimit(report)
            | RunError::Panicked(report)
            | RunError::Stacks(report)
            | RunError::Diverged(report) => report.fmt(f),
        }
    }
}

impl Error for RunError {}
