//! What crossbeam's tests find in place of OS threads: tasks, with the names and shapes they use.
//!
//! ```text
//!   cargo test -p maypole-crossbeam-suite
//!   cargo test -p maypole-crossbeam-suite --no-default-features --features os-threads
//! ```
//!
//! The second runs the same text on crossbeam itself. What is changed in it is listed in
//! `build/rules.rs`. Most tests run on virtual time, and with `SUITE_CLOCK=real` on the real clock.
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
