//! The wait group: who counts, and who is waited for.
mod steps;

use maypole::sync::WaitGroup;
use maypole::task::{Killed, Status, What, no_yield, park};
use maypole::time::timeout;
use maypole::{Builder, RunError, run, spawn, yield_now};
use std::panic::{RefUnwindSafe, UnwindSafe};
use steps::{Log, message_of, ms, on_virtual_time};

#[test]
fn a_group_of_one_needs_no_run() {
    WaitGroup::new().wait();
    let group = WaitGroup::default();
    drop(group.clone());
    assert_eq!(format!("{group:?}"), "WaitGroup { members: 1, .. }");
    group.wait();
    let (group, _other) = (WaitGroup::new(), WaitGroup::new());
    let member = group.clone();
    let message = message_of(|| group.wait());
    assert!(
        message.contains("WaitGroup") && message.contains("maypole::run"),
        "{message}"
    );
    // Whoever was refused has left all the same.
    member.wait();
}

#[test]
fn a_wait_lasts_until_every_clone_is_gone() {
    run(|| {
        let (group, log) = (WaitGroup::new(), Log::new());
        for n in 0..3 {
            let (member, log) = (group.clone(), log.clone());
            spawn(move || {
                for _ in 0..n {
                    yield_now();
                }
                log.add(n);
                drop(member);
            });
        }
        group.wait();
        assert_eq!(log.text(), "0 1 2");
    });
}

#[test]
fn several_may_wait_for_each_other_and_go_on_in_order() {
    run(|| {
        let (group, log) = (WaitGroup::new(), Log::new());
        let members = ["a", "b", "c"].map(|name| {
            let (member, log) = (group.clone(), log.clone());
            spawn(move || {
                member.wait();
                log.add(name);
            })
        });
        yield_now();
        assert_eq!(members[0].task().status(), Status::Parked(What::WaitGroup));
        assert_eq!(log.text(), "");
        group.wait();
        log.add("main");
        for member in members {
            member.join().unwrap();
        }
        assert_eq!(log.text(), "main a b c");
    });
}

#[test]
fn members_that_are_killed_or_panic_have_left() {
    run(|| {
        let group = WaitGroup::new();
        let member = group.clone();
        let killed = spawn(move || {
            let _member = member;
            park();
        });
        let member = group.clone();
        let panics = spawn(move || {
            let _member = member;
            panic!("done, in a way");
        });
        yield_now();
        killed.kill("enough");
        group.wait();
        assert!(killed.join().is_err() && panics.join().is_err());
    });
}

#[test]
fn a_waiter_that_is_killed_has_left_too() {
    on_virtual_time(|| {
        let group = WaitGroup::new();
        let member = group.clone();
        let victim = spawn(move || member.wait());
        yield_now();
        assert_eq!(victim.kill("not needed"), Killed::Parked);
        assert!(victim.join().unwrap_err().is_killed());
        // One that is killed before it waits, and one whose time is over.
        let member = group.clone();
        let victim = spawn(move || {
            maypole::task::current().kill("by itself");
            member.wait();
        });
        assert!(victim.join().unwrap_err().is_killed());
        let member = group.clone();
        assert!(timeout(ms(10), || member.wait()).is_err());
        group.wait();
    });
}

#[test]
fn waiting_is_refused_where_nobody_may_yield() {
    run(|| {
        let group = WaitGroup::new();
        let member = group.clone();
        let message = message_of(|| no_yield(|| member.wait()));
        assert!(message.contains("no_yield"), "{message}");
        group.wait();
    });
}

#[test]
fn the_deadlock_of_a_forgotten_member_names_the_group() {
    let stuck = Builder::new().run(|| {
        let group = WaitGroup::named("workers");
        std::mem::forget(group.clone());
        group.wait();
    });
    let Err(RunError::Deadlock(report)) = stuck else {
        panic!("the forgotten one never leaves");
    };
    assert!(report.to_string().contains("'workers'"), "{report}");
}

#[test]
fn a_group_may_outlive_a_run_and_be_used_across_a_caught_unwind() {
    fn is_unwind_safe<T: UnwindSafe + RefUnwindSafe>() {}
    is_unwind_safe::<WaitGroup>();
    let group = WaitGroup::new();
    for _ in 0..3 {
        run(|| {
            for _ in 0..2 {
                let member = group.clone();
                drop(spawn(move || member.wait()));
            }
            yield_now();
        });
    }
    group.wait();
}
