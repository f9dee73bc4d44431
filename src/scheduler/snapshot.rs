//! A copy of the task table, for reports: taken in one go, readable when the tasks have moved on.
use super::kernel::Kernel;
use super::object::Awaited;
use super::task::{Flags, State, Status, TaskId};
use super::wait::Wait;
use std::panic::Location;

/// One task as it was.
#[derive(Clone)]
pub(crate) struct TaskView {
    pub(crate) id: TaskId,
    pub(crate) name: String,
    pub(crate) site: &'static Location<'static>,
    pub(crate) status: Status,
    pub(crate) wait: Wait,
    /// What it waits for, where that can be told, one for each case.
    pub(crate) objects: Vec<Awaited>,
    /// Whether `wait` is what it waits for now, and not what it waited for last.
    pub(crate) parked: bool,
    pub(crate) paused: bool,
    pub(crate) daemon: bool,
    /// Whether the site is all the name there is.
    pub(crate) unnamed: bool,
}

impl Kernel {
    /// Every live task, in the order of spawning.
    pub(crate) fn snapshot(&self) -> Vec<TaskView> {
        let mut views: Vec<TaskView> = self
            .tasks
            .iter()
            .map(|(slot, _)| self.task_view(slot as u32))
            .collect();
        views.sort_unstable_by_key(|view| view.id);
        views
    }

    /// One live task.
    pub(super) fn task_view(&self, slot: u32) -> TaskView {
        let task = &self.tasks[slot as usize];
        let about = task.body.about();
        TaskView {
            id: self.id(slot),
            name: about.name().to_string(),
            site: about.site,
            status: self.status(slot),
            wait: self.wait_of(slot),
            objects: self.objects(slot),
            parked: matches!(task.state, State::Parked | State::ParkedUnkillably),
            paused: task.flags.has(Flags::PAUSED),
            daemon: task.flags.has(Flags::DAEMON),
            unnamed: about.is_unnamed(),
        }
    }

    /// How a live task stands.
    pub(crate) fn status(&self, slot: u32) -> Status {
        let task = &self.tasks[slot as usize];
        if task.flags.has(Flags::KILLED) {
            return Status::Killing;
        }
        if task.flags.has(Flags::PAUSED) && !self.is_running(slot) {
            return Status::Paused;
        }
        match task.state {
            State::Active if self.is_running(slot) => Status::Running,
            State::Active | State::Held => Status::Ready,
            State::Parked | State::ParkedUnkillably => Status::Parked(self.wait_of(slot).what),
        }
    }
}
