//! A queue as one transactional variable, which keeps how to undo each of its operations instead of
//! what it was before.
use super::transaction::{Again, Keep, Transaction, sweep_at_the_end};
use super::variable::{Core, Place, Slot, Variable};
use crate::task::drop_all_in_turn;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::mem::{needs_drop, take};
use std::panic::Location;
use std::rc::Rc;

/// Any number of items, in their order. A clone is another handle.
pub(super) struct Deque<T: 'static>(Rc<Variable<Items<T>>>);

pub(super) struct Items<T> {
    items: RefCell<VecDeque<T>>,
    /// What the present transaction has done; left over when it has ended.
    done: RefCell<Vec<Done<T>>>,
    capacity: Option<usize>,
}

/// One operation. What was taken stays here until it is certain that nobody needs it back: the taker
/// got a clone.
enum Done<T> {
    PushedBack,
    PushedFront,
    TookFront(T),
    TookAll(InTurn<VecDeque<T>>),
}

/// Things that are dropped one by one, all of them.
struct InTurn<C: Default + IntoIterator>(C);

impl<C: Default + IntoIterator> Drop for InTurn<C> {
    fn drop(&mut self) {
        drop_all_in_turn(take(&mut self.0));
    }
}

impl<T: 'static> Deque<T> {
    pub(super) fn new(kind: &'static str, capacity: Option<usize>, at: Place) -> Self {
        sweep_at_the_end();
        Deque(Rc::new(Variable {
            core: Core::new(kind, at, None),
            slot: Items {
                items: RefCell::default(),
                done: RefCell::default(),
                capacity,
            },
        }))
    }

    pub(super) fn same(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }

    pub(super) fn capacity(&self) -> Option<usize> {
        self.0.slot.capacity
    }

    #[inline]
    pub(super) fn len(&self, tx: &Transaction) -> usize {
        tx.reads_part(&self.0);
        self.0.slot.items.borrow().len()
    }

    #[inline]
    #[track_caller]
    pub(super) fn push_back(&self, tx: &Transaction, value: T) {
        self.keep(tx);
        self.0.slot.items.borrow_mut().push_back(value);
        self.did(Done::PushedBack);
    }

    #[inline]
    #[track_caller]
    pub(super) fn push_front(&self, tx: &Transaction, value: T) {
        self.keep(tx);
        self.0.slot.items.borrow_mut().push_front(value);
        self.did(Done::PushedFront);
    }

    #[inline]
    pub(super) fn front(&self, tx: &Transaction) -> Option<T>
    where
        T: Clone,
    {
        tx.reads_part(&self.0);
        self.0.slot.items.borrow().front().cloned()
    }

    #[inline]
    #[track_caller]
    pub(super) fn pop_front(&self, tx: &Transaction) -> Option<T>
    where
        T: Clone,
    {
        // Cloned first: that is code of the user, which may panic.
        let front = self.front(tx)?;
        self.keep(tx);
        let taken = self.0.slot.items.borrow_mut().pop_front();
        self.did(Done::TookFront(taken.expect("there is a front")));
        Some(front)
    }

    #[track_caller]
    pub(super) fn take_all(&self, tx: &Transaction) -> Vec<T>
    where
        T: Clone,
    {
        tx.reads_part(&self.0);
        // One by one: should a Clone panic, nothing is borrowed while the clones before it are
        // dropped, whose destructors may begin a transaction.
        let items = &self.0.slot.items;
        let count = items.borrow().len();
        let all: Vec<T> = (0..count).map(|at| items.borrow()[at].clone()).collect();
        if !all.is_empty() {
            self.keep(tx);
            let taken = items.take();
            self.did(Done::TookAll(InTurn(taken)));
        }
        all
    }

    /// Prepares for a change that can be undone.
    #[inline]
    #[track_caller]
    fn keep(&self, tx: &Transaction) {
        let Variable { core, slot } = &*self.0;
        if !slot.is_free() {
            core.refuse_write(Location::caller());
        }
        match tx.writes(&self.0) {
            Keep::Nothing => {}
            Keep::Beside => {
                // Left there by a transaction whose destructors are running at present, or by an
                // arm that was undone.
                if !slot.done.borrow().is_empty() {
                    tx.leave(InTurn(slot.done.take()));
                }
            }
            Keep::InArm(saved_at) => tx.undo_by(Box::new(Mark {
                variable: self.0.clone(),
                done: slot.done.borrow().len(),
                saved_at,
            })),
        }
    }

    #[inline]
    fn did(&self, done: Done<T>) {
        self.0.slot.done.borrow_mut().push(done);
    }
}

impl<T> Items<T> {
    /// Undoes all operations but the first `kept`; gives what is then in nobody's hands.
    fn undo_to(&self, kept: usize) -> Vec<Done<T>> {
        let undone = self.done.borrow_mut().split_off(kept);
        let mut items = self.items.borrow_mut();
        let displaced = undone.into_iter().rev().filter_map(|done| match done {
            Done::PushedBack => items.pop_back(),
            Done::PushedFront => items.pop_front(),
            Done::TookFront(taken) => {
                items.push_front(taken);
                None
            }
            Done::TookAll(mut taken) => {
                *items = take(&mut taken.0);
                None
            }
        });
        displaced.map(Done::TookFront).collect()
    }
}

impl<T: 'static> Slot for Items<T> {
    fn restore(&self) {
        let displaced = self.undo_to(0);
        self.done.replace(displaced);
    }

    fn clear(&self) {
        if !needs_drop::<T>() {
            return self.done.borrow_mut().clear();
        }
        let mut done = self.done.take();
        drop_all_in_turn(done.drain(..));
        // Its memory is used again, unless a destructor has begun another transaction.
        if self.done.borrow().capacity() == 0 {
            self.done.replace(done);
        }
    }

    fn is_free(&self) -> bool {
        self.items.try_borrow_mut().is_ok()
    }

    fn describe(&self) -> Option<String> {
        let count = self.items.borrow().len();
        Some(match self.capacity {
            Some(capacity) => format!("holds {count} of {capacity}"),
            None => format!("holds {count}"),
        })
    }
}

/// Items are dropped one by one, all of them.
impl<T> Drop for Items<T> {
    fn drop(&mut self) {
        if needs_drop::<T>() {
            drop_all_in_turn(self.items.take());
        }
    }
}

/// How far to undo a queue that was changed before its arm began.
struct Mark<T: 'static> {
    variable: Rc<Variable<Items<T>>>,
    done: usize,
    saved_at: u64,
}

impl<T: 'static> Again for Mark<T> {
    fn undo(self: Box<Self>, tx: &Transaction) {
        let displaced = self.variable.slot.undo_to(self.done);
        self.variable.core.saved_at.set(self.saved_at);
        if !displaced.is_empty() {
            tx.leave(InTurn(displaced));
        }
    }
}

impl<T: 'static> Clone for Deque<T> {
    fn clone(&self) -> Self {
        Deque(self.0.clone())
    }
}
