//! Transactions where no scheduler runs: outside of a run, on other OS threads, at their ends.
#![allow(
    clippy::unit_arg,
    reason = "a transaction of one step reads best in one line"
)]
mod steps;

use maypole::generator::Generator;
use maypole::stm::{Named, TVar, abort, atomically, check, retry, try_atomically};
use maypole::{run, spawn, yield_now};
use std::cell::RefCell;
use std::sync::mpsc;
use std::thread;
use steps::{Log, OnDrop, message_of, unwinds};

#[test]
fn transactions_need_no_scheduler() {
    let (variable, log) = (TVar::new(0), Log::new());
    atomically(|tx| {
        variable.write(tx, 1);
        let log = log.clone();
        tx.on_commit(move || log.add("hook"));
        tx.or_else(|_| retry(), |_| Ok(()))
    });
    let aborted: Result<(), u8> = try_atomically(|tx| {
        variable.write(tx, 2);
        abort(3)
    });
    assert!(unwinds(|| atomically::<()>(|tx| {
        variable.write(tx, 2);
        panic!("on purpose")
    })));
    assert_eq!(
        (aborted, variable.get(), log.text().as_str()),
        (Err(3), 1, "hook")
    );
}

#[test]
fn a_retry_outside_of_a_run_panics_by_name() {
    let (variable, name) = (TVar::new(0), Named::new("outside"));
    let calls: [&dyn Fn(); 3] = [
        &|| atomically(|tx| check(variable.read(tx) > 0)),
        &|| _ = try_atomically::<(), ()>(|tx| check(variable.swap(tx, 7) > 0)),
        &|| name.atomically(|tx| check(variable.read(tx) > 0)),
    ];
    for call in calls {
        let message = message_of(call);
        assert!(
            message.contains("atomically at tests/stm_outside.rs"),
            "{message}"
        );
        assert!(message.contains("outside of maypole::run"), "{message}");
        assert_eq!(variable.get(), 0);
    }
}

#[test]
fn variables_serve_one_run_after_another() {
    let variable = TVar::new(0);
    for n in 1..=5 {
        run(|| {
            let theirs = variable.clone();
            let task = spawn(move || atomically(|tx| check(theirs.read(tx) == n)));
            yield_now();
            atomically(|tx| Ok(variable.update(tx, |n| n + 1)));
            task.join().unwrap();
        });
        assert_eq!(variable.get(), n);
        // Between two runs nobody waits.
        variable.set(n - 1);
        variable.set(n);
    }
}

#[test]
fn a_run_that_ends_with_waiters_leaves_none_at_its_variables() {
    let (variable, log) = (TVar::new(0), Log::new());
    for _ in 0..3 {
        let (theirs, steps) = (variable.clone(), log.clone());
        run(move || {
            spawn(move || {
                let _gone = OnDrop(|| steps.add("gone"));
                atomically(|tx| check(theirs.read(tx) == 1));
                unreachable!()
            });
            yield_now();
        });
        variable.set(1);
        variable.set(0);
    }
    assert_eq!(log.text(), "gone gone gone");
}

#[test]
fn each_os_thread_has_transactions_of_its_own() {
    let threads: Vec<_> = (0..4)
        .map(|n| {
            thread::spawn(move || {
                let variable = TVar::new(0);
                run(|| {
                    let theirs = variable.clone();
                    let task = spawn(move || atomically(|tx| check(theirs.read(tx) == 1000)));
                    for _ in 0..1000 {
                        atomically(|tx| Ok(variable.update(tx, |n| n + 1)));
                    }
                    task.join().unwrap();
                });
                variable.get() + n
            })
        })
        .collect();
    let results: Vec<i32> = threads.into_iter().map(|it| it.join().unwrap()).collect();
    assert_eq!(results, [1000, 1001, 1002, 1003]);
}

/// What `act` sends from a thread-local destructor, which runs after those of the crate's own
/// thread-locals, or before them.
fn at_the_end_of_an_os_thread<T: Send + 'static>(act: impl Fn() -> T + Send + 'static) -> Vec<T> {
    type Late = OnDrop<Box<dyn FnMut()>>;
    thread_local! {
        static EARLY: RefCell<Option<Late>> = const { RefCell::new(None) };
        static LATE: RefCell<Option<Late>> = const { RefCell::new(None) };
    }
    let (sender, receiver) = mpsc::channel();
    let used = thread::spawn(move || {
        let act = std::rc::Rc::new(act);
        let late = || {
            let (act, sender) = (act.clone(), sender.clone());
            OnDrop(Box::new(move || sender.send(act()).unwrap()) as Box<dyn FnMut()>)
        };
        EARLY.set(Some(late()));
        // Whatever the crate keeps for this OS thread is made in between.
        let variable = TVar::new(vec![1]);
        atomically(|tx| Ok(variable.write(tx, vec![2])));
        Named::new("used").atomically(|_| Ok(()));
        run(|| ());
        LATE.set(Some(late()));
    });
    used.join().unwrap();
    receiver.iter().collect()
}

#[test]
fn transactions_work_in_destructors_of_thread_locals() {
    let results = at_the_end_of_an_os_thread(|| {
        let (variable, other) = (TVar::new(vec![1]), TVar::named("other", 0));
        variable.set(vec![2]);
        let name = Named::new("late");
        name.atomically(|tx| {
            variable.update(tx, |list| [&list[..], &[3]].concat());
            tx.or_else(
                |tx| {
                    other.write(tx, 1);
                    retry()
                },
                |tx| {
                    other.write(tx, 2);
                    Ok(())
                },
            )
        });
        let aborted: Result<(), ()> = try_atomically(|tx| {
            variable.write(tx, Vec::new());
            abort(())
        });
        (
            variable.get(),
            other.get(),
            aborted.is_err(),
            name.counters().commits,
        )
    });
    assert_eq!(
        results,
        [(vec![2, 3], 2, true, 1), (vec![2, 3], 2, true, 1)]
    );
}

#[test]
fn a_panic_is_undone_in_a_destructor_of_a_thread_local() {
    let results = at_the_end_of_an_os_thread(|| {
        let variable = TVar::new(1);
        let caught = unwinds(|| {
            atomically::<()>(|tx| {
                // It begins another one while the first unwinds.
                let _begins = OnDrop(|| atomically(|tx| Ok(variable.update(tx, |n| n + 10))));
                variable.write(tx, 2);
                panic!("on purpose")
            })
        });
        (caught, variable.get())
    });
    assert_eq!(results, [(true, 11), (true, 11)]);
}

#[test]
fn transactions_work_in_destructors_while_something_else_unwinds() {
    let (variable, log) = (TVar::new(0), Log::new());
    assert!(unwinds(|| {
        let _transacts = OnDrop(|| {
            atomically(|tx| {
                variable.update(tx, |n| n + 1);
                let log = log.clone();
                tx.on_commit(move || log.add("hook"));
                tx.or_else(|_| retry(), |_| Ok(()))
            });
            variable.set(variable.get() * 10);
            assert!(unwinds(|| atomically::<()>(|tx| {
                variable.write(tx, 99);
                panic!("inside")
            })));
        });
        panic!("outside")
    }));
    assert_eq!((variable.get(), log.text().as_str()), (10, "hook"));
}

#[test]
fn a_generator_outside_of_a_run_may_run_transactions() {
    let variable = TVar::new(1);
    let theirs = variable.clone();
    let generator = Generator::<i32>::new(move |y| {
        for _ in 0..3 {
            y.yield_(atomically(|tx| Ok(theirs.state(tx, |n| (*n, n * 2)))));
        }
        assert!(unwinds(|| atomically::<()>(|tx| {
            theirs.write(tx, 0);
            panic!("in the body")
        })));
    });
    assert_eq!(generator.collect::<Vec<_>>(), [1, 2, 4]);
    assert_eq!(variable.get(), 8);
}

#[test]
fn variables_may_outlive_the_os_threads_transactions() {
    thread_local! { static KEPT: RefCell<Option<TVar<Vec<u8>>>> = const { RefCell::new(None) }; }
    thread::spawn(|| {
        let variable = TVar::new(vec![1]);
        KEPT.set(Some(variable.clone()));
        run(|| {
            let theirs = variable.clone();
            let task = spawn(move || atomically(|tx| check(theirs.with(tx, Vec::is_empty))));
            yield_now();
            variable.set(Vec::new());
            task.join().unwrap();
        });
    })
    .join()
    .unwrap();
}
