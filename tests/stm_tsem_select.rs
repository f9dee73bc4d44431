//! A `select!` that waits for a unit of a semaphore: it stands in line as long as it waits.
#![allow(
    clippy::unit_arg,
    reason = "the last step of a transaction is often a write"
)]
mod sem_support;
mod steps;

use maypole::channel::{bounded, select, select_biased, unbounded};
use maypole::explore::Switches;
use maypole::stm::TSem;
use maypole::{run, sleep, spawn, yield_now};
use sem_support::{join_all, settle, signal, under_all_schedules, units, waiter};
use steps::{Log, ms, on_virtual_time};

#[test]
fn a_select_waits_in_line_and_takes_its_unit_in_its_turn() {
    run(|| {
        let (sem, log) = (TSem::new(0), Log::new());
        let (_silent, silence) = unbounded::<()>();
        let before = waiter("before", &sem, &log);
        let (theirs, logged) = (sem.clone(), log.clone());
        let selects = spawn(move || {
            select! {
                atomically(|tx| theirs.wait(tx)) -> () => logged.add("selects"),
                recv(silence) -> _ => unreachable!(),
            }
        });
        yield_now();
        let behind = waiter("behind", &sem, &log);
        for text in ["before", "before selects", "before selects behind"] {
            signal(&sem, 1);
            settle();
            assert_eq!(log.text(), text);
        }
        join_all([before, selects, behind]);
        assert_eq!(units(&sem), 0);
    });
}

#[test]
fn a_select_that_has_found_another_case_gives_its_place_up() {
    run(|| {
        let (sem, log) = (TSem::new(0), Log::new());
        let (letters, letter) = bounded(1);
        let (done, is_done) = bounded::<()>(0);
        let theirs = sem.clone();
        let selects = spawn(move || {
            select_biased! {
                atomically(|tx| theirs.wait(tx)) -> () => unreachable!(),
                // In its body it stands in line no more.
                recv(letter) -> _ => is_done.recv().unwrap(),
            }
        });
        yield_now();
        let behind = waiter("behind", &sem, &log);
        letters.send("come").unwrap();
        settle();
        signal(&sem, 1);
        behind.join().unwrap();
        done.send(()).unwrap();
        selects.join().unwrap();
        assert_eq!(units(&sem), 0);
    });
}

#[test]
fn a_select_that_has_its_unit_gives_its_place_up_before_its_body() {
    run(|| {
        let (sem, log) = (TSem::new(0), Log::new());
        let (done, is_done) = bounded::<()>(0);
        let theirs = sem.clone();
        let selects = spawn(move || {
            select_biased! {
                atomically(|tx| theirs.wait(tx)) -> () => is_done.recv().unwrap(),
            }
        });
        yield_now();
        let behind = waiter("behind", &sem, &log);
        signal(&sem, 2);
        behind.join().unwrap();
        done.send(()).unwrap();
        selects.join().unwrap();
        assert_eq!(units(&sem), 0);
    });
}

#[test]
fn a_select_that_finds_nothing_ready_stands_in_no_line() {
    run(|| {
        let (sem, log) = (TSem::new(0), Log::new());
        let first = waiter("first", &sem, &log);
        let (done, is_done) = bounded::<()>(0);
        let theirs = sem.clone();
        let polls = spawn(move || {
            select! {
                atomically(|tx| theirs.wait(tx)) -> () => unreachable!(),
                default => is_done.recv().unwrap(),
            }
        });
        yield_now();
        let behind = waiter("behind", &sem, &log);
        signal(&sem, 2);
        join_all([first, behind]);
        done.send(()).unwrap();
        polls.join().unwrap();
    });
}

#[test]
fn a_select_that_has_timed_out_stands_in_no_line() {
    on_virtual_time(|| {
        let (sem, log) = (TSem::new(0), Log::new());
        let (done, is_done) = bounded::<()>(0);
        let theirs = sem.clone();
        let selects = spawn(move || {
            select! {
                atomically(|tx| theirs.wait(tx)) -> () => unreachable!(),
                default(ms(5)) => is_done.recv().unwrap(),
            }
        });
        yield_now();
        let behind = waiter("behind", &sem, &log);
        sleep(ms(10));
        signal(&sem, 1);
        behind.join().unwrap();
        done.send(()).unwrap();
        selects.join().unwrap();
    });
}

#[test]
fn a_select_that_is_killed_stands_in_no_line() {
    run(|| {
        let (sem, log) = (TSem::new(0), Log::new());
        let (_silent, silence) = unbounded::<()>();
        let theirs = sem.clone();
        let selects = spawn(move || {
            select! {
                atomically(|tx| theirs.wait(tx)) -> () => unreachable!(),
                recv(silence) -> _ => unreachable!(),
            }
        });
        yield_now();
        let behind = waiter("behind", &sem, &log);
        selects.kill("not needed");
        signal(&sem, 1);
        behind.join().unwrap();
        assert!(selects.join().unwrap_err().is_killed());
    });
}

#[test]
fn a_select_of_two_semaphores_takes_one_unit_under_every_schedule() {
    let program = || {
        let (a, b) = (TSem::new(0), TSem::new(0));
        let tasks = [(); 2].map(|()| {
            let (a, b) = (a.clone(), b.clone());
            spawn(move || {
                select! {
                    atomically(|tx| a.wait(tx)) -> () => 'a',
                    atomically(|tx| b.wait(tx)) -> () => 'b',
                }
            })
        });
        signal(&a, 1);
        signal(&b, 1);
        let mut taken = join_all(tasks);
        taken.sort();
        assert_eq!(taken, ['a', 'b']);
        assert_eq!((units(&a), units(&b)), (0, 0));
    };
    under_all_schedules(Switches::Parking, 1, program);
}
