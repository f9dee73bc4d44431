//! The bank: a task for each transaction of the ledger, however the books are kept.
//!
//! All styles have this file in common, so that what differs between them is how money is moved, how
//! a withdrawal waits for cover, and how all of it is added up: one file each, to be read side by
//! side.
use super::desk::{Desk, Journal, Watch, Way, count};
use super::ledger::{Entry, Ledger};
use super::money::Crowns;
use super::outcome::{Mismatch, Outcome, Undone};
use maypole::{Builder, RunError, scope, task, yield_now};
use std::rc::Rc;

/// While so many tasks are alive, main spawns no more. This many are enough for withdrawals to
/// come before their cover. More would need more stacks, and to touch the memory of a stack for the
/// first time costs more than the whole transaction.
pub const ALIVE: usize = 500;

/// After so many turns of theirs main spawns on all the same: those that are alive could all wait
/// for a deposit that has not been spawned. In a ledger that is right it never comes to that, since
/// the deposits of its first lines cover the withdrawals of its first lines.
const PATIENCE: usize = 100;

/// Main looks about so many times whether all the money is there, however long the ledger is.
const LOOKS: usize = 100;

/// A run with more turns than so many for each transaction is stuck.
const TURNS_EACH: u64 = 1_000;

/// How the books are kept: all that the styles differ in.
pub trait Books {
    fn open(desk: Rc<Desk>) -> Self;

    /// Moves the money to the account, and lets those look again who wait for it.
    fn deposit(&self, entry: &Entry);

    /// Waits until the account can pay, and moves the money from it.
    ///
    /// No order of the tasks can get stuck, although the withdrawals wait in any order. Deposits
    /// never wait, so all of them are booked in the end. From then on the balance, less any of the
    /// withdrawals that are left, is at least the final one, which is a recorded one, which is no
    /// lower than the limit: everybody is covered. Only where the recorded balances are not the
    /// sums of the amounts, or where money is lost, is there a withdrawal that nothing can cover:
    /// when no deposit is to come any more, it is refused.
    fn withdraw(&self, entry: &Entry) -> Answer;

    /// Adds up every balance of the bank, at one moment. The sum is 0 if all the money is there:
    /// every transaction only moves money.
    fn imbalance(&self) -> i64;

    /// The balances of the accounts, once the bank has closed.
    fn balances(&self) -> Vec<i64>;

    /// Changes of balances that somebody else's write has undone.
    fn undone(&self) -> Undone {
        Undone::default()
    }
}

/// What became of a withdrawal.
pub struct Answer {
    pub is_paid: bool,
    /// How many times it looked whether the account covers it.
    pub looks: u64,
    /// What it found in the account when it looked last.
    pub found: i64,
}

impl Answer {
    pub fn paid(looks: u64, found: i64) -> Self {
        Answer {
            is_paid: true,
            looks,
            found,
        }
    }

    pub fn refused(looks: u64, found: i64) -> Self {
        Answer {
            is_paid: false,
            looks,
            found,
        }
    }
}

pub struct Bank<B> {
    desk: Rc<Desk>,
    books: B,
}

/// Runs all transactions of the ledger, each as a task.
pub fn run<B: Books>(ledger: Rc<Ledger>, way: Way) -> Result<Outcome, RunError> {
    // A withdrawal that nobody wakes would be a deadlock, which ends a run with a report, if the
    // observer did not go on for ever. Far more turns than any order takes end it too.
    let enough = TURNS_EACH * (ledger.entries.len() as u64 + 100);
    let bank = Bank::<B>::open(ledger, way, None);
    let scheduler = Builder::new().seed(way.seed).max_turns(enough);
    scheduler.run(|| bank.work())?;
    Ok(bank.close())
}

impl<B: Books> Bank<B> {
    pub fn open(ledger: Rc<Ledger>, way: Way, journal: Option<Rc<Journal>>) -> Self {
        let desk = Rc::new(Desk::open(ledger, way, journal));
        Bank {
            books: B::open(desk.clone()),
            desk,
        }
    }

    /// What main does: it spawns the transactions, and looks on. The scope is left when the last
    /// task has ended.
    pub fn work(&self) {
        let desk = &self.desk;
        scope(|s| {
            let mut patience = PATIENCE;
            for (spawned, entry) in desk.ledger.entries.iter().enumerate() {
                let are_many = || spawned - desk.done.get() >= ALIVE;
                while are_many() && patience > 0 {
                    self.look_on();
                    patience -= 1;
                }
                if !are_many() {
                    patience = PATIENCE;
                }
                if desk.ledger.is_short() {
                    // A name, for reports.
                    let named = task::Builder::new().name(entry.to_string());
                    named
                        .spawn_scoped(s, || self.transact(entry))
                        .expect("there is room for a stack");
                } else {
                    s.spawn(|| self.transact(entry));
                }
            }
            match desk.way.watch {
                Watch::Always => {
                    while desk.is_open() {
                        self.look_on();
                    }
                }
                Watch::Once => self.look_on(),
                Watch::Never => {}
            }
        });
    }

    /// Lets the others have a turn, and looks now and then whether all the money is there.
    fn look_on(&self) {
        yield_now();
        let desk = &self.desk;
        if desk.done.get() >= desk.due.get() {
            let imbalance = self.books.imbalance();
            desk.note_observation(imbalance);
            if desk.way.watch == Watch::Once {
                assert!(imbalance == 0, "main finds {} missing", Crowns(-imbalance));
            }
            desk.due
                .set(desk.done.get() + desk.ledger.entries.len() / LOOKS);
        }
    }

    /// What one task does.
    fn transact(&self, entry: &Entry) {
        let desk = &self.desk;
        count(&desk.turns, 1);
        if entry.amount >= 0 {
            // A deposit is on its way for some turns, so that withdrawals come before their cover.
            if desk.way.watch == Watch::Always {
                (0..entry.turns_on_its_way).for_each(|_| desk.give_way());
            }
            self.books.deposit(entry);
        } else {
            let answer = self.books.withdraw(entry);
            count(&desk.waits, answer.looks - 1);
            if !answer.is_paid {
                desk.refuse(entry, answer.found);
            } else if answer.looks > 1 {
                desk.tell(entry, answer.found, || {
                    format!("is covered at look {}", answer.looks)
                });
            }
        }
        desk.finish();
    }

    /// Compares what came out with what the ledger recorded.
    pub fn close(&self) -> Outcome {
        let desk = &self.desk;
        let seconds = desk.opened.elapsed().as_secs_f64();
        let balances = self.books.balances();
        let mismatches: Vec<Mismatch> = std::iter::zip(&balances, &desk.ledger.accounts)
            .filter(|(balance, recorded)| **balance != recorded.last_balance)
            .map(|(balance, recorded)| Mismatch {
                account: recorded.number,
                balance: *balance,
                recorded: recorded.last_balance,
            })
            .collect();
        Outcome {
            transactions: desk.done.get(),
            mismatches: mismatches.len(),
            first_mismatch: mismatches.into_iter().next(),
            total: balances.iter().sum(),
            balances,
            imbalance: self.books.imbalance(),
            seconds,
            turns: desk.turns.get(),
            waits: desk.waits.get(),
            observations: desk.observations.get(),
            observed_imbalances: desk.observed_imbalances.get(),
            undone: self.books.undone(),
            refused: desk.refused.get(),
            first_refused: desk.first_refused.get(),
            told: desk.told.take(),
        }
    }
}
