//! Names of transactions, and what is counted of them.
#![allow(
    clippy::unit_arg,
    reason = "a transaction of one step reads best in one line"
)]
mod steps;

use maypole::stm::{Counters, Named, TVar, abort, atomically, check, counters, retry};
use maypole::{run, sleep, spawn, yield_now};
use steps::{message_of, ms, on_virtual_time};

/// Commits, aborts, retries, wakes.
fn counts(counters: Counters) -> [u64; 4] {
    let Counters {
        commits,
        aborts,
        retries,
        wakes,
        ..
    } = counters;
    [commits, aborts, retries, wakes]
}

#[test]
fn commits_and_aborts_are_counted() {
    let name = Named::new("both");
    let variable = TVar::new(0);
    for _ in 0..3 {
        name.atomically(|tx| Ok(variable.update(tx, |n| n + 1)));
    }
    let kept: Result<i32, ()> = name.try_atomically(|tx| Ok(variable.read(tx)));
    let failed: Result<(), u8> = name.try_atomically(|_| abort(1));
    assert_eq!((kept, failed), (Ok(3), Err(1)));
    assert_eq!(counts(name.counters()), [4, 1, 0, 0]);
    let text = "4 commits, 1 aborts, 0 retries, 0 wakes";
    assert_eq!(name.counters().to_string(), text);
}

#[test]
fn each_wait_is_a_retry_and_each_wake_is_counted() {
    run(|| {
        let (name, level) = (Named::new("patient"), TVar::new(0));
        let (theirs, read) = (name.clone(), level.clone());
        let task = spawn(move || theirs.atomically(|tx| check(read.read(tx) >= 3)));
        for n in 0..=3 {
            yield_now();
            assert_eq!(counts(name.counters()), [0, 0, n + 1, n]);
            level.set(n);
        }
        task.join().unwrap();
        assert_eq!(counts(name.counters()), [1, 0, 4, 4]);
    });
}

#[test]
fn a_wake_by_the_time_is_one_too() {
    on_virtual_time(|| {
        let (name, late) = (Named::new("late"), maypole::stm::delay(ms(5)));
        name.atomically(|tx| check(late.read(tx)));
        assert_eq!(counts(name.counters()), [1, 0, 1, 1]);
    });
}

#[test]
fn an_arm_that_retries_is_not_counted() {
    let (name, variable) = (Named::new("arms"), TVar::new(0));
    name.atomically(|tx| tx.or_else(|tx| check(variable.read(tx) > 0), |_| Ok(())));
    assert_eq!(counts(name.counters()), [1, 0, 0, 0]);
}

#[test]
fn a_panic_is_neither() {
    let name = Named::new("panics");
    message_of(|| name.atomically::<()>(|_| panic!("on purpose")));
    message_of(|| name.atomically::<()>(|_| retry()));
    assert_eq!(counts(name.counters())[..2], [0, 0]);
}

#[test]
fn a_commit_counts_though_its_hook_panics() {
    let (name, variable) = (Named::new("hooked"), TVar::new(0));
    message_of(|| {
        name.atomically(|tx| {
            variable.write(tx, 1);
            tx.on_commit(|| panic!("in the hook"));
            Ok(())
        })
    });
    assert_eq!((variable.get(), counts(name.counters())), (1, [1, 0, 0, 0]));
}

#[test]
fn a_hook_sees_its_own_commit_counted() {
    let name = Named::new("hooked");
    let seen = TVar::new(0);
    name.atomically(|tx| {
        let (name, seen) = (name.clone(), seen.clone());
        tx.on_commit(move || seen.set(name.counters().commits));
        Ok(())
    });
    assert_eq!(seen.get(), 1);
}

#[test]
fn clones_count_together_and_equal_names_do_not() {
    let (name, other) = (Named::new("same"), Named::new("same"));
    let clone = name.clone();
    name.atomically(|_| Ok(()));
    clone.atomically(|_| Ok(()));
    other.atomically(|_| Ok(()));
    assert_eq!(counts(name.counters()), [2, 0, 0, 0]);
    assert_eq!(counts(clone.counters()), [2, 0, 0, 0]);
    assert_eq!(counts(other.counters()), [1, 0, 0, 0]);
}

#[test]
fn names_that_are_in_use_are_listed_in_the_order_of_their_making() {
    let listed = || {
        counters()
            .into_iter()
            .map(|(name, _)| name)
            .collect::<Vec<_>>()
    };
    assert_eq!(listed(), [""; 0]);
    let first = Named::new("first");
    for n in 0..1000 {
        drop(Named::new(format!("short-lived {n}")));
    }
    let second = Named::new(String::from("second"));
    second.atomically(|_| Ok(()));
    assert_eq!(listed(), ["first", "second"]);
    assert_eq!(counts(counters()[1].1), [1, 0, 0, 0]);
    drop(first);
    assert_eq!(listed(), ["second"]);
    // Those of another OS thread are listed there.
    std::thread::spawn(|| assert!(counters().is_empty()))
        .join()
        .unwrap();
}

#[test]
fn a_name_says_what_it_is_and_how_it_fares() {
    let name = Named::new("transfer");
    name.atomically(|_| Ok(()));
    assert_eq!(name.name(), "transfer");
    let text = format!("{name:?}");
    assert!(
        text.contains("transfer") && text.contains("commits: 1"),
        "{text}"
    );
}

#[test]
fn a_retry_storm_shows_in_the_counters() {
    run(|| {
        // Everything is in one variable, of which each waiter wants another part.
        let (all, takers) = (TVar::new(vec![0; 10]), Named::new("take"));
        let tasks: Vec<_> = (0..10)
            .map(|n| {
                let (all, takers) = (all.clone(), takers.clone());
                spawn(move || takers.atomically(|tx| check(all.with(tx, |parts| parts[n] > 0))))
            })
            .collect();
        for n in 0..10 {
            yield_now();
            let mut parts = all.get();
            parts[9 - n] += 1;
            all.set(parts);
        }
        tasks.into_iter().for_each(|task| task.join().unwrap());
        let Counters {
            commits,
            retries,
            wakes,
            ..
        } = takers.counters();
        assert_eq!((commits, retries, wakes), (10, 55, 55));
    });
}

#[test]
fn a_retry_storm_is_over_where_each_waits_for_a_variable_of_its_own() {
    run(|| {
        let parts: Vec<TVar<i32>> = (0..10).map(|_| TVar::new(0)).collect();
        let takers = Named::new("take");
        let tasks: Vec<_> = (0..10)
            .map(|n| {
                let (part, takers) = (parts[n].clone(), takers.clone());
                spawn(move || takers.atomically(|tx| check(part.read(tx) > 0)))
            })
            .collect();
        for part in parts.iter().rev() {
            yield_now();
            atomically(|tx| Ok(part.update(tx, |n| n + 1)));
        }
        tasks.into_iter().for_each(|task| task.join().unwrap());
        assert_eq!(counts(takers.counters()), [10, 0, 10, 10]);
    });
}

#[test]
fn a_killed_waiter_is_woken_by_nobody() {
    on_virtual_time(|| {
        let (name, variable) = (Named::new("killed"), TVar::new(0));
        let (theirs, read) = (name.clone(), variable.clone());
        let task = spawn(move || theirs.atomically(|tx| check(read.read(tx) > 0)));
        sleep(ms(1));
        task.kill("as an example");
        assert!(task.join().is_err());
        variable.set(1);
        assert_eq!(counts(name.counters()), [0, 0, 1, 0]);
    });
}
