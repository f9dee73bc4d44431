//! What people do with futures, done with jobs and tasks: the first to finish, as they complete, in
//! order, callbacks, states.
mod job_support;

use job_support::{Log, compute, until};
use maypole::channel::{self, Receiver, after};
use maypole::generator::{Generator, Yielder};
use maypole::job::{self, Job, Status};
use maypole::task::{JoinError, Killed, join_all, race};
use maypole::{Builder, Clock, run, select, sleep, spawn};
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// Sleeping takes no time.
fn virtually(main: impl FnOnce()) {
    Builder::new().clock(Clock::Virtual).run(main).unwrap();
}

/// A job that takes a while and has a result, or fails.
fn future(takes: u64, result: Result<u64, &'static str>) -> Job<(), u64> {
    job::in_task(move |y: &Yielder<()>| {
        y.checkpoint();
        sleep(ms(takes));
        match result {
            Ok(value) => value,
            Err(message) => panic!("{message}"),
        }
    })
}

type Ended = (usize, Result<u64, JoinError>);

/// The results with their numbers, as they come.
fn as_completed(jobs: Vec<Job<(), u64>>) -> Receiver<Ended> {
    let (sender, receiver) = channel::unbounded();
    for (n, job) in jobs.into_iter().enumerate() {
        let sender = sender.clone();
        // A task for each, which holds the handle: whoever is killed kills the job with it.
        spawn(move || {
            let _ = sender.send((n, job.join()));
        });
    }
    receiver
}

/// PEP 3148's table: what `cancel` answers, and the states afterwards.
#[test]
fn a_pending_one_never_runs_a_running_one_stops_a_finished_one_stays() {
    run(|| {
        let log = Log::default();
        let noted = log.clone();
        let pending = job::in_task(move |_: &Yielder<()>| noted.note("it ran"));
        assert_eq!(pending.status(), Status::Ready);
        assert_eq!(pending.kill("cancelled"), Killed::BeforeStart);
        let running = job::in_thread(compute);
        until(|| running.status() == Status::Running);
        assert_eq!(running.kill("cancelled"), Killed::Running);
        until(|| running.is_finished());
        assert_eq!(running.status(), Status::Killed);
        let done = future(0, Ok(1));
        until(|| done.is_finished());
        assert_eq!(done.status(), Status::Finished);
        assert_eq!(done.kill("cancelled"), Killed::Finished);
        assert_eq!(done.join().unwrap(), 1);
        assert!(pending.join().unwrap_err().is_killed());
        assert!(log.take().is_empty());
    });
}

/// What runs when a job is done: in order, and one that panics does not stop the next.
#[test]
fn callbacks_run_in_order_and_one_that_panics_stops_no_other() {
    std::panic::set_hook(Box::new(|_| ()));
    run(|| {
        let log = Rc::new(RefCell::new(Vec::new()));
        let done = Rc::new(maypole::sync::Event::new());
        let mut callbacks = Vec::new();
        for n in 1..=3 {
            let (log, done) = (log.clone(), done.clone());
            callbacks.push(spawn(move || {
                done.wait();
                assert!(n != 2, "the second fails");
                log.borrow_mut().push(n.to_string());
            }));
        }
        let job = future(1, Ok(1));
        job.join().unwrap();
        done.set();
        let ended = callbacks
            .into_iter()
            .map(|callback| callback.join().is_ok());
        assert!(ended.eq([true, false, true]));
        let late = log.clone();
        done.wait(); // it is done: at once
        late.borrow_mut().push("now".to_string());
        assert_eq!(*log.borrow(), ["1", "3", "now"]);
    });
}

/// cf.py: of three, 1 done and 2 not; up to the first failure 2 and 1; by time 2 and 1; all 3 and 0.
#[test]
fn waits_end_with_the_first_the_first_failure_the_time_or_all() {
    std::panic::set_hook(Box::new(|_| ()));
    virtually(|| {
        let three = || {
            vec![
                future(10, Ok(1)),
                future(20, Err("no luck")),
                future(30, Ok(3)),
            ]
        };
        let wait = |stop: &dyn Fn(&Ended) -> bool, limit: Duration| {
            let ended = as_completed(three());
            let limit = after(limit);
            let mut done = 0;
            loop {
                select! {
                    recv(ended) -> next => match next {
                        Ok(next) => {
                            done += 1;
                            if stop(&next) {
                                break (done, 3 - done);
                            }
                        }
                        Err(_) => break (done, 3 - done),
                    },
                    recv(limit) -> _ => break (done, 3 - done),
                }
            }
        };
        let hour = Duration::from_secs(3600);
        assert_eq!(wait(&|_| true, hour), (1, 2));
        assert_eq!(wait(&|(_, result)| result.is_err(), hour), (2, 1));
        assert_eq!(wait(&|_| false, ms(25)), (2, 1));
        assert_eq!(wait(&|_| false, hour), (3, 0));
    });
}

#[test]
fn results_come_as_they_complete_and_a_time_out_says_how_many_are_missing() {
    virtually(|| {
        let jobs = vec![future(90, Ok(9)), future(30, Ok(3)), future(60, Ok(6))];
        let order: Vec<u64> = as_completed(jobs)
            .iter()
            .map(|(_, result)| result.unwrap())
            .collect();
        assert_eq!(order, [3, 6, 9]);
        let two = as_completed(vec![future(10, Ok(1)), future(500, Ok(5))]);
        let mut missing = 2;
        let complaint = loop {
            match two.recv_timeout(ms(100)) {
                Ok(_) => missing -= 1,
                Err(_) => break format!("{missing} (of 2) futures unfinished"),
            }
        };
        assert_eq!(complaint, "1 (of 2) futures unfinished");
    });
}

#[test]
fn a_map_keeps_the_order_and_puts_an_error_in_its_place() {
    std::panic::set_hook(Box::new(|_| ()));
    virtually(|| {
        let divide =
            |by: u64| move || future(10 * by, 12_u64.checked_div(by).ok_or("by zero")).join();
        let results = join_all([3, 0, 1, 2].map(divide));
        let results: Vec<_> = results
            .into_iter()
            .map(|joined| {
                joined
                    .unwrap()
                    .map_err(|error| error.message().unwrap().to_string())
            })
            .collect();
        assert_eq!(results, [Ok(4), Err("by zero".to_string()), Ok(12), Ok(6)]);
    });
}

#[test]
fn the_first_to_finish_wins_and_the_jobs_of_the_others_are_killed() {
    let alive = job_support::Alive::default();
    virtually(|| {
        let racers = [300, 20, 100].map(|takes| {
            let one = alive.one();
            move || {
                let job = job::in_task(move |y: &Yielder<()>| {
                    let _one = one;
                    y.checkpoint();
                    sleep(ms(takes));
                    takes
                });
                job.join().unwrap()
            }
        });
        assert_eq!(race(racers), 20);
        until(|| alive.count() == 0);
    });
}

/// plac's `run_all`: three generators of 4, 6 and 11 yields.
#[test]
fn the_last_value_of_each_or_its_failure_in_order() {
    std::panic::set_hook(Box::new(|_| ()));
    fn last(values: u32, fails: bool) -> Result<String, String> {
        let job = job::in_thread(move |y: &Yielder<u32>| {
            for n in 0..values {
                y.yield_(n);
                assert!(!fails || n < 1, "it fails");
            }
        });
        let last = job.iter().last().unwrap().to_string();
        match job.join() {
            Ok(()) => Ok(last),
            Err(error) => Err(error.message().unwrap().to_string()),
        }
    }
    run(|| {
        let all = join_all([4, 6, 11].map(|values| move || last(values, false)));
        let all: Vec<_> = all.into_iter().map(|last| last.unwrap().unwrap()).collect();
        assert_eq!(all, ["3", "5", "10"]);
        let two = join_all([(4, false), (6, true)].map(|(n, fails)| move || last(n, fails)));
        let two: Vec<_> = two.into_iter().map(|last| last.unwrap()).collect();
        assert_eq!(two, [Ok("3".to_string()), Err("it fails".to_string())]);
    });
}

/// Results may be anything: closures, graphs of `Rc`, generators that are suspended.
#[test]
fn results_need_not_be_plain() {
    run(|| {
        let add = job::in_task(|_: &Yielder<()>| {
            let shared = Rc::new(RefCell::new(40));
            let other = shared.clone();
            let add = move |n: i32| {
                *other.borrow_mut() += n;
                *other.borrow()
            };
            (shared, add)
        });
        let (shared, add) = add.join().unwrap();
        assert_eq!((add(2), *shared.borrow()), (42, 42));
        let half = job::in_task(|_: &Yielder<()>| {
            let mut generator = Generator::new(|y| (1..=3).for_each(|n| y.yield_(n)));
            assert_eq!(generator.next(), Some(1));
            generator
        });
        assert_eq!(half.join().unwrap().collect::<Vec<_>>(), [2, 3]);
        let sendable: Box<dyn Fn(i32) -> i32 + Send> =
            job::in_thread(|_: &Yielder<()>| -> Box<dyn Fn(i32) -> i32 + Send> {
                Box::new(|n| n + 1)
            })
            .join()
            .unwrap();
        assert_eq!(sendable(41), 42);
    });
}
