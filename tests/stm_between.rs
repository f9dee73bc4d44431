//! What happens between a retry and its park, when destructors run: no change is missed.
#![allow(
    clippy::unit_arg,
    reason = "a transaction of one step reads best in one line"
)]
mod steps;

use maypole::stm::{TSem, TVar, abort, atomically, check, try_atomically};
use maypole::{Builder, Clock, run, sleep, spawn, yield_now};
use std::cell::Cell;
use std::rc::Rc;
use steps::{ms, on_virtual_time};

/// Acts when it is dropped, if there is anything to do.
struct Acts(Option<Rc<dyn Fn()>>);

impl Acts {
    fn nothing() -> Self {
        Acts(None)
    }

    fn by(act: impl Fn() + 'static) -> Self {
        Acts(Some(Rc::new(act)))
    }
}

impl Drop for Acts {
    fn drop(&mut self) {
        if let Some(act) = self.0.take() {
            act();
        }
    }
}

#[test]
fn a_destructor_that_writes_what_was_read_does_not_leave_its_transaction_waiting() {
    run(|| {
        let (flag, variable) = (TVar::new(false), TVar::new(Acts::nothing()));
        atomically(|tx| {
            let theirs = flag.clone();
            // Dropped when the retry has undone it.
            variable.write(tx, Acts::by(move || theirs.set(true)));
            check(flag.read(tx))
        });
        variable.set(Acts::nothing());
    });
}

#[test]
fn a_commit_while_the_destructors_of_a_retry_run_is_not_missed() {
    on_virtual_time(|| {
        let (flag, variable) = (TVar::new(false), TVar::new(Acts::nothing()));
        let theirs = flag.clone();
        spawn(move || {
            sleep(ms(5));
            atomically(|tx| Ok(theirs.write(tx, true)));
            // The last word on it is a write that is undone.
            let undone: Result<(), ()> = try_atomically(|tx| {
                theirs.write(tx, false);
                abort(())
            });
            assert!(undone.is_err());
        });
        let parks = Rc::new(Cell::new(true));
        atomically(|tx| {
            let parks = parks.clone();
            variable.write(
                tx,
                Acts::by(move || {
                    if parks.replace(false) {
                        sleep(ms(10));
                    }
                }),
            );
            check(flag.read(tx))
        });
    });
}

#[test]
fn somebody_who_leaves_the_line_while_the_destructors_of_a_retry_run_is_not_missed() {
    on_virtual_time(|| {
        let (semaphore, variable) = (TSem::new(0), TVar::new(Acts::nothing()));
        let theirs = semaphore.clone();
        let first = spawn(move || atomically(|tx| theirs.wait(tx)));
        yield_now();
        atomically(|tx| Ok(semaphore.signal(tx)));
        // The unit is for the first, which is killed before it takes it.
        first.task().pause();
        spawn(move || {
            sleep(ms(5));
            first.kill("while the other is on its way to park");
            first.task().resume();
            drop(first.join());
        });
        let parks = Rc::new(Cell::new(true));
        atomically(|tx| {
            let parks = parks.clone();
            let park_once = move || {
                if parks.replace(false) {
                    sleep(ms(10));
                }
            };
            variable.write(tx, Acts::by(park_once));
            semaphore.wait(tx)
        });
        assert_eq!(atomically(|tx| Ok(semaphore.units(tx))), 0);
    });
}

#[test]
fn destructors_that_write_other_variables_do_not_keep_a_transaction_from_waiting() {
    let outcome = Builder::new().clock(Clock::Virtual).run(|| {
        let (flag, drops, variable) = (TVar::new(false), TVar::new(0), TVar::new(Acts::nothing()));
        let (read, counted) = (flag.clone(), drops.clone());
        let runs = Rc::new(Cell::new(0));
        let count = runs.clone();
        spawn(move || {
            atomically(|tx| {
                count.set(count.get() + 1);
                assert!(count.get() < 5, "it runs again and again");
                let counted = counted.clone();
                variable.write(tx, Acts::by(move || counted.set(counted.get() + 1)));
                check(read.read(tx))
            });
            variable.set(Acts::nothing());
        });
        yield_now();
        assert_eq!((runs.get(), drops.get()), (1, 1));
        flag.set(true);
        yield_now();
        assert_eq!((runs.get(), drops.get()), (2, 2));
    });
    assert!(outcome.is_ok(), "{outcome:?}");
}

#[test]
fn destructors_that_write_in_vain_do_not_keep_a_transaction_from_waiting() {
    run(|| {
        let (flag, variable) = (TVar::new(false), TVar::new(Acts::nothing()));
        let (read, runs) = (flag.clone(), Rc::new(Cell::new(0)));
        let count = runs.clone();
        spawn(move || {
            atomically(|tx| {
                count.set(count.get() + 1);
                assert!(count.get() < 50, "it runs again and again");
                let theirs = read.clone();
                let in_vain = move || {
                    atomically(|_| Ok(()));
                    let aborted: Result<(), ()> = try_atomically(|tx| {
                        theirs.write(tx, true);
                        abort(())
                    });
                    assert!(aborted.is_err());
                };
                variable.write(tx, Acts::by(in_vain));
                check(read.read(tx))
            });
            variable.set(Acts::nothing());
        });
        for _ in 0..100 {
            yield_now();
        }
        assert_eq!(runs.get(), 1);
        flag.set(true);
        yield_now();
        assert_eq!(runs.get(), 2);
    });
}
