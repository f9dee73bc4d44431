//! The end of a run: every task that is left is killed, in order, and its destructors have run.
mod task_support;

use maypole::task::park;
use maypole::{Builder, run, scope, sleep, spawn, yield_now};
use std::cell::{Cell, RefCell};
use std::panic::catch_unwind;
use std::rc::Rc;
use std::time::Duration;
use task_support::{Log, OnDrop, virtually, yield_times};

#[test]
fn the_end_of_a_run_drops_ten_thousand_parked_tasks_once_each_in_the_order_of_spawning() {
    const TASKS: usize = 10_000;
    let dropped = Rc::new(RefCell::new(Vec::new()));
    let begun = Rc::new(Cell::new(0));
    Builder::new()
        .stack_size(64 << 10)
        .run(|| {
            for n in 0..TASKS {
                let (dropped, begun) = (dropped.clone(), begun.clone());
                spawn(move || {
                    begun.set(begun.get() + 1);
                    let _guard = OnDrop(|| dropped.borrow_mut().push(n));
                    park();
                });
            }
            yield_now();
        })
        .unwrap();
    assert_eq!(begun.get(), TASKS);
    assert_eq!(dropped.borrow().len(), TASKS);
    assert!(dropped.borrow().is_sorted());
}

#[test]
fn the_end_of_a_run_reaches_ready_parked_and_unstarted_tasks_in_the_order_of_spawning() {
    let log = Log::new();
    run(|| {
        let parked = log.on_drop("parked");
        spawn(move || {
            let _guard = parked;
            park();
        });
        let ready = log.on_drop("ready");
        spawn(move || {
            let _guard = ready;
            loop {
                yield_now();
            }
        });
        yield_now();
        let unstarted = log.on_drop("unstarted");
        spawn(move || drop(unstarted));
        log.say("end");
    });
    assert_eq!(log.text(), "end parked ready unstarted");
}

#[test]
fn the_end_of_a_run_goes_on_to_the_next_task_while_one_parks_in_its_cleanup() {
    let log = Log::new();
    virtually(|| {
        for seconds in [3, 2, 1] {
            let log = log.clone();
            spawn(move || {
                let _guard = OnDrop(|| {
                    log.say(format!("begin{seconds}"));
                    sleep(Duration::from_secs(seconds));
                    log.say(format!("end{seconds}"));
                });
                park();
            });
        }
        yield_now();
    });
    assert_eq!(log.text(), "begin3 begin2 begin1 end1 end2 end3");
}

#[test]
fn tasks_spawned_while_the_run_ends_are_ended_too() {
    let log = Log::new();
    run(|| {
        let theirs = log.clone();
        spawn(move || {
            let _guard = OnDrop(|| {
                let late = theirs.clone();
                spawn(move || {
                    let _guard = late.on_drop("dropped");
                    late.say("started");
                    park();
                });
                yield_now();
            });
            park();
        });
        yield_now();
    });
    assert_eq!(log.text(), "started dropped");
}

#[test]
fn a_cleanup_may_sleep_at_whatever_turn_of_the_end_of_a_run() {
    for turns in 0..130 {
        let log = Log::new();
        virtually(|| {
            let theirs = log.clone();
            spawn(move || {
                let _cleanup = OnDrop(|| {
                    yield_times(turns);
                    sleep(Duration::from_secs(1));
                    theirs.say("done");
                });
                park();
            });
            yield_times(2);
        });
        assert_eq!(log.text(), "done", "after {turns} turns");
    }
}

#[test]
fn a_cleanup_that_sleeps_is_waited_for_while_a_scoped_task_swallows_its_kills() {
    let log = Log::new();
    run(|| {
        let theirs = log.clone();
        let done = Rc::new(Cell::new(false));
        let theirs_done = done.clone();
        spawn(move || {
            let _cleanup = OnDrop(|| {
                sleep(Duration::from_millis(10));
                theirs_done.set(true);
                theirs.say("cleaned up");
            });
            park();
        });
        let theirs = log.clone();
        spawn(move || {
            scope(|s| {
                s.spawn(|| {
                    while !done.get() {
                        let _ = catch_unwind(|| yield_now());
                    }
                    theirs.say("gave in");
                });
            });
        });
        yield_times(3);
    });
    assert_eq!(log.text(), "cleaned up gave in");
}

#[test]
fn a_ready_task_that_another_one_kills_while_the_run_ends_is_let_go() {
    let log = Log::new();
    run(|| {
        let late = Rc::new(RefCell::new(None));
        let (theirs, guard) = (late.clone(), log.on_drop("killer"));
        spawn(move || {
            let _guard = guard;
            let _cleanup = OnDrop(|| {
                let victim: maypole::Task = theirs.borrow_mut().take().unwrap();
                victim.kill("before the run does");
                park_until_ended(&victim);
            });
            park();
        });
        yield_times(2);
        let guard = log.on_drop("victim");
        let victim = spawn(move || {
            let _guard = guard;
            loop {
                yield_now();
            }
        });
        yield_times(2);
        *late.borrow_mut() = Some(victim.task().clone());
    });
    assert_eq!(log.text(), "victim killer");
}

/// Waits until the victim has ended; not for ever, so that a victim that is never let go shows.
fn park_until_ended(victim: &maypole::Task) {
    let me = maypole::task::current();
    let victim = victim.clone();
    spawn(move || {
        maypole::task::shield(|| {
            for _ in 0..1000 {
                if victim.status() == maypole::task::Status::Killed {
                    break;
                }
                yield_now();
            }
        });
        me.unpark();
    });
    park();
}
