//! The broadcast itself: messages, who has still to take them, who waits. Nothing here parks, and
//! nothing of a user's runs while the state is borrowed.
//!
//! ```text
//!            oldest                      newest
//!   queue     m7 ×1    m8 ×1    m9 ×3    m10 ×3      ×n: n receivers have still to take it
//!              ▲                 ▲ two receivers take this one next
//!              └ the slowest takes this one next, and the place is free then
//! ```
//!
//! A message that a parked receiver is woken for is *promised*: it stays where it is, and the woken
//! one will take the oldest that is left for its receiver. A place that a parked `select!` is woken
//! for is *reserved*. The message of a parked sender lies in `waiting`, and its key is what the
//! sender offers; a parked receiver offers the key of its reader.
use super::facts::Facts;
use crate::channel::error::{RecvError, TrySendError};
use crate::scheduler::object::Object;
use crate::scheduler::wait::WaitQueue;
use crate::scheduler::{wake_all, wake_first, wake_one};
use crate::select::Claim;
use crate::task::drop_in_turn;
use slab::Slab;
use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::panic::Location;
use std::rc::{Rc, Weak};

/// The offer of a sender that makes its message when a `select!` has chosen it.
pub(super) const MAKES_IT_LATER: usize = usize::MAX;

/// Words for those who are woken.
pub(super) mod token {
    /// To a receiver: a message is promised to it.
    pub(crate) const MESSAGE: usize = 0;
    /// To a sender: its message was queued, or a place is reserved for it.
    pub(crate) const TAKEN: usize = 1;
    /// To both: look again, the other side is gone.
    pub(crate) const LOOK: usize = 2;
}

pub(super) struct Hub<T> {
    state: RefCell<State<T>>,
    pub(super) capacity: usize,
    receivers: WaitQueue,
    senders: WaitQueue,
    facts: Rc<Facts>,
}

struct State<T> {
    /// No message that everybody has taken.
    queue: VecDeque<Entry<T>>,
    /// The number of the first in the queue. They are numbered in the order of sending.
    oldest: u64,
    reserved: usize,
    readers: Slab<Reader<T>>,
    waiting: Slab<T>,
}

struct Entry<T> {
    message: Rc<T>,
    /// Receivers that have still to take it: those of an older message and perhaps more.
    unread: usize,
}

/// What there is of a receiver.
struct Reader<T> {
    /// The number of the message that it takes next.
    next: u64,
    /// What it took and could not keep, by number; to be taken first.
    returned: BTreeMap<u64, Rc<T>>,
    promised: usize,
}

/// A message that one receiver has taken, and shares with those who have not.
pub(super) struct Taken<T> {
    pub(super) number: u64,
    pub(super) message: Rc<T>,
}

impl<T> Hub<T> {
    /// One with a single sender and no receiver.
    pub(super) fn new(capacity: usize, made_at: &'static Location<'static>) -> Self {
        Hub {
            state: RefCell::new(State {
                queue: VecDeque::new(),
                oldest: 0,
                reserved: 0,
                readers: Slab::new(),
                waiting: Slab::new(),
            }),
            capacity,
            receivers: WaitQueue::new(),
            senders: WaitQueue::new(),
            facts: Rc::new(Facts::new(capacity, made_at)),
        }
    }

    /// Messages that somebody has still to take.
    pub(super) fn len(&self) -> usize {
        self.state.borrow().queue.len()
    }

    fn has_room(&self, state: &State<T>) -> bool {
        state.queue.len() + state.reserved < self.capacity
    }

    // ── sending ──────────────────────────────────────────────────────────────────────────────

    pub(super) fn try_send(&self, message: T) -> Result<(), TrySendError<T>> {
        let mut state = self.state.borrow_mut();
        if state.readers.is_empty() {
            return Err(TrySendError::Disconnected(message));
        }
        if !self.has_room(&state) {
            return Err(TrySendError::Full(message));
        }
        self.push(&mut state, message);
        Ok(())
    }

    /// Queues a message for every receiver there is.
    fn push(&self, state: &mut State<T>, message: T) {
        state.queue.push_back(Entry {
            message: Rc::new(message),
            unread: state.readers.len(),
        });
        self.facts.queued.set(state.queue.len());
        self.wake_receivers(state);
    }

    /// Wakes a parked task for each message that is free for its receiver.
    fn wake_receivers(&self, state: &mut State<T>) {
        while let Some(reader) = wake_first(&self.receivers, token::MESSAGE, |reader| {
            state.free(reader) > 0
        }) {
            state.readers[reader].promised += 1;
        }
    }

    /// Gives free room to parked senders.
    fn refill(&self, state: &mut State<T>) {
        // Senders are parked only while there is no room.
        while self.has_room(state)
            && let Some(offer) = wake_one(&self.senders, token::TAKEN)
        {
            match offer {
                MAKES_IT_LATER => state.reserved += 1,
                key => {
                    let message = state.waiting.remove(key);
                    self.push(state, message);
                }
            }
        }
    }

    /// Where a sender waits whose message does not find room; gives the key of the message.
    pub(super) fn enlist_message(&self, message: T) -> (&WaitQueue, usize) {
        let key = self.state.borrow_mut().waiting.insert(message);
        (self.enlist_sender(), key)
    }

    /// The message of a sender that is not parked any more.
    pub(super) fn withdraw(&self, key: usize) -> T {
        self.state.borrow_mut().waiting.remove(key)
    }

    /// Where a sender waits.
    pub(super) fn enlist_sender(&self) -> &WaitQueue {
        self.senders.introduce(|| self.object());
        &self.senders
    }

    fn object(&self) -> Weak<dyn Object> {
        let object: Weak<dyn Object> = Rc::<Facts>::downgrade(&self.facts);
        object
    }

    // ── sending by a select ──────────────────────────────────────────────────────────────────

    pub(super) fn can_send(&self) -> bool {
        let state = self.state.borrow();
        state.readers.is_empty() || self.has_room(&state)
    }

    /// Keeps a place for the caller's message.
    pub(super) fn claim_room(&self) -> Option<Claim> {
        let mut state = self.state.borrow_mut();
        if state.readers.is_empty() {
            return Some(Claim::Disconnected);
        }
        self.has_room(&state).then(|| {
            state.reserved += 1;
            Claim::Room
        })
    }

    /// Gives back a place that is not used.
    pub(super) fn release_room(&self) {
        let mut state = self.state.borrow_mut();
        state.reserved -= 1;
        self.refill(&mut state);
    }

    /// Sends to the place that was kept; gives the message back if every receiver has gone.
    pub(super) fn send_reserved(&self, message: T) -> Result<(), T> {
        let mut state = self.state.borrow_mut();
        state.reserved -= 1;
        if state.readers.is_empty() {
            return Err(message);
        }
        self.push(&mut state, message);
        Ok(())
    }

    // ── receiving ────────────────────────────────────────────────────────────────────────────

    /// How many messages a task that uses this reader could take.
    pub(super) fn unread(&self, reader: usize) -> usize {
        self.state.borrow().free(reader)
    }

    pub(super) fn can_recv(&self, reader: usize) -> bool {
        self.unread(reader) > 0 || self.facts.senders.get() == 0
    }

    /// Promises a message to the caller.
    pub(super) fn claim_message(&self, reader: usize) -> Option<Claim> {
        let mut state = self.state.borrow_mut();
        if state.free(reader) > 0 {
            state.readers[reader].promised += 1;
            return Some(Claim::Message);
        }
        (self.facts.senders.get() == 0).then_some(Claim::Disconnected)
    }

    /// Takes the message that was promised to the caller.
    pub(super) fn take_promised(&self, reader: usize) -> Taken<T> {
        let mut state = self.state.borrow_mut();
        state.readers[reader].promised -= 1;
        let taken = state.take(reader);
        self.facts.queued.set(state.queue.len());
        self.refill(&mut state);
        taken
    }

    /// What a claim brings.
    pub(super) fn complete(&self, reader: usize, claim: Claim) -> Result<Taken<T>, RecvError> {
        match claim {
            Claim::Message => Ok(self.take_promised(reader)),
            _ => Err(RecvError),
        }
    }

    /// Breaks a promise that the caller does not need.
    pub(super) fn release_message(&self, reader: usize) {
        let mut state = self.state.borrow_mut();
        state.readers[reader].promised -= 1;
        self.wake_receivers(&mut state);
    }

    /// Takes back what a receiver could not keep. Its place in the queue may be gone.
    pub(super) fn give_back(&self, reader: usize, taken: Taken<T>) {
        let mut state = self.state.borrow_mut();
        let returned = &mut state.readers[reader].returned;
        returned.insert(taken.number, taken.message);
        self.wake_receivers(&mut state);
    }

    /// Where a receiver waits.
    pub(super) fn enlist_receiver(&self) -> &WaitQueue {
        self.receivers.introduce(|| self.object());
        &self.receivers
    }

    // ── the ends ─────────────────────────────────────────────────────────────────────────────

    pub(super) fn add_sender(&self) {
        self.facts.senders.set(self.facts.senders.get() + 1);
    }

    pub(super) fn remove_sender(&self) {
        self.facts.senders.set(self.facts.senders.get() - 1);
        if self.facts.senders.get() == 0 {
            wake_all(&self.receivers, token::LOOK);
        }
    }

    pub(super) fn receiver_count(&self) -> usize {
        self.facts.receivers.get()
    }

    /// Adds a reader of all that is sent from now on.
    pub(super) fn subscribe(&self) -> usize {
        let mut state = self.state.borrow_mut();
        let next = state.end();
        self.add_reader(&mut state, next, BTreeMap::new())
    }

    /// Adds a reader of all that `other` has still to take.
    pub(super) fn subscribe_as(&self, other: usize) -> usize {
        let mut state = self.state.borrow_mut();
        let Reader { next, returned, .. } = &state.readers[other];
        let (next, returned) = (*next, returned.clone());
        state.rest(next).for_each(|entry| entry.unread += 1);
        self.add_reader(&mut state, next, returned)
    }

    fn add_reader(&self, state: &mut State<T>, next: u64, returned: BTreeMap<u64, Rc<T>>) -> usize {
        let reader = state.readers.insert(Reader {
            next,
            returned,
            promised: 0,
        });
        self.facts.receivers.set(state.readers.len());
        reader
    }

    /// Removes a reader, and drops what it alone had still to take.
    pub(super) fn unsubscribe(&self, reader: usize) {
        let mut state = self.state.borrow_mut();
        let Reader { next, returned, .. } = state.readers.remove(reader);
        state.rest(next).for_each(|entry| entry.unread -= 1);
        let mut unwanted: VecDeque<_> = returned.into_values().collect();
        while state.queue.front().is_some_and(|entry| entry.unread == 0) {
            unwanted.push_back(state.pop());
        }
        self.facts.queued.set(state.queue.len());
        self.facts.receivers.set(state.readers.len());
        match state.readers.is_empty() {
            true => wake_all(&self.senders, token::LOOK),
            false => self.refill(&mut state),
        }
        drop(state);
        drop_in_turn(unwanted);
    }
}

impl<T> State<T> {
    /// The number of the message that is sent next.
    fn end(&self) -> u64 {
        self.oldest + self.queue.len() as u64
    }

    /// How many messages are left for the receiver and promised to nobody.
    fn free(&self, reader: usize) -> usize {
        let reader = &self.readers[reader];
        (self.end() - reader.next) as usize + reader.returned.len() - reader.promised
    }

    /// The messages in the queue from this number on.
    fn rest(&mut self, from: u64) -> impl Iterator<Item = &mut Entry<T>> {
        let start = (from - self.oldest) as usize;
        self.queue.range_mut(start..)
    }

    /// Takes the oldest message that is left for the receiver.
    fn take(&mut self, reader: usize) -> Taken<T> {
        let reader = &mut self.readers[reader];
        if let Some((number, message)) = reader.returned.pop_first() {
            return Taken { number, message };
        }
        let number = reader.next;
        reader.next += 1;
        let entry = &mut self.queue[(number - self.oldest) as usize];
        entry.unread -= 1;
        let message = match entry.unread {
            // Whoever takes it last has taken all that are older.
            0 => self.pop(),
            _ => entry.message.clone(),
        };
        Taken { number, message }
    }

    fn pop(&mut self) -> Rc<T> {
        self.oldest += 1;
        let entry = self.queue.pop_front();
        entry.expect("what is taken is in the queue").message
    }
}
