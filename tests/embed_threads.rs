//! Several schedulers in one process, one in each OS thread, and calls from OS threads without one.
use maypole::task::park;
use maypole::thread::{self, CallError, Remote};
use maypole::{Budget, Builder, Scheduler, Tick, run, sleep, spawn, yield_now};
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use std::os::fd::{AsFd, AsRawFd};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(60);

/// Ticks until all is done, and sleeps on the descriptor in between.
fn host(mut scheduler: Scheduler, budget: Budget) {
    let mut poll = Poll::new().unwrap();
    let mut events = Events::with_capacity(4);
    let descriptor = scheduler.as_fd().as_raw_fd();
    poll.registry()
        .register(&mut SourceFd(&descriptor), Token(0), Interest::READABLE)
        .unwrap();
    let start = Instant::now();
    loop {
        let timeout = match scheduler.tick(budget) {
            Tick::Done => return,
            Tick::Ready => Duration::ZERO,
            Tick::Idle { next_deadline } => match next_deadline {
                Some(deadline) => deadline.saturating_duration_since(Instant::now()),
                None => PATIENCE,
            },
        };
        poll.poll(&mut events, Some(timeout)).unwrap();
        assert!(start.elapsed() < PATIENCE, "{}", scheduler.report());
    }
}

#[test]
fn two_schedulers_exchange_echo_and_quit() {
    // One channel in each direction, and in either OS thread a scheduler with a host of its own.
    let (to_server, requests) = thread::bounded::<String>(0);
    let (to_client, answers) = thread::bounded::<String>(0);
    let serving = std::thread::spawn(move || {
        let scheduler = Builder::new().build();
        let served = scheduler.spawn(move || {
            let mut log = Vec::new();
            for request in requests.iter() {
                log.push(request.clone());
                if request == "QUIT" {
                    break;
                }
                to_client.send(request).unwrap();
            }
            log
        });
        host(scheduler, Budget::round());
        served.join().unwrap()
    });
    let scheduler = Builder::new().build();
    let talk = scheduler.spawn(move || {
        let mut log = Vec::new();
        for n in 1..=3 {
            to_server.send(format!("ECHO {n}")).unwrap();
            log.push(answers.recv().unwrap());
        }
        to_server.send("QUIT".to_string()).unwrap();
        assert!(answers.recv().is_err(), "the server has quit");
        log
    });
    host(scheduler, Budget::turns(1));
    assert_eq!(talk.join().unwrap(), ["ECHO 1", "ECHO 2", "ECHO 3"]);
    assert_eq!(
        serving.join().unwrap(),
        ["ECHO 1", "ECHO 2", "ECHO 3", "QUIT"]
    );
}

#[test]
fn they_say_the_same_by_calls_alone() {
    let (sender, receiver) = mpsc::channel();
    let serving = std::thread::spawn(move || {
        let scheduler = Builder::new().build();
        sender.send(scheduler.remote()).unwrap();
        host(scheduler, Budget::turns(1));
    });
    let server: Remote = receiver.recv().unwrap();
    let scheduler = Builder::new().build();
    let own = scheduler.remote();
    let talk = scheduler.spawn(move || {
        let mut log = Vec::new();
        for n in 1..=3 {
            // There, it calls back here.
            let own = own.clone();
            let echo = server.call(move || own.call(move || format!("ECHO {n}")).unwrap());
            log.push(echo.unwrap());
        }
        log
    });
    host(scheduler, Budget::turns(1));
    assert_eq!(talk.join().unwrap(), ["ECHO 1", "ECHO 2", "ECHO 3"]);
    serving.join().unwrap();
}

#[test]
fn the_host_itself_works_for_other_os_threads_between_ticks() {
    // Outside of tasks it is an OS thread like others: it may block.
    let mut scheduler = Builder::new().build();
    assert_eq!(thread::offload(|| 1), 1);
    let (sender, receiver) = thread::bounded(0);
    let other = std::thread::spawn(move || sender.send(2).unwrap());
    assert_eq!(receiver.recv(), Ok(2));
    other.join().unwrap();
    let (sender, receiver) = thread::unbounded();
    let sum = scheduler.spawn(move || receiver.iter().sum::<i32>());
    scheduler.run_until_idle();
    (1..=4).for_each(|n| sender.send(n).unwrap());
    drop(sender);
    let start = Instant::now();
    while scheduler.tick(Budget::turns(1)) != Tick::Done {
        assert!(start.elapsed() < PATIENCE);
    }
    assert_eq!(sum.join().unwrap(), 10);
}

#[test]
fn a_host_that_sleeps_on_the_descriptor_misses_no_call_of_many_os_threads() {
    const THREADS: u32 = 8;
    const CALLS: u32 = 200;
    let scheduler = Builder::new().build();
    let remote = scheduler.remote();
    let spawned = Arc::new(AtomicU32::new(0));
    let callers: Vec<_> = (0..THREADS)
        .map(|thread| {
            let (remote, spawned) = (remote.clone(), spawned.clone());
            std::thread::spawn(move || {
                for n in 0..CALLS {
                    match n % 3 {
                        0 => {
                            let counted = spawned.clone();
                            let count = move || {
                                counted.fetch_add(1, Ordering::Relaxed);
                            };
                            remote.spawn(count).unwrap();
                        }
                        1 => {
                            let sum = remote.call(move || {
                                yield_now();
                                thread + n
                            });
                            assert_eq!(sum.unwrap(), thread + n);
                        }
                        _ => {
                            let slept = remote.call(|| sleep(Duration::from_micros(10)));
                            assert!(slept.is_ok());
                        }
                    }
                }
            })
        })
        .collect();
    drop(remote);
    host(scheduler, Budget::turns(3));
    assert_eq!(spawned.load(Ordering::Relaxed), THREADS * CALLS.div_ceil(3));
    for caller in callers {
        caller.join().unwrap();
    }
}

#[test]
fn a_task_of_one_scheduler_calls_another() {
    let (sender, receiver) = mpsc::channel();
    let other = std::thread::spawn(move || {
        let scheduler = Builder::new().build();
        sender.send(scheduler.remote()).unwrap();
        host(scheduler, Budget::turns(10));
    });
    let remote: Remote = receiver.recv().unwrap();
    let scheduler = Builder::new().build();
    let sum = scheduler.spawn(move || {
        let calls: Vec<_> = (0..20_u32)
            .map(|n| {
                let remote = remote.clone();
                spawn(move || {
                    remote.call(move || {
                        sleep(Duration::from_millis(1));
                        n * n
                    })
                })
            })
            .collect();
        calls
            .into_iter()
            .map(|call| call.join().unwrap().unwrap())
            .sum::<u32>()
    });
    host(scheduler, Budget::round());
    assert_eq!(sum.join().unwrap(), (0..20).map(|n| n * n).sum::<u32>());
    other.join().unwrap();
}

#[test]
fn a_host_that_calls_its_own_scheduler_is_refused() {
    let mut scheduler = Builder::new().build();
    let remote = scheduler.remote();
    let called = std::panic::catch_unwind(|| remote.call(|| ()));
    let text = *called.unwrap_err().downcast::<String>().unwrap();
    assert!(
        text.contains("calls the run of its own OS thread"),
        "{text}"
    );
    remote.spawn(|| ()).unwrap(); // this waits for nothing
    drop(remote);
    assert_eq!(scheduler.tick(Budget::turns(1)), Tick::Done);
}

#[test]
fn a_run_calls_an_embedded_scheduler_and_is_called_by_it() {
    let (sender, receiver) = mpsc::channel();
    let embedded = std::thread::spawn(move || {
        let scheduler = Builder::new().build();
        sender.send(scheduler.remote()).unwrap();
        host(scheduler, Budget::turns(10));
    });
    let theirs: Remote = receiver.recv().unwrap();
    let answer = run(|| {
        let own = maypole::thread::remote();
        theirs.call(move || own.call(|| 40).unwrap() + 2)
    });
    assert_eq!(answer.unwrap(), 42);
    drop(theirs);
    embedded.join().unwrap();
}

#[test]
fn calls_that_come_while_it_is_dropped_end_one_way_or_the_other() {
    for round in 0..20 {
        let mut scheduler = Builder::new().build();
        let remote = scheduler.remote();
        let callers: Vec<_> = (0..4)
            .map(|_| {
                let remote = remote.clone();
                std::thread::spawn(move || {
                    loop {
                        match remote.call(|| yield_now()) {
                            Ok(()) => {}
                            Err(CallError::Closed) => return,
                            Err(CallError::Failed(error)) => assert!(error.is_killed(), "{error}"),
                            Err(other) => panic!("{other}"),
                        }
                    }
                })
            })
            .collect();
        scheduler.spawn(park);
        for _ in 0..round * 5 {
            scheduler.tick(Budget::round());
        }
        drop(scheduler);
        for caller in callers {
            caller.join().unwrap();
        }
    }
}
