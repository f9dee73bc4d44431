//! The ready queue: an array, so that the processor runs ahead into the next tasks (a linked list
//! of the same tasks is six times slower at 1,000).
use crate::coroutine::Handle;
use std::collections::VecDeque;

/// A ready task: its slot, and its coroutine once it has one, so that a switch need not read the
/// record.
#[derive(Clone, Copy)]
pub(crate) struct Entry {
    pub(crate) coroutine: Option<Handle>,
    pub(crate) slot: u32,
}

/// First in, first out.
#[derive(Default)]
pub(crate) struct ReadyQueue(VecDeque<Entry>);

/// From this many ready tasks on, their stacks no longer fit the near caches and prefetching pays.
const MANY: usize = 4096;

impl ReadyQueue {
    pub(crate) const fn new() -> Self {
        ReadyQueue(VecDeque::new())
    }

    #[inline(always)]
    pub(crate) fn push(&mut self, entry: Entry) {
        self.0.push_back(entry);
    }

    #[inline(always)]
    pub(crate) fn pop(&mut self) -> Option<Entry> {
        if self.0.len() >= MANY {
            self.prefetch();
        }
        self.0.pop_front()
    }

    /// Fetches what the tasks some turns ahead will need.
    #[inline(never)]
    fn prefetch(&self) {
        if let Some(entry) = self.0.get(8)
            && let Some(coroutine) = entry.coroutine
        {
            coroutine.prefetch();
            coroutine.prefetch_frames();
        }
    }

    /// Takes the task at `index`; the one at the front takes its place, so that index 0 is plain
    /// first in, first out, and every index costs the same.
    pub(crate) fn take(&mut self, index: usize) -> Option<Entry> {
        self.0.swap_remove_front(index)
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn drain(&mut self) -> impl Iterator<Item = Entry> + '_ {
        self.0.drain(..)
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
    fn taking_index_zero_is_first_in_first_out() {
        let mut ready = ReadyQueue::new();
        (0..10).for_each(|slot| ready.push(entry(slot)));
        let order: Vec<u32> = std::iter::from_fn(|| ready.take(0))
            .map(|e| e.slot)
            .collect();
        assert_eq!(order, (0..10).collect::<Vec<_>>());
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
