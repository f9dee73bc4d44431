//! Generators as Python has them: iteration, send, throw and return.
//! Nothing here needs a scheduler.
mod steps;

use maypole::generator::{Generator, Step, Yielder};
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;
use steps::{Log, OnDrop, message_of, payload_of, unwinds};

fn numbers(end: u32) -> Generator<u32> {
    Generator::new(move |y| (0..end).for_each(|n| y.yield_(n)))
}

/// Yields what it is sent, from `"begin"` on, until it is sent nothing; returns all in a row.
fn echo(log: &Log) -> Generator<String, String, &'static str> {
    let log = log.clone();
    Generator::new(move |y: &Yielder<String, &'static str>| {
        let _end = log.on_drop("echo gone");
        let mut all = String::new();
        let mut sent = y.yield_("begin".to_string());
        while !sent.is_empty() {
            all.push_str(sent);
            sent = y.yield_(format!("got {sent}"));
        }
        all
    })
}

#[test]
fn a_generator_is_an_iterator() {
    assert_eq!(numbers(4).collect::<Vec<_>>(), [0, 1, 2, 3]);
    assert_eq!(
        numbers(10)
            .filter(|n| n % 2 == 1)
            .map(|n| n * n)
            .sum::<u32>(),
        165
    );
    assert_eq!(numbers(0).next(), None);
}

#[test]
fn infinite_generators_are_lazy() {
    let mut fibonacci = Generator::<u64, ()>::new(|y| {
        let (mut a, mut b) = (0, 1);
        loop {
            y.yield_(a);
            (a, b) = (b, a + b);
        }
    });
    assert_eq!(fibonacci.by_ref().take(10).last(), Some(34));
    assert_eq!(fibonacci.next(), Some(55));
}

#[test]
fn nothing_runs_before_the_first_resume() {
    let log = Log::new();
    let theirs = log.clone();
    let mut generator = Generator::new(move |y| {
        theirs.add("body");
        y.yield_(1);
    });
    log.add("made");
    generator.next();
    assert_eq!(log.text(), "made body");
}

#[test]
fn next_after_the_end_is_none_for_ever() {
    let mut generator = numbers(1);
    assert_eq!(
        [(); 4].map(|()| generator.next()),
        [Some(0), None, None, None]
    );
    assert!(generator.is_done());
}

#[test]
fn start_runs_to_the_first_yield_and_resume_sends() {
    let log = Log::new();
    let mut echo = echo(&log);
    assert_eq!(echo.start(), Step::Yielded("begin".to_string()));
    assert_eq!(echo.resume("a"), Step::Yielded("got a".to_string()));
    assert_eq!(echo.resume("b"), Step::Yielded("got b".to_string()));
    assert!(!echo.is_done());
    assert_eq!(echo.resume(""), Step::Returned("ab".to_string()));
    assert!(echo.is_done());
    assert_eq!(log.text(), "echo gone");
}

#[test]
fn a_body_that_never_yields_returns_at_the_start() {
    let mut generator = Generator::<(), u8, String>::new(|_| 5);
    assert_eq!(generator.start(), Step::Returned(5));
}

#[test]
fn resume_starts_by_itself_where_nothing_can_be_sent() {
    let mut generator = Generator::new(|y| {
        y.yield_(1);
        "end"
    });
    assert_eq!(generator.resume(()), Step::Yielded(1));
    assert_eq!(generator.resume(()), Step::Returned("end"));
}

#[test]
fn a_value_sent_to_a_fresh_generator_is_refused_by_name() {
    let mut generator = Generator::<(), (), i32>::new(|y| {
        y.yield_(());
    });
    let message = message_of(|| generator.resume(1));
    assert!(message.contains("call start first"), "{message}");
    assert!(message.contains("tests/generator.rs"), "{message}");
    assert_eq!(
        generator.start(),
        Step::Yielded(()),
        "the refusal changed nothing"
    );
}

#[test]
fn a_second_start_is_refused_by_name() {
    let mut generator = numbers(3);
    generator.start();
    let message = message_of(|| generator.start());
    assert!(message.contains("was started before"), "{message}");
    assert_eq!(generator.next(), Some(1));
}

#[test]
fn a_resume_after_the_end_is_refused_by_name() {
    let mut generator = Generator::<(), (), i32>::new(|_| ());
    generator.start();
    let message = message_of(|| generator.resume(1));
    assert!(message.contains("has finished"), "{message}");
    assert!(message.contains("tests/generator.rs"), "{message}");
}

#[test]
fn a_thrown_error_unwinds_the_body_and_comes_out() {
    let log = Log::new();
    let mut echo = echo(&log);
    echo.start();
    let payload = payload_of(|| echo.throw(7_i32));
    assert_eq!(*payload.downcast::<i32>().unwrap(), 7);
    assert!(echo.is_done());
    assert_eq!(log.text(), "echo gone");
}

#[test]
fn a_body_may_catch_what_is_thrown_and_go_on() {
    let mut generator = Generator::<String, (), u8>::new(|y| {
        let mut answer = String::from("begin");
        loop {
            answer = match catch_unwind(AssertUnwindSafe(|| y.yield_(answer))) {
                Ok(0) => return,
                Ok(sent) => format!("sent {sent}"),
                Err(error) => match error.downcast::<&str>() {
                    Ok(text) => format!("caught {text}"),
                    Err(other) => resume_unwind(other),
                },
            };
        }
    });
    generator.start();
    assert_eq!(
        generator.throw("stone"),
        Step::Yielded("caught stone".to_string())
    );
    assert_eq!(generator.resume(3), Step::Yielded("sent 3".to_string()));
    assert_eq!(
        generator.throw("glass"),
        Step::Yielded("caught glass".to_string())
    );
    assert_eq!(generator.resume(0), Step::Returned(()));
}

#[test]
fn a_body_may_return_because_of_what_is_thrown() {
    let mut generator =
        Generator::<(), String>::new(|y| match catch_unwind(AssertUnwindSafe(|| y.yield_(()))) {
            Ok(()) => "not thrown".to_string(),
            Err(error) => format!("thrown {}", error.downcast_ref::<i32>().unwrap()),
        });
    generator.start();
    assert_eq!(generator.throw(5), Step::Returned("thrown 5".to_string()));
}

#[test]
fn what_is_thrown_into_a_generator_started_by_next_arrives() {
    let mut generator = Generator::<u32>::new(|y| {
        y.yield_(1);
        unreachable!("the first yield unwinds");
    });
    assert_eq!(generator.next(), Some(1));
    let payload = payload_of(|| generator.throw("error"));
    assert_eq!(*payload.downcast::<&str>().unwrap(), "error");
}

#[test]
fn a_throw_into_a_fresh_generator_ends_it_unrun() {
    let log = Log::new();
    let (capture, theirs) = (log.on_drop("captures"), log.clone());
    let mut generator = Generator::new(move |y| {
        let _capture = capture;
        theirs.add("never");
        y.yield_(1);
    });
    let payload = payload_of(|| generator.throw(1_u8));
    assert_eq!(*payload.downcast::<u8>().unwrap(), 1);
    assert!(generator.is_done());
    assert_eq!(generator.next(), None);
    assert_eq!(log.text(), "captures");
}

#[test]
fn a_throw_into_a_finished_generator_comes_straight_out() {
    let mut generator = numbers(0);
    generator.next();
    assert_eq!(
        *payload_of(|| generator.throw('x'))
            .downcast::<char>()
            .unwrap(),
        'x'
    );
    assert_eq!(generator.next(), None);
}

#[test]
fn a_panic_of_the_body_comes_out_of_resume_and_ends_the_generator() {
    let mut generator = Generator::new(|y| {
        y.yield_(1);
        panic!("in the body");
    });
    assert_eq!(generator.next(), Some(1));
    assert_eq!(message_of(|| generator.next()), "in the body");
    assert!(generator.is_done());
    assert_eq!(generator.next(), None);
    assert!(!std::thread::panicking());
}

#[test]
fn yields_come_from_any_depth_of_calls() {
    fn walk(y: &maypole::generator::Yielder<u32>, depth: u32) {
        if depth > 0 {
            walk(y, depth - 1);
            y.yield_(depth);
            walk(y, depth - 1);
        }
    }
    let generator = Generator::new(|y| walk(y, 3));
    assert_eq!(generator.collect::<Vec<_>>(), [1, 2, 1, 3, 1, 2, 1]);
}

#[test]
fn a_checkpoint_of_a_plain_generator_runs_on() {
    let mut generator = Generator::new(|y| {
        y.checkpoint();
        y.yield_(1);
        y.checkpoint();
    });
    assert_eq!((generator.next(), generator.next()), (Some(1), None));
}

#[test]
fn values_need_not_be_static() {
    let text = String::from("may pole");
    let mut generator = Generator::<&str, usize, &str>::new(|y| {
        let first = y.yield_("");
        y.yield_(first).len()
    });
    let words: Vec<&str> = text.split(' ').collect();
    generator.start();
    assert_eq!(generator.resume(words[0]), Step::Yielded("may"));
    assert_eq!(generator.resume(words[1]), Step::Returned(4));
}

#[test]
fn values_that_are_never_taken_are_dropped_once() {
    #[derive(Clone)]
    struct Counted(#[allow(dead_code, reason = "its count is looked at")] Rc<Cell<u32>>);
    let count = Rc::new(Cell::new(0));
    let value = || Counted(count.clone());
    let first = value();
    let mut generator = Generator::<Counted, Counted, Counted>::new(move |y| {
        let sent = y.yield_(first);
        y.yield_(sent)
    });
    drop(generator.start());
    assert_eq!(Rc::strong_count(&count), 1);
    drop(generator.resume(value()));
    assert_eq!(Rc::strong_count(&count), 1);
    assert!(unwinds(|| drop(generator.throw(value_to_throw()))));
    assert!(
        unwinds(|| drop(generator.resume(value()))),
        "it has finished"
    );
    drop(generator);
    assert_eq!(Rc::strong_count(&count), 1);

    fn value_to_throw() -> String {
        "thrown".to_string()
    }
}

#[test]
fn a_sent_value_of_no_size_does_not_outlive_a_close() {
    thread_local!(static DROPS: Cell<u32> = const { Cell::new(0) });
    struct Token;
    impl Drop for Token {
        fn drop(&mut self) {
            DROPS.set(DROPS.get() + 1);
        }
    }
    let mut generator = Generator::<u32, (), Token>::new(|y| {
        drop(y.yield_(1));
        drop(y.yield_(2));
    });
    generator.resume(Token);
    generator.resume(Token);
    assert_eq!(generator.close(), Ok(()));
    drop(generator);
    assert_eq!(DROPS.get(), 2);
}

#[test]
fn generators_work_in_any_os_thread_without_a_scheduler() {
    let sum = std::thread::spawn(|| numbers(100).sum::<u32>())
        .join()
        .unwrap();
    assert_eq!(sum, 4950);
}

#[test]
fn a_suspended_generator_left_to_a_thread_local_is_closed_at_the_threads_end() {
    use std::cell::RefCell;
    use std::sync::atomic::{AtomicU32, Ordering};
    static CLOSED: AtomicU32 = AtomicU32::new(0);
    thread_local! {
        static EARLY: RefCell<Option<Generator<u32>>> = const { RefCell::new(None) };
        static LATE: RefCell<Option<Generator<u32>>> = const { RefCell::new(None) };
    }
    let suspended = || {
        let mut generator = Generator::new(|y| {
            let _closed = OnDrop(|| {
                // A generator made that late, too.
                CLOSED.fetch_add(numbers(4).sum(), Ordering::SeqCst);
            });
            y.yield_(1);
        });
        generator.next();
        Some(generator)
    };
    std::thread::spawn(move || {
        // One thread-local is older than whatever the first generator needs, one is younger.
        EARLY.with(|slot| slot.borrow().is_none());
        let generators = (suspended(), suspended());
        LATE.with(|slot| *slot.borrow_mut() = generators.0);
        EARLY.with(|slot| *slot.borrow_mut() = generators.1);
    })
    .join()
    .unwrap();
    assert_eq!(CLOSED.load(Ordering::SeqCst), 12);
}

#[test]
fn a_generator_is_shown_with_its_place() {
    let mut generator = numbers(0);
    let text = format!("{generator:?}");
    assert!(
        text.contains("tests/generator.rs") && text.contains("done: false"),
        "{text}"
    );
    generator.next();
    assert!(format!("{generator:?}").contains("done: true"));
}

#[test]
fn a_hundred_thousand_yields_cross_one_generator() {
    assert_eq!(numbers(100_000).map(u64::from).sum::<u64>(), 4_999_950_000);
}

#[test]
fn a_forgotten_generator_leaks_and_harms_nobody() {
    let log = Log::new();
    for _ in 0..20 {
        let theirs = log.clone();
        let mut generator = Generator::new(move |y| {
            let _never = theirs.on_drop("never");
            y.yield_([7_u8; 1000]);
        });
        generator.next();
        std::mem::forget(generator);
        assert_eq!(numbers(10).sum::<u32>(), 45);
    }
    assert!(log.steps().is_empty());
}
