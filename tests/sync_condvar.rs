//! The condition variable: who is woken, that no wake is lost, and that the lock is always had again.
mod steps;

use maypole::sync::{Condvar, Mutex};
use maypole::task::{Killed, Status, What, no_yield, park, shield};
use maypole::time::{now, timeout};
use maypole::{Builder, JoinHandle, RunError, run, scope, sleep, spawn, yield_now};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::rc::Rc;
use std::time::Duration;
use steps::{Log, OnDrop, message_of, ms, on_virtual_time};

type Pair = Rc<(Mutex<u32>, Condvar)>;

fn pair() -> Pair {
    Rc::new((Mutex::named("value", 0), Condvar::named("changed")))
}

/// A task that waits once, and says so when it goes on.
fn waiter(pair: &Pair, log: &Log, name: &'static str) -> JoinHandle<()> {
    let (pair, log) = (pair.clone(), log.clone());
    let waiter = spawn(move || {
        let guard = pair.1.wait(pair.0.lock());
        log.add(name);
        drop(guard);
    });
    yield_now();
    waiter
}

#[test]
fn waking_nobody_needs_no_run() {
    let condvar = Condvar::new();
    condvar.notify_one();
    condvar.notify_all();
}

#[test]
fn waiting_outside_of_a_run_panics_by_name_and_unlocks() {
    let pair = pair();
    let message = message_of(|| drop(pair.1.wait(pair.0.lock())));
    assert!(
        message.contains("Condvar") && message.contains("maypole::run"),
        "{message}"
    );
    assert!(pair.0.try_lock().is_some());
}

#[test]
fn a_wait_unlocks_the_mutex_and_has_it_again_when_it_returns() {
    run(|| {
        let (pair, log) = (pair(), Log::new());
        let waits = waiter(&pair, &log, "woken");
        assert_eq!(waits.task().status(), Status::Parked(What::Condvar));
        let mut guard = pair.0.try_lock().expect("it was unlocked");
        *guard += 1;
        pair.1.notify_one();
        yield_now();
        assert_eq!(waits.task().status(), Status::Parked(What::Lock));
        assert_eq!(log.text(), "");
        drop(guard);
        waits.join().unwrap();
        assert_eq!(log.text(), "woken");
    });
}

#[test]
fn a_wake_without_a_waiter_is_not_kept() {
    on_virtual_time(|| {
        let pair = pair();
        pair.1.notify_one();
        pair.1.notify_all();
        let (_guard, result) = pair.1.wait_timeout(pair.0.lock(), ms(10));
        assert!(result.timed_out());
    });
}

#[test]
fn one_wake_is_for_the_one_that_has_waited_longest() {
    run(|| {
        let (pair, log) = (pair(), Log::new());
        let waiters = ["a", "b", "c"].map(|name| waiter(&pair, &log, name));
        for expected in ["a", "a b", "a b c"] {
            pair.1.notify_one();
            yield_now();
            assert_eq!(log.text(), expected);
        }
        for waiter in waiters {
            waiter.join().unwrap();
        }
    });
}

#[test]
fn a_wake_of_all_lets_them_go_on_one_after_another() {
    run(|| {
        let (pair, log) = (pair(), Log::new());
        let waiters = ["a", "b", "c"].map(|name| waiter(&pair, &log, name));
        let guard = pair.0.lock();
        pair.1.notify_all();
        yield_now();
        assert_eq!(log.text(), "");
        drop(guard);
        for waiter in waiters {
            waiter.join().unwrap();
        }
        assert_eq!(log.text(), "a b c");
    });
}

#[test]
fn a_condition_is_looked_at_with_the_lock_held_and_after_each_wake() {
    run(|| {
        let (pair, log) = (pair(), Log::new());
        let (theirs, their_log) = (pair.clone(), log.clone());
        let waits = spawn(move || {
            let guard = theirs.1.wait_while(theirs.0.lock(), |value| {
                assert!(theirs.0.try_lock().is_none());
                their_log.add(*value);
                *value < 2
            });
            *guard
        });
        for _ in 0..2 {
            yield_now();
            *pair.0.lock() += 1;
            pair.1.notify_one();
        }
        assert_eq!(waits.join().unwrap(), 2);
        assert_eq!(log.text(), "0 1 2");
    });
}

#[test]
fn a_condition_that_does_not_hold_needs_no_run() {
    let pair = pair();
    assert_eq!(*pair.1.wait_while(pair.0.lock(), |_| false), 0);
    let (guard, result) = pair.1.wait_timeout_while(pair.0.lock(), ms(1), |_| false);
    assert_eq!((*guard, result.timed_out()), (0, false));
}

#[test]
fn a_condition_that_panics_unlocks() {
    run(|| {
        let pair = pair();
        let message = message_of(|| drop(pair.1.wait_while(pair.0.lock(), |_| panic!("no"))));
        assert_eq!(message, "no");
        assert!(pair.0.try_lock().is_some());
    });
}

// ── time ─────────────────────────────────────────────────────────────────────────────────────

#[test]
fn a_deadline_ends_the_wait_and_the_lock_is_had_again_first() {
    on_virtual_time(|| {
        let (pair, start) = (pair(), now());
        let theirs = pair.clone();
        let holder = spawn(move || {
            let _guard = theirs.0.lock();
            sleep(ms(50));
        });
        let (guard, result) = pair.1.wait_timeout(pair.0.lock(), ms(10));
        assert_eq!((result.timed_out(), now() - start), (true, ms(50)));
        drop(guard);
        let (_guard, result) = pair.1.wait_deadline(pair.0.lock(), start + ms(60));
        assert_eq!((result.timed_out(), now() - start), (true, ms(60)));
        holder.join().unwrap();
    });
}

#[test]
fn a_wake_before_the_deadline_is_no_time_out_even_if_the_lock_comes_late() {
    on_virtual_time(|| {
        let (pair, start) = (pair(), now());
        let theirs = pair.clone();
        let waker = spawn(move || {
            let _guard = theirs.0.lock();
            theirs.1.notify_one();
            sleep(ms(50));
        });
        let (_guard, result) = pair.1.wait_timeout(pair.0.lock(), ms(10));
        assert_eq!((result.timed_out(), now() - start), (false, ms(50)));
        waker.join().unwrap();
    });
}

#[test]
fn the_timeout_of_a_condition_is_for_all_waits_together() {
    on_virtual_time(|| {
        let (pair, start) = (pair(), now());
        let theirs = pair.clone();
        let waker = spawn(move || {
            loop {
                sleep(ms(4));
                theirs.1.notify_one();
            }
        });
        let condition = |_: &mut u32| true;
        let (guard, result) = pair.1.wait_timeout_while(pair.0.lock(), ms(10), condition);
        assert_eq!((result.timed_out(), now() - start), (true, ms(10)));
        drop(guard);
        // Longer than a clock can tell is for ever.
        let mut looks = 0;
        let condition = |_: &mut u32| {
            looks += 1;
            looks < 3
        };
        let ever = Duration::from_millis(u64::MAX);
        assert!(
            !pair
                .1
                .wait_timeout_while(pair.0.lock(), ever, condition)
                .1
                .timed_out()
        );
        waker.kill("enough");
    });
}

#[test]
fn a_condition_that_has_come_true_at_the_deadline_is_no_time_out() {
    on_virtual_time(|| {
        let pair = pair();
        let theirs = pair.clone();
        let writer = spawn(move || {
            sleep(ms(5));
            *theirs.0.lock() = 1; // and wakes nobody
        });
        let (guard, result) = pair
            .1
            .wait_timeout_while(pair.0.lock(), ms(10), |v| *v == 0);
        assert_eq!((*guard, result.timed_out()), (1, false));
        writer.join().unwrap();
    });
}

// ── kills ────────────────────────────────────────────────────────────────────────────────────

#[test]
fn a_killed_waiter_has_the_lock_again_before_it_unwinds() {
    run(|| {
        let (pair, log) = (pair(), Log::new());
        let (theirs, their_log) = (pair.clone(), log.clone());
        let victim = spawn(move || {
            let _left = their_log.on_drop("left");
            drop(theirs.1.wait(theirs.0.lock()));
        });
        yield_now();
        let guard = pair.0.lock();
        assert_eq!(victim.kill("not needed"), Killed::Parked);
        yield_now();
        // It comes out through the lock, and no second kill gets it out before.
        assert_eq!(victim.kill("again"), Killed::Already);
        yield_now();
        assert_eq!((log.text().as_str(), victim.is_finished()), ("", false));
        drop(guard);
        assert!(victim.join().unwrap_err().is_killed());
        assert_eq!(log.text(), "left");
        assert!(pair.0.try_lock().is_some());
    });
}

#[test]
fn an_expired_timeout_around_it_has_the_lock_again_before_it_unwinds() {
    on_virtual_time(|| {
        let (pair, start) = (pair(), now());
        let theirs = pair.clone();
        let holder = spawn(move || {
            let _guard = theirs.0.lock();
            sleep(ms(50));
        });
        let late = timeout(ms(10), || drop(pair.1.wait(pair.0.lock())));
        assert_eq!((late.is_err(), now() - start), (true, ms(50)));
        assert!(pair.0.try_lock().is_some());
        holder.join().unwrap();
    });
}

#[test]
fn a_killed_waiter_takes_no_wake_along() {
    run(|| {
        let (pair, log) = (pair(), Log::new());
        let victim = waiter(&pair, &log, "victim");
        let other = waiter(&pair, &log, "other");
        victim.kill("not needed");
        pair.1.notify_one();
        other.join().unwrap();
        assert!(victim.join().unwrap_err().is_killed());
        assert_eq!(log.text(), "other");
    });
}

#[test]
fn a_task_that_was_woken_returns_from_the_wait_before_a_kill_reaches_it() {
    run(|| {
        let (pair, log) = (pair(), Log::new());
        let (theirs, their_log) = (pair.clone(), log.clone());
        let victim = spawn(move || {
            let mut guard = theirs.1.wait(theirs.0.lock());
            *guard += 1;
            their_log.add("woken");
            park();
        });
        yield_now();
        let guard = pair.0.lock();
        pair.1.notify_one();
        assert_eq!(victim.kill("too late"), Killed::Ready);
        yield_now();
        // It waits for the lock, with a wake that must not be lost.
        assert_eq!(log.text(), "");
        drop(guard);
        assert!(victim.join().unwrap_err().is_killed());
        assert_eq!((log.text().as_str(), *pair.0.lock()), ("woken", 1));
    });
}

#[test]
fn a_kill_comes_before_the_mutex_is_unlocked_for_the_wait() {
    run(|| {
        let pair = pair();
        let theirs = pair.clone();
        let victim = spawn(move || {
            let guard = theirs.0.lock();
            maypole::task::current().kill("by itself");
            drop(theirs.1.wait(guard));
        });
        assert!(victim.join().unwrap_err().is_killed());
        assert!(pair.0.try_lock().is_some());
    });
}

#[test]
fn a_shielded_waiter_is_killed_only_after_its_wake() {
    run(|| {
        let (pair, log) = (pair(), Log::new());
        let (theirs, their_log) = (pair.clone(), log.clone());
        let victim = spawn(move || {
            shield(|| drop(theirs.1.wait(theirs.0.lock())));
            their_log.add("woken");
            yield_now();
            their_log.add("never");
        });
        yield_now();
        assert_eq!(victim.kill("wait"), Killed::Shielded);
        pair.1.notify_all();
        assert!(victim.join().unwrap_err().is_killed());
        assert_eq!(log.text(), "woken");
    });
}

#[test]
fn a_destructor_may_wait_while_its_task_is_killed() {
    run(|| {
        let (pair, log) = (pair(), Log::new());
        let (theirs, their_log) = (pair.clone(), log.clone());
        let victim = spawn(move || {
            let _cleanup = OnDrop(|| {
                let guard = theirs.1.wait_while(theirs.0.lock(), |value| *value == 0);
                their_log.add(*guard);
            });
            park();
        });
        yield_now();
        victim.kill("enough");
        yield_now();
        *pair.0.lock() = 7;
        pair.1.notify_one();
        assert!(victim.join().unwrap_err().is_killed());
        assert_eq!(log.text(), "7");
    });
}

#[test]
fn a_panicking_partner_leaves_the_pair_in_use() {
    run(|| {
        let (pair, log) = (pair(), Log::new());
        let waits = waiter(&pair, &log, "woken");
        let theirs = pair.clone();
        let panics = spawn(move || {
            let _guard = theirs.0.lock();
            theirs.1.notify_one();
            panic!("with the lock");
        });
        waits.join().unwrap();
        assert!(panics.join().unwrap_err().is_panic());
        assert!(pair.0.try_lock().is_some());
    });
}

// ── elsewhere ────────────────────────────────────────────────────────────────────────────────

#[test]
fn one_condvar_serves_several_mutexes() {
    run(|| {
        let (first, second, changed) = (Mutex::new(1), Mutex::new("two"), Condvar::new());
        scope(|s| {
            let one = s.spawn(|| *changed.wait(first.lock()));
            let two = s.spawn(|| *changed.wait(second.lock()));
            yield_now();
            changed.notify_all();
            assert_eq!((one.join().unwrap(), two.join().unwrap()), (1, "two"));
        });
    });
}

#[test]
fn a_value_without_a_size_may_be_waited_with() {
    run(|| {
        let (mutex, changed) = (Mutex::new([1, 2, 3]), Condvar::new());
        let numbers: &Mutex<[i32]> = &mutex;
        let guard = changed.wait_while(numbers.lock(), |numbers| numbers.is_empty());
        assert_eq!(guard.len(), 3);
    });
}

#[test]
fn waiting_is_refused_where_nobody_may_yield_and_the_mutex_is_free_afterwards() {
    run(|| {
        let pair = pair();
        let message = message_of(|| no_yield(|| drop(pair.1.wait(pair.0.lock()))));
        assert!(message.contains("no_yield"), "{message}");
        assert!(pair.0.try_lock().is_some());
    });
}

#[test]
fn the_deadlock_of_a_wait_that_nobody_ends_names_the_condvar() {
    let stuck = Builder::new().run(|| {
        let pair = pair();
        drop(pair.1.wait(pair.0.lock()));
    });
    let Err(RunError::Deadlock(report)) = stuck else {
        panic!("nobody wakes it");
    };
    assert!(report.to_string().contains("Condvar"), "{report}");
}

#[test]
fn a_condvar_may_outlive_a_run_in_which_tasks_waited() {
    let pair = pair();
    for _ in 0..3 {
        run(|| {
            let log = Log::new();
            let waits = waiter(&pair, &log, "woken");
            let _left_over = waiter(&pair, &log, "never");
            pair.1.notify_one();
            waits.join().unwrap();
            assert_eq!(log.text(), "woken");
        });
        assert!(pair.0.try_lock().is_some());
    }
}

#[test]
fn a_condvar_may_be_used_across_a_caught_unwind() {
    fn is_unwind_safe<T: UnwindSafe + RefUnwindSafe>() {}
    is_unwind_safe::<Condvar>();
    assert_eq!(format!("{:?}", Condvar::default()), "Condvar { .. }");
}
