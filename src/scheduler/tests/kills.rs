//! Kills at moments that a simulation found, or that it cannot reach by chance.
use crate::coroutine;
use crate::run::{Builder, Clock, run};
use crate::scheduler::kill::attention;
use crate::scheduler::wait::{Wait, WaitQueue, What};
use crate::scheduler::with_kernel;
use crate::select::{Case, block_on};
use crate::task::{self, Builder as TaskBuilder, Killed};
use crate::time::timeout;
use crate::{scope, sleep, spawn, yield_now};
use std::cell::Cell;
use std::panic::{Location, catch_unwind};
use std::rc::Rc;
use std::time::Duration;

#[test]
fn a_kill_while_the_budget_makes_a_task_yield_unwinds_it_before_the_park() {
    // At some number of calls that did not wait, the one that waits is what the budget stops.
    for calls in 0..300 {
        run(|| {
            let child = spawn(move || {
                for _ in 0..calls {
                    task::current().unpark();
                    task::park();
                }
                task::park();
            });
            yield_now();
            child.kill("now");
            assert!(child.join().unwrap_err().is_killed());
        });
    }
}

/// Is not content with the first wake.
struct Twice {
    queue: Rc<WaitQueue>,
    wakes: usize,
}

impl Case for Twice {
    type Output = ();

    fn try_now(&mut self) -> Option<()> {
        (self.wakes == 2).then_some(())
    }

    fn enlist(&mut self) -> (&WaitQueue, usize) {
        (&self.queue, 0)
    }

    fn accept(&mut self, _: usize) -> Option<()> {
        self.wakes += 1;
        self.try_now()
    }
}

#[test]
fn a_kill_between_a_wake_and_the_next_park_of_one_call_unwinds_that_park() {
    run(|| {
        let queue = Rc::new(WaitQueue::new());
        let case = Twice {
            queue: queue.clone(),
            wakes: 0,
        };
        let wait = Wait {
            what: What::Scope,
            at: Location::caller(),
        };
        let child = spawn(move || block_on(case, None, wait));
        while !with_kernel(|kernel| kernel.has_waiter(&queue)) {
            yield_now();
        }
        with_kernel(|kernel| kernel.wake_one(&queue, 0));
        assert_eq!(child.kill("now"), Killed::Ready);
        assert!(child.join().unwrap_err().is_killed());
    });
}

/// Sleeps when it is dropped, and tells so.
struct Slow(Rc<Cell<bool>>);

impl Drop for Slow {
    fn drop(&mut self) {
        sleep(Duration::from_secs(1));
        self.0.set(true);
    }
}

#[test]
fn a_killed_daemon_may_sleep_in_its_destructors() {
    let ended = Rc::new(Cell::new(false));
    let theirs = ended.clone();
    let result = Builder::new().clock(Clock::Virtual).run(move || {
        let slow = Slow(theirs);
        let daemon = TaskBuilder::new().daemon(true).spawn(move || {
            let _slow = slow;
            task::park();
        });
        yield_now();
        let daemon = daemon.unwrap();
        daemon.kill("no longer needed");
        assert!(daemon.join().unwrap_err().is_killed());
    });
    result.unwrap();
    assert!(ended.get());
}

#[test]
fn a_scope_waits_for_the_destructors_of_its_daemons() {
    let ended = Rc::new(Cell::new(false));
    let theirs = ended.clone();
    let result = Builder::new().clock(Clock::Virtual).run(move || {
        let owner = spawn(|| {
            scope(|s| {
                let slow = Slow(theirs);
                s.spawn_daemon(move || {
                    let _slow = slow;
                    task::park();
                });
                yield_now();
            });
        });
        owner.join().unwrap();
    });
    result.unwrap();
    assert!(ended.get());
}

/// Parks so often, and catches every kill; counts what it caught.
fn swallow(kills: usize, caught: &Cell<usize>) {
    while caught.get() < kills {
        if catch_unwind(task::park).is_err() {
            caught.set(caught.get() + 1);
        }
    }
}

#[test]
fn a_task_that_swallows_64_kills_is_abandoned() {
    let caught = Rc::new(Cell::new(0));
    let theirs = caught.clone();
    run(move || {
        let child = spawn(move || swallow(1000, &theirs));
        while !matches!(child.task().status(), task::Status::Parked(_)) {
            yield_now();
        }
        assert_eq!(child.kill("now"), Killed::Parked);
        assert!(child.join().unwrap_err().is_abandoned());
    });
    assert_eq!(caught.get(), 64);
}

#[test]
fn a_scoped_task_is_never_abandoned_and_others_have_their_turns() {
    run(|| {
        let (caught, turns) = (Cell::new(0), Cell::new(0));
        scope(|s| {
            let child = s.spawn(|| swallow(200, &caught));
            yield_now();
            yield_now();
            child.kill("now");
            s.spawn(|| {
                while caught.get() < 200 {
                    turns.set(turns.get() + 1);
                    yield_now();
                }
            });
            assert!(child.join().unwrap_err().is_killed());
        });
        assert_eq!(caught.get(), 200);
        assert!(turns.get() > 100, "{} turns", turns.get());
    });
}

#[test]
fn a_timeout_that_expires_while_its_task_is_busy_is_raised_at_the_next_park() {
    let result = Builder::new().clock(Clock::Virtual).run(|| {
        let elapsed = timeout(Duration::from_nanos(10), || {
            with_kernel(|kernel| {
                kernel.clock.jump_to(10);
                kernel.expire();
            });
            yield_now();
            unreachable!("the timeout has expired");
        });
        assert!(elapsed.is_err());
        let left = coroutine::attention() & attention::BOUND;
        assert_eq!(left, 0, "a timeout that was left asks for attention");
        yield_now();
    });
    result.unwrap();
}
