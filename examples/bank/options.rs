//! The command line of the bank.
use super::desk::{Style, Wait};
use std::ffi::OsString;
use std::path::PathBuf;

pub const USAGE: &str = "\
usage: bank [--style coop|stm|locks|all] [--ledger FILE] [--seed N] [--broken]
            [--wait queue|poll|both] [--explore]

  --style HOW    how the books are kept: coop (cooperative tasks, no lock), stm (transactions),
                 locks (mutexes in account order), or all, one after another, with their times
                 side by side; default: all, but coop with --broken or --wait
  --ledger FILE  the transactions, a CSV file (default: a small sample)
  --seed N       the order of the tasks: 0 is first in, first out (default), others are random
  --wait HOW     how a withdrawal of coop waits for cover: queue (default), poll, or both in turn;
                 one of stm retries, one of locks has a condition variable
  --broken       does it wrong. coop: yields between the read and the write of a balance, and loses
                 money. stm: takes the money in one transaction and brings it in another, and
                 who adds up all balances misses it. locks: takes the mutexes in the order of the
                 transfer, and ends in a deadlock
  --explore      proves the money constant on ledgers of two or three transactions, under every
                 order of the tasks; with --broken finds an order that fails
  --help         shows this";

pub enum Asked {
    Help,
    Run(Options),
    Explore { styles: Vec<Style>, broken: bool },
}

pub struct Options {
    pub styles: Vec<Style>,
    pub ledger: Option<PathBuf>,
    pub seed: u64,
    pub waits: Vec<Wait>,
    pub broken: bool,
}

/// The words of the command line.
#[derive(Default)]
struct Words {
    styles: Option<Vec<Style>>,
    ledger: Option<PathBuf>,
    seed: Option<u64>,
    waits: Option<Vec<Wait>>,
    broken: bool,
    explore: bool,
}

/// Reads the arguments; a complaint says what was expected.
pub fn read(mut arguments: impl Iterator<Item = OsString>) -> Result<Asked, String> {
    let mut words = Words::default();
    while let Some(argument) = arguments.next() {
        let name = argument.to_string_lossy();
        let mut value = |expected: &str| {
            let value = arguments.next();
            value.ok_or(format!("{name} expects {expected} after it"))
        };
        match &*name {
            "--help" | "-h" => return Ok(Asked::Help),
            "--broken" => words.broken = true,
            "--explore" => words.explore = true,
            "--ledger" => words.ledger = Some(value("a file")?.into()),
            "--seed" => {
                let text = value("a number")?;
                let number = text.to_str().and_then(|digits| digits.parse().ok());
                let complaint = format!("--seed expects a number from 0 on, found {text:?}");
                words.seed = Some(number.ok_or(complaint)?);
            }
            "--style" => {
                let text = value("coop, stm, locks or all")?;
                let complaint = format!("--style expects coop, stm, locks or all, found {text:?}");
                words.styles = Some(styles(text.to_str()).ok_or(complaint)?);
            }
            "--wait" => {
                let text = value("queue, poll or both")?;
                let complaint = format!("--wait expects queue, poll or both, found {text:?}");
                words.waits = Some(waits(text.to_str()).ok_or(complaint)?);
            }
            _ => return Err(format!("unknown option {name}")),
        }
    }
    words.check()
}

fn styles(text: Option<&str>) -> Option<Vec<Style>> {
    let named = |style: &&Style| Some(style.name()) == text;
    match text {
        Some("all") => Some(Style::ALL.to_vec()),
        _ => Style::ALL.iter().find(named).map(|style| vec![*style]),
    }
}

fn waits(text: Option<&str>) -> Option<Vec<Wait>> {
    match text {
        Some("queue") => Some(vec![Wait::Queue]),
        Some("poll") => Some(vec![Wait::Poll]),
        Some("both") => Some(vec![Wait::Queue, Wait::Poll]),
        _ => None,
    }
}

impl Words {
    /// Refuses words that do not go together: an option that did nothing would be a lie.
    fn check(self) -> Result<Asked, String> {
        let polls = |waits: &Vec<Wait>| waits.contains(&Wait::Poll);
        let polls = self.waits.as_ref().is_some_and(polls);
        if self.explore && polls {
            return Err(
                "--explore refuses --wait poll, which never ends: among every order of the \
                        tasks are those in which a withdrawal looks again and again, as often as \
                        you like, before the deposit has its turn"
                    .into(),
            );
        }
        if self.explore && self.ledger.is_some() {
            return Err(
                "--explore has ledgers of its own, of two or three transactions: a few more, and \
                        there are too many orders of the tasks to try"
                    .into(),
            );
        }
        if self.explore && self.seed.is_some() {
            return Err(
                "--explore tries every order of the tasks, so there is none to be chosen \
                        by --seed"
                    .into(),
            );
        }
        let only_coop = |styles: &Vec<Style>| *styles == [Style::Coop];
        let only_coop = self.styles.as_ref().is_none_or(only_coop);
        if polls && !only_coop {
            return Err(
                "--wait poll is for --style coop: a withdrawal of stm retries, and one of locks \
                        has a condition variable"
                    .into(),
            );
        }
        let styles = self
            .styles
            .unwrap_or(match self.broken || self.waits.is_some() {
                true => vec![Style::Coop],
                false => Style::ALL.to_vec(),
            });
        if self.explore && self.broken && styles.len() > 1 {
            return Err(
                "--explore --broken expects one --style: an order that fails belongs to it".into(),
            );
        }
        if self.explore {
            let broken = self.broken;
            return Ok(Asked::Explore { styles, broken });
        }
        Ok(Asked::Run(Options {
            styles,
            ledger: self.ledger,
            seed: self.seed.unwrap_or(0),
            waits: self.waits.unwrap_or(vec![Wait::Queue]),
            broken: self.broken,
        }))
    }
}
