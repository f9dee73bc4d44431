//! Sleeping, deadlines and ticks, on virtual time and on the real clock.
mod steps;

use maypole::time::{interval, now, sleep_until};
use maypole::{Builder, Clock, RunError, sleep, spawn, yield_now};
use std::time::{Duration, Instant};
use steps::{Log, message_of, ms, on_virtual_time};

#[test]
fn sleepers_wake_in_the_order_of_their_deadlines() {
    on_virtual_time(|| {
        let log = Log::new();
        let sleepers = [30, 10, 20, 0].map(|delay| {
            let log = log.clone();
            spawn(move || {
                sleep(ms(delay));
                log.add(delay);
            })
        });
        for sleeper in sleepers {
            sleeper.join().unwrap();
        }
        assert_eq!(log.text(), "0 10 20 30");
    });
}

#[test]
fn equal_deadlines_are_first_in_first_out() {
    on_virtual_time(|| {
        let log = Log::new();
        let deadline = now() + ms(10);
        let sleepers: Vec<_> = (0..100)
            .map(|n| {
                let log = log.clone();
                spawn(move || {
                    sleep_until(deadline);
                    log.add(n);
                })
            })
            .collect();
        sleepers
            .into_iter()
            .for_each(|sleeper| sleeper.join().unwrap());
        let expected: Vec<String> = (0..100).map(|n| n.to_string()).collect();
        assert_eq!(log.steps(), expected);
    });
}

#[test]
fn a_zero_sleep_is_one_pass_of_the_other_ready_tasks() {
    on_virtual_time(|| {
        let log = Log::new();
        for name in ["a", "b", "c"] {
            let log = log.clone();
            spawn(move || {
                loop {
                    log.add(name);
                    yield_now();
                }
            });
        }
        log.add("0");
        sleep(Duration::ZERO);
        log.add("1");
        sleep(Duration::ZERO);
        log.add("2");
        assert_eq!(log.text(), "0 a b c 1 a b c 2");
    });
}

#[test]
fn a_deadline_that_is_past_gives_one_turn_to_the_others() {
    on_virtual_time(|| {
        sleep(ms(50));
        let log = Log::new();
        let theirs = log.clone();
        spawn(move || {
            loop {
                theirs.add("other");
                yield_now();
            }
        });
        sleep_until(now() - ms(20));
        log.add("main");
        sleep_until(now());
        log.add("main");
        assert_eq!(log.text(), "other main other main");
    });
}

#[test]
fn a_sleep_for_ever_ends_by_a_kill_alone() {
    on_virtual_time(|| {
        let sleeper = spawn(|| sleep(Duration::MAX));
        sleep(Duration::from_secs(86_400 * 365 * 10));
        assert!(!sleeper.is_finished());
        sleeper.kill("enough");
        assert!(sleeper.join().unwrap_err().is_killed());
    });
}

#[test]
fn a_sleep_for_ever_that_nobody_can_end_is_a_deadlock() {
    let ended = Builder::new()
        .clock(Clock::Virtual)
        .run(|| sleep(Duration::MAX));
    assert!(matches!(ended, Err(RunError::Deadlock(_))));
}

#[test]
fn a_killed_sleeper_leaves_no_timer_that_holds_time_up() {
    on_virtual_time(|| {
        let start = now();
        let sleeper = spawn(|| sleep(Duration::from_secs(1000)));
        yield_now();
        sleeper.kill("test");
        assert!(sleeper.join().unwrap_err().is_killed());
        sleep(ms(1));
        assert_eq!(now() - start, ms(1));
    });
}

#[test]
fn a_day_of_virtual_time_takes_no_time() {
    let real = Instant::now();
    on_virtual_time(|| {
        let start = now();
        for _ in 0..24 {
            sleep(Duration::from_secs(3600));
        }
        assert_eq!(now() - start, Duration::from_secs(86_400));
    });
    assert!(real.elapsed() < Duration::from_secs(20));
}

#[test]
fn virtual_time_stands_still_while_a_task_is_ready() {
    on_virtual_time(|| {
        let start = now();
        let sleeper = spawn(move || {
            sleep(ms(1));
            now() - start
        });
        for _ in 0..1000 {
            yield_now();
        }
        assert_eq!(now(), start);
        assert_eq!(sleeper.join().unwrap(), ms(1));
    });
}

#[test]
fn the_real_clock_never_wakes_early() {
    maypole::run(|| {
        let sleepers: Vec<_> = (0..20_u64)
            .map(|n| {
                spawn(move || {
                    let duration = Duration::from_micros(n * 371);
                    let start = Instant::now();
                    sleep(duration);
                    assert!(start.elapsed() >= duration);
                    let deadline = Instant::now() + duration;
                    sleep_until(deadline);
                    assert!(Instant::now() >= deadline);
                })
            })
            .collect();
        sleepers
            .into_iter()
            .for_each(|sleeper| sleeper.join().unwrap());
    });
}

#[test]
fn a_sleeper_wakes_although_other_tasks_stay_ready() {
    maypole::run(|| {
        spawn(|| {
            loop {
                yield_now();
            }
        });
        sleep(ms(2));
    });
}

#[test]
fn slack_lets_near_deadlines_share_one_wake_up() {
    Builder::new()
        .timer_slack(ms(60))
        .run(|| {
            let log = Log::new();
            let start = Instant::now();
            let first = {
                let log = log.clone();
                spawn(move || {
                    sleep(ms(20));
                    log.add("first");
                })
            };
            // It sets its deadline first, however slow the machine is.
            yield_now();
            sleep(ms(25));
            log.add("second");
            first.join().unwrap();
            assert_eq!(log.text(), "first second");
            // Without slack both would be awake after 25 ms.
            assert!(start.elapsed() >= ms(80), "{:?}", start.elapsed());
        })
        .unwrap();
}

#[test]
fn an_interval_ticks_in_its_rhythm() {
    on_virtual_time(|| {
        let start = now();
        let mut ticks = interval(ms(10));
        assert_eq!(ticks.period(), ms(10));
        for n in 1..=3 {
            assert_eq!(ticks.tick(), start + ms(10) * n);
            // Work that takes less than a period does not shift the rhythm.
            sleep(ms(7));
        }
        assert_eq!(now() - start, ms(37));
    });
}

#[test]
fn an_interval_leaves_late_ticks_out_and_keeps_its_rhythm() {
    on_virtual_time(|| {
        let start = now();
        let mut ticks = interval(ms(10));
        assert_eq!(ticks.tick(), start + ms(10));
        sleep(ms(35));
        assert_eq!(ticks.tick(), start + ms(40), "the latest that was due");
        assert_eq!(now(), start + ms(45));
        assert_eq!(ticks.tick(), start + ms(50));
    });
}

#[test]
fn a_tick_that_a_timeout_interrupts_is_not_lost() {
    on_virtual_time(|| {
        let start = now();
        let mut ticks = interval(ms(10));
        assert!(maypole::time::timeout(ms(4), || ticks.tick()).is_err());
        assert_eq!(ticks.tick(), start + ms(10));
    });
}

#[test]
fn an_interval_of_no_length_is_refused() {
    assert!(message_of(|| interval(Duration::ZERO)).contains("no length"));
}

#[test]
fn an_interval_of_the_longest_period_is_made() {
    on_virtual_time(|| {
        let mut ticks = interval(Duration::MAX);
        assert!(maypole::time::timeout(Duration::from_secs(1), || ticks.tick()).is_err());
    });
}

#[test]
fn outside_of_a_run_now_is_the_systems_and_sleeping_is_refused() {
    let before = Instant::now();
    let time = now();
    assert!(before <= time && time <= Instant::now());
    for message in [
        message_of(|| sleep(ms(1))),
        message_of(|| sleep(Duration::ZERO)),
        message_of(|| sleep_until(Instant::now())),
    ] {
        assert!(message.contains("outside of maypole::run"), "{message}");
        assert!(message.contains("sleep"), "{message}");
    }
}

#[test]
fn sleeping_where_yielding_is_forbidden_is_refused() {
    on_virtual_time(|| {
        for duration in [Duration::ZERO, ms(1), Duration::MAX] {
            let message = message_of(|| maypole::task::no_yield(|| sleep(duration)));
            assert!(message.contains("inside task::no_yield"), "{message}");
        }
    });
}

#[test]
fn ten_thousand_sleepers_wake_in_order() {
    on_virtual_time(|| {
        let log = std::rc::Rc::new(std::cell::RefCell::new(Vec::new()));
        let sleepers: Vec<_> = (0..10_000_u64)
            .map(|n| {
                let (log, delay) = (log.clone(), n * 7919 % 10_007);
                spawn(move || {
                    sleep(Duration::from_micros(delay + 1));
                    log.borrow_mut().push(delay);
                })
            })
            .collect();
        sleepers
            .into_iter()
            .for_each(|sleeper| sleeper.join().unwrap());
        assert!(log.borrow().is_sorted());
    });
}
