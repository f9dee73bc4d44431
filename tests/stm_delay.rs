//! `delay`: a variable that comes true by itself.
#![allow(
    clippy::unit_arg,
    reason = "a transaction of one step reads best in one line"
)]
mod steps;

use maypole::stm::{TVar, atomically, check, delay, retry};
use maypole::time::now;
use maypole::{Builder, Clock, RunError, run, sleep, spawn, yield_now};
use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};
use steps::{Log, ms, on_virtual_time};

#[test]
fn a_delay_is_false_before_its_time_and_true_from_then_on() {
    on_virtual_time(|| {
        let late = delay(ms(50));
        assert!(!late.get());
        sleep(ms(49));
        assert!(!late.get() && !atomically(|tx| Ok(late.read(tx))));
        sleep(ms(1));
        assert!(late.get() && atomically(|tx| Ok(late.read(tx))));
        sleep(ms(100));
        assert!(atomically(|tx| Ok(late.with(tx, |is_late| *is_late))));
    });
}

#[test]
fn whoever_waits_for_it_goes_on_when_its_time_has_come() {
    on_virtual_time(|| {
        let begin = now();
        let late = delay(ms(50));
        atomically(|tx| check(late.read(tx)));
        assert_eq!(now() - begin, ms(50));
        // Once more: no time passes.
        atomically(|tx| check(late.read(tx)));
        assert_eq!(now() - begin, ms(50));
    });
}

#[test]
fn it_is_a_time_limit_for_any_transaction() {
    on_virtual_time(|| {
        let (letter, log) = (TVar::new(None::<&str>), Log::new());
        let wait = |limit| {
            let late = delay(limit);
            atomically(|tx| {
                tx.or_else(
                    |tx| {
                        letter
                            .read(tx)
                            .map_or_else(retry, |text| Ok(text.to_string()))
                    },
                    |tx| check(late.read(tx)).map(|()| "nothing".to_string()),
                )
            })
        };
        let begin = now();
        log.add(wait(ms(50)));
        assert_eq!(now() - begin, ms(50));
        let theirs = letter.clone();
        spawn(move || {
            sleep(ms(10));
            theirs.set(Some("hello"));
        });
        log.add(wait(ms(50)));
        assert_eq!(now() - begin, ms(60));
        assert_eq!(log.text(), "nothing hello");
    });
}

#[test]
fn the_earliest_of_several_delays_counts() {
    on_virtual_time(|| {
        let begin = now();
        let delays = [30, 10, 20].map(|time| delay(ms(time)));
        for expected in [10, 20, 30] {
            let count = expected as usize / 10;
            atomically(|tx| {
                let due = delays.iter().filter(|it| it.read(tx)).count();
                check(due >= count)
            });
            assert_eq!(now() - begin, ms(expected));
        }
    });
}

#[test]
fn several_may_wait_for_one_delay_and_go_on_in_their_order() {
    on_virtual_time(|| {
        let (late, log, begin) = (delay(ms(20)), Log::new(), now());
        let tasks: Vec<_> = (0..5)
            .map(|n| {
                let (late, log) = (late.clone(), log.clone());
                spawn(move || {
                    atomically(|tx| check(late.read(tx)));
                    log.add(n);
                })
            })
            .collect();
        tasks.into_iter().for_each(|task| task.join().unwrap());
        assert_eq!((log.text().as_str(), now() - begin), ("0 1 2 3 4", ms(20)));
    });
}

#[test]
fn a_write_comes_before_its_time() {
    on_virtual_time(|| {
        let (late, begin) = (delay(ms(50)), now());
        let theirs = late.clone();
        spawn(move || {
            sleep(ms(5));
            theirs.set(true);
        });
        atomically(|tx| check(late.read(tx)));
        assert_eq!(now() - begin, ms(5));
    });
}

#[test]
fn one_that_is_written_false_comes_true_all_the_same() {
    on_virtual_time(|| {
        let late = delay(ms(50));
        late.set(true);
        atomically(|tx| Ok(late.write(tx, false)));
        assert!(!late.get());
        atomically(|tx| check(late.read(tx)));
        assert!(late.get());
    });
}

#[test]
fn one_that_is_written_false_after_its_time_stays_so() {
    on_virtual_time(|| {
        let late = delay(ms(50));
        sleep(ms(60));
        // Nobody has looked since.
        late.set(false);
        assert!(!late.get());
        sleep(ms(60));
        assert!(!late.get());
        let other = delay(ms(50));
        sleep(ms(60));
        atomically(|tx| Ok(other.write(tx, false)));
        sleep(ms(60));
        assert!(!other.get());
    });
}

#[test]
fn a_delay_of_nothing_is_true_at_once() {
    on_virtual_time(|| {
        let begin = now();
        let late = delay(Duration::ZERO);
        atomically(|tx| check(late.read(tx)));
        assert!(late.get());
        assert_eq!(now(), begin);
    });
}

#[test]
fn a_delay_for_ever_never_comes() {
    let outcome = Builder::new().clock(Clock::Virtual).run(|| {
        let late = delay(Duration::MAX);
        sleep(Duration::from_secs(1_000_000));
        assert!(!late.get());
        atomically(|tx| check(late.read(tx)));
    });
    // So nothing could wake whoever waits for it.
    assert!(matches!(outcome, Err(RunError::Deadlock(_))), "{outcome:?}");
}

#[test]
fn waiting_for_a_delay_is_no_deadlock() {
    on_virtual_time(|| {
        let flag = TVar::new(false);
        let (read, late) = (flag.clone(), delay(Duration::from_secs(86_400)));
        let task = spawn(move || {
            atomically(|tx| {
                check(read.read(tx) || late.read(tx))?;
                Ok("a day later")
            })
        });
        assert_eq!(task.join().unwrap(), "a day later");
    });
}

#[test]
fn a_delay_that_nobody_waits_for_keeps_nobody() {
    let begin = Instant::now();
    run(|| {
        let delays: Vec<_> = (0..1000)
            .map(|_| delay(Duration::from_secs(3600)))
            .collect();
        assert!(!delays.iter().any(TVar::get));
        drop(delays);
        // Nor does one whose waiter was killed.
        let late = delay(Duration::from_secs(3600));
        let task = spawn(move || atomically(|tx| check(late.read(tx))));
        yield_now();
        task.kill("it takes too long");
        assert!(task.join().unwrap_err().is_killed());
    });
    assert!(begin.elapsed() < Duration::from_secs(60));
}

#[test]
fn a_wake_takes_the_time_limit_away() {
    on_virtual_time(|| {
        let (flag, late, runs) = (TVar::new(false), delay(ms(50)), Rc::new(Cell::new(0)));
        let (read, theirs, count) = (flag.clone(), late.clone(), runs.clone());
        let task = spawn(move || {
            atomically(|tx| {
                count.set(count.get() + 1);
                tx.or_else(|tx| check(read.read(tx)), |tx| check(theirs.read(tx)))
            });
            sleep(ms(200));
        });
        sleep(ms(10));
        flag.set(true);
        task.join().unwrap();
        assert_eq!(runs.get(), 2);
    });
}

#[test]
fn a_transaction_that_retries_after_the_time_waits_without_it() {
    on_virtual_time(|| {
        let (flag, late, runs) = (TVar::new(false), delay(ms(5)), Rc::new(Cell::new(0)));
        let (read, theirs, count) = (flag.clone(), late.clone(), runs.clone());
        let task = spawn(move || {
            atomically(|tx| {
                count.set(count.get() + 1);
                check(theirs.read(tx) & read.read(tx))
            })
        });
        sleep(ms(100));
        assert_eq!(runs.get(), 2);
        flag.set(true);
        task.join().unwrap();
        assert_eq!(runs.get(), 3);
    });
}

#[test]
fn the_time_does_not_come_in_the_middle_of_a_transaction() {
    // On the system's clock, which goes on meanwhile.
    run(|| {
        let late = delay(ms(5));
        let (before, after) = atomically(|tx| {
            let before = late.read(tx);
            std::thread::sleep(ms(10));
            Ok((before, late.read(tx)))
        });
        assert_eq!((before, after), (false, false));
        assert!(late.get());
    });
}

#[test]
fn an_undone_transaction_does_not_take_the_truth_back() {
    on_virtual_time(|| {
        let late = delay(ms(5));
        sleep(ms(5));
        let undone = steps::unwinds(|| {
            atomically::<()>(|tx| {
                late.write(tx, false);
                panic!("on purpose")
            })
        });
        assert!(undone && late.get());
    });
}

#[test]
fn delays_work_outside_of_a_run() {
    let late = delay(ms(5));
    let never = delay(Duration::from_secs(3600));
    assert!(!never.get());
    std::thread::sleep(ms(6));
    assert!(late.get() && !never.get());
    atomically(|tx| check(late.read(tx)));
}

#[test]
fn a_delay_on_the_systems_clock_is_not_early() {
    run(|| {
        let begin = now();
        let late = delay(ms(20));
        atomically(|tx| check(late.read(tx)));
        assert!(now() - begin >= ms(20));
    });
}
