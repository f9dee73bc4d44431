//! The pieces put together: a run, from its first task to the end of its last.
//!
//! ```text
//!   main is spawned ─► drive ─► main has ended ─► kill the others, in the order of spawning,
//!                        │                         each until it has ended or parks in its cleanup
//!                        └────► deadlock, turn limit, no stack: report, kill all, main first
//! ```
mod budget;
mod builder;
mod embedded;
mod end;
mod environment;
mod error;
mod repeat;
mod replay;
mod stage;

pub use budget::{Budget, Tick};
pub use builder::{Builder, Clock};
pub use embedded::Scheduler;
pub use error::RunError;
pub(crate) use repeat::{Repeat, repeat};
pub(crate) use replay::{Order, take_order};
pub(crate) use stage::Ended;

use std::panic::Location;

/// Runs `main` as the first task and gives its result, once `main` has returned and every other
/// task is gone.
///
/// `main` may borrow: it ends before `run` returns. Tasks that are left when it returns are killed
/// in the order of their spawning, and their destructors have run before `run` returns. It may be
/// called again afterwards, and in any OS thread, where each run is a world of its own.
///
/// Parks: no: the OS thread is in it until the run is over, and sleeps when every task waits.
///
/// # Panics
///
/// With the panic of `main`, its payload unchanged. With a report that names every task, when no
/// task can go on (a deadlock). Inside of another run.
///
/// # Examples
///
/// ```
/// let mut log = Vec::new();
/// maypole::run(|| {
///     let child = maypole::spawn(|| "child");
///     log.push("main");
///     log.push(child.join().unwrap());
/// });
/// assert_eq!(log, ["main", "child"]);
/// ```
#[track_caller]
pub fn run<T>(main: impl FnOnce() -> T) -> T {
    match Builder::new().execute(main, Location::caller()) {
        Ok(value) => value,
        Err(error) => panic!("{error}"),
    }
}
