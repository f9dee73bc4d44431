//! The bank: every transaction of a ledger is a task, and the books are kept in three styles.
//!
//! Try, and see:
//!
//! - `cargo run --release --example bank`: a small ledger of its own, worked by cooperative tasks,
//!   by transactions (STM) and by mutexes in account order; withdrawals that wait for cover, every
//!   account as the bank recorded it, the same to the hundredth in each style, and their times
//!   side by side;
//! - `... -- --style stm`: one style alone (`coop`, `stm` or `locks`);
//! - `... -- --seed 7`: another order of the tasks, the same end;
//! - `... -- --wait both`: waiting in a queue beside polling, with the turns that each takes;
//! - `... -- --broken`: a yield between the read and the write of a balance; money is lost;
//! - `... -- --style stm --broken`: two transactions instead of one; money is missed on its way;
//! - `... -- --style locks --broken`: mutexes in the order of the transfer; a deadlock, told;
//! - `... -- --explore`: a proof that money stays constant, under every order of the tasks; with
//!   `--broken` an order that fails, step by step, and a line that runs it again;
//! - `... -- --ledger FILE`: a ledger of yours, with the columns of `examples/bank/sample.csv`.
//!
//! Read `bank.rs` first, what the styles have in common; then side by side `coop.rs`, `stm.rs` and
//! `locks.rs`, each of which keeps the books. `explore.rs` tries every order, `desk.rs` counts,
//! `outcome.rs` and `print.rs` are what comes out, `ledger.rs` reads the file, `money.rs` has exact
//! hundredths, `options.rs` the command line.
mod bank;
mod coop;
mod desk;
mod explore;
mod ledger;
mod locks;
mod money;
mod options;
mod outcome;
mod print;
mod stm;

use coop::Coop;
use desk::{Style, Wait, Watch, Way};
use ledger::Ledger;
use locks::Locks;
use maypole::RunError;
use options::{Asked, Options, USAGE};
use outcome::Outcome;
use std::process::ExitCode;
use std::rc::Rc;
use stm::Stm;

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
        Ok(Asked::Explore { styles, broken }) => explore_all(&styles, broken),
        Err(complaint) => {
            eprintln!("bank: {complaint}\n\n{USAGE}");
            BAD_INPUT
        }
    })
}

fn explore_all(styles: &[Style], broken: bool) -> u8 {
    let mut all_hold = true;
    for &style in styles {
        println!("# {}", style.name());
        all_hold &= explore::explore(style, broken);
    }
    if all_hold { ALL_WELL } else { DIFFERS }
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
    print::ledger(&ledger);
    match options.styles[..] {
        [style] => serve_in(style, &ledger, options),
        _ => compare(&ledger, options),
    }
}

/// One style, with each way to wait.
fn serve_in(style: Style, ledger: &Rc<Ledger>, options: &Options) -> u8 {
    print::style(style, options.broken);
    let mut earlier: Option<Outcome> = None;
    for (index, &wait) in options.waits.iter().enumerate() {
        let outcome = match run(style, ledger, wait, options, true) {
            Ok(outcome) => outcome,
            Err(error) => {
                eprintln!("{error}");
                return DIFFERS;
            }
        };
        print::told(&outcome);
        print::outcome(&outcome, style, wait);
        if let Some(queue) = &earlier {
            print::difference(queue, &outcome);
        }
        let is_last = index + 1 == options.waits.len();
        if is_last || !outcome.is_right() {
            print::result(&outcome);
        }
        if !outcome.is_right() {
            return DIFFERS;
        }
        earlier = Some(outcome);
    }
    ALL_WELL
}

/// All styles, one after another. The last lines are those of the first that is not right, or else
/// of the first.
fn compare(ledger: &Rc<Ledger>, options: &Options) -> u8 {
    // The first run of a process makes the stacks that later ones find, so it does not count.
    let _ = run(options.styles[0], ledger, Wait::Queue, options, false);
    let mut outcomes = Vec::new();
    for &style in &options.styles {
        println!("# {}", style.name());
        print::style(style, options.broken);
        match run(style, ledger, Wait::Queue, options, true) {
            Ok(outcome) => {
                if outcomes.is_empty() {
                    print::told(&outcome);
                }
                print::outcome(&outcome, style, Wait::Queue);
                outcomes.push((style, outcome));
            }
            Err(error) => {
                eprintln!("{error}");
                println!("not closed: the report on stderr says why");
            }
        }
    }
    print::side_by_side(&outcomes);
    let agree = print::agreement(ledger, &outcomes);
    let wrong = outcomes.iter().find(|(_, outcome)| !outcome.is_right());
    if let Some((style, outcome)) = wrong.or(outcomes.first()) {
        println!("# the result, with the time of {}", style.name());
        print::result(outcome);
    }
    let all_closed = outcomes.len() == options.styles.len();
    match agree && all_closed && wrong.is_none() {
        true => ALL_WELL,
        false => DIFFERS,
    }
}

fn run(
    style: Style,
    ledger: &Rc<Ledger>,
    wait: Wait,
    options: &Options,
    shows_progress: bool,
) -> Result<Outcome, RunError> {
    let way = Way {
        wait,
        seed: options.seed,
        broken: options.broken,
        watch: Watch::Always,
        shows_progress,
    };
    let ledger = ledger.clone();
    match style {
        Style::Coop => bank::run::<Coop>(ledger, way),
        Style::Stm => bank::run::<Stm>(ledger, way),
        Style::Locks => bank::run::<Locks>(ledger, way),
    }
}
