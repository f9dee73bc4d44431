//! The Santa Claus problem (Trono, 1994) three ways: with events, with channels, with transactions.
//!
//! Santa sleeps until all nine reindeer are back from their holidays, or three of ten elves want his
//! advice. He delivers toys with the reindeer, or meets with the elves in his study, and sleeps
//! again. If both groups are ready, the reindeer go first. No group may be mixed, or begin before
//! the one before has ended.
//!
//! Try, and see:
//!
//! - `cargo run --example santa`: twelve rounds with transactions, as Simon Peyton Jones has them in
//!   "Beautiful concurrency" (2007), and at the end whether the rules of the story were kept;
//! - `... -- --style events`: as Christian Wyglendowski has them for diesel (2009); `--style
//!   channels`: in the manner of CSP; `--style all`: one after another;
//! - `... -- --seed 7`, `... -- --rounds 1000`: another winter, and a long one;
//! - `... -- --style events --broken`: helpers who hand over between their look at the group and
//!   their joining it. The checker tells what comes of it;
//! - `... -- --style all --explore`: two reindeer, one elf, one round, and every order of their
//!   turns; `... -- --style events --broken --explore`: the shortest way to go wrong.
//!
//! Naps are chosen by chance, the same for the same seed, and take no time: it is virtual.
//!
//! Read `events.rs`, `channels.rs` and `stm.rs` in this order, a page or two each; then `checker.rs`,
//! which has the rules for all three. `world.rs` is what they share.
mod channels;
mod checker;
mod events;
#[path = "../beautiful_concurrency/gates.rs"]
mod gates;
mod stm;
mod world;

use checker::{Summary, check};
use events::Joining;
use maypole::explore::Explorer;
use maypole::{Builder, Clock};
use std::process::ExitCode;
use std::str::FromStr;
use world::{Chance, Log, Sizes, World};

const USAGE: &str = "\
usage: santa [--style events|channels|stm|all] [--rounds N] [--seed N] [--broken] [--explore]

  --style     how it is written (default: stm)
  --rounds N  Santa retires after so many groups (default: 12)
  --seed N    another number, other naps (default: 1)
  --broken    helpers hand over before they join; with the style events alone
  --explore   a small North Pole, one round, every order of turns
  --help      shows this";

#[derive(Clone, Copy)]
enum Style {
    Events(Joining),
    Channels,
    Stm,
}

const ALL: [Style; 3] = [
    Style::Events(Joining::InOnePiece),
    Style::Channels,
    Style::Stm,
];

impl Style {
    fn name(self) -> &'static str {
        match self {
            Style::Events(_) => "events",
            Style::Channels => "channels",
            Style::Stm => "stm",
        }
    }

    fn perform(self, world: &World) {
        match self {
            Style::Events(joining) => events::perform(world, joining),
            Style::Channels => channels::perform(world),
            Style::Stm => stm::perform(world),
        }
    }
}

struct Options {
    styles: Vec<Style>,
    rounds: usize,
    seed: u64,
    explores: bool,
}

fn main() -> ExitCode {
    let options = match read(std::env::args().skip(1)) {
        Ok(Some(options)) => options,
        Ok(None) => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        Err(complaint) => {
            eprintln!("santa: {complaint}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let mut all_well = true;
    for (index, &style) in options.styles.iter().enumerate() {
        if options.styles.len() > 1 {
            let distance = if index > 0 { "\n" } else { "" };
            println!("{distance}## {}", style.name());
        }
        all_well &= match options.explores {
            true => explore(style),
            false => winter(style, &options),
        };
    }
    match all_well {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

/// Tells whether all went well.
fn winter(style: Style, options: &Options) -> bool {
    let world = World {
        sizes: Sizes::STORY,
        rounds: options.rounds,
        log: Log::printed(),
        chance: Chance::seeded(options.seed),
    };
    let run = Builder::new().clock(Clock::Virtual);
    let end = run.run(|| style.perform(&world));
    match end
        .map_err(|error| error.to_string())
        .and_then(|()| judge(&world))
    {
        Ok(summary) => println!("{summary}"),
        Err(complaint) => {
            eprintln!("{complaint}");
            return false;
        }
    }
    true
}

/// Tells whether every order of turns is right.
///
/// Forced switches are left out. They befall a task that has done 127 calls without having to wait,
/// and nobody here does as many.
fn explore(style: Style) -> bool {
    let mut sizes = Sizes::SMALL;
    if let Style::Events(Joining::AfterSomeThought) = style {
        sizes.elves = 2; // one is no crowd
    }
    let outcome = Explorer::new().forced(0).check(|| {
        let world = World {
            sizes,
            rounds: 1,
            log: Log::silent(),
            chance: Chance::none(),
        };
        style.perform(&world);
        if let Err(complaint) = judge(&world) {
            panic!("{complaint}");
        }
    });
    println!("{outcome}");
    outcome.failure.is_none()
}

fn judge(world: &World) -> Result<Summary, String> {
    match check(&world.log.take(), world.sizes) {
        Ok(summary) if summary.rounds == world.rounds => Ok(summary),
        Ok(summary) => Err(format!(
            "violated: {} rounds, not {}",
            summary.rounds, world.rounds
        )),
        Err(violation) => Err(violation.to_string()),
    }
}

/// Nothing where help is asked for.
fn read(mut arguments: impl Iterator<Item = String>) -> Result<Option<Options>, String> {
    let mut options = Options {
        styles: vec![Style::Stm],
        rounds: 12,
        seed: 1,
        explores: false,
    };
    let mut broken = false;
    while let Some(name) = arguments.next() {
        let mut value = || arguments.next().ok_or(format!("{name} expects a value"));
        match name.as_str() {
            "--help" | "-h" => return Ok(None),
            "--broken" => broken = true,
            "--explore" => options.explores = true,
            "--rounds" => options.rounds = number(&name, &value()?)?,
            "--seed" => options.seed = number(&name, &value()?)?,
            "--style" => options.styles = styles(&value()?)?,
            _ => return Err(format!("unknown option {name}")),
        }
    }
    if broken {
        let [Style::Events(joining)] = &mut options.styles[..] else {
            return Err("--broken goes with --style events".to_string());
        };
        *joining = Joining::AfterSomeThought;
    }
    Ok(Some(options))
}

fn styles(name: &str) -> Result<Vec<Style>, String> {
    let chosen = ALL.into_iter();
    let chosen: Vec<_> = chosen
        .filter(|style| name == "all" || name == style.name())
        .collect();
    match chosen.is_empty() {
        true => Err(format!("unknown style {name}")),
        false => Ok(chosen),
    }
}

fn number<N: FromStr>(option: &str, text: &str) -> Result<N, String> {
    text.parse()
        .map_err(|_| format!("{option} expects a number, found {text:?}"))
}
