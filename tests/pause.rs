//! Holding tasks back and letting them go on; parking and unparking.
mod task_support;

use maypole::task::{Killed, Status, current, park, park_timeout};
use maypole::{Builder, RunError, run, sleep, spawn, spawn_now, yield_now};
use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;
use task_support::{LONG, Log, virtually, yield_times};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_paused_ready_task_does_not_run_until_it_is_resumed() {
    let log = Log::new();
    run(|| {
        let theirs = log.clone();
        let task = spawn(move || {
            loop {
                theirs.say("step");
                yield_now();
            }
        });
        yield_times(2);
        assert_eq!(log.len(), 2);
        task.task().pause();
        task.task().pause();
        assert_eq!(task.task().status(), Status::Paused);
        yield_times(5);
        assert_eq!(log.len(), 2, "no output in between");
        task.task().resume();
        assert_eq!(task.task().status(), Status::Ready);
        yield_now();
        assert_eq!(log.len(), 3, "it goes on where it was");
        task.task().resume();
        yield_now();
        assert_eq!(log.len(), 4, "a second resume means nothing");
    });
}

#[test]
fn a_task_paused_before_its_start_starts_when_it_is_resumed() {
    run(|| {
        let task = spawn(|| 5);
        task.task().pause();
        yield_times(3);
        assert!(!task.is_finished());
        assert_eq!(task.task().status(), Status::Paused);
        task.task().resume();
        assert_eq!(task.join().unwrap(), 5);
    });
}

#[test]
fn a_task_that_was_paused_before_its_start_and_is_resumed_at_once_runs_once() {
    let turns = Rc::new(Cell::new(0));
    run(|| {
        let theirs = turns.clone();
        let task = spawn(move || {
            loop {
                theirs.set(theirs.get() + 1);
                yield_now();
            }
        });
        for _ in 0..5 {
            task.task().pause();
            task.task().resume();
        }
        yield_now();
        assert_eq!(turns.get(), 1);
        yield_now();
        assert_eq!(turns.get(), 2);
    });
}

#[test]
fn a_wake_that_comes_while_a_task_is_paused_is_kept_with_its_result() {
    run(|| {
        let worker = spawn(|| {
            park();
            "result"
        });
        let worker_task = worker.task().clone();
        let joiner = spawn(move || worker.join().unwrap());
        yield_times(3);
        joiner.task().pause();
        worker_task.unpark();
        yield_times(3);
        assert_eq!(worker_task.status(), Status::Finished);
        assert_eq!(joiner.task().status(), Status::Paused);
        joiner.task().resume();
        assert_eq!(joiner.join().unwrap(), "result");
    });
}

#[test]
fn an_unpark_while_paused_is_kept() {
    run(|| {
        let task = spawn(|| {
            park();
            7
        });
        yield_times(2);
        task.task().pause();
        task.task().unpark();
        yield_times(3);
        assert!(!task.is_finished());
        task.task().resume();
        assert_eq!(task.join().unwrap(), 7);
    });
}

#[test]
fn a_timer_that_is_due_while_its_task_is_paused_fires_after_resume() {
    virtually(|| {
        let start = maypole::time::now();
        let task = spawn(move || {
            sleep(2 * SECOND);
            maypole::time::now() - start
        });
        sleep(SECOND);
        task.task().pause();
        sleep(9 * SECOND);
        assert!(!task.is_finished());
        task.task().resume();
        assert_eq!(task.join().unwrap(), 10 * SECOND);
    });
}

#[test]
fn a_timer_that_is_not_due_at_resume_fires_at_its_own_time() {
    virtually(|| {
        let start = maypole::time::now();
        let task = spawn(move || {
            sleep(20 * SECOND);
            maypole::time::now() - start
        });
        yield_times(2);
        task.task().pause();
        sleep(10 * SECOND);
        task.task().resume();
        assert!(matches!(task.task().status(), Status::Parked(_)));
        assert_eq!(task.join().unwrap(), 20 * SECOND);
    });
}

#[test]
fn a_join_timeout_that_expires_while_paused_stays_expired() {
    virtually(|| {
        let joiner = spawn(|| {
            let mut slow = spawn(|| sleep(5 * SECOND));
            slow.join_timeout(SECOND).is_none()
        });
        yield_times(2);
        joiner.task().pause();
        sleep(9 * SECOND);
        joiner.task().resume();
        assert!(joiner.join().unwrap(), "the time-out came first");
    });
}

#[test]
fn a_task_that_pauses_itself_goes_on_to_its_next_yield() {
    let log = Log::new();
    run(|| {
        let theirs = log.clone();
        let task = spawn(move || {
            current().pause();
            theirs.say("still running");
            yield_now();
            theirs.say("resumed");
        });
        yield_times(3);
        assert_eq!(log.text(), "still running");
        assert_eq!(task.task().status(), Status::Paused);
        task.task().resume();
        task.join().unwrap();
    });
    assert_eq!(log.text(), "still running resumed");
}

#[test]
fn a_task_that_pauses_itself_and_parks_needs_a_wake_and_a_resume() {
    for resume_first in [true, false] {
        run(|| {
            let task = spawn(|| {
                current().pause();
                park();
                3
            });
            yield_times(3);
            match resume_first {
                true => task.task().resume(),
                false => task.task().unpark(),
            }
            yield_times(3);
            assert!(!task.is_finished());
            match resume_first {
                true => task.task().unpark(),
                false => task.task().resume(),
            }
            assert_eq!(task.join().unwrap(), 3);
        });
    }
}

#[test]
fn a_parent_paused_by_the_child_it_runs_goes_on_to_its_next_yield() {
    let log = Log::new();
    run(|| {
        let theirs = log.clone();
        let parent = spawn(move || {
            let me = current();
            spawn_now(move || {
                assert_eq!(me.status(), Status::Running);
                me.pause();
            });
            theirs.say("after the child");
            yield_now();
            theirs.say("resumed");
        });
        yield_times(4);
        assert_eq!(log.text(), "after the child");
        parent.task().resume();
        parent.join().unwrap();
    });
    assert_eq!(log.text(), "after the child resumed");
}

#[test]
fn a_kill_lifts_the_pause() {
    let waits: [(fn(), Killed); 3] = [
        (|| park(), Killed::Parked),
        (|| yield_times(100), Killed::Ready),
        (|| sleep(LONG), Killed::Parked),
    ];
    virtually(|| {
        for (wait, expected) in waits {
            let task = spawn(wait);
            yield_times(3);
            task.task().pause();
            yield_now();
            assert_eq!(task.kill("now"), expected);
            task.task().pause();
            assert_eq!(
                task.task().status(),
                Status::Killing,
                "a killed task is not held back"
            );
            assert!(task.join().unwrap_err().is_killed());
        }
        let unstarted = spawn(|| ());
        unstarted.task().pause();
        yield_now();
        assert_eq!(unstarted.kill("now"), Killed::BeforeStart);
        assert!(unstarted.join().unwrap_err().is_killed());
    });
}

#[test]
fn a_kill_while_paused_and_woken_finds_the_task_ready() {
    let log = Log::new();
    run(|| {
        let theirs = log.clone();
        let task = spawn(move || {
            park();
            theirs.say("woken");
            park();
        });
        yield_times(3);
        task.task().pause();
        task.task().unpark();
        assert_eq!(task.kill("now"), Killed::Ready);
        assert!(task.join().unwrap_err().is_killed());
    });
    assert_eq!(log.text(), "woken");
}

#[test]
fn the_end_of_the_run_lifts_every_pause() {
    let log = Log::new();
    virtually(|| {
        let names = ["parked", "ready", "asleep"];
        let waits: [fn(); 3] = [|| park(), || yield_times(1000), || sleep(LONG)];
        for (name, wait) in names.into_iter().zip(waits) {
            let guard = log.on_drop(name);
            let task = spawn(move || {
                let _guard = guard;
                wait();
            });
            yield_times(2);
            task.task().pause();
        }
        let guard = log.on_drop("unstarted");
        let unstarted = spawn(move || drop(guard));
        unstarted.task().pause();
        yield_times(2);
        assert!(log.words().is_empty());
    });
    assert_eq!(log.text(), "parked ready asleep unstarted");
}

#[test]
fn a_paused_task_counts_as_parked_in_a_deadlock_and_is_listed_as_paused() {
    let stuck = Builder::new().run(|| {
        let task = maypole::task::Builder::new()
            .name("held")
            .spawn(yield_now)
            .unwrap();
        task.task().pause();
        let _ = task.join();
    });
    let Err(RunError::Deadlock(report)) = stuck else {
        panic!("nobody can resume it");
    };
    let report = report.to_string();
    let held = report
        .lines()
        .find(|line| line.trim_start().starts_with("#2 held "))
        .unwrap();
    assert!(held.contains("is paused"), "{report}");
    assert!(report.contains("#1 main  joins held at "), "{report}");
}

#[test]
fn pausing_an_ended_task_means_nothing() {
    run(|| {
        let task = spawn(|| ());
        yield_now();
        task.task().pause();
        assert_eq!(task.task().status(), Status::Finished);
        task.join().unwrap();
        let next = spawn(|| 3);
        assert_eq!(next.join().unwrap(), 3);
    });
}

#[test]
fn others_keep_their_order_while_one_is_paused() {
    let log = Log::new();
    run(|| {
        let tasks: Vec<_> = (0..4)
            .map(|n| {
                let log = log.clone();
                spawn(move || {
                    for _ in 0..2 {
                        log.say(n);
                        yield_now();
                    }
                })
            })
            .collect();
        tasks[1].task().pause();
        yield_times(4);
        tasks[1].task().resume();
        yield_times(4);
    });
    assert_eq!(log.text(), "0 2 3 0 2 3 1 1");
}

#[test]
fn an_unpark_before_the_park_lets_it_return_at_once() {
    run(|| {
        let task = spawn(|| {
            park();
            "awake"
        });
        task.task().unpark();
        assert_eq!(task.join().unwrap(), "awake");
    });
}

#[test]
fn several_unparks_count_as_one() {
    let log = Log::new();
    run(|| {
        let theirs = log.clone();
        let task = spawn(move || {
            for round in 1..=2 {
                park();
                theirs.say(round);
            }
        });
        (0..5).for_each(|_| task.task().unpark());
        yield_times(5);
        assert_eq!(log.text(), "1");
        (0..5).for_each(|_| task.task().unpark());
        task.join().unwrap();
    });
    assert_eq!(log.text(), "1 2");
}

#[test]
fn an_unpark_does_not_end_another_wait_and_is_kept_for_the_park() {
    virtually(|| {
        let start = maypole::time::now();
        let task = spawn(move || {
            sleep(3 * SECOND);
            assert_eq!(maypole::time::now() - start, 3 * SECOND);
            park();
            maypole::time::now() - start
        });
        sleep(SECOND);
        task.task().unpark();
        assert_eq!(task.join().unwrap(), 3 * SECOND);
    });
}

#[test]
fn park_timeout_ends_by_time_or_by_unpark() {
    virtually(|| {
        let start = maypole::time::now();
        park_timeout(2 * SECOND);
        assert_eq!(maypole::time::now() - start, 2 * SECOND);
        let main = current();
        spawn(move || {
            sleep(SECOND);
            main.unpark();
        });
        park_timeout(LONG);
        assert_eq!(maypole::time::now() - start, 3 * SECOND);
        current().unpark();
        park_timeout(LONG);
        assert_eq!(maypole::time::now() - start, 3 * SECOND);
        park_timeout(Duration::ZERO);
        assert_eq!(maypole::time::now() - start, 3 * SECOND);
    });
}

#[test]
fn a_park_that_timed_out_leaves_no_token_behind() {
    virtually(|| {
        let start = maypole::time::now();
        park_timeout(SECOND);
        park_timeout(SECOND);
        assert_eq!(maypole::time::now() - start, 2 * SECOND);
    });
}
