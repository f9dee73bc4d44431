//! "Beautiful concurrency" (Simon Peyton Jones, 2007): the chapter's examples, in its order, in Rust.
//!
//! Try, and see:
//!
//! - `cargo run --example beautiful_concurrency`: every example under a heading of its own, from a
//!   counter that loses an update to Santa Claus, his elves and his reindeer;
//! - `... -- 8`: one of them, here the eighth;
//! - the line after `again:` in the fourth: the lost update once more, in the very same steps;
//! - `... -- --merged`: a gate that is opened and watched in one transaction. Everybody waits, and
//!   the report says for what.
//!
//! Read `effects.rs` (1 to 4), `accounts.rs` (5 to 11), `gates.rs` and `santa.rs` (12 to 15) beside the
//! chapter. A function has the chapter's name, in snake case. Where Haskell has a type `STM a`, there
//! is a function here that takes a `&Transaction` and returns a `Result<_, Stop<E>>`.
//!
//! Time is virtual: who sleeps for three seconds does so at once.
mod accounts;
mod effects;
mod gates;
mod santa;

use maypole::{Builder, Clock, RunError};
use std::process::ExitCode;

const USAGE: &str = "\
usage: beautiful_concurrency [NUMBER | --merged]     NUMBER is from 1 to 15";

const EXAMPLES: [(&str, fn()); 15] = [
    ("hEchoLine: an action", effects::echoes),
    ("incRef: a variable", effects::increments),
    ("forkIO: two tasks", effects::forks),
    (
        "incRef from two tasks: a lost update",
        effects::loses_an_update,
    ),
    ("transfer: a transaction", accounts::transfers),
    ("incT, incT1, incT2: composition", accounts::composes),
    (
        "launchMissiles: effects in a transaction",
        accounts::launches,
    ),
    ("limitedWithdraw with retry", accounts::waits_by_retry),
    ("limitedWithdraw with check", accounts::waits_by_check),
    (
        "delayDeposit against limitedWithdraw",
        accounts::hunts_through_pockets,
    ),
    ("limitedWithdraw2 with orElse: choice", accounts::chooses),
    ("Gate: passGate, operateGate", santa::opens_a_gate),
    ("Group: joinGroup, awaitGroup", santa::forms_groups),
    ("santa with orElse", santa::with_or_else),
    ("santa with choose", santa::with_choose),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let chosen = match &arguments[..] {
        // The line after `again:` in a report is the fourth's, and the first run obeys it.
        [] if std::env::var_os("MAYPOLE_REPLAY").is_some() => 4..=4,
        [] => 1..=EXAMPLES.len(),
        [option] if option == "--merged" => return merged(),
        [number] => match number.parse() {
            Ok(number) if (1..=EXAMPLES.len()).contains(&number) => number..=number,
            _ => return usage(),
        },
        _ => return usage(),
    };
    let first = *chosen.start();
    for number in chosen {
        let (heading, show) = EXAMPLES[number - 1];
        if number > first {
            println!();
        }
        println!("## {number} {heading}");
        show();
    }
    ExitCode::SUCCESS
}

fn usage() -> ExitCode {
    eprintln!("{USAGE}");
    ExitCode::from(2)
}

fn merged() -> ExitCode {
    match on_virtual_time(santa::never_opens_the_gate) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs an example whose tasks take their time.
fn on_virtual_time(example: impl FnOnce()) -> Result<(), RunError> {
    Builder::new().clock(Clock::Virtual).run(example)
}
