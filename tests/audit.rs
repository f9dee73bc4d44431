//! The auditor: a park that would let another task into code that must not be interleaved panics
//! before the switch.
//!
//! Each test runs in a process of its own that asks for the auditor: without it, such a park reads
//! freed memory.
#![cfg(unix)]

mod child;

use maypole::{run, scope, sleep, spawn, task, yield_now};
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

const ON: &[(&str, &str)] = &[("MAYPOLE_AUDIT", "1")];

/// Runs `call`, which must panic, and gives the text of the panic.
fn refusal(call: impl FnOnce()) -> String {
    let payload = catch_unwind(AssertUnwindSafe(call)).expect_err("the call is refused");
    let text = payload
        .downcast_ref::<String>()
        .expect("a panic with a text");
    text.clone()
}

/// What the auditor says of a call in this file.
#[track_caller]
fn assert_found(text: &str, call: &str, line: u32, offender: &str) {
    let start = format!("maypole: {call} at tests/audit.rs:{line}:");
    let end = format!(
        " inside {offender}: another task could enter it while this one is parked, and safe code \
         would read freed memory; do the waiting before it"
    );
    assert!(text.starts_with(&start), "{text}");
    assert!(text.ends_with(&end), "{text}");
}

/// Others that would be let in, were the park not refused.
fn bystander(entered: &'static std::thread::LocalKey<u32>) {
    spawn(move || entered.with(|_| ()));
}

#[test]
fn a_park_in_the_initialiser_of_a_thread_local_is_refused() {
    thread_local! {
        static VALUE: u32 = {
            task::park();
            5
        };
    }
    let line = line!() - 4;
    child::run_with(ON, || {
        run(|| {
            let text = refusal(|| VALUE.with(|_| ()));
            assert_found(&text, "park", line, "the initialiser of a thread_local!");
        });
    })
    .succeeds();
}

#[test]
fn a_yield_in_the_initialiser_of_a_thread_local_is_refused() {
    thread_local! {
        static TEXT: String = {
            let text = String::from("a long text that lives on the heap");
            yield_now();
            text
        };
    }
    let line = line!() - 4;
    child::run_with(ON, || {
        run(|| {
            let ran = std::rc::Rc::new(Cell::new(false));
            let theirs = ran.clone();
            spawn(move || theirs.set(true));
            let text = refusal(|| TEXT.with(|_| ()));
            assert_found(
                &text,
                "yield_now",
                line,
                "the initialiser of a thread_local!",
            );
            assert!(!ran.get(), "the panic comes before the switch");
        });
    })
    .succeeds();
}

#[test]
fn joining_sleeping_and_scopes_in_an_initialiser_are_refused() {
    thread_local! {
        static JOINED: u32 = spawn(|| 5).join().unwrap();
        static SLEPT: u32 = {
            sleep(Duration::from_millis(1));
            5
        };
        static SCOPED: u32 = scope(|s| s.spawn(|| 5).join().unwrap());
    }
    child::run_with(ON, || {
        run(|| {
            bystander(&JOINED);
            for (key, call) in [(&JOINED, "join"), (&SLEPT, "sleep"), (&SCOPED, "")] {
                let text = refusal(|| key.with(|_| ()));
                assert!(text.starts_with(&format!("maypole: {call}")), "{text}");
                assert!(
                    text.contains("the initialiser of a thread_local!"),
                    "{text}"
                );
            }
        });
    })
    .succeeds();
}

scoped_tls::scoped_thread_local!(static SETTING: u32);

#[test]
fn a_yield_inside_a_scoped_thread_local_is_refused() {
    let line = line!() + 3;
    child::run_with(ON, || {
        run(|| {
            let text = refusal(|| SETTING.set(&5, || yield_now()));
            assert_found(&text, "yield_now", line, "scoped_tls's ScopedKey::set");
            assert!(!SETTING.is_set());
        });
    })
    .succeeds();
}

#[test]
fn a_killed_task_unwinds_out_of_a_scoped_thread_local() {
    child::run_with(ON, || {
        run(|| {
            let child = spawn(|| {
                SETTING.set(&5, || {
                    task::current().kill("itself");
                    task::check_killed();
                });
            });
            assert!(child.join().unwrap_err().is_killed());
            assert!(!SETTING.is_set());
        });
    })
    .succeeds();
}

#[test]
fn no_yield_keeps_a_scoped_thread_local_from_being_interleaved() {
    // The remedy that needs no auditor: it refuses by name, in any build.
    for audit in ["0", "1"] {
        child::run_with(&[("MAYPOLE_AUDIT", audit)], || {
            run(|| {
                let doubled = SETTING.set(&21, || task::no_yield(|| SETTING.with(|n| n * 2)));
                assert_eq!(doubled, 42);
                let text = refusal(|| SETTING.set(&5, || task::no_yield(|| yield_now())));
                assert!(
                    text.starts_with("maypole: yield_now at tests/audit.rs:"),
                    "{text}"
                );
                assert!(
                    text.contains(" inside task::no_yield entered at tests/audit.rs:"),
                    "{text}"
                );
            });
        })
        .succeeds();
    }
}

#[test]
fn innocent_calls_pass() {
    thread_local! {
        static COUNT: RefCell<u32> = RefCell::new({
            // An initialiser may spawn and take what is there: nothing parks.
            drop(spawn(|| ()));
            1
        });
    }
    child::run_with(ON, || {
        run(|| {
            // The value is there already, so whoever comes in meanwhile finds it.
            COUNT.with(|count| {
                yield_now();
                *count.borrow_mut() += 1;
            });
            // Set and left before the park.
            SETTING.set(&5, || assert!(SETTING.is_set()));
            yield_now();
            for _ in 0..3 {
                scope(|s| {
                    s.spawn(|| sleep(Duration::from_millis(1)));
                });
            }
            assert_eq!(COUNT.with(|count| *count.borrow()), 2);
        });
    })
    .succeeds();
}

#[test]
#[cfg(debug_assertions)]
fn debug_builds_audit_without_being_asked() {
    let ended = child::run(|| {
        run(|| {
            let text = refusal(|| SETTING.set(&5, || yield_now()));
            assert!(text.contains("scoped_tls's ScopedKey::set"), "{text}");
        });
    })
    .succeeds();
    assert!(!ended.stderr.contains("MAYPOLE_AUDIT"), "{}", ended.stderr);
}
