//! What other OS threads call a waiting task by: a ticket, which names a wait queue of this OS
//! thread and nothing of its memory.
use crate::scheduler::wait::WaitQueue;
use crate::scheduler::{has_waiter, wake_all_outside};
use slab::Slab;
use std::rc::Rc;

/// Names a queue for as long as somebody waits in it. A stale one names nobody.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Ticket {
    index: u32,
    serial: u64,
}

#[derive(Default)]
pub(super) struct Waits {
    queues: Slab<(u64, Rc<WaitQueue>)>,
    serial: u64,
}

impl Waits {
    pub(super) fn add(&mut self, queue: Rc<WaitQueue>) -> Ticket {
        self.serial += 1;
        let index = self.queues.insert((self.serial, queue));
        Ticket {
            index: u32::try_from(index).expect("fewer than 2^32 waits"),
            serial: self.serial,
        }
    }

    fn get(&self, ticket: Ticket) -> Option<&Rc<WaitQueue>> {
        let (serial, queue) = self.queues.get(ticket.index as usize)?;
        (*serial == ticket.serial).then_some(queue)
    }

    pub(super) fn remove(&mut self, ticket: Ticket) -> Option<Rc<WaitQueue>> {
        self.get(ticket)?;
        Some(self.queues.remove(ticket.index as usize).1)
    }

    pub(super) fn wake(&self, ticket: Ticket) {
        if let Some(queue) = self.get(ticket) {
            wake_all_outside(queue, 0);
        }
    }

    /// Whether anybody waits with this ticket, and was not woken yet.
    pub(super) fn is_awaited(&self, ticket: Ticket) -> bool {
        self.get(ticket).is_some_and(|queue| has_waiter(queue))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queues.is_empty()
    }
}
