//! What std promises of its condition variable, barrier and cells written once, kept between tasks.
mod steps;

use maypole::sync::{Barrier, Condvar, Mutex, OnceCell};
use maypole::{run, scope, sleep, spawn, yield_now};
use std::cell::Cell;
use std::panic::catch_unwind;
use std::rc::Rc;
use std::time::Duration;
use steps::{OnDrop, ms, on_virtual_time, unwinds};

// ── condition variable ───────────────────────────────────────────────────────────────────────

#[test]
fn one_wake_ends_one_wait() {
    run(|| {
        let (mutex, changed) = (Mutex::new(()), Condvar::new());
        scope(|s| {
            let guard = mutex.lock();
            s.spawn(|| {
                // It gets the lock only because the wait has let go of it.
                let _guard = mutex.lock();
                changed.notify_one();
            });
            drop(changed.wait(guard));
        });
    });
}

#[test]
fn a_wake_of_all_ends_every_wait() {
    const TASKS: usize = 10;
    run(|| {
        let (count, changed, passed) = (Mutex::new(0), Condvar::new(), Cell::new(0));
        scope(|s| {
            for _ in 0..TASKS {
                s.spawn(|| {
                    let mut count = count.lock();
                    *count += 1;
                    while *count != 0 {
                        count = changed.wait(count);
                    }
                    passed.set(passed.get() + 1);
                });
            }
            yield_now();
            let mut count = count.lock();
            assert_eq!((*count, passed.get()), (TASKS, 0));
            *count = 0;
            changed.notify_all();
        });
        assert_eq!(passed.get(), TASKS);
    });
}

#[test]
fn what_was_written_before_the_wake_is_seen_after_it() {
    run(|| {
        let pair = Rc::new((Mutex::new(false), Condvar::new()));
        let theirs = pair.clone();
        let (ready, changed) = &*pair;
        let mut guard = ready.lock();
        let child = spawn(move || {
            let (ready, changed) = &*theirs;
            *ready.lock() = true;
            changed.notify_one();
        });
        assert!(!*guard);
        while !*guard {
            guard = changed.wait(guard);
        }
        child.join().unwrap();
    });
}

#[test]
fn a_wait_while_a_condition_holds_ends_with_the_condition() {
    run(|| {
        let (started, changed) = (Mutex::new(false), Condvar::new());
        scope(|s| {
            s.spawn(|| {
                *started.lock() = true;
                changed.notify_one();
            });
            assert!(*changed.wait_while(started.lock(), |started| !*started));
        });
    });
}

#[test]
fn a_timed_wait_that_nobody_ends_times_out_for_sure() {
    on_virtual_time(|| {
        let (mutex, never) = (Mutex::new(()), Condvar::new());
        // Nobody is woken without a reason, so the first one counts.
        let (guard, result) = never.wait_timeout(mutex.lock(), ms(1));
        assert!(result.timed_out());
        let (_guard, result) = never.wait_timeout_while(guard, ms(1), |()| true);
        assert!(result.timed_out());
    });
}

#[test]
fn a_condition_that_does_not_hold_is_no_time_out_though_there_is_no_time() {
    on_virtual_time(|| {
        let (mutex, never) = (Mutex::new(()), Condvar::new());
        let (_guard, result) = never.wait_timeout_while(mutex.lock(), ms(0), |()| false);
        assert!(!result.timed_out());
    });
}

#[test]
fn a_timed_wait_that_somebody_ends_is_no_time_out() {
    on_virtual_time(|| {
        let (started, changed) = (Mutex::new(false), Condvar::new());
        let ever = Duration::from_millis(u64::MAX);
        for timed in [true, false] {
            *started.lock() = false;
            scope(|s| {
                let guard = started.lock();
                s.spawn(|| {
                    let mut started = started.lock();
                    sleep(ms(1));
                    *started = true;
                    changed.notify_one();
                });
                let (guard, result) = match timed {
                    true => changed.wait_timeout(guard, ever),
                    false => changed.wait_timeout_while(guard, ever, |started| !*started),
                };
                assert_eq!((result.timed_out(), *guard), (false, true));
            });
        }
    });
}

// ── barrier ──────────────────────────────────────────────────────────────────────────────────

#[test]
fn a_barrier_holds_all_until_the_last_and_has_one_leader() {
    const PARTIES: usize = 10;
    run(|| {
        let barrier = Rc::new(Barrier::new(PARTIES));
        let parties: Vec<_> = (1..PARTIES)
            .map(|_| {
                let barrier = barrier.clone();
                spawn(move || barrier.wait().is_leader())
            })
            .collect();
        yield_now();
        assert!(!parties.iter().any(|party| party.is_finished()));
        let main_leads = barrier.wait().is_leader();
        let leaders = parties.into_iter().map(|party| party.join().unwrap());
        assert_eq!(
            leaders.filter(|leads| *leads).count() + usize::from(main_leads),
            1
        );
    });
}

// ── cells written once ───────────────────────────────────────────────────────────────────────

#[test]
fn what_is_to_be_done_once_is_done_once() {
    let (cell, mut calls) = (OnceCell::new(), 0);
    for _ in 0..2 {
        cell.get_or_init(|| calls += 1);
    }
    assert_eq!(calls, 1);
}

#[test]
fn a_stampede_makes_the_value_once() {
    run(|| {
        let (cell, made) = (OnceCell::new(), Cell::new(false));
        let make = || {
            assert!(!made.get());
            yield_now();
            made.set(true);
        };
        scope(|s| {
            for _ in 0..10 {
                s.spawn(|| {
                    for _ in 0..4 {
                        yield_now();
                    }
                    cell.get_or_init(make);
                    assert!(made.get());
                });
            }
            cell.get_or_init(make);
            assert!(made.get());
        });
    });
}

#[test]
fn a_value_that_was_made_in_another_task_is_there() {
    run(|| {
        let cell = OnceCell::new();
        assert!(cell.get().is_none());
        scope(|s| {
            s.spawn(|| cell.get_or_init(|| 92)).join().unwrap();
        });
        assert_eq!(cell.get(), Some(&92));
        assert_eq!(cell.get_or_init(|| panic!("there is one")), &92);
    });
}

#[test]
fn a_making_that_panics_leaves_nothing_behind() {
    let cell: OnceCell<String> = OnceCell::new();
    let caught = catch_unwind(|| cell.get_or_try_init(|| -> Result<_, ()> { panic!("no") }));
    assert!(caught.is_err() && cell.get().is_none());
    assert_eq!(cell.get_or_try_init(|| Err(1)), Err(1));
    let made = cell.get_or_try_init(|| Ok::<_, ()>("hello".to_string()));
    assert_eq!(made, Ok(&"hello".to_string()));
    assert_eq!(cell.get().map(String::as_str), Some("hello"));
}

#[test]
fn a_second_making_after_a_failed_one_is_waited_for() {
    run(|| {
        let (cell, go_on) = (OnceCell::new(), Cell::new(false));
        assert!(unwinds(|| {
            cell.get_or_init(|| panic!("the first one"));
        }));
        scope(|s| {
            s.spawn(|| {
                cell.get_or_init(|| {
                    while !go_on.get() {
                        yield_now();
                    }
                });
            });
            let waits = s.spawn(|| {
                let mut called = false;
                cell.get_or_init(|| called = true);
                called
            });
            yield_now();
            assert!(!waits.is_finished());
            go_on.set(true);
            assert!(!waits.join().unwrap());
        });
    });
}

#[test]
fn a_wait_ends_when_the_value_is_there_whoever_makes_it() {
    run(|| {
        for failures in 0..3 {
            let (cell, done) = (OnceCell::new(), Cell::new(false));
            scope(|s| {
                for _ in 0..4 {
                    s.spawn(|| {
                        cell.wait();
                        assert!(done.get());
                    });
                }
                for _ in 0..failures {
                    yield_now();
                    assert!(unwinds(|| {
                        cell.get_or_init(|| panic!("not this time"));
                    }));
                }
                cell.get_or_init(|| done.set(true));
            });
        }
    });
}

#[test]
fn a_value_may_be_changed_by_the_only_user_and_taken_out() {
    let mut cell = OnceCell::new();
    assert!(cell.get_mut().is_none());
    cell.set(90).unwrap();
    *cell.get_mut().unwrap() += 2;
    assert_eq!(cell.get_mut(), Some(&mut 92));
    assert_eq!((cell.take(), cell.take()), (Some(92), None));
    cell.set(1).unwrap();
    assert_eq!(cell.into_inner(), Some(1));
    assert_eq!(OnceCell::<String>::new().into_inner(), None);
}

#[test]
fn the_value_of_a_cell_is_dropped_once_with_the_cell() {
    run(|| {
        let drops = Rc::new(Cell::new(0));
        let theirs = drops.clone();
        let user = spawn(move || {
            let cell = OnceCell::new();
            let counted = theirs.clone();
            cell.get_or_init(|| OnDrop(move || counted.set(counted.get() + 1)));
            assert_eq!(theirs.get(), 0);
        });
        user.join().unwrap();
        assert_eq!(drops.get(), 1);
        drop(OnceCell::<OnDrop<fn()>>::new());
    });
}

#[test]
fn cells_are_cloned_and_compared_by_what_is_in_them() {
    let cell = OnceCell::new();
    assert!(cell.clone().get().is_none());
    cell.set("hello".to_string()).unwrap();
    let copy = cell.clone();
    assert_eq!(copy.get().map(String::as_str), Some("hello"));
    assert_eq!(cell, copy);
    assert_ne!(cell, OnceCell::from("other".to_string()));
    assert_ne!(cell, OnceCell::default());
    assert_eq!(OnceCell::<String>::new(), OnceCell::default());
    assert_eq!(OnceCell::from("value").get(), Some(&"value"));
}

#[test]
fn nobody_sees_a_value_that_is_half_made() {
    run(|| {
        let cell = OnceCell::new();
        scope(|s| {
            for _ in 0..10 {
                s.spawn(|| {
                    let seen = loop {
                        match cell.get() {
                            Some(text) => break text,
                            None => yield_now(),
                        }
                    };
                    assert_eq!(seen, "whole");
                });
            }
            for _ in 0..3 {
                s.spawn(|| {
                    cell.get_or_init(|| {
                        let mut text = "who".to_string();
                        yield_now();
                        text.push_str("le");
                        text
                    });
                });
            }
        });
    });
}

#[test]
fn a_cell_may_hold_a_borrow_that_ends_before_it_does() {
    let cell = OnceCell::new();
    {
        let text = String::new();
        cell.set(&text).unwrap();
    }
}

#[test]
fn a_cell_may_be_a_constant_of_its_os_thread() {
    thread_local! {
        static NUMBERS: OnceCell<Vec<u32>> = const { OnceCell::new() };
        static TOTAL: Mutex<u32> = const { Mutex::new(0) };
    }
    run(|| {
        let fifth = NUMBERS.with(|numbers| {
            numbers.get_or_init(|| {
                let mut numbers = vec![1, 1];
                (0..10).for_each(|n| numbers.push(numbers[n] + numbers[n + 1]));
                numbers
            })[5]
        });
        TOTAL.with(|total| *total.lock() += fifth);
        assert_eq!(TOTAL.with(|total| *total.lock()), 8);
    });
}
