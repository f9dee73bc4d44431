//! Child first: the order, the nesting, and kills and panics inside.
mod task_support;

use maypole::task::{Killed, Status, current, park};
use maypole::{JoinHandle, run, scope, sleep, spawn, spawn_now, yield_now};
use std::cell::{Cell, RefCell};
use std::panic::catch_unwind;
use std::rc::Rc;
use std::time::Duration;
use task_support::{LONG, Log, OnDrop, virtually, yield_times};

#[test]
fn the_child_runs_until_it_first_parks_and_then_the_parent_goes_on() {
    let log = Log::new();
    run(|| {
        let waiting = log.clone();
        spawn(move || waiting.say("waited"));
        let theirs = log.clone();
        let child = spawn_now(move || {
            theirs.say("child");
            yield_now();
            theirs.say("child-again");
            park();
            theirs.say("child-woken");
        });
        log.say("parent");
        yield_now();
        child.task().unpark();
        child.join().unwrap();
    });
    assert_eq!(log.text(), "child parent waited child-again child-woken");
}

#[test]
fn a_child_that_never_waits_is_finished_when_spawn_now_returns() {
    run(|| {
        let child = spawn_now(|| 7);
        assert!(child.is_finished());
        assert_eq!(child.join().unwrap(), 7);
    });
}

#[test]
fn the_first_spawn_now_of_a_task_does_not_switch_to_others() {
    let log = Log::new();
    run(|| {
        let waiting = log.clone();
        spawn(move || waiting.say("other"));
        let theirs = log.clone();
        spawn_now(move || theirs.say("child"));
        log.say("parent");
        yield_now();
    });
    assert_eq!(log.text(), "child parent other");
}

#[test]
fn a_hundred_children_nest_and_unnest_in_order() {
    fn nest(log: &Log, left: usize) {
        if left == 0 {
            return;
        }
        let theirs = log.clone();
        let child = spawn_now(move || {
            nest(&theirs, left - 1);
            theirs.say(left);
            yield_now();
            theirs.say(format!("again{left}"));
        });
        drop(child);
    }
    let log = Log::new();
    run(|| {
        nest(&log, 100);
        yield_times(2);
    });
    let mut expected: Vec<String> = (1..=100).map(|n: usize| n.to_string()).collect();
    expected.extend((1..=100).map(|n| format!("again{n}")));
    assert_eq!(log.words(), expected);
}

#[test]
fn the_parent_counts_as_running_meanwhile() {
    run(|| {
        let parent = current();
        spawn_now(move || {
            assert_eq!(parent.status(), Status::Running);
            assert_eq!(current().status(), Status::Running);
            assert_ne!(parent, current());
        })
        .join()
        .unwrap();
        assert_eq!(current().name(), "main");
    });
}

#[test]
fn a_child_that_kills_its_parent_reaches_it_at_the_parent_s_next_park() {
    let log = Log::new();
    run(|| {
        let theirs = log.clone();
        let parent = spawn(move || {
            let me = current();
            let child = spawn_now(move || {
                assert_eq!(me.kill("by the child"), Killed::Running);
                assert_eq!(me.status(), Status::Killing);
                "child"
            });
            theirs.say("goes on");
            assert!(child.is_finished());
            let _ = child.join();
            unreachable!("the join looks for kills first");
        });
        assert_eq!(parent.join().unwrap_err().reason(), Some("by the child"));
    });
    assert_eq!(log.text(), "goes on");
}

#[test]
fn a_grandchild_that_kills_everybody_lets_each_go_on_to_its_park() {
    let log = Log::new();
    run(|| {
        let theirs = log.clone();
        let top = spawn(move || {
            let top = current();
            let log = theirs.clone();
            let middle = spawn_now(move || {
                let middle = current();
                spawn_now(move || {
                    top.kill("all");
                    middle.kill("all");
                    current().kill("all");
                });
                log.say("middle");
                yield_now();
                unreachable!();
            });
            theirs.say("top");
            assert_eq!(middle.task().status(), Status::Killed);
            yield_now();
            unreachable!();
        });
        assert!(top.join().unwrap_err().is_killed());
    });
    assert_eq!(log.text(), "middle top");
}

#[test]
fn a_panic_in_a_nested_child_stays_in_the_child() {
    run(|| {
        let child: JoinHandle<()> = spawn_now(|| panic!("inside"));
        assert!(!std::thread::panicking());
        assert!(child.is_finished());
        assert_eq!(child.join().unwrap_err().message(), Some("inside"));
    });
}

#[test]
fn a_nested_child_that_parks_while_it_unwinds_leaves_no_panic_count_behind() {
    virtually(|| {
        let child: JoinHandle<()> = spawn_now(|| {
            let _cleanup = OnDrop(|| sleep(Duration::from_secs(1)));
            panic!("inside");
        });
        assert!(!std::thread::panicking());
        assert!(!child.is_finished());
        assert!(child.join().unwrap_err().is_panic());
        assert!(!std::thread::panicking());
    });
}

#[test]
fn a_pending_kill_unwinds_the_caller_before_the_child_exists() {
    let log = Log::new();
    run(|| {
        let theirs = log.clone();
        let parent = spawn(move || {
            let captured = theirs.on_drop("captures dropped");
            current().kill("before");
            spawn_now(move || {
                let _captured = captured;
                unreachable!();
            });
            unreachable!();
        });
        assert!(parent.join().unwrap_err().is_killed());
    });
    assert_eq!(log.text(), "captures dropped");
}

#[test]
fn while_unwinding_it_is_spawn() {
    let log = Log::new();
    run(|| {
        let theirs = log.clone();
        let task = spawn(move || {
            let _cleanup = OnDrop(|| {
                let log = theirs.clone();
                let child = spawn_now(move || {
                    assert!(!std::thread::panicking());
                    log.say("child");
                });
                theirs.say("cleanup");
                child.join().unwrap();
            });
            park();
        });
        yield_times(2);
        task.kill("now");
        assert!(task.join().unwrap_err().is_killed());
    });
    assert_eq!(log.text(), "cleanup child");
}

#[test]
fn a_nested_child_killed_where_it_parked_first_dies_on_its_own() {
    let log = Log::new();
    run(|| {
        let guard = log.on_drop("child unwound");
        let child = spawn_now(move || {
            let _guard = guard;
            park();
        });
        assert_eq!(child.kill("now"), Killed::Parked);
        log.say("parent");
        assert!(child.join().unwrap_err().is_killed());
    });
    assert_eq!(log.text(), "parent child unwound");
}

#[test]
fn a_nested_child_may_be_abandoned_under_its_parent() {
    run(|| {
        let child: JoinHandle<()> = spawn_now(|| {
            current().kill("myself");
            loop {
                let _ = catch_unwind(|| park());
            }
        });
        assert!(child.is_finished());
        assert_eq!(child.task().status(), Status::Abandoned);
        assert!(child.join().unwrap_err().is_abandoned());
        assert_eq!(spawn_now(|| 3).join().unwrap(), 3);
    });
}

#[test]
fn the_budget_makes_a_spawner_yield_now_and_then() {
    let passes = Rc::new(Cell::new(0));
    run(|| {
        let theirs = passes.clone();
        spawn(move || {
            loop {
                theirs.set(theirs.get() + 1);
                yield_now();
            }
        });
        for _ in 0..1280 {
            drop(spawn_now(|| ()));
        }
        assert_eq!(passes.get(), 10, "every 128th call");
    });
}

#[test]
fn a_scope_s_child_may_go_first() {
    let log = Log::new();
    let mut value = 1;
    run(|| {
        scope(|s| {
            let child = s.spawn_now(|| {
                log.say("child");
                value += 1;
                value
            });
            log.say("parent");
            assert_eq!(child.join().unwrap(), 2);
        });
    });
    assert_eq!(log.text(), "child parent");
    assert_eq!(value, 2);
}

#[test]
fn a_parent_parked_by_nothing_else_is_not_resumed_by_its_child_s_wake() {
    virtually(|| {
        let parent = current();
        let order = Rc::new(RefCell::new(Vec::new()));
        let theirs = order.clone();
        let child = spawn_now(move || {
            parent.unpark();
            theirs.borrow_mut().push("child");
            sleep(Duration::from_secs(1));
            theirs.borrow_mut().push("child later");
        });
        order.borrow_mut().push("parent");
        park();
        order.borrow_mut().push("token used");
        child.join().unwrap();
        drop(spawn(|| sleep(LONG)));
        assert_eq!(
            *order.borrow(),
            ["child", "parent", "token used", "child later"]
        );
    });
}
