//! Timeouts: who is unwound, what wins, what a wake that came before keeps.
mod steps;

use maypole::task::{check_killed, current, park, park_timeout, shield};
use maypole::time::{Elapsed, now, timeout};
use maypole::{sleep, spawn, yield_now};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};
use steps::{Log, OnDrop, message_of, ms, on_virtual_time, unwinds};

#[test]
fn a_closure_that_parks_past_the_deadline_is_unwound_with_its_destructors() {
    on_virtual_time(|| {
        let log = Log::new();
        let start = now();
        let result = timeout(ms(10), || {
            let _gone = log.on_drop("destructor");
            park();
            log.add("never");
        });
        assert_eq!(result, Err(Elapsed));
        assert_eq!((log.text().as_str(), now() - start), ("destructor", ms(10)));
        assert!(Elapsed.to_string().contains("elapsed"));
    });
}

#[test]
fn a_closure_in_time_gives_its_value_and_disarms_the_timer() {
    on_virtual_time(|| {
        assert_eq!(timeout(ms(10), || sleep(ms(5))), Ok(()));
        // Nothing rings later.
        sleep(ms(100));
        assert_eq!(timeout(ms(10), || "value"), Ok("value"));
    });
}

#[test]
fn a_closure_that_returns_late_is_ok() {
    on_virtual_time(|| {
        let start = now();
        let result = timeout(ms(10), || shield(|| sleep(ms(30))));
        assert_eq!((result, now() - start), (Ok(()), ms(30)));
    });
}

#[test]
fn a_wake_before_the_deadline_keeps_its_value() {
    on_virtual_time(|| {
        // The sleeper and the deadline are due in the same tick; the sleeper was first.
        let handle = spawn(|| {
            sleep(ms(10));
            "value"
        });
        yield_now();
        let result = timeout(ms(20), || handle.join().unwrap());
        assert_eq!(result, Ok("value"));
        sleep(ms(50));
    });
}

#[test]
fn a_value_that_comes_after_the_timeout_is_still_there() {
    on_virtual_time(|| {
        let mut handle = spawn(|| {
            sleep(ms(30));
            "late value"
        });
        let result = timeout(ms(10), || handle.join_timeout(Duration::MAX).is_some());
        assert_eq!(result, Err(Elapsed));
        assert_eq!(handle.join().unwrap(), "late value");
    });
}

#[test]
fn an_unpark_and_a_deadline_in_one_tick_have_one_outcome() {
    for unpark_first in [true, false] {
        on_virtual_time(|| {
            let waiting = spawn(move || timeout(ms(10), park));
            let waker = {
                let task = waiting.task().clone();
                spawn(move || {
                    sleep(ms(if unpark_first { 9 } else { 10 }));
                    task.unpark();
                })
            };
            let result = waiting.join().unwrap();
            assert_eq!(result, if unpark_first { Ok(()) } else { Err(Elapsed) });
            waker.join().unwrap();
        });
    }
}

#[test]
fn a_kill_and_a_deadline_in_one_tick_have_one_outcome() {
    for (kill_at, is_killed) in [(9, true), (10, true), (11, false)] {
        on_virtual_time(|| {
            let log = Log::new();
            let theirs = log.clone();
            let victim = spawn(move || {
                let result = timeout(ms(10), || {
                    let _unwound = theirs.on_drop("unwound");
                    park();
                });
                assert_eq!(result, Err(Elapsed));
                theirs.add("elapsed");
            });
            sleep(ms(kill_at));
            victim.kill("test");
            let ended = victim.join();
            // What was parked was unwound once, by the one or by the other.
            assert_eq!(
                log.steps().iter().filter(|step| *step == "unwound").count(),
                1
            );
            match is_killed {
                true => assert!(ended.unwrap_err().is_killed()),
                false => assert_eq!(log.text(), "unwound elapsed"),
            }
        });
    }
}

#[test]
fn the_inner_of_two_timeouts_is_caught_inside_only() {
    on_virtual_time(|| {
        let log = Log::new();
        let start = now();
        let result = timeout(Duration::from_secs(5), || {
            assert_eq!(timeout(Duration::from_secs(1), park), Err(Elapsed));
            log.add("inner");
            sleep(Duration::from_secs(1));
            "outer value"
        });
        assert_eq!((result, log.text().as_str()), (Ok("outer value"), "inner"));
        assert_eq!(now() - start, Duration::from_secs(2));
    });
}

#[test]
fn the_outer_of_two_timeouts_passes_through_the_inner_one() {
    on_virtual_time(|| {
        let log = Log::new();
        let result = timeout(ms(10), || {
            let inner = timeout(ms(100), park);
            log.add(format!("never {inner:?}"));
        });
        assert_eq!(result, Err(Elapsed));
        assert!(log.steps().is_empty());
    });
}

#[test]
fn of_several_expired_timeouts_the_outermost_wins() {
    on_virtual_time(|| {
        let log = Log::new();
        let result = timeout(ms(30), || {
            let middle = timeout(ms(20), || {
                let inner = timeout(ms(10), || {
                    shield(|| sleep(ms(25)));
                    sleep(ms(1));
                });
                log.add(format!("never {inner:?}"));
            });
            log.add(format!("middle {middle:?}"));
            "outer in time"
        });
        assert_eq!(result, Ok("outer in time"));
        assert_eq!(log.text(), "middle Err(Elapsed)");
    });
}

#[test]
fn timeouts_nest_fifty_deep() {
    fn nest(depth: u64) -> u64 {
        match depth {
            0 => {
                sleep(Duration::from_secs(1000));
                0
            }
            // The innermost expires first, each outer one a little later.
            _ => timeout(ms(200 - depth), || nest(depth - 1)).unwrap_or(depth),
        }
    }
    on_virtual_time(|| {
        let start = now();
        assert_eq!(nest(50), 50);
        assert_eq!(now() - start, ms(150));
    });
}

#[test]
fn a_pending_kill_wins_over_an_expired_timeout() {
    on_virtual_time(|| {
        let log = Log::new();
        let theirs = log.clone();
        let victim = spawn(move || {
            let result = timeout(ms(10), || {
                shield(|| sleep(ms(20)));
                sleep(ms(1));
            });
            theirs.add(format!("never {result:?}"));
        });
        sleep(ms(5));
        victim.kill("test");
        assert!(victim.join().unwrap_err().is_killed());
        assert!(log.steps().is_empty());
    });
}

#[test]
fn a_timeout_in_a_killed_task_is_unwound_by_the_kill() {
    on_virtual_time(|| {
        let log = Log::new();
        let theirs = log.clone();
        let victim = spawn(move || {
            current().kill("by itself");
            theirs.add("entered");
            let result = timeout(Duration::ZERO, || sleep(ms(1)));
            theirs.add(format!("never {result:?}"));
        });
        assert!(victim.join().unwrap_err().is_killed());
        assert_eq!(log.text(), "entered");
    });
}

#[test]
fn a_shield_inside_holds_the_timeout_back_until_it_ends() {
    on_virtual_time(|| {
        let log = Log::new();
        let start = now();
        let result = timeout(ms(10), || {
            shield(|| {
                sleep(ms(30));
                log.add("shielded");
            });
            yield_now();
            log.add("never");
        });
        assert_eq!((result, log.text().as_str()), (Err(Elapsed), "shielded"));
        assert_eq!(now() - start, ms(30));
    });
}

#[test]
fn a_shield_outside_does_not_hold_the_timeout_back() {
    on_virtual_time(|| {
        let result = shield(|| timeout(ms(10), park));
        assert_eq!(result, Err(Elapsed));
    });
}

#[test]
fn a_closure_that_swallows_the_unwind_once_is_unwound_at_its_next_park() {
    on_virtual_time(|| {
        let log = Log::new();
        let result = timeout(ms(10), || {
            assert!(unwinds(park));
            log.add("swallowed");
            assert!(unwinds(yield_now));
            log.add("again");
            sleep(ms(1));
            log.add("never");
        });
        assert_eq!(
            (result, log.text().as_str()),
            (Err(Elapsed), "swallowed again")
        );
    });
}

#[test]
fn a_closure_that_swallows_the_unwind_and_returns_is_ok() {
    on_virtual_time(|| {
        let result = timeout(ms(10), || unwinds(park));
        assert_eq!(result, Ok(true));
        // The deadline is over with the timeout.
        sleep(ms(1));
    });
}

#[test]
fn a_panic_inside_a_timeout_comes_out_unchanged() {
    on_virtual_time(|| {
        let message = message_of(|| timeout(ms(10), || -> () { panic!("of the closure") }));
        assert_eq!(message, "of the closure");
        sleep(ms(50));
    });
}

#[test]
fn the_unwind_of_one_timeout_kept_and_raised_in_another_is_not_its_own() {
    on_virtual_time(|| {
        let mut kept = None;
        let first = timeout(ms(10), || {
            kept = catch_unwind(AssertUnwindSafe(park)).err();
        });
        assert_eq!(first, Ok(()));
        let raised = catch_unwind(AssertUnwindSafe(|| {
            timeout(ms(10), || -> () {
                std::panic::resume_unwind(kept.take().unwrap())
            })
        }));
        assert!(raised.is_err(), "it belongs to no timeout any more");
    });
}

#[test]
fn a_zero_timeout_unwinds_at_the_first_wait() {
    on_virtual_time(|| {
        let start = now();
        assert_eq!(timeout(Duration::ZERO, park), Err(Elapsed));
        assert_eq!(timeout(Duration::ZERO, || 5), Ok(5));
        assert_eq!(now(), start);
    });
}

#[test]
fn the_longest_timeout_never_expires() {
    on_virtual_time(|| {
        let year = Duration::from_secs(86_400 * 365);
        assert_eq!(timeout(Duration::MAX, || sleep(year)), Ok(()));
    });
}

#[test]
fn a_timeout_interrupts_tasks_that_only_yield() {
    maypole::run(|| {
        let result = timeout(ms(3), || {
            loop {
                yield_now();
            }
        });
        assert_eq!(result, Err::<(), _>(Elapsed));
    });
}

#[test]
fn check_killed_sees_a_timeout_that_expires_while_the_task_computes() {
    maypole::run(|| {
        let result = timeout(ms(3), || {
            let start = Instant::now();
            while start.elapsed() < Duration::from_secs(60) {
                check_killed();
            }
        });
        assert_eq!(result, Err(Elapsed));
    });
}

#[test]
fn a_timed_wait_inside_a_timeout_ends_by_whichever_comes_first() {
    on_virtual_time(|| {
        assert_eq!(timeout(ms(10), || park_timeout(ms(5))), Ok(()));
        assert_eq!(timeout(ms(5), || park_timeout(ms(10))), Err(Elapsed));
    });
}

#[test]
fn a_timeout_in_a_destructor_that_runs_while_unwinding_expires() {
    on_virtual_time(|| {
        let log = Log::new();
        let theirs = log.clone();
        let task = spawn(move || {
            let _cleanup = OnDrop(|| {
                let result = timeout(ms(10), park);
                theirs.add(format!("{result:?} {}", std::thread::panicking()));
            });
            park();
        });
        yield_now();
        yield_now();
        task.kill("test");
        sleep(ms(5));
        assert!(!std::thread::panicking());
        assert!(task.join().unwrap_err().is_killed());
        assert_eq!(log.text(), "Err(Elapsed) true");
    });
}

#[test]
fn a_timeout_entered_around_an_unwind_lets_destructors_finish_their_waits() {
    on_virtual_time(|| {
        let log = Log::new();
        let start = now();
        let result = timeout(ms(10), || {
            let _cleanup = OnDrop(|| {
                sleep(ms(20));
                log.add("cleaned up");
            });
            park();
        });
        assert_eq!((result, log.text().as_str()), (Err(Elapsed), "cleaned up"));
        assert_eq!(now() - start, ms(30));
    });
}

#[test]
fn a_thousand_tasks_time_out_each_on_its_own() {
    on_virtual_time(|| {
        let tasks: Vec<_> = (0..1000_u64)
            .map(|n| spawn(move || timeout(ms(n % 20), || sleep(ms(10))).is_ok() == (n % 20 > 10)))
            .collect();
        let right = tasks
            .into_iter()
            .filter(|_| true)
            .map(|task| task.join().unwrap());
        // Where both are due in the same tick, the sleep was armed last: the timeout wins.
        assert_eq!(right.filter(|right| *right).count(), 1000);
    });
}

#[test]
fn a_timeout_outside_of_a_run_is_refused() {
    let message = message_of(|| timeout(ms(1), || ()));
    assert!(message.contains("outside of maypole::run"), "{message}");
}
