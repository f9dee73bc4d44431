//! The event: what stays set, what is lost, who is woken, what kills and deadlines do.
mod steps;

use maypole::sync::Event;
use maypole::task::{Killed, Status, What, no_yield};
use maypole::time::{now, timeout};
use maypole::{Builder, JoinHandle, RunError, run, sleep, spawn, yield_now};
use std::cell::Cell;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::rc::Rc;
use std::time::Duration;
use steps::{Log, message_of, ms, on_virtual_time};

fn waiter(event: &Rc<Event>, log: &Log, name: &'static str) -> JoinHandle<()> {
    let (event, log) = (event.clone(), log.clone());
    let waiter = spawn(move || {
        event.wait();
        log.add(name);
    });
    yield_now();
    waiter
}

#[test]
fn an_event_that_is_set_needs_no_run() {
    let event = Event::default();
    event.fire();
    assert!(!event.is_set());
    event.set();
    event.wait();
    assert!(event.wait_timeout(ms(1)));
    event.clear();
    assert_eq!(format!("{event:?}"), "Event { set: false, .. }");
    let message = message_of(|| event.wait());
    assert!(
        message.contains("Event") && message.contains("maypole::run"),
        "{message}"
    );
}

#[test]
fn a_set_event_lets_all_pass_in_order_until_it_is_cleared() {
    run(|| {
        let (event, log) = (Rc::new(Event::new()), Log::new());
        let waiters = ["a", "b", "c"].map(|name| waiter(&event, &log, name));
        assert_eq!(waiters[0].task().status(), Status::Parked(What::Event));
        event.set();
        event.wait();
        log.add("main");
        for waiter in waiters {
            waiter.join().unwrap();
        }
        assert_eq!(log.text(), "main a b c");
        event.clear();
        let late = waiter(&event, &log, "late");
        assert_eq!(late.task().status(), Status::Parked(What::Event));
        event.set();
        late.join().unwrap();
    });
}

#[test]
fn whoever_was_woken_goes_on_also_if_the_event_is_cleared_before_its_turn() {
    run(|| {
        let (event, log) = (Rc::new(Event::new()), Log::new());
        let waits = waiter(&event, &log, "woken");
        event.set();
        event.clear();
        waits.join().unwrap();
        assert_eq!((log.text().as_str(), event.is_set()), ("woken", false));
    });
}

#[test]
fn a_fired_event_wakes_those_that_wait_and_is_lost_on_others() {
    run(|| {
        let (event, count) = (Rc::new(Event::new()), Rc::new(Cell::new(0)));
        let listen = || {
            let (event, count) = (event.clone(), count.clone());
            spawn(move || {
                for _ in 0..2 {
                    event.wait();
                    count.set(count.get() + 1);
                }
            })
        };
        event.fire();
        let listeners = [listen(), listen()];
        yield_now();
        assert_eq!(count.get(), 0);
        event.fire();
        // They wait again only when they have had their turn.
        event.fire();
        yield_now();
        assert_eq!(count.get(), 2);
        event.fire();
        for listener in listeners {
            listener.join().unwrap();
        }
        assert_eq!(count.get(), 4);
    });
}

#[test]
fn a_deadline_that_comes_first_is_told() {
    on_virtual_time(|| {
        let (event, start) = (Rc::new(Event::new()), now());
        assert!(!event.wait_timeout(ms(10)));
        assert!(!event.wait_deadline(start + ms(20)));
        assert!(timeout(ms(10), || event.wait()).is_err());
        assert_eq!(now() - start, ms(30));
        let theirs = event.clone();
        let setter = spawn(move || {
            sleep(ms(5));
            theirs.set();
        });
        assert!(event.wait_timeout(ms(10)));
        assert!(event.wait_timeout(Duration::MAX));
        assert_eq!(now() - start, ms(35));
        setter.join().unwrap();
    });
}

#[test]
fn a_killed_waiter_leaves_and_a_woken_one_goes_on() {
    run(|| {
        let (event, log) = (Rc::new(Event::new()), Log::new());
        let [early, late] = ["early", "late"].map(|name| waiter(&event, &log, name));
        assert_eq!(early.kill("not needed"), Killed::Parked);
        event.set();
        assert_eq!(late.kill("too late"), Killed::Ready);
        assert!(early.join().unwrap_err().is_killed());
        assert!(late.join().is_err());
        assert_eq!(log.text(), "late");
    });
}

#[test]
fn waiting_is_refused_where_nobody_may_yield() {
    run(|| {
        let event = Event::named("never");
        let message = message_of(|| no_yield(|| event.wait()));
        assert!(message.contains("no_yield"), "{message}");
    });
}

#[test]
fn the_deadlock_of_a_wait_that_nobody_ends_names_the_event() {
    let stuck = Builder::new().run(|| Event::named("the end").wait());
    let Err(RunError::Deadlock(report)) = stuck else {
        panic!("nobody sets it");
    };
    assert!(report.to_string().contains("'the end'"), "{report}");
}

#[test]
fn an_event_may_outlive_a_run_and_be_used_across_a_caught_unwind() {
    fn is_unwind_safe<T: UnwindSafe + RefUnwindSafe>() {}
    is_unwind_safe::<Event>();
    let event = Rc::new(Event::new());
    for _ in 0..3 {
        run(|| {
            let log = Log::new();
            let waits = waiter(&event, &log, "woken");
            event.fire();
            waits.join().unwrap();
            let _left_over = waiter(&event, &log, "never");
        });
    }
}
