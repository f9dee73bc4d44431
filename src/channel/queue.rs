//! The channel itself: messages, and who waits for whom. Nothing here parks.
//!
//! ```text
//!   queue   [ promised │ free for any receiver ] + reserved ≤ capacity + promised
//! ```
//!
//! A message that a parked receiver is woken for goes into the queue and is *promised*: one more
//! receiver will come for one of the messages, whichever is then the oldest, and they do not count
//! as queued. A place that a parked `select!` is woken for is *reserved*. So a value that was handed
//! over is never lost and never doubled, whatever order the woken tasks run in. The message of a
//! parked sender lies in `waiting`, and its key is what the sender offers.
//!
//! On a rendezvous channel (capacity 0) nothing is ever queued but what is promised. A `select!`
//! makes its message only when it has won, so a receiver that meets one wakes it and waits in
//! `paired` for the message. A `select!` that meets a parked receiver counts in `reserved`: so many
//! of the receivers, from the first, are spoken for, and others serve those behind them.
use super::builder::Prefer;
use super::error::TryRecvError;
use super::facts::Facts;
use crate::scheduler::wait::WaitQueue;
use crate::scheduler::{self, park};
use crate::task::drop_in_turn;
use slab::Slab;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::panic::Location;
use std::rc::Rc;

/// Offers of those who wait; every other number is the key of a parked sender's message.
pub(super) const MAKES_IT_LATER: usize = usize::MAX;
pub(super) const WATCHES: usize = usize::MAX - 1;
/// The offer of a parked receiver.
pub(super) const TAKES: usize = 0;

/// Words for those who are woken.
pub(super) mod token {
    /// To a receiver: a message is promised to it.
    pub(crate) const MESSAGE: usize = 0;
    /// To a sender: its message was taken, or a place is reserved for it.
    pub(crate) const TAKEN: usize = 1;
    /// To the sender of a `select!`: a receiver waits in `paired`.
    pub(crate) const PAIRED: usize = 2;
    /// To both: look again, the other side is gone.
    pub(crate) const LOOK: usize = 3;
}

/// Messages that there is room for in memory whatever is queued.
const KEPT: usize = 1024;

pub(super) struct Chan<T> {
    pub(super) state: RefCell<State<T>>,
    /// `usize::MAX` where there is no bound.
    pub(super) capacity: usize,
    pub(super) receivers: WaitQueue,
    pub(super) senders: WaitQueue,
    pub(super) paired: WaitQueue,
    /// Whether a select has ever waited to send: before, each parked sender has its message made.
    pub(super) selected: Cell<bool>,
    /// Whether anybody has ever waited here only to watch.
    pub(super) watched: Cell<bool>,
    pub(super) sender_count: Cell<usize>,
    pub(super) receiver_count: Cell<usize>,
    pub(super) prefer: Prefer,
    pub(super) facts: Facts,
}

pub(super) struct State<T> {
    pub(super) queue: VecDeque<T>,
    pub(super) promised: usize,
    pub(super) reserved: usize,
    pub(super) waiting: Slab<T>,
}

impl<T> Chan<T> {
    pub(super) fn new(
        capacity: usize,
        prefer: Prefer,
        name: Option<Rc<str>>,
        made_at: &'static Location<'static>,
    ) -> Self {
        Chan {
            state: RefCell::new(State {
                queue: VecDeque::new(),
                promised: 0,
                reserved: 0,
                waiting: Slab::new(),
            }),
            capacity,
            receivers: WaitQueue::new(),
            senders: WaitQueue::new(),
            paired: WaitQueue::new(),
            selected: Cell::new(false),
            watched: Cell::new(false),
            sender_count: Cell::new(1),
            receiver_count: Cell::new(1),
            prefer,
            facts: Facts::new(name, made_at),
        }
    }

    /// Where the channel was made: the place of what has none of its own.
    pub(super) fn made_at(&self) -> &'static Location<'static> {
        self.facts.made_at
    }

    pub(super) fn is_rendezvous(&self) -> bool {
        self.capacity == 0
    }

    #[inline(always)]
    pub(super) fn has_room(&self, state: &State<T>) -> bool {
        state.queued() + state.reserved < self.capacity
    }

    pub(super) fn len(&self) -> usize {
        self.state.borrow().queued()
    }

    // ── sending ──────────────────────────────────────────────────────────────────────────────

    /// Hands the message to a parked receiver, or queues it where there is room; else it is left
    /// where it is. Messages may be big, so they pass through as few hands as can be.
    #[inline(always)]
    pub(super) fn try_send(&self, message: &mut Option<T>) -> Result<Met, Refusal> {
        if self.receiver_count.get() == 0 {
            return Err(Refusal::Disconnected);
        }
        let mut state = self.state.borrow_mut();
        // Receivers are parked only while no message is free for them.
        let met = state.queued() == 0 && self.meet_receiver(self.spoken_for(&state));
        if met {
            state.promised += 1;
        } else if !self.has_room(&state) {
            return Err(Refusal::Full);
        }
        state.push(message);
        Ok(match met && self.prefer == Prefer::Receiver {
            true => Met::First,
            false => Met::Whoever,
        })
    }

    /// How many of the receivers that are parked in a rendezvous, from the first, have a `select!`
    /// that makes a message.
    #[inline(always)]
    pub(super) fn spoken_for(&self, state: &State<T>) -> usize {
        match self.is_rendezvous() {
            true => state.reserved,
            false => 0,
        }
    }

    /// Wakes the first parked receiver behind so many others for a message that the caller is
    /// about to promise.
    #[inline(always)]
    pub(super) fn meet_receiver(&self, behind: usize) -> bool {
        if !self.receivers.was_used() {
            return false;
        }
        self.meet_parked_receiver(behind)
    }

    #[inline(never)]
    fn meet_parked_receiver(&self, behind: usize) -> bool {
        if !self.watched.get() && behind == 0 {
            return scheduler::wake_one(&self.receivers, token::MESSAGE).is_some();
        }
        if self.is_rendezvous() {
            let wanted = takes_behind(behind);
            return scheduler::wake_first(&self.receivers, token::MESSAGE, wanted).is_some();
        }
        // The message can be had by those who only watch, too.
        loop {
            match scheduler::wake_one(&self.receivers, token::MESSAGE) {
                Some(WATCHES) => {}
                woken => return woken.is_some(),
            }
        }
    }

    /// Where a sender waits whose message does not find room; gives the key of the message.
    pub(super) fn enlist_message(&self, message: &mut Option<T>) -> (&WaitQueue, usize) {
        let message = message.take().expect("a sender parks with its message");
        let key = self.state.borrow_mut().waiting.insert(message);
        self.show_sender();
        (self.enlist_sender(), key)
    }

    /// The message of a sender that is not parked any more.
    pub(super) fn withdraw(&self, key: usize) -> T {
        self.state.borrow_mut().waiting.remove(key)
    }

    /// Where a sender waits.
    pub(super) fn enlist_sender(&self) -> &WaitQueue {
        let queued = self.len();
        self.facts.note(queued, self);
        self.senders.introduce(|| self.facts.object());
        &self.senders
    }

    /// A sender waits to be taken from: those may try who watch for one.
    #[inline(always)]
    pub(super) fn show_sender(&self) {
        if self.is_rendezvous() {
            self.wake_watchers(&self.receivers);
        }
    }

    /// A receiver waits to be given to.
    #[inline(always)]
    pub(super) fn show_receiver(&self) {
        if self.is_rendezvous() {
            self.wake_watchers(&self.senders);
        }
    }

    // ── receiving ────────────────────────────────────────────────────────────────────────────

    /// Takes the oldest message, or that of a parked sender.
    #[inline(always)]
    pub(super) fn try_recv(
        &self,
        partner: Partner,
        message: &mut Option<T>,
    ) -> Result<Met, TryRecvError> {
        let mut state = self.state.borrow_mut();
        if state.queued() > 0 {
            state.give_back_memory();
            *message = state.queue.pop_front();
            let mut met = Met::Whoever;
            // Senders are parked only while there is no room.
            if state.queued() + state.reserved + 1 >= self.capacity {
                met = self.refill(&mut state);
            }
            return Ok(met);
        }
        if self.may_meet_sender(&state)
            && let Some(key) = self.meet_sender(partner)
        {
            let made = state.waiting.remove(key);
            *message = Some(state.exchange(made));
            return Ok(self.prefers_sender());
        }
        Err(match self.sender_count.get() {
            0 => TryRecvError::Disconnected,
            _ => TryRecvError::Empty,
        })
    }

    fn prefers_sender(&self) -> Met {
        match self.prefer {
            Prefer::Sender => Met::First,
            _ => Met::Whoever,
        }
    }

    /// Whether a sender may be parked with its message though none is queued: on a rendezvous
    /// channel, and where every place is kept for the message of a `select!`.
    #[inline(always)]
    pub(super) fn may_meet_sender(&self, state: &State<T>) -> bool {
        self.is_rendezvous() || state.reserved > 0
    }

    /// Wakes a parked sender whose message is made; gives its key.
    #[inline(never)]
    pub(super) fn meet_sender(&self, partner: Partner) -> Option<usize> {
        if self.all_are_done() {
            return scheduler::wake_one(&self.senders, token::TAKEN);
        }
        let waits = partner == Partner::Any && self.is_rendezvous();
        let later = Cell::new(false);
        scheduler::wake_first(&self.senders, token::TAKEN, |offer| {
            // First in, first out: nobody overtakes a `select!`, where that may be waited for.
            later.set(later.get() || offer == MAKES_IT_LATER && waits);
            offer < WATCHES && !later.get()
        })
    }

    /// Gives free room to parked senders.
    #[inline(never)]
    pub(super) fn refill(&self, state: &mut State<T>) -> Met {
        let mut met = Met::Whoever;
        while self.has_room(state)
            && let Some(offer) = scheduler::wake_one(&self.senders, token::TAKEN)
        {
            match offer {
                WATCHES => continue,
                MAKES_IT_LATER => state.reserved += 1,
                key => {
                    let message = state.waiting.remove(key);
                    state.queue.push_back(message);
                }
            }
            met = self.prefers_sender();
        }
        met
    }

    /// The message that a woken receiver was promised.
    #[inline(always)]
    pub(super) fn take_promised(&self) -> Option<T> {
        let mut state = self.state.borrow_mut();
        state.promised -= 1;
        state.give_back_memory();
        state.queue.pop_front()
    }

    /// Where a receiver waits. A `select!` that waits to send is told to make its message.
    pub(super) fn enlist_receiver(&self) -> &WaitQueue {
        match self.pair() {
            true => &self.paired,
            false => {
                self.show_receiver();
                self.enlist_in_receivers()
            }
        }
    }

    pub(super) fn enlist_in_receivers(&self) -> &WaitQueue {
        self.facts.note(0, self);
        self.receivers.introduce(|| self.facts.object());
        &self.receivers
    }

    #[inline(always)]
    pub(super) fn wake_watchers(&self, queue: &WaitQueue) {
        if self.watched.get() {
            self.wake_each_watcher(queue);
        }
    }

    #[cold]
    fn wake_each_watcher(&self, queue: &WaitQueue) {
        while scheduler::wake_first(queue, token::LOOK, |offer| offer == WATCHES).is_some() {}
    }

    // ── the ends ─────────────────────────────────────────────────────────────────────────────

    pub(super) fn add(&self, side: Side) {
        let count = self.count(side);
        count.set(
            count
                .get()
                .checked_add(1)
                .expect("fewer handles than bytes"),
        );
        self.facts.recount(self);
    }

    /// Tells this side of this channel from everything else.
    pub(super) fn address(&self, side: Side) -> *const () {
        std::ptr::from_ref(self.count(side)).cast()
    }

    fn count(&self, side: Side) -> &Cell<usize> {
        match side {
            Side::Senders => &self.sender_count,
            Side::Receivers => &self.receiver_count,
        }
    }

    /// A handle is dropped; the last of its side disconnects the channel.
    pub(super) fn remove(&self, side: Side) {
        let count = self.count(side);
        count.set(count.get() - 1);
        self.facts.recount(self);
        if count.get() > 0 {
            return;
        }
        match side {
            Side::Senders => {
                scheduler::wake_all(&self.receivers, token::LOOK);
                scheduler::wake_all(&self.paired, token::LOOK);
            }
            Side::Receivers => {
                scheduler::wake_all(&self.senders, token::LOOK);
                self.discard();
            }
        }
    }

    /// Drops what nobody will receive.
    fn discard(&self) {
        let mut state = self.state.borrow_mut();
        // A promise that outlived every receiver was forgotten.
        state.promised = 0;
        let queue = std::mem::take(&mut state.queue);
        drop(state);
        drop_in_turn(queue);
    }
}

impl<T> State<T> {
    /// Messages that are free for any receiver.
    #[inline(always)]
    pub(super) fn queued(&self) -> usize {
        self.queue.len() - self.promised
    }

    /// The oldest message, of those that are promised and one more. Those who were promised one
    /// take what is left, or give it back.
    #[inline(always)]
    pub(super) fn exchange(&mut self, message: T) -> T {
        if self.queue.is_empty() {
            return message;
        }
        self.queue.push_back(message);
        self.pop()
    }

    /// A burst of messages is not paid for as long as the channel lives.
    #[inline(always)]
    fn give_back_memory(&mut self) {
        let capacity = self.queue.capacity();
        if capacity > KEPT && self.queue.len() < capacity / 8 {
            self.shrink();
        }
    }

    #[cold]
    #[inline(never)]
    fn shrink(&mut self) {
        self.queue.shrink_to(self.queue.capacity() / 2);
    }

    #[inline(always)]
    pub(super) fn push(&mut self, message: &mut Option<T>) {
        let message = message.take().expect("what is sent is there");
        self.queue.push_back(message);
    }

    #[inline(always)]
    pub(super) fn pop(&mut self) -> T {
        self.queue
            .pop_front()
            .expect("every promised message is in the queue")
    }
}

/// Why a message was not taken.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    Full,
    Disconnected,
}

/// Whether an offer is that of a receiver behind so many others.
pub(super) fn takes_behind(others: usize) -> impl Fn(usize) -> bool {
    let left = Cell::new(others);
    move |offer| {
        let takes = offer == TAKES;
        let counted = takes && left.get() > 0;
        left.set(left.get() - usize::from(counted));
        takes && !counted
    }
}

/// The two ends of a channel.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Senders,
    Receivers,
}

/// Which senders a receiver may meet on a rendezvous channel.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Partner {
    /// The first, whoever it is: it may have to be waited for.
    Any,
    /// One whose message is made.
    Done,
}

/// Who goes on after two have met.
#[derive(Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(super) enum Met {
    /// The caller, as after any call.
    Whoever,
    /// The woken one.
    First,
}

impl Met {
    /// Lets the other go first where the channel prefers it. The message has changed hands, so no
    /// kill is raised.
    #[inline(always)]
    pub(super) fn go_on(self) {
        if self == Met::First {
            park::let_go_first();
        }
    }
}
