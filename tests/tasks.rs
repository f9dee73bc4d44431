//! Spawning and joining: values, handles, the budget, and the end of a run.
mod task_support;

use maypole::task::{Status, park, race};
use maypole::{Builder, Clock, JoinHandle, RunError, run, sleep, spawn, yield_now};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;
use task_support::{LONG, Log, OnDrop, panic_text, virtually, yield_times};

#[test]
fn join_gives_the_value_of_a_task_that_had_to_be_waited_for() {
    let sum = run(|| {
        let handles: Vec<_> = (1..=10)
            .map(|n| {
                spawn(move || {
                    yield_times(n);
                    n
                })
            })
            .collect();
        handles
            .into_iter()
            .map(|handle| handle.join().unwrap())
            .sum::<usize>()
    });
    assert_eq!(sum, 55);
}

#[test]
fn join_after_the_end_gives_the_value_at_once() {
    run(|| {
        let handle = spawn(|| vec![1, 2, 3]);
        assert!(!handle.is_finished());
        yield_now();
        assert!(handle.is_finished());
        assert_eq!(handle.join().unwrap(), [1, 2, 3]);
    });
}

#[test]
fn three_tasks_of_three_steps_take_turns_in_the_order_of_spawning() {
    let log = Log::new();
    run(|| {
        for name in ["a", "b", "c"] {
            let log = log.clone();
            spawn(move || {
                for step in 0..3 {
                    log.say(format!("{name}{step}"));
                    yield_now();
                }
            });
        }
        yield_times(4);
    });
    assert_eq!(log.text(), "a0 b0 c0 a1 b1 c1 a2 b2 c2");
}

#[test]
fn a_yield_returns_after_one_pass_of_the_other_ready_tasks() {
    let turns = Rc::new(Cell::new(0));
    run(|| {
        for _ in 0..7 {
            let turns = turns.clone();
            spawn(move || {
                loop {
                    turns.set(turns.get() + 1);
                    yield_now();
                }
            });
        }
        for pass in 1..=5 {
            yield_now();
            assert_eq!(turns.get(), 7 * pass);
        }
    });
}

#[test]
fn the_first_call_of_a_task_that_need_not_wait_does_not_switch() {
    let log = Log::new();
    run(|| {
        let done = spawn(|| ());
        yield_now();
        let theirs = log.clone();
        spawn(move || theirs.say("other"));
        done.join().unwrap();
        log.say("main");
        yield_now();
    });
    assert_eq!(log.text(), "main other");
}

#[test]
fn joins_of_finished_tasks_do_not_starve_another_task() {
    let log = Log::new();
    run(|| {
        let finished: Vec<_> = (0..1000).map(|_| spawn(|| ())).collect();
        yield_now();
        assert!(finished.iter().all(JoinHandle::is_finished));
        let passes = Rc::new(Cell::new(0));
        let theirs = passes.clone();
        spawn(move || {
            loop {
                theirs.set(theirs.get() + 1);
                yield_now();
            }
        });
        let mut at_pass = Vec::new();
        for (joined, handle) in finished.into_iter().enumerate() {
            let before = passes.get();
            handle.join().unwrap();
            if passes.get() > before {
                at_pass.push(joined);
            }
        }
        let gaps: Vec<usize> = at_pass.windows(2).map(|pair| pair[1] - pair[0]).collect();
        log.say(format!("{gaps:?}"));
    });
    assert_eq!(log.text(), "[128, 128, 128, 128, 128, 128]");
}

#[test]
fn a_dropped_handle_detaches_its_task() {
    let log = Log::new();
    run(|| {
        let theirs = log.clone();
        drop(spawn(move || {
            yield_now();
            theirs.say("went on");
        }));
        yield_times(3);
    });
    assert_eq!(log.text(), "went on");
}

#[test]
fn the_value_of_a_detached_task_is_dropped_when_the_task_ends() {
    let log = Log::new();
    run(|| {
        let value = log.on_drop("value");
        drop(spawn(move || value));
        yield_now();
        log.say("main");
    });
    assert_eq!(log.text(), "value main");
}

#[test]
fn the_value_is_dropped_with_the_handle_of_a_finished_task() {
    let log = Log::new();
    run(|| {
        let value = log.on_drop("value");
        let handle = spawn(move || value);
        yield_now();
        log.say("main");
        drop(handle);
    });
    assert_eq!(log.text(), "main value");
}

#[test]
fn forgotten_handles_do_no_harm() {
    let log = Log::new();
    run(|| {
        let theirs = log.clone();
        std::mem::forget(spawn(move || {
            yield_now();
            theirs.say("ran");
        }));
        std::mem::forget(spawn(|| sleep(LONG)));
        yield_times(3);
    });
    assert_eq!(log.text(), "ran");
}

#[test]
fn join_timeout_gives_up_on_time_and_the_task_can_be_joined_later() {
    virtually(|| {
        let mut handle = spawn(|| {
            sleep(Duration::from_secs(10));
            "done"
        });
        let start = maypole::time::now();
        assert!(handle.join_timeout(Duration::from_secs(3)).is_none());
        assert_eq!(maypole::time::now() - start, Duration::from_secs(3));
        assert_eq!(handle.join().unwrap(), "done");
        assert_eq!(maypole::time::now() - start, Duration::from_secs(10));
    });
}

#[test]
fn join_timeout_gives_the_value_when_the_task_ends_in_time() {
    virtually(|| {
        let mut handle = spawn(|| sleep(Duration::from_secs(1)));
        let start = maypole::time::now();
        assert!(handle.join_timeout(Duration::from_secs(3)).unwrap().is_ok());
        assert_eq!(maypole::time::now() - start, Duration::from_secs(1));
    });
}

#[test]
fn join_timeout_of_no_length_looks_once() {
    virtually(|| {
        let mut handle = spawn(|| 3);
        assert_eq!(
            handle.join_timeout(Duration::ZERO).map(Result::unwrap),
            Some(3)
        );
        let mut handle = spawn(|| sleep(LONG));
        assert!(handle.join_timeout(Duration::ZERO).is_none());
        assert_eq!(
            handle.join_timeout(2 * LONG).map(|result| result.is_ok()),
            Some(true)
        );
    });
}

#[test]
fn join_timeout_for_ever_waits_for_the_end() {
    virtually(|| {
        let mut handle = spawn(|| {
            sleep(LONG);
            1
        });
        assert_eq!(
            handle.join_timeout(Duration::MAX).map(Result::unwrap),
            Some(1)
        );
    });
}

#[test]
fn a_second_join_says_that_the_result_is_gone() {
    run(|| {
        let mut handle = spawn(|| 3);
        assert!(handle.join_timeout(Duration::MAX).is_some());
        let text = panic_text(|| handle.join_timeout(Duration::ZERO));
        assert!(text.contains("joined before"), "{text}");
        let text = panic_text(|| handle.join());
        assert!(text.contains("joined before"), "{text}");
    });
}

#[test]
fn a_handle_of_an_ended_run_still_gives_its_result() {
    let mut timed = None;
    let handle = run(|| {
        timed = Some(spawn(|| 8));
        let handle = spawn(|| 7);
        yield_now();
        handle
    });
    assert!(handle.is_finished());
    assert_eq!(handle.join().unwrap(), 7);
    let result = timed.unwrap().join_timeout(Duration::from_secs(1));
    assert_eq!(result.map(Result::unwrap), Some(8));
}

#[test]
fn a_handle_of_a_task_that_the_end_of_the_run_killed_says_so() {
    let handle = run(|| spawn(|| sleep(LONG)));
    assert_eq!(handle.task().status(), Status::Killed);
    let error = handle.join().unwrap_err();
    assert_eq!(error.reason(), Some("the end of the run"));
}

#[test]
fn a_task_that_joins_itself_is_reported_as_a_deadlock() {
    let stuck = Builder::new().run(|| {
        let own: Rc<RefCell<Option<JoinHandle<()>>>> = Rc::default();
        let theirs = own.clone();
        let narcissus = maypole::task::Builder::new()
            .name("narcissus")
            .spawn(move || {
                let own = theirs.borrow_mut().take().unwrap();
                let _ = own.join();
            })
            .unwrap();
        *own.borrow_mut() = Some(narcissus);
        park();
    });
    let Err(RunError::Deadlock(report)) = stuck else {
        panic!("nobody can end it");
    };
    let report = report.to_string();
    assert!(
        report.contains("#2 narcissus  joins narcissus at "),
        "{report}"
    );
    assert!(
        report.contains("#1 main       waits to be unparked at "),
        "{report}"
    );
}

#[test]
fn main_may_borrow_and_give_back() {
    let mut numbers = vec![1];
    let length = run(|| {
        yield_now();
        numbers.push(2);
        numbers.len()
    });
    assert_eq!((length, numbers), (2, vec![1, 2]));
}

#[test]
fn thousands_of_spawns_from_a_running_task_move_nothing_under_its_feet() {
    let sum = Builder::new()
        .stack_size(64 << 10)
        .run(|| {
            let spawner = spawn(|| {
                let local = [7u64; 64];
                let handles: Vec<_> = (0..3000u64)
                    .map(|n| {
                        spawn(move || {
                            yield_now();
                            n
                        })
                    })
                    .collect();
                assert_eq!(local, [7; 64]);
                handles
                    .into_iter()
                    .map(|handle| handle.join().unwrap())
                    .sum::<u64>()
            });
            spawner.join().unwrap()
        })
        .unwrap();
    assert_eq!(sum, 3000 * 2999 / 2);
}

#[test]
fn a_chain_of_five_thousand_tasks_that_own_each_other_s_handles_ends() {
    let dropped = Rc::new(Cell::new(0));
    Builder::new()
        .stack_size(64 << 10)
        .run(|| {
            let mut head: Option<JoinHandle<()>> = None;
            for _ in 0..5000 {
                let (next, dropped) = (head.take(), dropped.clone());
                head = Some(spawn(move || {
                    let _guard = OnDrop(|| dropped.set(dropped.get() + 1));
                    let _next = next;
                    park();
                }));
            }
            yield_now();
            let head = head.unwrap();
            head.kill("the head");
            assert!(head.join().unwrap_err().is_killed());
            assert_eq!(dropped.get(), 1, "a dropped handle detaches");
        })
        .unwrap();
    assert_eq!(dropped.get(), 5000);
}

#[test]
fn a_chain_of_joins_passes_a_value_on() {
    let value = Builder::new()
        .stack_size(64 << 10)
        .run(|| {
            let mut last = spawn(|| 0);
            for _ in 0..5000 {
                let before = last;
                last = spawn(move || before.join().unwrap() + 1);
            }
            last.join().unwrap()
        })
        .unwrap();
    assert_eq!(value, 5000);
}

#[test]
fn a_slot_that_is_used_again_does_not_lead_an_old_handle_to_a_stranger() {
    run(|| {
        let old = spawn(|| ());
        let old_task = old.task().clone();
        old.join().unwrap();
        let stranger = spawn(|| {
            park();
            "untouched"
        });
        assert_ne!(old_task, *stranger.task());
        yield_now();
        assert_eq!(old_task.kill("a mistake"), maypole::task::Killed::Finished);
        old_task.pause();
        old_task.unpark();
        yield_now();
        assert_eq!(old_task.status(), Status::Finished);
        assert!(matches!(stranger.task().status(), Status::Parked(_)));
        stranger.task().unpark();
        assert_eq!(stranger.join().unwrap(), "untouched");
    });
}

#[test]
fn a_handle_of_an_earlier_run_does_nothing_to_a_task_of_a_later_one() {
    let old = run(|| spawn(park));
    run(|| {
        let stranger = spawn(|| {
            park();
            "untouched"
        });
        assert_ne!(old.task(), stranger.task());
        yield_now();
        assert_eq!(old.kill("a mistake"), maypole::task::Killed::Finished);
        old.task().pause();
        old.task().resume();
        old.task().unpark();
        yield_now();
        assert!(matches!(stranger.task().status(), Status::Parked(_)));
        stranger.task().unpark();
        assert_eq!(stranger.join().unwrap(), "untouched");
    });
    assert!(old.join().unwrap_err().is_killed());
}

#[test]
fn runs_in_several_os_threads_do_not_see_each_other() {
    let threads: Vec<_> = (0..4)
        .map(|n| {
            std::thread::spawn(move || {
                (0..20)
                    .map(|_| {
                        run(|| {
                            let doubled = spawn(move || {
                                yield_now();
                                2 * n
                            });
                            doubled.join().unwrap()
                        })
                    })
                    .sum::<usize>()
            })
        })
        .collect();
    let sums: Vec<usize> = threads
        .into_iter()
        .map(|thread| thread.join().unwrap())
        .collect();
    assert_eq!(sums, [0, 40, 80, 120]);
}

#[test]
fn a_run_may_happen_in_the_destructor_of_a_thread_local() {
    use std::sync::atomic::{AtomicU32, Ordering};
    static RESULT: AtomicU32 = AtomicU32::new(0);
    struct Last;
    impl Drop for Last {
        fn drop(&mut self) {
            let value = run(|| {
                let child = spawn(|| {
                    yield_now();
                    3
                });
                child.join().unwrap()
            });
            RESULT.store(value, Ordering::SeqCst);
        }
    }
    thread_local!(static LAST: Last = const { Last });
    std::thread::spawn(|| {
        LAST.with(|_| ());
        run(yield_now);
    })
    .join()
    .unwrap();
    assert_eq!(RESULT.load(Ordering::SeqCst), 3);
}

#[test]
fn a_run_may_happen_while_the_os_thread_unwinds() {
    let log = Log::new();
    let theirs = log.clone();
    panic_text(move || {
        let _guard = OnDrop(|| {
            assert!(std::thread::panicking());
            run(|| {
                assert!(!std::thread::panicking());
                spawn(park);
                yield_now();
            });
            assert!(std::thread::panicking());
            theirs.say("ran");
        });
        panic!("outer");
    });
    assert!(!std::thread::panicking());
    assert_eq!(log.text(), "ran");
}

#[test]
fn virtual_time_and_real_names_live_side_by_side() {
    let won = Builder::new()
        .clock(Clock::Virtual)
        .run(|| race([3u64, 1, 2].map(|days| move || sleep(Duration::from_secs(days * 86_400)))))
        .is_ok();
    assert!(won);
}

#[test]
fn a_task_is_named_after_its_spawn_site_unless_it_is_given_a_name() {
    run(|| {
        let line = line!() + 1;
        let handle = spawn(|| maypole::task::current().name().to_string());
        assert_eq!(handle.task().name(), format!("{}:{line}", file!()));
        assert_eq!(handle.join().unwrap(), format!("{}:{line}", file!()));
        let named = maypole::task::Builder::new()
            .name("fetch")
            .spawn(|| ())
            .unwrap();
        assert_eq!(named.task().name(), "fetch");
    });
}

#[test]
fn results_may_be_closures_and_shared_values() {
    run(|| {
        let shared = Rc::new(Cell::new(1));
        let theirs = shared.clone();
        let handle = spawn(move || {
            let inner = theirs.clone();
            (
                theirs,
                Box::new(move || inner.get() + 1) as Box<dyn Fn() -> i32>,
            )
        });
        let (back, add) = handle.join().unwrap();
        back.set(41);
        assert_eq!(add(), 42);
        assert!(Rc::ptr_eq(&back, &shared));
    });
}
