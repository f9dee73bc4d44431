//! Calls where they do not belong: outside of a run, inside another, inside `no_yield`.
mod task_support;

use maypole::task::{check_killed, current, no_yield, park, park_timeout, shield};
use maypole::time::{sleep_until, timeout};
use maypole::{Builder, run, scope, sleep, spawn, spawn_now, yield_now};
use std::cell::Cell;
use std::time::Duration;
use task_support::{LONG, Log, OnDrop, panic_text, yield_times};

fn assert_outside(name: &str, text: &str) {
    assert!(text.contains("outside of maypole::run"), "{name}: {text}");
    assert!(
        text.contains("wrap main in maypole::run(|| ...)"),
        "{name}: {text}"
    );
}

#[test]
fn every_call_that_needs_a_run_says_what_to_do_without_one() {
    let calls: [(&str, fn()); 13] = [
        ("yield_now", || yield_now()),
        ("sleep", || sleep(LONG)),
        ("sleep_until", || sleep_until(std::time::Instant::now())),
        ("park", || park()),
        ("park_timeout", || park_timeout(LONG)),
        ("current", || drop(current())),
        ("spawn", || drop(spawn(|| ()))),
        ("spawn_now", || drop(spawn_now(|| ()))),
        ("Builder::spawn", || {
            drop(maypole::task::Builder::new().spawn(|| ()))
        }),
        ("scope", || scope(|_| ())),
        ("timeout", || assert!(timeout(LONG, || ()).is_ok())),
        ("race", || maypole::task::race([|| ()])),
        ("join_all", || drop(maypole::task::join_all([|| ()]))),
    ];
    for (name, call) in calls {
        assert_outside(name, &panic_text(call));
    }
}

#[test]
fn the_places_of_calls_outside_of_a_run_are_named() {
    let calls: [(&str, fn()); 5] = [
        ("yield_now", || yield_now()),
        ("sleep", || sleep(LONG)),
        ("park", || park()),
        ("park", || park_timeout(LONG)),
        ("task::current", || drop(current())),
    ];
    for (name, call) in calls {
        let text = panic_text(call);
        assert!(
            text.contains(&format!("{name} at {}:", file!())),
            "{name}: {text}"
        );
    }
}

#[test]
fn what_needs_no_scheduler_works_outside_of_a_run() {
    assert_eq!(shield(|| 1), 1);
    assert_eq!(no_yield(|| 2), 2);
    check_killed();
    let task = run(|| current());
    task.pause();
    task.resume();
    task.unpark();
    assert_eq!(task.kill("late"), maypole::task::Killed::Finished);
    assert_eq!(task.name(), "main");
}

#[test]
fn a_run_inside_of_a_run_is_refused_by_name_and_the_outer_one_goes_on() {
    let value = run(|| {
        let text = panic_text(|| run(|| ()));
        assert!(
            text.contains("run at ") && text.contains("inside of another run"),
            "{text}"
        );
        assert!(text.contains(file!()), "{text}");
        let text = panic_text(|| Builder::new().run(|| ()));
        assert!(text.contains("inside of another run"), "{text}");
        spawn(|| panic_text(|| run(|| ()))).join().unwrap();
        yield_now();
        3
    });
    assert_eq!(value, 3);
    assert_eq!(run(|| 4), 4);
}

#[test]
fn no_yield_names_both_places_for_every_call_that_waits() {
    let calls: [(&str, fn()); 9] = [
        ("yield_now", || yield_now()),
        ("sleep", || sleep(LONG)),
        ("sleep", || sleep(Duration::ZERO)),
        ("park", || park()),
        ("park", || park_timeout(LONG)),
        ("join of task #", || drop(spawn(park).join())),
        ("join of task #", || drop(spawn(park).join_timeout(LONG))),
        ("the end of a scope's tasks", || scope(|_| ())),
        ("spawn_now", || drop(spawn_now(|| ()))),
    ];
    run(|| {
        for (name, call) in calls {
            let line = line!() + 1;
            let text = panic_text(|| no_yield(call));
            let head = format!("maypole: {name}");
            assert!(text.starts_with(&head), "{name}: {text}");
            assert!(
                text.contains(&format!(" at {}:", file!())),
                "{name}: {text}"
            );
            let entered = format!("inside task::no_yield entered at {}:{line}:", file!());
            assert!(text.contains(&entered), "{name}: {text}");
        }
        yield_now();
    });
}

#[test]
fn no_yield_lets_pass_what_need_not_wait() {
    let log = Log::new();
    run(|| {
        let theirs = log.clone();
        let done = spawn(|| 3);
        yield_now();
        spawn(move || theirs.say("other"));
        let value = no_yield(|| {
            let child = spawn(|| ());
            child.task().unpark();
            current().unpark();
            check_killed();
            log.say("atomic");
            done.join().unwrap()
        });
        assert_eq!(value, 3);
        log.say("main");
        yield_now();
    });
    assert_eq!(log.text(), "atomic main other");
}

#[test]
fn no_yield_nests_and_ends_with_the_outer_one() {
    run(|| {
        no_yield(|| {
            no_yield(|| ());
            let text = panic_text(yield_now);
            assert!(text.contains("no_yield"), "{text}");
        });
        yield_now();
        let text = panic_text(|| no_yield(|| panic!("inside")));
        assert_eq!(text, "inside");
        yield_now();
    });
}

#[test]
fn no_yield_forbids_its_own_task_alone() {
    let log = Log::new();
    run(|| {
        let theirs = log.clone();
        let task = spawn(move || {
            yield_now();
            theirs.say("yielded");
        });
        yield_now();
        no_yield(|| ());
        task.join().unwrap();
    });
    assert_eq!(log.text(), "yielded");
}

#[test]
fn a_kill_does_not_unwind_a_section_that_does_not_wait() {
    let log = Log::new();
    run(|| {
        let theirs = log.clone();
        let task = spawn(move || {
            let balance = Cell::new(1);
            no_yield(|| {
                current().kill("midway");
                balance.set(2);
            });
            theirs.say(balance.get());
            yield_now();
        });
        assert!(task.join().unwrap_err().is_killed());
    });
    assert_eq!(log.text(), "2");
}

#[test]
fn handles_are_unwind_safe() {
    fn is_unwind_safe<T: std::panic::UnwindSafe + std::panic::RefUnwindSafe>() {}
    is_unwind_safe::<maypole::JoinHandle<Cell<u8>>>();
    is_unwind_safe::<maypole::ScopedJoinHandle<'static, Cell<u8>>>();
    is_unwind_safe::<maypole::Task>();
    is_unwind_safe::<maypole::TaskId>();
}

#[test]
fn a_task_identity_is_plain_data_and_a_key_is_a_static() {
    fn crosses<T: Send + Sync>() {}
    crosses::<maypole::TaskId>();
    crosses::<maypole::JoinError>();
    crosses::<maypole::task::LocalKey<std::rc::Rc<u8>>>();
}

#[test]
fn a_destructor_that_parks_inside_no_yield_while_it_unwinds_may_do_so() {
    let log = Log::new();
    run(|| {
        let theirs = log.clone();
        let text = panic_text(|| {
            no_yield(|| {
                let _guard = OnDrop(|| {
                    yield_times(2);
                    theirs.say("cleaned");
                });
                panic!("doomed");
            })
        });
        assert_eq!(text, "doomed");
    });
    assert_eq!(log.text(), "cleaned");
}
