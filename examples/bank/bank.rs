//! The bank: shared cells, a task for each transaction, and no lock.
//!
//! Tasks change hands at yields and parks and nowhere else. So a task that looks at a balance and
//! writes it, without a yield in between, cannot be disturbed: this is what a lock is for
//! elsewhere. `Bank::book` is the place to look at; `--broken` puts a yield in the middle of it.
use super::ledger::{Ledger, Transaction};
use super::money::Crowns;
use maypole::{Builder, RunError, Task, spawn, task, yield_now};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt;
use std::rc::Rc;
use std::time::Instant;

/// There is an observer for so many transactions, spawned in their midst.
const OBSERVE_EVERY: usize = 50;

/// From so many transactions on, progress is shown, each time so many are done.
const LONG: usize = 2_000;
const PROGRESS_EVERY: usize = 5_000;

/// A run with more turns than so many for each transaction is stuck.
const TURNS_EACH: u64 = 1_000;

/// How a withdrawal waits for cover.
#[derive(Clone, Copy, PartialEq)]
pub enum Wait {
    /// Look again at every turn: `while balance - amount < limit { yield_now() }`.
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
    /// Whether each withdrawal that waited is told of.
    pub tells: bool,
}

struct Account {
    balance: Cell<i64>,
    /// How low a withdrawal may take the balance.
    limit: i64,
    deposits_to_come: Cell<usize>,
    /// Withdrawals that wait for cover, each with its amount, which is negative.
    waiting: RefCell<VecDeque<(Task, i64)>>,
}

impl Account {
    fn covers(&self, amount: i64) -> bool {
        self.balance.get() + amount >= self.limit
    }

    /// Wakes from the front of the queue those whom the balance covers now. The last deposit wakes
    /// all, since nobody else will.
    fn wake_the_covered(&self) {
        let is_last = self.deposits_to_come.get() == 0;
        let mut left = self.balance.get();
        let mut waiting = self.waiting.borrow_mut();
        while let Some((_, amount)) = waiting.front()
            && (is_last || left + amount >= self.limit)
        {
            left += amount;
            let (task, _) = waiting.pop_front().expect("the front was seen");
            task.unpark();
        }
    }
}

struct Bank {
    way: Way,
    ledger: Rc<Ledger>,
    accounts: Vec<Account>,
    counterparties: Vec<Cell<i64>>,
    done: Cell<usize>,
    opened: Instant,
    notes: Notes,
}

/// What the bank counts on the way.
#[derive(Default)]
struct Notes {
    turns: Cell<u64>,
    waits: Cell<u64>,
    observations: Cell<u64>,
    observed_imbalances: Cell<u64>,
    lost: Cell<Overwritten>,
    made: Cell<Overwritten>,
    refused: Cell<u64>,
    first_refused: Cell<Option<usize>>,
}

/// Adds one to a counter. No lock here either.
fn count(counter: &Cell<u64>) {
    counter.set(counter.get() + 1);
}

/// Changes of balances that somebody else's write has undone.
#[derive(Clone, Copy, Default)]
pub struct Overwritten {
    pub times: u64,
    pub together: i64,
    /// The account, the line of the transaction that overwrote it, and how much it was.
    pub first: Option<(u64, usize, i64)>,
}

/// Runs all transactions of the ledger, each as a task.
pub fn run(ledger: Rc<Ledger>, way: Way) -> Result<Outcome, RunError> {
    let bank = Rc::new(Bank::open(ledger, way));
    // A withdrawal that nobody wakes would be a deadlock, which ends a run with a report, if the
    // observers did not go on for ever. Far more turns than any order takes end it too.
    let enough = TURNS_EACH * (bank.ledger.transactions.len() as u64 + 100);
    let scheduler = Builder::new().seed(way.seed).max_turns(enough);
    scheduler.run(|| {
        let mut tasks = Vec::new();
        for index in 0..bank.ledger.transactions.len() {
            if index % OBSERVE_EVERY == 0 {
                let bank = bank.clone();
                tasks.push(spawn(move || bank.observe()));
            }
            let bank = bank.clone();
            tasks.push(spawn(move || bank.transact(index)));
        }
        for task in tasks {
            task.join().expect("nobody kills a transaction");
        }
    })?;
    Ok(bank.close())
}

impl Bank {
    fn open(ledger: Rc<Ledger>, way: Way) -> Bank {
        let accounts = ledger.accounts.iter().map(|recorded| Account {
            balance: Cell::new(0),
            limit: recorded.lowest_balance.min(0),
            deposits_to_come: Cell::new(recorded.deposits),
            waiting: RefCell::default(),
        });
        Bank {
            way,
            accounts: accounts.collect(),
            counterparties: vec![Cell::new(0); ledger.counterparties],
            ledger,
            done: Cell::new(0),
            opened: Instant::now(),
            notes: Notes::default(),
        }
    }

    /// What one task does.
    fn transact(&self, index: usize) {
        count(&self.notes.turns);
        let transaction = &self.ledger.transactions[index];
        let account = &self.accounts[transaction.account];
        if transaction.amount >= 0 {
            // A deposit is on its way for some turns, so that withdrawals come before their cover.
            for _ in 0..transaction.turns_on_its_way {
                self.give_way();
            }
            self.book(transaction);
            account.deposits_to_come.update(|count| count - 1);
            account.wake_the_covered();
        } else if self.wait_for_cover(transaction) {
            self.book(transaction);
        } else {
            self.refuse(transaction);
        }
        self.finish();
    }

    /// Moves the money. Between the read and the write there is no yield, so no other task can
    /// come in between, and no lock is needed to keep one out. The account and the counterparty
    /// change in one piece too: nobody ever sees money that has left one and not reached the
    /// other.
    fn book(&self, transaction: &Transaction) {
        let account = &self.accounts[transaction.account];
        let counterparty = &self.counterparties[transaction.counterparty];
        let balance = account.balance.get();
        if self.way.broken {
            self.give_way();
            self.note_overwriting(transaction, account.balance.get() - balance);
        }
        account.balance.set(balance + transaction.amount);
        counterparty.set(counterparty.get() - transaction.amount);
    }

    /// Waits until the account can pay; false when it never will.
    ///
    /// No order of the tasks can get stuck, although the withdrawals wait in any order. Deposits
    /// never wait, so all of them are booked in the end. From then on the balance, less any of the
    /// withdrawals that are left, is at least the final one, which is a recorded one, which is no
    /// lower than the limit: everybody is covered. Only where the recorded balances are not the
    /// sums of the amounts, or where money is lost, is there a withdrawal that nothing can cover.
    fn wait_for_cover(&self, transaction: &Transaction) -> bool {
        let account = &self.accounts[transaction.account];
        let mut looks_in_vain = 0;
        while !account.covers(transaction.amount) {
            if account.deposits_to_come.get() == 0 {
                return false;
            }
            count(&self.notes.waits);
            looks_in_vain += 1;
            match self.way.wait {
                Wait::Poll => self.give_way(),
                Wait::Queue => {
                    // The borrow ends with the statement: none may be held across a park.
                    let entry = (task::current(), transaction.amount);
                    account.waiting.borrow_mut().push_back(entry);
                    task::park();
                    count(&self.notes.turns);
                }
            }
        }
        if looks_in_vain > 0 {
            self.tell(
                transaction,
                &format!("is covered at look {}", looks_in_vain + 1),
            );
        }
        true
    }

    /// Lets every other ready task have a turn.
    fn give_way(&self) {
        yield_now();
        count(&self.notes.turns);
    }

    /// Looks, whenever it has a turn, whether all the money is there. It needs no lock either, to
    /// add up every balance of the bank.
    fn observe(&self) {
        while self.done.get() < self.ledger.transactions.len() {
            count(&self.notes.observations);
            if self.imbalance() != 0 {
                count(&self.notes.observed_imbalances);
            }
            yield_now();
        }
    }

    fn total(&self) -> i64 {
        self.accounts
            .iter()
            .map(|account| account.balance.get())
            .sum()
    }

    /// Of all accounts and counterparties together: every transaction only moves money.
    fn imbalance(&self) -> i64 {
        self.total() + self.counterparties.iter().map(Cell::get).sum::<i64>()
    }

    fn note_overwriting(&self, transaction: &Transaction, change: i64) {
        let notes = match change {
            0 => return,
            1.. => &self.notes.lost,
            _ => &self.notes.made,
        };
        let number = self.ledger.accounts[transaction.account].number;
        let amount = change.abs();
        notes.update(|so_far| Overwritten {
            times: so_far.times + 1,
            together: so_far.together + amount,
            first: so_far.first.or(Some((number, transaction.line, amount))),
        });
    }

    fn refuse(&self, transaction: &Transaction) {
        count(&self.notes.refused);
        if self.notes.first_refused.get().is_none() {
            self.notes.first_refused.set(Some(transaction.line));
        }
        self.tell(transaction, "is refused: no deposit is to come");
    }

    fn finish(&self) {
        self.done.update(|done| done + 1);
        let (done, all) = (self.done.get(), self.ledger.transactions.len());
        if all > LONG && done.is_multiple_of(PROGRESS_EVERY) {
            let seconds = self.opened.elapsed().as_secs_f64();
            eprintln!("bank: {done} of {all} transactions after {seconds:.2} s");
        }
    }

    fn tell(&self, transaction: &Transaction, what: &str) {
        if self.way.tells {
            println!(
                "line {}: account {} has {}: the withdrawal of {} {what}",
                transaction.line,
                self.ledger.accounts[transaction.account].number,
                Crowns(self.accounts[transaction.account].balance.get()),
                Crowns(-transaction.amount),
            );
        }
    }

    /// Compares what came out with what the ledger recorded.
    fn close(&self) -> Outcome {
        let seconds = self.opened.elapsed().as_secs_f64();
        let notes = &self.notes;
        let mismatches: Vec<Mismatch> = std::iter::zip(&self.accounts, &self.ledger.accounts)
            .filter(|(account, recorded)| account.balance.get() != recorded.last_balance)
            .map(|(account, recorded)| Mismatch {
                account: recorded.number,
                balance: account.balance.get(),
                recorded: recorded.last_balance,
            })
            .collect();
        Outcome {
            accounts: self.accounts.len(),
            transactions: self.done.get(),
            mismatches: mismatches.len(),
            first_mismatch: mismatches.into_iter().next(),
            total: self.total(),
            imbalance: self.imbalance(),
            seconds,
            turns: notes.turns.get(),
            waits: notes.waits.get(),
            observations: notes.observations.get(),
            observed_imbalances: notes.observed_imbalances.get(),
            lost: notes.lost.get(),
            made: notes.made.get(),
            refused: notes.refused.get(),
            first_refused: notes.first_refused.get(),
        }
    }
}

/// An account that did not end as recorded.
pub struct Mismatch {
    pub account: u64,
    pub balance: i64,
    pub recorded: i64,
}

/// What came out.
pub struct Outcome {
    pub accounts: usize,
    pub transactions: usize,
    pub mismatches: usize,
    pub first_mismatch: Option<Mismatch>,
    pub total: i64,
    pub imbalance: i64,
    pub seconds: f64,
    pub turns: u64,
    pub waits: u64,
    pub observations: u64,
    pub observed_imbalances: u64,
    /// Money put into accounts and overwritten.
    pub lost: Overwritten,
    /// Money taken out of accounts and overwritten: it is in two places now.
    pub made: Overwritten,
    pub refused: u64,
    pub first_refused: Option<usize>,
}

impl Outcome {
    pub fn is_right(&self) -> bool {
        self.mismatches == 0
            && self.imbalance == 0
            && self.refused == 0
            && self.observed_imbalances == 0
    }
}
