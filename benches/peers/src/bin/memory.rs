//! Prints what a task of a peer takes in memory: `memory PEER COUNT parked|unstarted`.
//!
//! One contender and one count to a process, since memory once used is rarely given back.
//! The bodies keep nothing across the park. That flatters futures, which are as large as what they keep.

use std::process::ExitCode;
use std::sync::OnceLock;

use maypole_bench::adapters::task_peers;
use maypole_bench::workload::{Held, TaskPeer};

const USAGE: &str = "usage: memory PEER COUNT parked|unstarted";

static BEFORE: OnceLock<Memory> = OnceLock::new();

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (peer, count, held) = match parse(&arguments) {
        Ok(parsed) => parsed,
        Err(message) => {
            eprintln!("{message}");
            return ExitCode::FAILURE;
        }
    };
    if let Some(reason) = peer.obstacle(count) {
        println!("{} is skipped: {reason}", peer.name());
        return ExitCode::SUCCESS;
    }
    print!("{} {count} {}: ", peer.name(), arguments[2]);
    let before = || _ = BEFORE.set(Memory::now());
    peer.hold(count, held, before, print_growth)
}

fn parse(arguments: &[String]) -> Result<(Box<dyn TaskPeer>, usize, Held), String> {
    let [name, count, held] = arguments else {
        return Err(USAGE.into());
    };
    let held = match held.as_str() {
        "parked" => Held::Parked,
        "unstarted" => Held::Unstarted,
        _ => return Err(USAGE.into()),
    };
    let count = count.parse().map_err(|error| format!("{count}: {error}"))?;
    let mut peers = task_peers();
    let index = peers
        .iter()
        .position(|peer| peer.name() == name)
        .ok_or_else(|| {
            let names: Vec<_> = peers.iter().map(|peer| peer.name()).collect();
            format!("no peer is called {name}; there are {}", names.join(", "))
        })?;
    Ok((peers.swap_remove(index), count, held))
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
            page_tables: bytes("VmPTE:"),
        }
    }
}
