//! A ring of tasks that hand one token around.
//!
//! Try: `cargo run --release --example ring -- 100000`. You will see how long it takes to start so
//! many tasks and to send the token three times around. Where a limit of the system stops it, the message names the limit, the number reached and the cure.
use maypole::task::{self, Builder};
use std::cell::{Cell, RefCell};
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Instant;

const ROUNDS: u32 = 3;

fn main() -> ExitCode {
    let argument = std::env::args().nth(1);
    let tasks = match argument.as_deref().unwrap_or("1000").parse() {
        Ok(tasks) if tasks > 0 => tasks,
        _ => {
            eprintln!("ring: how many tasks? A number from 1 on is expected");
            return ExitCode::from(2);
        }
    };
    match maypole::run(|| ring(tasks)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(limit) => {
            eprintln!("ring: {limit}");
            ExitCode::FAILURE
        }
    }
}

fn ring(tasks: usize) -> std::io::Result<()> {
    let start = Instant::now();
    let members: Rc<RefCell<Vec<maypole::Task>>> = Rc::default();
    let passes = Rc::new(Cell::new(0_u64));
    let handles = (0..tasks)
        .map(|me| {
            let (others, passes) = (members.clone(), passes.clone());
            // `Builder::spawn` gives the limit as an error where `spawn` would panic.
            let handle = Builder::new().spawn(move || {
                for _ in 0..ROUNDS {
                    task::park();
                    passes.set(passes.get() + 1);
                    let others = others.borrow();
                    others[(me + 1) % others.len()].unpark();
                }
            })?;
            members.borrow_mut().push(handle.task().clone());
            Ok(handle)
        })
        .collect::<std::io::Result<Vec<_>>>()?;
    maypole::yield_now();
    println!("{tasks} tasks wait, after {:.2?}", start.elapsed());

    let start = Instant::now();
    members.borrow()[0].unpark();
    for handle in handles {
        handle.join().expect("no member of the ring fails");
    }
    let elapsed = start.elapsed();
    let passes = passes.get();
    let each = elapsed.as_nanos() as u64 / passes;
    println!("{passes} passes in {elapsed:.2?}, {each} ns each");
    Ok(())
}
