//! Seeing a failure again: `replay` in a test, `MAYPOLE_REPLAY` with any program.
#![cfg(unix)]

mod child;
mod steps;

use maypole::explore::{self, Explorer, Shared, Switches};
use maypole::sync::Mutex;
use maypole::{Builder, RunError, run, scope, spawn, yield_now};
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use steps::message_of;

/// Loses an update if both tasks read before one of them writes.
fn deposits() {
    let balance = Shared::new(100);
    scope(|s| {
        for name in ["ann", "bob"] {
            let deposit = || {
                let before = balance.get();
                balance.set(before + 50);
            };
            let task = maypole::task::Builder::new().name(name);
            task.spawn_scoped(s, deposit).unwrap();
        }
    });
    assert_eq!(balance.get(), 200, "money vanished");
}

/// Two tasks that lock two things in two orders.
fn two_locks() {
    let locks = [Mutex::new(()), Mutex::new(())];
    scope(|s| {
        for (first, second) in [(0, 1), (1, 0)] {
            let locks = &locks;
            s.spawn(move || {
                let _first = locks[first].lock();
                let _second = locks[second].lock();
            });
        }
    });
}

/// The trail of a failure; in a process that was told to obey one, that one.
fn trail_of(switches: Switches, program: impl Fn()) -> String {
    if let Ok(trail) = std::env::var("MAYPOLE_REPLAY") {
        return trail;
    }
    let failure = Explorer::new().switches(switches).check(program).failure;
    failure.expect("it fails").trail().to_string()
}

// ── in a test ────────────────────────────────────────────────────────────────────────────────

#[test]
fn a_replay_fails_as_often_as_it_is_asked() {
    let failure = Explorer::new().check(two_locks).failure.unwrap();
    let replays = [0; 2].map(|_| message_of(|| explore::replay(failure.trail(), two_locks)));
    assert_eq!(replays[0], replays[1]);
    assert!(replays[0].contains("deadlock"), "{}", replays[0]);
    assert!(
        replays[0].contains(failure.steps()),
        "{}\n{failure}",
        replays[0]
    );
    assert!(replays[0].contains(failure.trail()));
}

#[test]
fn a_trail_carries_where_tasks_switch() {
    let trail = trail_of(Switches::Everywhere, deposits);
    assert!(trail.starts_with("mp1ev-"), "{trail}");
    assert!(message_of(|| explore::replay(&trail, deposits)).contains("money vanished"));
    let trail = trail_of(Switches::Parking, two_locks);
    assert!(trail.starts_with("mp1pv-"), "{trail}");
}

#[test]
fn a_replay_of_a_program_that_does_not_fail_any_more_returns() {
    let broken = Cell::new(true);
    let program = || {
        let child = spawn(|| ());
        yield_now();
        child.join().unwrap();
        assert!(!broken.get(), "broken");
    };
    let trail = trail_of(Switches::Parking, program);
    assert!(message_of(|| explore::replay(&trail, program)).contains("broken"));
    broken.set(false);
    explore::replay(&trail, program);
}

#[test]
fn a_replay_of_another_program_names_the_step_and_both_operations() {
    let swapped = Cell::new(false);
    let program = || {
        let (one, two) = (Mutex::new(()), Mutex::new(()));
        let other = maypole::task::Builder::new()
            .name("other")
            .spawn(yield_now)
            .unwrap();
        match swapped.get() {
            false => drop(one.lock()),
            true => yield_now(),
        }
        drop(two.lock());
        other.join().unwrap();
        panic!("always");
    };
    let trail = trail_of(Switches::Parking, program);
    swapped.set(true);
    let message = message_of(|| explore::replay(&trail, program));
    assert!(
        message.contains("replay diverged at step 1 of "),
        "{message}"
    );
    assert!(message.contains("recorded 'lock at line "), "{message}");
    assert!(message.contains("now main gives way in yield_now at tests/explore_replay.rs:"));
    assert!(
        message.contains("The program changed since the recording"),
        "{message}"
    );
}

#[test]
fn a_program_that_ends_before_its_trail_is_another_one() {
    let long = Cell::new(true);
    let program = || {
        let child = spawn(|| ());
        child.join().unwrap();
        if long.get() {
            let child = spawn(|| ());
            child.join().unwrap();
            panic!("always");
        }
    };
    let trail = trail_of(Switches::Parking, program);
    long.set(false);
    let message = message_of(|| explore::replay(&trail, program));
    assert!(message.contains("diverged at step 2 of 2"), "{message}");
    assert!(message.contains("now the program has ended"), "{message}");
}

#[test]
fn a_program_with_fewer_tasks_than_recorded_is_another_one() {
    let tasks = Cell::new(3);
    let program = || {
        let order = std::cell::RefCell::new(Vec::new());
        scope(|s| {
            for n in 0..tasks.get() {
                let order = &order;
                s.spawn(move || order.borrow_mut().push(n));
            }
        });
        assert_ne!(order.borrow()[0], 2, "the last is first");
    };
    let trail = trail_of(Switches::Parking, program);
    tasks.set(2);
    let message = message_of(|| explore::replay(&trail, program));
    assert!(
        message.contains("answered by 2, now there are 2 to choose from"),
        "{message}"
    );
}

#[test]
fn a_damaged_trail_is_refused_with_what_is_wrong_with_it() {
    let trail = trail_of(Switches::Parking, two_locks);
    let refused = |trail: &str| {
        let message = message_of(|| explore::replay(trail, || unreachable!("it is not run")));
        assert!(message.contains("is no trail"), "{message}");
        message
    };
    assert!(refused("").contains("does not begin with mp1"));
    assert!(refused(&trail[..trail.len() - 1]).contains("mistyped or cut short"));
    assert!(refused(&trail.replacen("mp1", "mp7", 1)).contains("version 7"));
    assert!(refused(&trail.replacen('0', "1", 1)).contains("mistyped or cut short"));
    // What copying adds at the ends does no harm.
    let padded = format!(" {trail}\n");
    assert!(message_of(|| explore::replay(&padded, two_locks)).contains("deadlock"));
}

#[test]
fn a_replay_inside_of_a_run_is_refused_by_name() {
    let message = message_of(|| run(|| explore::replay("mp1pv-0000", || ())));
    assert!(
        message.contains("explore::replay at tests/explore_replay.rs:"),
        "{message}"
    );
}

// ── with any program ─────────────────────────────────────────────────────────────────────────

#[test]
fn a_run_obeys_the_trail_of_the_environment_and_shows_its_steps() {
    let trail = trail_of(Switches::Everywhere, deposits);
    let variables = [("MAYPOLE_REPLAY", trail.as_str())];
    let ended = child::run_with(&variables, || run(deposits));
    assert_ne!(ended.status, Some(0));
    let stderr = &ended.stderr;
    let steps = stderr
        .find("  step  task")
        .map(|start| stderr[start..].trim_end());
    let failure = Explorer::new()
        .switches(Switches::Everywhere)
        .check(deposits)
        .failure;
    let recorded = failure.as_ref().map(|failure| failure.steps().trim_end());
    assert_eq!(steps, recorded, "{stderr}");
    assert!(stderr.contains("maypole: MAYPOLE_REPLAY: the first run of this process obeys"));
    assert!(stderr.contains("money vanished"), "{stderr}");
    assert!(
        stderr.contains("forced switch: ann could have gone on"),
        "{stderr}"
    );
}

#[test]
fn only_the_first_run_obeys() {
    let trail = trail_of(Switches::Everywhere, deposits);
    let ended = child::run_with(&[("MAYPOLE_REPLAY", trail.as_str())], || {
        let first = catch_unwind(|| run(deposits));
        assert!(first.is_err());
        run(deposits);
        explore::check(|| ());
    });
    ended.succeeds();
}

#[test]
fn a_run_on_the_real_clock_is_on_virtual_time_as_the_trail_says() {
    let program = || {
        let start = maypole::time::now();
        maypole::sleep(std::time::Duration::from_secs(3600));
        assert!(
            maypole::time::now() < start + std::time::Duration::from_secs(60),
            "an hour"
        );
    };
    let trail = trail_of(Switches::Parking, program);
    let ended = child::run_with(&[("MAYPOLE_REPLAY", trail.as_str())], || run(program));
    assert!(ended.stderr.contains("an hour"), "{}", ended.stderr);
    assert_ne!(ended.status, Some(0));
}

#[test]
fn an_exploration_obeys_the_trail_of_the_environment() {
    let trail = trail_of(Switches::Parking, two_locks);
    let variables = [("MAYPOLE_REPLAY", trail.as_str())];
    let ended = child::run_with(&variables, || explore::check(two_locks));
    assert_ne!(ended.status, Some(0));
    assert!(
        ended.stderr.contains("FAILED in the replay"),
        "{}",
        ended.stderr
    );
    assert!(ended.stderr.contains("deadlock"), "{}", ended.stderr);
}

#[test]
fn only_the_first_exploration_obeys() {
    let trail = trail_of(Switches::Parking, two_locks);
    let ended = child::run_with(&[("MAYPOLE_REPLAY", trail.as_str())], || {
        let outcome = Explorer::new().check(two_locks);
        assert!(outcome.failure.is_some() && outcome.schedules == 1);
        assert!(Explorer::new().forced(0).check(two_locks).failure.is_none());
    });
    ended.succeeds();
}

#[test]
fn a_run_that_leaves_the_trail_fails_although_nothing_in_it_does() {
    let trail = trail_of(Switches::Parking, two_locks);
    let variables = [("MAYPOLE_REPLAY", trail.as_str())];
    let ended = child::run_with(&variables, || run(|| println!("well")));
    assert_ne!(ended.status, Some(0));
    assert!(
        ended.stderr.contains("replay diverged at step 1"),
        "{}",
        ended.stderr
    );
}

#[test]
fn a_run_that_leaves_the_trail_ends_with_an_error_of_its_own() {
    let trail = trail_of(Switches::Parking, two_locks);
    let ended = child::run_with(&[("MAYPOLE_REPLAY", trail.as_str())], || {
        let end = Builder::new().run(|| drop(spawn(yield_now).join()));
        assert!(matches!(end, Err(RunError::Diverged(_))), "{end:?}");
    });
    ended.succeeds();
}

#[test]
fn a_run_whose_trail_is_damaged_fails_with_what_is_wrong_with_it() {
    let variables = [("MAYPOLE_REPLAY", "mp1pv-0l12-zzzz")];
    let ended = child::run_with(&variables, || run(|| println!("not run")));
    assert_ne!(ended.status, Some(0));
    assert!(
        ended.stderr.contains("is no trail: its checksum is"),
        "{}",
        ended.stderr
    );
    assert!(!ended.stdout.contains("not run"));
}

#[test]
fn an_empty_trail_is_none() {
    let ended = child::run_with(&[("MAYPOLE_REPLAY", "")], || run(|| ()));
    ended.succeeds();
}

#[test]
fn a_run_that_obeys_and_does_not_fail_any_more_goes_its_way() {
    let program = || {
        spawn(|| ()).join().unwrap();
        assert!(std::env::var_os("MAYPOLE_REPLAY").is_some());
    };
    let trail = trail_of(Switches::Parking, program);
    let ended = child::run_with(&[("MAYPOLE_REPLAY", trail.as_str())], || run(program));
    let ended = ended.succeeds();
    assert!(!ended.stderr.contains("step  task"), "{}", ended.stderr);
}

#[test]
fn the_line_to_see_it_again_can_be_given_to_a_shell() {
    if std::env::var_os("MAYPOLE_TEST_CHILD").is_some() {
        return explore::check(two_locks);
    }
    let name = "the_line_to_see_it_again_can_be_given_to_a_shell";
    let first = shell(&format!(
        "'{}' {name} --exact",
        std::env::current_exe().unwrap().display()
    ));
    let line = first
        .lines()
        .find_map(|line| line.trim().strip_prefix("again:"));
    let again = shell(line.unwrap_or_else(|| panic!("no line to see it again: {first}")));
    let steps = |text: &str| {
        let start = text
            .find("  step  task")
            .unwrap_or_else(|| panic!("no steps: {text}"));
        let end = text[start..]
            .find("again:")
            .expect("the line comes after the steps");
        text[start..start + end].to_string()
    };
    assert_eq!(steps(&first), steps(&again));
    assert!(again.contains("FAILED in the replay"), "{again}");
}

/// What a command writes that fails.
fn shell(command: &str) -> String {
    let output = std::process::Command::new("sh")
        .args(["-c", command])
        .env("MAYPOLE_TEST_CHILD", "none")
        .env_remove("RUST_BACKTRACE")
        .output()
        .unwrap();
    assert!(!output.status.success());
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn what_an_exploration_panics_with_is_all_that_it_prints() {
    let ended = child::run(|| {
        let caught = catch_unwind(AssertUnwindSafe(|| explore::check(deposits)));
        assert!(caught.is_ok(), "between tasks nothing is lost");
        let many = || {
            let tasks = [0, 1, 2].map(|n| spawn(move || assert_ne!(n, n, "no luck")));
            tasks
                .into_iter()
                .for_each(|task| assert!(task.join().is_err()));
        };
        assert!(Explorer::new().check(many).failure.is_none());
    });
    let ended = ended.succeeds();
    assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("maypole explore: ok: all "),
        "{}",
        ended.stderr
    );
}
