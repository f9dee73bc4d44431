//! Prints criterion's results as Markdown, one table a group, best first: `table [PART OF A GROUP'S NAME]`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{env, fs};

use serde_json::Value;

/// The median in nanoseconds of each contender.
type Contenders = BTreeMap<String, f64>;

/// The order of the tables; other groups follow by name.
const GROUPS: [&str; 13] = [
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
];

fn main() {
    let part = env::args().nth(1).unwrap_or_default();
    let directory = target_directory().join("criterion");
    let mut groups = BTreeMap::new();
    collect(&directory, &mut groups);
    if groups.is_empty() {
        eprintln!(
            "no results under {}: run `cargo bench -p maypole-bench`",
            directory.display()
        );
    }
    let bare = groups
        .get("switch/1")
        .and_then(|group| group.get("corosensei"))
        .copied();
    let mut names: Vec<&String> = groups.keys().filter(|name| name.contains(&part)).collect();
    let known = |name: &str| GROUPS.iter().position(|group| *group == name);
    names.sort_by_key(|name| known(name).unwrap_or(GROUPS.len()));
    for name in names {
        print_group(name, &groups[name], bare);
    }
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

/// `bare` is the bare coroutine's round trip, for groups that have no bare coroutine of their own.
fn print_group(name: &str, contenders: &Contenders, bare: Option<f64>) {
    let bare = contenders.get("corosensei").copied().or(bare);
    let maypole = contenders.get("maypole").copied();
    let mut ranking: Vec<_> = contenders.iter().collect();
    ranking.sort_by(|left, right| left.1.total_cmp(right.1));
    println!("### {name}\n");
    println!("| contender | median ns | to the bare coroutine | to maypole |");
    println!("|---|---:|---:|---:|");
    for (contender, &median) in ranking {
        let ratio = |base: Option<f64>| {
            base.map_or_else(|| "-".to_owned(), |base| significant(median / base))
        };
        println!(
            "| {contender} | {} | {} | {} |",
            significant(median),
            ratio(bare),
            ratio(maypole)
        );
    }
    println!();
}

/// As many digits as mean anything.
fn significant(number: f64) -> String {
    match number {
        _ if number >= 100.0 => format!("{number:.0}"),
        _ if number >= 10.0 => format!("{number:.1}"),
        _ => format!("{number:.2}"),
    }
}
