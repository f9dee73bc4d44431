//! Each primitive in small programs, under every order in which their tasks could take turns.
mod steps;

use maypole::explore::{Explorer, Switches};
use maypole::sync::{Barrier, Condvar, Event, Mutex, OnceCell, RwLock, Semaphore, WaitGroup};
use maypole::task::{Killed, Status, What};
use maypole::time::timeout;
use maypole::{scope, sleep, spawn, yield_now};
use std::cell::Cell;
use std::rc::Rc;
use steps::ms;

/// Runs `f` under all schedules with switches where tasks park, and then, with a few forced ones,
/// where every operation is a switch.
#[track_caller]
fn in_every_order(f: impl Fn()) {
    for (switches, forced) in [(Switches::Parking, 2), (Switches::Everywhere, 2)] {
        let explorer = Explorer::new().switches(switches).forced(forced);
        let outcome = explorer.check(&f);
        if let Some(failure) = &outcome.failure {
            panic!("{failure}");
        }
        let tried = outcome.schedules;
        let all = outcome.forced == Some(forced) || outcome.complete;
        assert!(
            all && outcome.cut == 0,
            "{tried} schedules were not all: {outcome:?}"
        );
        assert!(tried > 1, "only one order was tried");
    }
}

#[test]
fn a_mutex_keeps_what_is_done_across_a_yield_whole() {
    in_every_order(|| {
        let total = Mutex::new(0);
        scope(|s| {
            for _ in 0..3 {
                s.spawn(|| {
                    let mut total = total.lock();
                    let before = *total;
                    yield_now();
                    *total = before + 1;
                });
            }
        });
        assert_eq!(*total.lock(), 3);
    });
}

#[test]
fn a_mutex_is_free_at_the_end_whoever_was_killed_or_came_too_late() {
    in_every_order(|| {
        let mutex = Rc::new(Mutex::new(0));
        let theirs = mutex.clone();
        let victim = spawn(move || {
            let mut guard = theirs.lock();
            *guard += 1;
            yield_now();
        });
        let theirs = mutex.clone();
        let patient = spawn(move || *theirs.lock() += 1);
        let theirs = mutex.clone();
        let hasty = spawn(move || drop(theirs.lock_timeout(ms(1))));
        yield_now();
        victim.kill("at some point");
        patient.join().unwrap();
        hasty.join().unwrap();
        drop(victim.join());
        let value = mutex.try_lock().expect("nobody is left that could hold it");
        assert!(*value == 1 || *value == 2);
    });
}

#[test]
fn try_lock_succeeds_only_where_nobody_is_inside() {
    in_every_order(|| {
        let (mutex, inside) = (Mutex::new(()), Cell::new(0));
        scope(|s| {
            for tries in [true, false, false] {
                let (mutex, inside) = (&mutex, &inside);
                s.spawn(move || {
                    let guard = match tries {
                        true => mutex.try_lock(),
                        false => Some(mutex.lock()),
                    };
                    if let Some(_guard) = guard {
                        inside.set(inside.get() + 1);
                        assert_eq!(inside.get(), 1);
                        yield_now();
                        inside.set(inside.get() - 1);
                    }
                });
            }
        });
    });
}

#[test]
fn readers_share_and_writers_are_alone_whoever_is_killed() {
    in_every_order(|| {
        let (lock, inside) = (Rc::new(RwLock::new(0)), Rc::new(Cell::new(0_i32)));
        let read = |lock: Rc<RwLock<u32>>, inside: Rc<Cell<i32>>| {
            move || {
                let value = lock.read();
                assert!(inside.get() >= 0);
                inside.set(inside.get() + 1);
                let left = steps::OnDrop(|| inside.set(inside.get() - 1));
                let before = *value;
                yield_now();
                assert_eq!(*value, before);
                drop(left);
            }
        };
        let write = |lock: Rc<RwLock<u32>>, inside: Rc<Cell<i32>>| {
            move || {
                let mut value = lock.write();
                assert_eq!(inside.replace(-1), 0);
                let left = steps::OnDrop(|| inside.set(0));
                *value += 1;
                yield_now();
                drop(left);
            }
        };
        let reader = spawn(read(lock.clone(), inside.clone()));
        let victim = spawn(write(lock.clone(), inside.clone()));
        let behind = spawn(read(lock.clone(), inside.clone()));
        yield_now();
        victim.kill("at some point");
        reader.join().unwrap();
        behind.join().unwrap();
        drop(victim.join());
        assert!(lock.try_write().is_some());
        assert_eq!(inside.get(), 0);
    });
}

#[test]
fn a_downgraded_writer_is_never_overtaken_by_another() {
    in_every_order(|| {
        let lock = RwLock::new(0);
        scope(|s| {
            for _ in 0..2 {
                s.spawn(|| {
                    let mut value = lock.write();
                    *value += 1;
                    let written = *value;
                    let value = maypole::sync::RwLockWriteGuard::downgrade(value);
                    yield_now();
                    assert_eq!(*value, written);
                });
            }
        });
        assert_eq!(*lock.read(), 2);
    });
}

#[test]
fn no_permit_is_lost_whoever_is_killed_or_comes_too_late() {
    in_every_order(|| {
        let semaphore = Rc::new(Semaphore::new(2));
        let take = |permits: usize| {
            let semaphore = semaphore.clone();
            move || {
                let _permits = semaphore.acquire_many(permits);
                yield_now();
            }
        };
        let (victim, small) = (spawn(take(2)), spawn(take(1)));
        let theirs = semaphore.clone();
        let hasty = spawn(move || drop(theirs.acquire_many_timeout(2, ms(1))));
        yield_now();
        victim.kill("at some point");
        small.join().unwrap();
        hasty.join().unwrap();
        drop(victim.join());
        assert_eq!(semaphore.available(), 2);
        assert!(semaphore.try_acquire_many(2).is_some());
    });
}

#[test]
fn no_wake_of_a_condvar_is_lost_with_a_waiter_that_is_killed() {
    in_every_order(|| {
        let pair = Rc::new((Mutex::new(()), Condvar::new()));
        let received = Rc::new(Cell::new(0));
        let waiters = [(); 2].map(|()| {
            let (pair, received) = (pair.clone(), received.clone());
            spawn(move || {
                let guard = pair.1.wait(pair.0.lock());
                received.set(received.get() + 1);
                drop(guard);
            })
        });
        yield_now();
        let waits = Status::Parked(What::Condvar);
        let guard = pair.0.lock();
        let sent = waiters.iter().any(|waiter| waiter.task().status() == waits);
        pair.1.notify_one();
        waiters[0].kill("at some point");
        yield_now();
        drop(guard);
        yield_now();
        sleep(ms(1));
        assert_eq!(received.get(), u32::from(sent));
        waiters[1].kill("not needed any more");
        for waiter in waiters {
            drop(waiter.join());
        }
        assert!(pair.0.try_lock().is_some());
    });
}

#[test]
fn a_kill_reaches_a_waiter_of_a_condvar_wherever_it_is() {
    in_every_order(|| {
        let pair = Rc::new((Mutex::new(()), Condvar::new()));
        let victims = [(); 2].map(|()| {
            let pair = pair.clone();
            spawn(move || drop(pair.1.wait(pair.0.lock())))
        });
        yield_now();
        for victim in victims {
            victim.kill("at some point");
            assert!(victim.join().unwrap_err().is_killed());
        }
        assert!(pair.0.try_lock().is_some());
    });
}

#[test]
fn a_consumer_gets_what_a_producer_fills_in() {
    in_every_order(|| {
        let (jobs, filled) = (Mutex::new(0), Condvar::new());
        scope(|s| {
            for _ in 0..2 {
                s.spawn(|| *filled.wait_while(jobs.lock(), |jobs| *jobs == 0) -= 1);
            }
            for _ in 0..2 {
                *jobs.lock() += 1;
                filled.notify_one();
            }
        });
        assert_eq!(*jobs.lock(), 0);
    });
}

#[test]
fn a_timed_wait_is_woken_or_times_out_and_never_both() {
    in_every_order(|| {
        let (ready, changed) = (Mutex::new(false), Condvar::new());
        scope(|s| {
            s.spawn(|| {
                sleep(ms(1));
                *ready.lock() = true;
                changed.notify_one();
            });
            let (guard, result) = changed.wait_timeout(ready.lock(), ms(1));
            assert!(*guard || result.timed_out());
            drop(guard);
            // The wake, if it was one, is not there a second time.
            assert!(changed.wait_timeout(ready.lock(), ms(5)).1.timed_out() || result.timed_out());
        });
    });
}

#[test]
fn a_barrier_lets_as_many_pass_as_it_is_for_whoever_is_killed() {
    in_every_order(|| {
        let barrier = Rc::new(Barrier::new(2));
        let (leaders, passed) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
        let parties = [(); 3].map(|()| {
            let (barrier, leaders) = (barrier.clone(), leaders.clone());
            let passed = passed.clone();
            spawn(move || {
                let leads = barrier.wait().is_leader();
                leaders.set(leaders.get() + u32::from(leads));
                passed.set(passed.get() + 1);
            })
        });
        let caught = parties[0].kill("at some point");
        sleep(ms(1));
        // Two of three, or two that were left.
        assert_eq!((leaders.get(), passed.get()), (1, 2), "{caught:?}");
        for party in parties {
            party.kill("the one that is left");
            drop(party.join());
        }
    });
}

#[test]
fn a_value_is_made_once_whoever_fails_or_is_killed() {
    in_every_order(|| {
        let (cell, made) = (Rc::new(OnceCell::new()), Rc::new(Cell::new(0)));
        let make = |fails: bool| {
            let (cell, made) = (cell.clone(), made.clone());
            move || {
                let value = cell.get_or_try_init(|| {
                    yield_now();
                    match fails {
                        true => Err(()),
                        false => Ok(made.replace(made.get() + 1)),
                    }
                });
                value.copied()
            }
        };
        let (victim, fails, makes) = (spawn(make(false)), spawn(make(true)), spawn(make(false)));
        yield_now();
        victim.kill("at some point");
        assert_eq!(makes.join().unwrap(), Ok(0));
        assert!(matches!(fails.join().unwrap(), Ok(0) | Err(())));
        drop(victim.join());
        assert_eq!((made.get(), cell.wait()), (1, &0));
    });
}

#[test]
fn an_event_wakes_whoever_waits_and_stays_set() {
    in_every_order(|| {
        let event = Rc::new(Event::new());
        let waiters = [(); 2].map(|()| {
            let event = event.clone();
            spawn(move || event.wait())
        });
        let theirs = event.clone();
        let setter = spawn(move || theirs.set());
        let caught = waiters[0].kill("at some point");
        setter.join().unwrap();
        let [killed, woken] = waiters.map(|waiter| waiter.join());
        assert!(woken.is_ok() && event.is_set());
        assert!(killed.is_err() || caught == Killed::Finished);
    });
}

#[test]
fn a_fired_event_wakes_those_that_wait_and_no_other() {
    in_every_order(|| {
        let (event, waits) = (Rc::new(Event::new()), Status::Parked(What::Event));
        let waiters = [(); 2].map(|()| {
            let event = event.clone();
            spawn(move || event.wait_timeout(ms(10)))
        });
        yield_now();
        let expected = [0, 1].map(|n: usize| waiters[n].task().status() == waits);
        // Nobody comes between the look and the wake but where every operation is a switch.
        event.fire();
        let woken = waiters.map(|waiter| waiter.join().unwrap());
        for (woken, expected) in woken.into_iter().zip(expected) {
            assert!(woken || !expected);
        }
    });
}

#[test]
fn a_group_is_waited_for_until_all_have_left_whoever_is_killed() {
    in_every_order(|| {
        let (group, left) = (WaitGroup::new(), Rc::new(Cell::new(0)));
        let members = [(); 2].map(|()| {
            let (member, left) = (group.clone(), left.clone());
            spawn(move || {
                let _leaves = (steps::OnDrop(|| left.set(left.get() + 1)), member);
                yield_now();
            })
        });
        members[0].kill("at some point");
        group.wait();
        // Neither is in any more: one that had not begun has left without a word.
        assert!(left.get() >= 1);
        for member in members {
            drop(member.join());
        }
    });
}

#[test]
fn an_expired_timeout_leaves_a_lock_as_it_was() {
    in_every_order(|| {
        let mutex = Mutex::new(0);
        scope(|s| {
            s.spawn(|| {
                let _guard = mutex.lock();
                sleep(ms(1));
            });
            s.spawn(|| {
                if let Ok(mut guard) = timeout(ms(1), || mutex.lock()) {
                    *guard += 1;
                }
            });
            *mutex.lock() += 1;
        });
        assert!(matches!(mutex.into_inner(), 1 | 2));
    });
}
