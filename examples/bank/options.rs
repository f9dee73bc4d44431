//! The command line of the bank.
use super::bank::Wait;
use std::ffi::OsString;
use std::path::PathBuf;

pub const USAGE: &str = "\
usage: bank [--ledger FILE] [--seed N] [--wait queue|poll|both] [--broken]

  --ledger FILE  the transactions, a CSV file (default: a small sample)
  --seed N       the order of the tasks: 0 is first in, first out (default), others are random
  --wait HOW     how a withdrawal waits for cover: queue (default), poll, or both in turn
  --broken       yields between the read and the write of a balance
  --help         shows this";

pub enum Asked {
    Help,
    Run(Options),
}

pub struct Options {
    pub ledger: Option<PathBuf>,
    pub seed: u64,
    pub waits: Vec<Wait>,
    pub broken: bool,
}

/// Reads the arguments; a complaint says what was expected.
pub fn read(mut arguments: impl Iterator<Item = OsString>) -> Result<Asked, String> {
    let mut options = Options {
        ledger: None,
        seed: 0,
        waits: vec![Wait::Queue],
        broken: false,
    };
    while let Some(argument) = arguments.next() {
        let name = argument.to_string_lossy();
        let mut value = |expected| {
            arguments
                .next()
                .ok_or(format!("{name} expects {expected} after it"))
        };
        match &*name {
            "--help" | "-h" => return Ok(Asked::Help),
            "--broken" => options.broken = true,
            "--ledger" => options.ledger = Some(value("a file")?.into()),
            "--seed" => {
                let text = value("a number")?;
                options.seed = text
                    .to_str()
                    .and_then(|digits| digits.parse().ok())
                    .ok_or(format!("--seed expects a number from 0 on, found {text:?}"))?;
            }
            "--wait" => {
                let text = value("queue, poll or both")?;
                options.waits = match text.to_str() {
                    Some("queue") => vec![Wait::Queue],
                    Some("poll") => vec![Wait::Poll],
                    Some("both") => vec![Wait::Queue, Wait::Poll],
                    _ => {
                        return Err(format!(
                            "--wait expects queue, poll or both, found {text:?}"
                        ));
                    }
                };
            }
            _ => return Err(format!("unknown option {name}")),
        }
    }
    Ok(Asked::Run(options))
}
