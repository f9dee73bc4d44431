//! Jobs: one function that yields values, driven by a task or by an OS thread of its own, and killed
//! from outside.
//!
//! The trick of Beazley's and Simionato's (plac): write the body of a long work as a generator,
//! whose only contact with its host is the yield, and let the host decide what drives it. At each
//! yield, and at each [`checkpoint`](crate::generator::Yielder::checkpoint), the host has the say:
//! it keeps what was yielded, pauses the body, lets it go on, or kills it, and then the body unwinds
//! from there, where it lives, so that its destructors run.
//!
//! ```
//! use maypole::generator::{Generator, Yielder};
//! use maypole::job;
//!
//! fn squares(y: &Yielder<u32>) -> &'static str {
//!     for n in 1..=3 {
//!         y.yield_(n * n);
//!     }
//!     "done"
//! }
//!
//! maypole::run(|| {
//!     // The same body, three hosts.
//!     assert_eq!(Generator::new(squares).collect::<Vec<_>>(), [1, 4, 9]);
//!     let green = job::in_task(squares);
//!     assert_eq!(green.iter().collect::<Vec<_>>(), [1, 4, 9]);
//!     let threaded = job::in_thread(squares); // on another core, if there is one
//!     assert_eq!(threaded.iter().collect::<Vec<_>>(), [1, 4, 9]);
//!     assert_eq!(threaded.join().unwrap(), "done");
//! });
//! ```
//!
//! | a body that | in a task | in an OS thread |
//! |---|---|---|
//! | yields, or passes a checkpoint | gives the others a turn; is paused and killed there | is paused and killed there |
//! | sleeps, receives, joins | parks its task, is paused and killed there too | blocks its OS thread; no kill reaches it there |
//! | computes | keeps all tasks from their turns; no kill reaches it | is in nobody's way; no kill reaches it |
//! | catches its kill and goes on | is killed again at the next yield or park, 64 times, then abandoned | the same, and its OS thread sleeps for ever |
//! | yields in a destructor, while it unwinds | the value is kept; nothing holds it back | the same |
//! | panics | `join` gives the payload, its place and backtrace | the same |
//! | panics in a destructor, while it unwinds | the process aborts, as everywhere in Rust | the same |
//! | never ends, its handle dropped, its run over | is leaked with a report if nothing else helps | goes on, `Killing`, till it ends or the process does |
//!
//! Nothing is forced on a body: what it has begun between two yields it completes. A [`ThreadJob`]
//! is killed when its handle is dropped and when the run ends that has started it; nobody waits for
//! a body that computes on. A job that is held back, by a pause or by a full backlog, is not at
//! work: if nothing else goes on, the run is in a deadlock, and virtual time goes on without it.
mod builder;
mod desk;
mod handle;
mod seat;
mod thread;
mod tray;

pub use crate::scheduler::task::Status;
pub use builder::{Builder, in_task, in_thread};
pub use handle::{Iter, Job, ThreadJob};
