//! Environment variables overrule the options of an embedded scheduler as they do those of a run.
#![cfg(unix)]

mod child;

use maypole::{Budget, Builder, Tick, run, sleep, task, time, yield_now};
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// The order in which ten tasks have their first turns, in rounds.
fn order_of_turns() -> Vec<u32> {
    let order = Rc::new(RefCell::new(Vec::new()));
    let mut scheduler = Builder::new().build();
    for n in 0..10 {
        let order = order.clone();
        scheduler.spawn(move || order.borrow_mut().push(n));
    }
    assert_eq!(scheduler.tick(Budget::round()), Tick::Done);
    order.take()
}

/// The last line that was printed.
fn printed(stdout: &str) -> &str {
    let mut lines = stdout.rsplit('\n');
    lines.find(|line| !line.is_empty()).unwrap_or_default()
}

#[test]
fn a_seed_chooses_the_order_of_an_embedded_scheduler() {
    let ended = child::run_with(&[("MAYPOLE_SEED", "7")], || {
        print!("{:?}", order_of_turns());
    });
    let ended = ended.succeeds();
    let said = "maypole: MAYPOLE_SEED=7: tasks are chosen by this seed\n";
    assert_eq!(ended.stderr, said);
    let shuffled = printed(&ended.stdout).to_string();
    assert_ne!(shuffled, "[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]");
    let mut numbers: Vec<&str> = shuffled.trim_matches(['[', ']']).split(", ").collect();
    numbers.sort_unstable();
    assert_eq!(numbers.len(), 10);
}

#[test]
fn virtual_time_by_the_environment_reaches_an_embedded_scheduler() {
    let ended = child::run_with(&[("MAYPOLE_CLOCK", "virtual")], || {
        let mut scheduler = Builder::new().build();
        let slept = scheduler.spawn(|| {
            let start = time::now();
            sleep(DAY);
            time::now() - start
        });
        while scheduler.tick(Budget::turns(1)) != Tick::Done {}
        assert_eq!(slept.join().unwrap(), DAY);
    });
    let said = "maypole: MAYPOLE_CLOCK=virtual: sleeping takes no time\n";
    assert_eq!(ended.succeeds().stderr, said);
}

#[test]
fn a_trail_is_left_to_the_first_run() {
    let ended = child::run_with(&[("MAYPOLE_REPLAY", "no trail")], || {
        let mut scheduler = Builder::new().build();
        let handle = scheduler.spawn(yield_now);
        scheduler.run_until_idle();
        assert!(handle.is_finished());
        drop(scheduler);
        let refused = std::panic::catch_unwind(|| run(|| ()));
        let text = *refused.unwrap_err().downcast::<String>().unwrap();
        assert!(
            text.contains("MAYPOLE_REPLAY=no trail is no trail"),
            "{text}"
        );
    });
    ended.succeeds();
}

#[test]
fn tasks_that_would_not_die_are_named_when_the_scheduler_is_dropped() {
    let ended = child::run(|| {
        let mut scheduler = Builder::new().build();
        scheduler.spawn(|| {
            maypole::scope(|s| {
                s.spawn(|| {
                    loop {
                        let _ = std::panic::catch_unwind(task::park);
                    }
                });
            });
        });
        scheduler.run_until_idle();
    });
    let ended = ended.succeeds();
    let head = "maypole: these tasks would not die and are leaked\n";
    assert!(ended.stderr.contains(head), "{}", ended.stderr);
    assert!(ended.stderr.contains("tests/embed_environment.rs:"));
}
