//! What people see when something goes wrong.
mod deadlock;
mod entry;
mod graph;
mod groups;
mod names;
mod source;
mod steps;
mod unjoined;

pub(crate) use deadlock::{cycle_closed, deadlock, stuck};
pub(crate) use steps::{Recorder, Steps, divergence, meeting};
pub(crate) use unjoined::unjoined;

use std::fmt;

/// A report of what went wrong in a run, ready to be printed.
///
/// # Examples
///
/// ```
/// use maypole::{Builder, RunError};
/// let stuck = Builder::new().run(|| maypole::task::park());
/// let Err(RunError::Deadlock(report)) = stuck else {
///     panic!("nobody can wake main");
/// };
/// assert!(report.to_string().contains("main"));
/// ```
#[derive(Clone)]
pub struct Report {
    text: String,
}

impl Report {
    pub(crate) fn new(text: String) -> Self {
        Report { text }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
