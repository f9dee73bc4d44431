//! Green threads for Rust: blocking-style code without `async`, on one core.
//!
//! Tasks are stackful coroutines that take turns on one OS thread. They hand over at yields and
//! blocking calls and nowhere else, so between two of them a task is alone: `Rc`, `Cell` and plain
//! variables are safe to share.
//!
//! ```
//! use maypole::{run, spawn, yield_now};
//!
//! run(|| {
//!     let child = spawn(|| {
//!         for n in 1..=3 {
//!             println!("child {n}");
//!             yield_now();
//!         }
//!     });
//!     println!("main waits");
//!     child.join().unwrap();
//! });
//! ```
//!
//! Begin with [`run`], [`spawn`] and [`yield_now`]; then [`scope`], for tasks that borrow;
//! [`channel`], for tasks that hand something to each other, with [`select!`]; [`time`], for
//! sleeping, deadlines and virtual time; [`task`], for killing, pausing and shielding; [`sync`], for
//! what must stay whole across a blocking call; [`stm`], for transactions, which compose;
//! [`explore`], to run a program under every order of its tasks; [`generator`], for Python's
//! generators. Then the world outside: [`net`], for sockets, with [`io`], [`signal`] and [`process`];
//! [`thread`], for what blocks or computes for long; [`job`], for what must be stopped in the middle;
//! [`future`], for what is `async`; [`Scheduler`], for somebody else's loop. [`tour`] leads through the
//! source.

// The floors of the house, lowest first. A module uses lower floors only, and within a floor no
// circle; `tests/house.rs` reads this list.

// Floor 0: a stack with a function on it.
mod coroutine;

// Floor 1: who runs next and who waits for what.
mod scheduler;

// Floor 2: the one blocking algorithm.
mod select;

// Floor 3: what tasks do with each other.
pub mod channel;
pub mod generator;
pub mod stm;
pub mod sync;
pub mod task;
pub mod time;

// Floor 4: the outside world.
pub mod io;

// Floor 5: what tasks do with the outside world.
pub mod future;
pub mod job;
pub mod net;
pub mod process;
pub mod signal;
pub mod thread;

// Floor 6: tools that watch.
mod report;

// Floor 7: the pieces put together.
mod run;

// Floor 8: tools that run.
pub mod explore;

// Front door.
pub mod prelude;
#[doc = include_str!("tour.md")]
pub mod tour {}

pub use report::Report;
pub use run::{Budget, Builder, Clock, RunError, Scheduler, Tick, run};
pub use scheduler::park::yield_now;
pub use task::{
    JoinError, JoinHandle, Scope, ScopedJoinHandle, Task, TaskId, scope, spawn, spawn_now,
};
pub use time::sleep;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
