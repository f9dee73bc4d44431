//! Other OS threads: work that would block or hog the core, and calls into a run from outside.
//!
//! A scheduler lives in one OS thread, and nothing that belongs to it leaves that. What is in here
//! does: [`offload`] has another OS thread run a function while the task waits, and a [`Remote`]
//! reaches a run from any OS thread.
mod offload;
mod pool;
mod remote;
mod sleeper;

pub(crate) use offload::Offices;
pub use offload::offload;
#[allow(unused_imports)]
pub(crate) use remote::on_behalf_of;
pub use remote::{CallError, Closed, Remote, remote};
