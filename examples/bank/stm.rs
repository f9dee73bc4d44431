//! Transactions: both sides change, or none, and nobody comes in between.
//!
//! The parts are those of "Beautiful concurrency" (Peyton Jones, 2007): `deposit` and `withdraw` know
//! of one balance, `limited_withdraw` waits for cover as well, and whoever puts two parts one after
//! the other into one `atomically` has a whole that is atomic too. A part that waits need not know
//! for what it is a part, nor who will change the balance: it retries, and runs again when
//! something has changed that it has read. No order of locks is there to be kept.
//! `Stm::deposit` is the place to look at; `--broken` makes two transactions of the one.
use super::bank::{Answer, Books};
use super::desk::Desk;
use super::ledger::Entry;
use super::money::Crowns;
use maypole::stm::{Stop, TVar, Transaction, atomically, check};
use std::rc::Rc;

pub struct Stm {
    desk: Rc<Desk>,
    accounts: Vec<Account>,
    counterparties: Vec<TVar<i64>>,
}

struct Account {
    balance: TVar<i64>,
    /// How low a withdrawal may take the balance.
    limit: i64,
    deposits_to_come: TVar<usize>,
}

fn deposit<E>(tx: &Transaction, balance: &TVar<i64>, amount: i64) -> Result<(), Stop<E>> {
    balance.update(tx, |before| before + amount);
    Ok(())
}

fn withdraw<E>(tx: &Transaction, balance: &TVar<i64>, amount: i64) -> Result<(), Stop<E>> {
    deposit(tx, balance, -amount)
}

/// Waits until the account can pay.
fn limited_withdraw<E>(tx: &Transaction, account: &Account, amount: i64) -> Result<(), Stop<E>> {
    check(account.balance.read(tx) - amount >= account.limit)?;
    withdraw(tx, &account.balance, amount)
}

/// A deposit, which is one less to come.
fn receive<E>(tx: &Transaction, account: &Account, amount: i64) -> Result<(), Stop<E>> {
    account.deposits_to_come.update(tx, |count| count - 1);
    deposit(tx, &account.balance, amount)
}

/// Waits until no deposit is to come.
fn end_of_deposits<E>(tx: &Transaction, account: &Account) -> Result<(), Stop<E>> {
    check(account.deposits_to_come.read(tx) == 0)
}

impl Books for Stm {
    fn open(desk: Rc<Desk>) -> Self {
        let accounts = desk.ledger.accounts.iter().map(|recorded| Account {
            balance: TVar::new(0),
            limit: recorded.limit(),
            deposits_to_come: TVar::new(recorded.deposits),
        });
        let counterparties = desk.ledger.counterparties.iter().map(|_| TVar::new(0));
        Stm {
            accounts: accounts.collect(),
            counterparties: counterparties.collect(),
            desk,
        }
    }

    fn deposit(&self, entry: &Entry) {
        let account = &self.accounts[entry.account];
        let counterparty = &self.counterparties[entry.counterparty];
        if self.desk.way.broken {
            atomically(|tx| withdraw(tx, counterparty, entry.amount));
            self.on_its_way(entry);
            atomically(|tx| receive(tx, account, entry.amount));
        } else {
            atomically(|tx| {
                withdraw(tx, counterparty, entry.amount)?;
                receive(tx, account, entry.amount)
            });
        }
        self.note_end(entry);
    }

    fn withdraw(&self, entry: &Entry) -> Answer {
        let account = &self.accounts[entry.account];
        let counterparty = &self.counterparties[entry.counterparty];
        let (broken, amount) = (self.desk.way.broken, -entry.amount);
        // What a transaction does to anything but its variables is not undone when it retries.
        // Here that is what is wanted: how often it has run.
        let mut looks = 0;
        let (is_paid, found) = atomically(|tx| {
            looks += 1;
            let found = account.balance.read(tx);
            // Of the first that need not wait; while both must, it waits for either.
            let is_paid = tx.or_else(
                |tx| {
                    limited_withdraw(tx, account, amount)?;
                    if !broken {
                        deposit(tx, counterparty, amount)?;
                    }
                    Ok(true)
                },
                |tx| end_of_deposits(tx, account).map(|()| false),
            )?;
            Ok((is_paid, found))
        });
        if !is_paid {
            return Answer::refused(looks, found);
        }
        if broken {
            self.on_its_way(entry);
            atomically(|tx| deposit(tx, counterparty, amount));
        }
        self.note_end(entry);
        Answer::paid(looks, found)
    }

    /// One transaction for all the balances: nobody changes one while they are added up.
    fn imbalance(&self) -> i64 {
        atomically(|tx| {
            let accounts = self.accounts.iter().map(|account| &account.balance);
            let balances = accounts.chain(&self.counterparties);
            Ok(balances.map(|balance| balance.read(tx)).sum())
        })
    }

    fn balances(&self) -> Vec<i64> {
        let balances = self.accounts.iter().map(|account| account.balance.get());
        balances.collect()
    }
}

impl Stm {
    /// Between two transactions the others have a turn, and the money is nowhere.
    fn on_its_way(&self, entry: &Entry) {
        self.desk.note(entry, || {
            format!(
                "has taken {}, which is nowhere now",
                Crowns(entry.amount.abs())
            )
        });
        self.desk.give_way();
    }

    fn note_end(&self, entry: &Entry) {
        self.desk.note(entry, || {
            format!("has brought {}", Crowns(entry.amount.abs()))
        });
    }
}
