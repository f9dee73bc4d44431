//! Closing generators: by name, by drop, by a loop that is left, ignored or not.
mod steps;

use maypole::generator::{Generator, Ignored};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use steps::{Log, message_of, unwinds};

#[test]
fn close_of_a_fresh_generator_drops_the_body() {
    let log = Log::new();
    let capture = log.on_drop("captures");
    let mut generator = Generator::new(move |y| {
        let _capture = capture;
        y.yield_(1);
    });
    assert_eq!(generator.close(), Ok(()));
    assert!(generator.is_done());
    assert_eq!(log.text(), "captures");
    assert_eq!((generator.next(), generator.close()), (None, Ok(())));
}

#[test]
fn close_unwinds_a_suspended_body() {
    let log = Log::new();
    let theirs = log.clone();
    let mut generator = Generator::new(move |y| {
        let _outer = theirs.on_drop("outer");
        let _inner = theirs.on_drop("inner");
        y.yield_(1);
        theirs.add("never");
    });
    generator.next();
    assert_eq!(generator.close(), Ok(()));
    assert_eq!(log.text(), "inner outer");
    assert_eq!(generator.close(), Ok(()), "once more changes nothing");
    assert!(generator.is_done() && !std::thread::panicking());
}

#[test]
fn close_of_a_finished_generator_does_nothing() {
    let mut generator = Generator::<u32>::new(|y| y.yield_(1));
    assert_eq!(generator.by_ref().count(), 1);
    assert_eq!(generator.close(), Ok(()));
}

#[test]
fn a_body_that_catches_its_close_may_return() {
    let mut generator = Generator::new(|y| {
        assert!(unwinds(|| y.yield_(1)));
    });
    generator.next();
    assert_eq!(generator.close(), Ok(()));
    assert!(generator.is_done());
}

#[test]
fn a_body_that_yields_at_its_close_has_ignored_it_and_stays() {
    let mut generator = Generator::<u32>::new(|y| {
        for n in 1..=3 {
            unwinds(|| y.yield_(n));
        }
    });
    assert_eq!(generator.next(), Some(1));
    assert_eq!(generator.close(), Err(Ignored));
    assert!(!generator.is_done());
    assert_eq!(generator.next(), Some(3));
    assert_eq!(generator.close(), Ok(()));
    assert!(Ignored.to_string().contains("ignored its close"));
}

#[test]
fn a_panic_while_closing_comes_out_of_close() {
    let mut generator = Generator::new(|y| {
        if unwinds(|| y.yield_(1)) {
            panic!("while closing");
        }
    });
    generator.next();
    assert_eq!(message_of(|| generator.close()), "while closing");
    assert!(generator.is_done());
}

#[test]
fn a_close_that_is_kept_and_raised_later_ends_the_generator_by_name() {
    let mut generator = Generator::<u32>::new(|y| {
        let close = catch_unwind(AssertUnwindSafe(|| y.yield_(1))).unwrap_err();
        y.yield_(2);
        resume_unwind(close);
    });
    generator.next();
    assert_eq!(generator.close(), Err(Ignored));
    let message = message_of(|| generator.next());
    assert!(message.contains("close that it had ignored"), "{message}");
    assert!(generator.is_done());
}

#[test]
fn a_generator_dropped_midway_runs_its_destructors() {
    let log = Log::new();
    for yields in 0..3 {
        let theirs = log.clone();
        let mut generator = Generator::new(move |y| {
            let _gone = theirs.on_drop("gone");
            (0..2).for_each(|n| y.yield_(n));
        });
        for _ in 0..yields {
            generator.next();
        }
        drop(generator);
    }
    // The first was fresh: its body had not begun.
    assert_eq!(log.text(), "gone gone");
}

#[test]
fn a_loop_left_early_closes_its_generator() {
    let log = Log::new();
    let theirs = log.clone();
    let generator = Generator::<u32>::new(move |y| {
        let _closed = theirs.on_drop("closed");
        for n in 0.. {
            y.yield_(n);
        }
    });
    for n in generator {
        if n == 3 {
            break;
        }
    }
    assert_eq!(log.text(), "closed");
}
