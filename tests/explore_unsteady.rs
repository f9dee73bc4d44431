//! Programs that are not the same twice are noticed, whatever it is that decides for them.
use maypole::explore::{Explorer, Switches};
use maypole::sync::Event;
use maypole::{scope, spawn, task, yield_now};
use std::cell::Cell;
use std::collections::HashSet;

/// The report of the failure that there must be.
#[track_caller]
fn report(explorer: Explorer, program: impl Fn()) -> String {
    let outcome = explorer.check(program);
    match outcome.failure {
        Some(failure) => failure.report().to_string(),
        None => panic!("nothing was noticed: {outcome}"),
    }
}

#[track_caller]
fn assert_unsteady(report: &str) {
    assert!(
        report.contains("the same schedule ran differently twice"),
        "{report}"
    );
    assert!(report.contains("use BTreeMap, or sort"), "{report}");
}

#[test]
fn the_order_of_a_hash_shows_in_the_first_schedule() {
    let report = report(Explorer::new(), || {
        let open = Event::new();
        open.set();
        let names: HashSet<u32> = (0..32).collect();
        for name in names {
            drop(spawn(|| ()));
            match name % 2 {
                0 => open.wait(),
                _ => task::park_timeout(std::time::Duration::ZERO),
            }
        }
    });
    assert_unsteady(&report);
    assert!(report.contains("step "), "{report}");
}

/// A program that does one thing the first `times` times, and another afterwards.
fn changes_after(times: u32, before: fn(&Event), after: fn(&Event)) -> impl Fn() {
    let runs = Cell::new(0);
    move || {
        runs.set(runs.get() + 1);
        let open = Event::new();
        open.set();
        let other = spawn(yield_now);
        match runs.get() <= times {
            true => before(&open),
            false => after(&open),
        }
        other.join().unwrap();
    }
}

#[test]
fn another_operation_at_the_same_step_is_told_by_both_names() {
    let program = changes_after(1, Event::wait, |_| task::park_timeout(Default::default()));
    let report = report(Explorer::new(), program);
    assert_unsteady(&report);
    assert!(
        report.contains("step 1 was 'main is about to wait for an Event at "),
        "{report}"
    );
    assert!(report.contains("then 'main is about to park at tests/explore_unsteady.rs:"));
}

#[test]
fn a_step_more_or_less_is_told() {
    let none: fn(&Event) = |_| ();
    for (before, after) in [(none, Event::wait as fn(&Event)), (Event::wait, none)] {
        assert_unsteady(&report(Explorer::new(), changes_after(1, before, after)));
    }
}

#[test]
fn a_change_in_a_later_schedule_is_noticed_where_it_repeats_an_earlier_one() {
    let program = changes_after(4, Event::wait, |_| yield_now());
    let report = report(Explorer::new(), program);
    assert_unsteady(&report);
}

#[test]
fn a_failure_that_does_not_come_again_is_no_failure_of_a_schedule() {
    let program = || {
        let runs = Cell::new(0);
        move || {
            runs.set(runs.get() + 1);
            assert_ne!(runs.get(), 1, "only once");
        }
    };
    let report = self::report(Explorer::new(), program());
    assert_unsteady(&report);
    assert!(report.contains("it failed"), "{report}");
    assert!(
        !report.contains("MAYPOLE_REPLAY"),
        "there is no schedule to see again: {report}"
    );
}

#[test]
fn a_first_schedule_that_fails_only_the_second_time_is_noticed() {
    let runs = Cell::new(0);
    let report = report(Explorer::new(), || {
        runs.set(runs.get() + 1);
        assert_ne!(runs.get(), 2, "only the second time");
    });
    assert_unsteady(&report);
    assert!(report.contains("it ended in another way"), "{report}");
}

#[test]
fn chance_notices_it_too() {
    for explorer in [Explorer::new().random(1), Explorer::new().pct(1, 2)] {
        let program = changes_after(1, Event::wait, |_| yield_now());
        assert_unsteady(&report(explorer, program));
    }
}

#[test]
fn a_number_of_alternatives_that_changes_is_noticed() {
    let runs = Cell::new(0);
    let report = report(Explorer::new().switches(Switches::Everywhere), || {
        runs.set(runs.get() + 1);
        let tasks = 1 + runs.get() % 2;
        scope(|s| {
            for _ in 0..tasks {
                s.spawn(yield_now);
            }
        });
    });
    assert_unsteady(&report);
}

#[test]
fn what_the_scheduler_itself_decides_is_the_same_every_time() {
    // Serial numbers, slots, timers with one deadline, chance in a select: all over again.
    let outcome = Explorer::new().forced(1).check(|| {
        scope(|s| {
            for _ in 0..2 {
                s.spawn(|| maypole::sleep(std::time::Duration::from_millis(5)));
            }
            s.spawn_daemon(task::park);
        });
        let first = spawn(|| ()).task().id().to_string();
        assert_eq!(first, "#5");
    });
    assert!(outcome.failure.is_none(), "{outcome}");
}
