//! Kills and time-outs that reach a task in a transaction, and when.
#![allow(
    clippy::unit_arg,
    reason = "a transaction of one step reads best in one line"
)]
mod steps;

use maypole::stm::{Named, TVar, abort, atomically, check, retry, try_atomically};
use maypole::sync::Mutex;
use maypole::task::{self, Killed, Status, check_killed, shield};
use maypole::time::timeout;
use maypole::{JoinHandle, run, sleep, spawn, yield_now};
use std::cell::Cell;
use std::rc::Rc;
use steps::{Log, OnDrop, ms, on_virtual_time, unwinds};

/// A task that waits for the flag and writes that it has seen it.
fn waiter(flag: &TVar<bool>, log: &Log, name: &'static str) -> JoinHandle<()> {
    let (flag, log) = (flag.clone(), log.clone());
    let task = spawn(move || {
        atomically(|tx| check(flag.read(tx)));
        log.add(name);
    });
    yield_now();
    task
}

#[test]
fn a_kill_ends_the_wait_with_nothing_written() {
    run(|| {
        let (flag, written) = (TVar::new(false), TVar::new(0));
        let (read, own) = (flag.clone(), written.clone());
        let task = spawn(move || {
            atomically(|tx| {
                own.write(tx, 1);
                check(read.read(tx))
            })
        });
        yield_now();
        assert_eq!(task.kill("it is late"), Killed::Parked);
        let error = task.join().unwrap_err().to_string();
        assert!(error.contains("while waiting in atomically"), "{error}");
        assert_eq!(written.get(), 0);
        // Nobody is left to be woken.
        flag.set(true);
        assert_eq!(written.get(), 0);
    });
}

#[test]
fn a_killed_waiter_keeps_no_wake_from_the_others() {
    run(|| {
        let (flag, log) = (TVar::new(false), Log::new());
        let tasks = ["a", "b", "c", "d"].map(|name| waiter(&flag, &log, name));
        tasks[0].kill("the first");
        tasks[2].kill("one in between");
        flag.set(true);
        let ends = tasks.map(|task| task.join().is_ok());
        assert_eq!(
            (log.text().as_str(), ends),
            ("b d", [false, true, false, true])
        );
    });
}

#[test]
fn a_waiter_killed_after_its_wake_leaves_what_it_was_woken_for_to_the_next() {
    run(|| {
        let (places, taken) = (TVar::new(0), Log::new());
        let take = |name: &'static str| {
            let (places, taken) = (places.clone(), taken.clone());
            let task = spawn(move || {
                atomically(|tx| {
                    check(places.read(tx) > 0)?;
                    places.update(tx, |n| n - 1);
                    Ok(())
                });
                taken.add(name);
            });
            yield_now();
            task
        };
        let (first, second) = (take("first"), take("second"));
        places.set(1);
        assert_eq!(first.kill("too late"), Killed::Ready);
        // A wake brings it nothing: it must retry, and so is killed, or it takes the place; never
        // is the place lost.
        let was_killed = first.join().is_err();
        if was_killed {
            second.join().unwrap();
        }
        assert_eq!(taken.steps().len(), 1);
        assert_eq!(places.get(), 0);
    });
}

#[test]
fn a_task_killed_between_a_wake_and_its_turn_goes_on_if_it_can_commit() {
    run(|| {
        let (flag, log) = (TVar::new(false), Log::new());
        let theirs = flag.clone();
        let steps = log.clone();
        let task = spawn(move || {
            atomically(|tx| check(theirs.read(tx)));
            steps.add("committed");
            yield_now();
            steps.add("never");
        });
        yield_now();
        flag.set(true);
        task.kill("after the wake");
        assert!(task.join().unwrap_err().is_killed());
        // Whether the wake counts or the kill: it is killed at one park or the next.
        assert!(["", "committed"].contains(&&*log.text()), "{}", log.text());
    });
}

#[test]
fn a_task_woken_for_nothing_and_killed_does_not_wait_again() {
    run(|| {
        let level = TVar::new(0);
        let theirs = level.clone();
        let task = spawn(move || atomically(|tx| check(theirs.read(tx) > 1)));
        yield_now();
        level.set(1);
        assert_eq!(task.kill("it is of no use"), Killed::Ready);
        assert!(task.join().unwrap_err().is_killed());
    });
}

#[test]
fn a_kill_that_is_pending_comes_before_the_transaction() {
    run(|| {
        let variable = TVar::new(0);
        let theirs = variable.clone();
        let task = spawn(move || {
            task::current().kill("from within");
            atomically(|tx| Ok(theirs.write(tx, 1)))
        });
        assert!(task.join().unwrap_err().is_killed());
        assert_eq!(variable.get(), 0);
    });
}

#[test]
fn a_kill_from_inside_of_its_own_transaction_comes_after_it() {
    run(|| {
        let variable = TVar::new(0);
        let theirs = variable.clone();
        let after = Rc::new(Cell::new(false));
        let seen = after.clone();
        let task = spawn(move || {
            atomically(|tx| {
                theirs.write(tx, 1);
                assert_eq!(task::current().kill("from within"), Killed::Running);
                check_killed();
                // A call that looks for kills, and need not wait.
                drop(Mutex::new(()).lock());
                theirs.update(tx, |n| n + 1);
                Ok(())
            });
            seen.set(true);
            yield_now();
            unreachable!()
        });
        assert!(task.join().unwrap_err().is_killed());
        assert_eq!((variable.get(), after.get()), (2, true));
    });
}

#[test]
fn a_task_that_kills_itself_and_retries_does_not_wait() {
    run(|| {
        let variable = TVar::new(0);
        let task = spawn(move || {
            atomically::<()>(|tx| {
                variable.update(tx, |n| n + 1);
                task::current().kill("from within");
                retry()
            })
        });
        assert!(task.join().unwrap_err().is_killed());
    });
}

#[test]
fn a_transaction_may_kill_others() {
    run(|| {
        let (flag, log) = (TVar::new(false), Log::new());
        let victim = waiter(&flag, &log, "victim");
        atomically(|tx| {
            flag.write(tx, true);
            assert_eq!(victim.kill("from a transaction"), Killed::Parked);
            Ok(())
        });
        assert!(victim.join().unwrap_err().is_killed());
        assert_eq!(log.text(), "");
    });
}

#[test]
fn a_timeout_ends_the_wait_with_nothing_written() {
    on_virtual_time(|| {
        let (flag, written) = (TVar::new(false), TVar::new(0));
        let waited = timeout(ms(50), || {
            atomically(|tx| {
                written.update(tx, |n| n + 1);
                check(flag.read(tx))
            })
        });
        assert!(waited.is_err());
        assert_eq!(written.get(), 0);
        flag.set(true);
        let waited = timeout(ms(50), || atomically(|tx| check(flag.read(tx))));
        assert!(waited.is_ok());
    });
}

#[test]
fn a_timeout_that_expires_leaves_no_waiter_behind() {
    on_virtual_time(|| {
        let (flag, runs, log) = (TVar::new(false), Cell::new(0), Log::new());
        let other = waiter(&flag, &log, "other");
        for _ in 0..10 {
            let waited = timeout(ms(1), || {
                atomically(|tx| {
                    runs.set(runs.get() + 1);
                    check(flag.read(tx))
                })
            });
            assert!(waited.is_err());
        }
        flag.set(true);
        other.join().unwrap();
        assert_eq!((runs.get(), log.text().as_str()), (10, "other"));
    });
}

#[test]
fn a_change_in_time_beats_the_timeout() {
    on_virtual_time(|| {
        let flag = TVar::new(false);
        let theirs = flag.clone();
        spawn(move || {
            sleep(ms(49));
            theirs.set(true);
        });
        let waited = timeout(ms(50), || atomically(|tx| check(flag.read(tx))));
        assert!(waited.is_ok());
    });
}

#[test]
fn a_shield_keeps_the_kill_from_the_wait() {
    run(|| {
        let (flag, written) = (TVar::new(false), TVar::new(0));
        let (read, own) = (flag.clone(), written.clone());
        let task = spawn(move || {
            shield(|| {
                atomically(|tx| {
                    own.write(tx, 1);
                    check(read.read(tx))
                })
            });
            yield_now();
            unreachable!()
        });
        yield_now();
        assert_eq!(task.kill("under a shield"), Killed::Shielded);
        yield_now();
        assert_eq!(task.task().status(), Status::Killing);
        flag.set(true);
        assert!(task.join().unwrap_err().is_killed());
        assert_eq!(written.get(), 1);
    });
}

#[test]
fn a_shield_inside_of_a_transaction_changes_nothing() {
    let variable = TVar::new(1);
    let value = run(|| atomically(|tx| Ok(shield(|| variable.swap(tx, 2)))));
    assert_eq!((value, variable.get()), (1, 2));
}

#[test]
fn a_paused_waiter_goes_on_when_it_is_resumed() {
    run(|| {
        let (flag, log) = (TVar::new(false), Log::new());
        let task = waiter(&flag, &log, "went on");
        task.task().pause();
        flag.set(true);
        yield_now();
        yield_now();
        assert_eq!(log.text(), "");
        // What it was woken for may be gone when it looks.
        flag.set(false);
        task.task().resume();
        yield_now();
        assert_eq!(log.text(), "");
        flag.set(true);
        task.join().unwrap();
    });
}

#[test]
fn a_kill_caught_at_the_wait_can_be_survived_for_a_while() {
    run(|| {
        let (flag, log) = (TVar::new(false), Log::new());
        let (theirs, steps) = (flag.clone(), log.clone());
        let task = spawn(move || {
            assert!(unwinds(|| atomically(|tx| check(theirs.read(tx)))));
            // The kill comes again before each transaction, even one that need not wait.
            assert!(unwinds(|| atomically(|tx| Ok(theirs.read(tx)))));
            steps.add("caught twice");
            // Steps of their own never wait.
            assert!(!theirs.get());
            theirs.set(true);
        });
        yield_now();
        task.kill("caught");
        drop(task.join());
        assert_eq!((flag.get(), log.text().as_str()), (true, "caught twice"));
    });
}

#[test]
fn the_locals_of_a_killed_waiter_run_transactions_as_they_go() {
    run(|| {
        let (flag, count) = (TVar::new(false), TVar::new(0));
        let (read, counted) = (flag.clone(), count.clone());
        let task = spawn(move || {
            let _gone = OnDrop(|| {
                atomically(|tx| Ok(counted.update(tx, |n| n + 1)));
                assert_eq!(counted.get(), 1);
            });
            atomically(|tx| check(read.read(tx)));
        });
        yield_now();
        task.kill("as an example");
        assert!(task.join().unwrap_err().is_killed());
        assert_eq!(count.get(), 1);
    });
}

#[test]
fn a_destructor_may_wait_in_a_transaction_while_its_task_is_killed() {
    run(|| {
        let (flag, log) = (TVar::new(false), Log::new());
        let (read, steps) = (flag.clone(), log.clone());
        let task = spawn(move || {
            let _waits = OnDrop(|| {
                atomically(|tx| check(read.read(tx)));
                steps.add("let go");
            });
            task::park();
        });
        yield_now();
        task.kill("it has to clean up");
        yield_now();
        yield_now();
        assert_eq!(log.text(), "");
        flag.set(true);
        assert!(task.join().unwrap_err().is_killed());
        assert_eq!(log.text(), "let go");
    });
}

#[test]
fn a_kill_is_neither_a_commit_nor_an_abort() {
    run(|| {
        let (name, flag) = (Named::new("killed"), TVar::new(false));
        let theirs = name.clone();
        let task = spawn(move || theirs.atomically(|tx| check(flag.read(tx))));
        yield_now();
        task.kill("as an example");
        drop(task.join());
        let counters = name.counters();
        assert_eq!((counters.commits, counters.aborts), (0, 0));
        assert_eq!((counters.retries, counters.wakes), (1, 0));
    });
}

#[test]
fn a_budget_that_is_used_up_does_not_cut_a_transaction_in_two() {
    run(|| {
        let (variable, seen) = (TVar::new(0), Rc::new(Cell::new(false)));
        let (theirs, other) = (variable.clone(), seen.clone());
        let watcher = spawn(move || {
            other.set(true);
            assert_eq!(theirs.get() % 1000, 0);
        });
        let (sender, receiver) = maypole::channel::unbounded();
        while !seen.get() {
            atomically(|tx| {
                for _ in 0..1000 {
                    variable.update(tx, |n| n + 1);
                    // Calls that count, and would give way outside.
                    sender.send(()).unwrap();
                    receiver.recv().unwrap();
                }
                Ok(())
            });
        }
        watcher.join().unwrap();
        // Many transactions that need not wait let the others have a turn.
        assert!(variable.get() / 1000 <= 200, "{}", variable.get());
    });
}

#[test]
fn an_abort_is_heard_by_a_killed_task_that_is_running() {
    run(|| {
        let task = spawn(|| {
            let result: Result<(), u8> = try_atomically(|_| {
                task::current().kill("while it runs");
                abort(3)
            });
            assert_eq!(result, Err(3));
            yield_now();
        });
        assert!(task.join().unwrap_err().is_killed());
    });
}
