//! Generators: the three uses of yield, and a scheduler built of them in eight steps.
//!
//! After David Beazley, "A Curious Course on Coroutines and Concurrency" (2009), in his order. No
//! scheduler of maypole runs here: you will see one being made.
//!
//! Try, and see:
//!
//! - `cargo run --example generators`: everything, each step under a heading;
//! - `cargo run --example generators -- uses`: iteration, receiving, trap;
//! - `cargo run --example generators -- 3`: one step, here the third;
//! - `cargo run --example generators -- serve`: the echo server of step 7, until ^C. `nc 127.0.0.1
//!   45000` in several terminals gets its lines back, and the server goes on saying that it is
//!   alive.
//!
//! Read `uses.rs`, then `turns.rs` (steps 1 to 3), then `system.rs` (the scheduler of the later
//! steps) with `programs.rs` (what runs on it), and for step 7 `echo.rs` and `sockets.rs`. Then
//! read `src/scheduler/mod.rs` of maypole itself: the same loop.
mod echo;
mod programs;
mod sockets;
mod system;
mod turns;
mod uses;

use std::process::ExitCode;

/// The name of each step on the command line, its heading, and what it does.
const STEPS: [(&str, &str, fn()); 9] = [
    ("uses", "The three uses of yield", uses::show),
    (
        "1",
        "Step 1: a task is a generator with an id",
        turns::step_1,
    ),
    ("2", "Step 2: a ready queue, round robin", turns::step_2),
    ("3", "Step 3: tasks that end", turns::step_3),
    ("4", "Step 4: system calls", programs::step_4),
    (
        "5",
        "Step 5: tasks that start and kill tasks",
        programs::step_5,
    ),
    ("6", "Step 6: waiting for a task", programs::step_6),
    ("7", "Step 7: waiting for I/O", echo::step_7),
    ("8", "Step 8: calls between generators", programs::step_8),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let chosen: Vec<_> = STEPS
        .iter()
        .filter(|(name, ..)| arguments.is_empty() || arguments == [*name])
        .collect();
    if arguments == ["serve"] {
        echo::serve();
    }
    if chosen.is_empty() {
        eprintln!("usage: generators [STEP | serve]     STEP is uses or a number from 1 to 8");
        return ExitCode::from(2);
    }
    for (index, (_, heading, show)) in chosen.into_iter().enumerate() {
        if index > 0 {
            println!();
        }
        println!("## {heading}");
        show();
    }
    ExitCode::SUCCESS
}
