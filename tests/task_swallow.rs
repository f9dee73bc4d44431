//! A kill that the task catches, and destructors that wait while it unwinds.
mod task_support;

use maypole::task::{Killed, Status, check_killed, park, shield};
use maypole::{JoinHandle, run, scope, sleep, spawn, yield_now};
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::Duration;
use task_support::{LONG, Log, OnDrop, panic_text, virtually, yield_times};

/// A task that catches `kills` kills, then returns.
fn swallower(kills: usize) -> (Rc<Cell<usize>>, JoinHandle<&'static str>) {
    let caught = Rc::new(Cell::new(0));
    let theirs = caught.clone();
    let task = spawn(move || {
        for _ in 0..kills {
            if catch_unwind(|| park()).is_err() {
                theirs.set(theirs.get() + 1);
            }
        }
        "survived"
    });
    (caught, task)
}

#[test]
fn a_task_that_catches_its_kill_and_returns_is_killed_all_the_same() {
    run(|| {
        for kills in [1, 63, 64] {
            let (caught, task) = swallower(kills);
            yield_times(3);
            task.kill("die");
            let error = task.join().unwrap_err();
            assert!(error.is_killed(), "{kills}: {error}");
            assert_eq!(caught.get(), kills);
        }
    });
}

#[test]
fn a_task_that_swallows_64_kills_and_waits_again_is_abandoned_with_its_places() {
    let log = Log::new();
    run(|| {
        let _on_leaked_stack = log.on_drop("main's own");
        let (caught, task) = swallower(1000);
        yield_times(3);
        let line = line!() + 1;
        task.kill("die");
        let site = task.task().name().to_string();
        let kept = task.task().clone();
        let error = task.join().unwrap_err();
        assert_eq!(caught.get(), 64);
        assert!(error.is_abandoned() && !error.is_killed() && !error.is_panic());
        assert_eq!(error.reason(), Some("die"));
        let text = error.to_string();
        assert!(
            text.contains(&format!("'{site}' (#2, spawned at {site})")),
            "{text}"
        );
        assert!(text.contains("caught its kill 64 times"), "{text}");
        assert!(
            text.contains(&format!("by 'main' at {}:{line}: die", file!())),
            "{text}"
        );
        assert!(
            text.contains(&format!("while waiting in park at {}", file!())),
            "{text}"
        );
        assert_eq!(kept.status(), Status::Abandoned);
        assert_eq!(kept.kill("again"), Killed::Abandoned);
        yield_times(3);
    });
    assert_eq!(log.text(), "main's own");
}

#[test]
fn an_abandoned_task_gives_its_error_once() {
    run(|| {
        let (_, mut task) = swallower(1000);
        yield_times(3);
        task.kill("die");
        assert!(task.join_timeout(LONG).unwrap().unwrap_err().is_abandoned());
        let text = panic_text(|| task.join());
        assert!(text.contains("joined before"), "{text}");
    });
}

#[test]
fn a_scoped_task_is_never_abandoned_and_others_run_between_its_raises() {
    run(|| {
        let others = Rc::new(Cell::new(0));
        let theirs = others.clone();
        spawn(move || {
            loop {
                theirs.set(theirs.get() + 1);
                yield_now();
            }
        });
        let caught = Cell::new(0);
        scope(|s| {
            let task = s.spawn(|| {
                while caught.get() < 300 {
                    let _ = catch_unwind(park);
                    caught.set(caught.get() + 1);
                }
            });
            yield_times(3);
            task.kill("die");
        });
        assert_eq!(caught.get(), 300);
        assert!(others.get() > 200, "{}", others.get());
    });
}

#[test]
fn a_kill_is_raised_again_at_every_later_park() {
    let caught = Rc::new(RefCell::new(Vec::new()));
    let theirs = caught.clone();
    virtually(move || {
        let task = spawn(move || {
            let waits: [fn(); 5] = [
                park,
                yield_now,
                || sleep(Duration::ZERO),
                || drop(spawn(park).join()),
                check_killed,
            ];
            for wait in waits {
                theirs.borrow_mut().push(catch_unwind(wait).is_err());
            }
            // A shield holds the kill back, and then it is raised again.
            shield(|| sleep(Duration::from_secs(1)));
            theirs.borrow_mut().push(catch_unwind(park).is_err());
        });
        yield_times(3);
        task.kill("die");
        assert!(task.join().unwrap_err().is_killed());
    });
    assert_eq!(*caught.borrow(), [true; 6]);
}

#[test]
fn a_destructor_may_park_and_a_second_kill_meanwhile_does_not_disturb_it() {
    let log = Log::new();
    virtually(|| {
        let theirs = log.clone();
        let task = spawn(move || {
            let _flush = OnDrop(|| {
                theirs.say("flush");
                sleep(Duration::from_secs(2));
                yield_now();
                assert_eq!(spawn(|| 3).join().unwrap(), 3);
                assert!(std::thread::panicking());
                theirs.say("flushed");
            });
            park();
        });
        yield_times(3);
        task.kill("close");
        sleep(Duration::from_secs(1));
        assert_eq!(task.kill("close now"), Killed::Already);
        assert_eq!(task.task().status(), Status::Killing);
        log.say("main");
        let error = task.join().unwrap_err();
        assert_eq!(
            error.reason(),
            Some("close"),
            "the first kill is the one that counts"
        );
    });
    assert_eq!(log.text(), "flush main flushed");
}

#[test]
fn a_first_kill_of_a_task_that_unwinds_already_waits_and_counts() {
    virtually(|| {
        let task = spawn(|| {
            let _cleanup = OnDrop(|| sleep(Duration::from_secs(2)));
            panic!("of its own");
        });
        sleep(Duration::from_secs(1));
        assert_eq!(task.kill("meanwhile"), Killed::Shielded);
        let error = task.join().unwrap_err();
        assert!(error.is_panic(), "the panic came first");
        assert_eq!(error.message(), Some("of its own"));
    });
}

#[test]
fn a_std_mutex_held_by_the_killed_task_is_poisoned_and_an_innocent_one_is_not() {
    virtually(|| {
        let theirs = Rc::new(std::sync::Mutex::new(()));
        let ours = Rc::new(std::sync::Mutex::new(()));
        let held = theirs.clone();
        let task = spawn(move || {
            let _held = held.lock().unwrap();
            let _cleanup = OnDrop(|| sleep(Duration::from_secs(2)));
            park();
        });
        yield_times(3);
        task.kill("now");
        let guard = ours.lock().unwrap();
        sleep(Duration::from_secs(1));
        assert!(
            !std::thread::panicking(),
            "another task unwinds, this one does not"
        );
        drop(guard);
        assert!(!ours.is_poisoned());
        assert!(catch_unwind(|| panic!("a panic of one's own")).is_err());
        assert!(!std::thread::panicking());
        task.join().unwrap_err();
        assert!(theirs.is_poisoned());
        assert!(!ours.is_poisoned());
    });
}

#[test]
fn a_kill_payload_raised_again_in_another_task_is_a_panic_there() {
    run(|| {
        let payload = Rc::new(RefCell::new(None));
        let theirs = payload.clone();
        let task = spawn(move || {
            *theirs.borrow_mut() = catch_unwind(park).err();
        });
        yield_times(3);
        task.kill("die");
        assert!(task.join().unwrap_err().is_killed());
        let stolen = payload.borrow_mut().take().unwrap();
        let thief = spawn(move || std::panic::resume_unwind(stolen));
        let error = thief.join().map(|_: ()| ()).unwrap_err();
        assert!(error.is_panic());
    });
}

#[test]
fn a_kill_that_comes_while_the_task_only_cleans_up_is_no_success_either() {
    maypole::task_local! {
        static CLEANUP: OnDrop<fn()> = OnDrop(|| sleep(Duration::from_secs(2)));
    }
    virtually(|| {
        let task = spawn(|| {
            CLEANUP.with(|_| ());
            "result"
        });
        sleep(Duration::from_secs(1));
        assert_eq!(task.kill("late"), Killed::Shielded);
        assert!(task.join().unwrap_err().is_killed());
    });
}

#[test]
fn the_std_scope_of_os_threads_in_a_killed_task_ends_first() {
    run(|| {
        let finished = Rc::new(Cell::new(false));
        let theirs = finished.clone();
        let task = spawn(move || {
            let answer = std::sync::atomic::AtomicU32::new(0);
            let result = catch_unwind(AssertUnwindSafe(|| {
                std::thread::scope(|s| {
                    s.spawn(|| answer.store(42, std::sync::atomic::Ordering::SeqCst));
                    park();
                });
            }));
            theirs.set(answer.into_inner() == 42);
            std::panic::resume_unwind(result.unwrap_err());
        });
        yield_times(3);
        task.kill("now");
        assert!(task.join().unwrap_err().is_killed());
        assert!(finished.get());
    });
}
