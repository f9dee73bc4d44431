//! Prints how many echoes a second each peer serves over TCP, and how long they take.
//!
//! ```text
//! cargo run --release -p maypole-bench --bin echo
//! cargo run --release -p maypole-bench --bin echo -- --connections 1,100 --peers maypole,tokio
//! ```
//!
//! Each measurement has a server process of its own, pinned to one core; the load is the same for
//! all and has another core. The contenders take turns for several rounds, so that what else
//! happens on the machine happens to all. What is printed are medians over the rounds; the ratios
//! are the medians of the ratios within a round.

mod measure;
mod options;
mod print;
mod processor;
mod server;

use std::process::ExitCode;

use maypole_bench::adapters::echoing;
use measure::{Sample, measure};
use options::Options;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [word, name, connections] = &arguments[..]
        && word == server::WORD
    {
        return server::serve(name, connections);
    }
    match Options::parse(&arguments) {
        Ok(options) => {
            compare(&options);
            ExitCode::SUCCESS
        }
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}

/// What was measured of a peer, one sample a round.
struct Contender {
    name: &'static str,
    samples: Vec<Sample>,
}

fn compare(options: &Options) {
    let limit = processor::raise_descriptor_limit();
    let cores = processor::cores();
    if cores.server == cores.load {
        eprintln!("there is one core for all: servers and load take it from each other");
    }
    processor::pin(cores.load);
    for &connections in &options.connections {
        println!("### {connections} connections\n");
        // Some more are open anyway: the poll, the pipes, what std has.
        if limit.is_some_and(|limit| connections + 50 > limit) {
            let limit = limit.unwrap_or_default();
            println!("skipped: a process may have {limit} descriptors (`ulimit -Hn`)\n");
            continue;
        }
        let mut contenders: Vec<_> = echoing()
            .iter()
            .filter(|peer| options.takes(peer.name()))
            .filter(|peer| {
                let obstacle = peer.obstacle(connections);
                if let Some(reason) = &obstacle {
                    println!("{} is skipped: {reason}\n", peer.name());
                }
                obstacle.is_none()
            })
            .map(|peer| Contender {
                name: peer.name(),
                samples: Vec::new(),
            })
            .collect();
        for round in 0..options.rounds {
            // Not always the same first: it finds the machine as the break has left it.
            let count = contenders.len().max(1);
            contenders.rotate_left(usize::from(round > 0) % count);
            contenders.retain_mut(|contender| {
                match measure(contender.name, connections, options.time, cores.server) {
                    Ok(sample) => contender.samples.push(sample),
                    Err(reason) => println!("{} is skipped: {reason}\n", contender.name),
                }
                contender.samples.len() == round + 1
            });
        }
        print::print(connections, &contenders);
        print::keep(connections, &contenders);
    }
}
