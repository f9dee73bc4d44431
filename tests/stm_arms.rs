//! Arms of a transaction: what `or_else` undoes, keeps, and waits for.
#![allow(
    clippy::unit_arg,
    reason = "a transaction of one step reads best in one line"
)]
mod steps;

use maypole::stm::{Stop, TVar, Transaction, abort, atomically, check, retry, try_atomically};
use maypole::{run, spawn, yield_now};
use std::cell::Cell;
use std::rc::Rc;
use steps::Log;

/// An arm that writes and goes on.
fn writes<E>(variable: &TVar<i32>, value: i32) -> impl Fn(&Transaction) -> Result<i32, Stop<E>> {
    move |tx| {
        variable.write(tx, value);
        Ok(value)
    }
}

/// An arm that reads, writes and retries.
fn writes_and_retries<E>(
    variable: &TVar<i32>,
    value: i32,
) -> impl Fn(&Transaction) -> Result<i32, Stop<E>> {
    move |tx| {
        variable.read(tx);
        variable.write(tx, value);
        retry()
    }
}

#[test]
fn the_second_arm_does_not_run_when_the_first_succeeds() {
    let variable = TVar::new(0);
    let value = atomically(|tx| tx.or_else(writes(&variable, 1), |_| unreachable!()));
    assert_eq!((value, variable.get()), (1, 1));
}

#[test]
fn the_second_arm_does_not_see_what_the_first_wrote() {
    let variable = TVar::new(0);
    let seen =
        atomically(|tx| tx.or_else(writes_and_retries(&variable, 1), |tx| Ok(variable.read(tx))));
    assert_eq!((seen, variable.get()), (0, 0));
}

#[test]
fn an_arm_sees_what_was_written_before_it_and_its_undoing_keeps_that() {
    let variable = TVar::new(0);
    let seen = atomically(|tx| {
        variable.write(tx, 1);
        tx.or_else(
            |tx| {
                assert_eq!(variable.read(tx), 1);
                variable.write(tx, 2);
                variable.write(tx, 3);
                retry()
            },
            |tx| Ok(variable.read(tx)),
        )
    });
    assert_eq!((seen, variable.get()), (1, 1));
}

#[test]
fn what_an_arm_wrote_that_succeeded_is_there_afterwards() {
    let variable = TVar::new(0);
    atomically(|tx| {
        tx.or_else(writes(&variable, 1), writes(&variable, 2))?;
        assert_eq!(variable.read(tx), 1);
        variable.update(tx, |n| n + 10);
        Ok(())
    });
    assert_eq!(variable.get(), 11);
}

#[test]
fn what_two_arms_wrote_is_undone_with_the_whole() {
    let (left, right) = (TVar::new(0), TVar::new(0));
    let result: Result<(), &str> = try_atomically(|tx| {
        left.write(tx, 1);
        tx.or_else(writes(&left, 2), writes(&right, 2))?;
        tx.or_else(writes_and_retries(&left, 3), writes(&right, 3))?;
        assert_eq!((left.read(tx), right.read(tx)), (2, 3));
        abort("all of it")
    });
    assert_eq!(result, Err("all of it"));
    assert_eq!((left.get(), right.get()), (0, 0));
}

#[test]
fn an_arm_within_an_arm_is_undone_with_it() {
    let variable = TVar::new(0);
    let seen = atomically(|tx| {
        variable.write(tx, 1);
        tx.or_else(
            |tx| {
                tx.or_else(writes(&variable, 2), |_| unreachable!())?;
                assert_eq!(variable.read(tx), 2);
                // Written in the inner arm and again in the outer one.
                variable.write(tx, 3);
                tx.or_else(writes(&variable, 4), |_| unreachable!())?;
                retry()
            },
            |tx| Ok(variable.read(tx)),
        )
    });
    assert_eq!((seen, variable.get()), (1, 1));
}

#[test]
fn undoing_an_inner_arm_keeps_what_the_outer_wrote() {
    let variable = TVar::new(0);
    let seen = atomically(|tx| {
        tx.or_else(
            |tx| {
                variable.write(tx, 1);
                let seen = tx.or_else(writes_and_retries(&variable, 2), |tx| {
                    let seen = variable.read(tx);
                    variable.write(tx, 5);
                    Ok(seen)
                })?;
                assert_eq!((seen, variable.read(tx)), (1, 5));
                Ok(seen)
            },
            |_| unreachable!(),
        )
    });
    assert_eq!((seen, variable.get()), (1, 5));
}

#[test]
fn the_first_write_of_a_variable_may_be_in_an_arm_that_is_undone() {
    let variable = TVar::new(0);
    atomically(|tx| {
        let undone = |tx: &Transaction| tx.or_else(writes_and_retries(&variable, 1), |_| Ok(0));
        undone(tx)?;
        assert_eq!(variable.read(tx), 0);
        undone(tx)?;
        variable.write(tx, 2);
        undone(tx)?;
        assert_eq!(variable.read(tx), 2);
        Ok(())
    });
    assert_eq!(variable.get(), 2);
}

#[test]
fn both_arms_that_retry_make_the_whole_wait_for_either() {
    for woken_by in 0..2 {
        run(|| {
            let flags = [false, false].map(TVar::new);
            let [a, b] = flags.clone();
            let runs = Rc::new(Cell::new(0));
            let theirs = runs.clone();
            let task = spawn(move || {
                atomically(|tx| {
                    theirs.set(theirs.get() + 1);
                    tx.or_else(
                        |tx| check(a.read(tx)).map(|()| "a"),
                        |tx| check(b.read(tx)).map(|()| "b"),
                    )
                })
            });
            yield_now();
            flags[woken_by].set(true);
            assert_eq!(task.join().unwrap(), ["a", "b"][woken_by]);
            assert_eq!(runs.get(), 2);
        });
    }
}

#[test]
fn what_an_undone_arm_has_read_is_waited_for() {
    run(|| {
        let (a, b, done) = (TVar::new(0), TVar::new(0), TVar::new(false));
        let runs = Rc::new(Cell::new(0));
        let (first, second, gate, theirs) = (a.clone(), b.clone(), done.clone(), runs.clone());
        let task = spawn(move || {
            atomically(|tx| {
                theirs.set(theirs.get() + 1);
                // The whole goes on after the arm that was undone, and retries for its own reason.
                tx.or_else(writes_and_retries(&first, 1), |_| Ok(0))?;
                let caught: Result<i32, Stop> = tx.catch(
                    |tx| {
                        second.read(tx);
                        abort("undone")
                    },
                    |_, _| Ok(0),
                );
                caught?;
                check(gate.read(tx))
            })
        });
        yield_now();
        a.set(5);
        yield_now();
        b.set(5);
        yield_now();
        assert_eq!(runs.get(), 3);
        done.set(true);
        task.join().unwrap();
    });
}

#[test]
fn what_an_undone_arm_has_only_written_is_not_waited_for() {
    run(|| {
        let (written, gate) = (TVar::new(0), TVar::new(false));
        let runs = Rc::new(Cell::new(0));
        let (own, read, theirs) = (written.clone(), gate.clone(), runs.clone());
        let task = spawn(move || {
            atomically(|tx| {
                theirs.set(theirs.get() + 1);
                tx.or_else(
                    |tx| {
                        own.write(tx, 1);
                        // What it finds here is its own.
                        assert_eq!(own.read(tx), 1);
                        retry()
                    },
                    |tx| check(read.read(tx)),
                )
            })
        });
        yield_now();
        written.set(7);
        yield_now();
        assert_eq!(runs.get(), 1);
        gate.set(true);
        task.join().unwrap();
        assert_eq!(written.get(), 7);
    });
}

#[test]
fn a_variable_read_after_the_arm_that_wrote_it_was_undone_is_waited_for() {
    run(|| {
        let variable = TVar::new(0);
        let read = variable.clone();
        let task = spawn(move || {
            atomically(|tx| {
                let write = |tx: &Transaction| {
                    read.write(tx, 9);
                    retry()
                };
                tx.or_else(write, |tx| check(read.read(tx) == 3))
            })
        });
        yield_now();
        variable.set(3);
        task.join().unwrap();
    });
}

#[test]
fn an_abort_in_the_first_arm_goes_on_and_the_second_is_not_tried() {
    let variable = TVar::new(0);
    let result: Result<i32, &str> = try_atomically(|tx| {
        tx.or_else(
            |tx| {
                variable.write(tx, 1);
                abort("left")
            },
            |_| unreachable!(),
        )
    });
    assert_eq!((result, variable.get()), (Err("left"), 0));
}

#[test]
fn an_abort_in_the_second_arm_undoes_it() {
    let variable = TVar::new(0);
    let seen: Result<_, ()> = try_atomically(|tx| {
        tx.catch(
            |tx| {
                tx.or_else(writes_and_retries(&variable, 1), |tx| {
                    variable.write(tx, 2);
                    abort("right")
                })
            },
            |tx, error| {
                assert_eq!(error, "right");
                Ok(variable.read(tx))
            },
        )
    });
    assert_eq!((seen, variable.get()), (Ok(0), 0));
}

#[test]
fn or_else_is_associative_and_retry_is_its_unit() {
    // Each arm writes its name; every second one retries.
    let outcome = |pattern: u32, shape: usize| {
        let log = TVar::new(String::new());
        let arm = |n: u32| {
            let log = log.clone();
            move |tx: &Transaction| -> Result<u32, Stop> {
                log.update(tx, |log| format!("{log}{n}"));
                check(pattern >> n & 1 == 1)?;
                Ok(n)
            }
        };
        let result = try_atomically(|tx| {
            let whole = match shape {
                0 => tx.or_else(|tx| tx.or_else(arm(0), arm(1)), arm(2)),
                1 => tx.or_else(arm(0), |tx| tx.or_else(arm(1), arm(2))),
                2 => tx.or_else(
                    |_| retry(),
                    |tx| tx.or_else(arm(0), |tx| tx.or_else(arm(1), arm(2))),
                ),
                _ => tx.or_else(
                    |tx| tx.or_else(|tx| tx.or_else(arm(0), arm(1)), arm(2)),
                    |_| retry(),
                ),
            };
            whole.or(Err(Stop::Abort("all retry")))
        });
        (result, log.get())
    };
    for pattern in 0..8 {
        let expected = outcome(pattern, 0);
        for shape in 1..4 {
            assert_eq!(outcome(pattern, shape), expected, "{pattern:03b} {shape}");
        }
    }
    assert_eq!(outcome(0b110, 0), (Ok(1), "1".to_string()));
    assert_eq!(outcome(0b000, 0), (Err("all retry"), String::new()));
}

#[test]
fn choose_takes_the_first_of_a_list_that_can_go_on() {
    type Part<'a, T> = &'a dyn Fn(&Transaction) -> Result<T, Stop>;
    fn choose<T>(tx: &Transaction, parts: &[Part<'_, T>]) -> Result<T, Stop> {
        match parts {
            [] => retry(),
            [first, rest @ ..] => tx.or_else(*first, |tx| choose(tx, rest)),
        }
    }
    let stocks = [0, 0, 4, 9].map(TVar::new);
    let parts = stocks.each_ref().map(|stock| {
        move |tx: &Transaction| {
            stock.update(tx, |left| left - 1);
            check(stock.read(tx) >= 0)
        }
    });
    let [a, b, c, d] = &parts;
    for _ in 0..6 {
        atomically(|tx| choose(tx, &[a, b, c, d]));
    }
    assert_eq!(stocks.each_ref().map(TVar::get), [0, 0, 0, 7]);
}

#[test]
fn an_optional_part_is_one_with_an_alternative() {
    fn optionally<T>(
        tx: &Transaction,
        part: impl FnOnce(&Transaction) -> Result<T, Stop>,
    ) -> Result<Option<T>, Stop> {
        tx.or_else(|tx| part(tx).map(Some), |_| Ok(None))
    }
    let stock = TVar::new(1);
    let take = |tx: &Transaction| {
        check(stock.read(tx) > 0)?;
        Ok(stock.state(tx, |left| (*left, left - 1)))
    };
    assert_eq!(atomically(|tx| optionally(tx, take)), Some(1));
    assert_eq!(atomically(|tx| optionally(tx, take)), None);
}

#[test]
fn hooks_of_an_undone_arm_do_not_run() {
    let log = Log::new();
    let hook = |tx: &Transaction, name: &'static str| {
        let log = log.clone();
        tx.on_commit(move || log.add(name));
    };
    atomically(|tx| {
        hook(tx, "before");
        tx.or_else(
            |tx| {
                hook(tx, "undone");
                retry()
            },
            |tx| {
                tx.catch(
                    |tx| {
                        hook(tx, "undone too");
                        abort(())
                    },
                    |tx, ()| {
                        hook(tx, "handler");
                        Ok(())
                    },
                )
            },
        )?;
        hook(tx, "after");
        Ok(())
    });
    assert_eq!(log.text(), "before handler after");
}
