//! Transactions that end, or are ended, while they stand in line for a semaphore: those behind go on,
//! and no unit is lost.
#![allow(
    clippy::unit_arg,
    reason = "the last step of a transaction is often a write"
)]
mod sem_support;
mod steps;

use maypole::channel::bounded;
use maypole::stm::{TSem, TVar, abort, atomically, try_atomically};
use maypole::task::shield;
use maypole::time::timeout;
use maypole::{JoinHandle, run, scope, sleep, spawn, yield_now};
use sem_support::{logs, settle, signal, units, wait_for, waiter};
use std::cell::Cell;
use std::rc::Rc;
use steps::{Log, OnDrop, ms, on_virtual_time};

/// Three in line, and something happens to one of them before or after a unit has come: the others
/// are served in their order, and no unit is lost.
#[track_caller]
fn those_behind_go_on(happens: impl Fn(&JoinHandle<()>)) {
    for unlucky in 0..3 {
        for comes_first in [false, true] {
            run(|| {
                let (sem, log) = (TSem::new(0), Log::new());
                let names = ["a", "b", "c"];
                let tasks = names.map(|name| waiter(name, &sem, &log));
                if comes_first {
                    signal(&sem, 1);
                }
                happens(&tasks[unlucky]);
                signal(&sem, 2 - u64::from(comes_first));
                settle();
                let mut served = names.to_vec();
                served.remove(unlucky);
                assert_eq!(log.steps(), served);
                assert_eq!(units(&sem), 0);
            });
        }
    }
}

#[test]
fn those_behind_one_that_is_killed_go_on() {
    those_behind_go_on(|task| _ = task.kill("by chance"));
}

#[test]
fn those_behind_one_that_was_killed_and_has_unwound_go_on() {
    those_behind_go_on(|task| {
        task.kill("by chance");
        settle();
    });
}

#[test]
fn one_that_is_killed_at_any_moment_takes_no_unit_with_it() {
    // The killer comes after so many turns of the others.
    for turns in 0..12 {
        run(|| {
            let (sem, log) = (TSem::new(1), Log::new());
            let names = ["a", "b", "c", "d"];
            let tasks = names.map(|name| {
                let (sem, log) = (sem.clone(), log.clone());
                spawn(move || {
                    atomically(|tx| sem.wait(tx));
                    // Also where the kill finds it at its end.
                    let _back = OnDrop(|| shield(|| signal(&sem, 1)));
                    yield_now();
                    yield_now();
                    log.add(name);
                })
            });
            (0..turns).for_each(|_| yield_now());
            tasks[1].kill("by chance");
            let ended = tasks.map(|task| task.join().is_ok());
            assert!(ended[0] && ended[2] && ended[3]);
            assert_eq!(units(&sem), 1);
        });
    }
}

#[test]
fn those_behind_one_that_has_timed_out_go_on() {
    on_virtual_time(|| {
        let (sem, log) = (TSem::new(0), Log::new());
        let (theirs, logged) = (sem.clone(), log.clone());
        let hasty = spawn(move || {
            let waited = timeout(ms(5), || atomically(|tx| theirs.wait(tx)));
            logged.add(if waited.is_ok() { "served" } else { "late" });
        });
        yield_now();
        let behind = waiter("behind", &sem, &log);
        sleep(ms(10));
        hasty.join().unwrap();
        signal(&sem, 1);
        behind.join().unwrap();
        assert_eq!((log.text().as_str(), units(&sem)), ("late behind", 0));
    });
}

#[test]
fn a_unit_that_comes_in_the_moment_of_a_timeout_is_not_lost() {
    on_virtual_time(|| {
        for early in [true, false] {
            let (sem, log) = (TSem::new(0), Log::new());
            let theirs = sem.clone();
            let hasty = spawn(move || timeout(ms(5), || atomically(|tx| theirs.wait(tx))).is_ok());
            let gives = sem.clone();
            let giver = spawn(move || {
                sleep(ms(if early { 4 } else { 5 }));
                signal(&gives, 1);
            });
            yield_now();
            let behind = waiter("behind", &sem, &log);
            giver.join().unwrap();
            let was_served = hasty.join().unwrap();
            if was_served {
                signal(&sem, 1);
            }
            behind.join().unwrap();
            assert_eq!(units(&sem), 0);
        }
    });
}

#[test]
fn those_behind_one_that_panics_on_its_second_run_go_on() {
    run(|| {
        let (sem, log) = (TSem::new(0), Log::new());
        let (theirs, runs) = (sem.clone(), Cell::new(0));
        let clumsy = spawn(move || {
            atomically(|tx| {
                runs.set(runs.get() + 1);
                let waited = theirs.wait(tx);
                assert!(runs.get() == 1, "it has the unit and drops it");
                waited
            })
        });
        yield_now();
        let behind = waiter("behind", &sem, &log);
        signal(&sem, 1);
        behind.join().unwrap();
        assert!(clumsy.join().is_err());
        assert_eq!(units(&sem), 0);
    });
}

#[test]
fn those_behind_one_that_gives_up_go_on() {
    run(|| {
        let (sem, patience, log) = (TSem::new(0), TVar::new(true), Log::new());
        let (theirs, read) = (sem.clone(), patience.clone());
        let first = spawn(move || {
            try_atomically(|tx| match read.read(tx) {
                true => theirs.wait(tx),
                false => abort("no patience"),
            })
        });
        yield_now();
        let behind = waiter("behind", &sem, &log);
        patience.set(false);
        assert_eq!(first.join().unwrap(), Err("no patience"));
        signal(&sem, 1);
        behind.join().unwrap();
    });
}

#[test]
fn the_place_is_left_before_the_hooks_of_the_commit() {
    run(|| {
        let (sem, log) = (TSem::new(0), Log::new());
        let (done, is_done) = bounded::<()>(0);
        let theirs = sem.clone();
        let first = logs("first", &log, move |tx| {
            let is_done = is_done.clone();
            // It waits for one that stands behind.
            tx.on_commit(move || is_done.recv().unwrap());
            theirs.wait(tx)
        });
        let behind = waiter("behind", &sem, &log);
        signal(&sem, 2);
        behind.join().unwrap();
        done.send(()).unwrap();
        first.join().unwrap();
        assert_eq!(log.text(), "behind first");
    });
}

#[test]
fn the_place_is_left_before_destructors_that_park() {
    run(|| {
        let (sem, log) = (TSem::new(0), Log::new());
        let (done, is_done) = bounded::<()>(0);
        let waits = OnDrop(move || is_done.recv().unwrap());
        let (theirs, kept) = (sem.clone(), TVar::new(Some(Rc::new(waits))));
        let first = logs("first", &log, move |tx| {
            kept.write(tx, None);
            theirs.wait(tx)
        });
        let behind = waiter("behind", &sem, &log);
        signal(&sem, 2);
        behind.join().unwrap();
        done.send(()).unwrap();
        first.join().unwrap();
    });
}

#[test]
fn one_whose_destructors_let_others_run_before_it_parks_misses_nothing() {
    // Before the one behind parks, the one before it goes, or a unit comes.
    for unit_comes in [false, true] {
        run(|| {
            let (sem, log) = (TSem::new(i64::from(!unit_comes)), Log::new());
            let theirs = sem.clone();
            let first = logs("first", &log, move |tx| wait_for(&theirs, tx, 2));
            let kept = TVar::new(None);
            let (theirs, mut item) = (sem.clone(), Some(Rc::new(OnDrop(settle))));
            let second = spawn(move || {
                atomically(|tx| {
                    kept.write(tx, item.take());
                    theirs.wait(tx)
                });
            });
            yield_now();
            first.kill("not needed");
            if unit_comes {
                signal(&sem, 1);
            }
            second.join().unwrap();
            assert_eq!(units(&sem), 0);
        });
    }
}

#[test]
fn one_that_is_abandoned_holds_up_nobody() {
    run(|| {
        let (sem, log) = (TSem::new(0), Log::new());
        let theirs = sem.clone();
        let stubborn = spawn(move || {
            loop {
                let wait = || atomically(|tx| theirs.wait(tx));
                _ = std::panic::catch_unwind(wait);
            }
        });
        yield_now();
        let behind = waiter("behind", &sem, &log);
        stubborn.kill("and it swallows it");
        settle();
        signal(&sem, 1);
        behind.join().unwrap();
        assert!(stubborn.join().is_err());
    });
}

#[test]
fn daemons_and_scoped_tasks_leave_the_line_with_their_scope() {
    run(|| {
        let (sem, log) = (TSem::new(0), Log::new());
        scope(|s| {
            s.spawn_daemon(|| atomically(|tx| sem.wait(tx)));
            yield_now();
        });
        let behind = waiter("behind", &sem, &log);
        signal(&sem, 1);
        behind.join().unwrap();
    });
}
