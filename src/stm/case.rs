//! A transaction as a case of a `select!`.
//!
//! To see whether it is ready it is run and undone; it is run again, and committed, when it has won.
use super::Stop;
use super::atomically::Stay;
use super::attempt::Attempt;
use super::transaction::Transaction;
use super::variable::{AnyVariable, Place};
use super::wake::next_offer;
use crate::scheduler::park;
use crate::scheduler::wait::{Wait, WaitQueue};
use crate::select::{Alternative, Claim, Deadline, Handle, Interest, Operation, Waited};
use crate::task::apart;
use std::cell::{Cell, RefCell};
use std::panic::Location;
use std::rc::Rc;
use std::time::Instant;

/// A transaction that waits in a `select!`.
///
/// Public for the macros' sake alone.
pub struct Pending<F, T> {
    f: RefCell<F>,
    /// What the committed transaction ended with.
    value: RefCell<Option<T>>,
    stay: RefCell<Stay>,
    /// Whether it could commit when it was run last.
    could: Cell<bool>,
    /// Nobody is ever woken here: its places are the variables'.
    idle: WaitQueue,
    at: Place,
}

/// The case of a transaction.
#[track_caller]
pub fn pending<F, T>(f: F) -> Pending<F, T>
where
    F: FnMut(&Transaction) -> Result<T, Stop>,
{
    Pending {
        f: RefCell::new(f),
        value: RefCell::new(None),
        stay: RefCell::default(),
        could: Cell::new(false),
        idle: WaitQueue::new(),
        at: Location::caller(),
    }
}

impl<F, T> Pending<F, T>
where
    F: FnMut(&Transaction) -> Result<T, Stop>,
{
    #[doc(hidden)]
    pub fn __case(&self) -> Handle<'_> {
        Handle::of_transaction(self)
    }

    #[doc(hidden)]
    #[track_caller]
    pub fn __complete(&self, operation: Operation<'_>) -> T {
        operation.take(self);
        let value = self.value.take();
        value.expect("the transaction of a case that has won is committed")
    }

    /// One run, ended by `end` if it could commit.
    fn run<R>(&self, end: impl FnOnce(Attempt, T) -> R) -> Option<R> {
        match std::thread::panicking() {
            // Not to be taken for a panic of the transaction's own.
            true => apart(|| self.run_once(end)),
            false => self.run_once(end),
        }
    }

    fn run_once<R>(&self, end: impl FnOnce(Attempt, T) -> R) -> Option<R> {
        let attempt = self.stay.borrow().begin(self.at);
        let ended = (self.f.borrow_mut())(attempt.tx());
        match ended {
            Ok(value) => return Some(end(attempt, value)),
            Err(Stop::Retry) => {}
        }
        // Out of its cell: it drops what it had read before, by which code of the user may run.
        let mut stay = self.stay.take();
        stay.retry(attempt, self.at);
        self.stay.replace(stay);
        None
    }
}

impl<F, T> Alternative for Pending<F, T>
where
    F: FnMut(&Transaction) -> Result<T, Stop>,
{
    fn prepare(&self) {
        let could = self.run(|attempt, value| {
            // Undone before the value goes, whose destructor may begin another.
            drop(attempt);
            drop(value);
        });
        self.could.set(could.is_some());
    }

    /// It stands in no line any more, and keeps nothing.
    fn retire(&self) {
        drop(self.stay.take());
    }

    fn is_ready(&self, patience: bool) -> bool {
        // After a change it may be: a claim will tell, which is for those who can wait.
        self.could.get() || patience && self.stay.borrow().has_changed()
    }

    fn claim(&self, deadline: Option<&Deadline>, wait: Wait) -> Option<Claim> {
        let claim = self.run(|attempt, value| {
            self.value.replace(Some(value));
            attempt.commit(|| {});
            Claim::Committed
        });
        if claim.is_none() && deadline.is_some() {
            park::yield_as(wait);
        }
        claim
    }

    fn enlist(&self, _: Interest) -> (&WaitQueue, usize) {
        (&self.idle, 0)
    }

    fn further(&self) -> Vec<Rc<dyn Waited>> {
        let offer = next_offer();
        let stay = self.stay.borrow();
        let places = stay.read().iter().map(|variable| {
            let variable = variable.clone();
            Rc::new(Read { variable, offer }) as Rc<dyn Waited>
        });
        places.collect()
    }

    fn accept(&self, _: usize) -> Option<Claim> {
        None
    }

    /// A committed transaction is not given back: it has happened.
    fn release(&self, _: Claim) {}

    fn due(&self) -> Option<Instant> {
        self.stay.borrow().due()
    }

    fn address(&self) -> *const () {
        std::ptr::from_ref(self).cast()
    }
}

/// A variable that a transaction in a `select!` has read.
struct Read {
    variable: Rc<AnyVariable>,
    offer: usize,
}

impl Waited for Read {
    fn place(&self) -> (&WaitQueue, usize) {
        (self.variable.queue(), self.offer)
    }
}
