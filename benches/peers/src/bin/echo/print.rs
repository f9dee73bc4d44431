//! The tables, and the results where the program `table` looks for them.

use std::path::{Path, PathBuf};
use std::{env, fs, io};

use serde_json::json;

use super::Contender;
use super::measure::Sample;

/// Whom the others are compared with.
const OURS: &str = "maypole";

/// More than so much of the time taken from a server, and the figures say little.
const DISTURBED: f64 = 0.05;

pub fn print(connections: usize, contenders: &[Contender]) {
    let ours = contenders.iter().find(|contender| contender.name == OURS);
    let mut ranking: Vec<_> = contenders.iter().collect();
    ranking.sort_by(|left, right| right.median(rate).total_cmp(&left.median(rate)));
    println!(
        "| contender | requests/s | maypole to it | p50, us | p99, us | p99.9, us | maypole's p99 to it | server, us of a core per request | maypole's to it | server's memory per connection, bytes |"
    );
    println!("|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|");
    for contender in ranking {
        let ratio =
            |of: fn(&Sample) -> f64| ours.map_or("-".into(), |ours| ours.ratio(contender, of));
        println!(
            "| {} | {:.0} | {} | {:.1} | {:.1} | {:.1} | {} | {:.2} | {} | {} |",
            contender.name,
            contender.median(rate),
            ratio(rate),
            contender.median(|sample| sample.latencies[0]),
            contender.median(|sample| sample.latencies[1]),
            contender.median(|sample| sample.latencies[2]),
            ratio(|sample| sample.latencies[1]),
            contender.median(work),
            ratio(work),
            // Of few connections it is what the server has besides.
            match connections {
                1_000.. => format!("{:.0}", contender.median(|sample| sample.memory)),
                _ => "-".into(),
            },
        );
    }
    println!();
    let disturbed = contenders
        .iter()
        .map(|contender| contender.median(|sample| sample.disturbed));
    let disturbed = disturbed.fold(0.0, f64::max);
    if disturbed > DISTURBED {
        let percent = 100.0 * disturbed;
        println!(
            "Other processes took up to {percent:.0} % of the time from a server: repeat this at a quiet moment.\n"
        );
    }
}

fn rate(sample: &Sample) -> f64 {
    sample.rate
}

fn work(sample: &Sample) -> f64 {
    sample.work
}

impl Contender {
    fn median(&self, of: impl Fn(&Sample) -> f64) -> f64 {
        median(self.samples.iter().map(of).collect())
    }

    /// The median of the ratios to another one in the same round.
    fn ratio(&self, other: &Contender, of: impl Fn(&Sample) -> f64) -> String {
        if self.name == other.name {
            return "-".into();
        }
        let rounds = self.samples.iter().zip(&other.samples);
        format!(
            "{:.2}",
            median(rounds.map(|(mine, theirs)| of(mine) / of(theirs)).collect())
        )
    }
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_unstable_by(f64::total_cmp);
    match figures.len() {
        0 => f64::NAN,
        odd if odd % 2 == 1 => figures[odd / 2],
        even => (figures[even / 2 - 1] + figures[even / 2]) / 2.0,
    }
}

/// Writes the medians as criterion would, in nanoseconds a request, so that they are part of the
/// table of all results.
pub fn keep(connections: usize, contenders: &[Contender]) {
    for contender in contenders {
        if let Err(error) = keep_one(connections, contender) {
            eprintln!("the result is not kept: {error}");
        }
    }
}

fn keep_one(connections: usize, contender: &Contender) -> io::Result<()> {
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target"),
        PathBuf::from,
    );
    let directory = target
        .join("criterion")
        .join(format!("echo_{connections}"))
        .join(contender.name)
        .join("new");
    fs::create_dir_all(&directory)?;
    let group = format!("echo/{connections}");
    let benchmark = json!({ "group_id": group, "function_id": contender.name });
    let nanoseconds = 1e9 / contender.median(rate);
    let estimates = json!({ "median": { "point_estimate": nanoseconds } });
    fs::write(directory.join("benchmark.json"), benchmark.to_string())?;
    fs::write(directory.join("estimates.json"), estimates.to_string())
}
