//! The cooperative bank: every transaction of a ledger is a task, and there is no lock.
//!
//! Try, and see:
//!
//! - `cargo run --release --example bank`: a small ledger of its own; withdrawals that wait for
//!   cover, and at the end every account as the bank recorded it;
//! - `... -- --seed 7`: another order of the tasks, the same end;
//! - `... -- --wait both`: waiting in a queue beside polling, with the turns that each takes;
//! - `... -- --broken`: a yield between the read and the write of a balance; money is lost;
//! - `... -- --ledger FILE`: a ledger of yours, with the columns of `examples/bank/sample.csv`.
//!
//! Read `bank.rs` first: it is the whole bank. `ledger.rs` reads the file, `money.rs` has exact
//! hundredths, `options.rs` the command line.
mod bank;
mod ledger;
mod money;
mod options;

use bank::{Outcome, Overwritten, Wait, Way};
use ledger::Ledger;
use money::Crowns;
use options::{Asked, Options, USAGE};
use std::process::ExitCode;
use std::rc::Rc;

/// The ledger of those who bring none.
const SAMPLE: &str = include_str!("sample.csv");

const ALL_WELL: u8 = 0;
const DIFFERS: u8 = 1;
const BAD_INPUT: u8 = 2;

fn main() -> ExitCode {
    ExitCode::from(match options::read(std::env::args_os().skip(1)) {
        Ok(Asked::Help) => {
            println!("{USAGE}");
            ALL_WELL
        }
        Ok(Asked::Run(options)) => serve(&options),
        Err(complaint) => {
            eprintln!("bank: {complaint}\n\n{USAGE}");
            BAD_INPUT
        }
    })
}

fn serve(options: &Options) -> u8 {
    let ledger = match &options.ledger {
        Some(file) => Ledger::read(file),
        None => Ledger::parse("sample.csv", SAMPLE.as_bytes()),
    };
    let ledger = match ledger {
        Ok(ledger) => Rc::new(ledger),
        Err(bad) => {
            eprintln!("bank: {bad}");
            return BAD_INPUT;
        }
    };
    introduce(&ledger, options);
    let mut earlier: Option<Outcome> = None;
    for (index, &wait) in options.waits.iter().enumerate() {
        let way = Way {
            wait,
            seed: options.seed,
            broken: options.broken,
            tells: ledger.transactions.len() <= 100,
        };
        let outcome = match bank::run(ledger.clone(), way) {
            Ok(outcome) => outcome,
            Err(error) => {
                eprintln!("{error}");
                return DIFFERS;
            }
        };
        describe(&outcome, wait);
        if let Some(queue) = &earlier {
            compare(queue, &outcome);
        }
        let is_last = index + 1 == options.waits.len();
        if is_last || !outcome.is_right() {
            conclude(&outcome);
        }
        if !outcome.is_right() {
            return DIFFERS;
        }
        earlier = Some(outcome);
    }
    ALL_WELL
}

fn introduce(ledger: &Ledger, options: &Options) {
    println!(
        "{} transactions of {} accounts: each is a task, and all are alive at once.",
        ledger.transactions.len(),
        ledger.accounts.len()
    );
    if options.broken {
        println!("Broken: there is a yield between the read and the write of a balance.");
    } else {
        println!(
            "No lock: between two yields a task is alone, so it moves the money in one piece."
        );
    }
}

fn describe(outcome: &Outcome, wait: Wait) {
    println!(
        "observed: {} times while the bank was open, out of balance {} times",
        outcome.observations, outcome.observed_imbalances
    );
    println!(
        "waited: {} times ({wait}), turns: {}",
        outcome.waits, outcome.turns
    );
    tell_overwritten("lost", &outcome.lost);
    tell_overwritten("made out of nothing", &outcome.made);
    if let Some(line) = outcome.first_refused {
        println!(
            "refused: {} withdrawals that no deposit could cover, the first in line {line}",
            outcome.refused
        );
    }
    if let Some(first) = &outcome.first_mismatch {
        println!(
            "first mismatch: account {} has {}, recorded is {}",
            first.account,
            Crowns(first.balance),
            Crowns(first.recorded)
        );
    }
}

fn tell_overwritten(fate: &str, overwritten: &Overwritten) {
    if let Some((account, line, amount)) = overwritten.first {
        println!(
            "{fate}: {} in {} overwritten balances, first {} in account {account} by line {line}",
            Crowns(overwritten.together),
            overwritten.times,
            Crowns(amount)
        );
    }
}

fn compare(queue: &Outcome, poll: &Outcome) {
    println!(
        "difference: a task in a queue has a turn when it is covered; one that polls has {} more \
         turns and looks in vain {} more times",
        poll.turns as i64 - queue.turns as i64,
        poll.waits as i64 - queue.waits as i64
    );
}

fn conclude(outcome: &Outcome) {
    println!("accounts: {}", outcome.accounts);
    println!("transactions: {}", outcome.transactions);
    println!("mismatches: {}", outcome.mismatches);
    println!("total: {}", Crowns(outcome.total));
    println!("imbalance: {}", Crowns(outcome.imbalance));
    println!("seconds: {:.3}", outcome.seconds);
    println!(
        "transactions/s: {:.0}",
        outcome.transactions as f64 / outcome.seconds.max(1e-9)
    );
}
