//! Killing: where it finds the task, what it unwinds, and that nothing swallows it for good.
mod task_support;

use maypole::task::{Killed, Status, check_killed, current, park, park_timeout};
use maypole::time::timeout;
use maypole::{run, scope, sleep, spawn, spawn_now, yield_now};
use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;
use task_support::{LONG, Log, OnDrop, panic_text, virtually, yield_times};

/// Kills a task that has had `turns` turns of `body`, and tells how the kill found it, what its
/// error says, and whether its guard was dropped.
fn killed_after(turns: usize, body: fn()) -> (Killed, String, bool) {
    virtually(|| {
        let dropped = Rc::new(Cell::new(0));
        let theirs = dropped.clone();
        let task = spawn(move || {
            let _guard = OnDrop(|| theirs.set(theirs.get() + 1));
            body();
            unreachable!("the task is killed while it waits");
        });
        yield_times(turns);
        let answer = task.kill("enough");
        let error = task.join().unwrap_err();
        assert!(error.is_killed(), "{error}");
        assert!(dropped.get() <= 1);
        (answer, error.to_string(), dropped.get() == 1)
    })
}

fn assert_parked(body: fn(), wait: &str) {
    let (answer, text, dropped) = killed_after(3, body);
    assert_eq!(answer, Killed::Parked, "{text}");
    assert!(
        text.contains(&format!(", while waiting in {wait}")),
        "{text}"
    );
    assert!(dropped);
}

#[test]
fn a_kill_reaches_a_task_in_sleep() {
    assert_parked(|| sleep(LONG), "sleep at ");
}

#[test]
fn a_kill_reaches_a_task_that_sleeps_for_ever() {
    assert_parked(|| sleep(Duration::MAX), "sleep at ");
}

#[test]
fn a_kill_reaches_a_task_in_park() {
    assert_parked(park, "park at ");
}

#[test]
fn a_kill_reaches_a_task_in_park_timeout() {
    assert_parked(|| park_timeout(LONG), "park at ");
}

#[test]
fn a_kill_reaches_a_task_in_join() {
    assert_parked(|| drop(spawn(park).join()), "join of task #3 at ");
}

#[test]
fn a_kill_reaches_a_task_in_join_timeout() {
    assert_parked(
        || drop(spawn(park).join_timeout(LONG)),
        "join of task #3 at ",
    );
}

#[test]
fn a_kill_reaches_a_task_at_the_end_of_a_scope() {
    let body = || {
        scope(|s| {
            s.spawn(park);
        });
    };
    assert_parked(body, "the end of a scope's tasks at ");
}

#[test]
fn a_kill_reaches_a_task_inside_a_timeout() {
    let body = || {
        let _ = timeout(LONG, park);
    };
    assert_parked(body, "park at ");
}

#[test]
fn a_kill_reaches_a_task_that_yields() {
    let (answer, text, dropped) = killed_after(3, || {
        loop {
            yield_now();
        }
    });
    assert_eq!(answer, Killed::Ready);
    assert!(text.contains(", while waiting in yield_now at "), "{text}");
    assert!(dropped);
}

#[test]
fn a_kill_that_comes_while_the_budget_makes_a_task_yield_is_not_lost() {
    virtually(|| {
        let task = spawn(|| {
            loop {
                let done = spawn_now(|| ());
                // Every so many joins that need not wait yield first.
                done.join().unwrap();
                park_timeout(Duration::ZERO);
            }
        });
        let parker = spawn(|| {
            for _ in 0..1000 {
                current().unpark();
                park();
            }
            park();
        });
        yield_now();
        task.kill("between check and park");
        parker.kill("between check and park");
        assert!(task.join().unwrap_err().is_killed());
        assert!(parker.join().unwrap_err().is_killed());
    });
}

#[test]
fn a_kill_in_each_turn_of_a_task_that_yields_by_its_budget_ends_it() {
    for turns in 0..6 {
        let ended = Rc::new(Cell::new(false));
        let theirs = ended.clone();
        virtually(move || {
            let finished: Vec<_> = (0..400).map(|_| spawn_now(|| ())).collect();
            let task = spawn(move || {
                let _guard = OnDrop(|| theirs.set(true));
                finished
                    .into_iter()
                    .for_each(|handle| handle.join().unwrap());
                park();
            });
            yield_times(turns);
            task.kill("now");
            assert!(task.join().unwrap_err().is_killed());
        });
        assert_eq!(ended.get(), turns > 0, "after {turns} turns");
    }
}

#[test]
fn a_task_killed_before_its_start_drops_its_captures_on_its_own_stack_and_never_runs() {
    let log = Log::new();
    virtually(|| {
        let theirs = log.clone();
        let main = current().id();
        let guard = OnDrop(move || {
            assert_ne!(current().id(), main);
            theirs.say("begin");
            sleep(Duration::from_secs(1));
            theirs.say("end");
        });
        let task = spawn(move || {
            let _guard = guard;
            unreachable!("it never starts");
        });
        assert_eq!(task.kill("too early"), Killed::BeforeStart);
        assert_eq!(task.task().status(), Status::Killing);
        assert_eq!(task.kill("again"), Killed::Already);
        assert!(log.words().is_empty(), "a kill runs no foreign code");
        let start = maypole::time::now();
        let error = task.join().unwrap_err();
        assert!(error.is_killed());
        assert_eq!(maypole::time::now() - start, Duration::from_secs(1));
    });
    assert_eq!(log.text(), "begin end");
}

#[test]
fn a_capture_that_panics_when_a_task_is_killed_before_its_start_makes_it_a_panic() {
    run(|| {
        let guard = OnDrop(|| panic!("in the capture"));
        let task = spawn(move || drop(guard));
        task.kill("too early");
        let error = task.join().unwrap_err();
        assert!(error.is_panic());
        assert_eq!(error.message(), Some("in the capture"));
    });
}

#[test]
fn a_task_that_kills_itself_goes_on_to_its_next_park() {
    let log = Log::new();
    run(|| {
        let theirs = log.clone();
        let task = spawn(move || {
            let _guard = theirs.on_drop("dropped");
            assert_eq!(current().kill("myself"), Killed::Running);
            assert_eq!(current().kill("again"), Killed::Already);
            theirs.say("goes on");
            yield_now();
            unreachable!();
        });
        assert_eq!(task.join().unwrap_err().reason(), Some("myself"));
    });
    assert_eq!(log.text(), "goes on dropped");
}

#[test]
fn a_kill_finds_a_task_ready_between_a_wake_and_its_turn_and_the_wake_counts() {
    let log = Log::new();
    run(|| {
        let theirs = log.clone();
        let task = spawn(move || {
            park();
            theirs.say("woken");
            park();
            unreachable!();
        });
        yield_times(3);
        task.task().unpark();
        assert_eq!(task.kill("late"), Killed::Ready);
        assert!(task.join().unwrap_err().is_killed());
    });
    assert_eq!(log.text(), "woken");
}

#[test]
fn a_joiner_that_is_killed_after_its_wake_still_gets_the_result() {
    let log = Log::new();
    run(|| {
        let worker = spawn(|| {
            park();
            "result"
        });
        let worker_task = worker.task().clone();
        let theirs = log.clone();
        let joiner = spawn(move || {
            theirs.say(worker.join().unwrap());
            yield_now();
            unreachable!();
        });
        yield_times(4);
        worker_task.unpark();
        // The worker ends in its turn and wakes the joiner, which is then killed.
        while worker_task.status() != Status::Finished {
            yield_now();
            joiner.kill("after the wake");
        }
        let error = joiner.join().unwrap_err();
        assert!(error.is_killed());
    });
    // Killed before the worker ended or after: never half of each.
    assert!(["", "result"].contains(&log.text().as_str()));
}

#[test]
fn a_kill_of_an_ended_task_answers_finished() {
    run(|| {
        let task = spawn(|| 3);
        yield_now();
        assert_eq!(task.kill("late"), Killed::Finished);
        assert_eq!(task.task().status(), Status::Finished);
        assert_eq!(task.join().unwrap(), 3);
        let task = spawn(park);
        task.kill("now");
        yield_now();
        assert_eq!(task.kill("late"), Killed::Finished);
        assert_eq!(task.task().status(), Status::Killed);
    });
}

#[test]
fn a_killed_task_that_never_meets_a_park_is_no_success() {
    let log = Log::new();
    run(|| {
        let guard = log.on_drop("value dropped");
        let task = spawn(move || {
            current().kill("myself");
            guard
        });
        let error = task.join().map(|_| ()).unwrap_err();
        assert!(error.is_killed());
    });
    assert_eq!(log.text(), "value dropped");
}

#[test]
fn check_killed_unwinds_a_loop_that_never_parks() {
    let rounds = Rc::new(Cell::new(0));
    let theirs = rounds.clone();
    run(move || {
        let task = spawn(move || {
            check_killed();
            loop {
                theirs.set(theirs.get() + 1);
                if theirs.get() == 5 {
                    current().kill("five is enough");
                }
                check_killed();
            }
        });
        let error = task.join().unwrap_err();
        assert_eq!(error.reason(), Some("five is enough"));
        assert!(error.to_string().contains(file!()), "{error}");
    });
    assert_eq!(rounds.get(), 5);
}

#[test]
fn the_error_of_a_killed_task_reads_as_a_sentence() {
    run(|| {
        (0..7).for_each(|_| drop(spawn(|| ())));
        let at_park = Rc::new(Cell::new(0));
        let theirs = at_park.clone();
        let fetch = maypole::task::Builder::new()
            .name("fetch")
            .spawn(move || {
                theirs.set(line!() + 1);
                park();
            })
            .unwrap();
        yield_times(3);
        let line = line!() + 1;
        fetch.kill("page closed");
        let error = fetch.join().unwrap_err();
        let file = file!();
        assert_eq!(
            error.to_string(),
            format!(
                "task 'fetch' (#9) was killed by 'main' at {file}:{line}: page closed, while \
                 waiting in park at {file}:{}",
                at_park.get()
            )
        );
        assert_eq!(error.task_name(), "fetch");
        assert_eq!(error.task_id().to_string(), "#9");
    });
}

#[test]
fn main_killed_by_another_task_fails_the_run_and_says_by_whom() {
    let log = Log::new();
    let text = panic_text(|| {
        run(|| {
            let _guard = log.on_drop("main unwound");
            let main = current();
            maypole::task::Builder::new()
                .name("regicide")
                .spawn(move || main.kill("revolution"))
                .unwrap();
            park();
        })
    });
    assert!(
        text.contains("task 'main' (#1) was killed by 'regicide' at "),
        "{text}"
    );
    assert!(
        text.contains(": revolution, while waiting in park at "),
        "{text}"
    );
    assert_eq!(log.text(), "main unwound");
}
