//! Where to wait when no task is ready.
use std::time::Duration;

/// The outside world, as far as the loop needs it.
pub(crate) trait Driver {
    /// Waits at most `timeout` (`None`: for ever) and wakes what became ready.
    fn wait(&mut self, timeout: Option<Duration>);
    /// Whether the outside world could still wake a parked task.
    fn can_wake(&self) -> bool;
}

/// A world in which nothing happens but the passing of time.
pub(crate) struct Sleeper;

impl Driver for Sleeper {
    fn wait(&mut self, timeout: Option<Duration>) {
        std::thread::sleep(timeout.expect("the loop waits for ever only where something can wake"));
    }

    fn can_wake(&self) -> bool {
        false
    }
}
