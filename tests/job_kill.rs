//! Jobs that are killed, fail or end: what the handle says, what stays readable, what runs where.
mod job_support;

use job_support::{Alive, Closing, Flag, Log, compute, count, until};
use maypole::generator::Yielder;
use maypole::job::{Builder, Status};
use maypole::task::{Killed, What};
use maypole::{sleep, yield_now};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::Duration;

/// Fails as plac's example does: an output, then a division by zero.
fn fail(y: &Yielder<String>, divisor: u32) -> u32 {
    y.yield_("before".to_string());
    let result = divide(1, divisor);
    y.yield_("after".to_string());
    result
}

#[inline(never)]
fn divide(a: u32, b: u32) -> u32 {
    a / b
}

/// The line of `a / b` above.
fn line_of_division() -> u32 {
    let source = include_str!("job_kill.rs");
    1 + source.lines().position(|line| line == "    a / b").unwrap() as u32
}

under_both_hosts! {
    fn values_come_in_order_and_then_the_result(start) {
        let job = start!(|y: &Yielder<u32>| {
            (0..100).for_each(|n| y.yield_(n));
            "all"
        });
        assert!(job.iter().eq(0..100));
        assert!(job.recv().is_err() && job.try_recv().unwrap_err().is_disconnected());
        assert_eq!(job.status(), Status::Finished);
        assert!(job.failure().is_none());
        assert_eq!(job.join().unwrap(), "all");
    }

    fn a_killed_body_has_dropped_everything_by_the_time_it_is_killed(start) {
        let closed = Flag::default();
        let closing = Closing(closed.clone());
        let job = start!(move |y| {
            let _file = closing;
            y.yield_(1);
            count_on(y);
        });
        assert_eq!((job.recv(), job.recv()), (Ok(1), Ok(0)));
        let answer = job.kill("not needed");
        assert!(matches!(answer, Killed::Ready | Killed::Running | Killed::Parked), "{answer:?}");
        until(|| matches!(job.status(), Status::Killed) || {
            assert_eq!(job.status(), Status::Killing);
            false
        });
        assert!(closed.is_set());
        let seen: Vec<u32> = job.iter().collect();
        assert!(seen.iter().copied().eq(1..=seen.len() as u32), "what was yielded stays readable");
        assert_eq!(job.kill("again"), Killed::Finished);
        assert_eq!(job.status(), Status::Killed);
        let error = job.join().unwrap_err();
        assert!(error.is_killed());
        assert_eq!(error.reason(), Some("not needed"));
    }

    fn a_kill_before_the_start_never_enters_the_body(start) {
        let alive = Alive::default();
        let mut before = 0;
        for _ in 0..50 {
            let (flag, one) = (Flag::default(), alive.one());
            let theirs = flag.clone();
            let job = start!(move |y| {
                let _one = one;
                theirs.set();
                count(y);
            });
            job.pause();
            if job.kill("too early") == Killed::BeforeStart {
                before += 1;
                assert!(job.recv().is_err());
                assert!(!flag.is_set());
            }
            assert!(job.join().unwrap_err().is_killed());
        }
        assert_eq!(alive.count(), 0, "captures are dropped all the same");
        assert!(before > 0);
    }

    fn a_second_kill_changes_nothing(start) {
        let job = start!(compute);
        yield_now();
        job.kill("the first");
        let second = job.kill("the second");
        assert!(matches!(second, Killed::Already | Killed::Finished));
        assert_eq!(job.join().unwrap_err().reason(), Some("the first"));
    }

    fn a_kill_reaches_a_paused_body(start) {
        let closed = Flag::default();
        let closing = Closing(closed.clone());
        let job = start!(move |y| {
            let _closing = closing;
            count(y);
        });
        job.recv().unwrap();
        job.pause();
        assert_eq!(job.status(), Status::Paused);
        job.kill("while it is paused");
        while job.recv().is_ok() {}
        assert_eq!(job.status(), Status::Killed);
        assert!(closed.is_set());
    }

    fn a_kill_reaches_a_body_whose_backlog_is_full(start) {
        let job = start!(Builder::new().backlog(3), count);
        until(|| job.status() == Status::Parked(What::Send));
        assert_eq!(job.kill("enough"), Killed::Parked);
        until(|| job.status() == Status::Killed);
        assert!(job.iter().eq(0..3));
        assert!(job.join().unwrap_err().is_killed());
    }

    fn a_body_that_catches_its_kill_is_abandoned_in_the_end(start) {
        let job = start!(|y: &Yielder<u32>| {
            for n in 0.. {
                let _ = catch_unwind(AssertUnwindSafe(|| y.yield_(n)));
            }
        });
        job.recv().unwrap();
        job.kill("please");
        until(|| job.status() == Status::Abandoned);
        assert_eq!(job.kill("once more"), Killed::Abandoned);
        while job.recv().is_ok() {}
        let error = job.join().unwrap_err();
        assert!(error.is_abandoned());
        assert_eq!(error.reason(), Some("please"));
        assert!(error.to_string().contains("was abandoned"), "{error}");
    }

    fn a_body_may_catch_its_kill_a_few_times_and_end(start) {
        let log = Log::default();
        let theirs = log.clone();
        let job = start!(Builder::new().backlog(1), move |y: &Yielder<u32>| {
            for n in 0..10 {
                if catch_unwind(AssertUnwindSafe(|| y.yield_(n))).is_err() {
                    theirs.note(format!("caught at {n}"));
                }
            }
            "a success, it says"
        });
        until(|| matches!(job.status(), Status::Parked(_)));
        job.kill("please");
        let error = job.join().unwrap_err();
        assert!(error.is_killed(), "a killed job is never a success");
        assert_eq!(log.take().len(), 10);
    }

    fn what_destructors_yield_is_kept(start) {
        struct Goodbye<'a>(&'a Yielder<&'static str>);
        impl Drop for Goodbye<'_> {
            fn drop(&mut self) {
                self.0.yield_("closing");
                self.0.checkpoint();
                self.0.yield_("closed");
            }
        }
        let job = start!(|y: &Yielder<&'static str>| {
            let _goodbye = Goodbye(y);
            y.yield_("open");
            loop {
                y.checkpoint();
            }
        });
        assert_eq!(job.recv(), Ok("open"));
        job.kill("that will do");
        assert!(job.iter().eq(["closing", "closed"]));
        assert!(job.join().unwrap_err().is_killed());
    }

    fn destructors_that_yield_without_end_do_not_hold_up_a_full_backlog(start) {
        struct Goodbye<'a>(&'a Yielder<u32>);
        impl Drop for Goodbye<'_> {
            fn drop(&mut self) {
                (100..120).for_each(|n| self.0.yield_(n));
            }
        }
        let job = start!(Builder::new().backlog(1), |y: &Yielder<u32>| {
            let _goodbye = Goodbye(y);
            for n in 0.. {
                y.yield_(n);
            }
        });
        until(|| matches!(job.status(), Status::Parked(_)));
        job.kill("enough");
        until(|| job.status() == Status::Killed);
        assert!(job.iter().eq([0].into_iter().chain(100..120)));
    }

    fn a_failure_keeps_the_output_the_payload_the_place_and_the_frames(start) {
        let job = start!(|y: &Yielder<String>| fail(y, 0));
        assert_eq!(job.recv().unwrap(), "before");
        assert!(job.recv().is_err());
        assert_eq!(job.status(), Status::Panicked);
        // Without giving the handle away: what, with what, and where.
        let failure = job.failure().unwrap();
        assert!(failure.is_panic());
        assert_eq!(failure.message(), Some("attempt to divide by zero"));
        let place = failure.location().unwrap();
        assert!(place.file.ends_with("job_kill.rs") && place.line == line_of_division(), "{place}");
        assert!(failure.backtrace().is_some());
        assert_eq!(job.status(), Status::Panicked, "it is final");
        assert_eq!(job.kill("too late"), Killed::Finished);
        assert!(job.failure().is_some(), "and may be looked at again");
        let error = job.join().unwrap_err();
        assert!(error.to_string().contains("job_kill.rs:"), "{error}");
        let payload = error.into_panic();
        assert_eq!(payload.downcast_ref(), Some(&"attempt to divide by zero"));
        // Raised again it is the same payload.
        let again = catch_unwind(AssertUnwindSafe(|| resume_unwind(payload))).unwrap_err();
        assert_eq!(*again.downcast::<&str>().unwrap(), "attempt to divide by zero");
    }

    fn a_payload_of_any_type_comes_through(start) {
        let job = start!(|_: &Yielder<u8>| std::panic::panic_any(404_u32));
        let error = job.join().unwrap_err();
        assert_eq!(error.message(), None);
        assert_eq!(*error.into_panic().downcast::<u32>().unwrap(), 404);
    }

    fn a_caught_panic_does_not_lend_its_place_to_a_later_payload(start) {
        let job = start!(|y: &Yielder<u8>| {
            let _ = catch_unwind(|| panic!("caught"));
            y.yield_(1);
            resume_unwind(Box::new("raised without a hook"));
        });
        let error = job.join().unwrap_err();
        assert_eq!(error.message(), Some("raised without a hook"));
        assert!(error.location().is_none());
    }

    fn a_body_that_panics_after_its_kill_has_panicked(start) {
        let job = start!(|y: &Yielder<u32>| {
            if catch_unwind(AssertUnwindSafe(|| count_on(y))).is_err() {
                panic!("instead");
            }
        });
        job.recv().unwrap();
        job.kill("please");
        let error = job.join().unwrap_err();
        assert!(error.is_panic());
        assert_eq!(error.message(), Some("instead"));
    }

    fn a_paused_body_goes_on_where_it_was(start) {
        let job = start!(|y: &Yielder<u32>| (0..1000).for_each(|n| y.yield_(n)));
        let mut seen = vec![job.recv().unwrap()];
        job.pause();
        // What it had yielded by then is there, and nothing more comes.
        sleep(Duration::from_millis(5));
        while let Ok(n) = job.try_recv() {
            seen.push(n);
        }
        sleep(Duration::from_millis(5));
        assert!(seen.len() == 1000 || job.try_recv().unwrap_err().is_empty());
        assert!(seen.len() == 1000 || job.status() == Status::Paused);
        job.resume();
        seen.extend(job.iter());
        assert!(seen.into_iter().eq(0..1000));
    }

    fn dropping_the_handle_kills_without_waiting(start) {
        let closed = Flag::default();
        let closing = Closing(closed.clone());
        let job = start!(move |y| {
            let _closing = closing;
            count(y);
        });
        job.recv().unwrap();
        drop(job);
        until(|| closed.is_set());
    }

    fn dropping_the_handle_drops_what_was_not_taken(start) {
        let alive = Alive::default();
        let theirs = alive.clone();
        let job = start!(Builder::new().backlog(10), move |y: &Yielder<_>| loop {
            y.yield_(theirs.one());
        });
        until(|| matches!(job.status(), Status::Parked(_)));
        assert_eq!(alive.count(), 10);
        drop(job);
        until(|| alive.count() == 0);
    }

    fn a_join_lets_a_body_go_on_that_is_held_back(start) {
        let job = start!(Builder::new().backlog(1), |y: &Yielder<u32>| {
            (0..100).for_each(|n| y.yield_(n));
            "through"
        });
        job.pause();
        assert_eq!(job.join().unwrap(), "through");
    }

    fn a_backlog_bounds_what_lies_there(start) {
        let log = Log::default();
        let theirs = log.clone();
        let job = start!(Builder::new().backlog(1), move |y: &Yielder<u32>| {
            for n in 0..4 {
                theirs.note(n.to_string());
                y.yield_(n);
            }
        });
        until(|| matches!(job.status(), Status::Parked(_)));
        assert_eq!(log.take(), ["0"], "it runs no further than somebody has asked for");
        assert_eq!(job.recv(), Ok(0));
        until(|| matches!(job.status(), Status::Parked(_)));
        assert_eq!(log.take(), ["1"]);
        assert!(job.iter().eq(1..4));
        assert_eq!(job.status(), Status::Finished);
    }

    fn a_receive_times_out(start) {
        let go = Flag::default();
        let wait = go.clone();
        let job = start!(move |y: &Yielder<u32>| {
            while !wait.is_set() {
                y.checkpoint();
            }
            y.yield_(1);
        });
        let late = job.recv_timeout(Duration::from_millis(5));
        assert!(late.unwrap_err().is_timeout());
        assert!(job.try_recv().unwrap_err().is_empty());
        go.set();
        assert_eq!(job.recv_timeout(Duration::from_secs(60)), Ok(1));
        let ended = job.recv_timeout(Duration::from_secs(60));
        assert!(ended.unwrap_err().is_disconnected());
    }

    fn a_killed_reader_takes_no_value(start) {
        let go = Flag::default();
        let wait = go.clone();
        let job = start!(move |y: &Yielder<u32>| {
            while !wait.is_set() {
                y.checkpoint();
            }
            (0..3).for_each(|n| y.yield_(n));
        });
        let job = std::rc::Rc::new(job);
        let theirs = job.clone();
        let reader = maypole::spawn(move || theirs.recv());
        yield_now();
        reader.kill("it waits too long");
        assert!(reader.join().is_err());
        go.set();
        assert!(job.iter().eq(0..3));
    }

    fn readers_are_served_in_order(start) {
        let go = Flag::default();
        let wait = go.clone();
        let job = std::rc::Rc::new(start!(move |y: &Yielder<usize>| {
            while !wait.is_set() {
                y.checkpoint();
            }
            (0..5).for_each(|n| y.yield_(n));
        }));
        let readers: Vec<_> = (0..5)
            .map(|_| {
                let job = job.clone();
                maypole::spawn(move || job.recv().unwrap())
            })
            .collect();
        yield_now();
        go.set();
        for (n, reader) in readers.into_iter().enumerate() {
            assert_eq!(reader.join().unwrap(), n);
        }
        assert!(job.recv().is_err());
    }

    fn a_job_asks_others_and_is_one_of_many(start) {
        let jobs: Vec<_> = (0..20)
            .map(|k| start!(move |y: &Yielder<u64>| {
                (0..50).for_each(|n| y.yield_(n * k));
                k
            }))
            .collect();
        for (k, job) in (0..).zip(jobs) {
            assert_eq!(job.iter().sum::<u64>(), 49 * 25 * k);
            assert_eq!(job.join().unwrap(), k);
        }
    }
}

fn count_on(y: &Yielder<u32>) {
    for n in 0.. {
        y.yield_(n);
    }
}
