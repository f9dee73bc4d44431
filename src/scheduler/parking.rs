//! Parking and waking: the two transitions of a task that waits.
use super::kernel::{Alarm, Kernel};
use super::observer::Event;
use super::ready::Entry;
use super::task::{Flags, State, TaskId};
use super::timers::TimerKey;
use super::wait::{Links, Packed, Place, Wait, WaitQueue, Waiter, WaiterKey, What, Woken};

impl Kernel {
    /// Running → Parked, on every queue in `on` and until `until`.
    #[inline]
    pub(super) fn park<'q>(
        &mut self,
        on: impl IntoIterator<Item = (&'q WaitQueue, usize)>,
        until: Option<u64>,
        wait: Packed,
        unwinding: bool,
    ) {
        let slot = self.current;
        // In order, so that of two cases on one queue the first is woken.
        let mut on = on.into_iter();
        if let Some((queue, offer)) = on.next() {
            self.enlist(slot, queue, offer);
        }
        for (case, (queue, offer)) in (1..).zip(on) {
            self.enlist_further(slot, case, queue, offer);
        }
        self.settle(slot, until, wait, unwinding);
    }

    /// The same, on one queue: what most parks are.
    #[inline(never)]
    pub(super) fn park_in(
        &mut self,
        queue: &WaitQueue,
        offer: usize,
        until: Option<u64>,
        wait: Packed,
        unwinding: bool,
    ) {
        let slot = self.current;
        if until.is_some() || unwinding || self.slow || wait.is_special() {
            self.enlist(slot, queue, offer);
            return self.settle(slot, until, wait, unwinding);
        }
        // What most parks are, in one go.
        let links = self.append(queue, WaiterKey::own(slot));
        let task = &mut self.tasks[slot as usize];
        debug_assert_eq!(task.state, State::Active);
        (task.links, task.word, task.wait) = (links, offer, wait);
        task.set_unwinding(false);
        task.state = match task.killable() {
            true => State::Parked,
            false => State::ParkedUnkillably,
        };
    }

    /// The task is in its queues: arms its timer and changes its state.
    #[inline(never)]
    fn settle(&mut self, slot: u32, until: Option<u64>, wait: Packed, unwinding: bool) {
        let timer = match until {
            Some(deadline) => self.arm(slot, deadline, Alarm::Park(slot)),
            None => TimerKey::NONE,
        };
        let task = &mut self.tasks[slot as usize];
        debug_assert_eq!(task.state, State::Active);
        task.wait = wait;
        task.timer = timer;
        task.set_unwinding(unwinding);
        task.state = match task.killable() && !unwinding {
            true => State::Parked,
            false => State::ParkedUnkillably,
        };
        if self.slow {
            self.note_park(slot);
        }
        if wait.is_outside() {
            self.waits_outside += usize::from(self.tasks[slot as usize].is_vital());
        }
        if until.is_none() && wait.is_for_holders() {
            self.look_for_cycle(slot);
        }
    }

    #[cold]
    #[inline(never)]
    fn note_park(&mut self, slot: u32) {
        let wait = self.wait_of(slot);
        self.remember(slot, wait);
        self.emit(Event::Parked(self.id(slot), wait.what));
    }

    /// What the task waits for, or waited for last.
    pub(super) fn wait_of(&self, slot: u32) -> Wait {
        self.unpack(self.tasks[slot as usize].wait)
    }

    pub(super) fn unpack(&self, packed: Packed) -> Wait {
        let what = packed.what().unwrap_or_else(|joined| {
            let task = self.tasks.get(joined as usize);
            What::Join(TaskId {
                serial: task.map_or(0, |task| task.serial),
                slot: joined,
                run: self.run,
            })
        });
        Wait {
            what,
            at: packed.at,
        }
    }

    /// Parked → Ready: the only end of a park, so every withdrawal is here.
    ///
    /// Unlinks the task from every queue, and its timer, before it can run: a waiter in a queue
    /// always belongs to a parked task, and a second wake finds nobody.
    #[inline(always)]
    pub(super) fn wake(&mut self, slot: u32, woken: Woken) {
        let task = &mut self.tasks[slot as usize];
        debug_assert!(matches!(
            task.state,
            State::Parked | State::ParkedUnkillably
        ));
        task.set_woken(woken);
        if task.wait.is_outside() {
            self.waits_outside -= usize::from(task.is_vital());
        }
        let timer = std::mem::replace(&mut task.timer, TimerKey::NONE);
        let (links, further) = (task.links, task.further);
        task.links.queue = Links::NOWHERE;
        if task.flags.has(Flags::PAUSED) {
            task.state = State::Held;
        } else {
            task.state = State::Active;
            let coroutine = task.coroutine.as_ref().map(|coroutine| coroutine.handle());
            self.ready.push(Entry { coroutine, slot });
        }
        if links.queue != Links::NOWHERE {
            self.unlink(links);
        }
        if further != WaiterKey::NONE {
            self.unlink_further(slot);
        }
        if timer != TimerKey::NONE {
            self.disarm(slot, timer);
        }
        if self.slow {
            self.note_wake(slot, woken);
        }
    }

    #[cold]
    #[inline(never)]
    fn note_wake(&mut self, slot: u32, woken: Woken) {
        self.emit(Event::Woken(self.id(slot), woken));
    }

    /// Wakes the first in the queue with a word for it; tells what the woken one offered.
    #[inline(never)]
    pub(crate) fn wake_one(&mut self, queue: &WaitQueue, token: usize) -> Option<usize> {
        let number = queue.key(self.run)?;
        let ends = &mut self.queues[number as usize];
        let place = ends.head.get()?;
        // What most wakes are, in one go: a task that waits in this queue alone, without a time
        // limit. Everything else goes the long way; where a task is paused, no turn is plain.
        if let Place::Own(slot) = place {
            let task = &mut self.tasks[slot];
            let plain =
                task.further == WaiterKey::NONE && task.timer == TimerKey::NONE && !self.slow;
            if plain {
                debug_assert!(!task.wait.is_outside(), "see `wake_outside`");
                task.links.queue = Links::NOWHERE;
                task.state = State::Active;
                task.case = 0;
                let offer = std::mem::replace(&mut task.word, token);
                let coroutine = task.coroutine.as_ref().map(|coroutine| coroutine.handle());
                let next = task.links.next;
                ends.head = next;
                match next.get() {
                    None => ends.tail = WaiterKey::NONE,
                    Some(next) => self.links_mut(next).previous = WaiterKey::NONE,
                }
                self.ready.push(Entry {
                    coroutine,
                    slot: slot as u32,
                });
                return Some(offer);
            }
        }
        self.wake_place(place, token)
    }

    /// The same, for a queue in which tasks wait for the outside world, which are counted.
    pub(crate) fn wake_outside(&mut self, queue: &WaitQueue, token: usize) -> Option<usize> {
        let waiter = self.first_waiter(queue)?;
        self.wake_waiter(waiter, token);
        Some(waiter.offer)
    }

    #[inline(never)]
    fn wake_place(&mut self, place: Place, token: usize) -> Option<usize> {
        let waiter = self.waiter(place);
        self.wake_waiter(waiter, token);
        Some(waiter.offer)
    }

    /// Wakes the first in the queue whose offer is wanted; tells what it offered.
    pub(crate) fn wake_first(
        &mut self,
        queue: &WaitQueue,
        token: usize,
        wanted: impl Fn(usize) -> bool,
    ) -> Option<usize> {
        let waiter = self.find_waiter(queue, wanted)?;
        self.wake_waiter(waiter, token);
        Some(waiter.offer)
    }

    #[inline(always)]
    fn wake_waiter(&mut self, waiter: Waiter, token: usize) {
        let case = waiter.case;
        self.wake(waiter.task, Woken::Ready { case, token });
    }
}
