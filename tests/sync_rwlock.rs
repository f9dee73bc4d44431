//! The lock for readers and writers: who comes in with whom, who waits, and what kills leave of it.
mod steps;

use maypole::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};
use maypole::task::{Killed, Status, What, no_yield, park};
use maypole::time::{now, timeout};
use maypole::{Builder, JoinHandle, RunError, run, scope, sleep, spawn, yield_now};
use std::cell::RefCell;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::rc::Rc;
use std::time::Duration;
use steps::{Log, OnDrop, is_on_its_own, message_of, ms, on_its_own, on_virtual_time};

/// A reader that says when it is in, and stays for one turn.
fn reader(lock: &Rc<RwLock<u32>>, log: &Log, name: &'static str) -> JoinHandle<u32> {
    let (lock, log) = (lock.clone(), log.clone());
    spawn(move || {
        let value = lock.read();
        log.add(name);
        yield_now();
        *value
    })
}

/// A writer that says when it is in, and stays for one turn.
fn writer(lock: &Rc<RwLock<u32>>, log: &Log, name: &'static str) -> JoinHandle<()> {
    let (lock, log) = (lock.clone(), log.clone());
    spawn(move || {
        let mut value = lock.write();
        log.add(name);
        yield_now();
        *value += 1;
    })
}

#[test]
fn a_free_lock_needs_no_run() {
    let lock = RwLock::new(1);
    *lock.write() += 1;
    *lock.try_write().unwrap() += 1;
    *lock.write_timeout(ms(1)).unwrap() += 1;
    let all = (lock.read(), lock.try_read(), lock.read_timeout(ms(1)));
    assert_eq!(*all.0, 4);
    drop(all);
    assert_eq!(lock.into_inner(), 4);
}

#[test]
fn waiting_outside_of_a_run_panics_by_name() {
    let lock = RwLock::new(0);
    let _reader = lock.read();
    let message = message_of(|| lock.write());
    assert!(
        message.contains("write") && message.contains("maypole::run"),
        "{message}"
    );
}

#[test]
fn readers_are_in_together_and_a_writer_is_alone() {
    run(|| {
        let (lock, log) = (Rc::new(RwLock::new(0)), Log::new());
        let readers = ["r1", "r2", "r3"].map(|name| reader(&lock, &log, name));
        let alone = writer(&lock, &log, "w");
        yield_now();
        assert_eq!(log.text(), "r1 r2 r3");
        assert_eq!(alone.task().status(), Status::Parked(What::Write));
        let late = reader(&lock, &log, "late");
        alone.join().unwrap();
        assert_eq!(late.join().unwrap(), 1);
        assert_eq!(readers.map(|reader| reader.join().unwrap()), [0; 3]);
        assert_eq!(log.text(), "r1 r2 r3 w late");
    });
}

#[test]
fn a_writer_is_not_starved_by_readers_that_come_after_it() {
    run(|| {
        let (lock, log) = (Rc::new(RwLock::new(0)), Log::new());
        let inside = lock.read();
        let first = writer(&lock, &log, "w");
        yield_now();
        let late = reader(&lock, &log, "r");
        yield_now();
        // There would be room for the reader, but the writer was first.
        assert_eq!(late.task().status(), Status::Parked(What::Read));
        assert!(lock.try_read().is_none());
        drop(inside);
        assert_eq!(late.join().unwrap(), 1);
        first.join().unwrap();
        assert_eq!(log.text(), "w r");
    });
}

#[test]
fn the_line_is_first_in_first_out_and_neighbouring_readers_come_in_together() {
    on_virtual_time(|| {
        let (lock, log) = (Rc::new(RwLock::new(0)), Log::new());
        let inside = lock.write();
        let w1 = writer(&lock, &log, "w1");
        let r1 = reader(&lock, &log, "r1");
        let r2 = reader(&lock, &log, "r2");
        let w2 = writer(&lock, &log, "w2");
        let r3 = reader(&lock, &log, "r3");
        yield_now();
        drop(inside);
        w1.join().unwrap();
        yield_now();
        assert_eq!(log.text(), "w1 r1 r2");
        assert_eq!((r1.join().unwrap(), r2.join().unwrap()), (1, 1));
        w2.join().unwrap();
        assert_eq!(r3.join().unwrap(), 2);
        assert_eq!(log.text(), "w1 r1 r2 w2 r3");
    });
}

#[test]
fn nobody_comes_between_an_unlock_and_the_task_that_it_woke() {
    run(|| {
        let (lock, log) = (Rc::new(RwLock::new(0)), Log::new());
        let inside = lock.read();
        let next = writer(&lock, &log, "w");
        yield_now();
        drop(inside);
        assert!(lock.try_read().is_none() && lock.try_write().is_none());
        assert_eq!(*lock.read(), 1);
        next.join().unwrap();
    });
}

#[test]
fn a_deadline_that_comes_first_gives_none() {
    on_virtual_time(|| {
        let (lock, start) = (Rc::new(RwLock::new(0)), now());
        let theirs = lock.clone();
        let holder = spawn(move || {
            let _guard = theirs.write();
            sleep(ms(100));
        });
        yield_now();
        assert!(lock.read_timeout(ms(10)).is_none());
        assert!(lock.write_timeout(ms(10)).is_none());
        assert!(lock.read_deadline(start + ms(30)).is_none());
        assert!(lock.write_deadline(start + ms(40)).is_none());
        assert_eq!(now() - start, ms(40));
        assert!(lock.read_timeout(Duration::MAX).is_some());
        holder.join().unwrap();
        assert!(lock.try_write().is_some());
    });
}

#[test]
fn a_writer_that_gives_up_lets_the_readers_behind_it_in() {
    on_virtual_time(|| {
        let (lock, log) = (Rc::new(RwLock::new(0)), Log::new());
        let inside = lock.read();
        let start = now();
        let theirs = lock.clone();
        let late = spawn(move || theirs.write_timeout(ms(10)).is_none());
        let bounded = lock.clone();
        yield_now();
        let behind = reader(&lock, &log, "behind");
        behind.join().unwrap();
        assert_eq!(now() - start, ms(10));
        assert!(late.join().unwrap());

        let late = spawn(move || timeout(ms(10), || drop(bounded.write())).is_err());
        yield_now();
        let behind = reader(&lock, &log, "behind");
        behind.join().unwrap();
        assert!(late.join().unwrap());
        assert_eq!((*inside, now() - start), (0, ms(20)));
    });
}

#[test]
fn a_killed_writer_lets_the_readers_behind_it_in() {
    run(|| {
        let (lock, log) = (Rc::new(RwLock::new(0)), Log::new());
        let inside = lock.read();
        let victim = writer(&lock, &log, "never");
        yield_now();
        let behind = reader(&lock, &log, "behind");
        yield_now();
        assert_eq!(victim.kill("not needed"), Killed::Parked);
        assert_eq!(behind.join().unwrap(), 0);
        assert!(victim.join().unwrap_err().is_killed());
        drop(inside);
        assert!(lock.try_write().is_some());
    });
}

#[test]
fn a_killed_reader_leaves_the_line() {
    run(|| {
        let (lock, log) = (Rc::new(RwLock::new(0)), Log::new());
        let inside = lock.write();
        let victim = reader(&lock, &log, "never");
        let next = writer(&lock, &log, "w");
        yield_now();
        victim.kill("not needed");
        drop(inside);
        next.join().unwrap();
        assert!(victim.join().unwrap_err().is_killed());
        assert_eq!(log.text(), "w");
    });
}

#[test]
fn a_kill_after_the_hand_over_waits_for_the_next_park_and_gives_back() {
    run(|| {
        let (lock, log) = (Rc::new(RwLock::new(0)), Log::new());
        for share in ["reads", "writes"] {
            let inside = lock.write();
            let victim = match share {
                "reads" => reader(&lock, &log, share).task().clone(),
                _ => writer(&lock, &log, share).task().clone(),
            };
            yield_now();
            drop(inside);
            assert_eq!(victim.kill("too late"), Killed::Ready);
            yield_now();
            yield_now();
            assert_eq!(victim.status(), Status::Killed);
            assert!(lock.try_write().is_some());
        }
        assert_eq!(log.text(), "reads writes");
    });
}

#[test]
fn holders_that_are_killed_or_panic_give_back_and_poison_nothing() {
    run(|| {
        let lock = Rc::new(RwLock::new(0));
        let theirs = lock.clone();
        let panics = spawn(move || {
            *theirs.write() += 1;
            let _guard = theirs.write();
            yield_now();
            panic!("with the lock");
        });
        yield_now();
        assert_eq!(*lock.read(), 1);
        assert!(panics.join().unwrap_err().is_panic());
        let theirs = lock.clone();
        let killed = spawn(move || {
            let _guard = theirs.read();
            park();
        });
        yield_now();
        killed.kill("enough");
        *lock.write() += 1;
        assert!(killed.join().unwrap_err().is_killed());
    });
}

#[test]
fn a_destructor_may_lock_while_its_task_is_killed() {
    run(|| {
        let lock = Rc::new(RwLock::new(0));
        let theirs = lock.clone();
        let victim = spawn(move || {
            let _cleanup = OnDrop(|| *theirs.write() += 1);
            park();
        });
        yield_now();
        let inside = lock.read();
        victim.kill("enough");
        yield_now();
        assert!(!victim.is_finished());
        drop(inside);
        assert!(victim.join().unwrap_err().is_killed());
        assert_eq!(*lock.read(), 1);
    });
}

// ── owners ───────────────────────────────────────────────────────────────────────────────────

#[test]
fn a_task_that_would_wait_for_its_own_guard_panics_with_both_places() {
    run(|| {
        let lock = RwLock::named("settings", 0);
        for (first, second) in [("read", "write"), ("write", "read"), ("write", "write")] {
            let before = line!() + 1;
            let guards = match first {
                "read" => (Some(lock.read()), None),
                _ => (None, Some(lock.write())),
            };
            let message = message_of(|| match second {
                "read" => drop(lock.read()),
                _ => drop(lock.write()),
            });
            assert!(message.contains("RwLock 'settings'"), "{message}");
            assert!(message.contains("wait for itself"), "{message}");
            let offset = u32::from(first == "write");
            let place = format!("{}:{}:", file!(), before + 1 + offset);
            assert!(message.contains(&place), "{place} is not in: {message}");
            drop(guards);
        }
        *lock.write() += 1;
    });
}

#[test]
fn a_reader_may_read_again_unless_a_writer_waits_for_it() {
    run(|| {
        let (lock, log) = (Rc::new(RwLock::new(0)), Log::new());
        let reader = lock.read();
        drop(lock.read());
        let waits = writer(&lock, &log, "w");
        yield_now();
        // It would wait for the writer, and the writer for it.
        assert!(message_of(|| lock.read()).contains("wait for itself"));
        drop(reader);
        waits.join().unwrap();
        assert_eq!(*lock.read(), 1);
    });
}

#[test]
fn the_owner_is_the_task_and_not_the_stack_that_it_ran_on() {
    run(|| {
        let lock = RwLock::new(1);
        let kept: RefCell<Option<RwLockWriteGuard<'_, u32>>> = RefCell::new(None);
        scope(|s| {
            s.spawn(|| kept.replace(Some(lock.write()))).join().unwrap();
            let waiter = s.spawn(|| *lock.read());
            yield_now();
            assert_eq!(waiter.task().status(), Status::Parked(What::Read));
            drop(kept.take());
            assert_eq!(waiter.join().unwrap(), 1);
        });
    });
}

#[test]
fn a_forgotten_guard_locks_for_ever_and_the_deadlock_names_the_lock() {
    let stuck = Builder::new().run(|| {
        let lock = Rc::new(RwLock::named("lost", 0));
        let theirs = lock.clone();
        spawn(move || std::mem::forget(theirs.read()))
            .join()
            .unwrap();
        drop(lock.read());
        drop(lock.write());
    });
    let Err(RunError::Deadlock(report)) = stuck else {
        panic!("nobody can unlock it");
    };
    assert!(report.to_string().contains("'lost'"), "{report}");
}

#[test]
fn a_reader_that_is_about_to_be_let_in_is_not_told_to_be_stuck() {
    if is_on_its_own() {
        return a_killed_writer_lets_the_readers_behind_it_in();
    }
    let name = "a_reader_that_is_about_to_be_let_in_is_not_told_to_be_stuck";
    let (well, text) = on_its_own(name);
    assert!(well && !text.contains("cycle"), "{text}");
}

#[test]
fn a_reader_behind_a_writer_that_waits_for_whoever_joins_the_reader_is_a_deadlock() {
    let stuck = Builder::new().run(|| {
        let (lock, log) = (Rc::new(RwLock::named("settings", 0)), Log::new());
        let _inside = lock.read();
        let _ahead = writer(&lock, &log, "never");
        reader(&lock, &log, "never").join().map(drop).unwrap();
    });
    let Err(RunError::Deadlock(report)) = stuck else {
        panic!("they wait for each other");
    };
    let report = report.to_string();
    assert!(
        report.contains("cycle") && report.contains("RwLock 'settings'"),
        "{report}"
    );
}

// ── downgrade, and elsewhere ─────────────────────────────────────────────────────────────────

#[test]
fn a_downgraded_writer_lets_the_readers_in_that_are_next_but_no_writer() {
    run(|| {
        let (lock, log) = (Rc::new(RwLock::new(0)), Log::new());
        let mut inside = lock.write();
        let next = reader(&lock, &log, "r");
        let other = writer(&lock, &log, "w");
        let behind = reader(&lock, &log, "behind");
        yield_now();
        *inside = 7;
        let inside = RwLockWriteGuard::downgrade(inside);
        assert_eq!(next.join().unwrap(), 7);
        assert_eq!((*inside, log.text().as_str()), (7, "r"));
        drop(inside);
        other.join().unwrap();
        assert_eq!(behind.join().unwrap(), 8);
        assert_eq!(log.text(), "r w behind");
        assert!(lock.try_write().is_some());
    });
}

#[test]
fn waiting_is_refused_where_nobody_may_yield() {
    run(|| {
        let lock = Rc::new(RwLock::new(0));
        let theirs = lock.clone();
        let holder = spawn(move || {
            let _guard = theirs.read();
            yield_now();
        });
        yield_now();
        let message = message_of(|| no_yield(|| lock.write()));
        assert!(message.contains("no_yield"), "{message}");
        // The refused writer stands in nobody's way.
        no_yield(|| drop(lock.read()));
        holder.join().unwrap();
    });
}

#[test]
fn a_lock_may_outlive_a_run_in_which_tasks_waited_for_it() {
    let lock = Rc::new(RwLock::new(0));
    for round in 1..=3 {
        run(|| {
            let inside = lock.read();
            let waits = writer(&lock, &Log::new(), "w");
            let behind = reader(&lock, &Log::new(), "r");
            yield_now();
            drop(inside);
            waits.join().unwrap();
            assert_eq!(behind.join().unwrap(), round);
        });
        assert_eq!(*lock.try_write().unwrap(), round);
    }
}

#[test]
fn debug_shows_the_value_or_that_it_is_locked() {
    let lock = RwLock::new("value");
    let reader = lock.read();
    assert_eq!(format!("{lock:?}"), "RwLock { value: \"value\", .. }");
    assert_eq!(format!("{reader:?} {reader}"), "\"value\" value");
    drop(reader);
    let writer = lock.write();
    assert_eq!(format!("{lock:?}"), "RwLock { value: <locked>, .. }");
    assert_eq!(format!("{writer:?} {writer}"), "\"value\" value");
}

#[test]
fn a_lock_may_be_used_across_a_caught_unwind() {
    fn is_unwind_safe<T: UnwindSafe + RefUnwindSafe>() {}
    is_unwind_safe::<RwLock<Rc<RefCell<u8>>>>();
    is_unwind_safe::<RwLockReadGuard<'static, RefCell<u8>>>();
    is_unwind_safe::<RwLockWriteGuard<'static, RefCell<u8>>>();
}
