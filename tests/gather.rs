//! Several tasks at once: the first, both, all.
mod steps;

use maypole::task::{both, join_all, race};
use maypole::{Builder, RunError, sleep, spawn, yield_now};
use std::cell::{Cell, RefCell};
use std::panic::panic_any;
use std::rc::Rc;
use steps::{Log, OnDrop, message_of, ms, on_virtual_time, payload_of, unwinds};

#[test]
fn the_first_finisher_wins_and_the_others_run_their_destructors() {
    on_virtual_time(|| {
        let log = Log::new();
        let start = maypole::time::now();
        let winner = race([40, 10, 30, 20].map(|delay| {
            let log = &log;
            move || {
                let _gone = OnDrop(|| {
                    if std::thread::panicking() {
                        yield_now();
                        log.add(format!("{delay} cancelled"));
                    }
                });
                sleep(ms(delay));
                delay
            }
        }));
        assert_eq!(winner, 10);
        assert_eq!(
            log.steps(),
            ["40 cancelled", "30 cancelled", "20 cancelled"]
        );
        assert_eq!(maypole::time::now() - start, ms(10));
    });
}

#[test]
fn of_equals_the_first_in_order_wins() {
    on_virtual_time(|| assert_eq!(race(["a", "b", "c"].map(|name| move || name)), "a"));
}

#[test]
fn a_race_waits_for_the_cleanup_of_the_losers() {
    on_virtual_time(|| {
        let start = maypole::time::now();
        let slow: Box<dyn FnOnce()> = Box::new(|| {
            let _cleanup = OnDrop(|| sleep(ms(7)));
            maypole::task::park();
        });
        race([slow, Box::new(|| sleep(ms(1)))]);
        assert_eq!(maypole::time::now() - start, ms(8));
    });
}

#[test]
fn a_panic_wins_a_race_with_its_payload() {
    on_virtual_time(|| {
        let log = Log::new();
        let payload = payload_of(|| {
            race([5_u64, 1].map(|delay| {
                let log = &log;
                move || {
                    let _gone = log.on_drop(delay);
                    sleep(ms(delay));
                    panic_any(delay)
                }
            }))
        });
        assert_eq!(*payload.downcast::<u64>().unwrap(), 1);
        assert_eq!(log.steps(), ["1", "5"]);
    });
}

#[test]
fn a_panic_of_a_loser_is_not_the_races_business() {
    on_virtual_time(|| {
        let tasks: [Box<dyn FnOnce() -> u32>; 2] = [
            Box::new(|| {
                assert!(unwinds(maypole::task::park));
                panic!("loser");
            }),
            Box::new(|| {
                yield_now();
                7
            }),
        ];
        assert_eq!(race(tasks), 7);
    });
}

#[test]
fn a_race_without_tasks_is_refused() {
    on_virtual_time(|| {
        let message = message_of(|| race(Vec::<fn()>::new()));
        assert!(message.contains("without tasks"), "{message}");
        assert!(
            message.contains("gather.rs"),
            "it names the place: {message}"
        );
    });
}

#[test]
fn a_race_of_which_every_task_is_killed_panics() {
    on_virtual_time(|| {
        let tasks = RefCell::new(Vec::new());
        let racers = [1, 2].map(|_| {
            || {
                tasks.borrow_mut().push(maypole::task::current());
                if tasks.borrow().len() == 2 {
                    for task in &*tasks.borrow() {
                        task.kill("test");
                    }
                }
                maypole::task::park();
            }
        });
        let message = message_of(|| race(racers));
        assert!(message.contains("was killed"), "{message}");
    });
}

#[test]
fn a_killed_racer_leaves_the_race_to_the_others() {
    on_virtual_time(|| {
        let racers = [true, false].map(|is_killed| {
            move || {
                if is_killed {
                    maypole::task::current().kill("test");
                }
                sleep(ms(5));
                is_killed
            }
        });
        assert!(!race(racers));
    });
}

#[test]
fn racers_may_borrow_and_give_back_borrows() {
    on_virtual_time(|| {
        let words = ["long".to_string(), "short".to_string()];
        let winner = race(words.iter().map(|word| {
            move || {
                sleep(ms(if word == "long" { 10 } else { 1 }));
                word
            }
        }));
        assert_eq!(winner, "short");
    });
}

#[test]
fn the_caller_of_a_race_killed_meanwhile_takes_the_racers_along() {
    on_virtual_time(|| {
        let log = Log::new();
        let theirs = log.clone();
        let caller = spawn(move || {
            let frame = String::from("racer");
            race([1, 2].map(|n| {
                let (frame, log) = (&frame, &theirs);
                move || {
                    let _gone = OnDrop(|| log.add(format!("{frame} {n}")));
                    maypole::task::park();
                }
            }));
            theirs.add("never");
        });
        for _ in 0..4 {
            yield_now();
        }
        caller.kill("test");
        assert!(caller.join().unwrap_err().is_killed());
        assert_eq!(log.steps(), ["racer 1", "racer 2"]);
    });
}

#[test]
fn the_names_of_racers_tell_where_the_race_is() {
    on_virtual_time(|| {
        let name = race([|| maypole::task::current().name().to_string()]);
        assert!(name.contains("tests/gather.rs"), "{name}");
        let (_, name) = both(|| (), || maypole::task::current().name().to_string());
        assert!(name.contains("tests/gather.rs"), "{name}");
        let names = join_all([|| maypole::task::current().name().to_string()]);
        let name = names[0].as_ref().unwrap();
        assert!(name.contains("tests/gather.rs"), "{name}");
    });
}

#[test]
fn both_run_at_the_same_time_and_both_results_come_back() {
    on_virtual_time(|| {
        let log = Log::new();
        let start = maypole::time::now();
        let results = both(
            || {
                sleep(ms(20));
                log.add("a");
                1
            },
            || {
                sleep(ms(10));
                log.add("b");
                "two"
            },
        );
        assert_eq!(results, (1, "two"));
        assert_eq!(log.steps(), ["b", "a"]);
        assert_eq!(maypole::time::now() - start, ms(20));
    });
}

#[test]
fn a_panic_of_either_of_both_kills_the_other_and_comes_out() {
    on_virtual_time(|| {
        let log = Log::new();
        let failing = || -> () {
            sleep(ms(5));
            panic!("half");
        };
        let waiting = || {
            let _gone = log.on_drop("other half gone");
            maypole::task::park();
        };
        assert_eq!(message_of(|| both(failing, waiting)), "half");
        assert_eq!(message_of(|| both(waiting, failing)), "half");
        assert_eq!(log.steps(), ["other half gone", "other half gone"]);
    });
}

#[test]
fn a_killed_half_is_told() {
    on_virtual_time(|| {
        let message = message_of(|| {
            both(
                || (),
                || {
                    maypole::task::current().kill("test");
                    yield_now();
                },
            )
        });
        assert!(
            message.contains("one of both tasks was killed"),
            "{message}"
        );
    });
}

#[test]
fn both_may_borrow_different_parts() {
    on_virtual_time(|| {
        let mut pair = (1, 2);
        let (left, right) = (&mut pair.0, &mut pair.1);
        both(|| *left += 10, || *right += 20);
        assert_eq!(pair, (11, 22));
    });
}

#[test]
fn join_all_gives_the_results_in_order_whatever_the_order_of_the_ends() {
    on_virtual_time(|| {
        let results = join_all([30, 10, 20].map(|delay| {
            move || {
                sleep(ms(delay));
                delay
            }
        }));
        let results: Vec<u64> = results.into_iter().map(Result::unwrap).collect();
        assert_eq!(results, [30, 10, 20]);
    });
}

#[test]
fn join_all_starts_each_task_at_once_in_order() {
    on_virtual_time(|| {
        let log = Log::new();
        join_all([1, 2, 3].map(|n| {
            let log = &log;
            move || {
                log.add(format!("begin {n}"));
                yield_now();
                log.add(format!("end {n}"));
            }
        }));
        let expected = ["begin 1", "begin 2", "begin 3", "end 1", "end 2", "end 3"];
        assert_eq!(log.steps(), expected);
    });
}

#[test]
fn a_failure_in_join_all_is_told_in_its_place_and_spares_the_others() {
    let ended = Builder::new().fail_on_unjoined_panic(true).run(|| {
        let results = join_all([1, 0, 2].map(|n| {
            move || {
                yield_now();
                if n == 2 {
                    maypole::task::current().kill("two");
                    yield_now();
                }
                10 / n
            }
        }));
        assert_eq!(*results[0].as_ref().unwrap(), 10);
        assert!(results[1].as_ref().unwrap_err().is_panic());
        assert_eq!(results[2].as_ref().unwrap_err().reason(), Some("two"));
    });
    // Its panic was received: the run does not name it again.
    assert!(!matches!(ended, Err(RunError::Panicked(_))));
    ended.unwrap();
}

#[test]
fn join_all_of_nothing_is_nothing() {
    on_virtual_time(|| assert!(join_all(Vec::<fn()>::new()).is_empty()));
}

#[test]
fn the_caller_of_join_all_killed_by_its_first_task_takes_all_along() {
    on_virtual_time(|| {
        let log = Log::new();
        let theirs = log.clone();
        let caller = Rc::new(RefCell::new(None));
        let victim = caller.clone();
        let handle = spawn(move || {
            *victim.borrow_mut() = Some(maypole::task::current());
            let first = Cell::new(true);
            join_all([1, 2, 3].map(|n| {
                let (first, log, victim) = (&first, &theirs, &victim);
                move || {
                    let _gone = log.on_drop(n);
                    if first.replace(false) {
                        victim.borrow().as_ref().unwrap().kill("by its child");
                    }
                    maypole::task::park();
                }
            }));
            theirs.add("never");
        });
        assert!(handle.join().unwrap_err().is_killed());
        assert_eq!(log.text(), "1");
    });
}

#[test]
fn gathering_where_yielding_is_forbidden_is_refused_before_anything_runs() {
    on_virtual_time(|| {
        let log = Log::new();
        let run = || log.add("never");
        maypole::task::no_yield(|| {
            assert!(unwinds(|| race([run])));
            assert!(unwinds(|| both(run, run)));
            assert!(unwinds(|| join_all([run])));
        });
        assert!(log.steps().is_empty());
    });
}

#[test]
fn races_nest() {
    on_virtual_time(|| {
        let winner = race([[5, 9], [7, 3]].map(|pair| {
            move || {
                race(pair.map(|delay| {
                    move || {
                        sleep(ms(delay));
                        delay
                    }
                }))
            }
        }));
        assert_eq!(winner, 3);
    });
}
