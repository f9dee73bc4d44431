//! The end of an embedded scheduler: dropped in any state, forgotten, outlived by its handles.
mod task_support;

use maypole::sync::Event;
use maypole::task::{Killed, Status, park};
use maypole::thread::{CallError, offload};
use maypole::{
    Budget, Builder, Clock, Scheduler, Tick, channel, run, scope, sleep, spawn, stm, yield_now,
};
use std::cell::{Cell, RefCell};
use std::panic::catch_unwind;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use task_support::{LONG, Log, OnDrop, panic_text};

/// Runs the test `name` in a process of its own, where the environment says that it is one; tells
/// what it wrote to stderr, and its exit status.
fn alone(name: &str) -> Option<(String, Option<i32>)> {
    if std::env::var_os("EMBED_ALONE").is_some() {
        return None;
    }
    let this = std::env::current_exe().unwrap();
    let output = std::process::Command::new(this)
        .args(["--exact", name, "--nocapture", "--test-threads", "1"])
        .env("EMBED_ALONE", "1")
        .output()
        .unwrap();
    let complaints = String::from_utf8_lossy(&output.stderr).into_owned();
    Some((complaints, output.status.code()))
}

#[test]
fn a_drop_ends_ten_thousand_suspended_tasks_once_each_in_the_order_of_spawning() {
    const TASKS: usize = 10_000;
    let dropped = Rc::new(RefCell::new(Vec::new()));
    let begun = Rc::new(Cell::new(0));
    let mut scheduler = Builder::new().stack_size(64 << 10).build();
    for n in 0..TASKS {
        let (dropped, begun) = (dropped.clone(), begun.clone());
        scheduler.spawn(move || {
            begun.set(begun.get() + 1);
            let _guard = OnDrop(|| dropped.borrow_mut().push(n));
            match n % 3 {
                0 => park(),
                1 => sleep(LONG),
                _ => loop {
                    yield_now();
                },
            }
        });
    }
    scheduler.tick(Budget::round());
    assert_eq!(begun.get(), TASKS);
    assert!(dropped.borrow().is_empty());
    drop(scheduler);
    assert_eq!(*dropped.borrow(), (0..TASKS).collect::<Vec<_>>());
}

#[test]
fn a_drop_before_the_first_tick_drops_what_the_tasks_captured_and_runs_nothing() {
    let log = Log::new();
    let scheduler = Builder::new().build();
    for word in ["one", "two", "three"] {
        let captured = log.on_drop(word);
        scheduler.spawn(move || {
            let _captured = captured;
            unreachable!()
        });
    }
    drop(scheduler);
    assert_eq!(log.text(), "one two three");
}

#[test]
fn a_drop_waits_for_destructors_that_wait() {
    let log = Log::new();
    let mut scheduler = Builder::new().build();
    let words = log.clone();
    scheduler.spawn(move || {
        let _guard = OnDrop(|| {
            sleep(Duration::from_millis(2));
            words.say("slept");
        });
        park();
    });
    let words = log.clone();
    scheduler.spawn(move || {
        let _guard = OnDrop(|| {
            let word = offload(|| {
                std::thread::sleep(Duration::from_millis(20));
                "offloaded"
            });
            words.say(word);
        });
        park();
    });
    let words = log.clone();
    scheduler.spawn(move || {
        let _guard = OnDrop(|| {
            let theirs = words.clone();
            let helper = spawn(move || theirs.say("helped"));
            let _ = helper.join();
            words.say("joined");
        });
        park();
    });
    scheduler.tick(Budget::round());
    drop(scheduler);
    let mut words = log.words();
    words.sort();
    assert!(words.contains(&"slept".to_string()), "{words:?}");
    assert!(words.contains(&"offloaded".to_string()), "{words:?}");
    assert!(words.contains(&"joined".to_string()), "{words:?}");
}

#[test]
fn a_drop_on_virtual_time_does_not_wait_for_it() {
    let log = Log::new();
    let mut scheduler = Builder::new().clock(Clock::Virtual).build();
    let words = log.clone();
    scheduler.spawn(move || {
        let _guard = OnDrop(|| {
            sleep(LONG);
            words.say("slept");
        });
        park();
    });
    scheduler.run_until_idle();
    drop(scheduler);
    assert_eq!(log.text(), "slept");
}

#[test]
fn a_drop_while_the_host_unwinds_runs_destructors_that_see_no_panic_of_the_host() {
    let log = Log::new();
    let innocent = std::sync::Arc::new(std::sync::Mutex::new(()));
    let text = panic_text(|| {
        let mut scheduler = Builder::new().build();
        let words = log.clone();
        scheduler.spawn(move || {
            let _guard = OnDrop(|| words.say("unwound"));
            park();
        });
        let (words, mutex) = (log.clone(), innocent.clone());
        scheduler.spawn(move || {
            if catch_unwind(park).is_err() {
                // The kill is caught here, so nothing unwinds.
                words.say(std::thread::panicking());
                drop(mutex.lock().unwrap());
            }
        });
        scheduler.run_until_idle();
        panic!("the host stumbles");
    });
    assert_eq!(text, "the host stumbles");
    assert_eq!(log.text(), "unwound false");
    assert!(!innocent.is_poisoned());
    assert_eq!(run(|| 1), 1);
}

#[test]
fn a_drop_disconnects_and_its_handles_say_how_their_tasks_ended() {
    let mut scheduler = Builder::new().build();
    let line = line!() - 1;
    let (sender, receiver) = channel::unbounded();
    let finished = scheduler.spawn(|| 1);
    let killed = scheduler.spawn(move || {
        sender.send(1).unwrap();
        park();
        drop(sender);
    });
    let panicked = scheduler.spawn(|| panic!("joined later"));
    scheduler.run_until_idle();
    let remote = scheduler.remote();
    drop(scheduler);
    assert_eq!(receiver.recv(), Ok(1));
    assert!(receiver.recv().is_err());
    assert_eq!(finished.join().unwrap(), 1);
    assert_eq!(killed.task().status(), Status::Killed);
    assert_eq!(killed.kill("late"), Killed::Finished);
    let error = killed.join().unwrap_err();
    assert_eq!(error.reason(), Some("its scheduler was dropped"));
    let place = format!("{}:{line}", file!());
    assert!(error.to_string().contains(&place), "{error}");
    assert_eq!(panicked.join().unwrap_err().message(), Some("joined later"));
    assert!(remote.spawn(|| unreachable!()).is_err());
    assert!(matches!(remote.call(|| ()), Err(CallError::Closed)));
}

#[test]
fn handles_of_one_scheduler_mean_nothing_to_the_next() {
    let (old, event) = {
        let mut scheduler = Builder::new().build();
        let event = Rc::new(Event::new());
        let waits = event.clone();
        let old = scheduler.spawn(move || waits.wait());
        scheduler.run_until_idle();
        (old, event)
    };
    let mut scheduler = Builder::new().build();
    let waits = event.clone();
    let new = scheduler.spawn(move || waits.wait());
    scheduler.run_until_idle();
    old.kill("a stranger");
    old.task().unpark();
    old.task().pause();
    assert_eq!(
        scheduler.tick(Budget::round()),
        Tick::Idle {
            next_deadline: None
        }
    );
    assert!(!new.is_finished());
    event.set();
    assert_eq!(scheduler.tick(Budget::round()), Tick::Done);
    assert!(new.join().is_ok());
    assert!(old.join().unwrap_err().is_killed());
}

#[test]
fn callers_that_wait_when_it_is_dropped_are_told() {
    let mut scheduler = Builder::new().build();
    let remote = scheduler.remote();
    let begun = std::sync::Arc::new(AtomicUsize::new(0));
    let callers: Vec<_> = (0..4)
        .map(|_| {
            let (remote, begun) = (remote.clone(), begun.clone());
            std::thread::spawn(move || {
                remote.call(move || {
                    begun.fetch_add(1, Ordering::SeqCst);
                    park();
                })
            })
        })
        .collect();
    while begun.load(Ordering::SeqCst) < 4 {
        scheduler.tick(Budget::round());
        std::thread::yield_now();
    }
    drop(scheduler);
    for caller in callers {
        let Err(CallError::Failed(error)) = caller.join().unwrap() else {
            panic!("it was killed");
        };
        assert!(error.is_killed());
    }
}

#[test]
fn letters_that_nobody_has_read_are_dropped_and_may_spawn() {
    struct Spawns(std::sync::Arc<AtomicUsize>);
    impl Drop for Spawns {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
            // In the scheduler's own OS thread, where it is about to end.
            drop(spawn(park));
        }
    }
    let dropped = std::sync::Arc::new(AtomicUsize::new(0));
    let scheduler = Builder::new().build();
    let remote = scheduler.remote();
    for _ in 0..3 {
        let captured = Spawns(dropped.clone());
        remote.spawn(move || drop(captured)).unwrap();
    }
    drop(scheduler);
    assert_eq!(dropped.load(Ordering::SeqCst), 3);
    assert_eq!(run(|| 1), 1);
}

#[test]
fn tasks_that_swallow_their_kills_do_not_keep_a_drop_from_ending() {
    let name = "tasks_that_swallow_their_kills_do_not_keep_a_drop_from_ending";
    if let Some((complaints, status)) = alone(name) {
        assert_eq!(status, Some(0), "{complaints}");
        return;
    }
    let mut scheduler = Builder::new().build();
    let swallows = scheduler.spawn(|| {
        loop {
            let _ = catch_unwind(yield_now);
        }
    });
    let parks = scheduler.spawn(|| {
        loop {
            let _ = catch_unwind(park);
        }
    });
    let scoped = scheduler.spawn(|| {
        scope(|s| {
            s.spawn(|| {
                loop {
                    let _ = catch_unwind(park);
                }
            });
        });
    });
    let log = Log::new();
    let dropped = log.on_drop("innocent");
    scheduler.spawn(move || {
        let _guard = dropped;
        park();
    });
    scheduler.tick(Budget::turns(20));
    drop(scheduler);
    assert_eq!(log.text(), "innocent");
    for handle in [swallows, parks, scoped] {
        let error = handle.join().unwrap_err();
        assert!(error.is_abandoned(), "{error}");
    }
    assert_eq!(run(|| 1), 1);
}

#[test]
fn a_scope_that_is_open_when_it_is_dropped_ends_with_its_children_first() {
    let log = Log::new();
    let mut scheduler = Builder::new().build();
    let words = log.clone();
    scheduler.spawn(move || {
        let local = vec![1, 2, 3];
        let _guard = OnDrop(|| words.say("parent"));
        scope(|s| {
            for n in &local {
                let words = &words;
                s.spawn(move || {
                    let _guard = OnDrop(|| words.say(n));
                    park();
                });
            }
        });
    });
    scheduler.run_until_idle();
    drop(scheduler);
    assert_eq!(log.text(), "1 2 3 parent");
}

#[test]
fn panics_that_nobody_joined_are_named_when_it_is_dropped() {
    let name = "panics_that_nobody_joined_are_named_when_it_is_dropped";
    if let Some((complaints, status)) = alone(name) {
        assert_eq!(status, Some(0), "{complaints}");
        let named = complaints.split("maypole: finished; ").nth(1).unwrap();
        let head = "2 tasks panicked and nobody joined them:";
        assert!(named.starts_with(head), "{complaints}");
        for message in ["nobody joins this", "nor this"] {
            assert!(named.contains(message), "{complaints}");
        }
        assert!(!named.contains("somebody joins this"), "{complaints}");
        return;
    }
    let mut scheduler = Builder::new().fail_on_unjoined_panic(true).build();
    drop(scheduler.spawn(|| panic!("nobody joins this")));
    let joined = scheduler.spawn(|| panic!("somebody joins this"));
    scheduler.run_until_idle();
    assert!(joined.join().unwrap_err().is_panic());
    scheduler.spawn(|| {
        let _guard = OnDrop(|| {
            let _ = catch_unwind(|| panic!("caught"));
        });
        if catch_unwind(park).is_err() {
            panic!("nor this");
        }
    });
    scheduler.run_until_idle();
    drop(scheduler);
}

#[test]
fn a_forgotten_one_leaks_and_its_os_thread_stays_taken_and_says_so() {
    std::thread::spawn(|| {
        let mut scheduler = Builder::new().build();
        let line = line!() - 1;
        let log = Log::new();
        let dropped = log.on_drop("dropped");
        let (sender, receiver) = channel::unbounded::<u32>();
        let handle = scheduler.spawn(move || {
            let _guard = dropped;
            receiver.recv()
        });
        scheduler.run_until_idle();
        let remote = scheduler.remote();
        std::mem::forget(scheduler);
        // Its tasks are still there, and whatever is done to them is done in vain.
        sender.send(1).unwrap();
        assert_eq!(handle.task().status(), Status::Ready);
        handle.kill("in vain");
        drop(spawn(|| unreachable!()));
        assert!(remote.spawn(|| unreachable!()).is_ok());
        for text in [
            panic_text(|| run(|| ())),
            panic_text(|| Builder::new().build()),
        ] {
            let expected = format!("the scheduler built at {}:{line}:", file!());
            assert!(text.contains(&expected), "{text}");
        }
        drop((sender, handle));
        assert_eq!(log.text(), "");
    })
    .join()
    .unwrap();
    assert_eq!(run(|| 1), 1);
}

#[test]
fn a_forgotten_one_keeps_what_its_tasks_lent_to_other_os_threads() {
    let (begun, wait) = (std::sync::mpsc::channel(), std::sync::mpsc::channel::<()>());
    let (begins, seen) = (begun.0, wait.1);
    let seen = std::sync::Mutex::new(seen);
    let sums = std::sync::Arc::new(AtomicUsize::new(0));
    let total = sums.clone();
    std::thread::spawn(move || {
        let mut scheduler = Builder::new().build();
        scheduler.spawn(move || {
            let lent = [1_usize; 1000];
            offload(|| {
                begins.send(()).unwrap();
                let _ = seen.lock().unwrap().recv();
                // The OS thread of the task is gone; its stack is not.
                total.fetch_add(lent.iter().sum(), Ordering::SeqCst);
            });
        });
        scheduler.run_until_idle();
        std::mem::forget(scheduler);
    })
    .join()
    .unwrap();
    begun.1.recv().unwrap();
    drop(wait.0);
    let start = std::time::Instant::now();
    while sums.load(Ordering::SeqCst) == 0 {
        assert!(start.elapsed() < Duration::from_secs(60));
        std::thread::yield_now();
    }
    assert_eq!(sums.load(Ordering::SeqCst), 1000);
}

thread_local! {
    static KEPT: RefCell<Option<Scheduler>> = const { RefCell::new(None) };
}

/// Of a thread-local, beside those of the crate: the oldest is destroyed last.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Age {
    Oldest,
    Youngest,
}

/// What a thread-local scheduler does when its OS thread ends; `early` things are done before it
/// moves into its place, `late` ones after.
fn dies_with_its_thread(early: fn(&Scheduler), late: fn(&Scheduler), age: Age) -> usize {
    let dropped = std::sync::Arc::new(AtomicUsize::new(0));
    let counted = dropped.clone();
    std::thread::spawn(move || {
        if age == Age::Oldest {
            KEPT.set(None);
        }
        let mut scheduler = Builder::new().build();
        early(&scheduler);
        for n in 0..4 {
            let counted = counted.clone();
            scheduler.spawn(move || {
                let _guard = OnDrop(|| {
                    match n {
                        0 => yield_now(),
                        1 => sleep(Duration::from_millis(1)),
                        2 => drop(spawn(yield_now).join()),
                        _ => {}
                    }
                    counted.fetch_add(1, Ordering::SeqCst);
                });
                park();
            });
        }
        scheduler.run_until_idle();
        KEPT.set(Some(scheduler));
        KEPT.with_borrow(|kept| late(kept.as_ref().unwrap()));
    })
    .join()
    .unwrap();
    dropped.load(Ordering::SeqCst)
}

#[test]
fn a_drop_in_a_destructor_of_a_thread_local_runs_all_destructors() {
    fn nothing(_: &Scheduler) {}
    fn uses_the_outside(scheduler: &Scheduler) {
        use std::os::fd::AsFd;
        drop(scheduler.remote());
        let _ = scheduler.as_fd();
    }
    for age in [Age::Oldest, Age::Youngest] {
        for (early, late) in [
            (nothing as fn(&Scheduler), nothing as fn(&Scheduler)),
            (uses_the_outside, nothing),
            (nothing, uses_the_outside),
        ] {
            assert_eq!(dies_with_its_thread(early, late, age), 4);
        }
    }
}

#[test]
fn a_tick_in_a_destructor_of_a_thread_local_runs_tasks() {
    struct TicksAtTheEnd(Option<Scheduler>, std::sync::Arc<AtomicUsize>);
    impl Drop for TicksAtTheEnd {
        fn drop(&mut self) {
            let mut scheduler = self.0.take().unwrap();
            let counted = self.1.clone();
            scheduler.spawn(move || {
                yield_now();
                sleep(Duration::from_millis(1));
                counted.fetch_add(1, Ordering::SeqCst);
            });
            while scheduler.tick(Budget::turns(1)) != Tick::Done {
                std::thread::yield_now();
            }
        }
    }
    thread_local! {
        static TICKS: RefCell<Option<TicksAtTheEnd>> = const { RefCell::new(None) };
    }
    for uses_the_outside in [false, true] {
        let counted = std::sync::Arc::new(AtomicUsize::new(0));
        let theirs = counted.clone();
        std::thread::spawn(move || {
            TICKS.set(None); // the oldest, and so destroyed last
            let scheduler = Builder::new().build();
            TICKS.set(Some(TicksAtTheEnd(Some(scheduler), theirs)));
            if uses_the_outside {
                drop(maypole::thread::remote());
            }
        })
        .join()
        .unwrap();
        assert_eq!(counted.load(Ordering::SeqCst), 1);
    }
}

#[test]
fn offloads_that_are_out_when_thread_locals_are_destroyed_are_waited_for() {
    let done = std::sync::Arc::new(AtomicUsize::new(0));
    let counted = done.clone();
    std::thread::spawn(move || {
        KEPT.set(None); // older than what the scheduler needs, and so destroyed later
        let mut scheduler = Builder::new().build();
        scheduler.spawn(move || {
            let lent = [1_usize; 100];
            let sum = offload(|| {
                std::thread::sleep(Duration::from_millis(50));
                lent.iter().sum()
            });
            counted.fetch_add(sum, Ordering::SeqCst);
        });
        scheduler.run_until_idle();
        KEPT.set(Some(scheduler));
    })
    .join()
    .unwrap();
    assert_eq!(done.load(Ordering::SeqCst), 100);
}

#[test]
fn a_task_may_end_the_process_though_its_scheduler_is_a_thread_local() {
    let name = "a_task_may_end_the_process_though_its_scheduler_is_a_thread_local";
    if let Some((complaints, status)) = alone(name) {
        assert_eq!(status, Some(7), "{complaints}");
        return;
    }
    KEPT.set(Some(Builder::new().build()));
    KEPT.with_borrow_mut(|kept| {
        let scheduler = kept.as_mut().unwrap();
        scheduler.spawn(|| {
            let _guard = OnDrop(|| unreachable!());
            park();
        });
        scheduler.spawn(|| std::process::exit(7));
        scheduler.run_until_idle();
    });
}

#[test]
fn a_drop_inside_of_a_transaction_leaks_the_tasks_and_says_so() {
    let name = "a_drop_inside_of_a_transaction_leaks_the_tasks_and_says_so";
    if let Some((complaints, status)) = alone(name) {
        assert_eq!(status, Some(0), "{complaints}");
        assert!(
            complaints.contains("is dropped inside the transaction begun at tests/embed_life.rs:"),
            "{complaints}"
        );
        return;
    }
    let variable = stm::TVar::new(0);
    let scheduler = RefCell::new(Some(Builder::new().build()));
    let dropped = Log::new();
    let guard = dropped.on_drop("dropped");
    let watched = variable.clone();
    let parked = scheduler.borrow().as_ref().unwrap().spawn(move || {
        let _guard = guard;
        stm::atomically(|tx| stm::check(watched.read(tx) > 0));
    });
    scheduler.borrow_mut().as_mut().unwrap().run_until_idle();
    stm::atomically(|tx| {
        variable.write(tx, 1);
        drop(scheduler.take());
        Ok(())
    });
    assert!(parked.join().unwrap_err().is_abandoned());
    assert_eq!(dropped.text(), "");
    variable.set(2);
    assert_eq!(run(|| 1), 1);
}

#[test]
fn a_drop_in_a_transaction_that_unwinds_runs_the_destructors() {
    let variable = stm::TVar::new(0);
    let log = Log::new();
    let mut scheduler = Builder::new().build();
    let (words, read) = (log.clone(), variable.clone());
    scheduler.spawn(move || {
        let _guard = OnDrop(|| words.say(read.get()));
        park();
    });
    scheduler.run_until_idle();
    let holder = RefCell::new(Some(scheduler));
    let text = panic_text(|| {
        stm::atomically(|tx| -> Result<(), stm::Stop> {
            variable.write(tx, 1);
            let _scheduler = holder.take();
            panic!("undone")
        })
    });
    assert_eq!(text, "undone");
    // What the transaction wrote is undone before others look.
    assert_eq!(log.text(), "0");
}
