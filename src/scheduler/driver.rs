//! Where to wait when no task is ready.
use std::time::Duration;

/// What may come from outside besides what parked tasks wait for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Prospect {
    Nothing,
    /// Another OS thread could hand something in at any time: no deadlock, but nothing to wait for
    /// before virtual time goes on.
    Calls,
    /// Another OS thread is at work for this one: virtual time stands still until it is done.
    Work,
}

/// The outside world, as far as the loop needs it.
pub(crate) trait Driver {
    /// Waits at most `timeout` (`None`: for ever) and wakes what became ready.
    fn wait(&mut self, timeout: Option<Duration>);

    /// Whether anything could come from outside, so that a look is worth its while.
    fn is_open(&self) -> bool;

    fn prospect(&self) -> Prospect;

    /// Whether the loop may wait in it, or let virtual time go on; elsewhere a host does.
    fn may_sleep(&self) -> bool {
        true
    }
}
