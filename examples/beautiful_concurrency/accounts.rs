//! Accounts in transactional memory: composition, waiting, and choice.
use crate::on_virtual_time;
use maypole::explore::Explorer;
use maypole::stm::{Stop, TVar, Transaction, atomically, check, retry};
use maypole::{run, scope, sleep, yield_now};
use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::time::Duration;

type Account = TVar<i64>;

// ── transactions ─────────────────────────────────────────────────────────────────────────────

/// A part of a transaction: `tx` stands for the transaction that it will be a part of.
fn withdraw(tx: &Transaction, account: &Account, amount: i64) {
    let balance = account.read(tx);
    account.write(tx, balance - amount);
}

fn deposit(tx: &Transaction, account: &Account, amount: i64) {
    withdraw(tx, account, -amount);
}

/// Two parts that are right make a whole that is right: nobody ever sees the money in neither
/// account, or in both. With locks one would have to know what the two parts lock, and in which
/// order.
fn transfer(from: &Account, to: &Account, amount: i64) {
    atomically(|tx| {
        deposit(tx, to, amount);
        withdraw(tx, from, amount);
        Ok(())
    });
}

pub fn transfers() {
    let (from, to) = (Account::new(200), Account::new(100));
    transfer(&from, &to, 50);
    println!("{}, {}", from.get(), to.get());
}

/// Adds one to a variable of transactions, `TVar`. It cannot be reached without a transaction. This
/// does not compile:
///
/// ```text
/// variable.read();            // error: an argument of type `&Transaction` is missing
/// inc_t(&variable);           // the same
/// let tx = atomically(|tx| Ok(tx));   // error: a transaction does not outlive its `atomically`
/// ```
fn inc_t(tx: &Transaction, variable: &TVar<i32>) {
    let value = variable.read(tx);
    variable.write(tx, value + 1);
}

/// A whole transaction. Two of these are two steps, and somebody may look in between.
fn inc_t1(variable: &TVar<i32>) {
    atomically(|tx| {
        inc_t(tx, variable);
        Ok(())
    });
}

/// The part, twice: as a part it composes, to one step.
fn inc_t2(variable: &TVar<i32>) {
    atomically(|tx| {
        inc_t(tx, variable);
        inc_t(tx, variable);
        Ok(())
    });
}

/// What another task may see of two increments, in any order of turns: of two transactions, the
/// state in between; of one, nothing but before and after.
pub fn composes() {
    let seen = seen_by_another(|variable| {
        inc_t1(variable);
        inc_t1(variable);
    });
    println!("incT1, and again incT1: another task may see {seen:?}");
    println!("incT2: another task may see {:?}", seen_by_another(inc_t2));
}

fn seen_by_another(increments: impl Fn(&TVar<i32>)) -> BTreeSet<i32> {
    let seen = RefCell::new(BTreeSet::new());
    let outcome = Explorer::new().check(|| {
        let variable = TVar::new(0);
        scope(|s| {
            s.spawn(|| increments(&variable));
            s.spawn(|| seen.borrow_mut().insert(variable.get()));
        });
    });
    assert!(outcome.complete, "{outcome}");
    seen.take()
}

/// In Haskell, missiles in a transaction do not compile. Here they do, and are launched as often as
/// the transaction is tried; what is to be done once belongs into `on_commit`.
pub fn launches() {
    let (launched, announced) = (Cell::new(0), TVar::new(0));
    let enemies = TVar::new(0);
    run(|| {
        scope(|s| {
            s.spawn(|| {
                atomically(|tx| {
                    launched.set(launched.get() + 1);
                    let announced = announced.clone();
                    tx.on_commit(move || announced.set(announced.get() + 1));
                    check(enemies.read(tx) > 0)
                });
            });
            yield_now();
            enemies.set(1);
        });
    });
    println!("launched in the transaction: {}", launched.get());
    println!("launched on commit: {}", announced.get());
}

// ── waiting ──────────────────────────────────────────────────────────────────────────────────

/// Withdraws where there is enough. Where there is not, it says `retry`: what was done is undone, and
/// is tried again when somebody has changed the account. Nobody has to remember to wake anybody.
fn limited_withdraw_by_retry<E>(
    tx: &Transaction,
    account: &Account,
    amount: i64,
) -> Result<(), Stop<E>> {
    let balance = account.read(tx);
    if amount > 0 && amount > balance {
        retry()
    } else {
        account.write(tx, balance - amount);
        Ok(())
    }
}

/// The same: `check` is a `retry` if the condition does not hold.
fn limited_withdraw<E>(tx: &Transaction, account: &Account, amount: i64) -> Result<(), Stop<E>> {
    let balance = account.read(tx);
    check(amount <= 0 || amount <= balance)?;
    account.write(tx, balance - amount);
    Ok(())
}

type Withdraw = fn(&Transaction, &Account, i64) -> Result<(), Stop>;

pub fn waits_by_retry() {
    run(|| withdraws_60_of_100_twice(limited_withdraw_by_retry));
}

pub fn waits_by_check() {
    run(|| withdraws_60_of_100_twice(limited_withdraw));
}

fn withdraws_60_of_100_twice(withdraw: Withdraw) {
    let account = Account::new(100);
    let balance = || account.get();
    atomically(|tx| withdraw(tx, &account, 60));
    println!("60 of 100: done, balance {}", balance());
    scope(|s| {
        let second = s.spawn(|| atomically(|tx| withdraw(tx, &account, 60)));
        yield_now();
        assert!(!second.is_finished());
        println!("60 of 40: waits, balance {}", balance());
        for _ in 0..2 {
            atomically(|tx| {
                deposit(tx, &account, 10);
                Ok(())
            });
            println!("10 more, balance {}", balance());
            yield_now();
        }
        second.join().unwrap();
        println!("60 of 60: done, balance {}", balance());
    });
}

/// Deposits later, for a `limited_withdraw` that waits meanwhile: it goes on with the deposit, and
/// neither of the two knows of the other.
fn delay_deposit(account: &Account, amount: i64) {
    println!("Getting ready to deposit money...hunting through pockets...");
    sleep(Duration::from_secs(3));
    println!("OK! Depositing now!");
    atomically(|tx| {
        deposit(tx, account, amount);
        Ok(())
    });
}

pub fn hunts_through_pockets() {
    let account = Account::new(100);
    let example = || {
        scope(|s| {
            s.spawn(|| delay_deposit(&account, 1));
            println!("Trying to withdraw money...");
            atomically(|tx| limited_withdraw(tx, &account, 101));
            println!("Successful withdrawal!");
        });
    };
    on_virtual_time(example).expect("the deposit comes");
    println!("balance {}", account.get());
}

// ── choice ───────────────────────────────────────────────────────────────────────────────────

/// Withdraws from the left account if there is enough, else from the right one, and waits if there
/// is enough in neither. The parts know nothing of it.
fn limited_withdraw2<E>(
    tx: &Transaction,
    left: &Account,
    right: &Account,
    amount: i64,
) -> Result<(), Stop<E>> {
    tx.or_else(
        |tx| limited_withdraw(tx, left, amount),
        |tx| limited_withdraw(tx, right, amount),
    )
}

/// First there is enough in neither, and the deposit is to the right account: whoever waits for an
/// alternative waits for both of them. Then there is enough in both, and the left one is charged.
pub fn chooses() {
    let (left, right) = (Account::new(100), Account::new(100));
    let example = || {
        println!("left {}, right {}", left.get(), right.get());
        scope(|s| {
            s.spawn(|| {
                sleep(Duration::from_secs(3));
                println!("Depositing 1 into the right account");
                atomically(|tx| {
                    deposit(tx, &right, 1);
                    Ok(())
                });
            });
            println!("Withdrawing 101 from either account");
            atomically(|tx| limited_withdraw2(tx, &left, &right, 101));
        });
        println!("left {}, right {}", left.get(), right.get());
    };
    on_virtual_time(example).expect("the deposit comes");

    println!("# enough in both");
    let (b1, b2) = (Account::new(500), Account::new(500));
    atomically(|tx| limited_withdraw2(tx, &b1, &b2, 10));
    println!("b1 {}, b2 {}", b1.get(), b2.get());
}
