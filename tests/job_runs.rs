//! Jobs and the runs that have started them: who is at work, what the end of a run does, and what
//! comes after it.
mod job_support;

use job_support::{Closing, Flag, compute, count, until, until_outside};
use maypole::generator::Yielder;
use maypole::job::{self, Builder, Status};
use maypole::task::Killed;
use maypole::{Clock, RunError, run, sleep, spawn, thread, time, yield_now};
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);

#[test]
fn the_end_of_a_run_kills_its_jobs() {
    let closed = Flag::default();
    let closing = Closing(closed.clone());
    let job = run(|| {
        let job = job::in_thread(move |y| {
            let _closing = closing;
            count(y);
        });
        job.recv().unwrap();
        job
    });
    until_outside(|| job.status() == Status::Killed);
    assert!(closed.is_set());
    assert!(job.recv().is_ok(), "what was yielded stays readable");
    let error = job.join().unwrap_err();
    assert_eq!(error.reason(), Some("the end of the run"));
}

#[test]
fn the_end_of_a_run_waits_for_no_body_that_computes() {
    let (go, ended) = (Flag::default(), Flag::default());
    let (wait, closing) = (go.clone(), Closing(ended.clone()));
    let job = run(move || {
        job::in_thread(move |_: &Yielder<u8>| {
            let _closing = closing;
            while !wait.is_set() {
                std::thread::yield_now();
            }
        })
    });
    assert_eq!(job.status(), Status::Killing);
    assert!(!ended.is_set());
    go.set();
    assert!(job.join().unwrap_err().is_killed());
    assert!(ended.is_set());
}

#[test]
fn the_end_of_a_run_reaches_a_paused_job_and_one_that_is_full() {
    let (paused, full) = run(|| {
        let paused = job::in_thread(count);
        paused.recv().unwrap();
        paused.pause();
        let full = Builder::new().backlog(1).in_thread(count).unwrap();
        (paused, full)
    });
    assert!(paused.join().unwrap_err().is_killed());
    assert!(full.join().unwrap_err().is_killed());
}

#[test]
fn a_job_that_outlives_its_run_wakes_nobody_in_the_next_one() {
    for _ in 0..50 {
        let go = Flag::default();
        let wait = go.clone();
        let job = run(move || {
            let job = Rc::new(job::in_thread(move |y: &Yielder<u8>| {
                while !wait.is_set() {
                    std::thread::yield_now();
                }
                let _ = catch_unwind(AssertUnwindSafe(|| y.yield_(1)));
            }));
            // A task of this run waits for it, and is killed at the end.
            let theirs = job.clone();
            drop(spawn(move || theirs.recv()));
            yield_now();
            job
        });
        run(|| {
            let sleeper = spawn(maypole::task::park);
            yield_now();
            go.set();
            until(|| job.is_finished());
            assert!(matches!(sleeper.task().status(), Status::Parked(_)));
            sleeper.task().unpark();
            sleeper.join().unwrap();
        });
    }
}

#[test]
fn a_request_after_the_run_finds_it_closed() {
    let (go, told) = (Flag::default(), Flag::default());
    let (wait, tell) = (go.clone(), told.clone());
    let began = Flag::default();
    let begun = began.clone();
    let job = run(move || {
        let job = job::in_thread(move |_: &Yielder<u8>| {
            let remote = thread::remote();
            begun.set();
            while !wait.is_set() {
                std::thread::yield_now();
            }
            assert!(remote.call(|| 1).is_err());
            assert!(thread::remote().spawn(|| ()).is_err());
            tell.set();
        });
        until(|| began.is_set());
        job
    });
    go.set();
    assert!(job.join().is_err());
    assert!(told.is_set());
}

/// Beazley's yieldable threads: a body in an OS thread asks the scheduler for what only tasks do.
#[test]
fn a_body_asks_the_scheduler_that_has_started_it() {
    run(|| {
        let job = job::in_thread(|y: &Yielder<String>| {
            let remote = thread::remote();
            for n in 1..=3 {
                let answer = remote.call(move || {
                    let shared = Rc::new(Cell::new(n)); // not Send: it lives in the task
                    spawn({
                        let shared = shared.clone();
                        move || shared.set(shared.get() * 10)
                    })
                    .join()
                    .unwrap();
                    shared.get()
                });
                y.yield_(format!("{n} -> {}", answer.unwrap()));
            }
        });
        let answers: Vec<_> = job.iter().collect();
        assert_eq!(answers, ["1 -> 10", "2 -> 20", "3 -> 30"]);
        job.join().unwrap();
    });
}

/// `threaded()`: closing the sender ends the target, in its thread.
#[test]
fn closing_the_sender_ends_the_target_in_its_thread() {
    run(|| {
        let (sender, receiver) = thread::bounded::<String>(4);
        let (closed, here) = (Flag::default(), std::thread::current().id());
        let closing = Closing(closed.clone());
        let job = job::in_thread(move |y| {
            let _closing = closing;
            assert_ne!(std::thread::current().id(), here);
            for line in receiver {
                if line.contains("python") {
                    y.yield_(line);
                }
            }
            std::thread::current().id()
        });
        for line in ["no", "python is", "green", "a python"] {
            sender.send(line.to_string()).unwrap();
        }
        assert_eq!(job.recv().unwrap(), "python is");
        assert!(!closed.is_set());
        drop(sender);
        assert!(job.iter().eq(["a python".to_string()]));
        assert!(closed.is_set());
        assert_ne!(job.join().unwrap(), here);
    });
}

#[test]
fn a_job_that_works_is_no_deadlock() {
    run(|| {
        let job = job::in_thread(|y: &Yielder<u32>| {
            std::thread::sleep(Duration::from_millis(20));
            y.yield_(1);
            std::thread::sleep(Duration::from_millis(20));
            2
        });
        assert_eq!(job.recv(), Ok(1));
        assert_eq!(job.join().unwrap(), 2);
    });
}

#[test]
fn main_may_wait_for_something_else_while_a_job_works() {
    run(|| {
        let main = maypole::task::current();
        let (remote, id) = (thread::remote(), main.id());
        drop(remote);
        let _job = job::in_thread(move |_: &Yielder<u8>| {
            std::thread::sleep(Duration::from_millis(10));
            let woken = thread::remote().call(move || {
                assert_ne!(maypole::task::current().id(), id);
                GATE.with(|gate| gate.set());
            });
            woken.unwrap();
        });
        GATE.with(|gate| gate.clone()).wait();
    });
    thread_local! {
        static GATE: Rc<maypole::sync::Event> = Rc::new(maypole::sync::Event::new());
    }
}

#[test]
fn waiting_for_a_paused_job_is_a_deadlock_that_is_found() {
    let found = maypole::Builder::new().run(|| {
        let job = job::in_thread(count);
        job.recv().unwrap();
        job.pause();
        while job.recv().is_ok() {}
    });
    let Err(RunError::Deadlock(report)) = found else {
        panic!("nobody lets it go on");
    };
    let report = report.to_string();
    assert!(
        report.contains("wait for a job") || report.contains("waits"),
        "{report}"
    );
    assert!(report.contains("tests/job_runs.rs"), "{report}");
}

#[test]
fn a_full_backlog_that_nobody_takes_is_a_deadlock_that_is_found() {
    for green in [true, false] {
        let found = maypole::Builder::new().run(move || {
            let builder = Builder::new().backlog(1);
            // In the frame of main, which waits for something else.
            let (_green, _threaded);
            match green {
                true => _green = builder.in_task(count).unwrap(),
                false => _threaded = builder.in_thread(count).unwrap(),
            }
            maypole::task::park();
        });
        assert!(
            matches!(found, Err(RunError::Deadlock(_))),
            "green: {green}"
        );
    }
}

#[test]
fn two_jobs_that_wait_for_each_other_are_named() {
    let found = maypole::Builder::new().run(|| {
        let (to_a, from_b) = maypole::channel::bounded::<u32>(0);
        let (to_b, from_a) = maypole::channel::bounded::<u32>(0);
        let a = Builder::new()
            .name("first")
            .in_task(move |y| {
                y.yield_(from_b.recv().unwrap());
                to_b.send(1).unwrap();
            })
            .unwrap();
        let b = Builder::new()
            .name("second")
            .in_task(move |y| {
                y.yield_(from_a.recv().unwrap());
                to_a.send(1).unwrap();
            })
            .unwrap();
        (a.recv().is_ok(), b.recv().is_ok())
    });
    let Err(RunError::Deadlock(report)) = found else {
        panic!("both wait for ever");
    };
    let report = report.to_string();
    assert!(
        report.contains("first") && report.contains("second"),
        "{report}"
    );
    assert!(report.contains("is receiving from Job 'first'"), "{report}");
}

#[test]
fn virtual_time_stands_still_while_a_job_works() {
    let run = maypole::Builder::new().clock(Clock::Virtual);
    run.run(|| {
        let job = job::in_thread(|y: &Yielder<u8>| {
            std::thread::sleep(Duration::from_millis(30));
            y.yield_(1);
        });
        let begun = time::now();
        let value = job.recv_timeout(HOUR);
        assert_eq!(value, Ok(1));
        assert!(time::now() - begun < HOUR);
    })
    .unwrap();
}

#[test]
fn virtual_time_goes_on_while_a_job_is_held_back() {
    let run = maypole::Builder::new().clock(Clock::Virtual);
    run.run(|| {
        let job = job::in_thread(count);
        job.recv().unwrap();
        job.pause();
        let begun = time::now();
        sleep(HOUR);
        assert!(time::now() - begun >= HOUR);
        job.resume();
        let full = Builder::new().backlog(1).in_thread(count).unwrap();
        job.kill("enough");
        sleep(HOUR);
        assert_eq!(full.recv(), Ok(0));
        sleep(HOUR);
        assert_eq!(full.recv(), Ok(1));
    })
    .unwrap();
}

#[test]
fn a_paused_job_that_a_timer_lets_go_on_is_waited_for() {
    let run = maypole::Builder::new().clock(Clock::Virtual);
    run.run(|| {
        for _ in 0..20 {
            let job = Rc::new(job::in_thread(|y: &Yielder<u8>| {
                (0..100).for_each(|n| y.yield_(n))
            }));
            job.pause();
            let theirs = job.clone();
            let timer = spawn(move || {
                sleep(HOUR);
                theirs.resume();
            });
            assert!(job.iter().eq(0..100));
            timer.join().unwrap();
        }
    })
    .unwrap();
}

#[test]
fn a_job_needs_no_run() {
    let job = job::in_thread(|y: &Yielder<u32>| {
        (0..3).for_each(|n| y.yield_(n));
        "done"
    });
    assert!(job.iter().eq(0..3));
    assert_eq!(job.join().unwrap(), "done");
    let job = job::in_thread(compute);
    assert!(
        job.recv_timeout(Duration::from_millis(1))
            .unwrap_err()
            .is_timeout()
    );
    job.pause();
    job.kill("enough");
    assert!(job.recv().is_err());
    assert!(job.join().unwrap_err().is_killed());
}

#[test]
fn a_run_may_wait_for_a_job_that_works_for_nobody() {
    let job = job::in_thread(|y: &Yielder<u32>| {
        std::thread::sleep(Duration::from_millis(10));
        (0..3).for_each(|n| y.yield_(n));
        "done"
    });
    let last = run(|| {
        assert!(job.iter().eq(0..3));
        job.join().unwrap()
    });
    assert_eq!(last, "done");
}

#[test]
fn a_job_is_handed_from_thread_to_thread_and_shared() {
    run(|| {
        let job = job::in_thread(count);
        job.recv().unwrap();
        std::thread::scope(|s| {
            s.spawn(|| assert_eq!(job.recv(), Ok(1))).join().unwrap();
            s.spawn(|| job.pause()).join().unwrap();
            job.resume();
        });
        let killer = std::thread::spawn(move || {
            assert_eq!(job.recv(), Ok(2));
            let answer = job.kill("from another OS thread");
            (answer, job.join().unwrap_err())
        });
        let (answer, error) = killer.join().unwrap();
        assert!(matches!(answer, Killed::Running | Killed::Parked));
        assert_eq!(error.reason(), Some("from another OS thread"));
    });
}

#[test]
fn a_job_starts_jobs_and_takes_their_values() {
    run(|| {
        let outer = job::in_thread(|y: &Yielder<u32>| {
            let inner = job::in_thread(|y: &Yielder<u32>| (0..10).for_each(|n| y.yield_(n)));
            for n in &inner {
                y.yield_(n * n);
            }
            inner.join().unwrap();
        });
        assert_eq!(outer.iter().sum::<u32>(), 285);
        outer.join().unwrap();
    });
}

#[test]
fn exploring_refuses_jobs_in_threads_by_name() {
    let outcome = maypole::explore::Explorer::new().check(|| {
        let _ = job::in_thread(count);
    });
    let report = outcome.failure.unwrap().report().to_string();
    assert!(report.contains("job::in_thread"), "{report}");
}

#[test]
fn jobs_in_tasks_are_explored() {
    let outcome = maypole::explore::Explorer::new().check(|| {
        let job = Builder::new()
            .backlog(1)
            .in_task(|y: &Yielder<u32>| (0..2).for_each(|n| y.yield_(n)))
            .unwrap();
        let job = Rc::new(job);
        let theirs = job.clone();
        let other = spawn(move || theirs.recv().is_ok());
        let mine = job.iter().count();
        assert_eq!(mine + usize::from(other.join().unwrap()), 2);
    });
    assert!(outcome.complete && outcome.failure.is_none(), "{outcome:?}");
    let outcome = maypole::explore::Explorer::new().check(|| {
        let taken = Rc::new(Cell::new(false));
        let job = Rc::new(job::in_task(|y: &Yielder<u32>| y.yield_(1)));
        let (theirs, take) = (job.clone(), taken.clone());
        let reader = spawn(move || take.set(theirs.recv().is_ok()));
        yield_now();
        reader.kill("it takes the value, or leaves it");
        let _ = reader.join();
        assert_eq!(job.iter().count(), usize::from(!taken.get()));
    });
    assert!(outcome.complete && outcome.failure.is_none(), "{outcome:?}");
}
