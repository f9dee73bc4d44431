//! The timers of tasks and bounds, and which of them keep a run alive.
use super::kernel::{Alarm, Kernel};
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

    /// The task is being killed: the timers that it has armed count from now on.
    pub(super) fn make_vital(&mut self, slot: u32) {
        let task = &self.tasks[slot as usize];
        if !task.is_vital() {
            let own = usize::from(task.timer != TimerKey::NONE);
            self.vital_timers += own + self.bound_timers(slot);
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
