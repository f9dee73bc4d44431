//! Budgets of a tick: turns are exact, a round is one turn for each, time is looked at after few turns.
mod task_support;

use maypole::channel::{self, Builder as ChannelBuilder, Prefer};
use maypole::task::park;
use maypole::{Budget, Builder, Scheduler, Tick, spawn, spawn_now, yield_now};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};
use task_support::{Log, panic_text};

const IDLE: Tick = Tick::Idle {
    next_deadline: None,
};

/// Tasks that count their turns, and yield for ever.
fn spinners(scheduler: &Scheduler, tasks: usize) -> Rc<RefCell<Vec<u64>>> {
    let turns = Rc::new(RefCell::new(vec![0; tasks]));
    for n in 0..tasks {
        let turns = turns.clone();
        scheduler.spawn(move || {
            loop {
                turns.borrow_mut()[n] += 1;
                yield_now();
            }
        });
    }
    turns
}

fn total(turns: &RefCell<Vec<u64>>) -> u64 {
    turns.borrow().iter().sum()
}

#[test]
fn so_many_turns_are_so_many_turns() {
    let mut scheduler = Builder::new().build();
    let turns = spinners(&scheduler, 3);
    let mut expected = 0;
    for budget in [
        0, 1, 2, 3, 7, 63, 64, 65, 127, 128, 129, 1000, 0, 1, 100_000,
    ] {
        assert_eq!(scheduler.tick(Budget::turns(budget)), Tick::Ready);
        expected += budget;
        assert_eq!(total(&turns), expected, "after a budget of {budget}");
    }
    let (least, most) = {
        let turns = turns.borrow();
        (*turns.iter().min().unwrap(), *turns.iter().max().unwrap())
    };
    assert!(most - least <= 1, "first in, first out across ticks");
}

#[test]
fn turns_are_exact_while_some_task_is_paused_too() {
    // A pause makes the loop choose each task with care.
    let mut scheduler = Builder::new().build();
    let turns = spinners(&scheduler, 3);
    let paused = scheduler.spawn(park);
    for budget in [5, 64, 1, 100] {
        let before = total(&turns);
        scheduler.tick(Budget::turns(budget));
        let taken = u64::from(before == 0); // the first turn of the one that parks
        assert_eq!(total(&turns), before + budget - taken);
        paused.task().pause();
    }
    paused.task().resume();
    let before = total(&turns);
    scheduler.tick(Budget::turns(777));
    assert_eq!(total(&turns), before + 777);
}

#[test]
fn turns_are_exact_with_a_seed_too() {
    let mut scheduler = Builder::new().seed(7).build();
    let turns = spinners(&scheduler, 3);
    for budget in [1, 64, 65, 500] {
        let before = total(&turns);
        scheduler.tick(Budget::turns(budget));
        assert_eq!(total(&turns), before + budget);
    }
}

#[test]
fn fewer_turns_than_the_budget_are_what_there_is() {
    let mut scheduler = Builder::new().build();
    let log = Log::new();
    for name in ["a", "b"] {
        let log = log.clone();
        scheduler.spawn(move || {
            log.say(name);
            yield_now();
            log.say(name);
        });
    }
    assert_eq!(scheduler.tick(Budget::turns(u64::MAX)), Tick::Done);
    assert_eq!(log.text(), "a b a b");
    assert_eq!(scheduler.tick(Budget::turns(u64::MAX)), Tick::Done);
}

#[test]
fn a_round_is_exactly_one_turn_for_each_ready_task() {
    for seed in [0, 1, 2, 3] {
        let mut scheduler = Builder::new().seed(seed).build();
        let turns = spinners(&scheduler, 100);
        scheduler.spawn(park);
        for round in 1..=50 {
            assert_eq!(scheduler.tick(Budget::round()), Tick::Ready);
            assert!(
                turns.borrow().iter().all(|turns| *turns == round),
                "seed {seed}"
            );
        }
    }
}

#[test]
fn who_becomes_ready_in_a_round_waits_for_the_next() {
    let mut scheduler = Builder::new().build();
    let log = Log::new();
    let words = log.clone();
    scheduler.spawn(move || {
        words.say("parent");
        let theirs = words.clone();
        spawn(move || theirs.say("child"));
        let theirs = words.clone();
        // Nested on its parent, whose turn this is.
        spawn_now(move || {
            theirs.say("nested");
            yield_now();
            theirs.say("again");
        });
        yield_now();
        words.say("after");
    });
    for expected in ["parent nested", "parent nested child again after"] {
        scheduler.tick(Budget::round());
        assert_eq!(log.text(), expected);
    }
    assert_eq!(scheduler.tick(Budget::round()), Tick::Done);
}

#[test]
fn a_paused_task_in_the_line_gives_its_turn_to_nobody() {
    let mut scheduler = Builder::new().build();
    let turns = spinners(&scheduler, 2);
    let counted = turns.clone();
    let third = scheduler.spawn(move || {
        loop {
            counted.borrow_mut()[0] += 100;
            yield_now();
        }
    });
    scheduler.tick(Budget::round());
    assert_eq!(*turns.borrow(), [101, 1]);
    third.task().pause();
    scheduler.tick(Budget::round());
    assert_eq!(*turns.borrow(), [102, 2]);
    assert_eq!(scheduler.tick(Budget::round()), Tick::Ready);
    assert_eq!(*turns.borrow(), [103, 3]);
    third.task().resume();
    scheduler.tick(Budget::round());
    assert_eq!(*turns.borrow(), [204, 4]);
}

#[test]
fn only_paused_tasks_are_idle() {
    let mut scheduler = Builder::new().build();
    let spins = scheduler.spawn(|| {
        loop {
            yield_now();
        }
    });
    assert_eq!(scheduler.tick(Budget::turns(1)), Tick::Ready);
    spins.task().pause();
    assert_eq!(scheduler.tick(Budget::turns(0)), IDLE);
    assert_eq!(scheduler.tick(Budget::turns(5)), IDLE);
    assert_eq!(scheduler.tick(Budget::round()), IDLE);
    assert_eq!(scheduler.tick(Budget::time(Duration::from_secs(100))), IDLE);
    scheduler.run_until_idle();
    spins.task().resume();
    assert_eq!(scheduler.tick(Budget::turns(5)), Tick::Ready);
}

#[test]
fn a_receiver_that_goes_first_has_its_turn_in_place_of_another() {
    let mut scheduler = Builder::new().build();
    let log = Log::new();
    let channel = ChannelBuilder::new().capacity(1).prefer(Prefer::Receiver);
    let (sender, receiver) = channel.build();
    let words = log.clone();
    scheduler.spawn(move || receiver.iter().for_each(|n: u32| words.say(n)));
    let words = log.clone();
    scheduler.spawn(move || {
        sender.send(1).unwrap();
        words.say("sent");
    });
    scheduler.tick(Budget::round());
    scheduler.run_until_idle();
    assert_eq!(log.text(), "1 sent");
}

#[test]
fn a_budget_of_time_ends_and_is_not_left_before_its_end_while_there_is_work() {
    let mut scheduler = Builder::new().build();
    let turns = spinners(&scheduler, 10);
    let budget = Duration::from_millis(5);
    for _ in 0..10 {
        let (before, start) = (total(&turns), Instant::now());
        assert_eq!(scheduler.tick(Budget::time(budget)), Tick::Ready);
        assert!(start.elapsed() >= budget);
        assert!(total(&turns) > before);
    }
    assert_eq!(scheduler.tick(Budget::time(Duration::ZERO)), Tick::Ready);
}

#[test]
fn no_time_is_no_turn() {
    let mut scheduler = Builder::new().build();
    let turns = spinners(&scheduler, 10);
    scheduler.tick(Budget::time(Duration::ZERO));
    assert_eq!(total(&turns), 0);
}

#[test]
fn a_budget_of_time_is_overrun_by_a_few_turns_at_most() {
    // Each turn takes as long as the whole budget, so that whatever comes after the first look at
    // the clock is the slice that could not be cut short.
    let budget = Duration::from_micros(300);
    let mut scheduler = Builder::new().build();
    let turns = Rc::new(Cell::new(0));
    for _ in 0..100 {
        let turns = turns.clone();
        scheduler.spawn(move || {
            loop {
                turns.set(turns.get() + 1);
                let start = Instant::now();
                while start.elapsed() < budget {
                    std::hint::spin_loop();
                }
                yield_now();
            }
        });
    }
    for _ in 0..20 {
        turns.set(0);
        assert_eq!(scheduler.tick(Budget::time(budget)), Tick::Ready);
        assert!((1..=8).contains(&turns.get()), "{} turns", turns.get());
    }
}

#[test]
fn a_budget_of_time_that_is_not_used_up_ends_when_nobody_is_ready() {
    let mut scheduler = Builder::new().build();
    let handle = scheduler.spawn(park);
    let start = Instant::now();
    assert_eq!(scheduler.tick(Budget::time(Duration::MAX)), IDLE);
    handle.task().unpark();
    assert_eq!(scheduler.tick(Budget::time(Duration::MAX)), Tick::Done);
    assert!(start.elapsed() < Duration::from_secs(60));
}

#[test]
fn an_exact_turn_is_from_a_park_to_the_next() {
    let mut scheduler = Builder::new().build();
    let (to, inbox) = channel::bounded(0);
    let (back, answers) = channel::bounded(0);
    let log = Log::new();
    let words = log.clone();
    scheduler.spawn(move || {
        for n in 0..3 {
            to.send(n).unwrap();
            words.say(format!("got{}", answers.recv().unwrap()));
        }
    });
    let words = log.clone();
    scheduler.spawn(move || {
        while let Ok(n) = inbox.recv() {
            words.say(format!("ping{n}"));
            back.send(n).unwrap();
        }
    });
    let mut ticks = 0;
    let mut longest = 0;
    loop {
        let before = log.len();
        let tick = scheduler.tick(Budget::turns(1));
        longest = longest.max(log.len() - before);
        ticks += 1;
        assert!(ticks < 100, "it ends");
        match tick {
            Tick::Done => break,
            Tick::Ready => {}
            Tick::Idle { .. } => panic!("nobody waits for the host"),
        }
    }
    assert_eq!(log.text(), "ping0 got0 ping1 got1 ping2 got2");
    assert_eq!(longest, 1);
}

#[test]
fn the_turn_limit_counts_all_ticks_and_ends_them_with_a_report() {
    let mut scheduler = Builder::new().max_turns(200).build();
    let line = line!() - 1;
    let turns = spinners(&scheduler, 2);
    for _ in 0..19 {
        assert_eq!(scheduler.tick(Budget::turns(10)), Tick::Ready);
    }
    let limits: [fn(&mut Scheduler); 4] = [
        |scheduler| {
            scheduler.tick(Budget::turns(1000));
        },
        |scheduler| {
            scheduler.tick(Budget::time(Duration::from_secs(1000)));
        },
        |scheduler| {
            scheduler.tick(Budget::round());
        },
        |scheduler| scheduler.run_until_idle(),
    ];
    for limit in limits {
        let text = panic_text(|| limit(&mut scheduler));
        let head = format!(
            "the turn limit is reached by the tasks of the scheduler built at {}:{line}:",
            file!()
        );
        assert!(text.contains(&head), "{text}");
        assert_eq!(text.matches("waits for a turn").count(), 2, "{text}");
        assert_eq!(total(&turns), 200);
    }
}

#[test]
fn a_scheduler_with_a_turn_limit_may_end_before_it() {
    let mut scheduler = Builder::new().max_turns(200).build();
    let handle = scheduler.spawn(|| (0..100).for_each(|_| yield_now()));
    scheduler.run_until_idle();
    assert!(handle.is_finished());
    assert_eq!(
        scheduler.tick(Budget::time(Duration::from_secs(1))),
        Tick::Done
    );
}
