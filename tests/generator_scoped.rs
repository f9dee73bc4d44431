//! Scoped generators: bodies that borrow, and drivers that leave them in every way.
mod steps;

use maypole::generator::{Generator, Ignored, ScopedGenerator, Step, Yielder, scoped};
use maypole::{sleep, spawn, yield_now};
use std::cell::Cell;
use std::panic::panic_any;
use steps::{
    Log, OnDrop, is_on_its_own, message_of, ms, on_its_own, on_virtual_time, payload_of, unwinds,
};

#[test]
fn a_scoped_body_borrows_and_changes_what_is_around_it() {
    let words = ["may".to_string(), "pole".to_string()];
    let mut total = 0;
    let lengths: Vec<usize> = scoped(
        |y| {
            for word in &words {
                total += word.len();
                y.yield_(word.len());
            }
        },
        |lengths| lengths.collect(),
    );
    assert_eq!((lengths, total), (vec![3, 4], 7));
}

#[test]
fn a_scoped_generator_yields_borrows_and_takes_what_is_sent() {
    let text = String::from("a b c");
    let result = scoped(
        |y: &Yielder<&str, usize>| {
            let mut sum = 0;
            for word in text.split(' ') {
                sum += y.yield_(word);
            }
            sum
        },
        |generator: &mut ScopedGenerator<'_, '_, _, _, _>| {
            let mut step = generator.start();
            for n in 1.. {
                match step {
                    Step::Yielded(word) => {
                        assert!(text.contains(word));
                        step = generator.resume(n);
                    }
                    Step::Returned(sum) => return sum,
                }
            }
            unreachable!("three words end")
        },
    );
    assert_eq!(result, 6);
}

#[test]
fn a_driver_that_stops_midway_closes_the_body_before_scoped_returns() {
    let log = Log::new();
    let borrowed = Cell::new(0);
    scoped(
        |y| {
            let _gone = OnDrop(|| {
                borrowed.set(9);
                log.add("body gone");
            });
            (0..10).for_each(|n| y.yield_(n));
        },
        |generator| {
            assert_eq!(generator.next(), Some(0));
            log.add("driver done");
        },
    );
    log.add("after");
    assert_eq!(log.steps(), ["driver done", "body gone", "after"]);
    assert_eq!(borrowed.get(), 9);
}

#[test]
fn a_body_that_was_never_started_is_dropped() {
    let log = Log::new();
    let capture = log.on_drop("captures");
    scoped(
        move |y: &Yielder<u32>| {
            let _capture = capture;
            y.yield_(1);
        },
        |_| log.add("driver"),
    );
    assert_eq!(log.steps(), ["driver", "captures"]);
}

#[test]
fn a_panicking_driver_closes_the_body_and_its_payload_comes_out() {
    let log = Log::new();
    let payload = payload_of(|| {
        scoped(
            |y| {
                let _gone = log.on_drop("body gone");
                y.yield_(1);
            },
            |generator| {
                generator.next();
                panic_any(5_u8);
            },
        )
    });
    assert_eq!(*payload.downcast::<u8>().unwrap(), 5);
    assert_eq!(log.text(), "body gone");
}

#[test]
fn a_panic_while_the_body_is_closed_comes_out_unless_the_driver_panicked_first() {
    let closing = |driver_panics: bool| {
        message_of(|| {
            scoped(
                |y| {
                    if unwinds(|| y.yield_(1)) {
                        panic!("of the body");
                    }
                },
                |generator| {
                    generator.next();
                    if driver_panics {
                        panic!("of the driver");
                    }
                },
            )
        })
    };
    assert_eq!(closing(false), "of the body");
    assert_eq!(closing(true), "of the driver");
}

#[test]
fn a_killed_driver_closes_the_body_which_may_park_meanwhile() {
    on_virtual_time(|| {
        let log = Log::new();
        let theirs = log.clone();
        let task = spawn(move || {
            let frame = String::from("body gone");
            scoped(
                |y: &Yielder<u32>| {
                    let _gone = OnDrop(|| {
                        sleep(ms(5));
                        theirs.add(&frame);
                    });
                    y.yield_(1);
                },
                |generator| {
                    generator.next();
                    maypole::task::park();
                },
            );
            theirs.add("never");
        });
        yield_now();
        yield_now();
        task.kill("test");
        assert!(task.join().unwrap_err().is_killed());
        assert_eq!(log.text(), "body gone");
    });
}

#[test]
fn a_task_killed_inside_a_scoped_body_unwinds_body_and_driver() {
    on_virtual_time(|| {
        let log = Log::new();
        let theirs = log.clone();
        let task = spawn(move || {
            scoped(
                |_: &Yielder<u32>| {
                    let _body = theirs.on_drop("body");
                    maypole::task::park();
                },
                |generator| {
                    let _driver = theirs.on_drop("driver");
                    generator.next();
                },
            );
        });
        yield_now();
        yield_now();
        task.kill("test");
        assert!(task.join().unwrap_err().is_killed());
        assert_eq!(log.steps(), ["body", "driver"]);
    });
}

#[test]
fn scoped_is_refused_where_parking_is_forbidden() {
    on_virtual_time(|| {
        let entered = Cell::new(false);
        let message = message_of(|| {
            maypole::task::no_yield(|| {
                scoped(|y: &Yielder<u32>| y.yield_(1), |_| entered.set(true));
            });
        });
        assert!(message.contains("inside task::no_yield"), "{message}");
        assert!(!entered.get());
    });
}

#[test]
fn a_scoped_generator_may_be_closed_by_its_driver() {
    scoped(
        |y| {
            unwinds(|| y.yield_(1));
            unwinds(|| y.yield_(2));
        },
        |generator| {
            assert_eq!(generator.next(), Some(1));
            assert_eq!(generator.close(), Err(Ignored));
            assert_eq!(generator.close(), Ok(()));
            assert!(generator.is_done());
            assert_eq!(generator.next(), None);
        },
    );
}

#[test]
fn a_body_that_ignores_sixty_three_closes_is_closed_all_the_same() {
    let ignored = Cell::new(0);
    scoped(
        |y: &Yielder<u32>| {
            while ignored.get() < 63 {
                if unwinds(|| y.yield_(1)) {
                    ignored.set(ignored.get() + 1);
                }
            }
        },
        |generator| {
            generator.next();
        },
    );
    assert_eq!(ignored.get(), 63);
}

#[test]
fn a_body_that_ignores_every_close_aborts_the_process_by_name() {
    let name = "a_body_that_ignores_every_close_aborts_the_process_by_name";
    if is_on_its_own() {
        let borrowed = Cell::new(0_u32);
        scoped(
            |y: &Yielder<u32>| loop {
                unwinds(|| y.yield_(borrowed.get()));
            },
            |generator| {
                generator.next();
            },
        );
        // Never reached: what the body borrows would be gone soon.
        return;
    }
    let (succeeded, text) = on_its_own(name);
    assert!(!succeeded);
    assert!(text.contains("ignored its close 64 times"), "{text}");
    assert!(text.contains("tests/generator_scoped.rs"), "{text}");
}

#[test]
fn a_scoped_body_that_yields_in_its_unwinding_aborts_by_name_too() {
    let name = "a_scoped_body_that_yields_in_its_unwinding_aborts_by_name_too";
    if is_on_its_own() {
        scoped(
            |y: &Yielder<u32>| {
                let _destructor = OnDrop(|| y.yield_(2));
                y.yield_(1);
            },
            |generator| {
                generator.next();
            },
        );
        return;
    }
    let (succeeded, text) = on_its_own(name);
    assert!(!succeeded);
    assert!(text.contains("ignored its close 64 times"), "{text}");
}

#[test]
fn scoped_generators_nest_and_borrow_from_one_another() {
    let numbers = [1, 2, 3];
    let sums: Vec<i32> = scoped(
        |y| {
            let tens: Vec<i32> = numbers.iter().map(|n| n * 10).collect();
            scoped(
                |inner| tens.iter().for_each(|n| inner.yield_(n)),
                |inner| inner.for_each(|n| y.yield_(n + 1)),
            );
        },
        |generator| generator.collect(),
    );
    assert_eq!(sums, [11, 21, 31]);
}

#[test]
fn a_plain_generator_that_is_leaked_inside_a_driver_keeps_its_scoped_one() {
    let mut outer = Generator::<u32>::new(|y| {
        let frame = [5_u32; 100];
        scoped(
            |inner| frame.iter().for_each(|n| inner.yield_(*n)),
            |inner| {
                inner.next();
                y.yield_(1);
                unreachable!("the outer generator is leaked here");
            },
        );
    });
    outer.next();
    std::mem::forget(outer);
}

#[test]
fn a_scoped_generator_in_a_destructor_while_unwinding_is_closed() {
    let log = Log::new();
    assert!(unwinds(|| {
        let _destructor = OnDrop(|| {
            scoped(
                |y: &Yielder<u32>| {
                    let _gone = log.on_drop("body gone");
                    y.yield_(1);
                },
                |generator| assert_eq!(generator.next(), Some(1)),
            );
        });
        panic!("why it unwinds");
    }));
    assert_eq!(log.text(), "body gone");
}
