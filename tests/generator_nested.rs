//! Generators inside generators: yield from, foreign yielders, depth, stacks.
mod steps;

use maypole::generator::{Generator, Ignored, Step, Yielder};
use std::panic::{AssertUnwindSafe, catch_unwind};
use steps::{Log, payload_of, unwinds};

/// Yields what it is sent and what is thrown into it, returns when it is sent "end".
fn accumulator(log: &Log) -> Generator<String, usize, &'static str> {
    let log = log.clone();
    Generator::new(move |y| {
        let _gone = log.on_drop("inner gone");
        let mut count = 0;
        let mut answer = "ready".to_string();
        loop {
            answer = match catch_unwind(AssertUnwindSafe(|| y.yield_(answer))) {
                Ok("end") => return count,
                Ok(sent) => format!("sent {sent}"),
                Err(error) => match error.downcast::<i32>() {
                    Ok(number) => format!("thrown {number}"),
                    Err(other) => std::panic::resume_unwind(other),
                },
            };
            count += 1;
        }
    })
}

/// Passes everything on to an accumulator; yields its result at the end.
fn delegate(log: &Log) -> Generator<String, &'static str, &'static str> {
    let (inner, log) = (accumulator(log), log.clone());
    Generator::new(move |y| {
        let _gone = log.on_drop("outer gone");
        let count = y.yield_from(inner);
        y.yield_(format!("inner returned {count}"));
        "done"
    })
}

fn yielded<R>(text: &str) -> Step<String, R> {
    Step::Yielded(text.to_string())
}

#[test]
fn yield_from_passes_values_sends_and_throws_through() {
    let log = Log::new();
    let mut outer = delegate(&log);
    assert_eq!(outer.start(), yielded("ready"));
    assert_eq!(outer.resume("a"), yielded("sent a"));
    assert_eq!(outer.throw(5), yielded("thrown 5"));
    assert_eq!(outer.resume("end"), yielded("inner returned 2"));
    assert_eq!(log.text(), "inner gone");
    assert_eq!(outer.resume(""), Step::Returned("done"));
    assert_eq!(log.text(), "inner gone outer gone");
}

#[test]
fn a_close_passes_through_yield_from_to_the_inner_one_first() {
    let log = Log::new();
    let mut outer = delegate(&log);
    outer.start();
    assert_eq!(outer.close(), Ok(()));
    assert_eq!(log.text(), "inner gone outer gone");
}

#[test]
fn what_the_inner_one_does_not_catch_passes_through_yield_from() {
    let log = Log::new();
    let mut outer = delegate(&log);
    outer.start();
    assert_eq!(
        *payload_of(|| outer.throw(1_u8)).downcast::<u8>().unwrap(),
        1
    );
    assert!(outer.is_done());
    assert_eq!(log.text(), "inner gone outer gone");
}

#[test]
fn yield_from_started_by_next_hears_throws_and_closes() {
    let make = || {
        Generator::<u32>::new(|y| {
            let inner = Generator::new(|y: &Yielder<u32>| {
                let caught = catch_unwind(AssertUnwindSafe(|| y.yield_(1)));
                assert!(caught.is_err());
                y.yield_(2);
            });
            y.yield_from(inner);
        })
    };
    let mut outer = make();
    assert_eq!(outer.next(), Some(1));
    assert_eq!(outer.throw("error"), Step::Yielded(2));
    // The inner one ignores its close: it is leaked, and the outer one ends.
    let mut outer = make();
    outer.next();
    assert_eq!(outer.close(), Ok(()));
}

#[test]
fn yield_from_an_empty_generator_gives_its_value_at_once() {
    let mut outer = Generator::<(), u8>::new(|y| y.yield_from(Generator::new(|_| 3)));
    assert_eq!(outer.start(), Step::Returned(3));
}

#[test]
fn yield_from_chains_to_any_depth() {
    fn chain(depth: u32) -> Generator<u32, u32> {
        Generator::with_stack_size(64 << 10, move |y| {
            y.yield_(depth);
            match depth {
                0 => 0,
                _ => y.yield_from(chain(depth - 1)) + 1,
            }
        })
    }
    let mut outer = chain(50);
    for depth in (0..=50).rev() {
        assert_eq!(outer.resume(()), Step::Yielded(depth));
    }
    assert_eq!(outer.resume(()), Step::Returned(50));
}

#[test]
fn a_chain_of_fifty_closes_from_the_inside() {
    fn chain(depth: u32, log: Log) -> Generator<u32> {
        Generator::with_stack_size(64 << 10, move |y| {
            let _gone = log.on_drop(depth);
            match depth {
                0 => y.yield_(0),
                _ => y.yield_from(chain(depth - 1, log)),
            }
        })
    }
    let log = Log::new();
    let mut outer = chain(50, log.clone());
    outer.next();
    drop(outer);
    let expected: Vec<String> = (0..=50).map(|depth| depth.to_string()).collect();
    assert_eq!(log.steps(), expected);
}

#[test]
fn a_recursive_walk_yields_from_its_halves() {
    fn in_order(low: u32, high: u32) -> Generator<u32> {
        Generator::with_stack_size(64 << 10, move |y| {
            if low < high {
                let middle = low.midpoint(high);
                y.yield_from(in_order(low, middle));
                y.yield_(middle);
                y.yield_from(in_order(middle + 1, high));
            }
        })
    }
    assert!(in_order(0, 100).eq(0..100));
}

#[test]
fn an_outer_yielder_works_inside_an_inner_body() {
    let mut outer = Generator::<&str>::new(|outer| {
        // The inner body borrows the outer yielder, so it is scoped.
        let from_inner = maypole::generator::scoped(
            |inner: &Yielder<u32>| {
                inner.yield_(1);
                outer.yield_("from the inner body");
                inner.yield_(2);
            },
            |inner| inner.collect::<Vec<_>>(),
        );
        assert_eq!(from_inner, [1, 2]);
        outer.yield_("from the outer body");
    });
    assert_eq!(outer.next(), Some("from the inner body"));
    assert_eq!(outer.next(), Some("from the outer body"));
    assert_eq!(outer.next(), None);
}

#[test]
fn closing_the_outer_one_while_an_inner_body_yields_for_it_unwinds_both() {
    let log = Log::new();
    let theirs = log.clone();
    let mut outer = Generator::<&str>::new(move |outer| {
        let _outer_gone = theirs.on_drop("outer gone");
        maypole::generator::scoped(
            |_: &Yielder<u32>| {
                let _inner_gone = theirs.on_drop("inner gone");
                outer.yield_("from the inner body");
                theirs.add("never");
            },
            |inner| {
                inner.next();
                theirs.add("never");
            },
        );
    });
    outer.next();
    assert_eq!(outer.close(), Ok(()));
    assert_eq!(log.text(), "inner gone outer gone");
}

#[test]
fn a_throw_into_the_outer_one_reaches_an_inner_body_that_yields_for_it() {
    let mut outer = Generator::<u32>::new(|outer| {
        maypole::generator::scoped(
            |inner: &Yielder<u32>| {
                let caught = catch_unwind(AssertUnwindSafe(|| outer.yield_(1)));
                inner.yield_(*caught.unwrap_err().downcast::<u32>().unwrap());
            },
            |inner| outer.yield_(inner.next().unwrap()),
        );
    });
    outer.next();
    assert_eq!(outer.throw(9_u32), Step::Yielded(9));
}

#[test]
fn deep_recursion_inside_a_generator_fits_a_larger_stack() {
    fn depth(n: u32, y: &Yielder<u32>) -> u32 {
        let frame = std::hint::black_box([n; 64]);
        if n == 0 {
            y.yield_(0);
            return 0;
        }
        depth(n - 1, y) + 1 + frame[3] - n
    }
    let mut generator = Generator::with_stack_size(16 << 20, |y| depth(10_000, y));
    assert_eq!(generator.start(), Step::Yielded(0));
    assert_eq!(generator.resume(()), Step::Returned(10_000));
}

#[test]
fn small_stacks_carry_small_bodies() {
    let generators: Vec<Generator<usize>> = (0..300)
        .map(|n| Generator::with_stack_size(16 << 10, move |y| y.yield_(n)))
        .collect();
    let sum: usize = generators.into_iter().flatten().sum();
    assert_eq!(sum, 299 * 300 / 2);
}

#[test]
fn a_generator_may_be_made_started_and_finished_in_different_bodies() {
    let mut maker = Generator::<Generator<u32>>::new(|y| {
        for base in [10, 20] {
            y.yield_(Generator::new(move |inner| {
                (base..base + 2).for_each(|n| inner.yield_(n))
            }));
        }
    });
    let mut first = maker.next().unwrap();
    assert_eq!(first.next(), Some(10));
    let rest = Generator::<u32>::new(move |y| first.for_each(|n| y.yield_(n)));
    let second = maker.next().unwrap();
    assert_eq!(rest.chain(second).collect::<Vec<_>>(), [11, 20, 21]);
}

#[test]
fn an_ignored_close_inside_yield_from_does_not_stop_the_outer_close() {
    let log = Log::new();
    let theirs = log.clone();
    let mut outer = Generator::<u32>::new(move |y| {
        let _gone = theirs.on_drop("outer gone");
        y.yield_from(Generator::new(|inner| {
            loop {
                unwinds(|| inner.yield_(1));
            }
        }));
    });
    outer.next();
    assert_ne!(outer.close(), Err(Ignored));
    assert_eq!(log.text(), "outer gone");
}
