//! Resident memory per parked task, and per task that never started: 10,000 to 1,000,000 of them.
//!
//! `cargo bench --bench memory`. Each figure comes from a process of its own. Linux only.
use std::process::Command;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let Some(at) = arguments.iter().position(|argument| argument == "--child") {
        let tasks = arguments[at + 2].parse().expect("a number of tasks");
        return measure(&arguments[at + 1], tasks);
    }
    println!(
        "{:>10} {:>9}  bytes/task  page tables/task",
        "tasks", "state"
    );
    for state in ["parked", "unstarted"] {
        for tasks in ["10000", "100000", "1000000"] {
            let myself = std::env::current_exe().expect("a program has a path");
            let status = Command::new(myself)
                .args(["--child", state, tasks])
                .status()
                .expect("the program can run itself");
            assert!(status.success());
        }
    }
}

fn measure(state: &str, tasks: usize) {
    maypole::run(|| {
        let [resident, tables] = status(["VmRSS:", "VmPTE:"]);
        for _ in 0..tasks {
            maypole::spawn(|| maypole::task::park());
        }
        if state == "parked" {
            maypole::yield_now();
        }
        let after = status(["VmRSS:", "VmPTE:"]);
        let each = |after: usize, before: usize| (after - before) as f64 * 1024.0 / tasks as f64;
        println!(
            "{tasks:>10} {state:>9}  {:>10.0}  {:>16.0}",
            each(after[0], resident),
            each(after[1], tables)
        );
        // Not what is measured: 1,000,000 unwinds at the end of the run.
        std::process::exit(0);
    });
}

/// Fields of /proc/self/status, in KiB.
fn status<const N: usize>(fields: [&str; N]) -> [usize; N] {
    let status = std::fs::read_to_string("/proc/self/status").expect("a Linux /proc");
    fields.map(|field| {
        let line = status.lines().find(|line| line.starts_with(field));
        let words = line.expect("a known field").split_whitespace();
        words.into_iter().nth(1).unwrap().parse().expect("a number")
    })
}
