//! Large transactions and many of them: what they cost does not grow faster than they do.
#![allow(
    clippy::unit_arg,
    reason = "a transaction of one step reads best in one line"
)]
mod steps;

use maypole::stm::{
    Named, Stop, TVar, Transaction, abort, atomically, check, retry, try_atomically,
};
use maypole::{Builder, run, spawn, yield_now};
use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};
use steps::{Log, unwinds};

/// How long `f` takes.
fn time_of(f: impl FnOnce()) -> Duration {
    let begin = Instant::now();
    f();
    begin.elapsed()
}

/// Fails if `f` of sixteen times the size takes not about as long as sixteen times `f`, but sixteen
/// times as long. Whatever else the machine is busy with slows both down, for they take turns and
/// the same time; the best of some tries counts, and the limit is far from either.
#[track_caller]
fn grows_in_proportion(size: usize, f: impl Fn(usize)) {
    let (mut parts, mut whole) = (Duration::MAX, Duration::MAX);
    for _ in 0..5 {
        parts = parts.min(time_of(|| (0..16).for_each(|_| f(size))));
        whole = whole.min(time_of(|| f(16 * size)));
    }
    assert!(whole < 6 * parts, "{whole:?} instead of {parts:?}");
}

#[test]
fn a_million_arms_in_one_transaction() {
    let (variable, other) = (TVar::new(0_u32), TVar::new(vec![0_u32]));
    let result: Result<(), u32> = try_atomically(|tx| {
        for n in 0..1_000_000 {
            tx.or_else(
                |tx| {
                    variable.update(tx, |n| n + 1);
                    check(n % 3 > 0)
                },
                |_| Ok(()),
            )?;
        }
        other.write(tx, vec![variable.read(tx)]);
        Ok(())
    });
    assert_eq!((result, variable.get()), (Ok(()), 666_666));
    assert_eq!(other.get(), [666_666]);
}

#[test]
fn arms_that_are_kept_and_arms_that_are_undone_cost_the_same_each() {
    grows_in_proportion(3000, |count| {
        let variables: Vec<_> = (0..10).map(|n| TVar::new(vec![n])).collect();
        let _: Result<(), ()> = try_atomically(|tx| {
            for n in 0..count {
                let variable = &variables[n % 10];
                tx.or_else(
                    |tx| {
                        variable.write(tx, vec![n]);
                        check(n % 7 > 0)
                    },
                    |_| Ok(()),
                )?;
            }
            abort(())
        });
        assert!(variables.iter().enumerate().all(|(n, it)| it.get() == [n]));
    });
}

#[test]
fn a_transaction_with_a_million_undone_arms_waits_for_each_variable_once() {
    run(|| {
        let flag = TVar::new(0);
        let (read, runs) = (flag.clone(), Rc::new(Cell::new(0)));
        let count = runs.clone();
        let task = spawn(move || {
            atomically(|tx| {
                count.set(count.get() + 1);
                for _ in 0..100_000 {
                    tx.or_else(
                        |tx| {
                            read.write(tx, 7);
                            retry()
                        },
                        |_| Ok(()),
                    )?;
                }
                check(read.read(tx) > 0)
            })
        });
        yield_now();
        flag.set(1);
        task.join().unwrap();
        assert_eq!(runs.get(), 2);
    });
}

fn nest(tx: &Transaction, variable: &TVar<u32>, levels: u32) -> Result<u32, Stop> {
    variable.update(tx, |n| n + 1);
    if levels == 0 {
        return Ok(variable.read(tx));
    }
    tx.or_else(|tx| nest(tx, variable, levels - 1), |_| retry())
}

#[test]
fn ten_thousand_arms_within_each_other() {
    // Each level takes some frames of the stack, in a debug build large ones.
    let deep = |ends_with: fn() -> Result<(), Stop>| {
        let variable = TVar::new(0);
        let outcome = Builder::new().stack_size(64 << 20).run(|| {
            atomically(|tx| {
                tx.or_else(
                    |tx| {
                        let deepest = nest(tx, &variable, 10_000)?;
                        ends_with().map(|()| deepest)
                    },
                    |tx| Ok(variable.read(tx)),
                )
            })
        });
        (outcome.unwrap(), variable.get())
    };
    assert_eq!(deep(|| Ok(())), (10_001, 10_001));
    assert_eq!(deep(retry), (0, 0));
}

#[test]
fn nested_arms_are_undone_in_proportion() {
    fn nest(tx: &Transaction, variable: &TVar<Vec<u8>>, levels: usize) -> Result<(), Stop> {
        variable.write(tx, vec![1]);
        check(levels > 0)?;
        tx.or_else(|tx| nest(tx, variable, levels - 1), |_| retry())
    }
    grows_in_proportion(125, |levels| {
        let variable = TVar::new(vec![0]);
        let outcome = Builder::new().stack_size(64 << 20).run(|| {
            for _ in 0..10 {
                atomically(|tx| tx.or_else(|tx| nest(tx, &variable, levels), |_| Ok(())));
            }
        });
        outcome.unwrap();
        assert_eq!(variable.get(), [0]);
    });
}

#[test]
fn a_hundred_thousand_variables_in_one_transaction() {
    let variables: Vec<TVar<u64>> = (0..100_000).map(TVar::new).collect();
    let sum = |tx: &Transaction| variables.iter().map(|it| it.read(tx)).sum::<u64>();
    let total = atomically(|tx| Ok(sum(tx)));
    atomically(|tx| {
        for variable in &variables {
            variable.update(tx, |n| n + 1);
        }
        tx.or_else(
            |tx| {
                variables.iter().for_each(|it| it.write(tx, 0));
                retry()
            },
            |_| Ok(()),
        )
    });
    assert_eq!(atomically(|tx| Ok(sum(tx))), total + 100_000);
    assert!(unwinds(|| atomically::<()>(|tx| {
        variables.iter().for_each(|it| it.write(tx, 0));
        panic!("on purpose")
    })));
    assert_eq!(atomically(|tx| Ok(sum(tx))), total + 100_000);
}

#[test]
fn one_transaction_may_wait_for_a_hundred_thousand_variables() {
    run(|| {
        let variables: Vec<TVar<u8>> = (0..100_000).map(|_| TVar::new(0)).collect();
        let theirs = variables.clone();
        let task = spawn(move || {
            atomically(|tx| {
                let sum = theirs.iter().map(|it| it.read(tx)).sum::<u8>();
                check(sum == 3)
            })
        });
        for place in [0, 50_000, 99_999] {
            yield_now();
            variables[place].set(1);
        }
        task.join().unwrap();
    });
}

#[test]
fn ten_thousand_who_wait_are_woken_by_one_commit() {
    run(|| {
        let (level, woken) = (TVar::new(0), Named::new("woken"));
        let log = Log::new();
        let tasks: Vec<_> = (0..10_000)
            .map(|n| {
                let (level, woken, log) = (level.clone(), woken.clone(), log.clone());
                spawn(move || {
                    woken.atomically(|tx| check(level.read(tx) > 0));
                    if n % 1000 == 0 {
                        log.add(n / 1000);
                    }
                })
            })
            .collect();
        yield_now();
        level.set(1);
        tasks.into_iter().for_each(|task| task.join().unwrap());
        assert_eq!(log.text(), "0 1 2 3 4 5 6 7 8 9");
        assert_eq!(
            (woken.counters().wakes, woken.counters().commits),
            (10_000, 10_000)
        );
    });
}

#[test]
fn waking_those_who_wait_for_several_variables_grows_in_proportion() {
    grows_in_proportion(250, |count| {
        run(|| {
            let levels: Vec<TVar<u8>> = (0..8).map(|_| TVar::new(0)).collect();
            let tasks: Vec<_> = (0..count)
                .map(|n| {
                    let read: Vec<_> = (0..3).map(|k| levels[(n + 3 * k) % 8].clone()).collect();
                    spawn(move || {
                        atomically(|tx| check(read.iter().all(|level| level.read(tx) > 0)));
                    })
                })
                .collect();
            yield_now();
            atomically(|tx| Ok(levels.iter().for_each(|level| level.write(tx, 1))));
            tasks.into_iter().for_each(|task| task.join().unwrap());
        });
    });
}

#[test]
fn a_hundred_thousand_hooks_and_old_values() {
    let (ran, variable) = (Rc::new(Cell::new(0)), TVar::new(String::new()));
    atomically(|tx| {
        for n in 0..100_000 {
            let ran = ran.clone();
            tx.on_commit(move || ran.set(ran.get() + 1));
            variable.write(tx, n.to_string());
        }
        Ok(())
    });
    assert_eq!((ran.get(), variable.get().as_str()), (100_000, "99999"));
}

#[test]
fn a_long_life_of_small_transactions_leaves_nothing_behind() {
    run(|| {
        let count = Rc::new(Cell::new(0));
        struct Alive(Rc<Cell<i32>>);
        impl Drop for Alive {
            fn drop(&mut self) {
                self.0.set(self.0.get() - 1);
            }
        }
        let make = || {
            count.set(count.get() + 1);
            Alive(count.clone())
        };
        let variable = TVar::new(make());
        let flag = TVar::new(false);
        for n in 0..10_000 {
            let (own, read) = (variable.clone(), flag.clone());
            let made = make();
            let task = spawn(move || {
                let mut made = Some(made);
                atomically(|tx| {
                    check(read.read(tx))?;
                    Ok(made.take().map(|made| own.write(tx, made)))
                })
            });
            yield_now();
            match n % 2 {
                0 => drop(task.kill("every second")),
                _ => flag.set(true),
            }
            drop(task.join());
            flag.set(false);
            assert_eq!(count.get(), 1);
        }
    });
}
