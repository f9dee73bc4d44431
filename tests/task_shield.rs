//! Shields hold kills back; timeouts inside and outside of them.
mod task_support;

use maypole::task::{Killed, Status, park, shield};
use maypole::time::{Elapsed, timeout};
use maypole::{run, sleep, spawn, yield_now};
use std::time::Duration;
use task_support::{LONG, Log, panic_text, virtually, yield_times};

#[test]
fn a_kill_waits_for_the_shield() {
    let log = Log::new();
    run(|| {
        let theirs = log.clone();
        let task = spawn(move || {
            shield(|| {
                shield(yield_now);
                yield_now();
                park();
                theirs.say("shielded part done");
            });
            yield_now();
            unreachable!();
        });
        yield_now();
        assert_eq!(task.kill("hurry"), Killed::Shielded);
        assert_eq!(task.kill("hurry"), Killed::Already);
        yield_times(5);
        assert_eq!(task.task().status(), Status::Killing);
        task.task().unpark();
        assert!(task.join().unwrap_err().is_killed());
    });
    assert_eq!(log.text(), "shielded part done");
}

#[test]
fn a_kill_finds_a_task_parked_under_a_shield() {
    run(|| {
        let task = spawn(|| shield(park));
        yield_times(3);
        assert_eq!(task.kill("hurry"), Killed::Shielded);
        task.task().unpark();
        let error = task.join().unwrap_err();
        assert!(
            error.is_killed(),
            "never a success, though it met no further park"
        );
    });
}

#[test]
fn a_shield_that_a_panic_leaves_is_closed() {
    run(|| {
        let task = spawn(|| {
            let text = panic_text(|| shield(|| panic!("inside")));
            assert_eq!(text, "inside");
            park();
        });
        yield_times(3);
        assert_eq!(task.kill("now"), Killed::Parked);
        assert!(task.join().unwrap_err().is_killed());
    });
}

#[test]
fn a_timeout_inside_a_shield_expires() {
    virtually(|| {
        let result = shield(|| timeout(Duration::from_secs(1), || sleep(LONG)));
        assert_eq!(result, Err(Elapsed));
    });
}

#[test]
fn a_timeout_outside_a_shield_waits_for_it() {
    virtually(|| {
        let start = maypole::time::now();
        let late = timeout(Duration::from_secs(1), || {
            shield(|| sleep(Duration::from_secs(5)))
        });
        assert_eq!(late, Ok(()));
        assert_eq!(maypole::time::now() - start, Duration::from_secs(5));
        let elapsed = timeout(Duration::from_secs(1), || {
            shield(|| sleep(Duration::from_secs(5)));
            yield_now();
        });
        assert_eq!(elapsed, Err(Elapsed));
    });
}

#[test]
fn a_pending_kill_wins_over_an_expired_timeout() {
    virtually(|| {
        let task = spawn(|| {
            let _ = timeout(Duration::from_secs(1), || {
                shield(|| sleep(Duration::from_secs(5)));
                park();
            });
            unreachable!();
        });
        sleep(Duration::from_secs(2));
        assert_eq!(task.kill("first"), Killed::Shielded);
        assert!(task.join().unwrap_err().is_killed());
    });
}
