//! Random transactions beside a sequential model of them: what each attempt reads, writes and ends
//! with, whom it wakes and in which order, which hooks run, and what is dropped.
//!
//! A program is made by chance: tasks with transactions, each a tree of steps with `or_else`,
//! `catch`, retries, aborts and panics; kills, timeouts, hooks and destructors that do something of
//! their own. Whenever an attempt begins, the model says what it comes to, by copying values instead
//! of undoing (`stm_model/reference.rs`), and who must be parked (`stm_model/waits.rs`).
//!
//! A failure prints the program, made smaller, and its seed; `STM_SEED=n` runs that one alone, and
//! `STM_SEED=m..n` so many.
#[path = "stm_model/acts.rs"]
mod acts;
#[path = "stm_model/calls.rs"]
mod calls;
#[path = "stm_model/chance.rs"]
mod chance;
#[path = "stm_model/checks.rs"]
mod checks;
#[path = "stm_model/handles.rs"]
mod handles;
#[path = "stm_model/model.rs"]
mod model;
#[path = "stm_model/program.rs"]
mod program;
#[path = "stm_model/queues.rs"]
mod queues;
#[path = "stm_model/reference.rs"]
mod reference;
#[path = "stm_model/shrink.rs"]
mod shrink;
#[path = "stm_model/stage.rs"]
mod stage;
#[path = "stm_model/values.rs"]
mod values;
#[path = "stm_model/waits.rs"]
mod waits;
#[path = "stm_model/words.rs"]
mod words;
#[path = "stm_model/world.rs"]
mod world;

use chance::Size;
use maypole::{Builder, Clock, RunError, sleep, task};
use model::Counts;
use program::{End, Program, Term};
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Once;
use std::time::Duration;
use world::World;

/// Longer than anything takes that has a limit.
const LONG: Duration = Duration::from_secs(1000);

/// Tries to make a program smaller that fails.
const TRIES: usize = 3000;

const SMALL: Size = Size {
    tasks: 4,
    acts: 6,
    steps: 4,
    depth: 3,
    queues: 0,
};

const QUEUES: Size = Size { queues: 6, ..SMALL };

const LARGE: Size = Size {
    tasks: 9,
    acts: 20,
    steps: 6,
    depth: 4,
    queues: 3,
};

/// Begins the end of the run when main is left, one way or another.
struct Leaves<'a>(&'a World);

impl Drop for Leaves<'_> {
    fn drop(&mut self) {
        self.0.begin_end();
    }
}

/// The body of main.
fn live(world: &Rc<World>, program: &Program) {
    world.add_task(task::current());
    let _leaves = Leaves(world);
    for (plus, content) in (0..).zip(&program.variables) {
        world.make(*content, &Term { plus, deed: None });
    }
    let spawn = |(number, acts): (usize, &Vec<program::Act>)| {
        let (theirs, acts) = (world.clone(), acts.clone());
        let body = move || acts.iter().for_each(|act| theirs.act(act));
        let name = format!("t{}", number + 1);
        let handle = task::Builder::new().name(name).spawn(body);
        let handle = handle.expect("there is a stack");
        world.add_task(handle.task().clone());
        handle
    };
    let handles: Vec<_> = program.tasks.iter().enumerate().map(spawn).collect();
    program.main.iter().for_each(|act| world.act(act));
    if program.end == End::Return {
        return;
    }
    if program.end != End::Join {
        sleep(LONG);
        world.check();
        world.check_between();
        world.check_killed();
    }
    if program.end == End::Kill {
        (0..=handles.len()).for_each(|task| world.kill(task));
    }
    if program.end != End::Wait {
        for handle in handles {
            if let Err(error) = handle.join()
                && !error.is_killed()
            {
                world.fail(format!("{error}"));
            }
        }
        world.check();
        world.check_between();
    }
}

/// What a program fails with, if it does, and what came before.
type Ended = Result<Counts, (String, Vec<String>)>;

fn simulate(program: &Program, traces: bool) -> Ended {
    let world = World::new(program.seed == 0, traces);
    let run = catch_unwind(AssertUnwindSafe(|| {
        Builder::new()
            .clock(Clock::Virtual)
            .seed(program.seed)
            .fail_on_unjoined_panic(true)
            .max_turns(20_000)
            .run(|| live(&world, program))
    }));
    world.over.set(true);
    match run {
        Ok(Ok(())) => {}
        Ok(Err(RunError::Deadlock(report))) => world.check_deadlock(&report.to_string()),
        Ok(Err(error)) => world.fail(format!("the run ends with {error}")),
        Err(payload) => {
            let text = payload.downcast_ref::<String>().cloned();
            let text = text.unwrap_or_else(|| "something that is no text".to_string());
            world.fail(format!("the run panics: {text}"));
        }
    }
    world.settle();
    match world.failure() {
        None => Ok(world.counts.get()),
        Some(failure) => Err((failure, world.trace())),
    }
}

/// In an OS thread of its own, so that a program that fails leaves nothing behind.
fn apart(program: &Program, traces: bool) -> Ended {
    static QUIET: Once = Once::new();
    QUIET.call_once(|| {
        let outer = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if std::thread::current().name() != Some("world") {
                outer(info);
            }
        }));
    });
    let program = program.clone();
    let body = move || simulate(&program, traces);
    let thread = std::thread::Builder::new().name("world".to_string());
    let thread = thread.spawn(body).expect("there is an OS thread");
    let nothing = |_| Err(("the OS thread panics".to_string(), Vec::new()));
    thread.join().unwrap_or_else(nothing)
}

fn check_one(seed: u64, size: Size) -> Counts {
    let program = chance::program(seed, size);
    let failure = match apart(&program, false) {
        Ok(counts) => return counts,
        Err((failure, _)) => failure,
    };
    let smaller = shrink::shrink(&program, TRIES, |smaller| apart(smaller, false).is_err());
    let (left, trace) = apart(&smaller, true).expect_err("the same program fails again");
    let trace = trace.join("\n  ");
    panic!(
        "\nSTM_SEED={seed}: {failure}\n\nmade smaller: {left}\n{smaller}\nwhat happened:\n  {trace}\n"
    );
}

fn check(seeds: Range<u64>, size: Size) {
    let seeds = match std::env::var("STM_SEED") {
        Ok(text) => {
            let (from, to) = text.split_once("..").unwrap_or((&text, ""));
            let number = |text: &str| text.parse::<u64>().expect("STM_SEED is a number");
            let from = number(from);
            match to {
                "" => from..from + 1,
                to => from..number(to),
            }
        }
        Err(_) => seeds,
    };
    let mut sum = Counts::default();
    for seed in seeds {
        sum.add(check_one(seed, size));
    }
    println!("{sum:?}");
}

#[test]
fn small_programs_do_what_the_model_says() {
    check(0..1000, SMALL);
}

#[test]
fn small_programs_with_queues_do_what_the_model_says() {
    check(0..1000, QUEUES);
}

#[test]
fn large_programs_do_what_the_model_says() {
    check(0..60, LARGE);
}

#[test]
#[ignore = "takes half a minute"]
fn many_programs_do_what_the_model_says() {
    check(0..8_000, SMALL);
    check(0..8_000, QUEUES);
    check(0..600, LARGE);
}
