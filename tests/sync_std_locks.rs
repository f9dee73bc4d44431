//! What std promises of its mutex and its lock for readers and writers, kept between tasks.
mod steps;

use maypole::sync::{Mutex, RwLock, RwLockReadGuard, RwLockWriteGuard};
use maypole::{Builder, run, scope, sleep, spawn, yield_now};
use std::cell::Cell;
use std::panic::catch_unwind;
use std::rc::Rc;
use steps::{OnDrop, ms, on_virtual_time, unwinds};

/// Neither `Copy` nor `Clone`.
#[derive(PartialEq, Eq, Debug)]
struct Plain(i32);

// ── mutex ────────────────────────────────────────────────────────────────────────────────────

#[test]
fn a_mutex_is_locked_and_unlocked_again_and_again() {
    let mutex = Mutex::new(());
    for _ in 0..3 {
        drop(mutex.lock());
        drop(mutex.try_lock().expect("nobody has it"));
    }
}

#[test]
fn no_increment_under_a_mutex_is_lost_on_the_way() {
    for seed in 0..5 {
        let total = Builder::new().seed(seed).run(|| {
            let total = Mutex::new(0);
            scope(|s| {
                for _ in 0..6 {
                    s.spawn(|| {
                        for n in 0..500 {
                            let mut total = total.lock();
                            let before = *total;
                            if n % 7 == 0 {
                                yield_now();
                            }
                            *total = before + 1;
                        }
                    });
                }
            });
            total.into_inner()
        });
        assert_eq!(total.unwrap(), 3000);
    }
}

#[test]
fn a_mutex_gives_its_value_up() {
    assert_eq!(Mutex::new(Plain(10)).into_inner(), Plain(10));
    let mut mutex = Mutex::new(Plain(10));
    *mutex.get_mut() = Plain(20);
    assert_eq!(mutex.into_inner(), Plain(20));
    assert_eq!(*Mutex::<u8>::default().lock(), 0);
    assert_eq!(*Mutex::from(7).lock(), 7);
}

#[test]
fn the_value_of_a_mutex_is_dropped_once_by_whoever_has_it_last() {
    let drops = Rc::new(Cell::new(0));
    let counted = || {
        let drops = drops.clone();
        OnDrop(move || drops.set(drops.get() + 1))
    };
    let value = Mutex::new(counted()).into_inner();
    assert_eq!(drops.get(), 0);
    drop(value);
    assert_eq!(drops.get(), 1);
    let mutex = Mutex::new(counted());
    *mutex.lock() = counted();
    assert_eq!(drops.get(), 2);
    drop(mutex);
    assert_eq!(drops.get(), 3);
}

#[test]
fn a_mutex_may_hold_a_mutex() {
    run(|| {
        let outer = Mutex::new(Rc::new(Mutex::new(1)));
        scope(|s| {
            let inner = s.spawn(|| {
                let inner = outer.lock();
                *inner.lock()
            });
            assert_eq!(inner.join().unwrap(), 1);
        });
    });
}

#[test]
fn a_mutex_may_hold_a_value_without_a_size() {
    let mutex: &Mutex<[i32]> = &Mutex::new([1, 2, 3]);
    {
        let mut numbers = mutex.lock();
        numbers[0] = 4;
        numbers[2] = 5;
    }
    assert_eq!(*mutex.lock(), [4, 2, 5]);
    let shared: Rc<Mutex<dyn Fn(i32) -> i32>> = Rc::new(Mutex::new(|n| n + 1));
    assert_eq!(shared.lock()(1), 2);
}

#[test]
fn panics_under_a_mutex_leave_it_unlocked_each_time() {
    let mutex = Mutex::new(0);
    for n in 1..=3 {
        let caught = catch_unwind(|| {
            let mut guard = mutex.lock();
            *guard = n;
            panic!("with the lock");
        });
        assert!(caught.is_err());
        assert_eq!(*mutex.lock(), n);
    }
}

#[test]
fn a_destructor_that_runs_by_a_panic_may_lock() {
    run(|| {
        let mutex = Rc::new(Mutex::new(1));
        let theirs = mutex.clone();
        let panics = spawn(move || {
            let _adds = OnDrop(move || *theirs.lock() += 1);
            panic!("and on the way out");
        });
        assert!(panics.join().unwrap_err().is_panic());
        assert_eq!(*mutex.lock(), 2);
    });
}

// ── lock for readers and writers ─────────────────────────────────────────────────────────────

#[test]
fn a_lock_is_taken_either_way_again_and_again() {
    let lock = RwLock::new(());
    drop(lock.read());
    drop(lock.write());
    drop((lock.read(), lock.read()));
    drop(lock.write());
}

#[test]
fn readers_and_writers_at_random_all_come_through() {
    for seed in 1..=5 {
        let written = Builder::new().seed(seed).run(|| {
            let (lock, written) = (RwLock::new(0), Cell::new(0));
            scope(|s| {
                for task in 0..10_u64 {
                    let (lock, written) = (&lock, &written);
                    s.spawn(move || {
                        let mut chance = seed * 1000 + task + 1;
                        for _ in 0..200 {
                            // xorshift (Marsaglia, 2003)
                            chance ^= chance << 13;
                            chance ^= chance >> 7;
                            chance ^= chance << 17;
                            if chance.is_multiple_of(10) {
                                let mut value = lock.write();
                                let before = *value;
                                yield_now();
                                *value = before + 1;
                                written.set(written.get() + 1);
                            } else {
                                let value = lock.read();
                                let before = *value;
                                if chance.is_multiple_of(3) {
                                    yield_now();
                                }
                                assert_eq!(*value, before);
                            }
                        }
                    });
                }
            });
            assert_eq!(*lock.read(), written.get());
            written.get()
        });
        assert!(written.unwrap() > 100);
    }
}

#[test]
fn no_reader_sees_what_a_writer_has_half_done() {
    run(|| {
        let lock = RwLock::new(0);
        scope(|s| {
            s.spawn(|| {
                let mut value = lock.write();
                for _ in 0..10 {
                    let before = *value;
                    *value = -1;
                    yield_now();
                    *value = before + 1;
                }
            });
            for _ in 0..5 {
                s.spawn(|| assert!(*lock.read() >= 0));
            }
        });
        assert_eq!(*lock.read(), 10);
    });
}

#[test]
fn a_destructor_that_runs_by_a_panic_may_lock_for_writing() {
    run(|| {
        let lock = Rc::new(RwLock::new(1));
        let theirs = lock.clone();
        let panics = spawn(move || {
            let _adds = OnDrop(move || *theirs.write() += 1);
            panic!("and on the way out");
        });
        assert!(panics.join().unwrap_err().is_panic());
        assert_eq!(*lock.read(), 2);
    });
}

#[test]
fn a_panic_under_a_lock_leaves_it_free_for_both() {
    let lock = RwLock::new(1);
    assert!(unwinds(|| {
        let _guard = lock.write();
        panic!("with the lock");
    }));
    assert!(unwinds(|| {
        let _guard = lock.read();
        panic!("with a share");
    }));
    *lock.try_write().unwrap() += 1;
    assert_eq!(*lock.try_read().unwrap(), 2);
}

#[test]
fn a_lock_may_hold_a_value_without_a_size() {
    let lock: &RwLock<[i32]> = &RwLock::new([1, 2, 3]);
    {
        let mut numbers = lock.write();
        numbers[0] = 4;
        numbers[2] = 5;
    }
    assert_eq!(*lock.read(), [4, 2, 5]);
}

#[test]
fn a_lock_gives_its_value_up_and_drops_it_once() {
    assert_eq!(RwLock::new(Plain(10)).into_inner(), Plain(10));
    let mut lock = RwLock::new(Plain(10));
    *lock.get_mut() = Plain(20);
    assert_eq!(lock.into_inner(), Plain(20));
    assert_eq!(*RwLock::<u8>::default().read(), 0);
    assert_eq!(*RwLock::from(7).read(), 7);
    let drops = Cell::new(0);
    let value = RwLock::new(OnDrop(|| drops.set(drops.get() + 1))).into_inner();
    assert_eq!(drops.get(), 0);
    drop(value);
    assert_eq!(drops.get(), 1);
}

#[test]
fn a_guard_for_reading_may_stand_for_one_of_a_shorter_borrow() {
    fn both<'a>(guard: RwLockReadGuard<'_, &'a i32>, other: &'a i32) -> i32 {
        **guard + *other
    }
    let long = 5;
    let lock = RwLock::new(&long);
    {
        let short = 6;
        assert_eq!(both(lock.read(), &short), 11);
    }
    assert_eq!(**lock.read(), 5);
}

#[test]
fn a_lock_for_writing_is_refused_while_there_are_readers() {
    let lock = RwLock::new(0);
    let reader = lock.read();
    assert!(lock.try_write().is_none());
    drop(reader);
    assert!(lock.try_write().is_some());
}

#[test]
fn a_writer_reads_what_it_wrote_after_its_downgrade() {
    run(|| {
        let lock = RwLock::new(0);
        scope(|s| {
            for _ in 0..20 {
                s.spawn(|| {
                    for _ in 0..50 {
                        let mut writer = lock.write();
                        *writer += 1;
                        let written = *writer;
                        let reader = RwLockWriteGuard::downgrade(writer);
                        if written % 3 == 0 {
                            yield_now();
                        }
                        assert_eq!(*reader, written);
                    }
                });
            }
        });
        assert_eq!(lock.into_inner(), 1000);
    });
}

#[test]
fn no_writer_that_waits_comes_in_at_a_downgrade() {
    on_virtual_time(|| {
        let lock = RwLock::new(0);
        scope(|s| {
            let mut writer = lock.write();
            for _ in 0..20 {
                s.spawn(|| *lock.write() += 1);
            }
            sleep(ms(50)); // they all wait now
            *writer = -1;
            let reader = RwLockWriteGuard::downgrade(writer);
            yield_now();
            assert_eq!(*reader, -1);
        });
        assert_eq!(lock.into_inner(), 19);
    });
}
