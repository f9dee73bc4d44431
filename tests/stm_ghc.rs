//! Programs after those with which Haskell's STM is tested: the same intents and outcomes.
#![allow(
    clippy::unit_arg,
    reason = "a transaction of one step reads best in one line"
)]
mod steps;

use maypole::stm::{Stop, TVar, Transaction, abort, atomically, check, retry, try_atomically};
use maypole::{Builder, RunError, run, spawn, yield_now};
use steps::{Log, message_of};

// ── exceptions ────────────────────────────────────────────────────────────────────────────────

#[test]
fn an_update_abandoned_by_an_error_is_gone_and_a_caught_one_leaves_its_handlers() {
    let (first, second) = (TVar::new("hello "), TVar::new("world"));
    let log = Log::new();
    let look = || {
        let both = atomically(|tx| Ok(first.read(tx).to_string() + second.read(tx)));
        log.add(format!("[{both}]"));
    };
    let fails = |tx: &Transaction| -> Result<(), Stop<&str>> {
        first.write(tx, "about to fail ");
        abort("why")
    };
    log.add("before");
    look();
    log.add("abandon");
    if try_atomically(fails).is_err() {
        log.add("abandoned");
    }
    look();
    log.add("inside");
    atomically(|tx| tx.catch(fails, |tx, _| Ok(first.write(tx, "the handler's "))));
    look();
    log.add("nothing to handle");
    atomically(|tx| {
        tx.catch(
            |tx| -> Result<(), Stop<&str>> { Ok(first.write(tx, "again ")) },
            |tx, _| Ok(first.write(tx, "the other handler's ")),
        )
    });
    look();
    let expected = [
        "before",
        "[hello world]",
        "abandon",
        "abandoned",
        "[hello world]",
        "inside",
        "[the handler's world]",
        "nothing to handle",
        "[again world]",
    ];
    assert_eq!(log.steps(), expected);
}

#[test]
fn four_ways_to_roll_back_and_a_retry_through_a_handler() {
    let variable = TVar::new(42);
    // The error leaves the transaction.
    let left: Result<(), &str> = try_atomically(|tx| {
        variable.write(tx, 17);
        abort("left")
    });
    assert_eq!((left, variable.get()), (Err("left"), 42));
    // Nothing fails: what was written in the arm is committed.
    let kept: Result<(), &str> = try_atomically(|tx| {
        tx.catch(
            |tx| {
                variable.write(tx, 17);
                Ok(())
            },
            |_, error| abort(error),
        )
    });
    assert_eq!((kept, variable.get()), (Ok(()), 17));
    // The handler throws it again.
    let again: Result<(), &str> = try_atomically(|tx| {
        tx.catch(
            |tx| {
                variable.write(tx, 42);
                abort("again")
            },
            |_, error| abort(error),
        )
    });
    assert_eq!((again, variable.get()), (Err("again"), 17));
    // The handler swallows it: what was written before the arm stays.
    let seen = atomically(|tx| {
        variable.write(tx, 0);
        tx.catch(
            |tx| -> Result<(), Stop<&str>> {
                variable.write(tx, 1);
                abort("swallowed")
            },
            |_, _| Ok(()),
        )?;
        Ok(variable.read(tx))
    });
    assert_eq!((seen, variable.get()), (0, 0));
    // A retry is no error.
    let arm = atomically(|tx| {
        tx.or_else(
            |tx| tx.catch(|_| retry::<_, &str>(), |_, _| Ok("handled")),
            |_| Ok("the other"),
        )
    });
    assert_eq!((arm, variable.get()), ("the other", 0));
}

#[test]
fn an_error_before_an_alternative_is_caught_outside_of_it() {
    let result = atomically(|tx| {
        tx.catch(
            |tx| tx.or_else(|_| abort("thrown"), |_| Ok("the alternative")),
            |_, error| Ok(error),
        )
    });
    assert_eq!(result, "thrown");
}

// ── retry and orElse ──────────────────────────────────────────────────────────────────────────

#[test]
fn a_transaction_that_nobody_can_wake_is_a_deadlock() {
    let outcome = Builder::new().run(|| {
        let (variable, written) = (TVar::new(1), TVar::new(0));
        atomically::<()>(|tx| {
            variable.read(tx);
            written.write(tx, 1);
            retry()
        });
    });
    let Err(RunError::Deadlock(report)) = outcome else {
        panic!("{outcome:?}")
    };
    let text = report.to_string();
    assert!(text.contains("waits for a change of a TVar"), "{text}");
    assert!(text.contains("holds 1, made at"), "{text}");
}

#[test]
fn alternatives_within_alternatives_leave_what_the_last_one_did() {
    let (left, right) = (TVar::new(0), TVar::new(0));
    let one = |tx: &Transaction| -> Result<(), Stop<&str>> {
        left.update(tx, |n| n + 10);
        retry()
    };
    let two = |tx: &Transaction| -> Result<(), Stop<&str>> {
        right.update(tx, |n| n + 10);
        Ok(())
    };
    type Part<'a> = &'a dyn Fn(&Transaction) -> Result<(), Stop<&'static str>>;
    let tests: [Part<'_>; 5] = [
        &|tx| tx.or_else(one, two),
        &|tx| tx.or_else(two, one),
        &|tx| tx.or_else(two, two),
        &|tx| tx.or_else(|tx| tx.or_else(one, one), two),
        &|tx| tx.or_else(|tx| tx.or_else(one, two), two),
    ];
    for (n, test) in tests.iter().enumerate() {
        assert_eq!(try_atomically(test), Ok(()));
        assert_eq!((left.get(), right.get()), (0, 10 * (n as i32 + 1)));
    }
    // Both retry, so the whole does, and leaves nothing behind.
    let outcome = Builder::new().run(|| try_atomically(|tx| tx.or_else(one, one)));
    assert!(matches!(outcome, Err(RunError::Deadlock(_))), "{outcome:?}");
    assert_eq!((left.get(), right.get()), (0, 50));
}

#[test]
fn whoever_waits_for_either_of_two_is_woken_by_the_second() {
    run(|| {
        let results = [None::<char>, None].map(TVar::new);
        let [a, b] = results.clone();
        let take =
            |tx: &Transaction, from: &TVar<Option<char>>| from.read(tx).map_or_else(retry, Ok);
        let either =
            spawn(move || atomically(|tx| tx.or_else(|tx| take(tx, &a), |tx| take(tx, &b))));
        yield_now();
        let b = results[1].clone();
        spawn(move || b.set(Some('b')));
        assert_eq!(either.join().unwrap(), 'b');
    });
}

#[test]
fn a_write_in_an_arm_is_seen_after_it() {
    let value = atomically(|tx| {
        let variable = TVar::new(1);
        variable.write(tx, 2);
        tx.or_else(|_| Ok(()), |_| Ok(()))?;
        Ok(variable.read(tx))
    });
    assert_eq!(value, 2);
}

#[test]
fn a_second_write_in_an_arm_is_the_one_that_holds() {
    let value: Vec<u8> = atomically(|tx| {
        let variable = TVar::new(Vec::new());
        variable.write(tx, vec![2]);
        tx.or_else(
            |tx| {
                variable.write(tx, Vec::new());
                Ok(())
            },
            |_| Ok(()),
        )?;
        Ok(variable.read(tx))
    });
    assert_eq!(value, []);
}

#[test]
fn a_variable_read_outside_and_written_in_an_arm_can_be_written_by_others() {
    for _ in 0..3 {
        run(|| {
            let variable = TVar::new(false);
            let other = variable.clone();
            spawn(move || atomically(|tx| Ok(other.write(tx, true))));
            atomically(|tx| {
                variable.read(tx);
                tx.or_else(
                    |tx| {
                        variable.write(tx, true);
                        Ok(())
                    },
                    |_| Ok(()),
                )
            });
            yield_now();
            assert!(variable.get());
        });
    }
}

#[test]
fn items_are_taken_from_a_line_by_nested_retries() {
    fn take(tx: &Transaction, line: &TVar<Vec<u8>>, count: usize) -> Result<Vec<u8>, Stop> {
        if count == 0 {
            return Ok(Vec::new());
        }
        let first = tx.or_else(
            |tx| {
                check(!line.with(tx, Vec::is_empty))?;
                Ok(line.state(tx, |items| (items[0], items[1..].to_vec())))
            },
            |_| retry(),
        )?;
        let mut taken = vec![first];
        taken.extend(take(tx, line, count - 1)?);
        Ok(taken)
    }
    run(|| {
        let line = TVar::new(Vec::new());
        let theirs = line.clone();
        spawn(move || {
            for items in [vec![1], vec![1, 2, 3], vec![1, 2, 3, 4]] {
                atomically(|tx| Ok(theirs.write(tx, items.clone())));
                yield_now();
            }
        });
        let taken = atomically(|tx| {
            take(tx, &line, 1)?;
            take(tx, &line, 3)
        });
        assert_eq!(taken, [2, 3, 4]);
        assert!(line.get().is_empty());
    });
}

// ── the rest ──────────────────────────────────────────────────────────────────────────────────

#[test]
fn a_transaction_within_a_transaction_is_refused() {
    let variable = TVar::new(0);
    let message = message_of(|| {
        atomically(|tx| {
            variable.write(tx, 1);
            let inner = atomically(|_| Ok(1));
            Ok(inner)
        })
    });
    assert!(message.contains("transactions do not nest"), "{message}");
    assert_eq!(variable.get(), 0);
}

#[test]
fn a_panic_elsewhere_does_not_disturb_transactions() {
    run(|| {
        let variable = TVar::new(0);
        let theirs = variable.clone();
        let adds = spawn(move || {
            for _ in 0..100 {
                atomically(|tx| Ok(theirs.update(tx, |n| n + 1)));
                yield_now();
            }
        });
        let zero = std::hint::black_box(0);
        let bad = spawn(move || 1 / zero);
        assert!(bad.join().unwrap_err().to_string().contains("divide"));
        adds.join().unwrap();
        assert_eq!(variable.get(), 100);
    });
}

#[test]
fn a_task_that_waits_under_a_shield_is_killed_after_it() {
    run(|| {
        let variable = TVar::new(true);
        let theirs = variable.clone();
        let task = spawn(move || {
            maypole::task::shield(|| atomically(|tx| check(!theirs.read(tx))));
            yield_now();
            unreachable!()
        });
        yield_now();
        task.kill("while it waits");
        yield_now();
        variable.set(false);
        assert!(task.join().unwrap_err().is_killed());
    });
}

#[test]
fn an_invariant_checked_by_each_transaction_keeps_the_bad_ones_out() {
    // Haskell once had invariants of its own; a part that checks does the same.
    let account = TVar::new(42);
    let checked = |change: i32| {
        try_atomically(|tx| {
            account.update(tx, |n| n + change);
            match account.read(tx) {
                n if n < 0 => abort("overdrawn"),
                n => Ok(n),
            }
        })
    };
    assert_eq!(checked(-40), Ok(2));
    assert_eq!(checked(-3), Err("overdrawn"));
    assert_eq!(checked(-2), Ok(0));
    assert_eq!(account.get(), 0);
}
