//! What a host asks that calls the loop itself, for some turns at a time.
use super::kernel::{Kernel, NOBODY, TURNS_PER_LOOK};
use super::ready::Entry;
use super::task::Flags;
use super::{is_running, with_scheduler};
use std::panic::Location;

/// Where the scheduler of this OS thread was built, if a host calls its loop.
pub(crate) fn hosted_at() -> Option<&'static Location<'static>> {
    with_scheduler(|scheduler| scheduler.and_then(|scheduler| scheduler.hosted_at.get()))
}

/// Refuses what needs an OS thread without a scheduler; says what kind of run it would be in, and
/// the cure.
///
/// # Panics
///
/// When this one has one.
pub(crate) fn refuse_second(call: &str, at: &'static Location<'static>, [run, cure]: [&str; 2]) {
    match hosted_at() {
        Some(built_at) => panic!(
            "maypole: {call} at {at} while this OS thread has the scheduler built at {built_at}, \
             which lives until it is dropped; spawn a task on it, or use another OS thread"
        ),
        None if is_running() => {
            panic!("maypole: {call} at {at} inside of {run} on this OS thread; {cure}")
        }
        None => {}
    }
}

impl Kernel {
    /// How many tasks have a turn to come: those in the line, but for the paused ones.
    pub(crate) fn count_ready(&self) -> usize {
        let paused = |entry: &Entry| self.tasks[entry.slot as usize].flags.has(Flags::PAUSED);
        match self.paused {
            0 => self.ready.len(),
            _ => self.ready.iter().filter(|entry| !paused(entry)).count(),
        }
    }

    /// From now on those have turns who are in the line now; tells how many turns that are.
    pub(crate) fn begin_round(&mut self) -> u64 {
        self.round = self.ready.len();
        self.count_ready() as u64
    }

    /// One of the line has been chosen.
    pub(super) fn leave_round(&mut self) {
        if self.round != usize::MAX {
            self.round -= 1;
        }
    }

    /// Nobody has a turn any more before the host calls the loop again; tells how many turns are
    /// left of those that the loop was limited to.
    pub(crate) fn stand_still(&mut self) -> u64 {
        self.current = NOBODY;
        self.round = usize::MAX;
        let begun = self.turns_left.min(u64::from(TURNS_PER_LOOK));
        let unused = u64::from(self.quick) + u64::from(self.look_in);
        self.turns_left - begun + unused
    }

    /// The earliest deadline, daemons' included: a host serves those as well.
    pub(crate) fn next_alarm(&mut self) -> Option<u64> {
        self.timers.next_deadline()
    }
}
