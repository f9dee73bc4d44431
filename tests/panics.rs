//! Panics of tasks: kept with payload and place, named when nobody joins, never another's business.
mod child;
mod task_support;

use maypole::task::park;
use maypole::{Builder, JoinError, JoinHandle, RunError, run, sleep, spawn, yield_now};
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any, resume_unwind};
use std::time::Duration;
use task_support::{LONG, Log, OnDrop, panic_text, virtually, yield_times};

#[test]
fn a_panic_is_its_task_s_own_business() {
    let log = Log::new();
    run(|| {
        let theirs = log.clone();
        let other = spawn(move || {
            yield_times(3);
            theirs.say("other went on");
        });
        assert!(
            spawn(|| panic!("alone"))
                .join()
                .map(|_: ()| ())
                .unwrap_err()
                .is_panic()
        );
        assert!(!std::thread::panicking());
        other.join().unwrap();
    });
    assert_eq!(log.text(), "other went on");
}

#[test]
fn the_error_keeps_message_place_and_name() {
    run(|| {
        let place = (file!(), line!() + 3);
        let task = maypole::task::Builder::new()
            .name("fetch")
            .spawn(|| panic!("no route to {}", "host"))
            .unwrap();
        let error: JoinError = task.join().map(|_: ()| ()).unwrap_err();
        assert_eq!(error.message(), Some("no route to host"));
        let location = error.location().expect("the hook of the crate is in place");
        assert_eq!((location.file.as_str(), location.line), place);
        let text = error.to_string();
        assert!(text.starts_with("task 'fetch' (#2, spawned at "), "{text}");
        assert!(
            text.contains(&format!(" panicked at {location}: no route to host")),
            "{text}"
        );
        assert!(error.reason().is_none());
    });
}

#[test]
fn the_payload_is_the_very_one_through_join_and_a_second_panic() {
    #[derive(Debug, PartialEq)]
    struct Payload(Box<u32>);
    run(|| {
        let payload = Box::new(Payload(Box::new(7)));
        let address = std::ptr::from_ref(&*payload).addr();
        let outer = spawn(move || {
            let inner = spawn(move || resume_unwind(payload));
            let error = inner.join().map(|_: ()| ()).unwrap_err();
            resume_unwind(error.into_panic())
        });
        let error = outer.join().map(|_: ()| ()).unwrap_err();
        let back = error.into_panic().downcast::<Payload>().unwrap();
        assert_eq!(std::ptr::from_ref(&*back).addr(), address);
        assert_eq!(*back.0, 7);
    });
}

#[test]
fn a_panic_raised_again_in_the_joiner_keeps_message_and_place() {
    run(|| {
        let line = line!() + 2;
        let outer = spawn(|| {
            let inner = spawn(|| panic!("the first"));
            let error = inner.join().map(|_: ()| ()).unwrap_err();
            resume_unwind(error.into_panic())
        });
        let error = outer.join().map(|_: ()| ()).unwrap_err();
        assert_eq!(error.message(), Some("the first"));
        assert_eq!(error.location().map(|place| place.line), Some(line));
    });
}

#[test]
fn a_payload_thrown_without_the_hook_has_no_place_of_an_earlier_panic() {
    run(|| {
        let task = spawn(|| {
            assert!(catch_unwind(|| panic!("caught before")).is_err());
            resume_unwind(Box::new("thrown"))
        });
        let error = task.join().map(|_: ()| ()).unwrap_err();
        assert_eq!(error.message(), Some("thrown"));
        assert!(error.location().is_none(), "{error}");
    });
}

#[test]
fn a_payload_that_is_no_text_is_said_to_be_none() {
    run(|| {
        let error = spawn(|| panic_any(7u8)).join().map(|_: ()| ()).unwrap_err();
        assert_eq!(error.message(), None);
        assert!(
            error
                .to_string()
                .ends_with("with a payload that is no text"),
            "{error}"
        );
        assert_eq!(*error.into_panic().downcast::<u8>().unwrap(), 7);
    });
}

#[test]
fn into_panic_of_a_killed_task_panics_with_its_story() {
    run(|| {
        let task = spawn(park);
        task.kill("no need");
        let error = task.join().unwrap_err();
        let text = panic_text(|| error.into_panic());
        assert!(
            text.contains("not a panic: task '") && text.contains("no need"),
            "{text}"
        );
    });
}

#[test]
fn join_errors_cross_os_threads_and_are_errors() {
    fn is_error<E: std::error::Error + Send + Sync + 'static>(_: &E) {}
    let error = run(|| spawn(|| panic!("x")).join().map(|_: ()| ()).unwrap_err());
    is_error(&error);
    let boxed: Box<dyn std::error::Error + Send + Sync> = error.into();
    let text = std::thread::spawn(move || boxed.to_string())
        .join()
        .unwrap();
    assert!(text.ends_with(": x"), "{text}");
}

/// Panics when it is dropped.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("dropped the bomb");
    }
}

#[test]
fn a_detached_payload_whose_destructor_panics_does_no_harm() {
    run(|| {
        drop(spawn(|| panic_any(Bomb)));
        yield_times(2);
        assert_eq!(spawn(|| 3).join().unwrap(), 3);
    });
}

#[test]
fn a_detached_result_whose_destructor_panics_does_no_harm() {
    run(|| {
        drop(spawn(|| Bomb));
        yield_times(2);
        assert_eq!(spawn(|| 3).join().unwrap(), 3);
    });
}

#[test]
fn a_result_whose_destructor_panics_does_so_where_its_handle_is_dropped() {
    run(|| {
        let handle = spawn(|| Bomb);
        yield_times(2);
        assert_eq!(panic_text(|| drop(handle)), "dropped the bomb");
        let handle = spawn(|| panic_any(Bomb));
        yield_times(2);
        assert_eq!(
            panic_text(|| drop::<JoinHandle<()>>(handle)),
            "dropped the bomb"
        );
        assert_eq!(spawn(|| 3).join().unwrap(), 3);
    });
}

#[test]
fn a_joined_payload_whose_destructor_panics_does_so_in_the_joiner() {
    run(|| {
        let error = spawn(|| panic_any(Bomb))
            .join()
            .map(|_: ()| ())
            .unwrap_err();
        assert_eq!(panic_text(|| drop(error)), "dropped the bomb");
    });
}

#[test]
fn forgotten_handles_of_results_and_payloads_that_panic_leak_them() {
    run(|| {
        std::mem::forget(spawn(|| Bomb));
        std::mem::forget::<JoinHandle<()>>(spawn(|| panic_any(Bomb)));
        yield_times(2);
    });
}

#[test]
fn the_result_of_a_killed_task_whose_destructor_panics_does_no_harm() {
    run(|| {
        let task = spawn(|| {
            maypole::task::current().kill("myself");
            Bomb
        });
        assert!(task.join().map(|_| ()).unwrap_err().is_killed());
    });
}

#[test]
fn main_s_panic_comes_out_with_its_payload_after_the_others_have_unwound() {
    let log = Log::new();
    let result = catch_unwind(AssertUnwindSafe(|| {
        run(|| {
            let theirs = log.clone();
            spawn(move || {
                let _guard = OnDrop(|| {
                    yield_now();
                    theirs.say("unwound");
                });
                sleep(LONG);
            });
            yield_times(2);
            panic_any(42u64);
        })
    }));
    let payload: Box<dyn std::any::Any + Send> = result.unwrap_err();
    assert_eq!(payload.downcast_ref(), Some(&42u64));
    assert_eq!(log.text(), "unwound");
    assert!(!std::thread::panicking());
}

#[test]
fn other_tasks_do_not_see_a_task_that_parks_while_it_panics() {
    virtually(|| {
        let innocent = std::sync::Mutex::new(());
        let task = spawn(|| {
            let _cleanup = OnDrop(|| {
                assert!(std::thread::panicking());
                sleep(Duration::from_secs(2));
                assert!(std::thread::panicking());
            });
            panic!("while the others work");
        });
        let guard = innocent.lock().unwrap();
        sleep(Duration::from_secs(1));
        assert!(!std::thread::panicking());
        drop(guard);
        assert!(!innocent.is_poisoned());
        assert_eq!(
            task.join().map(|_: ()| ()).unwrap_err().message(),
            Some("while the others work")
        );
    });
}

#[test]
fn two_hundred_tasks_parked_in_the_middle_of_their_unwinding_end_in_any_order() {
    virtually(|| {
        let tasks: Vec<_> = (0..200u64)
            .map(|n| {
                spawn(move || {
                    let _cleanup = OnDrop(|| {
                        sleep(Duration::from_secs(n * 7919 % 200 + 1));
                        assert!(std::thread::panicking());
                    });
                    if n % 2 == 0 {
                        panic_any(n);
                    }
                    park();
                })
            })
            .collect();
        yield_times(3);
        for (n, task) in tasks.iter().enumerate() {
            assert!(!std::thread::panicking());
            if n % 2 == 1 {
                task.kill("odd");
            }
            sleep(Duration::from_millis(100));
        }
        for (n, task) in (0u64..).zip(tasks) {
            let error = task.join().unwrap_err();
            match n % 2 {
                0 => assert_eq!(*error.into_panic().downcast::<u64>().unwrap(), n),
                _ => assert!(error.is_killed()),
            }
            assert!(!std::thread::panicking());
        }
    });
}

#[test]
fn a_run_fails_on_an_unjoined_panic_if_it_was_asked_to() {
    let strict = || Builder::new().fail_on_unjoined_panic(true);
    let failed = strict().run(|| {
        let task = maypole::task::Builder::new().name("conn 17");
        drop::<JoinHandle<()>>(task.spawn(|| panic!("index out of reach")).unwrap());
        yield_times(2);
    });
    let Err(RunError::Panicked(report)) = failed else {
        panic!("nobody joined it");
    };
    let report = report.to_string();
    assert!(
        report.contains("1 task panicked and nobody joined it"),
        "{report}"
    );
    assert!(
        report.contains("task 'conn 17' (#2, spawned at "),
        "{report}"
    );
    assert!(report.contains("index out of reach"), "{report}");

    let joined = strict().run(|| spawn(|| panic!("joined")).join().map(|_: ()| ()).is_err());
    assert!(joined.unwrap());
    let killed = strict().run(|| drop(spawn(park)));
    assert!(killed.is_ok(), "a killed task is no panic");
}

#[test]
fn a_panic_whose_parked_joiner_is_killed_first_is_not_lost() {
    maypole::task_local! {
        static SLOW: OnDrop<fn()> = OnDrop(|| sleep(Duration::from_secs(2)));
    }
    let failed = Builder::new()
        .clock(maypole::Clock::Virtual)
        .fail_on_unjoined_panic(true)
        .run(|| {
            let worker = spawn(|| {
                SLOW.with(|_| ());
                panic!("nobody hears it");
            });
            let joiner = spawn(move || drop(worker.join().map(|_: ()| ())));
            sleep(Duration::from_secs(1));
            joiner.kill("before the worker has ended");
            sleep(Duration::from_secs(9));
        });
    let Err(RunError::Panicked(report)) = failed else {
        panic!("nobody received it");
    };
    assert!(report.to_string().contains("nobody hears it"), "{report}");
}

#[test]
fn an_unjoined_panic_is_named_on_stderr_at_the_end_of_the_run() {
    let ended = child::run(|| {
        run(|| {
            let conn = maypole::task::Builder::new().name("conn 17");
            drop::<JoinHandle<()>>(conn.spawn(|| panic!("too short")).unwrap());
            yield_times(2);
            eprintln!("main returns");
        });
    });
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    let (before, after) = ended.stderr.split_once("main returns").unwrap();
    assert!(
        before.contains("maypole: task 'conn 17' (#2, spawned at "),
        "{before}"
    );
    assert!(
        before.contains("too short"),
        "the hook prints it at once: {before}"
    );
    assert!(
        after.contains("1 task panicked and nobody joined it"),
        "{after}"
    );
    assert!(after.contains("'conn 17' (#2"), "{after}");
}

/// A process whose panic hook parks, and what it wrote.
fn hook_that(parks: fn()) -> impl FnOnce() {
    move || {
        std::panic::set_hook(Box::new(move |info| {
            eprintln!("hook: {info}");
            parks();
        }));
        run(|| {
            spawn(|| eprintln!("another task ran inside the hook"));
            drop(spawn(|| panic!("first")).join().map(|_: ()| ()));
        });
    }
}

fn assert_refused(ended: &child::Ended, call: &str) {
    assert_ne!(ended.status, Some(0), "{}", ended.stderr);
    let refusal = format!("{call} inside the panic hook");
    assert!(ended.stderr.contains(&refusal), "{}", ended.stderr);
}

#[test]
fn a_yield_inside_the_panic_hook_is_refused_by_name() {
    let ended = child::run(|| hook_that(yield_now)());
    assert_refused(&ended, "yield_now");
}

#[test]
fn a_sleep_inside_the_panic_hook_is_refused_by_name() {
    let ended = child::run(|| hook_that(|| sleep(LONG))());
    assert_refused(&ended, "sleep");
}

#[test]
fn a_park_inside_the_panic_hook_is_refused_by_name() {
    let ended = child::run(|| hook_that(park)());
    assert_refused(&ended, "park");
}
