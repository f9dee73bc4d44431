//! Cycles of tasks that wait for each other's locks and ends, found at the park that closes them.
//!
//! ```text
//!   phil-0 parks ──► who holds it?  phil-1 ──► who holds what that waits for?  phil-0: a cycle
//!                                      └► not parked, or not for good: nothing has closed here
//! ```
//!
//! What happens then is not decided here: the cycle is kept until the loop tells it, on its own
//! stack. The tasks stay as they are.
use super::Scheduler;
use super::driver::{Driver, Prospect};
use super::kernel::Kernel;
use super::snapshot::TaskView;
use super::task::{Flags, State, Task};
use super::timers::TimerKey;
use super::wait::What;
use crate::coroutine;
use std::collections::BTreeSet;

/// Holders that each park may look at. What is not used is saved, so that a long cycle is found
/// where few were walked in vain; in a chain of a million joins each costs no more than this.
const STEPS_PER_PARK: u32 = 8;

/// Looks that can be saved: the longest cycle that is found.
const STEPS_SAVED: u32 = 1 << 10;

/// The index of the task that a walk starts from, which is before the first.
const NOWHERE: usize = usize::MAX;

/// Cycles of one run that are told; it may go on for ever, and make more all the time.
const TOLD: usize = 64;

/// What the kernel knows of cycles.
pub(super) struct Cycles {
    /// Whether anybody wants to be told.
    watched: bool,
    /// Found and not told yet.
    closed: Vec<Vec<TaskView>>,
    /// Serial numbers of the tasks of each that was found: a task may come back into its cycle,
    /// after an unwind that it caught.
    known: BTreeSet<Vec<u64>>,
    /// Steps that are saved.
    steps: u32,
}

impl Cycles {
    pub(super) fn new() -> Self {
        Cycles {
            watched: false,
            closed: Vec::new(),
            known: BTreeSet::new(),
            steps: STEPS_SAVED,
        }
    }
}

/// What the tasks outside of a cycle do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Others {
    GoOn,
    /// Nothing can wake them either: the run is about to end with a report of them all.
    AreStuck,
}

/// Tells people of a cycle. It is given its tasks, and those that hold something these wait for, in
/// the order of spawning.
pub(super) type Tell = fn(&[TaskView], Others);

impl Scheduler {
    /// Has `tell` called for each cycle of locks and joins that closes.
    pub(crate) fn watch_cycles(&self, tell: Tell) {
        self.on_cycle.set(Some(tell));
        self.kernel(|kernel| kernel.cycles.watched = true);
    }

    #[cold]
    pub(super) fn tell_of_cycles(&self, closed: Vec<Vec<TaskView>>, driver: &dyn Driver) {
        let Some(tell) = self.on_cycle.get() else {
            return;
        };
        let is_busy = |kernel: &mut Kernel| {
            !kernel.ready.is_empty() || kernel.next_deadline().is_some() || kernel.waits_outside()
        };
        // A host goes on in any case.
        let hosted = !driver.may_sleep();
        let others = match hosted || driver.prospect() != Prospect::Nothing || self.kernel(is_busy)
        {
            true => Others::GoOn,
            false => Others::AreStuck,
        };
        closed.iter().for_each(|tasks| tell(tasks, others));
        if self.kernel(|kernel| kernel.cycles.known.len() == TOLD) {
            coroutine::say(format_args!(
                "maypole: further cycles of this run are not told"
            ));
        }
    }
}

impl Kernel {
    /// Looks whether the park of the task in `slot`, which just began, has closed a cycle.
    #[inline(never)]
    pub(super) fn look_for_cycle(&mut self, slot: u32) {
        if !self.cycles.watched {
            return;
        }
        // Mostly the holder is on its way and will let go: nothing more is done then.
        let mut suspicious = false;
        self.each_holder(slot, |holder| suspicious |= self.waits_for_holders(holder));
        if suspicious {
            self.search_from(slot);
        }
    }

    /// Keeps the cycle that the task in `slot` closes, if any; then the next turn is not a plain one.
    #[cold]
    #[inline(never)]
    fn search_from(&mut self, slot: u32) {
        if self.killing || self.cycles.known.len() == TOLD || self.has_deadline(slot) {
            return;
        }
        let Some(cycle) = self.cycle_through(slot) else {
            return;
        };
        if cycle.iter().any(|&slot| self.may_be_let_by(slot)) {
            return;
        }
        let serial = |slot: &u32| self.tasks[*slot as usize].serial;
        let mut serials: Vec<u64> = cycle.iter().map(serial).collect();
        serials.sort_unstable();
        if self.cycles.known.insert(serials) {
            let views = self.views_of(&cycle);
            self.cycles.closed.push(views);
            self.look_in += std::mem::take(&mut self.quick);
        }
    }

    /// The tasks of a cycle, and all others that hold what these wait for.
    fn views_of(&self, cycle: &[u32]) -> Vec<TaskView> {
        let mut slots: BTreeSet<u32> = cycle.iter().copied().collect();
        for &slot in cycle {
            self.each_holder(slot, |holder| {
                slots.insert(holder);
            });
        }
        let mut views: Vec<TaskView> = slots.iter().map(|&slot| self.task_view(slot)).collect();
        views.sort_unstable_by_key(|view| view.id);
        views
    }

    /// The cycles that have closed since the last time.
    pub(super) fn take_closed_cycles(&mut self) -> Vec<Vec<TaskView>> {
        if !self.cycles.closed.is_empty() && !self.slow {
            self.quick += std::mem::take(&mut self.look_in);
        }
        std::mem::take(&mut self.cycles.closed)
    }

    /// The shortest cycle from the task in `start` through the holders of what it waits for.
    fn cycle_through(&mut self, start: u32) -> Option<Vec<u32>> {
        let mut steps = STEPS_SAVED.min(self.cycles.steps + STEPS_PER_PARK);
        // Breadth first: each task with the index of the one that waits for it.
        let mut reached: Vec<(u32, usize)> = Vec::new();
        let (mut slot, mut index) = (start, NOWHERE);
        let last = loop {
            let mut closes = false;
            self.each_holder(slot, |holder| {
                closes |= holder == start;
                let walks = steps > 0;
                steps -= u32::from(walks);
                let is_new = || reached.iter().all(|(slot, _)| *slot != holder);
                if walks && self.is_stuck(holder) && is_new() {
                    reached.push((holder, index));
                }
            });
            if closes {
                break Some(index);
            }
            index = index.wrapping_add(1);
            match reached.get(index) {
                Some(&(next, _)) => slot = next,
                None => break None,
            }
        };
        self.cycles.steps = steps;
        Some(path(start, &reached, last?))
    }

    /// Whether the task is parked until others let go, whatever the time.
    fn is_stuck(&self, slot: u32) -> bool {
        self.waits_for_holders(slot) && !self.has_deadline(slot)
    }

    #[inline]
    fn waits_for_holders(&self, slot: u32) -> bool {
        let task = &self.tasks[slot as usize];
        matches!(task.state, State::Parked | State::ParkedUnkillably) && task.wait.is_for_holders()
    }

    /// Whether its present park ends by itself, or a timeout that it is inside of ends it.
    fn has_deadline(&self, slot: u32) -> bool {
        self.tasks[slot as usize].timer != TimerKey::NONE || self.bound_timers(slot) > 0
    }

    /// Shows the tasks that must let go before the parked one can go on.
    #[inline]
    fn each_holder(&self, slot: u32, mut show: impl FnMut(u32)) {
        let task = &self.tasks[slot as usize];
        if let What::Join(id) = self.wait_of(slot).what {
            if self.find(id).is_some() {
                show(id.slot);
            }
            return;
        }
        // A scope kills its daemons when the others have ended.
        let is_awaited = |holder: &Task| {
            let daemon = holder.flags.has(Flags::DAEMON) && !holder.flags.has(Flags::KILLED);
            !(daemon && task.wait.is(What::Scope))
        };
        // Such a wait is in one queue, and the first place is in the task's own record.
        let queue = self.queues.get(task.links.queue as usize);
        let object = queue.and_then(|ends| ends.object.as_ref()?.upgrade());
        if let Some(object) = object {
            object.each_owner(&mut |id| {
                if self.find(id).is_some_and(is_awaited) {
                    show(id.slot);
                }
            });
        }
    }

    /// Whether the task waits for readers only because a writer is before it in the line, and that
    /// one may leave it, or has just left it.
    fn may_be_let_by(&self, slot: u32) -> bool {
        let task = &self.tasks[slot as usize];
        if !task.wait.is(What::Read) {
            return false;
        }
        let places = self.places_of(slot);
        let mut ahead = places
            .iter()
            .flat_map(|place| self.before(*place))
            .peekable();
        let mut is_next = false;
        if ahead.peek().is_none() {
            self.each_object(slot, &mut |object| {
                is_next = object.has_room_for(What::Read)
            });
        }
        is_next || self.has_deadline(slot) || ahead.any(|waiter| self.has_deadline(waiter.task))
    }
}

/// From `start` to the task that was reached at index `last`, by the way that led there.
fn path(start: u32, reached: &[(u32, usize)], mut last: usize) -> Vec<u32> {
    let mut path = vec![];
    while let Some(&(slot, before)) = reached.get(last) {
        path.push(slot);
        last = before;
    }
    path.push(start);
    path
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scheduler::clock::Clock;
    use crate::scheduler::object::{Object, ObjectView};
    use crate::scheduler::task::{About, Body, TaskId};
    use crate::scheduler::wait::{Wait, WaitQueue};
    use std::cell::Cell;
    use std::panic::Location;
    use std::rc::{Rc, Weak};

    struct Idle(About);

    impl Body for Idle {
        fn run(&self) {
            unreachable!("no coroutine runs here")
        }
        fn about(&self) -> &About {
            &self.0
        }
    }

    /// A lock, which counts how often it is asked for its owner.
    struct Lock {
        queue: WaitQueue,
        owner: TaskId,
        looks: Cell<usize>,
    }

    impl Object for Lock {
        fn view(&self) -> ObjectView {
            ObjectView {
                kind: "lock",
                name: None,
                made_at: Location::caller(),
                owners: vec![(self.owner, Location::caller())],
                state: String::new(),
                content: None,
            }
        }
        fn each_owner(&self, show: &mut dyn FnMut(TaskId)) {
            self.looks.set(self.looks.get() + 1);
            show(self.owner);
        }
    }

    /// Tasks that are not parked yet, and a lock that each of them holds.
    fn tasks_with_locks(count: usize) -> (Kernel, Vec<Rc<Lock>>) {
        let mut kernel = Kernel::new(1, Clock::virtual_time());
        kernel.cycles.watched = true;
        let wait = waits(What::Turn);
        let locks = (0..count).map(|_| {
            let body = Rc::new(Idle(About::new(Location::caller())));
            let owner = kernel.insert(body, Flags::default(), wait);
            let lock = Rc::new(Lock {
                queue: WaitQueue::new(),
                owner,
                looks: Cell::new(0),
            });
            let object: Weak<dyn Object> = Rc::<Lock>::downgrade(&lock);
            kernel.introduce(&lock.queue, object);
            lock
        });
        let locks = locks.collect();
        (kernel, locks)
    }

    fn waits(what: What) -> Wait {
        Wait {
            what,
            at: Location::caller(),
        }
    }

    /// The owner of one lock waits for another.
    fn park(kernel: &mut Kernel, owner: &Lock, on: &Lock, until: Option<u64>) {
        kernel.current = owner.owner.slot;
        let on = [(&on.queue, 0)];
        kernel.park(on, until, waits(What::Lock).pack(), false);
    }

    fn closed(kernel: &mut Kernel) -> Vec<usize> {
        let closed = kernel.take_closed_cycles();
        closed.iter().map(Vec::len).collect()
    }

    #[test]
    fn the_last_park_closes_the_cycle() {
        let (mut kernel, locks) = tasks_with_locks(4);
        // The fourth waits for one in the cycle, and is none of it.
        for (task, on) in [(3, 1), (0, 1), (1, 2)] {
            park(&mut kernel, &locks[task], &locks[on], None);
            assert!(closed(&mut kernel).is_empty());
        }
        park(&mut kernel, &locks[2], &locks[0], None);
        assert_eq!(closed(&mut kernel), [3]);
    }

    #[test]
    fn a_deadline_anywhere_keeps_it_open() {
        for with_deadline in 0..3 {
            let (mut kernel, locks) = tasks_with_locks(3);
            for task in 0..3 {
                let until = (task == with_deadline).then_some(1000);
                park(&mut kernel, &locks[task], &locks[(task + 1) % 3], until);
            }
            assert!(closed(&mut kernel).is_empty(), "{with_deadline}");
        }
    }

    #[test]
    fn a_chain_of_many_costs_each_of_them_little() {
        const COUNT: usize = 10_000;
        let (mut kernel, locks) = tasks_with_locks(COUNT);
        for task in 1..COUNT {
            park(&mut kernel, &locks[task], &locks[task - 1], None);
        }
        assert!(closed(&mut kernel).is_empty());
        let looks: usize = locks.iter().map(|lock| lock.looks.get()).sum();
        let most = COUNT * (STEPS_PER_PARK as usize + 3) + STEPS_SAVED as usize;
        assert!(looks <= most, "{looks} looks");
    }

    #[test]
    fn a_long_cycle_is_found_where_nothing_was_walked_in_vain() {
        const COUNT: usize = STEPS_SAVED as usize;
        let (mut kernel, locks) = tasks_with_locks(COUNT);
        for task in 0..COUNT {
            park(&mut kernel, &locks[task], &locks[(task + 1) % COUNT], None);
        }
        assert_eq!(closed(&mut kernel), [COUNT]);
    }
}
