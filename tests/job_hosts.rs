//! The same body gives the same values under every host, however it is paused, and ends the same.
mod job_support;

use maypole::generator::{Generator, Step, Yielder};
use maypole::job::{self, Builder, Status};
use maypole::{run, sleep, spawn, yield_now};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

/// Prints no panic: there are many, and all are meant.
fn quiet() {
    std::panic::set_hook(Box::new(|_| ()));
}

/// Numbers by chance, the same for the same seed.
#[derive(Clone)]
struct Chance(u64);

impl Chance {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }
}

/// A body by chance: calls, loops, checkpoints, generators within, panics caught and not.
fn act(y: &Yielder<u64>, chance: &mut Chance, depth: u32) -> u64 {
    let mut sum = 0;
    for _ in 0..chance.below(6) {
        match chance.below(8) {
            0..=2 => {
                let n = chance.below(1000);
                y.yield_(n);
                sum += n;
            }
            3 => y.checkpoint(),
            4 if depth > 0 => sum += act(y, chance, depth - 1),
            5 => {
                let seed = chance.below(1 << 40) + 1;
                sum += y.yield_from(Generator::new(move |y| act(y, &mut Chance(seed), 1)));
            }
            6 => {
                let n = chance.below(3);
                let caught = catch_unwind(AssertUnwindSafe(|| {
                    y.yield_(n);
                    if n == 0 {
                        std::panic::resume_unwind(Box::new("caught"));
                    }
                }));
                sum += u64::from(caught.is_err());
            }
            _ => {
                // The outer yielder, from the stack of a generator that the body resumes.
                let rounds = chance.below(4);
                sum += maypole::generator::scoped(
                    |inner: &Yielder<u64>| {
                        for n in 0..rounds {
                            y.yield_(n);
                            inner.yield_(n);
                        }
                    },
                    |inner| inner.sum::<u64>(),
                );
            }
        }
    }
    sum
}

fn body(seed: u64) -> impl FnOnce(&Yielder<u64>) -> u64 + Send + 'static {
    move |y| {
        let mut chance = Chance(seed);
        let mut sum = 0;
        for _ in 0..5 {
            sum += act(y, &mut chance, 3);
        }
        if chance.below(4) == 0 {
            panic!("the end of seed {seed}");
        }
        sum
    }
}

/// What came of it: the values, and the result or the message of the panic.
type Came = (Vec<u64>, Result<u64, String>);

fn plainly(seed: u64) -> Came {
    let mut values = Vec::new();
    let mut generator = Generator::new(body(seed));
    let ended = catch_unwind(AssertUnwindSafe(|| {
        loop {
            match generator.resume(()) {
                Step::Yielded(value) => values.push(value),
                Step::Returned(value) => return value,
            }
        }
    }));
    let ended = ended.map_err(|payload| payload.downcast_ref::<String>().unwrap().clone());
    (values, ended)
}

/// Takes all that a job gives, while it is paused and resumed at random.
macro_rules! tease {
    ($job:expr, $chance:expr) => {{
        let (job, chance) = ($job, $chance);
        let mut values = Vec::new();
        loop {
            match chance.below(5) {
                0 => {
                    job.pause();
                    for _ in 0..chance.below(3) {
                        yield_now();
                    }
                    job.resume();
                }
                1 => yield_now(),
                2 => match job.try_recv() {
                    Ok(value) => values.push(value),
                    Err(error) if error.is_empty() => {}
                    Err(_) => break,
                },
                3 => match job.recv_timeout(Duration::from_micros(50)) {
                    Ok(value) => values.push(value),
                    Err(error) if error.is_timeout() => {}
                    Err(_) => break,
                },
                _ => match job.recv() {
                    Ok(value) => values.push(value),
                    Err(_) => break,
                },
            }
        }
        let ended = job
            .join()
            .map_err(|error| error.message().unwrap().to_string());
        (values, ended)
    }};
}

#[test]
fn every_host_gives_the_same_values() {
    quiet();
    let mut failed = 0;
    for seed in 1..=150 {
        let plain = plainly(seed * 0x9E37_79B9);
        let (green, threaded) = run(|| {
            let mut chance = Chance(seed);
            let seed = seed * 0x9E37_79B9;
            let builder = |chance: &mut Chance| match chance.below(2) {
                0 => Builder::new(),
                _ => Builder::new().backlog(chance.below(4) as usize),
            };
            let green = builder(&mut chance).in_task(body(seed)).unwrap();
            let threaded = builder(&mut chance).in_thread(body(seed)).unwrap();
            (tease!(green, &mut chance), tease!(threaded, &mut chance))
        });
        assert_eq!(plain, green, "seed {seed}, in a task");
        assert_eq!(plain, threaded, "seed {seed}, in a thread");
        failed += u32::from(plain.1.is_err());
    }
    assert!((10..140).contains(&failed), "both ends are tried: {failed}");
}

/// Beazley's commentary: the same body, run by the loop and by a thread.
#[test]
fn the_hosts_do_not_show_in_the_output() {
    fn countdown(y: &Yielder<String>) {
        for n in (1..=3).rev() {
            y.yield_(format!("T-minus {n}"));
        }
        y.yield_("Done!".to_string());
    }
    run(|| {
        let expected: Vec<_> = Generator::new(countdown).collect();
        assert_eq!(expected.len(), 4);
        assert_eq!(job::in_task(countdown).iter().collect::<Vec<_>>(), expected);
        assert_eq!(
            job::in_thread(countdown).iter().collect::<Vec<_>>(),
            expected
        );
    });
}

#[test]
fn jobs_in_tasks_take_turns_at_each_yield_and_checkpoint() {
    run(|| {
        let log = job_support::Log::default();
        let jobs = ["a", "b"].map(|name| {
            let log = log.clone();
            job::in_task(move |y: &Yielder<()>| {
                for step in 0..3 {
                    log.note(format!("{name}{step}"));
                    match step {
                        1 => y.checkpoint(),
                        _ => y.yield_(()),
                    }
                }
            })
        });
        for job in jobs {
            job.join().unwrap();
        }
        assert_eq!(log.take().join(" "), "a0 b0 a1 b1 a2 b2");
    });
}

/// A body in a task may do what tasks do; a kill reaches it wherever it waits.
#[test]
fn a_body_in_a_task_is_killed_in_its_sleep() {
    run(|| {
        let job = job::in_task(|y| {
            y.yield_(1);
            sleep(Duration::from_secs(3600));
            y.yield_(2);
        });
        assert_eq!(job.recv(), Ok(1));
        yield_now();
        assert!(matches!(job.status(), Status::Parked(_)));
        job.kill("it sleeps too long");
        assert!(job.recv().is_err());
        let error = job.join().unwrap_err();
        assert!(
            error.to_string().contains("while waiting in sleep"),
            "{error}"
        );
    });
}

#[test]
fn a_body_in_a_task_shares_what_is_not_send() {
    run(|| {
        let count = std::rc::Rc::new(std::cell::Cell::new(0));
        let theirs = count.clone();
        let job = job::in_task(move |y| {
            for _ in 0..3 {
                theirs.set(theirs.get() + 1);
                y.yield_(theirs.clone());
            }
        });
        let last = job.iter().last().unwrap();
        assert!(std::rc::Rc::ptr_eq(&last, &count) && count.get() == 3);
    });
}

/// The yielder is the body's own: a task that the body spawns cannot yield for it.
#[test]
fn others_cannot_yield_for_the_body() {
    run(|| {
        let job = job::in_task(|y: &Yielder<u32>| {
            y.yield_(0);
            maypole::scope(|s| {
                let other = s.spawn(|| y.yield_(1));
                let error = other.join().unwrap_err();
                assert!(
                    error
                        .message()
                        .unwrap()
                        .contains("outside of that job's body")
                );
            });
            y.yield_(2);
        });
        assert!(job.iter().eq([0, 2]), "{:?}", job.failure());
        job.join().unwrap();
    });
}

#[test]
fn a_run_inside_of_a_threaded_body_cannot_yield_for_it() {
    let job = job::in_thread(|y: &Yielder<u32>| {
        y.yield_(0);
        let inner = catch_unwind(AssertUnwindSafe(|| run(|| y.yield_(1))));
        let message = *inner.unwrap_err().downcast::<String>().unwrap();
        assert!(message.contains("outside of that job's body"), "{message}");
        let sum = run(|| spawn(|| 40 + 2).join().unwrap());
        y.yield_(sum);
    });
    assert!(job.iter().eq([0, 42]));
    job.join().unwrap();
}

/// What a generator would leave, a body in a task must not leave either.
#[test]
fn no_yield_inside_of_what_belongs_to_the_task() {
    run(|| {
        let job = job::in_task(|y: &Yielder<u32>| {
            type Inside = Box<dyn Fn(&Yielder<u32>)>;
            let inside: [Inside; 4] = [
                Box::new(|y| maypole::task::shield(|| y.yield_(9))),
                Box::new(|y| maypole::task::no_yield(|| y.yield_(9))),
                Box::new(|y| {
                    let _ = maypole::time::timeout(Duration::from_secs(9), || y.yield_(9));
                }),
                Box::new(|y| {
                    maypole::stm::atomically(|_| {
                        y.yield_(9);
                        Ok(())
                    });
                }),
            ];
            for inside in inside {
                let refused = catch_unwind(AssertUnwindSafe(|| inside(y))).unwrap_err();
                let message = refused.downcast::<String>().unwrap();
                assert!(message.contains("of the job made at"), "{message}");
                y.yield_(1);
            }
            // A checkpoint is no yield: there it runs on.
            maypole::task::no_yield(|| y.checkpoint());
            maypole::task::shield(|| y.checkpoint());
        });
        assert!(job.iter().eq([1; 4]));
        job.join().unwrap();
    });
}

#[test]
fn names_and_sites_show_in_errors() {
    quiet();
    run(|| {
        let fails = |_: &Yielder<u8>| panic!("no luck");
        let named = Builder::new().name("sorter").in_thread(fails).unwrap();
        let error = named.join().unwrap_err();
        assert_eq!(error.task_name(), "sorter");
        let text = error.to_string();
        assert!(
            text.starts_with("job 'sorter' (made at tests/job_hosts.rs:"),
            "{text}"
        );
        assert!(text.ends_with(": no luck"), "{text}");
        let unnamed = job::in_thread(fails).join().unwrap_err();
        assert!(unnamed.task_name().starts_with("tests/job_hosts.rs:"));
        let green = Builder::new().name("sorter").in_task(fails).unwrap();
        let text = green.join().unwrap_err().to_string();
        assert!(
            text.starts_with("task 'sorter' (#2, spawned at tests/job_hosts.rs:"),
            "{text}"
        );
        let killed = job::in_thread(job_support::count);
        killed.kill("the user said so");
        let text = killed.join().unwrap_err().to_string();
        assert!(
            text.contains("was killed by 'main' at tests/job_hosts.rs:"),
            "{text}"
        );
        assert!(text.contains("the user said so"), "{text}");
    });
}

#[test]
fn a_body_has_the_stack_that_was_asked_for() {
    fn deep(y: &Yielder<u32>, n: u32) -> u32 {
        let pages = std::hint::black_box([n as u8; 64 << 10]);
        match n {
            0 => y.checkpoint(),
            n => return 1 + deep(y, n - 1) + u32::from(pages[0].wrapping_sub(n as u8)),
        }
        0
    }
    run(|| {
        let builder = Builder::new().stack_size(64 << 20);
        let green = builder.clone().in_task(|y| deep(y, 300)).unwrap();
        let threaded = builder.in_thread(|y| deep(y, 300)).unwrap();
        assert_eq!(
            (green.join().unwrap(), threaded.join().unwrap()),
            (300, 300)
        );
    });
}
