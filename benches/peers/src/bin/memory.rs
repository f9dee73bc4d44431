//! Prints what tasks of a peer take in memory: `memory PEER COUNT parked|unstarted`, `memory PEER skynet`.
//!
//! One contender and one count to a process, since memory once used is rarely given back. skynet's is the
//! peak. The other bodies keep nothing across the park: that flatters futures, which are as large as what
//! they keep.

use std::process::ExitCode;
use std::sync::OnceLock;

use maypole_bench::adapters::task_peers;
use maypole_bench::groups::skynet;
use maypole_bench::workload::Held;

const USAGE: &str = "usage: memory PEER COUNT parked|unstarted, or memory PEER skynet";

static BEFORE: OnceLock<Memory> = OnceLock::new();

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let printed = match words[..] {
        [name, "skynet"] => print_peak(name),
        [name, count, "parked"] => print_held(name, count, Held::Parked),
        [name, count, "unstarted"] => print_held(name, count, Held::Unstarted),
        _ => Err(USAGE.into()),
    };
    match printed {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}

fn print_held(name: &str, count: &str, held: Held) -> Result<(), String> {
    let peer = named(name, task_peers(), |peer| peer.name())?;
    let tasks = count.parse().map_err(|error| format!("{count}: {error}"))?;
    if let Some(reason) = peer.obstacle(tasks) {
        println!("{name} is skipped: {reason}");
        return Ok(());
    }
    let state = if held == Held::Parked {
        "parked"
    } else {
        "unstarted"
    };
    print!("{name} {tasks} {state}: ");
    let before = || _ = BEFORE.set(Memory::now());
    peer.hold(tasks, held, before, print_growth)
}

fn print_peak(name: &str) -> Result<(), String> {
    let peer = named(name, skynet::contenders(), |peer| peer.name())?;
    if let Some(reason) = peer.obstacle(skynet::TASKS) {
        println!("{name} is skipped: {reason}");
        return Ok(());
    }
    let before = Memory::now();
    peer.skynet();
    let peak = Memory::now().peak.saturating_sub(before.resident) as f64 / 1e6;
    println!("{name} skynet: {peak:.1} MB more at the peak");
    Ok(())
}

fn named<P: ?Sized>(
    name: &str,
    peers: Vec<Box<P>>,
    name_of: impl Fn(&P) -> &'static str,
) -> Result<Box<P>, String> {
    let names: Vec<_> = peers.iter().map(|peer| name_of(peer)).collect();
    let missing = format!("no peer is called {name}; there are {}", names.join(", "));
    let mut peers = peers.into_iter();
    peers.find(|peer| name_of(peer) == name).ok_or(missing)
}

fn print_growth(count: usize) {
    let after = Memory::now();
    let before = BEFORE
        .get()
        .expect("memory is read before the tasks are made");
    let each = |after: usize, before: usize| after.saturating_sub(before) as f64 / count as f64;
    println!(
        "{:.0} bytes resident, {:.0} bytes of page tables per task",
        each(after.resident, before.resident),
        each(after.page_tables, before.page_tables),
    );
}

/// What this process takes, in bytes.
struct Memory {
    resident: usize,
    /// The most that was ever resident.
    peak: usize,
    page_tables: usize,
}

impl Memory {
    fn now() -> Self {
        let status = std::fs::read_to_string("/proc/self/status")
            .expect("memory is measured where there is a /proc");
        let bytes = |key: &str| {
            let line = status.lines().find(|line| line.starts_with(key));
            let kilobytes = line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok());
            1024 * kilobytes.unwrap_or(0_usize)
        };
        Self {
            resident: bytes("VmRSS:"),
            peak: bytes("VmHWM:"),
            page_tables: bytes("VmPTE:"),
        }
    }
}
