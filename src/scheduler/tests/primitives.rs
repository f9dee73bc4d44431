//! A channel, a mutex and a semaphore for the simulator, made of the wait queue and `block_on` as
//! the crate's own are, with what the invariants need to know.
use crate::scheduler::park;
use crate::scheduler::wait::{Wait, WaitQueue, What, Woken};
use crate::scheduler::with_kernel;
use crate::select::{Case, block_on};
use slab::Slab;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::panic::Location;

#[track_caller]
fn wait() -> Wait {
    Wait {
        what: What::Scope,
        at: Location::caller(),
    }
}

fn wake_one(queue: &WaitQueue) -> Option<usize> {
    with_kernel(|kernel| kernel.wake_one(queue, 0))
}

// ── channel ──────────────────────────────────────────────────────────────────────────────────

/// A bounded queue, a rendezvous where the capacity is 0. Whoever waits offers a slot: a sender
/// one that holds its value, a receiver an empty one.
pub(super) struct Channel<T> {
    capacity: usize,
    values: RefCell<VecDeque<T>>,
    slots: RefCell<Slab<Option<T>>>,
    senders: WaitQueue,
    receivers: WaitQueue,
}

impl<T> Channel<T> {
    pub(super) fn new(capacity: usize) -> Self {
        Channel {
            capacity,
            values: RefCell::default(),
            slots: RefCell::default(),
            senders: WaitQueue::new(),
            receivers: WaitQueue::new(),
        }
    }

    /// The value comes back when `deadline` came first.
    pub(super) fn send(&self, value: T, deadline: Option<u64>) -> Result<(), T> {
        let mut sending = Sending {
            channel: self,
            value: Some(value),
            slot: None,
        };
        match block_on(&mut sending, deadline, wait()) {
            Some(()) => Ok(()),
            None => Err(sending
                .withdraw()
                .expect("nobody took it before the deadline")),
        }
    }

    pub(super) fn recv(&self, deadline: Option<u64>) -> Option<T> {
        let receiving = Receiving {
            channel: self,
            slot: None,
        };
        block_on(receiving, deadline, wait())
    }

    pub(super) fn try_recv(&self) -> Option<T> {
        let value = self.values.borrow_mut().pop_front();
        let sender = wake_one(&self.senders);
        let sent = sender.map(|slot| {
            let value = self.slots.borrow_mut()[slot].take();
            value.expect("a sender that waits offers its value")
        });
        match (value, sent) {
            (Some(value), Some(sent)) => {
                self.values.borrow_mut().push_back(sent);
                Some(value)
            }
            (value, sent) => value.or(sent),
        }
    }

    /// Nobody waits, and no slot is left behind.
    pub(super) fn is_clean(&self) -> bool {
        let waits = |queue| with_kernel(|kernel| kernel.has_waiter(queue));
        !waits(&self.senders) && !waits(&self.receivers) && self.slots.borrow().is_empty()
    }
}

struct Sending<'a, T> {
    channel: &'a Channel<T>,
    value: Option<T>,
    slot: Option<usize>,
}

impl<T> Sending<'_, T> {
    fn withdraw(&mut self) -> Option<T> {
        let slot = self.slot.take()?;
        self.channel.slots.borrow_mut().remove(slot)
    }
}

impl<T> Case for &mut Sending<'_, T> {
    type Output = ();

    fn try_now(&mut self) -> Option<()> {
        let channel = self.channel;
        if let Some(slot) = wake_one(&channel.receivers) {
            let before =
                std::mem::replace(&mut channel.slots.borrow_mut()[slot], self.value.take());
            assert!(before.is_none(), "a receiver was handed two values");
            return Some(());
        }
        if channel.values.borrow().len() < channel.capacity {
            let value = self.value.take().expect("it was not sent yet");
            channel.values.borrow_mut().push_back(value);
            return Some(());
        }
        None
    }

    fn enlist(&mut self) -> (&WaitQueue, usize) {
        let value = self.value.take();
        let slot = self.channel.slots.borrow_mut().insert(value);
        self.slot = Some(slot);
        (&self.channel.senders, slot)
    }

    fn accept(&mut self, _: usize) -> Option<()> {
        assert!(
            self.withdraw().is_none(),
            "a sender was woken with its value left"
        );
        Some(())
    }
}

impl<T> Drop for Sending<'_, T> {
    fn drop(&mut self) {
        drop(self.withdraw());
    }
}

struct Receiving<'a, T> {
    channel: &'a Channel<T>,
    slot: Option<usize>,
}

impl<T> Case for Receiving<'_, T> {
    type Output = T;

    fn try_now(&mut self) -> Option<T> {
        self.channel.try_recv()
    }

    fn enlist(&mut self) -> (&WaitQueue, usize) {
        let slot = self.channel.slots.borrow_mut().insert(None);
        self.slot = Some(slot);
        (&self.channel.receivers, slot)
    }

    fn accept(&mut self, _: usize) -> Option<T> {
        let slot = self.slot.take().expect("it was enlisted");
        let value = self.channel.slots.borrow_mut().remove(slot);
        Some(value.expect("a receiver is woken with a value"))
    }
}

impl<T> Drop for Receiving<'_, T> {
    fn drop(&mut self) {
        if let Some(slot) = self.slot {
            let value = self.channel.slots.borrow_mut().remove(slot);
            assert!(
                value.is_none(),
                "a value was handed to somebody who did not take it"
            );
        }
    }
}

/// Receives from whichever has a value first, parked on both.
pub(super) fn recv_either<T>(
    channels: [&Channel<T>; 2],
    deadline: Option<u64>,
) -> Option<(usize, T)> {
    let wait = wait();
    park::enter(wait);
    for (index, channel) in channels.iter().enumerate() {
        if let Some(value) = channel.try_recv() {
            return Some((index, value));
        }
    }
    let mut cases = channels.map(|channel| Receiving {
        channel,
        slot: None,
    });
    let [first, second] = &mut cases;
    match park::park(&[first.enlist(), second.enlist()], deadline, wait) {
        Woken::Ready { case, token } => {
            let index = case as usize;
            cases[index].accept(token).map(|value| (index, value))
        }
        Woken::TimedOut => None,
        Woken::Killed | Woken::Interrupted => unreachable!("such a park does not return"),
    }
}

// ── mutex and semaphore ──────────────────────────────────────────────────────────────────────

/// Permits, handed over first in, first out; with one permit it is a mutex.
pub(super) struct Semaphore {
    permits: Cell<usize>,
    waiters: WaitQueue,
    /// Tickets are given out in the order of coming, from 1.
    issued: Cell<usize>,
    /// The latest that was handed a permit.
    served: Cell<usize>,
}

impl Semaphore {
    pub(super) fn new(permits: usize) -> Self {
        Semaphore {
            permits: Cell::new(permits),
            waiters: WaitQueue::new(),
            issued: Cell::new(0),
            served: Cell::new(0),
        }
    }

    /// `None` when `deadline` came first.
    pub(super) fn acquire(&self, deadline: Option<u64>) -> Option<Permit<'_>> {
        block_on(Acquiring(self), deadline, wait()).map(|()| Permit(self))
    }

    pub(super) fn permits(&self) -> usize {
        self.permits.get()
    }
}

pub(super) struct Permit<'a>(&'a Semaphore);

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        let semaphore = self.0;
        match wake_one(&semaphore.waiters) {
            Some(ticket) => {
                // Those in between were killed or came to their deadline; nobody was overtaken.
                assert!(ticket > semaphore.served.get(), "a permit jumped the line");
                semaphore.served.set(ticket);
            }
            None => semaphore.permits.set(semaphore.permits.get() + 1),
        }
    }
}

struct Acquiring<'a>(&'a Semaphore);

impl Case for Acquiring<'_> {
    type Output = ();

    fn try_now(&mut self) -> Option<()> {
        let left = self.0.permits.get().checked_sub(1)?;
        self.0.permits.set(left);
        Some(())
    }

    fn enlist(&mut self) -> (&WaitQueue, usize) {
        let ticket = self.0.issued.get() + 1;
        self.0.issued.set(ticket);
        (&self.0.waiters, ticket)
    }

    fn accept(&mut self, _: usize) -> Option<()> {
        Some(())
    }
}
