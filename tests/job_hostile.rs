//! Bodies that do their worst: they catch kills, panic and yield in destructors, never yield, outlive
//! everything. None of it is unsound, and none of it holds anybody up.
mod child;
mod job_support;

use job_support::{Alive, Flag, compute, until, until_outside};
use maypole::generator::Yielder;
use maypole::job::{self, Builder, Status};
use maypole::task::Killed;
use maypole::{run, yield_now};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};

/// Catches everything and goes on.
fn stubborn(y: &Yielder<u64>) {
    for n in 0.. {
        let _ = catch_unwind(AssertUnwindSafe(|| match n % 2 {
            0 => y.yield_(n),
            _ => y.checkpoint(),
        }));
    }
}

fn quiet() {
    std::panic::set_hook(Box::new(|_| ()));
}

#[test]
fn a_stubborn_body_in_a_thread_is_abandoned_and_holds_up_nobody() {
    run(|| {
        let mut jobs = Vec::new();
        for _ in 0..8 {
            jobs.push(job::in_thread(stubborn));
        }
        for job in &jobs {
            assert!(matches!(
                job.kill("please"),
                Killed::Running | Killed::BeforeStart
            ));
        }
        for job in jobs {
            until(|| matches!(job.status(), Status::Abandoned | Status::Killed));
        }
    });
}

/// What lies on the stack of an abandoned body stays valid: others may borrow it, and the
/// thread-locals of its OS thread.
#[test]
fn threads_that_borrow_from_an_abandoned_body_go_on() {
    thread_local! {
        static MINE: AtomicU64 = const { AtomicU64::new(7) };
    }
    let stop = Flag::default();
    let (halt, looked) = (stop.clone(), std::sync::Arc::new(AtomicU64::new(0)));
    let looks = looked.clone();
    let job = job::in_thread(move |y: &Yielder<u64>| {
        MINE.with(|mine| {
            let local = AtomicU64::new(8);
            std::thread::scope(|s| {
                s.spawn(|| {
                    while !halt.is_set() {
                        let sum = mine.load(Ordering::SeqCst) + local.load(Ordering::SeqCst);
                        looks.store(sum, Ordering::SeqCst);
                        std::thread::yield_now();
                    }
                });
                stubborn(y);
            });
        });
    });
    job.recv().unwrap();
    job.kill("please");
    until_outside(|| job.status() == Status::Abandoned);
    assert!(job.join().unwrap_err().is_abandoned());
    looked.store(0, Ordering::SeqCst);
    until_outside(|| looked.load(Ordering::SeqCst) == 15);
    stop.set();
}

struct YieldsAtDrop<'a>(&'a Yielder<u64>, u64);

impl Drop for YieldsAtDrop<'_> {
    fn drop(&mut self) {
        for n in 0..self.1 {
            self.0.yield_(1000 + n);
            self.0.checkpoint();
        }
    }
}

#[test]
fn a_destructor_that_yields_without_end_is_given_up_in_a_thread() {
    run(|| {
        let job = job::in_thread(|y| {
            let _endless = YieldsAtDrop(y, u64::MAX);
            y.yield_(0);
            compute(y);
        });
        assert_eq!(job.recv(), Ok(0));
        job.kill("please");
        until(|| job.status() == Status::Abandoned);
        assert!(job.iter().eq(1000..1064), "the first are kept");
        assert!(job.join().unwrap_err().is_abandoned());
    });
}

#[test]
fn a_destructor_that_yields_long_in_a_task_ends_and_keeps_its_first_words() {
    run(|| {
        let job = job::in_task(|y| {
            let _long = YieldsAtDrop(y, 10_000);
            y.yield_(0);
            compute(y);
        });
        assert_eq!(job.recv(), Ok(0));
        job.kill("please");
        // The others have their turns meanwhile.
        let mut turns = 0;
        while job.status() != Status::Killed {
            yield_now();
            turns += 1;
        }
        assert!(turns > 1000, "{turns}");
        assert_eq!(job.iter().count(), 64);
    });
}

#[test]
fn a_body_that_never_yields_is_killing_until_it_ends() {
    run(|| {
        let go = Flag::default();
        let wait = go.clone();
        let job = job::in_thread(move |_: &Yielder<u64>| {
            while !wait.is_set() {
                std::hint::spin_loop();
            }
            "a success, it says"
        });
        until(|| job.status() == Status::Running);
        assert_eq!(job.kill("please"), Killed::Running);
        for _ in 0..100 {
            assert_eq!(job.status(), Status::Killing);
            assert_eq!(job.kill("again"), Killed::Already);
            yield_now();
        }
        go.set();
        assert!(job.join().unwrap_err().is_killed());
    });
}

/// It ends with the process.
#[test]
fn a_body_that_never_ends_keeps_neither_the_run_nor_the_process() {
    child::run(|| {
        run(|| {
            let job = job::in_thread(|_: &Yielder<u64>| {
                loop {
                    std::hint::spin_loop();
                }
            });
            until(|| job.status() == Status::Running);
            drop(job);
            let _second = job::in_thread(|y| {
                let _endless = YieldsAtDrop(y, u64::MAX);
                compute(y);
            });
        });
    })
    .succeeds();
}

#[test]
fn a_destructor_that_panics_while_it_unwinds_ends_the_process_as_everywhere() {
    struct Panics;
    impl Drop for Panics {
        fn drop(&mut self) {
            panic!("in a destructor");
        }
    }
    let ended = child::run(|| {
        let job = job::in_thread(|y| {
            let _panics = Panics;
            y.yield_(0);
            compute(y);
        });
        job.recv().unwrap();
        job.kill("please");
        let _ = job.join();
    });
    ended.dies_of(6);
}

/// A destructor of a body that was never entered may panic: that is its failure.
#[test]
fn captures_that_panic_when_they_are_dropped_fail_the_job() {
    quiet();
    struct Panics;
    impl Drop for Panics {
        fn drop(&mut self) {
            panic!("in a destructor");
        }
    }
    run(|| {
        for _ in 0..20 {
            let panics = Panics;
            let job = job::in_thread(move |y: &Yielder<u64>| {
                let _panics = panics;
                loop {
                    // It does not unwind by the kill, but returns and drops.
                    if catch_unwind(AssertUnwindSafe(|| y.checkpoint())).is_err() {
                        return;
                    }
                }
            });
            job.kill("please");
            let error = job.join().unwrap_err();
            assert_eq!(error.message(), Some("in a destructor"));
        }
    });
}

#[test]
fn values_whose_destructors_panic_do_not_harm_the_job() {
    quiet();
    struct Panics(#[expect(dead_code, reason = "only counted")] job_support::One);
    impl Drop for Panics {
        fn drop(&mut self) {
            if !std::thread::panicking() {
                panic!("a value");
            }
        }
    }
    run(|| {
        let alive = Alive::default();
        let make = alive.clone();
        let job = Builder::new()
            .backlog(4)
            .in_thread(move |y: &Yielder<Panics>| {
                loop {
                    y.yield_(Panics(make.one()));
                }
            })
            .unwrap();
        until(|| matches!(job.status(), Status::Parked(_)));
        let dropped = catch_unwind(AssertUnwindSafe(|| drop(job)));
        assert!(dropped.is_err(), "a destructor's panic is the user's own");
        // As with any destructor that panics the rest may be leaked; the body has been told.
        until(|| alive.count() <= 4);
    });
}

#[test]
fn results_and_payloads_that_panic_when_they_are_dropped_are_survived() {
    quiet();
    struct Panics;
    impl Drop for Panics {
        fn drop(&mut self) {
            if !std::thread::panicking() {
                panic!("a result");
            }
        }
    }
    run(|| {
        let go = Flag::default();
        let wait = go.clone();
        // Nobody takes the result: it is dropped where the body lives.
        let job = job::in_thread(move |_: &Yielder<u64>| {
            while !wait.is_set() {
                std::thread::yield_now();
            }
            Panics
        });
        until(|| job.status() == Status::Running);
        drop(job);
        go.set();
        let job = job::in_thread(|_: &Yielder<u64>| std::panic::panic_any(Panics));
        let error = job.join().unwrap_err();
        assert!(error.is_panic());
        assert!(catch_unwind(AssertUnwindSafe(|| drop(error))).is_err());
    });
}

/// The payload of a kill that was caught means nothing elsewhere.
#[test]
fn a_caught_kill_raised_elsewhere_is_a_panic_there() {
    quiet();
    let (sender, receiver) = std::sync::mpsc::channel();
    let job = job::in_thread(move |y: &Yielder<u64>| {
        let caught = catch_unwind(AssertUnwindSafe(|| compute(y)));
        sender.send(caught.unwrap_err()).unwrap();
    });
    job.kill("please");
    drop(job);
    let Ok(payload) = receiver.recv() else {
        return; // it was killed before it began
    };
    let other = job::in_thread(move |_: &Yielder<u64>| std::panic::resume_unwind(payload));
    let error = other.join().unwrap_err();
    assert!(error.is_panic() && !error.is_killed());
}

#[test]
fn a_body_may_kill_pause_and_join_others_and_even_hold_its_own_handle() {
    run(|| {
        // Through a channel, as nobody has its own handle when it begins.
        let (give, take) = std::sync::mpsc::channel::<job::ThreadJob<u64, Killed>>();
        let job = job::in_thread(move |y: &Yielder<u64>| {
            let me = take.recv().unwrap();
            me.pause();
            me.resume();
            let answer = me.kill("by itself");
            drop(me);
            y.yield_(1);
            answer
        });
        let closed = Flag::default();
        give.send(job).unwrap();
        let closing = job_support::Closing(closed.clone());
        let other = job::in_thread(move |_: &Yielder<u64>| drop(closing));
        other.join().unwrap();
        assert!(closed.is_set());
    });
}

#[test]
fn a_job_dropped_in_its_own_destructors_and_while_unwinding_is_killed() {
    quiet();
    let alive = Alive::default();
    for _ in 0..20 {
        let one = alive.one();
        let result = catch_unwind(AssertUnwindSafe(|| {
            run(|| {
                let _job = job::in_thread(move |y| {
                    let _one = one;
                    compute(y);
                });
                let _green = job::in_task(compute);
                yield_now();
                panic!("main");
            })
        }));
        assert!(result.is_err());
    }
    until_outside(|| alive.count() == 0);
}

/// Where the system has no OS thread left, the builder says so.
#[test]
fn no_os_thread_is_an_error() {
    maypole::io::faults::inject(0, 1, 11); // EAGAIN
    let refused = Builder::new().in_thread(compute);
    maypole::io::faults::lift();
    assert_eq!(refused.unwrap_err().raw_os_error(), Some(11));
}
