//! What the tests of `TSem` share: a semaphore that checks who is served, and waiters that log.
#![allow(dead_code, reason = "each test file uses a part of it")]
use crate::steps::Log;
use maypole::explore::{Explorer, Switches};
use maypole::stm::{Stop, TSem, Transaction, atomically};
use maypole::{JoinHandle, spawn, yield_now};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

pub fn signal(sem: &TSem, units: u64) {
    atomically(|tx| Ok(sem.signal_n(tx, units)));
}

pub fn units(sem: &TSem) -> i64 {
    atomically(|tx| Ok(sem.units(tx)))
}

/// Takes several units at once.
pub fn wait_for<E>(sem: &TSem, tx: &Transaction, count: usize) -> Result<(), Stop<E>> {
    (0..count).try_for_each(|_| sem.wait(tx))
}

/// A task that waits for a unit and logs its name; it has parked if it must.
pub fn waiter(name: &'static str, sem: &TSem, log: &Log) -> JoinHandle<()> {
    let sem = sem.clone();
    logs(name, log, move |tx| sem.wait(tx))
}

/// A task that logs its name when the transaction is done; it has parked if it must.
pub fn logs(
    name: &'static str,
    log: &Log,
    mut transaction: impl FnMut(&Transaction) -> Result<(), Stop> + 'static,
) -> JoinHandle<()> {
    let log = log.clone();
    let task = spawn(move || {
        atomically(&mut transaction);
        log.add(name);
    });
    yield_now();
    task
}

pub fn join_all<T>(tasks: impl IntoIterator<Item = JoinHandle<T>>) -> Vec<T> {
    tasks.into_iter().map(|it| it.join().unwrap()).collect()
}

/// Lets the others come to rest.
pub fn settle() {
    (0..20).for_each(|_| yield_now());
}

/// Runs `program` under all schedules of at most so many forced switches.
#[track_caller]
pub fn under_all_schedules(switches: Switches, forced: usize, program: impl Fn()) {
    let explorer = Explorer::new().switches(switches).forced(forced);
    let outcome = explorer.check(program);
    if let Some(failure) = &outcome.failure {
        panic!("{failure}");
    }
    println!("{outcome}");
    let whole = outcome.complete || outcome.forced == Some(forced);
    assert!(whole && outcome.cut == 0, "{outcome}");
}

/// A semaphore that knows who waits for it since when, and panics when somebody is served before
/// one who came earlier.
#[derive(Clone)]
pub struct Watched {
    pub sem: TSem,
    line: Rc<RefCell<VecDeque<u32>>>,
    calls: Rc<Cell<u32>>,
}

/// A call that may wait; it goes when it ends, in whatever way.
struct Call<'a> {
    number: u32,
    at: &'a Watched,
}

impl Watched {
    pub fn new(units: i64) -> Self {
        Watched {
            sem: TSem::new(units),
            line: Rc::default(),
            calls: Rc::default(),
        }
    }

    pub fn signal(&self, units: u64) {
        signal(&self.sem, units);
    }

    /// Takes so many units at once, in its turn.
    pub fn wait_for(&self, count: usize) {
        let number = self.calls.get();
        self.calls.set(number + 1);
        let call = Call { number, at: self };
        atomically(|tx| {
            let taken = wait_for(&self.sem, tx, count);
            let mut line = self.line.borrow_mut();
            if taken.is_err() && !line.contains(&number) {
                line.push_back(number);
            }
            taken
        });
        // Still in the turn of the commit.
        let line = self.line.borrow();
        let first = line.front().copied().unwrap_or(number);
        assert_eq!(first, number, "not its turn: {line:?}");
        drop(line);
        drop(call);
    }

    pub fn wait(&self) {
        self.wait_for(1);
    }

    /// Nobody waits, and so many units are left.
    #[track_caller]
    pub fn is_left_with(&self, left: i64) {
        assert!(self.line.borrow().is_empty(), "{:?}", self.line);
        assert_eq!(units(&self.sem), left);
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        self.at
            .line
            .borrow_mut()
            .retain(|other| *other != self.number);
    }
}
