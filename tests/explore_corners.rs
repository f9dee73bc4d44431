//! What is out of the ordinary for an exploration: numbers too large, turns too many, runs inside
//! of destructors, things carried from one schedule to the next.
use maypole::explore::{self, Explorer, Switches};
use maypole::generator::Generator;
use maypole::sync::{Condvar, Mutex, RwLock, RwLockWriteGuard, Semaphore};
use maypole::{channel, run, spawn, task, yield_now};
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::rc::Rc;
use std::time::Duration;

fn message_of_the_panic(f: impl FnOnce()) -> String {
    let payload = catch_unwind(AssertUnwindSafe(f)).expect_err("it panics");
    payload.downcast_ref::<String>().expect("a text").clone()
}

/// A small program that parks, yields and is free of errors.
fn two_tasks_that_yield() {
    let child = spawn(yield_now);
    yield_now();
    child.join().unwrap();
}

#[test]
fn a_number_too_large_to_be_tried_is_refused_by_name() {
    let outcome = Explorer::new().check(|| {
        explore::any(u32::MAX as usize + 1);
    });
    let report = outcome.failure.expect("it panics").report().to_string();
    assert!(
        report.contains("any(4294967296): more numbers than 4294967295"),
        "{report}"
    );
}

#[test]
fn the_largest_range_of_numbers_may_be_begun() {
    let largest = || assert!(explore::any(u32::MAX as usize) < u32::MAX as usize);
    let outcome = Explorer::new().schedules(10).check(largest);
    assert!(outcome.failure.is_none() && !outcome.complete, "{outcome}");
    let outcome = Explorer::new().random(1).schedules(10).check(largest);
    assert!(outcome.failure.is_none(), "{outcome}");
}

#[test]
fn priorities_may_change_more_often_than_there_are_steps() {
    let explorer = Explorer::new().pct(1, usize::MAX).schedules(10);
    let outcome = explorer.check(two_tasks_that_yield);
    assert!(outcome.failure.is_none(), "{outcome}");
    assert_eq!(outcome.schedules, 10);
}

#[test]
fn a_failure_that_was_found_with_many_turns_is_replayed() {
    let late = || {
        let yields = spawn(|| (0..12_000).for_each(|_| yield_now()));
        yields.join().unwrap();
        panic!("after {} turns", 12_000);
    };
    let outcome = Explorer::new().turns(20_000).check(late);
    let failure = outcome.failure.expect("it panics");
    let again = message_of_the_panic(|| explore::replay(failure.trail(), late));
    assert!(again.contains("FAILED in the replay"), "{again}");
    assert!(again.contains("after 12000 turns"), "{again}");
}

#[test]
fn no_number_of_turns_is_too_small_or_too_large() {
    for turns in [0, 1, 2, 63, 64, 65, u64::MAX - 1, u64::MAX] {
        let outcome = Explorer::new().turns(turns).check(two_tasks_that_yield);
        assert!(outcome.failure.is_none(), "{turns}: {outcome}");
        assert_eq!(outcome.complete, turns >= 63, "{turns}: {outcome}");
        assert_eq!(outcome.complete, outcome.cut == 0, "{turns}: {outcome}");
    }
}

#[test]
fn a_payload_may_run_and_explore_when_it_is_dropped() {
    struct Explores;
    impl Drop for Explores {
        fn drop(&mut self) {
            assert_eq!(run(|| spawn(|| 3).join().unwrap()), 3);
            let outcome = Explorer::new().check(two_tasks_that_yield);
            assert!(outcome.complete && outcome.failure.is_none(), "{outcome}");
        }
    }
    let outcome = Explorer::new().check(|| {
        spawn(yield_now).join().unwrap();
        panic_any(Explores);
    });
    let failure = outcome.failure.expect("it panics");
    assert_eq!(failure.forced(), 0);
}

#[test]
fn an_exploration_may_be_inside_of_a_generator() {
    let mut generator = Generator::<u64>::new(|yielder| {
        for _ in 0..2 {
            let outcome = Explorer::new().check(two_tasks_that_yield);
            assert!(outcome.complete && outcome.failure.is_none(), "{outcome}");
            yielder.yield_(outcome.schedules);
        }
    });
    let first = generator.next().expect("it yields twice");
    assert_eq!(generator.next(), Some(first));
    assert_eq!(generator.next(), None);
}

#[test]
fn a_generator_that_holds_a_lock_is_carried_from_schedule_to_schedule() {
    thread_local! {
        static CARRIED: RefCell<Option<Generator<()>>> = const { RefCell::new(None) };
    }
    let outcome = Explorer::new().check(|| {
        let mut generator = CARRIED.take().unwrap_or_else(|| {
            Generator::new(|yielder| {
                let mutex = Mutex::new(0);
                loop {
                    let mut held = mutex.lock();
                    *held += 1;
                    yield_now();
                    yielder.yield_(());
                }
            })
        });
        let child = spawn(yield_now);
        assert_eq!(generator.next(), Some(()));
        child.join().unwrap();
        CARRIED.set(Some(generator));
    });
    assert!(outcome.complete && outcome.failure.is_none(), "{outcome}");
    drop(CARRIED.take());
}

#[test]
fn a_destructor_that_panics_at_the_end_of_a_schedule_is_a_failure() {
    struct Panics;
    impl Drop for Panics {
        fn drop(&mut self) {
            panic!("in a destructor");
        }
    }
    let before_it_began = Explorer::new().check(|| {
        let captured = Panics;
        spawn(move || drop(captured));
    });
    let after_its_kill = Explorer::new().check(|| {
        spawn(|| {
            let panics = Panics;
            let killed = catch_unwind(AssertUnwindSafe(task::park));
            assert!(killed.is_err());
            drop(panics);
        });
        yield_now();
    });
    for outcome in [before_it_began, after_its_kill] {
        let report = outcome.failure.expect("it panics").report().to_string();
        assert!(report.contains("in a destructor"), "{report}");
    }
}

#[test]
fn a_destructor_that_catches_its_own_panic_while_unwinding_is_none() {
    struct Catches;
    impl Drop for Catches {
        fn drop(&mut self) {
            assert!(catch_unwind(|| panic!("inside")).is_err());
        }
    }
    let outcome = Explorer::new().check(|| {
        spawn(|| {
            let _catches = Catches;
            task::park();
        });
        yield_now();
    });
    assert!(outcome.complete && outcome.failure.is_none(), "{outcome}");
}

#[test]
fn locks_permits_and_messages_are_whole_after_a_pause_and_a_kill_anywhere() {
    let program = || {
        let mutex = Rc::new(Mutex::new(0));
        let permits = Rc::new(Semaphore::new(2));
        let lock = Rc::new(RwLock::new(0));
        let (sender, receiver) = channel::bounded(1);
        let (theirs, both, shared) = (mutex.clone(), permits.clone(), lock.clone());
        let first = spawn(move || {
            let _held = theirs.lock();
            let _both = both.acquire_many(2);
            let writer = shared.write();
            sender.send(1).ok();
            let _reader = RwLockWriteGuard::downgrade(writer);
            sender.send(2).ok();
        });
        let (theirs, one, shared) = (mutex.clone(), permits.clone(), lock.clone());
        let second = spawn(move || {
            let second = Duration::from_secs(1);
            let reader = shared.read();
            let _one = one.acquire_timeout(second);
            receiver.recv_timeout(second).ok();
            drop(reader);
            drop(theirs.lock_timeout(second));
        });
        yield_now();
        first.task().pause();
        yield_now();
        first.task().resume();
        first.task().kill("no longer wanted");
        second.join().unwrap();
        first.join().ok();
        assert_eq!(permits.available(), 2);
        assert!(mutex.try_lock().is_some() && lock.try_write().is_some());
    };
    for switches in [Switches::Parking, Switches::Everywhere] {
        let explorer = Explorer::new().switches(switches).schedules(2_000);
        for explorer in [
            explorer.clone(),
            explorer.clone().random(5),
            explorer.pct(7, 4),
        ] {
            let outcome = explorer.check(program);
            assert!(outcome.failure.is_none(), "{outcome}");
        }
    }
}

#[test]
fn a_schedule_may_leave_tasks_behind_that_wait_in_what_the_next_one_uses() {
    let pair: &'static _ = Box::leak(Box::new((Mutex::new(0), Condvar::new())));
    let permits: &'static Semaphore = Box::leak(Box::new(Semaphore::new(0)));
    let outcome = Explorer::new().check(|| {
        // Of the schedule before, nobody waits any more, and nobody holds anything.
        assert!(pair.0.try_lock().is_some());
        permits.add_permits(1);
        assert!(permits.try_acquire().is_some());
        permits.acquire().forget();
        spawn(|| task::shield(|| drop(permits.acquire())));
        spawn(|| task::shield(|| drop(pair.1.wait(pair.0.lock()))));
        yield_now();
    });
    assert!(outcome.complete && outcome.failure.is_none(), "{outcome}");
}
