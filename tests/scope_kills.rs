//! Scopes whose owner or children are killed, time out, or refuse to die.
mod steps;

use maypole::task::{Killed, shield};
use maypole::time::{Elapsed, timeout};
use maypole::{scope, sleep, spawn, yield_now};
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::Duration;
use steps::{Log, OnDrop, ms, on_virtual_time, unwinds};

/// Turns enough for a few tasks to begin and park.
fn let_all_park() {
    for _ in 0..5 {
        yield_now();
    }
}

#[test]
fn an_owner_killed_inside_the_closure_outlives_its_children() {
    on_virtual_time(|| {
        let log = Log::new();
        let theirs = log.clone();
        let owner = spawn(move || {
            let frame = String::from("the owner's frame");
            let _frame_gone = theirs.on_drop("frame gone");
            scope(|s| {
                for n in 1..=2 {
                    let (frame, log) = (&frame, &theirs);
                    s.spawn(move || {
                        let _cleanup = OnDrop(|| {
                            yield_now();
                            log.add(format!("child {n} sees {frame}"));
                        });
                        maypole::task::park();
                    });
                }
                maypole::task::park();
            });
            theirs.add("never");
        });
        let_all_park();
        assert_eq!(owner.kill("test"), Killed::Parked);
        assert!(owner.join().unwrap_err().is_killed());
        let expected = [
            "child 1 sees the owner's frame",
            "child 2 sees the owner's frame",
            "frame gone",
        ];
        assert_eq!(log.steps(), expected);
    });
}

#[test]
fn an_owner_killed_while_it_waits_at_the_end_runs_no_code_after_the_scope() {
    on_virtual_time(|| {
        let log = Log::new();
        let theirs = log.clone();
        let owner = spawn(move || {
            let frame = Cell::new(1);
            scope(|s| {
                s.spawn(|| {
                    let _cleanup = OnDrop(|| {
                        sleep(ms(3));
                        frame.set(2);
                        theirs.add("child gone");
                    });
                    maypole::task::park();
                });
            });
            theirs.add("never");
        });
        let_all_park();
        owner.kill("test");
        assert!(owner.join().unwrap_err().is_killed());
        assert_eq!(log.text(), "child gone");
    });
}

#[test]
fn a_kill_of_the_owner_under_a_shield_waits_for_the_shield() {
    on_virtual_time(|| {
        let log = Log::new();
        let theirs = log.clone();
        let owner = spawn(move || {
            shield(|| {
                scope(|s| {
                    s.spawn(|| {
                        sleep(ms(10));
                        theirs.add("child done");
                    });
                });
                theirs.add("scope left");
            });
            yield_now();
            theirs.add("never");
        });
        let_all_park();
        assert_eq!(owner.kill("test"), Killed::Shielded);
        assert!(owner.join().unwrap_err().is_killed());
        assert_eq!(log.steps(), ["child done", "scope left"]);
    });
}

#[test]
fn a_second_kill_while_the_scope_is_being_left_changes_nothing() {
    on_virtual_time(|| {
        let log = Log::new();
        let theirs = log.clone();
        let owner = spawn(move || {
            scope(|s| {
                s.spawn(|| {
                    let _cleanup = OnDrop(|| {
                        sleep(ms(10));
                        theirs.add("child gone");
                    });
                    maypole::task::park();
                });
            });
        });
        let_all_park();
        owner.kill("first");
        sleep(ms(5));
        assert_eq!(owner.kill("second"), Killed::Already);
        let error = owner.join().unwrap_err();
        assert_eq!(error.reason(), Some("first"));
        assert_eq!(log.text(), "child gone");
    });
}

#[test]
fn an_owner_that_kills_itself_in_the_closure_is_unwound_at_the_end_at_the_latest() {
    on_virtual_time(|| {
        let log = Log::new();
        let theirs = log.clone();
        let owner = spawn(move || {
            scope(|s| {
                s.spawn(|| maypole::task::park());
                maypole::task::current().kill("by itself");
                theirs.add("goes on");
            });
            theirs.add("never");
        });
        assert!(owner.join().unwrap_err().is_killed());
        assert_eq!(log.text(), "goes on");
    });
}

#[test]
fn a_spawn_now_of_a_killed_owner_unwinds_and_leaves_the_scope_clean() {
    on_virtual_time(|| {
        let log = Log::new();
        let theirs = log.clone();
        let owner = spawn(move || {
            scope(|s| {
                let capture = theirs.on_drop("captures gone");
                maypole::task::current().kill("by itself");
                s.spawn_now(move || drop(capture));
                theirs.add("never");
            });
        });
        assert!(owner.join().unwrap_err().is_killed());
        assert_eq!(log.text(), "captures gone");
    });
}

#[test]
fn a_spawn_now_that_gives_way_first_is_not_taken_for_its_owner() {
    on_virtual_time(|| {
        let log = Log::new();
        let message = steps::message_of(|| {
            scope(|s| {
                s.spawn(|| panic!("sibling"));
                // Enough calls that do not wait for one of them to give way to the sibling.
                for _ in 0..300 {
                    s.spawn_now(|| ());
                }
                log.add("never");
            });
        });
        // The owner caught the panic of the sibling and was not killed: it may park again.
        sleep(ms(1));
        assert_eq!(message, "sibling");
        assert!(log.steps().is_empty());
    });
}

#[test]
fn children_spawned_while_the_scope_is_being_left_are_killed_before_they_start() {
    on_virtual_time(|| {
        let log = Log::new();
        let theirs = log.clone();
        let owner = spawn(move || {
            scope(|s| {
                s.spawn(|| {
                    let _late = OnDrop(|| {
                        let capture = theirs.on_drop("captures gone");
                        let log = &theirs;
                        s.spawn(move || {
                            let _capture = capture;
                            log.add("never");
                        });
                        s.spawn_now(|| log.add("never"));
                        s.spawn_daemon(|| log.add("never"));
                    });
                    maypole::task::park();
                });
                maypole::task::park();
            });
        });
        let_all_park();
        owner.kill("test");
        assert!(owner.join().unwrap_err().is_killed());
        assert_eq!(log.text(), "captures gone");
    });
}

#[test]
fn a_timeout_of_the_owner_kills_the_children_of_a_scope_inside() {
    on_virtual_time(|| {
        let log = Log::new();
        let start = maypole::time::now();
        let result = timeout(ms(10), || {
            scope(|s| {
                s.spawn(|| {
                    let _cleanup = OnDrop(|| {
                        sleep(ms(5));
                        log.add("child gone");
                    });
                    maypole::task::park();
                });
            });
            log.add("never");
        });
        assert_eq!(result, Err(Elapsed));
        assert_eq!(log.text(), "child gone");
        assert_eq!(maypole::time::now() - start, ms(15));
    });
}

#[test]
fn a_timeout_inside_the_closure_leaves_the_scope_alone() {
    on_virtual_time(|| {
        let log = Log::new();
        scope(|s| {
            s.spawn(|| {
                sleep(ms(20));
                log.add("child done");
            });
            assert_eq!(timeout(ms(10), maypole::task::park), Err(Elapsed));
            log.add("timed out");
        });
        assert_eq!(log.steps(), ["timed out", "child done"]);
    });
}

#[test]
fn a_killed_child_is_no_failure() {
    on_virtual_time(|| {
        let log = Log::new();
        let value = scope(|s| {
            let victim = s.spawn(|| maypole::task::park());
            s.spawn(|| {
                sleep(ms(5));
                log.add("sibling done");
            });
            yield_now();
            assert_eq!(victim.kill("test"), Killed::Parked);
            "value"
        });
        assert_eq!((value, log.text().as_str()), ("value", "sibling done"));
    });
}

#[test]
fn a_scope_kills_all_its_tasks_and_no_later_ones() {
    on_virtual_time(|| {
        let log = Log::new();
        scope(|s| {
            let handles = [1, 2].map(|_| s.spawn(|| maypole::task::park()));
            yield_now();
            s.kill("enough");
            for handle in handles {
                let error = handle.join().unwrap_err();
                assert_eq!(error.reason(), Some("enough"));
            }
            s.spawn(|| log.add("later"));
        });
        assert_eq!(log.text(), "later");
    });
}

#[test]
fn a_child_may_kill_its_whole_scope_and_with_it_itself() {
    on_virtual_time(|| {
        let log = Log::new();
        scope(|s| {
            s.spawn(|| maypole::task::park());
            s.spawn(|| {
                s.kill("from inside");
                log.add("still here");
                yield_now();
                log.add("never");
            });
        });
        assert_eq!(log.text(), "still here");
    });
}

#[test]
fn a_scoped_child_that_swallows_a_thousand_kills_is_waited_for_while_others_go_on() {
    on_virtual_time(|| {
        let others = Rc::new(Cell::new(0));
        let theirs = others.clone();
        let other = spawn(move || {
            for _ in 0..500 {
                theirs.set(theirs.get() + 1);
                yield_now();
            }
        });
        let swallowed = Cell::new(0);
        scope(|s| {
            let stubborn = s.spawn(|| {
                while swallowed.get() < 1000 {
                    assert!(unwinds(maypole::task::park));
                    swallowed.set(swallowed.get() + 1);
                }
            });
            yield_now();
            stubborn.kill("test");
        });
        assert_eq!(swallowed.get(), 1000);
        assert!(others.get() > 400, "the others got {} turns", others.get());
        other.join().unwrap();
    });
}

#[test]
fn an_abandoned_owner_keeps_the_frame_that_its_children_borrow() {
    on_virtual_time(|| {
        let sum = Rc::new(Cell::new(0));
        let theirs = sum.clone();
        let owner = spawn(move || {
            let frame = vec![7_u8; 4096];
            let on_the_stack = Cell::new(0);
            scope(|s| {
                let (frame, on_the_stack, sum) = (&frame, &on_the_stack, theirs.clone());
                // Killed with its owner, but not before it is done.
                s.spawn(move || {
                    maypole::task::shield(|| {
                        for _ in 0..30 {
                            sleep(ms(10));
                            on_the_stack.set(on_the_stack.get() + 1);
                            sum.set(sum.get() + usize::from(frame[100]));
                        }
                    });
                });
                loop {
                    let _ = catch_unwind(AssertUnwindSafe(maypole::task::park));
                }
            });
        });
        let_all_park();
        owner.kill("test");
        assert!(owner.join().unwrap_err().is_abandoned());
        // Whatever uses the owner's old stack now would show in the child's frame.
        for _ in 0..20 {
            spawn(|| std::hint::black_box([0xff_u8; 8192])[17])
                .join()
                .unwrap();
        }
        sleep(Duration::from_secs(1));
        assert_eq!(sum.get(), 210);
    });
}

#[test]
fn children_of_an_abandoned_owner_are_killed_with_it() {
    let log = Log::new();
    on_virtual_time(|| {
        let (theirs, ours) = (log.clone(), log.clone());
        let owner = spawn(move || {
            let frame = String::from("frame");
            scope(|s| {
                let (frame, log) = (&frame, theirs.clone());
                s.spawn(move || {
                    let _gone = OnDrop(|| log.add(frame));
                    maypole::task::park();
                });
                loop {
                    let _ = catch_unwind(AssertUnwindSafe(maypole::task::park));
                }
            });
        });
        let_all_park();
        owner.kill("test");
        assert!(owner.join().unwrap_err().is_abandoned());
        let_all_park();
        assert_eq!(ours.text(), "frame");
    });
}

#[test]
fn the_end_of_a_run_waits_for_open_scopes_in_other_tasks() {
    let log = Log::new();
    on_virtual_time(|| {
        let theirs = log.clone();
        spawn(move || {
            let frame = String::from("child sees the frame");
            scope(|s| {
                let _closure = theirs.on_drop("closure unwound");
                s.spawn(|| {
                    let _cleanup = OnDrop(|| {
                        sleep(ms(5));
                        theirs.add(&frame);
                    });
                    maypole::task::park();
                });
                maypole::task::park();
            });
        });
        let_all_park();
    });
    assert_eq!(log.steps(), ["closure unwound", "child sees the frame"]);
}

#[test]
fn nested_scopes_unwind_from_the_inside_when_the_owner_is_killed() {
    on_virtual_time(|| {
        let log = Log::new();
        let theirs = log.clone();
        let owner = spawn(move || {
            let outer_frame = [1_u8; 64];
            scope(|outer| {
                outer.spawn(|| {
                    let inner_frame = [2_u8; 64];
                    let _gone = theirs.on_drop("child");
                    scope(|inner| {
                        inner.spawn(|| {
                            let _cleanup = OnDrop(|| {
                                yield_now();
                                let sum: u8 = outer_frame.iter().chain(&inner_frame).sum();
                                theirs.add(format!("grandchild {sum}"));
                            });
                            maypole::task::park();
                        });
                    });
                });
            });
        });
        let_all_park();
        owner.kill("test");
        assert!(owner.join().unwrap_err().is_killed());
        assert_eq!(log.steps(), ["grandchild 192", "child"]);
    });
}

#[test]
fn an_owner_killed_at_each_of_its_turns_never_leaves_a_child_behind() {
    for kill_after in 0..40 {
        let alive = Rc::new(Cell::new(0));
        on_virtual_time(|| {
            let theirs = alive.clone();
            let owner = spawn(move || {
                let frame = Cell::new(0);
                scope(|s| {
                    for n in 0..4 {
                        let (alive, frame) = (&theirs, &frame);
                        s.spawn_now(move || {
                            alive.set(alive.get() + 1);
                            let _gone = OnDrop(|| {
                                // It runs at a normal end too, where a kill may come.
                                shield(yield_now);
                                frame.set(frame.get() + 1);
                                alive.set(alive.get() - 1);
                            });
                            for _ in 0..n {
                                yield_now();
                            }
                        });
                        yield_now();
                    }
                });
                assert_eq!(frame.get(), 4);
            });
            for _ in 0..kill_after {
                yield_now();
            }
            owner.kill("test");
            drop(owner.join());
            assert_eq!(alive.get(), 0, "killed after {kill_after} turns");
        });
    }
}

#[test]
fn a_kill_that_comes_while_a_call_gives_way_by_itself_reaches_that_very_call() {
    on_virtual_time(|| {
        for calls_before in 0..140 {
            let mut victim = spawn(move || {
                // Calls that need not wait, of which one in many gives way all the same.
                for _ in 0..calls_before {
                    maypole::task::current().unpark();
                    maypole::task::park();
                }
                maypole::task::park();
            });
            yield_now();
            victim.kill("test");
            let ended = victim.join_timeout(Duration::from_secs(1));
            let error = ended.expect("the kill is not lost").unwrap_err();
            assert!(error.is_killed(), "after {calls_before} calls");
        }
    });
}
