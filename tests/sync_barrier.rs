//! The barrier: rounds, leaders, and parties that leave.
mod steps;

use maypole::sync::{Barrier, BarrierWaitResult};
use maypole::task::{Killed, Status, What, no_yield};
use maypole::time::{now, timeout};
use maypole::{Builder, JoinHandle, RunError, run, scope, spawn, yield_now};
use std::cell::Cell;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::rc::Rc;
use steps::{Log, message_of, ms, on_virtual_time};

fn party(barrier: &Rc<Barrier>) -> JoinHandle<bool> {
    let barrier = barrier.clone();
    let party = spawn(move || barrier.wait().is_leader());
    yield_now();
    party
}

#[test]
fn a_barrier_for_one_or_none_needs_no_run() {
    for parties in [0, 1] {
        let barrier = Barrier::new(parties);
        assert!(barrier.wait().is_leader() && barrier.wait().is_leader());
    }
    let message = message_of(|| Barrier::new(2).wait());
    assert!(
        message.contains("Barrier") && message.contains("maypole::run"),
        "{message}"
    );
}

#[test]
fn nobody_goes_on_before_all_are_there_and_the_last_leads() {
    run(|| {
        let barrier = Rc::new(Barrier::new(4));
        let parties = [(); 3].map(|()| party(&barrier));
        for party in &parties {
            assert_eq!(party.task().status(), Status::Parked(What::Barrier));
        }
        assert!(barrier.wait().is_leader());
        assert_eq!(parties.map(|party| party.join().unwrap()), [false; 3]);
    });
}

#[test]
fn every_round_has_one_leader_and_no_task_runs_ahead() {
    run(|| {
        let (barrier, leaders) = (Barrier::new(5), Cell::new(0));
        let rounds = [(); 5].map(|()| Cell::new(0));
        scope(|s| {
            for n in 0..5 {
                let (barrier, leaders, rounds) = (&barrier, &leaders, &rounds);
                s.spawn(move || {
                    for round in 1..=20 {
                        rounds[n].set(round);
                        if barrier.wait().is_leader() {
                            leaders.set(leaders.get() + 1);
                        }
                        assert!(rounds.iter().all(|theirs| theirs.get() >= round));
                    }
                });
            }
        });
        assert_eq!(leaders.get(), 20);
    });
}

#[test]
fn a_killed_party_leaves_and_another_takes_its_place() {
    run(|| {
        let barrier = Rc::new(Barrier::new(3));
        let victims = [party(&barrier), party(&barrier)];
        for victim in &victims {
            assert_eq!(victim.kill("not needed"), Killed::Parked);
        }
        // At once, before the killed ones have had their turn.
        let stays = party(&barrier);
        let other = party(&barrier);
        assert_eq!(other.task().status(), Status::Parked(What::Barrier));
        assert!(barrier.wait().is_leader());
        assert!(!stays.join().unwrap() && !other.join().unwrap());
        for victim in victims {
            assert!(victim.join().unwrap_err().is_killed());
        }
    });
}

#[test]
fn a_party_that_is_killed_when_all_were_there_has_passed() {
    run(|| {
        let (barrier, log) = (Rc::new(Barrier::new(2)), Log::new());
        let (theirs, their_log) = (barrier.clone(), log.clone());
        let victim = spawn(move || {
            theirs.wait();
            their_log.add("passed");
            theirs.wait();
        });
        yield_now();
        barrier.wait();
        assert_eq!(victim.kill("too late"), Killed::Ready);
        assert!(victim.join().unwrap_err().is_killed());
        assert_eq!(log.text(), "passed");
        // It does not count in the next round.
        let next = party(&barrier);
        assert!(barrier.wait().is_leader());
        assert!(!next.join().unwrap());
    });
}

#[test]
fn a_party_whose_time_is_over_leaves() {
    on_virtual_time(|| {
        let (barrier, start) = (Rc::new(Barrier::new(2)), now());
        for _ in 0..5 {
            assert!(timeout(ms(10), || barrier.wait()).is_err());
        }
        assert_eq!(now() - start, ms(50));
        let next = party(&barrier);
        assert_eq!(next.task().status(), Status::Parked(What::Barrier));
        assert!(barrier.wait().is_leader() && !next.join().unwrap());
    });
}

#[test]
fn a_party_that_panics_beside_it_does_not_count() {
    run(|| {
        let barrier = Rc::new(Barrier::new(2));
        let theirs = barrier.clone();
        let panics = spawn(move || {
            theirs.wait();
            panic!("after the first round");
        });
        yield_now();
        barrier.wait();
        assert!(panics.join().unwrap_err().is_panic());
        let next = party(&barrier);
        assert!(barrier.wait().is_leader() && !next.join().unwrap());
    });
}

#[test]
fn waiting_is_refused_where_nobody_may_yield_and_does_not_count() {
    run(|| {
        let barrier = Rc::new(Barrier::new(2));
        let message = message_of(|| no_yield(|| barrier.wait()));
        assert!(message.contains("no_yield"), "{message}");
        let next = party(&barrier);
        assert_eq!(next.task().status(), Status::Parked(What::Barrier));
        barrier.wait();
        next.join().unwrap();
    });
}

#[test]
fn the_deadlock_of_a_missing_party_names_the_barrier() {
    let stuck = Builder::new().run(|| Barrier::named("start", 2).wait().is_leader());
    let Err(RunError::Deadlock(report)) = stuck else {
        panic!("nobody else comes");
    };
    assert!(report.to_string().contains("'start'"), "{report}");
}

#[test]
fn a_barrier_may_outlive_a_run_and_be_used_across_a_caught_unwind() {
    fn is_unwind_safe<T: UnwindSafe + RefUnwindSafe>() {}
    is_unwind_safe::<Barrier>();
    is_unwind_safe::<BarrierWaitResult>();
    let barrier = Rc::new(Barrier::new(2));
    assert_eq!(format!("{barrier:?}"), "Barrier { parties: 2, .. }");
    for _ in 0..3 {
        run(|| {
            let next = party(&barrier);
            assert!(barrier.wait().is_leader() && !next.join().unwrap());
            let _left_over = party(&barrier);
        });
    }
}
