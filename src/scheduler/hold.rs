//! Holding tasks back: pauses, and the order in which a run ends.
use super::kernel::Kernel;
use super::task::{Flags, State, Task, TaskId};
use super::wait::Woken;

/// Looks that a task gets to die in before the next one is killed beside it.
const LOOKS_PER_KILL: u32 = 64;

impl Kernel {
    pub(crate) fn pause(&mut self, id: TaskId) {
        if self
            .find(id)
            .is_some_and(|task| !task.flags.has(Flags::PAUSED))
        {
            // A killed task must be able to die, so a pause no longer holds it.
            let task = &mut self.tasks[id.slot as usize];
            if task.flags.has(Flags::KILLED) {
                return;
            }
            task.flags.set(Flags::PAUSED);
            self.paused += 1;
            self.slow_down();
        }
    }

    pub(crate) fn resume(&mut self, id: TaskId) {
        if self
            .find(id)
            .is_some_and(|task| task.flags.has(Flags::PAUSED))
        {
            self.lift_pause(id.slot);
        }
    }

    pub(super) fn lift_pause(&mut self, slot: u32) {
        let task = &mut self.tasks[slot as usize];
        task.flags.clear(Flags::PAUSED);
        if task.state == State::Held {
            self.make_ready(slot);
        }
        self.unpaused();
    }

    pub(super) fn unpaused(&mut self) {
        self.paused -= 1;
        self.slow = self.paused > 0 || self.policy.is_some() || self.observer.is_some();
        if !self.slow {
            self.quick += std::mem::take(&mut self.look_in);
        }
    }

    /// Lets a held task go on.
    pub(crate) fn release_held(&mut self, id: TaskId) {
        if self.find(id).is_some_and(|task| task.state == State::Held) {
            self.make_ready(id.slot);
        }
    }

    /// The live tasks that no kill has reached, in the order of spawning.
    pub(crate) fn unkilled_tasks(&self) -> Vec<TaskId> {
        self.ids_of(|task| !task.flags.has(Flags::KILLED))
    }

    /// The same, and those that are held back.
    pub(crate) fn held_or_unkilled(&self) -> Vec<TaskId> {
        self.ids_of(|task| !task.flags.has(Flags::KILLED) || task.state == State::Held)
    }

    fn ids_of(&self, wanted: impl Fn(&Task) -> bool) -> Vec<TaskId> {
        let mut ids: Vec<TaskId> = self
            .tasks
            .iter()
            .filter(|(_, task)| wanted(task))
            .map(|(slot, _)| self.id(slot as u32))
            .collect();
        ids.sort_unstable();
        ids
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    /// Everything withdrawn: no waiter, timer or bound is left without a task.
    pub(crate) fn is_clean(&self) -> bool {
        self.tasks.is_empty()
            && self.ready.is_empty()
            && self.further.is_empty()
            && self.bounds.is_empty()
            && self.timers.is_empty()
            && self.vital_timers == 0
            && self.waits_outside == 0
            && self.paused == 0
    }

    /// Takes a task out of every queue that could still lead to it; it will be leaked.
    pub(super) fn withdraw(&mut self, slot: u32) {
        if matches!(
            self.tasks[slot as usize].state,
            State::Parked | State::ParkedUnkillably
        ) {
            self.wake(slot, Woken::Killed);
        }
    }

    pub(super) fn drop_ready(&mut self) {
        self.ready.drain().for_each(drop);
    }

    /// Whether a dying task has had so many turns that it may spin for one that is still held.
    pub(super) fn is_next_kill_due(&mut self) -> bool {
        self.looks_since_kill = self.looks_since_kill.saturating_add(1);
        let due = self.ending && self.unkilled > 0 && self.looks_since_kill > LOOKS_PER_KILL;
        if due {
            self.looks_since_kill = 0;
        }
        due
    }
}
