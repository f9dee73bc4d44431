//! Transactions that unwind while destructors park, or begin others: undone before anybody looks.
#![allow(
    clippy::unit_arg,
    reason = "a transaction of one step reads best in one line"
)]
mod steps;

use maypole::stm::{Stop, TVar, abort, atomically, check, try_atomically};
use maypole::sync::Mutex;
use maypole::{scope, sleep, spawn, task, yield_now};
use std::cell::Cell;
use std::rc::Rc;
use steps::{Log, OnDrop, is_on_its_own, message_of, ms, on_its_own, on_virtual_time, unwinds};

#[test]
fn a_destructor_that_parks_while_a_transaction_unwinds_lets_others_see_it_undone() {
    on_virtual_time(|| {
        let variable = TVar::new(1);
        let theirs = variable.clone();
        let task = spawn(move || {
            atomically::<()>(|tx| {
                let _parks = OnDrop(|| sleep(ms(10)));
                theirs.write(tx, 2);
                panic!("on purpose")
            })
        });
        yield_now();
        assert_eq!(variable.get(), 1);
        for n in 2..=5 {
            // The other one is still on its way out.
            atomically(|tx| Ok(variable.update(tx, |n| n + 1)));
            assert_eq!(variable.get(), n);
            sleep(ms(1));
        }
        let error = task.join().unwrap_err();
        assert!(error.to_string().contains("on purpose"), "{error}");
        // What the others wrote meanwhile was not undone.
        assert_eq!(variable.get(), 5);
    });
}

#[test]
fn every_way_to_park_in_a_destructor_undoes_first() {
    on_virtual_time(|| {
        let mutex = Rc::new(Mutex::new(()));
        let (sender, receiver) = maypole::channel::bounded::<()>(0);
        let theirs = mutex.clone();
        let ways: [Rc<dyn Fn()>; 6] = [
            Rc::new(yield_now),
            Rc::new(|| sleep(ms(1))),
            Rc::new(move || drop(theirs.lock())),
            Rc::new(move || _ = receiver.recv()),
            Rc::new(|| drop(spawn(yield_now).join())),
            Rc::new(|| scope(|s| drop(s.spawn(yield_now)))),
        ];
        for way in ways {
            let variable = TVar::new(1);
            let (theirs, guard) = (variable.clone(), mutex.lock());
            let task = spawn(move || {
                atomically::<()>(|tx| {
                    let _parks = OnDrop(|| way());
                    theirs.write(tx, 2);
                    panic!("on purpose")
                })
            });
            yield_now();
            assert_eq!(atomically(|tx| Ok(variable.swap(tx, 3))), 1);
            drop(guard);
            let _ = sender.try_send(());
            sleep(ms(2));
            let _ = sender.try_send(());
            assert!(task.join().is_err());
            assert_eq!(variable.get(), 3);
        }
    });
}

#[test]
fn several_destructors_may_park_one_after_another() {
    on_virtual_time(|| {
        let variable = TVar::new(0);
        let theirs = variable.clone();
        let task = spawn(move || {
            atomically::<()>(|tx| {
                let _parks = [1, 2, 3].map(|_| OnDrop(|| sleep(ms(10))));
                theirs.write(tx, 100);
                panic!("on purpose")
            })
        });
        for n in 0..3 {
            sleep(ms(9));
            assert_eq!(atomically(|tx| Ok(variable.state(tx, |n| (*n, n + 1)))), n);
        }
        assert!(task.join().is_err());
        assert_eq!(variable.get(), 3);
    });
}

#[test]
fn a_destructor_that_begins_a_transaction_sees_the_outer_one_undone() {
    let variable = TVar::new(1);
    let message = message_of(|| {
        atomically::<()>(|tx| {
            let _begins = OnDrop(|| {
                let seen = atomically(|tx| Ok(variable.state(tx, |n| (*n, n + 10))));
                assert_eq!(seen, 1);
            });
            variable.write(tx, 2);
            panic!("on purpose")
        })
    });
    assert_eq!((message.as_str(), variable.get()), ("on purpose", 11));
}

#[test]
fn a_destructor_that_reads_or_sets_a_variable_sees_the_outer_one_undone() {
    let (first, second) = (TVar::new(1), TVar::new(1));
    let message = message_of(|| {
        atomically::<()>(|tx| {
            let _steps = OnDrop(|| {
                assert_eq!(first.get(), 1);
                second.set(9);
            });
            first.write(tx, 2);
            second.write(tx, 2);
            panic!("on purpose")
        })
    });
    assert_eq!(message, "on purpose");
    assert_eq!((first.get(), second.get()), (1, 9));
}

#[test]
fn transactions_of_destructors_may_abort_wait_and_have_hooks_and_arms() {
    on_virtual_time(|| {
        let (flag, count, log) = (TVar::new(false), TVar::new(0), Log::new());
        let (read, counted, steps) = (flag.clone(), count.clone(), log.clone());
        let task = spawn(move || {
            atomically::<()>(|tx| {
                let _begins = OnDrop(|| {
                    let aborted: Result<(), u8> = try_atomically(|tx| {
                        counted.write(tx, 50);
                        abort(5)
                    });
                    assert_eq!(aborted, Err(5));
                    atomically(|tx| {
                        let steps = steps.clone();
                        tx.on_commit(move || steps.add("hook"));
                        let late = |tx: &maypole::stm::Transaction| {
                            counted.write(tx, 70);
                            check(read.read(tx))
                        };
                        tx.or_else(late, late)
                    });
                });
                counted.write(tx, 100);
                panic!("on purpose")
            })
        });
        sleep(ms(1));
        assert_eq!((count.get(), log.text().as_str()), (0, ""));
        flag.set(true);
        assert!(task.join().is_err());
        assert_eq!((count.get(), log.text().as_str()), (70, "hook"));
    });
}

#[test]
fn a_transaction_of_a_destructor_may_panic_where_that_is_caught() {
    let variable = TVar::new(1);
    let message = message_of(|| {
        atomically::<()>(|tx| {
            let _begins = OnDrop(|| {
                assert!(unwinds(|| atomically::<()>(|tx| {
                    variable.write(tx, 7);
                    panic!("of the destructor")
                })));
                assert_eq!(variable.get(), 1);
            });
            variable.write(tx, 2);
            panic!("on purpose")
        })
    });
    assert_eq!((message.as_str(), variable.get()), ("on purpose", 1));
}

#[test]
fn arms_of_a_transaction_that_was_undone_undo_nothing_more() {
    on_virtual_time(|| {
        let variable = TVar::new(1);
        let theirs = variable.clone();
        let task = spawn(move || {
            atomically(|tx| {
                theirs.write(tx, 2);
                tx.or_else(
                    |tx| {
                        theirs.write(tx, 3);
                        tx.or_else(
                            |tx| -> Result<(), Stop> {
                                let _parks = OnDrop(|| sleep(ms(10)));
                                theirs.write(tx, 4);
                                panic!("on purpose")
                            },
                            |_| Ok(()),
                        )
                    },
                    |_| Ok(()),
                )
            })
        });
        yield_now();
        variable.set(9);
        assert!(task.join().is_err());
        assert_eq!(variable.get(), 9);
    });
}

#[test]
fn a_transaction_that_goes_on_after_it_was_undone_is_over() {
    on_virtual_time(|| {
        let (variable, log) = (TVar::named("late", 1), Log::new());
        type Late = fn(&maypole::stm::Transaction, &TVar<i32>);
        let ways: [Late; 7] = [
            |tx, variable| _ = variable.read(tx),
            |tx, variable| variable.write(tx, 7),
            |tx, variable| variable.update(tx, |n| n + 1),
            |tx, variable| _ = variable.swap(tx, 7),
            |tx, _| tx.on_commit(|| unreachable!()),
            |tx, _| _ = tx.or_else(|_| Ok::<_, Stop>(()), |_| Ok(())),
            // Returning is enough: it cannot commit any more.
            |_, _| {},
        ];
        for late in ways {
            let begun_at = line!() + 2;
            let message = message_of(|| {
                atomically(|tx| {
                    variable.write(tx, 2);
                    assert!(unwinds(|| {
                        let _parks = OnDrop(yield_now);
                        panic!("caught inside")
                    }));
                    // The park has undone it, so that the others could go on.
                    late(tx, &variable);
                    log.add("went on");
                    Ok(())
                })
            });
            assert!(message.contains("is over"), "{message}");
            let place = format!("{}:{begun_at}", file!());
            assert!(message.contains(&place), "{message}");
            assert_eq!(variable.get(), 1);
        }
        assert_eq!(log.text(), "went on");
        atomically(|tx| Ok(variable.write(tx, 3)));
        assert_eq!(variable.get(), 3);
    });
}

#[test]
fn a_transaction_that_was_undone_may_still_abort() {
    let variable = TVar::new(1);
    let result: Result<(), &str> = try_atomically(|tx| {
        variable.write(tx, 2);
        assert!(unwinds(|| {
            let _begins = OnDrop(|| variable.set(5));
            panic!("caught inside")
        }));
        abort("given up")
    });
    assert_eq!((result, variable.get()), (Err("given up"), 5));
}

#[test]
fn a_destructor_that_only_computes_undoes_nothing_by_itself() {
    let (variable, log) = (TVar::new(1), Log::new());
    let seen = atomically(|tx| {
        variable.write(tx, 2);
        let log = log.clone();
        assert!(unwinds(move || {
            let _computes = OnDrop(|| log.add("dropped"));
            panic!("caught inside")
        }));
        Ok(variable.read(tx))
    });
    assert_eq!(
        (seen, variable.get(), log.text().as_str()),
        (2, 2, "dropped")
    );
}

#[test]
fn two_tasks_may_unwind_out_of_transactions_at_the_same_time() {
    on_virtual_time(|| {
        let variables = [1, 1].map(TVar::new);
        let tasks: Vec<_> = (0..2)
            .map(|n| {
                let variables = variables.clone();
                spawn(move || {
                    atomically::<()>(|tx| {
                        let _parks = OnDrop(|| sleep(ms(10 * (n + 1))));
                        variables[0].write(tx, 2);
                        variables[1].write(tx, 2);
                        panic!("task {n}")
                    })
                })
            })
            .collect();
        yield_now();
        atomically(|tx| Ok(variables[0].update(tx, |n| n + 10)));
        for (n, task) in tasks.into_iter().enumerate() {
            let error = task.join().unwrap_err().to_string();
            assert!(error.contains(&format!("task {n}")), "{error}");
        }
        assert_eq!(variables.map(|variable| variable.get()), [11, 1]);
    });
}

#[test]
fn no_other_task_seems_to_unwind_or_to_be_in_a_transaction() {
    on_virtual_time(|| {
        let variable = TVar::new(1);
        let theirs = variable.clone();
        let task = spawn(move || {
            atomically::<()>(|tx| {
                let _parks = OnDrop(|| sleep(ms(10)));
                theirs.write(tx, 2);
                panic!("on purpose")
            })
        });
        yield_now();
        assert!(!std::thread::panicking());
        // These are refused inside of a transaction.
        yield_now();
        sleep(ms(1));
        spawn(|| ()).join().unwrap();
        maypole::spawn_now(|| ()).join().unwrap();
        variable.set(variable.get() + 1);
        assert!(task.join().is_err());
        assert_eq!(variable.get(), 2);
    });
}

#[test]
fn what_was_written_in_vain_is_dropped_once_though_the_others_went_on() {
    on_virtual_time(|| {
        let log = Log::new();
        let variable = TVar::new(log.on_drop("first"));
        let (theirs, steps) = (variable.clone(), log.clone());
        let task = spawn(move || {
            atomically::<()>(|tx| {
                let _parks = OnDrop(|| sleep(ms(10)));
                theirs.write(tx, steps.on_drop("in vain"));
                panic!("on purpose")
            })
        });
        yield_now();
        atomically(|tx| Ok(variable.write(tx, log.on_drop("second"))));
        assert!(task.join().is_err());
        drop(variable);
        let mut steps = log.steps();
        assert_eq!(steps.last().unwrap(), "second");
        steps.sort();
        assert_eq!(steps, ["first", "in vain", "second"]);
    });
}

#[test]
fn a_kill_in_a_destructor_of_a_transaction_comes_after_it() {
    on_virtual_time(|| {
        let variable = TVar::new(1);
        let theirs = variable.clone();
        let task = spawn(move || {
            let caught = unwinds(|| {
                atomically::<()>(|tx| {
                    let _parks = OnDrop(|| sleep(ms(10)));
                    theirs.write(tx, 2);
                    panic!("on purpose")
                })
            });
            assert!(caught);
            theirs.set(3);
            task::park();
        });
        yield_now();
        task.kill("while it unwinds");
        assert!(task.join().unwrap_err().is_killed());
        assert_eq!(variable.get(), 3);
    });
}

#[test]
fn a_destructor_inside_of_update_may_begin_a_transaction() {
    let name = "a_destructor_inside_of_update_may_begin_a_transaction";
    if !is_on_its_own() {
        let (succeeded, text) = on_its_own(name);
        return assert!(succeeded, "{text}");
    }
    let (variable, written, failures) = (TVar::new(0_u32), TVar::new(0), TVar::new(0));
    let message = message_of(|| {
        atomically(|tx| {
            written.write(tx, 1);
            // What is looked at was not written, so there is nothing to put back.
            variable.update(tx, |n| {
                let _counts = OnDrop(|| failures.set(failures.get() + 1));
                n.checked_sub(1).expect("nothing is left")
            });
            Ok(())
        })
    });
    assert_eq!(message, "nothing is left");
    assert_eq!((variable.get(), written.get(), failures.get()), (0, 0, 1));
}

#[test]
fn a_park_inside_of_with_while_a_transaction_unwinds_ends_the_process_by_name() {
    if is_on_its_own() {
        maypole::run(|| {
            let variable = TVar::new(1);
            atomically::<()>(|tx| {
                variable.write(tx, 2);
                variable.with(tx, |_| {
                    let _parks = OnDrop(yield_now);
                    panic!("on purpose")
                })
            })
        });
        return;
    }
    let name = "a_park_inside_of_with_while_a_transaction_unwinds_ends_the_process_by_name";
    let (succeeded, text) = on_its_own(name);
    assert!(!succeeded);
    for expected in [
        "maypole: a destructor parks inside",
        "closure of a variable's `with`",
    ] {
        assert!(text.contains(expected), "{text}");
    }
}

#[test]
fn the_undoing_wakes_nobody() {
    on_virtual_time(|| {
        let (variable, runs) = (TVar::new(1), Rc::new(Cell::new(0)));
        let (read, count) = (variable.clone(), runs.clone());
        let waiter = spawn(move || {
            atomically(|tx| {
                count.set(count.get() + 1);
                check(read.read(tx) == 5)
            })
        });
        yield_now();
        let theirs = variable.clone();
        let task = spawn(move || {
            atomically::<()>(|tx| {
                let _parks = OnDrop(|| sleep(ms(10)));
                theirs.write(tx, 5);
                panic!("on purpose")
            })
        });
        assert!(task.join().is_err());
        assert_eq!(runs.get(), 1);
        variable.set(5);
        waiter.join().unwrap();
    });
}
