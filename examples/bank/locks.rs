//! Locks: a mutex around each balance, as for tasks that could be interrupted anywhere.
//!
//! A transaction holds the mutexes of both sides while it moves the money, so that nobody sees it
//! half way, wherever the tasks switch. It takes them in account order, which is one order for
//! all: accounts before counterparties, and each kind by its place in the bank. Whoever holds one
//! waits only for later ones, so there is no circle of tasks that wait for each other; a withdrawal
//! that waits for cover holds none, since the condition variable unlocks the account meanwhile.
//! `Locks::deposit` is the place to look at; `--broken` takes them in the order of the transfer, from
//! where the money comes to where it goes, and a deposit meets a withdrawal that comes the other
//! way.
use super::bank::{Answer, Books};
use super::desk::Desk;
use super::ledger::Entry;
use super::money::Crowns;
use maypole::sync::{Condvar, Mutex, MutexGuard};
use std::rc::Rc;

pub struct Locks {
    desk: Rc<Desk>,
    accounts: Vec<Account>,
    counterparties: Vec<Mutex<i64>>,
}

struct Account {
    funds: Mutex<Funds>,
    /// How low a withdrawal may take the balance.
    limit: i64,
    /// Told of each deposit.
    deposited: Condvar,
}

struct Funds {
    balance: i64,
    deposits_to_come: usize,
}

impl Books for Locks {
    fn open(desk: Rc<Desk>) -> Self {
        let accounts = desk.ledger.accounts.iter().map(|recorded| {
            let funds = Funds {
                balance: 0,
                deposits_to_come: recorded.deposits,
            };
            Account {
                funds: Mutex::named(format!("account {}", recorded.number), funds),
                limit: recorded.limit(),
                deposited: Condvar::new(),
            }
        });
        let counterparties = desk.ledger.counterparties.iter();
        Locks {
            accounts: accounts.collect(),
            counterparties: counterparties.map(|name| Mutex::named(name, 0)).collect(),
            desk,
        }
    }

    fn deposit(&self, entry: &Entry) {
        let account = &self.accounts[entry.account];
        let (mut funds, mut counterparty);
        if self.desk.way.broken {
            counterparty = self.counterparties[entry.counterparty].lock();
            self.desk
                .note(entry, || "has locked the counterparty".into());
            self.desk.give_way();
            funds = account.funds.lock();
        } else {
            funds = account.funds.lock();
            counterparty = self.counterparties[entry.counterparty].lock();
        }
        self.book(entry, &mut funds, &mut counterparty);
        funds.deposits_to_come -= 1;
        account.deposited.notify_all();
    }

    fn withdraw(&self, entry: &Entry) -> Answer {
        let account = &self.accounts[entry.account];
        let mut looks = 1;
        let mut funds = account.funds.lock();
        while funds.balance + entry.amount < account.limit {
            if funds.deposits_to_come == 0 {
                return Answer::refused(looks, funds.balance);
            }
            looks += 1;
            funds = account.deposited.wait(funds);
        }
        let found = funds.balance;
        if self.desk.way.broken {
            self.desk.note(entry, || "has locked the account".into());
            self.desk.give_way();
        }
        // Of a withdrawal, the account is the first one in either order.
        let mut counterparty = self.counterparties[entry.counterparty].lock();
        self.book(entry, &mut funds, &mut counterparty);
        Answer::paid(looks, found)
    }

    /// Stops the whole bank: whatever is not locked could change while the rest is added up. It
    /// takes the mutexes in the order in which all take them.
    fn imbalance(&self) -> i64 {
        let accounts: Vec<MutexGuard<Funds>> = self
            .accounts
            .iter()
            .map(|account| account.funds.lock())
            .collect();
        let counterparties: Vec<MutexGuard<i64>> = self
            .counterparties
            .iter()
            .map(|balance| balance.lock())
            .collect();
        let in_accounts: i64 = accounts.iter().map(|funds| funds.balance).sum();
        in_accounts + counterparties.iter().map(|balance| **balance).sum::<i64>()
    }

    fn balances(&self) -> Vec<i64> {
        let balances = self
            .accounts
            .iter()
            .map(|account| account.funds.lock().balance);
        balances.collect()
    }
}

impl Locks {
    fn book(&self, entry: &Entry, funds: &mut Funds, counterparty: &mut i64) {
        funds.balance += entry.amount;
        *counterparty -= entry.amount;
        self.desk
            .note(entry, || format!("writes {}", Crowns(funds.balance)));
    }
}
