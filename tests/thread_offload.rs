//! Work done by other OS threads: what it borrows, its panics, kills at each step, the pool.
use maypole::io::faults;
use maypole::task::{self, Killed, Status, What, check_killed, no_yield, park, shield};
use maypole::thread::{self, offload};
use maypole::{Builder, Clock, run, scope, sleep, spawn, time, yield_now};
use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex, mpsc};
use std::thread as os;
use std::time::Duration;

fn message(payload: Box<dyn std::any::Any + Send>) -> String {
    match payload.downcast::<String>() {
        Ok(text) => *text,
        Err(payload) => payload.downcast::<&str>().unwrap().to_string(),
    }
}

/// A door that an offloaded function waits behind until the test opens it.
#[derive(Clone, Default)]
struct Door(Arc<(Mutex<bool>, std::sync::Condvar)>);

impl Door {
    fn open(&self) {
        *self.0.0.lock().unwrap() = true;
        self.0.1.notify_all();
    }

    fn pass(&self) {
        let open = self.0.0.lock().unwrap();
        drop(self.0.1.wait_while(open, |open| !*open).unwrap());
    }
}

#[test]
fn it_runs_elsewhere_and_the_other_tasks_go_on() {
    run(|| {
        let (door, turns) = (Door::default(), Rc::new(Cell::new(0)));
        let (opens, counts) = (door.clone(), turns.clone());
        spawn(move || {
            for _ in 0..10 {
                counts.set(counts.get() + 1);
                yield_now();
            }
            opens.open();
        });
        let home = os::current().id();
        let there = offload(|| {
            door.pass();
            os::current().id()
        });
        assert_ne!(there, home);
        assert_eq!(turns.get(), 10);
        assert_eq!(os::current().id(), home);
    });
}

#[test]
fn it_borrows_and_gives_back() {
    run(|| {
        let mut numbers = vec![3, 1, 2];
        let text = String::from("borrowed");
        let length = offload(|| {
            numbers.sort();
            text.len()
        });
        assert_eq!((numbers, length), (vec![1, 2, 3], 8));
        // A result that borrows.
        assert_eq!(offload(|| &text[..3]), "bor");
        // Captures are dropped where they were used up.
        let moved = text.clone();
        offload(move || drop(moved));
    });
}

#[test]
fn outside_of_a_task_it_runs_here() {
    let home = os::current().id();
    assert_eq!(offload(|| os::current().id()), home);
    run(|| {
        let (one, other) = offload(|| (os::current().id(), offload(|| os::current().id())));
        assert_eq!(one, other);
    });
}

#[test]
fn a_panic_comes_back_whole() {
    run(|| {
        let payload = catch_unwind(|| offload(|| panic_any(404_u32))).unwrap_err();
        assert_eq!(*payload.downcast::<u32>().unwrap(), 404);
        let error = spawn(|| offload(|| panic!("no luck"))).join().unwrap_err();
        assert_eq!(error.message(), Some("no luck"));
        assert_eq!(error.location().unwrap().line, line!() - 2);
        // The OS thread is none the worse for it.
        assert_eq!(offload(|| 1), 1);
    });
}

#[test]
fn a_kill_waits_for_the_function_and_comes_at_the_next_park() {
    run(|| {
        let door = Door::default();
        let (passes, log) = (door.clone(), Rc::new(RefCell::new(Vec::new())));
        let theirs = log.clone();
        let worker = spawn(move || {
            let mut buffer = [0_u8; 64];
            offload(|| {
                passes.pass();
                buffer.fill(7);
            });
            theirs.borrow_mut().push("returned");
            assert_eq!(buffer, [7; 64]);
            park();
            theirs.borrow_mut().push("not killed");
        });
        yield_now();
        assert_eq!(worker.task().status(), Status::Parked(What::Offload));
        assert_eq!(worker.kill("enough"), Killed::Shielded);
        for _ in 0..10 {
            yield_now();
        }
        assert!(!worker.is_finished());
        door.open();
        assert!(worker.join().unwrap_err().is_killed());
        assert_eq!(*log.borrow(), ["returned"]);
    });
}

#[test]
fn a_kill_before_the_hand_over_keeps_the_function_from_running() {
    run(|| {
        let ran = Arc::new(AtomicBool::new(false));
        let theirs = ran.clone();
        let worker = spawn(move || {
            task::current().kill("enough");
            offload(|| theirs.store(true, Ordering::SeqCst));
        });
        assert!(worker.join().unwrap_err().is_killed());
        assert!(!ran.load(Ordering::SeqCst));
    });
}

#[test]
fn a_timeout_waits_for_the_function_too() {
    run(|| {
        let door = Door::default();
        let opens = door.clone();
        spawn(move || {
            sleep(Duration::from_millis(20));
            opens.open();
        });
        let mut buffer = [0; 8];
        let late = time::timeout(Duration::from_millis(1), || {
            offload(|| {
                door.pass();
                buffer.fill(1);
            });
            check_killed();
            unreachable!("the time is over");
        });
        assert!(late.is_err());
        assert_eq!(buffer, [1; 8]);
    });
}

#[test]
fn scopes_and_offloads_within_each_other_are_left_in_order() {
    run(|| {
        let door = Door::default();
        let passes = door.clone();
        let outer = spawn(move || {
            let mut left = vec![0; 1000];
            let mut right = vec![0; 1000];
            scope(|s| {
                s.spawn(|| {
                    offload(|| {
                        passes.pass();
                        left.fill(1);
                    });
                    park();
                });
                s.spawn(|| {
                    let mut inner = [0; 10];
                    scope(|s| {
                        s.spawn(|| {
                            offload(|| {
                                passes.pass();
                                inner.fill(2);
                                right.fill(2);
                            });
                        });
                    });
                });
            });
        });
        yield_now();
        yield_now();
        outer.kill("enough");
        yield_now();
        assert!(!outer.is_finished());
        door.open();
        assert!(outer.join().unwrap_err().is_killed());
    });
}

#[test]
fn a_panic_of_a_sibling_waits_for_the_function() {
    run(|| {
        let door = Door::default();
        let mut buffer = [0; 16];
        let payload = catch_unwind(AssertUnwindSafe(|| {
            scope(|s| {
                s.spawn(|| {
                    offload(|| {
                        door.pass();
                        buffer.fill(3);
                    });
                });
                s.spawn(|| {
                    yield_now();
                    door.open();
                    panic!("a sibling");
                });
            });
        }))
        .unwrap_err();
        assert_eq!(message(payload), "a sibling");
        assert_eq!(buffer, [3; 16]);
    });
}

#[test]
fn it_works_in_a_destructor_that_unwinds() {
    struct Offloads<'a>(&'a Cell<u32>);
    impl Drop for Offloads<'_> {
        fn drop(&mut self) {
            let there = offload(os::panicking);
            assert!(!there && os::panicking());
            // A panic of its own is caught here, as in any destructor.
            let payload = catch_unwind(|| offload(|| panic!("within"))).unwrap_err();
            assert_eq!(message(payload), "within");
            self.0.set(self.0.get() + offload(|| 1));
        }
    }
    run(|| {
        let count = Rc::new(Cell::new(0));
        let theirs = count.clone();
        let panics = spawn(move || {
            let _offloads = Offloads(&theirs);
            panic!("unwinds");
        });
        assert_eq!(panics.join().unwrap_err().message(), Some("unwinds"));
        let theirs = count.clone();
        let killed = spawn(move || {
            let _offloads = Offloads(&theirs);
            park();
        });
        yield_now();
        killed.kill("enough");
        assert!(killed.join().unwrap_err().is_killed());
        assert_eq!(count.get(), 2);
    });
}

#[test]
fn the_end_of_a_run_waits_for_the_function_that_a_task_left_over_has() {
    let done = Arc::new(AtomicBool::new(false));
    let theirs = done.clone();
    run(|| {
        let worker = move || {
            let flag = [theirs];
            offload(|| {
                os::sleep(Duration::from_millis(30));
                flag[0].store(true, Ordering::SeqCst);
            });
        };
        spawn(worker);
        yield_now();
    });
    assert!(done.load(Ordering::SeqCst));
}

#[test]
fn a_daemons_function_keeps_the_run_from_a_deadlock_while_it_is_at_work() {
    let value = Builder::new().run(|| {
        let (sender, receiver) = maypole::channel::bounded(0);
        let serve = move || {
            let value = offload(|| {
                os::sleep(Duration::from_millis(20));
                42
            });
            sender.send(value).unwrap();
            park();
        };
        let _daemon = task::Builder::new().daemon(true).spawn(serve).unwrap();
        receiver.recv().unwrap()
    });
    assert_eq!(value.unwrap(), 42);
}

#[test]
fn virtual_time_stands_still_meanwhile() {
    Builder::new()
        .clock(Clock::Virtual)
        .run(|| {
            let start = time::now();
            let sleeper = spawn(|| sleep(Duration::from_secs(3600)));
            offload(|| os::sleep(Duration::from_millis(5)));
            assert_eq!(time::now(), start);
            assert!(!sleeper.is_finished());
            sleeper.join().unwrap();
            assert_eq!(time::now() - start, Duration::from_secs(3600));
        })
        .unwrap();
}

#[test]
fn where_parking_is_forbidden_it_is_refused_before_anything_happens() {
    run(|| {
        let refused = catch_unwind(|| no_yield(|| offload(|| unreachable!()))).unwrap_err();
        let text = message(refused);
        assert!(
            text.contains("offload at tests/thread_offload.rs"),
            "{text}"
        );
        assert!(text.contains("no_yield"), "{text}");
        let variable = maypole::stm::TVar::new(1);
        let refused = catch_unwind(AssertUnwindSafe(|| {
            maypole::stm::atomically(|tx| {
                variable.write(tx, 2);
                offload(|| ());
                Ok(())
            })
        }))
        .unwrap_err();
        assert!(message(refused).contains("inside the transaction"));
        assert_eq!(variable.get(), 1);
    });
}

#[test]
fn it_is_refused_where_schedules_are_explored() {
    let outcome = maypole::explore::Explorer::new().check(|| offload(|| ()));
    let failure = outcome.failure.unwrap();
    let text = failure.report().to_string();
    assert!(text.contains("thread::offload"), "{text}");
}

#[test]
fn beyond_the_limit_calls_wait_their_turn_first_in_first_out() {
    let order = Mutex::new(Vec::new());
    let at_work = AtomicUsize::new(0);
    Builder::new()
        .offload_limit(1)
        .run(|| {
            scope(|s| {
                for n in 0..20 {
                    let (order, at_work) = (&order, &at_work);
                    s.spawn(move || {
                        offload(move || {
                            assert_eq!(at_work.fetch_add(1, Ordering::SeqCst), 0);
                            os::yield_now();
                            order.lock().unwrap().push(n);
                            at_work.fetch_sub(1, Ordering::SeqCst);
                        });
                    });
                }
            });
        })
        .unwrap();
    assert!(order.into_inner().unwrap().into_iter().eq(0..20));
}

#[test]
fn the_pool_grows_to_what_is_needed_at_once_and_no_further() {
    Builder::new()
        .offload_limit(7)
        .run(|| {
            // All of them must be there at the same time to get past it.
            let (barrier, names) = (Barrier::new(7), Mutex::new(BTreeSet::new()));
            scope(|s| {
                for _ in 0..7 {
                    s.spawn(|| {
                        offload(|| {
                            barrier.wait();
                            names
                                .lock()
                                .unwrap()
                                .insert(format!("{:?}", os::current().id()));
                        })
                    });
                }
            });
            let seven = names.lock().unwrap().len();
            assert_eq!(seven, 7);
            for _ in 0..100 {
                offload(|| {
                    names
                        .lock()
                        .unwrap()
                        .insert(format!("{:?}", os::current().id()))
                });
            }
            assert_eq!(names.lock().unwrap().len(), 7);
        })
        .unwrap();
}

#[test]
fn one_call_after_another_takes_one_os_thread() {
    run(|| {
        let first = offload(|| os::current().id());
        for _ in 0..100 {
            assert_eq!(offload(|| os::current().id()), first);
        }
    });
}

#[test]
fn an_os_thread_that_cannot_be_had_is_named_and_nothing_is_lost() {
    const EAGAIN: i32 = 11;
    run(|| {
        let kept = Rc::new(Cell::new(0));
        let text = String::from("mine");
        faults::inject(0, u64::MAX, EAGAIN);
        // The first system calls are those that make the task wakeable: whichever fails is named.
        let refused = catch_unwind(|| offload(|| unreachable!())).unwrap_err();
        faults::lift();
        assert!(message(refused).contains("thread::offload at"));
        let _ = thread::remote();
        faults::inject(0, u64::MAX, EAGAIN);
        let refused = catch_unwind(AssertUnwindSafe(|| offload(|| text.len()))).unwrap_err();
        faults::lift();
        assert!(message(refused).contains("starts no OS thread"));
        kept.set(offload(|| text.len()));
        assert_eq!(kept.get(), 4);
    });
}

#[test]
fn where_no_further_os_thread_can_be_had_those_that_are_there_do_it() {
    run(|| {
        offload(|| ());
        let (order, door) = (Mutex::new(Vec::new()), Door::default());
        scope(|s| {
            for n in 0..10 {
                let (order, door) = (&order, &door);
                s.spawn(move || {
                    offload(move || {
                        door.pass();
                        order.lock().unwrap().push(n);
                    });
                });
            }
            // From the second on they would like an OS thread of their own.
            faults::inject(0, u64::MAX, 11);
            yield_now();
            let (_, failed) = faults::lift();
            door.open();
            assert!(failed >= 9);
        });
        assert!(order.into_inner().unwrap().into_iter().eq(0..10));
    });
}

#[test]
fn an_offloaded_function_calls_back_into_its_run() {
    run(|| {
        let tasks = Rc::new(Cell::new(0));
        let count = offload(|| {
            let remote = thread::remote();
            (0..10)
                .map(|n| remote.call(move || n).unwrap())
                .sum::<i32>()
        });
        tasks.set(count);
        assert_eq!(tasks.get(), 45);
    });
}

#[test]
fn what_is_thrown_away_is_dropped_once() {
    struct Counts(Arc<AtomicUsize>);
    impl Drop for Counts {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    run(|| {
        let drops = Arc::new(AtomicUsize::new(0));
        let capture = Counts(drops.clone());
        let value = offload(move || capture);
        assert_eq!(drops.load(Ordering::SeqCst), 0);
        drop(value);
        assert_eq!(drops.load(Ordering::SeqCst), 1);
        let capture = Counts(drops.clone());
        let killed = spawn(move || {
            let kept = offload(move || capture);
            park();
            drop(kept);
        });
        yield_now();
        killed.kill("enough");
        assert!(killed.join().is_err());
        assert_eq!(drops.load(Ordering::SeqCst), 2);
        // Killed before anything: not run, and dropped.
        let capture = Counts(drops.clone());
        let killed = spawn(move || offload(move || drop(capture)));
        killed.kill("enough");
        assert!(killed.join().is_err());
        assert_eq!(drops.load(Ordering::SeqCst), 3);
    });
}

#[test]
fn a_thousand_tasks_offload_at_once() {
    run(|| {
        let total = AtomicUsize::new(0);
        scope(|s| {
            for n in 0..1000 {
                let total = &total;
                s.spawn(move || {
                    assert_eq!(offload(|| n + 1), n + 1);
                    total.fetch_add(1, Ordering::SeqCst);
                });
            }
        });
        assert_eq!(total.into_inner(), 1000);
    });
}

#[test]
fn random_kills_under_load_leave_every_buffer_whole() {
    let mut random = 88172645463325252_u64;
    let mut below = move |n: u64| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random % n
    };
    run(|| {
        let completed = Rc::new(Cell::new(0));
        let handed = Arc::new(AtomicUsize::new(0));
        for _ in 0..30 {
            let tasks: Vec<_> = (0..20)
                .map(|n| {
                    let (completed, handed) = (completed.clone(), handed.clone());
                    spawn(move || {
                        let mut buffer = vec![0_u8; 4096];
                        loop {
                            offload(|| {
                                handed.fetch_add(1, Ordering::SeqCst);
                                buffer.fill(n);
                                if n % 3 == 0 {
                                    os::yield_now();
                                }
                                buffer.iter_mut().for_each(|byte| *byte += 1);
                            });
                            completed.set(completed.get() + 1);
                            assert!(buffer.iter().all(|byte| *byte == n + 1));
                        }
                    })
                })
                .collect();
            for task in tasks {
                for _ in 0..below(4) {
                    yield_now();
                }
                task.kill("at random");
                match below(2) {
                    0 => drop(task),
                    _ => assert!(task.join().unwrap_err().is_killed()),
                }
            }
        }
        // Whatever was handed over came back to its task.
        while handed.load(Ordering::SeqCst) != completed.get() {
            sleep(Duration::from_millis(1));
        }
        assert!(completed.get() > 0);
    });
}

#[test]
fn results_that_come_while_the_task_is_shielded_paused_or_killed_are_kept() {
    run(|| {
        let shielded = shield(|| offload(|| 1));
        let door = Door::default();
        let passes = door.clone();
        let paused = spawn(move || {
            offload(|| {
                passes.pass();
                2
            })
        });
        yield_now();
        paused.task().pause();
        door.open();
        for _ in 0..10 {
            offload(|| ());
            yield_now();
        }
        assert!(!paused.is_finished());
        paused.task().resume();
        assert_eq!(shielded + paused.join().unwrap(), 3);
    });
}

#[test]
fn two_runs_in_two_os_threads_have_pools_of_their_own() {
    let (sender, receiver) = mpsc::channel();
    let runs: Vec<_> = (0..2)
        .map(|_| {
            let sender = sender.clone();
            os::spawn(move || run(|| sender.send(offload(|| os::current().id())).unwrap()))
        })
        .collect();
    for one in runs {
        one.join().unwrap();
    }
    assert_ne!(receiver.recv().unwrap(), receiver.recv().unwrap());
}
