//! Prints criterion's results as Markdown: `table [PART OF A GROUP'S NAME]`.
//!
//! First a summary, one line a group; then each group with all contenders, best first.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{env, fs};

use serde_json::Value;

/// The median in nanoseconds of each contender.
type Contenders = BTreeMap<String, f64>;

/// The order of the tables; other groups follow by name.
const GROUPS: [&str; 32] = [
    "switch/1",
    "switch/2",
    "switch/1k",
    "switch/100k",
    "switch/1m",
    "switch_called/1",
    "switch_called/8",
    "spawn",
    "spawn_batch",
    "generator",
    "generator/create",
    "timers",
    "timeout",
    "rendezvous",
    "channel/1",
    "channel/128",
    "channel/unbounded",
    "fanin",
    "select/2",
    "select/8",
    "ring",
    "commstime",
    "commstime/1",
    "skynet",
    "mutex",
    "mutex_handoff",
    "stm",
    "stm/read",
    "stm/retry",
    "stm/queue",
    "stm/queue/128",
    "explore",
];

/// The bare coroutine, which the groups count in.
const BARE: &str = "corosensei";

fn main() {
    let part = env::args().nth(1).unwrap_or_default();
    let directory = target_directory().join("criterion");
    let mut results = BTreeMap::new();
    collect(&directory, &mut results);
    if results.is_empty() {
        eprintln!(
            "no results under {}: run `cargo bench -p maypole-bench`",
            directory.display()
        );
    }
    let bare = results
        .get("switch/1")
        .and_then(|group| group.get(BARE))
        .copied();
    let known = |name: &str| GROUPS.iter().position(|group| *group == name);
    let mut groups: Vec<Group> = results
        .into_iter()
        .filter(|(name, _)| name.contains(&part))
        .map(|(name, contenders)| Group {
            bare: contenders.get(BARE).copied().or(bare),
            name,
            contenders,
        })
        .collect();
    groups.sort_by_key(|group| known(&group.name).unwrap_or(GROUPS.len()));
    print_summary(&groups);
    groups.iter().for_each(Group::print);
}

/// Where cargo puts its results: this package is two folders below the workspace.
fn target_directory() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target"),
        PathBuf::from,
    )
}

/// Walks down to each folder `new`, where criterion keeps the latest run.
fn collect(directory: &Path, groups: &mut BTreeMap<String, Contenders>) {
    let Ok(entries) = fs::read_dir(directory) else {
        return;
    };
    for path in entries.flatten().map(|entry| entry.path()) {
        if !path.ends_with("new") {
            collect(&path, groups);
        } else if let Some((group, contender, median)) = result(&path) {
            groups.entry(group).or_default().insert(contender, median);
        }
    }
}

fn result(directory: &Path) -> Option<(String, String, f64)> {
    let names = read(&directory.join("benchmark.json"))?;
    let estimates = read(&directory.join("estimates.json"))?;
    Some((
        names["group_id"].as_str()?.to_owned(),
        names["function_id"].as_str()?.to_owned(),
        estimates["median"]["point_estimate"].as_f64()?,
    ))
}

fn read(path: &Path) -> Option<Value> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

struct Group {
    name: String,
    contenders: Contenders,
    /// The bare coroutine at this work; where it has no part in it, its round trip.
    bare: Option<f64>,
}

impl Group {
    /// The fastest of the others.
    fn best_peer(&self) -> Option<(&str, f64)> {
        self.contenders
            .iter()
            .filter(|(contender, _)| self.is_peer(contender))
            .map(|(contender, &median)| (contender.as_str(), median))
            .min_by(|left, right| left.1.total_cmp(&right.1))
    }

    fn print(&self) {
        let mut ranking: Vec<_> = self.contenders.iter().collect();
        ranking.sort_by(|left, right| left.1.total_cmp(right.1));
        println!("### {}\n", self.name);
        println!(
            "| contender | {} | to the bare coroutine | to the best peer |",
            self.unit()
        );
        println!("|---|---:|---:|---:|");
        for (contender, &median) in ranking {
            println!(
                "| {} | {} | {} | {} |",
                self.label(contender),
                self.figure(median),
                ratio(median, self.bare),
                ratio(median, self.best_peer().map(|best| best.1)),
            );
        }
        println!();
    }

    /// Whether a contender is none of ours, nor a floor: a bare coroutine or a plain loop of std's.
    fn is_peer(&self, contender: &str) -> bool {
        let ours = contender.starts_with("maypole") || contender == "spawn_now";
        let bare = contender == "generator" && self.name.starts_with("switch");
        !ours && !bare && ![BARE, "std"].contains(&contender)
    }

    /// Of the medians.
    fn unit(&self) -> &'static str {
        match self.name.as_str() {
            "skynet" => "ms",
            "explore" => "schedules per second",
            _ => "ns",
        }
    }

    fn figure(&self, nanoseconds: f64) -> String {
        match self.name.as_str() {
            "skynet" => significant(nanoseconds / 1e6),
            "explore" => significant(1e9 / nanoseconds),
            _ => significant(nanoseconds),
        }
    }

    /// The contender's name, and what it is if the name does not say so.
    fn label(&self, contender: &str) -> String {
        let what = match (contender, self.name.as_str()) {
            ("std_threads", "stm") => "two mutexes",
            ("std_threads", "stm/read") => "a mutex",
            ("std_threads", "stm/retry") => "OS threads, a condition variable",
            ("crossbeam" | "std_threads", _) => "OS threads",
            ("stm" | "fast-stm", "stm/retry") => "OS threads",
            ("async-stm", "stm/queue") => "TChan",
            ("async-stm", _) => "tasks of tokio",
            ("generator", group) if group.starts_with("switch") => "a bare coroutine",
            ("flume", _) => "tasks of tokio",
            ("smol", "rendezvous" | "commstime") => "flume's channel",
            ("may", "channel/1" | "ring") => "no bound",
            ("monoio", "mutex" | "mutex_handoff") => "semaphore",
            ("glommio", "mutex" | "mutex_handoff") => "read-write lock",
            _ => return contender.to_owned(),
        };
        format!("{contender} ({what})")
    }
}

/// One line a group: maypole, and what it is to be compared with.
fn print_summary(groups: &[Group]) {
    println!("| group | maypole | to the bare coroutine | best peer | maypole to the best peer |");
    println!("|---|---:|---:|---:|---:|");
    for group in groups {
        let Some(&maypole) = group.contenders.get("maypole") else {
            continue;
        };
        let best = group.best_peer();
        let best_figure = best.map_or_else(
            || "-".to_owned(),
            |(contender, median)| format!("{} {}", group.label(contender), group.figure(median)),
        );
        println!(
            "| {}, {} | {} | {} | {best_figure} | {} |",
            group.name,
            group.unit(),
            group.figure(maypole),
            ratio(maypole, group.bare),
            ratio(maypole, best.map(|best| best.1)),
        );
    }
    println!();
}

/// How much longer it takes than the base does.
fn ratio(nanoseconds: f64, base: Option<f64>) -> String {
    base.map_or_else(|| "-".to_owned(), |base| significant(nanoseconds / base))
}

/// As many digits as mean anything.
fn significant(number: f64) -> String {
    match number {
        _ if number >= 100.0 => format!("{number:.0}"),
        _ if number >= 10.0 => format!("{number:.1}"),
        _ => format!("{number:.2}"),
    }
}
