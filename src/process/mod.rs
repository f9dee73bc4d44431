//! Other processes: std's types, names and methods, for tasks.
//!
//! A [`Command`] starts a process, a [`Child`] is one that was started: its pipes are streams, and
//! waiting for its end parks the task. A process is started by std, in the very moment of the call,
//! which takes about a millisecond of the core; all else leaves the core to the others.
//!
//! A child is reached by a descriptor of its own (a pidfd, where the system has them), and never by a
//! number that may be another's by now. SIGCHLD is not used, so a host may handle it. Where a host
//! ignores it, the system keeps no exit status: waiting then gives std's error, when the child has
//! ended.
//!
//! A `Child` that is dropped while its process runs leaves it running, as in std. Unlike there, it is
//! waited for in the background, by an OS thread that lives while there are such, so that no zombie
//! stays. [`Command::kill_on_drop`] has it killed instead.
mod child;
mod command;
mod pipe;
mod reaper;
mod running;

pub use child::Child;
pub use command::Command;
pub use pipe::{ChildStderr, ChildStdin, ChildStdout};
pub use std::process::{ExitStatus, Output, Stdio};
