//! What an exploration tries, what it counts, and what it calls a failure.
mod steps;

use maypole::channel::bounded;
use maypole::explore::{self, Explorer, Outcome, Shared, Switches, any};
use maypole::sync::Event;
use maypole::task::{self, Builder};
use maypole::time::{self, timeout};
use maypole::{JoinHandle, scope, sleep, spawn, spawn_now, yield_now};
use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::Duration;
use steps::{message_of, ms};

fn all(f: impl Fn()) -> Outcome {
    Explorer::new().check(f)
}

fn everywhere() -> Explorer {
    Explorer::new().switches(Switches::Everywhere)
}

/// The report of the failure that there must be.
#[track_caller]
fn report(outcome: &Outcome) -> String {
    match &outcome.failure {
        Some(failure) => failure.report().to_string(),
        None => panic!("nothing failed: {outcome}"),
    }
}

#[track_caller]
fn assert_holds(outcome: &Outcome) {
    assert!(outcome.failure.is_none() && outcome.complete, "{outcome}");
}

/// All different orders that the tasks of a program come in.
fn orders(explorer: Explorer, program: impl Fn(&RefCell<String>)) -> BTreeSet<String> {
    let seen = RefCell::new(BTreeSet::new());
    let outcome = explorer.check(|| {
        let log = RefCell::new(String::new());
        program(&log);
        seen.borrow_mut().insert(log.take());
    });
    assert_holds(&outcome);
    seen.into_inner()
}

// ── what is tried ────────────────────────────────────────────────────────────────────────────

#[test]
fn a_program_of_one_task_has_one_schedule() {
    let outcome = all(|| {
        yield_now();
        sleep(ms(5));
    });
    assert_holds(&outcome);
    assert_eq!((outcome.schedules, outcome.forced), (1, Some(0)));
}

#[test]
fn ready_tasks_come_in_every_order() {
    let three = |log: &RefCell<String>| {
        scope(|s| {
            for name in ["a", "b", "c"] {
                s.spawn(|| log.borrow_mut().push_str(name));
            }
        });
    };
    let orders = orders(Explorer::new(), three);
    let expected = ["abc", "acb", "bac", "bca", "cab", "cba"];
    assert!(orders.iter().eq(expected), "{orders:?}");
}

#[test]
fn tasks_that_were_woken_come_in_any_order() {
    let program = |log: &RefCell<String>| {
        scope(|s| {
            let sleepers = ["a", "b"].map(|name| {
                s.spawn(move || {
                    task::park();
                    log.borrow_mut().push_str(name);
                })
            });
            s.spawn(move || {
                sleepers.iter().for_each(|sleeper| sleeper.task().unpark());
            });
        });
    };
    let orders = orders_of_forced(0, program);
    assert!(orders.iter().eq(["ab", "ba"]), "{orders:?}");
}

#[test]
fn without_a_forced_switch_a_call_that_need_not_wait_does_not_switch() {
    let program = |log: &RefCell<String>| {
        let open = Event::new();
        open.set();
        scope(|s| {
            for name in ["a", "b"] {
                s.spawn(|| {
                    log.borrow_mut().push_str(name);
                    open.wait();
                    log.borrow_mut().push_str(name);
                });
            }
        });
    };
    let free = orders_of_forced(0, program);
    assert!(free.iter().eq(["aabb", "bbaa"]), "{free:?}");
    let forced = orders_of_forced(1, program);
    assert!(
        forced.iter().eq(["aabb", "abba", "baab", "bbaa"]),
        "{forced:?}"
    );
    assert_eq!(orders(Explorer::new(), program).len(), 6);
}

fn orders_of_forced(switches: usize, program: impl Fn(&RefCell<String>)) -> BTreeSet<String> {
    let seen = RefCell::new(BTreeSet::new());
    let outcome = Explorer::new().forced(switches).check(|| {
        let log = RefCell::new(String::new());
        program(&log);
        seen.borrow_mut().insert(log.take());
    });
    assert!(outcome.failure.is_none(), "{outcome}");
    assert_eq!(outcome.forced, Some(switches));
    seen.into_inner()
}

#[test]
fn calls_that_never_wait_are_switches_only_where_every_operation_is_one() {
    let program = |log: &RefCell<String>| {
        let cell = Shared::new(0);
        scope(|s| {
            for name in ["a", "b"] {
                let cell = &cell;
                s.spawn(move || {
                    log.borrow_mut().push_str(name);
                    cell.set(1);
                    log.borrow_mut().push_str(name);
                });
            }
        });
    };
    let parking = orders(Explorer::new(), program);
    assert!(parking.iter().eq(["aabb", "bbaa"]), "{parking:?}");
    let everywhere = orders(everywhere(), program);
    let expected = ["aabb", "abab", "abba", "baab", "baba", "bbaa"];
    assert!(everywhere.iter().eq(expected), "{everywhere:?}");
}

#[test]
fn nothing_switches_inside_no_yield() {
    let program = |log: &RefCell<String>| {
        let cell = Shared::new(0);
        scope(|s| {
            for name in ["a", "b"] {
                let cell = &cell;
                s.spawn(move || {
                    task::no_yield(|| {
                        log.borrow_mut().push_str(name);
                        cell.set(1);
                        log.borrow_mut().push_str(name);
                    });
                });
            }
        });
    };
    let orders = orders(everywhere(), program);
    assert!(orders.iter().eq(["aabb", "bbaa"]), "{orders:?}");
}

#[test]
fn nothing_switches_in_a_destructor_that_runs_while_unwinding() {
    let program = |log: &RefCell<String>| {
        let cell = Shared::new(0);
        scope(|s| {
            s.spawn(|| {
                let _touches = steps::OnDrop(|| {
                    log.borrow_mut().push('a');
                    cell.set(1);
                    log.borrow_mut().push('a');
                });
                let unwinds = || std::panic::resume_unwind(Box::new(()));
                assert!(catch_unwind(unwinds).is_err());
                let _ = catch_unwind(AssertUnwindSafe(|| {
                    let _inside = steps::OnDrop(|| {
                        log.borrow_mut().push('x');
                        cell.set(2);
                        log.borrow_mut().push('x');
                    });
                    std::panic::resume_unwind(Box::new(()));
                }));
            });
            s.spawn(|| log.borrow_mut().push('b'));
        });
    };
    let orders = orders(everywhere(), program);
    assert!(
        orders.iter().all(|order| order.contains("xx")),
        "{orders:?}"
    );
    assert!(
        orders.iter().any(|order| order.contains("aba")),
        "{orders:?}"
    );
}

#[test]
fn a_nested_child_gives_way_to_its_parent() {
    let program = |log: &RefCell<String>| {
        let cell = Shared::new(0);
        scope(|s| {
            s.spawn_now(|| {
                log.borrow_mut().push('c');
                cell.set(1);
                log.borrow_mut().push('c');
            });
            log.borrow_mut().push('p');
        });
    };
    let orders = orders(everywhere(), program);
    assert!(orders.iter().eq(["ccp", "cpc"]), "{orders:?}");
}

#[test]
fn any_gives_every_number_and_tries_all_of_them() {
    let seen = RefCell::new(Vec::new());
    let outcome = all(|| seen.borrow_mut().push([any(2), any(1), any(3)]));
    assert_holds(&outcome);
    assert_eq!(outcome.schedules, 6);
    // The first schedule is run twice.
    let expected = [
        [0, 0, 0],
        [0, 0, 0],
        [0, 0, 1],
        [0, 0, 2],
        [1, 0, 0],
        [1, 0, 1],
        [1, 0, 2],
    ];
    assert_eq!(*seen.borrow(), expected);
}

#[test]
fn any_works_in_plain_runs_and_outside_of_them() {
    assert_eq!(any(5), 0);
    let draws = |seed| {
        let draw = || (0..20).map(|_| any(6)).collect::<Vec<_>>();
        maypole::Builder::new().seed(seed).run(draw).unwrap()
    };
    assert_eq!((draws(0), draws(7)), (draws(0), draws(7)));
    assert_ne!(draws(7), draws(8));
    assert!(draws(7).iter().all(|n| *n < 6));
    assert!(message_of(|| any(0)).contains("explore::any(0)"));
}

#[test]
fn spinning_with_yields_is_finite_under_each_bound() {
    let spin = || {
        let flag = Cell::new(false);
        scope(|s| {
            for _ in 0..2 {
                s.spawn(|| {
                    while !flag.get() {
                        yield_now();
                    }
                });
            }
            s.spawn(|| flag.set(true));
        });
    };
    for bound in 0..3 {
        let outcome = Explorer::new().forced(bound).check(spin);
        assert!(outcome.failure.is_none(), "{outcome}");
        assert_eq!((outcome.forced, outcome.cut), (Some(bound), 0));
    }
}

#[test]
fn a_task_that_yielded_comes_early_only_by_a_forced_switch() {
    let program = |log: &RefCell<String>| {
        scope(|s| {
            s.spawn(|| {
                log.borrow_mut().push('a');
                yield_now();
                log.borrow_mut().push('a');
            });
            s.spawn(|| log.borrow_mut().push('b'));
        });
    };
    let free = orders_of_forced(0, program);
    assert!(free.iter().eq(["aba", "baa"]), "{free:?}");
    let forced = orders_of_forced(1, program);
    assert!(forced.iter().eq(["aab", "aba", "baa"]), "{forced:?}");
}

#[test]
fn time_is_virtual_and_starts_anew() {
    let outcome = all(|| {
        let start = time::now();
        let sleepers: Vec<JoinHandle<()>> = (0..2)
            .map(|_| spawn(|| sleep(Duration::from_secs(3600))))
            .collect();
        sleepers.into_iter().for_each(|s| s.join().unwrap());
        assert_eq!(time::now() - start, Duration::from_secs(3600));
    });
    assert_holds(&outcome);
    assert!(outcome.schedules > 1);
}

// ── what is a failure ────────────────────────────────────────────────────────────────────────

#[test]
fn a_panic_of_main_is_a_failure_with_its_message_and_place() {
    let outcome = all(|| panic!("no luck"));
    let report = report(&outcome);
    assert!(report.contains("FAILED in schedule 1; it needs no forced switch\n  no luck\n"));
    assert!(report.contains("tests/explore.rs:"), "{report}");
    assert_eq!(
        (outcome.schedules, outcome.forced, outcome.complete),
        (1, None, false)
    );
}

#[test]
fn a_panic_that_nobody_joins_is_a_failure_and_one_that_is_joined_is_none() {
    let outcome = all(|| {
        let child = Builder::new().name("child").spawn(|| panic!("lost"));
        drop(child);
        yield_now();
    });
    let report = report(&outcome);
    assert!(
        report.contains("'child'") && report.contains("lost"),
        "{report}"
    );
    assert!(report.contains("nobody joined"), "{report}");
    assert_holds(&all(|| {
        assert!(spawn(|| panic!("received")).join().is_err());
    }));
}

#[test]
fn a_deadlock_is_a_failure_with_its_report() {
    let outcome = all(|| drop(spawn(task::park).join()));
    let report = report(&outcome);
    assert!(report.contains("deadlock"), "{report}");
    assert!(report.contains("park: waits"), "{report}");
}

#[test]
fn a_deadlock_that_main_survives_is_a_failure() {
    let outcome = all(|| {
        let _ = catch_unwind(task::park);
    });
    assert!(report(&outcome).contains("deadlock"));
}

#[test]
fn a_main_that_is_killed_is_a_failure() {
    let outcome = all(|| {
        task::current().kill("by itself");
        yield_now();
    });
    assert!(report(&outcome).contains("by itself"));
}

#[test]
fn a_schedule_that_never_ends_is_cut_and_counted() {
    let outcome = Explorer::new().turns(50).check(|| {
        if any(3) == 1 {
            loop {
                yield_now();
            }
        }
    });
    assert!(outcome.failure.is_none(), "{outcome}");
    assert_eq!((outcome.schedules, outcome.cut), (3, 1));
    assert!(!outcome.complete);
    assert!(
        outcome
            .to_string()
            .contains("1 of them were cut after 50 turns"),
        "{outcome}"
    );
}

#[test]
fn a_loop_that_never_lets_others_go_on_is_a_failure() {
    let outcome = everywhere().check(|| {
        let flag = Shared::new(false);
        scope(|s| {
            s.spawn(|| while !flag.get() {});
            s.spawn(|| flag.set(true));
        });
    });
    let report = report(&outcome);
    assert!(report.contains("must park or yield"), "{report}");
    assert!(report.contains("get at tests/explore.rs:"), "{report}");
}

#[test]
fn kills_timeouts_scopes_generators_and_nested_children_may_be_inside() {
    let outcome = Explorer::new().forced(1).check(|| {
        let cleaned = Rc::new(Cell::new(0));
        let clean = cleaned.clone();
        let victim = spawn(move || {
            let _clean = steps::OnDrop(|| clean.set(clean.get() + 1));
            let mut numbers = maypole::generator::Generator::new(|y| {
                for n in 0..2 {
                    yield_now();
                    y.yield_(n);
                }
            });
            numbers.by_ref().count();
            task::park();
        });
        let child = spawn_now(|| timeout(ms(5), task::park).is_err());
        scope(|s| {
            s.spawn_daemon(task::park);
            s.spawn(|| sleep(ms(1)));
        });
        assert!(child.join().unwrap());
        victim.kill("enough");
        assert!(victim.join().unwrap_err().is_killed());
        assert!(cleaned.get() <= 1);
    });
    assert!(outcome.failure.is_none(), "{outcome}");
    assert!(outcome.schedules > 50, "{outcome}");
}

#[test]
fn a_task_that_is_killed_while_another_came_before_its_call_does_not_do_it() {
    let killed_there = Cell::new(0);
    let outcome = all(|| {
        let (begun, done) = (Rc::new(Cell::new(false)), Rc::new(Cell::new(false)));
        let (begins, does) = (begun.clone(), done.clone());
        let victim = spawn(move || {
            let open = Event::new();
            open.set();
            begins.set(true);
            open.wait();
            does.set(true);
        });
        let other = spawn(|| ());
        other.join().unwrap();
        if begun.get() && !done.get() {
            killed_there.set(killed_there.get() + 1);
            victim.kill("between");
            assert!(victim.join().unwrap_err().is_killed());
            assert!(!done.get(), "killed before the call, and the call was done");
        }
    });
    assert_holds(&outcome);
    assert!(killed_there.get() > 0);
}

#[test]
fn a_tasks_cleanup_is_done_in_every_schedule_although_main_leaves_it_behind() {
    let (begun, ended) = (Cell::new(0), Cell::new(0));
    let outcome = all(|| {
        begun.set(begun.get() + 1);
        let ended = &ended;
        scope(|s| {
            s.spawn_daemon(move || {
                let _end = steps::OnDrop(|| ended.set(ended.get() + 1));
                task::park();
            });
            yield_now();
        });
    });
    assert_holds(&outcome);
    assert!(ended.get() > 0 && ended.get() <= begun.get());
}

#[test]
fn a_task_that_swallows_its_kills_is_left_behind_each_time() {
    let outcome = Explorer::new().schedules(3).check(|| {
        let stubborn = spawn(|| {
            loop {
                let _ = catch_unwind(task::park);
            }
        });
        yield_now();
        stubborn.kill("please");
        assert!(stubborn.join().map(|(): ()| ()).unwrap_err().is_abandoned());
        let _ = any(9);
    });
    assert!(outcome.failure.is_none(), "{outcome}");
    assert_eq!(outcome.schedules, 3);
}

// ── limits ───────────────────────────────────────────────────────────────────────────────────

#[test]
fn a_bound_that_leaves_nothing_out_is_complete() {
    let program = || {
        let child = spawn(|| ());
        child.join().unwrap();
    };
    let outcome = all(program);
    assert_eq!((outcome.schedules, outcome.forced), (2, Some(1)));
    assert_holds(&outcome);
    let bounded = Explorer::new().forced(1).check(program);
    assert_eq!((bounded.schedules, bounded.complete), (2, true));
    let bounded = Explorer::new().forced(0).check(program);
    assert_eq!((bounded.schedules, bounded.complete), (1, false));
    let text = bounded.to_string();
    assert!(
        text.contains("ok: all 1 schedules without a forced switch hold"),
        "{text}"
    );
    assert!(text.contains("1 or more were not tried"), "{text}");
}

#[test]
fn a_limit_of_schedules_says_of_about_how_many() {
    let program = || assert!([any(10), any(10), any(10)].len() == 3);
    let outcome = Explorer::new().schedules(250).check(program);
    assert_eq!((outcome.schedules, outcome.forced), (250, None));
    let text = outcome.to_string();
    assert!(
        text.contains("stopped after 250 of about 1 000 schedules"),
        "{text}"
    );
    assert!(
        text.contains("this proves nothing about the rest"),
        "{text}"
    );
}

#[test]
fn a_level_that_is_finished_is_told_although_the_next_is_not() {
    let program = || {
        let flag = Shared::new(0);
        scope(|s| {
            for _ in 0..2 {
                s.spawn(|| (0..3).for_each(|n| flag.set(n)));
            }
        });
    };
    let free = everywhere().forced(0).check(program).schedules;
    let outcome = everywhere().schedules(free + 5).check(program);
    assert_eq!(outcome.forced, Some(0));
    let text = outcome.to_string();
    assert!(
        text.contains(&format!("all {free} without a forced switch hold")),
        "{text}"
    );
}

#[test]
fn a_budget_of_time_ends_a_search() {
    let outcome = Explorer::new()
        .budget(ms(20))
        .check(|| assert!([any(1000), any(1000), any(1000)].len() == 3));
    assert!(outcome.failure.is_none() && !outcome.complete);
    assert!(outcome.schedules > 1);
}

#[test]
fn a_failure_has_the_fewest_forced_switches() {
    // One order of turns out of many fails without a forced switch, many more fail with one.
    let outcome = Explorer::new().check(|| {
        let order = RefCell::new(String::new());
        let open = Event::new();
        open.set();
        scope(|s| {
            for name in ["a", "b", "c"] {
                let (order, open) = (&order, &open);
                s.spawn(move || {
                    open.wait();
                    order.borrow_mut().push_str(name);
                    open.wait();
                    order.borrow_mut().push_str(name);
                });
            }
        });
        let order = order.into_inner();
        assert!(order != "ccbbaa" && !order.starts_with("ab"), "{order}");
    });
    let failure = outcome.failure.expect("it fails");
    assert_eq!(failure.forced(), 0);
    assert!(failure.report().to_string().contains("ccbbaa"), "{failure}");
}

// ── by chance ────────────────────────────────────────────────────────────────────────────────

#[test]
fn the_same_seed_tries_the_same_schedules() {
    let tried = |explorer: &Explorer| {
        let seen = RefCell::new(Vec::new());
        let outcome = explorer.check(|| {
            let log = RefCell::new(String::new());
            let cell = Shared::new(());
            scope(|s| {
                for name in ["a", "b", "c"] {
                    let (log, cell) = (&log, &cell);
                    s.spawn(move || {
                        for _ in 0..3 {
                            cell.set(());
                            log.borrow_mut().push_str(name);
                        }
                    });
                }
            });
            seen.borrow_mut().push(log.take());
        });
        assert!(outcome.failure.is_none() && !outcome.complete);
        assert_eq!((outcome.schedules, outcome.forced), (200, None));
        seen.into_inner()
    };
    let different = |tried: &[String]| tried.iter().collect::<BTreeSet<_>>().len();
    let plain = |seed| tried(&everywhere().schedules(200).random(seed));
    assert_eq!(plain(7), plain(7));
    assert_ne!(plain(7), plain(8));
    assert!(different(&plain(7)) > 50, "{}", different(&plain(7)));
    let pct = |seed| tried(&everywhere().schedules(200).pct(seed, 3));
    assert_eq!(pct(7), pct(7));
    assert_ne!(pct(7), pct(8));
    assert!(different(&pct(7)) > 30, "{}", different(&pct(7)));
}

#[test]
fn chance_finds_what_many_tasks_hide() {
    let lost_update = || {
        let total = Shared::new(0);
        scope(|s| {
            for _ in 0..8 {
                s.spawn(|| {
                    yield_now();
                    total.update(|n| n + 1);
                    yield_now();
                });
            }
        });
        assert_eq!(total.get(), 8);
    };
    for explorer in [everywhere().random(1), everywhere().pct(1, 3)] {
        let outcome = explorer.schedules(10_000).check(lost_update);
        let report = report(&outcome);
        assert!(report.contains("(seed 1)"), "{report}");
        assert!(outcome.failure.is_some_and(|failure| failure.forced() > 0));
    }
}

#[test]
fn spinning_ends_by_chance_too() {
    let spin = || {
        let flag = Cell::new(false);
        scope(|s| {
            for _ in 0..3 {
                s.spawn(|| {
                    while !flag.get() {
                        yield_now();
                    }
                });
            }
            s.spawn(|| flag.set(true));
        });
    };
    for explorer in [Explorer::new().random(3), Explorer::new().pct(3, 3)] {
        let outcome = explorer.schedules(500).check(spin);
        assert_eq!((outcome.schedules, outcome.cut), (500, 0), "{outcome}");
    }
}

// ── where it may be called ───────────────────────────────────────────────────────────────────

#[test]
fn an_exploration_inside_of_a_run_is_refused_by_name_and_a_run_inside_of_one_is() {
    let message = message_of(|| maypole::run(|| explore::check(|| ())));
    assert!(
        message.contains("explore at tests/explore.rs:"),
        "{message}"
    );
    assert!(message.contains("inside of a run"), "{message}");
    let report = report(&all(|| maypole::run(|| ())));
    assert!(report.contains("inside of another run"), "{report}");
    let report = self::report(&all(|| explore::check(|| ())));
    assert!(report.contains("inside of a run"), "{report}");
}

#[test]
fn a_failure_leaves_the_os_thread_as_it_was() {
    assert!(all(|| panic!("once")).failure.is_some());
    assert_eq!(maypole::run(|| spawn(|| 5).join().unwrap()), 5);
    assert_holds(&all(|| ()));
    assert!(!std::thread::panicking());
}

#[test]
fn check_panics_with_the_report() {
    let message = message_of(|| explore::check(|| assert_eq!(any(3), any(1))));
    assert!(
        message.starts_with("maypole explore: FAILED in schedule 2;"),
        "{message}"
    );
    assert!(
        message.contains("in a test: maypole::explore::replay(\"mp1pv-"),
        "{message}"
    );
    explore::check(|| ());
}

#[test]
fn the_values_of_a_shared_cell_are_those_of_a_plain_one() {
    let cell = Shared::new(vec![1]);
    cell.with(|list| list.push(2));
    cell.update(|mut list| {
        list.push(3);
        list
    });
    assert_eq!(cell.get(), [1, 2, 3]);
    assert_eq!(format!("{cell:?}"), "Shared([1, 2, 3])");
    cell.set(Vec::new());
    assert!(message_of(|| cell.with(|_| cell.get())).contains("another one is under way"));
    assert_eq!(cell.get(), [0; 0], "the value is back after a panic");
    assert_eq!(Shared::<u8>::default().get(), 0);
}

// ── choices inside of calls ──────────────────────────────────────────────────────────────────

#[test]
fn a_select_takes_every_ready_case_and_no_other() {
    let seen = RefCell::new(BTreeSet::new());
    let outcome = all(|| {
        let channels = [0, 1, 2].map(|_| bounded(1));
        channels[0].0.send('a').unwrap();
        channels[2].0.send('c').unwrap();
        let [first, second, third] = channels.each_ref().map(|(_, receiver)| receiver);
        let taken = maypole::select! {
            recv(first) -> message => message.unwrap(),
            recv(second) -> message => message.unwrap(),
            recv(third) -> message => message.unwrap(),
        };
        seen.borrow_mut().insert(taken);
    });
    assert_holds(&outcome);
    assert_eq!(outcome.schedules, 2);
    assert!(seen.into_inner().into_iter().eq(['a', 'c']));
}

#[test]
fn a_choice_of_a_select_is_replayed() {
    let program = || {
        let (sender, receiver) = bounded(1);
        let (other_sender, other) = bounded(1);
        sender.send(1).unwrap();
        other_sender.send(2).unwrap();
        let taken: i32 = maypole::select! {
            recv(receiver) -> message => message.unwrap(),
            recv(other) -> message => message.unwrap(),
        };
        assert_eq!(taken, 1, "the second");
    };
    let failure = all(program).failure.expect("it fails");
    assert!(failure.trail().contains("-1q"), "{failure}");
    let again = message_of(|| explore::replay(failure.trail(), program));
    assert!(again.contains("the second"), "{again}");
}

#[test]
fn as_between_os_threads_others_see_a_task_between_two_calls_on_its_handle() {
    let states = |switches| {
        let seen = RefCell::new(BTreeSet::new());
        let explorer = Explorer::new().switches(switches);
        let outcome = explorer.check(|| {
            let child = spawn(|| ());
            seen.borrow_mut()
                .insert([child.is_finished(), child.is_finished()]);
            child.join().unwrap();
        });
        assert_holds(&outcome);
        seen.into_inner()
    };
    assert!(states(Switches::Parking).into_iter().eq([[false; 2]]));
    let expected = [[false; 2], [false, true], [true; 2]];
    assert!(states(Switches::Everywhere).into_iter().eq(expected));
}

#[test]
fn a_pause_holds_a_task_back_in_every_schedule() {
    let outcome = all(|| {
        let ran = Rc::new(Cell::new(false));
        let runs = ran.clone();
        let child = spawn(move || runs.set(true));
        child.task().pause();
        let before = ran.get();
        let other = spawn(yield_now);
        other.join().unwrap();
        assert_eq!(ran.get(), before, "a paused task has run");
        child.task().resume();
        child.join().unwrap();
    });
    assert_holds(&outcome);
}

#[test]
fn timers_with_one_deadline_ring_in_every_order() {
    let program = |log: &RefCell<String>| {
        scope(|s| {
            for name in ["a", "b"] {
                s.spawn(move || {
                    sleep(ms(3));
                    log.borrow_mut().push_str(name);
                });
            }
        });
    };
    let orders = orders_of_forced(0, program);
    assert!(orders.iter().eq(["ab", "ba"]), "{orders:?}");
}

#[test]
fn more_calls_than_a_budget_allows_give_the_others_a_turn() {
    let program = |log: &RefCell<String>| {
        let open = Event::new();
        open.set();
        scope(|s| {
            s.spawn(|| {
                (0..200).for_each(|_| open.wait());
                log.borrow_mut().push('a');
            });
            s.spawn(|| log.borrow_mut().push('b'));
        });
    };
    // The one with many calls yields once by itself, so the other is always done first.
    let orders = orders_of_forced(0, program);
    assert!(orders.iter().eq(["ba"]), "{orders:?}");
}
