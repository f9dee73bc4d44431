//! Generators and unwinds: driven from destructors, yielding in destructors, closed too often.
mod steps;

use maypole::generator::{Generator, Ignored, Step};
use maypole::{sleep, spawn, yield_now};
use std::cell::RefCell;
use std::panic::resume_unwind;
use std::rc::Rc;
use std::thread::panicking;
use steps::{Log, OnDrop, is_on_its_own, message_of, ms, on_its_own, on_virtual_time, unwinds};

/// Unwinds through a destructor that runs `f`.
fn while_unwinding(f: impl FnMut()) {
    assert!(unwinds(|| {
        let _destructor = OnDrop(f);
        resume_unwind(Box::new("why it unwinds"));
    }));
    assert!(!panicking());
}

#[test]
fn a_generator_driven_from_a_destructor_does_not_seem_to_unwind() {
    let mut seen = Vec::new();
    while_unwinding(|| {
        let generator = Generator::<bool>::new(|y| {
            for _ in 0..2 {
                y.yield_(panicking());
            }
        });
        seen.extend(generator);
        assert!(panicking());
    });
    assert_eq!(seen, [false, false]);
}

#[test]
fn a_body_driven_from_a_destructor_may_catch_a_panic_of_its_own() {
    while_unwinding(|| {
        let mut generator = Generator::<bool>::new(|y| {
            y.yield_(unwinds(|| panic!("of the body")));
        });
        assert_eq!((generator.next(), generator.next()), (Some(true), None));
    });
}

#[test]
fn a_generator_dropped_by_an_unwind_is_closed() {
    let log = Log::new();
    let theirs = log.clone();
    assert!(unwinds(|| {
        let mut generator = Generator::new(move |y| {
            let _gone = OnDrop(|| theirs.add(panicking()));
            y.yield_(1);
        });
        generator.next();
        panic!("of the driver");
    }));
    assert_eq!(log.text(), "true");
    assert!(!panicking());
}

#[test]
fn a_body_driven_from_a_destructor_may_park_and_no_other_task_sees_an_unwind() {
    on_virtual_time(|| {
        let log = Log::new();
        let theirs = log.clone();
        let task = spawn(move || {
            while_unwinding(|| {
                let theirs = theirs.clone();
                let generator = Generator::<u32>::new(move |y| {
                    for n in 1..=2 {
                        sleep(ms(10));
                        theirs.add(format!("body {}", panicking()));
                        y.yield_(n);
                    }
                });
                assert_eq!(generator.sum::<u32>(), 3);
                assert!(panicking());
            });
        });
        for _ in 0..2 {
            sleep(ms(10));
            yield_now();
            log.add(format!("main {}", panicking()));
        }
        task.join().unwrap();
        assert_eq!(log.text(), "body false main false body false main false");
    });
}

#[test]
fn a_kill_does_not_reach_a_body_driven_from_a_destructor() {
    on_virtual_time(|| {
        let log = Log::new();
        let theirs = log.clone();
        let task = spawn(move || {
            let _destructor = OnDrop(|| {
                let mut generator = Generator::<u32>::new(|y| {
                    sleep(ms(10));
                    y.yield_(7);
                });
                theirs.add(generator.next().unwrap());
            });
            maypole::task::park();
        });
        yield_now();
        task.kill("first");
        sleep(ms(5));
        task.kill("second");
        assert!(task.join().unwrap_err().is_killed());
        assert_eq!(log.text(), "7");
    });
}

#[test]
fn a_body_that_yields_in_a_destructor_while_unwinding_takes_the_panic_count_along() {
    let log = Log::new();
    let theirs = log.clone();
    let mut generator = Generator::<u32>::new(move |y| {
        let _last = OnDrop(|| theirs.add(format!("last {}", panicking())));
        while_unwinding(|| {
            y.yield_(1);
            assert!(panicking());
            y.yield_(2);
            assert!(panicking());
        });
        y.yield_(3);
    });
    for expected in [Some(1), Some(2), Some(3), None] {
        assert_eq!(generator.next(), expected);
        assert!(!panicking());
        assert!(unwinds(|| panic!("an innocent panic meanwhile")));
        assert!(!panicking());
    }
    assert_eq!(log.text(), "last false");
}

#[test]
fn many_bodies_suspended_in_their_unwinding_resume_in_any_order() {
    fn two_levels_deep(mut f: impl FnMut()) {
        unwinds(|| {
            let _outer = OnDrop(|| {
                unwinds(|| {
                    let _inner = OnDrop(&mut f);
                    resume_unwind(Box::new("inner"));
                });
                assert!(panicking());
            });
            resume_unwind(Box::new("outer"));
        });
    }
    let make = |n: u32| {
        Generator::<u32>::new(move |y| {
            two_levels_deep(|| y.yield_(n));
            while_unwinding(|| y.yield_(n + 100));
        })
    };
    let mut generators: Vec<_> = (0..30).map(make).collect();
    for generator in &mut generators {
        generator.next();
        assert!(!panicking());
    }
    for (n, generator) in generators.iter_mut().enumerate().rev().step_by(2) {
        assert_eq!(generator.next(), Some(n as u32 + 100));
        assert!(!panicking());
    }
    for generator in &mut generators {
        generator.for_each(drop);
        assert!(!panicking());
    }
}

#[test]
fn a_yield_in_a_destructor_of_a_killed_task_is_finished_by_another_task() {
    on_virtual_time(|| {
        let shared = Rc::new(RefCell::new(None));
        let theirs = shared.clone();
        let log = Log::new();
        let steps = log.clone();
        let task = spawn(move || {
            let mut generator = Generator::<u32>::new(move |y| {
                let _destructor = OnDrop(|| {
                    y.yield_(1);
                    steps.add(format!("finished {}", panicking()));
                });
                panic!("of the body");
            });
            assert_eq!(generator.next(), Some(1));
            *theirs.borrow_mut() = Some(generator);
            maypole::task::park();
        });
        yield_now();
        yield_now();
        task.kill("test");
        assert!(task.join().unwrap_err().is_killed());
        let mut generator = shared.take().unwrap();
        assert_eq!(message_of(|| generator.next()), "of the body");
        assert!(!panicking());
        assert_eq!(log.text(), "finished true");
    });
}

#[test]
fn a_generator_suspended_in_its_unwinding_ignores_every_close_and_is_leaked() {
    let mut generator = Generator::<u32>::new(|y| {
        let _destructor = OnDrop(|| y.yield_(2));
        y.yield_(1);
    });
    generator.next();
    assert_eq!(generator.close(), Err(Ignored));
    assert_eq!(generator.close(), Err(Ignored));
    assert!(!generator.is_done());
    drop(generator);
    assert!(!panicking());
}

#[test]
fn a_generator_that_ignored_a_close_in_its_unwinding_ends_when_it_is_resumed() {
    let mut generator = Generator::<u32>::new(|y| {
        let _destructor = OnDrop(|| y.yield_(2));
        y.yield_(1);
    });
    generator.next();
    assert_eq!(generator.close(), Err(Ignored));
    assert!(message_of(|| generator.next()).contains("close that it had ignored"));
    assert!(generator.is_done() && !panicking());
}

#[test]
fn a_throw_into_a_body_that_yields_in_its_unwinding_is_refused_by_name() {
    let mut generator = Generator::<u32>::new(|y| {
        while_unwinding(|| y.yield_(1));
        y.yield_(2);
    });
    generator.next();
    let message = message_of(|| generator.throw("error"));
    assert!(message.contains("cannot unwind again"), "{message}");
    assert_eq!(generator.next(), Some(2));
}

#[test]
fn a_dropped_generator_that_yields_again_is_leaked_with_a_line() {
    if is_on_its_own() {
        let mut generator = Generator::<u32>::new(|y| {
            loop {
                unwinds(|| y.yield_(1));
            }
        });
        generator.next();
        drop(generator);
        return;
    }
    let name = "a_dropped_generator_that_yields_again_is_leaked_with_a_line";
    let (succeeded, text) = on_its_own(name);
    assert!(succeeded, "{text}");
    let line = text
        .lines()
        .find(|line| line.contains("its stack is leaked"));
    let line = line.expect("the leak is reported");
    assert!(line.contains("tests/generator_unwinding.rs"), "{line}");
}

#[test]
fn a_generator_in_a_generator_dropped_by_an_unwind_closes_both() {
    let log = Log::new();
    let theirs = log.clone();
    let mut outer = Generator::<u32>::new(move |y| {
        let _outer = theirs.on_drop("outer");
        let theirs = theirs.clone();
        let mut inner = Generator::<u32>::new(move |y| {
            let _inner = theirs.on_drop("inner");
            y.yield_(1);
        });
        y.yield_(inner.next().unwrap());
    });
    assert!(unwinds(|| {
        let mut outer = std::mem::replace(&mut outer, Generator::new(|_| ()));
        assert_eq!(outer.start(), Step::Yielded(1));
        panic!("of the driver");
    }));
    assert_eq!(log.text(), "inner outer");
    assert!(!panicking());
}

#[test]
fn a_panicking_capture_of_a_fresh_generator_is_dropped_once() {
    let log = Log::new();
    let make = || {
        let (other, theirs) = (log.on_drop("other capture"), log.clone());
        let panicking = OnDrop(move || {
            theirs.add("capture");
            panic!("of the capture");
        });
        Generator::<u32>::new(move |y| {
            let _captures = (&panicking, &other);
            y.yield_(1);
        })
    };
    drop(make());
    assert_eq!(log.steps().len(), 2);
    let mut generator = make();
    assert_eq!(generator.close(), Ok(()));
    assert!(generator.is_done());
    assert_eq!(log.steps().len(), 4);
    let mut thrown_into = make();
    assert!(unwinds(|| thrown_into.throw(1)));
    drop((generator, thrown_into));
    assert_eq!(log.steps().len(), 6);
    assert!(!panicking());
}
