//! Other OS threads: work that would block or hog the core, calls into a run from outside, and
//! channels between OS threads.
//!
//! A scheduler lives in one OS thread, and nothing that belongs to it leaves that. What is in here
//! does: [`offload`] has another OS thread run a function while the task waits, a [`Remote`] reaches
//! a run from any OS thread, and the ends of [`bounded`] and [`unbounded`] channels may be anywhere.
//! In a task their calls park the task; elsewhere they block the OS thread. While a task waits here
//! there is no deadlock, since what it waits for may come from outside.
//!
//! ```
//! use maypole::{run, spawn, thread};
//! run(|| {
//!     let text = "a b c";
//!     // A task of its own, so that others go on too.
//!     let heard = spawn(|| 1 + 1);
//!     let words = thread::offload(|| text.split(' ').count());
//!     assert_eq!((words, heard.join().unwrap()), (3, 2));
//! });
//! ```
mod channel;
mod detached;
mod exchange;
mod iter;
mod offload;
mod pool;
mod queue;
mod remote;
mod reply;
mod sleeper;

pub use channel::{Receiver, Sender, bounded, unbounded};
pub(crate) use detached::detached;
pub(crate) use exchange::{Attempt, exchange};
pub use iter::{IntoIter, Iter, TryIter};
pub(crate) use offload::Offices;
pub use offload::offload;
pub use remote::{CallError, Closed, Remote, remote};
pub(crate) use remote::{on_behalf_of, run_of_this_thread};
pub(crate) use sleeper::{Finish, Sleeper};
