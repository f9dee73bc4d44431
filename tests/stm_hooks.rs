//! `on_commit`: what runs when a transaction has committed, and only then.
#![allow(
    clippy::unit_arg,
    reason = "a transaction of one step reads best in one line"
)]
mod steps;

use maypole::stm::{Stop, TVar, abort, atomically, check, retry, try_atomically};
use maypole::{run, sleep, spawn, yield_now};
use std::panic::panic_any;
use std::rc::Rc;
use steps::{Log, OnDrop, message_of, ms, on_virtual_time, payload_of};

#[test]
fn hooks_run_once_in_their_order_after_the_commit() {
    let (variable, log) = (TVar::new(0), Log::new());
    let value = atomically(|tx| {
        for n in 1..=3 {
            let (variable, log) = (variable.clone(), log.clone());
            tx.on_commit(move || log.add(format!("{n}:{}", variable.get())));
        }
        log.add("body");
        variable.write(tx, 7);
        Ok("value")
    });
    log.add(value);
    assert_eq!(log.text(), "body 1:7 2:7 3:7 value");
}

#[test]
fn a_hook_does_not_run_after_an_abort_and_is_dropped() {
    let log = Log::new();
    let result: Result<(), &str> = try_atomically(|tx| {
        let (inner, gone) = (log.clone(), log.on_drop("dropped"));
        tx.on_commit(move || {
            let _gone = &gone;
            inner.add("ran");
        });
        log.add("body");
        abort("no")
    });
    assert_eq!((result, log.text().as_str()), (Err("no"), "body dropped"));
}

#[test]
fn a_hook_does_not_run_after_a_panic_and_is_dropped() {
    let log = Log::new();
    let message = message_of(|| {
        atomically::<()>(|tx| {
            let gone = log.on_drop("dropped");
            tx.on_commit(move || {
                let _gone = &gone;
                unreachable!()
            });
            panic!("on purpose")
        })
    });
    assert_eq!(
        (message.as_str(), log.text().as_str()),
        ("on purpose", "dropped")
    );
}

#[test]
fn of_the_hooks_of_several_runs_only_those_of_the_last_run() {
    run(|| {
        let (level, log) = (TVar::new(0), Log::new());
        let (read, steps) = (level.clone(), log.clone());
        let task = spawn(move || {
            atomically(|tx| {
                let (n, steps) = (read.read(tx), steps.clone());
                tx.on_commit(move || steps.add(n));
                check(n == 2)
            })
        });
        for n in 0..=2 {
            level.set(n);
            yield_now();
        }
        task.join().unwrap();
        assert_eq!(log.text(), "2");
    });
}

#[test]
fn a_hook_may_begin_transactions_of_its_own_and_give_them_hooks() {
    let (variable, log) = (TVar::new(0), Log::new());
    atomically(|tx| {
        let (variable, log) = (variable.clone(), log.clone());
        let last = log.clone();
        tx.on_commit(move || {
            atomically(|tx| {
                variable.update(tx, |n| n + 1);
                let (variable, log) = (variable.clone(), log.clone());
                tx.on_commit(move || log.add(format!("inner {}", variable.get())));
                Ok(())
            });
            log.add("outer");
        });
        tx.on_commit(move || last.add("last"));
        Ok(())
    });
    assert_eq!(log.text(), "inner 1 outer last");
}

#[test]
fn a_hook_may_park_while_others_run_transactions() {
    on_virtual_time(|| {
        let (variable, log) = (TVar::new(0), Log::new());
        let (theirs, steps) = (variable.clone(), log.clone());
        let task = spawn(move || {
            atomically(|tx| {
                theirs.write(tx, 1);
                for name in ["first", "second"] {
                    let (theirs, steps) = (theirs.clone(), steps.clone());
                    tx.on_commit(move || {
                        sleep(ms(10));
                        steps.add(format!("{name}:{}", theirs.get()));
                    });
                }
                Ok(())
            })
        });
        yield_now();
        // Committed long before its hooks have ended.
        assert_eq!(variable.get(), 1);
        sleep(ms(15));
        atomically(|tx| Ok(variable.write(tx, 2)));
        task.join().unwrap();
        assert_eq!(log.text(), "first:1 second:2");
    });
}

#[test]
fn all_hooks_run_though_one_panics_and_the_first_panic_comes_out() {
    let (variable, log) = (TVar::new(0), Log::new());
    let payload = payload_of(|| {
        atomically(|tx| {
            variable.write(tx, 1);
            for n in 0..5 {
                let log = log.clone();
                tx.on_commit(move || {
                    log.add(n);
                    if n == 1 || n == 3 {
                        panic_any(n);
                    }
                });
            }
            Ok(())
        })
    });
    assert_eq!(*payload.downcast::<i32>().unwrap(), 1);
    // It has committed all the same.
    assert_eq!((log.text().as_str(), variable.get()), ("0 1 2 3 4", 1));
}

#[test]
fn all_hooks_run_though_what_they_panic_with_panics_when_it_is_dropped() {
    let log = Log::new();
    let payload = payload_of(|| {
        atomically(|tx| {
            tx.on_commit(|| panic_any("first"));
            tx.on_commit(|| panic_any(OnDrop(|| panic!("dropped"))));
            let log = log.clone();
            tx.on_commit(move || log.add("last"));
            Ok(())
        })
    });
    assert_eq!(*payload.downcast::<&str>().unwrap(), "first");
    assert_eq!(log.text(), "last");
}

#[test]
fn a_hook_that_is_killed_does_not_keep_the_others_from_running() {
    on_virtual_time(|| {
        let (variable, log) = (TVar::new(0), Log::new());
        let (theirs, steps) = (variable.clone(), log.clone());
        let task = spawn(move || {
            atomically(|tx| {
                theirs.write(tx, 1);
                tx.on_commit(|| sleep(ms(10)));
                let last = steps.clone();
                tx.on_commit(move || last.add("last"));
                Ok(())
            });
            unreachable!()
        });
        sleep(ms(5));
        task.kill("in its first hook");
        assert!(task.join().unwrap_err().is_killed());
        assert_eq!((variable.get(), log.text().as_str()), (1, "last"));
    });
}

#[test]
fn old_values_are_dropped_before_the_hooks_run() {
    let log = Log::new();
    let variable = TVar::new(log.on_drop("old"));
    atomically(|tx| {
        let log = log.clone();
        variable.write(tx, log.on_drop("new"));
        tx.on_commit(move || log.add("hook"));
        Ok(())
    });
    assert_eq!(log.text(), "old hook");
}

#[test]
fn hooks_run_though_the_destructor_of_an_old_value_panics() {
    let log = Log::new();
    let variable = TVar::new(None);
    variable.set(Some(OnDrop(|| panic!("the old value"))));
    let message = message_of(|| {
        atomically(|tx| {
            variable.write(tx, None);
            let log = log.clone();
            tx.on_commit(move || log.add("hook"));
            tx.on_commit(|| panic!("the hook"));
            Ok(())
        })
    });
    assert_eq!(
        (message.as_str(), log.text().as_str()),
        ("the old value", "hook")
    );
}

#[test]
fn a_hook_sees_no_transaction_under_way() {
    let variable = TVar::new(Rc::new(1));
    atomically(|tx| {
        let variable = variable.clone();
        tx.on_commit(move || {
            variable.set(Rc::new(2));
            assert_eq!(*variable.get(), 2);
        });
        Ok(())
    });
    assert_eq!(*variable.get(), 2);
}

#[test]
fn whoever_was_woken_by_the_commit_is_ready_before_the_hooks_run() {
    run(|| {
        let (flag, log) = (TVar::new(false), Log::new());
        let (read, steps) = (flag.clone(), log.clone());
        let task = spawn(move || {
            atomically(|tx| check(read.read(tx)));
            steps.add("woken");
        });
        yield_now();
        let steps = log.clone();
        atomically(|tx| {
            flag.write(tx, true);
            let steps = steps.clone();
            tx.on_commit(move || {
                steps.add("hook");
                yield_now();
                steps.add("hook again");
            });
            Ok(())
        });
        task.join().unwrap();
        assert_eq!(log.text(), "hook woken hook again");
    });
}

#[test]
fn a_hook_of_an_arm_waits_for_the_whole() {
    let log = Log::new();
    atomically(|tx| {
        tx.or_else(
            |tx| {
                let log = log.clone();
                tx.on_commit(move || log.add("hook"));
                Ok(())
            },
            |_| retry(),
        )?;
        log.add("still inside");
        Ok(())
    });
    assert_eq!(log.text(), "still inside hook");
}

#[test]
fn hooks_kept_by_an_arm_are_dropped_with_the_arm_around_it() {
    let log = Log::new();
    let result = atomically(|tx| {
        tx.or_else(
            |tx| {
                tx.or_else(
                    |tx| {
                        let gone = log.on_drop("dropped");
                        tx.on_commit(move || drop(gone));
                        Ok(())
                    },
                    |_| Ok(()),
                )?;
                retry::<_, std::convert::Infallible>()
            },
            |_| -> Result<_, Stop> {
                // Dropped when the whole is over, not in the middle of it.
                log.add("second arm");
                Ok("done")
            },
        )
    });
    assert_eq!(
        (result, log.text().as_str()),
        ("done", "second arm dropped")
    );
}
