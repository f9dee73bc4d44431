//! Locks and meeting points, for what must stay whole across a park.
//!
//! **Most programs need none of it.** Tasks take turns on one OS thread and hand over at yields and
//! blocking calls alone. Between two of these a task is alone, so an `Rc<Cell<_>>` or an
//! `Rc<RefCell<_>>` is enough for what two tasks share, and a check followed by an act needs no
//! lock:
//!
//! ```
//! use std::{cell::Cell, rc::Rc};
//! maypole::run(|| {
//!     let seats = Rc::new(Cell::new(3));
//!     let guests: Vec<_> = (0..10)
//!         .map(|_| {
//!             let seats = seats.clone();
//!             maypole::spawn(move || {
//!                 maypole::yield_now();
//!                 let free = seats.get() > 0; // nobody comes between this look ..
//!                 if free {
//!                     seats.set(seats.get() - 1); // .. and this act
//!                 }
//!                 free
//!             })
//!         })
//!         .collect();
//!     let seated = guests.into_iter().filter_map(|guest| guest.join().ok());
//!     assert_eq!(seated.filter(|seated| *seated).count(), 3);
//! });
//! ```
//!
//! A lock is for what must stay whole *across* a park: a request and its answer on one connection,
//! an account that is debited, logged and credited. A [`Semaphore`] is for what there is a number of.
//!
//! All of them serve first in, first out, and hand over: what a task was woken with is its own,
//! nobody can take it before that task has its turn. A task that is killed or comes to its deadline
//! while it waits leaves the line and takes nothing along. None of them is poisoned by a panic.
//!
//! They work without a scheduler until they would have to wait. A name, as in
//! [`Mutex::named`], is for the reports.
mod barrier;
mod condvar;
mod event;
mod facts;
mod lock;
mod mutex;
mod once_cell;
mod rwlock;
mod semaphore;
mod shares;
mod wait_group;

pub use barrier::{Barrier, BarrierWaitResult};
pub use condvar::{Condvar, WaitTimeoutResult};
pub use event::Event;
pub use mutex::{Mutex, MutexGuard};
pub use once_cell::OnceCell;
pub use rwlock::{RwLock, RwLockReadGuard, RwLockWriteGuard};
pub use semaphore::{Semaphore, SemaphorePermit};
pub use wait_group::WaitGroup;
