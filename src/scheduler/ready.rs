//! The ready queue: an array, so that the processor runs ahead into the next tasks (a linked list
//! of the same tasks is six times slower at 1,000).
use crate::coroutine::Handle;

/// A ready task: its slot, and its coroutine once it has one, so that a switch need not read the
/// record.
#[derive(Clone, Copy)]
pub(crate) struct Entry {
    pub(crate) coroutine: Option<Handle>,
    pub(crate) slot: u32,
}

/// First in, first out: a ring whose length is a power of two, so that a place is found by one
/// `and`. `head` and `tail` only ever grow, and wrap around at the end of their range.
pub(crate) struct ReadyQueue {
    ring: Vec<Entry>,
    head: usize,
    tail: usize,
}

/// From this many ready tasks on, their stacks no longer fit the near caches and prefetching pays.
const MANY: usize = 4096;

const EMPTY: Entry = Entry {
    coroutine: None,
    slot: u32::MAX,
};

impl ReadyQueue {
    pub(crate) const fn new() -> Self {
        ReadyQueue {
            ring: Vec::new(),
            head: 0,
            tail: 0,
        }
    }

    #[inline(always)]
    fn place(&self, position: usize) -> usize {
        position & (self.ring.len().wrapping_sub(1))
    }

    #[inline(always)]
    pub(crate) fn push(&mut self, entry: Entry) {
        if self.len() == self.ring.len() {
            self.grow();
        }
        let place = self.place(self.tail);
        self.ring[place] = entry;
        self.tail = self.tail.wrapping_add(1);
    }

    #[cold]
    #[inline(never)]
    fn grow(&mut self) {
        let mut longer = Vec::with_capacity((2 * self.ring.len()).max(64));
        longer.extend(self.iter());
        (self.head, self.tail) = (0, longer.len());
        longer.resize(longer.capacity().next_power_of_two(), EMPTY);
        self.ring = longer;
    }

    #[inline(always)]
    pub(crate) fn pop(&mut self) -> Option<Entry> {
        if self.is_empty() {
            return None;
        }
        if self.len() >= MANY {
            self.prefetch();
        }
        let entry = self.ring[self.place(self.head)];
        self.head = self.head.wrapping_add(1);
        Some(entry)
    }

    /// Puts `entry` at the end and takes the first, in one step: what a yield does.
    #[inline(always)]
    pub(crate) fn rotate(&mut self, entry: Entry) -> Entry {
        if self.is_empty() {
            return entry;
        }
        if self.len() >= MANY {
            self.prefetch();
        }
        let (first, last) = (self.place(self.head), self.place(self.tail));
        let next = self.ring[first];
        self.ring[last] = entry;
        self.head = self.head.wrapping_add(1);
        self.tail = self.tail.wrapping_add(1);
        next
    }

    /// Fetches what the tasks some turns ahead will need.
    #[inline(never)]
    fn prefetch(&self) {
        let entry = self.ring[self.place(self.head.wrapping_add(8))];
        if let Some(coroutine) = entry.coroutine {
            coroutine.prefetch();
            coroutine.prefetch_frames();
        }
    }

    /// Takes the task at `index`; the one at the front takes its place, so that index 0 is plain
    /// first in, first out, and every index costs the same.
    pub(crate) fn take(&mut self, index: usize) -> Option<Entry> {
        if index >= self.len() {
            return None;
        }
        let (front, chosen) = (
            self.place(self.head),
            self.place(self.head.wrapping_add(index)),
        );
        self.ring.swap(front, chosen);
        self.pop()
    }

    /// Takes the task at `index` and keeps the order of the others.
    pub(super) fn remove(&mut self, index: usize) -> Option<Entry> {
        if index >= self.len() {
            return None;
        }
        for index in (0..index).rev() {
            let (first, second) = (
                self.head.wrapping_add(index),
                self.head.wrapping_add(index + 1),
            );
            let (first, second) = (self.place(first), self.place(second));
            self.ring.swap(first, second);
        }
        self.pop()
    }

    /// Takes all that are `wanted`, and keeps the order of the others.
    pub(super) fn extract(&mut self, wanted: impl Fn(&Entry) -> bool) -> Vec<Entry> {
        let (wanted, others): (Vec<Entry>, Vec<Entry>) = self.iter().partition(wanted);
        if !wanted.is_empty() {
            self.drain().for_each(drop);
            others.into_iter().for_each(|entry| self.push(entry));
        }
        wanted
    }

    /// Moves the last to the front.
    pub(crate) fn last_to_front(&mut self) {
        if self.len() > 1 {
            let last = self.ring[self.place(self.tail.wrapping_sub(1))];
            self.tail = self.tail.wrapping_sub(1);
            self.head = self.head.wrapping_sub(1);
            let front = self.place(self.head);
            self.ring[front] = last;
        }
    }

    #[inline(always)]
    pub(crate) fn len(&self) -> usize {
        self.tail.wrapping_sub(self.head)
    }

    #[inline(always)]
    pub(crate) fn is_empty(&self) -> bool {
        self.head == self.tail
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Entry> + '_ {
        (0..self.len()).map(|index| self.ring[self.place(self.head.wrapping_add(index))])
    }

    pub(crate) fn drain(&mut self) -> impl Iterator<Item = Entry> + '_ {
        std::iter::from_fn(|| self.pop())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(slot: u32) -> Entry {
        Entry {
            coroutine: None,
            slot,
        }
    }

    #[test]
    fn tasks_leave_in_the_order_they_came() {
        let mut ready = ReadyQueue::new();
        (0..5000).for_each(|slot| ready.push(entry(slot)));
        let order: Vec<u32> = std::iter::from_fn(|| ready.pop()).map(|e| e.slot).collect();
        assert_eq!(order, (0..5000).collect::<Vec<_>>());
    }

    #[test]
    fn a_rotation_is_a_push_and_a_pop() {
        let mut ready = ReadyQueue::new();
        assert_eq!(ready.rotate(entry(7)).slot, 7);
        // A full ring, whose first and last place are the same.
        (0..64).for_each(|slot| ready.push(entry(slot)));
        assert_eq!(ready.rotate(entry(64)).slot, 0);
        let order: Vec<u32> = ready.drain().map(|e| e.slot).collect();
        assert_eq!(order, (1..=64).collect::<Vec<_>>());
    }

    #[test]
    fn the_order_is_kept_when_the_ring_grows_and_wraps() {
        let mut ready = ReadyQueue::new();
        let mut next = 0;
        for slot in 0..1000 {
            ready.push(entry(slot));
            if slot % 3 == 0 {
                assert_eq!(ready.pop().map(|e| e.slot), Some(next));
                next += 1;
            }
        }
        assert!(ready.drain().map(|e| e.slot).eq(next..1000));
    }

    #[test]
    fn taking_index_zero_is_first_in_first_out() {
        let mut ready = ReadyQueue::new();
        (0..10).for_each(|slot| ready.push(entry(slot)));
        let order: Vec<u32> = std::iter::from_fn(|| ready.take(0))
            .map(|e| e.slot)
            .collect();
        assert_eq!(order, (0..10).collect::<Vec<_>>());
    }

    #[test]
    fn removing_keeps_the_order_of_the_others() {
        let mut ready = ReadyQueue::new();
        (0..5).for_each(|slot| ready.push(entry(slot)));
        assert_eq!(ready.remove(3).map(|e| e.slot), Some(3));
        let even = |entry: &Entry| entry.slot.is_multiple_of(2);
        assert_eq!(ready.extract(even).len(), 3);
        assert!(ready.remove(1).is_none());
        assert_eq!(ready.remove(0).map(|e| e.slot), Some(1));
        assert!(ready.is_empty());
    }

    #[test]
    fn taking_another_index_puts_the_front_in_its_place() {
        let mut ready = ReadyQueue::new();
        (0..4).for_each(|slot| ready.push(entry(slot)));
        assert_eq!(ready.take(2).map(|e| e.slot), Some(2));
        let rest: Vec<u32> = ready.drain().map(|e| e.slot).collect();
        assert_eq!(rest, [1, 0, 3]);
    }
}
