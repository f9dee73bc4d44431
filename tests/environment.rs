//! Environment variables: each says in one line on stderr that it acts.
#![cfg(unix)]

mod child;

use maypole::{Builder, run, sleep, spawn, task, time, yield_now};
use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// The order in which ten tasks have their first turns.
fn order_of_turns() -> Vec<u32> {
    let order = Rc::new(RefCell::new(Vec::new()));
    run(|| {
        for n in 0..10 {
            let order = order.clone();
            spawn(move || order.borrow_mut().push(n));
        }
        while order.borrow().len() < 10 {
            yield_now();
        }
    });
    order.take()
}

/// What follows the announcements of the test harness.
fn printed(stdout: &str) -> &str {
    stdout
        .rsplit('\n')
        .find(|line| !line.is_empty())
        .unwrap_or_default()
}

#[test]
fn nothing_is_said_when_nothing_is_asked_for() {
    let ended = child::run(|| print!("{:?}", order_of_turns())).succeeds();
    assert_eq!(ended.stderr, "");
    assert_eq!(printed(&ended.stdout), "[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]");
}

#[test]
fn an_empty_variable_is_none() {
    let empty = ["MAYPOLE_SEED", "MAYPOLE_CLOCK", "MAYPOLE_AUDIT"].map(|name| (name, ""));
    let ended = child::run_with(&empty, || run(|| ())).succeeds();
    assert_eq!(ended.stderr, "");
}

#[test]
fn a_seed_chooses_an_order_and_the_same_seed_the_same() {
    let seeded = |seed: &str| {
        let ended = child::run_with(&[("MAYPOLE_SEED", seed)], || {
            print!("{:?}", order_of_turns());
        });
        let ended = ended.succeeds();
        assert_eq!(
            ended.stderr,
            format!("maypole: MAYPOLE_SEED={seed}: tasks are chosen by this seed\n")
        );
        printed(&ended.stdout).to_string()
    };
    assert_eq!(seeded("7"), seeded("7"));
    assert_ne!(seeded("7"), seeded("8"));
}

#[test]
fn the_seed_of_the_environment_overrules_the_builder() {
    let ended = child::run_with(&[("MAYPOLE_SEED", "0")], || {
        Builder::new()
            .seed(7)
            .run(|| {
                let order = Rc::new(RefCell::new(Vec::new()));
                for n in 0..10 {
                    let order = order.clone();
                    spawn(move || order.borrow_mut().push(n));
                }
                yield_now();
                print!("{:?}", order.borrow());
            })
            .unwrap();
    });
    assert_eq!(
        printed(&ended.succeeds().stdout),
        "[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]"
    );
}

#[test]
fn a_random_seed_is_told_and_gives_the_same_order_again() {
    let body = || print!("{:?}", order_of_turns());
    let random = child::run_with(&[("MAYPOLE_SEED", "random")], body).succeeds();
    let seed = random
        .stderr
        .strip_prefix("maypole: MAYPOLE_SEED=random: the seed of this run is ")
        .and_then(|rest| rest.strip_suffix('\n'))
        .expect("one line with the seed");
    let again = child::run_with(&[("MAYPOLE_SEED", seed)], body).succeeds();
    assert_eq!(printed(&random.stdout), printed(&again.stdout));
}

#[test]
fn what_makes_no_sense_is_ignored_with_a_word() {
    let variables = [("MAYPOLE_SEED", "nonsense"), ("MAYPOLE_CLOCK", "cuckoo")];
    let ended = child::run_with(&variables, || print!("{:?}", order_of_turns())).succeeds();
    assert_eq!(
        ended.stderr,
        "maypole: MAYPOLE_SEED=nonsense is ignored: a number or random is expected\n\
         maypole: MAYPOLE_CLOCK=cuckoo is ignored: virtual is expected\n"
    );
    assert_eq!(printed(&ended.stdout), "[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]");
}

#[test]
fn virtual_time_takes_none() {
    let day = Duration::from_secs(24 * 60 * 60);
    let ended = child::run_with(&[("MAYPOLE_CLOCK", "virtual")], || {
        let began = Instant::now();
        run(|| {
            let before = time::now();
            sleep(day);
            assert!(time::now() - before >= day);
        });
        assert!(began.elapsed() < Duration::from_secs(60));
    });
    assert_eq!(
        ended.succeeds().stderr,
        "maypole: MAYPOLE_CLOCK=virtual: sleeping takes no time\n"
    );
}

#[test]
fn the_auditor_says_that_it_was_asked_for() {
    let body = || run(|| spawn(yield_now).join().unwrap());
    let on = child::run_with(&[("MAYPOLE_AUDIT", "1")], body).succeeds();
    assert_eq!(
        on.stderr,
        "maypole: MAYPOLE_AUDIT=1: parks look for callers that must not be interleaved\n"
    );
    let off = child::run_with(&[("MAYPOLE_AUDIT", "0")], body).succeeds();
    assert_eq!(
        off.stderr,
        "maypole: MAYPOLE_AUDIT=0: parks are not audited\n"
    );
    let odd = child::run_with(&[("MAYPOLE_AUDIT", "off")], body).succeeds();
    assert_eq!(
        odd.stderr,
        "maypole: MAYPOLE_AUDIT=off is ignored: 1 or 0 is expected\n"
    );
}

#[test]
fn each_run_that_heeds_a_variable_says_so() {
    let ended = child::run_with(&[("MAYPOLE_SEED", "7")], || {
        run(|| ());
        run(|| drop(task::current()));
    });
    assert_eq!(ended.succeeds().stderr.lines().count(), 2);
}
