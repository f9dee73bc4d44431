//! The timers of tasks and bounds, the waits for the outside world, and which of them keep a run
//! alive.
use super::kernel::{Alarm, Kernel};
use super::task::{About, State};
use super::timers::TimerKey;

impl Kernel {
    pub(super) fn arm(&mut self, slot: u32, deadline: u64, alarm: Alarm) -> TimerKey {
        self.vital_timers += usize::from(self.tasks[slot as usize].is_vital());
        self.timers.arm(deadline, alarm)
    }

    pub(super) fn disarm(&mut self, slot: u32, timer: TimerKey) {
        self.timers.disarm(timer);
        self.timer_gone(slot);
    }

    pub(super) fn timer_gone(&mut self, slot: u32) {
        self.vital_timers -= usize::from(self.tasks[slot as usize].is_vital());
    }

    /// The task is being killed: the timers that it has armed count from now on, and so does its
    /// wait for the outside world.
    pub(super) fn make_vital(&mut self, slot: u32) {
        let task = &self.tasks[slot as usize];
        if !task.is_vital() {
            let own = usize::from(task.timer != TimerKey::NONE);
            let parked = matches!(task.state, State::Parked | State::ParkedUnkillably);
            self.waits_outside += usize::from(parked && task.wait.is_outside());
            self.vital_timers += own + self.bound_timers(slot);
        }
    }

    /// Whether the outside world could wake a parked task, one that is no daemon.
    pub(crate) fn waits_outside(&self) -> bool {
        self.waits_outside > 0
    }

    /// Until when destructors of the task that `about` tells of may wait for the outside world
    /// while it unwinds. Counted from the first such wait; a task that unwinds again, later, has as
    /// much time again.
    pub(super) fn cleanup_deadline(&self, about: &About) -> u64 {
        let (now, until) = (self.clock.now(), &about.more().cleanup_until);
        match until.get() {
            Some(until) if now < until.saturating_add(self.cleanup) => until,
            _ => {
                let deadline = now.saturating_add(self.cleanup);
                until.set(Some(deadline));
                deadline
            }
        }
    }

    /// The earliest deadline that keeps the run alive: timers of daemons alone do not.
    pub(crate) fn next_deadline(&mut self) -> Option<u64> {
        match self.vital_timers {
            0 => None,
            _ => self.timers.next_deadline(),
        }
    }
}
