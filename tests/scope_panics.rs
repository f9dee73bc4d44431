//! Scopes whose tasks panic: who is killed, whose payload comes out, who has received it before.
mod steps;

use maypole::{Builder, Clock, RunError, scope, sleep, spawn, yield_now};
use std::cell::Cell;
use std::panic::{panic_any, resume_unwind};
use steps::{Log, message_of, ms, on_virtual_time, payload_of, unwinds};

#[derive(Debug, PartialEq)]
struct Custom(u32);

#[test]
fn a_childs_panic_comes_out_with_its_payload() {
    on_virtual_time(|| {
        let payload = payload_of(|| {
            scope(|s| {
                s.spawn(|| panic_any(Custom(7)));
            });
        });
        assert_eq!(*payload.downcast::<Custom>().unwrap(), Custom(7));
    });
}

#[test]
fn siblings_of_a_panicking_child_are_killed_with_their_destructors() {
    on_virtual_time(|| {
        let log = Log::new();
        let message = message_of(|| {
            scope(|s| {
                for n in 1..=2 {
                    let log = &log;
                    s.spawn(move || {
                        let _gone = log.on_drop(format!("sibling {n}"));
                        maypole::task::park();
                        log.add("never");
                    });
                }
                s.spawn(|| {
                    sleep(ms(5));
                    panic!("the message of the child");
                });
            });
        });
        assert_eq!(message, "the message of the child");
        assert_eq!(log.steps(), ["sibling 1", "sibling 2"]);
    });
}

#[test]
fn the_closure_is_interrupted_at_its_next_park() {
    on_virtual_time(|| {
        let log = Log::new();
        let message = message_of(|| {
            scope(|s| {
                let _closure = log.on_drop("closure unwound");
                s.spawn(|| panic!("child"));
                sleep(ms(1000));
                log.add("never");
            });
        });
        log.add("caught");
        assert_eq!(message, "child");
        assert_eq!(log.steps(), ["closure unwound", "caught"]);
        sleep(ms(1));
    });
}

#[test]
fn a_closure_that_swallows_the_interruption_still_fails() {
    on_virtual_time(|| {
        let mut caught = 0;
        let message = message_of(|| {
            scope(|s| {
                s.spawn(|| panic!("child"));
                while caught < 3 {
                    caught += usize::from(unwinds(|| sleep(ms(1000))));
                }
                "a value that is dropped"
            })
        });
        assert_eq!((message.as_str(), caught), ("child", 3));
    });
}

#[test]
fn a_closure_that_does_not_park_any_more_is_not_interrupted() {
    on_virtual_time(|| {
        let log = Log::new();
        let message = message_of(|| {
            scope(|s| {
                s.spawn_now(|| panic!("child"));
                log.add("went on");
                log.on_drop("value dropped")
            })
        });
        assert_eq!(
            (message.as_str(), log.text().as_str()),
            ("child", "went on value dropped")
        );
    });
}

#[test]
fn a_parked_join_receives_the_panic_first_and_handles_it() {
    on_virtual_time(|| {
        let log = Log::new();
        let value = scope(|s| {
            let bystander = s.spawn(|| {
                sleep(ms(10));
                log.add("bystander done");
            });
            let error = s
                .spawn(|| {
                    yield_now();
                    panic_any(Custom(1))
                })
                .join()
                .unwrap_err();
            assert_eq!(*error.into_panic().downcast::<Custom>().unwrap(), Custom(1));
            bystander.join().unwrap();
            "value"
        });
        assert_eq!((value, log.text().as_str()), ("value", "bystander done"));
    });
}

#[test]
fn a_join_by_a_sibling_handles_the_panic_too() {
    on_virtual_time(|| {
        scope(|s| {
            let failing = s.spawn(|| {
                sleep(ms(1));
                panic!("handled by the sibling");
            });
            s.spawn(move || assert!(failing.join().unwrap_err().is_panic()));
        });
    });
}

#[test]
fn a_join_that_comes_after_the_panic_does_not_undo_the_failure() {
    on_virtual_time(|| {
        let log = Log::new();
        let message = message_of(|| {
            scope(|s| {
                let failing = s.spawn_now(|| panic!("too early"));
                // The join need not wait, but it is a call that may park.
                drop(failing.join());
                log.add("never");
            });
        });
        assert_eq!(message, "too early");
        assert!(log.steps().is_empty());
    });
}

#[test]
fn of_two_panicking_children_the_first_wins_and_the_run_names_the_other() {
    let run = Builder::new()
        .clock(Clock::Virtual)
        .fail_on_unjoined_panic(true);
    let ended = run.run(|| {
        let message = message_of(|| {
            scope(|s| {
                s.spawn(|| {
                    let _second = steps::OnDrop(|| yield_now());
                    yield_now();
                    panic!("first");
                });
                s.spawn(|| {
                    yield_now();
                    panic!("second");
                });
            });
        });
        // The first to panic is not the first to end: it still yields in a destructor.
        assert_eq!(message, "second");
    });
    let Err(RunError::Panicked(report)) = ended else {
        panic!("the other panic is lost");
    };
    assert!(report.to_string().contains("first"), "{report}");
}

#[test]
fn a_closure_that_panics_after_its_child_comes_second() {
    on_virtual_time(|| {
        let message = message_of(|| {
            scope(|s| {
                s.spawn_now(|| panic!("child"));
                panic!("closure");
            });
        });
        assert_eq!(message, "child");
    });
}

#[test]
fn a_closure_that_panics_kills_the_children_and_its_payload_comes_out() {
    on_virtual_time(|| {
        let log = Log::new();
        let payload = payload_of(|| {
            scope(|s| {
                s.spawn(|| {
                    let _gone = log.on_drop("child gone");
                    maypole::task::park();
                });
                yield_now();
                panic_any(Custom(3));
            });
        });
        log.add("caught");
        assert_eq!(*payload.downcast::<Custom>().unwrap(), Custom(3));
        assert_eq!(log.steps(), ["child gone", "caught"]);
    });
}

#[test]
fn a_child_that_panics_while_it_is_killed_by_the_end_does_not_replace_the_closures_panic() {
    let ended = Builder::new().fail_on_unjoined_panic(true).run(|| {
        let message = message_of(|| {
            scope(|s| {
                s.spawn(|| {
                    if unwinds(maypole::task::park) {
                        panic!("child");
                    }
                });
                yield_now();
                panic!("closure");
            });
        });
        // A child that ends by its own panic after the closure's: the first that is known wins.
        assert!(
            ["closure", "child"].contains(&message.as_str()),
            "{message}"
        );
        assert_eq!(message, "closure");
    });
    assert!(
        matches!(ended, Err(RunError::Panicked(_))),
        "the child's panic is lost"
    );
}

#[test]
fn a_killed_child_is_an_error_of_its_join_and_no_failure() {
    on_virtual_time(|| {
        let outcome = scope(|s| {
            let handle = s.spawn(|| maypole::task::park());
            yield_now();
            handle.kill("no longer needed");
            handle.join()
        });
        assert!(outcome.unwrap_err().is_killed());
    });
}

#[test]
fn a_daemons_panic_fails_the_scope() {
    on_virtual_time(|| {
        let message = message_of(|| {
            scope(|s| {
                s.spawn_daemon(|| panic!("daemon"));
                s.spawn(|| maypole::task::park());
            });
        });
        assert_eq!(message, "daemon");
    });
}

#[test]
fn a_panic_passes_through_nested_scopes_with_its_payload() {
    on_virtual_time(|| {
        let log = Log::new();
        let payload = payload_of(|| {
            scope(|outer| {
                outer.spawn(|| {
                    let _gone = log.on_drop("outer child");
                    maypole::task::park();
                });
                scope(|inner| {
                    inner.spawn(|| {
                        let _gone = log.on_drop("inner sibling");
                        maypole::task::park();
                    });
                    inner.spawn(|| panic_any(Custom(9)));
                });
            });
        });
        assert_eq!(*payload.downcast::<Custom>().unwrap(), Custom(9));
        assert_eq!(log.steps(), ["inner sibling", "outer child"]);
    });
}

#[test]
fn a_failure_of_the_outer_scope_unwinds_the_inner_one_first() {
    on_virtual_time(|| {
        let log = Log::new();
        let message = message_of(|| {
            scope(|outer| {
                outer.spawn(|| {
                    sleep(ms(1));
                    panic!("outer child");
                });
                scope(|inner| {
                    inner.spawn(|| {
                        let _gone = log.on_drop("inner child");
                        maypole::task::park();
                    });
                });
                log.add("never");
            });
        });
        assert_eq!(
            (message.as_str(), log.text().as_str()),
            ("outer child", "inner child")
        );
    });
}

#[test]
fn the_owner_killed_after_a_childs_panic_ends_killed_and_the_run_names_the_panic() {
    let ended = Builder::new().fail_on_unjoined_panic(true).run(|| {
        let handle = spawn(|| {
            scope(|s| {
                s.spawn_now(|| panic!("child"));
                maypole::task::current().kill("at the same time");
                yield_now();
            });
        });
        assert!(handle.join().unwrap_err().is_killed());
    });
    let Err(RunError::Panicked(report)) = ended else {
        panic!("the child's panic is lost");
    };
    assert!(report.to_string().contains("child"), "{report}");
}

#[test]
fn a_failed_scope_leaves_the_next_one_untouched() {
    on_virtual_time(|| {
        for round in 0..3 {
            assert!(unwinds(|| scope(|s| {
                s.spawn(|| panic!("round"));
            })));
            let done = Cell::new(false);
            scope(|s| {
                s.spawn(|| {
                    sleep(ms(round));
                    done.set(true);
                });
                sleep(ms(1));
            });
            assert!(done.get());
        }
    });
}

#[test]
fn a_scope_in_a_destructor_may_fail_if_the_failure_is_caught_there() {
    on_virtual_time(|| {
        let log = Log::new();
        let theirs = log.clone();
        let handle = spawn(move || {
            let _scope = steps::OnDrop(|| {
                let message = message_of(|| {
                    scope(|s| {
                        s.spawn(|| panic!("in the cleanup"));
                        s.spawn(|| maypole::task::park());
                        maypole::task::park();
                    });
                });
                theirs.add(message);
            });
            resume_unwind(Box::new("why it unwinds"));
        });
        assert_eq!(handle.join().unwrap_err().message(), Some("why it unwinds"));
        assert_eq!(log.text(), "in the cleanup");
    });
}
