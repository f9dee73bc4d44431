//! Waiting in a transaction: on what was read and nothing else, and in which order those go on.
#![allow(
    clippy::unit_arg,
    reason = "a transaction of one step reads best in one line"
)]
mod steps;

use maypole::stm::{Stop, TVar, Transaction, abort, atomically, check, retry, try_atomically};
use maypole::task::{Status, What};
use maypole::{JoinHandle, run, spawn, yield_now};
use std::cell::Cell;
use std::rc::Rc;
use steps::message_of;

/// How often a closure ran.
#[derive(Clone, Default)]
struct Runs(Rc<Cell<u32>>);

impl Runs {
    fn count(&self) {
        self.0.set(self.0.get() + 1);
    }

    fn get(&self) -> u32 {
        self.0.get()
    }
}

/// A task that runs `transaction` until it commits, and how often it has run.
fn counted<T: 'static>(
    mut transaction: impl FnMut(&Transaction) -> Result<T, Stop> + 'static,
) -> (JoinHandle<T>, Runs) {
    let runs = Runs::default();
    let theirs = runs.clone();
    let task = spawn(move || {
        atomically(|tx| {
            theirs.count();
            transaction(tx)
        })
    });
    yield_now();
    (task, runs)
}

fn flags<const N: usize>() -> [TVar<bool>; N] {
    std::array::from_fn(|_| TVar::new(false))
}

#[test]
fn a_retry_waits_until_what_it_read_is_written() {
    run(|| {
        let [flag] = flags();
        let read = flag.clone();
        let (task, runs) = counted(move |tx| check(read.read(tx)));
        assert_eq!(task.task().status(), Status::Parked(What::Atomically));
        for _ in 0..5 {
            yield_now();
        }
        assert_eq!(runs.get(), 1);
        flag.set(true);
        task.join().unwrap();
        assert_eq!(runs.get(), 2);
    });
}

#[test]
fn a_write_to_another_variable_does_not_run_it_again() {
    run(|| {
        let [flag, other] = flags();
        let read = flag.clone();
        let (task, runs) = counted(move |tx| check(read.read(tx)));
        for _ in 0..5 {
            other.set(true);
            atomically(|tx| Ok(other.write(tx, false)));
            yield_now();
        }
        assert_eq!(runs.get(), 1);
        flag.set(true);
        task.join().unwrap();
    });
}

#[test]
fn a_write_that_changes_nothing_runs_it_again() {
    run(|| {
        let [flag] = flags();
        let read = flag.clone();
        let (task, runs) = counted(move |tx| check(read.read(tx)));
        atomically(|tx| Ok(flag.write(tx, false)));
        yield_now();
        flag.set(false);
        yield_now();
        assert_eq!(runs.get(), 3);
        flag.set(true);
        task.join().unwrap();
    });
}

#[test]
fn a_transaction_that_only_reads_wakes_nobody() {
    run(|| {
        let [flag] = flags();
        let read = flag.clone();
        let (task, runs) = counted(move |tx| check(read.read(tx)));
        assert!(!flag.get());
        assert!(!atomically(|tx| Ok(flag.read(tx))));
        yield_now();
        assert_eq!(runs.get(), 1);
        flag.set(true);
        task.join().unwrap();
    });
}

#[test]
fn a_transaction_that_was_undone_wakes_nobody() {
    run(|| {
        let [flag] = flags();
        let read = flag.clone();
        let (task, runs) = counted(move |tx| check(read.read(tx)));
        let _: Result<(), u8> = try_atomically(|tx| {
            flag.write(tx, true);
            abort(1)
        });
        message_of(|| {
            atomically::<()>(|tx| {
                flag.write(tx, true);
                panic!("on purpose")
            })
        });
        atomically(|tx| {
            tx.or_else(
                |tx| {
                    flag.write(tx, true);
                    retry()
                },
                |_| Ok(()),
            )
        });
        yield_now();
        assert_eq!(runs.get(), 1);
        flag.set(true);
        task.join().unwrap();
    });
}

#[test]
fn what_it_only_writes_is_not_waited_for() {
    run(|| {
        let [flag, written] = flags();
        let (read, own) = (flag.clone(), written.clone());
        let (task, runs) = counted(move |tx| {
            own.write(tx, true);
            // Reading back what it wrote tells it nothing of others.
            assert!(own.read(tx));
            check(read.read(tx))
        });
        written.set(false);
        yield_now();
        assert_eq!(runs.get(), 1);
        assert!(!written.get());
        flag.set(true);
        task.join().unwrap();
        assert!(written.get());
    });
}

#[test]
fn what_it_updates_or_swaps_is_waited_for() {
    run(|| {
        type Access = fn(&Transaction, &TVar<u8>);
        let accesses: [Access; 5] = [
            |tx, variable| variable.update(tx, |n| *n),
            |tx, variable| _ = variable.swap(tx, 7),
            |tx, variable| variable.state(tx, |n| ((), *n)),
            |tx, variable| variable.with(tx, |_| ()),
            |tx, variable| {
                variable.read(tx);
                variable.write(tx, 1);
            },
        ];
        for access in accesses {
            let ([flag], variable) = (flags(), TVar::new(0));
            let (read, own) = (flag.clone(), variable.clone());
            let (task, runs) = counted(move |tx| {
                access(tx, &own);
                check(read.read(tx))
            });
            variable.set(9);
            yield_now();
            assert_eq!((runs.get(), variable.get()), (2, 9));
            flag.set(true);
            task.join().unwrap();
        }
    });
}

#[test]
fn each_variable_that_was_read_ends_the_wait() {
    run(|| {
        let variables: [TVar<bool>; 10] = flags();
        for count in [1, 2, 3, 4, 5, 6, 10] {
            for last in 0..count {
                let read = variables[..count].to_vec();
                let (task, runs) = counted(move |tx| {
                    let is_set = |variable: &TVar<bool>| variable.read(tx);
                    // Not `any`, which stops at the first.
                    check(read.iter().filter(|it| is_set(it)).count() > 0)
                });
                variables[last].set(true);
                task.join().unwrap();
                assert_eq!(runs.get(), 2);
                variables[last].set(false);
            }
        }
    });
}

#[test]
fn a_variable_that_was_not_read_this_time_is_not_waited_for() {
    run(|| {
        let (which, values) = (TVar::new(0), [0, 0].map(TVar::new));
        let (index, theirs) = (which.clone(), values.clone());
        let (task, runs) = counted(move |tx| check(theirs[index.read(tx)].read(tx) == 7));
        which.set(1);
        yield_now();
        values[0].set(7);
        yield_now();
        // The first run had read it, the second has not.
        assert_eq!(runs.get(), 2);
        values[1].set(7);
        task.join().unwrap();
        assert_eq!(runs.get(), 3);
    });
}

#[test]
fn it_may_read_one_variable_many_times() {
    run(|| {
        let [flag] = flags();
        let read = flag.clone();
        let (task, runs) = counted(move |tx| check((0..100).all(|_| read.read(tx))));
        flag.set(true);
        task.join().unwrap();
        assert_eq!(runs.get(), 2);
    });
}

#[test]
fn a_wake_counts_for_one_run_only() {
    run(|| {
        let [first, second] = flags();
        let (a, b) = (first.clone(), second.clone());
        let (task, runs) = counted(move |tx| check(a.read(tx) & b.read(tx)));
        // Both are written before it has had a turn.
        first.set(true);
        first.set(false);
        second.set(true);
        yield_now();
        assert_eq!(runs.get(), 2);
        first.set(true);
        task.join().unwrap();
        assert_eq!(runs.get(), 3);
    });
}

#[test]
fn a_retry_undoes_what_was_written_before_it_waits() {
    run(|| {
        let ([flag], written) = (flags(), TVar::new(0));
        let (read, own) = (flag.clone(), written.clone());
        let (task, _) = counted(move |tx| {
            own.update(tx, |n| n + 1);
            check(read.read(tx))
        });
        assert_eq!(written.get(), 0);
        flag.set(true);
        task.join().unwrap();
        assert_eq!(written.get(), 1);
    });
}

#[test]
fn a_waiter_may_wait_for_itself_no_more_than_for_others() {
    run(|| {
        // It writes what it reads, and retries: its own write is undone and wakes nobody.
        let (count, runs) = (TVar::new(0), Runs::default());
        let (own, theirs) = (count.clone(), runs.clone());
        let task = spawn(move || {
            atomically(|tx| {
                theirs.count();
                own.update(tx, |n| n + 1);
                check(own.read(tx) > 3)
            })
        });
        for n in 1..=3 {
            yield_now();
            yield_now();
            assert_eq!((runs.get(), count.get()), (n, n - 1));
            count.set(n);
        }
        task.join().unwrap();
        assert_eq!((runs.get(), count.get()), (4, 4));
    });
}

#[test]
fn a_retry_that_has_read_nothing_panics_at_once() {
    run(|| {
        let at = line!() + 1;
        let message = message_of(|| atomically::<()>(|_| retry()));
        let place = format!("{}:{at}", file!());
        assert!(message.contains("which has read no variable"), "{message}");
        // Where the retry is, and where the transaction began: on one line.
        assert_eq!(message.matches(&place).count(), 2, "{message}");
        // The next one is not concerned.
        assert_eq!(TVar::new(7).get(), 7);
    });
}

#[test]
fn a_retry_that_has_only_written_panics_and_names_the_check() {
    run(|| {
        let variable = TVar::new(0);
        let check_at = line!() + 4;
        let message = message_of(|| {
            atomically(|tx| {
                variable.write(tx, 1);
                check(false)
            })
        });
        assert!(message.contains("read no variable"), "{message}");
        let places = [check_at, check_at - 2].map(|line| format!("{}:{line}:", file!()));
        assert!(
            places.iter().all(|place| message.contains(place)),
            "{message}"
        );
        assert_eq!(variable.get(), 0);
    });
}

#[test]
fn a_retry_that_has_seen_only_its_own_writes_waits_for_those() {
    run(|| {
        let variable = TVar::new(0);
        let own = variable.clone();
        let (task, runs) = counted(move |tx| {
            own.write(tx, 1);
            check(own.read(tx) == 2)
        });
        variable.set(5);
        yield_now();
        assert_eq!((runs.get(), variable.get()), (2, 5));
        task.kill("it would wait for ever");
        assert!(task.join().unwrap_err().is_killed());
    });
}

#[test]
fn a_retry_made_by_hand_is_not_taken_for_an_earlier_one() {
    run(|| {
        let early_at = line!() + 1;
        atomically(|tx| tx.or_else(|_| retry(), |_| Ok(())));
        let message = message_of(|| atomically::<()>(|_| Err(Stop::Retry)));
        assert!(message.contains("has read no variable"), "{message}");
        assert!(
            !message.contains(&format!("{}:{early_at}:", file!())),
            "{message}"
        );
    });
}

#[test]
fn the_value_of_a_transaction_that_waited_comes_back() {
    run(|| {
        let line = TVar::new(Vec::new());
        let read = line.clone();
        let (task, _) = counted(move |tx| {
            let mut left = read.read(tx);
            match left.pop() {
                None => retry(),
                Some(last) => {
                    read.write(tx, left);
                    Ok(last)
                }
            }
        });
        line.set(vec!["first", "second"]);
        assert_eq!(task.join().unwrap(), "second");
        assert_eq!(line.get(), ["first"]);
    });
}

#[test]
fn an_abort_may_come_after_a_wait() {
    run(|| {
        let (variable, written) = (TVar::new(0), TVar::new(0));
        let (read, own) = (variable.clone(), written.clone());
        let task = spawn(move || {
            try_atomically(|tx| {
                own.write(tx, 1);
                match read.read(tx) {
                    0 => retry(),
                    1 => Ok("one"),
                    _ => abort("too many"),
                }
            })
        });
        yield_now();
        variable.set(2);
        assert_eq!(task.join().unwrap(), Err("too many"));
        assert_eq!(written.get(), 0);
    });
}
