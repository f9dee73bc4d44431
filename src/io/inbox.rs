//! Messages from other OS threads: the only part of a scheduler that they touch.
//!
//! ```text
//!   other OS thread: Address::post ──► letters ──► Reactor::wait takes them ──► wakes, spawns
//!                        └── the first one since ──► mio's waker ──► ends the sleep
//! ```
//!
//! A run has an inbox from the day it first needs one; with the run it is closed for good, so that
//! a late letter never reaches another run.
use super::reactor;
use super::waits::Ticket;
use crate::scheduler::driver::Prospect;
use slab::Slab;
use std::mem;
use std::panic::Location;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// A message to a scheduler.
pub(crate) enum Letter {
    /// Wakes whoever waits with this ticket; one that waits no more is not found.
    Wake(Ticket),
    /// Starts a task.
    Spawn(Call, &'static Location<'static>),
}

/// What a task is to run.
pub(crate) type Call = Box<dyn FnOnce() + Send>;

/// Where other OS threads reach one run of a scheduler.
#[derive(Clone)]
pub(crate) struct Address(Arc<Inbox>);

struct Inbox {
    /// `None`: the run is over.
    letters: Mutex<Option<Vec<Letter>>>,
    /// Whether there are letters: what is asked without the lock.
    filled: AtomicBool,
    waker: Arc<mio::Waker>,
    /// OS threads that work for the run.
    at_work: AtomicUsize,
    /// Those who may call in at any time.
    callers: AtomicUsize,
    /// Whom to tell of the end of the run; `None` when it is over.
    followers: Mutex<Option<Slab<Weak<dyn Follower>>>>,
}

impl Address {
    pub(super) fn new(waker: Arc<mio::Waker>) -> Self {
        Address(Arc::new(Inbox {
            letters: Mutex::new(Some(Vec::new())),
            filled: AtomicBool::new(false),
            waker,
            at_work: AtomicUsize::new(0),
            callers: AtomicUsize::new(0),
            followers: Mutex::new(Some(Slab::new())),
        }))
    }

    fn letters(&self) -> MutexGuard<'_, Option<Vec<Letter>>> {
        // Nothing panics while it is held.
        let letters = self.0.letters.lock();
        letters.unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a letter into the inbox, and ends the scheduler's sleep.
    ///
    /// # Errors
    ///
    /// Gives the letter back if the run is over.
    pub(crate) fn post(&self, letter: Letter) -> Result<(), Letter> {
        self.post_and(letter, || ())
    }

    /// The same; `also` happens before the letter can be taken, and not before the run can see that
    /// there is one.
    #[inline]
    fn post_and(&self, letter: Letter, also: impl FnOnce()) -> Result<(), Letter> {
        let mut letters = self.letters();
        let Some(queue) = &mut *letters else {
            also();
            return Err(letter);
        };
        let first = queue.is_empty();
        queue.push(letter);
        self.0.filled.store(true, Ordering::Release);
        also();
        drop(letters);
        if first {
            self.ring();
        }
        Ok(())
    }

    /// Wakes whoever waits with `ticket`, if the run is not over: at once in its own OS thread.
    pub(crate) fn wake(&self, ticket: Ticket) {
        if reactor::with_waits_of(self, |waits| waits.wake(ticket)).is_none() {
            self.wake_later(ticket);
        }
    }

    /// The same, by letter: it finds also somebody who is only about to wait.
    pub(crate) fn wake_later(&self, ticket: Ticket) {
        let _ = self.post(Letter::Wake(ticket));
    }

    /// Whether nobody waits with `ticket` any more, as far as this OS thread can know.
    pub(crate) fn has_lost(&self, ticket: Ticket) -> bool {
        match reactor::with_waits_of(self, |waits| waits.is_awaited(ticket)) {
            Some(is_awaited) => !is_awaited,
            None => self.is_closed(),
        }
    }

    /// Ends the scheduler's sleep, so that it looks how things stand.
    fn ring(&self) {
        // It fails only when the counter of the waker is full, and then the sleep ends anyway.
        let _ = self.0.waker.wake();
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.letters().is_none()
    }

    /// Whether both reach the same run.
    pub(crate) fn is(&self, other: &Address) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Says that an OS thread works for the run while the token lives.
    pub(crate) fn work(&self) -> AtWork {
        self.0.at_work.fetch_add(1, Ordering::Relaxed);
        AtWork {
            address: self.clone(),
            counts: true,
        }
    }

    /// Says that somebody may call in while the token lives.
    pub(crate) fn caller(&self) -> Caller {
        self.0.callers.fetch_add(1, Ordering::Relaxed);
        Caller(self.clone())
    }

    /// What may still come. The last thing that somebody does who works for the run, or may call
    /// in, is to post a letter, so that letters are looked for after them.
    pub(super) fn prospect(&self) -> Prospect {
        let inbox = &self.0;
        let works = inbox.at_work.load(Ordering::Acquire) > 0;
        let calls = inbox.callers.load(Ordering::Acquire) > 0;
        match works || inbox.filled.load(Ordering::Acquire) {
            true => Prospect::Work,
            false if calls => Prospect::Calls,
            false => Prospect::Nothing,
        }
    }

    /// Takes the letters that have come.
    #[inline]
    pub(super) fn take(&self) -> Vec<Letter> {
        match self.0.filled.load(Ordering::Acquire) {
            true => self.take_some(),
            false => Vec::new(),
        }
    }

    #[inline(never)]
    fn take_some(&self) -> Vec<Letter> {
        let mut letters = self.letters();
        self.0.filled.store(false, Ordering::Relaxed);
        letters.as_mut().map(mem::take).unwrap_or_default()
    }

    /// Tells `follower` of the end of the run, until the answer is dropped. `None`: it is over.
    pub(crate) fn follow(&self, follower: Weak<dyn Follower>) -> Option<Following> {
        let key = self.followers().as_mut()?.insert(follower);
        Some(Following {
            address: self.clone(),
            key,
        })
    }

    fn followers(&self) -> MutexGuard<'_, Option<Slab<Weak<dyn Follower>>>> {
        let followers = self.0.followers.lock();
        followers.unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends it: gives the letters that nobody will read, to be dropped where that may run code.
    pub(super) fn close(&self) -> Vec<Letter> {
        let followers = self.followers().take();
        for (_, follower) in followers.into_iter().flatten() {
            if let Some(follower) = follower.upgrade() {
                follower.run_is_over();
            }
        }
        self.letters().take().unwrap_or_default()
    }
}

/// Somebody who has to know when a run is over.
pub(crate) trait Follower: Send + Sync {
    /// Runs no code of a user.
    fn run_is_over(&self);
}

/// A follower is told while this lives.
pub(crate) struct Following {
    address: Address,
    key: usize,
}

impl Drop for Following {
    fn drop(&mut self) {
        if let Some(followers) = &mut *self.address.followers() {
            followers.remove(self.key);
        }
    }
}

/// An OS thread works for a run while this lives: no deadlock, and virtual time stands still.
pub(crate) struct AtWork {
    address: Address,
    /// Whether it is not done yet.
    counts: bool,
}

impl AtWork {
    /// Whom the work is for.
    pub(crate) fn address(&self) -> &Address {
        &self.address
    }

    /// It is done: wakes whoever waits with `ticket`. The same as a wake and a drop, with one
    /// call of the system for both.
    pub(crate) fn done(mut self, ticket: Ticket) {
        self.counts = false;
        let at_work = &self.address.0.at_work;
        // Whoever takes the letter finds no work any more.
        let ends = || {
            at_work.fetch_sub(1, Ordering::Release);
        };
        let _ = self.address.post_and(Letter::Wake(ticket), ends);
    }
}

impl Drop for AtWork {
    fn drop(&mut self) {
        if self.counts {
            self.address.0.at_work.fetch_sub(1, Ordering::Release);
            // It may sleep because of this work alone.
            self.address.ring();
        }
    }
}

/// Somebody may call in while this lives: no deadlock.
pub(crate) struct Caller(Address);

impl Caller {
    /// Whom they may call.
    pub(crate) fn address(&self) -> &Address {
        &self.0
    }
}

impl Clone for Caller {
    fn clone(&self) -> Self {
        self.0.caller()
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        if self.0.0.callers.fetch_sub(1, Ordering::Release) == 1 {
            self.0.ring();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(poll: &mio::Poll) -> Address {
        let waker = mio::Waker::new(poll.registry(), mio::Token(0));
        Address::new(Arc::new(waker.expect("a test has a descriptor left")))
    }

    #[test]
    fn work_is_never_done_before_its_letter_is_there() {
        let poll = mio::Poll::new().expect("a test has a descriptor left");
        let address = address(&poll);
        let letter = || Letter::Spawn(Box::new(|| ()), Location::caller());
        // The owner looks while the other OS thread is in the middle of its post.
        let post = address.post_and(letter(), || {
            assert!(address.prospect() == Prospect::Work);
        });
        assert!(post.is_ok());
        assert_eq!(address.take().len(), 1);
        drop(address.close());
        let mut told = false;
        assert!(address.post_and(letter(), || told = true).is_err());
        assert!(told);
    }

    #[test]
    fn a_letter_of_one_who_is_gone_is_still_to_come() {
        let poll = mio::Poll::new().expect("a test has a descriptor left");
        let address = address(&poll);
        assert!(address.prospect() == Prospect::Nothing);
        for ends_by_work in [false, true] {
            let caller = address.caller();
            assert!(address.prospect() == Prospect::Calls);
            let work = address.work();
            assert!(address.prospect() == Prospect::Work);
            let letter = Letter::Spawn(Box::new(|| ()), Location::caller());
            assert!(address.post(letter).is_ok());
            match ends_by_work {
                true => drop((caller, work)),
                false => drop((work, caller)),
            }
            assert!(address.prospect() == Prospect::Work);
            assert_eq!(address.take().len(), 1);
            assert!(address.prospect() == Prospect::Nothing);
        }
    }
}
