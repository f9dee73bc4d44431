//! What a transaction refuses, with both places, and undoes; and what it allows.
#![allow(
    clippy::unit_arg,
    reason = "a transaction of one step reads best in one line"
)]
mod steps;

use maypole::channel::{bounded, select, unbounded};
use maypole::generator::{Generator, scoped};
use maypole::stm::{Named, TVar, atomically, check, try_atomically};
use maypole::sync::{Barrier, Condvar, Event, Mutex, RwLock, Semaphore, WaitGroup};
use maypole::time::{interval, timeout};
use maypole::{explore, run, scope, sleep, spawn, spawn_now, task, yield_now};
use std::cell::RefCell;
use std::rc::Rc;
use steps::{Log, message_of, ms, on_virtual_time, unwinds};

/// Checks that `call`, made in the line after this call's first, is refused inside of a
/// transaction: with the place of both, and with nothing written.
#[track_caller]
fn is_refused(name: &str, mut call: impl FnMut()) {
    let call_at = std::panic::Location::caller().line();
    let variable = TVar::new(1);
    let begun_at = line!() + 2;
    let message = message_of(|| {
        atomically(|tx| {
            variable.write(tx, 2);
            call();
            Ok(())
        })
    });
    assert!(message.starts_with("maypole: "), "{message}");
    assert!(message.contains(name), "{name}: {message}");
    let lines = [call_at, call_at + 1].map(|line| format!("{}:{line}:", file!()));
    assert!(
        lines.iter().any(|place| message.contains(place)),
        "no {call_at}: {message}"
    );
    let outer = format!("inside the transaction begun at {}:{begun_at}:", file!());
    assert!(message.contains(&outer), "{message}");
    assert_eq!(variable.get(), 1);
    // The next is not concerned.
    assert_eq!(atomically(|tx| Ok(variable.swap(tx, 3))), 1);
    yield_now();
}

#[test]
fn calls_that_yield_are_refused() {
    run(|| {
        is_refused("yield_now", || yield_now());
        is_refused("sleep", || sleep(ms(1)));
        is_refused("sleep", || sleep(ms(0)));
        is_refused("sleep", || maypole::time::sleep_until(maypole::time::now()));
    });
}

#[test]
fn calls_that_park_are_refused() {
    on_virtual_time(|| {
        let (sender, receiver) = bounded::<u8>(0);
        is_refused("recv", || _ = receiver.recv());
        is_refused("send", || _ = sender.send(1));
        is_refused("recv", || _ = receiver.recv_timeout(ms(1)));
        is_refused("park", || task::park());
        is_refused("park", || task::park_timeout(ms(1)));
        let mut ticks = interval(ms(1));
        ticks.tick();
        is_refused("sleep", || _ = ticks.tick());
    });
}

#[test]
fn locks_that_would_wait_are_refused() {
    run(|| {
        let (mutex, lock) = (Rc::new(Mutex::new(())), Rc::new(RwLock::new(())));
        let semaphore = Semaphore::new(0);
        let (theirs, other) = (mutex.clone(), lock.clone());
        let holder = spawn(move || {
            let _guards = (theirs.lock(), other.write());
            task::park();
        });
        yield_now();
        is_refused("lock", || drop(mutex.lock()));
        is_refused("read", || drop(lock.read()));
        is_refused("write", || drop(lock.write()));
        is_refused("acquire", || drop(semaphore.acquire()));
        let event = Event::new();
        is_refused("wait", || event.wait());
        let barrier = Barrier::new(2);
        is_refused("wait", || _ = barrier.wait());
        let group = WaitGroup::new();
        let _member = group.clone();
        let mut group = Some(group);
        is_refused("wait", || group.take().unwrap().wait());
        let (condvar, own) = (Condvar::new(), Mutex::new(()));
        is_refused("wait", || drop(condvar.wait(own.lock())));
        holder.kill("the end");
    });
}

#[test]
fn waiting_for_tasks_is_refused() {
    run(|| {
        let mut handle = Some(spawn(task::park));
        let task = handle.as_ref().unwrap().task().clone();
        is_refused("join", || _ = handle.take().unwrap().join());
        is_refused("spawn_now", || drop(spawn_now(|| ())));
        is_refused("scope", || scope(|s| _ = s.spawn(yield_now)));
        task.kill("the end");
    });
}

#[test]
fn a_select_that_waits_is_refused() {
    run(|| {
        let (_sender, receiver) = bounded::<u8>(1);
        is_refused("select", || {
            select! { recv(receiver) -> _ => {} }
        });
    });
}

#[test]
fn transactions_within_transactions_are_refused() {
    run(|| {
        let (variable, name) = (TVar::new(1), Named::new("inner"));
        is_refused("atomically", || atomically(|_| Ok(())));
        is_refused("atomically", || _ = try_atomically::<(), ()>(|_| Ok(())));
        is_refused("atomically", || name.atomically(|_| Ok(())));
        is_refused("TVar::get", || _ = variable.get());
        is_refused("TVar::set", || variable.set(2));
        assert_eq!(variable.get(), 1);
    });
}

#[test]
fn a_select_with_a_transaction_is_refused_in_a_transaction() {
    run(|| {
        let variable = TVar::new(false);
        is_refused("atomically", || {
            select! { atomically(|tx| check(variable.read(tx))) -> _ => {}, default => {} }
        });
    });
}

#[test]
fn scoped_generators_runs_and_explorations_are_refused() {
    run(|| {
        // It must be able to give way when it closes its body.
        is_refused(" at ", || scoped(|y| y.yield_(1), |ones| _ = ones.next()));
    });
    is_refused_outside("run", || run(|| ()));
    is_refused_outside("explore", || explore::check(|| ()));
}

/// The same where no scheduler runs.
#[track_caller]
fn is_refused_outside(name: &str, mut call: impl FnMut()) {
    let variable = TVar::new(1);
    let message = message_of(|| {
        atomically(|tx| {
            variable.write(tx, 2);
            call();
            Ok(())
        })
    });
    assert!(message.contains(name), "{message}");
    assert!(message.contains(file!()), "{message}");
    assert_eq!(variable.get(), 1);
}

#[test]
fn a_caught_refusal_lets_the_transaction_go_on() {
    run(|| {
        let variable = TVar::new(1);
        atomically(|tx| {
            variable.write(tx, 2);
            assert!(unwinds(yield_now));
            assert!(unwinds(|| variable.get()));
            assert!(unwinds(|| atomically(|_| Ok(()))));
            variable.update(tx, |n| n + 1);
            Ok(())
        });
        assert_eq!(variable.get(), 3);
        yield_now();
    });
}

#[test]
fn a_clone_may_not_park_nor_begin_a_transaction() {
    struct Nosy(Rc<dyn Fn()>);
    impl Clone for Nosy {
        fn clone(&self) -> Self {
            (self.0)();
            Nosy(self.0.clone())
        }
    }
    run(|| {
        let other = TVar::new(1);
        let theirs = other.clone();
        let parks = TVar::new(Nosy(Rc::new(yield_now)));
        let reads = TVar::new(Nosy(Rc::new(move || _ = theirs.get())));
        let own = Rc::new(RefCell::new(None::<TVar<Nosy>>));
        let found = own.clone();
        let sets = TVar::new(Nosy(Rc::new(move || {
            let own = found.borrow().clone().unwrap();
            own.set(Nosy(Rc::new(|| ())));
        })));
        own.replace(Some(sets.clone()));
        for variable in [&parks, &reads, &sets] {
            let message = message_of(|| variable.get());
            assert!(message.contains(file!()), "{message}");
            let message = message_of(|| atomically(|tx| Ok(variable.read(tx))));
            assert!(message.contains(file!()), "{message}");
        }
        own.replace(None);
        // All is well afterwards.
        assert_eq!(other.get(), 1);
        parks.set(Nosy(Rc::new(|| ())));
        drop(parks.get());
        yield_now();
    });
}

#[test]
fn a_generator_that_yields_out_of_a_transaction_panics() {
    let variable = TVar::new(1);
    let theirs = variable.clone();
    let mut generator = Generator::<u32>::new(move |y| {
        atomically(|tx| {
            theirs.write(tx, 2);
            y.yield_(1);
            Ok(())
        });
    });
    let message = message_of(|| generator.next());
    assert!(message.contains("yield"), "{message}");
    assert_eq!(variable.get(), 1);
    run(|| {
        let theirs = variable.clone();
        let mut generator = Generator::<u32>::new(move |y| {
            atomically(|tx| {
                theirs.write(tx, 2);
                y.yield_(1);
                Ok(())
            });
        });
        assert!(unwinds(|| generator.next()));
        assert_eq!(variable.get(), 1);
        yield_now();
    });
}

#[test]
fn a_generator_driven_wholly_inside_of_a_transaction_works() {
    let body = || {
        let variable = TVar::new(0);
        let total = atomically(|tx| {
            let mut numbers = Generator::<u32>::new(|y| {
                for n in 1..=4 {
                    y.yield_(n);
                }
            });
            for n in &mut numbers {
                variable.update(tx, |total| total + n);
            }
            Ok(variable.read(tx))
        });
        assert_eq!((total, variable.get()), (10, 10));
    };
    body();
    run(body);
}

#[test]
fn a_generator_body_may_run_transactions_between_its_yields() {
    let body = || {
        let variable = TVar::new(0);
        let theirs = variable.clone();
        let generator = Generator::<u32>::new(move |y| {
            for n in 1..=3 {
                let seen = atomically(|tx| Ok(theirs.state(tx, |sum| (sum + n, sum + n))));
                y.yield_(seen);
            }
        });
        let seen: Vec<u32> = generator
            .inspect(|_| variable.set(variable.get() + 100))
            .collect();
        assert_eq!((seen, variable.get()), (vec![1, 103, 206], 306));
    };
    body();
    run(body);
}

#[test]
fn a_generator_body_may_wait_in_a_transaction() {
    run(|| {
        let flag = TVar::new(false);
        let read = flag.clone();
        let task = spawn(move || {
            let generator = Generator::<u32>::new(move |y| {
                atomically(|tx| check(read.read(tx)));
                y.yield_(7);
            });
            generator.sum::<u32>()
        });
        yield_now();
        flag.set(true);
        assert_eq!(task.join().unwrap(), 7);
    });
}

#[test]
fn a_body_driven_inside_of_a_transaction_may_not_begin_one_nor_park() {
    run(|| {
        let variable = TVar::new(1);
        for begins in [true, false] {
            let theirs = variable.clone();
            let message = message_of(|| {
                atomically(|tx| {
                    variable.write(tx, 2);
                    let theirs = theirs.clone();
                    let mut generator = Generator::<u32>::new(move |y| {
                        match begins {
                            true => theirs.set(3),
                            false => yield_now(),
                        }
                        y.yield_(1);
                    });
                    Ok(generator.next())
                })
            });
            assert!(
                message.contains("inside the transaction begun at"),
                "{message}"
            );
            assert_eq!(variable.get(), 1);
        }
    });
}

#[test]
fn spawning_sending_without_waiting_and_printing_are_allowed() {
    run(|| {
        let (variable, log) = (TVar::new(1), Log::new());
        let (sender, receiver) = unbounded();
        let (mutex, semaphore) = (Mutex::new(0), Semaphore::new(1));
        let child = atomically(|tx| {
            variable.write(tx, 2);
            sender.try_send("sent").unwrap();
            print!("");
            *mutex.try_lock().unwrap() += 1;
            // Locks that are free need no waiting.
            *mutex.lock() += 1;
            drop(semaphore.acquire());
            assert!(
                select! { recv(receiver) -> message => message == Ok("sent"), default => false }
            );
            let log = log.clone();
            Ok(spawn(move || log.add("child")))
        });
        assert_eq!((log.text().as_str(), *mutex.lock()), ("", 2));
        child.join().unwrap();
        assert_eq!(log.text(), "child");
    });
}

#[test]
fn time_outs_inside_of_a_transaction_change_nothing() {
    on_virtual_time(|| {
        let variable = TVar::new(1);
        let waited = timeout(ms(5), || {
            atomically(|tx| {
                let inner = timeout(ms(0), || variable.swap(tx, 2));
                Ok(inner.is_ok())
            })
        });
        assert!(waited.is_ok_and(|inner| inner));
        assert_eq!(variable.get(), 2);
    });
}

#[test]
fn where_yielding_is_forbidden_a_transaction_may_run_but_not_wait() {
    run(|| {
        let variable = TVar::new(0);
        task::no_yield(|| atomically(|tx| Ok(variable.update(tx, |n| n + 1))));
        let message = message_of(|| {
            task::no_yield(|| atomically(|tx| check(variable.swap(tx, 5) == 5)));
        });
        assert!(message.contains("atomically at"), "{message}");
        assert!(message.contains("inside task::no_yield"), "{message}");
        assert_eq!(variable.get(), 1);
    });
}

#[test]
fn a_debug_that_gives_way_keeps_nobody_from_writing() {
    struct Slow;
    impl std::fmt::Debug for Slow {
        fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            yield_now();
            Ok(())
        }
    }
    run(|| {
        let variable = TVar::new(Slow);
        let theirs = variable.clone();
        let writer = spawn(move || {
            theirs.set(Slow);
            atomically(|tx| Ok(theirs.write(tx, Slow)));
        });
        // It is shown, or refused; the other task is not concerned.
        drop(std::panic::catch_unwind(|| format!("{variable:?}")));
        writer.join().unwrap();
    });
}

#[test]
fn a_task_whose_transaction_was_refused_can_be_killed_paused_and_woken_as_before() {
    run(|| {
        let (flag, log) = (TVar::new(false), Log::new());
        let (read, steps) = (flag.clone(), log.clone());
        let task = spawn(move || {
            assert!(unwinds(|| atomically::<()>(|_| Ok(yield_now()))));
            yield_now();
            atomically(|tx| check(read.read(tx)));
            steps.add("woken");
            task::park();
        });
        yield_now();
        yield_now();
        flag.set(true);
        yield_now();
        assert_eq!(log.text(), "woken");
        task.kill("as ever");
        assert!(task.join().unwrap_err().is_killed());
    });
}
