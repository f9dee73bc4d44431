//! The desk that all tasks of a bank share: what it is told to do, what it counts, what it tells.
use super::ledger::{Entry, Ledger};
use super::money::Crowns;
use maypole::yield_now;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::rc::Rc;
use std::time::Instant;

/// From so many transactions on, progress is shown, each time so many are done.
const LONG: usize = 2_000;
const PROGRESS_EVERY: usize = 5_000;

/// How the books are kept.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Style {
    Coop,
    Stm,
    Locks,
}

impl Style {
    pub const ALL: [Style; 3] = [Style::Coop, Style::Stm, Style::Locks];

    pub fn name(self) -> &'static str {
        match self {
            Style::Coop => "coop",
            Style::Stm => "stm",
            Style::Locks => "locks",
        }
    }
}

/// How a cooperative withdrawal waits for cover.
#[derive(Clone, Copy, PartialEq)]
pub enum Wait {
    /// Look again at every turn: `while !covered { yield_now() }`.
    Poll,
    /// Stand in the account's queue; a deposit unparks whom it covers.
    Queue,
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Wait::Poll => "poll",
            Wait::Queue => "queue",
        })
    }
}

/// How the bank works.
#[derive(Clone, Copy)]
pub struct Way {
    pub wait: Wait,
    pub seed: u64,
    pub broken: bool,
    pub watch: Watch,
    /// Whether progress is shown, of long work.
    pub shows_progress: bool,
}

/// How often main adds up all the money.
#[derive(Clone, Copy, PartialEq)]
pub enum Watch {
    /// Now and then, until the last transaction is done.
    Always,
    /// Once, or never, of an exploration: it has every order of the tasks, and so every moment at
    /// which main could look. A deposit need not be on its way for some turns either.
    Once,
    Never,
}

pub struct Desk {
    pub ledger: Rc<Ledger>,
    pub way: Way,
    pub opened: Instant,
    pub done: Cell<usize>,
    /// Main looks again when so many are done.
    pub due: Cell<usize>,
    pub turns: Cell<u64>,
    pub waits: Cell<u64>,
    pub observations: Cell<u64>,
    pub observed_imbalances: Cell<u64>,
    pub refused: Cell<u64>,
    pub first_refused: Cell<Option<usize>>,
    /// What became of the withdrawals that had to wait, line by line, where the ledger is short.
    pub told: RefCell<Vec<String>>,
    /// What the tasks do to the money, step by step, where somebody wants to know.
    journal: Option<Rc<Journal>>,
}

pub type Journal = RefCell<Vec<String>>;

/// Adds to a counter. Between two yields a task is alone, so it needs no lock.
pub fn count(counter: &Cell<u64>, more: u64) {
    counter.set(counter.get() + more);
}

impl Desk {
    pub fn open(ledger: Rc<Ledger>, way: Way, journal: Option<Rc<Journal>>) -> Desk {
        Desk {
            ledger,
            way,
            opened: Instant::now(),
            done: Cell::new(0),
            due: Cell::new(0),
            turns: Cell::new(0),
            waits: Cell::new(0),
            observations: Cell::new(0),
            observed_imbalances: Cell::new(0),
            refused: Cell::new(0),
            first_refused: Cell::new(None),
            told: RefCell::default(),
            journal,
        }
    }

    pub fn is_open(&self) -> bool {
        self.done.get() < self.ledger.entries.len()
    }

    /// Lets every other ready task have a turn.
    pub fn give_way(&self) {
        yield_now();
        count(&self.turns, 1);
    }

    pub fn note(&self, entry: &Entry, does: impl FnOnce() -> String) {
        if let Some(journal) = &self.journal {
            let line = format!("{:>7}  {}", entry.to_string(), does());
            journal.borrow_mut().push(line);
        }
    }

    pub fn note_observation(&self, imbalance: i64) {
        count(&self.observations, 1);
        count(&self.observed_imbalances, u64::from(imbalance != 0));
        if let (Some(journal), true) = (&self.journal, imbalance != 0) {
            let line = format!("{:>7}  finds {} missing", "main", Crowns(-imbalance));
            journal.borrow_mut().push(line);
        }
    }

    pub fn tell(&self, entry: &Entry, balance: i64, what: impl FnOnce() -> String) {
        if self.ledger.is_short() {
            self.told.borrow_mut().push(format!(
                "line {}: account {} has {}: the withdrawal of {} {}",
                entry.line,
                self.ledger.accounts[entry.account].number,
                Crowns(balance),
                Crowns(-entry.amount),
                what()
            ));
        }
    }

    pub fn refuse(&self, entry: &Entry, balance: i64) {
        count(&self.refused, 1);
        if self.first_refused.get().is_none() {
            self.first_refused.set(Some(entry.line));
        }
        self.tell(entry, balance, || {
            "is refused: no deposit is to come".into()
        });
    }

    pub fn finish(&self) {
        self.done.update(|done| done + 1);
        let (done, all) = (self.done.get(), self.ledger.entries.len());
        if self.way.shows_progress && all > LONG && done.is_multiple_of(PROGRESS_EVERY) {
            let seconds = self.opened.elapsed().as_secs_f64();
            eprintln!("bank: {done} of {all} transactions after {seconds:.2} s");
        }
    }
}
