//! A program of several tasks in which each is killed at every turn, under several orders.
mod task_support;

use maypole::task::{Killed, check_killed, current, park_timeout, shield};
use maypole::time::timeout;
use maypole::{Builder, Clock, JoinHandle, run, scope, sleep, spawn, spawn_now, yield_now};
use std::cell::{Cell, RefCell};
use std::panic::catch_unwind;
use std::rc::Rc;
use std::time::Duration;

const TENTH: Duration = Duration::from_millis(100);

/// Counts what is alive, and panics at a second drop.
#[derive(Clone, Default)]
struct Census {
    made: Rc<Cell<u32>>,
    dropped: Rc<Cell<u32>>,
}

/// What its destructor does after it has counted itself out.
#[derive(Clone, Copy)]
enum Cleanup {
    Nothing,
    Yields,
    Sleeps,
    Spawns,
}

struct Guard {
    census: Census,
    cleanup: Cleanup,
    alive: bool,
}

impl Census {
    fn guard(&self, cleanup: Cleanup) -> Guard {
        self.made.set(self.made.get() + 1);
        Guard {
            census: self.clone(),
            cleanup,
            alive: true,
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if !std::mem::replace(&mut self.alive, false) {
            eprintln!("a guard was dropped twice");
            std::process::abort();
        }
        self.census.dropped.set(self.census.dropped.get() + 1);
        match self.cleanup {
            Cleanup::Nothing => {}
            Cleanup::Yields => yield_now(),
            Cleanup::Sleeps => sleep(TENTH),
            Cleanup::Spawns => {
                let guard = self.census.guard(Cleanup::Nothing);
                let _ = spawn(move || drop(guard)).join();
            }
        }
    }
}

maypole::task_local! {
    static CENSUS: RefCell<Option<Guard>> = RefCell::new(None);
}

const TASKS: usize = 6;

/// The task with this number: a handle on its result, which is the number again.
fn start(number: usize, census: &Census) -> JoinHandle<usize> {
    let census = census.clone();
    let captured = census.guard(Cleanup::Yields);
    let body: fn(&Census) = match number {
        0 => sleeps,
        1 => parks,
        2 => opens_scopes,
        3 => shields,
        4 => joins,
        _ => spawns,
    };
    spawn(move || {
        let _captured = captured;
        CENSUS.with(|local| *local.borrow_mut() = Some(census.guard(Cleanup::Sleeps)));
        body(&census);
        number
    })
}

fn sleeps(census: &Census) {
    for cleanup in [Cleanup::Nothing, Cleanup::Yields, Cleanup::Sleeps] {
        let _guard = census.guard(cleanup);
        sleep(TENTH);
    }
}

fn parks(census: &Census) {
    let me = current();
    let _outer = census.guard(Cleanup::Spawns);
    for _ in 0..3 {
        let theirs = me.clone();
        let _waker = spawn(move || theirs.unpark());
        let _guard = census.guard(Cleanup::Yields);
        park_timeout(TENTH);
    }
}

fn opens_scopes(census: &Census) {
    let frame = census.guard(Cleanup::Sleeps);
    let done = Cell::new(0);
    scope(|s| {
        for turns in 1..3 {
            let (frame, done) = (&frame, &done);
            s.spawn(move || {
                let _guard = census.guard(Cleanup::Yields);
                for _ in 0..turns {
                    yield_now();
                    sleep(TENTH);
                }
                assert!(frame.alive, "the scope outlives its tasks");
                done.set(done.get() + 1);
            });
        }
        let _inner = census.guard(Cleanup::Nothing);
        yield_now();
    });
    assert_eq!(done.get(), 2);
}

fn shields(census: &Census) {
    let steps = Cell::new(0);
    shield(|| {
        let _guard = census.guard(Cleanup::Yields);
        steps.set(1);
        yield_now();
        sleep(TENTH);
        steps.set(2);
    });
    assert_eq!(steps.get(), 2, "a shielded part is whole");
    let _guard = census.guard(Cleanup::Sleeps);
    let late = timeout(TENTH / 2, || {
        let _guard = census.guard(Cleanup::Sleeps);
        sleep(10 * TENTH);
    });
    assert!(late.is_err());
    check_killed();
    yield_now();
}

fn joins(census: &Census) {
    let mut child = spawn({
        let guard = census.guard(Cleanup::Sleeps);
        move || {
            sleep(2 * TENTH);
            drop(guard);
            7
        }
    });
    // A kill caught once is raised again at the next park.
    let first = catch_unwind(std::panic::AssertUnwindSafe(|| child.join_timeout(TENTH)));
    if let Ok(Some(value)) = first {
        assert_eq!(value.unwrap(), 7);
        return;
    }
    assert_eq!(child.join().unwrap(), 7);
}

fn spawns(census: &Census) {
    let guard = census.guard(Cleanup::Yields);
    let nested = spawn_now(move || {
        let _guard = guard;
        yield_now();
        1
    });
    let detached = census.guard(Cleanup::Sleeps);
    drop(spawn(move || {
        sleep(TENTH);
        drop(detached);
    }));
    assert_eq!(nested.join().unwrap(), 1);
}

/// Runs the program and kills `victim` at `turn`; checks everything that must hold.
fn kill_at(victim: usize, turn: usize, seed: u64) -> Killed {
    let census = Census::default();
    let context = format!("task {victim} killed at turn {turn}, seed {seed}");
    let answer = Builder::new()
        .clock(Clock::Virtual)
        .seed(seed)
        .max_turns(100_000)
        .run(|| {
            let tasks: Vec<_> = (0..TASKS).map(|number| start(number, &census)).collect();
            let prey = tasks[victim].task().clone();
            let killer = spawn(move || {
                for step in 1..=turn {
                    match step % 3 {
                        0 => sleep(TENTH / 4),
                        _ => yield_now(),
                    }
                }
                let answer = prey.kill("at this step");
                yield_now();
                let again = prey.kill("once more");
                assert!(matches!(again, Killed::Already | Killed::Finished));
                answer
            });
            let results: Vec<_> = tasks.into_iter().map(|task| task.join()).collect();
            let answer = killer.join().unwrap();
            for (number, result) in results.into_iter().enumerate() {
                match result {
                    Ok(value) => {
                        assert_eq!(value, number);
                        let killed = number == victim && answer != Killed::Finished;
                        assert!(!killed, "{context}: a success, though found {answer:?}");
                    }
                    Err(error) => {
                        assert_eq!(number, victim, "{context}: {error}");
                        assert!(error.is_killed(), "{context}: {error}");
                        assert_eq!(error.reason(), Some("at this step"));
                        assert_ne!(answer, Killed::Finished, "{context}");
                    }
                }
            }
            answer
        })
        .unwrap_or_else(|error| panic!("{context}: {error}"));
    let (made, dropped) = (census.made.get(), census.dropped.get());
    assert_eq!(made, dropped, "{context}: every destructor runs once");
    answer
}

/// Kills each task at every turn, in the order that `seed` gives.
fn check_seed(seed: u64) {
    let mut answers = Vec::new();
    for victim in 0..TASKS {
        for turn in 0..40 {
            let answer = kill_at(victim, turn, seed);
            if !answers.contains(&answer) {
                answers.push(answer);
            }
        }
    }
    for expected in [Killed::Parked, Killed::Shielded, Killed::Finished] {
        assert!(
            answers.contains(&expected),
            "{expected:?} never came up: {answers:?}"
        );
    }
}

#[test]
fn a_program_ends_whole_with_each_task_killed_at_every_turn_first_in_first_out() {
    check_seed(0);
}

#[test]
fn a_program_ends_whole_with_each_task_killed_at_every_turn_in_other_orders() {
    (1..=8).for_each(check_seed);
}

#[test]
fn the_program_ends_whole_when_nobody_is_killed() {
    let census = Census::default();
    run(|| {
        for number in 0..TASKS {
            assert_eq!(start(number, &census).join().unwrap(), number);
        }
    });
    assert_eq!(census.made.get(), census.dropped.get());
}

#[test]
fn the_program_ends_whole_when_the_run_ends_at_every_turn() {
    for seed in 0..4 {
        for turn in 0..40 {
            let census = Census::default();
            Builder::new()
                .clock(Clock::Virtual)
                .seed(seed)
                .run(|| {
                    (0..TASKS).for_each(|number| drop(start(number, &census)));
                    for step in 1..=turn {
                        match step % 3 {
                            0 => sleep(TENTH / 4),
                            _ => yield_now(),
                        }
                    }
                })
                .unwrap();
            assert_eq!(
                census.made.get(),
                census.dropped.get(),
                "the end at turn {turn}, seed {seed}"
            );
        }
    }
}
