//! Locks and permits where nobody puts them: kept over the end of a run, left in thread-locals,
//! under tasks that are never resumed.
use maypole::sync::{
    Barrier, Condvar, Event, Mutex, OnceCell, RwLock, Semaphore, SemaphorePermit, WaitGroup,
};
use maypole::{generator::Generator, run, spawn, task, yield_now};
use std::any::Any;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

fn leaked<T>(value: T) -> &'static T {
    Box::leak(Box::new(value))
}

#[test]
fn what_a_run_has_locked_another_unlocks() {
    let mutex = leaked(Mutex::new(0));
    let lock = leaked(RwLock::new(0));
    let permits = leaked(Semaphore::new(1));
    let held = run(|| {
        let held = (mutex.lock(), lock.read(), permits.acquire());
        for _ in 0..2 {
            spawn(|| drop(mutex.lock()));
            spawn(|| drop(lock.write()));
            spawn(|| drop(permits.acquire()));
        }
        yield_now();
        held
    });
    assert!(mutex.try_lock().is_none());
    assert!(lock.try_write().is_none());
    assert!(lock.try_read().is_some()); // the writers have left the line with their run
    assert!(permits.try_acquire().is_none());
    run(|| {
        let tasks = [
            spawn(|| *mutex.lock() += 1),
            spawn(|| *lock.write() += 1),
            spawn(|| drop(permits.acquire())),
        ];
        yield_now();
        drop(held);
        tasks.into_iter().for_each(|task| task.join().unwrap());
    });
    assert_eq!(
        (*mutex.lock(), *lock.read(), permits.available()),
        (1, 1, 1)
    );
}

#[test]
fn what_tasks_wait_in_that_were_left_behind_serves_the_next_run() {
    let permits = leaked(Semaphore::new(0));
    let barrier = leaked(Barrier::new(2));
    let pair = leaked((Mutex::new(0), Condvar::new()));
    let cell: &OnceCell<i32> = leaked(OnceCell::new());
    for _ in 0..3 {
        run(|| {
            spawn(|| task::shield(|| drop(permits.acquire())));
            spawn(|| task::shield(|| _ = barrier.wait()));
            spawn(|| task::shield(|| drop(pair.1.wait(pair.0.lock()))));
            spawn(|| task::shield(|| _ = cell.wait()));
            yield_now();
        });
        run(|| {
            permits.add_permits(1);
            permits.try_acquire().unwrap().forget();
            let other = spawn(|| barrier.wait().is_leader());
            yield_now();
            assert!(barrier.wait().is_leader());
            assert!(!other.join().unwrap());
            assert!(pair.0.try_lock().is_some());
            pair.1.notify_all();
        });
    }
    assert_eq!(cell.get_or_init(|| 3), &3);
}

#[test]
fn all_may_be_dropped_with_the_thread_locals_of_the_os_thread() {
    thread_local! {
        static KEPT: RefCell<Vec<Box<dyn Any>>> = const { RefCell::new(Vec::new()) };
    }
    fn keep(value: impl Any) {
        KEPT.with_borrow_mut(|kept| kept.push(Box::new(value)));
    }
    fn wait_in<T: 'static>(shared: &Rc<T>, wait: fn(&T)) {
        let shared = shared.clone();
        keep(spawn(move || wait(&shared)));
    }
    let ended = std::thread::spawn(|| {
        keep(0);
        for _ in 0..2 {
            run(|| {
                let (mutex, lock) = (Rc::new(Mutex::new(0)), Rc::new(RwLock::new(0)));
                let (permits, cell) = (Rc::new(Semaphore::new(1)), Rc::new(OnceCell::<u8>::new()));
                let (event, barrier) = (Rc::new(Event::new()), Rc::new(Barrier::new(3)));
                let group = WaitGroup::new();
                keep(leaked(mutex.clone()).lock());
                keep(leaked(lock.clone()).write());
                keep(leaked(permits.clone()).acquire());
                wait_in(&mutex, |mutex| drop(mutex.lock()));
                wait_in(&lock, |lock| drop(lock.read()));
                wait_in(&permits, |permits| drop(permits.acquire()));
                wait_in(&cell, |cell| _ = cell.wait());
                wait_in(&event, |event| event.wait());
                wait_in(&barrier, |barrier| _ = barrier.wait());
                let member = group.clone();
                spawn(|| member.wait());
                let mut generator = Generator::<()>::new(|yielder| {
                    let mutex = Mutex::new(0);
                    let _held = mutex.lock();
                    yielder.yield_(());
                });
                generator.next();
                yield_now();
                keep((mutex, lock, permits, cell));
                keep((event, barrier, group, generator));
            });
        }
    });
    ended.join().expect("nothing panics");
}

#[test]
fn permits_that_cannot_be_counted_any_more_end_no_process() {
    let permits = Semaphore::new(3);
    let held: Vec<SemaphorePermit<'_>> = (0..3).map(|_| permits.acquire()).collect();
    permits.add_permits(usize::MAX);
    // The first panics in its destructor, the others are dropped as it unwinds.
    assert!(catch_unwind(AssertUnwindSafe(|| drop(held))).is_err());
    assert_eq!(permits.available(), usize::MAX);
}
