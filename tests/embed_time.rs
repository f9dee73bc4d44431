//! Deadlines of an embedded scheduler, on both clocks.
mod task_support;

use maypole::time::{self, interval, timeout};
use maypole::{Budget, Builder, Clock, Scheduler, Tick, channel, select, sleep, task, yield_now};
use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};
use task_support::{LONG, Log};

const SECOND: Duration = Duration::from_secs(1);

fn deadline(tick: Tick) -> Instant {
    match tick {
        Tick::Idle {
            next_deadline: Some(deadline),
        } => deadline,
        other => panic!("{other:?}"),
    }
}

fn virtual_scheduler() -> Scheduler {
    Builder::new().clock(Clock::Virtual).build()
}

#[test]
fn the_next_deadline_is_that_of_the_earliest_timer() {
    let mut scheduler = Builder::new().build();
    assert_eq!(scheduler.next_deadline(), None);
    let start = Instant::now();
    let long = scheduler.spawn(|| sleep(LONG));
    let short = scheduler.spawn(|| timeout(100 * SECOND, task::park));
    let tick = scheduler.tick(Budget::round());
    let end = Instant::now();
    assert_eq!(scheduler.next_deadline(), Some(deadline(tick)));
    assert!(deadline(tick) >= start + 100 * SECOND && deadline(tick) <= end + 100 * SECOND);
    short.kill("enough");
    let tick = scheduler.tick(Budget::round());
    assert!(deadline(tick) >= start + LONG && deadline(tick) <= end + LONG);
    long.kill("enough");
    assert_eq!(scheduler.tick(Budget::round()), Tick::Done);
    assert_eq!(scheduler.next_deadline(), None);
}

#[test]
fn a_host_that_sleeps_until_the_deadline_finds_the_task_ready() {
    let mut scheduler = Builder::new().build();
    let slept = scheduler.spawn(|| {
        let start = Instant::now();
        (0..5).for_each(|_| sleep(Duration::from_millis(2)));
        start.elapsed()
    });
    let mut sleeps = 0;
    loop {
        match scheduler.tick(Budget::turns(1000)) {
            Tick::Done => break,
            Tick::Ready => {}
            tick => {
                sleeps += 1;
                let left = deadline(tick).saturating_duration_since(Instant::now());
                std::thread::sleep(left);
                assert!(Instant::now() >= deadline(tick));
            }
        }
    }
    assert_eq!(sleeps, 5);
    assert!(slept.join().unwrap() >= Duration::from_millis(10));
}

#[test]
fn slack_is_part_of_the_deadline_by_which_a_host_must_tick() {
    let mut scheduler = Builder::new().timer_slack(1000 * SECOND).build();
    let start = Instant::now();
    scheduler.spawn(|| sleep(100 * SECOND));
    let tick = scheduler.tick(Budget::round());
    assert!(deadline(tick) >= start + 1100 * SECOND);
}

#[test]
fn a_daemon_is_served_like_all_others() {
    let mut scheduler = Builder::new().build();
    let ticks = Rc::new(Cell::new(0));
    let counted = ticks.clone();
    let daemon = task::Builder::new().daemon(true);
    let daemon = daemon.spawn(move || {
        loop {
            sleep(Duration::from_millis(1));
            counted.set(counted.get() + 1);
        }
    });
    while ticks.get() < 3 {
        if let Tick::Idle { next_deadline } = scheduler.tick(Budget::turns(10)) {
            let left = next_deadline
                .unwrap()
                .saturating_duration_since(Instant::now());
            std::thread::sleep(left);
        }
    }
    daemon.unwrap().kill("enough");
    assert_eq!(scheduler.tick(Budget::turns(10)), Tick::Done);
}

#[test]
fn a_deadline_beyond_all_time_is_none() {
    let mut scheduler = Builder::new().build();
    scheduler.spawn(|| sleep(Duration::MAX));
    assert_eq!(
        scheduler.tick(Budget::round()),
        Tick::Idle {
            next_deadline: None
        }
    );
}

#[test]
fn a_tick_on_virtual_time_jumps_while_its_budget_lasts() {
    let mut scheduler = virtual_scheduler();
    let slept = scheduler.spawn(|| {
        let start = time::now();
        (0..10).for_each(|_| sleep(3600 * SECOND));
        time::now() - start
    });
    // The first turn, and ten after ten jumps.
    assert_eq!(
        scheduler.tick(Budget::turns(10)),
        Tick::Idle {
            next_deadline: Some(time::now() + 3600 * SECOND)
        }
    );
    assert_eq!(scheduler.tick(Budget::turns(1)), Tick::Done);
    assert_eq!(slept.join().unwrap(), 36_000 * SECOND);
}

#[test]
fn a_budget_of_time_is_real_where_the_clock_is_virtual() {
    let mut scheduler = virtual_scheduler();
    let days = Rc::new(Cell::new(0_u32));
    let counted = days.clone();
    scheduler.spawn(move || {
        let mut days = interval(24 * 3600 * SECOND);
        loop {
            days.tick();
            counted.set(counted.get() + 1);
        }
    });
    let virtual_start = time::now();
    let budget = Duration::from_millis(5);
    let mut ticks = 0;
    while days.get() < 100 {
        let start = Instant::now();
        scheduler.tick(Budget::time(budget));
        assert!(start.elapsed() >= budget);
        ticks += 1;
        assert!(ticks < 10_000);
    }
    // The last jump may have come when the time was over.
    let jumps = u64::from(days.get())..=u64::from(days.get()) + 1;
    assert!(jumps.contains(&((time::now() - virtual_start).as_secs() / (24 * 3600))));
}

#[test]
fn a_round_on_virtual_time_goes_from_deadline_to_deadline() {
    let mut scheduler = virtual_scheduler();
    let log = Log::new();
    for (name, seconds) in [("c", 3), ("a", 1), ("b", 2), ("a2", 1)] {
        let log = log.clone();
        scheduler.spawn(move || {
            sleep(seconds * SECOND);
            log.say(name);
        });
    }
    let start = time::now();
    let mut passed = Vec::new();
    while scheduler.tick(Budget::round()) != Tick::Done {
        passed.push((time::now() - start).as_secs());
    }
    assert_eq!(log.text(), "a a2 b c");
    assert_eq!(passed, [0, 1, 2]);
    assert_eq!(time::now() - start, 3 * SECOND);
}

#[test]
fn running_until_idle_does_not_move_virtual_time() {
    let mut scheduler = virtual_scheduler();
    let log = Log::new();
    let words = log.clone();
    scheduler.spawn(move || {
        loop {
            words.say((time::now().elapsed() < LONG).to_string());
            sleep(3600 * SECOND); // for ever
        }
    });
    let words = log.clone();
    scheduler.spawn(move || {
        (0..1000).for_each(|_| yield_now());
        words.say("settled");
    });
    let start = time::now();
    scheduler.run_until_idle();
    assert_eq!(log.text(), "true settled");
    assert_eq!(time::now(), start);
    assert_eq!(scheduler.next_deadline(), Some(start + 3600 * SECOND));
    scheduler.tick(Budget::round());
    assert_eq!(time::now(), start + 3600 * SECOND);
    assert_eq!(log.len(), 3);
}

#[test]
fn running_until_idle_serves_what_is_due_already() {
    let mut scheduler = Builder::new().build();
    let handle = scheduler.spawn(|| (0..100).for_each(|_| sleep(Duration::ZERO)));
    scheduler.run_until_idle();
    assert!(handle.is_finished());
}

#[test]
fn the_host_tells_the_time_of_its_scheduler() {
    let mut scheduler = virtual_scheduler();
    let before = time::now();
    let (timer, log) = (channel::after(500 * SECOND), Log::new());
    let words = log.clone();
    scheduler.spawn(move || {
        select! {
            recv(timer) -> _ => words.say("timer"),
            default(1000 * SECOND) => words.say("default"),
        }
    });
    while scheduler.tick(Budget::turns(1)) != Tick::Done {}
    assert_eq!(log.text(), "timer");
    assert_eq!(time::now(), before + 500 * SECOND);
}

#[test]
fn timers_do_not_starve_while_tasks_stay_ready() {
    for budget in [
        Budget::turns(3),
        Budget::round(),
        Budget::time(Duration::from_micros(50)),
    ] {
        let mut scheduler = Builder::new().build();
        scheduler.spawn(|| {
            loop {
                yield_now();
            }
        });
        let sleeper = scheduler.spawn(|| sleep(Duration::from_millis(1)));
        let start = Instant::now();
        while !sleeper.is_finished() {
            assert_eq!(scheduler.tick(budget), Tick::Ready);
            assert!(start.elapsed() < 60 * SECOND, "{budget:?}");
        }
    }
    // Nor within one long tick.
    let mut scheduler = Builder::new().build();
    let over = Rc::new(Cell::new(false));
    let seen = over.clone();
    let spins = scheduler.spawn(move || {
        let start = Instant::now();
        while !seen.get() {
            assert!(start.elapsed() < 60 * SECOND);
            yield_now();
        }
    });
    scheduler.spawn(move || {
        sleep(Duration::from_millis(1));
        over.set(true);
    });
    assert_eq!(scheduler.tick(Budget::time(600 * SECOND)), Tick::Done);
    spins.join().unwrap();
}
