//! Tasks in the place of OS threads.
use std::any::Any;
use std::panic::UnwindSafe;
use std::thread::Result;

pub use maypole::channel;
pub use maypole::time::now;

pub mod sync;
pub mod thread;

pub type AnyBox = Box<dyn Any>;

/// Runs a test as the main task.
pub fn run(test: impl FnOnce()) {
    maypole::run(test);
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
