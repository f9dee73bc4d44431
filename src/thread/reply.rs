//! Where what an OS thread does for another one is put, and who waits for it.
use super::sleeper::Sleeper;
use std::sync::{Mutex, MutexGuard, PoisonError};

pub(super) struct Reply<R>(Mutex<Slot<R>>);

enum Slot<R> {
    Awaited(Option<Sleeper>),
    Given(R),
    Taken,
}

impl<R> Reply<R> {
    pub(super) fn new() -> Self {
        Reply(Mutex::new(Slot::Awaited(None)))
    }

    fn slot(&self) -> MutexGuard<'_, Slot<R>> {
        // Nothing panics while it is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says who is to be woken. Before anybody could give it.
    pub(super) fn await_by(&self, sleeper: Sleeper) {
        *self.slot() = Slot::Awaited(Some(sleeper));
    }

    pub(super) fn take(&self) -> Option<R> {
        let mut slot = self.slot();
        match std::mem::replace(&mut *slot, Slot::Taken) {
            Slot::Given(reply) => Some(reply),
            other => {
                *slot = other;
                None
            }
        }
    }

    /// The first one is the one that counts.
    pub(super) fn give(&self, reply: R) {
        let mut slot = self.slot();
        if let Slot::Awaited(sleeper) = &mut *slot {
            let sleeper = sleeper.take();
            *slot = Slot::Given(reply);
            drop(slot);
            if let Some(sleeper) = sleeper {
                sleeper.wake();
            }
        }
    }
}
