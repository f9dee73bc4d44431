//! Transactions that wait: in which order they are made ready, and how often.
#![allow(
    clippy::unit_arg,
    reason = "a transaction of one step reads best in one line"
)]
mod steps;

use maypole::stm::{TVar, atomically, check};
use maypole::task::Builder;
use maypole::{JoinHandle, run, spawn, yield_now};
use std::cell::Cell;
use std::rc::Rc;
use steps::Log;

fn flags<const N: usize>() -> [TVar<bool>; N] {
    std::array::from_fn(|_| TVar::new(false))
}

#[test]
fn those_who_wait_go_on_in_the_order_in_which_they_parked() {
    run(|| {
        let ([flag], log) = (flags(), Log::new());
        let tasks: Vec<_> = (0..10)
            .map(|n| {
                let (flag, log) = (flag.clone(), log.clone());
                spawn(move || {
                    atomically(|tx| check(flag.read(tx)));
                    log.add(n);
                })
            })
            .collect();
        yield_now();
        flag.set(true);
        tasks.into_iter().for_each(|task| task.join().unwrap());
        assert_eq!(log.text(), "0 1 2 3 4 5 6 7 8 9");
    });
}

/// Tasks that wait for these variables, each by one number of its own, write their names when they
/// go on.
fn waiters(variables: &[TVar<bool>], reads: &[&[usize]], log: &Log) -> Vec<JoinHandle<()>> {
    let tasks = reads.iter().enumerate().map(|(n, reads)| {
        let read: Vec<_> = reads.iter().map(|it| variables[*it].clone()).collect();
        let log = log.clone();
        let task = Builder::new().name(format!("waiter {n}")).spawn(move || {
            atomically(|tx| {
                let set = read.iter().filter(|variable| variable.read(tx));
                check(set.count() > 0)
            });
            log.add(n);
        });
        // Each parks before the next.
        yield_now();
        task.unwrap()
    });
    tasks.collect()
}

#[test]
fn waiters_for_several_variables_of_one_commit_go_on_in_the_order_of_their_parking() {
    run(|| {
        let (variables, log) = (flags::<4>(), Log::new());
        let reads: &[&[usize]] = &[&[3], &[0, 3], &[2], &[0], &[1, 2, 0], &[3, 1], &[2], &[1]];
        let tasks = waiters(&variables, reads, &log);
        // Written in another order than that of their lines.
        atomically(|tx| {
            for n in [2, 0, 3, 1] {
                variables[n].write(tx, true);
            }
            Ok(())
        });
        tasks.into_iter().for_each(|task| task.join().unwrap());
        assert_eq!(log.text(), "0 1 2 3 4 5 6 7");
    });
}

#[test]
fn waiters_whom_a_commit_does_not_concern_keep_their_places() {
    run(|| {
        let (variables, log) = (flags::<3>(), Log::new());
        let reads: &[&[usize]] = &[&[2], &[0, 2], &[2], &[1], &[1, 2]];
        let tasks = waiters(&variables, reads, &log);
        atomically(|tx| {
            variables[1].write(tx, true);
            variables[0].write(tx, true);
            Ok(())
        });
        yield_now();
        assert_eq!(log.text(), "1 3 4");
        variables[2].set(true);
        tasks.into_iter().for_each(|task| task.join().unwrap());
        assert_eq!(log.text(), "1 3 4 0 2");
    });
}

#[test]
fn each_waiter_runs_once_however_many_of_its_variables_were_written() {
    run(|| {
        let variables: [TVar<bool>; 6] = flags();
        let (read, runs) = (variables.to_vec(), Rc::new(Cell::new(0)));
        let theirs = runs.clone();
        let task = spawn(move || {
            atomically(|tx| {
                theirs.set(theirs.get() + 1);
                let set = read.iter().filter(|variable| variable.read(tx));
                check(set.count() == 6)
            })
        });
        yield_now();
        atomically(|tx| {
            variables[1..].iter().for_each(|it| it.write(tx, true));
            Ok(())
        });
        yield_now();
        yield_now();
        assert_eq!(runs.get(), 2);
        variables[0].set(true);
        task.join().unwrap();
    });
}

#[test]
fn one_that_retries_again_goes_to_the_end() {
    run(|| {
        let (level, log) = (TVar::new(0), Log::new());
        let [alone] = flags();
        let wait = |name: &'static str, also: Option<TVar<bool>>| {
            let (level, log) = (level.clone(), log.clone());
            let task = spawn(move || {
                atomically(|tx| {
                    _ = also.as_ref().map(|also| also.read(tx));
                    check(level.read(tx) > 0)
                });
                log.add(name);
            });
            yield_now();
            task
        };
        let tasks = [
            wait("first", Some(alone.clone())),
            wait("second", None),
            wait("third", None),
        ];
        // Only the first is concerned, and of no use is it to it.
        alone.set(true);
        yield_now();
        level.set(1);
        tasks.into_iter().for_each(|task| task.join().unwrap());
        assert_eq!(log.text(), "second third first");
    });
}

#[test]
fn those_who_retry_again_keep_their_order_among_themselves() {
    run(|| {
        let (level, log) = (TVar::new(0), Log::new());
        let tasks: Vec<_> = (0..6)
            .map(|n| {
                let (level, log) = (level.clone(), log.clone());
                spawn(move || {
                    atomically(|tx| check(level.read(tx) > 4));
                    log.add(n);
                })
            })
            .collect();
        for n in 0..=5 {
            yield_now();
            level.set(n);
        }
        tasks.into_iter().for_each(|task| task.join().unwrap());
        assert_eq!(log.text(), "0 1 2 3 4 5");
    });
}

#[test]
fn a_waiter_that_was_made_ready_is_not_passed_over_for_one_who_comes_later() {
    run(|| {
        let (places, log) = (TVar::new(0), Log::new());
        let take = |name: &'static str| {
            let (places, log) = (places.clone(), log.clone());
            spawn(move || {
                atomically(|tx| {
                    check(places.read(tx) > 0)?;
                    places.update(tx, |n| n - 1);
                    Ok(())
                });
                log.add(name);
            })
        };
        let mut tasks = vec![take("first"), take("second")];
        yield_now();
        places.set(1);
        tasks.push(take("late"));
        yield_now();
        // Both were made ready; the first took it, the second is behind the late one now.
        assert_eq!(log.text(), "first");
        atomically(|tx| Ok(places.write(tx, 2)));
        tasks.into_iter().for_each(|task| task.join().unwrap());
        assert_eq!(log.text(), "first second late");
    });
}
