//! Transactions that stand in the lines of several semaphores: who keeps a place, and who gives it up.
#![allow(
    clippy::unit_arg,
    reason = "the last step of a transaction is often a write"
)]
mod sem_support;
mod steps;

use maypole::explore::Switches;
use maypole::stm::{Stop, TSem, TVar, Transaction, atomically, check};
use maypole::{Builder, Clock, JoinHandle, run, sleep, spawn, yield_now};
use sem_support::{join_all, logs, settle, signal, under_all_schedules, units, wait_for, waiter};
use steps::{Log, ms};

fn both<E>(a: &TSem, b: &TSem, tx: &Transaction) -> Result<(), Stop<E>> {
    a.wait(tx)?;
    b.wait(tx)
}

fn either<E>(a: &TSem, b: &TSem, tx: &Transaction) -> Result<(), Stop<E>> {
    tx.or_else(|tx| a.wait(tx), |tx| b.wait(tx))
}

fn waiter_for_both(name: &'static str, a: &TSem, b: &TSem, log: &Log) -> JoinHandle<()> {
    let (a, b) = (a.clone(), b.clone());
    logs(name, log, move |tx| both(&a, &b, tx))
}

fn waiter_for_either(name: &'static str, a: &TSem, b: &TSem, log: &Log) -> JoinHandle<()> {
    let (a, b) = (a.clone(), b.clone());
    logs(name, log, move |tx| either(&a, &b, tx))
}

// ── two semaphores ───────────────────────────────────────────────────────────────────────────

#[test]
fn one_that_lacks_another_unit_does_not_hold_up_those_who_bring_it() {
    run(|| {
        let (a, b, log) = (TSem::new(0), TSem::new(0), Log::new());
        let two = waiter_for_both("two", &a, &b, &log);
        // If the first kept its place for want of the other unit, both would wait for ever.
        let (first, second) = (a.clone(), b.clone());
        let brings = spawn(move || {
            atomically(|tx| first.wait(tx));
            signal(&second, 1);
            signal(&first, 1);
        });
        yield_now();
        signal(&a, 1);
        brings.join().unwrap();
        two.join().unwrap();
        assert_eq!((units(&a), units(&b)), (0, 0));
    });
}

#[test]
fn those_who_take_two_in_opposite_orders_do_not_lock_each_other_out() {
    let program = || {
        let (a, b, log) = (TSem::new(1), TSem::new(1), Log::new());
        let tasks = [(&a, &b), (&b, &a)].map(|(first, second)| {
            let (first, second) = (first.clone(), second.clone());
            let log = log.clone();
            spawn(move || {
                for _ in 0..2 {
                    atomically(|tx| both(&first, &second, tx));
                    log.add("in");
                    yield_now();
                    assert_eq!((units(&first), units(&second)), (0, 0));
                    atomically(|tx| Ok(first.signal(tx)));
                    atomically(|tx| Ok(second.signal(tx)));
                }
            })
        });
        join_all(tasks);
        assert_eq!(log.steps().len(), 4);
    };
    under_all_schedules(Switches::Parking, 1, program);
}

#[test]
fn philosophers_who_take_both_forks_at_once_all_eat() {
    for seed in 0..20 {
        let ended = Builder::new().seed(seed).run(|| {
            let forks: Vec<_> = (0..5).map(|_| TSem::new(1)).collect();
            let tasks = (0..5).map(|seat| {
                let (left, right) = (forks[seat].clone(), forks[(seat + 1) % 5].clone());
                spawn(move || {
                    for _ in 0..10 {
                        atomically(|tx| both(&left, &right, tx));
                        yield_now();
                        signal(&left, 1);
                        signal(&right, 1);
                    }
                })
            });
            let tasks: Vec<_> = tasks.collect();
            join_all(tasks);
            assert!(forks.iter().all(|fork| units(fork) == 1));
        });
        ended.unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    }
}

#[test]
fn one_that_gave_its_place_up_is_served_before_those_who_came_later() {
    run(|| {
        let (a, b, log) = (TSem::new(0), TSem::new(0), Log::new());
        let two = waiter_for_both("two", &a, &b, &log);
        let ones = ["first", "second"].map(|name| waiter(name, &a, &log));
        // Its turn comes, but it lacks the other unit.
        signal(&a, 1);
        settle();
        assert_eq!(log.text(), "first");
        signal(&b, 1);
        settle();
        // Now it lacks nothing else.
        signal(&a, 1);
        two.join().unwrap();
        assert_eq!(log.text(), "first two");
        signal(&a, 1);
        join_all(ones);
        assert_eq!((units(&a), units(&b)), (0, 0));
    });
}

/// Comes to rest, or fails.
#[track_caller]
fn comes_to_rest(main: impl FnOnce()) {
    let world = Builder::new().clock(Clock::Virtual).max_turns(10_000);
    world.run(main).unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn those_who_all_lack_another_unit_come_to_rest() {
    comes_to_rest(|| {
        let (a, b, log) = (TSem::new(0), TSem::new(0), Log::new());
        let tasks = ["first", "second", "third"].map(|name| waiter_for_both(name, &a, &b, &log));
        signal(&a, 1);
        // They must not pass the unit's turn round for ever.
        sleep(ms(1));
        signal(&a, 2);
        signal(&b, 3);
        join_all(tasks);
        assert_eq!(log.text(), "first second third");
    });
}

#[test]
fn those_who_all_wait_for_a_variable_come_to_rest() {
    comes_to_rest(|| {
        let (sem, flag, log) = (TSem::new(0), TVar::new(false), Log::new());
        let tasks = ["first", "second", "third"].map(|name| {
            let (sem, flag) = (sem.clone(), flag.clone());
            logs(name, &log, move |tx| {
                sem.wait(tx)?;
                check(flag.read(tx))
            })
        });
        signal(&sem, 1);
        sleep(ms(1));
        signal(&sem, 2);
        flag.set(true);
        join_all(tasks);
        assert_eq!((log.steps().len(), units(&sem)), (3, 0));
    });
}

#[test]
fn those_who_lack_each_others_units_in_a_circle_come_to_rest() {
    comes_to_rest(|| {
        let sems = [(); 3].map(|()| TSem::new(0));
        let tasks = [(0, 1), (1, 2), (2, 0), (0, 2), (1, 0), (2, 1)].map(|(first, second)| {
            let (first, second) = (sems[first].clone(), sems[second].clone());
            logs("", &Log::new(), move |tx| both(&first, &second, tx))
        });
        for at in [0, 1, 2, 0, 1, 2] {
            signal(&sems[at], 1);
            sleep(ms(1));
        }
        sems.iter().for_each(|sem| signal(sem, 2));
        join_all(tasks);
        assert!(sems.iter().all(|sem| units(sem) == 0));
    });
}

#[test]
fn one_that_must_wait_for_a_variable_gives_its_place_up() {
    run(|| {
        let (sem, flag, log) = (TSem::new(0), TVar::new(false), Log::new());
        let (theirs, read) = (sem.clone(), flag.clone());
        let choosy = logs("choosy", &log, move |tx| {
            theirs.wait(tx)?;
            check(read.read(tx))
        });
        let other = waiter("other", &sem, &log);
        signal(&sem, 1);
        other.join().unwrap();
        flag.set(true);
        settle();
        assert!(!choosy.is_finished());
        signal(&sem, 1);
        choosy.join().unwrap();
        assert_eq!(log.text(), "other choosy");
    });
}

#[test]
fn one_for_which_the_unit_has_lost_its_meaning_gives_its_place_up() {
    run(|| {
        let (sem, enough, log) = (TSem::new(0), TVar::new(0), Log::new());
        let (theirs, read) = (sem.clone(), enough.clone());
        let fickle = logs("fickle", &log, move |tx| match read.read(tx) {
            0 => theirs.wait(tx),
            1 => check(false),
            _ => Ok(()),
        });
        let other = waiter("other", &sem, &log);
        enough.set(1);
        yield_now();
        signal(&sem, 1);
        other.join().unwrap();
        enough.set(2);
        fickle.join().unwrap();
    });
}

// ── either of two ────────────────────────────────────────────────────────────────────────────

#[test]
fn one_that_waits_for_either_stands_in_both_lines_and_takes_one() {
    for from in 0..2 {
        run(|| {
            let (sems, log) = ([TSem::new(0), TSem::new(0)], Log::new());
            let first = waiter_for_either("either", &sems[0], &sems[1], &log);
            let behind = [0, 1].map(|at| waiter(["a", "b"][at], &sems[at], &log));
            signal(&sems[from], 1);
            first.join().unwrap();
            settle();
            assert_eq!(log.text(), "either");
            signal(&sems[1 - from], 1);
            settle();
            assert_eq!(log.text(), ["either b", "either a"][from]);
            signal(&sems[from], 1);
            join_all(behind);
        });
    }
}

#[test]
fn those_behind_one_that_has_found_another_way_go_on() {
    run(|| {
        let (a, b, log) = (TSem::new(1), TSem::new(0), Log::new());
        let two = {
            let (a, b) = (a.clone(), b.clone());
            logs("two", &log, move |tx| {
                tx.or_else(|tx| wait_for(&a, tx, 2), |tx| b.wait(tx))
            })
        };
        // There is a unit, but `two` came before.
        let behind = waiter("behind", &a, &log);
        assert!(!behind.is_finished());
        signal(&b, 1);
        two.join().unwrap();
        behind.join().unwrap();
        assert_eq!(log.text(), "two behind");
    });
}

#[test]
fn those_who_wait_for_either_lose_no_unit_under_every_schedule() {
    let program = || {
        let (a, b) = (TSem::new(0), TSem::new(0));
        let tasks = [(&a, &b), (&b, &a)].map(|(first, second)| {
            let (first, second) = (first.clone(), second.clone());
            spawn(move || atomically(|tx| either(&first, &second, tx)))
        });
        let alone = {
            let a = a.clone();
            spawn(move || atomically(|tx| a.wait(tx)))
        };
        yield_now();
        signal(&a, 2);
        signal(&b, 1);
        join_all(tasks);
        // Two of `a` are not enough if both others took theirs there.
        if units(&b) == 1 {
            signal(&a, 1);
        }
        alone.join().unwrap();
        assert_eq!(units(&a), 0);
    };
    under_all_schedules(Switches::Parking, 1, program);
}

#[test]
fn a_unit_or_a_variable_whatever_comes_first() {
    run(|| {
        let (sem, flag, log) = (TSem::new(0), TVar::new(false), Log::new());
        let (theirs, read) = (sem.clone(), flag.clone());
        let first = logs("first", &log, move |tx| {
            tx.or_else(|tx| theirs.wait(tx), |tx| check(read.read(tx)))
        });
        let behind = waiter("behind", &sem, &log);
        flag.set(true);
        first.join().unwrap();
        signal(&sem, 1);
        behind.join().unwrap();
        assert_eq!((log.text().as_str(), units(&sem)), ("first behind", 0));
    });
}
