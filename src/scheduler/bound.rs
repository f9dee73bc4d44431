//! Bounds: the timeouts and scopes that a task is inside of. A raised bound unwinds the task from
//! its next park to where the bound was entered, as a kill does to the root.
use super::kernel::{Alarm, Kernel};
use super::task::State;
use super::timers::TimerKey;
use super::wait::Woken;

/// Names a bound in the kernel's slab, or none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct BoundKey(u32);

impl BoundKey {
    pub(crate) const NONE: BoundKey = BoundKey(u32::MAX);

    fn get(self) -> Option<usize> {
        (self != Self::NONE).then_some(self.0 as usize)
    }
}

pub(super) struct Bound {
    /// Slot of the task inside.
    task: u32,
    /// Told apart by it in the payload of an unwind; never reused within a run.
    serial: u64,
    outer: BoundKey,
    timer: TimerKey,
    /// Shields open at entry: a bound reaches through those it was entered under, not through
    /// those opened inside.
    shields: u16,
    raised: bool,
}

/// A bound as its owner holds it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct BoundId {
    key: BoundKey,
    pub(crate) serial: u64,
}

impl Kernel {
    /// The running task enters a bound, raised at `deadline` at the latest.
    pub(crate) fn enter_bound(&mut self, deadline: Option<u64>) -> BoundId {
        let slot = self.current;
        self.bound_serial += 1;
        let serial = self.bound_serial;
        let task = &self.tasks[slot as usize];
        let key = self.bounds.insert(Bound {
            task: slot,
            serial,
            outer: task.bound,
            timer: TimerKey::NONE,
            shields: task.shields,
            raised: false,
        });
        let key = u32::try_from(key).expect("fewer than 2^32 bounds");
        if let Some(deadline) = deadline {
            self.bounds[key as usize].timer = self.arm(slot, deadline, Alarm::Bound(key));
        }
        self.tasks[slot as usize].bound = BoundKey(key);
        BoundId {
            key: BoundKey(key),
            serial,
        }
    }

    /// The bound is left: its task's innermost one, unless coroutines that this crate knows
    /// nothing of have left theirs in another order.
    pub(crate) fn leave_bound(&mut self, id: BoundId) {
        let Some(key) = self.find_bound(id) else {
            return;
        };
        let bound = self.bounds.remove(key);
        if bound.timer != TimerKey::NONE {
            self.disarm(bound.task, bound.timer);
        }
        let mut link = &mut self.tasks[bound.task as usize].bound;
        while *link != id.key {
            let inner = link.get().expect("a bound is in its task's chain");
            link = &mut self.bounds[inner].outer;
        }
        *link = bound.outer;
        if bound.raised {
            self.update_attention(bound.task);
        }
    }

    /// The key of a bound that has not been left.
    fn find_bound(&self, id: BoundId) -> Option<usize> {
        let key = id.key.get()?;
        let bound = self.bounds.get(key)?;
        (bound.serial == id.serial).then_some(key)
    }

    /// The alarm of a bound rang.
    pub(super) fn bound_expired(&mut self, key: u32) {
        let bound = &mut self.bounds[key as usize];
        bound.timer = TimerKey::NONE;
        let id = BoundId {
            key: BoundKey(key),
            serial: bound.serial,
        };
        self.raise_bound(id);
    }

    /// Makes the task inside unwind to the bound from its next park, or from its present one.
    pub(crate) fn raise_bound(&mut self, id: BoundId) {
        let Some(key) = self.find_bound(id) else {
            return;
        };
        let bound = &mut self.bounds[key];
        bound.raised = true;
        let (slot, shields) = (bound.task, bound.shields);
        self.update_attention(slot);
        let task = &self.tasks[slot as usize];
        // A park in a destructor that runs while unwinding is never interrupted.
        let parked = match task.state {
            State::Parked => true,
            State::ParkedUnkillably => task.shields > 0 && !task.unwinding(),
            State::Active | State::Held => false,
        };
        if parked && task.shields == shields {
            self.wake(slot, Woken::Interrupted);
        }
    }

    /// The outermost raised bound that no shield inside of it holds back.
    pub(super) fn raised_bound(&self, slot: u32) -> Option<u64> {
        let task = &self.tasks[slot as usize];
        let (mut next, mut found) = (task.bound, None);
        while let Some(key) = next.get() {
            let bound = &self.bounds[key];
            if bound.raised && bound.shields == task.shields {
                found = Some(bound.serial);
            }
            next = bound.outer;
        }
        found
    }

    /// How many bounds of the task have a timer.
    pub(super) fn bound_timers(&self, slot: u32) -> usize {
        let (mut next, mut count) = (self.tasks[slot as usize].bound, 0);
        while let Some(key) = next.get() {
            count += usize::from(self.bounds[key].timer != TimerKey::NONE);
            next = self.bounds[key].outer;
        }
        count
    }

    pub(super) fn bound_task(&self, key: u32) -> u32 {
        self.bounds[key as usize].task
    }

    /// The bounds of a task that will never run again are gone with it.
    pub(super) fn drop_bounds(&mut self, slot: u32, mut next: BoundKey) {
        while let Some(key) = next.get() {
            let bound = self.bounds.remove(key);
            if bound.timer != TimerKey::NONE {
                self.disarm(slot, bound.timer);
            }
            next = bound.outer;
        }
    }
}
