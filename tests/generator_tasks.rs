//! Generators in tasks: bodies that park, are killed, move, and misuse their yielder.
mod steps;

use maypole::generator::{Generator, Step, Yielder, scoped};
use maypole::task::{no_yield, shield};
use maypole::time::{Elapsed, timeout};
use maypole::{scope, sleep, spawn, yield_now};
use std::cell::RefCell;
use std::rc::Rc;
use steps::{Log, OnDrop, message_of, ms, on_virtual_time, unwinds};

#[test]
fn a_body_that_sleeps_parks_the_task_that_resumed_it() {
    on_virtual_time(|| {
        let log = Log::new();
        let theirs = log.clone();
        let ticking = spawn(move || {
            let ticks = Generator::<u32>::new(|y| {
                for n in 1..=3 {
                    sleep(ms(10));
                    y.yield_(n);
                }
            });
            ticks.for_each(|n| theirs.add(n));
        });
        for _ in 0..3 {
            sleep(ms(10));
            yield_now();
            log.add("main");
        }
        ticking.join().unwrap();
        assert_eq!(log.text(), "1 main 2 main 3 main");
    });
}

#[test]
fn a_body_may_join_and_yield_to_the_scheduler() {
    on_virtual_time(|| {
        let results = Generator::<u32>::new(|y| {
            for n in 0..3 {
                let handle = spawn(move || {
                    yield_now();
                    n * n
                });
                yield_now();
                y.yield_(handle.join().unwrap());
            }
        });
        assert_eq!(results.collect::<Vec<_>>(), [0, 1, 4]);
    });
}

#[test]
fn a_task_killed_while_its_generators_body_is_parked_unwinds_both() {
    on_virtual_time(|| {
        let log = Log::new();
        let theirs = log.clone();
        let task = spawn(move || {
            let _task = theirs.on_drop("task");
            let theirs = theirs.clone();
            let mut generator = Generator::<u32>::new(move |y| {
                let _body = theirs.on_drop("body");
                y.yield_(1);
                maypole::task::park();
            });
            generator.next();
            generator.next();
        });
        yield_now();
        yield_now();
        task.kill("test");
        assert!(task.join().unwrap_err().is_killed());
        assert_eq!(log.text(), "body task");
    });
}

#[test]
fn a_task_killed_between_two_resumes_closes_its_generator() {
    on_virtual_time(|| {
        let log = Log::new();
        let theirs = log.clone();
        let task = spawn(move || {
            let mut generator = Generator::<u32>::new(move |y| {
                let _body = OnDrop(|| {
                    // A destructor on the generator's stack may park.
                    sleep(ms(5));
                    theirs.add("body");
                });
                y.yield_(1);
            });
            generator.next();
            maypole::task::park();
        });
        yield_now();
        yield_now();
        task.kill("test");
        assert!(task.join().unwrap_err().is_killed());
        assert_eq!(log.text(), "body");
    });
}

#[test]
fn a_generator_moves_between_tasks() {
    on_virtual_time(|| {
        let shared = Rc::new(RefCell::new(Generator::<u32>::new(|y| {
            for n in 0..6 {
                y.yield_(n);
            }
        })));
        let tasks = [0, 1].map(|_| {
            let shared = shared.clone();
            spawn(move || {
                let mut mine = Vec::new();
                loop {
                    let next = shared.borrow_mut().next();
                    match next {
                        Some(n) => mine.push(n),
                        None => return mine,
                    }
                    yield_now();
                }
            })
        });
        let [left, right] = tasks.map(|task| task.join().unwrap());
        assert_eq!((left, right), (vec![0, 2, 4], vec![1, 3, 5]));
    });
}

#[test]
fn a_body_suspended_in_one_task_is_closed_by_another_after_the_first_is_gone() {
    on_virtual_time(|| {
        let log = Log::new();
        let theirs = log.clone();
        let generator = spawn(move || {
            let mut generator = Generator::<String>::new(move |y| {
                loop {
                    let _gone = theirs.on_drop("closed");
                    yield_now();
                    y.yield_(maypole::task::current().name().to_string());
                }
            });
            generator.next();
            generator
        })
        .join()
        .unwrap();
        let mut generator = generator;
        assert_eq!(generator.next().as_deref(), Some("main"));
        drop(generator);
        assert_eq!(log.text(), "closed closed");
    });
}

#[test]
fn a_generator_begun_before_a_run_goes_on_inside_and_after_it() {
    let mut generator = Generator::<u32>::new(|y| (0..4).for_each(|n| y.yield_(n)));
    assert_eq!(generator.next(), Some(0));
    on_virtual_time(|| {
        yield_now();
        assert_eq!(generator.next(), Some(1));
    });
    on_virtual_time(|| assert_eq!(generator.next(), Some(2)));
    assert_eq!(generator.next(), Some(3));
    assert_eq!(generator.next(), None);
}

#[test]
fn a_body_that_parks_outside_of_a_run_panics_by_name() {
    let mut generator = Generator::<u32>::new(|_| sleep(ms(1)));
    let message = message_of(|| generator.next());
    assert!(message.contains("outside of maypole::run"), "{message}");
}

#[test]
fn a_generator_that_another_task_is_inside_of_cannot_be_resumed() {
    on_virtual_time(|| {
        let shared = Rc::new(RefCell::new(Generator::<u32>::new(|y| {
            sleep(ms(10));
            y.yield_(1);
        })));
        let theirs = shared.clone();
        let inside = spawn(move || theirs.borrow_mut().next());
        yield_now();
        yield_now();
        assert!(shared.try_borrow_mut().is_err());
        assert_eq!(inside.join().unwrap(), Some(1));
    });
}

#[test]
fn a_timeout_around_next_unwinds_the_parked_body() {
    on_virtual_time(|| {
        let log = Log::new();
        let theirs = log.clone();
        let mut generator = Generator::<u32>::new(move |y| {
            let _gone = theirs.on_drop("unwound");
            y.yield_(1);
            maypole::task::park();
        });
        assert_eq!(timeout(ms(5), || generator.next()), Ok(Some(1)));
        assert_eq!(timeout(ms(5), || generator.next()), Err(Elapsed));
        assert!(generator.is_done());
        assert_eq!(log.text(), "unwound");
    });
}

#[test]
fn a_timeout_inside_a_body_that_does_not_yield_in_it_works() {
    on_virtual_time(|| {
        let slow = Generator::new(|y| {
            for limit in [5, 20] {
                y.yield_(timeout(ms(limit), || sleep(ms(10))));
            }
        });
        assert_eq!(slow.collect::<Vec<_>>(), [Err(Elapsed), Ok(())]);
    });
}

#[test]
fn a_yielder_used_by_a_scoped_child_of_the_body_panics_with_both_places() {
    on_virtual_time(|| {
        let mut generator = Generator::<u32>::new(|y| {
            scope(|s| {
                s.spawn(|| y.yield_(1));
            });
        });
        let message = message_of(|| generator.next());
        assert!(
            message.contains("outside of that generator's body"),
            "{message}"
        );
        assert_eq!(
            message.matches("tests/generator_tasks.rs").count(),
            2,
            "{message}"
        );
        assert!(generator.is_done());
    });
}

#[test]
fn a_yielder_used_by_a_child_while_the_body_waits_panics() {
    on_virtual_time(|| {
        let mut generator = Generator::<u32>::new(|y| {
            scope(|s| {
                let plain = s.spawn(|| message_of(|| y.yield_(1)));
                let first = s.spawn_now(|| message_of(|| y.yield_(2)));
                let check = s.spawn(|| message_of(|| y.checkpoint()));
                for handle in [plain, first, check] {
                    assert!(
                        handle
                            .join()
                            .unwrap()
                            .contains("outside of that generator's body")
                    );
                }
            });
            y.yield_(3);
        });
        assert_eq!(generator.next(), Some(3));
        assert_eq!(generator.next(), None);
    });
}

#[test]
fn yield_from_off_the_generators_stacks_panics() {
    on_virtual_time(|| {
        let mut generator = Generator::<u32>::new(|y| {
            let inner = Generator::new(|inner| inner.yield_(1));
            scope(|s| {
                let child = s.spawn_now(|| message_of(|| y.yield_from(inner)));
                assert!(
                    child
                        .join()
                        .unwrap()
                        .contains("outside of that generator's body")
                );
            });
        });
        assert_eq!(generator.next(), None);
    });
}

#[test]
fn a_yield_out_of_a_timeout_a_scope_a_shield_or_a_no_yield_is_refused() {
    on_virtual_time(|| {
        let mut generator = Generator::<u32>::new(|y| {
            let refused = |message: String| {
                assert!(message.contains("would leave a timeout"), "{message}");
                assert_eq!(
                    message.matches("tests/generator_tasks.rs").count(),
                    2,
                    "{message}"
                );
            };
            refused(message_of(|| timeout(ms(5), || y.yield_(1))));
            refused(message_of(|| scope(|_| y.yield_(1))));
            refused(message_of(|| shield(|| y.yield_(1))));
            refused(message_of(|| no_yield(|| y.yield_(1))));
            refused(message_of(|| {
                timeout(ms(5), || {
                    y.yield_from(Generator::new(|inner| inner.yield_(1)))
                })
            }));
            y.yield_(2);
        });
        assert_eq!((generator.next(), generator.next()), (Some(2), None));
    });
}

#[test]
fn an_inner_body_may_not_carry_its_timeout_away_by_an_outer_yield() {
    on_virtual_time(|| {
        let refusal = Log::new();
        let theirs = refusal.clone();
        let mut outer = Generator::<u32>::new(move |y| {
            scoped(
                |_: &Yielder<u32>| {
                    theirs.add(message_of(|| timeout(ms(5), || y.yield_(1))));
                },
                |inner| {
                    inner.next();
                },
            );
        });
        let carried_away = outer.next();
        // Closing it would end in a second unwind, if the yield was let through.
        std::mem::forget(outer);
        assert_eq!(carried_away, None);
        assert!(refusal.text().contains("would leave a timeout"));
    });
}

#[test]
fn a_generator_driven_inside_a_timeout_yields_to_its_driver() {
    on_virtual_time(|| {
        let result = timeout(ms(50), || {
            shield(|| Generator::<u32>::new(|y| (0..5).for_each(|n| y.yield_(n))).sum::<u32>())
        });
        assert_eq!(result, Ok(10));
    });
}

#[test]
fn a_generator_yields_inside_no_yield_because_no_task_gives_way() {
    on_virtual_time(|| {
        let sum: u32 = no_yield(|| Generator::new(|y| (0..5).for_each(|n| y.yield_(n))).sum());
        assert_eq!(sum, 10);
        let parking = || Generator::<u32>::new(|_| yield_now()).next();
        let message = message_of(|| no_yield(parking));
        assert!(message.contains("inside task::no_yield"), "{message}");
    });
}

#[test]
fn two_hundred_tasks_drive_a_parking_generator_each() {
    on_virtual_time(|| {
        let tasks: Vec<_> = (0..200_u64)
            .map(|task| {
                spawn(move || {
                    let generator = Generator::<u64>::new(move |y| {
                        for n in 0..5 {
                            sleep(ms((task * 7 + n * 3) % 11));
                            y.yield_(n);
                        }
                    });
                    generator.sum::<u64>()
                })
            })
            .collect();
        assert!(tasks.into_iter().all(|task| task.join().unwrap() == 10));
    });
}

#[test]
fn a_generator_held_by_a_task_that_never_ran_is_dropped_with_its_captures() {
    let log = Log::new();
    on_virtual_time(|| {
        let theirs = log.clone();
        let mut generator = Generator::<u32>::new(move |y| {
            let _gone = OnDrop(|| {
                sleep(ms(1));
                theirs.add("closed");
            });
            y.yield_(1);
        });
        assert_eq!(generator.start(), Step::Yielded(1));
        let task = spawn(move || drop(generator));
        task.kill("before it starts");
        assert!(task.join().unwrap_err().is_killed());
    });
    assert_eq!(log.text(), "closed");
}

#[test]
fn a_panic_in_a_body_is_a_panic_of_the_task_that_resumed_it() {
    on_virtual_time(|| {
        let task = spawn(|| {
            Generator::<u32>::new(|y| {
                y.yield_(1);
                yield_now();
                panic!("in the body");
            })
            .for_each(drop);
        });
        let error = task.join().unwrap_err();
        assert_eq!(error.message(), Some("in the body"));
        assert!(!unwinds(yield_now));
    });
}
