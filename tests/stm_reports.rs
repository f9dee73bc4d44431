//! What the report of a deadlock tells of transactions that wait.
#![allow(
    clippy::unit_arg,
    reason = "a transaction of one step reads best in one line"
)]
#[macro_use]
mod deadlock_support;
mod steps;

use deadlock_support::{deadlock, head};
use maypole::channel::{bounded, select};
use maypole::stm::{TVar, Transaction, atomically, check, delay, retry};
use maypole::task::Builder;
use maypole::{RunError, spawn, yield_now};
use std::fmt;
use std::time::Duration;
use steps::{OnDrop, ms};

/// The report on main, which waits for a change of `variable`.
fn report_on<T: 'static>(variable: TVar<T>) -> String {
    deadlock(move || {
        atomically::<()>(|tx| {
            variable.with(tx, |_| ());
            retry()
        });
    })
}

/// What the report tells of the content.
fn content_of<T: 'static>(variable: TVar<T>) -> String {
    let report = report_on(variable);
    let line = report.lines().find(|line| line.contains("made at"));
    let line = line.unwrap_or_else(|| panic!("{report}"));
    line.trim().split(", made at").next().unwrap().to_string()
}

#[test]
fn a_transaction_that_nobody_can_wake_shows_its_variable() {
    let report = deadlock(|| {
        let balance = TVar::named("balance", 7); // @made
        atomically(|tx| check(balance.read(tx) > 10)); // @waits
    });
    let expected = expected!(
        "
  #1 main  waits for a change of TVar 'balance' at @waits (spawned at "
    );
    assert!(report.starts_with(&head("the only task")), "{report}");
    assert!(report.contains(expected.trim_end()), "{report}");
    let expected = expected!("           holds 7, made at @made\n");
    assert!(report.contains(&expected), "{report}");
    let expected = expected!("|waits\n");
    assert!(report.contains(expected.trim_end()), "{report}");
}

#[test]
fn without_a_name_it_is_a_variable_made_somewhere() {
    let report = deadlock(|| {
        let balance = TVar::new(7); // @nameless
        atomically(|tx| check(balance.read(tx) > 10));
    });
    assert!(
        report.contains("waits for a change of a TVar at"),
        "{report}"
    );
    assert!(
        report.contains(expected!("holds 7, made at @nameless").trim()),
        "{report}"
    );
}

#[test]
fn each_variable_that_was_read_is_named_and_no_other() {
    let report = deadlock(|| {
        let first = TVar::named("first", 1); // @first
        let second = TVar::named("second", "two"); // @second
        let third = TVar::named("third", [3.5]);
        let (unread, written) = (TVar::named("unread", 4), TVar::named("written", 5));
        atomically(|tx| {
            written.write(tx, 6);
            check(first.read(tx) > 1 || second.read(tx) == "three" || third.read(tx)[0] > 4.0)
        });
        drop(unread);
    });
    assert!(
        report.contains("waits for a change of what its transaction has read at"),
        "{report}"
    );
    let first = expected!("for TVar 'first': holds 1, made at @first");
    let second = expected!("for TVar 'second': holds \"two\", made at @second");
    for line in [first.trim(), second.trim()] {
        assert!(report.contains(line), "{line}\n{report}");
    }
    assert!(
        report.contains("for TVar 'third': holds a [f64; 1], made at"),
        "{report}"
    );
    assert!(
        !report.contains("unread") && !report.contains("written"),
        "{report}"
    );
}

#[test]
fn a_variable_read_twice_is_named_once() {
    let report = deadlock(|| {
        let balance = TVar::named("balance", 7);
        atomically(|tx| {
            let part = |tx: &Transaction| check(balance.read(tx) > 10);
            tx.or_else(part, |tx| tx.or_else(part, part))
        });
    });
    assert_eq!(report.matches("TVar 'balance'").count(), 1, "{report}");
}

#[test]
fn numbers_strings_and_the_like_are_shown() {
    assert_eq!(content_of(TVar::new(-7_i64)), "holds -7");
    assert_eq!(content_of(TVar::new(7_u8)), "holds 7");
    assert_eq!(content_of(TVar::new(7_usize)), "holds 7");
    assert_eq!(
        content_of(TVar::new(i128::MIN)),
        format!("holds {}", i128::MIN)
    );
    assert_eq!(content_of(TVar::new(0.5)), "holds 0.5");
    assert_eq!(content_of(TVar::new(true)), "holds true");
    assert_eq!(content_of(TVar::new('x')), "holds 'x'");
    assert_eq!(content_of(TVar::new("text")), "holds \"text\"");
    assert_eq!(
        content_of(TVar::new(String::from("a\nb"))),
        "holds \"a\\nb\""
    );
    assert_eq!(content_of(TVar::new(())), "holds ()");
}

#[test]
fn of_other_types_the_type_is_shown_unless_they_are_to_be_shown() {
    #[derive(Debug)]
    struct Seat(#[expect(dead_code)] u32);
    let text = content_of(TVar::new(Seat(4)));
    assert!(
        text.starts_with("holds a ") && text.ends_with("Seat"),
        "{text}"
    );
    let text = content_of(TVar::named("empty", None::<u8>));
    assert!(text.ends_with("holds a core::option::Option<u8>"), "{text}");
    assert_eq!(
        content_of(TVar::shown("seats", vec![Some(Seat(4)), None])),
        "holds [Some(Seat(4)), None]"
    );
}

#[test]
fn what_the_variable_holds_is_what_others_see() {
    // Not what the transaction had written before it retried.
    let report = deadlock(|| {
        let balance = TVar::named("balance", 7);
        atomically::<()>(|tx| {
            balance.update(tx, |n| n - 100);
            retry()
        });
    });
    assert!(report.contains("holds 7,"), "{report}");
}

#[test]
fn a_long_text_is_cut_and_stays_in_its_line() {
    struct Long;
    impl fmt::Debug for Long {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            (0..1000).try_for_each(|n| writeln!(f, "line {n}"))
        }
    }
    let text = content_of(TVar::shown("long", Long));
    assert!(text.starts_with("holds line 0 line 1 line 2"), "{text}");
    assert!(text.ends_with('…') && text.chars().count() < 120, "{text}");
}

#[test]
fn a_debug_that_panics_does_not_spoil_the_report() {
    struct Shy;
    impl fmt::Debug for Shy {
        fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
            panic!("do not look at me")
        }
    }
    let text = content_of(TVar::shown("shy", Shy));
    assert_eq!(text, "holds what cannot be shown: its Debug panicked");
    struct Worse(fn());
    impl fmt::Debug for Worse {
        fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
            (self.0)();
            Ok(())
        }
    }
    // So does the payload when it is dropped.
    let worse = Worse(|| std::panic::panic_any(OnDrop(|| panic!("nor at my payload"))));
    let text = content_of(TVar::shown("worse", worse));
    assert_eq!(text, "holds what cannot be shown: its Debug panicked");
}

#[test]
fn a_debug_that_parks_or_transacts_does_not_spoil_the_report() {
    struct Nosy(fn());
    impl fmt::Debug for Nosy {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            (self.0)();
            f.write_str("nosy")
        }
    }
    let acts: [fn(); 3] = [
        yield_now,
        || TVar::new(1).set(2),
        || assert_eq!(atomically(|tx| Ok(TVar::new(3).read(tx))), 3),
    ];
    for act in acts {
        let text = content_of(TVar::shown("nosy", Nosy(act)));
        assert!(text.starts_with("holds "), "{text}");
    }
}

#[test]
fn two_tasks_that_wait_for_two_empty_places_are_both_named() {
    let report = deadlock(|| {
        let left = TVar::shown("left", None::<u8>); // @left
        let right = TVar::shown("right", None::<u8>); // @right
        let wait = |name: &str, first: &TVar<Option<u8>>, second: &TVar<Option<u8>>| {
            let (first, second) = (first.clone(), second.clone());
            let task = Builder::new().name(name).spawn(move || {
                atomically(|tx| {
                    let value = first.read(tx).map_or_else(retry, Ok)?;
                    second.write(tx, Some(value));
                    Ok(())
                })
            });
            task.unwrap()
        };
        let tasks = [wait("ada", &left, &right), wait("grace", &right, &left)];
        tasks.into_iter().for_each(|task| task.join().unwrap());
    });
    assert!(
        report.starts_with(&head("any of these 3 tasks")),
        "{report}"
    );
    for (task, place) in [("#2 ada", "left"), ("#3 grace", "right")] {
        let line = report.lines().find(|line| line.contains(task));
        let expected = format!("waits for a change of TVar '{place}' at tests/stm_reports.rs");
        assert!(
            line.is_some_and(|line| line.contains(&expected)),
            "{report}"
        );
    }
    let held = [
        expected!("holds None, made at @left"),
        expected!("holds None, made at @right"),
    ];
    assert!(
        held.iter().all(|text| report.contains(text.trim())),
        "{report}"
    );
}

#[test]
fn a_transaction_in_a_select_shows_its_variables_among_the_cases() {
    let report = deadlock(|| {
        let (_sender, receiver) = bounded::<u8>(4);
        let level = TVar::named("level", 3); // @level
        select! {
            recv(receiver) -> _ => {}
            atomically(|tx| check(level.read(tx) > 5)) -> () => {}
        }
    });
    assert!(report.contains("waits in a select at"), "{report}");
    assert!(report.contains("for a channel: bounded(4)"), "{report}");
    let level = expected!("for TVar 'level': holds 3, made at @level");
    assert!(report.contains(level.trim()), "{report}");
}

#[test]
fn a_delay_that_never_comes_is_shown_as_false() {
    let report = deadlock(|| {
        let late = delay(Duration::MAX); // @never
        atomically(|tx| check(late.read(tx)));
    });
    let held = expected!("holds false, made at @never");
    assert!(report.contains(held.trim()), "{report}");
}

#[test]
fn tasks_that_wait_alike_are_told_of_together() {
    let report = deadlock(|| {
        let level = TVar::named("level", 0);
        let tasks: Vec<_> = (0..50)
            .map(|_| {
                let level = level.clone();
                spawn(move || atomically(|tx| check(level.read(tx) > 5)))
            })
            .collect();
        tasks.into_iter().for_each(|task| task.join().unwrap());
    });
    assert!(report.lines().count() < 40, "{report}");
    assert!(report.contains("TVar 'level'"), "{report}");
}

#[test]
fn the_locals_of_whoever_waits_see_the_deadlock_as_a_kill() {
    let mut seen = None;
    let outcome = maypole::Builder::new().run(|| {
        let variable = TVar::new(0);
        let written = variable.clone();
        let _after = OnDrop(|| {
            written.set(written.get() + 1);
            seen = Some(written.get());
        });
        atomically(|tx| {
            variable.update(tx, |n| n + 100);
            check(variable.read(tx) > 500)
        });
    });
    assert!(matches!(outcome, Err(RunError::Deadlock(_))));
    assert_eq!(seen, Some(1));
}

#[test]
fn a_wait_that_somebody_may_end_is_no_deadlock() {
    steps::on_virtual_time(|| {
        let flag = TVar::new(false);
        let theirs = flag.clone();
        spawn(move || {
            maypole::sleep(ms(1000));
            theirs.set(true);
        });
        atomically(|tx| check(flag.read(tx)));
    });
}
