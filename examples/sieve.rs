//! The sieve of Eratosthenes as a chain of tasks, after Hoare's "Communicating Sequential
//! Processes" (1978).
//!
//! Try: `cargo run --example sieve`. You will see the first primes: each has a task of its own that
//! passes on what it does not divide. Then `cargo run --release --example sieve -- 1000`: a
//! thousand tasks in a row.
//!
//! ```text
//!   2, 3, 4, 5 ..  ─►  not by 2  ─►  not by 3  ─►  not by 5  ─►  the next prime
//! ```
//!
//! Nobody is told to stop: when main wants no more primes it drops its end of the chain, the last
//! task finds nobody to send to and returns, and so on up to the first.
use maypole::channel::{Receiver, bounded};
use maypole::{JoinHandle, run, spawn};
use std::process::ExitCode;

fn main() -> ExitCode {
    let argument = std::env::args().nth(1);
    match argument.as_deref().unwrap_or("10").parse() {
        Ok(count) if count > 0 => run(|| sieve(count)),
        _ => {
            eprintln!("sieve: how many primes? A number from 1 on is expected");
            return ExitCode::from(2);
        }
    }
    ExitCode::SUCCESS
}

fn sieve(count: usize) {
    let (numbers, counter) = count_up();
    let (mut last_of_the_chain, mut tasks) = (numbers, vec![counter]);
    for nth in 1..=count {
        let prime = last_of_the_chain.recv().unwrap();
        println!("{prime}");
        if nth < count {
            let (others, filter) = not_divided_by(prime, last_of_the_chain);
            last_of_the_chain = others;
            tasks.push(filter);
        }
    }
    drop(last_of_the_chain);
    let (ended, mut sent) = (tasks.len(), 0);
    for task in tasks {
        sent += task.join().unwrap();
    }
    println!("tasks ended: {ended}, numbers sent: {sent}");
}

/// A task that sends 2, 3, 4, ..; it returns how many.
fn count_up() -> (Receiver<u64>, JoinHandle<u64>) {
    let (sender, numbers) = bounded(0);
    let task = spawn(move || {
        let mut sent = 0;
        while sender.send(sent + 2).is_ok() {
            sent += 1;
        }
        sent
    });
    (numbers, task)
}

/// A task that sends on what the prime does not divide; it returns how many.
fn not_divided_by(prime: u64, numbers: Receiver<u64>) -> (Receiver<u64>, JoinHandle<u64>) {
    let (sender, others) = bounded(0);
    let task = spawn(move || {
        let mut sent = 0;
        for number in numbers {
            if !number.is_multiple_of(prime) {
                if sender.send(number).is_err() {
                    break;
                }
                sent += 1;
            }
        }
        sent
    });
    (others, task)
}
