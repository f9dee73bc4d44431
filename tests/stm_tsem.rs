//! `TSem`: units, and first come, first served.
#![allow(
    clippy::unit_arg,
    reason = "the last step of a transaction is often a write"
)]
mod sem_support;
mod steps;

use maypole::explore::{Switches, any};
use maypole::stm::{Stop, TSem, Transaction, abort, atomically, retry, try_atomically};
use maypole::task::{Status, What};
use maypole::{Builder, RunError, run, spawn, yield_now};
use sem_support::{
    Watched, join_all, logs, settle, signal, under_all_schedules, units, wait_for, waiter,
};
use steps::{Log, message_of};

// ── units ────────────────────────────────────────────────────────────────────────────────────

#[test]
fn a_unit_is_taken_and_given_back() {
    let sem = TSem::new(2);
    atomically(|tx| sem.wait(tx));
    assert_eq!(units(&sem), 1);
    atomically(|tx| sem.wait(tx));
    assert_eq!(units(&sem), 0);
    atomically(|tx| Ok(sem.signal(tx)));
    assert_eq!(units(&sem), 1);
    atomically(|tx| Ok(sem.signal_n(tx, 5)));
    assert_eq!(units(&sem), 6);
    atomically(|tx| Ok(sem.signal_n(tx, 0)));
    assert_eq!(units(&sem), 6);
}

#[test]
fn a_transaction_takes_several_units_or_none() {
    let sem = TSem::new(3);
    let take = |count| {
        let taken = |tx: &_| wait_for(&sem, tx, count).map(|()| true);
        atomically(|tx| tx.or_else(taken, |_| Ok(false)))
    };
    assert!(!take(4));
    assert_eq!(units(&sem), 3);
    assert!(take(3));
    assert_eq!(units(&sem), 0);
}

#[test]
fn no_unit_is_taken_by_what_is_undone() {
    let sem = TSem::new(2);
    let aborted = try_atomically(|tx| {
        sem.wait(tx)?;
        sem.signal_n(tx, 7);
        abort::<(), _>("no")
    });
    assert_eq!(aborted, Err("no"));
    assert_eq!(units(&sem), 2);
    let message = message_of(|| {
        atomically(|tx| -> Result<(), Stop> {
            sem.wait(tx)?;
            panic!("no");
        })
    });
    assert_eq!(message, "no");
    assert_eq!(units(&sem), 2);
    atomically(|tx| {
        sem.wait(tx)?;
        tx.or_else(
            |tx| {
                sem.wait(tx)?;
                retry()
            },
            |_| Ok(()),
        )
    });
    assert_eq!(units(&sem), 1);
}

#[test]
fn a_debt_is_paid_before_anybody_is_served() {
    run(|| {
        let (sem, log) = (TSem::new(-2), Log::new());
        assert_eq!(units(&sem), -2);
        let task = waiter("served", &sem, &log);
        for left in [-1, 0] {
            signal(&sem, 1);
            settle();
            assert_eq!((units(&sem), log.text().as_str()), (left, ""));
        }
        signal(&sem, 1);
        task.join().unwrap();
        assert_eq!(units(&sem), 0);
    });
}

#[test]
fn more_units_than_can_be_counted_panic_and_none_is_added() {
    for (first, more) in [(i64::MAX, 1), (1, u64::MAX), (0, i64::MAX as u64 + 1)] {
        let sem = TSem::new(first);
        let message = message_of(|| signal(&sem, more));
        assert!(message.contains("at most i64::MAX units"), "{message}");
        assert_eq!(units(&sem), first);
    }
    let sem = TSem::new(i64::MIN);
    signal(&sem, u64::MAX);
    assert_eq!(units(&sem), i64::MAX);
    atomically(|tx| sem.wait(tx));
    signal(&sem, 1);
    assert_eq!(units(&sem), i64::MAX);
}

#[test]
fn a_clone_is_the_same_semaphore_and_an_equal_one_is_not() {
    let sem = TSem::new(1);
    let (same, other) = (sem.clone(), TSem::new(1));
    assert!(sem == same && sem.same_semaphore(&same));
    assert!(sem != other && !sem.same_semaphore(&other));
    atomically(|tx| same.wait(tx));
    assert_eq!((units(&sem), units(&other)), (0, 1));
    assert_eq!(format!("{sem:?}"), "TSem { .. }");
}

#[test]
fn a_deadlock_report_names_the_semaphore_its_place_and_its_units() {
    for first in [0, -3] {
        let (sem, line) = (TSem::new(first), line!());
        let outcome = Builder::new().run(|| atomically(|tx| sem.wait(tx)));
        let Err(RunError::Deadlock(report)) = outcome else {
            panic!("nobody gives a unit");
        };
        let place = format!("holds {first}, made at {}:{line}", file!());
        for part in ["waits for a change of a TSem", &place] {
            assert!(report.to_string().contains(part), "{part}: {report}");
        }
    }
}

// ── first come, first served ─────────────────────────────────────────────────────────────────

#[test]
fn those_who_wait_are_served_in_the_order_in_which_they_came() {
    run(|| {
        let (sem, log) = (TSem::new(0), Log::new());
        let names = ["a", "b", "c", "d"];
        let tasks = names.map(|name| waiter(name, &sem, &log));
        assert_eq!(tasks[0].task().status(), Status::Parked(What::Atomically));
        for served in 1..=4 {
            signal(&sem, 1);
            settle();
            assert_eq!(log.steps(), names[..served]);
        }
        join_all(tasks);
        assert_eq!(units(&sem), 0);
    });
}

#[test]
fn several_units_at_once_serve_several() {
    run(|| {
        let (sem, log) = (TSem::new(0), Log::new());
        let tasks = ["a", "b", "c"].map(|name| waiter(name, &sem, &log));
        signal(&sem, 2);
        settle();
        assert_eq!(log.text(), "a b");
        signal(&sem, 2);
        join_all(tasks);
        assert_eq!((log.text().as_str(), units(&sem)), ("a b c", 1));
    });
}

#[test]
fn whoever_gives_a_unit_and_wants_one_stands_behind_those_who_wait() {
    run(|| {
        let (sem, log) = (TSem::new(0), Log::new());
        let other = waiter("other", &sem, &log);
        signal(&sem, 1);
        // The other is ready, but has not run yet.
        let own = logs("own", &log, {
            let sem = sem.clone();
            move |tx| sem.wait(tx)
        });
        other.join().unwrap();
        assert!(!own.is_finished());
        signal(&sem, 1);
        own.join().unwrap();
        assert_eq!(log.text(), "other own");
    });
}

#[test]
fn a_unit_that_is_there_is_not_for_whoever_comes_by_while_another_waits() {
    run(|| {
        let sem = TSem::new(0);
        let mine = sem.clone();
        let first = spawn(move || {
            atomically(|tx| mine.wait(tx));
            units(&mine)
        });
        yield_now();
        signal(&sem, 1);
        let passer_by = |tx: &_| sem.wait(tx).map(|()| true);
        assert!(!atomically(|tx| tx.or_else(passer_by, |_| Ok(false))));
        assert_eq!(first.join().unwrap(), 0);
        signal(&sem, 1);
        assert!(atomically(|tx| tx.or_else(passer_by, |_| Ok(false))));
    });
}

#[test]
fn a_unit_that_a_transaction_has_given_itself_is_its_own() {
    run(|| {
        let (sem, log) = (TSem::new(0), Log::new());
        let other = waiter("other", &sem, &log);
        // It takes nothing from anybody.
        atomically(|tx| {
            sem.signal_n(tx, 2);
            wait_for(&sem, tx, 2)
        });
        settle();
        assert_eq!((units(&sem), other.is_finished()), (0, false));
        signal(&sem, 1);
        other.join().unwrap();
    });
}

#[test]
fn what_a_transaction_has_taken_and_given_back_is_not_more_than_it_had() {
    run(|| {
        let (sem, log) = (TSem::new(1), Log::new());
        let two = logs("two", &log, {
            let sem = sem.clone();
            move |tx| wait_for(&sem, tx, 2)
        });
        let barges = |tx: &Transaction| {
            sem.signal(tx);
            sem.wait(tx)?;
            sem.wait(tx).map(|()| true)
        };
        assert!(!atomically(|tx| tx.or_else(barges, |_| Ok(false))));
        assert_eq!(units(&sem), 1);
        signal(&sem, 1);
        two.join().unwrap();
    });
}

#[test]
fn one_that_needs_two_is_served_before_those_behind_it_who_need_one() {
    run(|| {
        let (sem, log) = (TSem::new(0), Log::new());
        let two = {
            let sem = sem.clone();
            logs("two", &log, move |tx| wait_for(&sem, tx, 2))
        };
        let ones = ["a", "b"].map(|name| waiter(name, &sem, &log));
        for text in ["", "two", "two a", "two a b"] {
            signal(&sem, 1);
            settle();
            assert_eq!(log.text(), text);
        }
        two.join().unwrap();
        join_all(ones);
    });
}

#[test]
fn one_that_needs_three_is_not_starved_by_those_who_need_one() {
    run(|| {
        let sem = TSem::new(3);
        let workers = [(); 2].map(|()| {
            let sem = sem.clone();
            spawn(move || {
                loop {
                    atomically(|tx| sem.wait(tx));
                    yield_now();
                    // No switch in between: it comes back before the others can run.
                    signal(&sem, 1);
                }
            })
        });
        yield_now();
        let three = logs("three", &Log::new(), move |tx| wait_for(&sem, tx, 3));
        settle();
        assert!(three.is_finished());
        workers.iter().for_each(|worker| _ = worker.kill("served"));
    });
}

#[test]
fn a_semaphore_may_be_used_in_one_run_after_another() {
    let sem = TSem::new(0);
    for _ in 0..3 {
        let (mine, log) = (sem.clone(), Log::new());
        // Those who wait at the end of the run are killed, and stand in line no more.
        run(move || drop(["a", "b"].map(|name| waiter(name, &mine, &log))));
        signal(&sem, 1);
        atomically(|tx| sem.wait(tx));
    }
}

#[test]
fn a_thousand_who_wait_are_served_in_their_order() {
    run(|| {
        let (sem, log) = (TSem::new(0), Log::new());
        let tasks: Vec<_> = (0..1000)
            .map(|number| {
                let (sem, log) = (sem.clone(), log.clone());
                spawn(move || {
                    atomically(|tx| sem.wait(tx));
                    log.add(number);
                })
            })
            .collect();
        yield_now();
        (0..500).for_each(|_| signal(&sem, 1));
        settle();
        signal(&sem, 500);
        join_all(tasks);
        assert!(
            log.steps()
                .into_iter()
                .eq((0..1000).map(|it| it.to_string()))
        );
    });
}

// ── every schedule ───────────────────────────────────────────────────────────────────────────

#[test]
fn units_given_one_by_one_go_to_those_who_came_first_under_every_schedule() {
    let program = || {
        let sem = Watched::new(0);
        let tasks = [(); 3].map(|()| {
            let sem = sem.clone();
            spawn(move || sem.wait())
        });
        (0..3).for_each(|_| sem.signal(1));
        join_all(tasks);
        sem.is_left_with(0);
    };
    under_all_schedules(Switches::Parking, 1, program);
    under_all_schedules(Switches::Everywhere, 1, program);
}

#[test]
fn units_given_at_once_go_to_those_who_came_first_under_every_schedule() {
    let program = || {
        let sem = Watched::new(0);
        let tasks = [(); 3].map(|()| {
            let sem = sem.clone();
            spawn(move || sem.wait())
        });
        yield_now();
        sem.signal(3);
        join_all(tasks);
        sem.is_left_with(0);
    };
    under_all_schedules(Switches::Parking, 1, program);
    under_all_schedules(Switches::Everywhere, 1, program);
}

#[test]
fn nobody_barges_where_each_gives_back_and_comes_again_under_every_schedule() {
    let program = || {
        let sem = Watched::new(1);
        let tasks = [(); 3].map(|()| {
            let sem = sem.clone();
            spawn(move || {
                for _ in 0..2 {
                    sem.wait();
                    sem.signal(1);
                }
            })
        });
        join_all(tasks);
        sem.is_left_with(1);
    };
    under_all_schedules(Switches::Parking, 1, program);
}

#[test]
fn one_that_needs_two_is_served_in_its_turn_under_every_schedule() {
    for places in [[2, 1, 1], [1, 2, 1], [1, 1, 2], [2, 2, 1]] {
        let program = || {
            let sem = Watched::new(0);
            let tasks = places.map(|count| {
                let sem = sem.clone();
                spawn(move || {
                    sem.wait_for(count);
                    sem.signal(1);
                })
            });
            yield_now();
            (0..3).for_each(|_| sem.signal(1));
            join_all(tasks);
            sem.is_left_with(6 - places.iter().sum::<usize>() as i64);
        };
        under_all_schedules(Switches::Parking, 0, program);
    }
}

#[test]
fn a_kill_passes_the_turn_on_under_every_schedule() {
    let program = || {
        let sem = Watched::new(0);
        let [doomed, other] = [(); 2].map(|()| {
            let sem = sem.clone();
            spawn(move || sem.wait())
        });
        sem.signal(1);
        doomed.kill("by chance");
        if doomed.join().is_ok() {
            // It was served before the kill.
            sem.signal(1);
        }
        other.join().unwrap();
        sem.is_left_with(0);
    };
    under_all_schedules(Switches::Parking, 2, program);
    under_all_schedules(Switches::Everywhere, 2, program);
}

#[test]
fn the_order_is_kept_in_fifty_orders_by_chance() {
    for seed in 1..=50 {
        let ended = Builder::new().seed(seed).run(|| {
            let sem = Watched::new(3);
            let tasks = (0..8).map(|_| {
                let sem = sem.clone();
                spawn(move || {
                    for _ in 0..10 {
                        let count = 1 + any(3);
                        sem.wait_for(count);
                        (0..any(3)).for_each(|_| yield_now());
                        match any(2) {
                            0 => sem.signal(count as u64),
                            _ => (0..count).for_each(|_| sem.signal(1)),
                        }
                    }
                })
            });
            let tasks: Vec<_> = tasks.collect();
            join_all(tasks);
            sem.is_left_with(3);
        });
        ended.unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    }
}
