//! The budget: whoever never has to wait gives the others a turn all the same, now and then.
use crate::run::{Builder, Clock, run};
use crate::task::{self, Killed};
use crate::{sleep, spawn, yield_now};
use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

/// A call that may park and need not.
fn call() {
    task::current().unpark();
    task::park();
}

/// Starts a task that counts its turns.
fn start_counter() -> Rc<Cell<usize>> {
    let turns = Rc::new(Cell::new(0));
    let theirs = turns.clone();
    spawn(move || {
        loop {
            theirs.set(theirs.get() + 1);
            yield_now();
        }
    });
    turns
}

#[test]
fn a_task_that_never_waits_gives_the_others_a_turn_at_every_128th_call() {
    run(|| {
        let turns = start_counter();
        (0..127).for_each(|_| call());
        assert_eq!(turns.get(), 0);
        call();
        assert_eq!(turns.get(), 1);
        (0..1280).for_each(|_| call());
        assert_eq!(turns.get(), 11);
    });
}

#[test]
fn whoever_has_waited_has_its_whole_budget_again() {
    let result = Builder::new().clock(Clock::Virtual).run(|| {
        for _ in 0..10 {
            (0..100).for_each(|_| call());
            sleep(Duration::from_secs(1));
            let bystander = spawn(|| ());
            (0..100).for_each(|_| call());
            let caught = bystander.kill("it would have run if the budget had been used up");
            assert_eq!(caught, Killed::BeforeStart);
        }
    });
    result.unwrap();
}
