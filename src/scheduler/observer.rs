//! Who watches: what the scheduler tells of each transition.
use super::task::TaskId;
use super::wait::{What, Woken};

/// One transition of one task.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Event {
    Spawned(TaskId),
    Resumed(TaskId),
    Yielded(TaskId),
    Parked(TaskId, What),
    Woken(TaskId, Woken),
    Killed(TaskId),
    Finished(TaskId),
}

/// Told of every transition, with the kernel borrowed: it must not call back.
pub(crate) trait Observer {
    fn event(&mut self, event: Event);
}
