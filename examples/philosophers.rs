//! The dining philosophers (Dijkstra, 1971): a deadlock, its report, its cure, and its proof.
//!
//! Try, and see:
//!
//! - `cargo run --example philosophers`: each takes the left fork, then the right one. It goes well
//!   for a while; then everybody holds one fork and waits for the other, and the report names all
//!   five, who waits for whom, and where;
//! - `MAYPOLE_SEED=random cargo run --example philosophers`, some times: another order of turns each
//!   time, and sometimes all goes well. A run that goes well proves nothing;
//! - `... -- --ordered`: each takes the fork with the lower number first. Everybody eats;
//! - `... -- --explore`: three philosophers, one meal, and every order of turns until one of them
//!   ends in a deadlock: it is told step by step, and with a line that runs it again;
//! - `... -- --ordered --explore`: no order of turns does.
//!
//! Nothing is written between the left fork and the right one that would let the others go on. But
//! a task that has done 127 calls without having to wait gives way before the next, and that may be
//! the one in between.
use maypole::explore::Explorer;
use maypole::sync::Mutex;
use maypole::{Builder, scope, task};
use std::cell::Cell;
use std::process::ExitCode;

const MEALS: u32 = 100;

#[derive(Clone, Copy)]
enum Manners {
    LeftThenRight,
    LowerFirst,
}

fn main() -> ExitCode {
    let (mut manners, mut explores) = (Manners::LeftThenRight, false);
    for argument in std::env::args().skip(1) {
        match argument.as_str() {
            "--ordered" => manners = Manners::LowerFirst,
            "--explore" => explores = true,
            _ => {
                eprintln!("usage: philosophers [--ordered] [--explore]");
                return ExitCode::from(2);
            }
        }
    }
    match explores {
        true => explore(manners),
        false => have_dinner(manners),
    }
}

fn have_dinner(manners: Manners) -> ExitCode {
    let eaten = [const { Cell::new(0) }; 5];
    let end = Builder::new().run(|| dinner(manners, MEALS, &eaten));
    let eaten = eaten.map(|meals| meals.get().to_string());
    println!("meals: {}", eaten.join(" "));
    match end {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn dinner(manners: Manners, meals: u32, eaten: &[Cell<u32>]) {
    let seats = eaten.len();
    let forks: Vec<_> = (0..seats)
        .map(|n| Mutex::named(format!("fork {n}"), ()))
        .collect();
    scope(|s| {
        for seat in 0..seats {
            let (forks, eaten) = (&forks, &eaten[seat]);
            let philosopher = task::Builder::new().name(format!("phil-{seat}"));
            let dines = move || {
                for _ in 0..meals {
                    dine(seat, manners, forks);
                    eaten.set(eaten.get() + 1);
                }
            };
            philosopher
                .spawn_scoped(s, dines)
                .expect("there is room for a stack");
        }
    });
}

fn dine(seat: usize, manners: Manners, forks: &[Mutex<()>]) {
    let (left, right) = (seat, (seat + 1) % forks.len());
    let (first, second) = match manners {
        Manners::LeftThenRight => (left, right),
        Manners::LowerFirst => (left.min(right), left.max(right)),
    };
    let _first = forks[first].lock();
    let _second = forks[second].lock();
}

fn explore(manners: Manners) -> ExitCode {
    let outcome = Explorer::new().check(|| dinner(manners, 1, &[const { Cell::new(0) }; 3]));
    let Some(failure) = &outcome.failure else {
        println!("{outcome}");
        return ExitCode::SUCCESS;
    };
    // A line that was copied from such a report is obeyed instead of the search.
    if std::env::var_os("MAYPOLE_REPLAY").is_none() {
        println!("deadlock found in schedule {}", outcome.schedules);
    }
    println!("{failure}");
    ExitCode::FAILURE
}
