//! Runs that cannot go on: what the report says, how every task is ended, and what the run gives.
mod child;
mod deadlock_support;

use deadlock_support::{deadlock, deadlock_of, head};
use maypole::task::{Killed, Status};
use maypole::{Builder, Clock, JoinHandle, RunError, run, scope, sleep, spawn, task, yield_now};
use std::cell::{Cell, RefCell};
use std::panic::catch_unwind;
use std::rc::Rc;
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(60 * 60);

/// Writes its name in a log when it is dropped.
struct Witness(&'static str, Rc<RefCell<Vec<&'static str>>>);

impl Drop for Witness {
    fn drop(&mut self) {
        self.1.borrow_mut().push(self.0);
    }
}

/// Catches every kill and waits again.
fn swallow_kills() {
    loop {
        let _ = catch_unwind(task::park);
    }
}

#[test]
fn the_report_names_each_task_once_with_its_wait_place_and_spawn_site() {
    // @main
    let report = deadlock(|| {
        let waiter = task::Builder::new().name("waiter");
        let waiter = waiter.spawn(|| task::park()).unwrap(); // @waiter
        // @owner
        spawn(|| {
            // @scope
            scope(|s| {
                s.spawn(|| task::park()); // @scoped
            });
        });
        waiter.join().unwrap(); // @join
    });
    let list = expected!(
        "
  #1 main    joins waiter at @join (spawned at @main)
|join
  #2 waiter  waits to be unparked at @waiter (spawned at @waiter)
|waiter
  #3         waits for the end of a scope's tasks at @scope (spawned at @owner)
             1 of them is left: #4
|scope
  #4         waits to be unparked at @scoped (spawned at @scoped)
|scoped

"
    );
    let (above, below) = report.split_once(&list).expect(&list);
    assert!(above.starts_with(&head("any of these 4 tasks")), "{above}");
    assert!(below.starts_with("  to search for others:"), "{below}");
}

#[test]
fn main_alone_is_the_only_task() {
    let report = deadlock(|| task::park());
    assert!(report.starts_with(&head("the only task")), "{report}");
    assert!(
        report.contains("  #1 main  waits to be unparked at tests/deadlock.rs:"),
        "{report}"
    );
}

#[test]
fn twelve_tasks_are_listed_and_thirteen_are_grouped() {
    let stuck = |children: usize| {
        deadlock(move || {
            for _ in 0..children {
                spawn(|| task::park());
            }
            task::park();
        })
    };
    let listed = stuck(11);
    assert_eq!(listed.matches("\n  #").count(), 12, "{listed}");
    assert!(!listed.contains("tasks like this"), "{listed}");
    let grouped = stuck(12);
    assert!(
        grouped.starts_with(&head("any of these 13 tasks")),
        "{grouped}"
    );
    assert_eq!(grouped.matches("\n  #").count(), 2, "{grouped}");
    assert!(grouped.contains("; 12 tasks like this\n"), "{grouped}");
}

#[test]
fn groups_do_not_mix_waits_names_and_pauses() {
    let report = deadlock(|| {
        let parked: Vec<_> = (0..10).map(|_| spawn(|| task::park())).collect();
        yield_now();
        parked[3].task().pause();
        for n in 0..2 {
            let named = task::Builder::new().name(format!("named {n}"));
            drop(named.spawn(|| task::park()).unwrap());
        }
        task::park();
    });
    assert!(report.contains("; 9 tasks like this\n"), "{report}");
    assert_eq!(report.matches("is paused").count(), 1, "{report}");
    assert!(report.contains("\n  #12 'named 0'  waits"), "{report}");
    assert!(report.contains("; 2 tasks like this\n"), "{report}");
}

#[test]
fn two_tasks_that_join_each_other_name_each_other() {
    let report = deadlock(|| {
        let partner = Rc::new(RefCell::new(None::<JoinHandle<()>>));
        let theirs = partner.clone();
        let ping = task::Builder::new().name("ping");
        let ping = ping.spawn(move || {
            let pong = theirs
                .take()
                .expect("main puts it there before the first turn");
            let _ = pong.join();
        });
        let pong = task::Builder::new().name("pong");
        let pong = pong.spawn(move || {
            let _ = ping.unwrap().join();
        });
        partner.replace(Some(pong.unwrap()));
        task::park();
    });
    assert!(
        report.contains("\n  cycle   ping ─joins─> pong ─joins─> ping\n"),
        "{report}"
    );
    assert!(
        report.contains("#2 ping  joins pong at tests/deadlock.rs:"),
        "{report}"
    );
    assert!(
        report.contains("#3 pong  joins ping at tests/deadlock.rs:"),
        "{report}"
    );
}

#[test]
fn every_task_is_killed_main_first_and_its_destructors_run() {
    let log = Rc::new(RefCell::new(Vec::new()));
    let witness = |name| Witness(name, log.clone());
    deadlock(|| {
        let ours = witness("main");
        for name in ["first child", "second child"] {
            let theirs = witness(name);
            spawn(move || {
                let theirs = theirs;
                task::park();
                drop(theirs);
            });
        }
        yield_now();
        task::park();
        drop(ours);
    });
    assert_eq!(*log.borrow(), ["main", "first child", "second child"]);
}

#[test]
fn the_kill_says_that_it_is_for_the_deadlock() {
    let reason = Rc::new(RefCell::new(String::new()));
    let seen = reason.clone();
    deadlock(move || {
        let child = spawn(|| task::park());
        spawn(move || {
            let error = task::shield(|| child.join()).unwrap_err();
            seen.replace(error.reason().unwrap_or_default().to_string());
        });
        task::park();
    });
    assert_eq!(*reason.borrow(), "deadlock");
}

#[test]
fn a_main_that_catches_the_kill_does_not_save_the_run() {
    let went_on = Cell::new(false);
    let report = deadlock(|| {
        let _ = catch_unwind(task::park);
        went_on.set(true);
    });
    assert!(went_on.get() && report.contains("#1 main"), "{report}");
}

#[test]
fn run_panics_with_the_report() {
    let payload = catch_unwind(|| run(|| task::park())).expect_err("main waits for ever");
    let text = payload
        .downcast_ref::<String>()
        .expect("a panic with a text");
    assert!(text.starts_with(&head("the only task")), "{text}");
    let payload = catch_unwind(|| {
        run(|| {
            let _ = catch_unwind(task::park);
        });
    });
    assert!(payload.expect_err("the catch saves nothing").is::<String>());
}

#[test]
fn another_run_follows_a_deadlock() {
    deadlock(|| task::park());
    assert_eq!(run(|| spawn(|| 5).join().unwrap()), 5);
}

#[test]
fn a_timer_of_a_daemon_does_not_keep_the_run_alive() {
    let bounded = Builder::new().clock(Clock::Virtual).max_turns(1000);
    let report = deadlock_of(bounded, || {
        let daemon = task::Builder::new().name("ticker").daemon(true);
        drop(daemon.spawn(|| {
            loop {
                sleep(HOUR);
            }
        }));
        sleep(2 * HOUR);
        task::park();
    });
    assert!(
        report.contains("#2 ticker  sleeps at tests/deadlock.rs:"),
        "{report}"
    );
    assert!(report.contains(", is a daemon (spawned at"), "{report}");
}

#[test]
fn a_timer_of_any_other_task_does() {
    let woken = Builder::new().clock(Clock::Virtual).run(|| {
        let main = task::current();
        spawn(move || {
            sleep(HOUR);
            main.unpark();
        });
        task::park();
    });
    assert!(woken.is_ok());
}

#[test]
fn a_paused_task_counts_as_parked_and_is_listed_as_paused() {
    let report = deadlock(|| {
        let paused = spawn(yield_now);
        paused.task().pause();
        assert_eq!(paused.task().status(), Status::Paused);
        paused.join().unwrap();
    });
    assert!(
        report.contains("  #2       waits for a turn, is paused (spawned at "),
        "{report}"
    );
}

#[test]
fn a_task_that_swallows_every_kill_is_abandoned() {
    let fate = Rc::new(RefCell::new(None));
    let theirs = fate.clone();
    deadlock(move || {
        let stubborn = task::Builder::new()
            .name("stubborn")
            .spawn(swallow_kills)
            .unwrap();
        spawn(move || {
            let error = task::shield(|| stubborn.join()).unwrap_err();
            theirs.replace(Some((error.is_abandoned(), error.to_string())));
        });
        task::park();
    });
    let (abandoned, text) = fate.take().expect("the join came back");
    assert!(abandoned, "{text}");
    assert!(
        text.contains("'stubborn' (#2, spawned at tests/deadlock.rs:"),
        "{text}"
    );
    assert!(
        text.contains("abandoned: it caught its kill 64 times"),
        "{text}"
    );
}

#[test]
#[cfg(unix)]
fn a_main_that_swallows_every_kill_ends_the_process_with_the_report() {
    const SIGABRT: i32 = 6;
    let ended = child::run(|| {
        let _ = Builder::new().run(swallow_kills);
    });
    let stderr = ended.dies_of(SIGABRT).stderr;
    assert!(stderr.starts_with(&head("the only task")), "{stderr}");
    assert!(
        stderr.contains("#1 main  waits to be unparked at "),
        "{stderr}"
    );
    assert!(
        stderr.ends_with("main cannot be ended, what it borrows may still be in use\n"),
        "{stderr}"
    );
}

#[test]
#[cfg(unix)]
fn a_scoped_task_that_swallows_every_kill_ends_the_process_with_the_report() {
    const SIGABRT: i32 = 6;
    let ended = child::run(|| {
        let _ = Builder::new().run(|| {
            let borrowed = Cell::new(0);
            scope(|s| {
                s.spawn(|| {
                    borrowed.set(1);
                    swallow_kills();
                });
            });
        });
    });
    let stderr = ended.dies_of(SIGABRT).stderr;
    assert!(
        stderr.starts_with(&head("any of these 2 tasks")),
        "{stderr}"
    );
}

#[test]
fn a_run_that_spins_ends_at_its_turn_limit() {
    let spun = Builder::new().max_turns(1000).run(|| {
        spawn(|| {
            loop {
                yield_now();
            }
        })
        .join()
        .unwrap();
    });
    let Err(RunError::TurnLimit(report)) = spun else {
        panic!("{spun:?}");
    };
    let report = report.to_string();
    assert!(
        report.starts_with("maypole: the turn limit is reached: the run would not end\n\n"),
        "{report}"
    );
    assert!(report.contains("#1 main  joins #2 at "), "{report}");
    assert!(
        report.contains("#2       waits for a turn (spawned at "),
        "{report}"
    );
}

#[test]
fn a_turn_limit_is_counted_to_the_turn() {
    // Main's first turn and one after each of its yields.
    let turns = |limit: u64, yields: u64| {
        Builder::new()
            .max_turns(limit)
            .run(move || (0..yields).for_each(|_| yield_now()))
    };
    for limit in [1, 2, 10, 64, 1000, 5000] {
        assert!(turns(limit, limit - 1).is_ok(), "{limit}");
        assert!(
            matches!(turns(limit, limit), Err(RunError::TurnLimit(_))),
            "{limit}"
        );
    }
}

#[test]
#[cfg(unix)]
fn what_cannot_die_at_the_end_of_a_run_is_leaked_with_a_report() {
    let ended = child::run(|| {
        run(|| {
            let name = task::Builder::new().name("shielded");
            let task = name.spawn(|| task::shield(|| task::park())).unwrap();
            yield_now();
            assert_eq!(task.kill("a try"), Killed::Shielded);
        });
        println!("the run is over");
    })
    .succeeds();
    assert!(
        ended.stderr.starts_with(
            "maypole: these tasks would not die and are leaked\n\n  \
             #2 shielded  waits to be unparked at tests/deadlock.rs:"
        ),
        "{}",
        ended.stderr
    );
    assert!(ended.stdout.contains("the run is over"));
}

#[test]
#[cfg(unix)]
fn a_main_that_waits_under_a_shield_for_nothing_ends_the_process() {
    const SIGABRT: i32 = 6;
    let ended = child::run(|| {
        let _ = Builder::new().run(|| task::shield(|| task::park()));
    });
    let stderr = ended.dies_of(SIGABRT).stderr;
    assert!(stderr.starts_with(&head("the only task")), "{stderr}");
}

#[test]
fn a_wait_that_another_task_ends_is_no_deadlock() {
    let value = run(|| {
        let main = task::current();
        spawn(move || main.unpark());
        task::park();
        "fine"
    });
    assert_eq!(value, "fine");
}

#[test]
fn the_destructors_of_a_killed_main_may_park() {
    struct Parks(Rc<Cell<bool>>);
    impl Drop for Parks {
        fn drop(&mut self) {
            sleep(HOUR);
            self.0.set(true);
        }
    }
    let slept = Rc::new(Cell::new(false));
    let theirs = slept.clone();
    deadlock(move || {
        let _parks = Parks(theirs);
        task::park();
    });
    assert!(slept.get());
}

#[test]
fn a_panic_of_main_on_its_way_out_does_not_hide_the_deadlock() {
    let report = deadlock(|| {
        if catch_unwind(task::park).is_err() {
            panic!("made of the kill");
        }
    });
    assert!(report.starts_with(&head("the only task")), "{report}");
}

#[test]
fn a_cleanup_that_waits_does_not_hold_up_the_other_kills() {
    let log = Rc::new(RefCell::new(Vec::new()));
    struct Slow(Witness);
    impl Drop for Slow {
        fn drop(&mut self) {
            sleep(HOUR);
            self.0.1.borrow_mut().push("waited");
        }
    }
    let slow = Slow(Witness("slow", log.clone()));
    let quick = Witness("quick", log.clone());
    deadlock(move || {
        spawn(move || {
            let _slow = slow;
            task::park();
        });
        spawn(move || {
            let _quick = quick;
            task::park();
        });
        task::park();
    });
    assert_eq!(*log.borrow(), ["quick", "waited", "slow"]);
}

#[test]
fn tasks_killed_just_before_the_end_of_a_run_die_of_it() {
    let log = Rc::new(RefCell::new(Vec::new()));
    run(|| {
        let children = ["first", "second", "third"].map(|name| {
            let witness = Witness(name, log.clone());
            spawn(move || {
                let _witness = witness;
                task::park();
            })
        });
        yield_now();
        for child in &children {
            assert_eq!(child.kill("too late for a turn"), Killed::Parked);
        }
    });
    assert_eq!(*log.borrow(), ["first", "second", "third"]);
}

#[test]
#[cfg(unix)]
fn a_task_that_would_not_die_does_not_take_the_others_with_it() {
    let ended = child::run(|| {
        struct Tells;
        impl Drop for Tells {
            fn drop(&mut self) {
                println!("dropped");
            }
        }
        run(|| {
            spawn(|| scope(|s| drop(s.spawn(swallow_kills))));
            for _ in 0..2 {
                spawn(|| {
                    let _tells = Tells;
                    task::park();
                });
            }
            yield_now();
            yield_now();
        });
        println!("the run is over");
    })
    .succeeds();
    assert_eq!(
        ended.stdout.matches("dropped\n").count(),
        2,
        "{}{}",
        ended.stdout,
        ended.stderr
    );
    assert!(ended.stdout.contains("the run is over"));
    assert!(
        ended
            .stderr
            .contains("these tasks would not die and are leaked"),
        "{}",
        ended.stderr
    );
}

#[test]
fn the_first_wait_of_a_task_parks_it_at_once() {
    run(|| {
        let child = spawn(|| task::park());
        yield_now();
        assert!(matches!(child.task().status(), Status::Parked(_)));
    });
}

#[test]
fn a_kill_that_finds_a_task_giving_way_at_the_end_of_its_budget_is_not_lost() {
    let killed = Builder::new().run(|| {
        let child = spawn(|| {
            for _ in 0..127 {
                task::current().unpark();
                task::park();
            }
            // The 128th call that need not wait gives way first; there is nothing to wait for now.
            task::park();
        });
        yield_now();
        assert_eq!(child.kill("while it gives way"), Killed::Ready);
        child.join().unwrap_err().is_killed()
    });
    assert!(matches!(killed, Ok(true)), "{killed:?}");
}

#[test]
fn a_call_through_a_function_pointer_has_the_place_of_the_spawn() {
    let stuck = Builder::new().run(|| {
        spawn(task::park);
        task::park();
    });
    let report = stuck.unwrap_err().to_string();
    assert!(!report.contains("/rustc/"), "{report}");
    assert_eq!(report.matches("tests/deadlock.rs").count(), 4, "{report}");
}
