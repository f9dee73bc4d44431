//! Other OS threads: work that would block or hog the core, and calls into a run from outside.
//!
//! A scheduler lives in one OS thread, and nothing that belongs to it leaves that. What is in here
//! does: a [`Remote`] reaches a run from any OS thread.
mod remote;
mod sleeper;

#[allow(unused_imports)]
pub(crate) use remote::on_behalf_of;
pub use remote::{CallError, Closed, Remote, remote};
