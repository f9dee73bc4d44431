//! Who watches: what the scheduler tells of each transition.
use super::task::{About, TaskId};
use super::wait::{What, Woken};
use std::panic::Location;

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
    /// Panics, perhaps to catch it itself.
    Panicked(TaskId),
    /// Is about to do something that others could see; told while a policy explores.
    Operation(TaskId, What, &'static Location<'static>),
    /// Was given a number by the policy.
    Chosen(TaskId, What, usize, &'static Location<'static>),
    /// Gives way although it could have gone on.
    Forced(TaskId),
    /// Had yielded, and has its turn before others that were ready.
    Hurried(TaskId),
}

/// Told of every transition, with the kernel borrowed: it must not call back.
pub(crate) trait Observer {
    fn event(&mut self, event: Event);

    /// Introduces a task, before its first event.
    fn meet(&mut self, id: TaskId, about: &About) {
        let _ = (id, about);
    }
}
