//! Calls into a run from other OS threads, while it runs, while it ends, and afterwards.
use maypole::task::{self, park};
use maypole::thread::{self, CallError, Remote};
use maypole::{Builder, RunError, run, spawn, yield_now};
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread as os;

/// Runs `f` in another OS thread while the tasks of this run go on.
fn beside<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> T {
    let other = os::spawn(f);
    while !other.is_finished() {
        yield_now();
    }
    other.join().unwrap()
}

fn failure<T>(result: Result<T, CallError>) -> maypole::JoinError {
    match result {
        Err(CallError::Failed(error)) => error,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it did not fail"),
    }
}

/// Counts its drops, and tells in which OS thread they are.
struct Dropped(Arc<AtomicUsize>, os::ThreadId);

impl Drop for Dropped {
    fn drop(&mut self) {
        assert_eq!(os::current().id(), self.1, "dropped in another OS thread");
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn a_spawned_call_is_a_task_of_the_run() {
    run(|| {
        let remote = thread::remote();
        let home = os::current().id();
        let (sender, receiver) = mpsc::channel();
        beside(move || {
            remote.spawn(move || {
                // It may use what is not `Send`, and yield.
                let count = Rc::new(Cell::new(1));
                yield_now();
                count.set(count.get() + 1);
                sender.send((os::current().id(), count.get())).unwrap();
            })
        })
        .unwrap();
        let answer = loop {
            match receiver.try_recv() {
                Ok(answer) => break answer,
                Err(_) => yield_now(),
            }
        };
        assert_eq!(answer, (home, 2));
    });
}

#[test]
fn a_call_gives_the_value_of_its_task() {
    run(|| {
        let remote = thread::remote();
        let sleeps = move || remote.call(|| maypole::sleep(std::time::Duration::from_millis(2)));
        beside(sleeps).unwrap();
        let remote = thread::remote();
        assert_eq!(beside(move || remote.call(|| vec![1, 2])).unwrap(), [1, 2]);
    });
}

#[test]
fn spawns_from_one_os_thread_begin_in_order() {
    run(|| {
        let remote = thread::remote();
        let order = Arc::new(std::sync::Mutex::new(Vec::new()));
        let theirs = order.clone();
        beside(move || {
            for n in 0..1000 {
                let order = theirs.clone();
                remote.spawn(move || order.lock().unwrap().push(n)).unwrap();
            }
        });
        while order.lock().unwrap().len() < 1000 {
            yield_now();
        }
        assert!(order.lock().unwrap().iter().copied().eq(0..1000));
    });
}

#[test]
fn a_panic_comes_back_with_its_payload_and_fails_nobody_else() {
    let end = Builder::new().fail_on_unjoined_panic(true).run(|| {
        let remote = thread::remote();
        let error = failure(beside(move || {
            remote.call(|| -> () { std::panic::panic_any(404_u32) })
        }));
        assert!(error.is_panic());
        assert!(error.location().is_some());
        assert_eq!(*error.into_panic().downcast::<u32>().unwrap(), 404);
    });
    end.unwrap();
}

#[test]
fn a_call_tells_of_the_kill_of_its_task() {
    run(|| {
        let remote = thread::remote();
        let error = failure(beside(move || {
            remote.call(|| {
                task::current().kill("enough");
                park();
            })
        }));
        assert_eq!(error.reason(), Some("enough"));
        // Also of one that its task caught, since a killed task is never a success.
        let remote = thread::remote();
        let error = failure(beside(move || {
            remote.call(|| {
                task::current().kill("enough");
                let _ = catch_unwind(park);
            })
        }));
        assert!(error.is_killed());
    });
}

#[test]
fn a_call_tells_of_a_task_that_was_given_up() {
    run(|| {
        let remote = thread::remote();
        let error = failure(beside(move || {
            remote.call(|| {
                task::current().kill("please");
                loop {
                    let _ = catch_unwind(park);
                }
            })
        }));
        assert!(error.is_abandoned());
    });
}

#[test]
fn a_call_whose_task_the_end_of_the_run_kills_says_so() {
    let caller = run(|| {
        let remote = thread::remote();
        let begun = Arc::new(AtomicUsize::new(0));
        let theirs = begun.clone();
        let caller = os::spawn(move || {
            remote.call(move || {
                theirs.store(1, Ordering::SeqCst);
                park();
            })
        });
        while begun.load(Ordering::SeqCst) == 0 {
            yield_now();
        }
        caller
    });
    assert!(failure(caller.join().unwrap()).is_killed());
}

#[test]
fn a_remote_outlives_its_run_and_finds_it_closed() {
    let remote = run(thread::remote);
    let drops = Arc::new(AtomicUsize::new(0));
    os::spawn(move || {
        let mine = Dropped(drops.clone(), os::current().id());
        let closed = remote.spawn(move || drop(mine)).unwrap_err();
        assert_eq!(closed.to_string(), "the run is over");
        let mine = Dropped(drops.clone(), os::current().id());
        let closed = remote.clone().call(move || drop(mine)).unwrap_err();
        assert!(matches!(closed, CallError::Closed));
        assert_eq!(drops.load(Ordering::SeqCst), 2);
    })
    .join()
    .unwrap();
}

#[test]
fn a_late_call_reaches_no_later_run() {
    let remote = run(thread::remote);
    run(|| {
        let late = remote.clone();
        assert!(beside(move || late.spawn(|| unreachable!())).is_err());
        let late = remote.clone();
        assert!(beside(move || late.call(|| unreachable!())).is_err());
        // In the run's own OS thread too, where it is another run.
        assert!(remote.call(|| ()).is_err());
        yield_now();
    });
}

#[test]
fn a_call_into_the_run_of_its_own_os_thread_is_refused() {
    run(|| {
        let remote = thread::remote();
        let refused = catch_unwind(AssertUnwindSafe(|| remote.call(|| ()))).unwrap_err();
        let message = refused.downcast::<String>().unwrap();
        assert!(
            message.contains("Remote::call at tests/thread_remote.rs"),
            "{message}"
        );
        // A spawn is no call.
        remote.spawn(|| ()).unwrap();
    });
}

#[test]
fn a_run_whose_tasks_all_wait_is_in_no_deadlock_while_somebody_may_call() {
    let (sender, receiver) = mpsc::channel::<Remote>();
    let other = os::spawn(move || {
        let remote = receiver.recv().unwrap();
        // Long enough for the run to find that all wait, in most cases.
        os::sleep(std::time::Duration::from_millis(20));
        remote.call(|| ()).unwrap();
    });
    let end = Builder::new().run(|| {
        sender.send(thread::remote()).unwrap();
        park();
    });
    other.join().unwrap();
    // With the last remote, which that OS thread has dropped, it becomes one.
    assert!(matches!(end, Err(RunError::Deadlock(_))));
}

#[test]
fn outside_of_every_run_there_is_no_remote() {
    let refused = catch_unwind(thread::remote).unwrap_err();
    let message = refused.downcast::<String>().unwrap();
    assert!(message.contains("outside of maypole::run"), "{message}");
}

#[test]
fn a_task_calls_another_run_and_its_own_run_goes_on() {
    let (sender, receiver) = mpsc::channel();
    let (stop, stopped) = mpsc::channel::<()>();
    let other = os::spawn(move || {
        run(|| {
            sender.send(thread::remote()).unwrap();
            while stopped.try_recv().is_err() {
                yield_now();
            }
        });
    });
    let remote = receiver.recv().unwrap();
    run(|| {
        let turns = Rc::new(Cell::new(0));
        let theirs = turns.clone();
        let beside = spawn(move || {
            loop {
                theirs.set(theirs.get() + 1);
                yield_now();
            }
        });
        assert_eq!(remote.call(|| 42).unwrap(), 42);
        beside.kill("enough");
        assert!(turns.get() > 0);
        // A kill ends the wait, and not the call.
        let (begun, has_begun) = mpsc::channel();
        let (goes_on, has_gone_on) = mpsc::channel();
        let theirs = remote.clone();
        let caller = spawn(move || {
            theirs.call(move || {
                begun.send(()).unwrap();
                for _ in 0..100 {
                    yield_now();
                }
                goes_on.send(()).unwrap();
            })
        });
        while has_begun.try_recv().is_err() {
            yield_now();
        }
        caller.kill("enough");
        assert!(caller.join().unwrap_err().is_killed());
        while has_gone_on.try_recv().is_err() {
            yield_now();
        }
    });
    stop.send(()).unwrap();
    other.join().unwrap();
}

#[test]
fn a_storm_of_calls_during_and_after_the_end_loses_none_and_hangs_nobody() {
    for _ in 0..20 {
        let callers: Vec<_> = run(|| {
            let callers = (0..4).map(|_| {
                let remote = thread::remote();
                os::spawn(move || {
                    let (mut done, mut ended) = (0_u32, 0_u32);
                    for n in 0.. {
                        match remote.call(move || n) {
                            Ok(value) => {
                                assert_eq!(value, n);
                                done += 1;
                            }
                            Err(CallError::Failed(error)) => {
                                assert!(error.is_killed());
                                ended += 1;
                            }
                            _ => break,
                        }
                        let _ = remote.spawn(|| ());
                    }
                    assert!(
                        ended <= 2,
                        "{ended} calls were killed by the end of one run"
                    );
                    done
                })
            });
            let callers = callers.collect();
            for _ in 0..200 {
                yield_now();
            }
            callers
        });
        for caller in callers {
            caller.join().unwrap();
        }
    }
}

#[test]
fn what_nobody_will_read_is_dropped_where_the_run_was() {
    let drops = Arc::new(AtomicUsize::new(0));
    let home = os::current().id();
    run(|| {
        let remote = thread::remote();
        let mine: Vec<_> = (0..3).map(|_| Dropped(drops.clone(), home)).collect();
        os::spawn(move || {
            for one in mine {
                remote
                    .spawn(move || {
                        let _one = one;
                        unreachable!("the run never looks at its letters");
                    })
                    .unwrap();
            }
            // One whose destructor panics, in the middle.
            struct Bad;
            impl Drop for Bad {
                fn drop(&mut self) {
                    panic!("a bad destructor");
                }
            }
            let bad = Bad;
            remote.spawn(move || drop(bad)).unwrap();
        })
        .join()
        .unwrap();
    });
    assert_eq!(drops.load(Ordering::SeqCst), 3);
}

#[test]
fn a_task_that_an_unread_call_spawns_as_it_is_dropped_is_killed_before_it_begins() {
    thread_local! {
        static LATE: Cell<Option<maypole::JoinHandle<()>>> = const { Cell::new(None) };
    }
    struct Spawns(Arc<AtomicUsize>, os::ThreadId);
    impl Drop for Spawns {
        fn drop(&mut self) {
            let captured = Dropped(self.0.clone(), self.1);
            LATE.set(Some(spawn(move || {
                let _captured = captured;
                unreachable!("the run is over");
            })));
        }
    }
    let drops = Arc::new(AtomicUsize::new(0));
    run(|| {
        let remote = thread::remote();
        let spawns = Spawns(drops.clone(), os::current().id());
        let call = move || drop(spawns);
        os::spawn(move || remote.spawn(call).unwrap())
            .join()
            .unwrap();
    });
    assert_eq!(drops.load(Ordering::SeqCst), 1);
    let late = LATE.take().unwrap();
    assert!(late.is_finished());
    assert!(late.join().unwrap_err().is_killed());
}
