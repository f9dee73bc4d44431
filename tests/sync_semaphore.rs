//! The semaphore: its line, requests of many permits, and what kills and deadlines leave of it.
mod steps;

use maypole::sync::{Semaphore, SemaphorePermit};
use maypole::task::{Killed, Status, What, no_yield, park};
use maypole::time::{now, timeout};
use maypole::{Builder, RunError, run, scope, sleep, spawn, yield_now};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::rc::Rc;
use std::time::Duration;
use steps::{Log, OnDrop, message_of, ms, on_virtual_time};

/// A task that acquires `permits` and says so, then gives them back.
fn acquire(semaphore: &Rc<Semaphore>, permits: usize, log: &Log) -> maypole::JoinHandle<()> {
    let (semaphore, log) = (semaphore.clone(), log.clone());
    spawn(move || {
        let _permits = semaphore.acquire_many(permits);
        log.add(permits);
        yield_now();
    })
}

#[test]
fn permits_that_are_there_need_no_run() {
    let semaphore = Semaphore::new(3);
    let one = semaphore.acquire();
    let two = semaphore.acquire_many_timeout(2, ms(1)).unwrap();
    assert_eq!(
        (one.permits(), two.permits(), semaphore.available()),
        (1, 2, 0)
    );
    assert!(semaphore.try_acquire().is_none());
    drop((one, two));
    assert_eq!(semaphore.available(), 3);
}

#[test]
fn waiting_outside_of_a_run_panics_by_name() {
    let message = message_of(|| drop(Semaphore::new(0).acquire()));
    assert!(
        message.contains("acquire") && message.contains("maypole::run"),
        "{message}"
    );
}

#[test]
fn a_task_that_finds_too_few_parks_until_they_are_given_back() {
    run(|| {
        let semaphore = Rc::new(Semaphore::new(1));
        let permit = semaphore.acquire();
        let waiter = acquire(&semaphore, 1, &Log::new());
        yield_now();
        assert_eq!(waiter.task().status(), Status::Parked(What::Acquire));
        drop(permit);
        waiter.join().unwrap();
        assert_eq!(semaphore.available(), 1);
    });
}

#[test]
fn waiters_are_served_first_in_first_out() {
    run(|| {
        let (semaphore, log) = (Rc::new(Semaphore::new(1)), Log::new());
        let permit = semaphore.acquire();
        let waiters: Vec<_> = (0..10)
            .map(|n| {
                let (semaphore, log) = (semaphore.clone(), log.clone());
                spawn(move || {
                    let _permit = semaphore.acquire();
                    log.add(n);
                })
            })
            .collect();
        yield_now();
        drop(permit);
        waiters
            .into_iter()
            .for_each(|waiter| waiter.join().unwrap());
        assert_eq!(log.text(), "0 1 2 3 4 5 6 7 8 9");
    });
}

#[test]
fn a_big_request_is_not_overtaken_by_small_ones() {
    run(|| {
        let (semaphore, log) = (Rc::new(Semaphore::new(3)), Log::new());
        let held = [(); 3].map(|()| semaphore.acquire());
        let waiters = [acquire(&semaphore, 3, &log), acquire(&semaphore, 1, &log)];
        yield_now();
        let [first, second, third] = held;
        drop((first, second));
        // Two are there, but the first in line wants three.
        assert_eq!(semaphore.available(), 2);
        assert!(semaphore.try_acquire().is_none());
        yield_now();
        assert_eq!(log.text(), "");
        drop(third);
        for waiter in waiters {
            waiter.join().unwrap();
        }
        assert_eq!(log.text(), "3 1");
    });
}

#[test]
fn permits_that_go_further_than_the_first_serve_the_next_too() {
    run(|| {
        let (semaphore, log) = (Rc::new(Semaphore::new(0)), Log::new());
        let waiters = [2, 1, 1, 5].map(|permits| acquire(&semaphore, permits, &log));
        yield_now();
        semaphore.add_permits(5);
        // Handed over at once: what is left is too little for the last.
        assert_eq!(semaphore.available(), 1);
        yield_now();
        assert_eq!(log.text(), "2 1 1");
        for waiter in waiters {
            waiter.join().unwrap();
        }
        assert_eq!((log.text().as_str(), semaphore.available()), ("2 1 1 5", 5));
    });
}

#[test]
fn no_permits_at_all_are_always_there() {
    run(|| {
        let semaphore = Rc::new(Semaphore::new(0));
        let waiter = acquire(&semaphore, 1, &Log::new());
        yield_now();
        assert_eq!(semaphore.acquire_many(0).permits(), 0);
        assert_eq!(semaphore.try_acquire_many(0).unwrap().permits(), 0);
        semaphore.add_permits(1);
        waiter.join().unwrap();
    });
}

#[test]
fn nobody_takes_a_permit_from_the_task_that_it_was_handed_to() {
    run(|| {
        let (semaphore, log) = (Rc::new(Semaphore::new(0)), Log::new());
        let waiter = acquire(&semaphore, 1, &log);
        yield_now();
        semaphore.add_permits(1);
        assert!(semaphore.try_acquire().is_none());
        let _permit = semaphore.acquire();
        log.add("main");
        waiter.join().unwrap();
        assert_eq!(log.text(), "1 main");
    });
}

#[test]
fn many_permits_that_need_no_waiting_give_the_others_a_turn() {
    run(|| {
        let (semaphore, log) = (Semaphore::new(0), Log::new());
        let theirs = log.clone();
        let other = spawn(move || theirs.add("other"));
        for _ in 0..1000 {
            semaphore.add_permits(1);
            semaphore.acquire().forget();
        }
        assert_eq!(log.text(), "other");
        other.join().unwrap();
    });
}

#[test]
fn a_deadline_that_comes_first_gives_none_and_takes_nothing_along() {
    on_virtual_time(|| {
        let semaphore = Semaphore::new(2);
        let start = now();
        assert!(semaphore.acquire_many_timeout(3, ms(10)).is_none());
        assert!(semaphore.acquire_many_deadline(3, start + ms(20)).is_none());
        assert_eq!((now() - start, semaphore.available()), (ms(20), 2));
        let both = semaphore.acquire_many(2);
        assert!(semaphore.acquire_timeout(ms(10)).is_none());
        assert!(semaphore.acquire_deadline(start + ms(40)).is_none());
        assert_eq!(now() - start, ms(40));
        drop(both);
        assert_eq!(semaphore.available(), 2);
    });
}

#[test]
fn a_deadline_or_a_kill_of_the_first_lets_those_behind_it_pass() {
    on_virtual_time(|| {
        let (semaphore, log) = (Rc::new(Semaphore::new(2)), Log::new());
        let theirs = semaphore.clone();
        let late = spawn(move || theirs.acquire_many_timeout(3, ms(10)).is_none());
        let small = acquire(&semaphore, 1, &log);
        yield_now();
        assert_eq!(log.text(), "");
        assert!(late.join().unwrap());
        small.join().unwrap();
        assert_eq!(log.text(), "1");

        let big = acquire(&semaphore, 3, &log);
        let small = [acquire(&semaphore, 2, &log), acquire(&semaphore, 2, &log)];
        yield_now();
        assert_eq!(big.kill("not needed"), Killed::Parked);
        for small in small {
            small.join().unwrap();
        }
        assert!(big.join().unwrap_err().is_killed());
        assert_eq!((log.text().as_str(), semaphore.available()), ("1 2 2", 2));
    });
}

#[test]
fn a_timeout_around_the_first_lets_those_behind_it_pass() {
    on_virtual_time(|| {
        let (semaphore, log) = (Rc::new(Semaphore::new(1)), Log::new());
        let theirs = semaphore.clone();
        let late = spawn(move || timeout(ms(10), || drop(theirs.acquire_many(2))).is_err());
        yield_now();
        let small = acquire(&semaphore, 1, &log);
        small.join().unwrap();
        assert!(late.join().unwrap());
        assert_eq!(semaphore.available(), 1);
    });
}

#[test]
fn a_kill_after_the_hand_over_gives_the_permits_back() {
    run(|| {
        let (semaphore, log) = (Rc::new(Semaphore::new(0)), Log::new());
        let (theirs, their_log) = (semaphore.clone(), log.clone());
        let victim = spawn(move || {
            let _permits = theirs.acquire_many(2);
            their_log.add("got them");
            park();
        });
        yield_now();
        semaphore.add_permits(2);
        assert_eq!(victim.kill("too late"), Killed::Ready);
        assert!(victim.join().unwrap_err().is_killed());
        assert_eq!(
            (log.text().as_str(), semaphore.available()),
            ("got them", 2)
        );
    });
}

#[test]
fn holders_that_are_killed_or_panic_give_back() {
    run(|| {
        let semaphore = Rc::new(Semaphore::new(2));
        let holders = [true, false].map(|panics| {
            let semaphore = semaphore.clone();
            spawn(move || {
                let _permit = semaphore.acquire();
                yield_now();
                match panics {
                    true => panic!("with a permit"),
                    false => park(),
                }
            })
        });
        yield_now();
        yield_now();
        holders[1].kill("enough");
        let both = semaphore.acquire_many(2);
        assert_eq!(both.permits(), 2);
        for holder in holders {
            holder.join().unwrap_err();
        }
    });
}

#[test]
fn a_destructor_may_wait_for_a_permit_while_its_task_is_killed() {
    run(|| {
        let semaphore = Rc::new(Semaphore::new(1));
        let permit = semaphore.acquire();
        let theirs = semaphore.clone();
        let victim = spawn(move || {
            let _cleanup = OnDrop(|| drop(theirs.acquire()));
            park();
        });
        yield_now();
        victim.kill("enough");
        yield_now();
        assert!(!victim.is_finished());
        drop(permit);
        assert!(victim.join().unwrap_err().is_killed());
        assert_eq!(semaphore.available(), 1);
    });
}

#[test]
fn a_forgotten_permit_is_gone_and_an_added_one_replaces_it() {
    run(|| {
        let semaphore = Semaphore::new(1);
        semaphore.acquire().forget();
        assert!(semaphore.try_acquire().is_none());
        semaphore.add_permits(1);
        std::mem::forget(semaphore.acquire());
        assert_eq!(semaphore.available(), 0);
    });
}

#[test]
fn a_permit_may_be_given_back_by_another_task() {
    run(|| {
        let semaphore = Semaphore::new(1);
        scope(|s| {
            let permit = semaphore.acquire();
            s.spawn(move || drop(permit)).join().unwrap();
            drop(semaphore.acquire());
        });
    });
}

#[test]
fn a_task_may_take_several_and_the_deadlock_that_this_makes_is_reported() {
    let stuck = Builder::new().run(|| {
        let semaphore = Semaphore::named("seats", 2);
        let _one = semaphore.acquire();
        let _other = semaphore.acquire();
        drop(semaphore.acquire());
    });
    let Err(RunError::Deadlock(report)) = stuck else {
        panic!("nobody gives one back");
    };
    let report = report.to_string();
    assert!(report.contains("Semaphore 'seats'"), "{report}");
    assert!(report.contains("held by itself"), "{report}");
}

#[test]
fn whoever_has_given_back_or_forgotten_its_permits_is_not_reported_as_a_holder() {
    let stuck = Builder::new().run(|| {
        let semaphore = Semaphore::named("seats", 2);
        drop(semaphore.acquire());
        semaphore.acquire_many(2).forget();
        drop(semaphore.acquire());
    });
    let Err(RunError::Deadlock(report)) = stuck else {
        panic!("nobody adds one");
    };
    assert!(!report.to_string().contains("held by"), "{report}");
}

#[test]
fn more_permits_than_can_be_counted_panic_by_name() {
    let semaphore = Semaphore::named("too many", usize::MAX);
    let message = message_of(|| semaphore.add_permits(1));
    assert!(message.contains("'too many'"), "{message}");
    assert_eq!(semaphore.available(), usize::MAX);
}

#[test]
fn waiting_is_refused_where_nobody_may_yield() {
    run(|| {
        let semaphore = Semaphore::new(1);
        let message = message_of(|| no_yield(|| semaphore.acquire_many(2)));
        assert!(message.contains("no_yield"), "{message}");
        // The refused one stands in nobody's way.
        no_yield(|| drop(semaphore.acquire()));
    });
}

#[test]
fn a_semaphore_may_outlive_a_run_in_which_tasks_waited_for_it() {
    let semaphore = Rc::new(Semaphore::new(1));
    for _ in 0..3 {
        run(|| {
            let permit = semaphore.acquire();
            let waiters = [1, 1, 1].map(|n| acquire(&semaphore, n, &Log::new()));
            let left_over = acquire(&semaphore, 2, &Log::new());
            yield_now();
            drop(permit);
            for waiter in waiters {
                waiter.join().unwrap();
            }
            drop(left_over);
        });
        assert_eq!(semaphore.available(), 1);
        assert!(semaphore.try_acquire().is_some());
    }
}

#[test]
fn debug_shows_what_is_available() {
    let semaphore = Semaphore::new(3);
    let permits = semaphore.acquire_many(2);
    assert_eq!(format!("{semaphore:?}"), "Semaphore { available: 1, .. }");
    assert_eq!(format!("{permits:?}"), "SemaphorePermit { permits: 2, .. }");
}

#[test]
fn a_semaphore_may_be_used_across_a_caught_unwind() {
    fn is_unwind_safe<T: UnwindSafe + RefUnwindSafe>() {}
    is_unwind_safe::<Semaphore>();
    is_unwind_safe::<SemaphorePermit<'static>>();
}

#[test]
fn so_many_at_a_time_and_no_more() {
    on_virtual_time(|| {
        let (semaphore, start) = (Rc::new(Semaphore::new(4)), now());
        let clients: Vec<_> = (0..100)
            .map(|_| {
                let semaphore = semaphore.clone();
                spawn(move || {
                    let _permit = semaphore.acquire();
                    sleep(Duration::from_secs(1));
                })
            })
            .collect();
        clients
            .into_iter()
            .for_each(|client| client.join().unwrap());
        // Four at a time, and always four.
        assert_eq!(now() - start, Duration::from_secs(25));
    });
}
