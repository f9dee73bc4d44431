//! What crossbeam's tests find in place of OS threads: tasks, with the names and shapes they use.
//!
//! ```text
//!   cargo test -p maypole-crossbeam-suite
//!   cargo test -p maypole-crossbeam-suite --no-default-features --features os-threads
//! ```
//!
//! The second runs the same text on crossbeam itself. What is changed in it is listed in
//! `build/rules.rs`.
//!
//! `SUITE_CLOCK=real` runs the first on the real clock, as far as the machine is quick enough for
//! windows of 50 ms; in debug builds the auditor is not (`MAYPOLE_AUDIT=0`): its first look reads
//! the debug information.
#[cfg(all(feature = "tasks", feature = "os-threads"))]
compile_error!("either on tasks or, without default features, on OS threads");

#[cfg(feature = "tasks")]
mod tasks;
#[cfg(feature = "tasks")]
pub use tasks::*;

#[cfg(all(feature = "os-threads", not(feature = "tasks")))]
mod os_threads;
#[cfg(all(feature = "os-threads", not(feature = "tasks")))]
pub use os_threads::*;
