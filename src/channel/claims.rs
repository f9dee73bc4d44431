//! A channel as a case of a select: what is ready, and what is set apart for the one that wins.
use super::queue::{
    Chan, MAKES_IT_LATER, Partner, Refusal, Side, State, TAKES, WATCHES, takes_behind, token,
};
use crate::scheduler;
use crate::scheduler::wait::WaitQueue;
use crate::select::{Claim, Interest};

impl<T> Chan<T> {
    pub(super) fn can_recv(&self, patience: bool) -> bool {
        if self.len() > 0 || self.sender_count.get() == 0 {
            return true;
        }
        let patience = patience && self.is_rendezvous();
        self.may_meet_sender(&self.state.borrow())
            && match self.all_are_done() {
                true => scheduler::has_waiter(&self.senders),
                false => scheduler::has_such_waiter(&self.senders, |offer| {
                    offer < WATCHES || patience && offer == MAKES_IT_LATER
                }),
            }
    }

    /// Whether every parked sender has its message made.
    pub(super) fn all_are_done(&self) -> bool {
        !self.selected.get() && !self.watched.get()
    }

    /// Sets a message apart for the caller.
    pub(super) fn claim_message(&self, partner: Partner) -> Option<Claim> {
        let mut state = self.state.borrow_mut();
        if state.queued() > 0 {
            state.promised += 1;
            if state.queued() + state.reserved + 1 >= self.capacity {
                let _ = self.refill(&mut state);
            }
            return Some(Claim::Message);
        }
        if self.may_meet_sender(&state)
            && let Some(key) = self.meet_sender(partner)
        {
            let message = state.waiting.remove(key);
            state.queue.push_back(message);
            state.promised += 1;
            return Some(Claim::Message);
        }
        (self.sender_count.get() == 0).then_some(Claim::Disconnected)
    }

    /// Wakes the sender of a `select!` that makes its message for the caller, who then waits in
    /// the queue of the paired ones.
    pub(super) fn pair(&self) -> bool {
        let paired = self.commit_one();
        if paired {
            self.facts.note(0, self);
            self.paired.introduce(|| self.facts.object());
        }
        paired
    }

    /// Wakes a `select!` that waits to send here: it has won, and makes its message.
    fn commit_one(&self) -> bool {
        self.is_rendezvous()
            && self.selected.get()
            && scheduler::wake_first(&self.senders, token::PAIRED, |offer| {
                offer == MAKES_IT_LATER
            })
            .is_some()
    }

    pub(super) fn paired(&self) -> &WaitQueue {
        &self.paired
    }

    pub(super) fn can_send(&self) -> bool {
        self.receiver_count.get() == 0
            || self.has_room(&self.state.borrow())
            || self.is_rendezvous() && self.has_receiver(&self.state.borrow())
    }

    /// Whether a receiver is parked in this rendezvous that nobody makes a message for.
    fn has_receiver(&self, state: &State<T>) -> bool {
        scheduler::has_such_waiter(&self.receivers, takes_behind(state.reserved))
    }

    /// Keeps a place for the caller's message.
    pub(super) fn claim_room(&self) -> Option<Claim> {
        if self.receiver_count.get() == 0 {
            return Some(Claim::Disconnected);
        }
        let mut state = self.state.borrow_mut();
        if self.has_room(&state) {
            state.reserved += 1;
            return Some(Claim::Room);
        }
        let met = self.is_rendezvous() && self.has_receiver(&state);
        state.reserved += usize::from(met);
        met.then_some(Claim::Met)
    }

    /// What the wake of a `select!`'s sender brought.
    pub(super) fn accept_room(&self, token: usize) -> Option<Claim> {
        match token {
            token::TAKEN => Some(Claim::Room),
            token::PAIRED => Some(Claim::Paired),
            _ => self.claim_room(),
        }
    }

    pub(super) fn enlist_case(&self, side: Side, interest: Interest) -> (&WaitQueue, usize) {
        let watches = interest == Interest::Watch;
        match side {
            _ if watches => self.watched.set(true),
            Side::Senders => self.selected.set(true),
            Side::Receivers => {}
        }
        match side {
            Side::Receivers if watches => {
                // Whoever watches takes nothing, so the message of a `select!` must be made first.
                self.commit_one();
                (self.enlist_in_receivers(), WATCHES)
            }
            Side::Receivers => {
                self.show_receiver();
                (self.enlist_in_receivers(), TAKES)
            }
            Side::Senders if watches => (self.enlist_sender(), WATCHES),
            Side::Senders => {
                self.show_sender();
                (self.enlist_sender(), MAKES_IT_LATER)
            }
        }
    }

    /// Sends in fulfilment of a claim, unless the receiver has gone meanwhile.
    pub(super) fn send_claimed(
        &self,
        claim: Claim,
        message: &mut Option<T>,
    ) -> Result<(), Refusal> {
        let mut state = self.state.borrow_mut();
        if matches!(claim, Claim::Room | Claim::Met) {
            state.reserved -= 1;
        }
        if self.receiver_count.get() == 0 {
            return Err(Refusal::Disconnected);
        }
        let met = match claim {
            Claim::Paired => scheduler::wake_one(&self.paired, token::MESSAGE).is_some(),
            _ => false,
        };
        let behind = match claim {
            Claim::Met => 0,
            _ => self.spoken_for(&state),
        };
        if met || state.queued() == 0 && self.meet_receiver(behind) {
            state.promised += 1;
            state.push(message);
            // The place that was kept is free again.
            let _ = self.refill(&mut state);
            return Ok(());
        }
        if !self.has_room(&state) {
            return Err(Refusal::Full);
        }
        state.push(message);
        Ok(())
    }

    /// Gives back what was claimed and is not used.
    pub(super) fn release(&self, claim: Claim) {
        let mut state = self.state.borrow_mut();
        match claim {
            Claim::Room => {
                state.reserved -= 1;
                let _ = self.refill(&mut state);
            }
            Claim::Message => {
                state.promised -= 1;
                // A message that is made comes before one that is being made.
                if self.meet_receiver(0) {
                    state.promised += 1;
                } else if self.is_rendezvous() {
                    self.wake_watchers(&self.receivers);
                }
            }
            Claim::Paired => {
                scheduler::wake_one(&self.paired, token::LOOK);
                // It may have been for one who watches: there may be another.
                self.wake_watchers(&self.receivers);
            }
            Claim::Met => {
                state.reserved -= 1;
                self.offer_receiver(&mut state);
            }
            _ => {}
        }
    }

    /// Gives a parked receiver that nobody makes a message for any more to the first sender.
    fn offer_receiver(&self, state: &mut State<T>) {
        while self.has_receiver(state)
            && let Some(offer) = scheduler::first_offer(&self.senders)
        {
            if offer >= WATCHES {
                scheduler::wake_one(&self.senders, token::LOOK);
                if offer == MAKES_IT_LATER {
                    return;
                }
                continue;
            }
            scheduler::wake_one(&self.senders, token::TAKEN);
            let message = state.waiting.remove(offer);
            state.queue.push_back(message);
            if self.meet_receiver(state.reserved) {
                state.promised += 1;
            }
        }
    }
}
