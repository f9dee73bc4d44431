//! What the tests of transactional queues share: both kinds under one interface, items whose lives
//! are counted, and random transactions with a model of what they must do.
#![allow(dead_code, reason = "each test file uses a part of it")]
pub mod model;

use maypole::explore::{Explorer, Switches};
use maypole::stm::{Stop, TBQueue, TQueue, TVar, Transaction, abort, try_atomically};
use maypole::{JoinHandle, RunError};
use std::cell::Cell;
use std::fmt;
use std::rc::Rc;

/// A kind of queue.
pub trait Kind {
    const CAPACITY: Option<usize>;
    type Of<T: Clone + 'static>: Queue<T>;

    fn empty<T: Clone + 'static>() -> Self::Of<T>;
}

/// `TQueue`.
pub struct Unbounded;

/// `TBQueue`, with room for whatever a test writes.
pub struct Bounded;

/// `TBQueue` of so little room that random transactions fill it.
pub struct Narrow;

impl Kind for Unbounded {
    const CAPACITY: Option<usize> = None;
    type Of<T: Clone + 'static> = TQueue<T>;

    fn empty<T: Clone + 'static>() -> TQueue<T> {
        TQueue::new()
    }
}

impl Kind for Bounded {
    const CAPACITY: Option<usize> = Some(1_000_000);
    type Of<T: Clone + 'static> = TBQueue<T>;

    fn empty<T: Clone + 'static>() -> TBQueue<T> {
        TBQueue::new(1_000_000)
    }
}

impl Kind for Narrow {
    const CAPACITY: Option<usize> = Some(3);
    type Of<T: Clone + 'static> = TBQueue<T>;

    fn empty<T: Clone + 'static>() -> TBQueue<T> {
        TBQueue::new(3)
    }
}

/// Makes a test of each for both kinds of queues.
#[macro_export]
macro_rules! of_both_kinds {
    ($($test:ident)+) => {
        mod of_a_tqueue {
            $(#[test]
            fn $test() {
                super::$test::<super::queue_support::Unbounded>();
            })+
        }
        mod of_a_tbqueue {
            $(#[test]
            fn $test() {
                super::$test::<super::queue_support::Bounded>();
            })+
        }
    };
}

/// What both kinds can do.
pub trait Queue<T: Clone + 'static>: Clone + fmt::Debug + PartialEq + 'static {
    fn write<E>(&self, tx: &Transaction, item: T) -> Result<(), Stop<E>>;
    fn unget<E>(&self, tx: &Transaction, item: T) -> Result<(), Stop<E>>;
    fn read<E>(&self, tx: &Transaction) -> Result<T, Stop<E>>;
    fn peek<E>(&self, tx: &Transaction) -> Result<T, Stop<E>>;
    fn try_read(&self, tx: &Transaction) -> Option<T>;
    fn try_peek(&self, tx: &Transaction) -> Option<T>;
    fn flush(&self, tx: &Transaction) -> Vec<T>;
    fn is_empty(&self, tx: &Transaction) -> bool;
    /// How many it holds and whether it is full, if it can tell.
    fn fill(&self, tx: &Transaction) -> Option<(usize, bool)>;

    /// What it holds, by a transaction that takes all and is undone.
    fn contents(&self) -> Vec<T> {
        let mut all = Vec::new();
        let undone = try_atomically(|tx| {
            all = self.flush(tx);
            abort::<(), _>("undone")
        });
        assert_eq!(undone, Err("undone"));
        all
    }
}

macro_rules! common {
    () => {
        fn read<E>(&self, tx: &Transaction) -> Result<T, Stop<E>> {
            self.read(tx)
        }

        fn peek<E>(&self, tx: &Transaction) -> Result<T, Stop<E>> {
            self.peek(tx)
        }

        fn try_read(&self, tx: &Transaction) -> Option<T> {
            self.try_read(tx)
        }

        fn try_peek(&self, tx: &Transaction) -> Option<T> {
            self.try_peek(tx)
        }

        fn flush(&self, tx: &Transaction) -> Vec<T> {
            self.flush(tx)
        }

        fn is_empty(&self, tx: &Transaction) -> bool {
            self.is_empty(tx)
        }
    };
}

impl<T: Clone + 'static> Queue<T> for TQueue<T> {
    common!();

    fn write<E>(&self, tx: &Transaction, item: T) -> Result<(), Stop<E>> {
        self.write(tx, item);
        Ok(())
    }

    fn unget<E>(&self, tx: &Transaction, item: T) -> Result<(), Stop<E>> {
        self.unget(tx, item);
        Ok(())
    }

    fn fill(&self, _: &Transaction) -> Option<(usize, bool)> {
        None
    }
}

impl<T: Clone + 'static> Queue<T> for TBQueue<T> {
    common!();

    fn write<E>(&self, tx: &Transaction, item: T) -> Result<(), Stop<E>> {
        self.write(tx, item)
    }

    fn unget<E>(&self, tx: &Transaction, item: T) -> Result<(), Stop<E>> {
        self.unget(tx, item)
    }

    fn fill(&self, tx: &Transaction) -> Option<(usize, bool)> {
        Some((self.len(tx), self.is_full(tx)))
    }
}

/// Counts the items of a test: how many were made, clones too, and how many have gone.
#[derive(Clone)]
pub struct Lives {
    made: Rc<Cell<usize>>,
    gone: Rc<Cell<usize>>,
    /// What a destructor reads: inside of a transaction that panics.
    outside: TVar<()>,
}

impl Lives {
    pub fn new() -> Self {
        Lives {
            made: Rc::default(),
            gone: Rc::default(),
            outside: TVar::new(()),
        }
    }

    pub fn item(&self, number: u32) -> Item {
        self.made.set(self.made.get() + 1);
        Item {
            number,
            lives: self.clone(),
        }
    }

    pub fn made(&self) -> usize {
        self.made.get()
    }

    pub fn gone(&self) -> usize {
        self.gone.get()
    }

    pub fn alive(&self) -> usize {
        self.made() - self.gone()
    }
}

/// An item that must not be dropped inside of a transaction.
pub struct Item {
    pub number: u32,
    lives: Lives,
}

impl Clone for Item {
    fn clone(&self) -> Self {
        self.lives.item(self.number)
    }
}

impl Drop for Item {
    fn drop(&mut self) {
        self.lives.gone.set(self.lives.gone() + 1);
        self.lives.outside.get();
    }
}

impl fmt::Debug for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.number.fmt(f)
    }
}

pub fn numbers(items: &[Item]) -> Vec<u32> {
    items.iter().map(|item| item.number).collect()
}

/// The report of a run that must have ended in a deadlock.
#[track_caller]
pub fn deadlock_of<T>(outcome: Result<T, RunError>) -> String {
    match outcome {
        Err(RunError::Deadlock(report)) => report.to_string(),
        Err(other) => panic!("another end: {other}"),
        Ok(_) => panic!("no deadlock"),
    }
}

/// Joins all of them; gives what they ended with.
#[track_caller]
pub fn join_all<T>(tasks: impl IntoIterator<Item = JoinHandle<T>>) -> Vec<T> {
    tasks.into_iter().map(|it| it.join().unwrap()).collect()
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
