//! The cell that is written once: who makes the value, who waits, and who tries when it fails.
mod steps;

use maypole::sync::OnceCell;
use maypole::task::{Killed, Status, What, no_yield, park};
use maypole::time::timeout;
use maypole::{Builder, JoinHandle, RunError, run, sleep, spawn, yield_now};
use std::cell::Cell;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::rc::Rc;
use steps::{Log, message_of, ms, on_virtual_time, unwinds};

type Shared = Rc<OnceCell<&'static str>>;

/// A task that makes the value `name` if it must, in one turn and a bit.
fn maker(cell: &Shared, log: &Log, name: &'static str) -> JoinHandle<&'static str> {
    let (cell, log) = (cell.clone(), log.clone());
    let maker = spawn(move || {
        *cell.get_or_init(|| {
            log.add(name);
            yield_now();
            name
        })
    });
    yield_now();
    maker
}

/// A task that begins to make the value and never ends.
fn hanging(cell: &Shared) -> JoinHandle<()> {
    let cell = cell.clone();
    let maker = spawn(move || {
        cell.get_or_init(|| {
            park();
            panic!("it was let go on");
        });
    });
    yield_now();
    maker
}

#[test]
fn a_cell_that_nobody_else_fills_needs_no_run() {
    let cell = OnceCell::new();
    assert_eq!(cell.get(), None);
    assert_eq!(cell.get_or_init(|| 1), &1);
    assert_eq!((cell.set(2), cell.wait()), (Err(2), &1));
    let message = message_of(|| drop(OnceCell::<u8>::named("empty").wait().to_string()));
    assert!(message.contains("maypole::run"), "{message}");
}

#[test]
fn one_makes_the_value_while_the_others_wait() {
    run(|| {
        let (cell, log) = (Rc::new(OnceCell::new()), Log::new());
        let makers = ["a", "b", "c"].map(|name| maker(&cell, &log, name));
        assert_eq!(makers.map(|maker| maker.join().unwrap()), ["a"; 3]);
        assert_eq!(log.text(), "a");
    });
}

#[test]
fn those_that_wait_are_parked_and_see_nothing_half_made() {
    run(|| {
        let (cell, log) = (Rc::new(OnceCell::new()), Log::new());
        let hangs = hanging(&cell);
        let waits = maker(&cell, &log, "never");
        assert_eq!(waits.task().status(), Status::Parked(What::Once));
        assert_eq!(cell.get(), None);
        assert_eq!(format!("{cell:?}"), "OnceCell(<empty>)");
        hangs.kill("enough");
        waits.join().unwrap();
        assert_eq!(format!("{cell:?}"), "OnceCell(\"never\")");
    });
}

#[test]
fn a_maker_that_panics_lets_the_first_that_waits_try() {
    run(|| {
        let (cell, log) = (Rc::new(OnceCell::new()), Log::new());
        let hangs = hanging(&cell);
        let makers = ["first", "second"].map(|name| maker(&cell, &log, name));
        hangs.task().unpark();
        assert_eq!(makers.map(|maker| maker.join().unwrap()), ["first"; 2]);
        assert!(hangs.join().unwrap_err().is_panic());
        assert_eq!(log.text(), "first");
    });
}

#[test]
fn a_maker_that_is_killed_lets_the_first_that_waits_try() {
    run(|| {
        let (cell, log) = (Rc::new(OnceCell::new()), Log::new());
        let hangs = hanging(&cell);
        let makers = ["first", "second"].map(|name| maker(&cell, &log, name));
        assert_eq!(hangs.kill("enough"), Killed::Parked);
        assert_eq!(makers.map(|maker| maker.join().unwrap()), ["first"; 2]);
        assert!(hangs.join().unwrap_err().is_killed());
    });
}

/// Makers that wait for main, which fails to make the value: the first of them was woken and has
/// not had its turn yet.
fn after_a_failure(cell: &Shared, log: &Log) -> [JoinHandle<&'static str>; 2] {
    let mut makers = None;
    let failed = unwinds(|| {
        *cell.get_or_init(|| {
            makers = Some(["first", "second"].map(|name| maker(cell, log, name)));
            panic!("no luck")
        })
    });
    assert!(failed);
    makers.expect("they were spawned before it failed")
}

#[test]
fn nobody_comes_before_the_one_whose_turn_it_is_to_try() {
    run(|| {
        let (cell, log) = (Rc::new(OnceCell::new()), Log::new());
        let makers = after_a_failure(&cell, &log);
        assert_eq!(*cell.get_or_init(|| "main"), "first");
        for maker in makers {
            maker.join().unwrap();
        }
    });
}

#[test]
fn a_kill_of_the_one_whose_turn_it_is_comes_inside_and_lets_the_next_try() {
    run(|| {
        let (cell, log) = (Rc::new(OnceCell::new()), Log::new());
        let [first, second] = after_a_failure(&cell, &log);
        assert_eq!(first.kill("too late"), Killed::Ready);
        assert_eq!(second.join().unwrap(), "second");
        assert!(first.join().unwrap_err().is_killed());
        // It was handed the right to make the value, and was unwound where that parks.
        assert_eq!(log.text(), "first second");
    });
}

#[test]
fn a_killed_waiter_leaves_the_line() {
    run(|| {
        let (cell, log) = (Rc::new(OnceCell::new()), Log::new());
        let hangs = hanging(&cell);
        let [victim, next] = ["victim", "next"].map(|name| maker(&cell, &log, name));
        assert_eq!(victim.kill("not needed"), Killed::Parked);
        hangs.kill("enough");
        assert_eq!(next.join().unwrap(), "next");
        assert!(victim.join().unwrap_err().is_killed());
        assert_eq!(log.text(), "next");
    });
}

#[test]
fn a_timeout_around_it_ends_the_wait_and_the_making() {
    on_virtual_time(|| {
        let cell = Rc::new(OnceCell::new());
        let theirs = cell.clone();
        let slow = spawn(move || {
            *theirs.get_or_init(|| {
                sleep(ms(100));
                "slow"
            })
        });
        yield_now();
        assert!(timeout(ms(10), || *cell.get_or_init(|| "main")).is_err());
        assert_eq!(slow.join().unwrap(), "slow");
        let cell = OnceCell::new();
        let making = timeout(ms(10), || *cell.get_or_init(|| sleep(ms(100))));
        assert!(making.is_err() && cell.get().is_none());
        cell.get_or_init(|| ());
    });
}

#[test]
fn a_making_that_fails_leaves_the_cell_empty_for_the_next() {
    run(|| {
        let (cell, log) = (Rc::new(OnceCell::new()), Log::new());
        let theirs = cell.clone();
        let fails = spawn(move || {
            let made = theirs.get_or_try_init(|| {
                yield_now();
                Err("no luck")
            });
            made.copied()
        });
        yield_now();
        let next = maker(&cell, &log, "next");
        assert_eq!(fails.join().unwrap(), Err("no luck"));
        assert_eq!(next.join().unwrap(), "next");
        assert_eq!(cell.get_or_try_init(|| Err(())), Ok(&"next"));
    });
}

#[test]
fn a_cell_that_needs_itself_panics_with_both_places() {
    run(|| {
        let cell = OnceCell::named("config");
        let (mut outer, mut inner) = (0, 0);
        let message = message_of(|| {
            outer = line!() + 1;
            cell.get_or_init(|| {
                inner = line!() + 1;
                *cell.get_or_init(|| 1)
            });
        });
        assert!(message.contains("OnceCell 'config'"), "{message}");
        for line in [outer, inner] {
            let place = format!("{}:{line}:", file!());
            assert!(message.contains(&place), "{place} is not in: {message}");
        }
        assert!(unwinds(
            || *cell.get_or_init(|| cell.set(1).map_or(1, |()| 2))
        ));
        // Nothing of it is left.
        assert_eq!(*cell.get_or_init(|| 2), 2);
    });
}

#[test]
fn a_cell_that_needs_itself_outside_of_a_run_panics_too() {
    let cell = OnceCell::named("config");
    let message = message_of(|| *cell.get_or_init(|| *cell.get_or_init(|| 1)));
    assert!(message.contains("OnceCell 'config'"), "{message}");
    assert_eq!(*cell.get_or_init(|| 2), 2);
}

#[test]
fn set_waits_for_a_making_that_is_under_way() {
    run(|| {
        let (cell, log) = (Rc::new(OnceCell::new()), Log::new());
        let made = maker(&cell, &log, "made");
        assert_eq!(cell.set("set"), Err("set"));
        assert_eq!(made.join().unwrap(), "made");
        let cell = Rc::new(OnceCell::new());
        let hangs = hanging(&cell);
        let theirs = cell.clone();
        let sets = spawn(move || theirs.set("set"));
        yield_now();
        hangs.kill("enough");
        assert_eq!(sets.join().unwrap(), Ok(()));
        assert_eq!(cell.get(), Some(&"set"));
    });
}

#[test]
fn a_killed_set_drops_its_value() {
    struct Counted(Rc<Cell<u32>>);
    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.set(self.0.get() + 1);
        }
    }
    run(|| {
        let (cell, drops) = (Rc::new(OnceCell::new()), Rc::new(Cell::new(0)));
        let theirs = cell.clone();
        let hangs = spawn(move || {
            theirs.get_or_init(|| {
                park();
                unreachable!()
            });
        });
        yield_now();
        let (theirs, value) = (cell.clone(), Counted(drops.clone()));
        let victim = spawn(move || theirs.set(value).is_ok());
        yield_now();
        victim.kill("not needed");
        assert!(victim.join().unwrap_err().is_killed());
        assert_eq!((drops.get(), cell.get().is_none()), (1, true));
        hangs.kill("enough");
    });
}

#[test]
fn those_that_wait_without_making_go_on_when_it_is_made() {
    run(|| {
        let (cell, log) = (Rc::new(OnceCell::new()), Log::new());
        let watchers = [(); 2].map(|()| {
            let cell: Shared = cell.clone();
            spawn(move || *cell.wait())
        });
        yield_now();
        let hangs = hanging(&cell);
        hangs.kill("enough");
        yield_now();
        // A making that failed wakes none of them.
        assert_eq!(watchers[0].task().status(), Status::Parked(What::Once));
        let made = maker(&cell, &log, "made");
        assert_eq!(watchers.map(|watcher| watcher.join().unwrap()), ["made"; 2]);
        made.join().unwrap();
    });
}

#[test]
fn waiting_is_refused_where_nobody_may_yield_but_making_is_not() {
    run(|| {
        let cell = Rc::new(OnceCell::new());
        assert_eq!(no_yield(|| *OnceCell::new().get_or_init(|| 1)), 1);
        let hangs = hanging(&cell);
        let message = message_of(|| no_yield(|| *cell.get_or_init(|| "main")));
        assert!(message.contains("no_yield"), "{message}");
        hangs.kill("enough");
    });
}

#[test]
fn the_deadlock_of_a_cell_that_nobody_fills_names_it() {
    let stuck = Builder::new().run(|| drop(OnceCell::<String>::named("config").wait().clone()));
    let Err(RunError::Deadlock(report)) = stuck else {
        panic!("nobody fills it");
    };
    assert!(report.to_string().contains("'config'"), "{report}");
}

#[test]
fn a_cell_may_outlive_a_run_and_be_used_across_a_caught_unwind() {
    fn is_unwind_safe<T: UnwindSafe + RefUnwindSafe>() {}
    is_unwind_safe::<OnceCell<Rc<Cell<u8>>>>();
    let cell: Shared = Rc::new(OnceCell::new());
    for _ in 0..3 {
        run(|| {
            let _maker = hanging(&cell);
            let _waiter = hanging(&cell);
            let watched = cell.clone();
            let _watcher = spawn(move || *watched.wait());
            yield_now();
        });
        assert_eq!(cell.get(), None);
    }
    assert_eq!(*cell.get_or_init(|| "at last"), "at last");
}
