//! What people read of a run.
use super::bank::ALIVE;
use super::desk::{Style, Wait};
use super::ledger::Ledger;
use super::money::Crowns;
use super::outcome::{Outcome, Overwritten};

pub fn ledger(ledger: &Ledger) {
    println!(
        "{} transactions of {} accounts: each is a task, and up to {ALIVE} are alive at once.",
        ledger.entries.len(),
        ledger.accounts.len()
    );
}

pub fn style(style: Style, broken: bool) {
    println!(
        "{}",
        match (style, broken) {
            (Style::Coop, false) =>
                "No lock: between two yields a task is alone, so it moves the money in one piece.",
            (Style::Coop, true) =>
                "Broken: there is a yield between the read and the write of a balance.",
            (Style::Stm, false) =>
                "Transactions: both sides change or none, and without cover they retry.",
            (Style::Stm, true) =>
                "Broken: one transaction takes the money, and another one brings it.",
            (Style::Locks, false) =>
                "Mutexes in account order: a task holds both sides while it moves the money.",
            (Style::Locks, true) =>
                "Broken: the mutexes are taken in the order of the transfer, from and then to.",
        }
    );
}

pub fn told(outcome: &Outcome) {
    for line in &outcome.told {
        println!("{line}");
    }
}

pub fn outcome(outcome: &Outcome, style: Style, wait: Wait) {
    println!(
        "observed: {} times while the bank was open, out of balance {} times",
        outcome.observations, outcome.observed_imbalances
    );
    let waits = outcome.waits;
    match style {
        Style::Coop => println!("waited: {waits} times ({wait}), turns: {}", outcome.turns),
        Style::Stm => println!("waited: {waits} times (retry)"),
        Style::Locks => println!("waited: {waits} times (condition variable)"),
    }
    overwritten("lost", &outcome.undone.lost);
    overwritten("made out of nothing", &outcome.undone.made);
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

fn overwritten(fate: &str, overwritten: &Overwritten) {
    if let Some((account, line, amount)) = overwritten.first {
        println!(
            "{fate}: {} in {} overwritten balances, first {} in account {account} by line {line}",
            Crowns(overwritten.together),
            overwritten.times,
            Crowns(amount)
        );
    }
}

pub fn difference(queue: &Outcome, poll: &Outcome) {
    println!(
        "difference: a task in a queue has a turn when it is covered; one that polls has {} more \
         turns and looks in vain {} more times",
        poll.turns as i64 - queue.turns as i64,
        poll.waits as i64 - queue.waits as i64
    );
}

pub fn side_by_side(outcomes: &[(Style, Outcome)]) {
    let row = |name: &str, cell: &dyn Fn(&Outcome) -> String| {
        let cells = outcomes.iter().map(|(_, outcome)| cell(outcome));
        let cells: String = cells.map(|cell| format!("{cell:>12}")).collect();
        println!("  {name:<16}{cells}");
    };
    let names = outcomes.iter().map(|(style, _)| style.name());
    let names: String = names.map(|name| format!("{name:>12}")).collect();
    println!("# side by side    {names}");
    row("in seconds:", &|outcome| format!("{:.6}", outcome.seconds));
    row("transactions/s:", &|outcome| {
        format!("{:.0}", outcome.per_second())
    });
    row("waited:", &|outcome| outcome.waits.to_string());
    row("observed:", &|outcome| outcome.observations.to_string());
}

/// Whether every account has the same balance in each style; says so, or where they differ.
pub fn agreement(ledger: &Ledger, outcomes: &[(Style, Outcome)]) -> bool {
    let Some(((first, one), others @ [_, ..])) = outcomes.split_first() else {
        return false; // Nobody to agree with.
    };
    for (style, other) in others {
        let accounts = ledger.accounts.iter().zip(&one.balances);
        let mut pairs = accounts.zip(&other.balances);
        if let Some(((account, here), there)) = pairs.find(|((_, here), there)| here != there) {
            println!(
                "they disagree: account {} has {} in {}, {} in {}",
                account.number,
                Crowns(*here),
                first.name(),
                Crowns(*there),
                style.name()
            );
            return false;
        }
    }
    println!(
        "they agree: all {} accounts have the same balance in each style, to the hundredth",
        ledger.accounts.len()
    );
    true
}

pub fn result(outcome: &Outcome) {
    println!("accounts: {}", outcome.balances.len());
    println!("transactions: {}", outcome.transactions);
    println!("mismatches: {}", outcome.mismatches);
    println!("total: {}", Crowns(outcome.total));
    println!("imbalance: {}", Crowns(outcome.imbalance));
    println!("seconds: {:.3}", outcome.seconds);
    println!("transactions/s: {:.0}", outcome.per_second());
}
