//! Transactions in small programs, under every order in which their tasks could take turns.
#![allow(
    clippy::unit_arg,
    reason = "a transaction of one step reads best in one line"
)]
mod steps;

use maypole::channel::{bounded, select, unbounded};
use maypole::explore::{self, Explorer, Switches};
use maypole::stm::{Named, Stop, TVar, Transaction, atomically, check, delay, retry};
use maypole::task::Killed;
use maypole::time::timeout;
use maypole::{scope, sleep, spawn, yield_now};
use std::cell::Cell;
use std::rc::Rc;
use steps::{message_of, ms};

/// Runs `f` under all schedules with switches where tasks park, and then, with a few forced ones,
/// where every operation is a switch.
#[track_caller]
fn in_every_order(f: impl Fn()) {
    for (switches, forced) in [(Switches::Parking, 2), (Switches::Everywhere, 2)] {
        let outcome = Explorer::new().switches(switches).forced(forced).check(&f);
        if let Some(failure) = &outcome.failure {
            panic!("{failure}");
        }
        let all = outcome.forced == Some(forced) || outcome.complete;
        assert!(all && outcome.cut == 0, "not all: {outcome:?}");
        assert!(outcome.schedules > 1, "only one order was tried");
    }
}

fn take(tx: &Transaction, place: &TVar<Option<u8>>) -> Result<u8, Stop> {
    let value = place.read(tx).map_or_else(retry, Ok)?;
    place.write(tx, None);
    Ok(value)
}

fn put(tx: &Transaction, place: &TVar<Option<u8>>, value: u8) -> Result<(), Stop> {
    check(place.read(tx).is_none())?;
    place.write(tx, Some(value));
    Ok(())
}

#[test]
fn nobody_sees_a_transfer_half_done() {
    in_every_order(|| {
        let accounts = [60, 40].map(TVar::new);
        let [a, b] = &accounts;
        scope(|s| {
            for (from, to) in [(a, b), (b, a)] {
                s.spawn(move || {
                    atomically(|tx| {
                        from.update(tx, |n| n - 30);
                        to.update(tx, |n| n + 30);
                        Ok(())
                    })
                });
            }
            s.spawn(|| {
                let sum = atomically(|tx| Ok(a.read(tx) + b.read(tx)));
                assert_eq!(sum, 100);
            });
        });
        assert_eq!(accounts.map(|account| account.get()), [60, 40]);
    });
}

#[test]
fn an_update_in_two_steps_is_lost_in_some_order_and_in_one_step_never() {
    let in_two = || {
        let count = TVar::new(0);
        scope(|s| {
            for _ in 0..2 {
                s.spawn(|| {
                    let seen = atomically(|tx| Ok(count.read(tx)));
                    atomically(|tx| Ok(count.write(tx, seen + 1)));
                });
            }
        });
        assert_eq!(count.get(), 2);
    };
    let failure = Explorer::new().check(in_two).failure.expect("it is found");
    let text = failure.to_string();
    assert!(text.contains("atomically"), "{text}");
    // Its trail leads to it again.
    let message = message_of(|| explore::replay(failure.trail(), in_two));
    assert!(message.contains("left: 1"), "{message}");
    in_every_order(|| {
        let count = TVar::new(0);
        scope(|s| {
            for _ in 0..2 {
                s.spawn(|| atomically(|tx| Ok(count.update(tx, |n| n + 1))));
            }
        });
        assert_eq!(count.get(), 2);
    });
}

#[test]
fn get_and_set_are_two_steps() {
    let outcome = Explorer::new().switches(Switches::Everywhere).check(|| {
        let count = TVar::new(0);
        scope(|s| {
            for _ in 0..2 {
                s.spawn(|| count.set(count.get() + 1));
            }
        });
        assert_eq!(count.get(), 2);
    });
    let text = outcome.failure.expect("it is found").to_string();
    assert!(
        text.contains("TVar::get") && text.contains("TVar::set"),
        "{text}"
    );
}

#[test]
fn a_handover_of_several_values_loses_and_doubles_none() {
    in_every_order(|| {
        let (place, got) = (TVar::new(None), TVar::new(Vec::new()));
        scope(|s| {
            s.spawn(|| (1..=2).for_each(|n| atomically(|tx| put(tx, &place, n))));
            for _ in 0..2 {
                s.spawn(|| {
                    atomically(|tx| {
                        let value = take(tx, &place)?;
                        got.update(tx, |all| [&all[..], &[value]].concat());
                        Ok(())
                    })
                });
            }
        });
        // In the order in which they were put, whoever takes them.
        assert_eq!((got.get(), place.get()), (vec![1, 2], None));
    });
}

#[test]
fn no_wake_is_lost_between_the_look_and_the_park() {
    in_every_order(|| {
        let flags = [false; 2].map(TVar::new);
        scope(|s| {
            s.spawn(|| atomically(|tx| check(flags[0].read(tx) && flags[1].read(tx))));
            s.spawn(|| atomically(|tx| check(flags[1].read(tx))));
            for flag in &flags {
                s.spawn(move || flag.set(true));
            }
        });
    });
}

#[test]
fn an_alternative_takes_exactly_one() {
    in_every_order(|| {
        let places = [None, None].map(TVar::new);
        let [a, b] = &places;
        scope(|s| {
            s.spawn(|| {
                let n = atomically(|tx| tx.or_else(|tx| take(tx, a), |tx| take(tx, b)));
                assert!(n == 1 || n == 2);
            });
            for (place, n) in [(a, 1), (b, 2)] {
                s.spawn(move || place.set(Some(n)));
            }
        });
        let left: Vec<u8> = places.iter().filter_map(TVar::get).collect();
        assert_eq!(left.len(), 1);
    });
}

#[test]
fn a_kill_at_any_moment_is_all_or_nothing() {
    in_every_order(|| {
        let (place, taken) = (TVar::new(None), TVar::new(0));
        let (theirs, count) = (place.clone(), taken.clone());
        let victim = spawn(move || {
            atomically(|tx| {
                let value = take(tx, &theirs)?;
                count.update(tx, |n| n + value);
                Ok(())
            });
        });
        let prey = victim.task().clone();
        let killer = spawn(move || {
            assert_ne!(prey.kill("at any moment"), Killed::Already);
        });
        place.set(Some(7));
        killer.join().unwrap();
        drop(victim.join());
        let end = (place.get(), taken.get());
        assert!([(Some(7), 0), (None, 7)].contains(&end), "{end:?}");
        // No waiter is left behind.
        place.set(Some(7));
        yield_now();
        assert_eq!(place.get(), Some(7));
    });
}

#[test]
fn a_killed_waiter_takes_no_wake_with_it() {
    in_every_order(|| {
        let places = TVar::new(0);
        let tasks = [(); 2].map(|()| {
            let places = places.clone();
            spawn(move || {
                atomically(|tx| {
                    check(places.read(tx) > 0)?;
                    places.update(tx, |n| n - 1);
                    Ok(())
                })
            })
        });
        yield_now();
        let giver = {
            let places = places.clone();
            spawn(move || places.set(places.get() + 1))
        };
        tasks[0].kill("one of two");
        giver.join().unwrap();
        let [first, second] = tasks;
        if first.join().is_ok() {
            // It took the place: the other one waits rightly.
            places.set(1);
        }
        second.join().unwrap();
        assert_eq!(places.get(), 0);
    });
}

#[test]
fn a_timeout_at_any_moment_is_all_or_nothing() {
    in_every_order(|| {
        let place = TVar::new(None);
        scope(|s| {
            s.spawn(|| {
                sleep(ms(5));
                place.set(Some(7));
            });
            let waited = timeout(ms(5), || atomically(|tx| take(tx, &place)));
            sleep(ms(5));
            assert_eq!(place.get(), if waited.is_ok() { None } else { Some(7) });
        });
    });
}

#[test]
fn a_delay_and_a_change_at_the_same_time_leave_nobody_waiting() {
    in_every_order(|| {
        let (flag, late) = (TVar::new(false), delay(ms(5)));
        scope(|s| {
            for _ in 0..2 {
                s.spawn(|| {
                    atomically(|tx| {
                        tx.or_else(|tx| check(flag.read(tx)), |tx| check(late.read(tx)))
                    });
                    assert!(flag.get() || late.get());
                });
            }
            s.spawn(|| {
                sleep(ms(5));
                flag.set(true);
            });
        });
    });
}

#[test]
fn exactly_one_case_of_a_select_happens() {
    in_every_order(|| {
        let (place, (sender, receiver)) = (TVar::new(None), unbounded());
        let ours = (place.clone(), receiver.clone());
        let task = spawn(move || {
            select! {
                recv(receiver) -> n => n.unwrap(),
                atomically(|tx| take(tx, &place)) -> n => n,
            }
        });
        let (place, receiver) = ours;
        let theirs = place.clone();
        let writer = spawn(move || theirs.set(Some(2)));
        sender.send(1).unwrap();
        writer.join().unwrap();
        let left = match task.join().unwrap() {
            1 => (Some(2), 0),
            _ => (None, 1),
        };
        assert_eq!((place.get(), receiver.len()), left);
    });
}

#[test]
fn two_selects_that_want_one_value_get_it_once() {
    in_every_order(|| {
        let (place, got) = (TVar::new(None), Cell::new(0));
        let (sender, receiver) = bounded::<u8>(2);
        scope(|s| {
            for _ in 0..2 {
                s.spawn(|| {
                    select! {
                        atomically(|tx| take(tx, &place)) -> n => got.set(got.get() + n),
                        recv(receiver) -> n => got.set(got.get() + n.unwrap()),
                    }
                });
            }
            s.spawn(|| {
                place.set(Some(1));
                sender.send(10).unwrap();
            });
        });
        assert_eq!((got.get(), place.get(), receiver.len()), (11, None, 0));
    });
}

#[test]
fn a_kill_at_any_moment_of_a_select_is_all_or_nothing() {
    in_every_order(|| {
        let (place, (sender, receiver)) = (TVar::new(None), unbounded());
        let (theirs, done) = (place.clone(), Rc::new(Cell::new(0)));
        let count = done.clone();
        let left = receiver.clone();
        let victim = spawn(move || {
            select! {
                recv(receiver) -> n => count.set(n.unwrap()),
                atomically(|tx| take(tx, &theirs)) -> n => count.set(n),
            }
        });
        let prey = victim.task().clone();
        let killer = spawn(move || prey.kill("at any moment"));
        place.set(Some(1));
        sender.send(2).unwrap();
        killer.join().unwrap();
        drop(victim.join());
        let end = (done.get(), place.get(), left.len());
        let whole = [(0, Some(1), 1), (1, None, 1), (2, Some(1), 0)];
        assert!(whole.contains(&end), "{end:?}");
    });
}

#[test]
fn hooks_run_once_in_every_order() {
    in_every_order(|| {
        let (level, ran) = (TVar::new(0), Rc::new(Cell::new(0)));
        let name = Named::new("hooked");
        scope(|s| {
            for wanted in [1, 2] {
                let (level, ran, name) = (&level, &ran, &name);
                s.spawn(move || {
                    name.atomically(|tx| {
                        let ran = ran.clone();
                        tx.on_commit(move || {
                            yield_now();
                            ran.set(ran.get() + 1);
                        });
                        check(level.read(tx) >= wanted)
                    })
                });
            }
            for _ in 0..2 {
                s.spawn(|| atomically(|tx| Ok(level.update(tx, |n| n + 1))));
            }
        });
        assert_eq!((ran.get(), name.counters().commits), (2, 2));
    });
}

#[test]
fn a_deadlock_of_transactions_is_found_and_its_report_names_the_variables() {
    let outcome = Explorer::new().check(|| {
        let gates = [TVar::named("left gate", 0), TVar::named("right gate", 0)];
        let [left, right] = &gates;
        // Two transactions made into one: each waits for what the other would do first.
        let pass = |mine: &TVar<i32>, theirs: &TVar<i32>| {
            atomically(|tx| {
                mine.update(tx, |n| n + 1);
                check(theirs.read(tx) > 0)
            });
        };
        scope(|s| {
            s.spawn(|| pass(left, right));
            s.spawn(|| pass(right, left));
        });
    });
    let text = outcome.failure.expect("it is found").to_string();
    assert!(text.contains("TVar 'left gate'"), "{text}");
    assert!(text.contains("TVar 'right gate'"), "{text}");
}
