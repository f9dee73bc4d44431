//! Cooperative tasks: shared cells, and no lock.
//!
//! Tasks change hands at yields and parks and nowhere else. So a task that looks at a balance and
//! writes it, without a yield in between, cannot be disturbed: this is what a lock is for
//! elsewhere. `Coop::book` is the place to look at; `--broken` puts a yield in the middle of it.
use super::bank::{Answer, Books};
use super::desk::{Desk, Wait};
use super::ledger::Entry;
use super::money::Crowns;
use super::outcome::{Overwritten, Undone};
use maypole::{Task, task};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

pub struct Coop {
    desk: Rc<Desk>,
    accounts: Vec<Account>,
    counterparties: Vec<Cell<i64>>,
    undone: Cell<Undone>,
}

struct Account {
    balance: Cell<i64>,
    /// How low a withdrawal may take the balance.
    limit: i64,
    deposits_to_come: Cell<usize>,
    /// Withdrawals that wait for cover, each with its amount, which is negative.
    waiting: RefCell<VecDeque<(Task, i64)>>,
}

impl Books for Coop {
    fn open(desk: Rc<Desk>) -> Self {
        let accounts = desk.ledger.accounts.iter().map(|recorded| Account {
            balance: Cell::new(0),
            limit: recorded.limit(),
            deposits_to_come: Cell::new(recorded.deposits),
            waiting: RefCell::default(),
        });
        let counterparties = desk.ledger.counterparties.iter().map(|_| Cell::new(0));
        Coop {
            accounts: accounts.collect(),
            counterparties: counterparties.collect(),
            undone: Cell::default(),
            desk,
        }
    }

    fn deposit(&self, entry: &Entry) {
        let account = &self.accounts[entry.account];
        self.book(entry);
        account.deposits_to_come.update(|count| count - 1);
        account.wake_the_covered();
    }

    fn withdraw(&self, entry: &Entry) -> Answer {
        let account = &self.accounts[entry.account];
        let mut looks = 1;
        while !account.covers(entry.amount) {
            if account.deposits_to_come.get() == 0 {
                return Answer::refused(looks, account.balance.get());
            }
            looks += 1;
            match self.desk.way.wait {
                Wait::Poll => self.desk.give_way(),
                Wait::Queue => {
                    // The borrow ends with the statement: none may be held across a park.
                    let waits = (task::current(), entry.amount);
                    account.waiting.borrow_mut().push_back(waits);
                    task::park();
                }
            }
        }
        let found = account.balance.get();
        self.book(entry);
        Answer::paid(looks, found)
    }

    /// It needs no lock either, to add up every balance of the bank.
    fn imbalance(&self) -> i64 {
        let accounts = self.accounts.iter().map(|account| account.balance.get());
        accounts
            .chain(self.counterparties.iter().map(Cell::get))
            .sum()
    }

    fn balances(&self) -> Vec<i64> {
        let balances = self.accounts.iter().map(|account| account.balance.get());
        balances.collect()
    }

    fn undone(&self) -> Undone {
        self.undone.get()
    }
}

impl Coop {
    /// Moves the money. Between the read and the write there is no yield, so no other task can
    /// come in between, and no lock is needed to keep one out. The account and the counterparty
    /// change in one piece too: nobody ever sees money that has left one and not reached the
    /// other.
    fn book(&self, entry: &Entry) {
        let account = &self.accounts[entry.account];
        let counterparty = &self.counterparties[entry.counterparty];
        let balance = account.balance.get();
        if self.desk.way.broken {
            self.desk
                .note(entry, || format!("reads {}", Crowns(balance)));
            self.desk.give_way();
            self.note_overwriting(entry, account.balance.get() - balance);
        }
        account.balance.set(balance + entry.amount);
        counterparty.set(counterparty.get() - entry.amount);
        self.desk.note(entry, || {
            format!("writes {}", Crowns(balance + entry.amount))
        });
    }

    fn note_overwriting(&self, entry: &Entry, change: i64) {
        let overwritten = |so_far: Overwritten| Overwritten {
            times: so_far.times + 1,
            together: so_far.together + change.abs(),
            first: so_far.first.or(Some((
                self.desk.ledger.accounts[entry.account].number,
                entry.line,
                change.abs(),
            ))),
        };
        self.undone.update(|undone| match change {
            0 => undone,
            1.. => Undone {
                lost: overwritten(undone.lost),
                ..undone
            },
            _ => Undone {
                made: overwritten(undone.made),
                ..undone
            },
        });
    }
}

impl Account {
    fn covers(&self, amount: i64) -> bool {
        self.balance.get() + amount >= self.limit
    }

    /// Wakes those whom the balance covers now.
    fn wake_the_covered(&self) {
        self.covered().iter().for_each(Task::unpark);
    }

    /// Takes them from the front of the queue. The last deposit lets all of them look again, since
    /// nobody else will.
    fn covered(&self) -> Vec<Task> {
        let is_last = self.deposits_to_come.get() == 0;
        let mut left = self.balance.get();
        let mut covered = Vec::new();
        let mut waiting = self.waiting.borrow_mut();
        while let Some((_, amount)) = waiting.front()
            && (is_last || left + amount >= self.limit)
        {
            left += amount;
            covered.extend(waiting.pop_front().map(|(task, _)| task));
        }
        covered
    }
}
