//! Tasks in the place of OS threads.
use maypole::{Builder, Clock};
use std::any::Any;
use std::panic::UnwindSafe;
use std::thread::Result;

pub use maypole::channel;
pub use maypole::time::now;

pub mod sync;
pub mod thread;

pub type AnyBox = Box<dyn Any>;

/// Runs a test as the main task; on virtual time, unless `SUITE_CLOCK=real` is set.
pub fn run(test: impl FnOnce()) {
    let clock = match std::env::var("SUITE_CLOCK").as_deref() {
        Ok("real") => Clock::Real,
        _ => Clock::Virtual,
    };
    let result = Builder::new().clock(clock).run(test);
    result.unwrap_or_else(|error| panic!("{error}"));
}

/// `std::panic::catch_unwind` that lets kills pass.
pub fn catch_unwind<T>(f: impl FnOnce() -> T + UnwindSafe) -> Result<T> {
    let result = std::panic::catch_unwind(f);
    if result.is_err() {
        // A task that was killed unwinds again from here.
        maypole::task::check_killed();
    }
    result
}
