//! The lists of those who wait: linking a task into its queues, and out of them again.
//!
//! Most tasks wait in one queue, so the first place is in the task's own record, and a park of the
//! usual kind touches no other table. The further places of a `select` are in a slab.
use super::kernel::Kernel;
use super::object::{Awaited, Object};
use super::wait::{Ends, Further, Links, Place, WaitQueue, Waiter, WaiterKey};
use std::rc::Weak;

impl Kernel {
    #[cold]
    #[inline(never)]
    fn register(&mut self, queue: &WaitQueue, object: Option<Weak<dyn Object>>) -> u32 {
        let key = self.queues.insert(Ends {
            head: WaiterKey::NONE,
            tail: WaiterKey::NONE,
            object,
        });
        let key = u32::try_from(key).expect("fewer than 2^32 queues");
        queue.register(self.run, key);
        key
    }

    /// Remembers what `queue` is the queue of.
    pub(super) fn introduce(&mut self, queue: &WaitQueue, object: Weak<dyn Object>) {
        if queue.key(self.run).is_none() {
            self.register(queue, Some(object));
        }
    }

    pub(super) fn forget_queue(&mut self, queue: &WaitQueue) {
        if let Some(key) = queue.key(self.run) {
            let ends = self.queues.remove(key as usize);
            debug_assert_eq!(
                ends.head,
                WaiterKey::NONE,
                "a queue was dropped under a waiter"
            );
        }
    }

    #[inline(always)]
    pub(super) fn links_mut(&mut self, place: Place) -> &mut Links {
        match place {
            Place::Own(slot) => &mut self.tasks[slot].links,
            Place::Further(key) => &mut self.further[key].links,
        }
    }

    /// Puts `key` at the end of the queue; gives the links it must have.
    #[inline(always)]
    pub(super) fn append(&mut self, queue: &WaitQueue, key: WaiterKey) -> Links {
        let number = match queue.key(self.run) {
            Some(number) => number,
            None => self.register(queue, None),
        };
        let ends = &mut self.queues[number as usize];
        let tail = std::mem::replace(&mut ends.tail, key);
        match tail.get() {
            Some(tail) => self.links_mut(tail).next = key,
            None => ends.head = key,
        }
        Links {
            queue: number,
            previous: tail,
            next: WaiterKey::NONE,
        }
    }

    /// The first place of the task that is about to park.
    #[inline]
    pub(super) fn enlist(&mut self, slot: u32, queue: &WaitQueue, offer: usize) {
        let links = self.append(queue, WaiterKey::own(slot));
        let task = &mut self.tasks[slot as usize];
        task.links = links;
        task.word = offer;
    }

    /// A further place.
    #[inline(never)]
    pub(super) fn enlist_further(
        &mut self,
        slot: u32,
        case: usize,
        queue: &WaitQueue,
        offer: usize,
    ) {
        let key = WaiterKey::further(self.further.vacant_key());
        let links = self.append(queue, key);
        let task = &mut self.tasks[slot as usize];
        let sibling = std::mem::replace(&mut task.further, key);
        self.further.insert(Further {
            offer,
            links,
            task: slot,
            case: case as u32,
            sibling,
        });
    }

    /// Takes somebody with these links out of the queue.
    #[inline(always)]
    pub(super) fn unlink(&mut self, links: Links) {
        if links.previous == WaiterKey::NONE && links.next == WaiterKey::NONE {
            let ends = &mut self.queues[links.queue as usize];
            (ends.head, ends.tail) = (WaiterKey::NONE, WaiterKey::NONE);
            return;
        }
        self.unlink_among_others(links);
    }

    #[inline(never)]
    fn unlink_among_others(&mut self, links: Links) {
        match links.previous.get() {
            Some(previous) => self.links_mut(previous).next = links.next,
            None => self.queues[links.queue as usize].head = links.next,
        }
        match links.next.get() {
            Some(next) => self.links_mut(next).previous = links.previous,
            None => self.queues[links.queue as usize].tail = links.previous,
        }
    }

    /// Takes the task out of its further queues.
    #[cold]
    #[inline(never)]
    pub(super) fn unlink_further(&mut self, slot: u32) {
        let task = &mut self.tasks[slot as usize];
        let mut next = std::mem::replace(&mut task.further, WaiterKey::NONE);
        while let Some(Place::Further(key)) = next.get() {
            let further = self.further.remove(key);
            self.unlink(further.links);
            next = further.sibling;
        }
    }

    // ── looking ──────────────────────────────────────────────────────────────────────────────

    #[inline(always)]
    pub(super) fn waiter(&self, place: Place) -> Waiter {
        match place {
            Place::Own(slot) => {
                let task = &self.tasks[slot];
                Waiter {
                    task: slot as u32,
                    case: 0,
                    offer: task.word,
                    links: task.links,
                }
            }
            Place::Further(key) => {
                let further = &self.further[key];
                Waiter {
                    task: further.task,
                    case: further.case,
                    offer: further.offer,
                    links: further.links,
                }
            }
        }
    }

    #[inline(always)]
    pub(super) fn first_waiter(&self, queue: &WaitQueue) -> Option<Waiter> {
        let head = self.queues[queue.key(self.run)? as usize].head;
        head.get().map(|place| self.waiter(place))
    }

    /// The tasks in the queue, the first first.
    fn waiters_of(&self, queue: &WaitQueue) -> impl Iterator<Item = Waiter> + '_ {
        std::iter::successors(self.first_waiter(queue), |waiter| {
            waiter.links.next.get().map(|place| self.waiter(place))
        })
    }

    /// The first in the queue whose offer is wanted.
    pub(super) fn find_waiter(
        &self,
        queue: &WaitQueue,
        wanted: impl Fn(usize) -> bool,
    ) -> Option<Waiter> {
        self.waiters_of(queue).find(|waiter| wanted(waiter.offer))
    }

    /// Whether anybody waits in the queue.
    #[inline]
    pub(crate) fn has_waiter(&self, queue: &WaitQueue) -> bool {
        queue
            .key(self.run)
            .is_some_and(|number| self.queues[number as usize].head != WaiterKey::NONE)
    }

    pub(super) fn count_waiters(&self, queue: &WaitQueue) -> usize {
        self.waiters_of(queue).count()
    }

    /// The places of the task in `slot`, in the order of its cases.
    pub(super) fn places_of(&self, slot: u32) -> Vec<Waiter> {
        let task = &self.tasks[slot as usize];
        let mut next = task.further;
        let mut places = Vec::new();
        while let Some(place) = next.get() {
            if let Place::Further(key) = place {
                next = self.further[key].sibling;
            }
            places.push(self.waiter(place));
        }
        if task.links.queue != Links::NOWHERE {
            places.push(self.waiter(Place::Own(slot as usize)));
        }
        places.reverse();
        places
    }

    /// The tasks that wait in the same queue as `waiter`, before it, the nearest first.
    pub(super) fn before(&self, waiter: Waiter) -> impl Iterator<Item = Waiter> + '_ {
        let step = |waiter: &Waiter| waiter.links.previous.get().map(|place| self.waiter(place));
        std::iter::successors(step(&waiter), step)
    }

    /// What the task in `slot` waits for, in the order of its cases.
    pub(super) fn objects(&self, slot: u32) -> Vec<Awaited> {
        let mut found = Vec::new();
        self.each_object(slot, &mut |object| {
            found.push(Awaited {
                identity: std::ptr::from_ref(object).addr(),
                view: object.view(),
            });
        });
        found
    }

    /// Shows what the task in `slot` waits for, in the order of its cases.
    pub(super) fn each_object(&self, slot: u32, show: &mut dyn FnMut(&dyn Object)) {
        for waiter in self.places_of(slot) {
            let object = self.queues[waiter.links.queue as usize].object.as_ref();
            if let Some(object) = object.and_then(Weak::upgrade) {
                show(&*object);
            }
        }
    }
}
