//! Thousands of jobs, and kills, pauses and resumes at random while they work.
mod job_support;

use job_support::{Alive, compute, until};
use maypole::generator::Yielder;
use maypole::job::{self, Builder, Job, Status, ThreadJob};
use maypole::task::Killed;
use maypole::{run, spawn, yield_now};
use std::collections::HashMap;
use std::rc::Rc;

struct Chance(u64);

impl Chance {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }
}

/// Either kind, behind the methods that they share.
enum Any {
    Green(Job<u64, u64>),
    Threaded(ThreadJob<u64, u64>),
}

macro_rules! either {
    ($any:expr, $job:ident => $call:expr) => {
        match $any {
            Any::Green($job) => $call,
            Any::Threaded($job) => $call,
        }
    };
}

/// Yields 0, 1, 2, ... and then how many.
fn numbers(limit: u64, one: job_support::One) -> impl FnOnce(&Yielder<u64>) -> u64 + Send {
    move |y| {
        let _one = one;
        for n in 0..limit {
            if n % 3 == 0 {
                y.checkpoint();
            }
            y.yield_(n);
        }
        limit
    }
}

fn start(chance: &mut Chance, alive: &Alive) -> (Any, u64) {
    let limit = chance.below(60);
    let builder = match chance.below(3) {
        0 => Builder::new(),
        _ => Builder::new().backlog(chance.below(8) as usize),
    };
    let body = numbers(limit, alive.one());
    let job = match chance.below(3) {
        0 => Any::Green(builder.in_task(body).unwrap()),
        _ => Any::Threaded(builder.in_thread(body).unwrap()),
    };
    (job, limit)
}

/// What is known of a job from outside must fit together at every moment.
fn play(seed: u64) -> HashMap<&'static str, usize> {
    let alive = Alive::default();
    let counts = run(|| {
        let mut chance = Chance(seed * 0x9E37_79B9 + 1);
        let mut jobs: Vec<(Any, u64, u64, bool, bool)> = Vec::new();
        let mut counts = HashMap::new();
        for _ in 0..1500 {
            if jobs.len() < 24 && chance.below(4) == 0 {
                let (job, limit) = start(&mut chance, &alive);
                jobs.push((job, limit, 0, false, false));
                continue;
            }
            if jobs.is_empty() {
                continue;
            }
            let at = chance.below(jobs.len() as u64) as usize;
            let (job, limit, next, killed, paused) = &mut jobs[at];
            match chance.below(12) {
                0 => {
                    either!(job, job => job.pause());
                    *paused = true;
                }
                1 => {
                    either!(job, job => job.resume());
                    *paused = false;
                }
                2 if chance.below(3) == 0 => {
                    let before = either!(job, job => job.status());
                    let answer = either!(job, job => job.kill("by chance"));
                    match before {
                        Status::Finished | Status::Killed => assert_eq!(answer, Killed::Finished),
                        _ if *killed => {
                            assert!(matches!(answer, Killed::Already | Killed::Finished))
                        }
                        _ => {}
                    }
                    *killed |= answer != Killed::Finished;
                }
                3..=8 => match either!(job, job => job.try_recv()) {
                    Ok(n) => {
                        assert_eq!(n, *next, "in order, none lost, none twice");
                        *next += 1;
                    }
                    Err(error) if error.is_empty() => yield_now(),
                    Err(_) => assert!(*killed || *next == *limit),
                },
                9 if !*paused || *killed => match either!(job, job => job.recv()) {
                    Ok(n) => {
                        assert_eq!(n, *next);
                        *next += 1;
                    }
                    Err(_) => assert!(*killed || *next == *limit),
                },
                10 => {
                    let status = either!(job, job => job.status());
                    let fits = match status {
                        Status::Killing | Status::Killed => *killed,
                        Status::Paused => *paused,
                        Status::Panicked | Status::Abandoned => false,
                        _ => true,
                    };
                    assert!(fits, "{status:?}, killed: {killed}, paused: {paused}");
                }
                _ => {
                    let (job, limit, _, killed, _) = jobs.swap_remove(at);
                    if chance.below(3) == 0 {
                        *counts.entry("dropped").or_default() += 1;
                        continue;
                    }
                    match either!(job, job => job.join()) {
                        Ok(result) => {
                            assert!(!killed && result == limit);
                            *counts.entry("finished").or_default() += 1;
                        }
                        Err(error) => {
                            assert!(killed && error.is_killed());
                            *counts.entry("killed").or_default() += 1;
                        }
                    }
                }
            }
        }
        drop(jobs);
        until(|| alive.count() == 0);
        counts
    });
    assert_eq!(alive.count(), 0);
    counts
}

#[test]
fn kills_pauses_and_resumes_at_random_lose_and_double_nothing() {
    let mut counts = HashMap::new();
    for seed in 1..=12 {
        for (what, count) in play(seed) {
            *counts.entry(what).or_insert(0) += count;
        }
    }
    for what in ["dropped", "finished", "killed"] {
        assert!(
            counts.get(what).is_some_and(|count| *count > 20),
            "{counts:?}"
        );
    }
}

#[test]
fn thousands_of_jobs_in_threads_one_wave_after_another() {
    run(|| {
        let alive = Alive::default();
        let builder = Builder::new().stack_size(64 << 10);
        for wave in 0..20 {
            let jobs: Vec<_> = (0..100)
                .map(|k| {
                    let one = alive.one();
                    let body = move |y: &Yielder<u64>| {
                        let _one = one;
                        y.yield_(k);
                        match k % 2 {
                            0 => k,
                            _ => loop {
                                y.checkpoint();
                                std::thread::yield_now();
                            },
                        }
                    };
                    builder.clone().in_thread(body).unwrap()
                })
                .collect();
            for (k, job) in (0..).zip(&jobs) {
                assert_eq!(job.recv(), Ok(k), "wave {wave}");
                if k % 2 == 1 {
                    job.kill("enough");
                }
            }
            for (k, job) in (0..).zip(jobs) {
                match job.join() {
                    Ok(result) => assert!(result == k && k % 2 == 0),
                    Err(error) => assert!(error.is_killed() && k % 2 == 1),
                }
            }
        }
        until(|| alive.count() == 0);
    });
}

#[test]
fn ten_thousand_jobs_in_tasks() {
    run(|| {
        let alive = Alive::default();
        let jobs: Vec<_> = (0..10_000_u64)
            .map(|k| job::in_task(numbers(k % 5, alive.one())))
            .collect();
        for (k, job) in (0..).zip(&jobs) {
            if k % 7 == 0 {
                job.kill("every seventh");
            }
        }
        for (k, job) in (0..).zip(jobs) {
            match job.join() {
                Ok(limit) => assert!(limit == k % 5 && k % 7 != 0),
                Err(error) => assert!(error.is_killed() && k % 7 == 0),
            }
        }
        assert_eq!(alive.count(), 0);
    });
}

/// Other OS threads have the handle while it is killed, and readers while it yields.
#[test]
fn handles_are_shared_by_os_threads_under_load() {
    for round in 0..30 {
        let job = job::in_thread(move |y: &Yielder<u64>| {
            for n in 0..300 {
                y.yield_(n);
            }
        });
        let mut all: Vec<u64> = std::thread::scope(|s| {
            let readers: Vec<_> = (0..3)
                .map(|_| s.spawn(|| job.iter().collect::<Vec<_>>()))
                .collect();
            s.spawn(|| {
                for _ in 0..50 {
                    job.pause();
                    std::thread::yield_now();
                    job.resume();
                }
                if round % 2 == 1 {
                    job.kill("in the middle");
                }
            });
            let taken = readers.into_iter().map(|reader| reader.join().unwrap());
            taken
                .inspect(|values| assert!(values.is_sorted(), "each sees them in order"))
                .flatten()
                .collect()
        });
        all.sort_unstable();
        assert!(
            all.iter().copied().eq(0..all.len() as u64),
            "none lost, none twice"
        );
        assert!(round % 2 == 1 || all.len() == 300);
    }
}

/// Tasks that wait for jobs are killed and timed out at random; no value is lost or doubled.
#[test]
fn readers_that_die_lose_nothing() {
    for seed in 1..=10 {
        run(|| {
            let mut chance = Chance(seed * 77 + 1);
            let job = Rc::new(job::in_thread(|y: &Yielder<u64>| {
                for n in 0..500 {
                    if n % 16 == 0 {
                        std::thread::yield_now();
                    }
                    y.yield_(n);
                }
            }));
            let taken = Rc::new(std::cell::RefCell::new(Vec::new()));
            let mut readers = Vec::new();
            while !job.is_finished() || taken.borrow().len() < 500 {
                let (theirs, take) = (job.clone(), taken.clone());
                let patience = std::time::Duration::from_micros(chance.below(200));
                let reader = spawn(move || {
                    for _ in 0..20 {
                        if let Ok(n) = theirs.recv_timeout(patience) {
                            take.borrow_mut().push(n);
                        }
                    }
                });
                for _ in 0..chance.below(4) {
                    yield_now();
                }
                if chance.below(2) == 0 {
                    reader.kill("by chance");
                }
                readers.push(reader);
                if readers.len() > 8 {
                    let _ = readers.remove(0).join();
                }
            }
            for reader in readers {
                let _ = reader.join();
            }
            let mut all = taken.take();
            all.sort_unstable();
            assert!(all.into_iter().eq(0..500));
        });
    }
}

#[test]
fn a_kill_reaches_every_one_of_many_that_compute() {
    run(|| {
        let jobs: Vec<_> = (0..64).map(|_| job::in_thread(compute)).collect();
        for job in &jobs {
            job.kill("at the next checkpoint");
        }
        for job in jobs {
            assert!(job.join().unwrap_err().is_killed());
        }
    });
}
