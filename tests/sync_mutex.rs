//! The mutex: its line, its deadline, its owner, and what kills and panics leave of it.
mod steps;

use maypole::sync::{Mutex, MutexGuard};
use maypole::task::{Killed, Status, What, no_yield};
use maypole::time::{now, timeout};
use maypole::{Builder, RunError, run, scope, sleep, spawn, spawn_now, yield_now};
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, RefUnwindSafe, UnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::Duration;
use steps::{Log, OnDrop, message_of, ms, on_virtual_time};

/// Holds a mutex for `duration` of virtual time.
fn hold(mutex: &Rc<Mutex<u32>>, duration: Duration) -> maypole::JoinHandle<()> {
    let mutex = mutex.clone();
    let holder = spawn(move || {
        let _guard = mutex.lock();
        sleep(duration);
    });
    yield_now();
    holder
}

#[test]
fn a_free_mutex_needs_no_run() {
    let mutex = Mutex::new(1);
    *mutex.lock() += 1;
    *mutex.try_lock().unwrap() += 1;
    *mutex.lock_timeout(ms(1)).unwrap() += 1;
    assert_eq!(mutex.into_inner(), 4);
}

#[test]
fn a_task_that_finds_it_locked_parks_until_it_is_unlocked() {
    run(|| {
        let mutex = Rc::new(Mutex::new(0));
        let guard = mutex.lock();
        let theirs = mutex.clone();
        let waiter = spawn(move || *theirs.lock() += 1);
        yield_now();
        assert_eq!(waiter.task().status(), Status::Parked(What::Lock));
        assert_eq!(*guard, 0);
        drop(guard);
        waiter.join().unwrap();
        assert_eq!(*mutex.lock(), 1);
    });
}

#[test]
fn waiters_are_served_first_in_first_out() {
    run(|| {
        let (mutex, log) = (Mutex::new(()), Log::new());
        scope(|s| {
            let guard = mutex.lock();
            for n in 0..10 {
                let (mutex, log) = (&mutex, log.clone());
                s.spawn(move || {
                    let _guard = mutex.lock();
                    log.add(n);
                    yield_now();
                });
            }
            yield_now();
            drop(guard);
        });
        assert_eq!(log.text(), "0 1 2 3 4 5 6 7 8 9");
    });
}

#[test]
fn nobody_comes_between_an_unlock_and_the_task_that_it_woke() {
    run(|| {
        let (mutex, log) = (Rc::new(Mutex::new(())), Log::new());
        let guard = mutex.lock();
        let (theirs, their_log) = (mutex.clone(), log.clone());
        let waiter = spawn(move || {
            let _guard = theirs.lock();
            their_log.add("waiter");
        });
        yield_now();
        drop(guard);
        // It is the waiter's from now on, though that has not had its turn yet.
        assert!(mutex.try_lock().is_none());
        let guard = mutex.lock();
        log.add("main");
        drop(guard);
        waiter.join().unwrap();
        assert_eq!(log.text(), "waiter main");
    });
}

#[test]
fn try_lock_neither_parks_nor_yields() {
    run(|| {
        let (mutex, log) = (Mutex::new(()), Log::new());
        let theirs = log.clone();
        let other = spawn(move || theirs.add("other"));
        let guard = mutex.try_lock().unwrap();
        for _ in 0..1000 {
            assert!(mutex.try_lock().is_none());
        }
        drop(guard);
        for _ in 0..1000 {
            assert!(mutex.try_lock().is_some());
        }
        log.add("main");
        other.join().unwrap();
        assert_eq!(log.text(), "main other");
    });
}

#[test]
fn many_locks_that_need_no_waiting_give_the_others_a_turn() {
    run(|| {
        let (mutex, log) = (Mutex::new(0), Log::new());
        let theirs = log.clone();
        let other = spawn(move || theirs.add("other"));
        while log.steps().is_empty() {
            *mutex.lock() += 1;
            assert!(*mutex.lock() < 1000, "the other starves");
        }
        other.join().unwrap();
    });
}

#[test]
fn a_deadline_that_comes_first_gives_none_and_leaves_the_line() {
    on_virtual_time(|| {
        let mutex = Rc::new(Mutex::new(0));
        let holder = hold(&mutex, ms(50));
        let start = now();
        assert!(mutex.lock_timeout(ms(10)).is_none());
        assert_eq!(now() - start, ms(10));
        assert!(mutex.lock_deadline(start + ms(20)).is_none());
        assert_eq!(now() - start, ms(20));
        holder.join().unwrap();
        // Nothing was handed to those that had left.
        assert!(mutex.try_lock().is_some());
    });
}

#[test]
fn a_lock_in_time_is_got_and_its_timer_is_gone() {
    on_virtual_time(|| {
        let mutex = Rc::new(Mutex::new(0));
        let holder = hold(&mutex, ms(5));
        let start = now();
        let guard = mutex.lock_timeout(ms(10)).unwrap();
        assert_eq!(now() - start, ms(5));
        sleep(ms(100));
        drop(guard);
        holder.join().unwrap();
    });
}

#[test]
fn a_lock_that_was_handed_over_when_the_deadline_comes_is_kept() {
    on_virtual_time(|| {
        let mutex = Rc::new(Mutex::new(0));
        let guard = mutex.lock();
        let theirs = mutex.clone();
        let waiter = spawn(move || {
            // Due at once, but nobody looks at the clock before main unlocks.
            let guard = theirs.lock_timeout(Duration::ZERO);
            sleep(ms(10));
            guard.is_some()
        });
        yield_now();
        drop(guard);
        assert!(waiter.join().unwrap());
        assert!(mutex.try_lock().is_some());
    });
}

#[test]
fn a_deadline_that_is_past_still_gets_a_free_lock() {
    on_virtual_time(|| {
        let mutex = Rc::new(Mutex::new(0));
        sleep(ms(10));
        let past = now() - ms(5);
        assert!(mutex.lock_deadline(past).is_some());
        assert!(mutex.lock_timeout(Duration::ZERO).is_some());
        let holder = hold(&mutex, ms(10));
        assert!(mutex.lock_deadline(past).is_none());
        assert!(mutex.lock_timeout(Duration::ZERO).is_none());
        assert!(mutex.lock_timeout(Duration::MAX).is_some());
        holder.join().unwrap();
    });
}

#[test]
fn an_expired_timeout_around_it_ends_the_wait() {
    on_virtual_time(|| {
        let mutex = Rc::new(Mutex::new(0));
        let holder = hold(&mutex, ms(50));
        assert!(timeout(ms(10), || mutex.lock()).is_err());
        holder.join().unwrap();
        assert!(mutex.try_lock().is_some());
    });
}

#[test]
fn a_killed_waiter_leaves_the_line_and_the_next_is_served() {
    run(|| {
        let (mutex, log) = (Rc::new(Mutex::new(())), Log::new());
        let guard = mutex.lock();
        let waiters = ["first", "second", "third"].map(|name| {
            let (mutex, log) = (mutex.clone(), log.clone());
            spawn(move || {
                let _guard = mutex.lock();
                log.add(name);
            })
        });
        yield_now();
        assert_eq!(waiters[0].kill("not needed"), Killed::Parked);
        drop(guard);
        let [first, second, third] = waiters.map(|waiter| waiter.join());
        assert!(first.unwrap_err().is_killed() && second.is_ok() && third.is_ok());
        assert_eq!(log.text(), "second third");
    });
}

#[test]
fn a_kill_after_the_hand_over_waits_for_the_next_park() {
    run(|| {
        let (mutex, log) = (Rc::new(Mutex::new(0)), Log::new());
        let guard = mutex.lock();
        let (theirs, their_log) = (mutex.clone(), log.clone());
        let waiter = spawn(move || {
            let mut guard = theirs.lock();
            *guard = 42;
            their_log.add("locked");
            yield_now();
            their_log.add("never");
        });
        yield_now();
        drop(guard);
        assert_eq!(waiter.kill("too late"), Killed::Ready);
        assert!(waiter.join().unwrap_err().is_killed());
        assert_eq!((log.text().as_str(), *mutex.lock()), ("locked", 42));
    });
}

#[test]
fn a_killed_owner_unlocks() {
    run(|| {
        let mutex = Rc::new(Mutex::new(0));
        let theirs = mutex.clone();
        let owner = spawn(move || {
            let mut guard = theirs.lock();
            *guard = 1;
            maypole::task::park();
            *guard = 2;
        });
        yield_now();
        let theirs = mutex.clone();
        let waiter = spawn(move || *theirs.lock());
        yield_now();
        owner.kill("enough");
        assert_eq!(waiter.join().unwrap(), 1);
        assert!(owner.join().unwrap_err().is_killed());
    });
}

#[test]
fn a_panicking_owner_unlocks_and_poisons_nothing() {
    run(|| {
        let mutex = Rc::new(Mutex::new(0));
        let theirs = mutex.clone();
        let owner = spawn(move || {
            let mut guard = theirs.lock();
            *guard = 1;
            yield_now();
            panic!("half-way");
        });
        yield_now();
        assert_eq!(*mutex.lock(), 1);
        assert!(owner.join().unwrap_err().is_panic());
    });
}

#[test]
fn a_kill_comes_before_a_lock_has_any_effect() {
    run(|| {
        let mutex = Rc::new(Mutex::new(0));
        let theirs = mutex.clone();
        let victim = spawn(move || {
            maypole::task::current().kill("by itself");
            *theirs.lock() = 1;
        });
        assert!(victim.join().unwrap_err().is_killed());
        assert_eq!(*mutex.lock(), 0);
    });
}

#[test]
fn a_destructor_may_lock_while_its_task_is_killed() {
    run(|| {
        let (mutex, log) = (Rc::new(Mutex::new(0)), Log::new());
        let (theirs, their_log) = (mutex.clone(), log.clone());
        let victim = spawn(move || {
            let _cleanup = OnDrop(|| {
                *theirs.lock() += 1;
                their_log.add("cleaned up");
            });
            maypole::task::park();
        });
        yield_now();
        let guard = mutex.lock();
        victim.kill("enough");
        yield_now();
        assert_eq!(log.text(), "");
        drop(guard);
        assert!(victim.join().unwrap_err().is_killed());
        assert_eq!((log.text().as_str(), *mutex.lock()), ("cleaned up", 1));
    });
}

// ── the owner ────────────────────────────────────────────────────────────────────────────────

#[test]
fn a_task_that_locks_twice_panics_with_both_places() {
    run(|| {
        let mutex = Mutex::named("fork 1", 0);
        let (first, guard) = (line!(), mutex.lock());
        let second = line!() + 1;
        let message = message_of(|| mutex.lock());
        assert!(message.contains("Mutex 'fork 1'"), "{message}");
        for line in [first, second] {
            let place = format!("{}:{line}:", file!());
            assert!(message.contains(&place), "{place} is not in: {message}");
        }
        assert!(message_of(|| mutex.lock_timeout(ms(1))).contains("wait for itself"));
        // The lock is as it was.
        assert!(mutex.try_lock().is_none());
        drop(guard);
        assert!(mutex.try_lock().is_some());
    });
}

#[test]
fn a_task_that_was_handed_the_lock_is_its_owner() {
    run(|| {
        let mutex = Rc::new(Mutex::new(0));
        let guard = mutex.lock();
        let theirs = mutex.clone();
        let next = spawn(move || {
            let (before, _guard) = (line!(), theirs.lock());
            let message = message_of(|| theirs.lock());
            let place = format!("{}:{before}:", file!());
            assert!(message.contains(&place), "{place} is not in: {message}");
        });
        yield_now();
        drop(guard);
        next.join().unwrap();
    });
}

#[test]
fn a_mutex_without_a_name_is_told_by_its_place() {
    run(|| {
        let (made, mutex) = (line!(), Mutex::new(0));
        let _guard = mutex.lock();
        let message = message_of(|| mutex.lock());
        let place = format!("made at {}:{made}:", file!());
        assert!(message.contains(&place), "{message}");
    });
}

#[test]
fn a_second_lock_outside_of_a_run_panics_with_both_places() {
    let mutex = Mutex::named("fork 1", 0);
    let (first, _guard) = (line!(), mutex.lock());
    let message = message_of(|| mutex.lock());
    assert!(message.contains("wrap main in maypole::run"), "{message}");
    let place = format!("{}:{first}:", file!());
    assert!(
        message.contains("Mutex 'fork 1'") && message.contains(&place),
        "{message}"
    );
}

#[test]
fn the_owner_is_the_task_and_not_the_stack_that_it_ran_on() {
    run(|| {
        let mutex = Mutex::new(1);
        let kept: RefCell<Option<MutexGuard<'_, u32>>> = RefCell::new(None);
        scope(|s| {
            // It ends with the guard elsewhere, and its stack serves the next task.
            let owner = s.spawn(|| kept.replace(Some(mutex.lock())));
            owner.join().unwrap();
            let waiter = s.spawn(|| *mutex.lock());
            yield_now();
            assert_eq!(waiter.task().status(), Status::Parked(What::Lock));
            drop(kept.take());
            assert_eq!(waiter.join().unwrap(), 1);
        });
    });
}

#[test]
fn a_guard_may_be_dropped_by_another_task() {
    run(|| {
        let mutex = Mutex::new(0);
        scope(|s| {
            let guard = mutex.lock();
            let other = s.spawn(move || drop(guard));
            other.join().unwrap();
            *mutex.lock() += 1;
        });
    });
}

#[test]
fn a_child_that_runs_nested_is_another_owner() {
    run(|| {
        let mutex = Rc::new(Mutex::new(0));
        let guard = mutex.lock();
        let theirs = mutex.clone();
        let child = spawn_now(move || *theirs.lock() += 1);
        assert_eq!(child.task().status(), Status::Parked(What::Lock));
        drop(guard);
        child.join().unwrap();
        let theirs = mutex.clone();
        let holder = spawn_now(move || {
            let _guard = theirs.lock();
            yield_now();
        });
        // The parent is itself again.
        assert!(mutex.try_lock().is_none());
        *mutex.lock() += 1;
        holder.join().unwrap();
        assert_eq!(*mutex.lock(), 2);
    });
}

#[test]
fn a_forgotten_guard_locks_for_ever_and_the_deadlock_names_the_mutex() {
    let stuck = Builder::new().run(|| {
        let mutex = Rc::new(Mutex::named("lost", 0));
        let theirs = mutex.clone();
        spawn(move || std::mem::forget(theirs.lock()))
            .join()
            .unwrap();
        assert!(mutex.try_lock().is_none());
        drop(mutex.lock());
    });
    let Err(RunError::Deadlock(report)) = stuck else {
        panic!("nobody can unlock it");
    };
    // Its owner has ended, so nobody is known to hold it.
    let report = report.to_string();
    assert!(report.contains("Mutex 'lost'"), "{report}");
    assert!(!report.contains("held by"), "{report}");
}

#[test]
fn the_deadlock_of_two_that_lock_crosswise_names_both_and_what_they_hold() {
    let stuck = Builder::new().run(|| {
        let forks = [0, 1].map(|n| Mutex::named(format!("fork {n}"), ()));
        scope(|s| {
            for n in 0..2 {
                let forks = &forks;
                let philosopher = maypole::task::Builder::new().name(format!("phil-{n}"));
                let dines = move || {
                    let _left = forks[n].lock();
                    yield_now();
                    let _right = forks[1 - n].lock();
                };
                philosopher.spawn_scoped(s, dines).unwrap();
            }
        });
    });
    let Err(RunError::Deadlock(report)) = stuck else {
        panic!("they wait for each other");
    };
    let report = report.to_string();
    for part in [
        "Mutex 'fork 0'",
        "Mutex 'fork 1'",
        "phil-0",
        "phil-1",
        "held by",
    ] {
        assert!(report.contains(part), "{part} is not in: {report}");
    }
}

#[test]
fn a_mutex_with_a_forgotten_guard_still_gives_its_value_up() {
    let mut mutex = Mutex::new(1);
    std::mem::forget(mutex.lock());
    *mutex.get_mut() += 1;
    assert!(mutex.try_lock().is_none());
    assert_eq!(mutex.into_inner(), 2);
}

// ── elsewhere ────────────────────────────────────────────────────────────────────────────────

#[test]
fn waiting_is_refused_where_nobody_may_yield() {
    run(|| {
        let mutex = Rc::new(Mutex::new(0));
        let holder = {
            let mutex = mutex.clone();
            spawn(move || {
                let _guard = mutex.lock();
                yield_now();
                yield_now();
            })
        };
        yield_now();
        let message = message_of(|| no_yield(|| mutex.lock()));
        assert!(message.contains("no_yield"), "{message}");
        holder.join().unwrap();
        // Where it need not wait it may be locked.
        no_yield(|| *mutex.lock() += 1);
        assert_eq!(*mutex.lock(), 1);
    });
}

#[test]
fn a_mutex_may_outlive_a_run_in_which_tasks_waited_for_it() {
    let mutex = Mutex::new(0);
    for round in 1..=3 {
        run(|| {
            scope(|s| {
                let guard = mutex.lock();
                let waiters = [(); 3].map(|()| s.spawn(|| *mutex.lock() += 1));
                yield_now();
                drop(guard);
                for waiter in waiters {
                    waiter.join().unwrap();
                }
            });
        });
        assert_eq!(*mutex.lock(), 3 * round);
    }
}

#[test]
fn left_over_waiters_and_owners_end_with_the_run() {
    let log = Log::new();
    run(|| {
        let mutex = Rc::new(Mutex::new(()));
        for n in 0..3 {
            let (mutex, log) = (mutex.clone(), log.clone());
            spawn(move || {
                let _ended = log.on_drop(n);
                let _guard = mutex.lock();
                maypole::task::park();
            });
        }
        yield_now();
    });
    assert_eq!(log.text(), "0 1 2");
}

#[test]
fn debug_shows_the_value_or_that_it_is_locked() {
    run(|| {
        let mutex = Mutex::new("value");
        assert_eq!(format!("{mutex:?}"), "Mutex { value: \"value\", .. }");
        let guard = mutex.lock();
        assert_eq!(format!("{mutex:?}"), "Mutex { value: <locked>, .. }");
        assert_eq!(format!("{guard:?} {guard}"), "\"value\" value");
    });
}

#[test]
fn a_value_whose_debug_parks_is_locked_meanwhile() {
    struct Slow;
    impl std::fmt::Debug for Slow {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            yield_now();
            f.write_str("Slow")
        }
    }
    run(|| {
        let mutex = Rc::new(Mutex::new(Slow));
        let theirs = mutex.clone();
        let other = spawn(move || drop(theirs.lock()));
        assert_eq!(format!("{mutex:?}"), "Mutex { value: Slow, .. }");
        other.join().unwrap();
    });
}

#[test]
fn a_mutex_may_be_used_across_a_caught_unwind() {
    fn is_unwind_safe<T: UnwindSafe + RefUnwindSafe>() {}
    is_unwind_safe::<Mutex<Rc<RefCell<u8>>>>();
    is_unwind_safe::<MutexGuard<'static, RefCell<u8>>>();
    let mutex = Mutex::new(0);
    let caught = catch_unwind(AssertUnwindSafe(|| {
        let _guard = mutex.lock();
        panic!("within");
    }));
    assert!(caught.is_err() && mutex.try_lock().is_some());
}
